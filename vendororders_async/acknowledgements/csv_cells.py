"""The cells of a CSV file, read strictly: what may be meant in two ways is refused.

Each function takes text without blanks around it, and raises `ValueError` that says what is
wrong with it.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal

from ..clock import parse_instant
from ..errors import one_line

# What a spreadsheet leaves of a long number; an order called 12E45678 has no sign in it.
_CUT = re.compile(r"-?[0-9]([.,][0-9]+)?E[+-][0-9]+", re.IGNORECASE)
_WHOLE = re.compile(r"-?[0-9]{1,18}")  # what a 64-bit integer holds for sure
_AMOUNT = re.compile(r"-?[0-9]+(\.[0-9]+)?")
_ISO = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?(Z|[+-][0-9]{2}:?[0-9]{2})?)?"
)
_DOTTED = re.compile(
    r"([0-9]{1,2})\.([0-9]{1,2})\.([0-9]{4})(?: ([0-9]{1,2}):([0-9]{2})(?::([0-9]{2}))?)?"
)
_SLASHED = re.compile(r"[0-9]+[/-][0-9]+[/-][0-9]+.*")


def identifier(text: str) -> str:
    """Return *text* if it can name a thing."""
    if _CUT.fullmatch(text):
        raise ValueError(
            f"the spreadsheet has cut this number to {text}; give the column the format Text"
        )
    if not text.isprintable():
        raise ValueError("has characters in it that cannot be seen")
    return text


def code(text: str) -> str:
    """Return a code of direct fulfillment; a spreadsheet makes 0 of 00."""
    return text.zfill(2) if text.isascii() and text.isdigit() else text


def whole(text: str) -> int:
    """Return a whole number."""
    if not _WHOLE.fullmatch(text):
        raise ValueError(f"{_quoted(text)} is no whole number; write it with digits alone")
    return int(text)


def count(text: str) -> int:
    """Return a whole number that is more than nothing."""
    number = whole(text)
    if number <= 0:
        raise ValueError(f"{number} is too little; leave it blank for all that is left")
    return number


def amount(text: str) -> Decimal:
    """Return an amount of money, to the last digit."""
    if _AMOUNT.fullmatch(text):
        return Decimal(text)
    if "," in text:
        raise ValueError(
            f"{_quoted(text)} may be read in two ways; write it with a decimal point and "
            "without other separators"
        )
    raise ValueError(f"{_quoted(text)} is no amount; write 12.50")


def instant(text: str) -> datetime:
    """Return an instant; a date alone is its midnight in UTC, and no zone is UTC.

    >>> instant("30.11.2026").isoformat()
    '2026-11-30T00:00:00+00:00'
    """
    try:
        if _ISO.fullmatch(text):
            return parse_instant(text)
        if dotted := _DOTTED.fullmatch(text):
            day, month, year, hour, minute, second = (int(one or 0) for one in dotted.groups())
            return datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        raise ValueError(f"{_quoted(text)} is not in the calendar") from None
    if _SLASHED.fullmatch(text):
        raise ValueError(f"{_quoted(text)} may be read in two ways; write 2026-11-30")
    raise ValueError(f"{_quoted(text)} is no time; write 2026-11-30 or 2026-11-30T12:00:00Z")


def _quoted(text: str) -> str:
    most = 40
    return one_line(repr(text if len(text) <= most else f"{text[:most]}…"))
