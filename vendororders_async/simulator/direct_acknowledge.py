"""Direct Fulfillment acknowledgements: a whole order is shipped, or none of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from .calls import V2021
from .direct_orders import direct_record
from .queries import Refused
from .shapes import Document, complete, filled, read_list

if TYPE_CHECKING:
    from datetime import datetime

    from .world import Record

_SHIPPING = "00"  # every other code is a reason not to
_REQUIRED = (
    "purchaseOrderNumber",
    "vendorOrderNumber",
    "acknowledgementDate",
    "acknowledgementStatus",
    "sellingParty",
    "shipFromParty",
    "itemAcknowledgements",
)


def read_submission(body: bytes) -> Document:
    """Return the request's document if its shape is right.

    Raises:
        Refused: It is not.
    """
    request = read_list(body, "orderAcknowledgements")
    for acknowledgement in request["orderAcknowledgements"]:
        order = complete("orderAcknowledgement", acknowledgement, _REQUIRED)
        complete("acknowledgementStatus", order["acknowledgementStatus"], ("code",))
        for party in ("sellingParty", "shipFromParty"):
            complete(party, order[party], ("partyId",))
        for item in filled("itemAcknowledgements", order["itemAcknowledgements"]):
            complete(
                "itemAcknowledgement", item, ("itemSequenceNumber", "acknowledgedQuantity")
            )
    return request


def answered(record: Record, acknowledgement: Document, _: datetime) -> Record | None:
    """Return *record* as it is after *acknowledgement*, or None if that changes nothing.

    Raises:
        Refused: The transaction fails, with this code and message.
    """
    order = msgspec.json.decode(record.text(V2021))
    is_shipping = acknowledgement["acknowledgementStatus"]["code"] == _SHIPPING
    if is_shipping and not _is_whole(order, acknowledgement):
        # "Partial shipment is not accepted."
        # https://developer-docs.amazon.com/sp-api/docs/submit-an-acknowledgement
        raise Refused("INVALID_QUANTITY", "Partial acknowledgement is not accepted.")
    if record.state in {"SHIPPED", "CANCELLED"}:
        if is_shipping is (record.state == "SHIPPED"):
            return None
        raise Refused("INVALID_ORDER_STATUS", f"The order is {record.state} already.")
    state = "ACCEPTED" if is_shipping else "CANCELLED"
    if state == record.state:
        return None
    order["orderDetails"]["orderStatus"] = state
    return direct_record(order, available=record.available)


def _is_whole(order: Document, acknowledgement: Document) -> bool:
    """Return whether every line is acknowledged, with all that was ordered of it."""
    promised = {
        item["itemSequenceNumber"]: item["acknowledgedQuantity"].get("amount")
        for item in acknowledgement["itemAcknowledgements"]
    }
    return promised == {
        item["itemSequenceNumber"]: item.get("orderedQuantity", {}).get("amount")
        for item in order["orderDetails"].get("items", ())
    }
