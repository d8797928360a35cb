"""``vendororders status``: what a sink holds, for people and for scripts."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from vendororders_async.cli import main
from vendororders_async.cli.status import REQUEST_HEADINGS, STREAM_HEADINGS, age, ranges
from vendororders_async.jobs.holdings import stream_holding
from vendororders_async.models.retail_procurement import Order
from vendororders_async.pages import decode_document
from vendororders_async.sinks import open_sink
from vendororders_async.sinks.base import Arrival, Ledger, StreamState
from vendororders_async.sinks.followed import FollowedSink
from vendororders_async.windows import FinishedWindow, Window

START = datetime(2026, 11, 1, tzinfo=UTC)
DAY = timedelta(days=1)
SCHEMAS = sorted((Path(__file__).parents[1] / "sinks").glob("version_*.sql"))
LEDGER = Ledger("acme\nus [red]", "retail", "created", "amazon")


def days(after: int, before: int) -> Window:
    """Return a window of whole days."""
    return Window(START + after * DAY, START + before * DAY)


@pytest.fixture(params=["sqlite", "ndjson"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A sink with a gap, an order, an error and something in quarantine."""
    url = f"{request.param}:{tmp_path / 'store'}"
    asyncio.run(_fill(url))
    return url


async def _fill(url: str) -> None:
    documents = [
        decode_document(raw, Order) for raw in (b'{"purchaseOrderNumber": "A1"}', b"\xff")
    ]
    async with open_sink(url) as sink:
        for window in (days(0, 2), days(2, 3), days(5, 6)):
            await sink.begin(LEDGER, window)
            await sink.write(Arrival(LEDGER, window, START, documents))
            await sink.finish(LEDGER, FinishedWindow(window, START))
        await sink.ended(LEDGER, covered_until=None, error="no answer")


def status(*arguments: str) -> int:
    """Run the command, and return its exit code."""
    with pytest.raises(SystemExit) as ended:
        main(["status", *arguments])
    assert isinstance(ended.value.code, int)

    return ended.value.code


