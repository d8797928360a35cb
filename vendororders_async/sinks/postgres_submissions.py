"""What a PostgreSQL store remembers of acknowledgements, and which orders wait for one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import asyncpg

from ..clock import utc
from . import postgres_text
from .base import Held, PendingOrder, Submission, SubmissionState

_RECORD = """
INSERT INTO submissions (
    account, api, purchase_order_number, submitted_at, source, digest, state, transaction_id,
    reason, document, updated_at
) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
ON CONFLICT (account, api, purchase_order_number, submitted_at) DO UPDATE SET
    source = excluded.source,
    digest = excluded.digest,
    state = excluded.state,
    transaction_id = excluded.transaction_id,
    reason = excluded.reason,
    document = excluded.document,
    updated_at = excluded.updated_at
"""

_SUBMISSIONS = """
SELECT account, api, purchase_order_number, submitted_at, source, digest, document, state,
    transaction_id, reason
FROM submissions
WHERE account = $1 AND api = $2
    AND ($3::text[] IS NULL OR purchase_order_number = ANY ($3))
ORDER BY submitted_at, purchase_order_number
"""

# One statement: both tables as of one moment
_HELD = """
SELECT purchase_order_number, 'order', document FROM purchase_orders
WHERE account = $1 AND api = $2 AND purchase_order_number = ANY ($3::text[])
UNION ALL
SELECT purchase_order_number, 'status', document FROM purchase_order_statuses
WHERE account = $1 AND api = $2 AND purchase_order_number = ANY ($3::text[])
"""

_NOTE_ACCOUNT = """
INSERT INTO account_settings (account, acknowledge_within) VALUES ($1, $2)
ON CONFLICT (account) DO UPDATE SET acknowledge_within = excluded.acknowledge_within
"""

_PENDING = """
SELECT account, api, purchase_order_number, why, since, answer_by, unconfirmed_line_count,
    acknowledged_at
FROM to_acknowledge
ORDER BY answer_by, account, api, purchase_order_number
"""


async def record(
    connection: asyncpg.Connection, submissions: Sequence[Submission], stamp: datetime
) -> None:
    """Record *submissions* in their caller's transaction, which a power cut does not undo."""
    rows = [_row(one, stamp) for one in submissions]
    # whatever the connection, the user or the server has set for pages
    # https://www.postgresql.org/docs/current/wal-async-commit.html
    await connection.execute("SET LOCAL synchronous_commit = on")
    await connection.executemany(_RECORD, rows)


async def read_submissions(
    connection: asyncpg.Connection, account: str, api: str, numbers: Sequence[str] | None
) -> list[Submission]:
    """Return what was submitted for *numbers*, or for all orders, the oldest first."""
    some = None if numbers is None else postgres_text.array(numbers)
    rows = await connection.fetch(_SUBMISSIONS, account, api, some)
    return [_submission(tuple(row)) for row in rows]


async def read_held(
    connection: asyncpg.Connection, account: str, api: str, numbers: Sequence[str]
) -> dict[str, Held]:
    """Return the newest documents of those of *numbers* that are in the store."""
    found: dict[str, dict[str, bytes]] = defaultdict(dict)
    rows = await connection.fetch(_HELD, account, api, postgres_text.array(numbers))
    for number, kind, document in rows:
        found[number][kind] = document.encode()
    return {
        number: Held(purchase_order_number=number, **documents)
        for number, documents in found.items()
    }


async def note_account(
    connection: asyncpg.Connection, account: str, acknowledge_within: timedelta
) -> None:
    """Remember how long *account* may take to acknowledge an order."""
    seconds = acknowledge_within // timedelta(seconds=1)
    await connection.execute(_NOTE_ACCOUNT, account, seconds)


async def read_pending(connection: asyncpg.Connection) -> list[PendingOrder]:
    """Return the orders that wait for an acknowledgement, the most urgent first."""
    return [
        PendingOrder(
            account=account,
            api=api,
            purchase_order_number=number,
            why=why,
            since=utc(since),
            answer_by=utc(answer_by),
            unconfirmed_line_count=count,
            acknowledged_at=utc(acknowledged_at) if acknowledged_at else None,
        )
        for account, api, number, why, since, answer_by, count, acknowledged_at in (
            await connection.fetch(_PENDING)
        )
    ]


def _row(one: Submission, stamp: datetime) -> tuple[object, ...]:
    return (
        *(one.account, one.api, one.purchase_order_number, one.submitted_at),
        *(one.source, one.digest, one.state.value, one.transaction_id, one.reason),
        *(one.document.decode(), stamp),
    )


def _submission(row: tuple[Any, ...]) -> Submission:
    *key, submitted_at, source, digest, document, state, transaction_id, reason = row
    account, api, number = key
    return Submission(
        account=account,
        api=api,
        purchase_order_number=number,
        submitted_at=utc(submitted_at),
        source=source,
        digest=digest,
        document=document.encode(),
        state=SubmissionState(state),
        transaction_id=transaction_id,
        reason=reason,
    )
