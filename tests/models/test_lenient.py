"""Lenience: what Amazon really sends is read, and nothing is guessed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
import msgspec.inspect
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sample_files import sample

from vendororders_async.clock import parse_instant
from vendororders_async.models import direct_fulfillment
from vendororders_async.models.common import (
    Address,
    DateTimeInterval,
    ItemQuantity,
    Money,
    PartyIdentification,
    Wire,
)
from vendororders_async.models.lenient import (
    DEEPEST,
    LenientDecoder,
    Undecodable,
    decoder_of,
    too_deep,
)
from vendororders_async.models.retail_procurement import (
    Order,
    OrderDetails,
    OrderItem,
    OrderStatus,
)
from vendororders_async.operations import DIRECT_FULFILLMENT
from vendororders_async.pages import decode_document, decode_page

GOOD: Any = json.loads(sample("getPurchaseOrders", "200.json"))["payload"]["orders"][0]
GOOD_CUSTOMER_ORDER: Any = json.loads(sample("getOrders-v1", "200.json"))["payload"]["orders"][
    0
]
GOOD_STATUS: Any = json.loads(sample("getPurchaseOrdersStatus", "200.json"))["payload"][
    "ordersStatus"
][0]


def details(**values: object) -> OrderDetails:
    """Decode an order whose details are *values*."""
    body = {"purchaseOrderNumber": "5ABC1233", "orderDetails": values}
    order = decoder_of(Order).decode(json.dumps(body).encode())

    assert order.order_details is not None
    return order.order_details


def amount(written: bytes) -> Decimal | None:
    """Decode an amount of money as it is written on the wire."""
    return decoder_of(Money).decode(b'{"amount": %s}' % written).amount


@pytest.mark.parametrize(
    "written",
    [
        "1.10",
        "0",
        "-3",
        "346.27",
        "12345678901234567890.123456789",
        "0.1000000000000000055511151231257827",
        "1E+2",
        "1e-7",
        "99999999999999999999999999",
    ],
)
@pytest.mark.parametrize("quote", ["", '"'], ids=["number", "text"])
def test_amounts_are_exact(written: str, quote: str) -> None:
    """Neither a float nor a rounding comes between the wire and the Decimal."""
    read = amount(f"{quote}{written}{quote}".encode())

    assert str(read) == str(Decimal(written))


@given(
    st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**12), max_value=10**12)
)
def test_every_decimal_survives_as_text_and_as_a_number(value: Decimal) -> None:
    """Trailing zeros included, whichever way Amazon writes it."""
    text = format(value, "f")

    assert str(amount(f'"{text}"'.encode())) == str(Decimal(text))
    assert str(amount(text.encode())) == str(Decimal(text))


def test_an_amount_is_exact_on_the_patient_way_too() -> None:
    """A neighbour that needs mending does not turn 1.10 into 1.1."""
    line = decoder_of(OrderItem).decode(
        b'{"netCost": {"amount": 1.10}, "orderedQuantity": {"amount": "5"}}'
    )

    assert line.net_cost is not None
    assert line.ordered_quantity is not None
    assert str(line.net_cost.amount) == "1.10"
    assert line.ordered_quantity.amount == 5


@pytest.mark.parametrize(
    "written",
    [
        b'"NaN"',
        b'"sNaN"',
        b'"Infinity"',
        b'"-inf"',
        b"NaN",
        b"Infinity",
        b"true",
        b'"ten"',
        b"[]",
    ],
)
def test_what_is_no_amount_is_refused(written: bytes) -> None:
    """A sum over such a value would be nonsense, so the order is set aside."""
    with pytest.raises(Undecodable):
        amount(written)


@pytest.mark.parametrize("written", [b"1e999999999999999999999", b'"1e999999999999999999999"'])
def test_a_number_beyond_all_decimals_is_refused_like_any_other(written: bytes) -> None:
    """Decimal itself gives up on such an exponent; that must not end a run."""
    with pytest.raises(Undecodable):
        amount(written)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("5", 5),
        ('"5"', 5),
        ('"-3"', -3),
        ("5.0", 5),
        ('" 7 "', 7),
        ('""', None),
        ("null", None),
        ('"0"', 0),
    ],
)
def test_counts_are_read_from_text_too(written: str, read: int | None) -> None:
    """The guide shows ``"unitSize":"5"``."""
    quantity = decoder_of(ItemQuantity).decode(f'{{"amount": {written}}}'.encode())

    assert quantity.amount == read


@pytest.mark.parametrize(
    "written", ["5.5", '"5.5"', '"five"', "true", "[]", '"NaN"', '"Infinity"', "1e30"]
)
def test_what_is_no_count_is_refused(written: str) -> None:
    """A count is never rounded."""
    with pytest.raises(Undecodable):
        decoder_of(ItemQuantity).decode(f'{{"amount": {written}}}'.encode())


@pytest.mark.parametrize(
    "written", ["9223372036854775808", '"9999999999999999999"', "1" + "0" * 40]
)
def test_a_count_that_no_database_holds_is_refused(written: str) -> None:
    """A sink keeps 64 bits; an order beyond them is set aside, not the whole run."""
    with pytest.raises(Undecodable):
        decoder_of(ItemQuantity).decode(f'{{"amount": {written}}}'.encode())


@pytest.mark.parametrize(
    ("written", "meaning"),
    [
        ("2019-08-20T14:00:00", datetime(2019, 8, 20, 14, tzinfo=UTC)),
        ("2019-08-20", datetime(2019, 8, 20, tzinfo=UTC)),
        ("2019-08-20T14:00:00-08:00", datetime(2019, 8, 20, 22, tzinfo=UTC)),
        ("2019-08-20T14:00:00.308Z", datetime(2019, 8, 20, 14, 0, 0, 308_000, tzinfo=UTC)),
        (" 2019-08-20T14:00:00Z ", datetime(2019, 8, 20, 14, tzinfo=UTC)),
    ],
)
def test_instants_are_read_in_every_spelling(written: str, meaning: datetime) -> None:
    """No zone is UTC, a date alone is midnight, offsets and fractions count."""
    read = details(purchaseOrderDate=written).purchase_order_date

    assert read is not None
    assert read == meaning
    assert read.tzinfo is not None


@given(st.booleans(), st.sampled_from(["", ".5", ".123456", ".1234567"]), st.text())
def test_a_missing_zone_is_the_only_thing_put_in(
    is_odd: bool,
    fraction: str,
    text: str,
) -> None:
    """Without its zone an order reads as with it, whatever else is odd or looks like it."""
    moment = f"2019-08-20T14:00:00{fraction}"
    looks_like_it = json.dumps({"aDate": moment}) + text
    more: dict[str, object] = {"dealCode": looks_like_it, "paymentMethod": moment}
    if is_odd:
        more["items"] = [{"orderedQuantity": {"amount": "5"}}]

    read = details(purchaseOrderDate=moment, **more)

    assert (read.deal_code, read.payment_method) == (looks_like_it, moment)
    assert read.purchase_order_date == parse_instant(moment)


@pytest.mark.parametrize(
    "struct", Wire.__subclasses__(), ids=lambda one: f"{one.__module__}.{one.__name__}"
)
def test_a_field_is_an_instant_if_its_name_ends_in_date(struct: type[Wire]) -> None:
    """A zone is put in by the name, so that the name must tell."""
    info = msgspec.inspect.type_info(struct)
    assert isinstance(info, msgspec.inspect.StructType)

    for field in info.fields:
        kinds = field.type.types if isinstance(field.type, msgspec.inspect.UnionType) else ()
        is_instant = any(
            isinstance(kind, msgspec.inspect.DateTimeType) for kind in (field.type, *kinds)
        )
        assert is_instant == field.encode_name.endswith("Date"), field.name


@pytest.mark.parametrize("written", ["2019-09-2100:00:00", "yesterday", 1566309600, True, []])
def test_what_is_no_instant_is_refused(written: object) -> None:
    """A broken date sets the order aside instead of becoming some other date."""
    with pytest.raises(Undecodable):
        details(purchaseOrderDate=written)


def test_an_empty_instant_is_absent() -> None:
    """An empty text says nothing."""
    assert details(purchaseOrderDate="").purchase_order_date is None


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        (
            "2007-03-01T13:00:00Z--2007-03-11T15:30:00Z",
            datetime(2007, 3, 1, 13, tzinfo=UTC),
            datetime(2007, 3, 11, 15, 30, tzinfo=UTC),
        ),
        (
            "2007-03-01--2007-03-01",
            datetime(2007, 3, 1, tzinfo=UTC),
            datetime(2007, 3, 1, tzinfo=UTC),
        ),
        (
            "2007-03-01T13:00:00-08:00--2007-03-11T15:30:00",
            datetime(2007, 3, 1, 21, tzinfo=UTC),
            datetime(2007, 3, 11, 15, 30, tzinfo=UTC),
        ),
        ("soon--2007-03-01", None, datetime(2007, 3, 1, tzinfo=UTC)),
        ("2007-03-01", None, None),
        ("a--b--c", None, None),
        ("", None, None),
    ],
)
def test_an_interval_is_two_instants_and_its_text(
    text: str, start: datetime | None, end: datetime | None
) -> None:
    """The text stays as it came, and what cannot be read in it is None."""
    interval = details(shipWindow=text).ship_window

    assert interval == text
    assert isinstance(interval, DateTimeInterval)
    assert interval.start == start
    assert interval.end == end


def test_an_unknown_value_is_kept() -> None:
    """What Amazon adds to an enumeration tomorrow is not lost today."""
    order = decoder_of(Order).decode(
        b'{"purchaseOrderNumber": "A", "purchaseOrderState": "Paused", '
        b'"orderDetails": {"purchaseOrderType": "Subscription"}}'
    )

    assert order.purchase_order_state == "Paused"
    assert order.order_details is not None
    assert order.order_details.purchase_order_type == "Subscription"


def test_unknown_fields_are_ignored() -> None:
    """What Amazon adds to a schema tomorrow does not break us today."""
    order = decoder_of(Order).decode(b'{"purchaseOrderNumber": "A", "news": {"deep": [1, {}]}}')

    assert order == Order(purchase_order_number="A")


@pytest.mark.parametrize(
    "written",
    [
        b"{}",
        b'{"purchaseOrderNumber": null}',
        b'{"purchaseOrderNumber": ""}',
        b"[]",
        b"null",
        b'"A"',
        b"1",
        b"",
    ],
)
def test_an_order_without_a_number_is_no_order(written: bytes) -> None:
    """What identifies a thing must say something."""
    with pytest.raises(Undecodable):
        decoder_of(Order).decode(written)


def test_missing_required_fields_are_tolerated() -> None:
    """The sandbox itself omits the state and the date of its change."""
    assert details() == OrderDetails()
    assert decoder_of(OrderItem).decode(b"{}") == OrderItem()


@pytest.mark.parametrize("written", [b"null", b"[]"])
def test_a_null_list_is_an_empty_one(written: bytes) -> None:
    """Null stands for nothing, also where a list belongs."""
    read = decoder_of(OrderDetails).decode(b'{"items": %s, "dealCode": null}' % written)

    assert read == OrderDetails(items=[])


def test_numbers_are_read_where_texts_belong() -> None:
    """A product identifier was seen as a bare number."""
    line = decoder_of(OrderItem).decode(
        b'{"vendorProductIdentifier": 8806098286500, "itemSequenceNumber": 1,'
        b' "isBackOrderAllowed": "TRUE"}'
    )

    assert line.vendor_product_identifier == "8806098286500"
    assert line.item_sequence_number == "1"
    assert line.is_back_order_allowed is True


def test_a_number_with_zeros_keeps_them_as_text() -> None:
    """1.50 in a text's place is not 1.5."""
    read = decoder_of(PartyIdentification).decode(b'{"partyId": 1.50}')

    assert read.party_id == "1.50"


