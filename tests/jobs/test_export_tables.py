"""Exports for other programs: tables in Parquet files and in DuckDB."""

# ruff: noqa: ASYNC240 - a test may look at a file while nobody waits for its loop

from __future__ import annotations

import asyncio
import json
import sqlite3
import stat
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from simulated import QUICK, SINCE, UNTIL, now, simulation

from vendororders_async.clock import parse_instant
from vendororders_async.errors import ConfigurationError, SinkError
from vendororders_async.jobs.backfill import backfill
from vendororders_async.jobs.export import Exported, export
from vendororders_async.models.retail_procurement import Order
from vendororders_async.pages import decode_document
from vendororders_async.sinks import open_sink
from vendororders_async.sinks.base import Arrival, Ledger, StoredOrder
from vendororders_async.sinks.columns import ORDER_COLUMNS, StoredContent
from vendororders_async.sinks.tables import Tables, open_tables
from vendororders_async.windows import Window

pytest.importorskip("pyarrow.compute")  # here, since importing it blocks
duckdb = pytest.importorskip("duckdb")

import pyarrow as pa  # noqa: E402 - it may be missing
import pyarrow.parquet as pq  # noqa: E402 - the same

ASKED = datetime(2026, 11, 21, 12, tzinfo=UTC)
WINDOW = Window(ASKED - timedelta(days=1), ASKED)
NAMES = ("purchase_orders", "purchase_order_lines")
KINDS = ("parquet", "duckdb")


def url_of(kind: str, folder: Path) -> str:
    """Return where tables of a kind go."""
    return f"{kind}:{folder}/out" if kind == "parquet" else f"{kind}:{folder}/out.duckdb"


def tables_in(kind: str, folder: Path) -> list[pa.Table]:
    """Return orders and lines as plain readers see them."""
    if kind == "parquet":
        return [pq.ParquetFile(folder / "out" / f"{name}.parquet").read() for name in NAMES]
    with duckdb.connect(folder / "out.duckdb", read_only=True) as reader:
        return [reader.table(name).to_arrow_table() for name in NAMES]


def numbers_in(kind: str, folder: Path) -> list[Any]:
    """Return the numbers of the orders in a table."""
    return list(tables_in(kind, folder)[0]["purchase_order_number"].to_pylist())


def opened(url: str) -> Tables:
    """Return the tables of a URL."""
    tables = open_tables(url)
    assert tables is not None

    return tables


def stored(number: str, lines: int = 1) -> StoredContent:
    """Return an order with some lines."""
    items = [
        {"itemSequenceNumber": f"{one}", "netCost": {"amount": f"{one}.10"}}
        for one in range(lines)
    ]
    document = {"purchaseOrderNumber": number, "orderDetails": {"items": items}}
    raw = json.dumps(document).encode()
    content = decode_document(raw, Order).content
    assert content is not None

    return StoredOrder("acme", "retail", number, ASKED, raw), content


async def fill(url: str, *numbers: str) -> None:
    """Put orders into a sink."""
    async with open_sink(url) as sink:
        documents = [decode_document(stored(one)[0].document, Order) for one in numbers]
        ledger = Ledger("acme", "retail", "created", "amazon")
        await sink.write(Arrival(ledger, WINDOW, ASKED, documents))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("api", ["retail", "direct_fulfillment"])
async def test_tables_say_what_the_views_say(tmp_path: Path, kind: str, api: str) -> None:
    """Each cell of the simulator's orders and lines, oddities too, is that of SQLite, typed."""
    database = tmp_path / "orders.db"
    settings = msgspec.structs.replace(QUICK, direct_fulfillment_orders=900)
    async with simulation(settings) as (_, accounts):
        await backfill(accounts, since=SINCE, until=UNTIL, to=f"sqlite:{database}", api=api)
    await export(source=f"sqlite:{database}", to=url_of(kind, tmp_path), now=now)
    orders, lines = tables_in(kind, tmp_path)
    key = "account, api, purchase_order_number"
    with closing(sqlite3.connect(database)) as reader:
        reader.row_factory = sqlite3.Row
        by_order = reader.execute(f"SELECT * FROM purchase_orders ORDER BY {key}").fetchall()  # noqa: S608 - names of ours
        by_item, by_line = (
            reader.execute(
                f"SELECT * FROM {view} ORDER BY {key}, item_sequence_number"  # noqa: S608 - names of ours
            ).fetchall()
            for view in ("purchase_order_items", "purchase_order_lines")
        )
    line_key = [(one.strip(), "ascending") for one in f"{key}, item_sequence_number".split(",")]
    sorted_lines = lines.sort_by(line_key)

    assert orders.num_rows > 100
    assert lines.num_rows > orders.num_rows
    assert typed(by_order, ORDER_COLUMNS) == orders.to_pylist()
    for rows in (by_item, by_line):
        columns = rows[0].keys()
        assert typed(rows, columns) == sorted_lines.select(columns).to_pylist()


