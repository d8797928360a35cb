"""The ledger: windows merge as they are read again, and streams say how they are doing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from vendororders_async.clock import format_stored
from vendororders_async.models.retail_procurement import Order
from vendororders_async.pages import decode_document
from vendororders_async.sinks.base import Arrival, Ledger
from vendororders_async.sinks.sqlite import SqliteSink
from vendororders_async.windows import FinishedWindow, Window

Select = Callable[..., list[tuple[Any, ...]]]

LEDGER = Ledger("acme-us", "retail", "created", "amazon")
JANUARY = datetime(2026, 1, 1, tzinfo=UTC)
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def window(after: int, before: int, *, begun: int = 0) -> FinishedWindow:
    """Return the window between two days of January, begun some hours past noon."""
    return FinishedWindow(
        Window(JANUARY + after * DAY, JANUARY + before * DAY), NOON + timedelta(hours=begun)
    )


async def test_a_finished_window_is_remembered(sink: SqliteSink, path: Path) -> None:
    """It comes back to the microsecond, from a sink opened later too."""
    finished = FinishedWindow(
        Window(JANUARY, JANUARY + DAY), NOON + timedelta(microseconds=123456)
    )
    await sink.finish(LEDGER, finished)
    async with SqliteSink(path) as reopened:
        again = await reopened.windows(LEDGER)

    assert again == await sink.windows(LEDGER) == [finished]


async def test_ledgers_do_not_share_windows(sink: SqliteSink) -> None:
    """Another account, API, stream or source has windows of its own."""
    await sink.finish(LEDGER, window(0, 1))
    others = [
        Ledger("acme-eu", "retail", "created", "amazon"),
        Ledger("acme-us", "direct_fulfillment", "created", "amazon"),
        Ledger("acme-us", "retail", "changed", "amazon"),
        Ledger("acme-us", "retail", "created", "simulator"),
    ]

    assert [await sink.windows(other) for other in others] == [[]] * 4


async def test_a_wider_window_takes_the_place_of_earlier_ones(sink: SqliteSink) -> None:
    """What lies wholly within it goes, what only touches it stays, in other ledgers too."""
    other = Ledger("acme-us", "retail", "changed", "amazon")
    earlier = [window(0, 2), window(2, 4), window(4, 6), window(6, 8)]
    for finished in earlier:
        await sink.finish(LEDGER, finished)
        await sink.finish(other, finished)
    wide = window(1, 6, begun=1)

    await sink.finish(LEDGER, wide)

    assert sorted(await sink.windows(LEDGER), key=lambda one: one.window) == [
        earlier[0],
        wide,
        earlier[3],
    ]
    assert len(await sink.windows(other)) == 4


async def test_a_later_reading_is_kept(sink: SqliteSink) -> None:
    """A window that was begun later is not forgotten for one begun earlier."""
    later, earlier = window(1, 2, begun=5), window(0, 3, begun=1)

    await sink.finish(LEDGER, later)
    await sink.finish(LEDGER, earlier)
    for covered in (window(1, 2, begun=3), window(0, 1, begun=1), window(2, 3)):
        await sink.finish(LEDGER, covered)

    assert sorted(await sink.windows(LEDGER), key=lambda one: one.window) == [earlier, later]


async def test_reading_again_does_not_make_the_ledger_grow(sink: SqliteSink) -> None:
    """The same window, read a hundred times, is one row, begun at the last of them."""
    for begun in range(100):
        await sink.finish(LEDGER, window(0, 7, begun=begun))

    assert await sink.windows(LEDGER) == [window(0, 7, begun=99)]


async def test_success_is_remembered(sink: SqliteSink) -> None:
    """A page that changed nothing counts too, and the latest of all streams is the answer."""
    statuses = Ledger("acme-us", "retail", "statuses", "amazon")
    before = await sink.last_success_at("acme-us")
    page = [decode_document(b'{"purchaseOrderNumber": "A1"}', Order)]
    for ledger in (LEDGER, statuses, LEDGER):
        await sink.write(Arrival(ledger, window(0, 1).window, NOON, page))

    assert before is None
    assert await sink.last_success_at("acme-us") == NOON + timedelta(seconds=2)
    assert await sink.last_success_at("acme-eu") is None


async def test_how_a_run_ended_stands_until_the_next_one(
    sink: SqliteSink, select: Select
) -> None:
    """It is kept in one line, whatever is written meanwhile, and touches nothing else."""
    ends = []
    await sink.finish(LEDGER, window(0, 1))
    await sink.ended(LEDGER, covered_until=NOON, error="refused\nfor  good")
    before = select("SELECT last_success_at FROM account_streams")
    ends += select("SELECT covered_until, last_error FROM account_streams")
    await sink.finish(LEDGER, window(1, 2))
    ends += select("SELECT covered_until, last_error FROM account_streams")
    await sink.ended(LEDGER, covered_until=None, error=None)
    ends += select("SELECT covered_until, last_error FROM account_streams")

    assert before != [(None,)]
    assert ends == [(format_stored(NOON), "refused for good")] * 2 + [(None, None)]


async def test_a_stream_that_only_failed_is_there(sink: SqliteSink, select: Select) -> None:
    """An account that never worked is seen in the table."""
    await sink.ended(LEDGER, covered_until=None, error="refused")

    assert select("SELECT stream, covered_until, last_success_at FROM account_streams") == [
        ("created", None, None)
    ]
