"""Builders: what is sent is made of the order, to the letter, and no line is forgotten."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from acknowledging import NOW, after, customers_order, item, order, orders
from hypothesis import given
from hypothesis import strategies as st
from sample_files import HAS_MODELS, NO_MODELS, published_cases

from vendororders_async.acknowledgements import (
    CODES,
    Draft,
    Line,
    Part,
    accept_all,
    accept_order,
    accepted,
    answer,
    backordered,
    digest,
    document_of,
    problems_of,
    reject_order,
    rejected,
)
from vendororders_async.errors import AcknowledgementError, InvalidArgument
from vendororders_async.models import direct_fulfillment as df
from vendororders_async.models import retail_procurement as rp
from vendororders_async.models.common import Money
from vendororders_async.models.lenient import LenientDecoder

SHORT = "TemporarilyUnavailable"


def plain(made: object) -> Any:
    """Return what is sent, as JSON would have it."""
    return msgspec.json.decode(msgspec.json.encode(made))


def messages(error: pytest.ExceptionInfo[AcknowledgementError]) -> list[str]:
    """Return what is wrong, place and words."""
    return [f"{one.path}: {one.message}" for one in error.value.problems]


def draft(*lines: Line, **fields: Any) -> Draft:
    """Return a retail draft."""
    return Draft(
        api="retail", purchase_order_number="1ABCDEFG", where="line 7", lines=lines, **fields
    )


def test_an_acknowledgement_echoes_its_order_exactly() -> None:
    """Identifiers, quantities, prices and digits are Amazon's; only units are spelt anew."""
    line = item("00001", 3, unit="CASES", size=12, cost="110.00")

    assert plain(accept_all(order(line), at=NOW)) == {
        "purchaseOrderNumber": "1ABCDEFG",
        "sellingParty": {"partyId": "KOALA"},
        "acknowledgementDate": "2026-06-10T13:00:00Z",
        "items": [
            {
                "itemSequenceNumber": "00001",
                "amazonProductIdentifier": "B0ABCDEF01",
                "vendorProductIdentifier": "40063813331",
                "orderedQuantity": {"amount": 3, "unitOfMeasure": "Cases", "unitSize": 12},
                "netCost": {"currencyCode": "EUR", "amount": "110.00"},
                "listPrice": {"currencyCode": "EUR", "amount": "2.50"},
                "itemAcknowledgements": [
                    {
                        "acknowledgementCode": "Accepted",
                        "acknowledgedQuantity": {
                            "amount": 3,
                            "unitOfMeasure": "Cases",
                            "unitSize": 12,
                        },
                    }
                ],
            }
        ],
    }


def test_a_line_may_be_split() -> None:
    """To accept less is to reject the rest, and what has no quantity takes what is left."""
    made = answer(
        order(),
        {
            "1": [accepted(6), rejected(SHORT)],
            "2": [accepted(4), backordered(20, scheduled_ship_date=after(days=30))],
        },
        at=NOW,
        others=rejected("ObsoleteProduct"),
    )

    assert [
        [
            (
                part.acknowledgement_code,
                part.acknowledged_quantity.amount,
                part.rejection_reason,
            )
            for part in one.item_acknowledgements
        ]
        for one in made.items
    ] == [
        [("Accepted", 6, None), ("Rejected", 4, SHORT)],
        [("Accepted", 4, None), ("Backordered", 20, None)],
        [("Rejected", 4, "ObsoleteProduct")],
    ]


def test_a_price_by_weight_stays_one() -> None:
    """Its unit is spelt as the model has it; a list price of nothing is left out."""
    by_weight = Money(currency_code="EUR", amount=Decimal("3.99"), unit_of_measure="Kilograms")
    line = msgspec.structs.replace(
        item(), net_cost=by_weight, list_price=Money(amount=Decimal(0))
    )
    made = accept_all(order(line), at=NOW)

    assert plain(made)["items"][0]["netCost"] == {
        "currencyCode": "EUR",
        "amount": "3.99",
        "unitOfMeasure": "KILOGRAMS",
    }
    assert made.items[0].list_price is None


def test_nothing_left_is_not_sent() -> None:
    """A part that takes the rest of a line is left out where there is none."""
    made = answer(order(item()), {"1": [accepted(10), rejected(SHORT)]}, at=NOW)

    assert len(made.items[0].item_acknowledgements) == 1


def test_dates_go_to_every_line() -> None:
    """The dates of accept_all are those of all lines, in UTC and whole seconds."""
    ship = datetime(2026, 6, 20, 1, 2, 3, 456789, tzinfo=UTC)
    made = accept_all(order(), at=NOW, scheduled_ship_date=ship)

    assert {
        part.scheduled_ship_date for one in made.items for part in one.item_acknowledgements
    } == {ship.replace(microsecond=0)}


