"""Parquet files in a bucket, against an S3 server on loopback."""

# ruff: noqa: ASYNC240 - a test may look at a file while nobody waits for its loop

from __future__ import annotations

import asyncio
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import mkdtemp
from uuid import uuid4

import pytest
from s3 import KEY, S3, SECRET, s3_server

from vendororders_async.errors import ConfigurationError, SinkError
from vendororders_async.models.retail_procurement import Order, OrderStatus
from vendororders_async.pages import Row, decode_document
from vendororders_async.sinks.base import Arrival, Ledger, Quarantined, Sink
from vendororders_async.windows import FinishedWindow, Window

pytest.importorskip("pyarrow.fs")

from vendororders_async.sinks.parquet import ParquetSink
from vendororders_async.sinks.parquet_objects import ObjectShelf

LEDGER = Ledger("acme-us", "retail", "created", "amazon")
CHANGED = Ledger("acme-us", "retail", "changed", "amazon")
STATUSES = Ledger("acme-us", "retail", "statuses", "amazon")
ASKED = datetime(2026, 11, 21, 12, tzinfo=UTC)
WINDOW = Window(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 8, tzinfo=UTC))
LATER = Window(WINDOW.before, WINDOW.before + timedelta(days=1))


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


def page(
    *numbers: str, window: Window = WINDOW, ledger: Ledger = LEDGER, content: type[Row] = Order
) -> Arrival:
    """Return a page with these orders."""
    raws = [json.dumps({"purchaseOrderNumber": one}).encode() for one in numbers]
    return Arrival(ledger, window, ASKED, [decode_document(raw, content) for raw in raws])


async def numbers_in(sink: Sink) -> set[str]:
    """Return the numbers of all orders."""
    return {one.purchase_order_number async for batch in sink.orders() for one in batch}


async def refused(url: str) -> str:
    """Return why a store cannot be opened."""
    with pytest.raises(SinkError) as caught:
        async with ParquetSink(url):
            pass
    assert "\n" not in str(caught.value)
    for secret in (KEY, SECRET):
        assert secret not in str(caught.value)
    return str(caught.value)


async def test_what_a_window_counts_on_is_in_the_bucket_before_it(s3: S3, bucket: str) -> None:
    """Orders that other windows brought are there, though this process dies right after."""
    url = s3.url(f"{bucket}/lake")
    async with ParquetSink(url) as sink:
        await sink.write(page("A1"))
        await sink.write(page("C1", ledger=CHANGED))
        await sink.write(page("S1", ledger=STATUSES, content=OrderStatus))
        await sink.write(page("A2", window=LATER))
        await sink.finish(LEDGER, FinishedWindow(LATER, ASKED))
        shelf = ObjectShelf(url)
        async with ParquetSink(shelf, read_only=True) as reader:
            held = await numbers_in(reader)
            windows = [await reader.windows(one) for one in (LEDGER, CHANGED, STATUSES)]
            keys = [one.key for one in shelf.entries() if one.key.endswith(".parquet")]

    assert held == {"A1", "A2", "C1"}
    assert windows == [[FinishedWindow(LATER, ASKED)], [], []]
    assert len(keys) == 2  # the window's own, and a loose one of the other stream


async def test_a_window_of_statuses_waits_for_no_orders(s3: S3, bucket: str) -> None:
    """Nobody counts on an order for a status: what is spooled stays there."""
    shelf = ObjectShelf(s3.url(bucket))
    async with ParquetSink(shelf) as sink:
        await sink.write(page("A1"))
        await sink.write(page("S1", ledger=STATUSES, content=OrderStatus))
        await sink.finish(STATUSES, FinishedWindow(WINDOW, ASKED))
        keys = [one.key for one in shelf.entries() if one.key.endswith(".parquet")]

    assert len(keys) == 1


async def test_what_leaves_the_quarantine_is_in_the_bucket_before(s3: S3, bucket: str) -> None:
    """Else this process could die with the only copy of it."""
    held = Quarantined(LEDGER, "0" * 64, b"{}", "damaged", ASKED)
    async with ParquetSink(s3.url(bucket)) as sink:
        await sink.write(page("A1"))
        await sink.release(held)
        async with ParquetSink(s3.url(bucket), read_only=True) as reader:
            stored = await numbers_in(reader)

    assert stored == {"A1"}


