"""Validation: each thing that is wrong is found, at its place, and nothing else is."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from acknowledging import (
    NOW,
    PLACED,
    after,
    customers_order,
    item,
    order,
    orders,
    stands,
    status,
)
from hypothesis import given
from hypothesis import strategies as st

from vendororders_async.acknowledgements import (
    accept_all,
    accept_order,
    accepted,
    answer,
    backordered,
    problems_of,
    rejected,
)
from vendororders_async.errors import InvalidArgument, Problem
from vendororders_async.models import direct_fulfillment as df
from vendororders_async.models import retail_procurement as rp

Change = Callable[[Any], object]

SHORT = "TemporarilyUnavailable"
ONE = "items[0]"
PART = "items[0].itemAcknowledgements[0]"
COUNT = f"{PART}.acknowledgedQuantity"
SOON, LATER = "2026-06-20T00:00:00Z", "2026-06-30T00:00:00Z"


def changed(made: object, change: Change) -> Any:
    """Return *made* with *change* made to it as plain data."""
    plain = msgspec.to_builtins(made)
    change(plain)
    return msgspec.convert(plain, type(made))


def line(plain: Any) -> Any:
    """Return the first line of a plain retail acknowledgement."""
    return plain["items"][0]


def part(plain: Any) -> Any:
    """Return the first part of the first line."""
    return line(plain)["itemAcknowledgements"][0]


def count(plain: Any) -> Any:
    """Return the quantity of the first part of the first line."""
    return part(plain)["acknowledgedQuantity"]


def at(path: str, problems: tuple[Problem, ...]) -> list[str]:
    """Return the messages of the problems at *path*."""
    return [problem.message for problem in problems if problem.path == path]


def other_unit(quantity: Any) -> str:
    """Return the unit that *quantity* is not in."""
    return "Eaches" if quantity["unitOfMeasure"] == "Cases" else "Cases"


# Everything that one slip can spoil in a good retail acknowledgement, and where.
WITHOUT_ORDER: dict[str, tuple[Change, str]] = {
    "blank in number": (lambda d: d.update(purchaseOrderNumber=" 1A"), "purchaseOrderNumber"),
    "no party": (lambda d: d["sellingParty"].clear(), "sellingParty.partyId"),
    "half an address": (
        lambda d: d["sellingParty"].update(address={"name": "N", "countryCode": "DE"}),
        "sellingParty.address.addressLine1",
    ),
    "long country": (
        lambda d: d["sellingParty"].update(
            address={"name": "N", "addressLine1": "A", "countryCode": "DEU"}
        ),
        "sellingParty.address.countryCode",
    ),
    "half a tax number": (
        lambda d: d["sellingParty"].update(taxInfo={"taxRegistrationType": "VAT"}),
        "sellingParty.taxInfo.taxRegistrationNumber",
    ),
    "no tax type": (
        lambda d: d["sellingParty"].update(taxInfo={"taxRegistrationNumber": "1"}),
        "sellingParty.taxInfo.taxRegistrationType",
    ),
    "wrong tax type": (
        lambda d: d["sellingParty"].update(
            taxInfo={"taxRegistrationNumber": "1", "taxRegistrationType": "vat"}
        ),
        "sellingParty.taxInfo.taxRegistrationType",
    ),
    "dated ahead": (
        lambda d: d.update(acknowledgementDate="2026-06-10T13:06:00Z"),
        "acknowledgementDate",
    ),
    "no lines": (lambda d: d["items"].clear(), "items"),
    "unnamed line": (
        lambda d: [
            line(d).pop(key) for key in list(line(d)) if "dentifier" in key or "Num" in key
        ],
        ONE,
    ),
    "line twice": (lambda d: d["items"].insert(1, line(d)), "items[1]"),
    "no ordered amount": (
        lambda d: line(d)["orderedQuantity"].pop("amount"),
        f"{ONE}.orderedQuantity.amount",
    ),
    "unit in capitals": (
        lambda d: line(d)["orderedQuantity"].update(unitOfMeasure="EACHES"),
        f"{ONE}.orderedQuantity.unitOfMeasure",
    ),
    "part's unit in capitals": (
        lambda d: count(d).update(unitOfMeasure="CASES"),
        f"{COUNT}.unitOfMeasure",
    ),
    "another unit": (
        lambda d: count(d).update(unitOfMeasure=other_unit(count(d)), unitSize=5),
        f"{COUNT}.unitOfMeasure",
    ),
    "no unit": (lambda d: count(d).pop("unitOfMeasure"), f"{COUNT}.unitOfMeasure"),
    "a size of nothing": (lambda d: count(d).update(unitSize=0), f"{COUNT}.unitSize"),
    "no price": (lambda d: line(d).pop("netCost"), f"{ONE}.netCost"),
    "no amount of money": (
        lambda d: line(d)["netCost"].pop("amount"),
        f"{ONE}.netCost.amount",
    ),
    "for free": (lambda d: line(d)["netCost"].update(amount="0"), f"{ONE}.netCost.amount"),
    "negative": (lambda d: line(d)["netCost"].update(amount="-1"), f"{ONE}.netCost.amount"),
    "long currency": (
        lambda d: line(d)["netCost"].update(currencyCode="EURO"),
        f"{ONE}.netCost.currencyCode",
    ),
    "unit of a price": (
        lambda d: line(d)["netCost"].update(unitOfMeasure="pounds"),
        f"{ONE}.netCost.unitOfMeasure",
    ),
    "list price for free": (
        lambda d: line(d).update(listPrice={"amount": "0"}),
        f"{ONE}.listPrice.amount",
    ),
    "discount in percent": (
        lambda d: line(d).update(discountMultiplier="10%"),
        f"{ONE}.discountMultiplier",
    ),
    "discount too large": (
        lambda d: line(d).update(discountMultiplier="90"),
        f"{ONE}.discountMultiplier",
    ),
    "discount of nothing": (
        lambda d: line(d).update(discountMultiplier=".90", listPrice=None),
        f"{ONE}.listPrice",
    ),
    "no answer": (
        lambda d: line(d)["itemAcknowledgements"].clear(),
        f"{ONE}.itemAcknowledgements",
    ),
    "code in capitals": (
        lambda d: part(d).update(acknowledgementCode="ACCEPTED"),
        f"{PART}.acknowledgementCode",
    ),
    "no code": (
        lambda d: part(d).update(acknowledgementCode="yes"),
        f"{PART}.acknowledgementCode",
    ),
    "quantity of nothing": (lambda d: count(d).update(amount=0), f"{COUNT}.amount"),
    "quantity below nothing": (lambda d: count(d).update(amount=-1), f"{COUNT}.amount"),
    "no quantity": (lambda d: count(d).pop("amount"), f"{COUNT}.amount"),
    "too many": (lambda d: count(d).update(amount=count(d)["amount"] + 1), f"{COUNT}.amount"),
    "too few": (lambda d: count(d).update(amount=count(d)["amount"] - 1), f"{COUNT}.amount"),
    "together too many": (
        lambda d: line(d)["itemAcknowledgements"].append(part(d)),
        f"{ONE}.itemAcknowledgements",
    ),
    "rejected for no reason": (
        lambda d: part(d).update(acknowledgementCode="Rejected"),
        f"{PART}.rejectionReason",
    ),
    "accepted for a reason": (
        lambda d: part(d).update(rejectionReason=SHORT),
        f"{PART}.rejectionReason",
    ),
    "reason in capitals": (
        lambda d: part(d).update(acknowledgementCode="Rejected", rejectionReason=SHORT.upper()),
        f"{PART}.rejectionReason",
    ),
    "backordered for ever": (
        lambda d: part(d).update(acknowledgementCode="Backordered"),
        f"{PART}.scheduledShipDate",
    ),
    "shipped in the past": (
        lambda d: part(d).update(scheduledShipDate="2026-06-09T12:59:59Z"),
        f"{PART}.scheduledShipDate",
    ),
    "delivered in the past": (
        lambda d: part(d).update(scheduledDeliveryDate="2025-06-20T00:00:00Z"),
        f"{PART}.scheduledDeliveryDate",
    ),
    "delivered before it is shipped": (
        lambda d: part(d).update(scheduledShipDate=LATER, scheduledDeliveryDate=SOON),
        f"{PART}.scheduledDeliveryDate",
    ),
}
WITH_ORDER: dict[str, tuple[Change, str]] = {
    "another order": (lambda d: d.update(purchaseOrderNumber="2B"), "purchaseOrderNumber"),
    "another party": (
        lambda d: d["sellingParty"].update(partyId="EMU"),
        "sellingParty.partyId",
    ),
    "dated before the order": (
        lambda d: d.update(acknowledgementDate="2026-06-10T07:54:59Z"),
        "acknowledgementDate",
    ),
    "unknown line": (
        lambda d: line(d).update(itemSequenceNumber="9"),
        f"{ONE}.itemSequenceNumber",
    ),
    "number without its zeros": (
        lambda d: line(d).update(itemSequenceNumber="1"),
        f"{ONE}.itemSequenceNumber",
    ),
    "another product": (
        lambda d: line(d).update(amazonProductIdentifier="B0"),
        f"{ONE}.amazonProductIdentifier",
    ),
    "product without its zeros": (
        lambda d: line(d).update(vendorProductIdentifier="0040063813331"),
        f"{ONE}.vendorProductIdentifier",
    ),
    "another ordered amount": (
        lambda d: line(d)["orderedQuantity"].update(amount=501),
        f"{ONE}.orderedQuantity.amount",
    ),
    "no unit of what was ordered": (
        lambda d: line(d)["orderedQuantity"].pop("unitOfMeasure"),
        f"{ONE}.orderedQuantity.unitOfMeasure",
    ),
    "above the price": (
        lambda d: line(d)["netCost"].update(
            amount=str(Decimal(line(d)["netCost"]["amount"]) + 1)
        ),
        f"{ONE}.netCost.amount",
    ),
    "another currency": (
        lambda d: line(d)["netCost"].update(currencyCode="USD"),
        f"{ONE}.netCost.currencyCode",
    ),
    "no currency": (
        lambda d: line(d)["netCost"].pop("currencyCode"),
        f"{ONE}.netCost.currencyCode",
    ),
    "price by weight": (
        lambda d: line(d)["netCost"].update(unitOfMeasure="POUNDS"),
        f"{ONE}.netCost.unitOfMeasure",
    ),
    "backorder not allowed": (
        lambda d: part(d).update(acknowledgementCode="Backordered", scheduledShipDate=SOON),
        f"{PART}.acknowledgementCode",
    ),
    "forgotten line": (lambda d: d["items"].pop(), "items"),
}


@pytest.mark.parametrize(("change", "path"), WITHOUT_ORDER.values(), ids=WITHOUT_ORDER)
def test_what_is_wrong_in_itself_is_found(change: Change, path: str) -> None:
    """Each single slip is found without the order, and with it at the same place."""
    known = order(item("00001"), item("00002", 5))
    wrong = changed(accept_all(known, at=NOW), change)

    assert at(path, problems_of(wrong, now=NOW))
    assert at(path, problems_of(wrong, order=known, status=status(), now=NOW))


@pytest.mark.parametrize(("change", "path"), WITH_ORDER.values(), ids=WITH_ORDER)
def test_what_is_not_the_orders_is_found(change: Change, path: str) -> None:
    """Each single thing that differs from the order is found at its place, and needs it."""
    known = order(item("00001", backorder=False), item("00002", 5))
    wrong = changed(accept_all(known, at=NOW), change)

    assert at(path, problems_of(wrong, order=known, now=NOW))
    assert at(path, problems_of(wrong, now=NOW)) == []


IN_ANY_ORDER = [
    *WITHOUT_ORDER,
    *("another order", "another party", "dated before the order", "unknown line"),
    *("another product", "another ordered amount", "above the price", "another currency"),
    *("no currency", "price by weight"),
]


@given(orders(), st.sampled_from(IN_ANY_ORDER))
def test_a_single_slip_never_passes(one: rp.Order, slip: str) -> None:
    """Whatever the order is like, the slip is found at its place."""
    change, path = (WITHOUT_ORDER | WITH_ORDER)[slip]
    wrong = changed(accept_all(one, at=NOW), change)

    assert at(path, problems_of(wrong, order=one, now=NOW))


def test_all_problems_come_at_once() -> None:
    """Nobody has to send a file seven times to learn of seven mistakes."""
    wrong = accept_all(order(), at=NOW)
    for change in (
        lambda d: part(d).update(acknowledgementCode="ACCEPTED"),
        lambda d: line(d).pop("netCost"),
        lambda d: d["items"].pop(),
        lambda d: d.update(acknowledgementDate="2027-01-01T00:00:00Z"),
    ):
        wrong = changed(wrong, change)

    assert [(one.path, one.message) for one in problems_of(wrong, order=order(), now=NOW)] == [
        (
            "acknowledgementDate",
            "2027-01-01T00:00:00Z is in the future; it is 2026-06-10T13:00:00Z",
        ),
        ("items[0].netCost", "is missing"),
        (
            f"{PART}.acknowledgementCode",
            "is 'ACCEPTED': Accepted was probably meant, spelt exactly so",
        ),
        (
            "items",
            "line 3 left out, which Amazon takes for a rejection: answer every line",
        ),
    ]


def test_a_struct_of_wrong_types_is_a_problem_too() -> None:
    """What Python lets pass is found before it is sent, with its place."""
    made = accept_all(order(), at=NOW)
    naive = msgspec.structs.replace(
        made,
        acknowledgement_date=datetime(2026, 6, 10),  # noqa: DTZ001 - the mistake
    )

    assert [problem.path for problem in problems_of(naive, now=NOW)] == ["acknowledgementDate"]
    nameless = msgspec.structs.replace(made, purchase_order_number="")
    assert [one.path for one in problems_of(nameless, now=NOW)] == ["purchaseOrderNumber"]


def test_the_other_apis_order_is_a_mistake_of_the_program() -> None:
    """Mixing the two is no problem of the document."""
    with pytest.raises(InvalidArgument):
        problems_of(accept_all(order(), at=NOW), order=customers_order(), now=NOW)
    with pytest.raises(InvalidArgument):
        problems_of(accept_order(customers_order(), at=NOW), order=order(), now=NOW)


def test_cases_have_a_size() -> None:
    """It has to be there, and the order's where that is known."""
    known = order(item(unit="CASES", size=12))
    made = accept_all(known, at=NOW)
    unsized = changed(made, lambda d: line(d)["orderedQuantity"].pop("unitSize"))
    smaller = changed(made, lambda d: count(d).update(unitSize=6))

    assert at(f"{ONE}.orderedQuantity.unitSize", problems_of(unsized, now=NOW))
    assert at(f"{ONE}.orderedQuantity.unitSize", problems_of(unsized, order=known, now=NOW))
    assert at(f"{COUNT}.unitSize", problems_of(smaller, order=known, now=NOW)) == [
        "is 6, ordered was 12"
    ]


