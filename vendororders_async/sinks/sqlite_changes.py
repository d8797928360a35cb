"""Changes in a SQLite store: recorded with the versions they lead to, and read in turn."""

# ruff: noqa: S608 - the statements are put together from question marks, never from data

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from ..changes import Change, FieldChange, LineChange, OrderChanged, OrderCreated, StatusChanged
from ..clock import parse_instant
from ..differences import Differences, differences
from ..models.retail_procurement import OrderStatus
from ..pages import Row, decode_document
from .rows import OrderRow, StatusRow
from .sqlite_file import durable_transaction, require_version
from .sqlite_numbers import AT_ONCE

_SINCE_VERSION = 3

_CREATED, _CHANGED, _STATUS = "order_created", "order_changed", "status_changed"

_RECORD_FIRST = {
    count: "INSERT INTO changes "
    "(account, api, recorded_at, event, purchase_order_number, digest) VALUES "
    + ", ".join(["(?1, ?2, ?3, ?4, ?, ?)"] * count)
    for count in AT_ONCE
}

_RECORD_NEXT = """
INSERT INTO changes (
    account, api, recorded_at, event, purchase_order_number, digest, previous_digest, fields,
    lines
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""

_CHANGES = """
SELECT sequence, event, recorded_at, account, api, purchase_order_number, digest,
    previous_digest, fields, lines,
    CASE
        WHEN event <> 'status_changed' THEN coalesce(
            (
                SELECT document FROM purchase_orders AS present
                WHERE present.account = changes.account
                    AND present.api = changes.api
                    AND present.purchase_order_number = changes.purchase_order_number
                    AND present.digest = changes.digest
            ),
            (
                SELECT document FROM superseded_orders AS past
                WHERE past.account = changes.account
                    AND past.api = changes.api
                    AND past.purchase_order_number = changes.purchase_order_number
                    AND past.digest = changes.digest
                LIMIT 1
            )
        )
        WHEN previous_digest IS NULL THEN (
            SELECT document FROM purchase_order_statuses AS present
            WHERE present.account = changes.account
                AND present.api = changes.api
                AND present.purchase_order_number = changes.purchase_order_number
                AND present.digest = changes.digest
        )
    END
FROM changes
WHERE sequence > ?1
    AND (?2 IS NULL OR api = ?2)
    AND (?3 IS NULL OR account IN (SELECT value FROM json_each(?3)))