def test_cancelled_lines_are_left_out() -> None:
    """What Amazon cancelled is neither accepted nor rejected, and is not forgotten either."""
    cancelled = order(item("1"), item("2", 0), item("3", -3))
    made = accept_all(cancelled, at=NOW)

    assert [one.item_sequence_number for one in made.items] == ["1"]
    assert problems_of(made, order=cancelled, now=NOW) == ()


def test_a_cancelled_line_is_not_named() -> None:
    """Neither accepted nor rejected, not even by name."""
    with pytest.raises(AcknowledgementError, match="line 2: Amazon has cancelled it"):
        answer(order(item("1"), item("2", 0)), {"2": accepted()}, at=NOW, others=accepted())


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ({"1": accepted()}, ["items: not answered: line 2, line 3"]),
        (
            {"1": accepted(), "9": accepted()},
            [
                "items: line 9: the order has no such line",
                "items: not answered: line 2, line 3",
            ],
        ),
        (
            {"1": accepted(), "0001": accepted(), "2": accepted(), "3": accepted()},
            ["items: line 0001 is answered twice"],
        ),
    ],
    ids=["forgotten", "unknown", "twice"],
)
def test_no_line_is_forgotten_and_none_invented(
    lines: dict[str, Part], words: list[str]
) -> None:
    """All that is forgotten, unknown or repeated is named at once."""
    with pytest.raises(AcknowledgementError) as error:
        answer(order(), lines, at=NOW)

    assert messages(error) == words


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (accepted(11), "11 are answered, but 10 ordered"),
        ([accepted(), rejected(SHORT)], "2 of its parts have no quantity"),
        (accepted(9), "9 of 10 are answered"),
        (backordered(scheduled_ship_date=NOW), "does not allow to backorder"),
        (accepted(scheduled_ship_date=after(days=-3)), "is past"),
    ],
    ids=["more", "two rests", "less", "no backorder", "past"],
)
def test_an_answer_that_cannot_be_meant_is_refused(
    given: Part | list[Part], words: str
) -> None:
    """Nothing is made that would not be valid."""
    with pytest.raises(AcknowledgementError, match=words):
        answer(order(item(backorder=False)), {"1": given}, at=NOW)


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (rp.Order(purchase_order_number="1ABCDEFG"), "the order does not say it"),
        (order(item("1", 0)), "the order has no line to acknowledge"),
        (order(msgspec.structs.replace(item(), ordered_quantity=None)), "how many"),
        (order(msgspec.structs.replace(item(), net_cost=None)), "netCost: is missing"),
        (order(state="Closed"), "the order is Closed"),
    ],
    ids=["numbers only", "all cancelled", "no quantity", "no price", "closed"],
)
def test_an_order_that_cannot_be_acknowledged_is_said_so(bad: rp.Order, words: str) -> None:
    """What the order lacks is named, and nothing is made up for it."""
    with pytest.raises(AcknowledgementError) as error:
        accept_all(bad, at=NOW)

    assert words in "; ".join(messages(error))


def test_parts_that_could_not_be_meant_are_refused_at_once() -> None:
    """A wrong reason, a quantity of nothing, no date: the call itself is wrong."""
    with pytest.raises(InvalidArgument, match="TemporarilyUnavailable was probably meant"):
        rejected("TEMPORARILYUNAVAILABLE")
    with pytest.raises(InvalidArgument, match="one of TemporarilyUnavailable, Invalid"):
        rejected("no idea")
    with pytest.raises(InvalidArgument, match="positive, not 0"):
        accepted(0)
    with pytest.raises(InvalidArgument, match="needs a date"):
        backordered()
    with pytest.raises(InvalidArgument, match="scheduled_ship_date has no time zone"):
        accepted(scheduled_ship_date=datetime(2026, 6, 20))  # noqa: DTZ001 - the mistake
    with pytest.raises(InvalidArgument, match="at has no time zone"):
        accept_all(order(), at=datetime(2026, 6, 20))  # noqa: DTZ001 - the mistake