def test_a_lower_price_and_lost_zeros_of_digits_pass() -> None:
    """A price may be lower, and 1.1 is 1.10."""
    made = accept_all(order(item()), at=NOW)
    cheaper = changed(made, lambda d: line(d)["netCost"].update(amount="1.0999"))
    same = changed(made, lambda d: line(d)["netCost"].update(amount=str(Decimal("1.1"))))

    assert problems_of(cheaper, order=order(item()), now=NOW) == ()
    assert problems_of(same, order=order(item()), now=NOW) == ()


def test_products_tell_lines_apart_where_numbers_are_missing() -> None:
    """As in Amazon's own case: a product is enough if one line has it."""
    known = order(item("1"), item("2"))
    made = accept_all(known, at=NOW)
    nameless = changed(made, lambda d: [one.pop("itemSequenceNumber") for one in d["items"]])
    wrong = changed(nameless, lambda d: line(d).update(amazonProductIdentifier="B0ABCDEF02"))

    assert problems_of(nameless, order=known, now=NOW) == ()
    assert at(ONE, problems_of(wrong, order=known, now=NOW)) == [
        "line B0ABCDEF02: the order has no such line"
    ]


def test_a_cancelled_line_is_not_answered() -> None:
    """Whatever is said of it, it is cancelled."""
    made = accept_all(order(item("1"), item("2")), at=NOW)

    assert at("items[1]", problems_of(made, order=order(item("1"), item("2", 0)), now=NOW)) == [
        "Amazon has cancelled line 2: leave it out"
    ]


