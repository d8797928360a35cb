"""What is submitted where it matters that it is, and not what it says: one line, accepted."""

from __future__ import annotations

from datetime import datetime

from vendororders_async.models import direct_fulfillment as direct
from vendororders_async.models import retail_procurement as retail
from vendororders_async.models.common import ItemQuantity, PartyIdentification


def retail_answer(number: str, at: datetime) -> retail.SubmitAcknowledgementRequest:
    """Return what accepts the first line of order *number*."""
    one = ItemQuantity(amount=1, unit_of_measure="Eaches", unit_size=1)
    line = retail.OrderAcknowledgementItem(
        item_sequence_number="1",
        ordered_quantity=one,
        item_acknowledgements=[
            retail.OrderItemAcknowledgement(
                acknowledgement_code="Accepted", acknowledged_quantity=one
            )
        ],
    )
    answer = retail.OrderAcknowledgement(
        purchase_order_number=number,
        selling_party=PartyIdentification(party_id="ACME1"),
        acknowledgement_date=at,
        items=[line],
    )
    return retail.SubmitAcknowledgementRequest(acknowledgements=[answer])


def customers_answer(number: str, at: datetime) -> direct.SubmitAcknowledgementRequest:
    """Return what accepts the first line of a customer's order *number*."""
    one = ItemQuantity(amount=1, unit_of_measure="Each")
    answer = direct.OrderAcknowledgementItem(
        purchase_order_number=number,
        vendor_order_number="1",
        acknowledgement_date=at,
        acknowledgement_status=direct.AcknowledgementStatus(
            code="00", description="Shipping 100 percent of ordered product"
        ),
        selling_party=direct.PartyIdentification(party_id="ACME1"),
        ship_from_party=direct.PartyIdentification(party_id="ACME2"),
        item_acknowledgements=[
            direct.OrderItemAcknowledgement(item_sequence_number="1", acknowledged_quantity=one)
        ],
    )
    return direct.SubmitAcknowledgementRequest(order_acknowledgements=[answer])
