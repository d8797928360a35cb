"""Differences: what an order or its status says else than the version before.

Pure functions over lists of fields that are written out below. What is not in them is never
told: of direct fulfillment, nothing that says who the customer is, or what they wrote.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec

from .changes import FieldChange, LineChange
from .clock import format_stored
from .models import direct_fulfillment as df
from .models import retail_procurement as rp
from .models.common import DateTimeInterval, ItemQuantity

Compared = rp.Order | df.Order | rp.OrderStatus

_CAPITAL = re.compile(r"[A-Z]")


class Differences(msgspec.Struct, frozen=True):
    """Which fields of an order, and which of its lines, say what else."""

    fields: tuple[FieldChange, ...] = ()
    lines: tuple[LineChange, ...] = ()


def differences(old: Compared | None, new: Compared) -> Differences:
    """Return what *new* says else than *old*; all that it says, where *old* is None.

        >>> old = rp.Order(purchase_order_number="A1", purchase_order_state="New")
        >>> new = rp.Order(purchase_order_number="A1", purchase_order_state="Closed")
        >>> differences(old, new).fields
        (FieldChange(field='purchaseOrderState', old='New', new='Closed'),)

    A field is called as on the wire, from the order's details, the line or the status down
    (``shipmentDetails.shipMethod``). Amounts of money are text with every digit, and compared
    as numbers; instants are as a sink stores them; how a document was written is no change.

    A line is found again by its sequence number, where one line alone has that; otherwise by
    its product, then by its place.
    """
    shape = _SHAPES[type(new)]
    before = _lines_of(old, shape) if old is not None else []
    lines = _line_changes(before, _lines_of(new, shape), shape)
    return Differences(tuple(_field_changes(shape.fields, old, new)), tuple(lines))


class _Field(NamedTuple):
    """A field that is told of: its name on the wire, and how it is read of a struct."""

    name: str
    read: Callable[[Any], Any]


class _Line(NamedTuple):
    """A line of an order; *number* is None where it is missing, or another line has it too."""

    place: int
    number: str | None
    product: str | None
    item: Any


class _Shape(NamedTuple):
    """What is compared of one kind of document, and where its lines are."""

    fields: tuple[_Field, ...]
    items: Callable[[Any], Sequence[Any]]
    product: str
    line_fields: tuple[_Field, ...]
    ordered: Callable[[Any], Any]


def _lines_of(document: object, shape: _Shape) -> list[_Line]:
    items = shape.items(document)
    numbers = [_plain(item.item_sequence_number) for item in items]
    counts = Counter(numbers)
    return [
        _Line(
            place,
            number if counts[number] == 1 else None,
            getattr(item, shape.product) or item.vendor_product_identifier or None,
            item,
        )
        for place, (number, item) in enumerate(zip(numbers, items, strict=True))
    ]


def _plain(number: str | None) -> str | None:
    """Return a sequence number without the zeros that some spellings of it begin with."""
    number = number.strip() if number else ""
    return number.lstrip("0") if number.isdecimal() else number or None


def _line_changes(
    old: Sequence[_Line], new: Sequence[_Line], shape: _Shape
) -> Iterator[LineChange]:
    found = _found_again(old, new)
    for line in new:
        before = found.get(line.place)
        if before is None:
            yield _line_change("added", line, shape, old=None, new=line.item)
            continue
        change = _line_change("changed", line, shape, old=before.item, new=line.item)
        if not change.fields:
            continue
        is_cancelled = _is_nothing(shape.ordered(line.item)) and not _is_nothing(
            shape.ordered(before.item)
        )
        yield msgspec.structs.replace(change, kind="cancelled") if is_cancelled else change
    left = {before.place for before in found.values()}
    for line in old:
        if line.place not in left:
            yield _line_change("removed", line, shape, old=line.item, new=None)


def _line_change(kind: str, line: _Line, shape: _Shape, *, old: Any, new: Any) -> LineChange:
    return LineChange(
        item_sequence_number=line.item.item_sequence_number,
        product_identifier=getattr(line.item, shape.product),
        kind=kind,
        fields=tuple(_field_changes(shape.line_fields, old, new)),
    )


def _is_nothing(amount: int | None) -> bool:
    # 0 says so by the model; less than that was seen too: selling-partner-api-docs#2421
    return amount is not None and amount <= 0


def _found_again(old: Sequence[_Line], new: Sequence[_Line]) -> dict[int, _Line]:
    """Return the line of *old* for each place in *new* that has one."""
    numbered = {line.number: line for line in old if line.number is not None}
    found = {line.place: numbered[line.number] for line in new if line.number in numbered}
    for name in (_product, _place):
        if len(found) == min(len(old), len(new)):
            break
        _find_by(name, old, new, found)
    return found


def _find_by(
    name: Callable[[_Line], Hashable],
    old: Sequence[_Line],
    new: Sequence[_Line],
    found: dict[int, _Line],
) -> None:
    """Add to *found* what has the same *name*; lines with different numbers never are one."""
    taken = {line.place for line in found.values()}
    waiting: dict[tuple[Hashable, bool], list[_Line]] = defaultdict(list)
    for line in reversed(old):
        if line.place not in taken and name(line) is not None:
            waiting[name(line), line.number is None].append(line)
    for line in new:
        if line.place not in found:
            for rest in (True, False) if line.number is None else (True,):
                if candidates := waiting.get((name(line), rest)):
                    found[line.place] = candidates.pop()
                    break


def _product(line: _Line) -> str | None:
    return line.product


def _place(line: _Line) -> int:
    return line.place


def _field_changes(fields: Sequence[_Field], old: Any, new: Any) -> Iterator[FieldChange]:
    for field in fields:
        before, after = field.read(old), field.read(new)
        if before != after:
            yield FieldChange(field.name, _told(before), _told(after))


def _told(value: Any) -> Any:
    return str(value) if isinstance(value, Decimal) else value


def _fields(*names: str, within: str = "") -> tuple[_Field, ...]:
    """Return the fields of these names, which lie *within* another."""
    return tuple(_Field(name, _reader(f"{within}{name}")) for name in names)


def _reader(path: str) -> Callable[[Any], Any]:
    """Return what reads the value at *path*, a name on the wire, dotted where nested."""
    attributes = _CAPITAL.sub(lambda found: f"_{found[0].lower()}", path).split(".")

    def read(struct: Any) -> Any:
        for attribute in attributes:
            if struct is None:
                return None
            struct = getattr(struct, attribute)
        return _comparable(struct)

    return read


def _comparable(value: Any) -> Any:
    """Return *value* so that what means the same is the same."""
    if isinstance(value, datetime):
        return format_stored(value)
    if isinstance(value, DateTimeInterval):
        start, end = value.start, value.end
        if start is not None and end is not None:
            return f"{format_stored(start)}--{format_stored(end)}"
        return str(value)
    return value


def _cancelled(item: rp.OrderItemStatus | None) -> ItemQuantity | None:
    """Return how many were cancelled in all; None where that is in several units.

    Amazon gives it in the details only, which are increments.
    """
    ordered = item.ordered_quantity if item else None
    details = ordered.ordered_quantity_details if ordered else []
    parts = [one.cancelled_quantity for one in details if one.cancelled_quantity]
    units = {(one.unit_of_measure or "").casefold() for one in parts}
    if len(units) != 1 or len({one.unit_size for one in parts}) != 1:
        return None
    amounts = [one.amount for one in parts if one.amount is not None]
    return msgspec.structs.replace(parts[0], amount=sum(amounts) if amounts else None)


def _quantities(*names: str) -> tuple[_Field, ...]:
    return _fields(*(f"{name}.{part}" for name in names for part in _QUANTITY))


def _prices(*names: str) -> tuple[_Field, ...]:
    return _fields(*(f"{name}.{part}" for name in names for part in _PRICE))


def _cancelled_reader(part: str) -> Callable[[Any], Any]:
    read = _reader(part)
    return lambda item: read(_cancelled(item))


def _items(order: rp.Order | df.Order) -> Sequence[rp.OrderItem | df.OrderItem]:
    return order.order_details.items if order.order_details else ()


_QUANTITY = ("amount", "unitOfMeasure", "unitSize")
_PRICE = ("amount", "currencyCode", "unitOfMeasure")
_DETAILS = "orderDetails."
_CANCELLED = "orderedQuantity.orderedQuantityDetails.cancelledQuantity"

_SHAPES: dict[type, _Shape] = {
    rp.Order: _Shape(
        fields=(
            *_fields("purchaseOrderState"),
            *_fields(
                "purchaseOrderType",
                "purchaseOrderDate",
                "purchaseOrderChangedDate",
                "purchaseOrderStateChangedDate",
                "shipWindow",
                "deliveryWindow",
                "paymentMethod",
                "dealCode",
                "buyingParty.partyId",
                "sellingParty.partyId",
                "shipToParty.partyId",
                "billToParty.partyId",
                "importDetails.methodOfPayment",
                "importDetails.internationalCommercialTerms",
                "importDetails.portOfDelivery",
                "importDetails.importContainers",
                "importDetails.shippingInstructions",
                within=_DETAILS,
            ),
        ),
        items=_items,
        product="amazon_product_identifier",
        line_fields=(
            *_fields("amazonProductIdentifier", "vendorProductIdentifier"),
            *_quantities("orderedQuantity"),
            *_fields("isBackOrderAllowed"),
            *_prices("netCost", "listPrice"),
        ),
        ordered=_reader("orderedQuantity.amount"),
    ),
    # Whom it is billed to is left out: in some places that is the customer (redaction.py).
    df.Order: _Shape(
        fields=_fields(
            "orderStatus",
            "orderDate",
            "shipmentDetails.isPriorityShipment",
            "shipmentDetails.isScheduledDeliveryShipment",
            "shipmentDetails.isPslipRequired",
            "shipmentDetails.isGift",
            "shipmentDetails.shipMethod",
            "shipmentDetails.shipmentDates.requiredShipDate",
            "shipmentDetails.shipmentDates.promisedDeliveryDate",
            "sellingParty.partyId",
            "shipFromParty.partyId",
            within=_DETAILS,
        ),
        items=_items,
        product="buyer_product_identifier",
        line_fields=(
            *_fields("buyerProductIdentifier", "vendorProductIdentifier"),
            *_quantities("orderedQuantity"),
            *_prices("netPrice"),
        ),
        ordered=_reader("orderedQuantity.amount"),
    ),
    rp.OrderStatus: _Shape(
        fields=_fields("purchaseOrderStatus", "lastUpdatedDate"),
        items=lambda status: status.item_status,
        product="buyer_product_identifier",
        line_fields=(
            *_quantities("orderedQuantity.orderedQuantity"),
            *(_Field(f"{_CANCELLED}.{part}", _cancelled_reader(part)) for part in _QUANTITY),
            *_fields("acknowledgementStatus.confirmationStatus"),
            *_quantities(
                "acknowledgementStatus.acceptedQuantity",
                "acknowledgementStatus.rejectedQuantity",
            ),
            *_fields("receivingStatus.receiveStatus"),
            *_quantities("receivingStatus.receivedQuantity"),
            *_fields("receivingStatus.lastReceiveDate"),
        ),
        ordered=_reader("orderedQuantity.orderedQuantity.amount"),
    ),
}
