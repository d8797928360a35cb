"""Retail acknowledgements: what Amazon refuses at once, and what the rest does to an order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from ..clock import parse_instant
from .documents import ORDER, STATUS, read_document
from .settings import micros
from .shapes import Document, complete, filled, read_list
from .timeline import SECOND, write_instant
from .world import Record, written_record

if TYPE_CHECKING:
    from datetime import datetime

_CODES = ("Accepted", "Backordered", "Rejected")
_REASONS = ("TemporarilyUnavailable", "InvalidProductIdentifier", "ObsoleteProduct")
_REQUIRED = ("purchaseOrderNumber", "sellingParty", "acknowledgementDate", "items")
_DATES = ("scheduledShipDate", "scheduledDeliveryDate")
# "After 48 hours" only dates may change, of which a status has none
# https://developer-docs.amazon.com/sp-api/docs/submit-order-acknowledgement
_CHANGEABLE_FOR = timedelta(hours=48)


def read_submission(body: bytes) -> Document:
    """Return the request's document if its shape is right.

    Raises:
        Refused: It is not.
    """
    request = read_list(body, "acknowledgements")
    for acknowledgement in request["acknowledgements"]:
        _check(acknowledgement)
    return request


def _check(acknowledgement: object) -> None:
    order = complete("acknowledgement", acknowledgement, _REQUIRED)
    complete("sellingParty", order["sellingParty"], ("partyId",))
    for item in filled("items", order["items"]):
        line = complete("item", item, ("orderedQuantity", "itemAcknowledgements"))
        for part in filled("itemAcknowledgements", line["itemAcknowledgements"]):
            complete(
                "itemAcknowledgement", part, ("acknowledgementCode", "acknowledgedQuantity")
            )


def is_effective(acknowledgement: Document) -> bool:
    """Return whether all words are spelt as the model has them, and every cost is there.

    Amazon takes ``REJECTED`` for ``Rejected``, and a line without its netCost, with a 202
    and then does nothing: amzn/selling-partner-api-models issue 5108.
    """
    return all(
        item.get("netCost")
        and all(
            part["acknowledgementCode"] in _CODES
            and part.get("rejectionReason", _REASONS[0]) in _REASONS
            for part in item["itemAcknowledgements"]
        )
        for item in acknowledgement["items"]
    )


def answered(record: Record, acknowledgement: Document, at: datetime) -> Record | None:
    """Return *record* as it is after *acknowledgement*, or None if that changes nothing."""
    if record.state == "Closed" or not is_effective(acknowledgement):
        return None
    before = read_document(record.text(STATUS))
    order, status = acknowledged(read_document(record.text(ORDER)), before, acknowledgement, at)
    if status == before:
        return None
    return written_record(order, status, available=record.available)


def decided(record: Record, accepted: Mapping[str, int] | None, at: datetime) -> Record | None:
    """Return *record* as somebody in Vendor Central leaves it; see `Simulator.acknowledge`."""
    before = read_document(record.text(STATUS))
    items = []
    for line in before.get("itemStatus", ()):
        ordered = line.get("orderedQuantity", {}).get("orderedQuantity", {}).get("amount", 0)
        sequence = line["itemSequenceNumber"]
        count = ordered if accepted is None else accepted.get(sequence)
        if count is not None:
            parts = (("Accepted", count), ("Rejected", ordered - count))
            items.append(
                {
                    "itemSequenceNumber": sequence,
                    "netCost": line.get("netCost", "as it is"),
                    "itemAcknowledgements": [
                        {
                            "acknowledgementCode": code,
                            "acknowledgedQuantity": {"amount": amount},
                        }
                        for code, amount in parts
                    ],
                }
            )
    return answered(record, {"items": items}, at)


def acknowledged(
    order: Document, status: Document, acknowledgement: Document, at: datetime
) -> tuple[Document, Document]:
    """Return *order* and *status* as they are after *acknowledgement* was applied.

    A line that the first acknowledgement leaves out is rejected by that; an update leaves
    it alone. A line that was rejected stays so. An order that Amazon changed after it was
    answered is answered anew.
    """
    changed = order.get("orderDetails", {}).get("purchaseOrderChangedDate")
    since = parse_instant(changed) if changed else None
    moment = write_instant(micros(at) // SECOND * SECOND)
    before = status.get("itemStatus", [])
    is_first = all(_word(line) == "UNCONFIRMED" for line in before)
    items = acknowledgement["items"]
    lines = []
    for line in before:
        item = next((item for item in items if _is_about(item, line)), None)
        is_open = _word(line) != "REJECTED" and not _is_late(line, at, since)
        says_something = item is not None or is_first
        lines.append(_confirmed(line, item, moment) if is_open and says_something else line)
    if lines == before and not _moves_a_date(before, items, at, since):
        return order, status
    details = order.get("orderDetails", {}) | {"purchaseOrderStateChangedDate": moment}
    order = order | {"purchaseOrderState": "Acknowledged", "orderDetails": details}
    return order, status | {"lastUpdatedDate": moment, "itemStatus": lines}


def _word(line: Document) -> str:
    return str(line.get("acknowledgementStatus", {}).get("confirmationStatus", "UNCONFIRMED"))


def _is_late(line: Document, at: datetime, since: datetime | None) -> bool:
    """Return whether the line's first acknowledgement after *since* is too long ago."""
    dates = [parse_instant(one["acknowledgementDate"]) for one in _steps(line)]
    dates = [date for date in dates if since is None or date >= since]
    return bool(dates) and at > min(dates) + _CHANGEABLE_FOR


