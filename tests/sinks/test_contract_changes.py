"""Changes: recorded with the versions that they lead to, and told in turn."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Any

import msgspec
import pytest
from stores import Store

from vendororders_async.changes import (
    Change,
    FieldChange,
    LineChange,
    OrderChanged,
    OrderCreated,
    StatusChanged,
)
from vendororders_async.errors import SinkError
from vendororders_async.jobs.quarantine import retry_quarantine
from vendororders_async.models import direct_fulfillment
from vendororders_async.models.retail_procurement import Order, OrderStatus
from vendororders_async.pages import Row, decode_document
from vendororders_async.sinks.base import Arrival, Ledger
from vendororders_async.sinks.followed import FollowedSink
from vendororders_async.sinks.rows import digest_of
from vendororders_async.windows import Window

LEDGER = Ledger("acme-us", "retail", "created", "amazon")
DIRECT = Ledger("acme-us", "direct_fulfillment", "created", "amazon")
ASKED = datetime(2026, 11, 21, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
WINDOW = Window(ASKED - timedelta(days=1), ASKED)
NOTHING = msgspec.Raw(b"null")
LINES = [{"itemSequenceNumber": "1", "amazonProductIdentifier": "B1"}]


@pytest.fixture
async def sink(store: Store, now: Callable[[], datetime]) -> AsyncIterator[FollowedSink]:
    """An open sink."""
    async with store.open(now=now) as opened:
        yield opened


def order(number: str = "A1", *, state: str = "New", quantity: int = 5) -> bytes:
    """Return an order of one line."""
    line = LINES[0] | {"orderedQuantity": {"amount": quantity}}
    document = {"purchaseOrderNumber": number, "purchaseOrderState": state}
    return json.dumps({**document, "orderDetails": {"items": [line]}}).encode()


def bare(number: str = "A1", *, state: str = "New") -> bytes:
    """Return an order without details."""
    return json.dumps({"purchaseOrderNumber": number, "purchaseOrderState": state}).encode()


def status(number: str = "A1", *, minute: int = 0, word: str = "UNCONFIRMED") -> bytes:
    """Return the status of an order of one line, as of that minute."""
    line = LINES[0] | {"acknowledgementStatus": {"confirmationStatus": word}}
    updated = (ASKED + minute * MINUTE).isoformat()
    document = {"purchaseOrderNumber": number, "lastUpdatedDate": updated}
    return json.dumps({**document, "itemStatus": [line]}).encode()


def arrival(
    *raws: bytes, minute: int = 0, kind: type[Row] = Order, ledger: Ledger = LEDGER
) -> Arrival:
    """Return a page with these documents, which was asked for in that minute."""
    documents = [decode_document(raw, kind) for raw in raws]
    return Arrival(ledger, WINDOW, ASKED + minute * MINUTE, documents)


def brief(changes: Sequence[Change]) -> list[tuple[str, str]]:
    """Return what happened, and to which orders."""
    return [
        (one.__struct_config__.tag, one.purchase_order_number)  # type: ignore[misc]  # always text
        for one in changes
    ]


async def test_a_sink_that_can_be_followed_into(sink: FollowedSink) -> None:
    """It promises all that following needs."""
    assert isinstance(sink, FollowedSink)


async def test_orders_are_created_and_changed(sink: FollowedSink) -> None:
    """Each version is told once: what it is, what differs, which one was before, and itself."""
    old, new = order(), order(state="Acknowledged", quantity=0)
    await sink.write(arrival(old))
    await sink.write(arrival(old, minute=1))
    await sink.write(arrival(new, minute=2))
    await sink.write(arrival(old.replace(b": ", b":"), minute=1))
    created, changed = await sink.changes(0)

    common: dict[str, Any] = {
        "account": "acme-us",
        "api": "retail",
        "purchase_order_number": "A1",
    }
    assert isinstance(created, OrderCreated)
    assert bytes(created.document) == old
    assert created.order == decode_document(old, Order).content
    assert msgspec.structs.replace(created, document=NOTHING) == OrderCreated(
        sequence=1, recorded_at=ASKED, digest=digest_of(old), document=NOTHING, **common
    )
    assert isinstance(changed, OrderChanged)
    assert bytes(changed.document) == new
    cancelled = LineChange(
        "1", "B1", "cancelled", (FieldChange("orderedQuantity.amount", 5, 0),)
    )
    assert msgspec.structs.replace(changed, document=NOTHING) == OrderChanged(
        sequence=2,
        recorded_at=ASKED + timedelta(seconds=2),
        digest=digest_of(new),
        previous_digest=digest_of(old),
        fields=(FieldChange("purchaseOrderState", "New", "Acknowledged"),),
        lines=(cancelled,),
        document=NOTHING,
        **common,
    )


async def test_an_order_is_created_by_its_details(sink: FollowedSink) -> None:
    """Numbers and states alone are no versions; what was only they is created, not changed."""
    await sink.write(arrival(bare(), bare("A2")))
    await sink.write(arrival(bare(state="Closed"), minute=1))
    before = await sink.changes(0)
    await sink.write(arrival(order(), bare("A3"), minute=2))
    await sink.write(arrival(bare(state="Closed"), minute=3))

    assert before == []
    assert brief(await sink.changes(0)) == [("order_created", "A1")]


async def test_two_versions_on_a_page_are_two(sink: FollowedSink) -> None:
    """Each has its number, in the order in which they follow."""
    raws = sorted((order(quantity=n) for n in range(3)), key=digest_of)  # each beats the last
    await sink.write(arrival(*raws, order("A2")))
    changes = await sink.changes(0)

    assert [one.digest for one in changes if one.purchase_order_number == "A1"] == [
        digest_of(raw) for raw in raws
    ]
    assert [one.sequence for one in changes] == [1, 2, 3, 4]


async def test_statuses_are_told(sink: FollowedSink) -> None:
    """The first one with all that it says, the next ones with what differs."""
    first, second = status(), status(minute=1, word="ACCEPTED")
    await sink.write(arrival(first, kind=OrderStatus))
    [told] = await sink.changes(0)
    await sink.write(arrival(second, minute=1, kind=OrderStatus))
    untold, changed = await sink.changes(0)

    word = "acknowledgementStatus.confirmationStatus"
    at, later = "2026-11-21T12:00:00.000000Z", "2026-11-21T12:01:00.000000Z"
    assert isinstance(told, StatusChanged)
    assert (told.digest, told.previous_digest) == (digest_of(first), None)
    assert told.fields == (FieldChange("lastUpdatedDate", None, at),)
    assert told.lines == (
        LineChange("1", None, "added", (FieldChange(word, None, "UNCONFIRMED"),)),
    )
    assert untold == msgspec.structs.replace(told, fields=(), lines=())
    assert isinstance(changed, StatusChanged)
    assert (changed.digest, changed.previous_digest) == (digest_of(second), digest_of(first))
    assert changed.fields == (FieldChange("lastUpdatedDate", at, later),)
    assert changed.lines == (
        LineChange("1", None, "changed", (FieldChange(word, "UNCONFIRMED", "ACCEPTED"),)),
    )


async def test_whoever_stores_a_version_records_it(sink: FollowedSink) -> None:
    """What comes out of the quarantine is told as what comes off a page."""
    broken = decode_document(order(), Order)
    broken = msgspec.structs.replace(broken, content=None, reason="not understood")
    await sink.write(Arrival(LEDGER, WINDOW, ASKED, [broken]))
    before = await sink.changes(0)
    await retry_quarantine(sink, "acme-us", "retail")

    assert before == []
    assert brief(await sink.changes(0)) == [("order_created", "A1")]


async def test_changes_are_read_from_where_one_was(sink: FollowedSink) -> None:
    """Some at a time, in the order of their numbers, until there is no more."""
    await sink.write(arrival(*(order(f"A{n:03}") for n in range(250))))
    parts, after = [], 0
    while some := await sink.changes(after, 100):
        parts.append([one.sequence for one in some])
        after = some[-1].sequence

    assert [len(one) for one in parts] == [100, 100, 50]
    assert list(chain.from_iterable(parts)) == list(range(1, 251))
    assert await sink.last_change() == after
    assert len(await sink.changes(0)) == 200
    assert await sink.changes(after + 1) == []


async def test_a_failing_page_records_nothing(sink: FollowedSink, store: Store) -> None:
    """Neither a version nor a change of it is there, and its numbers go to the next."""
    bad = arrival(order("A1"), order("A2"))
    content = bad.documents[1].content
    assert isinstance(content, Order)
    broken = msgspec.structs.replace(content, purchase_order_state=object())
    documents = [bad.documents[0], msgspec.structs.replace(bad.documents[1], content=broken)]
    pages = [
        arrival(order("B1")),
        msgspec.structs.replace(bad, documents=documents),
        arrival(order("B2")),
    ]
    answers = await asyncio.gather(*map(sink.write, pages), return_exceptions=True)

    assert [isinstance(one, Exception) for one in answers] == [False, True, False]
    assert [one.sequence for one in await sink.changes(0)] == [1, 2]
    assert brief(await sink.changes(0)) == [("order_created", "B1"), ("order_created", "B2")]
    assert store.select("SELECT purchase_order_number FROM purchase_orders ORDER BY 1") == [
        ("B1",),
        ("B2",),
    ]


async def test_what_cannot_be_recorded_is_not_stored(sink: FollowedSink, store: Store) -> None:
    """A version without its change would never be told."""
    store.select(
        "ALTER TABLE changes ADD CHECK (sequence < 0)"
        if store.is_postgres
        else "CREATE TRIGGER no BEFORE INSERT ON changes BEGIN SELECT RAISE(ABORT, 'no'); END"
    )
    with pytest.raises(SinkError):
        await sink.write(arrival(order()))

    assert store.select("SELECT count(*) FROM purchase_orders") == [(0,)]
    assert await sink.last_change() == 0


@pytest.mark.parametrize("number", ["a\x00b", "o'clock", '"', "a\nb", "ä\u202e\U0001f600"])
async def test_odd_numbers_are_told(sink: FollowedSink, number: str) -> None:
    """An order may be called anything."""
    await sink.write(arrival(order(number)))
    await sink.write(arrival(order(number, quantity=6), minute=1))
    await sink.write(arrival(status(number), kind=OrderStatus))
    changes = await sink.changes(0)

    assert {one.purchase_order_number for one in changes} == {number}
    assert [type(one) for one in changes] == [OrderCreated, OrderChanged, StatusChanged]


async def test_odd_documents_are_told(sink: FollowedSink) -> None:
    """Lines that cannot be told apart, and numbers that no column holds, are no obstacle."""
    odd = {"netCost": {"amount": 1.10}, "orderedQuantity": {"amount": "7"}}
    lines = [{}, LINES[0] | odd, LINES[0], {"itemSequenceNumber": 1, "x": 10**400}]
    raws = [
        json.dumps({"purchaseOrderNumber": "A1", "orderDetails": {"items": some}}).encode()
        for some in (lines, lines[1:])
    ]
    for minute, raw in enumerate([*raws, raws[0]]):
        await sink.write(arrival(raw, minute=minute))
    changes = await sink.changes(0)

    assert brief(changes) == [
        *(("order_created", "A1"), ("order_changed", "A1"), ("order_changed", "A1"))
    ]
    assert all(isinstance(one, OrderChanged) and one.lines for one in changes[1:])


async def test_what_no_longer_decodes_is_told_as_changed(
    sink: FollowedSink, store: Store
) -> None:
    """A version that this program would not take is there all the same: nothing is compared."""
    await sink.write(arrival(order()))
    store.select("UPDATE purchase_orders SET document = '{\"orderDetails\": []}'")
    await sink.write(arrival(order(quantity=6), minute=1))
    [_, changed] = await sink.changes(0)

    assert isinstance(changed, OrderChanged)
    assert (changed.fields, changed.lines) == ((), ())


async def test_customers_orders_are_told_without_them(sink: FollowedSink, store: Store) -> None:
    """What is recorded of direct fulfillment has nothing of who ordered."""

    def raw(name: str, state: str) -> bytes:
        details = {"orderStatus": state, "shipToParty": {"name": name}}
        return json.dumps({"purchaseOrderNumber": "D1", "orderDetails": details}).encode()

    kind = direct_fulfillment.Order
    await sink.write(arrival(raw("CANARY 1", "NEW"), kind=kind, ledger=DIRECT))
    await sink.write(arrival(raw("CANARY 2", "CANCELLED"), minute=1, kind=kind, ledger=DIRECT))
    _, changed = await sink.changes(0)

    assert isinstance(changed, OrderChanged)
    assert changed.fields == (FieldChange("orderStatus", "NEW", "CANCELLED"),)
    assert changed.lines == ()
    assert "CANARY" not in str(store.select("SELECT * FROM changes"))


async def test_a_document_that_is_gone_is_none(sink: FollowedSink, store: Store) -> None:
    """What became of an order is told also where its document was removed since."""
    await sink.write(arrival(order()))
    store.select("DELETE FROM purchase_orders")
    [created] = await sink.changes(0)

    assert isinstance(created, OrderCreated)
    assert (bytes(created.document), created.order) == (b"null", None)


async def test_a_change_is_read_as_it_is_written(sink: FollowedSink) -> None:
    """Who gets it as a line of JSON decodes it into the same value, its document included."""
    await sink.write(arrival(order()))
    await sink.write(arrival(order(quantity=7), minute=1))
    await sink.write(arrival(status(), kind=OrderStatus, minute=2))
    for change in await sink.changes(0):
        line = msgspec.json.encode(change)
        again = msgspec.json.decode(line, type=Change)

        assert msgspec.json.encode(again) == line


async def test_a_consumer_goes_on_after_the_last_it_saw(store: Store) -> None:
    """Also in another run; it never goes back, and others go their own way."""
    async with store.open() as sink:
        new = await sink.consumed("erp", "retail")
        await sink.consume("erp", "retail", {"acme-us": 7, "o'hara €": 2})
        await sink.consume("erp", "retail", {"acme-us": 3, "o'hara €": 5})
        await sink.consume("erp", "direct_fulfillment", {"acme-us": 1})
        await sink.consume("o'dash\x00board", "retail", {"acme-us": 0})
    async with store.open() as sink:
        assert new == {}
        assert await sink.consumed("erp", "retail") == {"acme-us": 7, "o'hara €": 5}
        assert await sink.consumed("erp", "direct_fulfillment") == {"acme-us": 1}
        assert await sink.consumed("o'dash\x00board", "retail") == {"acme-us": 0}
        assert await sink.consumed("o'dash", "retail") == {}


async def test_changes_are_asked_for_by_api_and_account(sink: FollowedSink) -> None:
    """All of them, or of some; of no account there is none."""
    others = Ledger("o'hara €", "retail", "created", "amazon")
    await sink.write(arrival(order()))
    await sink.write(arrival(order(), ledger=others))
    await sink.write(arrival(order(), kind=direct_fulfillment.Order, ledger=DIRECT))

    async def told(**asked: Any) -> list[int]:
        return [one.sequence for one in await sink.changes(0, **asked)]

    assert await told() == [1, 2, 3]
    assert await told(api="retail") == [1, 2]
    assert await told(accounts=["acme-us"]) == [1, 3]
    assert await told(api="retail", accounts=["acme-us", "acme"]) == [1]
    assert await told(api="retail", accounts=["o'hara €", "acme-us"]) == [1, 2]
    assert await told(api="retail", accounts=["o'hara €"], limit=1) == [2]
    assert await told(accounts=[]) == []


async def test_what_was_removed_leaves_its_number_behind(
    sink: FollowedSink, store: Store
) -> None:
    """The last change may be gone: the next has a number of its own."""
    await sink.write(arrival(order("A1"), order("A2")))
    store.select("DELETE FROM changes")
    left, last = await sink.changes(0), await sink.last_change()
    await sink.write(arrival(order("A3")))

    assert (left, last) == ([], 2)
    assert [one.sequence for one in await sink.changes(0)] == [3]


async def test_a_changed_order_of_an_older_store_is_told(
    sink: FollowedSink, store: Store
) -> None:
    """What was stored before changes were recorded is not new when it changes."""
    await sink.write(arrival(order()))
    store.select("DELETE FROM changes")
    await sink.write(arrival(order(quantity=6), minute=1))

    assert brief(await sink.changes(0)) == [("order_changed", "A1")]
