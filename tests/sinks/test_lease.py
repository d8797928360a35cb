"""Leases: one holder at a time, whatever dies, is cut off, or comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest
from virtual_time import run

from vendororders_async.errors import SinkError
from vendororders_async.sinks.lease import Held, leased

TERM = 30.0


class Record:
    """A lease in memory, told by the loop's clock."""

    def __init__(self, holder: str, shared: dict[str, tuple[str, float, int]]) -> None:
        self.is_reachable = True
        self._holder = holder
        self._shared = shared

    async def take(self, seconds: float) -> Held | None:
        """Take it, unless another has it."""
        now = asyncio.get_running_loop().time()
        holder, until, renewal = self._shared.get("lease", ("", 0.0, 0))
        if holder not in {"", self._holder} and until > now:
            return Held(until - now, f"{holder} {renewal}")
        self._shared["lease"] = (self._holder, now + seconds, 0)
        return None

    async def renew(self, seconds: float) -> bool:
        """Hold it for longer, unless cut off."""
        if not self.is_reachable:
            raise SinkError("no answer")
        holder, until, renewal = self._shared["lease"]
        now = asyncio.get_running_loop().time()
        if holder != self._holder or until <= now:
            return False
        self._shared["lease"] = (holder, now + seconds, renewal + 1)
        return True

    async def release(self) -> None:
        """Let it go."""
        if self._shared["lease"][0] == self._holder:
            self._shared["lease"] = ("", 0.0, 0)


def test_one_that_is_renewed_is_refused_and_one_that_ended_is_free() -> None:
    """However long the first one goes on, the second is told within seconds."""

    async def main() -> tuple[float, float]:
        shared: dict[str, tuple[str, float, int]] = {}
        loop = asyncio.get_running_loop()
        async with leased(Record("a", shared), "account x"):
            await asyncio.sleep(1_000)
            began_at = loop.time()
            with pytest.raises(SinkError, match="account x is being written by another run"):
                async with leased(Record("b", shared), "account x"):
                    pass
            refused = loop.time() - began_at
        began_at = loop.time()
        async with leased(Record("b", shared), "account x"):
            return refused, loop.time() - began_at

    refused, taken = run(main())

    assert refused < TERM / 2
    assert taken == pytest.approx(0, abs=0.01)


def test_a_dead_holder_is_waited_for() -> None:
    """What nobody renews is free after its term."""

    async def main() -> float:
        shared: dict[str, tuple[str, float, int]] = {}
        loop = asyncio.get_running_loop()
        began_at = loop.time()
        await Record("dead", shared).take(TERM)
        async with leased(Record("b", shared), "account x"):
            return loop.time() - began_at

    assert TERM <= run(main()) < TERM * 1.2


def test_a_lease_whose_taking_was_cancelled_is_free() -> None:
    """The store has it already, only the answer is on its way: nobody waits for its end."""

    class Slow(Record):
        async def take(self, seconds: float) -> Held | None:
            held = await super().take(seconds)
            await asyncio.sleep(1)
            return held

    async def main() -> float:
        shared: dict[str, tuple[str, float, int]] = {}
        loop = asyncio.get_running_loop()
        with suppress(TimeoutError):
            async with asyncio.timeout(0.5), leased(Slow("a", shared), "account x"):
                raise AssertionError("it was not taken yet")
        began_at = loop.time()
        async with leased(Record("b", shared), "account x"):
            return loop.time() - began_at

    assert run(main()) == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize("later", [0.0, 0.5, 1.5])
def test_a_lease_is_let_go_however_often_its_holder_is_cancelled(later: float) -> None:
    """An impatient hand does not keep the next run waiting for half a minute."""

    class Slow(Record):
        async def release(self) -> None:
            await asyncio.sleep(1)
            await super().release()

    async def main() -> tuple[bool, float]:
        shared: dict[str, tuple[str, float, int]] = {}
        loop = asyncio.get_running_loop()

        async def hold() -> None:
            async with leased(Slow("a", shared), "account x"):
                await asyncio.sleep(1_000)

        holder = asyncio.create_task(hold())
        await asyncio.sleep(10)
        holder.cancel()
        await asyncio.sleep(later)
        holder.cancel()
        await asyncio.wait([holder])
        began_at = loop.time()
        async with leased(Record("b", shared), "account x"):
            return holder.cancelled(), loop.time() - began_at

    was_cancelled, waited = run(main())

    assert was_cancelled
    assert waited == pytest.approx(0, abs=0.01)