def _moves_a_date(
    lines: Iterable[Document],
    items: Iterable[Document],
    at: datetime,
    since: datetime | None,
) -> bool:
    late = [line for line in lines if _is_late(line, at, since) and _word(line) != "REJECTED"]
    return any(
        date in part
        for item in items
        if any(_is_about(item, line) for line in late)
        for part in item["itemAcknowledgements"]
        for date in _DATES
    )


def _steps(line: Document) -> list[Any]:
    steps = line.get("acknowledgementStatus", {}).get("acknowledgementStatusDetails", [])
    return list(steps)


def _confirmed(line: Document, item: Document | None, moment: str) -> Document:
    ordered = line.get("orderedQuantity", {}).get("orderedQuantity", {})
    accepted, rejected = 0, ordered.get("amount", 0)
    if item is not None:
        accepted, rejected = (
            sum(
                part["acknowledgedQuantity"].get("amount", 0)
                for part in item["itemAcknowledgements"]
                if (part["acknowledgementCode"] == "Rejected") is is_rejection
            )
            for is_rejection in (False, True)
        )
    amounts = {"acceptedQuantity": accepted, "rejectedQuantity": rejected}
    steps = _steps(line)
    step: Document = {"acknowledgementDate": moment}
    for name, amount in amounts.items():
        # the details are increments, whose sum is the answer that stands
        said = sum(one.get(name, {}).get("amount", 0) for one in steps)
        step[name] = ordered | {"amount": amount - said}
    word = "PARTIALLY_ACCEPTED" if accepted and rejected else "ACCEPTED"
    return line | {
        "acknowledgementStatus": {
            "confirmationStatus": word if accepted or not rejected else "REJECTED",
            **{name: ordered | {"amount": amount} for name, amount in amounts.items()},
            "acknowledgementStatusDetails": [*steps, step],
        }
    }


def _is_about(item: Document, line: Document) -> bool:
    """Return whether *item* names the line, by whichever of its names it gives."""
    for name, theirs in (
        ("itemSequenceNumber", "itemSequenceNumber"),
        ("amazonProductIdentifier", "buyerProductIdentifier"),
        ("vendorProductIdentifier", "vendorProductIdentifier"),
    ):
        if item.get(name) is not None:
            return bool(item[name] == line.get(theirs))
    return False
