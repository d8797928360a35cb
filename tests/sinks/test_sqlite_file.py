"""The file: private from the start, recognised, refused in one line, sound after a kill."""

# ruff: noqa: ASYNC240 - a test may look at a file while nobody waits for its loop

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from vendororders_async.errors import SinkError
from vendororders_async.models.retail_procurement import Order
from vendororders_async.pages import decode_document
from vendororders_async.sinks import open_sink
from vendororders_async.sinks.base import Arrival, Ledger
from vendororders_async.sinks.sqlite import SqliteSink
from vendororders_async.sinks.sqlite_file import (
    APPLICATION_ID,
    check_library,
    errors_explained,
    open_database,
    transaction,
)
from vendororders_async.sinks.sqlite_upgrade import SCHEMA_VERSION
from vendororders_async.windows import Window

Select = Callable[..., list[tuple[Any, ...]]]

LEDGER = Ledger("acme-us", "retail", "created", "amazon")
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
WINDOW = Window(NOON - timedelta(days=1), NOON)
ENDLESS_WRITER = Path(__file__).with_name("endless_writer.py")
ORDERS_IN_A_WINDOW = 120


def modes_bind() -> bool:
    """Say whether a file's mode keeps us from writing; root may do anything."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o500)
        return not os.access(directory, os.W_OK)


where_modes_bind = pytest.mark.skipif(not modes_bind(), reason="root may write anywhere")


async def refusal(path: Path) -> str:
    """Return why *path* cannot be opened; in one line."""
    with pytest.raises(SinkError) as caught:
        async with SqliteSink(path):
            pass

    assert "\n" not in str(caught.value)
    return str(caught.value)


def made(path: Path, *statements: str) -> Path:
    """Return a database on which somebody else executed *statements*."""
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()
    return path


async def test_a_file_is_private_while_it_is_written(sink: SqliteSink, path: Path) -> None:
    """The database and what SQLite keeps beside it can be read by their owner alone."""
    document = decode_document(b'{"purchaseOrderNumber": "A1"}', Order)
    await sink.write(Arrival(LEDGER, WINDOW, NOON, [document]))
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}

    assert modes == {"orders.db": 0o600, "orders.db-shm": 0o600, "orders.db-wal": 0o600}


async def test_a_store_says_whose_it_is(path: Path, select: Select) -> None:
    """The file carries our application id and its schema's version, and is in WAL mode."""
    async with SqliteSink(path):
        pass

    assert select("PRAGMA application_id") == [(APPLICATION_ID,)]
    assert select("PRAGMA user_version") == [(SCHEMA_VERSION,)]
    assert select("PRAGMA journal_mode") == [("wal",)]
    assert [file.name for file in path.parent.iterdir()] == ["orders.db"]


def test_a_power_cut_leaves_a_sound_file(path: Path) -> None:
    """The connection syncs as WAL needs it (NORMAL), which no file remembers."""
    with closing(open_database(path)) as connection:
        assert connection.execute("PRAGMA synchronous").fetchone() == (1,)


async def test_a_store_may_be_opened_by_many_at_once(tmp_path: Path) -> None:
    """Several that meet on a file that is not there yet make it together."""

    async def use(path: Path, name: str) -> None:
        async with SqliteSink(path) as sink:
            ledger = Ledger(name, "retail", "created", "amazon")
            await sink.write(Arrival(ledger, WINDOW, NOON, []))

    names = [f"acme-{number}" for number in range(6)]
    for attempt in range(20):  # they meet in the wrong moment now and then only
        path = tmp_path / f"{attempt}.db"
        await asyncio.gather(*(use(path, name) for name in names))
        async with SqliteSink(path) as sink:
            successes = [await sink.last_success_at(name) for name in names]

        assert all(successes)


async def test_an_empty_file_becomes_a_store(path: Path) -> None:
    """A file that was made beforehand, for its mode's sake, is used."""
    path.touch(0o640)
    async with SqliteSink(path) as sink:
        await sink.ended(LEDGER, covered_until=None, error="just to write")

    assert stat.S_IMODE(path.stat().st_mode) == 0o640


async def test_memory_is_only_a_name(tmp_path: Path) -> None:
    """Nothing that SQLite might take for something else than a file is one."""
    for name in (":memory:", "file:orders.db?mode=memory", "ordés 1%.db"):
        async with SqliteSink(tmp_path / name):
            pass

    assert len(list(tmp_path.iterdir())) == 3


async def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    """The error says which directory to make."""
    reason = await refusal(tmp_path / "data" / "orders.db")

    assert reason == f"there is no directory {tmp_path / 'data'}; make it first"


async def test_a_directory_is_no_store(tmp_path: Path) -> None:
    """The error asks for a file."""
    assert await refusal(tmp_path) == f"{tmp_path} is a directory; name a file in it"


