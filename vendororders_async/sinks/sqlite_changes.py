"""Changes in a SQLite store: recorded with the versions they lead to, and read in turn."""

# ruff: noqa: S608 - the statements are put together from question marks, never from data

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from ..changes import Change
from ..clock import parse_instant
from .change_rows import SELECT_CHANGES, ChangeRow, differing, event_of
from .sqlite_file import durable_transaction, require_version
from .sqlite_numbers import AT_ONCE
from .versions import NewVersion

_SINCE_VERSION = 3

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

_CHANGES = f"""
{SELECT_CHANGES}
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
            names = [
                name for one in some for name in (one.row.purchase_order_number, one.row.digest)
            ]
            connection.execute(_RECORD_FIRST[count], (*owner, stamp, event_of(some[0]), *names))
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
    found = [_change(row) for row in asked]
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
    row = version.row
    names = (row.purchase_order_number, row.digest, version.previous_digest)
    return event_of(version), *names, *differing(version)


def _change(row: Sequence[Any]) -> Change:
    sequence, event, recorded_at, *rest = row
    return ChangeRow(sequence, event, parse_instant(recorded_at), *rest).change()
