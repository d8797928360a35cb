"""Rows: what a sink's columns say about a document, and which of two versions is newer.

Pure functions, shared by the sinks that have columns. Times are written as all of them keep
them (`format_stored`): such text sorts as time does.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

from ..clock import format_stored
from ..models import direct_fulfillment
from ..models.common import DateTimeInterval, PartyIdentification
from ..models.retail_procurement import Order, OrderDetails, OrderStatus
from ..operations import DIRECT_FULFILLMENT_API, RETAIL_API

AnyOrder = Order | direct_fulfillment.Order

# What a document is, by the API in its row or folder
ORDER_TYPES: dict[str, type[AnyOrder]] = {
    RETAIL_API: Order,
    DIRECT_FULFILLMENT_API: direct_fulfillment.Order,
}

_NO_DETAILS = OrderDetails()
_NO_SHIPMENT = direct_fulfillment.ShipmentDetails()

# Numbers are compared by value and never as floats, which take 0.1 for its neighbours.
_PLAIN: msgspec.json.Decoder[Any] = msgspec.json.Decoder(float_hook=Decimal)


class Version(msgspec.Struct, frozen=True, gc=False):
    """What decides between two versions of an order.

    One with details beats one without; then the latest of the order's own dates counts
    (none later than when it was asked for), then when it was asked for. The digest settles
    a draw, so that the order in which pages arrive never does.
    """

    digest: str
    asked_at: str
    own_date_at: str | None = None
    has_details: bool = True

    def is_newer_than(self, other: Version) -> bool:
        """Say whether this version is to replace *other*; its content may still be equal."""
        return self._rank > other._rank

    @property
    def _rank(self) -> tuple[bool, str, str, str]:
        # A date ahead of its time would be the last word: a correction has an earlier one.
        own_date_at = min(self.own_date_at or "", self.asked_at)
        return self.has_details, own_date_at, self.asked_at, self.digest


class OrderRow(msgspec.Struct, frozen=True, gc=False):
    """One purchase order, column by column; a field is named as its column.

    The last four are direct fulfillment's (`DIRECT_FULFILLMENT_COLUMNS`).
    """

    purchase_order_number: str
    digest: str
    has_details: bool
    own_date_at: str | None
    asked_at: str
    document: str
    purchase_order_state: str | None = None
    purchase_order_type: str | None = None
    purchase_order_date: str | None = None
    purchase_order_changed_date: str | None = None
    purchase_order_state_changed_date: str | None = None
    selling_party_id: str | None = None
    buying_party_id: str | None = None
    ship_to_party_id: str | None = None
    bill_to_party_id: str | None = None
    payment_method: str | None = None
    deal_code: str | None = None
    ship_window_start: str | None = None
    ship_window_end: str | None = None
    delivery_window_start: str | None = None
    delivery_window_end: str | None = None
    ship_from_party_id: str | None = None
    customer_order_number: str | None = None
    ship_method: str | None = None
    required_ship_date: str | None = None

    @property
    def version(self) -> Version:
        """What this row is compared by."""
        return Version(self.digest, self.asked_at, self.own_date_at, self.has_details)


DIRECT_FULFILLMENT_COLUMNS = (
    "ship_from_party_id",
    "customer_order_number",
    "ship_method",
    "required_ship_date",
)


class StatusRow(msgspec.Struct, frozen=True, gc=False):
    """The status of one purchase order, column by column."""

    purchase_order_number: str
    digest: str
    asked_at: str
    purchase_order_status: str | None
    purchase_order_date: str | None
    last_updated_date: str | None
    selling_party_id: str | None
    ship_to_party_id: str | None
    document: str

    @property
    def version(self) -> Version:
        """What this row is compared by."""
        return Version(self.digest, self.asked_at, self.last_updated_date)


def digest_of(raw: bytes) -> str:
    """Return what names these very bytes: their SHA-256, in hexadecimal."""
    return hashlib.sha256(raw).hexdigest()


def order_row(order: AnyOrder, raw: bytes, digest: str, asked_at: str) -> OrderRow:
    """Return the row of *order*, which came as *raw* in answer to a request at *asked_at*."""
    if not isinstance(order, Order):
        return _direct_fulfillment_row(order, raw, digest, asked_at)
    details = order.order_details or _NO_DETAILS
    ship_start, ship_end = _bounds(details.ship_window)
    delivery_start, delivery_end = _bounds(details.delivery_window)
    ordered_at = _stored(details.purchase_order_date)
    changed_at = _stored(details.purchase_order_changed_date)
    state_changed_at = _stored(details.purchase_order_state_changed_date)
    return OrderRow(
        purchase_order_number=order.purchase_order_number,
        digest=digest,
        has_details=order.order_details is not None,
        own_date_at=max(ordered_at or "", changed_at or "", state_changed_at or "") or None,
        asked_at=asked_at,
        purchase_order_state=order.purchase_order_state,
        purchase_order_type=details.purchase_order_type,
        purchase_order_date=ordered_at,
        purchase_order_changed_date=changed_at,
        purchase_order_state_changed_date=state_changed_at,
        selling_party_id=_party_id(details.selling_party),
        buying_party_id=_party_id(details.buying_party),
        ship_to_party_id=_party_id(details.ship_to_party),
        bill_to_party_id=_party_id(details.bill_to_party),
        payment_method=details.payment_method,
        deal_code=details.deal_code,
        ship_window_start=ship_start,
        ship_window_end=ship_end,
        delivery_window_start=delivery_start,
        delivery_window_end=delivery_end,
        document=raw.decode(),
    )


def _direct_fulfillment_row(
    order: direct_fulfillment.Order, raw: bytes, digest: str, asked_at: str
) -> OrderRow:
    details = order.order_details or direct_fulfillment.OrderDetails()
    shipment = details.shipment_details or _NO_SHIPMENT
    dates = shipment.shipment_dates
    ordered_at = _stored(details.order_date)
    return OrderRow(
        purchase_order_number=order.purchase_order_number,
        digest=digest,
        has_details=order.order_details is not None,
        own_date_at=ordered_at,  # Amazon dates no change: of two versions the later asked wins
        asked_at=asked_at,
        document=raw.decode(),
        purchase_order_state=details.order_status,
        purchase_order_date=ordered_at,
        selling_party_id=_party_id(details.selling_party),
        bill_to_party_id=_party_id(details.bill_to_party),
        ship_from_party_id=_party_id(details.ship_from_party),
        customer_order_number=details.customer_order_number,
        ship_method=shipment.ship_method,
        required_ship_date=_stored(dates.required_ship_date) if dates else None,
    )


def status_row(status: OrderStatus, raw: bytes, digest: str, asked_at: str) -> StatusRow:
    """Return the row of *status*, which came as *raw* in answer to a request at *asked_at*."""
    return StatusRow(
        purchase_order_number=status.purchase_order_number,
        digest=digest,
        asked_at=asked_at,
        purchase_order_status=status.purchase_order_status,
        purchase_order_date=_stored(status.purchase_order_date),
        last_updated_date=_stored(status.last_updated_date),
        selling_party_id=_party_id(status.selling_party),
        ship_to_party_id=_party_id(status.ship_to_party),
        document=raw.decode(),
    )


def same_content(one: str, other: str) -> bool:
    """Say whether two documents say the same, however they are written.

        >>> same_content('{"a": 1.10, "b": 2}', '{"b":2,"a":1.1}')
        True

    Key order, white space, escapes and a number's spelling do not count.
    """
    try:
        left, right = _PLAIN.decode(one), _PLAIN.decode(other)
    except (msgspec.DecodeError, ArithmeticError, ValueError):
        return False  # Python will not read some number or escape, in a field unknown to us
    return left == right and _equal(left, right)  # the first is quick, and takes 1 for true


def _equal(one: object, other: object) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_equal(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_equal, one, other))
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def _stored(moment: datetime | None) -> str | None:
    return format_stored(moment) if moment else None


def _bounds(interval: DateTimeInterval | None) -> tuple[str | None, str | None]:
    return (_stored(interval.start), _stored(interval.end)) if interval else (None, None)


def _party_id(
    party: PartyIdentification | direct_fulfillment.PartyIdentification | None,
) -> str | None:
    return party.party_id if party else None
