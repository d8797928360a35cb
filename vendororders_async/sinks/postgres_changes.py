"""Changes in a PostgreSQL store: recorded with the versions they lead to, and read in turn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import asyncpg

from ..changes import Change
from .change_rows import SELECT_CHANGES, ChangeRow, differing, event_of
from .postgres_text import array
from .versions import NewVersion

# Held until the commit. Whoever brings something new waits here before it looks at what is
# there, so that two who bring the same order meet; nobody else waits.
_IN_TURN = "SELECT FROM change_counter FOR UPDATE"

_NEXT_NUMBERS = """
UPDATE change_counter SET change_seq = change_seq + $1, sequence = sequence + $2
RETURNING change_seq, sequence - $2 + 1
"""

_RECORD = """
INSERT INTO changes (
    account, api, recorded_at, sequence, event, purchase_order_number, digest,
    previous_digest, fields, lines
)
SELECT $1, $2, $3, $4 + place - 1, event, number, digest, previous, fields, lines
FROM unnest($5::text[], $6::text[], $7::text[], $8::text[], $9::json[], $10::json[])
WITH ORDINALITY AS page (event, number, digest, previous, fields, lines, place)
"""

_CHANGES = f"""
{SELECT_CHANGES}
WHERE sequence > $1
    AND ($2::text IS NULL OR api = $2)
    AND ($3::text[] IS NULL OR account = ANY ($3))
ORDER BY sequence
LIMIT $4
"""

# of all that were given, also where the last of them were purged
_LAST_CHANGE = "SELECT sequence FROM change_counter"

_CONSUMED = "SELECT account, sequence FROM consumers WHERE consumer = $1 AND api = $2"

_CONSUME = """
INSERT INTO consumers (consumer, api, updated_at, account, sequence)
SELECT $1, $2, $3, account, sequence
FROM unnest($4::text[], $5::bigint[]) AS seen (account, sequence)
ON CONFLICT (consumer, account, api) DO UPDATE
SET sequence = excluded.sequence, updated_at = excluded.updated_at
WHERE excluded.sequence > consumers.sequence
"""


class Numbers(NamedTuple):
    """What a page may use: its *change_seq*, and from where on its changes are numbered."""

    change_seq: int
    first_sequence: int


async def take_turns(connection: asyncpg.Connection) -> None:
    """Let nobody else write versions until the transaction ends."""
    await connection.execute(_IN_TURN)


async def next_numbers(connection: asyncpg.Connection, count: int, *, moves: bool) -> Numbers:
    """Return numbers for *count* changes; *change_seq* is a new one if it *moves*."""
    return Numbers(*await connection.fetchrow(_NEXT_NUMBERS, int(moves), count))


async def record(
    connection: asyncpg.Connection,
    owner: tuple[str, str],
    versions: Sequence[NewVersion],
    first_sequence: int,
    now: datetime,
) -> None:
    """Record what became of the orders of *owner* (account, API), inside a transaction.

    The versions are of different orders and of one kind, and have details.
    """
    if not versions:
        return
    differences = [differing(one) for one in versions]
    await connection.execute(
        _RECORD,
        *owner,
        now,
        first_sequence,
        [event_of(one) for one in versions],
        array(one.row.purchase_order_number for one in versions),
        [one.row.digest for one in versions],
        [one.previous_digest for one in versions],
        [fields for fields, _ in differences],
        [lines for _, lines in differences],
    )


async def read_changes(
    connection: asyncpg.Connection,
    after: int,
    limit: int,
    *,
    api: str | None = None,
    accounts: Sequence[str] | None = None,
) -> list[Change]:
    """Return what was recorded after the sequence number *after*, the oldest first.

    That is of one *api* and of some *accounts*, or of all.
    """
    names = None if accounts is None else array(accounts)
    rows = await connection.fetch(_CHANGES, after, api, names, limit)
    return [ChangeRow(*row).change() for row in rows]


async def last(connection: asyncpg.Connection) -> int:
    """Return the last sequence number that was given."""
    return int(await connection.fetchval(_LAST_CHANGE))


async def consumed(connection: asyncpg.Connection, consumer: str, api: str) -> dict[str, int]:
    """Return the last sequence number that *consumer* has seen, by account."""
    rows = await connection.fetch(_CONSUMED, consumer, api)
    return dict(rows)


async def consume(
    connection: asyncpg.Connection,
    consumer: str,
    api: str,
    places: Mapping[str, int],
    now: datetime,
) -> None:
    """Remember up to where *consumer* has seen all, by account, where that is news."""
    await connection.execute(_CONSUME, consumer, api, now, array(places), list(places.values()))
