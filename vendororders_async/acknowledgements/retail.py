"""Acknowledgements of retail orders, made from the orders themselves.

Identifiers, quantities and prices are those of the order, to the letter. Of the selling
party its id is enough, as in the model's own case. A line that Amazon has cancelled (ordered
quantity 0) is left out: an acknowledged quantity "should not be zero", and to reject it would
be for good. The list price goes along where the order has one, since book vendors need it;
their *discount_multiplier* is not in the order and is theirs to add
(``msgspec.structs.replace``).
"""

# https://developer-docs.amazon.com/sp-api/docs/submit-order-acknowledgement

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from msgspec.structs import replace

from ..errors import AcknowledgementError, Problem
from ..models.common import Money, PartyIdentification
from ..models.retail_procurement import (
    Order,
    OrderAcknowledgement,
    OrderAcknowledgementItem,
    OrderItemAcknowledgement,
)
from .drafts import Part
from .lines import Index, Names, OrderLine, lines_of
from .parts import accepted, instant, shared
from .places import Place
from .retail_checks import retail_problems

Answer = Part | Sequence[Part]


def accept_all(
    order: Order,
    *,
    at: datetime,
    scheduled_ship_date: datetime | None = None,
    scheduled_delivery_date: datetime | None = None,
) -> OrderAcknowledgement:
    """Accept every line of *order* in full, at the instant *at*.

    Raises:
        AcknowledgementError: It would not be valid, or there is nothing to accept.
        InvalidArgument: An instant has no zone.
    """
    part = accepted(
        scheduled_ship_date=scheduled_ship_date,
        scheduled_delivery_date=scheduled_delivery_date,
    )
    return answer(order, {}, at=at, others=part)


def answer(
    order: Order,
    lines: Mapping[str, Answer],
    *,
    at: datetime,
    others: Part | None = None,
) -> OrderAcknowledgement:
    """Answer *order* line by line, at the instant *at*.

        answer(order, {"2": [accepted(5), rejected("TemporarilyUnavailable")]},
               at=now, others=accepted())

    *lines* has the answers by item sequence number, *others* answers all lines that are not
    in it. Cancelled lines are neither named nor answered.

    Raises:
        AcknowledgementError: A line is forgotten, unknown or answered wrongly; it has all
            that is wrong.
        InvalidArgument: An instant has no zone.
    """
    place = Place(order.purchase_order_number)
    known = lines_of(order)
    problems: list[Problem] = []
    answers: dict[int, Answer] = {}
    index = Index(line.names for line in known)
    for number, answer in lines.items():
        found = index.meant(Names(number=number))
        if len(found) != 1:
            words = "the order has no such line" if not found else "it is in the order twice"
            problems.append(place["items"].problem(f"line {number}: {words}"))
        elif found[0] in answers:
            problems.append(place["items"].problem(f"line {number} is answered twice"))
        else:
            answers[found[0]] = answer
    left = [i for i, one in enumerate(known) if i not in answers and not one.is_cancelled]
    if others is not None:
        answers |= dict.fromkeys(left, others)
    elif left:
        names = ", ".join(str(known[i]) for i in left)
        problems.append(place["items"].problem(f"not answered: {names}"))
    if problems:
        raise AcknowledgementError(tuple(problems))
    made = retail_document(order, [(known[i], answers[i]) for i in sorted(answers)], at=at)
    if problems := list(
        retail_problems(made, order=order, status=None, now=made.acknowledgement_date)
    ):
        raise AcknowledgementError(tuple(problems))
    return made


def retail_document(
    order: Order, answers: Sequence[tuple[OrderLine, Answer]], *, at: datetime
) -> OrderAcknowledgement:
    """Return the document that gives *answers* to lines of *order*; it is not checked.

    Raises:
        AcknowledgementError: It cannot be made: the parts of a line do not add up, a line is
            cancelled, or the order lacks what has to be echoed.
    """
    place = Place(order.purchase_order_number)
    problems: list[Problem] = []
    details = order.order_details
    seller = details.selling_party.party_id if details and details.selling_party else None
    if not seller:
        problems.append(place["sellingParty"]["partyId"].problem("the order does not say it"))
    if not answers:
        problems.append(place["items"].problem("the order has no line to acknowledge"))
    items = []
    for index, (line, answer) in enumerate(answers):
        parts = (answer,) if isinstance(answer, Part) else answer
        try:
            items.append(_item(line, parts))
        except ValueError as error:
            problems.append(place["items"][index].problem(f"{line}: {error}"))
    if problems:
        raise AcknowledgementError(tuple(problems))
    return OrderAcknowledgement(
        purchase_order_number=order.purchase_order_number,
        selling_party=PartyIdentification(party_id=seller),
        acknowledgement_date=instant(at, "at"),
        items=items,
    )


def _item(line: OrderLine, parts: Sequence[Part]) -> OrderAcknowledgementItem:
    if line.ordered.amount is None:
        raise ValueError("the order does not say how many")
    if line.is_cancelled:
        raise ValueError("Amazon has cancelled it: leave it out")
    return OrderAcknowledgementItem(
        item_sequence_number=line.names.number,
        amazon_product_identifier=line.names.product,
        vendor_product_identifier=line.names.vendor_product,
        ordered_quantity=line.ordered,
        net_cost=line.net_cost,
        list_price=_positive(line.list_price),
        item_acknowledgements=[
            OrderItemAcknowledgement(
                acknowledgement_code=part.code,
                acknowledged_quantity=replace(line.ordered, amount=part.quantity),
                scheduled_ship_date=part.scheduled_ship_date,
                scheduled_delivery_date=part.scheduled_delivery_date,
                rejection_reason=part.rejection_reason,
            )
            for part in shared(parts, line.ordered.amount)
        ],
    )


def _positive(price: Money | None) -> Money | None:
    """Return *price* unless it is nothing: "must not be zero or negative"."""
    return price if price and price.amount is not None and price.amount > 0 else None
