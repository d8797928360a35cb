"""Exports into an object store, here a local S3 server's."""

from __future__ import annotations

import asyncio
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from vendororders_async.errors import SinkError
from vendororders_async.jobs.export import export
from vendororders_async.models.retail_procurement import Order
from vendororders_async.pages import decode_document
from vendororders_async.sinks import open_sink
from vendororders_async.sinks.base import Arrival, Ledger
from vendororders_async.sinks.tables import open_tables
from vendororders_async.windows import Window

pytest.importorskip("pyarrow.compute")  # here, since importing it blocks

import pyarrow.parquet as pq
from pyarrow import fs
from s3 import KEY, S3, s3_server

UNTIL = datetime(2026, 11, 21, 12, tzinfo=UTC)
WINDOW = Window(UNTIL - timedelta(days=1), UNTIL)
LINES, ORDERS = "out/purchase_order_lines.parquet", "out/purchase_orders.parquet"


@pytest.fixture(scope="module")
def served() -> Iterator[S3]:
    """Return a server for all tests here: starting it takes longer than they do."""
    with s3_server() as server:
        yield server


class Bucket:
    """An empty bucket of a test's own."""

    def __init__(self, s3: S3) -> None:
        self.s3 = s3
        self.name = f"lake-{secrets.token_hex(8)}"  # moto remembers for as long as it lives
        s3.bucket(self.name)

    def url(self, prefix: str) -> str:
        """Return where a prefix in it is."""
        return self.s3.url(f"{self.name}/{prefix}")

    def objects(self) -> list[str]:
        """Return the objects in it."""
        infos = self.s3.system().get_file_info(fs.FileSelector(self.name, recursive=True))
        keys = [one.path for one in infos if one.type is fs.FileType.File]
        return sorted(one.removeprefix(f"{self.name}/") for one in keys)

    def numbers(self, key: str) -> Any:
        """Return the orders that a table is about."""
        table = pq.read_table(f"{self.name}/{key}", filesystem=self.s3.system())
        return table["purchase_order_number"].to_pylist()


@pytest.fixture
def bucket(served: S3) -> Iterator[Bucket]:
    """Return an empty bucket, on a server without faults."""
    yield Bucket(served)
    served.fault = None


async def fill(url: str, *numbers: str) -> None:
    """Put orders with a line each into a sink."""
    raws = [
        b'{"purchaseOrderNumber": "%s", "orderDetails": {"items": [{}]}}' % one.encode()
        for one in numbers
    ]
    documents = [decode_document(raw, Order) for raw in raws]
    ledger = Ledger("acme", "retail", "created", "amazon")
    async with open_sink(url) as sink:
        await sink.write(Arrival(ledger, WINDOW, UNTIL, documents))


@pytest.mark.parametrize("prefix", ["", "parquet:"])
def test_tables_go_into_a_bucket(tmp_path: Path, bucket: Bucket, prefix: str) -> None:
    """Two objects, replaced by the next export; nothing is left beside them, or on the disk.

    Nor does what a killed export has left there stay.
    """
    (tmp_path / "aside").mkdir()
    (tmp_path / "aside" / ".vendororders-export.killed_1.part").write_bytes(b"PAR1")
    found = []
    for numbers in (["A1", "A2"], ["B1"]):
        source = f"sqlite:{tmp_path}/{len(numbers)}.db"
        asyncio.run(fill(source, *numbers))
        subprocess.run(
            [
                *(sys.executable, "-m", "vendororders_async", "export", "--quiet"),
                *("--from", source, "--to", prefix + bucket.url("out")),
            ],
            check=True,
            env=os.environ | {"TMPDIR": f"{tmp_path}/aside"},
        )
        found.append((bucket.numbers(ORDERS), bucket.numbers(LINES)))

    assert found == [(["A1", "A2"], ["A1", "A2"]), (["B1"], ["B1"])]
    assert bucket.objects() == [LINES, ORDERS]
    assert list((tmp_path / "aside").iterdir()) == []


async def test_nothing_appears_before_all_of_it_is_there(bucket: Bucket) -> None:
    """What fails on the way uploads nothing."""
    tables = open_tables(bucket.url("out"))
    assert tables is not None
    with pytest.raises(RuntimeError, match="lost"):
        async with tables:
            raise RuntimeError("lost")

    assert bucket.objects() == []


async def test_lines_appear_before_orders(tmp_path: Path, bucket: Bucket) -> None:
    """An order is never there without them, even where the second upload is refused."""
    await fill(f"sqlite:{tmp_path}/1.db", "A1")
    bucket.s3.fault = lambda method, path: 403 if method != "HEAD" and ORDERS in path else None
    with pytest.raises(SinkError, match="access is denied"):
        await export(source=f"sqlite:{tmp_path}/1.db", to=bucket.url("out"))

    assert bucket.objects() == [LINES]


async def test_a_bucket_that_cannot_be_used_is_said_in_one_line(
    tmp_path: Path, bucket: Bucket
) -> None:
    """It is not there, or nobody answers; no secret is in what is said."""
    await fill(f"sqlite:{tmp_path}/1.db", "A1")
    deserted = bucket.url("out").replace(f"%3A{bucket.s3.port}", "%3A9")  # nobody listens there
    for url, words in (
        (bucket.s3.url("nowhere/out"), "there is no bucket nowhere"),
        (deserted, f"cannot use s3://{bucket.name}/out: nobody answers"),
    ):
        with pytest.raises(SinkError) as refused:
            await export(source=f"sqlite:{tmp_path}/1.db", to=url)

        assert str(refused.value).startswith(words)
        assert KEY not in str(refused.value)
        assert "\n" not in str(refused.value)


async def test_a_store_and_tables_keep_apart(tmp_path: Path, bucket: Bucket) -> None:
    """Neither takes a place for its own where the other is."""
    await fill(f"sqlite:{tmp_path}/1.db", "A1")
    async with open_sink(bucket.url("store")):
        pass
    with pytest.raises(SinkError, match="is a store that backfills fill"):
        await export(source=f"sqlite:{tmp_path}/1.db", to=bucket.url("store"))
    await export(source=f"sqlite:{tmp_path}/1.db", to=bucket.url("out"))
    with pytest.raises(SinkError, match="is no Parquet store"):
        async with open_sink(bucket.url("out")):
            pass

    assert bucket.numbers(ORDERS) == ["A1"]
