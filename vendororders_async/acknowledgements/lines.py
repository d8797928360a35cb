"""The lines of an order, of both APIs in one shape, and how one of them is meant."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from ..models import direct_fulfillment as df
from ..models import retail_procurement as rp
from ..models.common import ItemQuantity, Money

Order = rp.Order | df.Order

# Answers spell units in several ways (the models' own examples have CASES and EACH), but a
# word in the wrong case is taken with a 202 in a request and not applied:
# selling-partner-api-models#5108
_CASES, _EACHES, _EACH = "Cases", "Eaches", "Each"
_RETAIL_UNITS = {"case": _CASES, "cases": _CASES, "each": _EACHES, "eaches": _EACHES}
_UNITS_OF_PRICE = frozenset({"POUNDS", "OUNCES", "GRAMS", "KILOGRAMS"})


class Names(msgspec.Struct, frozen=True, kw_only=True):
    """What tells a line from the others; a number alone does, products may be in several."""

    number: str | None = None
    product: str | None = None
    vendor_product: str | None = None

    def __str__(self) -> str:
        return f"line {self.number or self.product or self.vendor_product or '(unnamed)'}"


class OrderLine(msgspec.Struct, frozen=True, kw_only=True):
    """One line of an order; *ordered* has its unit in the spelling that requests need."""

    names: Names
    ordered: ItemQuantity
    net_cost: Money | None = None
    list_price: Money | None = None
    is_back_order_allowed: bool = False

    @property
    def is_cancelled(self) -> bool:
        """Whether nothing of it is ordered any more."""
        # 0 says so by the model; less than that was seen too: selling-partner-api-docs#2421
        return self.ordered.amount is not None and self.ordered.amount <= 0

    def __str__(self) -> str:
        return str(self.names)


def lines_of(order: Order) -> list[OrderLine]:
    """Return the lines of *order*; none where it has no details."""
    if order.order_details is None:
        return []
    if isinstance(order.order_details, df.OrderDetails):
        return [_customers_line(item) for item in order.order_details.items]
    return [_retail_line(item) for item in order.order_details.items]


def _retail_line(item: rp.OrderItem) -> OrderLine:
    return OrderLine(
        names=Names(
            number=item.item_sequence_number,
            product=item.amazon_product_identifier,
            vendor_product=item.vendor_product_identifier,
        ),
        ordered=retail_quantity(item.ordered_quantity),
        net_cost=_price(item.net_cost),
        list_price=_price(item.list_price),
        is_back_order_allowed=item.is_back_order_allowed is True,
    )


def _customers_line(item: df.OrderItem) -> OrderLine:
    ordered = item.ordered_quantity or ItemQuantity()
    return OrderLine(
        names=Names(
            number=item.item_sequence_number,
            product=item.buyer_product_identifier,
            vendor_product=item.vendor_product_identifier,
        ),
        ordered=ItemQuantity(amount=ordered.amount, unit_of_measure=_EACH),
        net_cost=item.net_price,
    )


def retail_quantity(quantity: ItemQuantity | None) -> ItemQuantity:
    """Return *quantity* with its unit as the model spells it; one that is not known stays."""
    if quantity is None:
        return ItemQuantity()
    unit = quantity.unit_of_measure
    known = _RETAIL_UNITS.get(unit.strip().casefold(), unit) if unit is not None else None
    return msgspec.structs.replace(quantity, unit_of_measure=known)


def _price(money: Money | None) -> Money | None:
    if money is None or money.unit_of_measure is None:
        return money
    unit = money.unit_of_measure.strip().upper()
    return (
        msgspec.structs.replace(money, unit_of_measure=unit) if is_price_unit(unit) else money
    )


def is_price_unit(unit: str) -> bool:
    """Whether *unit* is one that prices by weight have, spelt as in the model."""
    return unit in _UNITS_OF_PRICE


def eaches(quantity: ItemQuantity | None) -> int | None:
    """Return *quantity* in single pieces; None where that is not known.

    >>> eaches(ItemQuantity(amount=3, unit_of_measure="CASES", unit_size=12))
    36
    """
    quantity = retail_quantity(quantity)
    if quantity.amount is None or quantity.unit_of_measure == _EACHES:
        return quantity.amount
    if quantity.unit_of_measure == _CASES and quantity.unit_size is not None:
        return quantity.amount * quantity.unit_size
    return None


def is_same_measure(one: ItemQuantity, other: ItemQuantity) -> bool:
    """Whether two amounts, units spelt alike, can be compared as numbers."""
    if one.unit_of_measure != other.unit_of_measure:
        return False
    # the size is that of a case; eaches come with a 1 or without
    return one.unit_of_measure != _CASES or one.unit_size == other.unit_size


def is_same(one: str | None, other: str | None) -> bool:
    """Whether two identifiers mean the same, zeros lost to a spreadsheet apart.

    >>> is_same("00001", "1"), is_same("B01", "B1")
    (True, False)
    """
    return one is not None and other is not None and _plain(one) == _plain(other)


def _plain(text: str) -> str:
    text = text.strip()
    return text.lstrip("0") if text.isascii() and text.isdigit() else text


class Index:
    """Finds which of some names can be meant: by the number, where there is one."""

    def __init__(self, names: Iterable[Names]) -> None:
        self._names = list(names)
        self._numbered: dict[str, list[int]] = {}
        for position, one in enumerate(self._names):
            if one.number is not None:
                self._numbered.setdefault(_plain(one.number), []).append(position)

    def meant(self, names: Names) -> list[int]:
        """Return the positions that *names* can mean; a number decides alone."""
        if names.number is not None:
            return self._numbered.get(_plain(names.number), [])
        if names.product is None and names.vendor_product is None:
            return []
        return [
            position
            for position, one in enumerate(self._names)
            if (names.product is None or is_same(names.product, one.product))
            and (
                names.vendor_product is None
                or is_same(names.vendor_product, one.vendor_product)
            )
        ]
