"""Forgetting in PostgreSQL: dead rows, who may still see them, and whose the tables are."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import datetime
from typing import TypeVar

import asyncpg
import pytest
from canaries import DIRECT, NOW, direct, documents_in, page, store
from postgres import execute
from stores import relations_with

from vendororders_async.errors import SinkError
from vendororders_async.sinks.postgres import PostgresSink
from vendororders_async.sinks.postgres_database import Job
from vendororders_async.sinks.postgres_purge import purge_account, scrub

T = TypeVar("T")

BRIEF = 0.2  # seconds


@pytest.fixture
async def sink(postgres_url: str, now: Callable[[], datetime]) -> AsyncIterator[PostgresSink]:
    """An open sink with an order in it."""
    async with PostgresSink(postgres_url, now=now) as opened:
        await store(opened, page(direct("A1"), direct("B2")))
        yield opened


@pytest.fixture
async def connection(postgres_url: str) -> AsyncIterator[asyncpg.Connection]:
    """Somebody else's connection."""
    connection = await asyncpg.connect(postgres_url)
    try:
        yield connection
    finally:
        await connection.close()


async def test_dead_rows_are_there_until_it_is_scrubbed(
    sink: PostgresSink, postgres_url: str
) -> None:
    """What is redacted or deleted leaves its bytes, and the account its name; then neither."""
    async with sink.lock("acme-us"):
        await sink.purge_people("acme-us", NOW)
        redacted = relations_with(postgres_url)
        await sink.purge_account("acme-us")
    deleted, known = relations_with(postgres_url, "acme-us"), await sink.accounts()
    await sink.scrub()

    assert "purchase_orders" in redacted
    assert {"purchase_orders", "purchase_orders_pkey", "windows", "leases"} <= {*deleted}
    assert known == {"acme-us"}
    assert relations_with(postgres_url) == relations_with(postgres_url, "acme-us") == []
    assert await sink.accounts() == frozenset()


@pytest.mark.parametrize(
    ("isolation", "statement"),
    [
        ("read_committed", "SELECT * FROM purchase_orders"),
        ("repeatable_read", "SELECT * FROM purchase_orders"),
        ("serializable", "SELECT 1"),
    ],
)
async def test_a_reader_keeps_old_bytes_and_is_told_of(
    sink: PostgresSink,
    connection: asyncpg.Connection,
    postgres_url: str,
    isolation: str,
    statement: str,
) -> None:
    """Whether it has read what was there, or may yet read it; afterwards nothing is left."""
    reading = connection.transaction(isolation=isolation)
    await reading.start()
    await connection.execute(statement)
    async with sink.lock("acme-us"):
        await sink.purge_account("acme-us")
    with pytest.raises(SinkError, match=r"transaction that is still open .*again"):
        await sink._read(lambda one: scrub(one, patience=BRIEF))  # noqa: SLF001 - no wait
    known = await sink.accounts()
    await reading.rollback()
    await sink.scrub()

    assert known == {"acme-us"}
    assert relations_with(postgres_url) == []


async def test_a_writer_in_another_database_counts(
    sink: PostgresSink, postgres_url: str, postgres_server: str
) -> None:
    """As long as it has not ended, what began before it ended is kept for whoever comes."""
    elsewhere = await asyncpg.connect(f"{postgres_server}/postgres")
    try:
        writing = elsewhere.transaction()
        await writing.start()
        await elsewhere.execute("SELECT pg_current_xact_id()")
        async with sink.lock("acme-us"):
            await sink.purge_account("acme-us")
        with pytest.raises(SinkError, match="transaction that is still open"):
            await sink._read(lambda one: scrub(one, patience=BRIEF))  # noqa: SLF001 - no wait
        await writing.rollback()
    finally:
        await elsewhere.close()
    await sink.scrub()

    assert relations_with(postgres_url) == []


@pytest.mark.usefixtures("sink")
async def test_only_the_owner_can_scrub(
    connection: asyncpg.Connection, postgres_url: str
) -> None:
    """Whoever may write but not rewrite the tables is told, not left in the belief."""
    [(schema,)] = execute(postgres_url, "SELECT current_schema()::text")
    role = f"{schema}_clerk"
    await connection.execute(f"CREATE ROLE {role}")
    try:
        await connection.execute(f"GRANT USAGE ON SCHEMA {schema} TO {role}")
        await connection.execute(f"SET ROLE {role}")
        with pytest.raises(SinkError, match=r"only their owner .* run the purge again"):
            await scrub(connection)
    finally:
        await connection.execute("RESET ROLE")
        await connection.execute(f"DROP OWNED BY {role}")
        await connection.execute(f"DROP ROLE {role}")


async def test_an_interrupted_purge_claims_no_window(sink: PostgresSink) -> None:
    """The ledger goes in the first transaction, the documents after it."""
    jobs = 0

    async def run(job: Job[T]) -> T:
        nonlocal jobs
        jobs += 1
        if jobs > 1:
            raise SinkError("interrupted")
        return await sink._change(job)  # noqa: SLF001 - one transaction of it

    with pytest.raises(SinkError, match="interrupted"):
        await purge_account(run, "acme-us")

    assert await sink.windows(DIRECT) == []
    assert {*await documents_in(sink)} == {"A1", "B2"}
    assert await sink.accounts() == {"acme-us"}
