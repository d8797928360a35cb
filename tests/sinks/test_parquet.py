"""Parquet files in a folder: typed, private, and nothing else says what is finished."""

# ruff: noqa: ASYNC240 - a test may look at a file while nobody waits for its loop

from __future__ import annotations

import json
import shutil
import stat
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import virtual_time
from hypothesis import given, settings
from hypothesis import strategies as st

from vendororders_async.errors import SinkError
from vendororders_async.models.retail_procurement import Order, OrderStatus
from vendororders_async.pages import Row, decode_document
from vendororders_async.sinks.base import Arrival, Ledger, Sink
from vendororders_async.sinks.ndjson import NdjsonSink
from vendororders_async.sinks.ndjson_files import partial_name
from vendororders_async.sinks.sqlite import SqliteSink
from vendororders_async.windows import FinishedWindow, Window

pq = pytest.importorskip("pyarrow.parquet")

from vendororders_async.sinks.parquet import ParquetSink  # noqa: E402 - it takes pyarrow
from vendororders_async.sinks.parquet_spool import spool_line  # noqa: E402 - the same

LEDGER = Ledger("acme/us", "retail", "created", "amazon")
STATUSES = Ledger("acme/us", "retail", "statuses", "amazon")
ASKED = datetime(2026, 11, 21, 12, 0, 0, 250, tzinfo=UTC)
DAY = timedelta(days=1)
WINDOW = Window(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 8, tzinfo=UTC))
LATER = Window(WINDOW.before, WINDOW.before + DAY)
FINISHED = FinishedWindow(WINDOW, ASKED)


def raw_order(number: str, changed: str | None = "2026-11-02T00:00:00Z", **more: str) -> bytes:
    """Return an order's document; one that was changed at no time has no details."""
    details = {"orderDetails": {"purchaseOrderChangedDate": changed, **more}} if changed else {}
    return json.dumps({"purchaseOrderNumber": number, **details}).encode()


def page(
    *raws: bytes,
    window: Window = WINDOW,
    ledger: Ledger = LEDGER,
    content: type[Row] = Order,
    asked_at: datetime = ASKED,
) -> Arrival:
    """Return a page with these documents."""
    return Arrival(ledger, window, asked_at, [decode_document(raw, content) for raw in raws])


async def filled(path: Path) -> Path:
    """Make a store with orders, statuses and a quarantine; return the file of orders."""
    status = b'{"purchaseOrderNumber": "A1", "purchaseOrderStatus": "OPEN"}'
    async with ParquetSink(path) as sink, sink.lock("acme/us"):
        await sink.begin(LEDGER, WINDOW)
        await sink.write(page(raw_order("A2"), raw_order("A1", dealCode="ä"), b"\xff"))
        await sink.finish(LEDGER, FINISHED)
        await sink.write(page(status, ledger=STATUSES, content=OrderStatus))
        await sink.finish(STATUSES, FINISHED)
        await sink.ended(LEDGER, covered_until=None, error="no answer")
    [file] = path.glob("*/retail/created/*.parquet")
    return file


async def documents_in(sink: Sink) -> dict[str, bytes]:
    """Return all documents by number."""
    return {
        one.purchase_order_number: one.document
        async for batch in sink.orders()
        for one in batch
    }


async def test_a_window_is_a_sorted_file_of_typed_columns(tmp_path: Path) -> None:
    """Its name says what it is; the document is there as Amazon sent it."""
    file = await filled(tmp_path / "store")
    with pq.ParquetFile(file) as opened:
        table = opened.read()
        compression = opened.metadata.row_group(0).column(0).compression
    types = {field.name: str(field.type) for field in table.schema}

    assert file.name == (
        "20261101T000000.000000Z_20261108T000000.000000Z_20261121T120000.000250Z_amazon.parquet"
    )
    assert compression == "ZSTD"
    assert table["purchase_order_number"].to_pylist() == ["A1", "A2"]
    assert table["document"].to_pylist()[1].encode() == raw_order("A2")
    assert table["deal_code"].to_pylist() == ["ä", None]
    assert table["account"].to_pylist() == ["acme/us"] * 2
    assert types["purchase_order_changed_date"] == "timestamp[us, tz=UTC]"
    assert types["has_details"] == "bool"


