"""Older stores: brought up to date when they are written, and read as they are."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from vendororders_async.changes import OrderChanged
from vendororders_async.errors import SinkError
from vendororders_async.models.retail_procurement import Order
from vendororders_async.pages import decode_document
from vendororders_async.sinks.base import Arrival, Ledger, Outcome, Purged
from vendororders_async.sinks.sqlite import SqliteSink
from vendororders_async.sinks.sqlite_upgrade import SCHEMA_VERSION, bring_up_to_date
from vendororders_async.windows import Window

SCHEMAS = {
    version: Path(__file__).with_name(f"version_{version}.sql").read_text(encoding="utf-8")
    for version in range(1, SCHEMA_VERSION)
}
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
LEDGER = Ledger("acme-us", "retail", "created", "amazon")
WINDOW = Window(NOON - timedelta(days=1), NOON)
DOCUMENT = (
    '{"purchaseOrderNumber": "A1", "orderDetails": {"items": [{"itemSequenceNumber": 1}]}}'
)


@pytest.fixture(params=SCHEMAS)
def version(request: pytest.FixtureRequest) -> int:
    """Every older version, one after the other."""
    number: int = request.param
    return number


@pytest.fixture
def old(path: Path, version: int) -> Path:
    """A store as an older version made it, with an order, a window and a stream in it."""
    noon = "2026-11-21T12:00:00.000000Z"
    owner = ("acme-us", "retail", "created", "amazon")
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            f"PRAGMA journal_mode = WAL; BEGIN; {SCHEMAS[version]} COMMIT;"
        )
        connection.execute(
            "INSERT INTO purchase_orders (account, api, purchase_order_number, digest, "
            "has_details, asked_at, change_seq, first_seen_at, updated_at, "
            "purchase_order_state, document) "
            "VALUES ('acme-us', 'retail', 'A1', 'd', 1, ?, 1, ?, ?, 'New', ?)",
            (noon, noon, noon, DOCUMENT),
        )
        connection.execute(
            "INSERT INTO windows VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (*owner, "2026-11-20T12:00:00.000000Z", noon, noon, noon),
        )
        connection.execute(
            "INSERT INTO account_streams VALUES (?, ?, ?, ?, NULL, ?, NULL)", (*owner, noon)
        )
        connection.commit()
    return path


def schema_of(path: Path) -> list[tuple[str, str]]:
    """Return names and text of all that is in the schema of a store."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(
            "SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name"
        ).fetchall()


async def test_an_older_store_becomes_a_new_one(old: Path, tmp_path: Path) -> None:
    """Once it is opened for writing it has the schema of a new store, and all its data."""
    async with SqliteSink(tmp_path / "new.db"), SqliteSink(old) as sink:
        [window] = await sink.windows(LEDGER)
        [order] = [one async for batch in sink.orders() for one in batch]
        [pending] = await sink.pending()
        document = decode_document(DOCUMENT.replace("1}", "2}").encode(), Order)
        [written] = await sink.write(
            Arrival(LEDGER, WINDOW, NOON + timedelta(hours=1), [document])
        )
        [change] = await sink.changes(0)

    assert schema_of(old) == schema_of(tmp_path / "new.db")
    assert (window.window, order.document) == (WINDOW, DOCUMENT.encode())
    assert (pending.purchase_order_number, pending.why) == ("A1", "new")
    assert written.outcome is Outcome.CHANGED
    assert isinstance(change, OrderChanged)
    assert [one.kind for one in change.lines] == ["added", "removed"]
    with closing(sqlite3.connect(old)) as reader:
        assert reader.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)


@pytest.mark.parametrize("version", [1], indirect=True)
async def test_views_are_made_anew(old: Path, tmp_path: Path) -> None:
    """What an older version had in their place is not left there."""
    with closing(sqlite3.connect(old)) as connection:
        names = [
            name
            for (name,) in connection.execute(
                "SELECT name FROM sqlite_schema WHERE type = 'view'"
            ).fetchall()
        ]
        for name in names:
            connection.execute(f"DROP VIEW {name}")
            connection.execute(f"CREATE VIEW {name} AS SELECT 1 AS older")
        connection.commit()
    async with SqliteSink(tmp_path / "new.db"), SqliteSink(old):
        pass

    assert len(names) == 4
    assert schema_of(old) == schema_of(tmp_path / "new.db")


async def test_many_may_bring_a_store_up_to_date_at_once(old: Path) -> None:
    """Those that meet on an older store all find it up to date."""

    async def use() -> int:
        async with SqliteSink(old) as sink:
            return len(await sink.pending())

    assert await asyncio.gather(*(use() for _ in range(6))) == [1] * 6


def test_a_store_is_brought_up_to_date_once(old: Path) -> None:
    """Who comes second, with the lock just given, changes nothing."""
    with closing(sqlite3.connect(old)) as connection:
        bring_up_to_date(connection)
        before = connection.total_changes, schema_of(old)
        statements: list[str] = []
        connection.set_trace_callback(statements.append)
        bring_up_to_date(connection)

        assert (connection.total_changes, schema_of(old)) == before
        assert statements == ["PRAGMA user_version"]


@pytest.mark.parametrize("version", [1, 2], indirect=True)  # the third has these tables
async def test_a_failed_upgrade_leaves_the_older_store(old: Path) -> None:
    """It is one transaction: what is in its way costs nothing but the upgrade."""
    with closing(sqlite3.connect(old)) as connection:
        connection.execute("CREATE TABLE obstacle (x)")
        connection.execute("CREATE INDEX consumers ON obstacle (x)")
        connection.commit()
    before = schema_of(old)
    with pytest.raises(SinkError, match="there is already an index named consumers"):
        async with SqliteSink(old):
            pass

    assert schema_of(old) == before


async def test_an_older_store_is_read_as_it_is(old: Path, version: int) -> None:
    """Reading needs no upgrade and makes none; what was not there then says so."""
    async with SqliteSink(old, read_only=True) as sink:
        states = await sink.states()
        orders = [one async for batch in sink.orders() for one in batch]
        held = await sink.held("acme-us", "retail", ["A1"])
        accounts = await sink.accounts()
        purged = await sink.purge_account("acme-us", dry_run=True)
        news: list[Awaitable[object]] = []
        if version < 3:
            news += [sink.changes(0), sink.last_change(), sink.request_rates()]
            news += [sink.consumed("erp", "retail")]
        if version == 1:
            news += [sink.pending(), sink.submissions("acme-us", "retail")]
        else:
            assert len(await sink.pending()) == 1
        for call in news:
            with pytest.raises(SinkError, match=r"orders\.db is of an older version.*backfill"):
                await call

    assert [state.ledger for state in states] == [LEDGER]
    assert len(orders) == 1
    assert held["A1"].order == DOCUMENT.encode()
    assert accounts == {"acme-us"}
    assert purged == Purged(order_count=1)
    with closing(sqlite3.connect(old)) as reader:
        assert reader.execute("PRAGMA user_version").fetchone() == (version,)
