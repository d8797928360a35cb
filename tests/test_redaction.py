"""Redaction: nobody is left, and everything else is."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shop import an_order, canaries_in

from vendororders_async.models import direct_fulfillment
from vendororders_async.models.lenient import DEEPEST
from vendororders_async.pages import decode_document
from vendororders_async.redaction import redact

CANARY = "Zaphod Canaryname"
# Where the two models have a customer's details, with what is left of each place
PLACES = ("shipToParty", "billToParty", "giftDetails", "buyerCustomizedInfo")
ADDRESS = (
    *("name", "attention", "addressLine1", "addressLine2", "addressLine3", "city", "county"),
    *("district", "stateOrRegion", "postalCode", "countryCode", "phone"),
)
TAX = ("taxRegistrationType", "taxRegistrationNumber", "taxRegistrationMessages")
MONEY = dict.fromkeys(("currencyCode", "amount", "unitOfMeasure"))
TAXES = {
    "taxLineItem": [{"taxRate": None, "taxAmount": MONEY, "taxableAmount": MONEY, "type": None}]
}
OURS = {
    "partyId": None,
    "address": dict.fromkeys(ADDRESS),
    "taxInfo": {**dict.fromkeys(TAX), "taxRegistrationAddress": dict.fromkeys(ADDRESS)},
}
# The business of an order, written down from Amazon's models; None stands for a value
MODEL = {
    "purchaseOrderNumber": None,
    "orderDetails": {
        **dict.fromkeys(("customerOrderNumber", "orderDate", "orderStatus")),
        "shipmentDetails": {
            **dict.fromkeys(("isPriorityShipment", "isScheduledDeliveryShipment")),
            **dict.fromkeys(("isPslipRequired", "isGift", "shipMethod")),
            "shipmentDates": dict.fromkeys(("requiredShipDate", "promisedDeliveryDate")),
        },
        "taxTotal": TAXES,
        "sellingParty": OURS,
        "shipFromParty": OURS,
        "hasCustomizableItems": None,
        "items": [
            {
                **dict.fromkeys(("itemSequenceNumber", "buyerProductIdentifier", "title")),
                "vendorProductIdentifier": None,
                "orderedQuantity": dict.fromkeys(("amount", "unitOfMeasure", "unitSize")),
                "scheduledDeliveryShipment": dict.fromkeys(
                    (
                        "scheduledDeliveryServiceType",
                        "earliestNominatedDeliveryDate",
                        "latestNominatedDeliveryDate",
                    )
                ),
                "giftDetails": {"giftWrapId": None},
                "netPrice": MONEY,
                "taxDetails": TAXES,
                "totalPrice": MONEY,
            }
        ],
    },
}
# What only a customer can be called by, and what is in no model; neither has a place above
ASTRAY = (
    *("giftMessage", "messageToCustomer", "customizedUrl", "buyerCustomizedInfo", "email"),
    *("buyerEmail", "recipientName", "shippingAddress", "phoneNumber", "customerInfo"),
    *("something new", "ä\n", "SHIPTOPARTY", "ship_to_party", "payload", "deliverTo"),
)

# Numbers as they are written, texts with everything in them
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.decimals(allow_nan=False, allow_infinity=False, places=3),
    st.text(st.characters(exclude_categories=["Cs"])),
)
# Also what makes the whole no JSON: half an emoji, and a number that is none
CUSTOMERS = st.recursive(
    st.sampled_from((CANARY, f"{CANARY} \ud83d", Decimal("NaN"))),
    lambda below: (
        st.lists(below, min_size=1, max_size=2)
        | st.dictionaries(
            st.sampled_from((*ASTRAY, *ADDRESS, "partyId")), below, min_size=1, max_size=2
        )
    ),
    max_leaves=4,
)


def written(value: object) -> bytes:
    """Return *value* as JSON in which a decimal keeps its digits."""
    match value:
        case dict():
            pairs = (b"%s : %s" % (written(k), written(v)) for k, v in value.items())
            return b"{ %s }" % b" , ".join(pairs)
        case list():
            return b"[%s]" % b",\n".join(map(written, value))
        case Decimal():
            return str(value).encode()
        case _:
            return json.dumps(value).encode()


def read(raw: bytes) -> Any:
    """Return what *raw* says, numbers as their very digits."""
    return json.loads(raw, parse_float=str, parse_int=str)


@st.composite
def planted(draw: st.DrawFn, shape: Any = MODEL) -> tuple[Any, Any]:
    """Return what has *shape* with customers planted all over, and the same without them."""
    if shape is None:
        value = draw(SCALARS)
        return value, value
    if isinstance(shape, list):
        rows = draw(st.lists(planted(shape[0]), max_size=2))
        return [whole for whole, _ in rows], [rest for _, rest in rows]
    whole: dict[str, Any] = {}
    rest: dict[str, Any] = {}
    for name in draw(st.lists(st.sampled_from(sorted(shape)), unique=True)):
        whole[name], rest[name] = draw(planted(shape[name]))
    for name in draw(st.lists(st.sampled_from(ASTRAY), unique=True, max_size=3)):
        whole[name] = draw(CUSTOMERS)
    if "sellingParty" in shape and draw(st.booleans()):
        whole["shipToParty"] = {"countryCode": "DE", "name": CANARY, "new": draw(CUSTOMERS)}
        whole["billToParty"] = {"partyId": "P", "address": draw(CUSTOMERS), "x": [CANARY]}
        rest |= {"shipToParty": {"countryCode": "DE"}, "billToParty": {"partyId": "P"}}
    return whole, rest


@given(planted())
def test_customers_go_and_everything_else_stays(both: tuple[Any, Any]) -> None:
    """Wherever they are put and whatever they are; the models' fields and digits stay."""
    whole, rest = both
    redacted = redact(written(whole))

    assert read(redacted) == read(written(rest))
    assert canaries_in(redacted) == set()
    assert redact(redacted) == redacted