@given(orders(), st.data())
def test_what_is_made_of_a_sane_order_is_valid(one: rp.Order, data: st.DataObject) -> None:
    """Whatever the builders make of it has no problems, and never too much of anything."""
    assert one.order_details
    lines: dict[str, Part | list[Part]] = {}
    for line in one.order_details.items:
        amount = line.ordered_quantity and line.ordered_quantity.amount
        if amount and data.draw(st.booleans()):
            number = (line.item_sequence_number or "").lstrip("0")
            split = data.draw(st.integers(1, amount))
            rest = rejected(SHORT)
            if line.is_back_order_allowed and data.draw(st.booleans()):
                rest = backordered(scheduled_delivery_date=after(days=40))
            lines[number] = [accepted(split), rest]
    made = answer(one, lines, at=NOW, others=accepted())

    assert problems_of(made, order=one, now=NOW) == ()
    assert problems_of(made, now=NOW) == ()
    assert digest(made) == digest(answer(one, lines, at=after(days=1), others=accepted()))


def test_a_draft_becomes_a_document() -> None:
    """Its lines are found by number or product, as a spreadsheet left them."""
    made = document_of(
        draft(
            Line(parts=(accepted(),), item_sequence_number="2"),
            Line(parts=(rejected(SHORT),), amazon_product_identifier="B0ABCDEF01"),
        ),
        order(item("00001"), item("00002"), item("00003")),
        at=NOW,
    )

    assert isinstance(made, rp.OrderAcknowledgement)
    assert [one.item_sequence_number for one in made.items] == ["00001", "00002"]


def test_more_than_was_ordered_leaves_no_rest() -> None:
    """A part that takes the rest is never below nothing."""
    one = draft(Line(parts=(accepted(11), rejected(SHORT)), item_sequence_number="1"))

    with pytest.raises(AcknowledgementError, match="11 are answered, but 10 ordered"):
        document_of(one, order(item()), at=NOW)


def test_a_finished_document_is_left_alone() -> None:
    """What is finished is sent as it is, whatever the order says."""
    made = accept_all(order(), at=NOW)

    assert document_of(draft(document=made), order(item()), at=after(days=2)) is made


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([Line(parts=(accepted(),), item_sequence_number="9")], "line 9: the order has no"),
        ([Line(parts=(accepted(),), item_sequence_number="1")] * 2, "line 1 is answered twice"),
        (
            [Line(parts=(accepted(),), vendor_product_identifier="same")],
            "line same: several lines have it",
        ),
        (
            [
                Line(
                    parts=(accepted(),),
                    item_sequence_number="1",
                    amazon_product_identifier="B0OTHER000",
                )
            ],
            "line 1: is B0ABCDEF01 in the order, not B0OTHER000",
        ),
        ([Line(parts=(accepted(),))], "line (unnamed): the order has no such line"),
    ],
    ids=["unknown", "twice", "ambiguous", "another product", "unnamed"],
)
def test_a_draft_that_does_not_fit_says_where(lines: list[Line], words: str) -> None:
    """The problem leads to the place in the file."""
    same = [
        msgspec.structs.replace(item(number), vendor_product_identifier="same")
        for number in ("1", "2")
    ]
    with pytest.raises(AcknowledgementError) as error:
        document_of(draft(*lines), order(*same), at=NOW)

    assert messages(error)[0].startswith(f"line 7: {words}")


def test_a_draft_is_for_its_order_only() -> None:
    """A mix-up of orders is a mistake of the program."""
    with pytest.raises(InvalidArgument, match="for 1ABCDEFG, not 2"):
        document_of(draft(), rp.Order(purchase_order_number="2"), at=NOW)


def test_a_customers_order_is_accepted_as_a_whole() -> None:
    """All lines in full, units spelt as requests need them, and nobody's address."""
    made = accept_order(customers_order(1, 2), at=NOW, vendor_order_number="ABC")

    assert plain(made) == {
        "purchaseOrderNumber": "2JK3S9VC",
        "vendorOrderNumber": "ABC",
        "acknowledgementDate": "2026-06-10T13:00:00Z",
        "acknowledgementStatus": {
            "code": "00",
            "description": "Shipping 100 percent of ordered product",
        },
        "sellingParty": {"partyId": "999US"},
        "shipFromParty": {"partyId": "ABCD"},
        "itemAcknowledgements": [
            {
                "itemSequenceNumber": f"0000{number}",
                "buyerProductIdentifier": f"B07DFVDR0{number}",
                "vendorProductIdentifier": "8806098286500",
                "acknowledgedQuantity": {"amount": number, "unitOfMeasure": "Each"},
            }
            for number in (1, 2)
        ],
    }
    assert problems_of(made, order=customers_order(1, 2), now=NOW) == ()


