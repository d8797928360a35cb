"""``vendororders purge``: personal details past an age, or an account; and its Python."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, closing, contextmanager
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from canaries import DIRECT, NOW, YOUNG, direct, files_with, objects_with, page, store
from s3 import SECRET, s3_server

from vendororders_async.cli import main
from vendororders_async.clock import now
from vendororders_async.errors import ConfigurationError, InvalidArgument, SinkError
from vendororders_async.jobs.purge import AccountPurge, PurgeSummary, purge
from vendororders_async.sinks import open_sink
from vendororders_async.sinks.account_lock import safe_name
from vendororders_async.sinks.base import Ledger, PurgeableSink, Purged

AGE = timedelta(days=30)
OTHER = Ledger("other", DIRECT.api, DIRECT.stream, DIRECT.source)


@pytest.fixture(params=["sqlite", "ndjson", "parquet"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A sink of two accounts, each with an order of long ago; one has a fresh one as well."""
    if request.param == "parquet":
        pytest.importorskip("vendororders_async.sinks.parquet")  # here, for it blocks
    url = f"{request.param}:{tmp_path / 'store'}"
    asyncio.run(_fill(url))
    return url


async def _fill(url: str) -> None:
    async with open_sink(url, now=lambda: NOW) as sink:
        assert isinstance(sink, PurgeableSink)
        fresh = direct("F1", now() - timedelta(hours=1), canary="FRESH")
        await store(sink, page(direct("A1"), fresh))
        await store(sink, page(direct("A1"), ledger=OTHER))


def run(*arguments: str) -> int:
    """Run the command, and return its exit code."""
    with pytest.raises(SystemExit) as ended:
        main(["purge", *arguments])
    assert isinstance(ended.value.code, int)

    return ended.value.code


@contextmanager
def locked(url: str) -> Iterator[None]:
    """Hold an account as a run does, in a loop that stands still meanwhile."""
    sink = open_sink(url)
    lock = sink.lock("acme-us")
    with asyncio.Runner() as runner:
        runner.run(_entered(sink, lock))
        yield
        runner.run(_left(lock, sink))


async def _entered(*contexts: AbstractAsyncContextManager[object]) -> None:
    for context in contexts:
        await context.__aenter__()


async def _left(*contexts: AbstractAsyncContextManager[object]) -> None:
    for context in contexts:
        await context.__aexit__(None, None, None)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Keep a reading transaction open."""
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM purchase_orders").fetchone()
        yield
        reader.execute("ROLLBACK")


def test_people_are_forgotten_past_an_age(
    url: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Of all accounts, one line each; a second time there is nothing left to do."""
    codes = [run("--to", url, "--pii-older-than", "30d") for _ in range(2)]
    out, err = capfd.readouterr()

    assert codes == [0, 0]
    assert out == ""
    assert err.splitlines() == [
        "acme-us: 1 orders, 0 older versions, 0 in quarantine redacted",
        "other: 1 orders, 0 older versions, 0 in quarantine redacted",
        "acme-us: 0 orders, 0 older versions, 0 in quarantine redacted",
        "other: 0 orders, 0 older versions, 0 in quarantine redacted",
    ]
    assert files_with(tmp_path) == []
    assert files_with(tmp_path, "FRESH") != []


def test_accounts_are_chosen_by_pattern_for_their_people(
    url: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The others are not touched, and --quiet says nothing."""
    codes = [
        run("--to", url, "--pii-older-than", "30d", "--account", "acme-*", "--quiet"),
        run("--to", url, "--pii-older-than", "30d", "--dry-run"),
    ]
    err = capfd.readouterr().err

    assert codes == [0, 0]
    assert err.splitlines() == [
        "acme-us: 0 orders, 0 older versions, 0 in quarantine would be redacted",
        "other: 1 orders, 0 older versions, 0 in quarantine would be redacted",
    ]
    assert files_with(tmp_path) != []


def test_an_account_goes_by_its_very_name(
    url: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A dry run says what would go; then it is gone, and the sink knows it no longer."""
    codes = [run("--to", url, "--account", "acme-us", "--dry-run") for _ in range(1)]
    before = files_with(tmp_path, "FRESH")
    codes += [run("--to", url, "--account", "acme-us") for _ in range(2)]
    err = capfd.readouterr().err

    assert codes == [0, 0, 1]
    assert before != []
    assert err.splitlines() == [
        "acme-us: 2 orders, 0 older versions, 0 in quarantine would be removed",
        "acme-us: 2 orders, 0 older versions, 0 in quarantine removed",
        f"vendororders: {url} knows no account 'acme-us'",
    ]
    assert files_with(tmp_path, "FRESH") == []
    assert files_with(tmp_path) != []


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ([], 2),
        (["--dry-run"], 2),
        (["--account", "acme-*"], 2),
        (["--account", "acme-us", "--account", "?ther"], 2),
        (["--pii-older-than", "soon"], 2),
        (["--pii-older-than", "9999999d"], 2),
        (["--account", "nobody"], 1),
        (["--account", "acme-us", "--account", "nobody"], 1),
        (["--pii-older-than", "1s", "--account", "no*"], 1),
    ],
)
def test_what_is_not_meant_is_not_done(
    url: str, tmp_path: Path, arguments: list[str], code: int
) -> None:
    """Deleting by a slip is made hard: not by pattern, not without a name, not half."""
    assert run("--to", url, *arguments) == code
    assert files_with(tmp_path, "FRESH") != []
    assert files_with(tmp_path) != []


