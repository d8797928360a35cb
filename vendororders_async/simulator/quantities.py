"""Quantities of statuses that do not add up, as they were seen at Amazon.

The sandbox of getPurchaseOrdersStatus in vendorOrders.json has increments (15 + 5 = 20) and
Cases that were received of Eaches that were ordered; the rest is what users of the
production API tell of.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

Document = dict[str, Any]


def odd_quantities(status: Document, oddity: str, case_size: int) -> Document:
    """Return the *status* of one line as an order with that *oddity* has it.

    The order's own document never changes, so that what it says was ordered stays true.
    """
    change = _CHANGES.get(oddity)
    return status if change is None else change(_plain(status), case_size)


def _plain(status: Document) -> Document:
    plain: Document = msgspec.json.decode(msgspec.json.encode(status))
    # an amount such as 11.20 would lose its zero
    return plain | {"netCost": status["netCost"]}


def _ordered_in_steps(status: Document, _: int) -> Document:
    ordered = status["orderedQuantity"]
    first, *rest = ordered["orderedQuantityDetails"]
    amount = first["orderedQuantity"]["amount"]
    if rest or amount < 2:  # noqa: PLR2004  # one piece has no parts
        return status
    parts = (
        first | {"orderedQuantity": first["orderedQuantity"] | {"amount": part}}
        for part in (amount - amount * 3 // 4, amount * 3 // 4)  # newest first, as there
    )
    ordered["orderedQuantityDetails"] = list(parts)
    return status


def _net_of_cancellations(status: Document, _: int) -> Document:
    ordered = status["orderedQuantity"]
    first, *rest = ordered["orderedQuantityDetails"]
    if rest:
        return status
    cancelled = first["orderedQuantity"] | {"amount": 2}
    original = first["orderedQuantity"] | {"amount": first["orderedQuantity"]["amount"] + 2}
    ordered["orderedQuantityDetails"] = [
        first | {"orderedQuantity": original},
        {"updatedDate": first["updatedDate"], "cancelledQuantity": cancelled},
    ]
    return status


def _rejected_is_missing(status: Document, _: int) -> Document:
    status["acknowledgementStatus"].pop("rejectedQuantity", None)
    return status


def _accepted_is_wrong(status: Document, _: int) -> Document:
    accepted = status["acknowledgementStatus"].get("acceptedQuantity")
    if accepted is not None:
        accepted["amount"] = 0  # its details still say how many
    return status


def _received_too_many(status: Document, _: int) -> Document:
    received = status["receivingStatus"]["receivedQuantity"]
    if received["amount"]:
        received["amount"] = status["orderedQuantity"]["orderedQuantity"]["amount"] + 3
    return status


def _received_in_cases(status: Document, case_size: int) -> Document:
    received = status["receivingStatus"]["receivedQuantity"]
    if received["unitOfMeasure"] == "Eaches":
        cases = -(-received["amount"] // case_size)
        status["receivingStatus"]["receivedQuantity"] = {
            "amount": cases,
            "unitOfMeasure": "Cases",
            "unitSize": case_size,
        }
    return status


_CHANGES: dict[str, Callable[[Document, int], Document]] = {
    "new-type": _ordered_in_steps,
    "new-payment": _net_of_cancellations,
    "json-number": _rejected_is_missing,
    "zeros": _accepted_is_wrong,
    "weight": _received_too_many,
    "bare": _received_in_cases,
}
