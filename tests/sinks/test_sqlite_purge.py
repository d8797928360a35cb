"""Forgetting in SQLite: its free pages, its write-ahead log, and who reads it."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from canaries import NOW, direct, files_with, forget, page, store

from vendororders_async.errors import SinkError
from vendororders_async.sinks.base import Purged
from vendororders_async.sinks.sqlite import SqliteSink
from vendororders_async.sinks.sqlite_file import open_database
from vendororders_async.sinks.sqlite_purge import scrub

Select = Callable[..., list[tuple[Any, ...]]]


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
