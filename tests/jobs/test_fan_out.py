"""Fan-out: numbers from the lists, details one by one, and nothing asked or lost twice."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import pytest
import virtual_time
from memory_sink import MemorySink
from simulated import NOW, QUICK, SINCE, UNTIL, accounts_of, now, simulation

from vendororders_async.accounts import Account
from vendororders_async.clock import whole_second
from vendororders_async.errors import SinkError
from vendororders_async.jobs.backfill import Backfill
from vendororders_async.jobs.reading import Reading
from vendororders_async.jobs.summary import Summary
from vendororders_async.simulator import BAD_ORDER_KINDS, Call, Settings, Simulator
from vendororders_async.sinks.base import Ledger
from vendororders_async.sinks.sqlite import SqliteSink
from vendororders_async.telemetry import DetailMissing, Event, PageListed, WindowFailed
from vendororders_async.windows import FinishedWindow, Window

ORDER = "getPurchaseOrder"
LIST = "getPurchaseOrders"
FEW = msgspec.structs.replace(QUICK, orders=300, keep_arrivals=True)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


def ticking(start: datetime = NOW) -> Callable[[], datetime]:
    """Return a clock that moves on by a millisecond each time it is asked."""
    ticks = count()
    return lambda: start + next(ticks) * timedelta(milliseconds=1)


async def read(
    accounts: list[Account],
    sink: MemorySink | SqliteSink,
    now: Callable[[], datetime] = now,
    **options: Any,
) -> Summary:
    """Run a fan-out of the usual range."""
    observer = options.pop("observer", None)
    given: Any = {"since": SINCE, "until": UNTIL, "details": "fan-out"} | options
    job = Backfill(accounts, Reading(**given), to=sink, observer=observer, now=now)
    await job.run()
    return job.summary()


def lost(simulator: Simulator, sink: MemorySink) -> set[str]:
    """Return the orders of the usual range that the sink has not, or not as they are."""
    return {
        number
        for number, document in simulator.truth("demo", after=SINCE, before=UNTIL).items()
        if sink.documents.get(("demo", "order", number)) != document
    }


def claimed_and_lost(simulator: Simulator, sink: MemorySink) -> set[str]:
    """Return the orders in windows that the ledger claims, whose details the sink has not."""
    return {
        number
        for ledger, windows in sink.finished.items()
        if ledger.stream == "created"
        for finished in windows
        for number in simulator.truth(
            "demo", after=finished.window.after, before=finished.window.before
        )
        if ("demo", number) not in sink.asked_at
    }


def asked(simulator: Simulator) -> Counter[str]:
    """Return how often each order was asked for, and answered."""
    return Counter(
        arrival.subject
        for arrival in simulator.traffic.arrivals
        if arrival.operation == ORDER and arrival.status == 200
    )


def unfinished(simulator: Simulator, sink: MemorySink) -> set[str]:
    """Return the orders that are stored for windows which are only begun."""
    return {
        number
        for _, number in sink.asked_at
        if any(
            window.after <= simulator.available_at("demo", number) < window.before
            for _, window in sink.begun
        )
    }


async def test_every_order_arrives_whole_and_is_asked_for_once() -> None:
    """Numbers of two streams and of overlapping windows bring each order exactly once."""
    sink = MemorySink()
    async with simulation(FEW) as (simulator, accounts):
        summary = await read(accounts, sink)

    listed = [one for one in simulator.traffic.arrivals if one.operation == LIST]
    assert summary.complete
    assert lost(simulator, sink) == set()
    assert claimed_and_lost(simulator, sink) == set()
    assert set(asked(simulator).values()) == {1}
    assert asked(simulator).total() == summary.orders == summary.new
    assert all("includeDetails=false" in one.raw_query for one in listed)
    assert {ledger.stream for ledger in sink.finished} == {"created", "changed", "statuses"}
    assert summary.ideal_seconds > 0


async def test_it_brings_what_inline_brings() -> None:
    """Two ways of asking, one result, byte for byte."""
    apart, together = MemorySink(), MemorySink()
    async with simulation(FEW) as (_simulator, accounts):
        await read(accounts, apart)
        await read(accounts, together, details="inline")

    assert apart.documents == together.documents
    assert {
        ledger: {one.window for one in windows} for ledger, windows in apart.finished.items()
    } == {
        ledger: {one.window for one in windows} for ledger, windows in together.finished.items()
    }


async def test_a_second_run_asks_nothing_again() -> None:
    """Windows that a fan-out finished are finished for every later run."""
    sink = MemorySink()
    async with simulation(FEW) as (simulator, accounts):
        await read(accounts, sink)
        simulator.traffic.clear()
        summary = await read(accounts, sink)

    assert simulator.traffic.count() == 0
    assert summary.complete


@pytest.mark.parametrize("step", [1, 3, 8, 21, 55, 144, 377, 610, 987, 1597, 2584])
async def test_a_run_cancelled_anywhere_goes_on_with_what_is_missing(step: int) -> None:
    """Nothing false is claimed, and what was stored is not asked for again."""
    clock = ticking()
    sink = MemorySink(now=clock)
    async with simulation(FEW) as (simulator, accounts):
        task = asyncio.create_task(read(accounts, sink, clock))
        for _ in range(step):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        held = {number for _, number in sink.asked_at}
        claims = claimed_and_lost(simulator, sink)
        simulator.traffic.clear()
        summary = await read(accounts, sink, clock)

    assert claims == set()
    assert summary.complete
    assert lost(simulator, sink) == set()
    assert asked(simulator).keys() & held == set()
    assert set(asked(simulator).values()) <= {1}


async def test_a_resumed_run_asks_again_for_what_may_have_changed_since() -> None:
    """A window that ends later than an order was asked for does not take that for fresh."""
    clock = ticking(UNTIL + timedelta(minutes=3))
    sink = MemorySink(now=clock)
    later = ticking(UNTIL + timedelta(hours=5))
    shift = [timedelta()]  # what time it is at Amazon, which its answers tell
    simulator = Simulator(FEW, now=lambda: UNTIL + timedelta(minutes=3) + shift[0])
    async with simulator.serve() as served:
        accounts = list(accounts_of(served))
        task = asyncio.create_task(read(accounts, sink, clock))
        while len(sink.asked_at) < 20:  # noqa: ASYNC110 - a counter
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        number = next(
            one for (_, one) in sink.asked_at if simulator.available_at("demo", one) < UNTIL
        )
        simulator.change_order("demo", number, at=UNTIL + timedelta(hours=1))
        shift[0] = timedelta(hours=5)
        await read(accounts, sink, later, until=UNTIL + timedelta(hours=2))

    assert sink.documents["demo", "order", number] == simulator.truth("demo")[number]


async def test_a_day_later_it_begins_anew() -> None:
    """Details older than that are asked for again: orders change."""
    clock = ticking()
    sink = MemorySink(now=clock)
    async with simulation(FEW) as (simulator, accounts):
        task = asyncio.create_task(read(accounts, sink, clock, streams=["created"]))
        while not (stored := unfinished(simulator, sink)):  # noqa: ASYNC110 - a set that fills
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        simulator.traffic.clear()
        sink.now = ticking(NOW + 2 * DAY)
        await read(accounts, sink, sink.now, streams=["created"])

    assert stored <= asked(simulator).keys()


async def test_sqlite_keeps_a_fan_out_and_resumes_it(tmp_path: Path) -> None:
    """The same through a file: what was stored before the cut is not asked for again."""
    path = tmp_path / "orders.db"
    clock = ticking()
    async with simulation(FEW) as (simulator, accounts):
        async with SqliteSink(path, now=clock) as sink:
            task = asyncio.create_task(read(accounts, sink, clock))
            while simulator.traffic.count(operation=ORDER) < 40:  # noqa: ASYNC110 - a counter
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
        with closing(sqlite3.connect(path)) as database:
            held = {
                one
                for (one,) in database.execute(
                    "SELECT purchase_order_number FROM purchase_orders WHERE has_details"
                )
            }
        simulator.traffic.clear()
        async with SqliteSink(path, now=clock) as sink:
            summary = await read(accounts, sink, clock)

    with closing(sqlite3.connect(path)) as database:
        stored = {
            number: text.encode()
            for number, text in database.execute(
                "SELECT purchase_order_number, document FROM purchase_orders"
            )
        }
        begun = database.execute("SELECT * FROM begun_windows").fetchall()
    assert held
    assert summary.complete
    assert asked(simulator).keys() & held == set()
    assert simulator.truth("demo", after=SINCE, before=UNTIL).items() <= stored.items()
    assert begun == []


async def test_sqlite_takes_note_that_an_unchanged_order_was_asked_for_again(
    tmp_path: Path,
) -> None:
    """Reread days later, cut and resumed, it is fresh, and nothing else of it has moved."""
    path = tmp_path / "orders.db"
    row = "SELECT * FROM purchase_orders ORDER BY purchase_order_number"

    def rows() -> list[dict[str, Any]]:
        with closing(sqlite3.connect(path)) as database:
            database.row_factory = sqlite3.Row
            return [dict(one) for one in database.execute(row)]

    async with simulation(FEW) as (_simulator, accounts):
        for day in (0, 1):
            clock = ticking(NOW + day * DAY)
            async with SqliteSink(path, now=clock) as sink:
                await read(accounts, sink, clock, reread=40 * DAY)
            if day == 0:
                before = rows()
    moved = [
        (one, two)
        for one, two in zip(before, rows(), strict=True)
        if one["asked_at"] != two["asked_at"]
    ]

    assert moved
    assert all(one | {"asked_at": two["asked_at"]} == two for one, two in moved)
    assert all(two["asked_at"] > one["asked_at"] for one, two in moved)


async def test_an_order_that_is_listed_and_not_found_is_named_and_kept_as_listed() -> None:
    """Asking again would not help, so its window is finished; number and state are kept."""
    sink = MemorySink()
    events: list[Event] = []
    async with simulation(FEW) as (simulator, accounts):
        gone, document = sorted(simulator.truth("demo", after=SINCE, before=UNTIL).items())[7]
        listed_in = simulator.available_at("demo", gone)

        def hide(event: Event) -> None:
            events.append(event)
            if isinstance(event, PageListed) and (
                event.window.after <= listed_in < event.window.before
            ):
                order = msgspec.json.decode(document)
                simulator.put_order("demo", order, available_at=NOW + DAY)

        summary = await read(accounts, sink, streams=["created"], observer=hide)

    missing = [event for event in events if isinstance(event, DetailMissing)]
    assert [event.purchase_order_number for event in missing] == [gone]
    assert summary.missing_details == 1
    assert summary.complete
    assert msgspec.json.decode(sink.documents["demo", "order", gone]).keys() == {
        "purchaseOrderNumber",
        "purchaseOrderState",
    }
    assert lost(simulator, sink) == set()


@pytest.mark.parametrize("kind", BAD_ORDER_KINDS)
async def test_an_order_that_does_not_decode_goes_to_quarantine(kind: str) -> None:
    """It is kept whole, its windows are finished, and the run is incomplete."""
    sink = MemorySink()
    async with simulation(FEW) as (simulator, accounts):
        bad = sorted(simulator.truth("demo", after=SINCE, before=UNTIL))[7]
        simulator.inject(ORDER, kind, times=100, when=lambda call: call.subject == bad)
        summary = await read(accounts, sink)
        simulator.traffic.clear()
        again = await read(accounts, sink)

    held = [one.document for one in sink.held.values()]
    assert len(held) == 1
    assert held[0].startswith(b"{")
    assert b'"payload"' not in held[0]
    assert lost(simulator, sink) == {bad}
    assert (summary.quarantined, summary.complete) == (1, False)
    assert (again.quarantined, again.requests) == (0, 0)


async def test_details_that_fail_for_good_fail_their_windows_only() -> None:
    """Whoever waited for it is named and left open; the next run asks for what is missing."""
    sink = MemorySink()
    events: list[Event] = []
    async with simulation(FEW) as (simulator, accounts):
        bad = sorted(simulator.truth("demo", after=SINCE, before=UNTIL))[7]
        fault = simulator.inject(
            ORDER, "html-400", times=1_000, when=lambda call: call.subject == bad
        )
        summary = await read(accounts, sink, observer=events.append)
        fault.cancel()
        simulator.traffic.clear()
        again = await read(accounts, sink)

    failed = [event for event in events if isinstance(event, WindowFailed)]
    assert 1 <= len(failed) <= 4
    assert all(bad in event.reason for event in failed)
    assert not summary.complete
    assert again.complete
    assert asked(simulator) == {bad: 1}
    assert lost(simulator, sink) == set()


async def test_a_role_that_is_missing_for_details_fails_the_account_at_once() -> None:
    """A 403 that stays is not asked of every order, and the line says what to do."""
    sink = MemorySink()
    async with simulation(FEW) as (simulator, accounts):
        simulator.inject(ORDER, "403", times=10_000)
        summary = await read(accounts, sink, streams=["created"])

    assert simulator.traffic.count(status=403) < 100
    assert "Inventory and Order Tracking" in (summary.accounts["demo"].error or "")
    assert not sink.finished


def test_both_buckets_are_busy_and_draw_no_429() -> None:
    """Details go at the plan's pace while the lists run on, each from its own bucket."""

    async def main() -> None:
        sink = MemorySink()
        settings = Settings(orders=1_200, days=120, latency=(0.1, 0.4), keep_arrivals=True)
        async with simulation(settings) as (simulator, accounts):
            summary = await read(accounts, sink, streams=["created", "changed"])

        detail_count = asked(simulator).total()
        lists = [one.at for one in simulator.traffic.arrivals if one.operation == LIST]
        details = [one.at for one in simulator.traffic.arrivals if one.operation == ORDER]
        assert simulator.traffic.throttled() == 0
        assert summary.complete
        assert detail_count == summary.orders > 500
        assert details[0] < lists[-1]
        assert summary.ideal_seconds == (detail_count - 10) / 10
        assert summary.seconds < 1.05 * summary.ideal_seconds + 2

    virtual_time.run(main())


