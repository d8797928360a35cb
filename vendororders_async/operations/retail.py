"""Retail Procurement Orders v1, and Vendor Transaction Status v1.

>>> from datetime import UTC, datetime
>>> from .base import query
>>> new_year = datetime(2026, 1, 1, tzinfo=UTC)
>>> dict(query(GetPurchaseOrders(created_after=new_year, is_po_changed=True)))
{'createdAfter': '2026-01-01T00:00:00Z', 'isPOChanged': 'true'}
"""

from __future__ import annotations

from datetime import datetime
from functools import partial

import msgspec

from ..models.common import SubmitAcknowledgementResponse
from ..models.retail_procurement import Order, OrderStatus
from ..models.transactions import GetTransactionResponse
from ..pages import decode_answer, decode_page, decode_single
from .base import PLAN, Operation, Parameters


class GetPurchaseOrders(Parameters, frozen=True, kw_only=True):
    """Parameters of getPurchaseOrders."""

    limit: int | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    sort_order: str | None = None
    next_token: str | None = None
    include_details: bool | None = None
    changed_after: datetime | None = None
    changed_before: datetime | None = None
    po_item_state: str | None = None
    # the one name of both APIs that camel case does not give
    is_po_changed: bool | None = msgspec.field(default=None, name="isPOChanged")
    purchase_order_state: str | None = None
    ordering_vendor_code: str | None = None


class GetPurchaseOrder(Parameters, frozen=True, kw_only=True):
    """Parameters of getPurchaseOrder."""

    purchase_order_number: str


class GetPurchaseOrdersStatus(Parameters, frozen=True, kw_only=True):
    """Parameters of getPurchaseOrdersStatus."""

    limit: int | None = None
    sort_order: str | None = None
    next_token: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    updated_after: datetime | None = None
    updated_before: datetime | None = None
    purchase_order_number: str | None = None
    purchase_order_status: str | None = None
    item_confirmation_status: str | None = None
    item_receive_status: str | None = None
    ordering_vendor_code: str | None = None
    ship_to_party_id: str | None = None


class GetTransaction(Parameters, frozen=True, kw_only=True):
    """Parameters of getTransaction."""

    transaction_id: str


_ORDERS = "/vendor/orders/v1/purchaseOrders"

GET_PURCHASE_ORDERS = Operation(
    "getPurchaseOrders", "GET", _ORDERS, PLAN, partial(decode_page, content=Order)
)
GET_PURCHASE_ORDER = Operation(
    "getPurchaseOrder",
    "GET",
    _ORDERS + "/{purchaseOrderNumber}",
    PLAN,
    partial(decode_single, content=Order),
)
GET_PURCHASE_ORDERS_STATUS = Operation(
    "getPurchaseOrdersStatus",
    "GET",
    "/vendor/orders/v1/purchaseOrdersStatus",
    PLAN,
    partial(decode_page, content=OrderStatus),
)
SUBMIT_ACKNOWLEDGEMENT = Operation(
    "submitAcknowledgement",
    "POST",
    "/vendor/orders/v1/acknowledgements",
    PLAN,
    partial(decode_answer, response=SubmitAcknowledgementResponse),
)
GET_TRANSACTION = Operation(
    "getTransaction",
    "GET",
    "/vendor/transactions/v1/transactions/{transactionId}",
    # the model says burst 20, Amazon's own rate table 10: the smaller is safe
    PLAN,
    partial(decode_answer, response=GetTransactionResponse),
)
