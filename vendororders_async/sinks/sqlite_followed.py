"""What following an account into a SQLite store asks of it: which orders are stale."""

# ruff: noqa: S608 - the statements are put together from question marks, never from data

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

import msgspec

from ..clock import format_stored, parse_instant
from .followed import LAG, RequestRate, UnfinishedOrder
from .rows import StatusRow
from .sqlite_file import require_version
from .sqlite_numbers import AT_ONCE, by_count, padded

_SINCE_VERSION = 3

# A status that says not when it moved, or a time to come, moved before it was asked for.
_MOVED = {
    count: f"""
    WITH
    page (account, api, asked_at) AS (VALUES (?, ?, ?)),
    moved (number, updated_at) AS (VALUES {", ".join(["(?, ?)"] * count)}),
    shown (number, at) AS (
        SELECT
            number,
            strftime(
                '%Y-%m-%dT%H:%M:%S', substr(moved_at, 1, 19), '{LAG.total_seconds()} seconds'
            )
            || substr(moved_at, 20)
        FROM (
            SELECT number, min(asked_at, coalesce(updated_at, asked_at)) AS moved_at
            FROM moved, page
        )
    )
    INSERT INTO outdated_orders (account, api, purchase_order_number, outdated_at)
    SELECT account, api, number, at FROM shown, page
    WHERE NOT EXISTS (
        SELECT 1 FROM purchase_orders AS held
        WHERE held.account = page.account
            AND held.api = page.api
            AND held.purchase_order_number = number
            AND held.has_details
            AND held.asked_at >= at
    )
    ON CONFLICT DO UPDATE SET outdated_at = excluded.outdated_at
    """
    for count in AT_ONCE
}

_READ = by_count("""
DELETE FROM outdated_orders
WHERE account = ? AND api = ? AND outdated_at <= ? AND purchase_order_number IN ({numbers})
""")

_OUTDATED = """
SELECT purchase_order_number FROM outdated_orders
WHERE account = ? AND api = ?
ORDER BY outdated_at
LIMIT ?
"""

_FORGO = """
DELETE FROM outdated_orders
WHERE account = ? AND api = ? AND purchase_order_number = ? AND outdated_at <= ?
"""

_STATES = by_count("""
SELECT purchase_order_number, purchase_order_state FROM purchase_orders
WHERE account = ? AND api = ? AND has_details AND purchase_order_number IN ({numbers})
""")

# From state to state by the index, and only the rows of those that are not final.
_UNFINISHED = """
WITH RECURSIVE states (word) AS (
    SELECT min(lower(coalesce(purchase_order_state, ''))) FROM purchase_orders
    WHERE account = ?1 AND api = ?2 AND has_details
    UNION ALL
    SELECT (
        SELECT min(lower(coalesce(purchase_order_state, ''))) FROM purchase_orders
        WHERE account = ?1 AND api = ?2 AND has_details
            AND lower(coalesce(purchase_order_state, '')) > word
    )
    FROM states
    WHERE word IS NOT NULL
)
SELECT purchase_order_number, purchase_order_date, required_ship_date
FROM states
CROSS JOIN purchase_orders
WHERE account = ?1 AND api = ?2 AND has_details
    AND lower(coalesce(purchase_order_state, '')) = word
    AND word NOT IN (SELECT lower(value) FROM json_each(?3))
ORDER BY purchase_order_number
"""

_FORGET_RATES = "DELETE FROM request_rates WHERE account = ? AND api = ?"

_NOTE_RATE = """
INSERT INTO request_rates (account, api, operation, requests_an_hour, measured_at)
VALUES (?, ?, ?, ?, ?)
"""

_RATES = """
SELECT account, api, operation, requests_an_hour, measured_at FROM request_rates
ORDER BY account, api, operation
"""


def note_moved(
    connection: sqlite3.Connection,
    owner: tuple[str, str],
    statuses: Sequence[StatusRow],
    asked_at: str,
) -> None:
    """Note which orders are outdated by their *statuses*, which were asked for then."""
    start = 0
    for count in AT_ONCE:
        while len(statuses) - start >= count:
            some = statuses[start : start + count]
            moved = [
                word
                for one in some
                for word in (one.purchase_order_number, one.last_updated_date)
            ]
            connection.execute(_MOVED[count], (*owner, asked_at, *moved))
            start += count


def note_read(
    connection: sqlite3.Connection,
    owner: tuple[str, str],
    numbers: Sequence[str],
    asked_at: str,
) -> None:
    """Note that the details of these orders were asked for then, and came."""
    for count, some in _portions(numbers):
        connection.execute(_READ[count], (*owner, asked_at, *some))


def outdated(connection: sqlite3.Connection, account: str, api: str, limit: int) -> list[str]:
    """Return orders to be read again, the longest waiting first."""
    return [number for (number,) in connection.execute(_OUTDATED, (account, api, limit))]


def forgo(
    connection: sqlite3.Connection, account: str, api: str, number: str, asked_at: datetime
) -> None:
    """Let *number* be read again no more, unless its status moved after *asked_at*."""
    connection.execute(_FORGO, (account, api, number, format_stored(asked_at + LAG)))


def known_states(
    connection: sqlite3.Connection, account: str, api: str, numbers: Sequence[str]
) -> dict[str, str | None]:
    """Return the state of each of *numbers* whose details are stored."""
    return {
        number: state
        for count, some in _portions(numbers)
        for number, state in connection.execute(_STATES[count], (account, api, *some))
    }


def unfinished(
    connection: sqlite3.Connection, account: str, api: str, final_states: Sequence[str]
) -> list[UnfinishedOrder]:
    """Return the orders with details whose state is none of *final_states*."""
    final = msgspec.json.encode(final_states).decode()
    return [
        UnfinishedOrder(number, _instant(placed_at), _instant(required_ship_date))
        for number, placed_at, required_ship_date in connection.execute(
            _UNFINISHED, (account, api, final)
        )
    ]


def note_requests(
    connection: sqlite3.Connection,
    account: str,
    api: str,
    rates: Mapping[str, float],
    measured_at: datetime,
) -> None:
    """Put *rates* in the place of what was measured before."""
    connection.execute(_FORGET_RATES, (account, api))
    stamp = format_stored(measured_at)
    connection.executemany(
        _NOTE_RATE, [(account, api, name, rate, stamp) for name, rate in rates.items()]
    )


def request_rates(connection: sqlite3.Connection) -> list[RequestRate]:
    """Return what following costs, as it was last measured."""
    require_version(connection, _SINCE_VERSION, "what following costs")
    return [
        RequestRate(account, api, operation, rate, parse_instant(measured_at))
        for account, api, operation, rate, measured_at in connection.execute(_RATES)
    ]


def _portions(numbers: Sequence[str]) -> Iterator[tuple[int, Sequence[str]]]:
    for start in range(0, len(numbers), AT_ONCE[0]):
        yield padded(numbers[start : start + AT_ONCE[0]])


def _instant(text: str | None) -> datetime | None:
    return parse_instant(text) if text else None
