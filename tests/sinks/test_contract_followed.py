"""Following into a database: which orders are stale, and what it costs to know."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from stores import Store

from vendororders_async.models import direct_fulfillment
from vendororders_async.models.retail_procurement import Order, OrderStatus
from vendororders_async.pages import Row, decode_document
from vendororders_async.sinks.base import Arrival, Ledger, PurgeableSink
from vendororders_async.sinks.followed import FollowedSink, RequestRate, UnfinishedOrder
from vendororders_async.windows import FinishedWindow, Window

LEDGER = Ledger("acme-us", "retail", "created", "amazon")
STATUSES = Ledger("acme-us", "retail", "statuses", "amazon")
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
SECOND, MINUTE, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(days=1)
WINDOW = Window(NOON - DAY, NOON)


@pytest.fixture
async def sink(store: Store, now: Callable[[], datetime]) -> AsyncIterator[FollowedSink]:
    """An open sink."""
    async with store.open(now=now) as opened:
        yield opened


def page(
    *documents: object,
    asked_at: datetime = NOON,
    kind: type[Row] = Order,
    ledger: Ledger = LEDGER,
) -> Arrival:
    """Return a page with these documents."""
    raws = [json.dumps(one).encode() for one in documents]
    return Arrival(ledger, WINDOW, asked_at, [decode_document(raw, kind) for raw in raws])


def order(number: str, state: str | None = "New") -> dict[str, object]:
    """Return an order with details."""
    return {"purchaseOrderNumber": number, "purchaseOrderState": state, "orderDetails": {}}


def moved(number: str, updated_at: datetime | None, word: str = "OPEN") -> dict[str, object]:
    """Return a status that was updated then."""
    updated = updated_at.isoformat() if updated_at else None
    return {
        "purchaseOrderNumber": number,
        "purchaseOrderStatus": word,
        "lastUpdatedDate": updated,
    }


async def note(
    sink: FollowedSink, *statuses: object, asked_at: datetime = NOON
) -> Sequence[str]:
    """Store *statuses* and return which orders are outdated by now."""
    await sink.write(page(*statuses, asked_at=asked_at, kind=OrderStatus, ledger=STATUSES))
    return await sink.outdated("acme-us", "retail")


@pytest.mark.parametrize(
    ("asked_at", "updated_at", "expected"),
    [
        pytest.param(NOON, NOON - DAY, [], id="asked for long after it moved"),
        pytest.param(NOON, NOON - MINUTE, [], id="a minute after"),
        pytest.param(NOON, NOON - MINUTE + SECOND, ["A1"], id="not a minute after"),
        pytest.param(NOON, NOON + DAY, ["A1"], id="before"),
        pytest.param(NOON + MINUTE, NOON + DAY, [], id="a minute after what is dated ahead"),
        pytest.param(NOON + MINUTE, None, [], id="a minute after a status without a date"),
        pytest.param(NOON, None, ["A1"], id="not a minute after a status without a date"),
        pytest.param(NOON, datetime.max.replace(tzinfo=UTC), ["A1"], id="the end of time"),
    ],
)
async def test_an_order_is_outdated_by_its_status(
    sink: FollowedSink, asked_at: datetime, updated_at: datetime | None, expected: list[str]
) -> None:
    """If that moved after the order was asked for, or at most a minute before."""
    await sink.write(page(order("A1"), asked_at=asked_at))

    assert await note(sink, moved("A1", updated_at)) == expected


async def test_orders_that_only_a_status_tells_of_are_outdated(sink: FollowedSink) -> None:
    """Also those of which only number and state are here; whose status moved first leads."""
    await sink.write(page({"purchaseOrderNumber": "A2"}, order("A3"), asked_at=NOON))
    statuses = [moved(f"A{n}", NOON - n * DAY) for n in range(1, 4)]

    assert await note(sink, *statuses) == ["A2", "A1"]
    assert await sink.outdated("acme-us", "retail", 1) == ["A2"]
    assert await sink.outdated("acme-us", "direct_fulfillment") == []
    assert await sink.outdated("acme-eu", "retail") == []


async def test_an_unchanged_status_outdates_nothing(sink: FollowedSink) -> None:
    """What was forgone stays so until the status moves once more."""
    first = await note(sink, moved("A1", NOON), moved("a\x00'b", NOON))
    await sink.forgo("acme-us", "retail", "a\x00'b", NOON)
    await sink.forgo("acme-us", "retail", "A1", NOON)
    again = await note(sink, moved("A1", NOON), asked_at=NOON + MINUTE)
    later = await note(sink, moved("A1", NOON + MINUTE), asked_at=NOON + MINUTE)

    assert first == ["A1", "a\x00'b"]
    assert (again, later) == ([], ["A1"])


async def test_a_move_that_came_meanwhile_is_not_forgone(sink: FollowedSink) -> None:
    """What could not be had is asked for again if its status moved after it was asked for."""
    await note(sink, moved("A1", NOON + SECOND), asked_at=NOON + SECOND)
    await sink.forgo("acme-us", "retail", "A1", NOON)
    meanwhile = await sink.outdated("acme-us", "retail")
    await sink.forgo("acme-us", "retail", "A1", NOON + SECOND)

    assert meanwhile == ["A1"]
    assert await sink.outdated("acme-us", "retail") == []


@pytest.mark.parametrize(
    ("document", "seconds", "expected"),
    [
        pytest.param(order("A1", "Closed"), 60, [], id="changed"),
        pytest.param(order("A1"), 60, [], id="unchanged"),
        pytest.param(order("A1", "Closed"), 59, ["A1"], id="changed within the minute"),
        pytest.param(order("A1"), 0, ["A1"], id="the move may not show yet"),
        pytest.param({"purchaseOrderNumber": "A1"}, 90, ["A1"], id="without details"),
    ],
)
async def test_whoever_reads_an_order_again_takes_it_off(
    sink: FollowedSink, document: object, seconds: int, expected: list[str]
) -> None:
    """By its details, asked for a minute after it moved, whether or not they are others."""
    await sink.write(page(order("A1"), asked_at=NOON - DAY))
    before = await note(sink, moved("A1", NOON))
    await sink.write(page(document, asked_at=NOON + seconds * SECOND))

    assert before == ["A1"]
    assert await sink.outdated("acme-us", "retail") == expected


async def test_pages_that_cross_outdate_nothing(sink: FollowedSink) -> None:
    """Asked for before the status, stored after it, but a minute after it moved: up to date."""
    before = await note(sink, moved("A1", NOON - DAY))
    await sink.write(page(order("A1"), asked_at=NOON - SECOND))

    assert before == ["A1"]
    assert await sink.outdated("acme-us", "retail") == []


async def test_a_later_move_counts(sink: FollowedSink) -> None:
    """What was read between two moves is outdated by the second."""
    await note(sink, moved("A1", NOON))
    await note(sink, moved("A1", NOON + 9 * MINUTE), asked_at=NOON + 9 * MINUTE)
    await sink.write(page(order("A1"), asked_at=NOON + 5 * MINUTE))
    between = await sink.outdated("acme-us", "retail")
    await sink.write(page(order("A1"), asked_at=NOON + 10 * MINUTE))

    assert between == ["A1"]
    assert await sink.outdated("acme-us", "retail") == []


async def test_only_retail_has_statuses(sink: FollowedSink) -> None:
    """The same number of another API, or account, leaves the list alone."""
    await note(sink, moved("A1", NOON))
    for ledger in (
        Ledger("acme-us", "direct_fulfillment", "created", "amazon"),
        Ledger("acme-eu", "retail", "created", "amazon"),
    ):
        kind: type[Row] = Order if ledger.api == "retail" else direct_fulfillment.Order
        await sink.write(page(order("A1"), asked_at=NOON + DAY, ledger=ledger, kind=kind))

    assert await sink.outdated("acme-us", "retail") == ["A1"]


async def test_a_long_list_is_read_in_turn(sink: FollowedSink) -> None:
    """More than a page at once, a hundred at a time unless more are asked for."""
    numbers = [f"A{n:03}" for n in range(230)]
    statuses = [moved(number, NOON - DAY + n * SECOND) for n, number in enumerate(numbers)]
    first = await note(sink, *statuses)
    await sink.write(page(*map(order, numbers[:220])))

    assert first == numbers[:100]
    assert await sink.outdated("acme-us", "retail", 500) == numbers[220:]


async def test_known_states(sink: FollowedSink) -> None:
    """Of orders with details alone, and of any number of them."""
    odd = "o'c\x00lock"
    await sink.write(page(order("A1"), order(odd, "Closed"), order("A2", None)))
    await sink.write(page({"purchaseOrderNumber": "A3", "purchaseOrderState": "New"}))
    asked = ["A1", odd, "A2", "A3", *(f"B{n}" for n in range(250))]

    assert await sink.known_states("acme-us", "retail", asked) == {
        "A1": "New",
        odd: "Closed",
        "A2": None,
    }
    assert await sink.known_states("acme-eu", "retail", asked) == {}
    assert await sink.known_states("acme-us", "retail", []) == {}


async def test_unfinished_orders(sink: FollowedSink) -> None:
    """Those whose state is not final, in any spelling, and those that have none."""
    ledger = Ledger("acme-us", "direct_fulfillment", "created", "amazon")

    def customers(number: str, state: str | None, **more: object) -> dict[str, object]:
        return {"purchaseOrderNumber": number, "orderDetails": {"orderStatus": state, **more}}

    dates = {
        "orderDate": NOON.isoformat(),
        "shipmentDetails": {"shipmentDates": {"requiredShipDate": (NOON + DAY).isoformat()}},
    }
    documents = [
        *(customers("D1", "NEW", **dates), customers("D2", "Shipped"), customers("D3", None)),
        *(customers("D4", "CANCELLED"), customers("D5", "accepted"), customers("D6", "Ämdern")),
    ]
    kind = direct_fulfillment.Order
    await sink.write(page(*documents, kind=kind, ledger=ledger))
    await sink.write(page({"purchaseOrderNumber": "D7"}, kind=kind, ledger=ledger))
    await sink.write(page(order("A1"), order("A2", "Closed")))
    found = await sink.unfinished("acme-us", "direct_fulfillment", ["SHIPPED", "Cancelled"])

    assert found[0] == UnfinishedOrder("D1", NOON, NOON + DAY)
    assert [one.purchase_order_number for one in found] == ["D1", "D3", "D5", "D6"]
    assert found[1] == UnfinishedOrder("D3", None)
    assert [
        one.purchase_order_number
        for one in await sink.unfinished("acme-us", "retail", ["closed"])
    ] == ["A1"]
    assert len(await sink.unfinished("acme-us", "direct_fulfillment", [])) == 6
    assert await sink.unfinished("acme-eu", "retail", []) == []


async def test_what_following_costs(sink: FollowedSink) -> None:
    """The last measurement of each account and API, whole."""
    await sink.note_requests("acme-us", "retail", {"getPurchaseOrders": 240.5, "x": 1}, NOON)
    await sink.note_requests("acme-eu", "retail", {"getPurchaseOrder": 0.0}, NOON)
    await sink.note_requests("acme-us", "retail", {"getPurchaseOrders": 3}, NOON + DAY)

    assert await sink.request_rates() == [
        RequestRate("acme-eu", "retail", "getPurchaseOrder", 0.0, NOON),
        RequestRate("acme-us", "retail", "getPurchaseOrders", 3.0, NOON + DAY),
    ]


async def test_of_a_purged_account_nothing_is_left(sink: FollowedSink) -> None:
    """Neither what became of its orders, nor who saw it, what is stale, and what it costs."""
    if not isinstance(sink, PurgeableSink):
        pytest.skip("it cannot forget")
    for account in ("acme-us", "acme-eu"):
        ledger = Ledger(account, "retail", "created", "amazon")
        begun_at = await sink.begin(ledger, WINDOW)
        await sink.write(page(order("A1"), ledger=ledger))
        await sink.write(page(moved("A2", NOON), kind=OrderStatus, ledger=ledger))
        await sink.finish(ledger, FinishedWindow(WINDOW, begun_at))
        await sink.note_requests(account, "retail", {"getPurchaseOrders": 1}, NOON)
        await sink.consume("erp", "retail", {account: 2})
    async with sink.lock("acme-us"):
        await sink.purge_account("acme-us")
    await sink.scrub()

    assert {one.account for one in await sink.changes(0)} == {"acme-eu"}
    assert await sink.consumed("erp", "retail") == {"acme-eu": 2}
    assert await sink.outdated("acme-us", "retail") == []
    assert await sink.outdated("acme-eu", "retail") == ["A2"]
    assert [one.account for one in await sink.request_rates()] == ["acme-eu"]
    assert await sink.accounts() == {"acme-eu"}
