"""Forgetting: an account of a PostgreSQL store, or the people in its orders."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol, TypeVar

import asyncpg

from ..errors import SinkError
from .base import Purged
from .people import NAMING_API, oldest_date
from .postgres_database import Job
from .purging import (
    COUNTED,
    LEDGERS,
    PORTION,
    STREAMS,
    TABLES,
    Forget,
    Key,
    Portion,
    Redacted,
    bill_to_party_id,
    forget_documents,
    forget_people,
    portion,
    redacted,
)

T = TypeVar("T")

_PATIENCE = 5.0  # seconds to wait for readers; others wait behind us as long
_BETWEEN = 0.05  # seconds
_NO_HURRY = 86_400.0  # seconds: a table may be large

_NEXT_CHANGE = "UPDATE change_counter SET change_seq = change_seq + 1 RETURNING change_seq"

_NEWEST = """
SELECT purchase_order_number, digest, document FROM purchase_orders
WHERE account = $1 AND api = $2 AND purchase_order_number > $3
    AND coalesce(purchase_order_date, first_seen_at) < $4
ORDER BY purchase_order_number
LIMIT $5
"""

_REDACT_NEWEST = """
UPDATE purchase_orders SET
    document = $1, digest = $2, bill_to_party_id = $3, change_seq = $4, updated_at = $5
WHERE account = $6 AND api = $7 AND purchase_order_number = $8 AND digest = $9
"""

# An older version goes by the date of the order's newest one.
_SUPERSEDED = """
SELECT old.purchase_order_number, old.change_seq, old.digest, old.document
FROM superseded_orders AS old
LEFT JOIN purchase_orders AS newest USING (account, api, purchase_order_number)
WHERE old.account = $1 AND old.api = $2
    AND (old.purchase_order_number, old.change_seq, old.digest) > ($3, $4, $5)
    AND coalesce(newest.purchase_order_date, newest.first_seen_at, old.seen_at) < $6
ORDER BY old.purchase_order_number, old.change_seq, old.digest
LIMIT $7
"""

# Two that differed only in what is taken out become one.
_REDACT_SUPERSEDED = """
WITH gone AS (
    DELETE FROM superseded_orders
    WHERE account = $3 AND api = $4 AND purchase_order_number = $5 AND change_seq = $6
        AND digest = $7
    RETURNING *
)
INSERT INTO superseded_orders
    (account, api, purchase_order_number, change_seq, digest, seen_at, document)
SELECT account, api, purchase_order_number, change_seq, $2, seen_at, $1 FROM gone
ON CONFLICT (account, api, purchase_order_number, change_seq, digest) DO UPDATE SET
    seen_at = excluded.seen_at,
    document = excluded.document
"""

# What is recorded of an order names its versions by their digests; the numbers of what is
# recorded stay. The API is NAMING_API, written out for the index.
_RENAME = """
UPDATE changes SET
    digest = CASE digest WHEN $4 THEN $3 ELSE digest END,
    previous_digest = CASE previous_digest WHEN $4 THEN $3 ELSE previous_digest END
WHERE account = $1 AND api = 'direct_fulfillment' AND purchase_order_number = $2
    AND $4 IN (digest, previous_digest)
"""

_SET_ASIDE = """
SELECT digest, first_seen_at, document FROM quarantine
WHERE account = $1 AND api = $2 AND digest > $3
ORDER BY digest
LIMIT $4
"""

_REDACT_SET_ASIDE = """
WITH gone AS (
    DELETE FROM quarantine WHERE account = $3 AND api = $4 AND digest = $5 RETURNING *
)
INSERT INTO quarantine
    (account, api, digest, stream, source, reason, first_seen_at, document)
SELECT account, api, $2, stream, source, reason, first_seen_at, $1 FROM gone
ON CONFLICT (account, api, digest) DO UPDATE SET
    stream = excluded.stream,
    source = excluded.source,
    reason = excluded.reason,
    first_seen_at = excluded.first_seen_at,
    document = excluded.document
