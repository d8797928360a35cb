"""Forgetting in Parquet files, on disk and in buckets: what the contract does not ask."""

# ruff: noqa: ASYNC240 - a test may look at a file while nobody waits for its loop

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from canaries import (
    BEFORE,
    DAY,
    DIRECT,
    LATER,
    NOW,
    OLD,
    WINDOW,
    YOUNG,
    direct,
    documents_in,
    files_with,
    forget,
    objects_with,
    page,
    store,
)
from s3 import S3, s3_server

from vendororders_async.errors import SinkError
from vendororders_async.sinks.base import Purged
from vendororders_async.sinks.ndjson_files import PARTIAL, partial_name
from vendororders_async.windows import FinishedWindow, Window

pq = pytest.importorskip("pyarrow.parquet")

from vendororders_async.sinks.parquet import ParquetSink  # noqa: E402 - it takes pyarrow
from vendororders_async.sinks.parquet_objects import ObjectShelf  # noqa: E402 - the same
from vendororders_async.sinks.parquet_shelf import DiskShelf  # noqa: E402 - the same
from vendororders_async.sinks.parquet_spool import spool_line  # noqa: E402 - the same

LATEST = Window(LATER.before, LATER.before + DAY)
MANY = [f"P{n:03}" for n in range(401)]  # three batches


@pytest.fixture(scope="module")
def s3() -> Iterator[S3]:
    """A server for all tests of this module."""
    with s3_server() as server:
        yield server


@pytest.fixture
def bucket(s3: S3) -> Iterator[str]:
    """The name of an empty bucket."""
    name = f"bucket-{uuid4().hex}"
    s3.bucket(name)
    yield name
    s3.fault = None


