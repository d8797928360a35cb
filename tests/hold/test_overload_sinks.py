"""A sink that is slower than Amazon: requests wait for it, and nothing grows meanwhile.

Of one account, whose sink takes a second for a page, stops for ten minutes now and then, or
is sometimes quick and sometimes not, while Amazon would give ten pages a second.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from fakes import virtual_now
from fates import UNTIL, Amazon, alive
from hold import Often, Record
from memory import grown_by
from memory_sink import MemorySink
from quick_loop import run
from syncing import stored, syncing

from vendororders_async.jobs.backfill import Backfill
from vendororders_async.jobs.reading import Reading
from vendororders_async.simulator import Settings
from vendororders_async.sinks.base import Arrival, Written
from vendororders_async.transport import Answer

WEEKS = 4
MINUTE = 60.0

# What is kept of each order: its hash, 12 to 24 bytes of the summary, more while that grows.
OF_AN_ORDER = 48
# What a quarter of an hour leaves otherwise: the planner keeps the first rows of each part of
# a window, more or fewer of them. Its pages, kept, would be three times that.
ELSE = 600_000
MOST_AHEAD = 25  # requests; so many are under way at 10 a second and the first latency

Pauses = Callable[[int], float]


class SlowSink(MemorySink):
    """Takes as long for its nth page as *pauses* says, one after the other; keeps a count."""

    def __init__(self, pauses: Pauses) -> None:
        super().__init__(now=virtual_now)
        self._pauses, self._writer = pauses, asyncio.Lock()
        self.stored_count = 0
        self.most_tasks = 0
        self.numbers: set[int] = set()  # the hashes of all that was stored

    async def write(self, arrival: Arrival) -> list[Written]:
        """Write, in turn, and forget all but that it was there."""
        self.most_tasks = max(self.most_tasks, len(asyncio.all_tasks()))
        async with self._writer:
            await asyncio.sleep(self._pauses(self.stored_count))
        self.stored_count += 1
        written = await super().write(arrival)
        self.numbers.update(hash(number) for _, _, number in self.documents)
        self.documents.clear()
        return written


def a_second(_count: int) -> float:
    """Take a second for each."""
    return 1.0


def stops(count: int) -> float:
    """Take a tenth of a second, and after each 500 ten minutes."""
    return 600.0 if count % 500 == 499 else 0.1


def varies(count: int) -> float:
    """Be five times as quick as Amazon for a while, and then fifty times as slow."""
    return 0.02 if count // 100 % 2 else 5.0


class Outcome(msgspec.Struct, frozen=True):
    """How a backfill into a slow sink went."""

    complete: bool
    orders: int
    differences: int
    requests: int
    most_ahead: int  # requests that were sent and not stored
    most_tasks: int
    grown: int


def read_into(sink: SlowSink, pages: int) -> Outcome:
    """Read about so many *pages* of one account."""

    async def main() -> Outcome:
        amazon = _Watched(sink, pages)
        since, [account] = UNTIL - timedelta(weeks=WEEKS), alive(1)
        reading = Reading(since=since, until=UNTIL, streams=["created"])
        job = Backfill([account], reading, to=sink, transport=amazon, now=virtual_now)
        running = asyncio.create_task(job.run())
        await asyncio.sleep(2 * MINUTE)
        before = sink.stored_count
        grown = await grown_by(asyncio.sleep(15 * MINUTE))
        grown -= OF_AN_ORDER * 2 * (sink.stored_count - before)
        await running
        numbers = amazon.numbers(since, UNTIL)
        truth = {hash(f"{account.name}.{number}") for number in numbers}
        summary = job.summary()
        return Outcome(
            complete=summary.complete,
            orders=len(truth),
            differences=len(truth ^ sink.numbers),
            requests=summary.requests,
            most_ahead=amazon.most_ahead,
            most_tasks=sink.most_tasks,
            grown=grown,
        )

    return run(main())


class _Watched(Amazon):
    """Knows how far requests are ahead of the sink."""

    def __init__(self, sink: SlowSink, pages: int) -> None:
        super().__init__(page_count=pages // WEEKS, accounts=1)
        self._sink = sink
        self.most_ahead = 0

    async def exchange(self, method: str, *args: Any, **kwargs: Any) -> Answer:
        """Answer, and look how many were sent and are not stored."""
        answer = await super().exchange(method, *args, **kwargs)
        ahead = self.sent.total() - self._sink.stored_count
        self.most_ahead = max(self.most_ahead, ahead)
        return answer


@pytest.mark.parametrize("pauses", [a_second, stops, varies])
def test_a_slow_sink_slows_the_requests(pauses: Pauses, often: Often, figure: Record) -> None:
    """What is sent and not stored, tasks and memory do not depend on how long it lasts."""
    short = read_into(SlowSink(pauses), often(400, 1200))
    long = read_into(SlowSink(pauses), often(1100, 6000))
    figure(
        "Overload",
        "pages into a sink that is slower than Amazon",
        times=short.requests + long.requests,
        orders=short.orders + long.orders,
        lost=short.differences + long.differences,
    )

    assert short.complete
    assert long.complete
    assert short.differences == long.differences == 0
    assert long.most_ahead <= MOST_AHEAD
    assert long.most_tasks <= short.most_tasks + 5
    assert max(short.grown, long.grown) <= ELSE


def test_a_slow_consumer_holds_up_nobody(tmp_path: Path, often: Often, figure: Record) -> None:
    """One who takes ten minutes for what he is handed is far behind; the sink is not."""
    thirds = often(1, 30)

    async def main() -> tuple[int, int, int, int]:
        settings = Settings(orders=0, latency=0.1, arrivals_an_hour=60, late_share=0.0)
        taken: list[int] = []

        async with syncing(tmp_path, settings) as scene:

            async def consume() -> None:
                async for batch in scene.job.changes(consumer="slow"):
                    await asyncio.sleep(10 * MINUTE)
                    taken.append(len(batch))

            consumer = asyncio.create_task(consume())
            await asyncio.sleep(thirds * 20 * MINUTE)
            grown = await grown_by(asyncio.sleep(3 * MINUTE))
            tasks = len(asyncio.all_tasks())
            consumer.cancel()
            await asyncio.wait([consumer])
            known = stored(scene.path, "demo")
            # later ones are on their way
            past = scene.simulator.now() - timedelta(seconds=MINUTE)
            truth = scene.simulator.truth("demo", before=past)
            return len(truth), sum(one not in known for one in truth), tasks, grown

    orders, lost, tasks, grown = run(main())
    figure(
        "Overload",
        "20 minutes of a sync whose changes are taken ten minutes a batch",
        times=thirds,
        orders=orders,
        lost=lost,
    )

    assert orders > 10 * thirds
    assert lost == 0
    assert tasks <= 20
    assert grown < ELSE