def test_every_order_arrives_through_a_storm_of_faults() -> None:
    """Retries, restarts and pauses end with all of it, and nothing given up."""

    async def main() -> None:
        sink = MemorySink()
        faults = dict.fromkeys(
            ["429", "500", "503", "html", "reset", "reset-body", "truncated", "empty"], 0.03
        )
        settings = Settings(
            orders=300, days=120, faults=faults | {"spurious-400": 0.05}, empty_pages=0.3
        )
        async with simulation(settings) as (simulator, accounts):
            summary = await read(accounts, sink)

        assert lost(simulator, sink) == set()
        assert claimed_and_lost(simulator, sink) == set()
        assert summary.complete
        assert summary.retries > 0

    virtual_time.run(main())


def test_expired_next_tokens_do_not_ask_for_an_order_twice() -> None:
    """A window that starts again waits for what it waits for, and asks for the rest."""

    async def main() -> None:
        sink = MemorySink()
        settings = Settings(
            orders=3_000, days=60, next_token_seconds=5.0, keep_arrivals=True, rate=50
        )
        async with simulation(settings) as (simulator, accounts):
            chosen: list[str] = []

            def first_window(call: Call) -> bool:
                if "nextToken" in call.query:
                    chosen.append(call.query["createdAfter"])
                return "nextToken" in call.query and call.query["createdAfter"] == chosen[0]

            simulator.inject(LIST, "503", times=5, when=first_window)
            summary = await read(accounts, sink, since=UNTIL - 10 * DAY, streams=["created"])

        assert summary.complete
        assert simulator.traffic.count(status=400) > 0
        assert set(asked(simulator).values()) == {1}

    virtual_time.run(main())