@pytest.mark.parametrize("code", [code for code in CODES if code != "00"])
def test_a_customers_order_is_rejected_as_a_whole(code: str) -> None:
    """The code says why, in words too, and the number is the order's own by default."""
    made = reject_order(customers_order(1, 0), code, at=NOW)

    assert made.acknowledgement_status == df.AcknowledgementStatus(
        code=code, description=CODES[code]
    )
    assert made.vendor_order_number == "2JK3S9VC"
    assert len(made.item_acknowledgements) == 1  # Amazon has cancelled the other


def test_a_code_of_ones_own_is_explained() -> None:
    """One that Amazon does not list has to say what it means."""
    made = reject_order(customers_order(), "72", at=NOW, description="End of season")

    assert problems_of(made, order=customers_order(), now=NOW) == ()
    with pytest.raises(AcknowledgementError, match="'72', which Amazon does not list"):
        reject_order(customers_order(), "72", at=NOW)
    with pytest.raises(InvalidArgument, match="00 accepts the order"):
        reject_order(customers_order(), "00", at=NOW)


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (df.Order(purchase_order_number="2JK3S9VC"), "sellingParty.partyId: the order"),
        (customers_order(0), "itemAcknowledgements: the order has no line"),
        (customers_order(word="CANCELLED"), "purchaseOrderNumber: the order is CANCELLED"),
    ],
    ids=["number only", "all cancelled", "cancelled"],
)
def test_a_customers_order_that_cannot_be_acknowledged(bad: df.Order, words: str) -> None:
    """It says what is missing, or that it is too late."""
    with pytest.raises(AcknowledgementError) as error:
        accept_order(bad, at=NOW)

    assert messages(error)[0].startswith(words)


def test_a_customers_line_without_a_number_cannot_be_answered() -> None:
    """The number of a line is required, and is not made up."""
    one = customers_order(1)
    assert one.order_details
    nameless = msgspec.structs.replace(one.order_details.items[0], item_sequence_number=None)
    details = msgspec.structs.replace(one.order_details, items=[nameless])

    with pytest.raises(AcknowledgementError, match="does not say its number"):
        accept_order(msgspec.structs.replace(one, order_details=details), at=NOW)


def test_a_draft_of_a_customers_order_is_its_code() -> None:
    """The code makes the document; a draft without one says nothing."""
    made = document_of(
        Draft(
            api="direct_fulfillment",
            purchase_order_number="2JK3S9VC",
            where="line 2",
            code="03",
        ),
        customers_order(),
        at=NOW,
    )

    assert made == reject_order(customers_order(), "03", at=NOW)
    with pytest.raises(AcknowledgementError, match="line 2: says neither"):
        document_of(
            Draft(api="direct_fulfillment", purchase_order_number="2JK3S9VC", where="line 2"),
            customers_order(),
            at=NOW,
        )


def test_a_digest_is_of_what_is_said() -> None:
    """The date of saying it does not count, everything else does."""
    made = accept_all(order(), at=NOW)

    assert digest(made) == digest(accept_all(order(), at=after(hours=9)))
    assert digest(made) != digest(accept_all(order(item("1", 11)), at=NOW))
    assert len(digest(accept_order(customers_order(), at=NOW))) == 64


@pytest.mark.skipif(not HAS_MODELS, reason=NO_MODELS)
@pytest.mark.parametrize(
    ("name", "kind", "key"),
    [
        ("vendorOrders.json", rp.SubmitAcknowledgementRequest, "acknowledgements"),
        (
            "vendorDirectFulfillmentOrdersV1.json",
            df.SubmitAcknowledgementRequest,
            "order_acknowledgements",
        ),
    ],
    ids=["retail", "direct fulfillment"],
)
def test_amazons_own_case_is_valid(name: str, kind: type, key: str) -> None:
    """What the sandbox takes has no problems."""
    case = next(
        parameters["body"]
        for operation, code, _, parameters, _ in published_cases(name)
        if operation == "submitAcknowledgement" and code == 202 and parameters["body"]
    )
    body: Any = LenientDecoder(kind).decode(msgspec.json.encode(case))

    assert [problems_of(made, now=NOW) for made in getattr(body, key)] == [()]


def test_a_draft_describes_a_code_that_was_agreed_on() -> None:
    """Amazon does not know it by heart, so its words go along."""
    number = customers_order().purchase_order_number
    draft = Draft(
        api="direct_fulfillment",
        purchase_order_number=number,
        where="line 2",
        code="99",
        description="As agreed",
    )
    made = document_of(draft, customers_order(), at=NOW)

    assert isinstance(made, df.OrderAcknowledgementItem)
    assert made.acknowledgement_status.description == "As agreed"
    assert problems_of(made, order=customers_order(), now=NOW) == ()
