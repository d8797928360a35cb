"""Submissions in PostgreSQL: on the disk before they count, and by one run alone."""

from __future__ import annotations

from datetime import UTC, datetime

import asyncpg
import msgspec
import pytest
from postgres import execute

from vendororders_async.errors import SinkError
from vendororders_async.sinks.base import Submission, SubmissionState
from vendororders_async.sinks.postgres import PostgresSink
from vendororders_async.sinks.postgres_submissions import record

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
SENT = Submission(
    account="acme-us",
    api="retail",
    purchase_order_number="A1",
    submitted_at=NOON,
    source="amazon",
    digest="d1",
    document=b"{}",
    state=SubmissionState.SENDING,
)


async def test_nothing_is_sent_for_an_account_that_another_run_has(postgres_url: str) -> None:
    """Who slept through its lease records no new submission, but what became of one."""
    sent = msgspec.structs.replace(SENT, state=SubmissionState.PROCESSING)
    async with PostgresSink(postgres_url) as sink, sink.lock("acme-us"):
        execute(postgres_url, "UPDATE leases SET holder = 'another'")
        with pytest.raises(SinkError, match="ours no more"):
            await sink.record([SENT])
        before = await sink.submissions("acme-us", "retail")
        await sink.record([sent])
        after = await sink.submissions("acme-us", "retail")

    assert (before, after) == ([], [sent])


async def test_a_record_is_synced_before_it_counts(postgres_url: str) -> None:
    """Its transaction is, whatever the session is used to; and only that one."""
    async with PostgresSink(postgres_url):
        pass
    connection = await asyncpg.connect(
        postgres_url, server_settings={"synchronous_commit": "off"}
    )
    try:
        async with connection.transaction():
            await record(connection, [SENT], NOON)
            during = await connection.fetchval("SHOW synchronous_commit")
        after = await connection.fetchval("SHOW synchronous_commit")
    finally:
        await connection.close()

    assert (during, after) == ("on", "off")
