"""Lines: what `purchase_order_items` and `purchase_order_lines` say about an order.

Pure functions, for stores without views of their own; they say what the SQL views say.
"""

from __future__ import annotations

import math
from decimal import Decimal

import msgspec

from ..models import direct_fulfillment
from ..models.common import ItemQuantity, Money
from ..models.retail_procurement import OrderItem
from .rows import AnyOrder

# Amazon spells Cases and CASES, Eaches and EACH
_CASES = frozenset({"cases", "case"})
_EACHES = frozenset({"eaches", "each"})

_NO_PRICE = Money()
_NO_QUANTITY = ItemQuantity()


class OrderLine(msgspec.Struct, frozen=True, gc=False):
    """One line of a purchase order, column by column; a field is named as its column.

    Amounts are as exact as Amazon's. The last three are for arithmetic: *ordered_eaches* is
    None where the unit is not known, *net_cost* and *line_total* where the price is by weight.
    """

    purchase_order_number: str
    item_sequence_number: str | None
    product_identifier: str | None
    vendor_product_identifier: str | None
    ordered_quantity: int | None
    unit_of_measure: str | None
    unit_size: int | None
    is_back_order_allowed: bool | None
    net_cost_amount: Decimal | None
    net_cost_currency: str | None
    net_cost_unit_of_measure: str | None
    list_price_amount: Decimal | None
    list_price_currency: str | None
    ordered_eaches: int | None
    net_cost: float | None
    line_total: float | None


def order_lines(order: AnyOrder) -> list[OrderLine]:
    """Return the lines of *order*, in its order; none where it has no details."""
    items = order.order_details.items if order.order_details else ()
    return [_line(order.purchase_order_number, item) for item in items]


def ordered_eaches(quantity: ItemQuantity | None) -> int | None:
    """Return *quantity* in single pieces: cases count with their size.

    >>> ordered_eaches(ItemQuantity(amount=3, unit_of_measure="Cases", unit_size=12))
    36
    """
    if quantity is None or quantity.amount is None:
        return None
    unit = (quantity.unit_of_measure or "").lower()
    if unit in _EACHES:
        return quantity.amount
    if unit in _CASES and quantity.unit_size is not None:
        return quantity.amount * quantity.unit_size
    return None


def unit_price(price: Money | None) -> float | None:
    """Return *price* as a number, for arithmetic; None where it is by weight."""
    if price is None or price.amount is None:
        return None
    unit = (price.unit_of_measure or "").lower()
    return float(price.amount) if not unit or unit in _EACHES else None


def _line(number: str, item: OrderItem | direct_fulfillment.OrderItem) -> OrderLine:
    if isinstance(item, OrderItem):
        product, price = item.amazon_product_identifier, item.net_cost or _NO_PRICE
        list_price, may_wait = item.list_price or _NO_PRICE, item.is_back_order_allowed
    else:
        product, price = item.buyer_product_identifier, item.net_price or _NO_PRICE
        list_price, may_wait = _NO_PRICE, None
    quantity = item.ordered_quantity or _NO_QUANTITY
    eaches = ordered_eaches(quantity)
    net_cost = unit_price(price)
    total = None if eaches is None or net_cost is None else net_cost * eaches
    return OrderLine(
        purchase_order_number=number,
        item_sequence_number=item.item_sequence_number,
        product_identifier=product,
        vendor_product_identifier=item.vendor_product_identifier,
        ordered_quantity=quantity.amount,
        unit_of_measure=quantity.unit_of_measure,
        unit_size=quantity.unit_size,
        is_back_order_allowed=may_wait,
        net_cost_amount=price.amount,
        net_cost_currency=price.currency_code,
        net_cost_unit_of_measure=price.unit_of_measure,
        list_price_amount=list_price.amount,
        list_price_currency=list_price.currency_code,
        ordered_eaches=eaches,
        net_cost=net_cost,
        line_total=None if total is None or math.isnan(total) else total,
    )