@pytest.mark.parametrize("written", [b'"maybe"', b"1", b"[]"])
def test_what_is_no_boolean_is_refused(written: bytes) -> None:
    """Only true and false are, written either way."""
    with pytest.raises(Undecodable):
        decoder_of(OrderItem).decode(b'{"isBackOrderAllowed": %s}' % written)


def test_a_reason_says_where_and_not_what() -> None:
    """Reasons go to logs, and the data they are about must not."""
    with pytest.raises(Undecodable) as caught:
        decoder_of(OrderItem).decode(b'{"orderedQuantity": {"amount": "Koalastr. 1"}}')

    assert "$.orderedQuantity.amount" in str(caught.value)
    assert "Koala" not in str(caught.value)


def test_unicode_arrives_unharmed() -> None:
    """Names are in all alphabets, escaped or not."""
    written = '{"name": "Łódź \\u00e9\\ud83d\\ude00 日本"}'

    assert decoder_of(Address).decode(written.encode()).name == "Łódź é😀 日本"


@pytest.mark.parametrize(
    ("raw", "deep"),
    [
        (b"[" * DEEPEST + b"]" * DEEPEST, False),
        (b"[" * (DEEPEST + 1) + b"]" * (DEEPEST + 1), True),
        (b'"' + b"[" * 500 + b'"', False),
        (b'"\\"' + b"[" * 500 + b'"', False),
        (b'{"a":[]}' * 500, False),
        (b'[{"a":' * 75 + b"}]" * 75, True),
        (b'[{"a":' * (DEEPEST // 2) + b"}]" * (DEEPEST // 2), False),
        (b"[" * 200_000, True),
    ],
)
def test_depth_is_counted_outside_of_texts(raw: bytes, deep: bool) -> None:
    """Brackets inside texts, and neighbours, are no depth."""
    assert too_deep(raw) is deep


@given(
    st.lists(st.text('[]{}"\\,a', max_size=6), max_size=20),
    st.sampled_from([2, DEEPEST - 1, DEEPEST, DEEPEST + 40, 2 * DEEPEST]),
    st.booleans(),
)
def test_no_text_hides_or_feigns_depth(texts: list[str], depth: int, objects: bool) -> None:
    """Whatever quotes, escapes and brackets the texts hold, the depth is the document's."""
    nested = ('{"a":' * depth + "1" + "}" * depth) if objects else "[" * depth + "]" * depth
    words = "[" + ",".join(map(json.dumps, texts)) + "]"
    many = "[]," * DEEPEST  # so that counting the brackets is not enough

    assert too_deep(f"[{many}{words},{nested},{words}]".encode()) is (depth + 1 > DEEPEST)


def test_a_bottomless_order_is_set_aside() -> None:
    """Nesting that would exhaust the stack costs its own order only."""
    bottomless = b'{"purchaseOrderNumber": "A", "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    page = decode_page(
        b'{"payload": {"orders": [%s, {"purchaseOrderNumber": "B"}]}}' % bottomless, Order
    )

    assert page.documents[0].content is None
    assert page.documents[0].reason == "nested too deeply"
    assert page.documents[1].content == Order(purchase_order_number="B")


def test_each_type_has_one_decoder() -> None:
    """Making one reads the whole schema, so it is kept."""
    assert decoder_of(Order) is decoder_of(Order)
    assert isinstance(decoder_of(Order), LenientDecoder)


# --- mutations of a good order --------------------------------------------------------------

JSON_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(
        [
            "",
            "NaN",
            "Infinity",
            "1_0",
            "-",
            "1e999999999999999999",
            "true",
            "--",
            "2019-09-2100:00:00",
        ]
    ),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=5,
)


