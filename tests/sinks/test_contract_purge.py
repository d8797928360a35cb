"""Forgetting: accounts and people, in every sink that keeps something, down to the bytes."""

# ruff: noqa: ASYNC240 - a test may look at a file while nobody waits for its loop

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from canaries import (
    BEFORE,
    DAY,
    DIRECT,
    LATER,
    NOW,
    OLD,
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
from stores import Database, relations_with

from vendororders_async.models.retail_procurement import OrderStatus
from vendororders_async.sinks import open_sink
from vendororders_async.sinks.base import (
    Ledger,
    PurgeableSink,
    Purged,
    Submission,
    SubmissionState,
)
from vendororders_async.sinks.ndjson import NdjsonSink
from vendororders_async.sinks.ndjson_files import PARTIAL, partial_name
from vendororders_async.windows import Window

Places = Callable[..., list[str]]
RETAIL = Ledger("acme-us", "retail", "created", "amazon")
STATUSES = Ledger("acme-us", "retail", "statuses", "amazon")


@pytest.fixture(scope="module")
def s3() -> Iterator[S3]:
    """An S3 server for all tests of this module."""
    with s3_server() as server:
        yield server


@pytest.fixture(params=["sqlite", "ndjson", "postgres", "parquet", "s3"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """One kind of sink after the other."""
    if request.param == "postgres":
        found: str = request.getfixturevalue("postgres_url")
        return found
    if request.param in {"parquet", "s3"}:
        pytest.importorskip("vendororders_async.sinks.parquet")  # here, for it blocks
    if request.param == "s3":
        server: S3 = request.getfixturevalue("s3")
        return server.bucket(f"bucket-{uuid4().hex}")
    return f"{request.param}:{tmp_path / 'store'}"


@pytest.fixture
def places(url: str, tmp_path: Path, request: pytest.FixtureRequest) -> Places:
    """Return what asks which files of a store have a word in their bytes, or columns."""
    if url.startswith("s3"):
        server: S3 = request.getfixturevalue("s3")
        return partial(objects_with, server.system(), str(urlsplit(url).hostname))
    if url.startswith("postgres"):
        return partial(relations_with, url)
    return partial(files_with, tmp_path)


@pytest.fixture
async def sink(url: str, now: Callable[[], datetime]) -> AsyncIterator[PurgeableSink]:
    """An open sink."""
    async with opened(url, now) as sink:
        yield sink


def opened(url: str, now: Callable[[], datetime]) -> PurgeableSink:
    """Return a sink that is purged in a test."""
    sink = open_sink(url, now=now)
    assert isinstance(sink, PurgeableSink)
    return sink


async def test_people_are_forgotten_everywhere(
    url: str, places: Places, now: Callable[[], datetime]
) -> None:
    """Newest version, older version and quarantine; the rest of each stays, and the ledger."""
    bad = b'{"orderDate": "2026-10-01T00:00:00Z", "shipToParty": {"name": "CANARY"}'
    async with opened(url, now) as sink:
        await store(
            sink, page(direct("A1", customerOrderNumber="x")), page(direct("B2", YOUNG))
        )
        again = direct("A1", customerOrderNumber="y"), direct("C3", canary="CANARY C")
        await store(sink, page(*again, bad, asked_at=NOW + DAY, window=LATER))
        ledger = await sink.windows(DIRECT)
        would = await sink.purge_people("acme-us", BEFORE, dry_run=True)
        before = await documents_in(sink)
        purged = await forget(sink)
        after = await documents_in(sink)
        [held] = await sink.quarantine("acme-us", "direct_fulfillment")
        assert await sink.windows(DIRECT) == ledger

    assert would == purged == Purged(order_count=2, version_count=1, quarantine_count=1)
    assert before["B2"] == after["B2"]
    assert json.loads(after["A1"])["orderDetails"]["shipToParty"] == {"countryCode": "DE"}
    assert json.loads(after["A1"])["orderDetails"]["customerOrderNumber"] == "y"
    assert b"CANARY" not in held.document
    assert after.keys() == {"A1", "B2", "C3"}
    assert places() != []  # B2 is there
    async with opened(url, now) as sink:
        await forget(sink, NOW)
    assert places() == []


async def test_what_is_forgotten_is_not_counted_again(
    sink: PurgeableSink, places: Places
) -> None:
    """A second purge finds nothing, and changes no byte; nor does one of what names nobody."""
    redacted = b'{ "purchaseOrderNumber": "R1", "orderDetails": {"shipToParty": {} } }'
    await store(sink, page(direct("A1"), redacted, b"not JSON CANARY", asked_at=OLD))
    first = await forget(sink, NOW + DAY)
    before = await documents_in(sink)
    second = await forget(sink, NOW + DAY)

    assert first == Purged(order_count=1, quarantine_count=1)
    assert second == Purged()
    assert await documents_in(sink) == before
    assert before["R1"] == redacted
    assert places() == []


async def test_a_key_that_is_there_twice_hides_nobody(
    sink: PurgeableSink, places: Places
) -> None:
    """What a reader of the JSON would not see is forgotten too."""
    raw = (
        b'{"purchaseOrderNumber": "A1", "orderDetails": '
        b'{"shipToParty": {"name": "CANARY"}, "shipToParty": {"countryCode": "DE"}}}'
    )
    await store(sink, page(raw, asked_at=OLD))

    assert await forget(sink, NOW + DAY) == Purged(order_count=1)
    assert places() == []


@pytest.mark.parametrize(
    ("placed", "seen", "expected"),
    [
        (BEFORE - timedelta(seconds=1), NOW, 1),
        (BEFORE, NOW, 0),
        (None, NOW, 0),
    ],
)
async def test_an_order_is_as_old_as_it_says(
    sink: PurgeableSink, placed: datetime | None, seen: datetime, expected: int
) -> None:
    """Its own date counts, to the second; one without is as old as it is known."""
    await store(sink, page(direct("A1", placed), asked_at=seen))

    assert await forget(sink) == Purged(order_count=expected)


async def test_what_cannot_be_read_is_as_old_as_it_is_known(sink: PurgeableSink) -> None:
    """In the quarantine the date that can still be read counts, if it is the earlier one."""
    await store(
        sink,
        page(
            b'{"orderDate": "2026-10-01T00:00:00Z", "CANARY',
            b'{"orderDate": "2027-10-01T00:00:00Z", "CANARY',
            b'{"orderDate": "soon", "CANARY\xff',
        ),
    )

    assert await forget(sink) == Purged(quarantine_count=1)
    assert await forget(sink, NOW + DAY) == Purged(quarantine_count=2)


async def test_retail_orders_name_nobody(sink: PurgeableSink) -> None:
    """Warehouses stay, and other accounts' customers are none of this one's."""
    other = Ledger("other", "direct_fulfillment", "created", "amazon")
    raw = direct("A1")
    await store(sink, page(raw, ledger=RETAIL))
    await store(sink, page(raw, ledger=other))

    assert await forget(sink) == Purged()
    assert await documents_in(sink) == {"A1": raw}


async def test_an_account_goes_as_a_whole(
    url: str, places: Places, now: Callable[[], datetime]
) -> None:
    """Orders, statuses, versions, quarantine, windows, streams; others keep theirs.

    A status is no order when it is counted.
    """
    other = Ledger("other", "retail", "created", "amazon")
    async with opened(url, now) as sink:
        await store(sink, page(direct("A1", YOUNG), b"CANARY"))
        await store(
            sink,
            page(direct("A1", YOUNG, canary="CANARY again"), asked_at=NOW + DAY, window=LATER),
        )
        await store(sink, page(direct("A1"), ledger=RETAIL))
        status = b'{"purchaseOrderNumber": "A1", "itemStatus": [], "n": "CANARY"}'
        await store(sink, page(status, ledger=STATUSES, kind=OrderStatus))
        await sink.ended(RETAIL, covered_until=None, error="CANARY of an error")
        await store(sink, page(direct("O1", canary="other"), ledger=other))
        if isinstance(sink, Database):
            await sink.note_account("acme-us", DAY)
            await sink.record([submission("acme-us"), submission("other")])
        would = await sink.purge_account("acme-us", dry_run=True)
        assert len(await documents_in(sink)) == 2
        async with sink.lock("acme-us"):
            purged = await sink.purge_account("acme-us")
        await sink.scrub()
        known, states = await sink.accounts(), await sink.states()
        left = await documents_in(sink)
        quarantine = await sink.quarantine("acme-us", "direct_fulfillment")
        windows = await sink.windows(DIRECT)

    assert would == purged == Purged(order_count=2, version_count=1, quarantine_count=1)
    assert known == {"other"}
    assert [state.ledger for state in states] == [other]
    assert (list(left), quarantine, windows) == (["O1"], [], [])
    assert places() == []
    assert places("acme-us") == []
    assert places("other") != []


def submission(account: str) -> Submission:
    """Return a submission of *account*."""
    return Submission(
        account=account,
        api="retail",
        purchase_order_number="A1",
        submitted_at=NOW,
        source="amazon",
        digest="d",
        document=b'"CANARY"' if account == "acme-us" else b"{}",
        state=SubmissionState.SENDING,
    )


async def test_an_account_can_be_read_again(url: str, now: Callable[[], datetime]) -> None:
    """After it was purged, nothing says that Amazon need not be asked."""
    async with opened(url, now) as sink:
        await store(sink, page(direct("A1")))
        async with sink.lock("acme-us"):
            await sink.begin(DIRECT, LATER)
            await sink.write(page(direct("B2"), window=LATER))  # and never finished
            await sink.purge_account("acme-us")
    async with opened(url, now) as sink:
        windows = await sink.windows(DIRECT)
        again = await sink.write(page(direct("A1")))

    assert windows == []
    assert [one.outcome for one in again] == ["new"]


async def test_a_folder_keeps_what_is_in_its_names(tmp_path: Path) -> None:
    """A file that was written anew has name, time and line places of the old one."""
    async with NdjsonSink(tmp_path / "store", now=lambda: NOW) as sink:
        await store(sink, page(direct("A1"), direct("B2", YOUNG), direct("C3")))
        [file] = tmp_path.rglob("*.ndjson")
        before, times = file.read_bytes().splitlines(), file.stat()
        states = await sink.states()
        await forget(sink)
        after = file.read_bytes().splitlines()

        assert await sink.states() == states
    assert [len(line) for line in after] == [len(line) for line in before]
    assert after[1] == before[1]
    assert (file.stat().st_mtime_ns, file.stat().st_mode) == (times.st_mtime_ns, times.st_mode)


async def test_a_folders_unfinished_windows_are_forgotten(tmp_path: Path) -> None:
    """What a killed run left, and what is being written: each is counted, and redacted."""
    root = tmp_path / "store"
    async with NdjsonSink(root, now=lambda: NOW) as sink:
        await store(sink, page(direct("A1")))
        [file] = root.rglob("*.ndjson")
        left = file.with_name(partial_name(LATER, "amazon"))
        line = file.read_bytes().replace(b"A1", b"B2")
        left.write_bytes(line + line[:-50])
        aside = file.with_name(f".{file.name}.purge{PARTIAL}")
        aside.write_bytes(line)
        would = await sink.purge_people("acme-us", BEFORE, dry_run=True)
        async with sink.lock("acme-us"):
            await sink.write(page(direct("C3"), window=Window(NOW + DAY, NOW + 2 * DAY)))
            purged = await sink.purge_people("acme-us", BEFORE)
        numbers = await documents_in(sink)

    assert would == Purged(order_count=2)
    assert purged == Purged(order_count=3)
    assert numbers.keys() == {"A1", "B2", "C3"}
    assert files_with(root) == []


async def test_a_reader_of_a_folder_finds_its_lines(tmp_path: Path) -> None:
    """An export that had begun goes on, and gets what is left of each order."""
    numbers = [f"P{n:03}" for n in range(401)]  # three batches
    async with NdjsonSink(tmp_path / "store", now=lambda: NOW) as sink:
        await store(sink, page(*map(direct, numbers)))
        batches = sink.orders()
        first = await anext(batches)
        await forget(sink)
        rest = [one async for batch in batches for one in batch]

    assert [one.purchase_order_number for one in (*first, *rest)] == numbers
    assert b"CANARY" in first[0].document
    assert not any(b"CANARY" in one.document for one in rest)
