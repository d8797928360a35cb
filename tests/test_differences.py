"""Differences: every field that is listed, once, and of the customer nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shop import CANARIES, an_order

from vendororders_async.changes import FieldChange, LineChange
from vendororders_async.clock import format_stored
from vendororders_async.differences import Compared, Differences, differences
from vendororders_async.models import direct_fulfillment as df
from vendororders_async.models import retail_procurement as rp
from vendororders_async.pages import decode_document
from vendororders_async.redaction import redact
from vendororders_async.simulator import Settings, Simulator

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
NOTHING = Differences()

# What a field may say: itself, a text, a number, an amount, an instant, two of them
WORD = st.text(st.characters(codec="utf-8", exclude_characters="0"), min_size=1, max_size=9)
COUNT = st.integers(1, 2**63 - 1)
SWITCH = st.booleans()
AMOUNT = st.decimals(0, 10**9, places=2).map(str)
INSTANT = st.integers(-(10**8), 10**8).map(lambda n: (NOON + n * SECOND).isoformat())
WINDOW = st.tuples(INSTANT, INSTANT).map("--".join)

QUANTITY = {"amount": COUNT, "unitOfMeasure": WORD, "unitSize": COUNT}
PRICE = {"amount": AMOUNT, "currencyCode": WORD, "unitOfMeasure": WORD}

Said = Mapping[str, st.SearchStrategy[Any]]


def parts(of: Said, *names: str) -> dict[str, st.SearchStrategy[Any]]:
    """Return the fields *of* each of these."""
    return {f"{name}.{part}": said for name in names for part, said in of.items()}


# By kind of document: what is compared, written down by hand and not from the code
ORDER: Said = {
    "purchaseOrderState": WORD,
    "purchaseOrderType": WORD,
    "purchaseOrderDate": INSTANT,
    "purchaseOrderChangedDate": INSTANT,
    "purchaseOrderStateChangedDate": INSTANT,
    "shipWindow": WINDOW,
    "deliveryWindow": WINDOW,
    "paymentMethod": WORD,
    "dealCode": WORD,
    "buyingParty.partyId": WORD,
    "sellingParty.partyId": WORD,
    "shipToParty.partyId": WORD,
    "billToParty.partyId": WORD,
    "importDetails.methodOfPayment": WORD,
    "importDetails.internationalCommercialTerms": WORD,
    "importDetails.portOfDelivery": WORD,
    "importDetails.importContainers": WORD,
    "importDetails.shippingInstructions": WORD,
}
ORDER_LINE: Said = {
    "amazonProductIdentifier": WORD,
    "vendorProductIdentifier": WORD,
    "isBackOrderAllowed": SWITCH,
    **parts(QUANTITY, "orderedQuantity"),
    **parts(PRICE, "netCost", "listPrice"),
}
CUSTOMERS: Said = {
    "orderStatus": WORD,
    "orderDate": INSTANT,
    "shipmentDetails.isPriorityShipment": SWITCH,
    "shipmentDetails.isScheduledDeliveryShipment": SWITCH,
    "shipmentDetails.isPslipRequired": SWITCH,
    "shipmentDetails.isGift": SWITCH,
    "shipmentDetails.shipMethod": WORD,
    "shipmentDetails.shipmentDates.requiredShipDate": INSTANT,
    "shipmentDetails.shipmentDates.promisedDeliveryDate": INSTANT,
    "sellingParty.partyId": WORD,
    "shipFromParty.partyId": WORD,
}
CUSTOMERS_LINE: Said = {
    "buyerProductIdentifier": WORD,
    "vendorProductIdentifier": WORD,
    **parts(QUANTITY, "orderedQuantity"),
    **parts(PRICE, "netPrice"),
}
STATUS: Said = {"purchaseOrderStatus": WORD, "lastUpdatedDate": INSTANT}
STATUS_LINE: Said = {
    "acknowledgementStatus.confirmationStatus": WORD,
    "receivingStatus.receiveStatus": WORD,
    "receivingStatus.lastReceiveDate": INSTANT,
    **parts(
        QUANTITY,
        "orderedQuantity.orderedQuantity",
        "orderedQuantity.orderedQuantityDetails.cancelledQuantity",
        "acknowledgementStatus.acceptedQuantity",
        "acknowledgementStatus.rejectedQuantity",
        "receivingStatus.receivedQuantity",
    ),
}
KINDS: Mapping[type[Compared], tuple[Said, Said]] = {
    rp.Order: (ORDER, ORDER_LINE),
    df.Order: (CUSTOMERS, CUSTOMERS_LINE),
    rp.OrderStatus: (STATUS, STATUS_LINE),
}
ABOVE = {"purchaseOrderState", "purchaseOrderStatus", "lastUpdatedDate"}  # beside the details
IDENTIFIERS = ("amazonProductIdentifier", "buyerProductIdentifier")

of_each_kind = pytest.mark.parametrize("kind", KINDS, ids=["retail", "customers", "status"])


def read(document: object, kind: type[Compared]) -> Compared:
    """Return *document* as it is read off a page."""
    content = decode_document(json.dumps(document).encode(), kind).content
    assert content is not None
    return content


def put(document: dict[str, Any], path: str, value: object) -> None:
    """Set what *document* says at *path*, made if it is not there."""
    *above, last = path.split(".")
    for name in above:
        inner = document.setdefault(name, [{}] if name == "orderedQuantityDetails" else {})
        document = inner[0] if isinstance(inner, list) else inner
    document[last] = value


def whole(kind: type[Compared], said: Mapping[str, object], lines: list[Any]) -> dict[str, Any]:
    """Return a document that says all of that."""
    document: dict[str, Any] = {"purchaseOrderNumber": "A1"}
    above = "" if kind is rp.OrderStatus else "orderDetails."
    for path, value in said.items():
        put(document, path if path in ABOVE else f"{above}{path}", value)
    put(document, "itemStatus" if kind is rp.OrderStatus else "orderDetails.items", lines)
    return document


def line(number: object = "1", said: Mapping[str, object] | None = None) -> dict[str, Any]:
    """Return a line that says so."""
    item: dict[str, Any] = {} if number is None else {"itemSequenceNumber": number}
    for path, value in (said or {}).items():
        put(item, path, value)
    return item


def told(value: object, said: st.SearchStrategy[Any]) -> object:
    """Return how *value* is told."""
    if said is INSTANT and isinstance(value, str):
        return format_stored(datetime.fromisoformat(value))
    if said is WINDOW and isinstance(value, str):
        return "--".join(str(told(one, INSTANT)) for one in value.split("--"))
    return value


@given(data=st.data(), kind=st.sampled_from(list(KINDS)))
@settings(max_examples=300, deadline=None)
def test_one_edit_is_told_once(data: st.DataObject, kind: type[Compared]) -> None:
    """Whatever field is listed, of the order or a line: its name, what it said and says."""
    fields, line_fields = KINDS[kind]
    said = {path: data.draw(what) for path, what in fields.items()}
    lines = [{path: data.draw(what) for path, what in line_fields.items()} for _ in range(2)]
    is_line = data.draw(st.booleans())
    edited, listed = (lines[1], line_fields) if is_line else (said, fields)
    path = data.draw(st.sampled_from(sorted(listed)))

    def document() -> Compared:
        return read(
            whole(kind, said, [line(str(n), one) for n, one in enumerate(lines, 1)]), kind
        )

    before, old = document(), edited[path]
    edited[path] = data.draw((listed[path] | st.none()).filter(lambda new: new != old))
    found = differences(before, document())

    change = FieldChange(path, told(old, listed[path]), told(edited[path], listed[path]))
    product = next((lines[1][name] for name in IDENTIFIERS if name in lines[1]), None)
    of_line = LineChange("2", product, "changed", (change,))

    assert found == (Differences((), (of_line,)) if is_line else Differences((change,)))
    assert differences(before, before) == NOTHING


@of_each_kind
def test_of_a_first_version_everything_is_told(kind: type[Compared]) -> None:
    """Compared with nothing, a document tells every field that is listed, and no other."""
    fields, line_fields = KINDS[kind]
    examples = {WORD: "w", COUNT: 3, SWITCH: True, AMOUNT: "1.10", INSTANT: "2026-11-21"}
    examples[WINDOW] = "2026-11-21--2026-11-22"
    said = {path: examples[what] for path, what in fields.items()}
    item = line("1", {path: examples[what] for path, what in line_fields.items()})
    found = differences(None, read(whole(kind, said, [item]), kind))

    assert {one.field for one in found.fields} == set(fields)
    assert [one.kind for one in found.lines] == ["added"]
    assert {one.field for one in found.lines[0].fields} == set(line_fields)
    assert all(one.old is None for one in (*found.fields, *found.lines[0].fields))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"netCost.amount": "1.10"}, {"netCost.amount": "1.1"}),
        ({"netCost.amount": "1.10"}, {"netCost.amount": 1.1}),
        ({"orderedQuantity.amount": 5}, {"orderedQuantity.amount": "5"}),
        ({"isBackOrderAllowed": True}, {"isBackOrderAllowed": "true"}),
    ],
)
def test_another_spelling_is_no_change(one: dict[str, Any], other: dict[str, Any]) -> None:
    """Values are compared, not their digits; and times as the instants they are."""
    window, zoned = "2026-11-21--2026-11-22", "2026-11-21T00:00Z--2026-11-22T01:00+01:00"
    old = whole(rp.Order, {"shipWindow": window}, [line("1", one)])
    new = whole(rp.Order, {"shipWindow": zoned}, [line("00001", other)])

    assert differences(read(old, rp.Order), read(new, rp.Order)) == NOTHING


def test_a_window_that_is_none_is_told_as_it_came() -> None:
    """Where there are no two instants in it, the text is what there is."""
    documents = [read(whole(rp.Order, {"shipWindow": text}, []), rp.Order) for text in "ab"]

    assert differences(*documents).fields == (FieldChange("shipWindow", "a", "b"),)


def test_every_digit_of_an_amount_is_told() -> None:
    """As text, which no reader takes for a float."""
    old, new = (
        read(whole(rp.Order, {}, [line("1", {"netCost.amount": amount})]), rp.Order)
        for amount in ("1.10", "12345678901234567.890")
    )
    [change] = differences(old, new).lines

    assert change.fields == (FieldChange("netCost.amount", "1.10", "12345678901234567.890"),)


def lines_of(
    *items: tuple[object, str | None, int], kind: type[Compared] = rp.Order
) -> Compared:
    """Return a document of lines: their numbers, products and ordered quantities."""
    ordered = "orderedQuantity." * (2 if kind is rp.OrderStatus else 1)
    name = "amazonProductIdentifier" if kind is rp.Order else "buyerProductIdentifier"
    made = [
        line(number, ({name: product} if product else {}) | {f"{ordered}amount": amount})
        for number, product, amount in items
    ]
    return read(whole(kind, {}, made), kind)


def kinds(old: Compared, new: Compared) -> list[tuple[str, str | None]]:
    """Return what became of lines, and of which."""
    return [(one.kind, one.product_identifier) for one in differences(old, new).lines]


@of_each_kind
def test_lines_come_go_and_are_cancelled(kind: type[Compared]) -> None:
    """Nothing ordered any more is cancelled, once; a line that is back is changed."""
    old = lines_of(("1", "A", 5), ("2", "B", 0), ("3", "C", 5), ("4", "D", 5), kind=kind)
    new = lines_of(("1", "A", 0), ("2", "B", 4), ("4", "D", -3), ("5", "E", 0), kind=kind)

    assert kinds(old, new) == [
        *(("cancelled", "A"), ("changed", "B"), ("cancelled", "D")),
        *(("added", "E"), ("removed", "C")),
    ]
    assert kinds(new, lines_of(("1", "A", -1), kind=kind))[0] == ("changed", "A")


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        pytest.param([("1", "A")], [("00001", "A")], [("changed", "A")], id="zeros"),
        pytest.param([("0", "A")], [("000", "A")], [("changed", "A")], id="nothing but zeros"),
        pytest.param([("1", "A")], [("1", "B")], [("changed", "B")], id="another product"),
        pytest.param(
            [("1", "A"), ("2", "B")],
            [("2", "B"), ("1", "A")],
            [("changed", "B"), ("changed", "A")],
            id="another order",
        ),
        pytest.param(
            [("1", "A")], [("2", "A")], [("added", "A"), ("removed", "A")], id="other"
        ),
        pytest.param([(None, "A")], [("7", "A")], [("changed", "A")], id="numbered now"),
        pytest.param(
            [(None, "A"), (None, "B")],
            [(None, "B"), (None, "C")],
            [("changed", "B"), ("added", "C"), ("removed", "A")],
            id="none numbered, one gone",
        ),
        pytest.param(
            [("1", "A"), ("1", "B")],
            [("1", "B"), ("1", "A")],
            [("changed", "B"), ("changed", "A")],
            id="doubled",
        ),
        pytest.param(
            [("1", "A"), ("1", "A")],
            [("1", "A"), ("1", "A"), ("1", "A")],
            [("changed", "A"), ("changed", "A"), ("added", "A")],
            id="doubled, and the products too",
        ),
        pytest.param(
            [(None, None)], [("", None)], [("changed", None)], id="nothing but a place"
        ),
    ],
)
def test_lines_are_found_again(old: Any, new: Any, expected: Any) -> None:
    """By number, then by product, then by place; different numbers are different lines."""
    before = lines_of(*((number, product, 5) for number, product in old))
    after = lines_of(*((number, product, 4) for number, product in new))

    assert kinds(before, after) == expected


LINES = st.lists(
    st.tuples(
        st.sampled_from(["1", "00001", "2", 3, None, "", " 2 ", "x", "²"]),
        st.sampled_from(["A", "B", None]),
        st.integers(-1, 2),
    ),
    max_size=5,
)


@given(LINES, LINES, st.sampled_from(list(KINDS)))
def test_no_line_is_lost(
    old: list[tuple[object, str | None, int]],
    new: list[tuple[object, str | None, int]],
    kind: type[Compared],
) -> None:
    """However lines are numbered, each is one of before, or added, or removed: just one."""
    before, after = lines_of(*old, kind=kind), lines_of(*new, kind=kind)
    found = [what for what, _ in kinds(before, after)]

    assert len(new) - len(old) == found.count("added") - found.count("removed")
    assert found.count("removed") <= len(old)
    assert kinds(before, before) == []


def test_cancelled_quantities_are_summed() -> None:
    """Amazon gives increments; where they are in several units there is no sum."""

    def status(*parts: tuple[int | None, str]) -> rp.OrderStatus:
        details = [
            {"cancelledQuantity": {"amount": amount, "unitOfMeasure": unit}}
            for amount, unit in parts
        ]
        ordered = {"orderedQuantityDetails": [*details, {"cancelledQuantity": None}, {}]}
        made = whole(rp.OrderStatus, {}, [{"orderedQuantity": ordered}])
        content = read(made, rp.OrderStatus)
        assert isinstance(content, rp.OrderStatus)
        return content

    one, two = status((2, "Eaches")), status((2, "Eaches"), (3, "EACHES"))
    name = "orderedQuantity.orderedQuantityDetails.cancelledQuantity.amount"

    [change] = differences(one, two).lines
    assert change.fields == (FieldChange(name, 2, 5),)
    [change] = differences(one, status((2, "Eaches"), (3, "Cases"))).lines
    assert change.fields[0] == FieldChange(name, 2, None)
    [change] = differences(one, status((2**63 - 1, "Eaches"), (1, "Eaches"))).lines
    assert change.fields == (FieldChange(name, 2, 2**63),)
    assert differences(status((None, "Eaches")), status((None, "Eaches"))) == NOTHING


def test_nothing_is_told_of_a_customer() -> None:
    """A new name, address or wish is no difference, and nothing that is told has one."""
    order = an_order("A1", NOON)
    moved = deepcopy(order)
    details: Any = moved["orderDetails"]
    details["shipToParty"] = {"name": "Another", "addressLine1": "Elsewhere 1"}
    details["billToParty"] = {"partyId": "Another Canaryname"}
    details["customerOrderNumber"] = "222"
    details["shipmentDetails"]["messageToCustomer"] = "Dear other"
    details["items"][0]["giftDetails"] = {"giftMessage": "Sad"}
    details["items"][0]["buyerCustomizedInfo"] = {"customizedUrl": "https://example.invalid"}
    said = differences(None, read(order, df.Order))
    text = msgspec.json.encode(said).decode()

    assert differences(read(order, df.Order), read(moved, df.Order)) == NOTHING
    assert not [canary for canary in CANARIES if canary in text]
    left = decode_document(redact(json.dumps(order).encode()), df.Order).content
    assert left is not None
    assert differences(None, left) == said


def test_odd_documents_are_compared() -> None:
    """Whatever the simulator has seen at Amazon is compared with whatever else."""
    made = Settings(orders=500, direct_fulfillment_orders=200, days=60)
    simulator = Simulator(made, now=lambda: NOON + timedelta(days=9))
    name = simulator.accounts[0].name
    documents: dict[type[Compared], dict[str, bytes]] = {
        rp.Order: simulator.truth(name),
        rp.OrderStatus: simulator.status_truth(name),
        df.Order: simulator.direct_fulfillment_truth(name),
    }
    for kind, raws in documents.items():
        contents = [decode_document(raw, kind).content for raw in raws.values()]
        for old, new in pairwise(contents):
            assert old is not None
            assert new is not None
            assert differences(old, old) == NOTHING
            assert differences(old, new) != NOTHING
            msgspec.json.encode(differences(None, new))

        assert len(contents) > 100


def test_amounts_beyond_sense_are_compared() -> None:
    """A number that no column holds is still a number, and told."""
    old, new = (
        read(whole(rp.Order, {}, [line("1", {"netCost.amount": amount})]), rp.Order)
        for amount in ("1E400", "1E+9999")
    )
    [change] = differences(old, new).lines

    assert [Decimal(one.new) for one in change.fields] == [Decimal("1E9999")]