async def test_a_query_engine_reads_a_stream_by_one_pattern(tmp_path: Path) -> None:
    """What is spooled, quarantined or a status does not get into its way."""
    duckdb = pytest.importorskip("duckdb")
    await filled(tmp_path / "store")
    async with ParquetSink(tmp_path / "store") as sink, sink.lock("acme/us"):
        await sink.write(page(raw_order("A3"), window=LATER))
        with closing(duckdb.connect()) as engine:
            orders = (
                engine.read_parquet(f"{tmp_path}/store/*/retail/created/*.parquet")
                .project(
                    "purchase_order_number, purchase_order_changed_date::timestamp, "
                    "asked_at::timestamp"
                )
                .fetchall()
            )
            statuses = (
                engine.read_parquet(f"{tmp_path}/store/*/retail/statuses/*.parquet")
                .project("purchase_order_number, purchase_order_status")
                .fetchall()
            )

    changed_at = datetime(2026, 11, 2)  # noqa: DTZ001 - DuckDB's have no zone
    assert orders == [(one, changed_at, ASKED.replace(tzinfo=None)) for one in ("A1", "A2")]
    assert statuses == [("A1", "OPEN")]


async def test_everything_is_private(tmp_path: Path) -> None:
    """Files can be read by their owner alone, folders entered by nobody else."""
    await filled(tmp_path / "store")
    async with ParquetSink(tmp_path / "store") as sink:
        await sink.write(page(raw_order("A3"), window=LATER))
        modes = {
            (path.is_dir(), stat.S_IMODE(path.stat().st_mode))
            for path in (tmp_path / "store").rglob("*")
        }

    assert modes == {(True, 0o700), (False, 0o600)}


async def test_no_byte_of_a_document_changes(tmp_path: Path) -> None:
    """Line breaks, digits, escapes and blanks are as Amazon sent them."""
    raw = '\n{"purchaseOrderNumber":\r\n "A\\n1" , "n": 1.10, "e":1E400,"x":"\\u00e9é"}\n'
    async with ParquetSink(tmp_path / "store") as sink:
        await sink.write(page(raw.encode()))
        await sink.finish(LEDGER, FINISHED)
        held = await documents_in(sink)

    assert held == {"A\n1": raw.encode()}


async def test_what_a_window_counts_on_outlives_a_kill(tmp_path: Path) -> None:
    """An order that only another window, which is not finished, brought is durable by then."""
    async with ParquetSink(tmp_path / "store") as sink:
        await sink.write(page(raw_order("A1")))
        await sink.finish(LEDGER, FinishedWindow(LATER, ASKED))
        shutil.copytree(tmp_path / "store", tmp_path / "killed")
    async with ParquetSink(tmp_path / "killed") as sink, sink.lock("acme/us"):
        held = await documents_in(sink)
        windows = await sink.windows(LEDGER)

    assert held == {"A1": raw_order("A1")}
    assert windows == [FinishedWindow(LATER, ASKED)]
    assert list((tmp_path / "killed").rglob("*.part")) == []


async def test_whole_lines_of_a_killed_run_are_taken_over(tmp_path: Path) -> None:
    """A torn line goes, as does a file that was not yet in place; no window is claimed."""
    file = await filled(tmp_path / "store")
    line = spool_line("B1", "0" * 64, ASKED, raw_order("B1"))
    (file.parent / partial_name(LATER, "amazon")).write_bytes(line + line[:40])
    (file.parent / f".{file.name}.part").write_bytes(b"PAR1 half")
    async with ParquetSink(tmp_path / "store") as sink:
        async with sink.lock("acme/us"):
            windows = await sink.windows(LEDGER)
        numbers = (await documents_in(sink)).keys()

    assert windows == [FINISHED]
    assert numbers == {"A1", "A2", "B1"}
    assert list((tmp_path / "store").rglob("*.part")) == []


async def test_a_large_window_is_written_and_read_in_parts(tmp_path: Path) -> None:
    """No row group is so large that it could not be in memory; all of them are in order."""
    numbers = [f"A{number * 7 % 300:03}" for number in range(300)]
    async with ParquetSink(tmp_path / "store") as sink:
        for start in range(0, 300, 50):
            raws = [raw_order(one, dealCode="x" * 90_000) for one in numbers[start:][:50]]
            await sink.write(page(*raws))
        await sink.finish(LEDGER, FINISHED)
        held = await documents_in(sink)
    [file] = (tmp_path / "store").glob("*/retail/created/*.parquet")
    with pq.ParquetFile(file) as opened:
        sizes = [
            opened.metadata.row_group(group).num_rows
            for group in range(opened.metadata.num_row_groups)
        ]
        found = opened.read(["purchase_order_number"])[0].to_pylist()

    assert sum(sizes) == 300
    assert max(sizes) * 90_000 < 10_000_000
    assert found == sorted(numbers)
    assert held.keys() == set(numbers)


