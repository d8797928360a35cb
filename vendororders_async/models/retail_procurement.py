"""Retail Procurement Orders v1, struct by struct.

https://developer-docs.amazon.com/sp-api/docs/vendor-retail-procurement-orders-api-v1-reference
"""

from __future__ import annotations

from enum import StrEnum

from .common import (
    DateTimeInterval,
    Error,
    Identifier,
    Instant,
    ItemQuantity,
    Money,
    Pagination,
    PartyIdentification,
    Wire,
)


class PurchaseOrderState(StrEnum):
    """Where an order stands, as getPurchaseOrders says it."""

    NEW = "New"
    ACKNOWLEDGED = "Acknowledged"
    CLOSED = "Closed"


class PoItemState(StrEnum):
    """The one value that poItemState takes: an item that Amazon cancelled."""

    CANCELLED = "Cancelled"


class PurchaseOrderType(StrEnum):
    """Why an order was placed."""

    REGULAR_ORDER = "RegularOrder"
    CONSIGNED_ORDER = "ConsignedOrder"
    NEW_PRODUCT_INTRODUCTION = "NewProductIntroduction"
    RUSH_ORDER = "RushOrder"


class PaymentMethod(StrEnum):
    """How Amazon pays."""

    INVOICE = "Invoice"
    CONSIGNMENT = "Consignment"
    CREDIT_CARD = "CreditCard"
    PREPAID = "Prepaid"


class PurchaseOrderStatus(StrEnum):
    """Where an order stands, as getPurchaseOrdersStatus says it: another vocabulary."""

    OPEN = "OPEN"
    CLOSED = "CLOSED"


class ConfirmationStatus(StrEnum):
    """How far a line is acknowledged."""

    ACCEPTED = "ACCEPTED"
    PARTIALLY_ACCEPTED = "PARTIALLY_ACCEPTED"
    REJECTED = "REJECTED"
    UNCONFIRMED = "UNCONFIRMED"


class ReceiveStatus(StrEnum):
    """How much of a line has reached the warehouse."""

    NOT_RECEIVED = "NOT_RECEIVED"
    PARTIALLY_RECEIVED = "PARTIALLY_RECEIVED"
    RECEIVED = "RECEIVED"


class AcknowledgementCode(StrEnum):
    """What a vendor answers for (part of) a line."""

    ACCEPTED = "Accepted"
    BACKORDERED = "Backordered"
    REJECTED = "Rejected"


class RejectionReason(StrEnum):
    """Why a vendor rejects (part of) a line."""

    TEMPORARILY_UNAVAILABLE = "TemporarilyUnavailable"
    INVALID_PRODUCT_IDENTIFIER = "InvalidProductIdentifier"
    OBSOLETE_PRODUCT = "ObsoleteProduct"


class ImportDetails(Wire, frozen=True, kw_only=True):
    """Terms of an import order."""

    method_of_payment: str | None = None
    international_commercial_terms: str | None = None
    port_of_delivery: str | None = None
    import_containers: str | None = None
    shipping_instructions: str | None = None


class OrderItem(Wire, frozen=True, kw_only=True):
    """One line of a purchase order."""

    item_sequence_number: str | None = None
    amazon_product_identifier: str | None = None
    vendor_product_identifier: str | None = None
    ordered_quantity: ItemQuantity | None = None
    is_back_order_allowed: bool | None = None
    net_cost: Money | None = None
    list_price: Money | None = None


class OrderDetails(Wire, frozen=True, kw_only=True):
    """Everything about an order but its number and state.

    *purchase_order_changed_date* is absent while Amazon has not changed the order.
    """

    purchase_order_date: Instant | None = None
    purchase_order_changed_date: Instant | None = None
    purchase_order_state_changed_date: Instant | None = None
    purchase_order_type: str | None = None
    import_details: ImportDetails | None = None
    deal_code: str | None = None
    payment_method: str | None = None
    buying_party: PartyIdentification | None = None
    selling_party: PartyIdentification | None = None
    ship_to_party: PartyIdentification | None = None
    bill_to_party: PartyIdentification | None = None
    ship_window: DateTimeInterval | None = None
    delivery_window: DateTimeInterval | None = None
    items: list[OrderItem] = []


class Order(Wire, frozen=True, kw_only=True):
    """A purchase order; *order_details* is absent when only numbers were asked for."""

    purchase_order_number: Identifier
    purchase_order_state: str | None = None
    order_details: OrderDetails | None = None


