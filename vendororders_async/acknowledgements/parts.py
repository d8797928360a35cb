"""Parts: what a vendor answers for (some of) a line, in words."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from difflib import get_close_matches

import msgspec

from ..clock import format_wire, parse_instant
from ..errors import InvalidArgument
from ..models.retail_procurement import AcknowledgementCode, RejectionReason
from .drafts import Part

CODES = tuple(code.value for code in AcknowledgementCode)
REASONS = tuple(reason.value for reason in RejectionReason)


def accepted(
    quantity: int | None = None,
    *,
    scheduled_ship_date: datetime | None = None,
    scheduled_delivery_date: datetime | None = None,
) -> Part:
    """Accept *quantity* of a line, or all that its other parts leave.

    >>> accepted(5).quantity
    5

    Quantities are in the line's own unit: of a line of 10 cases, ``accepted(5)`` accepts 5
    cases.

    Raises:
        InvalidArgument: The quantity is not positive, or a date has no zone.
    """
    return _part(
        AcknowledgementCode.ACCEPTED, quantity, scheduled_ship_date, scheduled_delivery_date
    )


def backordered(
    quantity: int | None = None,
    *,
    scheduled_ship_date: datetime | None = None,
    scheduled_delivery_date: datetime | None = None,
) -> Part:
    """Promise *quantity* of a line, or all that its other parts leave, for another date.

    The line has to allow it (*is_back_order_allowed*).

    Raises:
        InvalidArgument: There is no date, one has no zone, or the quantity is not positive.
    """
    if scheduled_ship_date is None and scheduled_delivery_date is None:
        raise InvalidArgument(
            "a backorder needs a date: give scheduled_ship_date or scheduled_delivery_date"
        )
    return _part(
        AcknowledgementCode.BACKORDERED, quantity, scheduled_ship_date, scheduled_delivery_date
    )


def rejected(reason: str, quantity: int | None = None) -> Part:
    """Reject *quantity* of a line, or all that its other parts leave.

    To accept less than was ordered is to reject the rest:

        [accepted(5), rejected("TemporarilyUnavailable")]

    A line that was rejected can never be accepted later.

    Raises:
        InvalidArgument: *reason* is none of `RejectionReason`, or the quantity not positive.
    """
    if reason not in REASONS:
        raise InvalidArgument(f"rejection reason {unknown(reason, REASONS)}")
    part = _part(AcknowledgementCode.REJECTED, quantity, None, None)
    return msgspec.structs.replace(part, rejection_reason=str(reason))


def _part(
    code: AcknowledgementCode,
    quantity: int | None,
    ship: datetime | None,
    delivery: datetime | None,
) -> Part:
    if quantity is not None and quantity <= 0:
        raise InvalidArgument(f"a quantity must be positive, not {quantity}")
    return Part(
        code=code.value,
        quantity=quantity,
        scheduled_ship_date=ship and instant(ship, "scheduled_ship_date"),
        scheduled_delivery_date=delivery and instant(delivery, "scheduled_delivery_date"),
    )


def instant(moment: datetime, name: str) -> datetime:
    """Return *moment* as it goes on the wire: a plain datetime in UTC, in whole seconds.

    Raises:
        InvalidArgument: It has no zone.
    """
    if moment.tzinfo is None:
        raise InvalidArgument(f"{name} has no time zone; datetime(…, tzinfo=UTC) has")
    return parse_instant(format_wire(moment))


def unknown(word: str, known: Collection[str]) -> str:
    """Say that *word* is none of *known*, and which was probably meant."""
    near = likely(word, known)
    return f"is {word!r}: " + (
        f"{near} was probably meant, spelt exactly so" if near else f"one of {', '.join(known)}"
    )


def likely(word: str, known: Collection[str]) -> str | None:
    """Return which of *known* was probably meant by *word*, if one was."""
    if word in known:
        return word
    plain = {"".join(filter(str.isalnum, one)).casefold(): one for one in known}
    found = get_close_matches("".join(filter(str.isalnum, word)).casefold(), plain, n=1)
    return plain[found[0]] if found else None


def shared(parts: Iterable[Part], ordered: int) -> list[Part]:
    """Return *parts* with their quantities: one without takes what the others leave.

    If they leave nothing, it is left out.

    Raises:
        ValueError: Two have no quantity, or they are more than was ordered.
    """
    parts = list(parts)
    given = sum(part.quantity for part in parts if part.quantity is not None)
    open_count = sum(part.quantity is None for part in parts)
    if open_count > 1:
        raise ValueError(f"{open_count} of its parts have no quantity; only one may")
    if given > ordered:
        raise ValueError(f"{given} are answered, but {ordered} ordered")
    rest = ordered - given
    filled = [
        part if part.quantity is not None else msgspec.structs.replace(part, quantity=rest)
        for part in parts
    ]
    return [part for part in filled if part.quantity != 0 or part in parts]