def test_a_holder_who_is_cut_off_stops_before_another_begins() -> None:
    """The two never work at the same time, and the first is told why."""

    async def main() -> tuple[float, float]:
        shared: dict[str, tuple[str, float, int]] = {}
        loop = asyncio.get_running_loop()
        first, second = Record("a", shared), Record("b", shared)
        stopped_at = 0.0

        async def work() -> None:
            nonlocal stopped_at
            try:
                async with leased(first, "account x"):
                    await asyncio.sleep(40)
                    first.is_reachable = False
                    await asyncio.sleep(10_000)
            finally:
                stopped_at = loop.time()

        working = asyncio.create_task(work())
        await asyncio.sleep(42)
        async with leased(second, "account x"):
            began_at = loop.time()
        with pytest.raises(SinkError, match="account x is ours no more: it could not be ren"):
            await working
        return stopped_at, began_at

    stopped_at, began_at = run(main())

    assert stopped_at < began_at


def test_a_short_outage_is_outlived() -> None:
    """Renewals that fail for less than the term change nothing."""

    async def main() -> None:
        shared: dict[str, tuple[str, float, int]] = {}
        record = Record("a", shared)
        async with leased(record, "account x"):
            for _ in range(5):
                record.is_reachable = False
                await asyncio.sleep(TERM * 0.5)
                record.is_reachable = True
                await asyncio.sleep(TERM)

    run(main())


def test_a_lease_that_another_has_taken_ends_the_work() -> None:
    """A holder that slept too long learns of it with its next renewal."""

    async def main() -> None:
        shared: dict[str, tuple[str, float, int]] = {}
        async with leased(Record("a", shared), "account x"):
            shared["lease"] = ("b", 1e9, 0)
            await asyncio.sleep(1_000)

    with pytest.raises(SinkError, match="another run has taken it"):
        run(main())


def test_an_error_of_the_work_and_a_cancellation_go_through() -> None:
    """Neither is taken for the loss of the lease, and the lease is free at once."""

    async def main() -> None:
        shared: dict[str, tuple[str, float, int]] = {}

        async def work() -> None:
            async with leased(Record("a", shared), "account x"):
                await asyncio.sleep(1_000)

        task = asyncio.create_task(work())
        await asyncio.sleep(1)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        assert task.cancelled()
        assert shared["lease"][0] == ""
        with pytest.raises(ZeroDivisionError):
            async with leased(Record("b", shared), "account x"):
                _ = 1 / 0
        assert shared["lease"][0] == ""

    run(main())


def test_a_loss_is_told_whatever_the_block_makes_of_it() -> None:
    """An error at its end, alone or in a group, hides nothing, and no cancellation stays."""

    async def fail() -> None:
        try:
            await asyncio.sleep(1_000)
        finally:
            raise SinkError("a last page was refused")

    async def fail_in_a_group() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(fail())
            await asyncio.sleep(1_000)

    async def main(work: Callable[[], Awaitable[None]]) -> int:
        shared: dict[str, tuple[str, float, int]] = {}

        async def lose() -> None:
            async with leased(Record("a", shared), "account x"):
                shared["lease"] = ("b", 1e9, 0)
                await work()

        with pytest.raises(SinkError, match="account x is ours no more: another run has taken"):
            await lose()
        await asyncio.sleep(0)
        task = asyncio.current_task()
        return task.cancelling() if task else -1

    assert [run(main(fail)), run(main(fail_in_a_group))] == [0, 0]


def test_a_block_that_ends_as_its_lease_is_lost_has_ended() -> None:
    """Nothing is cancelled any more: a task that was would end without a word."""

    async def main() -> str:
        losing = asyncio.Event()

        class Losing(Record):
            async def renew(self, _: float) -> bool:
                losing.set()
                return False

        async with leased(Losing("a", {}), "account x"):
            await losing.wait()
        await asyncio.sleep(0)
        return "ended"

    assert run(main()) == "ended"


def test_nobody_waits_to_let_go_of_what_cannot_be_reached() -> None:
    """The lease ends by itself; the work ends now."""

    class Stuck(Record):
        async def release(self) -> None:
            await asyncio.sleep(1_000)

    async def main() -> float:
        async with leased(Stuck("a", {}), "account x"):
            began_at = asyncio.get_running_loop().time()
        return asyncio.get_running_loop().time() - began_at

    assert run(main()) < TERM
