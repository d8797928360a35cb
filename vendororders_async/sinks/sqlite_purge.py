"""Forgetting: an account of a SQLite store, or the people in its orders."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol, TypeVar

from ..clock import format_stored, parse_instant
from ..errors import SinkError
from .base import Purged
from .people import NAMING_API, oldest_date
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
from .sqlite_file import PATIENCE, Job, file_of

T = TypeVar("T")

_PATIENCE = 1.0  # seconds to wait for readers; writers wait as long

_NEXT_CHANGE = "UPDATE change_counter SET change_seq = change_seq + 1 RETURNING change_seq"

_NEWEST = """
SELECT purchase_order_number, digest, document FROM purchase_orders
WHERE account = ?1 AND api = ?2 AND purchase_order_number > ?3
    AND coalesce(purchase_order_date, first_seen_at) < ?4
ORDER BY purchase_order_number
LIMIT ?5
"""

_REDACT_NEWEST = """
UPDATE purchase_orders SET
    document = ?, digest = ?, bill_to_party_id = ?, change_seq = ?, updated_at = ?
WHERE account = ? AND api = ? AND purchase_order_number = ? AND digest = ?
"""

# An older version goes by the date of the order's newest one.
_SUPERSEDED = """
SELECT old.purchase_order_number, old.change_seq, old.digest, old.document
FROM superseded_orders AS old
LEFT JOIN purchase_orders AS newest USING (account, api, purchase_order_number)
WHERE old.account = ?1 AND old.api = ?2
    AND (old.purchase_order_number, old.change_seq, old.digest) > (?3, ?4, ?5)
    AND coalesce(newest.purchase_order_date, newest.first_seen_at, old.seen_at) < ?6
ORDER BY old.purchase_order_number, old.change_seq, old.digest
LIMIT ?7
"""

# Two that differed only in what is taken out become one.
_REDACT_SUPERSEDED = """
UPDATE OR REPLACE superseded_orders SET document = ?, digest = ?
WHERE account = ? AND api = ? AND purchase_order_number = ? AND change_seq = ? AND digest = ?
"""

# What is recorded of an order names its versions by their digests; the numbers of what is
# recorded stay. The API is NAMING_API, written out for the index.
_RENAME = """
UPDATE changes SET
    digest = CASE digest WHEN ?4 THEN ?3 ELSE digest END,
    previous_digest = CASE previous_digest WHEN ?4 THEN ?3 ELSE previous_digest END
WHERE account = ?1 AND api = 'direct_fulfillment' AND purchase_order_number = ?2
    AND ?4 IN (digest, previous_digest)
