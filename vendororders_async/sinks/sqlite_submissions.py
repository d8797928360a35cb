"""What a SQLite store remembers of acknowledgements, and which orders wait for one."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

from ..clock import format_stored, parse_instant
from .base import Held, PendingOrder, Submission, SubmissionState
from .sqlite_file import durable_transaction, require_version
from .sqlite_ledger import LOOKED_UP

_SINCE_VERSION = 2

_RECORD = """
INSERT INTO submissions (
    account, api, purchase_order_number, submitted_at, source, digest, state, transaction_id,
    reason, document, updated_at
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET
    source = excluded.source,
    digest = excluded.digest,
    state = excluded.state,
    transaction_id = excluded.transaction_id,
    reason = excluded.reason,
    document = excluded.document,
    updated_at = excluded.updated_at
"""

_MARKS = ", ".join("?" * LOOKED_UP)

_SUBMISSIONS = """
SELECT account, api, purchase_order_number, submitted_at, source, digest, document, state,
    transaction_id, reason
FROM submissions
WHERE account = ? AND api = ?
"""

_SUBMISSIONS_OF = f"{_SUBMISSIONS} AND purchase_order_number IN ({_MARKS})"

_DOCUMENTS = """
SELECT purchase_order_number, document FROM {table}
WHERE account = ? AND api = ? AND purchase_order_number IN ({marks})
"""

_ORDERS = _DOCUMENTS.format(table="purchase_orders", marks=_MARKS)
_STATUSES = _DOCUMENTS.format(table="purchase_order_statuses", marks=_MARKS)

_NOTE_ACCOUNT = """
INSERT INTO account_settings (account, acknowledge_within) VALUES (?, ?)
ON CONFLICT DO UPDATE SET acknowledge_within = excluded.acknowledge_within
"""

_PENDING = """
SELECT account, api, purchase_order_number, why, since, answer_by, unconfirmed_line_count,
    acknowledged_at
FROM to_acknowledge
ORDER BY answer_by, account, api, purchase_order_number
"""


def record(
    connection: sqlite3.Connection, submissions: Sequence[Submission], stamp: str
) -> None:
    """Record *submissions* in a transaction of their own, which a power cut does not undo."""
    with durable_transaction(connection):
        connection.executemany(_RECORD, [_row(one, stamp) for one in submissions])


def read_submissions(
    connection: sqlite3.Connection, account: str, api: str, numbers: Sequence[str] | None
) -> list[Submission]:
    """Return what was submitted for *numbers*, or for all orders, the oldest first."""
    require_version(connection, _SINCE_VERSION, "what was acknowledged")
    if numbers is None:
        rows = connection.execute(_SUBMISSIONS, (account, api)).fetchall()
    else:
        rows = [
            row
            for some in _portions(numbers)
            for row in connection.execute(_SUBMISSIONS_OF, (account, api, *some))
        ]
    found = [_submission(row) for row in rows]
    return sorted(found, key=lambda one: (one.submitted_at, one.purchase_order_number))


def read_held(
    connection: sqlite3.Connection, account: str, api: str, numbers: Sequence[str]
) -> dict[str, Held]:
    """Return the newest documents of those of *numbers* that are in the store."""
    found: dict[str, dict[str, bytes]] = defaultdict(dict)
    connection.execute("BEGIN")  # both tables as of one moment
    try:
        for some in _portions(numbers):
            for kind, statement in (("order", _ORDERS), ("status", _STATUSES)):
                for number, document in connection.execute(statement, (account, api, *some)):
                    found[number][kind] = document.encode()
    finally:
        connection.execute("ROLLBACK")
    return {
        number: Held(purchase_order_number=number, **documents)
        for number, documents in found.items()
    }


def note_account(
    connection: sqlite3.Connection, account: str, acknowledge_within: timedelta
) -> None:
    """Remember how long *account* may take to acknowledge an order."""
    seconds = acknowledge_within // timedelta(seconds=1)
    connection.execute(_NOTE_ACCOUNT, (account, seconds))


def read_pending(connection: sqlite3.Connection) -> list[PendingOrder]:
    """Return the orders that wait for an acknowledgement, the most urgent first."""
    require_version(connection, _SINCE_VERSION, "what was acknowledged")
    return [
        PendingOrder(
            account=account,
            api=api,
            purchase_order_number=number,
            why=why,
            since=parse_instant(since),
            answer_by=parse_instant(answer_by),
            unconfirmed_line_count=count,
            acknowledged_at=parse_instant(acknowledged_at) if acknowledged_at else None,
        )
        for account, api, number, why, since, answer_by, count, acknowledged_at in (
            connection.execute(_PENDING)
        )
    ]


def _row(one: Submission, stamp: str) -> tuple[str | None, ...]:
    return (
        *(one.account, one.api, one.purchase_order_number, format_stored(one.submitted_at)),
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
        submitted_at=parse_instant(submitted_at),
        source=source,
        digest=digest,
        document=document.encode(),
        state=SubmissionState(state),
        transaction_id=transaction_id,
        reason=reason,
    )


def _portions(numbers: Sequence[str]) -> Iterator[list[str]]:
    """Yield *numbers* once each, `LOOKED_UP` at a time, the last ones padded."""
    distinct = list(dict.fromkeys(numbers))
    for start in range(0, len(distinct), LOOKED_UP):
        some = distinct[start : start + LOOKED_UP]
        yield [*some, *([some[-1]] * (LOOKED_UP - len(some)))]
