"""Many accounts in one process, some of them dead: nobody is slowed, and nothing grows.

On virtual time, over a transport that answers by itself.
"""

from __future__ import annotations

import asyncio
from functools import cache

import pytest
from fakes import virtual_now
from fates import DEATHS, Run, alive, backfill, dead
from memory_sink import MemorySink

from vendororders_async.sinks.base import Arrival, Written


@cache  # for both tests of it: the dead are tried for a quarter of an hour
def a_quarter_is_dead() -> Run:
    """Return a backfill of 24 accounts, six of which are dead, each in its own way."""
    return backfill([*dead(len(DEATHS)), *alive(18)], page_count=8)


def test_the_dead_slow_nobody() -> None:
    """Of 24 accounts a quarter is dead, each in its own way: the rest is as fast as alone."""
    alone = backfill(alive(1), page_count=8)
    result = a_quarter_is_dead()

    assert result.slowest <= alone.slowest * 1.05
    assert {result.order_count(f"well-{number}") for number in range(18)} == {
        alone.order_count("well-0")
    }
    assert alone.order_count("well-0") >= 50


def test_the_dead_are_named() -> None:
    """The summary says of each account whether it is whole, and of the dead what happened."""
    result = a_quarter_is_dead()
    errors = [result.summary.accounts[f"dead-{number}"].error or "" for number in range(6)]

    assert not result.summary.complete
    assert all(result.summary.accounts[f"well-{number}"].complete for number in range(18))
    assert "refuses account dead-0" in errors[0]
    assert "no answer in time" in errors[1]
    assert "no connection" in errors[2]
    assert "no answer in time" in errors[3]
    assert "429" in errors[4]
    assert "500" in errors[5]


@pytest.mark.parametrize("death", DEATHS[2:5])
def test_few_places_are_not_filled_with_the_dead(death: str) -> None:
    """With 8 requests in flight for 20 accounts, 2 of them dead, the others get through.

    Until their first deadline the dead may have a place each, later an eighth of them all;
    first come, first served would make it eight times as long.
    """
    healthy = backfill(alive(18), page_count=8, limit=8)
    result = backfill([*dead(2, [death]), *alive(18)], page_count=8, limit=8)

    assert result.amazon.most_under_way <= 8
    assert result.slowest <= healthy.slowest * 1.4


@pytest.mark.parametrize("death", DEATHS[2:])
def test_a_dead_account_ends_a_job_of_many_windows_soon(death: str) -> None:
    """It waits for Amazon once, a quarter of an hour, and not again for every window."""
    result = backfill(dead(1, [death]), days=140)

    assert not result.summary.complete
    assert result.elapsed < 3600


def test_nobody_starves() -> None:
    """With fewer places than accounts they take turns, and come to their ends together."""
    result = backfill(alive(20), page_count=4, limit=8)

    assert result.summary.complete
    assert min(result.seconds.values()) >= 0.75 * result.slowest


def test_logins_are_no_storm() -> None:
    """However many accounts begin at once, so many of them log in at a time."""
    result = backfill(alive(150))

    assert result.summary.complete
    assert result.amazon.most_logins <= 100


class SlowSink(MemorySink):
    """Takes a fifth of a second for a page, one after the other, and counts who waits."""

    def __init__(self) -> None:
        super().__init__(now=virtual_now)
        self._writer = asyncio.Lock()
        self.waiting = 0
        self.most_waiting = 0
        self.page_count = 0

    async def write(self, arrival: Arrival) -> list[Written]:
        """Write, in turn."""
        self.page_count += 1
        self.waiting += 1
        self.most_waiting = max(self.most_waiting, self.waiting)
        async with self._writer:
            await asyncio.sleep(0.2)
        self.waiting -= 1
        return await super().write(arrival)


@pytest.mark.parametrize("days", [28, 140])
def test_a_slow_sink_holds_back_the_requests(days: int) -> None:
    """What waits for the writer is bounded by concurrency, however long the history is."""
    sink = SlowSink()
    result = backfill(alive(20), sink=lambda: sink, days=days, limit=10)

    assert result.summary.complete
    assert sink.page_count >= 20 * 3 * days // 7
    assert sink.most_waiting <= 10
    assert result.slowest == pytest.approx(0.2 * sink.page_count, rel=0.05)
