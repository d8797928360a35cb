"""The table of operations: what can be asked, how it is spelled, what may be meant.

>>> from datetime import UTC, datetime
>>> new_year = datetime(2026, 1, 1, tzinfo=UTC)
>>> dict(query(GetPurchaseOrders(created_after=new_year, is_po_changed=True)))
{'createdAfter': '2026-01-01T00:00:00Z', 'isPOChanged': 'true'}
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cache, partial
from typing import Any, Generic, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from .clock import format_wire
from .errors import InvalidArgument
from .models.retail_procurement import (
    ConfirmationStatus,
    Order,
    OrderStatus,
    PurchaseOrderState,
    PurchaseOrderStatus,
    ReceiveStatus,
    SubmitAcknowledgementRequest,
    SubmitAcknowledgementResponse,
)
from .models.transactions import GetTransactionResponse
from .pages import Page, Row, decode_answer, decode_page, decode_single
from .usage import UsagePlan
from .windows import Window

T_co = TypeVar("T_co", covariant=True)

LARGEST_PAGE = 100  # orders
# https://developer-docs.amazon.com/sp-api/reference/getpurchaseorders


class SortOrder(StrEnum):
    """By creation date. Amazon does not always honour it, and refuses ``ASC`` to some."""

    ASC = "ASC"
    DESC = "DESC"


class PoItemState(StrEnum):
    """The one value that poItemState takes."""

    CANCELLED = "Cancelled"


class Parameters(msgspec.Struct, frozen=True, rename="camel"):
    """What is asked of an operation; None is not sent."""


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


Question = Parameters | SubmitAcknowledgementRequest

# Amazon ignores a value it does not know and answers as if nothing had been asked
# (selling-partner-api-docs#136, #2932), so a misspelt one is caught here.
_CHOICES: dict[str, type[StrEnum]] = {
    "sort_order": SortOrder,
    "po_item_state": PoItemState,
    "purchase_order_state": PurchaseOrderState,
    "purchase_order_status": PurchaseOrderStatus,
    "item_confirmation_status": ConfirmationStatus,
    "item_receive_status": ReceiveStatus,
}
_SPANS = ("created", "changed", "updated")


@cache
def _fields(kind: type[Parameters]) -> tuple[msgspec.structs.FieldInfo, ...]:
    """Return the fields of *kind*; to look them up costs as much as a small request."""
    return msgspec.structs.fields(kind)


class Operation(msgspec.Struct, Generic[T_co], frozen=True):
    """One row of the table: everything that is particular to an operation.

    *plan* is Amazon's published default, *decode* makes the answer of a body.
    """

    name: str
    method: str
    path: str
    plan: UsagePlan
    decode: Callable[[bytes], T_co]

    def __repr__(self) -> str:
        return f"<Operation {self.name} {self.method} {self.path} {self.plan}>"

    @property
    def repeatable(self) -> bool:
        """Whether asking twice is harmless."""
        return self.method == "GET"


# Rates: https://developer-docs.amazon.com/sp-api/docs/vendor-retail-procurement-orders-api-rate-limits
_PLAN = UsagePlan(rate=10, burst=10)
_ORDERS = "/vendor/orders/v1/purchaseOrders"

GET_PURCHASE_ORDERS = Operation(
    "getPurchaseOrders", "GET", _ORDERS, _PLAN, partial(decode_page, content=Order)
)
GET_PURCHASE_ORDER = Operation(
    "getPurchaseOrder",
    "GET",
    _ORDERS + "/{purchaseOrderNumber}",
    _PLAN,
    partial(decode_single, content=Order),
)
GET_PURCHASE_ORDERS_STATUS = Operation(
    "getPurchaseOrdersStatus",
    "GET",
    "/vendor/orders/v1/purchaseOrdersStatus",
    _PLAN,
    partial(decode_page, content=OrderStatus),
)
SUBMIT_ACKNOWLEDGEMENT = Operation(
    "submitAcknowledgement",
    "POST",
    "/vendor/orders/v1/acknowledgements",
    _PLAN,
    partial(decode_answer, response=SubmitAcknowledgementResponse),
)
GET_TRANSACTION = Operation(
    "getTransaction",
    "GET",
    "/vendor/transactions/v1/transactions/{transactionId}",
    # the model says burst 20, Amazon's own rate table 10: the smaller is safe
    _PLAN,
    partial(decode_answer, response=GetTransactionResponse),
)


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
            empty, turned round or too long, an unknown value, an empty text.
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
        case str():
            choices = _CHOICES.get(name)
            if choices is not None and value not in set(choices):
                known = ", ".join(choices)
                raise InvalidArgument(f"{name} must be one of {known}, not {value!r}")
            # yarl and proxies take a dot segment for a way up
            if not value.strip() or not value.isprintable() or value in {".", ".."}:
                raise InvalidArgument(f"{name} must be plain text that is not empty")


class Stream(msgspec.Struct, frozen=True):
    """An operation that can be read in bulk, with the pair of parameters that bounds it.

    *own_date* is the date of a row that the bounds go by, as far as Amazon says.
    *is_sortable* says that Amazon can sort by that date.
    """

    name: str
    operation: Operation[Page[Row]]
    row: type[Row]
    bounds: str
    own_date: Callable[[Row], datetime | None]
    is_sortable: bool = False

    def __repr__(self) -> str:
        return f"<Stream {self.name}>"

    @property
    def has_details(self) -> bool:
        """Whether its rows can be listed by number, and asked for one by one."""
        return self.row is Order

    def call(
        self,
        window: Window,
        next_token: str | None = None,
        *,
        numbers_only: bool = False,
        limit: int = LARGEST_PAGE,
        ascending: bool = False,
    ) -> Call[Page[Row]]:
        """Ask for a page of *window*, which is sent as it is.

        A next token does not stand alone: Amazon wants all other parameters repeated. With
        *numbers_only* an order comes as its number and state, without details. *ascending*
        asks for the oldest first; whether Amazon heeds it is another matter.
        """
        asks = GetPurchaseOrders if self.row is Order else GetPurchaseOrdersStatus
        given: dict[str, Any] = {
            f"{self.bounds}_after": window.after,
            f"{self.bounds}_before": window.before,
        }
        if numbers_only and self.has_details:
            given["include_details"] = False
        if ascending:
            given["sort_order"] = "ASC"
        return Call(self.operation, asks(limit=limit, next_token=next_token, **given))


def _created(row: Row) -> datetime | None:
    if isinstance(row, OrderStatus):
        return row.purchase_order_date
    return row.order_details.purchase_order_date if row.order_details else None


def _changed(row: Row) -> datetime | None:
    details = row.order_details if isinstance(row, Order) else None
    return details.purchase_order_changed_date if details else None


def _updated(row: Row) -> datetime | None:
    return row.last_updated_date if isinstance(row, OrderStatus) else None


# An order that Amazon never changed does not match the changed filter (airbyte#46308), and
# neither filter sees a move between states: all three together see everything.
# "Sort in ascending or descending order by purchase order creation date."
# https://developer-docs.amazon.com/sp-api/reference/getpurchaseorders
CREATED = Stream("created", GET_PURCHASE_ORDERS, Order, "created", _created, is_sortable=True)
CHANGED = Stream("changed", GET_PURCHASE_ORDERS, Order, "changed", _changed)
STATUSES = Stream("statuses", GET_PURCHASE_ORDERS_STATUS, OrderStatus, "updated", _updated)

RETAIL_STREAMS: Mapping[str, Stream] = {
    stream.name: stream for stream in (CREATED, CHANGED, STATUSES)
}
