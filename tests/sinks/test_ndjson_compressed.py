"""The files of an NDJSON store, compressed: what any tool makes of them, and what stays."""

from __future__ import annotations

import asyncio
import gzip
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from canaries import DIRECT, YOUNG, direct, documents_in, forget
from canaries import page as canary_page
from canaries import store as store_canaries

from vendororders_async.errors import ConfigurationError, SinkError
from vendororders_async.models.retail_procurement import Order
from vendororders_async.pages import decode_document
from vendororders_async.sinks import open_sink
from vendororders_async.sinks.base import Arrival, Ledger, PurgeableSink
from vendororders_async.sinks.compression import open_lines
from vendororders_async.windows import FinishedWindow, Window

LEDGER = Ledger("acme-us", "retail", "created", "amazon")
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
WINDOW = Window(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 8, tzinfo=UTC))
SUFFIXES = {"ndjson": ".ndjson", "ndjson+gzip": ".ndjson.gz", "ndjson+zstd": ".ndjson.zst"}


def page(number: str, window: Window = WINDOW) -> Arrival:
    """Return a page of one order."""
    raw = b'{"purchaseOrderNumber": "%s", "n": 1.10}' % number.encode()
    return Arrival(LEDGER, window, NOON, [decode_document(raw, Order)])


async def store(url: str, number: str, window: Window = WINDOW) -> None:
    """Write one window with one order."""
    async with open_sink(url) as sink, sink.lock("acme-us"):
        await sink.begin(LEDGER, window)
        await sink.write(page(number, window))
        await sink.finish(LEDGER, FinishedWindow(window, NOON))


def lines_in(file: Path) -> list[bytes]:
    """Return the lines of a file."""
    with open_lines(file) as lines:
        return lines.readlines()


async def numbers_in(url: str) -> set[str]:
    """Return which orders a reader finds."""
    async with open_sink(url, read_only=True) as sink:
        return {one.purchase_order_number async for batch in sink.orders() for one in batch}


@pytest.mark.parametrize("kind", SUFFIXES)
async def test_a_file_says_how_it_is_compressed(kind: str, tmp_path: Path) -> None:
    """Its name ends as such files do everywhere, and it is as private as a plain one."""
    await store(f"{kind}:{tmp_path / 'store'}", "A1")
    [file] = (tmp_path / "store").glob("*/*/*/2*")
    [line] = await asyncio.to_thread(lines_in, file)

    assert file.name.endswith(SUFFIXES[kind])
    assert line.endswith(b'"document":{"purchaseOrderNumber": "A1", "n": 1.10}}\n')
    assert file.stat().st_mode & 0o777 == 0o600


async def test_other_tools_read_it(tmp_path: Path) -> None:
    """Python's gzip stands for all of them: one whole stream, without a time in it."""
    for name in ("one", "two"):
        await store(f"ndjson+gzip:{tmp_path / name}", "A1")
    [one], [two] = ((tmp_path / name).glob("*/*/*/2*.gz") for name in ("one", "two"))

    assert gzip.decompress(one.read_bytes()).count(b"\n") == 1
    assert one.read_bytes() == two.read_bytes()


async def test_one_store_may_hold_all_kinds(tmp_path: Path) -> None:
    """Whoever changes the option goes on in the same folder, and reads it by any name."""
    root = tmp_path / "store"
    for number, kind in enumerate(SUFFIXES):
        start = WINDOW.after + timedelta(days=number)
        await store(f"{kind}:{root}", kind, Window(start, start + timedelta(days=1)))
    async with open_sink(f"ndjson:{root}", read_only=True) as sink:
        windows = await sink.windows(LEDGER)

    assert [await numbers_in(f"{kind}:{root}") for kind in SUFFIXES] == [{*SUFFIXES}] * 3
    assert len(windows) == 3


async def test_a_window_read_again_with_another_option_loses_nothing(tmp_path: Path) -> None:
    """What was there under the same name stays, and what came now as well."""
    root = tmp_path / "store"
    for kind in SUFFIXES:
        await store(f"{kind}:{root}", kind)
    async with open_sink(f"ndjson:{root}", read_only=True) as sink:
        windows = await sink.windows(LEDGER)

    assert await numbers_in(f"ndjson:{root}") == {*SUFFIXES}
    assert windows == [FinishedWindow(WINDOW, NOON)]


async def test_a_crash_while_compressing_leaves_no_torn_file(tmp_path: Path) -> None:
    """The next run takes the lines over and removes what was half compressed."""
    url = f"ndjson+gzip:{tmp_path / 'store'}"
    await store(url, "A1")
    [file] = (tmp_path / "store").glob("*/*/*/2*.gz")
    torn = file.with_name(f".{file.name}.part")
    torn.write_bytes(file.read_bytes()[:20])
    async with open_sink(url) as sink, sink.lock("acme-us"):
        pass

    assert not torn.exists()
    assert await numbers_in(url) == {"A1"}


@pytest.mark.parametrize("kind", ["ndjson+gzip", "ndjson+zstd"])
async def test_a_damaged_file_is_named(kind: str, tmp_path: Path) -> None:
    """A compressed file that was cut off is an error in one line, and not half a store."""
    url = f"{kind}:{tmp_path / 'store'}"
    await store(url, "A1")
    [file] = (tmp_path / "store").glob("*/*/*/2*")
    file.write_bytes(file.read_bytes()[:-6])
    with pytest.raises(SinkError, match=r"2026.*damaged") as caught:
        await numbers_in(url)

    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["ndjson+gzip", "ndjson+zstd"])
async def test_people_are_forgotten_in_compressed_files_too(
    kind: str, tmp_path: Path, now: Callable[[], datetime]
) -> None:
    """The file is written anew under its name, still compressed."""
    root = tmp_path / "store"
    async with open_sink(f"{kind}:{root}", now=now) as sink:
        assert isinstance(sink, PurgeableSink)
        async with sink.lock(DIRECT.account):
            await store_canaries(sink, canary_page(direct("D1"), direct("D2", YOUNG)))
        [before] = root.glob("*/*/*/2*")
        purged = await forget(sink)
        [after] = root.glob("*/*/*/2*")
        held = await documents_in(sink)

    assert after == before
    assert purged.order_count == 1
    assert [b"CANARY" in held[number] for number in ("D1", "D2")] == [False, True]


async def test_standard_output_is_not_compressed() -> None:
    """There a program of the user's own does that."""
    with pytest.raises(ConfigurationError, match=r"no such sink: .ndjson\+gzip:-"):
        open_sink("ndjson+gzip:-")


def test_without_zstd_it_is_said_what_to_install(tmp_path: Path) -> None:
    """In one line, before anything is asked."""
    script = (
        "import sys; sys.modules['backports'] = sys.modules['compression'] = None\n"
        "from vendororders_async.sinks import open_sink\n"
        "from vendororders_async.errors import ConfigurationError\n"
        "try: open_sink('ndjson+zstd:store')\n"
        "except ConfigurationError as error: print(error)\n"
    )
    said = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path, check=True
    )

    assert "pip install 'vendororders-async[zstd]'" in said.stdout
