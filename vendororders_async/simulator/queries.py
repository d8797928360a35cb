"""Query parameters: read as Amazon reads them, and refused as Amazon refuses them."""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from ..clock import parse_instant
from .calls import DIRECT_ORDERS, ORDERS, STATUSES
from .settings import MICROSECOND, Bounds, micros

_WIDEST = timedelta(days=7) // MICROSECOND
_MOST_RECORDS = 100
_MONTHS = 12


class Refused(Exception):
    """Amazon's 400, as the code, message and details of its body."""

    def __init__(self, code: str, message: str, details: str = "") -> None:
        super().__init__(code, message, details)
        self.code = code
        self.message = message
        self.details = details


class Span(msgspec.Struct, frozen=True):
    """A pair of bounds in microseconds since 1970, each of which may be missing."""

    after: int | None = None
    before: int | None = None

    def __bool__(self) -> bool:
        """Return whether anything was bounded."""
        return self.after is not None or self.before is not None

    def interval(self, bounds: Bounds, now: int) -> tuple[int | None, int]:
        """Return the half-open interval of the moments that match, none after *now*.

        Amazon says "after" and "before" and not whether the bound itself belongs to it.
        """
        low, high = self.after, now + 1
        if low is not None and bounds == "exclusive":
            low += 1
        if self.before is not None:
            high = min(high, self.before + 1 if bounds == "inclusive" else self.before)
        return low, high