def typed(rows: list[sqlite3.Row], columns: Any) -> list[dict[str, object]]:
    """Return SQLite's *rows* with the types that other stores have."""
    return [{name: TYPED.get(name, same)(row[name]) for name in columns} for row in rows]


def same(value: object) -> object:
    """Return *value*."""
    return value


def truth(value: object) -> object:
    """Return *value* as a truth value."""
    return None if value is None else bool(value)


def moment(value: str | None) -> object:
    """Return *value* as an instant."""
    return parse_instant(value) if value else None


def amount(value: str | None) -> object:
    """Return *value* as a number with all digits."""
    return None if value is None else Decimal(value)


TYPED: dict[str, Callable[[Any], object]] = {
    "has_details": truth,
    "is_back_order_allowed": truth,
    "net_cost_amount": amount,
    "list_price_amount": amount,
    **dict.fromkeys(
        (one for one in ORDER_COLUMNS if one.endswith(("_at", "_date")) or "_window_" in one),
        moment,
    ),
}


@pytest.mark.parametrize("kind", KINDS)
async def test_a_parquet_store_is_exported_like_any_other(tmp_path: Path, kind: str) -> None:
    """The tables are the same as from a database, whatever names their URLs share."""
    tables = []
    for source in (f"parquet:{tmp_path}/store", f"sqlite:{tmp_path}/1.db"):
        await fill(source, "A2", "A1")
        await export(source=source, to=url_of(kind, tmp_path))
        tables.append(tables_in(kind, tmp_path))

    assert tables[0] == tables[1]
    assert tables[0][0].num_rows == 2


@pytest.mark.parametrize("kind", KINDS)
async def test_an_export_replaces_the_one_before(tmp_path: Path, kind: str) -> None:
    """It is private, holds no documents, and nothing else is left beside it."""
    await fill(f"sqlite:{tmp_path}/1.db", "A1", "A2")
    await fill(f"ndjson:{tmp_path}/2", "B1")
    first = await export(source=f"sqlite:{tmp_path}/1.db", to=url_of(kind, tmp_path))
    before = numbers_in(kind, tmp_path)
    await export(source=f"ndjson:{tmp_path}/2", to=url_of(kind, tmp_path))
    place = tmp_path / ("out" if kind == "parquet" else "out.duckdb")
    files = sorted(place.iterdir()) if place.is_dir() else [place]

    assert first == Exported(orders=2, accounts=1)
    assert before == ["A1", "A2"]
    assert numbers_in(kind, tmp_path) == ["B1"]
    assert [one.column_names.count("document") for one in tables_in(kind, tmp_path)] == [0, 0]
    assert len(files) == (2 if place.is_dir() else 1)
    assert {stat.S_IMODE(one.stat().st_mode) for one in files} == {0o600}
    assert not [one for one in tmp_path.iterdir() if one.name.startswith(".out")]


@pytest.mark.parametrize("kind", KINDS)
async def test_an_export_of_nothing_has_its_columns(tmp_path: Path, kind: str) -> None:
    """Whoever reads it finds tables without rows."""
    await fill(f"sqlite:{tmp_path}/1.db")
    await export(source=f"sqlite:{tmp_path}/1.db", to=url_of(kind, tmp_path))
    orders, lines = tables_in(kind, tmp_path)

    assert (orders.num_rows, lines.num_rows) == (0, 0)
    assert orders.column_names == list(ORDER_COLUMNS)


@pytest.mark.parametrize("kind", KINDS)
async def test_an_export_that_fails_leaves_what_was_there(tmp_path: Path, kind: str) -> None:
    """The tables of the one before it, or none at all, and no hidden remains."""
    for old in ([], ["A1"]):
        if old:
            async with opened(url_of(kind, tmp_path)) as tables:
                await tables.add([stored(one) for one in old])
                await tables.settle()
        with pytest.raises(RuntimeError, match="lost"):
            await lose_way(url_of(kind, tmp_path))
        found = [one for one in tmp_path.rglob("*") if one.is_file()]

        assert len(found) == len(old) * (2 if kind == "parquet" else 1)
        if old:
            assert numbers_in(kind, tmp_path) == old


