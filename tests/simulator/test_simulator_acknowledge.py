"""Acknowledgements: what is refused at once, and what the rest does to an order."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from vendororders_async.simulator.acknowledge import (
    acknowledged,
    is_effective,
    read_submission,
)
from vendororders_async.simulator.queries import Refused

AT = datetime(2026, 6, 10, 12, 0, 0, 500_000, tzinfo=UTC)


def line(number: str, accepted: int, *, code: str = "Accepted", **names: str) -> dict[str, Any]:
    """Return the acknowledgement of one line."""
    return {
        **({"itemSequenceNumber": number} if number else {}),
        **names,
        "orderedQuantity": {"amount": 10},
        "netCost": {"currencyCode": "EUR", "amount": "1.10"},
        "itemAcknowledgements": [
            {"acknowledgementCode": code, "acknowledgedQuantity": {"amount": accepted}}
        ],
    }


def acknowledgement(*lines: dict[str, Any]) -> dict[str, Any]:
    """Return an acknowledgement of one order."""
    return {
        "purchaseOrderNumber": "1ABCDEFG",
        "sellingParty": {"partyId": "V1"},
        "acknowledgementDate": "2026-06-10T12:00:00Z",
        "items": list(lines),
    }


def status() -> dict[str, Any]:
    """Return the status of an order with two lines that nobody confirmed yet."""
    return {
        "itemStatus": [
            {
                "itemSequenceNumber": number,
                "buyerProductIdentifier": f"ASIN{number}",
                "vendorProductIdentifier": f"SKU{number}",
                "orderedQuantity": {"orderedQuantity": {"amount": 10}},
            }
            for number in ("1", "2")
        ]
    }


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("{", "not valid JSON"),
        ("[]", "not an object"),
        ("{}", "content of element 'acknowledgements' is not complete"),
        ('{"acknowledgements":[]}', "One of '{acknowledgement}' is expected"),
        ('{"acknowledgements":[1]}', "content of element 'acknowledgement'"),
        (
            '{"marketplaceIds":["A"],"acknowledgements":[{}]}',
            "starting with element 'marketplaceIds'. One of '{acknowledgements}' is expected.",
        ),
        ('{"acknowledgements":[{}]}', "One of '{purchaseOrderNumber}' is expected"),
        (json.dumps({"acknowledgements": [acknowledgement()]}), "element 'items'"),
        (
            json.dumps({"acknowledgements": [acknowledgement() | {"sellingParty": {}}]}),
            "element 'sellingParty' is not complete. One of '{partyId}' is expected.",
        ),
        (
            json.dumps({"acknowledgements": [acknowledgement({"orderedQuantity": {}})]}),
            "One of '{itemAcknowledgements}' is expected",
        ),
    ],
)
def test_a_wrong_shape_is_refused_in_the_words_of_a_schema(body: str, words: str) -> None:
    """The message says which element lacks what."""
    with pytest.raises(Refused) as caught:
        read_submission(body.encode())

    assert caught.value.code == "InvalidInput"
    assert words in caught.value.message


def test_a_right_shape_is_taken_as_it_is() -> None:
    """The document comes back untouched."""
    request = {"acknowledgements": [acknowledgement(line("1", 10))]}

    assert read_submission(json.dumps(request).encode()) == request


def words_of(changed: dict[str, Any]) -> list[str]:
    """Return the confirmation of each line."""
    return [one["acknowledgementStatus"]["confirmationStatus"] for one in changed["itemStatus"]]


def test_the_order_becomes_acknowledged() -> None:
    """State, its date, and the status' last update say so, in whole seconds."""
    order, changed = acknowledged({}, status(), acknowledgement(line("1", 10)), AT)

    assert order["purchaseOrderState"] == "Acknowledged"
    assert order["orderDetails"]["purchaseOrderStateChangedDate"] == "2026-06-10T12:00:00Z"
    assert changed["lastUpdatedDate"] == "2026-06-10T12:00:00Z"


def test_a_line_that_is_left_out_at_first_is_rejected() -> None:
    """All lines have to be named."""
    _, changed = acknowledged({}, status(), acknowledgement(line("1", 10)), AT)

    assert words_of(changed) == ["ACCEPTED", "REJECTED"]


def test_a_line_that_is_left_out_later_stays() -> None:
    """An update may be about some lines only."""
    both = acknowledgement(line("1", 10), line("2", 10))
    order, changed = acknowledged({}, status(), both, AT)
    _, changed = acknowledged(
        order, changed, acknowledgement(line("2", 10, code="Rejected")), AT
    )

    assert words_of(changed) == ["ACCEPTED", "REJECTED"]