class Filters(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of an order besides its dates; None asks nothing."""

    number: str | None = None
    state: str | None = None  # New, Acknowledged, Closed; NEW and so on
    status: str | None = None  # OPEN, CLOSED
    vendor: str | None = None
    warehouse: str | None = None
    confirmation: str | None = None
    receipt: str | None = None
    is_changed: bool = False
    is_cancelled: bool = False


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """All parameters of a list but its next token: what every page's request repeats."""

    operation: str
    created: Span
    changed: Span
    updated: Span
    filters: Filters
    limit: int
    sort_order: str | None
    details: bool

    @property
    def spans(self) -> tuple[Span, Span, Span]:
        """The three pairs of bounds."""
        return self.created, self.changed, self.updated


class Asked(msgspec.Struct, frozen=True):
    """A question, and which page of the answer is wanted."""

    question: Question
    next_token: str | None


def _moment(text: str) -> int:
    try:
        return micros(parse_instant(text))
    except (ValueError, OverflowError):
        # the model's own example for a date such as 2019-09-2100:00:00
        raise Refused("InvalidRequest", "The request is invalid.") from None


def _flag(text: str) -> bool:
    if text not in ("true", "false"):
        raise Refused("InvalidInput", "Invalid Input", f"{text!r} is not true or false")
    return text == "true"


def _limit(text: str) -> int:
    if re.fullmatch(r"[0-9]{1,9}", text) is None or not 1 <= int(text) <= _MOST_RECORDS:
        raise Refused("InvalidInput", "Invalid Input", "limit must be between 1 and 100")
    return int(text)


def _one_of(*values: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in values:
            raise Refused("InvalidInput", "Invalid Input", f"{text!r} is not a known value")
        return text

    return read


_COMMON: dict[str, tuple[str, Callable[[str], Any]]] = {
    "createdAfter": ("created_after", _moment),
    "createdBefore": ("created_before", _moment),
    "limit": ("limit", _limit),
    "sortOrder": ("sort_order", _one_of("ASC", "DESC")),
    "orderingVendorCode": ("vendor", str),
}
_ORDER_PARAMETERS = _COMMON | {
    "changedAfter": ("changed_after", _moment),
    "changedBefore": ("changed_before", _moment),
    "includeDetails": ("details", _flag),
    "isPOChanged": ("is_changed", _flag),
    "poItemState": ("is_cancelled", lambda text: _one_of("Cancelled")(text) == "Cancelled"),
    "purchaseOrderState": ("state", _one_of("New", "Acknowledged", "Closed")),
}
_STATUS_PARAMETERS = _COMMON | {
    "updatedAfter": ("updated_after", _moment),
    "updatedBefore": ("updated_before", _moment),
    "purchaseOrderNumber": ("number", str),
    "purchaseOrderStatus": ("status", _one_of("OPEN", "CLOSED")),
    "itemConfirmationStatus": (
        "confirmation",
        _one_of("ACCEPTED", "PARTIALLY_ACCEPTED", "REJECTED", "UNCONFIRMED"),
    ),
    "itemReceiveStatus": ("receipt", _one_of("NOT_RECEIVED", "PARTIALLY_RECEIVED", "RECEIVED")),
    "shipToPartyId": ("warehouse", str),
}
_DIRECT_PARAMETERS = {
    name: _COMMON[name] for name in ("createdAfter", "createdBefore", "limit", "sortOrder")
} | {
    "includeDetails": ("details", _flag),
    "shipFromPartyId": ("warehouse", str),
    "status": ("state", _one_of("NEW", "SHIPPED", "ACCEPTED", "CANCELLED")),
}
_KNOWN = {
    ORDERS: _ORDER_PARAMETERS,
    STATUSES: _STATUS_PARAMETERS,
    DIRECT_ORDERS: _DIRECT_PARAMETERS,
}


@lru_cache(maxsize=8192)
def read_query(operation: str, raw_query: str) -> Asked:
    """Read the query string of one of the lists.

    A name that the operation does not know is ignored, as Amazon does it:
    amzn/selling-partner-api-docs issues 2932 and 178.

    Raises:
        Refused: A value is malformed, or one that Direct Fulfillment requires is missing.
    """
    wording = dict(parse_qsl(raw_query, keep_blank_values=True))
    known = _KNOWN[operation]
    if operation == DIRECT_ORDERS:
        for name in ("createdAfter", "createdBefore"):
            if not wording.get(name):
                raise Refused("InvalidInput", "Invalid Input", f"{name} is required")
    read: dict[str, Any] = {}
    for name, text in wording.items():
        if name in known:
            field, reader = known[name]
            read[field] = reader(text)
    question = Question(
        operation=operation,
        created=Span(read.pop("created_after", None), read.pop("created_before", None)),
        changed=Span(read.pop("changed_after", None), read.pop("changed_before", None)),
        updated=Span(read.pop("updated_after", None), read.pop("updated_before", None)),
        limit=read.pop("limit", _MOST_RECORDS),
        sort_order=read.pop("sort_order", None),
        details=read.pop("details", True),
        filters=Filters(**read),
    )
    return Asked(question, wording.get("nextToken"))


def check_spans(question: Question, *, now: datetime, history_months: int | None) -> None:
    """Refuse a window of more than 7 days, and one that begins before the history does.

    Raises:
        Refused: The window is too wide or reaches too far back.
    """
    # https://developer-docs.amazon.com/sp-api/reference/getpurchaseorders
    horizon = None if history_months is None else micros(_months_ago(now, history_months))
    for span in question.spans:
        if not span:
            continue
        if span.after is None:
            raise Refused("InvalidInput", "Invalid Input", "a date range needs a beginning")
        before = micros(now) if span.before is None else span.before
        if before - span.after > _WIDEST:
            raise Refused("InvalidInput", "Invalid Input", "the date range exceeds 7 days")
        if horizon is not None and span.after < horizon:
            raise Refused("InvalidInput", "Invalid Input", "the date range is beyond history")


def _months_ago(now: datetime, months: int) -> datetime:
    """Return *now* that many calendar months ago, on the month's last day at the latest."""
    here = now.astimezone(UTC)
    years, month = divmod(here.month - 1 - months, _MONTHS)
    year, month = here.year + years, month + 1
    last = calendar.monthrange(year, month)[1]
    return here.replace(year=year, month=month, day=min(here.day, last))
