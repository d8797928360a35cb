"""What happens to orders behind the API's back, and what it leaves in their documents."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from copy import deepcopy
from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from ..clock import parse_instant
from .acknowledge import decided
from .calls import V2021
from .direct_orders import direct_record
from .documents import ORDER, STATUS, read_document, receipt
from .settings import micros
from .timeline import SECOND, write_instant
from .world import Record, written_record

if TYPE_CHECKING:
    from datetime import datetime
    from random import Random

Document = dict[str, Any]
Line = tuple[Document, Document]  # in the order, and in the status

_REJECTING = 0.12  # of answers: a part of one line is not accepted
_LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_MOST_DAYS = 5  # by which a window moves
_MOST_PERCENT = 9  # by which a cost rises
_MOST_PIECES = 24


def turned(record: Record, turn: str, at: datetime, random: Random) -> Record | None:
    """Return *record* as it is after *turn*, or None if that cannot happen to it any more."""
    return _TURNS[turn](record, at, random)


def _edited(
    record: Record, edit: Callable[[Document, Document, str], bool], at: datetime
) -> Record | None:
    """Return *record* as a change by Amazon leaves it, which *edit* makes in both documents.

    It is told the moment as it is written into them, and says whether it did anything.
    """
    order, status = read_document(record.text(ORDER)), read_document(record.text(STATUS))
    moment = _written(at)
    if not edit(order, status, moment):
        return None
    order["orderDetails"]["purchaseOrderChangedDate"] = moment
    status["lastUpdatedDate"] = moment
    return written_record(order, status, available=record.available)


def _written(at: datetime) -> str:
    """Write *at* in whole seconds, as Amazon does when it changes something."""
    return write_instant(micros(at) // SECOND * SECOND)


def _acknowledge(record: Record, at: datetime, random: Random) -> Record | None:
    if record.state != "New":
        return None
    accepted = None
    lines = read_document(record.text(STATUS)).get("itemStatus")
    if lines and random.random() < _REJECTING:
        accepted = {line["itemSequenceNumber"]: _ordered(line)["amount"] for line in lines}
        chosen = random.choice(list(accepted))
        accepted[chosen] = random.randint(0, max(accepted[chosen], 0))
    return decided(record, accepted, at)


def _change(record: Record, at: datetime, random: Random) -> Record | None:
    def edit(order: Document, status: Document, moment: str) -> bool:
        changes = [_change_quantity, _move_window, _raise_cost, _add_line]
        random.shuffle(changes)
        return any(change(order, status, moment, random) for change in changes)

    return _edited(record, edit, at) if _may_change(record) else None


def _cancel_line(record: Record, at: datetime, random: Random) -> Record | None:
    def edit(order: Document, status: Document, moment: str) -> bool:
        lines = [line for line in _lines(order, status) if _ordered(line[1])["amount"] > 0]
        if lines:
            _order_instead(random.choice(lines), 0, moment)
        return bool(lines)

    return _edited(record, edit, at) if _may_change(record) else None


def _receive(record: Record, at: datetime, _: Random, *, share: int) -> Record | None:
    """Let one in *share* of what was accepted arrive, and tell of it in the status alone."""
    if record.state != "Acknowledged":
        return None
    status = read_document(record.text(STATUS))
    is_news = False
    for line in status.get("itemStatus", []):
        answer = line.get("acknowledgementStatus", {})
        accepted = answer.get("acceptedQuantity", {}).get("amount", 0)
        receiving = line.get("receivingStatus")
        arrived = accepted // share
        if receiving is not None and receiving["receivedQuantity"]["amount"] < arrived:
            receiving["receiveStatus"] = receipt(arrived, accepted)
            receiving["receivedQuantity"] = _ordered(line) | {"amount": arrived}
            receiving["lastReceiveDate"] = _written(at)
            is_news = True
    if not is_news:
        return None
    status["lastUpdatedDate"] = _written(at)
    return written_record(read_document(record.text(ORDER)), status, available=record.available)


def _close(record: Record, at: datetime, _: Random) -> Record | None:
    if record.state != "Acknowledged":
        return None
    order, status = read_document(record.text(ORDER)), read_document(record.text(STATUS))
    order["purchaseOrderState"] = "Closed"
    order["orderDetails"]["purchaseOrderStateChangedDate"] = _written(at)
    status |= {"purchaseOrderStatus": "CLOSED", "lastUpdatedDate": _written(at)}
    return written_record(order, status, available=record.available)


def _move(
    record: Record, _: datetime, __: Random, *, before: Collection[str], after: str
) -> Record | None:
    """Give a Direct Fulfillment order another state, of which no date tells."""
    if record.state not in before:
        return None
    order = read_document(record.text(V2021))
    order["orderDetails"]["orderStatus"] = after
    return direct_record(order, available=record.available)


def _may_change(record: Record) -> bool:
    """Return whether nothing of the order has arrived yet."""
    lines = read_document(record.text(STATUS)).get("itemStatus", [])
    words = {line.get("receivingStatus", {}).get("receiveStatus") for line in lines}
    return record.state != "Closed" and words <= {None, "NOT_RECEIVED"}


def _change_quantity(order: Document, status: Document, moment: str, random: Random) -> bool:
    """Order more or less of a line; of one that is answered, only less."""
    lines = [
        line
        for line in _lines(order, status)
        if _ordered(line[1])["amount"] > (1 if _is_answered(line[1]) else 0)
    ]
    if not lines:
        return False
    line = random.choice(lines)
    amount = _ordered(line[1])["amount"]
    by = random.randint(1, max(1, amount // 2))
    is_less = amount > by and (_is_answered(line[1]) or random.random() < 1 / 2)
    _order_instead(line, amount - by if is_less else amount + by, moment)
    return True


def _move_window(order: Document, _: Document, __: str, random: Random) -> bool:
    details = order["orderDetails"]
    for name in ("shipWindow", "deliveryWindow"):
        if name in details:
            by = timedelta(days=random.randint(1, _MOST_DAYS))
            ends = (parse_instant(end) + by for end in details[name].split("--"))
            details[name] = "--".join(write_instant(micros(end)) for end in ends)
            return True
    return False


def _raise_cost(order: Document, status: Document, _: str, random: Random) -> bool:
    lines = [line for line in _lines(order, status) if "netCost" in line[0]]
    if not lines:
        return False
    item, line = random.choice(lines)
    item["netCost"]["amount"] = _raised(item["netCost"]["amount"], random)
    line["netCost"] = item["netCost"]
    return True


def _raised(amount: str | int | msgspec.Raw, random: Random) -> str | msgspec.Raw:
    """Return more than *amount*, with as many decimals, as text or number as it was."""
    text = bytes(amount).decode() if isinstance(amount, msgspec.Raw) else str(amount)
    exact = Decimal(text)
    unit = Decimal(1).scaleb(int(exact.as_tuple().exponent))
    more = exact * random.randint(1, _MOST_PERCENT) / 100
    raised = f"{exact + max(more.quantize(unit), unit)}"
    return raised if isinstance(amount, str) else msgspec.Raw(raised.encode())


def _add_line(order: Document, status: Document, moment: str, random: Random) -> bool:
    """Order one thing more, unless somebody has answered already."""
    lines = list(_lines(order, status))
    if not lines or any(_is_answered(line) for _, line in lines):
        return False
    item, line = deepcopy(lines[-1])
    sequence = item["itemSequenceNumber"]
    quantity = item["orderedQuantity"] | {"amount": random.randint(1, _MOST_PIECES)}
    asin = f"B0{''.join(random.choices(_LETTERS, k=8))}"
    item |= {
        "itemSequenceNumber": f"{int(sequence) + 1:0{len(sequence)}d}",
        "amazonProductIdentifier": asin,
        "vendorProductIdentifier": f"NEW-{asin}",
        "orderedQuantity": quantity,
    }
    line |= {
        "itemSequenceNumber": item["itemSequenceNumber"],
        "buyerProductIdentifier": asin,
        "vendorProductIdentifier": item["vendorProductIdentifier"],
        "orderedQuantity": {
            "orderedQuantity": quantity,
            "orderedQuantityDetails": [{"updatedDate": moment, "orderedQuantity": quantity}],
        },
    }
    order["orderDetails"]["items"].append(item)
    status["itemStatus"].append(line)
    return True


def _order_instead(line: Line, amount: int, moment: str) -> None:
    """Order *amount* of a line; what was answered is cut down to that."""
    item, state = line
    ordered = _ordered(state)
    by = amount - ordered["amount"]
    name = "orderedQuantity" if by > 0 else "cancelledQuantity"
    details = state["orderedQuantity"].setdefault("orderedQuantityDetails", [])
    details.append({"updatedDate": moment, name: ordered | {"amount": abs(by)}})
    item["orderedQuantity"] = item["orderedQuantity"] | {"amount": amount}
    state["orderedQuantity"]["orderedQuantity"] = ordered | {"amount": amount}
    if not _is_answered(state):
        return
    answer, left = state["acknowledgementStatus"], amount
    step: Document = {"acknowledgementDate": moment}
    for part in ("rejectedQuantity", "acceptedQuantity"):
        said = answer.get(part, {}).get("amount", 0)
        kept = min(said, left)
        left -= kept
        answer[part] = ordered | {"amount": kept}
        step[part] = ordered | {"amount": kept - said}  # increments, as of every answer
    answer.setdefault("acknowledgementStatusDetails", []).append(step)


def _lines(order: Document, status: Document) -> list[Line]:
    """Return every line of an order, as both documents have it."""
    items, states = order["orderDetails"].get("items", []), status.get("itemStatus", [])
    return list(zip(items, states, strict=False))  # whoever put them there may differ


def _ordered(line: Document) -> Document:
    quantity: Document = line["orderedQuantity"]["orderedQuantity"]
    return quantity


def _is_answered(line: Document) -> bool:
    answer = line.get("acknowledgementStatus", {})
    return bool(answer.get("confirmationStatus", "UNCONFIRMED") != "UNCONFIRMED")


#: What each turn does: None where it is too late for it, or where nothing would change.
_TURNS: Mapping[str, Callable[[Record, datetime, Random], Record | None]] = {
    "acknowledged": _acknowledge,
    "changed": _change,
    "cancelled-line": _cancel_line,
    "partly-received": partial(_receive, share=2),
    "received": partial(_receive, share=1),
    "closed": _close,
    "accepted": partial(_move, before=("NEW",), after="ACCEPTED"),
    "shipped": partial(_move, before=("ACCEPTED",), after="SHIPPED"),
    "cancelled": partial(_move, before=("NEW", "ACCEPTED"), after="CANCELLED"),
}
