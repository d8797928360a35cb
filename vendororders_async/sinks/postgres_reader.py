"""Reading a PostgreSQL store: its streams, its quarantine, and its orders some at a time."""

from __future__ import annotations

from collections import defaultdict

import asyncpg

from ..windows import FinishedWindow, Window
from .base import Ledger, Quarantined, StoredOrder, StreamState

BATCH = 200  # orders held in memory at a time

_STREAMS = """
SELECT account, api, stream, source, last_success_at, last_error FROM account_streams
ORDER BY account, api, stream, source
"""

_WINDOWS = """
SELECT account, api, stream, source, "after", "before", begun_at FROM windows
ORDER BY "after", "before"
"""

# By key, page after page: a transaction that stayed open for all of it would keep dead rows
# from being cleaned up, https://www.postgresql.org/docs/current/routine-vacuuming.html
_ORDERS = """
SELECT account, api, purchase_order_number, asked_at, document FROM purchase_orders
WHERE (account, api, purchase_order_number) > ($1, $2, $3)
ORDER BY account, api, purchase_order_number
LIMIT $4
"""

_COUNTS = "SELECT account, api, count(*) FROM purchase_orders GROUP BY account, api"

_QUARANTINE = """
SELECT stream, source, digest, document, reason, first_seen_at FROM quarantine
WHERE account = $1 AND api = $2
ORDER BY first_seen_at, digest
"""


async def read_states(connection: asyncpg.Connection) -> list[StreamState]:
    """Return how every stream is doing."""
    windows: dict[Ledger, list[FinishedWindow]] = defaultdict(list)
    # both tables as of one moment
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        for *key, after, before, begun_at in await connection.fetch(_WINDOWS):
            windows[Ledger(*key)].append(FinishedWindow(Window(after, before), begun_at))
        streams = await connection.fetch(_STREAMS)
    return [
        StreamState(
            ledger=(ledger := Ledger(*key)),
            windows=tuple(windows[ledger]),
            last_success_at=last_success_at,
            last_error=last_error,
        )
        for *key, last_success_at, last_error in streams
    ]


async def read_orders(
    connection: asyncpg.Connection, last: StoredOrder | None
) -> list[StoredOrder]:
    """Return the orders that come after *last*, up to `BATCH` of them."""
    key = (last.account, last.api, last.purchase_order_number) if last else ("", "", "")
    return [
        StoredOrder(account, api, number, asked_at, document.encode())
        for account, api, number, asked_at, document in await connection.fetch(
            _ORDERS, *key, BATCH
        )
    ]


async def count_orders(connection: asyncpg.Connection) -> dict[tuple[str, str], int]:
    """Return how many orders there are, by account and API."""
    return {(account, api): count for account, api, count in await connection.fetch(_COUNTS)}


async def read_quarantine(
    connection: asyncpg.Connection, account: str, api: str
) -> list[Quarantined]:
    """Return what stands in the quarantine, the oldest first."""
    return [
        Quarantined(
            ledger=Ledger(account, api, stream, source),
            digest=digest,
            document=document,
            reason=reason,
            first_seen_at=first_seen_at,
        )
        for stream, source, digest, document, reason, first_seen_at in await connection.fetch(
            _QUARANTINE, account, api
        )
    ]