"""

_REMEMBER = "INSERT INTO purged_accounts VALUES ($1) ON CONFLICT DO NOTHING"

# Those who may still see what a transaction before $1 deleted: VACUUM keeps it for them. Of
# other databases only who writes counts: while that goes on, a new snapshot, and so VACUUM's
# own, reaches back to it. A standby's feedback counts as a reader here.
# https://www.postgresql.org/docs/current/view-pg-replication-slots.html
_ONLOOKERS = """
SELECT count(*)
FROM (
    SELECT backend_xmin AS sees
    FROM pg_stat_activity
    WHERE pid <> pg_backend_pid() AND coalesce(datname, current_database()) = current_database()
    UNION ALL
    SELECT backend_xid FROM pg_stat_activity WHERE pid <> pg_backend_pid()
    UNION ALL
    SELECT xmin FROM pg_replication_slots
    UNION ALL
    SELECT transaction FROM pg_prepared_xacts
) AS others
WHERE age(sees) > age($1::xid)
"""

_OWNED = """
SELECT bool_and(pg_has_role(relowner, 'USAGE')) FROM pg_class
WHERE oid = ANY ($1::text[]::regclass[])
"""

# The lease names an account as well, and is dropped and renewed all the time.
_REWRITTEN = (*(table for table in TABLES if table != "purged_accounts"), "leases")


class Runner(Protocol):
    """Runs a job on a connection, in a transaction where it is to change something."""

    def __call__(self, job: Job[T]) -> Awaitable[T]:
        """Return what *job* returns."""


class People(NamedTuple):
    """The people in what an account was ordered *before* then, and how to forget them.

    purged = await People(account, before, now, dry_run=False).purge(run)
    """

    account: str
    before: datetime
    now: Callable[[], datetime]
    dry_run: bool

    async def purge(self, run: Runner) -> Purged:
        """Redact documents, older versions and quarantine, each portion by a job of its own."""

        def forgetting(
            job: Callable[[asyncpg.Connection, Key], Awaitable[Portion]],
        ) -> Forget:
            return lambda key: run(lambda connection: job(connection, key))

        return await forget_people(
            versions=forgetting(self._superseded),
            orders=forgetting(self._newest),
            quarantine=forgetting(self._set_aside),
        )

    @property
    def _owner(self) -> tuple[str, str]:
        return self.account, NAMING_API

    async def _newest(self, connection: asyncpg.Connection, after: Key) -> Portion:
        found = await connection.fetch(_NEWEST, *self._owner, *after, self.before, PORTION)
        changed = redacted([(tuple(row[:-1]), row[-1].encode()) for row in map(tuple, found)])
        if changed and not self.dry_run:
            moved = (await connection.fetchval(_NEXT_CHANGE), self.now())
            await connection.executemany(
                _REDACT_NEWEST,
                [
                    (
                        *(document.decode(), digest, bill_to_party_id(document)),
                        *(*moved, *self._owner, *key),
                    )
                    for key, (document, digest) in changed
                ],
            )
            await self._rename(connection, changed)
        return portion(changed, [tuple(row)[:1] for row in found])

    async def _superseded(self, connection: asyncpg.Connection, after: Key) -> Portion:
        found = await connection.fetch(_SUPERSEDED, *self._owner, *after, self.before, PORTION)
        changed = redacted([(tuple(row[:-1]), row[-1].encode()) for row in map(tuple, found)])
        if not self.dry_run:
            await connection.executemany(
                _REDACT_SUPERSEDED,
                [
                    (document.decode(), digest, *self._owner, *key)
                    for key, (document, digest) in changed
                ],
            )
            await self._rename(connection, changed)
        return portion(changed, [tuple(row)[:-1] for row in found])

    async def _rename(
        self, connection: asyncpg.Connection, changed: Sequence[Redacted]
    ) -> None:
        """Let what is recorded of orders name their versions as they are called now."""
        await connection.executemany(
            _RENAME,
            [(self.account, key[0], digest, key[-1]) for key, (_, digest) in changed],
        )

    async def _set_aside(self, connection: asyncpg.Connection, after: Key) -> Portion:
        found = await connection.fetch(_SET_ASIDE, *self._owner, *after, PORTION)
        changed = redacted(
            [
                ((digest,), document)
                for digest, first_seen_at, document in map(tuple, found)
                if oldest_date(document, first_seen_at) < self.before
            ]
        )
        if not self.dry_run:
            await connection.executemany(
                _REDACT_SET_ASIDE, [(*new, *self._owner, *key) for key, new in changed]
            )
        return portion(changed, [tuple(row)[:1] for row in found])


async def purge_account(run: Runner, account: str) -> Purged:
    """Remove everything about *account*, portion by portion."""

    async def delete_ledgers(connection: asyncpg.Connection) -> None:
        await connection.execute(_REMEMBER, account)
        for table in LEDGERS:
            await _delete_all(connection, table, account)

    await run(delete_ledgers)
    purged = await forget_documents(lambda table: run(_deletion(table, account)))
    await run(lambda connection: _delete_all(connection, STREAMS, account))
    return purged


async def count_account(connection: asyncpg.Connection, account: str) -> Purged:
    """Return what `purge_account` would remove."""
    purged = Purged()
    for table, kind in COUNTED.items():
        count = await connection.fetchval(
            f"SELECT count(*) FROM {table} WHERE account = $1",  # noqa: S608 - a name of ours
            account,
        )
        purged += Purged(**{kind: count})
    return purged


async def accounts_in(connection: asyncpg.Connection) -> frozenset[str]:
    """Return the accounts that any table knows."""
    everywhere = " UNION ".join(
        f"SELECT account FROM {table}"  # noqa: S608 - a name of ours
        for table in TABLES
    )
    return frozenset(account for (account,) in await connection.fetch(everywhere))


async def scrub(connection: asyncpg.Connection, *, patience: float = _PATIENCE) -> None:
    """Write our tables anew without what was deleted; outside of a transaction.

    Nothing of it is in the tables' and indexes' files then, nor in what the planner knows of
    their values. Others wait for each table while it is written, and a copy of it has to
    find room. Not reached are the write-ahead log, until the server has used its files again,
    what was archived of it, standbys, backups, and blocks that the file system has free.

    Raises:
        SinkError: a transaction may still see it, or the tables are somebody else's.
    """
    if not await connection.fetchval(_OWNED, list(_REWRITTEN)):
        raise SinkError(
            "only their owner may write the tables anew, and until then they keep old bytes; "
            "run the purge again as their owner"
        )
    await _rewrite(connection, _REWRITTEN, patience)
    if await connection.fetch("DELETE FROM purged_accounts RETURNING account"):
        await _rewrite(connection, ("purged_accounts",), patience)


async def _rewrite(
    connection: asyncpg.Connection, tables: Sequence[str], patience: float
) -> None:
    await _unseen(connection, patience)
    await connection.execute(f"SET lock_timeout = {patience * 1000:.0f}")
    try:
        for table in tables:
            # a plain VACUUM leaves the bytes of dead rows where they are
            # https://www.postgresql.org/docs/current/sql-vacuum.html
            await connection.execute(f"VACUUM (FULL, ANALYZE) {table}", timeout=_NO_HURRY)
    except asyncpg.LockNotAvailableError:
        raise _kept() from None
    finally:
        await connection.execute("RESET lock_timeout")


async def _unseen(connection: asyncpg.Connection, patience: float) -> None:
    """Wait until nobody can see what was deleted before."""
    mark = await connection.fetchval("SELECT pg_current_xact_id()::xid")
    loop = asyncio.get_running_loop()
    until = loop.time() + patience
    while await connection.fetchval(_ONLOOKERS, mark):
        if loop.time() > until:
            raise _kept()
        await asyncio.sleep(_BETWEEN)


def _kept() -> SinkError:
    return SinkError(
        "a transaction that is still open on the server keeps old bytes in the tables; run the "
        "purge again when it has ended"
    )


def _deletion(table: str, account: str) -> Job[int]:
    statement = f"""
        DELETE FROM {table} WHERE ctid = ANY (
            ARRAY (SELECT ctid FROM {table} WHERE account = $1 LIMIT $2)
        )
    """  # noqa: S608 - a name of ours

    async def job(connection: asyncpg.Connection) -> int:
        return _count(await connection.execute(statement, account, PORTION))

    return job


async def _delete_all(connection: asyncpg.Connection, table: str, account: str) -> None:
    await connection.execute(f"DELETE FROM {table} WHERE account = $1", account)  # noqa: S608 - a name of ours


def _count(answer: str) -> int:
    """Return how many rows a statement says that it changed."""
    return int(answer.rpartition(" ")[-1])