@pytest.mark.parametrize(
    ("known", "standing"),
    [
        (order(state="Closed"), None),
        (order(), status(word="CLOSED")),
        (None, status(word="CLOSED")),
    ],
    ids=["order", "status", "status alone"],
)
def test_a_closed_order_is_not_acknowledged(
    known: rp.Order | None, standing: rp.OrderStatus | None
) -> None:
    """Either word closes it."""
    made = accept_all(order(), at=NOW)

    assert at("purchaseOrderNumber", problems_of(made, order=known, status=standing, now=NOW))


ANSWERED = (after(hours=1), 10, 0)


@pytest.mark.parametrize(
    ("state", "lines", "missing"),
    [
        ("New", None, "line 2, line 3 left out"),
        (None, None, "line 2, line 3 left out"),
        ("New", ("UNCONFIRMED", "UNCONFIRMED"), "line 2, line 3 left out"),
        ("New", ("REJECTED", "UNCONFIRMED"), "line 2, line 3 left out"),
        ("Acknowledged", None, None),
        ("Acknowledged", ("ACCEPTED", "REJECTED"), None),
        ("New", ("ACCEPTED", "ACCEPTED"), None),
        ("Acknowledged", ("UNCONFIRMED", "ACCEPTED"), "line 2 left out"),
    ],
    ids=[
        "new",
        "unsaid",
        "unconfirmed",
        "perhaps cancelled",
        "known by state",
        "confirmed",
        "newer status",
        "open",
    ],
)
def test_all_lines_the_first_time_and_any_later(
    state: str | None, lines: tuple[str, str] | None, missing: str | None
) -> None:
    """A first acknowledgement has every line; an update what it likes of the answered ones."""
    known = order()
    made = changed(accept_all(known, at=NOW), lambda d: d.update(items=d["items"][:1]))
    standing = None
    if lines:
        is_answered = "ACCEPTED" in lines
        first = stands("1", "ACCEPTED", 10, 0, ANSWERED) if is_answered else stands("1")
        standing = status(
            first,
            *(stands(number, word) for number, word in zip("23", lines, strict=True)),
        )
    known = msgspec.structs.replace(known, purchase_order_state=state)
    found = at("items", problems_of(made, order=known, status=standing, now=NOW))

    assert [message.partition(", which")[0] for message in found] == [missing] * bool(missing)


