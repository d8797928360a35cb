"""Acknowledgements: what Amazon refuses at once, and what the rest does to an order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from .queries import Refused
from .settings import micros
from .timeline import write_instant

if TYPE_CHECKING:
    from datetime import datetime

_CODES = ("Accepted", "Backordered", "Rejected")
_REQUIRED = ("purchaseOrderNumber", "sellingParty", "acknowledgementDate", "items")

Document = dict[str, Any]


class Acknowledgement(msgspec.Struct, frozen=True, kw_only=True):
    """One accepted submission, as it came; *unknown* names orders that nobody has."""

    account: str
    transaction_id: str
    body: Mapping[str, Any]
    unknown: tuple[str, ...] = ()


def read_submission(body: bytes) -> Document:
    """Return the request's document if its shape is right.

    Raises:
        Refused: It is not; the words are those of an XML schema, as Amazon's are.
    """
    try:
        request = msgspec.json.decode(body)
    except msgspec.DecodeError:
        raise Refused("InvalidInput", "The request body is not valid JSON.") from None
    if not isinstance(request, dict):
        raise Refused("InvalidInput", "The request body is not an object.")
    for name in request:
        if name != "acknowledgements":
            # saleweaver/python-amazon-sp-api issue 276
            raise Refused(
                "InvalidInput",
                f"Invalid content was found starting with element '{name}'. "
                "One of '{acknowledgements}' is expected.",
            )
    acknowledgements = request.get("acknowledgements")
    if not isinstance(acknowledgements, list) or not acknowledgements:
        raise _incomplete("acknowledgements", "acknowledgement")
    for acknowledgement in acknowledgements:
        _check(acknowledgement)
    return request


def _check(acknowledgement: object) -> None:
    order = _complete("acknowledgement", acknowledgement, _REQUIRED)
    _complete("sellingParty", order["sellingParty"], ("partyId",))
    for item in _filled("items", order["items"]):
        line = _complete("item", item, ("orderedQuantity", "itemAcknowledgements"))
        for part in _filled("itemAcknowledgements", line["itemAcknowledgements"]):
            _complete(
                "itemAcknowledgement", part, ("acknowledgementCode", "acknowledgedQuantity")
            )


def _complete(name: str, value: object, required: Iterable[str]) -> Document:
    if not isinstance(value, dict):
        raise _incomplete(name, *required)
    for field in required:
        if field not in value:
            raise _incomplete(name, field)
    return value


def _filled(name: str, value: object) -> list[Any]:
    if not isinstance(value, list) or not value:
        raise _incomplete(name, name.removesuffix("s"))
    return value


def _incomplete(name: str, *expected: str) -> Refused:
    return Refused(
        "InvalidInput",
        f"The content of element '{name}' is not complete. "
        f"One of '{{{', '.join(expected)}}}' is expected.",
    )


def is_effective(acknowledgement: Document) -> bool:
    """Return whether all codes are spelt as the model has them.

    Amazon takes ``REJECTED`` for ``Rejected`` with a 202 and then does nothing:
    amzn/selling-partner-api-models issue 5108.
    """
    return all(
        part["acknowledgementCode"] in _CODES
        for item in acknowledgement["items"]
        for part in item["itemAcknowledgements"]
    )


def acknowledged(
    order: Document, status: Document, acknowledgement: Document, at: datetime
) -> tuple[Document, Document]:
    """Return *order* and *status* as they are after *acknowledgement* was applied.

    A line that the first acknowledgement leaves out is rejected by that.
    """
    moment = write_instant(micros(at) // 1_000_000 * 1_000_000)
    details = order.get("orderDetails", {}) | {"purchaseOrderStateChangedDate": moment}
    order = order | {"purchaseOrderState": "Acknowledged", "orderDetails": details}
    lines = [
        _confirmed(line, acknowledgement["items"], moment)
        for line in status.get("itemStatus", ())
    ]
    return order, status | {"lastUpdatedDate": moment, "itemStatus": lines}


def _confirmed(line: Document, items: Iterable[Document], moment: str) -> Document:
    item = next((item for item in items if _is_about(item, line)), None)
    before = line.get("acknowledgementStatus", {}).get("confirmationStatus", "UNCONFIRMED")
    if item is None and before != "UNCONFIRMED":
        return line
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
    amounts = {
        "acceptedQuantity": ordered | {"amount": accepted},
        "rejectedQuantity": ordered | {"amount": rejected},
    }
    word = "PARTIALLY_ACCEPTED" if accepted and rejected else "ACCEPTED"
    return line | {
        "acknowledgementStatus": {
            "confirmationStatus": word if accepted or not rejected else "REJECTED",
            **amounts,
            "acknowledgementStatusDetails": [{"acknowledgementDate": moment, **amounts}],
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