async def test_what_is_no_database_is_left_alone(path: Path) -> None:
    """Another kind of file is refused and not touched."""
    path.write_text("purchaseOrderNumber,state\n" * 99)

    assert "not an SQLite database" in await refusal(path)
    assert path.read_text() == "purchaseOrderNumber,state\n" * 99


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE purchase_orders (x)",
        "PRAGMA user_version = 1",
        "PRAGMA application_id = 7",
    ],
)
async def test_a_database_of_something_else_is_left_alone(path: Path, statement: str) -> None:
    """However little is in it, it is refused, and its journal mode stays what it was."""
    made(path, statement)
    before = path.read_bytes()

    assert "of something else" in await refusal(path)
    assert path.read_bytes() == before


async def test_a_newer_store_is_left_alone(path: Path) -> None:
    """A file of a later version asks for a later program."""
    async with SqliteSink(path):
        pass
    made(path, f"PRAGMA user_version = {SCHEMA_VERSION + 1}")

    assert "upgrade" in await refusal(path)


@where_modes_bind
async def test_a_directory_without_leave_to_write_is_named(path: Path) -> None:
    """A file that cannot be made says so."""
    path.parent.chmod(0o500)

    reason = await refusal(path)
    path.parent.chmod(0o700)

    assert reason == f"cannot create {path}: Permission denied"


@where_modes_bind
async def test_a_read_only_file_is_refused(path: Path) -> None:
    """It is refused when it is opened, not at the first page."""
    async with SqliteSink(path):
        pass
    path.chmod(0o400)

    assert "read-only" in await refusal(path)


def test_an_old_library_is_refused() -> None:
    """What lacks the JSON operators of the views is named with its version."""
    check_library((3, 38, 0))
    with pytest.raises(SinkError, match=r"^SQLite 3\.37\.2 is too old"):
        check_library((3, 37, 2))


def test_a_full_disk_takes_the_whole_page_back(path: Path) -> None:
    """What fails for want of room leaves the store as it was, and usable."""
    with closing(open_database(path)) as connection:
        connection.execute("PRAGMA max_page_count = 1")  # no more than there are already
        with pytest.raises(SinkError, match=r"orders\.db: the disk is full"):
            _grow(connection, path)
        connection.execute("PRAGMA max_page_count = 100000")
        with transaction(connection):
            kept = connection.execute("SELECT change_seq FROM change_counter").fetchone()

    assert kept == (0,)


def _grow(connection: sqlite3.Connection, path: Path) -> None:
    with errors_explained(path), transaction(connection):
        connection.execute("UPDATE change_counter SET change_seq = 1")
        connection.execute("CREATE TABLE big AS SELECT zeroblob(100000) AS x")


def test_a_locked_database_says_so(path: Path) -> None:
    """Another writer that does not come to an end is told in plain words."""
    with (
        closing(open_database(path)) as holder,
        closing(open_database(path)) as other,
        transaction(holder),
    ):
        other.execute("PRAGMA busy_timeout = 0")
        with pytest.raises(SinkError, match="it is locked"), errors_explained(path):
            other.execute("BEGIN IMMEDIATE")


async def test_a_sink_that_is_not_open_says_so(path: Path) -> None:
    """Before and after its block, a sink refuses."""
    sink = SqliteSink(path)
    with pytest.raises(SinkError, match="not open"):
        await sink.windows(LEDGER)
    async with sink:
        pass
    with pytest.raises(SinkError, match="not open"):
        await sink.windows(LEDGER)


async def test_a_sink_may_be_opened_again(path: Path) -> None:
    """After its block a sink can be entered anew, though not twice at a time."""
    sink = SqliteSink(path)
    async with sink:
        with pytest.raises(SinkError, match="open already"):
            await sink.__aenter__()
        await sink.ended(LEDGER, covered_until=None, error="kept")
    async with sink:
        assert await sink.last_success_at("acme-us") is None


async def test_opening_may_be_cancelled(path: Path) -> None:
    """A cancelled opening leaves nothing open: the file's helpers are gone."""
    for steps in range(4):
        task = asyncio.create_task(_open_and_wait(path))
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    assert [file.name for file in path.parent.iterdir()] == ["orders.db"]


async def _open_and_wait(path: Path) -> None:
    async with SqliteSink(path):
        await asyncio.Event().wait()


def test_a_sink_is_opened_by_its_url(path: Path) -> None:
    """``sqlite:`` and a path name the sink, and its repr shows the path."""
    assert repr(open_sink(f"sqlite:{path}")) == f"<SqliteSink {path}>"


def test_a_kill_costs_no_finished_window(path: Path, select: Select) -> None:
    """After SIGKILL in the middle of writing, every window in the ledger has all its orders."""
    for lines in (3, 1, 7, 2):
        with subprocess.Popen(
            [sys.executable, ENDLESS_WRITER, f"sqlite:{path}"],
            stdout=subprocess.PIPE,
            text=True,
        ) as writer:
            assert writer.stdout is not None
            said = [int(writer.stdout.readline()) for _ in range(lines)]
            writer.kill()
        orders: dict[str, int] = dict(
            select("SELECT deal_code, count(*) FROM purchase_orders GROUP BY 1")
        )
        finished = select("SELECT count(*) FROM windows")[0][0]

        assert select("PRAGMA integrity_check") == [("ok",)]
        assert finished > max(said)
        assert all(orders[str(day)] == ORDERS_IN_A_WINDOW for day in range(finished))