def test_a_rejected_line_is_never_accepted() -> None:
    """Neither accepted nor backordered; to reject it again is all right."""
    known = order(item("1"), item("2"), item("3"), state="Acknowledged")
    standing = status(
        *(stands(number, "REJECTED", 0, 10, (after(hours=1), 0, 10)) for number in "123")
    )
    made = answer(
        known,
        {"1": accepted(), "2": backordered(scheduled_ship_date=after(days=9))},
        at=NOW,
        others=rejected(SHORT),
    )

    assert [one.path for one in problems_of(made, order=known, status=standing, now=NOW)] == [
        "items[0].itemAcknowledgements[0].acknowledgementCode",
        "items[1].itemAcknowledgements[0].acknowledgementCode",
    ]


LATE = after(hours=49, minutes=30)


@pytest.mark.parametrize(
    ("standing", "now", "is_wrong"),
    [
        (stands("1", "ACCEPTED", 10, 0, (after(hours=1), 10, 0)), LATE, True),
        (stands("1", "ACCEPTED", 10, 0, (after(hours=1), 10, 0)), after(hours=49), False),
        (stands("1", "PARTIALLY_ACCEPTED", 6, 4, (after(hours=1), 6, 4)), LATE, False),
        (stands("1", "PARTIALLY_ACCEPTED", 6, None, (after(hours=1), None, None)), LATE, False),
        (
            stands(
                "1",
                "PARTIALLY_ACCEPTED",
                9,
                4,
                (after(hours=1), 10, 0),
                (after(hours=2), -4, 4),
            ),
            LATE,
            False,
        ),
        (stands("1", "ACCEPTED", None, None, (after(hours=1), None, None)), LATE, False),
        (stands("1"), LATE, False),
        (
            stands("1", "ACCEPTED", 10, 0, (after(hours=1), 10, 0), changed=after(hours=20)),
            LATE,
            False,
        ),
    ],
    ids=[
        "too late",
        "in time",
        "the same",
        "rejected missing",
        "accepted wrong, increments right",
        "no quantities",
        "never answered",
        "changed by Amazon since",
    ],
)
def test_after_48_hours_only_dates_may_change(
    standing: rp.OrderItemStatus, now: datetime, is_wrong: bool
) -> None:
    """Quantities and codes stay what stands, unless Amazon itself has changed the line."""
    known = order(item("1"), state="Acknowledged")
    made = answer(known, {"1": [accepted(6), rejected(SHORT)]}, at=now)
    problems = problems_of(made, order=known, status=status(standing), now=now)

    assert bool(at("items[0].itemAcknowledgements", problems)) is is_wrong
    assert len(problems) == is_wrong