async def test_a_window_that_brought_its_orders_elsewhere_is_finished_all_the_same(
    s3: S3, bucket: str
) -> None:
    """Nothing is written twice for it, and all is there."""
    async with ParquetSink(s3.url(bucket)) as sink:
        await sink.write(page("A1"))
        await sink.finish(LEDGER, FinishedWindow(LATER, ASKED))
        await sink.write(page("A2"))
        await sink.finish(LEDGER, FinishedWindow(WINDOW, ASKED))
        windows = {one.window for one in await sink.windows(LEDGER)}
        held = await numbers_in(sink)

    assert windows == {WINDOW, LATER}
    assert held == {"A1", "A2"}


async def test_an_upload_that_fails_claims_nothing_and_loses_nothing(
    s3: S3, bucket: str
) -> None:
    """A window in several parts, one of which is refused, is not there; later it is."""
    async with ParquetSink(s3.url(bucket)) as sink:
        raws = [
            json.dumps(
                {"purchaseOrderNumber": f"A{n}", "x": os.urandom(400_000).hex()}
            ).encode()
            for n in range(40)
        ]
        documents = [decode_document(raw, Order) for raw in raws]
        await sink.write(Arrival(LEDGER, WINDOW, ASKED, documents))
        parts = 0

        def fault(method: str, path: str) -> int | None:
            nonlocal parts
            parts += method == "PUT" and path.endswith(".parquet")
            return 403 if parts > 1 else None

        s3.fault = fault
        with pytest.raises(SinkError, match=f"cannot use s3://{bucket}: access is denied"):
            await sink.finish(LEDGER, FinishedWindow(WINDOW, ASKED))
        s3.fault = None
        async with ParquetSink(s3.url(bucket), read_only=True) as reader:
            before = await reader.windows(LEDGER), await numbers_in(reader)
        await sink.finish(LEDGER, FinishedWindow(WINDOW, ASKED))
        after = await sink.windows(LEDGER), await numbers_in(sink)

    assert before == ([], set())
    assert after == ([FinishedWindow(WINDOW, ASKED)], {f"A{number}" for number in range(40)})


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="it can be read elsewhere")
def test_a_file_that_cannot_be_read_is_not_uploaded_in_part(s3: S3, bucket: str) -> None:
    """An upload is completed on closing, also after an error: it would seem whole."""
    shelf = ObjectShelf(s3.url(bucket))
    shelf.connect()
    with pytest.raises(SinkError, match="Input/output error"):
        shelf.publish(Path("/proc/self/mem"), "window.parquet", ASKED)

    assert not shelf.has("window.parquet")


async def test_an_upload_does_not_stop_the_loop(s3: S3, bucket: str) -> None:
    """While the server thinks, others go on."""
    uploading, going_on = threading.Event(), threading.Event()

    def fault(method: str, path: str) -> None:
        if method == "PUT" and path.endswith(".parquet"):
            uploading.set()
            going_on.wait(10)

    async with ParquetSink(s3.url(bucket)) as sink:
        await sink.write(page("A1"))
        s3.fault = fault
        finishing = asyncio.create_task(sink.finish(LEDGER, FinishedWindow(WINDOW, ASKED)))
        await asyncio.to_thread(uploading.wait, 10)
        was_done = finishing.done()
        going_on.set()
        await finishing

    assert not was_done


async def test_a_cancelled_upload_is_outlived(s3: S3, bucket: str) -> None:
    """The window is whole, and the cancellation goes on."""
    async with ParquetSink(s3.url(bucket)) as sink:
        await sink.write(page("A1"))
        task = asyncio.create_task(sink.finish(LEDGER, FinishedWindow(WINDOW, ASKED)))
        await asyncio.sleep(0.005)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        windows, held = await sink.windows(LEDGER), await numbers_in(sink)

    assert windows == [FinishedWindow(WINDOW, ASKED)]
    assert held == {"A1"}


async def test_a_cancellation_goes_on_though_the_bucket_is_out_of_reach(
    s3: S3, bucket: str
) -> None:
    """What was spooled is tried again by the next lock, and nothing claims it."""
    written = asyncio.Event()
    async with ParquetSink(s3.url(bucket)) as sink:

        async def write() -> None:
            async with sink.lock("acme-us"):
                await sink.write(page("A1"))
                s3.fault = lambda _method, path: 403 if path.endswith(".parquet") else None
                written.set()
                await asyncio.sleep(60)

        task = asyncio.create_task(write())
        await written.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        s3.fault = None
        async with sink.lock("acme-us"):
            pass
        held = await numbers_in(sink)

    assert held == {"A1"}


