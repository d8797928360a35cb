"""``vendororders quarantine``: look, retry, drop."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from vendororders_async.cli import main
from vendororders_async.pages import Document, Row
from vendororders_async.sinks import open_sink
from vendororders_async.sinks.base import Arrival, Ledger
from vendororders_async.sinks.rows import digest_of
from vendororders_async.windows import Window

ASKED = datetime(2026, 11, 21, 12, tzinfo=UTC)
WINDOW = Window(ASKED - timedelta(days=1), ASKED)
GOOD = b'{"purchaseOrderNumber": "A1"}'
BAD = b'{"purchaseOrderNumber": "\xff\x00\xed\xa0\xbd\n'


@pytest.fixture(params=["sqlite", "ndjson", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A sink of two accounts: one document that decodes by now, one that does not."""
    url = f"{request.param}:{tmp_path / 'store'}"
    if request.param == "postgres":
        url = request.getfixturevalue("postgres_url")
    asyncio.run(_fill(url))
    return url


async def _fill(url: str) -> None:
    documents = [Document[Row](GOOD, reason="not\nyet"), Document[Row](BAD, reason="never")]
    async with open_sink(url) as sink:
        for account in ("acme/us", "other"):
            ledger = Ledger(account, "retail", "created", "amazon")
            await sink.write(Arrival(ledger, WINDOW, ASKED, documents))


def quarantine(*arguments: str) -> int:
    """Run the command, and return its exit code."""
    with pytest.raises(SystemExit) as ended:
        main(["quarantine", *arguments])
    assert isinstance(ended.value.code, int)

    return ended.value.code


def listed(url: str, capfd: pytest.CaptureFixture[str]) -> list[list[str]]:
    """Return account and digest of what stands there."""
    capfd.readouterr()
    assert quarantine("list", "--to", url) == 0

    lines = capfd.readouterr().out.splitlines()[1:]
    return [[line.split()[0], line.split()[3]] for line in lines]


def test_the_list_has_a_line_for_each(url: str, capfd: pytest.CaptureFixture[str]) -> None:
    """Account, API, stream, digest, reason, and since when."""
    code = quarantine("list", "--to", url, "--account", "acme*")
    lines = capfd.readouterr().out.splitlines()

    assert code == 0
    assert len(lines) == 3
    assert any(digest_of(GOOD) in line and "not yet" in line for line in lines)
    assert all(line.split()[1:3] == ["retail", "created"] for line in lines[1:])


def test_documents_are_printed_whole(
    url: str, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    """Their bytes as they came, whatever they are."""
    quarantine("list", "--to", url, "--documents")
    out = capfdbinary.readouterr().out

    assert out.count(GOOD + b"\n") == 2
    assert out.count(BAD + b"\n") == 2


def test_a_retry_stores_what_decodes(url: str, capfd: pytest.CaptureFixture[str]) -> None:
    """The rest stands, and only the chosen account is touched."""
    code = quarantine("retry", "--to", url, "--account", "acme*")
    said = capfd.readouterr().err
    [order] = asyncio.run(_orders(url))

    assert code == 0
    assert said == "1 stored, 1 still standing\n"
    assert order == ("acme/us", GOOD)
    assert [account for account, _ in listed(url, capfd)] == ["acme/us", "other", "other"]


async def _orders(url: str) -> list[tuple[str, bytes]]:
    async with open_sink(url, read_only=True) as sink:
        return [(one.account, one.document) async for batch in sink.orders() for one in batch]


def test_only_what_is_named_is_dropped(url: str, capfd: pytest.CaptureFixture[str]) -> None:
    """A digest, of one account or of all, or everything when that is said."""
    named = quarantine("drop", "--to", url, "--account", "other", digest_of(GOOD))
    after = listed(url, capfd)
    everything = quarantine("drop", "--to", url, "--all")

    assert (named, everything) == (0, 0)
    assert sorted(after) == sorted(
        [
            ["acme/us", digest_of(GOOD)],
            ["acme/us", digest_of(BAD)],
            ["other", digest_of(BAD)],
        ]
    )
    assert listed(url, capfd) == []


def test_a_drop_without_a_name_is_wrong_use(
    url: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """Neither nothing nor both; and a digest that is not there drops nothing."""
    codes = [
        quarantine("drop", "--to", url),
        quarantine("drop", "--to", url, "--all", digest_of(GOOD)),
        quarantine("drop", "--to", url, digest_of(GOOD), "no-such-digest"),
        quarantine("list", "--to", url, "--account", "nobody"),
    ]

    assert codes == [2, 2, 1, 2]
    assert len(listed(url, capfd)) == 4


def test_a_running_job_is_not_interfered_with(
    url: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """An account that is locked is left, and said; the others are done."""

    async def meanwhile(*arguments: str) -> int:
        async with open_sink(url) as sink, sink.lock("acme/us"):
            return await asyncio.to_thread(quarantine, *arguments)

    codes = [
        asyncio.run(meanwhile("retry", "--to", url)),
        asyncio.run(meanwhile("drop", "--all", "--account", "acme*", "--to", url)),
    ]

    assert codes == [3, 1]
    assert capfd.readouterr().err.count("is being written by another run") == 2
    assert len(listed(url, capfd)) == 3


@pytest.mark.parametrize("name", ["list", "retry", "drop"])
def test_a_sink_that_is_not_there_is_not_made(name: str, tmp_path: Path) -> None:
    """Every subcommand ends with 1."""
    more = ["--all"] if name == "drop" else []

    assert quarantine(name, *more, "--to", f"ndjson:{tmp_path}/none") == 1
    assert list(tmp_path.iterdir()) == []