@given(st.binary(), st.sampled_from(PLACES), st.binary(max_size=30))
def test_nothing_makes_it_fail(before: bytes, place: str, inside: bytes) -> None:
    """Any bytes come to something that is JSON, or was as broken before."""
    for raw in (before, b'{"%s": %s}' % (place.encode(), inside)):
        redacted = redact(raw)

        assert redact(redacted) == redacted
        assert redacted.startswith(b"{")


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"null",
        b'"Zaphod Canaryname"',
        b'["Zaphod Canaryname"]',
        b'{"name": "Zaphod Canaryname"',
        b'{"purchaseOrderNumber": "P1", "orderDetails": {"Zaphod Canaryname", "n": NaN}}',
        b'{"purchaseOrderNumber": "P1", "orderDetails": {"orderDate": "1" "Canary", "n": NaN}}',
        b'{"purchaseOrderNumber": "P1", "orderDetails": {"items": ["Canary"}]}',
        b'{"title": "Zaphod Canaryname"} x',
        b"[" * 10_000,
        b'{"x":' * (DEEPEST + 1) + b'"Zaphod Canaryname"' + b"}" * (DEEPEST + 1),
        b'\xef\xbb\xbf{"title": "Zaphod Canaryname"}',
        b'{"purchaseOrderNumber": "P1 Zaphod Canaryname", "n": NaN',
    ],
)
def test_of_what_is_no_object_only_the_number_is_left(raw: bytes) -> None:
    """Nothing in it can be told apart; it never passes for an order afterwards."""
    redacted = redact(raw)

    expected = b"P1" if b'"P1"' in raw else b"all of it"
    assert redacted == b'{"redacted":"%s"}' % expected
    assert decode_document(redacted, direct_fulfillment.Order).content is None


