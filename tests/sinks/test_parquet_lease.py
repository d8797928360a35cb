"""A lease without compare-and-swap: one holder at a time, however slow the store is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from virtual_time import run

from vendororders_async.errors import SinkError
from vendororders_async.sinks.lease import leased
from vendororders_async.sinks.parquet_lease import CellLease

T = TypeVar("T")

TERM, SETTLE = 30.0, 2.0
WAITS = st.lists(st.floats(0, 6), min_size=1, max_size=12)


class Memory:
    """An object in memory."""

    def __init__(self) -> None:
        self.data: bytes | None = None

    def read(self) -> bytes | None:
        """Return what is in it."""
        return self.data

    def write(self, data: bytes) -> None:
        """Replace it."""
        self.data = data

    def remove(self) -> None:
        """Take it away."""
        self.data = None


class Way:
    """The way to the store: each request takes effect half of its time after it is sent."""

    def __init__(self, *seconds: float) -> None:
        self._seconds = list(seconds)
        self.is_cut = False

    async def __call__(self, job: Callable[[], T]) -> T:
        """Do *job* after a while."""
        if self.is_cut:
            raise SinkError("nobody answers")
        seconds = self._seconds.pop(0) if self._seconds else 0.01
        await asyncio.sleep(seconds / 2)
        done = job()
        await asyncio.sleep(seconds / 2)
        return done


def test_a_free_lease_is_had_after_it_settled_and_free_again_at_once() -> None:
    """The object is gone when the lease is let go of."""

    async def main() -> tuple[float, bytes | None]:
        cell, loop = Memory(), asyncio.get_running_loop()
        began_at = loop.time()
        for _ in range(3):
            async with leased(CellLease(cell, Way()), "account x"):
                taken_at = loop.time() - began_at
                await asyncio.sleep(100)
        return taken_at, cell.data

    taken_at, left = run(main())

    assert taken_at == pytest.approx(3 * SETTLE + 200, abs=1)
    assert left is None


def test_a_request_that_fails_once_is_made_again() -> None:
    """A store says 500 now and then; only one that goes on saying so costs an account."""

    async def main() -> list[str]:
        way, lost = Way(), []
        way.is_cut = True
        asyncio.get_running_loop().call_later(0.3, setattr, way, "is_cut", False)
        async with leased(CellLease(Memory(), way), "account x"):
            await asyncio.sleep(1)
        way.is_cut = True
        try:
            async with leased(CellLease(Memory(), way), "account x"):
                pass
        except SinkError as error:
            lost.append(str(error))
        return lost

    assert run(main()) == ["nobody answers"]


def test_one_that_is_renewed_is_refused() -> None:
    """The second is told within seconds, and the first goes on."""

    async def main() -> None:
        cell = Memory()
        async with leased(CellLease(cell, Way()), "account x"):
            with pytest.raises(SinkError, match="account x is being written by another run"):
                async with leased(CellLease(cell, Way()), "account x"):
                    pass
            await asyncio.sleep(100)

    run(main())


def test_a_dead_holder_is_waited_for_by_the_clock_of_whoever_waits() -> None:
    """What does not change for a whole term is nobody's, whatever was written when."""

    async def main() -> float:
        cell, loop = Memory(), asyncio.get_running_loop()
        await CellLease(cell, Way()).take(TERM)
        began_at = loop.time()
        async with leased(CellLease(cell, Way()), "account x"):
            return loop.time() - began_at

    assert TERM <= run(main()) < TERM * 1.4


@settings(deadline=None)  # the time is virtual, a busy machine is not
@given(first=WAITS, second=WAITS, later=st.floats(0, 10))
@example(first=[0.01, 3.9, 0.01], second=[0.01, 0.01, 0.01], later=0.0)
@example(first=[0.01, 0.9, 0.01], second=[0.01, 0.9, 0.01], later=0.4)
def test_two_never_hold_it_at_once(
    first: list[float], second: list[float], later: float
) -> None:
    """However long their requests take, and whenever they begin."""

    async def main() -> int:
        cell = Memory()
        holders, most = 0, 0

        async def work(way: Way, begins: float) -> None:
            nonlocal holders, most
            await asyncio.sleep(begins)
            try:
                async with leased(CellLease(cell, way), "account x"):
                    holders += 1
                    most = max(most, holders)
                    try:
                        await asyncio.sleep(20)
                    finally:
                        holders -= 1
            except SinkError:
                pass

        await asyncio.gather(work(Way(*first), 0), work(Way(*second), later))
        return most

    assert run(main()) <= 1


def test_whoever_wrote_too_late_does_not_hold_it_though_its_name_stands_there() -> None:
    """The one it displaced may not know yet: the late one waits for a whole term."""

    async def main() -> bool:
        cell = Memory()
        held = await CellLease(cell, Way(0.01, 1.1)).take(TERM)
        assert cell.data is not None
        return held is not None and held.seconds == pytest.approx(TERM, abs=0.1)

    assert run(main())


def test_a_holder_whose_name_was_written_over_stops() -> None:
    """Renewing reads before it writes: it takes nothing back."""

    async def main() -> None:
        cell = Memory()
        async with leased(CellLease(cell, Way()), "account x"):
            cell.data = b'{"holder":"another","renewal":0}'
            await asyncio.sleep(10_000)

    with pytest.raises(SinkError, match="another run has taken it"):
        run(main())


def test_a_holder_that_is_cut_off_stops_before_another_begins() -> None:
    """It has stopped when the lease can be had again."""

    async def main() -> tuple[float, float]:
        cell, loop, way = Memory(), asyncio.get_running_loop(), Way()
        stopped_at = 0.0

        async def work() -> None:
            nonlocal stopped_at
            try:
                async with leased(CellLease(cell, way), "account x"):
                    await asyncio.sleep(40)
                    way.is_cut = True
                    await asyncio.sleep(10_000)
            finally:
                stopped_at = loop.time()

        working = asyncio.create_task(work())
        await asyncio.sleep(43)
        async with leased(CellLease(cell, Way()), "account x"):
            begun_at = loop.time()
        with pytest.raises(SinkError, match="account x is ours no more"):
            await working
        return stopped_at, begun_at

    stopped_at, begun_at = run(main())

    assert stopped_at < begun_at


@pytest.mark.parametrize("after", [0.0, 0.005, 0.5, 1.5])
def test_whoever_gives_up_before_it_settled_leaves_nothing(after: float) -> None:
    """The next one need not wait for a term."""

    async def main() -> bytes | None:
        cell = Memory()
        task = asyncio.create_task(CellLease(cell, Way(0.01, 0.01)).take(TERM))
        await asyncio.sleep(0.012 + after)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return cell.data

    assert run(main()) is None


def test_one_that_was_not_renewed_for_long_is_left_to_end_by_itself() -> None:
    """A removal that takes its time could reach the next one's."""

    async def main() -> tuple[bytes | None, bytes | None]:
        cells = Memory(), Memory()
        for cell, seconds in zip(cells, (TERM * 0.4, TERM * 0.6), strict=True):
            lease = CellLease(cell, Way())
            await lease.take(TERM)
            await asyncio.sleep(seconds)
            await lease.release()
        return cells[0].data, cells[1].data

    soon, late = run(main())

    assert soon is None
    assert late is not None
