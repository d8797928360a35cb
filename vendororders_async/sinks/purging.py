"""Forgetting: what goes, in which order, and portion by portion; shared by the databases.

Each portion is a transaction of its own, so that neither memory nor anybody who waits is
needed for all of it; and the order bears to be interrupted.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple

import msgspec

from ..models.direct_fulfillment import Order
from ..pages import decode_document
from .base import Purged
from .people import without_people
from .rows import digest_of

PORTION = 200  # documents a transaction

# Ledgers first: no window may claim what is gone. Streams last: they say whose a store is.
LEDGERS = (
    *("windows", "begun_windows", "account_settings"),
    *("outdated_orders", "request_rates", "consumers"),
)
DOCUMENTS = {
    "purchase_orders": "order_count",
    "purchase_order_statuses": None,
    "superseded_orders": "version_count",
    "quarantine": "quarantine_count",
    "submissions": None,
    "changes": None,
}
STREAMS = "account_streams"
TABLES = (*LEDGERS, *DOCUMENTS, STREAMS, "purged_accounts")
COUNTED = {table: kind for table, kind in DOCUMENTS.items() if kind is not None}

Key = tuple[Any, ...]
# A key, which ends with the digest, and the new document and digest of what it led to
Redacted = tuple[Key, tuple[bytes, str]]


class Portion(NamedTuple):
    """How many documents of a portion were redacted, and where the next one starts, if any."""

    redacted_count: int
    next_key: Key | None


Forget = Callable[[Key], Awaitable[Portion]]


async def forget_people(*, versions: Forget, orders: Forget, quarantine: Forget) -> Purged:
    """Redact everything; each of these redacts the portion that comes after a key."""
    return Purged(
        # the versions first: they go by the newest one's date, which stays
        version_count=await _all(versions, ("", 0, "")),
        order_count=await _all(orders, ("",)),
        quarantine_count=await _all(quarantine, ("",)),
    )


async def forget_documents(delete: Callable[[str], Awaitable[int]]) -> Purged:
    """Delete everything; *delete* does it with a portion of a table, and counts."""
    purged = Purged()
    for table in DOCUMENTS:
        while deleted := await delete(table):
            if (kind := COUNTED.get(table)) is not None:
                purged += msgspec.convert({kind: deleted}, Purged)
    return purged


def redacted(found: Sequence[tuple[Key, bytes]]) -> list[Redacted]:
    """Return those of *found* that change."""
    changed = []
    for key, document in found:
        left = without_people(document)
        if left is not None:
            changed.append((key, (left, digest_of(left))))
    return changed


def bill_to_party_id(document: bytes) -> str | None:
    """Return what that column says of a redacted order: some put a person's name there."""
    order = decode_document(document, Order).content
    details = order.order_details if order else None
    party = details.bill_to_party if details else None
    return party.party_id if party else None


def portion(changed: Sequence[Redacted], keys: Sequence[Key]) -> Portion:
    """Return what a portion of *keys* came to."""
    return Portion(len(changed), keys[-1] if len(keys) == PORTION else None)


async def _all(forget: Forget, first: Key) -> int:
    count, key = 0, first
    while True:
        done = await forget(key)
        count += done.redacted_count
        if done.next_key is None:
            return count
        key = done.next_key
