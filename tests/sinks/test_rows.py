"""Rows: columns from documents, and which version is newer."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from itertools import permutations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sample_files import sample
from shop import an_order, canaries_in

from vendororders_async.clock import format_stored
from vendororders_async.models import direct_fulfillment
from vendororders_async.models.retail_procurement import Order, OrderStatus
from vendororders_async.pages import decode_document, decode_page
from vendororders_async.sinks.rows import (
    OrderRow,
    Version,
    digest_of,
    order_row,
    same_content,
    status_row,
)

ASKED = "2026-11-21T12:00:00.000000Z"
LATER = "2026-11-21T13:00:00.000000Z"
EARLIER = "2026-11-20T12:00:00.000000Z"
VERSIONS = st.builds(
    Version,
    digest=st.sampled_from(["0a", "1b"]),
    asked_at=st.sampled_from([ASKED, LATER]),
    own_date_at=st.sampled_from([None, EARLIER, ASKED]),
    has_details=st.booleans(),
)


def row_of(**details: object) -> OrderRow:
    """Return the row of an order with these details, or with none."""
    document = {"purchaseOrderNumber": "A", "purchaseOrderState": "New"}
    raw = json.dumps({**document, "orderDetails": details} if details else document).encode()
    decoded = decode_document(raw, Order)
    assert decoded.content is not None, decoded.reason

    return order_row(decoded.content, raw, digest_of(raw), ASKED)


def test_a_row_has_what_the_order_says() -> None:
    """Every column comes from its place in the order, and the document is kept whole."""
    document = decode_page(sample("getPurchaseOrders", "200.json"), Order).documents[0]
    assert document.content is not None
    details = document.content.order_details
    assert details is not None

    row = order_row(document.content, document.raw, digest_of(document.raw), ASKED)

    assert row.document.encode() == document.raw
    assert row.purchase_order_number == document.content.purchase_order_number
    assert details.purchase_order_date is not None
    assert row.purchase_order_date == format_stored(details.purchase_order_date)
    assert row.payment_method == details.payment_method
    assert details.ship_to_party is not None
    assert row.ship_to_party_id == details.ship_to_party.party_id
    assert row.has_details


def a_direct_fulfillment_row(asked_at: str = ASKED, **details: object) -> OrderRow:
    """Return the row of an order of direct fulfillment, *details* changed."""
    placed_at = datetime(2026, 6, 1, 10, tzinfo=UTC)
    raw = json.dumps(an_order("P1", placed_at, **details)).encode()
    decoded = decode_document(raw, direct_fulfillment.Order)
    assert decoded.content is not None, decoded.reason

    return order_row(decoded.content, raw, digest_of(raw), asked_at)


def test_an_order_of_direct_fulfillment_fills_the_same_columns() -> None:
    """Its status is the state, its date the order's, and no column has the customer."""
    row = a_direct_fulfillment_row()
    columns = msgspec.structs.asdict(row)
    document = columns.pop("document")

    assert canaries_in(document)
    assert canaries_in(repr(columns)) == set()
    assert {name: value for name, value in columns.items() if value is not None} == {
        "purchase_order_number": "P1",
        "digest": digest_of(document.encode()),
        "has_details": True,
        "own_date_at": "2026-06-01T10:00:00.000000Z",
        "asked_at": ASKED,
        "purchase_order_state": "NEW",
        "purchase_order_date": "2026-06-01T10:00:00.000000Z",
        "selling_party_id": "VENDOR",
        "bill_to_party_id": "PAYER",
        "ship_from_party_id": "ABCD",
        "customer_order_number": "111-P1",
        "ship_method": "UPS_2ND",
        "required_ship_date": "2026-06-01T10:00:00.000000Z",
    }


def test_an_order_of_direct_fulfillment_without_details_is_known_as_such() -> None:
    """Only its number was asked for; what is empty in the details is null, and no error."""
    raw = b'{"purchaseOrderNumber": "P1"}'
    order = decode_document(raw, direct_fulfillment.Order).content
    assert order is not None
    bare = order_row(order, raw, digest_of(raw), ASKED)
    empty = a_direct_fulfillment_row(
        shipmentDetails=None, sellingParty=None, shipFromParty={}, billToParty=None
    )

    assert not bare.has_details
    assert empty.has_details
    assert (empty.ship_method, empty.required_ship_date, empty.ship_from_party_id) == (
        None,
    ) * 3
    assert empty.version.is_newer_than(msgspec.structs.replace(bare.version, asked_at=LATER))


def test_of_two_versions_of_direct_fulfillment_the_one_asked_for_later_is_newer() -> None:
    """Amazon gives such an order no date of its change."""
    new = a_direct_fulfillment_row(orderStatus="NEW")
    shipped = a_direct_fulfillment_row(LATER, orderStatus="SHIPPED")

    assert shipped.version.is_newer_than(new.version)
    assert not new.version.is_newer_than(shipped.version)


def test_a_status_row_has_what_the_status_says() -> None:
    """Every column of a status comes from its place, and its date decides."""
    page = decode_page(sample("getPurchaseOrdersStatus", "200.json"), OrderStatus)
    document = page.documents[0]
    assert document.content is not None

    row = status_row(document.content, document.raw, digest_of(document.raw), ASKED)

    assert row.purchase_order_status == document.content.purchase_order_status
    assert document.content.last_updated_date is not None
    updated_at = format_stored(document.content.last_updated_date)
    assert row.version == Version(digest_of(document.raw), ASKED, updated_at)