@pytest.fixture(params=["disk", "bucket"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A folder, and a bucket."""
    if request.param == "disk":
        return str(tmp_path / "store")
    s3: S3 = request.getfixturevalue("s3")
    return s3.url(request.getfixturevalue("bucket"))


class Failing(DiskShelf):
    """A folder whose *nth* change of a Parquet file fails, as by a full disk or a kill."""

    def __init__(self, root: Path, nth: int = 0) -> None:
        super().__init__(root)
        self.nth = nth
        self.removed: list[str] = []

    def publish(self, written: Path, key: str, at: datetime) -> None:
        """Fail in time."""
        self._count()
        super().publish(written, key, at)

    def remove(self, key: str) -> None:
        """Fail in time, and remember what went."""
        self._count()
        super().remove(key)
        self.removed.append(key)

    def _count(self) -> None:
        self.nth -= 1
        if self.nth == 0:
            raise OSError("no space left")


def shape_of(file: Path) -> Any:
    """Return what a rewritten file has in common with the old one."""
    with pq.ParquetFile(file) as opened:
        metadata = opened.metadata
        groups = [metadata.row_group(group) for group in range(metadata.num_row_groups)]
        return (
            opened.schema_arrow,
            [group.num_rows for group in groups],
            groups[0].sorting_columns,
            groups[0].column(0).compression,
            (file.name, file.stat().st_mtime_ns, file.stat().st_mode),
        )


def rows_of(file: Path) -> list[dict[str, Any]]:
    """Return the rows of a file."""
    with pq.ParquetFile(file) as opened:
        rows: list[dict[str, Any]] = opened.read().to_pylist()
    return rows


async def test_a_file_stays_what_it_is(tmp_path: Path) -> None:
    """Name, time, mode, columns, order and row groups; a young order's row, and the states."""
    async with ParquetSink(tmp_path / "store", now=lambda: NOW) as sink:
        large = direct("A1", padding="x" * 9_000_000)  # a row group of its own
        orders = large, direct("A2"), direct("B2", YOUNG), direct("C3")
        bad = b'{"orderDate": "2026-10-01T00:00:00Z", "CANARY'
        await store(sink, page(*orders, bad, asked_at=OLD))
        [file] = tmp_path.rglob("*.parquet")
        shape, before = shape_of(file), rows_of(file)
        states = await sink.states(), await sink.last_success_at("acme-us")
        await forget(sink, YOUNG)
        after = rows_of(file)

        assert (await sink.states(), await sink.last_success_at("acme-us")) == states
    assert shape_of(file) == shape
    assert len(shape[1]) == 2
    assert after[2] == before[2]
    changed = {name for name in before[0] if before[0][name] != after[0][name]}
    assert changed == {"digest", "document"}
    assert files_with(tmp_path) == [file.name]  # B2 is there


async def test_no_column_says_more_than_its_document(tmp_path: Path) -> None:
    """Where a code belongs somebody may have written a name: it goes there too."""
    party = {"partyId": "Jane CANARY of Ulm"}
    async with ParquetSink(tmp_path / "store", now=lambda: NOW) as sink:
        await store(sink, page(direct("A1", canary="x", billToParty=party)))
        [file] = tmp_path.rglob("*.parquet")
        before = rows_of(file)
        await forget(sink)

    assert before[0]["bill_to_party_id"] == "Jane CANARY of Ulm"
    assert rows_of(file)[0]["bill_to_party_id"] is None
    assert files_with(tmp_path) == []


async def test_unfinished_windows_are_forgotten(tmp_path: Path) -> None:
    """What a killed run left, and what is being written: each is counted, and redacted."""
    root = tmp_path / "store"
    async with ParquetSink(root, now=lambda: NOW) as sink:
        await store(sink, page(direct("A1")))
        [file] = root.rglob("*.parquet")
        left = file.with_name(partial_name(LATER, "amazon"))
        line = spool_line("B2", "0" * 64, NOW, direct("B2"))
        left.write_bytes(line + line[:-50])
        file.with_name(f".{file.name}{PARTIAL}").write_bytes(b"PAR1 CANARY")
        would = await sink.purge_people("acme-us", BEFORE, dry_run=True)
        would_go = await sink.purge_account("acme-us", dry_run=True)
        async with sink.lock("acme-us"):
            await sink.write(page(direct("C3"), window=LATEST))
            purged = await sink.purge_people("acme-us", BEFORE)
            await sink.finish(DIRECT, FinishedWindow(LATEST, NOW))
        documents = await documents_in(sink)

    assert would == would_go == Purged(order_count=2)
    assert purged == Purged(order_count=3)
    assert documents.keys() == {"A1", "B2", "C3"}
    assert files_with(root) == []


async def test_a_reader_beside_it_finds_every_order(place: str) -> None:
    """An export that had begun goes on, in the file that it reads and in the next."""
    raws = [direct(one, padding=os.urandom(26_000).hex()) for one in MANY]
    async with ParquetSink(place, now=lambda: NOW) as sink:
        await store(sink, page(*raws[:-50]))  # three row groups
        await store(sink, page(*raws[-50:], window=LATER))
        async with ParquetSink(place, read_only=True) as reader:
            batches = reader.orders()
            first = await anext(batches)
            await forget(sink)
            rest = [one async for batch in batches for one in batch]

    found = [*first, *rest]
    assert [one.purchase_order_number for one in found] == MANY
    assert b"CANARY" in first[0].document
    assert b"CANARY" not in rest[-1].document
    for one in found:
        assert json.loads(one.document)["purchaseOrderNumber"] == one.purchase_order_number


async def filled(sink: ParquetSink) -> None:
    """Store a window each of three orders, and one document in quarantine."""
    for number, window in (("A1", WINDOW), ("B2", LATER), ("C3", LATEST)):
        await store(sink, page(direct(number), window=window))
    await sink.write(page(b"CANARY", asked_at=OLD))


async def test_a_killed_redaction_goes_on(tmp_path: Path) -> None:
    """A fault in the second file leaves it whole, and nothing aside; then the rest goes."""
    async with ParquetSink(tmp_path / "store", now=lambda: NOW) as sink:
        await filled(sink)
        windows = await sink.windows(DIRECT)
    shelf = Failing(tmp_path / "store", nth=2)
    async with ParquetSink(shelf) as sink:
        with pytest.raises(SinkError, match="no space left"):
            await forget(sink, NOW + DAY)
        between = files_with(tmp_path), list(tmp_path.rglob(f"*{PARTIAL}"))
        again = await forget(sink, NOW + DAY)
        documents = await documents_in(sink)
        assert await sink.windows(DIRECT) == windows

    assert (len(between[0]), between[1]) == (3, [])
    assert again == Purged(order_count=2, quarantine_count=1)
    assert documents.keys() == {"A1", "B2", "C3"}
    assert files_with(tmp_path) == []


async def test_a_killed_redaction_goes_on_in_a_bucket(s3: S3, bucket: str) -> None:
    """An upload that is refused leaves the object as it was."""
    puts = 0

    def fault(method: str, path: str) -> int | None:
        nonlocal puts
        is_upload = method == "PUT" and path.endswith(".parquet")
        puts += is_upload
        return 403 if is_upload and puts == 2 else None

    async with ParquetSink(s3.url(bucket), now=lambda: NOW) as sink:
        await filled(sink)
        s3.fault = fault
        with pytest.raises(SinkError, match="access is denied"):
            await forget(sink, NOW + DAY)
        s3.fault = None
        between = objects_with(s3.system(), bucket)
        again = await forget(sink, NOW + DAY)
        documents = await documents_in(sink)

    assert len(between) == 3
    assert again == Purged(order_count=2, quarantine_count=1)
    assert documents.keys() == {"A1", "B2", "C3"}
    assert objects_with(s3.system(), bucket) == []


async def test_a_killed_removal_goes_on(tmp_path: Path) -> None:
    """The ledger goes first, and the account is known until the end, so it is asked again."""
    async with ParquetSink(tmp_path / "store", now=lambda: NOW) as sink:
        await filled(sink)
        await sink.ended(DIRECT, covered_until=None, error="CANARY")
    shelf = Failing(tmp_path / "store", nth=2)
    async with ParquetSink(shelf) as sink, sink.lock("acme-us"):
        with pytest.raises(SinkError, match="no space left"):
            await sink.purge_account("acme-us")
        known, windows = await sink.accounts(), await sink.windows(DIRECT)
        again = await sink.purge_account("acme-us")

    assert known == {"acme-us"}
    assert len(windows) == 2
    assert again == Purged(order_count=2, quarantine_count=1)
    assert [one.endswith(".parquet") for one in shelf.removed] == [True] * 3 + [False] * 3
    assert shelf.removed[-1].endswith("/account.json")
    assert {one.name for one in (tmp_path / "store").iterdir()} == {
        *(".locks", "vendororders-parquet.json")
    }


async def test_an_account_that_is_gone_can_come_back(place: str) -> None:
    """Also in the sink that forgot it: what is written then is somebody's."""
    async with ParquetSink(place, now=lambda: NOW) as sink:
        await store(sink, page(direct("A1")))
        async with sink.lock("acme-us"):
            await sink.purge_account("acme-us")
            gone = await sink.accounts(), await sink.last_success_at("acme-us")
            await store(sink, page(direct("A1")))
        held = await documents_in(sink)

    assert gone == (frozenset(), None)
    assert held == {"A1": direct("A1")}


async def test_a_bucket_has_no_object_of_an_account_that_is_gone(s3: S3, bucket: str) -> None:
    """Nor one that stands for a folder: only its lock, until it is released."""
    fs = pytest.importorskip("pyarrow.fs")

    def keys() -> set[str]:
        infos = s3.system().get_file_info(fs.FileSelector(bucket, recursive=True))
        return {info.path.split("/")[1] for info in infos}

    async with ParquetSink(ObjectShelf(s3.url(bucket))) as sink:
        await filled(sink)
        async with sink.lock("acme-us"):
            await sink.purge_account("acme-us")
            found = keys()

    assert found == {".locks", "vendororders-parquet.json"}


async def test_a_damaged_object_is_not_taken_for_forgotten(s3: S3, bucket: str) -> None:
    """It is named; and since it may hold orders of other windows, all of them are to go."""
    async with ParquetSink(s3.url(bucket), now=lambda: NOW) as sink:
        await filled(sink)
        fs = pytest.importorskip("pyarrow.fs")
        infos = s3.system().get_file_info(fs.FileSelector(bucket, recursive=True))
        [path] = [one.path for one in infos if one.base_name.startswith("20261114")]
        with s3.system().open_input_file(path) as source:
            whole = source.readall()
        with s3.system().open_output_stream(path) as target:
            target.write(whole[:-20])
        purged = await forget(sink, NOW + DAY)

    assert purged.order_count == 2
    assert [one.partition(".parquet ")[2] for one in purged.damaged] == [
        "is damaged; move its folder away and backfill again"
    ]