async def lose_way(url: str) -> None:
    """Write more than is held in memory, and fail."""
    async with opened(url) as tables:
        for start in range(0, 4_000, 100):
            await tables.add([stored(f"B{start + one}", 20) for one in range(100)])
        raise RuntimeError("lost")


FULL = """
import resource, sys
from vendororders_async.cli import main

resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))  # as if the disk were full
main(["export", "--from", sys.argv[1], "--to", sys.argv[2]])
"""


@pytest.mark.parametrize("kind", ["csv", *KINDS])
def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, kind: str) -> None:
    """The error is one line, and no part of a file is taken for all of it."""
    asyncio.run(fill(f"sqlite:{tmp_path}/1.db", *(f"{one * one:x}" for one in range(3_000))))
    done = subprocess.run(
        [sys.executable, "-c", FULL, f"sqlite:{tmp_path}/1.db", f"{kind}:{tmp_path}/out"],
        capture_output=True,
        check=False,
        text=True,
    )

    assert done.returncode == 1
    assert "File too large\n" in done.stderr or "(ulimit -f)\n" in done.stderr
    assert done.stderr.count("\n") == 1
    assert [one.name for one in tmp_path.rglob("*") if one.is_file()] == ["1.db"]


CRASHING = """
import asyncio, json, os, signal, sys
from datetime import UTC, datetime
from vendororders_async.models.retail_procurement import Order
from vendororders_async.pages import decode_document
from vendororders_async.sinks.base import StoredOrder
from vendororders_async.sinks.tables import open_tables

async def main():
    details = {"items": [{}] * 50}
    raw = json.dumps({"purchaseOrderNumber": "B1", "orderDetails": details}).encode()
    order = StoredOrder("acme", "retail", "B1", datetime(2026, 1, 1, tzinfo=UTC), raw)
    async with open_tables(sys.argv[1]) as tables:
        for _ in range(30):
            await tables.add([(order, decode_document(raw, Order).content)] * 100)
        os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


@pytest.mark.parametrize("kind", KINDS)
async def test_a_kill_leaves_what_was_there(tmp_path: Path, kind: str) -> None:
    """The tables are those of the export before, and the next export goes on as ever."""
    url = url_of(kind, tmp_path)
    async with opened(url) as tables:
        await tables.add([stored("A1")])
        await tables.settle()
    killed = await asyncio.create_subprocess_exec(sys.executable, "-c", CRASHING, url)
    code = await asyncio.wait_for(killed.wait(), timeout=30)
    left = numbers_in(kind, tmp_path)
    async with opened(url) as tables:
        await tables.add([stored("A2")])
        await tables.settle()

    assert code == -9
    assert left == ["A1"]
    assert numbers_in(kind, tmp_path) == ["A2"]


async def test_files_are_compact(tmp_path: Path) -> None:
    """Compressed with zstd, in groups of rows that a reader can skip: they come sorted."""
    await fill(f"ndjson:{tmp_path}/store", *(f"A{one:04}" for one in reversed(range(300))))
    await export(source=f"ndjson:{tmp_path}/store", to=f"parquet:{tmp_path}/out")
    async with opened(f"parquet:{tmp_path}/large") as tables:
        for _ in range(20):
            await tables.add([stored("A1", 50)] * 100)
        await tables.settle()
    of_orders = pq.ParquetFile(tmp_path / "out" / "purchase_orders.parquet").metadata
    of_lines = pq.ParquetFile(tmp_path / "large" / "purchase_order_lines.parquet").metadata
    column = of_orders.row_group(0).column(ORDER_COLUMNS.index("purchase_order_number"))

    assert column.compression == "ZSTD"
    assert (column.statistics.min, column.statistics.max) == ("A0000", "A0299")
    assert numbers_in("parquet", tmp_path) == [f"A{one:04}" for one in range(300)]
    assert (of_lines.num_rows, of_lines.num_row_groups) == (100_000, 2)


@pytest.mark.parametrize("kind", KINDS)
async def test_memory_is_flat(tmp_path: Path, kind: str) -> None:
    """A hundred thousand lines pass, and no more than a group of them is held at a time."""
    held = []
    before = pa.total_allocated_bytes()
    orders = [stored(f"A{one}", 50) for one in range(100)]
    tracemalloc.start()
    try:
        async with opened(url_of(kind, tmp_path)) as tables:
            for _ in range(20):
                await tables.add(orders)
                held.append(pa.total_allocated_bytes() - before)
            await tables.settle()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert tables_in(kind, tmp_path)[1].num_rows == 100_000
    assert max(held) < 25_000_000
    assert peak < 25_000_000


@pytest.mark.parametrize("marker", ["vendororders.json", "vendororders-parquet.json"])
@pytest.mark.parametrize("kind", ["csv", "parquet"])
async def test_a_store_is_no_place_for_tables(tmp_path: Path, kind: str, marker: str) -> None:
    """A folder that backfills fill stays as it is."""
    await fill(f"sqlite:{tmp_path}/1.db", "A1")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / marker).touch()
    with pytest.raises(SinkError, match="is a store that backfills fill"):
        await export(source=f"sqlite:{tmp_path}/1.db", to=f"{kind}:{tmp_path}/out")

    assert [one.name for one in (tmp_path / "out").iterdir()] == [marker]


async def test_nothing_else_in_a_database_changes(tmp_path: Path) -> None:
    """Other tables, and views over ours, are there after an export into it."""
    await fill(f"sqlite:{tmp_path}/1.db", "A1")
    with duckdb.connect(tmp_path / "out.duckdb") as user:
        user.execute("CREATE TABLE mine AS SELECT 7 AS seven")
    for _ in range(2):
        await export(source=f"sqlite:{tmp_path}/1.db", to=f"duckdb:{tmp_path}/out.duckdb")
        with duckdb.connect(tmp_path / "out.duckdb") as user:
            user.execute("CREATE OR REPLACE VIEW ours AS SELECT account FROM purchase_orders")
            found = user.execute("SELECT account, seven FROM ours, mine").fetchall()

        assert found == [("acme", 7)]


@pytest.mark.parametrize("kind", ["TABLE", "VIEW"])
@pytest.mark.parametrize("name", NAMES)
async def test_a_table_that_no_export_made_stays(tmp_path: Path, kind: str, name: str) -> None:
    """It may be somebody's own, so another file has to be named."""
    await fill(f"sqlite:{tmp_path}/1.db", "A1")
    with duckdb.connect(tmp_path / "out.duckdb") as user:
        user.execute(f"CREATE {kind} {name} AS SELECT 7 AS seven")
    with pytest.raises(SinkError, match=f"has a {name} that no export made"):
        await export(source=f"sqlite:{tmp_path}/1.db", to=f"duckdb:{tmp_path}/out.duckdb")
    with duckdb.connect(tmp_path / "out.duckdb") as user:
        assert user.execute(f"SELECT * FROM {name}").fetchall() == [(7,)]  # noqa: S608 - names of ours


