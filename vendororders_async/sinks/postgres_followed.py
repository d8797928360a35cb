"""What following an account into a PostgreSQL store asks of it: which orders are stale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import asyncpg

from .followed import LAG, RequestRate, UnfinishedOrder
from .postgres_numbers import those_of
from .postgres_text import array
from .rows import StatusRow

# A status that says not when it moved, or a time to come, moved before it was asked for.
_MOVED = """
INSERT INTO outdated_orders (account, api, purchase_order_number, outdated_at)
SELECT $1, $2, number, shown_at
FROM (
    SELECT number, least($3, coalesce(moved_at::timestamptz, $3)) + $4 AS shown_at
    FROM unnest($5::text[], $6::text[]) AS page (number, moved_at)
) AS moved
WHERE coalesce(
    (  -- by its key: NOT EXISTS may become a join that reads the whole account
        SELECT NOT held.has_details OR held.asked_at < shown_at FROM purchase_orders AS held
        WHERE held.account = $1 AND held.api = $2 AND held.purchase_order_number = number
    ),
    true
)
ON CONFLICT (account, api, purchase_order_number) DO UPDATE
SET outdated_at = excluded.outdated_at
"""

_READ = """
DELETE FROM outdated_orders
WHERE account = $1 AND api = $2 AND outdated_at <= $3
    AND purchase_order_number = ANY ($4::text[])
"""

_OUTDATED = """
SELECT purchase_order_number FROM outdated_orders
WHERE account = $1 AND api = $2
ORDER BY outdated_at, purchase_order_number
LIMIT $3
"""

_STATES = f"""
SELECT purchase_order_number, purchase_order_state {those_of("purchase_orders")}
WHERE has_details
"""

# From state to state by the index, and only the rows of those that are not final:
# https://wiki.postgresql.org/wiki/Loose_indexscan
_UNFINISHED = """
WITH RECURSIVE states (word) AS (
    SELECT min(left(lower(coalesce(purchase_order_state, '')), 64)) FROM purchase_orders
    WHERE account = $1 AND api = $2 AND has_details
    UNION ALL
    SELECT (
        SELECT min(left(lower(coalesce(purchase_order_state, '')), 64)) FROM purchase_orders
        WHERE account = $1 AND api = $2 AND has_details
            AND left(lower(coalesce(purchase_order_state, '')), 64) > word
    )
    FROM states
    WHERE word IS NOT NULL
)
SELECT purchase_order_number, purchase_order_date, required_ship_date
FROM states
JOIN purchase_orders ON left(lower(coalesce(purchase_order_state, '')), 64) = word
WHERE account = $1 AND api = $2 AND has_details
    AND word <> ALL (SELECT lower(final) FROM unnest($3::text[]) AS final)
ORDER BY purchase_order_number
"""

_FORGET_RATES = "DELETE FROM request_rates WHERE account = $1 AND api = $2"

_NOTE_RATES = """
INSERT INTO request_rates (account, api, measured_at, operation, requests_an_hour)
SELECT $1, $2, $3, operation, rate
FROM unnest($4::text[], $5::double precision[]) AS measured (operation, rate)
"""

_RATES = """
SELECT account, api, operation, requests_an_hour, measured_at FROM request_rates
ORDER BY account, api, operation
"""


async def note_moved(
    connection: asyncpg.Connection,
    owner: tuple[str, str],
    statuses: Sequence[StatusRow],
    asked_at: datetime,
) -> None:
    """Note which orders are outdated by their *statuses*, which were asked for then."""
    numbers = array(one.purchase_order_number for one in statuses)
    moved_ats = [one.last_updated_date for one in statuses]
    await connection.execute(_MOVED, *owner, asked_at, LAG, numbers, moved_ats)


async def note_read(
    connection: asyncpg.Connection,
    owner: tuple[str, str],
    numbers: Sequence[str],
    asked_at: datetime,
) -> None:
    """Note that the details of these orders were asked for then, and came."""
    if numbers:
        await connection.execute(_READ, *owner, asked_at, array(numbers))


async def outdated(
    connection: asyncpg.Connection, account: str, api: str, limit: int
) -> list[str]:
    """Return orders to be read again, the longest waiting first."""
    return [number for (number,) in await connection.fetch(_OUTDATED, account, api, limit)]


async def forgo(
    connection: asyncpg.Connection, account: str, api: str, number: str, asked_at: datetime
) -> None:
    """Let *number* be read again no more, unless its status moved after *asked_at*."""
    await connection.execute(_READ, account, api, asked_at + LAG, array([number]))


async def known_states(
    connection: asyncpg.Connection, account: str, api: str, numbers: Sequence[str]
) -> dict[str, str | None]:
    """Return the state of each of *numbers* whose details are stored."""
    rows = await connection.fetch(_STATES, account, api, array(numbers))
    return dict(rows)


async def unfinished(
    connection: asyncpg.Connection, account: str, api: str, final_states: Sequence[str]
) -> list[UnfinishedOrder]:
    """Return the orders with details whose state is none of *final_states*."""
    rows = await connection.fetch(_UNFINISHED, account, api, array(final_states))
    return [UnfinishedOrder(*row) for row in rows]


async def note_requests(
    connection: asyncpg.Connection,
    account: str,
    api: str,
    rates: Mapping[str, float],
    measured_at: datetime,
) -> None:
    """Put *rates* in the place of what was measured before."""
    await connection.execute(_FORGET_RATES, account, api)
    await connection.execute(
        _NOTE_RATES, account, api, measured_at, array(rates), list(rates.values())
    )


async def request_rates(connection: asyncpg.Connection) -> list[RequestRate]:
    """Return what following costs, as it was last measured."""
    return [RequestRate(*row) for row in await connection.fetch(_RATES)]