async def test_a_bucket_that_is_not_there_is_named(s3: S3) -> None:
    """None is made."""
    assert await refused(s3.url("no-such-bucket/lake")) == "there is no bucket no-such-bucket"


async def test_no_access_says_so(s3: S3, bucket: str) -> None:
    """In one line, without a key."""
    s3.fault = lambda _method, _path: 403
    said = await refused(s3.url(bucket))

    assert said.startswith(f"cannot use s3://{bucket}: access is denied")


async def test_an_endpoint_that_nobody_serves_is_given_up_soon(s3: S3) -> None:
    """Within seconds, and without a word of how the client tried."""
    with closing(socket.socket()) as unheard:
        unheard.bind(("127.0.0.1", 0))
        began_at = time.monotonic()
        said = await refused(
            s3.url("bucket", endpoint_override=f"127.0.0.1:{unheard.getsockname()[1]}")
        )

    assert said == "cannot use s3://bucket: nobody answers at its endpoint"
    assert time.monotonic() - began_at < 15


async def test_a_prefix_of_somebody_elses_is_refused(s3: S3, bucket: str) -> None:
    """What is not ours is not written to; beside it there is room."""
    with s3.system().open_output_stream(f"{bucket}/lake/notes.txt") as notes:
        notes.write(b"mine")
    said = await refused(s3.url(f"{bucket}/lake"))
    async with ParquetSink(s3.url(f"{bucket}/lake2")) as sink:
        await sink.finish(LEDGER, FinishedWindow(WINDOW, ASKED))

    assert said == f"s3://{bucket}/lake is no Parquet store of vendororders-async"


async def test_no_secret_is_shown(s3: S3) -> None:
    """Keys may stand in a URL; they are not in what the sink is called."""
    assert repr(ParquetSink(s3.url("bucket/lake"))) == "<ParquetSink s3://bucket/lake>"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("s3://k:s3cret@bucket?regoin=x", "s3://bucket: no such option: regoin"),
        ("s3://k:s3cret@bucket?settle=soon", "s3://bucket: settle= takes seconds"),
        ("s3://?region=x", "s3:// names no bucket"),
    ],
)
def test_an_option_that_could_not_be_meant_is_refused(url: str, said: str) -> None:
    """Before anything is asked, and without the secret."""
    with pytest.raises(ConfigurationError, match=said) as caught:
        ParquetSink(url)

    assert "s3cret" not in str(caught.value)


async def test_one_run_at_a_time_writes_for_an_account(s3: S3, bucket: str) -> None:
    """A second one is refused while the first renews its lease, and goes on after it."""
    url = s3.url(bucket, settle="0.3")
    first, second = (ParquetSink(ObjectShelf(url, term=3.0)) for _ in range(2))
    async with first, second:
        async with first.lock("acme-us"):
            with pytest.raises(
                SinkError, match=r"acme-us in s3://.* is being written by anoth"
            ):
                async with second.lock("acme-us"):
                    pass
            async with second.lock("acme-eu"):
                pass
        async with second.lock("acme-us"):
            await second.write(page("A1"))

        assert await numbers_in(first) == {"A1"}


async def test_nothing_is_left_on_the_disk(s3: S3, bucket: str) -> None:
    """What was spooled is gone when the sink is closed, and in the bucket."""
    shelf = ObjectShelf(s3.url(bucket))
    async with ParquetSink(shelf) as sink:
        await sink.write(page("A1"))
        spool = shelf.spool
        spooled = [one.name for one in spool.rglob("*.part")]
    async with ParquetSink(s3.url(bucket), read_only=True) as reader:
        held = await numbers_in(reader)

    assert len(spooled) == 1
    assert not spool.exists()
    assert held == {"A1"}


async def test_what_a_killed_run_left_on_the_disk_is_removed(s3: S3, bucket: str) -> None:
    """It names customers, and nobody counts on it; what a live one spools stays."""
    left = Path(mkdtemp(prefix="vendororders-spool-"))
    (left / ".claim").touch()
    os.utime(left / ".claim", (0, 0))
    shelf = ObjectShelf(s3.url(bucket))
    async with ParquetSink(shelf) as first:
        await first.write(page("A1"))
        os.utime(shelf.spool / ".claim", (0, 0))
        async with ParquetSink(s3.url(bucket)):
            spooled = [one.name for one in shelf.spool.rglob("*.part")]

    assert len(spooled) == 1
    assert not left.exists()