def test_a_bucket_forgets_as_a_folder_does(capfd: pytest.CaptureFixture[str]) -> None:
    """People past an age, then an account; and nothing that is said shows the secret key."""
    with s3_server() as s3:
        url = s3.bucket(bucket := f"bucket-{uuid4().hex}")
        asyncio.run(_fill(url))
        codes = [run("--to", url, "--pii-older-than", "30d")]
        left = [objects_with(s3.system(), bucket, one) for one in ("CANARY", "FRESH")]
        codes += [run("--to", url, "--account", "acme-us") for _ in range(2)]
        left.append(objects_with(s3.system(), bucket, "FRESH"))
    said = capfd.readouterr().err

    assert codes == [0, 0, 1]
    assert [len(one) for one in left] == [0, 1, 0]
    assert said.splitlines()[:-1] == [
        "acme-us: 1 orders, 0 older versions, 0 in quarantine redacted",
        "other: 1 orders, 0 older versions, 0 in quarantine redacted",
        "acme-us: 2 orders, 0 older versions, 0 in quarantine removed",
    ]
    assert said.endswith(" knows no account 'acme-us'\n")
    assert SECRET not in said


@pytest.mark.parametrize("what", [["--pii-older-than", "1s"], ["--account", "acme-us"]])
def test_a_running_job_is_not_interfered_with(
    url: str, what: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    """An account that a run holds is named and left; a dry run does not mind."""
    with locked(url):
        codes = [run("--to", url, *what, *more) for more in (["--dry-run"], [])]
    said = capfd.readouterr().err

    assert codes == [0, 3]
    assert "account acme-us in" in said
    assert "is being written by another run" in said
    assert ("other: 1 orders, 0 older versions, 0 in quarantine redacted" in said) is (
        "--account" not in what
    )


def windows_in(url: str, account: str) -> Path:
    """Return the one file of a store that holds an account's orders."""
    kind, _, root = url.partition(":")
    [file] = Path(root).glob(f"{account}*/*/*/2*.{kind}")
    return file


@pytest.mark.parametrize("url", ["ndjson", "parquet"], indirect=True)
def test_a_damaged_file_is_named_and_stops_nothing_else(
    url: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Both ways out of it help: the file is deleted, or the account."""
    damaged = windows_in(url, "acme-us")
    damaged.write_bytes(damaged.read_bytes()[:-20])
    codes = [run("--to", url, "--pii-older-than", "30d", *more) for more in (["--dry-run"], [])]
    said = capfd.readouterr().err.splitlines()
    whole = windows_in(url, "other")
    people = files_with(whole.parent)
    codes += [run("--to", url, "--account", "acme-us")]
    codes += [run("--to", url, "--pii-older-than", "30d")]

    assert codes == [3, 3, 0, 0]
    assert people == []
    assert [one.endswith("move the file away and backfill again") for one in said] == [
        False,
        True,
        False,
    ] * 2
    assert said[3:] == [
        "acme-us: 0 orders, 0 older versions, 0 in quarantine redacted",
        f"vendororders: {said[4].removeprefix('vendororders: ')}",
        "other: 1 orders, 0 older versions, 0 in quarantine redacted",
    ]
    assert str(damaged) in said[4]
    assert files_with(tmp_path, "FRESH") == []


@pytest.mark.parametrize("url", ["ndjson", "parquet"], indirect=True)
def test_a_store_that_nobody_can_write_is_no_partial_success(
    url: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """As on a read-only disk, 1: nothing could be done; and 3 where somebody was forgotten."""
    locks = tmp_path / "store" / ".locks"
    (locks / f"{safe_name('acme-us')}.lock").mkdir(parents=True)
    codes = [run("--to", url, "--pii-older-than", "30d")]
    shutil.rmtree(locks)
    locks.touch()
    codes += [run("--to", url, "--pii-older-than", "1s")]
    said = capfd.readouterr().err.splitlines()

    assert codes == [3, 1]
    assert [one.startswith("vendororders: cannot lock account") for one in said] == [
        *(True, False),  # and of the second purge the first account alone
        True,
    ]


def test_a_reader_of_the_database_is_told_of(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """What was purged is gone for all who ask, but not yet from the file: 3, until then."""
    path = tmp_path / "orders.db"
    asyncio.run(_fill(f"sqlite:{path}"))
    with reading(path):
        codes = [run("--to", f"sqlite:{path}", "--account", "acme-us")]
    said = capfd.readouterr().err
    codes.append(run("--to", f"sqlite:{path}", "--account", "acme-us"))

    assert codes == [3, 0]
    assert "2 orders" in said
    assert "run the purge again" in said
    assert files_with(tmp_path, "FRESH") == []


@pytest.mark.parametrize("more", [[], ["--dry-run"]])
def test_a_sink_that_keeps_nothing_has_nothing_to_forget(
    more: list[str], tmp_path: Path
) -> None:
    """Standard output is wrong use, and a store that is not there is not made for it."""
    assert run("--to", "ndjson:-", "--pii-older-than", "30d", *more) == 2
    assert run("--to", f"sqlite:{tmp_path}/none", "--pii-older-than", "30d", *more) == 1
    assert run("--to", f"ndjson:{tmp_path}/none", "--pii-older-than", "30d", *more) == 1
    assert run("--to", f"parquet:{tmp_path}/none", "--pii-older-than", "30d", *more) == 1
    assert list(tmp_path.iterdir()) == []


async def test_it_is_there_in_python(url: str) -> None:
    """The same, as values."""
    by_age = await purge(url, pii_older_than=AGE, accounts=["acme-*"])
    by_name = await purge(url, accounts=["acme-us", "other"], dry_run=True)

    assert by_age == PurgeSummary((AccountPurge("acme-us", Purged(order_count=1)),))
    assert by_age.complete
    assert [one.purged.order_count for one in by_name.accounts] == [2, 1]


async def test_age_is_counted_from_now(url: str) -> None:
    """The clock is an argument."""
    early = await purge(url, pii_older_than=AGE, now=lambda: YOUNG, dry_run=True)

    assert [one.purged.order_count for one in early.accounts] == [0, 0]


@pytest.mark.parametrize("age", [None, AGE], ids=["all of it", "people"])
async def test_a_name_comes_before_a_pattern(url: str, age: timedelta | None) -> None:
    """An account that is called like a pattern can go, and takes nobody with it."""
    async with open_sink(url, now=lambda: NOW) as sink:
        assert isinstance(sink, PurgeableSink)
        for name in ("acme [de]*", "acme d-us"):
            ledger = Ledger(name, DIRECT.api, DIRECT.stream, DIRECT.source)
            await store(sink, page(direct("A1"), ledger=ledger))
    done = await purge(url, accounts=["acme [de]*"], pii_older_than=age)

    assert [one.account for one in done.accounts] == ["acme [de]*"]
    assert done.complete


async def test_what_cannot_be_meant_is_an_error(url: str) -> None:
    """Each with the error that the command's exit code comes from."""
    with pytest.raises(InvalidArgument, match="say what is to go"):
        await purge(url)
    with pytest.raises(InvalidArgument, match="name each of them exactly"):
        await purge(url, accounts=["acme-*"])
    with pytest.raises(InvalidArgument, match="nothing is as old"):
        await purge(url, pii_older_than=timedelta(days=9_999_999))
    with pytest.raises(ConfigurationError, match="keeps nothing"):
        await purge("ndjson:-", accounts=["acme-us"])
    with pytest.raises(ConfigurationError):
        await purge("csv:x", accounts=["acme-us"])
    with pytest.raises(SinkError, match="knows no account 'x'"):
        await purge(url, accounts=["x"])
