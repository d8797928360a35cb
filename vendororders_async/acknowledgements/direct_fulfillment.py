"""Acknowledgements of direct fulfillment orders: all of an order, or none of it.

https://developer-docs.amazon.com/sp-api/docs/submit-an-acknowledgement
"""

from __future__ import annotations

from datetime import datetime

from ..errors import AcknowledgementError, InvalidArgument, Problem
from ..models.direct_fulfillment import (
    AcknowledgementStatus,
    Order,
    OrderAcknowledgementItem,
    OrderItemAcknowledgement,
    PartyIdentification,
)
from .codes import ACCEPT, CODES
from .direct_fulfillment_checks import direct_fulfillment_problems
from .lines import lines_of
from .parts import instant
from .places import Place


def accept_order(
    order: Order, *, at: datetime, vendor_order_number: str | None = None
) -> OrderAcknowledgementItem:
    """Accept all of *order*, at the instant *at*.

    *vendor_order_number* is your own number for it, by default the purchase order's.

    Raises:
        AcknowledgementError: It would not be valid: the order is not new any more, say.
        InvalidArgument: *at* has no zone.
    """
    return _answer(order, ACCEPT, at, CODES[ACCEPT], vendor_order_number)


def reject_order(
    order: Order,
    code: str,
    *,
    at: datetime,
    description: str | None = None,
    vendor_order_number: str | None = None,
) -> OrderAcknowledgementItem:
    """Reject all of *order*, for the reason that *code* (``03``) stands for in `CODES`.

    A code that is not there, but agreed on with Amazon, needs a *description*.

    Raises:
        AcknowledgementError: It would not be valid.
        InvalidArgument: *at* has no zone, or *code* is that of accepting.
    """
    if code == ACCEPT:
        raise InvalidArgument(f"{ACCEPT} accepts the order; a rejection needs another code")
    return _answer(order, code, at, description or CODES.get(code), vendor_order_number)


def _answer(
    order: Order,
    code: str,
    at: datetime,
    description: str | None,
    vendor_order_number: str | None,
) -> OrderAcknowledgementItem:
    made = order_document(
        order, code, at=at, description=description, vendor_order_number=vendor_order_number
    )
    problems = list(
        direct_fulfillment_problems(made, order=order, now=made.acknowledgement_date)
    )
    if problems:
        raise AcknowledgementError(tuple(problems))
    return made


def order_document(
    order: Order,
    code: str,
    *,
    at: datetime,
    description: str | None = None,
    vendor_order_number: str | None = None,
) -> OrderAcknowledgementItem:
    """Return the document that answers *order* with *code*; it is not checked.

    Raises:
        AcknowledgementError: The order lacks what has to be echoed.
    """
    place = Place(order.purchase_order_number)
    problems: list[Problem] = []
    details = order.order_details
    parties = {
        "sellingParty": details.selling_party if details else None,
        "shipFromParty": details.ship_from_party if details else None,
    }
    ids = {name: party.party_id if party else None for name, party in parties.items()}
    problems += (
        place[name]["partyId"].problem("the order does not say it")
        for name, party_id in ids.items()
        if not party_id
    )
    items = []
    for line in lines_of(order):
        if line.is_cancelled:
            continue  # "this value should not be zero"
        if line.names.number is None or line.ordered.amount is None:
            words = "the order does not say its number or quantity"
            problems.append(place["itemAcknowledgements"].problem(f"{line}: {words}"))
            continue
        items.append(
            OrderItemAcknowledgement(
                item_sequence_number=line.names.number,
                buyer_product_identifier=line.names.product,
                vendor_product_identifier=line.names.vendor_product,
                acknowledged_quantity=line.ordered,
            )
        )
    if not items and not problems:
        words = "the order has no line to acknowledge"
        problems.append(place["itemAcknowledgements"].problem(words))
    if problems:
        raise AcknowledgementError(tuple(problems))
    return OrderAcknowledgementItem(
        purchase_order_number=order.purchase_order_number,
        vendor_order_number=vendor_order_number or order.purchase_order_number,
        acknowledgement_date=instant(at, "at"),
        acknowledgement_status=AcknowledgementStatus(
            code=code, description=description or CODES.get(code)
        ),
        selling_party=PartyIdentification(party_id=ids["sellingParty"]),
        ship_from_party=PartyIdentification(party_id=ids["shipFromParty"]),
        item_acknowledgements=items,
    )
