"""Drafts: what a vendor wants to answer, before it is checked against the order."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import msgspec

from ..models import direct_fulfillment
from ..models.retail_procurement import OrderAcknowledgement


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One answer for a line, or for some of it.

    *quantity* is in the line's own unit; None is all of the line that the other parts leave.
    """

    code: str
    quantity: int | None = None
    scheduled_ship_date: datetime | None = None
    scheduled_delivery_date: datetime | None = None
    rejection_reason: str | None = None


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """The answers for one line of an order.

    All but *parts* is what the draft's maker saw of the line. It tells which line is meant,
    and where it is not what the order says by now, the order has moved.
    """

    parts: tuple[Part, ...]
    item_sequence_number: str | None = None
    amazon_product_identifier: str | None = None
    vendor_product_identifier: str | None = None
    ordered_quantity: int | None = None
    unit_of_measure: str | None = None
    unit_size: int | None = None
    net_cost: Decimal | None = None
    net_cost_currency: str | None = None


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """An answer to one order, as a file or a caller gives it.

    It is either a finished *document*, which is sent as it is, or *lines* (retail) or a
    *code* (direct fulfillment) from which one is made with what the order says; a code that
    is not in `CODES` needs a *description*. *where* tells a person where it comes from
    (``line 7``), *as_of* which state of the order it answers: the latest of the dates that
    order and status had then.
    """

    api: str
    purchase_order_number: str
    where: str
    account: str | None = None
    as_of: datetime | None = None
    document: OrderAcknowledgement | direct_fulfillment.OrderAcknowledgementItem | None = None
    lines: tuple[Line, ...] = ()
    code: str | None = None
    vendor_order_number: str | None = None
    description: str | None = None
