"""The folder: private, plainly named, one line a document; and lines on standard output."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from looking import doubled

from vendororders_async.errors import ConfigurationError, SinkError
from vendororders_async.models.retail_procurement import Order
from vendororders_async.pages import decode_document
from vendororders_async.sinks import open_sink
from vendororders_async.sinks.base import Arrival, Ledger, Outcome
from vendororders_async.sinks.ndjson import NdjsonSink
from vendororders_async.sinks.ndjson_files import (
    cut_torn_line,
    line_of,
    loose_name,
    parse_line,
    parse_name,
    partial_name,
    window_name,
)
from vendororders_async.sinks.ndjson_stream import NdjsonStream
from vendororders_async.windows import FinishedWindow, Window

LEDGER = Ledger("acme/us", "retail", "created", "amazon")
ASKED = datetime(2026, 11, 21, 12, 0, 0, 250, tzinfo=UTC)
WINDOW = Window(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 8, tzinfo=UTC))
FINISHED = FinishedWindow(WINDOW, ASKED)


def page(*raws: bytes, window: Window = WINDOW) -> Arrival:
    """Return a page with these documents."""
    return Arrival(LEDGER, window, ASKED, [decode_document(raw, Order) for raw in raws])


async def filled(path: Path) -> None:
    """Make a store with one finished window, one that is not, and a quarantine."""
    async with NdjsonSink(path) as sink, sink.lock("acme/us"):
        await sink.begin(LEDGER, WINDOW)
        await sink.write(page(b'{"purchaseOrderNumber": "A1", "n": 1.10}', b"\xff"))
        await sink.finish(LEDGER, FINISHED)
        await sink.ended(LEDGER, covered_until=None, error="no answer")


async def test_a_window_is_a_file_of_lines(tmp_path: Path) -> None:
    """Its name says what it is, and every line is a document in its envelope."""
    await filled(tmp_path / "store")
    [file] = (tmp_path / "store").rglob("*.ndjson")

    assert file.name == (
        "20261101T000000.000000Z_20261108T000000.000000Z_20261121T120000.000250Z_amazon.ndjson"
    )
    assert file.parent.relative_to(tmp_path / "store").parts[1:] == ("retail", "created")
    assert file.read_bytes() == (
        b'{"account":"acme/us","api":"retail","seen_at":"2026-11-21T12:00:00.000250Z",'
        b'"document":{"purchaseOrderNumber": "A1", "n": 1.10}}\n'
    )


async def test_everything_is_private(tmp_path: Path) -> None:
    """Files can be read by their owner alone, folders entered by nobody else."""
    await filled(tmp_path / "store")
    modes = {
        (path.is_dir(), stat.S_IMODE(path.stat().st_mode))
        for path in (tmp_path / "store").rglob("*")
    }

    assert modes == {(True, 0o700), (False, 0o600)}


async def test_a_name_says_what_is_in_the_file() -> None:
    """Windows and sources come back from a name as they went in."""
    for source in ("amazon", "a_b.c/d~", "", "0123456789abcdef"):
        loose = loose_name(ASKED, source)

        assert parse_name(window_name(FINISHED, source)) == (source, FINISHED)
        assert parse_name(loose) == (source, None)
        assert loose != loose_name(ASKED, source)
        assert len(Path(loose).parts) == 1


async def test_a_file_of_somebody_elses_is_not_read(tmp_path: Path) -> None:
    """Whatever else lies in a folder does not become a window or an order."""
    await filled(tmp_path / "store")
    [file] = (tmp_path / "store").rglob("*.ndjson")
    (file.parent / "mine.ndjson").write_text("not a line\n")
    async with NdjsonSink(tmp_path / "store", read_only=True) as sink:
        windows = await sink.windows(LEDGER)
        counts = await sink.order_counts()

    assert windows == [FINISHED]
    assert counts == {("acme/us", "retail"): 1}


async def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    """The error says which file and line it is; nothing is left out in silence."""
    await filled(tmp_path / "store")
    [file] = (tmp_path / "store").rglob("*.ndjson")
    file.write_bytes(file.read_bytes() + b'{"account":')
    async with NdjsonSink(tmp_path / "store", read_only=True) as sink:
        with pytest.raises(SinkError, match=r"amazon\.ndjson: line 2 is damaged"):
            await anext(sink.orders())


async def test_whole_lines_of_a_killed_run_are_taken_over(tmp_path: Path) -> None:
    """A torn line goes, as does what was not yet in place; the window is not claimed."""
    await filled(tmp_path / "store")
    [folder] = (tmp_path / "store").glob("*/retail/created")
    later = Window(WINDOW.before, WINDOW.before + timedelta(days=1))
    line = line_of("acme/us", "retail", ASKED, b'{"purchaseOrderNumber": "B1"}')
    (folder / partial_name(later, "amazon")).write_bytes(line + line[:40])
    (folder / ".error_amazon.txt.123.part").write_bytes(b"half a r")
    async with NdjsonSink(tmp_path / "store") as sink:
        async with sink.lock("acme/us"):
            windows = await sink.windows(LEDGER)
        numbers = [one.purchase_order_number async for batch in sink.orders() for one in batch]

    assert windows == [FINISHED]
    assert numbers == ["A1", "B1"]
    assert list((tmp_path / "store").rglob("*.part")) == []


@pytest.mark.parametrize(
    ("content", "left"),
    [
        (b"", b""),
        (b"torn", b""),
        (b"a\nb\n", b"a\nb\n"),
        (b"a\n" + b"x" * 200_000, b"a\n"),
        (b"y" * 200_000 + b"\nz", b"y" * 200_000 + b"\n"),
    ],
    ids=["empty", "torn", "whole", "long tail", "long line"],
)
def test_only_a_torn_line_is_cut_off(tmp_path: Path, content: bytes, left: bytes) -> None:
    """However long it is, and however long the line before it."""
    path = tmp_path / "lines"
    path.write_bytes(content)
    size = cut_torn_line(path)

    assert path.read_bytes() == left
    assert size == len(left)


async def test_a_folder_that_was_left_without_a_name_gets_one(tmp_path: Path) -> None:
    """A run may have been killed, or the disk full, between the two."""
    root = tmp_path / "store"
    await filled(root)
    [named] = root.rglob("account.json")
    named.unlink()
    await filled(root)
    async with NdjsonSink(root, read_only=True) as sink:
        numbers = [one.purchase_order_number async for some in sink.orders() for one in some]

    assert numbers == ["A1"]


@pytest.mark.parametrize(
    ("kind", "marker"),
    [("ndjson", "vendororders.json"), ("parquet", "vendororders-parquet.json")],
)
async def test_half_a_marker_is_cleared_up_once_it_is_nobodys(
    tmp_path: Path, kind: str, marker: str
) -> None:
    """What a killed run left goes a minute later; what another writes now stays."""
    root = tmp_path / "store"
    async with open_sink(f"{kind}:{root}"):
        pass
    old, new = root / f".{marker}.1.part", root / f".{marker}.2.part"
    for one in (old, new):
        one.touch()
    os.utime(old, (0, 0))
    async with open_sink(f"{kind}:{root}"):
        pass

    assert (old.exists(), new.exists()) == (False, True)


async def test_a_line_keeps_the_documents_bytes() -> None:
    """Digits, escapes, order of keys and blanks are as Amazon sent them."""
    raw = b'{"z": 1.10, "a" :1E400,"u":"\\u00e9\xc3\xa9\\u0000","z":-0}'
    account, api, seen_at, document = parse_line(line_of('"\n', "retail", ASKED, raw))

    assert (account, api, seen_at, document) == ('"\n', "retail", ASKED, raw)


async def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    """An older version does not guess at what it does not know."""
    async with NdjsonSink(tmp_path / "store"):
        pass
    (tmp_path / "store" / "vendororders.json").write_text('{"format": 2}')
    with pytest.raises(SinkError, match="newer version"):
        async with NdjsonSink(tmp_path / "store"):
            pass


async def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    """Only the last folder is made."""
    with pytest.raises(SinkError, match=r"there is no directory .*far; make it first"):
        async with NdjsonSink(tmp_path / "far" / "store"):
            pass


async def test_a_repeated_order_that_changed_says_what_it_replaced(tmp_path: Path) -> None:
    """Within a run the sink knows; a run before it does not count."""
    raws = [b'{"purchaseOrderNumber": "A1", "n": %d}' % number for number in (1, 1, 2)]
    async with NdjsonSink(tmp_path / "store") as sink:
        outcomes = [one.outcome for one in await sink.write(page(*raws))]

    assert outcomes == [Outcome.NEW, Outcome.UNCHANGED, Outcome.CHANGED]


async def test_standard_output_gets_a_line_for_each_document(
    capfd: pytest.CaptureFixture[str], now: Callable[[], datetime]
) -> None:
    """Nothing is remembered: no window, no quarantine, and every order is new."""
    async with open_sink("ndjson:-", now=now) as sink, sink.lock("acme/us"):
        await sink.begin(LEDGER, WINDOW)
        written = await sink.write(page(b'{"purchaseOrderNumber":\n"A1"}', b"\xff"))
        seen = capfd.readouterr().out
        await sink.ended(LEDGER, covered_until=None, error="no answer")
        await sink.finish(LEDGER, FINISHED)
        kept = [
            await sink.windows(LEDGER),
            await sink.quarantine("acme/us", "retail"),
            await sink.states(),
            [batch async for batch in sink.orders()],
            await sink.last_success_at("acme/us"),
        ]

    assert json.loads(seen)["document"] == {"purchaseOrderNumber": "A1"}
    assert seen.count("\n") == 1
    assert [one.outcome for one in written] == [Outcome.NEW, Outcome.QUARANTINED]
    assert kept == [[], [], [], [], None]


async def test_a_reader_that_goes_away_ends_the_job_in_one_line() -> None:
    """A broken pipe is a `SinkError`, and nothing more is written to it."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        async with NdjsonStream(writing) as sink:
            with pytest.raises(SinkError, match="nobody reads standard output any more"):
                await sink.write(page(b'{"purchaseOrderNumber": "A1"}'))
    finally:
        os.close(writing)