async def test_a_database_that_somebody_made_meanwhile_stays(tmp_path: Path) -> None:
    """A new one appears at the end, and takes nobody's place."""
    path = tmp_path / "orders.duckdb"
    async with opened(f"duckdb:{path}") as tables:
        await tables.add([stored("A1")])
        path.write_text("theirs")
        with pytest.raises(SinkError, match=r"somebody else made .*orders\.duckdb meanwhile"):
            await tables.settle()

    assert [one.read_text() for one in tmp_path.iterdir()] == ["theirs"]


def test_a_database_in_use_is_said_in_one_line(tmp_path: Path) -> None:
    """Another program has it open; so has nobody what is no database."""
    asyncio.run(fill(f"sqlite:{tmp_path}/1.db", "A1"))
    (tmp_path / "text").write_text("no database " * 1_000, "utf-8")
    with duckdb.connect(tmp_path / "out.duckdb"):
        errors = [
            subprocess.run(
                [
                    *(sys.executable, "-m", "vendororders_async", "export"),
                    *("--from", f"sqlite:{tmp_path}/1.db", "--to", f"duckdb:{tmp_path}/{name}"),
                ],
                capture_output=True,
                check=False,
                text=True,
            )
            for name in ("out.duckdb", "text")
        ]

    assert [one.returncode for one in errors] == [1, 1]
    assert "another program has it open; close it there first\n" in errors[0].stderr
    assert "it is no database of DuckDB\n" in errors[1].stderr
    assert [one.stderr.count("\n") for one in errors] == [1, 1]