class OrderList(Wire, frozen=True, kw_only=True):
    """One page of purchase orders."""

    pagination: Pagination | None = None
    orders: list[Order] = []


class GetPurchaseOrdersResponse(Wire, frozen=True, kw_only=True):
    """The answer of getPurchaseOrders."""

    payload: OrderList | None = None
    errors: list[Error] = []


class GetPurchaseOrderResponse(Wire, frozen=True, kw_only=True):
    """The answer of getPurchaseOrder."""

    payload: Order | None = None
    errors: list[Error] = []


class OrderedQuantityDetails(Wire, frozen=True, kw_only=True):
    """One change of an ordered quantity; an increment, not a total."""

    updated_date: Instant | None = None
    ordered_quantity: ItemQuantity | None = None
    cancelled_quantity: ItemQuantity | None = None


class OrderItemStatusOrderedQuantity(Wire, frozen=True, kw_only=True):
    """How many were ordered, and how that came about."""

    ordered_quantity: ItemQuantity | None = None
    ordered_quantity_details: list[OrderedQuantityDetails] = []


class AcknowledgementStatusDetails(Wire, frozen=True, kw_only=True):
    """One acknowledgement of a line."""

    acknowledgement_date: Instant | None = None
    accepted_quantity: ItemQuantity | None = None
    rejected_quantity: ItemQuantity | None = None


class OrderItemStatusAcknowledgementStatus(Wire, frozen=True, kw_only=True):
    """How far a line is acknowledged."""

    confirmation_status: str | None = None
    accepted_quantity: ItemQuantity | None = None
    rejected_quantity: ItemQuantity | None = None
    acknowledgement_status_details: list[AcknowledgementStatusDetails] = []


class OrderItemStatusReceivingStatus(Wire, frozen=True, kw_only=True):
    """How much of a line has reached the warehouse; some vendors never get it."""

    receive_status: str | None = None
    received_quantity: ItemQuantity | None = None
    last_receive_date: Instant | None = None


class OrderItemStatus(Wire, frozen=True, kw_only=True):
    """The status of one line; the ASIN is *buyer_product_identifier* here."""

    item_sequence_number: str | None = None
    buyer_product_identifier: str | None = None
    vendor_product_identifier: str | None = None
    net_cost: Money | None = None
    list_price: Money | None = None
    ordered_quantity: OrderItemStatusOrderedQuantity | None = None
    acknowledgement_status: OrderItemStatusAcknowledgementStatus | None = None
    receiving_status: OrderItemStatusReceivingStatus | None = None


class OrderStatus(Wire, frozen=True, kw_only=True):
    """The status of a purchase order, line by line."""

    purchase_order_number: Identifier
    purchase_order_status: str | None = None
    purchase_order_date: Instant | None = None
    last_updated_date: Instant | None = None
    selling_party: PartyIdentification | None = None
    ship_to_party: PartyIdentification | None = None
    item_status: list[OrderItemStatus] = []


class OrderListStatus(Wire, frozen=True, kw_only=True):
    """One page of statuses."""

    pagination: Pagination | None = None
    orders_status: list[OrderStatus] = []


class GetPurchaseOrdersStatusResponse(Wire, frozen=True, kw_only=True):
    """The answer of getPurchaseOrdersStatus."""

    payload: OrderListStatus | None = None
    errors: list[Error] = []


class OrderItemAcknowledgement(Wire, frozen=True, kw_only=True):
    """One answer for (part of) a line."""

    acknowledgement_code: str
    acknowledged_quantity: ItemQuantity
    scheduled_ship_date: Instant | None = None
    scheduled_delivery_date: Instant | None = None
    rejection_reason: str | None = None


class OrderAcknowledgementItem(Wire, frozen=True, kw_only=True):
    """The answers for one line; several split it."""

    item_sequence_number: str | None = None
    amazon_product_identifier: str | None = None
    vendor_product_identifier: str | None = None
    ordered_quantity: ItemQuantity
    net_cost: Money | None = None
    list_price: Money | None = None
    discount_multiplier: str | None = None
    item_acknowledgements: list[OrderItemAcknowledgement]


class OrderAcknowledgement(Wire, frozen=True, kw_only=True):
    """A vendor's answer to one purchase order."""

    purchase_order_number: Identifier
    selling_party: PartyIdentification
    acknowledgement_date: Instant
    items: list[OrderAcknowledgementItem]


class SubmitAcknowledgementRequest(Wire, frozen=True, kw_only=True):
    """The body of submitAcknowledgement."""

    acknowledgements: list[OrderAcknowledgement] = []
