"""Damaged files of a store: each is named with what to do, and stops nothing else."""

# ruff: noqa: ASYNC240 - a test may look at a file while nobody waits for its loop

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from canaries import (
    DAY,
    LATER,
    NOW,
    OLD,
    WINDOW,
    direct,
    documents_in,
    files_with,
    page,
    store,
)

from vendororders_async.errors import SinkError
from vendororders_async.jobs.purge import PurgeSummary, purge
from vendororders_async.sinks import open_sink
from vendororders_async.sinks.base import PurgeableSink, Purged
from vendororders_async.sinks.damage import damaged
from vendororders_async.sinks.ndjson_files import partial_name

pytestmark = pytest.mark.tells("a person", "a file", because="a quarantine holds them whole")

AGE = timedelta(days=30)
AGAIN = "damaged; move the file away and backfill again"


@pytest.fixture(params=["ndjson", "ndjson+gzip", "ndjson+zstd", "parquet"])
def kind(request: pytest.FixtureRequest) -> str:
    """One kind of files after the other."""
    if request.param == "parquet":
        pytest.importorskip("vendororders_async.sinks.parquet")  # here, for it blocks
    kind: str = request.param
    return kind


@pytest.fixture
def url(kind: str, tmp_path: Path) -> str:
    """Return where a store is."""
    return f"{kind}:{tmp_path / 's'}"


async def filled(url: str) -> list[Path]:
    """Store two windows that share an order, and a document in quarantine; return the files."""
    async with open_sink(url, now=lambda: NOW) as sink:
        assert isinstance(sink, PurgeableSink)
        await store(sink, page(direct("A1"), direct("A2"), direct("A3"), b"CANARY"))
        again = page(direct("A1"), direct("B1"), asked_at=OLD + DAY, window=LATER)
        await store(sink, again)
    return sorted(Path(url.partition(":")[2]).glob("*/*/created/2*"))


def cut(file: Path, share: float = 0.5) -> None:
    """Leave some of *file*."""
    file.write_bytes(file.read_bytes()[: int(file.stat().st_size * share)])


async def purged(url: str, *accounts: str, dry_run: bool = False) -> PurgeSummary:
    """Forget people past an age or, where they are named, accounts."""
    age = None if accounts else AGE
    return await purge(
        url,
        pii_older_than=age,
        accounts=accounts,
        dry_run=dry_run,
        now=lambda: NOW + 40 * DAY,
    )


async def test_a_damaged_file_is_named_with_what_to_do(url: str) -> None:
    """The words are the same for all kinds of files, in one line, and they help."""
    first, _ = await filled(url)
    cut(first)
    async with open_sink(url, read_only=True) as sink:
        with pytest.raises(SinkError, match=AGAIN) as caught:
            await anext(sink.orders())
        first.unlink()
        left = [one.purchase_order_number async for some in sink.orders() for one in some]
        [state] = await sink.states()
        windows = await sink.windows(state.ledger)

    assert str(caught.value).startswith(str(first))
    assert "\n" not in str(caught.value)
    assert left == ["A1", "B1"]
    assert [one.window for one in windows] == [LATER]  # the other is read again


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9])
async def test_people_are_forgotten_around_a_damaged_file(
    url: str, tmp_path: Path, share: float
) -> None:
    """Wherever it was cut it stays, and is named; once it is away nothing is left of them."""
    first, _ = await filled(url)
    cut(first, share)
    bytes_before = first.read_bytes()
    would, done = [await purged(url, dry_run=one) for one in (True, False)]
    if share == 0.0 and url.startswith("ndjson:"):  # a window may hold nothing
        assert done.complete
        return
    [account] = done.accounts

    assert would == done
    assert not done.complete
    assert account.error is None
    assert [one.startswith(str(first)) for one in account.purged.damaged] == [True]
    assert AGAIN in account.purged.damaged[0]
    assert account.purged == Purged(
        order_count=2, quarantine_count=1, damaged=account.purged.damaged
    )
    assert first.read_bytes() == bytes_before
    first.unlink()
    assert files_with(tmp_path / "s") == []
    assert (await purged(url)).complete