async def test_standard_output_cannot_be_read() -> None:
    """It is no sink to look into."""
    with pytest.raises(ConfigurationError, match="keeps nothing"):
        open_sink("ndjson:-", read_only=True)


async def test_lines_are_json(tmp_path: Path) -> None:
    """Each is one object with the same four names."""
    await filled(tmp_path / "store")
    [file] = (tmp_path / "store").rglob("*.ndjson")

    assert [list(msgspec.json.decode(line)) for line in file.read_bytes().splitlines()] == [
        ["account", "api", "seen_at", "document"]
    ]


@contextmanager
def no_file_larger_than(size: int) -> Iterator[None]:
    """Let each write fail in its middle that would go past *size* bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("kind", ["ndjson", "ndjson+gzip", "ndjson+zstd", "parquet"])
async def test_a_write_that_fails_in_its_middle_leaves_no_half_line(
    tmp_path: Path, kind: str
) -> None:
    """What was whole before it stays, and what is written after it is whole as well."""
    url = f"{kind}:{tmp_path}/store"
    raws = [b'{"purchaseOrderNumber": "%s"}' % name for name in (b"A1", b"B1", b"C1")]
    async with open_sink(url) as sink, sink.lock("acme/us"):
        begun_at = await sink.begin(LEDGER, WINDOW)
        await sink.write(page(raws[0]))
        [partial] = (tmp_path / "store").rglob(".*.part")
        most = partial.stat().st_size + 20
        with no_file_larger_than(most), pytest.raises(SinkError, match="limit"):
            await sink.write(page(raws[1]))
        await sink.write(page(raws[2]))
        await sink.finish(LEDGER, FinishedWindow(WINDOW, begun_at))
        numbers = [one.purchase_order_number async for some in sink.orders() for one in some]

    assert sorted(numbers) == ["A1", "C1"]


@pytest.mark.parametrize("kind", ["ndjson", "ndjson+gzip", "ndjson+zstd", "parquet"])
async def test_half_a_line_of_a_killed_run_is_read_again_with_its_window(
    tmp_path: Path, kind: str
) -> None:
    """The lines before it are kept, the window is not claimed, and then all of it is there."""
    place, killed = tmp_path / "store", tmp_path / "killed"
    raws = [b'{"purchaseOrderNumber": "%s"}' % name for name in (b"A1", b"B1")]
    async with open_sink(f"{kind}:{place}") as sink, sink.lock("acme/us"):
        await sink.write(page(*raws))
        shutil.copytree(place, killed)
    [partial] = killed.rglob(".*.part")
    partial.write_bytes(partial.read_bytes()[:-10])
    async with open_sink(f"{kind}:{killed}") as sink, sink.lock("acme/us"):
        kept = [one.purchase_order_number async for some in sink.orders() for one in some]
        claimed = await sink.windows(LEDGER)
        begun_at = await sink.begin(LEDGER, WINDOW)
        await sink.write(page(*raws))
        await sink.finish(LEDGER, FinishedWindow(WINDOW, begun_at))
        numbers = [one.purchase_order_number async for some in sink.orders() for one in some]

    assert (kept, claimed) == (["A1"], [])
    assert sorted(numbers) == ["A1", "B1"]
    assert await asyncio.to_thread(doubled, f"{kind}:{killed}") == []
