"""What has to be true of the acknowledgement of a retail order.

https://developer-docs.amazon.com/sp-api/docs/submit-order-acknowledgement has the rules;
vendorOrders.json of selling-partner-api-models has the spelling.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation

import msgspec

from ..clock import format_wire
from ..errors import Problem
from ..models.common import ItemQuantity, Money
from ..models.retail_procurement import (
    AcknowledgementCode,
    Order,
    OrderAcknowledgement,
    OrderAcknowledgementItem,
    OrderItemAcknowledgement,
    OrderStatus,
)
from .checks import (
    answered,
    count_problems,
    date_problems,
    echo_problems,
    list_of,
    number_problems,
    party_problems,
    word_problems,
)
from .lines import Names, OrderLine, eaches, is_price_unit, is_same_measure, lines_of
from .parts import CODES, REASONS, likely
from .places import Place
from .standing import (
    Split,
    Standing,
    Standings,
    closed_word,
    is_acknowledged,
)

ACCEPTED, BACKORDERED, REJECTED = AcknowledgementCode

# "After 48 hours", quantities stay as they are and dates may still change
FIRM_AFTER = timedelta(hours=48)

_PAST = timedelta(days=1)  # today's midnight is no mistake, in any zone
_UNITS = ("Cases", "Eaches")
_KEYS = ("itemSequenceNumber", "amazonProductIdentifier", "vendorProductIdentifier")
_ADDRESS = ("name", "addressLine1", "countryCode")


def retail_problems(
    made: OrderAcknowledgement,
    *,
    order: Order | None,
    status: OrderStatus | None,
    now: datetime,
) -> Iterator[Problem]:
    """Yield all that is wrong with *made*, as far as order and status are known."""
    place = Place(made.purchase_order_number)
    details = order.order_details if order else None
    known = order or status
    ordered_at = (details.purchase_order_date if details else None) or (
        status.purchase_order_date if status else None
    )
    party = (details.selling_party if details else None) or (
        status.selling_party if status else None
    )
    yield from number_problems(
        place, made.purchase_order_number, known.purchase_order_number if known else None
    )
    if word := closed_word(order, status):
        yield place["purchaseOrderNumber"].problem(
            f"the order is {word}: nothing is taken any more"
        )
    yield from party_problems(
        place["sellingParty"], made.selling_party, party.party_id if party else None, _ADDRESS
    )
    yield from date_problems(place, made.acknowledgement_date, ordered_at, now)
    if not made.items:
        yield place["items"].problem("is empty: no line is answered")
    case = _Case(
        order=order if details else None,
        standings=Standings(status),
        now=now,
        earliest=max(ordered_at or now, now) - _PAST,
    )
    yield from _line_problems(place["items"], made.items, case)


class _Case(msgspec.Struct, frozen=True, kw_only=True):
    """What an acknowledgement is measured by; a date before *earliest* is past."""

    order: Order | None
    standings: Standings
    now: datetime
    earliest: datetime


def _line_problems(
    place: Place, items: Sequence[OrderAcknowledgementItem], case: _Case
) -> Iterator[Problem]:
    names = [
        Names(
            number=item.item_sequence_number,
            product=item.amazon_product_identifier,
            vendor_product=item.vendor_product_identifier,
        )
        for item in items
    ]
    lines = lines_of(case.order) if case.order else None
    found = answered(place, names, lines, _KEYS[0])
    yield from found.problems
    for position, (item, line) in enumerate(zip(items, found.lines, strict=True)):
        here = place[position]
        if line is not None:
            yield from echo_problems(here, names[position], line.names, _KEYS)
            if line.is_cancelled:
                yield here.problem(f"Amazon has cancelled {line}: leave it out")
                continue
        yield from _item_problems(here, item, line, case.earliest)
        stands = case.standings.of(line.names if line else names[position])
        if stands is not None:
            yield from _update_problems(here["itemAcknowledgements"], item, stands, case)
    if lines is not None:
        left = _forgotten(lines, found.lines, case)
        if left:
            yield place.problem(
                f"{list_of(left)} left out, which Amazon takes for a rejection: "
                "answer every line"
            )


def _forgotten(
    lines: Sequence[OrderLine],
    answers: Sequence[OrderLine | None],
    case: _Case,
) -> list[OrderLine]:
    """Return the lines that Amazon would take for rejected, since they are left out.

    All have to be there the first time. An update is about any, but what was never answered
    is not safe from that.
    """
    is_update = is_acknowledged(case.order, case.standings)
    there = {id(line) for line in answers}
    left = []
    for line in lines:
        stands = case.standings.of(line.names)
        was_answered = is_update and (stands is None or stands.is_confirmed)
        if id(line) not in there and not line.is_cancelled and not was_answered:
            left.append(line)
    return left


def _item_problems(
    place: Place, item: OrderAcknowledgementItem, line: OrderLine | None, earliest: datetime
) -> Iterator[Problem]:
    ordered = line.ordered if line else None
    yield from _quantity_problems(place["orderedQuantity"], item.ordered_quantity, ordered)
    if ordered and item.ordered_quantity.amount not in (None, ordered.amount):
        yield place["orderedQuantity"]["amount"].problem(
            f"is {item.ordered_quantity.amount}, in the order {ordered.amount}"
        )
    yield from _price_problems(place, item, line)
    parts = place["itemAcknowledgements"]
    if not item.item_acknowledgements:
        yield parts.problem("is empty: neither accepted, nor backordered, nor rejected")
    for position, part in enumerate(item.item_acknowledgements):
        here = parts[position]
        quantity = part.acknowledged_quantity
        base = ordered or item.ordered_quantity
        yield from _quantity_problems(here["acknowledgedQuantity"], quantity, base)
        yield from _part_problems(here, part, line, earliest)
    yield from _sum_problems(parts, item, ordered or item.ordered_quantity)


def _sum_problems(
    place: Place, item: OrderAcknowledgementItem, ordered: ItemQuantity
) -> Iterator[Problem]:
    amounts = [part.acknowledged_quantity.amount for part in item.item_acknowledgements]
    if not amounts or ordered.amount is None or ordered.amount <= 0:
        return
    answered_count = sum(amount for amount in amounts if amount is not None)
    here = place[0]["acknowledgedQuantity"]["amount"] if len(amounts) == 1 else place
    if answered_count > ordered.amount:
        yield here.problem(f"{answered_count} are answered, but {ordered.amount} ordered")
    elif answered_count < ordered.amount:
        # What becomes of an unanswered rest is nowhere said
        yield here.problem(
            f"{answered_count} of {ordered.amount} are answered: reject or backorder the rest"
        )


def _quantity_problems(
    place: Place, quantity: ItemQuantity, base: ItemQuantity | None
) -> Iterator[Problem]:
    """Yield what is wrong with a quantity that has to be measured as *base* is."""
    yield from count_problems(place, quantity)
    misspelt = list(word_problems(place["unitOfMeasure"], quantity.unit_of_measure, _UNITS))
    yield from misspelt
    if quantity.unit_size is not None and quantity.unit_size <= 0:
        yield place["unitSize"].problem("must be positive")
    elif base is None:
        if quantity.unit_of_measure == "Cases" and quantity.unit_size is None:
            yield place["unitSize"].problem("is missing: how many are in a case?")
    elif not misspelt and not is_same_measure(quantity, base):
        same_unit = quantity.unit_of_measure == base.unit_of_measure
        key = "unitSize" if same_unit else "unitOfMeasure"
        mine, theirs = (
            (quantity.unit_size, base.unit_size)
            if same_unit
            else (quantity.unit_of_measure, base.unit_of_measure)
        )
        yield place[key].problem(
            f"is {mine or 'missing'}, ordered was {theirs or 'without one'}"
        )


def _price_problems(
    place: Place, item: OrderAcknowledgementItem, line: OrderLine | None
) -> Iterator[Problem]:
    # "If left blank, Amazon systems will reject the file"
    yield from _money_problems(place["netCost"], item.net_cost)
    ordered = line.net_cost if line else None
    if ordered is not None and item.net_cost is not None:
        for key, mine, theirs in (
            ("currencyCode", item.net_cost.currency_code, ordered.currency_code),
            ("unitOfMeasure", item.net_cost.unit_of_measure, ordered.unit_of_measure),
        ):
            if mine != theirs:
                yield place["netCost"][key].problem(f"is {mine}, in the order {theirs}")
        if (item.net_cost.amount or 0) > (ordered.amount or Decimal("Infinity")):
            yield place["netCost"]["amount"].problem(
                f"is {item.net_cost.amount}, above the order's {ordered.amount}"
            )
    if item.list_price is not None:
        yield from _money_problems(place["listPrice"], item.list_price)
    if item.discount_multiplier is not None:
        yield from _discount_problems(place, item)


def _money_problems(place: Place, money: Money | None) -> Iterator[Problem]:
    if money is None or money.amount is None:
        yield (place["amount"] if money else place).problem("is missing")
    elif money.amount <= 0:
        yield place["amount"].problem(f"is {money.amount}, and must be positive")
    if money is None:
        return
    if money.currency_code is not None and not 0 < len(money.currency_code) <= len("EUR"):
        yield place["currencyCode"].problem(f"is {money.currency_code!r}, and no ISO 4217 code")
    if money.unit_of_measure is not None and not is_price_unit(money.unit_of_measure):
        yield place["unitOfMeasure"].problem(
            f"is {money.unit_of_measure!r}: POUNDS, OUNCES, GRAMS, KILOGRAMS or none (eaches)"
        )


def _discount_problems(place: Place, item: OrderAcknowledgementItem) -> Iterator[Problem]:
    text = item.discount_multiplier or ""
    try:
        is_factor = 0 < Decimal(text) <= 1
    except InvalidOperation:
        is_factor = False
    if not is_factor:
        yield place["discountMultiplier"].problem(f"is {text!r}; 10 percent off is .90")
    if item.list_price is None:
        yield place["listPrice"].problem("is missing, and discountMultiplier is of it")


def _part_problems(
    place: Place, part: OrderItemAcknowledgement, line: OrderLine | None, earliest: datetime
) -> Iterator[Problem]:
    yield from word_problems(place["acknowledgementCode"], part.acknowledgement_code, CODES)
    code = likely(part.acknowledgement_code, CODES)
    yield from word_problems(place["rejectionReason"], part.rejection_reason, REASONS)
    if code == REJECTED and part.rejection_reason is None:
        yield place["rejectionReason"].problem(f"is missing: one of {', '.join(REASONS)}")
    if code not in (REJECTED, None) and part.rejection_reason is not None:
        yield place["rejectionReason"].problem(f"is for what is Rejected, and this is {code}")
    dates = {
        "scheduledShipDate": part.scheduled_ship_date,
        "scheduledDeliveryDate": part.scheduled_delivery_date,
    }
    if code == BACKORDERED:
        if line is not None and not line.is_back_order_allowed:
            yield place["acknowledgementCode"].problem(
                f"the order does not allow to backorder {line}"
            )
        if not any(dates.values()):
            yield place["scheduledShipDate"].problem(
                "is missing: until when is it backordered?"
            )
    for key, date in dates.items():
        if date is not None and date < earliest:
            yield place[key].problem(f"{format_wire(date)} is past, or before the order")
    ship, delivery = dates.values()
    if ship and delivery and delivery < ship:
        yield place["scheduledDeliveryDate"].problem(
            f"{format_wire(delivery)} is before it is shipped, {format_wire(ship)}"
        )


def _update_problems(
    place: Place, item: OrderAcknowledgementItem, stands: Standing, case: _Case
) -> Iterator[Problem]:
    """Yield what may not become of what stands: of a rejected line, and after 48 hours."""
    if stands.is_rejected:
        for position, part in enumerate(item.item_acknowledgements):
            if likely(part.acknowledgement_code, CODES) in (ACCEPTED, BACKORDERED):
                yield place[position]["acknowledgementCode"].problem(
                    "the line was rejected, and that is for good"
                )
        return
    dates = stands.dates or case.standings.dates
    if not (dates and stands.is_confirmed and stands.is_counted):
        return
    if case.now - dates[0] <= FIRM_AFTER or _changed_after(dates[-1], stands, case.order):
        return
    wanted = split_of(item)
    if wanted is not None and not stands.may_be(wanted):
        yield place.problem(
            f"quantities and codes are firm 48 hours after {format_wire(dates[0])}, only "
            f"dates may change; {stands.top.accepted} accepted and {stands.top.rejected} "
            "rejected pieces stand"
        )


def _changed_after(moment: datetime, stands: Standing, order: Order | None) -> bool:
    """Whether Amazon has changed the line since, which asks for another answer.

    Where the status does not say it of the line, it counts that the order was changed.
    """
    details = order.order_details if order else None
    change = stands.changed_at or (details.purchase_order_changed_date if details else None)
    return change is not None and change > moment


def split_of(item: OrderAcknowledgementItem) -> Split | None:
    """Return what *item* accepts (backorders are) and rejects, in pieces; None if unknown."""
    amounts = {True: 0, False: 0}
    for part in item.item_acknowledgements:
        amount = eaches(part.acknowledged_quantity)
        if amount is None:
            return None
        amounts[part.acknowledgement_code == REJECTED] += amount
    return Split(accepted=amounts[False], rejected=amounts[True])
