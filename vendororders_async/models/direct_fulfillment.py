"""Direct Fulfillment Orders, v1 and 2021-12-28, struct by struct.

Both versions describe the same orders, so both are read into the same structs; what only
the later one has (`buyer_customized_info`, `has_customizable_items`) is absent in the
earlier. A response of 2021-12-28 comes without the ``payload`` that v1 wraps it in, and is
given the same shape here.

https://developer-docs.amazon.com/sp-api/docs/vendor-direct-fulfillment-orders-api-v1-reference
https://developer-docs.amazon.com/sp-api/docs/vendor-direct-fulfillment-orders-api-2021-12-28-reference
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

from . import common
from .common import (
    Error,
    Identifier,
    Instant,
    ItemQuantity,
    Money,
    Pagination,
    Wire,
)


class OrderStatus(StrEnum):
    """Where an order stands; only getOrder tells of a later move."""

    NEW = "NEW"
    SHIPPED = "SHIPPED"
    ACCEPTED = "ACCEPTED"
    CANCELLED = "CANCELLED"


class UnitOfMeasure(StrEnum):
    """The one unit; answers spell it ``EACH`` as well (the model's own examples do)."""

    EACH = "Each"


class TaxType(StrEnum):
    """What kind of tax an amount is."""

    CONSUMPTION = "CONSUMPTION"
    GST = "GST"
    MWST = "MwSt."
    PST = "PST"
    TOTAL = "TOTAL"
    TVA = "TVA"
    VAT = "VAT"


class Address(common.Address, frozen=True, kw_only=True):
    """Where a customer or a party is.

    Vendors who only print Amazon's labels get ``xxxxx`` in place of a customer's details.
    """

    attention: str | None = None


class TaxRegistrationDetails(common.TaxRegistrationDetails, frozen=True, kw_only=True):
    """A tax number, its kind, and the address it is registered at."""

    tax_registration_address: Address | None = None
    tax_registration_messages: str | None = None


class PartyIdentification(Wire, frozen=True, kw_only=True):
    """A seller, warehouse or payer; *party_id* is its code at Amazon."""

    party_id: str | None = None
    address: Address | None = None
    tax_info: TaxRegistrationDetails | None = None


class TaxDetails(Wire, frozen=True, kw_only=True):
    """One tax on an amount."""

    tax_rate: Decimal | None = None
    tax_amount: Money | None = None
    taxable_amount: Money | None = None
    type: str | None = None


class TaxItemDetails(Wire, frozen=True, kw_only=True):
    """The taxes on a line, or on an order."""

    tax_line_item: list[TaxDetails] = []


class ShipmentDates(Wire, frozen=True, kw_only=True):
    """When to ship, and what the customer was promised."""

    required_ship_date: Instant | None = None
    promised_delivery_date: Instant | None = None


class ShipmentDetails(Wire, frozen=True, kw_only=True):
    """How an order is to be shipped."""

    is_priority_shipment: bool | None = None
    is_scheduled_delivery_shipment: bool | None = None
    is_pslip_required: bool | None = None
    is_gift: bool | None = None
    ship_method: str | None = None
    shipment_dates: ShipmentDates | None = None
    message_to_customer: str | None = None


class ScheduledDeliveryShipment(Wire, frozen=True, kw_only=True):
    """When a delivery by appointment is due."""

    scheduled_delivery_service_type: str | None = None
    earliest_nominated_delivery_date: Instant | None = None
    latest_nominated_delivery_date: Instant | None = None


class GiftDetails(Wire, frozen=True, kw_only=True):
    """What goes with a gift."""

    gift_message: str | None = None
    gift_wrap_id: str | None = None


class BuyerCustomizedInfoDetail(Wire, frozen=True, kw_only=True):
    """What the customer wants on the item; 2021-12-28 only."""

    customized_url: str | None = None


class OrderItem(Wire, frozen=True, kw_only=True):
    """One line of an order; the ASIN is *buyer_product_identifier* here."""

    item_sequence_number: str | None = None
    buyer_product_identifier: str | None = None
    vendor_product_identifier: str | None = None
    title: str | None = None
    ordered_quantity: ItemQuantity | None = None
    scheduled_delivery_shipment: ScheduledDeliveryShipment | None = None
    gift_details: GiftDetails | None = None
    net_price: Money | None = None
    tax_details: TaxItemDetails | None = None
    total_price: Money | None = None
    buyer_customized_info: BuyerCustomizedInfoDetail | None = None


class OrderDetails(Wire, frozen=True, kw_only=True):
    """Everything about an order but its number; *ship_to_party* is the customer."""

    customer_order_number: str | None = None
    order_date: Instant | None = None
    order_status: str | None = None
    shipment_details: ShipmentDetails | None = None
    tax_total: TaxItemDetails | None = None
    selling_party: PartyIdentification | None = None
    ship_from_party: PartyIdentification | None = None
    ship_to_party: Address | None = None
    bill_to_party: PartyIdentification | None = None
    has_customizable_items: bool | None = None
    items: list[OrderItem] = []


class Order(Wire, frozen=True, kw_only=True):
    """An order to ship to a customer; without details when only numbers were asked for."""

    purchase_order_number: Identifier
    order_details: OrderDetails | None = None


class OrderList(Wire, frozen=True, kw_only=True):
    """One page of orders."""

    pagination: Pagination | None = None
    orders: list[Order] = []


class GetOrdersResponse(Wire, frozen=True, kw_only=True):
    """The answer of getOrders."""

    payload: OrderList | None = None
    errors: list[Error] = []


class GetOrderResponse(Wire, frozen=True, kw_only=True):
    """The answer of getOrder."""

    payload: Order | None = None
    errors: list[Error] = []


class AcknowledgementStatus(Wire, frozen=True, kw_only=True):
    """Whether all of an order will be shipped: ``00``, or the code of a reason why not."""

    code: str | None = None
    description: str | None = None


class OrderItemAcknowledgement(Wire, frozen=True, kw_only=True):
    """The answer for one line."""

    item_sequence_number: str
    buyer_product_identifier: str | None = None
    vendor_product_identifier: str | None = None
    acknowledged_quantity: ItemQuantity


class OrderAcknowledgementItem(Wire, frozen=True, kw_only=True):
    """A vendor's answer to one order: all of it, or none."""

    purchase_order_number: Identifier
    vendor_order_number: str
    acknowledgement_date: Instant
    acknowledgement_status: AcknowledgementStatus
    selling_party: PartyIdentification
    ship_from_party: PartyIdentification
    item_acknowledgements: list[OrderItemAcknowledgement]


class SubmitAcknowledgementRequest(Wire, frozen=True, kw_only=True):
    """The body of submitAcknowledgement."""

    order_acknowledgements: list[OrderAcknowledgementItem] = []