def places(tree: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every value in *tree*."""
    if path:
        yield path
    items: Any = tree.items() if isinstance(tree, dict) else ()
    if isinstance(tree, list):
        items = enumerate(tree)
    for key, value in items:
        yield from places(value, (*path, key))


def mutated(tree: Any, path: tuple[Any, ...], value: object) -> Any:
    """Return a copy of *tree* with *value* at *path*."""
    copy = json.loads(json.dumps(tree))
    inside = copy
    for key in path[:-1]:
        inside = inside[key]
    inside[path[-1]] = value
    return copy


@given(st.sampled_from(list(places(GOOD))), JSON_VALUES)
def test_a_mutated_order_is_content_or_a_reason(path: tuple[Any, ...], value: object) -> None:
    """Whatever stands in a field's place, decoding never raises."""
    raw = json.dumps(mutated(GOOD, path, value)).encode()
    document = decode_document(raw, Order)

    assert (document.content is None) != (document.reason is None)
    assert document.raw == raw


@given(st.sampled_from(list(places(GOOD_STATUS))), JSON_VALUES)
def test_a_mutated_status_is_content_or_a_reason(path: tuple[Any, ...], value: object) -> None:
    """The same for the other stream."""
    document = decode_document(
        json.dumps(mutated(GOOD_STATUS, path, value)).encode(), OrderStatus
    )

    assert (document.content is None) != (document.reason is None)


@given(st.sampled_from(list(places(GOOD_CUSTOMER_ORDER))), JSON_VALUES)
def test_a_mutated_customer_order_is_content_or_a_reason(
    path: tuple[Any, ...], value: object
) -> None:
    """The same for Direct Fulfillment; and no reason tells who the customer is."""
    document = decode_document(
        json.dumps(mutated(GOOD_CUSTOMER_ORDER, path, value)).encode(),
        direct_fulfillment.Order,
    )

    assert (document.content is None) != (document.reason is None)
    assert "Canary" not in (document.reason or "")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("orderDetails", "shipToParty"), "Canary, Kanarienweg 1"),
        (("orderDetails", "shipToParty", "name"), ["Canary"]),
        (("orderDetails", "taxTotal"), "Canary"),
        (("orderDetails", "taxTotal"), [{"type": "TOTAL"}]),
        (("orderDetails", "items", 0, "taxDetails", "taxLineItem"), {"type": "Canary"}),
        (("orderDetails", "items", 0, "orderedQuantity", "amount"), "Canary"),
        (("orderDetails", "orderDate"), "Canary"),
        (("orderDetails", "billToParty", "address"), "Canary"),
    ],
    ids=str,
)
def test_another_kind_in_a_fields_place_sets_the_order_aside(
    path: tuple[Any, ...], value: object
) -> None:
    """Nothing is guessed, and the reason says where, not whom."""
    raw = json.dumps(mutated(GOOD_CUSTOMER_ORDER, path, value)).encode()
    document = decode_document(raw, direct_fulfillment.Order)

    assert document.content is None
    assert f"$.{path[0]}.{path[1]}" in (document.reason or "")
    assert "Canary" not in (document.reason or "")