# Everything that one slip can spoil in a good direct fulfillment acknowledgement.
LINES = "itemAcknowledgements"
CUSTOMERS: dict[str, tuple[Change, str]] = {
    "no number of ones own": (lambda d: d.update(vendorOrderNumber=" "), "vendorOrderNumber"),
    "no party": (lambda d: d["sellingParty"].clear(), "sellingParty.partyId"),
    "no warehouse": (lambda d: d["shipFromParty"].clear(), "shipFromParty.partyId"),
    "half an address": (
        lambda d: d["shipFromParty"].update(address={"name": "Warehouse"}),
        "shipFromParty.address.stateOrRegion",
    ),
    "no code": (lambda d: d["acknowledgementStatus"].clear(), "acknowledgementStatus.code"),
    "a code of one digit": (
        lambda d: d["acknowledgementStatus"].update(code="0"),
        "acknowledgementStatus.code",
    ),
    "a code unexplained": (
        lambda d: d.update(acknowledgementStatus={"code": "30"}),
        "acknowledgementStatus.code",
    ),
    "ahead": (lambda d: d.update(acknowledgementDate=SOON), "acknowledgementDate"),
    "no lines": (lambda d: d[LINES].clear(), LINES),
    "twice": (lambda d: d[LINES].append(d[LINES][0]), f"{LINES}[2]"),
    "unit in capitals": (
        lambda d: d[LINES][0]["acknowledgedQuantity"].update(unitOfMeasure="EACH"),
        f"{LINES}[0].acknowledgedQuantity.unitOfMeasure",
    ),
    "no unit": (
        lambda d: d[LINES][0]["acknowledgedQuantity"].pop("unitOfMeasure"),
        f"{LINES}[0].acknowledgedQuantity.unitOfMeasure",
    ),
    "a case size": (
        lambda d: d[LINES][0]["acknowledgedQuantity"].update(unitSize=1),
        f"{LINES}[0].acknowledgedQuantity.unitSize",
    ),
    "nothing": (
        lambda d: d[LINES][1]["acknowledgedQuantity"].update(amount=0),
        f"{LINES}[1].acknowledgedQuantity.amount",
    ),
}
CUSTOMERS_WITH_ORDER: dict[str, tuple[Change, str]] = {
    "another order": (lambda d: d.update(purchaseOrderNumber="X"), "purchaseOrderNumber"),
    "another warehouse": (
        lambda d: d["shipFromParty"].update(partyId="X"),
        "shipFromParty.partyId",
    ),
    "before the order": (
        lambda d: d.update(acknowledgementDate="2026-06-10T07:00:00Z"),
        "acknowledgementDate",
    ),
    "forgotten": (lambda d: d[LINES].pop(), LINES),
    "unknown line": (
        lambda d: d[LINES][0].update(itemSequenceNumber="7"),
        f"{LINES}[0].itemSequenceNumber",
    ),
    "another product": (
        lambda d: d[LINES][0].update(buyerProductIdentifier="X"),
        f"{LINES}[0].buyerProductIdentifier",
    ),
    "some of it": (
        lambda d: d[LINES][1]["acknowledgedQuantity"].update(amount=1),
        f"{LINES}[1].acknowledgedQuantity.amount",
    ),
}


