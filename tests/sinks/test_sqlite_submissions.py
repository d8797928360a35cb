"""Submissions in SQLite: on the disk before they count."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from vendororders_async.sinks.base import Submission, SubmissionState
from vendororders_async.sinks.sqlite_file import durable_transaction, open_database
from vendororders_async.sinks.sqlite_submissions import record

NOON = datetime(2026, 11, 21, 12, 0, 0, 1, tzinfo=UTC)
SENT = Submission(
    account="acme-us",
    api="retail",
    purchase_order_number="A1",
    submitted_at=NOON,
    source="amazon",
    digest="d1",
    document='{"purchaseOrderNumber": "A1", "n": "ä"}'.encode(),
    state=SubmissionState.SENDING,
)


def test_a_record_is_synced_before_it_counts(path: Path) -> None:
    """The transaction commits while SQLite syncs each commit, and only that one does."""
    with closing(open_database(path)) as connection:
        levels: list[tuple[str, int]] = []

        def trace(statement: str) -> None:
            if statement in {"BEGIN IMMEDIATE", "COMMIT"}:
                with closing(connection.cursor()) as cursor:
                    connection.set_trace_callback(None)
                    [level] = cursor.execute("PRAGMA synchronous").fetchone()
                    connection.set_trace_callback(trace)
                levels.append((statement, level))

        connection.set_trace_callback(trace)
        record(connection, [SENT], "2026-11-21T12:00:00.000000Z")
        connection.set_trace_callback(None)

        assert levels == [("BEGIN IMMEDIATE", 2), ("COMMIT", 2)]
        assert connection.execute("PRAGMA synchronous").fetchone() == (1,)


def test_what_fails_durably_leaves_the_connection_as_it_was(path: Path) -> None:
    """Pages that are written afterwards are no slower for it."""
    with closing(open_database(path)) as connection:
        with pytest.raises(sqlite3.OperationalError), durable_transaction(connection):
            connection.execute("nonsense")

        assert connection.execute("PRAGMA synchronous").fetchone() == (1,)
        assert not connection.in_transaction