def test_customer_orders_are_read_as_leniently_as_others() -> None:
    """Numbers for texts, texts for numbers, no zone, null, missing and unknown fields."""
    order = decoder_of(direct_fulfillment.Order).decode(
        b'{"purchaseOrderNumber": 8806098286500, "orderDetails": {'
        b' "orderDate": "2026-01-01T14:00:00", "orderStatus": "ON_HOLD", "shipToParty": null,'
        b' "shipmentDetails": {"isGift": "true", "shipmentDates": {}}, "news": [1],'
        b' "taxTotal": {"taxLineItem": null}, "items": [{"vendorProductIdentifier": 1.50,'
        b' "orderedQuantity": {"amount": "2", "unitOfMeasure": "EACH"},'
        b' "taxDetails": {"taxLineItem": [{"type": "MwSt.", "taxRate": 0.190}, {"type": "?"}]},'
        b' "netPrice": {"amount": 1.10}}]}}'
    )
    found = order.order_details

    assert order.purchase_order_number == "8806098286500"
    assert found is not None
    assert found.order_date == datetime(2026, 1, 1, 14, tzinfo=UTC)
    assert (found.order_status, found.ship_to_party) == ("ON_HOLD", None)
    assert found.shipment_details is not None
    assert found.shipment_details.is_gift is True
    assert found.tax_total == direct_fulfillment.TaxItemDetails()
    [line] = found.items
    assert line.vendor_product_identifier == "1.50"
    assert line.ordered_quantity == ItemQuantity(amount=2, unit_of_measure="EACH")
    assert line.net_price == Money(amount=Decimal("1.10"))
    assert line.tax_details is not None
    first, second = line.tax_details.tax_line_item
    assert (first.type, str(first.tax_rate)) == (direct_fulfillment.TaxType.MWST, "0.190")
    assert second.type == "?"


