"""The windows a PostgreSQL store holds, and how its streams are doing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import asyncpg

from ..errors import one_line
from ..windows import FinishedWindow, Window, WindowSet
from .base import BEGUN_FOR, Ledger
from .postgres_numbers import those_of
from .postgres_text import array

_WINDOWS = """
SELECT "after", "before", begun_at FROM windows
WHERE account = $1 AND api = $2 AND stream = $3 AND source = $4
"""

# A window that was read again makes the earlier readings of it superfluous.
_FORGET_COVERED = """
DELETE FROM windows
WHERE account = $1 AND api = $2 AND stream = $3 AND source = $4
    AND "after" >= $5 AND "before" <= $6 AND begun_at <= $7
"""

_ADD_WINDOW = """
INSERT INTO windows (account, api, stream, source, "after", "before", begun_at, finished_at)
SELECT $1, $2, $3, $4, $5, $6, $7, $8
WHERE NOT EXISTS (
    SELECT 1 FROM windows
    WHERE account = $1 AND api = $2 AND stream = $3 AND source = $4
        AND "after" <= $5 AND "before" >= $6 AND begun_at >= $7
)
"""

_BEGUN = """
DELETE FROM begun_windows
WHERE account = $1 AND api = $2 AND stream = $3 AND source = $4
    AND "after" < $5 AND "before" > $6
RETURNING "after", "before", begun_at
"""

_BEGIN = """
INSERT INTO begun_windows (account, api, stream, source, "after", "before", begun_at)
VALUES ($1, $2, $3, $4, $5, $6, $7)
"""

_IS_BEGUN = """
SELECT EXISTS (
    SELECT 1 FROM begun_windows
    WHERE account = $1 AND api = $2 AND stream = $3 AND source = $4
        AND "after" < $5 AND "before" > $6
)
"""

_FRESH = f"""
SELECT purchase_order_number {those_of("purchase_orders")}
WHERE has_details AND asked_at >= $4
"""

_SUCCEEDED = """
INSERT INTO account_streams (account, api, stream, source, last_success_at)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (account, api, stream, source) DO UPDATE
SET last_success_at = excluded.last_success_at
"""

_ENDED = """
INSERT INTO account_streams (account, api, stream, source, covered_until, last_error)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (account, api, stream, source) DO UPDATE
SET covered_until = excluded.covered_until, last_error = excluded.last_error
"""

_LAST_SUCCESS = "SELECT max(last_success_at) FROM account_streams WHERE account = $1"


async def finished_windows(
    connection: asyncpg.Connection, ledger: Ledger
) -> list[FinishedWindow]:
    """Return the windows of *ledger*."""
    rows = await connection.fetch(_WINDOWS, *_key(ledger))
    return [FinishedWindow(Window(after, before), begun_at) for after, before, begun_at in rows]


async def begin_window(
    connection: asyncpg.Connection, ledger: Ledger, window: Window, now: datetime
) -> datetime:
    """Note that *window* is begun, and return since when, earlier runs included."""
    begun_at = min([now, *await _end_begun(connection, ledger, window, now - BEGUN_FOR)])
    await _note_begun(connection, ledger, window, begun_at)
    return begun_at


async def is_begun(connection: asyncpg.Connection, ledger: Ledger, window: Window) -> bool:
    """Return whether some of *window* is begun and not finished."""
    span = (window.before, window.after)
    return bool(await connection.fetchval(_IS_BEGUN, *_key(ledger), *span))


async def fresh_numbers(
    connection: asyncpg.Connection,
    account: str,
    api: str,
    numbers: Sequence[str],
    since: datetime,
) -> frozenset[str]:
    """Return those of *numbers* whose details were asked for at *since* or later."""
    rows = await connection.fetch(_FRESH, account, api, array(numbers), since)
    return frozenset(number for (number,) in rows)


async def _end_begun(
    connection: asyncpg.Connection, ledger: Ledger, window: Window, oldest: datetime
) -> list[datetime]:
    """Take *window* out of what is begun; return when its parts were, since *oldest*."""
    begun_ats = []
    for after, before, begun_at in await connection.fetch(
        _BEGUN, *_key(ledger), window.before, window.after
    ):
        if begun_at < oldest:
            continue
        begun_ats.append(begun_at)
        for rest in WindowSet([Window(after, before)]) - WindowSet([window]):
            await _note_begun(connection, ledger, rest, begun_at)
    return begun_ats


async def _note_begun(
    connection: asyncpg.Connection, ledger: Ledger, window: Window, begun_at: datetime
) -> None:
    await connection.execute(_BEGIN, *_key(ledger), window.after, window.before, begun_at)


async def finish_window(
    connection: asyncpg.Connection, ledger: Ledger, finished: FinishedWindow, now: datetime
) -> None:
    """Add a window to *ledger*, and drop the older ones that lie wholly within it."""
    key = _key(ledger)
    what = (finished.window.after, finished.window.before, finished.begun_at)
    await connection.execute(_FORGET_COVERED, *key, *what)
    await connection.execute(_ADD_WINDOW, *key, *what, now)
    await _end_begun(connection, ledger, finished.window, finished.begun_at - BEGUN_FOR)
    await note_success(connection, ledger, now)


async def note_success(connection: asyncpg.Connection, ledger: Ledger, now: datetime) -> None:
    """Record that something of *ledger* was stored just now."""
    await connection.execute(_SUCCEEDED, *_key(ledger), now)


async def note_end(
    connection: asyncpg.Connection,
    ledger: Ledger,
    covered_until: datetime | None,
    error: str | None,
) -> None:
    """Record how far *ledger* is unbroken, and why no further."""
    why = one_line(error) if error else None
    await connection.execute(_ENDED, *_key(ledger), covered_until, why)


async def last_success(connection: asyncpg.Connection, account: str) -> datetime | None:
    """Return when something of *account* was last stored."""
    found: datetime | None = await connection.fetchval(_LAST_SUCCESS, account)
    return found


def _key(ledger: Ledger) -> tuple[str, str, str, str]:
    return ledger.account, ledger.api, ledger.stream, ledger.source