ORDER BY sequence
LIMIT ?4
"""

# of all that were given, also where the last of them were purged
_LAST_CHANGE = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'changes'"

_HANDED_OUT = "SELECT sequence FROM handed_out"
_HAND_OUT = "UPDATE handed_out SET sequence = max(sequence, ?)"

_CONSUMED = "SELECT account, sequence FROM consumers WHERE consumer = ? AND api = ?"

# In one step, however many accounts; their names are printable, so that none has a NUL.
_CONSUME = """
INSERT INTO consumers (consumer, account, api, sequence, updated_at)
SELECT ?1, key, ?2, value, ?4 FROM json_each(?3) WHERE true
ON CONFLICT DO UPDATE SET sequence = excluded.sequence, updated_at = excluded.updated_at
WHERE excluded.sequence > consumers.sequence
"""

_FIELDS = msgspec.json.Decoder(tuple[FieldChange, ...])
_LINES = msgspec.json.Decoder(tuple[LineChange, ...])


class NewVersion(msgspec.Struct, frozen=True, gc=False):
    """A version that a page brought, and the one with details that it takes the place of."""

    row: OrderRow | StatusRow
    content: Row
    previous_digest: str | None = None
    previous: str | None = None


class _Row(NamedTuple):
    """A change as it is in the table, and the document that it led to, where that is told."""

    sequence: int
    event: str
    recorded_at: str
    account: str
    api: str
    purchase_order_number: str
    digest: str
    previous_digest: str | None
    fields: str | None
    lines: str | None
    document: str | None

    def told(self) -> Differences:
        """Return what differs: as it was written down, or all that a first status says."""
        if self.event == _STATUS and self.document is not None:
            status = decode_document(self.document.encode(), OrderStatus).content
            return differences(None, status) if status is not None else Differences()
        return Differences(
            _FIELDS.decode(self.fields) if self.fields else (),
            _LINES.decode(self.lines) if self.lines else (),
        )


def record(
    connection: sqlite3.Connection,
    owner: tuple[str, str],
    versions: Sequence[NewVersion],
    stamp: str,
) -> None:
    """Record what became of the orders of *owner* (account, API), inside a transaction.

    The versions are of different orders and of one kind, and have details.
    """
    first = [version for version in versions if version.previous is None]
    start = 0
    for count in AT_ONCE:
        while len(first) - start >= count:
            some = first[start : start + count]
            event = _STATUS if isinstance(some[0].content, OrderStatus) else _CREATED
            names = [
                name for one in some for name in (one.row.purchase_order_number, one.row.digest)
            ]
            connection.execute(_RECORD_FIRST[count], (*owner, stamp, event, *names))
            start += count
    if len(first) < len(versions):
        connection.executemany(
            _RECORD_NEXT,
            [(*owner, stamp, *_next(one)) for one in versions if one.previous is not None],
        )


def hand_out(
    connection: sqlite3.Connection,
    after: int,
    limit: int,
    *,
    api: str | None = None,
    accounts: Sequence[str] | None = None,
) -> list[Change]:
    """Return what was recorded after the sequence number *after*, the oldest first.

    That is of one *api* and of some *accounts*, or of all.
    All of it is on the disk then: whoever remembers a number must not meet it again, after
    a power cut, as that of another change.
    """
    require_version(connection, _SINCE_VERSION, "what changed")
    names = None if accounts is None else msgspec.json.encode(accounts).decode()
    asked = connection.execute(_CHANGES, (after, api, names, limit))
    found = [_change(_Row(*row)) for row in asked]
    (handed_out,) = connection.execute(_HANDED_OUT).fetchone()
    if found and found[-1].sequence > handed_out:
        with durable_transaction(connection):
            connection.execute(_HAND_OUT, (found[-1].sequence,))
    return found


def last(connection: sqlite3.Connection) -> int:
    """Return the last sequence number that was given."""
    require_version(connection, _SINCE_VERSION, "what changed")
    (sequence,) = connection.execute(_LAST_CHANGE).fetchone()
    return int(sequence)


def consumed(connection: sqlite3.Connection, consumer: str, api: str) -> dict[str, int]:
    """Return the last sequence number that *consumer* has seen, by account."""
    require_version(connection, _SINCE_VERSION, "what changed")
    return dict(connection.execute(_CONSUMED, (consumer, api)).fetchall())


def consume(
    connection: sqlite3.Connection,
    consumer: str,
    api: str,
    places: Mapping[str, int],
    stamp: str,
) -> None:
    """Remember up to where *consumer* has seen all, by account, where that is news."""
    text = msgspec.json.encode(places).decode()
    connection.execute(_CONSUME, (consumer, api, text, stamp))


def _next(version: NewVersion) -> tuple[str | None, ...]:
    event = _STATUS if isinstance(version.content, OrderStatus) else _CHANGED
    row = version.row
    names = (event, row.purchase_order_number, row.digest, version.previous_digest)
    assert version.previous is not None  # noqa: S101 - it is no first one
    before = decode_document(version.previous.encode(), type(version.content)).content
    if before is None:  # by an earlier version of this program, less strict
        return *names, None, None
    told = differences(before, version.content)
    return *names, _text(told.fields), _text(told.lines)


def _text(told: Sequence[FieldChange | LineChange]) -> str | None:
    return msgspec.json.encode(told).decode() if told else None


def _change(row: _Row) -> Change:
    common: dict[str, Any] = {
        "sequence": row.sequence,
        "recorded_at": parse_instant(row.recorded_at),
        "account": row.account,
        "api": row.api,
        "purchase_order_number": row.purchase_order_number,
        "digest": row.digest,
    }
    document = msgspec.Raw(row.document.encode() if row.document else b"null")
    if row.event == _CREATED:
        return OrderCreated(**common, document=document)
    told = row.told()
    common |= {
        "previous_digest": row.previous_digest,
        "fields": told.fields,
        "lines": told.lines,
    }
    if row.event == _CHANGED:
        return OrderChanged(**common, document=document)
    return StatusChanged(**common)