@pytest.mark.parametrize("method", ["begin", "fresh", "write", "finish"])
async def test_a_sink_that_fails_stops_its_account_and_claims_nothing(method: str) -> None:
    """A full disk is one line; what was written before it stays and is resumed from."""
    countdown = iter(range(4))

    def fail(name: str) -> None:
        if name == method and next(countdown, None) == 3:
            raise SinkError("the disk is full")

    sink = MemorySink(fail)
    async with simulation(FEW) as (simulator, accounts):
        summary = await read(accounts, sink)
        claims = claimed_and_lost(simulator, sink)
        again = await read(accounts, sink)

    assert "the disk is full" in (summary.accounts["demo"].error or "")
    assert claims == set()
    assert again.complete
    assert lost(simulator, sink) == set()


async def test_sqlite_remembers_since_when_a_window_is_read(tmp_path: Path) -> None:
    """Cut otherwise by a later run too, for a day, and not after it is finished."""
    times = iter([NOW + hour * HOUR for hour in (0, 1, 2, 3, 3, 4, 40)])
    ledger = Ledger("demo", "retail", "created", "amazon")
    whole, left, right = (
        Window(whole_second(SINCE) + after * DAY, whole_second(SINCE) + before * DAY)
        for after, before in ((0, 6), (-2, 4), (4, 9))
    )
    async with SqliteSink(tmp_path / "orders.db", now=lambda: next(times)) as sink:
        begun = [await sink.begin(ledger, whole), await sink.begin(ledger, left)]
        begun.append(await sink.begin(ledger, right))
        await sink.finish(ledger, FinishedWindow(left, NOW))
        begun += [await sink.begin(ledger, left), await sink.begin(ledger, right)]
        begun.append(await sink.begin(ledger, right))

    assert begun == [NOW, NOW, NOW, NOW + 3 * HOUR, NOW, NOW + 40 * HOUR]


@pytest.mark.parametrize("kind", BAD_ORDER_KINDS)
async def test_a_list_with_a_row_that_cannot_be_read_is_asked_for_again(kind: str) -> None:
    """Nobody knows which order it names, so what it came with is not taken either."""
    sink = MemorySink()
    async with simulation(FEW) as (simulator, accounts):
        injection = simulator.inject(LIST, kind, times=2)
        summary = await read(accounts, sink)

    assert injection.fired == 2
    assert summary.complete
    assert not sink.held
    assert lost(simulator, sink) == set()


async def test_a_row_that_is_never_readable_leaves_its_window_open() -> None:
    """The error says what it is, and a later run brings what it hid."""
    sink = MemorySink()
    async with simulation(FEW) as (simulator, accounts):
        injection = simulator.inject(LIST, "bad-order:missing-number", times=1_000_000)
        summary = await read(accounts, sink)
        claimed = claimed_and_lost(simulator, sink)
        injection.cancel()
        later = await read(accounts, sink)

    assert not summary.complete
    assert "row that cannot be read" in (summary.accounts["demo"].error or "")
    assert claimed == set()
    assert later.complete
    assert lost(simulator, sink) == set()
