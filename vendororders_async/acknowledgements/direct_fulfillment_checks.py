"""What has to be true of the acknowledgement of a direct fulfillment order.

https://developer-docs.amazon.com/sp-api/docs/submit-an-acknowledgement: all lines, in full,
accepted or rejected together.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime

from ..errors import Problem
from ..models.direct_fulfillment import (
    Order,
    OrderAcknowledgementItem,
    OrderItemAcknowledgement,
    OrderStatus,
    UnitOfMeasure,
)
from .checks import (
    answered,
    count_problems,
    date_problems,
    echo_problems,
    list_of,
    number_problems,
    party_problems,
)
from .codes import CODES
from .lines import Names, OrderLine, lines_of
from .places import Place

_KEYS = ("itemSequenceNumber", "buyerProductIdentifier", "vendorProductIdentifier")
_ADDRESS = ("name", "addressLine1", "stateOrRegion", "countryCode")
_AGREED = re.compile(r"[0-9]{2}")


def direct_fulfillment_problems(
    made: OrderAcknowledgementItem, *, order: Order | None, now: datetime
) -> Iterator[Problem]:
    """Yield all that is wrong with *made*, as far as its order is known."""
    place = Place(made.purchase_order_number)
    details = order.order_details if order else None
    yield from number_problems(
        place, made.purchase_order_number, order.purchase_order_number if order else None
    )
    word = details.order_status if details else None
    if word is not None and word.upper() != OrderStatus.NEW:
        yield place["purchaseOrderNumber"].problem(f"the order is {word}, and no longer NEW")
    if not made.vendor_order_number.strip():
        yield place["vendorOrderNumber"].problem("is missing: your own number for the order")
    for name, ours, theirs in (
        ("sellingParty", made.selling_party, details.selling_party if details else None),
        ("shipFromParty", made.ship_from_party, details.ship_from_party if details else None),
    ):
        expected = theirs.party_id if theirs else None
        yield from party_problems(place[name], ours, expected, _ADDRESS)
    ordered_at = details.order_date if details else None
    yield from date_problems(place, made.acknowledgement_date, ordered_at, now)
    yield from _code_problems(place["acknowledgementStatus"], made)
    if not made.item_acknowledgements:
        yield place["itemAcknowledgements"].problem("is empty: no line is answered")
    yield from _line_problems(
        place["itemAcknowledgements"],
        made.item_acknowledgements,
        lines_of(order) if order and details else None,
    )


def _code_problems(place: Place, made: OrderAcknowledgementItem) -> Iterator[Problem]:
    """Yield what is wrong with the code.

    It is any text by the schema, "a unique two digit value" by its prose, and vendors agree
    on further ones with Amazon. Such a one has to be explained, since a slip of the pen would
    reject the order.
    """
    code = made.acknowledgement_status.code
    if code in CODES:
        return
    if code is None:
        yield place["code"].problem("is missing: 00 accepts the order")
    elif not _AGREED.fullmatch(code):
        yield place["code"].problem(f"is {code!r}; codes have two digits, 00 accepts")
    elif not (made.acknowledgement_status.description or "").strip():
        yield place["code"].problem(
            f"is {code!r}, which Amazon does not list; if it was agreed on, give a description"
        )


def _line_problems(
    place: Place,
    items: Sequence[OrderItemAcknowledgement],
    lines: Sequence[OrderLine] | None,
) -> Iterator[Problem]:
    names = [
        Names(
            number=item.item_sequence_number,
            product=item.buyer_product_identifier,
            vendor_product=item.vendor_product_identifier,
        )
        for item in items
    ]
    found = answered(place, names, lines, _KEYS[0])
    yield from found.problems
    for position, (item, line) in enumerate(zip(items, found.lines, strict=True)):
        here, quantity = place[position], item.acknowledged_quantity
        if line is not None:
            yield from echo_problems(here, names[position], line.names, _KEYS)
            if line.is_cancelled:
                yield here.problem(f"Amazon has cancelled {line}: leave it out")
                continue
        here = here["acknowledgedQuantity"]
        yield from count_problems(here, quantity)
        if quantity.unit_of_measure != UnitOfMeasure.EACH:
            word = quantity.unit_of_measure or "missing"
            yield here["unitOfMeasure"].problem(f"is {word}; it has to be Each, spelt so")
        if quantity.unit_size is not None:
            # what is not in the model is a 400: saleweaver/python-amazon-sp-api#276
            yield here["unitSize"].problem("is not part of direct fulfillment: leave it out")
        if line is not None and quantity.amount not in (None, line.ordered.amount):
            yield here["amount"].problem(
                f"is {quantity.amount}, ordered {line.ordered.amount}: all of it, or another "
                "code than 00 for the whole order"
            )
    if lines is not None:
        there = {id(line) for line in found.lines}
        left = [line for line in lines if id(line) not in there and not line.is_cancelled]
        if left:
            yield place.problem(f"{list_of(left)} left out: an order is answered as a whole")