"""

_SET_ASIDE = """
SELECT digest, first_seen_at, document FROM quarantine
WHERE account = ? AND api = ? AND digest > ?
ORDER BY digest
LIMIT ?
"""

_REDACT_SET_ASIDE = """
UPDATE OR REPLACE quarantine SET document = ?, digest = ?
WHERE account = ? AND api = ? AND digest = ?
"""


class Runner(Protocol):
    """Runs a job on the connection, in a transaction where it is to change something."""

    def __call__(self, job: Job[T]) -> Awaitable[T]:
        """Return what *job* returns."""


class People(NamedTuple):
    """The people in what an account was ordered *before* then, and how to forget them.

    purged = await People(account, before, stamp, dry_run=False).purge(run)
    """

    account: str
    before: datetime
    stamp: Callable[[], str]
    dry_run: bool

    async def purge(self, run: Runner) -> Purged:
        """Redact documents, older versions and quarantine, each portion by a job of its own."""
        if not self.dry_run:
            await run(forget_for_good)

        def forgetting(job: Callable[[sqlite3.Connection, Key], Portion]) -> Forget:
            return lambda key: run(lambda connection: job(connection, key))

        return await forget_people(
            versions=forgetting(self._superseded),
            orders=forgetting(self._newest),
            quarantine=forgetting(self._set_aside),
        )

    @property
    def _owner(self) -> tuple[str, str]:
        return self.account, NAMING_API

    def _newest(self, connection: sqlite3.Connection, after: Key) -> Portion:
        found = connection.execute(
            _NEWEST, (*self._owner, *after, format_stored(self.before), PORTION)
        ).fetchall()
        changed = redacted([(row[:-1], row[-1].encode()) for row in found])
        if changed and not self.dry_run:
            (change_seq,) = connection.execute(_NEXT_CHANGE).fetchone()
            moved = (change_seq, self.stamp())
            connection.executemany(
                _REDACT_NEWEST,
                [
                    (*_told(new), bill_to_party_id(new[0]), *moved, *self._owner, *key)
                    for key, new in changed
                ],
            )
            self._rename(connection, changed)
        return portion(changed, [row[:1] for row in found])

    def _superseded(self, connection: sqlite3.Connection, after: Key) -> Portion:
        found = connection.execute(
            _SUPERSEDED, (*self._owner, *after, format_stored(self.before), PORTION)
        ).fetchall()
        changed = redacted([(row[:-1], row[-1].encode()) for row in found])
        if not self.dry_run:
            connection.executemany(
                _REDACT_SUPERSEDED, [(*_told(new), *self._owner, *key) for key, new in changed]
            )
            self._rename(connection, changed)
        return portion(changed, [row[:-1] for row in found])

    def _rename(self, connection: sqlite3.Connection, changed: Sequence[Redacted]) -> None:
        """Let what is recorded of orders name their versions as they are called now."""
        connection.executemany(
            _RENAME,
            [(self.account, key[0], digest, key[-1]) for key, (_, digest) in changed],
        )

    def _set_aside(self, connection: sqlite3.Connection, after: Key) -> Portion:
        found = connection.execute(_SET_ASIDE, (*self._owner, *after, PORTION)).fetchall()
        changed = redacted(
            [
                ((digest,), _bytes(document))
                for digest, first_seen_at, document in found
                if oldest_date(_bytes(document), parse_instant(first_seen_at)) < self.before
            ]
        )
        if not self.dry_run:
            connection.executemany(
                _REDACT_SET_ASIDE, [(*_told(new), *self._owner, *key) for key, new in changed]
            )
        return portion(changed, [row[:1] for row in found])


async def purge_account(run: Runner, account: str) -> Purged:
    """Remove everything about *account*, portion by portion."""

    def delete_ledgers(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT OR IGNORE INTO purged_accounts VALUES (?)", (account,))
        for table in LEDGERS:
            _delete_all(connection, table, account)

    await run(forget_for_good)
    await run(delete_ledgers)
    purged = await forget_documents(lambda table: run(_deletion(table, account)))
    await run(lambda connection: _delete_all(connection, STREAMS, account))
    return purged


def count_account(connection: sqlite3.Connection, account: str) -> Purged:
    """Return what `purge_account` would remove."""
    purged = Purged()
    for table, kind in COUNTED.items():
        (count,) = connection.execute(
            f"SELECT count(*) FROM {table} WHERE account = ?",  # noqa: S608 - a name of ours
            (account,),
        ).fetchone()
        purged += Purged(**{kind: count})
    return purged


def accounts_in(connection: sqlite3.Connection) -> frozenset[str]:
    """Return the accounts that any table knows; an older store lacks some of them."""
    made = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema")}
    return frozenset(
        account
        for table in TABLES
        if table in made
        for (account,) in connection.execute(
            f"SELECT DISTINCT account FROM {table}"  # noqa: S608 - a name of ours
        )
    )


def scrub(connection: sqlite3.Connection, *, patience: float = _PATIENCE) -> None:
    """Write the database anew without what was deleted, and empty its write-ahead log.

    That takes a copy's room in SQLite's temporary folder (``SQLITE_TMPDIR``), and other
    writers wait for it; readers do not.

    Raises:
        SinkError: a reader keeps the log from being emptied.
    """
    # Zeros over what is deleted (secure_delete) do not reach what was deleted before, nor the
    # copies that rows leave in a page when they move to another; a new file has neither.
    # https://www.sqlite.org/pragma.html#pragma_secure_delete
    connection.execute("VACUUM")
    _empty_log(connection, patience)
    purged = connection.execute("DELETE FROM purged_accounts").rowcount
    if purged:
        _empty_log(connection, patience)


def _empty_log(connection: sqlite3.Connection, patience: float) -> None:
    # While it waits for readers, this holds writers up: not for as long as they would wait.
    # https://www.sqlite.org/c3ref/wal_checkpoint_v2.html
    connection.execute(f"PRAGMA busy_timeout = {patience * 1000:.0f}")
    try:
        is_busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    finally:
        connection.execute(f"PRAGMA busy_timeout = {PATIENCE * 1000:.0f}")
    if is_busy:
        raise SinkError(
            f"another program reads {file_of(connection)}, which keeps old bytes in its "
            "write-ahead log; run the purge again when it has ended"
        )


def forget_for_good(connection: sqlite3.Connection) -> None:
    """Have zeros written over whatever this connection deletes from now on."""
    connection.execute("PRAGMA secure_delete = ON")


def _deletion(table: str, account: str) -> Job[int]:
    def job(connection: sqlite3.Connection) -> int:
        statement = f"""
            DELETE FROM {table} WHERE rowid IN (
                SELECT rowid FROM {table} WHERE account = ? LIMIT ?
            )
        """  # noqa: S608 - a name of ours
        return connection.execute(statement, (account, PORTION)).rowcount

    return job


def _delete_all(connection: sqlite3.Connection, table: str, account: str) -> None:
    connection.execute(f"DELETE FROM {table} WHERE account = ?", (account,))  # noqa: S608 - a name of ours


def _told(new: tuple[bytes, str]) -> tuple[str | bytes, str]:
    """Return a document as it is kept: a blob where it is not even UTF-8; and its digest."""
    document, digest = new
    try:
        return document.decode(), digest
    except UnicodeDecodeError:
        return document, digest


def _bytes(document: str | bytes) -> bytes:
    return document.encode() if isinstance(document, str) else document
