"""The windows a SQLite store holds, and how its streams are doing."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import datetime

from ..clock import format_stored, parse_instant
from ..errors import one_line
from ..windows import FinishedWindow, Window, WindowSet
from .base import BEGUN_FOR, Ledger

LOOKED_UP = 100  # numbers at once: a page's

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

_BEGUN = """
DELETE FROM begun_windows
WHERE account = ? AND api = ? AND stream = ? AND source = ? AND "after" < ? AND "before" > ?
RETURNING "after", "before", begun_at
"""

_BEGIN = """
INSERT INTO begun_windows (account, api, stream, source, "after", "before", begun_at)
VALUES (?, ?, ?, ?, ?, ?, ?)
"""

_IS_BEGUN = """
SELECT EXISTS (
    SELECT 1 FROM begun_windows
    WHERE account = ? AND api = ? AND stream = ? AND source = ? AND "after" < ? AND "before" > ?
)
"""

# Each number is bound by itself: json_each(?) would end one at a NUL.
_FRESH = f"""
SELECT purchase_order_number FROM purchase_orders
WHERE account = ? AND api = ? AND has_details AND asked_at >= ?
    AND purchase_order_number IN ({", ".join("?" * LOOKED_UP)})
"""  # noqa: S608 - nothing but question marks

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


def begin_window(
    connection: sqlite3.Connection, ledger: Ledger, window: Window, now: datetime
) -> datetime:
    """Note that *window* is begun, and return since when, earlier runs included."""
    begun_at = min([now, *_end_begun(connection, ledger, window, now - BEGUN_FOR)])
    _note_begun(connection, ledger, window, begun_at)
    return begun_at


def is_begun(connection: sqlite3.Connection, ledger: Ledger, window: Window) -> bool:
    """Return whether some of *window* is begun and not finished."""
    span = (format_stored(window.before), format_stored(window.after))
    return bool(connection.execute(_IS_BEGUN, (*_key(ledger), *span)).fetchone()[0])


def fresh_numbers(
    connection: sqlite3.Connection,
    account: str,
    api: str,
    numbers: Sequence[str],
    since: datetime,
) -> frozenset[str]:
    """Return those of *numbers* whose details were asked for at *since* or later."""
    found: set[str] = set()
    for start in range(0, len(numbers), LOOKED_UP):
        some = numbers[start : start + LOOKED_UP]
        padded = [*some, *([some[-1]] * (LOOKED_UP - len(some)))]
        rows = connection.execute(_FRESH, (account, api, format_stored(since), *padded))
        found.update(number for (number,) in rows)
    return frozenset(found)


def _end_begun(
    connection: sqlite3.Connection, ledger: Ledger, window: Window, oldest: datetime
) -> list[datetime]:
    """Take *window* out of what is begun; return when its parts were, since *oldest*."""
    span = (format_stored(window.before), format_stored(window.after))
    rows = connection.execute(_BEGUN, (*_key(ledger), *span)).fetchall()
    begun_ats = []
    for after, before, begun in rows:
        begun_at = parse_instant(begun)
        if begun_at < oldest:
            continue
        begun_ats.append(begun_at)
        whole = Window(parse_instant(after), parse_instant(before))
        for rest in WindowSet([whole]) - WindowSet([window]):
            _note_begun(connection, ledger, rest, begun_at)
    return begun_ats


def _note_begun(
    connection: sqlite3.Connection, ledger: Ledger, window: Window, begun_at: datetime
) -> None:
    moments = (window.after, window.before, begun_at)
    connection.execute(_BEGIN, (*_key(ledger), *map(format_stored, moments)))


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
    _end_begun(connection, ledger, finished.window, finished.begun_at - BEGUN_FOR)
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