def test_a_window_becomes_two_instants() -> None:
    """Both ends of a ship window are columns."""
    row = row_of(shipWindow="2026-03-01T13:00:00Z--2026-03-11T15:30:00+01:00")

    assert row.ship_window_start == "2026-03-01T13:00:00.000000Z"
    assert row.ship_window_end == "2026-03-11T14:30:00.000000Z"


@pytest.mark.parametrize("text", ["", "soon", "2026-03-01", "--", "a--b"])
def test_a_window_that_cannot_be_read_is_null(text: str) -> None:
    """An odd window costs two columns, not the order."""
    row = row_of(shipWindow=text, deliveryWindow=text)

    assert row.ship_window_start is None
    assert row.delivery_window_end is None


def test_an_orders_own_date_is_its_latest() -> None:
    """Placed, changed and state changed all count."""
    row = row_of(
        purchaseOrderDate="2026-03-01T00:00:00Z",
        purchaseOrderChangedDate="2026-03-03T00:00:00+09:00",
        purchaseOrderStateChangedDate="2026-03-02T10:00:00",
    )

    assert row.own_date_at == "2026-03-02T15:00:00.000000Z"


def test_an_order_without_details_is_known_as_such() -> None:
    """A number and a state make a row that says it has no details."""
    row = row_of()

    assert not row.has_details
    assert row.own_date_at is None
    assert row.purchase_order_state == "New"


def test_details_weigh_most_then_dates_then_the_asking() -> None:
    """Each of the four criteria decides only where those before it are equal."""
    ascending = [
        Version("f", LATER, LATER, has_details=False),
        Version("f", LATER, None),
        Version("f", LATER, EARLIER),
        Version("f", ASKED, ASKED),
        Version("0", LATER, ASKED),
        Version("1", LATER, ASKED),
    ]

    assert all(
        newer.is_newer_than(older)
        for position, older in enumerate(ascending)
        for newer in ascending[position + 1 :]
    )


def test_a_date_ahead_of_its_time_is_not_the_last_word() -> None:
    """The corrected version replaces it, though its own date is the earlier one."""
    bogus = row_of(purchaseOrderStateChangedDate="2027-11-21T12:00:00Z").version
    corrected = row_of(purchaseOrderStateChangedDate="2026-11-21T12:30:00Z").version
    corrected = msgspec.structs.replace(corrected, asked_at=LATER)
    older = Version("f", ASKED, EARLIER)

    assert bogus.own_date_at is not None
    assert corrected.own_date_at is not None
    assert bogus.own_date_at > corrected.own_date_at
    assert corrected.is_newer_than(bogus)
    assert not bogus.is_newer_than(corrected)
    assert bogus.is_newer_than(older)


@given(st.lists(VERSIONS, min_size=1, max_size=4))
def test_the_winner_does_not_depend_on_the_order_of_arrival(versions: list[Version]) -> None:
    """However versions arrive, the same one stays."""
    winners = set()
    for arriving in permutations(versions):
        held = arriving[0]
        for version in arriving[1:]:
            held = version if version.is_newer_than(held) else held
        winners.add(
            (held.has_details, held.own_date_at is not None, held.asked_at, held.digest)
        )

    assert len(winners) == 1


@given(VERSIONS, VERSIONS)
def test_of_two_versions_at_most_one_is_newer(one: Version, other: Version) -> None:
    """Equal versions do not replace one another, and of different ones exactly one does."""
    newer = [one.is_newer_than(other), other.is_newer_than(one)]

    assert sorted(newer) == [False, one != other]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('{"a": 1, "b": [1, {"c": null}]}', '{"b":[1,{"c":null}],"a":1}'),
        ('{"a": 1.10}', '{"a": 1.1}'),
        ('{"a": 1}', '{"a": 1.0}'),
        ('{"a": "\\u00e9"}', '{"a": "é"}'),
        (" {} ", "{}"),
    ],
    ids=["key order", "trailing zero", "whole number", "escape", "white space"],
)
def test_the_same_content_may_be_written_differently(one: str, other: str) -> None:
    """What JSON does not distinguish is no change."""
    assert same_content(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('{"a": 1}', '{"a": 2}'),
        ('{"a": 1}', '{"a": "1"}'),
        ('{"a": true}', '{"a": 1}'),
        ('[{"a": [false]}]', '[{"a": [0]}]'),
        ('{"a": null}', "{}"),
        ('{"a": [1, 2]}', '{"a": [2, 1]}'),
        ('{"a": 0.1}', '{"a": 0.1000000000000000055511151231257827}'),
        ('{"a": 9007199254740993}', '{"a": 9007199254740992}'),
    ],
    ids=["value", "type", "boolean", "deep", "null", "list", "fraction", "long"],
)
def test_different_content_is_not_the_same(one: str, other: str) -> None:
    """Every difference that JSON makes is a change."""
    assert not same_content(one, other)


@pytest.mark.parametrize("odd", ['"\\ud800"', "1e99999999999999999999", "1" * 5000])
def test_content_that_python_cannot_read_is_not_the_same(odd: str) -> None:
    """A field that only Amazon understands never stops a page."""
    assert same_content(f'{{"x": {odd}}}', f'{{ "x": {odd}}}') in {True, False}
    assert not same_content(f'{{"x": {odd}}}', '{"x": 1}')
