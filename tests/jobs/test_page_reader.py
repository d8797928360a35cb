"""Pages that Amazon cannot make: smaller ones, then order by order, and never by mistake."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import msgspec
import pytest
import virtual_time
from fakes import EPOCH, FakeGate, FakeTokens, FakeTransport, OneGate, an_account
from memory_sink import MemorySink
from simulated import QUICK, SINCE, UNTIL, now, simulation

from vendororders_async.chains import PageRequest, Progress, Sighting, Span
from vendororders_async.dispatch import Dispatcher
from vendororders_async.jobs.backfill import Backfill
from vendororders_async.jobs.desk import Desk, Pace
from vendororders_async.jobs.page_reader import PageReader
from vendororders_async.jobs.reading import Reading
from vendororders_async.jobs.summary import Summary, Tally
from vendororders_async.operations import CREATED, RETAIL
from vendororders_async.planner import Planner
from vendororders_async.simulator import Call, Settings, Simulator
from vendororders_async.telemetry import (
    DetailStored,
    Event,
    WindowFailed,
    WindowFinished,
    WindowRestarted,
    WindowSplit,
)
from vendororders_async.transport import Answer
from vendororders_async.windows import Window

E = TypeVar("E")

FOR_EVER = 100_000  # times
LIST = "getPurchaseOrders"
MANY = msgspec.structs.replace(QUICK, orders=3_000, days=100)


async def read(
    change: Callable[[Simulator], None], *, settings: Settings = MANY, stream: str = "created"
) -> tuple[Summary, list[Event], set[str]]:
    """Run a backfill against a simulator after *change*; return what it lost as well."""
    sink, events = MemorySink(), list[Event]()
    reading = Reading(since=SINCE, until=UNTIL, streams=[stream])
    async with simulation(settings) as (simulator, accounts):
        change(simulator)
        job = Backfill(accounts, reading, to=sink, observer=events.append, now=now)
        await job.run()
        truth = simulator.truth("demo", after=SINCE, before=UNTIL)
    stored = {number for _, kind, number in sink.documents if kind == "order"}
    return job.summary(), events, truth.keys() - stored


def restarts(events: list[Event], reason: str) -> list[Window]:
    """Return the windows that were begun again for *reason*."""
    return [
        one.window
        for one in events
        if isinstance(one, WindowRestarted) and reason in one.reason
    ]


def in_one_window(larger_than: int) -> Callable[[Call], bool]:
    """Pick pages with more than *larger_than* orders and their details, of one window."""
    chosen: list[str] = []

    def when(call: Call) -> bool:
        if call.query.get("includeDetails") == "false" or "createdAfter" not in call.query:
            return False
        chosen.append(call.query["createdAfter"])
        is_chosen = call.query["createdAfter"] == chosen[0]
        return is_chosen and int(call.query.get("limit", "100")) > larger_than

    return when


@pytest.mark.parametrize("kind", ["500", "503", "html", "truncated", "reset-body", "hang"])
def test_a_page_that_cannot_be_made_is_read_in_smaller_ones(kind: str) -> None:
    """One window's pages of a hundred fail for ever; ten at a time, nothing is lost."""

    async def main() -> None:
        summary, events, lost = await read(
            lambda simulator: _inject(simulator, kind, in_one_window(10))
        )

        assert lost == set()
        assert summary.complete
        assert len(restarts(events, "by smaller pages")) == 1
        assert restarts(events, "order by order") == []

    virtual_time.run(main())


@pytest.mark.parametrize("kind", ["500", "truncated"])
def test_a_window_that_has_no_pages_in_any_size_is_read_order_by_order(kind: str) -> None:
    """Its orders are listed by number, and asked for one by one; the others come in pages."""

    async def main() -> None:
        summary, events, lost = await read(
            lambda simulator: _inject(simulator, kind, in_one_window(0))
        )
        singles = [one.window for one in events if isinstance(one, DetailStored)]
        [window] = restarts(events, "order by order")

        assert lost == set()
        assert summary.complete
        assert restarts(events, "by smaller pages") == [window]
        assert set(singles) == {window}
        assert sum(one.window == window for one in _of(events, WindowFinished)) == 1

    virtual_time.run(main())


def test_statuses_have_no_smaller_way_than_ten_and_say_so() -> None:
    """There is no operation for the status of one order, so the window is named and left."""

    async def main() -> None:
        def change(simulator: Simulator) -> None:
            chosen: list[str] = []

            def when(call: Call) -> bool:
                chosen.append(call.query["updatedAfter"])
                is_probe = call.query.get("limit") == "1"
                return call.query["updatedAfter"] == chosen[0] and not is_probe

            simulator.inject("getPurchaseOrdersStatus", "500", times=FOR_EVER, when=when)

        summary, events, _ = await read(change, stream="statuses")
        smaller = restarts(events, "by smaller pages")

        assert [one.window for one in _of(events, WindowFailed)] == smaller
        assert len(smaller) == 1
        assert not summary.complete
        assert len(_of(events, WindowFinished)) > 1

    virtual_time.run(main())