def test_a_line_can_be_split() -> None:
    """Accepted and rejected parts make it partially accepted."""
    split = line("1", 6)
    split["itemAcknowledgements"] += line("1", 4, code="Rejected")["itemAcknowledgements"]
    _, changed = acknowledged({}, status(), acknowledgement(split, line("2", 10)), AT)
    first = changed["itemStatus"][0]["acknowledgementStatus"]

    assert words_of(changed) == ["PARTIALLY_ACCEPTED", "ACCEPTED"]
    assert (first["acceptedQuantity"]["amount"], first["rejectedQuantity"]["amount"]) == (6, 4)


@pytest.mark.parametrize(
    "names", [{"amazonProductIdentifier": "ASIN2"}, {"vendorProductIdentifier": "SKU2"}]
)
def test_a_line_may_be_named_by_its_product(names: dict[str, str]) -> None:
    """Not everybody sends sequence numbers."""
    _, changed = acknowledged({}, status(), acknowledgement(line("", 10, **names)), AT)

    assert words_of(changed) == ["REJECTED", "ACCEPTED"]


def test_a_nameless_line_is_about_nothing() -> None:
    """It confirms no line, least of all every line."""
    _, changed = acknowledged({}, status(), acknowledgement(line("", 10)), AT)

    assert words_of(changed) == ["REJECTED", "REJECTED"]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, True),
        ({"acknowledgementCode": "Backordered"}, True),
        ({"acknowledgementCode": "REJECTED"}, False),
        ({"rejectionReason": "ObsoleteProduct"}, True),
        ({"rejectionReason": "OBSOLETEPRODUCT"}, False),
    ],
)
def test_a_word_in_the_wrong_case_has_no_effect(
    changes: dict[str, str], expected: bool
) -> None:
    """Amazon takes it with a 202, and nothing happens."""
    one = line("1", 1)
    one["itemAcknowledgements"][0] |= changes

    assert is_effective(acknowledgement(line("2", 1), one)) is expected


def test_a_line_without_its_cost_has_no_effect() -> None:
    """Nor have the others that come with it."""
    free = line("1", 1)
    del free["netCost"]

    assert not is_effective(acknowledgement(line("2", 1), free))


def test_a_line_that_was_rejected_stays_so() -> None:
    """Silently, while the rest of the order is answered anew."""
    first = acknowledgement(line("1", 10), line("2", 10, code="Rejected"))
    order, before = acknowledged({}, status(), first, AT)
    again = acknowledgement(line("1", 4), line("2", 10))
    _, changed = acknowledged(order, before, again, AT)

    assert words_of(changed) == ["ACCEPTED", "REJECTED"]
    assert changed["itemStatus"][1] == before["itemStatus"][1]


def test_an_answer_replaces_the_earlier_one_and_its_details_are_increments() -> None:
    """What stands is the last; the steps to it add up."""
    both = acknowledgement(line("1", 10), line("2", 10, code="Backordered"))
    order, changed = acknowledged({}, status(), both, AT)
    split = line("1", 7)
    split["itemAcknowledgements"] += line("1", 3, code="Rejected")["itemAcknowledgements"]
    later = AT + timedelta(hours=47)
    _, changed = acknowledged(order, changed, acknowledgement(split), later)
    first, second = (one["acknowledgementStatus"] for one in changed["itemStatus"])
    steps = [
        (one["acceptedQuantity"]["amount"], one["rejectedQuantity"]["amount"])
        for one in first["acknowledgementStatusDetails"]
    ]

    assert (first["acceptedQuantity"]["amount"], first["rejectedQuantity"]["amount"]) == (7, 3)
    assert steps == [(10, 0), (-3, 3)]
    assert second["confirmationStatus"] == "ACCEPTED"
    assert len(second["acknowledgementStatusDetails"]) == 1


@pytest.mark.parametrize("dates", [{}, {"scheduledShipDate": "2026-06-20T00:00:00Z"}])
def test_after_two_days_only_dates_change(dates: dict[str, str]) -> None:
    """A status has none: with them it is updated, and without nothing happens."""
    both = acknowledgement(line("1", 10), line("2", 10))
    order, before = acknowledged({}, status(), both, AT)
    update = line("1", 4)
    update["itemAcknowledgements"][0] |= dates
    _, changed = acknowledged(order, before, acknowledgement(update), AT + timedelta(hours=49))

    assert changed["itemStatus"] == before["itemStatus"]
    assert (changed["lastUpdatedDate"] > before["lastUpdatedDate"]) is bool(dates)