@pytest.mark.parametrize("version", DIRECT_FULFILLMENT)
def test_one_bad_customer_order_costs_only_itself(version: str) -> None:
    """In an envelope or without, also where the page is not even JSON."""
    rows = b'{"orders": [{"purchaseOrderNumber": "A"}, {"purchaseOrderNumber": NaN}]}'
    body = b'{"payload": %s}' % rows if version == "v1" else rows
    page = DIRECT_FULFILLMENT[version].get_orders.decode(body)

    assert [one.content is None for one in page.documents] == [False, True]
    assert page.documents[1].raw == b'{"purchaseOrderNumber": NaN}'


@given(st.sampled_from(list(places(GOOD))), JSON_VALUES)
def test_a_bad_order_never_costs_its_neighbours(path: tuple[Any, ...], value: object) -> None:
    """A page keeps all its rows, in order, whatever one of them holds."""
    bad = json.dumps(mutated(GOOD, path, value))
    page = decode_page(
        b'{"payload": {"orders": [{"purchaseOrderNumber": "A"}, %s,'
        b' {"purchaseOrderNumber": "B"}], "pagination": {"nextToken": "t"}}}' % bad.encode(),
        Order,
    )

    assert len(page.documents) == 3
    assert page.documents[0].content == Order(purchase_order_number="A")
    assert json.loads(page.documents[1].raw.decode()) is not None
    assert page.documents[2].content == Order(purchase_order_number="B")
    assert page.next_token == "t"


@given(st.binary(max_size=200))
@example(b'{"purchaseOrderNumber": "\xff"}')
@example(b'{"purchaseOrderNumber": "A", "x": "\xff"}')
@example(b'{"purchaseOrderNumber": "\\ud800"}')
@example(
    b'{"purchaseOrderNumber": "A", "orderDetails":'
    b' {"items": [{"netCost": {"amount": 1e9999999999999999999}}]}}'
)
def test_any_bytes_are_content_or_a_reason(raw: bytes) -> None:
    """Not even bytes that are no JSON at all raise."""
    document = decode_document(raw, Order)

    assert (document.content is None) != (document.reason is None)
    assert document.raw == raw


@given(st.data())
def test_flipped_bytes_are_content_or_a_reason(data: st.DataObject) -> None:
    """Bytes broken on their way are no crash either."""
    raw = bytearray(json.dumps(GOOD).encode())
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    document = decode_document(bytes(raw), Order)

    assert (document.content is None) != (document.reason is None)