def test_people_read_a_table(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Ranges, gaps, freshness, error, orders and quarantine, a line each."""
    code = status("--to", url)
    lines = capsys.readouterr().out.splitlines()

    assert code == 0
    assert lines[0].split() == [*STREAM_HEADINGS[:5], "last", "success", "error"]
    assert lines[1].startswith("acme us [red]  retail  created  2026-11-01 to 2026-11-04, ")
    assert "  2026-11-04 to 2026-11-06  " in lines[1]
    assert "s ago (" in lines[1]
    assert lines[1].endswith("no answer")
    assert lines[-1].split() == ["acme", "us", "[red]", "retail", "1", "1"]


def test_scripts_read_json(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The same as one object, with names that say what they are."""
    code = status("--to", url, "--json")
    found = json.loads(capsys.readouterr().out)
    [stream] = found["streams"]

    assert code == 0
    assert found["accounts"] == [
        {"account": "acme\nus [red]", "api": "retail", "orders": 1, "quarantine": 1}
    ]
    assert [one["after"] for one in stream["gaps"]] == ["2026-11-04T00:00:00Z"]
    assert [one["before"] for one in stream["covered"]] == [
        "2026-11-04T00:00:00Z",
        "2026-11-07T00:00:00Z",
    ]
    assert stream["covered_until"] == "2026-11-04T00:00:00Z"
    assert 0 <= stream["age_seconds"] < 60
    assert stream["last_error"] == "no answer"


@pytest.mark.parametrize("kind", ["sqlite", "ndjson"])
def test_a_sink_that_is_not_there_is_an_error(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It ends with 1 and a line, and nothing is made."""
    code = status("--to", f"{kind}:{tmp_path}/none")

    assert code == 1
    assert capsys.readouterr().err == f"vendororders: there is no {tmp_path}/none\n"
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_no_database(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is there, and something else."""
    code = status("--to", f"sqlite:{tmp_path}")

    assert code == 1
    assert capsys.readouterr().err == f"vendororders: {tmp_path} is no file\n"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql:/u:hunter2@127.0.0.1/x", "…"),
        ("postgres//u:hunter2@h/x", "…"),
        ("host=h password=hunter2", "…"),
        ("odd://u:hunter2@h/x", "odd://u@h/x"),
        ("sqllite:orders.db", "sqllite:orders.db"),
    ],
)
def test_a_mistyped_sink_is_told_without_its_password(
    url: str, shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever is certainly none is quoted."""
    assert status("--to", url) == 2
    assert capsys.readouterr().err.startswith(f"vendororders: no such sink: {shown!r}; use ")


def test_a_sink_that_cannot_be_looked_into_is_wrong_use() -> None:
    """Standard output and unknown kinds end with 2."""
    assert status("--to", "ndjson:-") == 2
    assert status("--to", "xml:orders") == 2


def test_a_running_job_is_not_disturbed(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """While an account is locked, its status is told all the same."""

    async def look_meanwhile() -> int:
        async with open_sink(url) as sink, sink.lock(LEDGER.account):
            return await asyncio.to_thread(status, "--to", url)

    assert asyncio.run(look_meanwhile()) == 0
    assert "created" in capsys.readouterr().out


def test_an_empty_sink_has_nothing_to_show(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only the headings."""

    async def make() -> None:
        async with open_sink(f"sqlite:{tmp_path}/empty.db"):
            pass

    asyncio.run(make())
    code = status("--to", f"sqlite:{tmp_path}/empty.db")

    assert code == 0
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_a_stream_that_never_succeeded_has_no_age() -> None:
    """Nothing is made up where nothing is known."""
    holding = stream_holding(StreamState(LEDGER, (), last_error="refused"), START)

    assert (holding.covered, holding.gaps, holding.age_seconds) == ((), (), None)


def test_what_following_costs_is_told_as_a_share_of_the_plan(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """360 requests an hour are a hundredth of ten a second; of what is unknown none is told."""
    rates = {"getPurchaseOrders": 360.0, "somethingElse": 1.0}
    url = f"sqlite:{tmp_path}/followed.db"

    async def follow() -> None:
        async with open_sink(url) as sink:
            assert isinstance(sink, FollowedSink)
            await sink.note_requests("acme", "retail", rates, datetime.now(UTC))

    asyncio.run(follow())
    status("--to", url, "--json")
    told = json.loads(capsys.readouterr().out)["requests"]
    status("--to", url)
    *_, headings, listed, unknown = capsys.readouterr().out.splitlines()

    assert {one["operation"]: one["share_of_plan"] for one in told} == {
        "getPurchaseOrders": 0.01,
        "somethingElse": None,
    }
    assert headings.split() == " ".join(REQUEST_HEADINGS).split()
    assert listed.split()[:6] == [
        "acme",
        "retail",
        "getPurchaseOrders",
        "360",
        "requests",
        "1.0%",
    ]
    assert unknown.split()[2:6] == ["somethingElse", "1", "requests", "-"]


@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda path: path.stem)
def test_a_store_of_an_older_version_shows_what_it_has(
    schema: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It does not know what following costs; all the rest it does, and is left as it is."""
    path = tmp_path / "old.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(f"{schema.read_text(encoding='utf-8')}")
        connection.execute(
            "INSERT INTO account_streams VALUES ('acme', 'retail', 'created', 'amazon', "
            "NULL, NULL, 'no answer')"
        )
        connection.commit()
    content = path.read_bytes()
    code = status("--to", f"sqlite:{path}")
    told = capsys.readouterr()

    assert (code, told.err) == (0, "")
    assert told.out.splitlines()[1].endswith("no answer")
    assert REQUEST_HEADINGS[2] not in told.out
    assert path.read_bytes() == content


def test_many_ranges_are_summed_up() -> None:
    """The first and the last two are enough for a table."""
    windows = tuple(days(2 * number, 2 * number + 1) for number in range(7))

    assert ranges(windows).count(" to ") == 4
    assert "3 more" in ranges(windows)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-1.0, "0 s"), (59, "59 s"), (61, "1 min"), (7300, "2 h"), (1e6, "11 d")],
)
def test_an_age_is_told_in_its_largest_unit(seconds: float, words: str) -> None:
    """Also a negative one, by clocks that differ."""
    assert age(seconds) == words