@pytest.mark.parametrize("name", ["orders.csv", "orders.json", "orders.parquet", "orders.db"])
async def test_a_file_that_duckdb_merely_reads_is_no_target(tmp_path: Path, name: str) -> None:
    """It is refused and stays as it is; a new database may be called so, and be replaced."""
    await fill(f"sqlite:{tmp_path}/1.db", "A1")
    path = tmp_path / name
    contents = {
        "orders.csv": b"a,b\n1,2\n",
        "orders.json": b'{"a": 1}\n',
        "orders.parquet": await asyncio.to_thread(_parquet_file, tmp_path),
        "orders.db": (tmp_path / "1.db").read_bytes(),
    }
    path.write_bytes(contents[name])

    with pytest.raises(SinkError, match=r"it is no database of DuckDB$"):
        await export(source=f"sqlite:{tmp_path}/1.db", to=f"duckdb:{path}")
    assert path.read_bytes() == contents[name]

    path.unlink()
    for _ in range(2):
        await export(source=f"sqlite:{tmp_path}/1.db", to=f"duckdb:{path}")
    with duckdb.connect(path, read_only=True) as user:
        assert user.execute("SELECT count(*) FROM purchase_orders").fetchone() == (1,)


def _parquet_file(folder: Path) -> bytes:
    pq.write_table(pa.table({"a": [1]}), folder / "one.parquet")
    return (folder / "one.parquet").read_bytes()


WITHOUT = """
import sys
sys.modules[sys.argv[1]] = None  # as if it were not installed
import asyncio
from vendororders_async import ConfigurationError, read_orders
from vendororders_async.jobs.export import export

try:
    if len(sys.argv) > 3:
        asyncio.run(export(source=sys.argv[2], to=sys.argv[3]))
    else:
        read_orders(sys.argv[2]).to_arrow()
except ConfigurationError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("hidden", "to", "words"),
    [
        (
            "pyarrow",
            "parquet:{}/out",
            "parquet: needs pyarrow: pip install 'vendororders-async[arrow]'",
        ),
        (
            "pyarrow",
            "s3://none/out",
            "s3:// needs pyarrow: pip install 'vendororders-async[arrow]'",
        ),
        (
            "pyarrow",
            "duckdb:{}/o",
            "duckdb: needs pyarrow: pip install 'vendororders-async[duckdb]'",
        ),
        (
            "duckdb",
            "duckdb:{}/o",
            "duckdb: needs duckdb: pip install 'vendororders-async[duckdb]'",
        ),
        (
            "asyncpg",
            "postgres://nobody@localhost/none",
            "postgres:// needs asyncpg: pip install 'vendororders-async[postgres]'",
        ),
        ("pyarrow", None, "to_arrow() needs pyarrow: pip install 'vendororders-async[arrow]'"),
    ],
)
def test_what_is_not_installed_is_named(
    tmp_path: Path, hidden: str, to: str | None, words: str
) -> None:
    """Which extra brings it, and nothing is made meanwhile."""
    asyncio.run(fill(f"sqlite:{tmp_path}/1.db", "A1"))
    there = sorted(tmp_path.iterdir())
    urls = [f"sqlite:{tmp_path}/1.db", *([to.format(tmp_path)] if to else [])]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, hidden, *urls],
        capture_output=True,
        check=True,
        text=True,
    )

    assert done.stdout == f"{words}\n"
    assert sorted(tmp_path.iterdir()) == there


@pytest.mark.parametrize(
    ("source", "to"),
    [
        ("parquet:a", "parquet:./b/../a/"),
        ("parquet:s3://bucket/a", "s3://bucket/a/"),
        ("ndjson+gzip:a", "ndjson:a"),
    ],
)
async def test_the_same_place_twice_is_refused(source: str, to: str) -> None:
    """However it is spelled."""
    with pytest.raises(ConfigurationError, match="another sink"):
        await export(source=source, to=to)


async def test_schemas_of_a_database_are_different_places(postgres_database: str) -> None:
    """What follows the name of a database counts, too."""
    places = [f"{postgres_database}?search_path=no_{one}" for one in "ab"]
    with pytest.raises(SinkError):
        await export(source=places[0], to=places[1])
