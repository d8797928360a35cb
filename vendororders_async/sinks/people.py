"""People: what a store is to forget of an order, and since when.

Pure functions, shared by the sinks that can purge.
"""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import datetime

import msgspec

from ..clock import format_stored, parse_instant
from ..models.direct_fulfillment import Order
from ..models.lenient import REFUSED
from ..operations import DIRECT_FULFILLMENT_API
from ..pages import decode_document
from ..redaction import redact
from .base import Quarantined
from .rows import digest_of

NAMING_API = DIRECT_FULFILLMENT_API  # the one whose orders name people

_ORDERED_AT = re.compile(rb'"orderDate"\s*:\s*"([^"\\]{10,40})"', re.IGNORECASE)


def without_people(raw: bytes) -> bytes | None:
    """Return the order *raw* redacted; None where there is nothing to take out.

    White space between tokens is no reason to write an order anew.

        >>> without_people(b'{"orderDetails": {"shipToParty": {"countryCode": "DE"}}}')
    """
    redacted = redact(raw)
    if redacted == raw:
        return None
    # Text against text: of a key that is there twice, a comparison of values sees one.
    with suppress(*REFUSED):
        if redacted == msgspec.json.format(raw, indent=-1):
            return None
    return redacted


def ordered_at(raw: bytes) -> str | None:
    """Return when the order *raw* was placed, if it says so, as `format_stored` writes it."""
    order = decode_document(raw, Order).content
    details = order.order_details if order else None
    return format_stored(details.order_date) if details and details.order_date else None


def oldest_date(raw: bytes, seen_at: datetime) -> datetime:
    """Return when what could not be decoded was ordered, if that can be read and is earlier.

    >>> from datetime import UTC
    >>> seen_at = datetime(2026, 11, 21, tzinfo=UTC)
    >>> oldest_date(b'{"orderDate": "2026-10-01T00:00:00Z", ', seen_at).isoformat()
    '2026-10-01T00:00:00+00:00'
    """
    found = [seen_at]
    for match in _ORDERED_AT.finditer(raw):
        with suppress(ValueError):
            found.append(parse_instant(match[1].decode("ascii", "replace")))
    return min(found)


def held_without_people(held: Quarantined, before: datetime) -> Quarantined | None:
    """Return *held* redacted; None where it is not old enough, or names nobody."""
    if oldest_date(held.document, held.first_seen_at) >= before:
        return None
    redacted = without_people(held.document)
    if redacted is None:
        return None
    return msgspec.structs.replace(held, digest=digest_of(redacted), document=redacted)
