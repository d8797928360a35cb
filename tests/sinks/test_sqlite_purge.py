"""Forgetting in a database: its cursor, free pages and write-ahead log; portion by portion."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from canaries import DAY, LATER, NOW, OLD, YOUNG, direct, files_with, forget, page, store

from vendororders_async.changes import OrderChanged, OrderCreated
from vendororders_async.errors import SinkError
from vendororders_async.redaction import redact
from vendororders_async.sinks.base import Purged
from vendororders_async.sinks.rows import digest_of
from vendororders_async.sinks.sqlite import SqliteSink
from vendororders_async.sinks.sqlite_file import open_database
from vendororders_async.sinks.sqlite_purge import PORTION, scrub

Select = Callable[..., list[tuple[Any, ...]]]


async def test_whoever_loads_from_here_sees_it(sink: SqliteSink, select: Select) -> None:
    """A redacted order has changed: its digest, its time and its place in the changes."""
    columns = (
        "SELECT purchase_order_number, digest, change_seq, updated_at, first_seen_at, "
        "asked_at FROM purchase_orders ORDER BY 1"
    )
    await store(sink, page(direct("A1"), direct("B2", YOUNG)))
    before = select(columns)
    await forget(sink)
    after = select(columns)
    [(cursor,)] = select("SELECT change_seq FROM change_counter")

    assert after[1] == before[1]
    assert all(one != other for one, other in zip(after[0][1:4], before[0][1:4], strict=True))
    assert after[0][4:] == before[0][4:]
    assert after[0][2] == cursor > before[0][2]


async def test_what_became_of_an_order_names_it_as_it_is(sink: SqliteSink) -> None:
    """Its versions' digests are those of what is left, its numbers and documents too."""
    old, new = direct("A1"), direct("A1", orderStatus="SHIPPED")
    await store(sink, page(old), page(new, asked_at=NOW + DAY))
    before = await sink.changes(0)
    await store(sink, page(direct("B2", YOUNG), window=LATER))
    await forget(sink)
    created, changed, young = await sink.changes(0)

    assert isinstance(created, OrderCreated)
    assert isinstance(changed, OrderChanged)
    assert isinstance(young, OrderCreated)
    for one, other in ((created, old), (changed, new)):
        assert bytes(one.document) == redact(other)
        assert one.digest == digest_of(redact(other))
    assert changed.previous_digest == created.digest
    assert [created.sequence, changed.sequence] == [one.sequence for one in before]
    assert young.digest == digest_of(direct("B2", YOUNG))


async def test_an_older_version_is_as_old_as_its_order(sink: SqliteSink) -> None:
    """It goes by the date of the newest one, also where its own is another."""
    await store(sink, page(direct("A1", OLD)))
    changed = direct("A1", YOUNG, purchaseOrderChangedDate="2026-11-01T00:00:00Z")
    await store(sink, page(changed, asked_at=NOW + DAY))

    assert await forget(sink) == Purged()
    assert await forget(sink, NOW) == Purged(order_count=1, version_count=1)


async def test_versions_that_become_equal_become_one(sink: SqliteSink, select: Select) -> None:
    """Where those of a page differed in the customer alone, one is left."""
    raws = [direct("A1", canary=f"CANARY {n}") for n in range(4)]
    await store(sink, page(*sorted(raws, key=digest_of)))  # so that each replaces the last
    purged = await forget(sink)

    assert purged == Purged(order_count=1, version_count=3)
    assert select("SELECT count(*) FROM superseded_orders") == [(1,)]
    assert select("SELECT count(*) FROM purchase_orders") == [(1,)]


async def test_it_is_done_in_portions(sink: SqliteSink, path: Path, select: Select) -> None:
    """More than fits into one; each is seen by others as soon as it is done."""
    count = PORTION * 2 + 1
    raws = [direct(f"P{n:04}") for n in range(count)]
    await store(sink, *(page(*raws[n : n + 100]) for n in range(0, count, 100)))
    purged = await forget(sink)
    [(changes,)] = select("SELECT count(DISTINCT change_seq) FROM purchase_orders")
    async with sink.lock("acme-us"):
        gone = await sink.purge_account("acme-us")

    assert purged == gone == Purged(order_count=count)
    assert changes == 3
    assert await sink.accounts() == {"acme-us"}  # until it is scrubbed
    await sink.scrub()
    assert await sink.accounts() == frozenset()
    assert files_with(path.parent, "P0") == []


async def test_what_was_deleted_carelessly_is_overwritten(sink: SqliteSink, path: Path) -> None:
    """Free pages of whatever went before are written anew, and so is the log beside."""
    await store(sink, page(*(direct(f"P{n}", canary="CANARY" * 900) for n in range(50))))
    with closing(sqlite3.connect(path, isolation_level=None)) as careless:
        careless.execute("PRAGMA secure_delete = OFF")
        careless.execute("DELETE FROM purchase_orders")
        careless.execute("PRAGMA wal_checkpoint(PASSIVE)")
        before = files_with(path.parent)
        purged = await forget(sink)
        during = files_with(path.parent)

    assert before == ["orders.db", "orders.db-wal"]
    assert purged == Purged()
    assert (during, path.with_name("orders.db-wal").exists()) == ([], True)


async def test_a_reader_keeps_old_bytes_and_is_told_of(sink: SqliteSink, path: Path) -> None:
    """While somebody reads what was before, it says so; afterwards nothing is left."""
    await store(sink, page(direct("A1")))
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM purchase_orders").fetchone()
        with pytest.raises(SinkError, match=r"another program reads .*orders\.db, .*again"):
            await forget(sink)
        old = reader.execute("SELECT document FROM purchase_orders").fetchone()
        kept = files_with(path.parent)
        reader.execute("ROLLBACK")
    await sink.scrub()

    assert "CANARY" in old[0]
    assert kept != []
    assert files_with(path.parent) == []


async def test_an_account_is_known_until_its_bytes_are_gone(
    sink: SqliteSink, path: Path
) -> None:
    """So that a purge that was kept from it can be run again."""
    await store(sink, page(direct("A1")))
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM purchase_orders").fetchone()
        async with sink.lock("acme-us"):
            await sink.purge_account("acme-us")
        with pytest.raises(SinkError, match="another program reads"):
            await sink.scrub()
        known = await sink.accounts()
        reader.execute("ROLLBACK")
    await sink.scrub()

    assert known == {"acme-us"}
    assert await sink.accounts() == frozenset()
    assert files_with(path.parent, "acme-us") == []


def test_an_interrupted_purge_claims_no_window(path: Path) -> None:
    """The ledger goes in the first transaction, the documents after it."""
    statements: list[str] = []

    async def purge() -> None:
        async with SqliteSink(path, now=lambda: NOW) as sink:
            await store(sink, page(direct("A1")))
            await sink._read(  # noqa: SLF001 - to see the order of its transactions
                lambda connection: connection.set_trace_callback(statements.append)
            )
            await sink.purge_account("acme-us")

    asyncio.run(purge())
    deleted = [one.split("WHERE")[0].split()[-1] for one in statements if "DELETE" in one]

    assert deleted[:3] == ["windows", "begun_windows", "account_settings"]
    assert deleted[-1] == "account_streams"
    assert statements.index("COMMIT") < statements.index(
        next(one for one in statements if "FROM purchase_orders" in one)
    )


def test_readers_are_waited_for_only_so_long(path: Path) -> None:
    """The connection waits for writers afterwards as it did before."""
    with closing(open_database(path)) as connection:
        scrub(connection, patience=0.01)

        assert connection.execute("PRAGMA busy_timeout").fetchone() == (30_000,)