async def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    """Nothing is left out in silence."""
    file = await filled(tmp_path / "store")
    file.write_bytes(file.read_bytes()[:-20])
    async with ParquetSink(tmp_path / "store", read_only=True) as sink:
        with pytest.raises(SinkError, match=r"amazon\.parquet is damaged; move") as caught:
            await anext(sink.orders())

    assert "\n" not in str(caught.value)


async def test_a_file_of_somebody_elses_is_not_read(tmp_path: Path) -> None:
    """Whatever else lies in a folder does not become a window or an order."""
    file = await filled(tmp_path / "store")
    (file.parent / "mine.parquet").write_text("not a table")
    async with ParquetSink(tmp_path / "store", read_only=True) as sink:
        windows = await sink.windows(LEDGER)
        counts = await sink.order_counts()

    assert windows == [FINISHED]
    assert counts == {("acme/us", "retail"): 2}


async def test_neither_folder_store_takes_the_others(tmp_path: Path) -> None:
    """Parquet does not go into a folder of lines, nor lines into one of Parquet."""
    async with NdjsonSink(tmp_path / "lines"), ParquetSink(tmp_path / "columns"):
        pass
    for sink in (ParquetSink(tmp_path / "lines"), NdjsonSink(tmp_path / "columns")):
        with pytest.raises(SinkError):
            async with sink:
                pass


async def test_what_comes_back_as_it_was_is_the_newest_again(tmp_path: Path) -> None:
    """A version that comes twice counts by its last time, also within one window."""
    before, between = raw_order("A1", None), raw_order("A1", None).replace(b": ", b":")
    async with ParquetSink(tmp_path / "store") as sink:
        for hour, raw in enumerate((before, between, before)):
            await sink.write(page(raw, asked_at=ASKED + timedelta(hours=hour)))
        await sink.finish(LEDGER, FINISHED)
        held = await documents_in(sink)

    assert held == {"A1": before}


async def test_what_came_after_a_window_was_finished_is_kept(tmp_path: Path) -> None:
    """Its file does not change, so it goes into another that claims nothing."""
    async with ParquetSink(tmp_path / "store") as sink:
        for number in ("A1", "A2"):
            await sink.write(page(raw_order(number)))
            await sink.finish(LEDGER, FINISHED)
        windows, held = await sink.windows(LEDGER), await documents_in(sink)
    async with ParquetSink(tmp_path / "store", read_only=True) as reader:
        later = await documents_in(reader)

    assert windows == [FINISHED]
    assert held.keys() == later.keys() == {"A1", "A2"}


async def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    """An older version does not guess at what it does not know."""
    async with ParquetSink(tmp_path / "store"):
        pass
    (tmp_path / "store" / "vendororders-parquet.json").write_text('{"format": 2}')
    with pytest.raises(SinkError, match="newer version"):
        async with ParquetSink(tmp_path / "store"):
            pass


async def test_a_folder_may_be_named_by_a_url(tmp_path: Path) -> None:
    """It is the same one."""
    await filled(tmp_path / "a store")
    async with ParquetSink(f"file://{tmp_path}/a%20store", read_only=True) as sink:
        assert await sink.windows(LEDGER) == [FINISHED]


VERSIONS = st.lists(
    st.tuples(
        st.sampled_from(["A1", "A2", "A3"]),
        st.sampled_from([None, "2026-11-02T00:00:00Z", "2026-11-03T00:00:00Z"]),
        st.integers(0, 3),
        st.sampled_from([WINDOW, LATER]),
    ),
    max_size=8,
)


@settings(deadline=None)  # a disk may take its time
@given(versions=VERSIONS)
def test_it_has_the_versions_that_sqlite_has(
    tmp_path_factory: pytest.TempPathFactory, versions: list[Any]
) -> None:
    """Whatever pages come in which order and for which window, the newest is the same."""
    path = tmp_path_factory.mktemp("store")

    async def main(sink: Sink) -> dict[str, bytes]:
        async with sink:
            for number, changed, hours, window in versions:
                asked_at = ASKED + timedelta(hours=hours)
                await sink.write(
                    page(raw_order(number, changed), window=window, asked_at=asked_at)
                )
            await sink.finish(LEDGER, FinishedWindow(WINDOW, ASKED))
            await sink.finish(LEDGER, FinishedWindow(LATER, ASKED))
            return await documents_in(sink)

    columns = virtual_time.run(main(ParquetSink(path / "columns")))
    rows = virtual_time.run(main(SqliteSink(path / "rows.db")))

    assert columns == rows