@pytest.mark.parametrize(
    ("raw", "left"),
    [
        (b'"shipToParty": "Zaphod"', b'"shipToParty":null'),
        (b'"shipToParty": [{"countryCode": "DE"}]', b'"shipToParty":null'),
        (b'"shipToParty": {"countryCode": "Zaphod"}', b'"shipToParty":{}'),
        (b'"shipToParty": {"countryCode": ["Z"]}', b'"shipToParty":{}'),
        (b'"billToParty": {"partyId": {"name": "Zaphod"}}', b'"billToParty":{}'),
        (b'"billToParty": {"partyId": "Zaphod Canary"}', b'"billToParty":{}'),
        (b'"billToParty": {"partyId": "Zaphod-Canary-Road-42"}', b'"billToParty":{}'),
        (b'"billToParty": {"partyId": "ZAPHOD-CORPORATION-1"}', None),
        (b'"sellingParty": {"address": "Zaphod"}', b'"sellingParty":{"address":null}'),
        (b'"sellingParty": {"taxInfo": ["Z"]}', b'"sellingParty":{"taxInfo":null}'),
        (b'"sellingParty": {"contact": "Z"}', b'"sellingParty":{}'),
        (b'"shipmentDetails": "Zaphod"', b'"shipmentDetails":null'),
        (
            b'"shipmentDetails": {"isGift": true, "note": "Z"}',
            b'"shipmentDetails":{"isGift":true}',
        ),
        (b'"items": [{"giftDetails": "Z"}]', b'"items":[{"giftDetails":null}]'),
        (b'"items": [{"giftDetails": {"to": "Z"}}]', b'"items":[{"giftDetails":{}}]'),
        (b'"items": [{"buyerCustomizedInfo": "Z"}]', b'"items":[{}]'),
        (b'"items": "Zaphod"', b'"items":""'),
        (b'"orderDate": {"name": "Zaphod"}', b'"orderDate":{}'),
        (b'"name": "Z", "orderDate": 1, "orderDate": 2', b'"orderDate":2'),
        (b'"\\u006eame": "Z", "orderDat\\u0065": "\\u0041"', b'"orderDate":"\\u0041"'),
        (b'"giftMessage": "\xff", "orderDate": "\xff"', b'"orderDate":"\xff"'),
        (b'"orderDate": 1, "\xff": "Zaphod"', b'"orderDate":1'),
        (b'"orderDate": 1.10, "orderStatus": -0.0', b'"orderDate":1.10,"orderStatus":-0.0'),
        (b'"orderDate": "\\ud83d ,]"', b'"orderDate":"\\ud83d ,]"'),
        (
            b'"orderDate": NaN, "shipToParty": {"a": [{}, "}"]}',
            b'"orderDate":NaN,"shipToParty":{}',
        ),
        (
            b'"shipToParty": {"countryCode": "DE", "n": "\\ud83d"}',
            b'"shipToParty":{"countryCode":"DE"}',
        ),
    ],
    ids=str,
)
def test_odd_places(raw: bytes, left: bytes | None) -> None:
    """What is in a customer's place and is no customer of the model's goes all the same."""
    if left is None:
        left = raw.replace(b": ", b":")

    assert redact(b'{ "orderDetails": {%s} }' % raw) == b'{"orderDetails":{%s}}' % left


def test_an_order_with_a_place_of_no_object_has_no_details() -> None:
    """Nor has the order anything beside its number and them."""
    raw = b'{"purchaseOrderNumber": "P1", "orderDetails": "Zaphod", "buyer": "Zaphod"}'

    assert redact(raw) == b'{"purchaseOrderNumber":"P1","orderDetails":null}'


def test_half_an_emoji_of_the_customers_does_not_cost_the_order() -> None:
    """It goes with him, and the order decodes; one in a title stays, and does not."""
    order = an_order("P1", datetime(2026, 6, 1, tzinfo=UTC))
    raw = json.dumps(order).encode()
    mended, broken = (
        redact(raw.replace(b'"%s": "' % name, b'"%s": "\\ud83d' % name))
        for name in (b"phone", b"title")
    )

    assert mended == redact(raw)
    assert decode_document(mended, direct_fulfillment.Order).content is not None
    assert broken == redact(raw).replace(b'"title":"', b'"title":"\\ud83d')
    assert decode_document(broken, direct_fulfillment.Order).content is None
    assert canaries_in(broken) == set()


def test_an_order_of_the_models_keeps_its_business() -> None:
    """All that the models have is there, but for the customer's fields."""
    raw = json.dumps(an_order("P1", datetime(2026, 6, 1, tzinfo=UTC))).encode()
    left = json.loads(redact(raw))
    details, whole = left["orderDetails"], json.loads(raw)["orderDetails"]

    assert canaries_in(redact(raw)) == set()
    assert details.keys() == whole.keys()
    for name in ("sellingParty", "shipFromParty", "customerOrderNumber", "orderDate"):
        assert details[name] == whole[name]
    assert details["shipToParty"] == {"countryCode": "DE"}
    assert details["billToParty"] == {"partyId": "PAYER"}
    assert whole["shipmentDetails"].keys() - details["shipmentDetails"] == {"messageToCustomer"}
    [item], [its_whole] = details["items"], whole["items"]
    assert item["giftDetails"] == {"giftWrapId": "1"}
    assert its_whole.keys() - item.keys() == {"buyerCustomizedInfo"}