@pytest.mark.parametrize("kind", ["500", "503", "html", "reset", "429"])
def test_an_outage_is_waited_for_and_makes_nothing_smaller(kind: str) -> None:
    """For a minute everything fails: that says nothing about any page."""

    async def main() -> None:
        time = asyncio.get_running_loop().time
        began_at = time()
        summary, events, lost = await read(
            lambda simulator: _inject(
                simulator, kind, lambda _call: 0.5 < time() - began_at < 61
            ),
            settings=msgspec.structs.replace(MANY, latency=0.3, rate=10.0, burst=10.0),
        )

        assert summary.seconds > 60
        assert restarts(events, "") == []
        assert lost == set()
        assert summary.complete

    virtual_time.run(main())


def test_a_window_that_is_read_in_parts_says_so() -> None:
    """Whoever watches learns into how many; the parts are the window, and all are read."""

    async def main() -> None:
        settings = msgspec.structs.replace(
            QUICK, orders=6_000, days=75, peak_day=0.8, latency=0.5, rate=10.0, burst=10.0
        )
        summary, events, lost = await read(lambda _simulator: None, settings=settings)
        splits = _of(events, WindowSplit)

        assert splits
        assert all(one.part_count > 1 for one in splits)
        assert restarts(events, "") == []
        assert lost == set()
        assert summary.complete

    virtual_time.run(main())


@pytest.mark.parametrize("kind", ["spurious-400", "html-400"])
def test_who_is_refused_the_oldest_first_is_asked_for_any_order(kind: str) -> None:
    """Amazon refuses ASC to some accounts; a few requests find out, and nothing is lost."""

    async def main() -> None:
        asked: list[str | None] = []

        def when(call: Call) -> bool:
            asked.append(call.query.get("sortOrder"))
            return asked[-1] == "ASC"

        summary, events, lost = await read(lambda simulator: _inject(simulator, kind, when))
        refused = asked.count("ASC")

        assert lost == set()
        assert summary.complete
        assert _of(events, WindowFailed) == []
        assert 0 < refused < 60  # those under way when the first one found out
        assert asked[-1] is None

    virtual_time.run(main())


WINDOW = Window(EPOCH - timedelta(days=9), EPOCH - timedelta(days=8))

SPAN = Span("created", WINDOW)


class DisputingPlanner(Planner):
    """Finds with the first answer that a part has to be read again."""

    def received(self, request: PageRequest, *_given: object, **_named: object) -> Progress:
        """Dispute it."""
        del request
        return Progress(again=(WINDOW,))


class NotingPlanner(Planner):
    """Notes what it is shown."""

    shown: tuple[Sighting, ...] = ()

    def received(
        self, request: PageRequest, *_given: object, rows: Sequence[Sighting] = (), **_: object
    ) -> Progress:
        """Note the rows."""
        del request
        self.shown += tuple(rows)
        return Progress()


async def read_a_page(planner: Planner, body: bytes) -> tuple[MemorySink, list[Event]]:
    """Let a reader fetch the one page there is for *planner*."""
    sink, events = MemorySink(), list[Event]()
    limiters, account = OneGate(FakeGate()), an_account()
    dispatcher = Dispatcher(
        FakeTransport([Answer(200, {}, body)]),
        FakeTokens(),
        limiters,
        observer=events.append,
        now=lambda: EPOCH,
    )
    tally = Tally([account.name])
    desk = Desk(
        account, RETAIL, sink, dispatcher, limiters, tally, events.append, lambda: EPOCH, {}
    )
    pace = Pace(desk, CREATED.operation)
    await PageReader(desk, planner, pace, {}).read(PageRequest(SPAN))
    return sink, events


def test_a_part_whose_claim_is_not_borne_out_is_told_to_be_read_again() -> None:
    """Nothing claims it in the meantime."""
    body = b'{"payload": {"orders": []}}'

    sink, events = virtual_time.run(read_a_page(DisputingPlanner([SPAN]), body))

    assert restarts(events, "order of their dates") == [WINDOW]
    assert sink.finished == {}


def test_what_the_planner_is_shown_of_a_row_is_its_own_date() -> None:
    """Without it there would be no evidence, and windows would be cut blindly."""
    body = (
        b'{"payload": {"orders": [{"purchaseOrderNumber": "A", "purchaseOrderState": "New",'
        b' "orderDetails": {"purchaseOrderDate": "2026-06-22T10:00:00Z",'
        b' "purchaseOrderStateChangedDate": "2026-06-23T10:00:00Z"}},'
        b' {"purchaseOrderNumber": "B", "purchaseOrderState": "New"}]}}'
    )
    planner = NotingPlanner([SPAN])

    virtual_time.run(read_a_page(planner, body))

    placed_at = datetime(2026, 6, 22, 10, tzinfo=UTC)
    assert planner.shown == (Sighting("A", placed_at), Sighting("B", None))


def _of(events: list[Event], kind: type[E]) -> list[E]:
    return [one for one in events if isinstance(one, kind)]


def _inject(simulator: Simulator, kind: str, when: Callable[[Call], bool]) -> None:
    simulator.inject(LIST, kind, times=FOR_EVER, when=when)
