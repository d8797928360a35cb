"""What an operation is: how a question to it is spelled, and what may be meant by one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cache
from typing import Any, Generic, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from ..clock import format_wire
from ..errors import InvalidArgument
from ..models import direct_fulfillment
from ..models.common import Wire
from ..models.retail_procurement import (
    ConfirmationStatus,
    PoItemState,
    PurchaseOrderState,
    PurchaseOrderStatus,
    ReceiveStatus,
)
from ..usage import UsagePlan

T_co = TypeVar("T_co", covariant=True)

LARGEST_PAGE = 100  # orders
# https://developer-docs.amazon.com/sp-api/reference/getpurchaseorders

_LONGEST_TEXT = 1_000  # characters; an order number of Amazon's has eight

RETAIL_API = "retail"  # as the tables of sinks have it
DIRECT_FULFILLMENT_API = "direct_fulfillment"

# What Amazon grants for every operation of both order APIs.
# https://developer-docs.amazon.com/sp-api/docs/vendor-retail-procurement-orders-api-rate-limits
# https://developer-docs.amazon.com/sp-api/docs/vendor-direct-fulfillment-apis-rate-limits
PLAN = UsagePlan(rate=10, burst=10)


class SortOrder(StrEnum):
    """By creation date. Amazon does not always honour it, and refuses ``ASC`` to some."""

    ASC = "ASC"
    DESC = "DESC"


class Parameters(msgspec.Struct, frozen=True, rename="camel"):
    """What is asked of an operation; None is not sent."""


Question = Parameters | Wire  # a query, or a body

# Amazon ignores a value it does not know and answers as if nothing had been asked
# (selling-partner-api-docs#136, #2932), so a misspelt one is caught here.
_CHOICES: dict[str, type[StrEnum]] = {
    "sort_order": SortOrder,
    "po_item_state": PoItemState,
    "purchase_order_state": PurchaseOrderState,
    "purchase_order_status": PurchaseOrderStatus,
    "item_confirmation_status": ConfirmationStatus,
    "item_receive_status": ReceiveStatus,
    "status": direct_fulfillment.OrderStatus,
}
_SPANS = ("created", "changed", "updated")


@cache
def _fields(kind: type[Parameters]) -> tuple[msgspec.structs.FieldInfo, ...]:
    """Return the fields of *kind*; to look them up costs as much as a small request."""
    return msgspec.structs.fields(kind)


class Operation(msgspec.Struct, Generic[T_co], frozen=True):
    """One row of the table: everything that is particular to an operation.

    *plan* is Amazon's published default, *decode* makes the answer of a body. One that is
    *restricted* answers with people's details, and takes a restricted data token. Two
    operations of a name have a bucket each where their *api* differs.
    """

    name: str
    method: str
    path: str
    plan: UsagePlan
    decode: Callable[[bytes], T_co]
    api: str = RETAIL_API
    is_restricted: bool = False

    def __repr__(self) -> str:
        return f"<Operation {self.name} {self.method} {self.path} {self.plan}>"

    @property
    def repeatable(self) -> bool:
        """Whether asking twice is harmless."""
        return self.method == "GET"


class Call(msgspec.Struct, Generic[T_co], frozen=True):
    """One question to one operation, not yet addressed to anybody."""

    operation: Operation[T_co]
    question: Question


class HttpRequest(msgspec.Struct, frozen=True):
    """A call as HTTP: *target* is the escaped path with its query."""

    method: str
    target: str
    body: bytes | None = None


def http_request(call: Call[Any]) -> HttpRequest:
    """Spell *call* as Amazon reads it."""
    operation, question = call.operation, call.question
    if not isinstance(question, Parameters):
        body = msgspec.json.encode(question)
        return HttpRequest(operation.method, operation.path, body)
    path, pairs = operation.path, []
    for name, value in query(question):
        if f"{{{name}}}" in path:
            path = path.replace(f"{{{name}}}", quote(value, safe=""))
        else:
            pairs.append((name, value))
    encoded = urlencode(pairs, quote_via=quote, safe="")
    return HttpRequest(operation.method, f"{path}?{encoded}" if encoded else path)


def query(question: Parameters) -> Iterator[tuple[str, str]]:
    """Yield the parameters of *question* that are set, by their names on the wire."""
    for field in _fields(type(question)):
        value = getattr(question, field.name)
        if isinstance(value, bool):
            yield field.encode_name, "true" if value else "false"
        elif isinstance(value, datetime):
            yield field.encode_name, format_wire(value)
        elif value is not None:
            yield field.encode_name, str(value)


def check(question: Question, *, now: datetime, longest: timedelta | None) -> None:
    """Refuse what could not be meant, before anything is sent.

    *longest* is the longest span of a query, None where Amazon's sandbox is asked, which
    publishes a case of 31 days.

    Raises:
        InvalidArgument: a limit outside 1 to 100, an instant without a zone, a span that is
            empty, turned round or too long, an unknown value, an empty or endless text.
    """
    if not isinstance(question, Parameters):
        return
    for field in _fields(type(question)):
        value = getattr(question, field.name)
        if not isinstance(value, field.type) or (
            field.name == "limit" and isinstance(value, bool)
        ):
            raise InvalidArgument(f"{field.name} cannot be {value!r}")
        _check_value(field.name, value)
    for stem in _SPANS:
        after = getattr(question, f"{stem}_after", None)
        before = getattr(question, f"{stem}_before", None)
        if after and before and after >= before:
            raise InvalidArgument(f"{stem}_after must be earlier than {stem}_before")
        # Without an upper bound Amazon reads up to now
        if after and longest and (before or now) - after > longest:
            raise InvalidArgument(
                f"{stem}_after to {stem}_before spans more than {longest.days} days, "
                "Amazon's limit for one query"
            )


def _check_value(name: str, value: object) -> None:
    match value:
        case datetime() if value.tzinfo is None:
            raise InvalidArgument(f"{name} needs a time zone: {value.isoformat()} has none")
        case bool() | datetime() | None:
            pass
        case int() if name == "limit" and not 1 <= value <= LARGEST_PAGE:
            raise InvalidArgument(f"limit must be 1 to {LARGEST_PAGE}, not {value}")
        case str() if name == "next_token":  # Amazon's own, as long as it likes
            if not value.strip() or not value.isprintable():
                raise InvalidArgument("next_token must be plain text that is not empty")
        case str():
            choices = _CHOICES.get(name)
            if choices is not None and value not in set(choices):
                known = ", ".join(choices)
                raise InvalidArgument(f"{name} must be one of {known}, not {value!r}")
            # yarl and proxies take a dot segment for a way up
            if not value.strip() or not value.isprintable() or value in {".", ".."}:
                raise InvalidArgument(f"{name} must be plain text, not empty and not dots")
            if len(value) > _LONGEST_TEXT:
                raise InvalidArgument(f"{name} is longer than {_LONGEST_TEXT} characters")