async def test_what_cannot_be_read_in_the_middle_counts_nothing(
    kind: str, tmp_path: Path
) -> None:
    """A file whose beginning and end are whole is left too, and no order is counted twice."""
    url = f"{kind}:{tmp_path / 's'}"
    first, _ = await filled(url)
    data = bytearray(first.read_bytes())
    if kind == "parquet":
        parquet = pytest.importorskip("pyarrow.parquet")
        with parquet.ParquetFile(first) as opened:
            group = opened.metadata.row_group(0)
        at = group.column(opened.schema_arrow.get_field_index("document")).data_page_offset
    else:
        at = len(data) // 2
    data[at : at + 40] = b"\xff" * 40
    first.write_bytes(data)
    [account] = (await purged(url)).accounts

    assert account.error is None
    assert [one.startswith(str(first)) for one in account.purged.damaged] == [True]
    assert account.purged.order_count == 2
    assert account.purged.version_count == 0
    assert first.read_bytes() == data
    assert list((tmp_path / "s").rglob("*.part")) == []


async def test_an_account_goes_damaged_or_not(url: str, tmp_path: Path) -> None:
    """What can be read is counted, and nothing stays: files, quarantine, or the name."""
    first, _ = await filled(url)
    [held] = first.parent.parent.glob("quarantine/*")
    cut(first)
    held.write_bytes(b"no heading CANARY")
    [would] = (await purged(url, "acme-us", dry_run=True)).accounts
    done = await purged(url, "acme-us")

    assert done.complete
    assert done.accounts == (would,)
    assert would.purged.damaged == ()
    assert would.purged.order_count >= 2
    assert would.purged.quarantine_count == 1
    assert files_with(tmp_path) == []
    assert not list((tmp_path / "s").glob("acme*"))


async def test_a_damaged_quarantine_stops_nothing_else(url: str, tmp_path: Path) -> None:
    """Its file is named, and everybody who can be read is forgotten."""
    first, _ = await filled(url)
    [held] = first.parent.parent.glob("quarantine/*")
    held.write_bytes(b"no heading CANARY")
    [account] = (await purged(url)).accounts

    assert account.purged == Purged(
        order_count=4,
        version_count=1,
        damaged=(
            f"{held} is damaged; delete the file: what it held is lost here, not at Amazon",
        ),
    )
    assert files_with(tmp_path) == [held.name]


async def test_a_name_that_is_damaged_comes_back(url: str) -> None:
    """Whose folder it is stands in one file, which can be deleted as well."""
    first, _ = await filled(url)
    name = first.parents[2] / "account.json"
    name.write_bytes(b"")
    with pytest.raises(SinkError, match=r"account\.json is damaged; delete the file"):
        await purged(url)
    name.unlink()
    await filled(url)
    async with open_sink(url, read_only=True) as sink:
        found = await documents_in(sink) if isinstance(sink, PurgeableSink) else {}

    assert found.keys() == {"A1", "A2", "A3", "B1"}


@pytest.mark.parametrize(
    ("name", "is_shared", "remedy"),
    [
        ("created/2_3_4_amazon.ndjson", False, "move the file away and backfill again"),
        ("created/2_3_4_amazon.parquet", True, "move its folder away and backfill again"),
        ("created/loose_2_3_amazon.parquet", False, "move its folder away and backfill again"),
        ("exported/loose_2_3_exported.ndjson", False, "delete the file and export again"),
    ],
)
def test_the_remedy_loses_no_order(name: str, is_shared: bool, remedy: str) -> None:
    """Where a finished window may count on what was in a file, all of them are read again."""
    assert f"{name} is damaged; {remedy}" in str(damaged(name, is_shared=is_shared))


async def test_what_a_killed_run_left_is_loose(
    url: str, tmp_path: Path, now: Callable[[], datetime]
) -> None:
    """The lines of a window that was not finished become a file that is named differently."""
    async with open_sink(url, now=now) as sink, sink.lock("acme-us"):
        await sink.write(page(direct("A1"), window=WINDOW))
    [file] = (tmp_path / "s").rglob("loose_*")
    cut(file)
    async with open_sink(url, read_only=True) as sink:
        with pytest.raises(SinkError, match="move its folder away and backfill again"):
            await anext(sink.orders())


@pytest.mark.parametrize("kind", ["parquet"], indirect=True)
async def test_a_damaged_spool_is_named_too(url: str) -> None:
    """A line of a window that was not finished may be one that a finished one counts on."""
    first, _ = await filled(url)
    first.with_name(partial_name(WINDOW, "amazon")).write_bytes(b"[]\n")
    async with open_sink(url) as sink:
        with pytest.raises(SinkError, match="a line is damaged; move its folder away"):
            await sink.lock("acme-us").__aenter__()
