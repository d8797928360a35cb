"""A thousand accounts, a tenth of them dead, and a sink that all of them wait for."""

from __future__ import annotations

import asyncio

import pytest
from fakes import virtual_now
from fates import DEATHS, alive, backfill, dead
from hold import Often, Record
from memory_sink import MemorySink
from quick_loop import run

from vendororders_async.sinks.base import Arrival, Written

TASKS = 45  # of an account at the most: its requests in flight, and who looks after them
SLOWER = 1.1  # times as long with the dead as without
BEGINNING = 2.0  # seconds, until it is known who is dead
SPREAD = 0.75  # of the time of the last, at the least, is that of the first


class CountingSink(MemorySink):
    """Takes *seconds* for a page, one after the other; counts who waits, and all tasks."""

    def __init__(self, seconds: float = 0.0) -> None:
        super().__init__(now=virtual_now)
        self._seconds, self._writer = seconds, asyncio.Lock()
        self.waiting = self.most_waiting = self.most_tasks = self._count = 0

    async def write(self, arrival: Arrival) -> list[Written]:
        """Write, in turn."""
        self._count += 1
        if self._count % 100 == 1:  # it looks at each of them
            self.most_tasks = max(self.most_tasks, len(asyncio.all_tasks()))
        self.waiting += 1
        self.most_waiting = max(self.most_waiting, self.waiting)
        if self._seconds:
            async with self._writer:
                await asyncio.sleep(self._seconds)
        self.waiting -= 1
        return await super().write(arrival)


def test_a_tenth_is_dead(
    often: Often, figure: Record, caplog: pytest.LogCaptureFixture
) -> None:
    """The living are as fast as without the dead, whole, and the dead are named."""
    caplog.set_level("CRITICAL")
    count, places, pages = often(100, 1000), often(400, 2000), often(4, 8)
    sink = CountingSink()
    living = alive(count - count // 10)
    alone = backfill(living, page_count=pages, limit=places, run=run)
    mixed = backfill(
        [*dead(count // 10), *living],
        sink=lambda: sink,
        page_count=pages,
        limit=places,
        run=run,
    )
    accounts = mixed.summary.accounts
    torn = [one for one in living if not accounts[one.name].complete]
    nameless = [n for n in range(count // 10) if not accounts[f"dead-{n}"].error]
    figure(
        "Overload",
        "accounts in one backfill, a tenth of them dead in ten ways",
        times=count,
        orders=len(mixed.truth),
        lost=mixed.differences() + len(torn) + len(nameless),
    )

    assert mixed.differences() == 0
    assert torn == []
    assert nameless == []
    assert count // 10 >= len(DEATHS)
    assert mixed.mean <= alone.mean * SLOWER + BEGINNING
    assert mixed.slowest <= alone.slowest * SLOWER + BEGINNING
    assert sink.most_tasks <= TASKS * count
    assert mixed.amazon.most_under_way <= places


def test_a_slow_sink_is_shared_fairly(often: Often, figure: Record) -> None:
    """All wait for one slow sink, bounded by their places, and end at about the same time."""
    sink = CountingSink(0.1)
    accounts = alive(often(20, 200))
    result = backfill(accounts, sink=lambda: sink, page_count=4, limit=10, run=run)
    figure(
        "Overload",
        "accounts that wait for one sink, ten pages a second",
        times=len(accounts),
        orders=len(result.truth),
        lost=result.differences(),
    )

    assert result.differences() == 0
    assert result.summary.complete
    assert sink.most_waiting <= 10
    assert min(result.seconds.values()) >= SPREAD * result.slowest
