"""The windows a SQLite store holds, and how its streams are doing."""

from __future__ import annotations

import sqlite3
from datetime import datetime

from ..clock import format_stored, parse_instant
from ..errors import one_line
from ..windows import FinishedWindow, Window
from .base import Ledger

_WINDOWS = """
SELECT "after", "before", begun_at FROM windows
WHERE account = ? AND api = ? AND stream = ? AND source = ?
"""

# A window that was read again makes the earlier readings of it superfluous.
_FORGET_COVERED = """
DELETE FROM windows
WHERE account = ? AND api = ? AND stream = ? AND source = ?
    AND "after" >= ? AND "before" <= ? AND begun_at <= ?
"""

_ADD_WINDOW = """
INSERT INTO windows (account, api, stream, source, "after", "before", begun_at, finished_at)
SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8
WHERE NOT EXISTS (
    SELECT 1 FROM windows
    WHERE account = ?1 AND api = ?2 AND stream = ?3 AND source = ?4
        AND "after" <= ?5 AND "before" >= ?6 AND begun_at >= ?7
)
"""

_SUCCEEDED = """
INSERT INTO account_streams (account, api, stream, source, last_success_at)
VALUES (?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET last_success_at = excluded.last_success_at
"""

_ENDED = """
INSERT INTO account_streams (account, api, stream, source, covered_until, last_error)
VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET
    covered_until = excluded.covered_until, last_error = excluded.last_error
"""

_LAST_SUCCESS = "SELECT max(last_success_at) FROM account_streams WHERE account = ?"


def finished_windows(connection: sqlite3.Connection, ledger: Ledger) -> list[FinishedWindow]:
    """Return the windows of *ledger*."""
    return [
        FinishedWindow(
            Window(parse_instant(after), parse_instant(before)), parse_instant(begun)
        )
        for after, before, begun in connection.execute(_WINDOWS, _key(ledger))
    ]


def finish_window(
    connection: sqlite3.Connection, ledger: Ledger, finished: FinishedWindow, stamp: str
) -> None:
    """Add a window to *ledger*, and drop the older ones that lie wholly within it."""
    key = _key(ledger)
    what = (
        format_stored(finished.window.after),
        format_stored(finished.window.before),
        format_stored(finished.begun_at),
    )
    connection.execute(_FORGET_COVERED, (*key, *what))
    connection.execute(_ADD_WINDOW, (*key, *what, stamp))
    note_success(connection, ledger, stamp)


def note_success(connection: sqlite3.Connection, ledger: Ledger, stamp: str) -> None:
    """Record that something of *ledger* was stored just now."""
    connection.execute(_SUCCEEDED, (*_key(ledger), stamp))


def note_end(
    connection: sqlite3.Connection,
    ledger: Ledger,
    covered_until: datetime | None,
    error: str | None,
) -> None:
    """Record how far *ledger* is unbroken, and why no further."""
    until = format_stored(covered_until) if covered_until else None
    connection.execute(_ENDED, (*_key(ledger), until, one_line(error) if error else None))


def last_success(connection: sqlite3.Connection, account: str) -> datetime | None:
    """Return when something of *account* was last stored."""
    (text,) = connection.execute(_LAST_SUCCESS, (account,)).fetchone()
    return parse_instant(text) if text else None


def _key(ledger: Ledger) -> tuple[str, str, str, str]:
    return ledger.account, ledger.api, ledger.stream, ledger.source