@pytest.mark.parametrize("slip", [*CUSTOMERS, *CUSTOMERS_WITH_ORDER])
def test_what_is_wrong_about_a_customers_order_is_found(slip: str) -> None:
    """Each single slip is found at its place, with the order and, in itself, without."""
    known = customers_order(1, 2)
    change, path = (CUSTOMERS | CUSTOMERS_WITH_ORDER)[slip]
    wrong = changed(accept_order(known, at=NOW), change)

    assert at(path, problems_of(wrong, order=known, now=NOW))
    assert bool(at(path, problems_of(wrong, now=NOW))) is (slip in CUSTOMERS)


@pytest.mark.parametrize("word", ["ACCEPTED", "SHIPPED", "CANCELLED"])
def test_a_customers_order_is_answered_while_it_is_new(word: str) -> None:
    """Afterwards nothing is sent any more; a word that is missing hinders nobody."""
    made = accept_order(customers_order(), at=NOW)

    assert at(
        "purchaseOrderNumber", problems_of(made, order=customers_order(word=word), now=NOW)
    ) == [f"the order is {word}, and no longer NEW"]
    assert problems_of(made, order=customers_order(word=None), now=NOW) == ()


def test_a_cancelled_line_of_a_customers_order_is_left_out() -> None:
    """It is neither answered nor forgotten."""
    made = accept_order(customers_order(1, 2), at=NOW)

    assert at(f"{LINES}[1]", problems_of(made, order=customers_order(1, 0), now=NOW))
    assert (
        problems_of(
            accept_order(customers_order(1, 0), at=NOW), order=customers_order(1, 0), now=NOW
        )
        == ()
    )


def test_dates_of_today_pass_in_any_zone() -> None:
    """A date alone is its midnight in UTC, which may be past by hours."""
    made = accept_all(order(), at=NOW, scheduled_ship_date=PLACED.replace(hour=0))

    assert problems_of(made, order=order(), now=NOW) == ()
    assert isinstance(made.items[0].item_acknowledgements[0].scheduled_ship_date, datetime)
    assert isinstance(accept_order(customers_order(), at=NOW), df.OrderAcknowledgementItem)
