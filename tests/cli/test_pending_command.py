"""``vendororders pending``: what waits for an acknowledgement, for people and for scripts."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from pathlib import Path

import pytest
from pending_sink import HOUR, NOW, PendingSink, state, waiting

from vendororders_async.cli import main
from vendororders_async.cli.pending import HEADINGS, Wanted, due_words, show

FRESH = [state("acme-us", "statuses", 0.5)]


def shown(sink: PendingSink, wanted: Wanted) -> int:
    """Print what is wanted, and return the exit code."""
    return asyncio.run(show(sink, wanted))


def run(*arguments: str) -> int:
    """Run the command, and return its exit code."""
    with pytest.raises(SystemExit) as ended:
        main(["pending", *arguments])
    assert isinstance(ended.value.code, int)

    return ended.value.code


def test_people_read_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    """Account, API, number, reason, since when, until when, and how many lines."""
    code = shown(PendingSink([waiting("A2", 30), waiting("A1", 3)], FRESH), Wanted(at=NOW))
    out, err = capsys.readouterr()

    assert code == 0
    assert err == ""
    assert [line.split() for line in out.splitlines()] == [
        list(HEADINGS),
        ["acme-us", "retail", "A1", "new", "2026-11-20T15:00:00Z", "in", "3", "h", "3"],
        ["acme-us", "retail", "A2", "new", "2026-11-21T18:00:00Z", "in", "1", "d", "3"],
    ]


def test_what_is_overdue_ends_with_3(capsys: pytest.CaptureFixture[str]) -> None:
    """If it is shown: another account's is not asked for."""
    sink = PendingSink([waiting("A1", -2), waiting("A2", 3, account="acme-de")], FRESH)

    assert shown(sink, Wanted(at=NOW, due=HOUR)) == 3
    assert "overdue by 2 h" in capsys.readouterr().out
    assert shown(sink, Wanted(at=NOW, patterns=("acme-de",))) == 0


def test_nothing_pending_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """On standard error, with the limit that was asked for, and it ends with 0."""
    sink = PendingSink([waiting("A1", 30)], FRESH)
    codes = [
        shown(sink, Wanted(at=NOW, due=timedelta(hours=4))),
        shown(PendingSink([], FRESH), Wanted(at=NOW)),
    ]
    out, err = capsys.readouterr()

    assert codes == [0, 0]
    assert out == ""
    assert err.splitlines() == [
        "no order has to be acknowledged within 4 h",
        "no order has to be acknowledged",
    ]


def test_scripts_read_json(capsys: pytest.CaptureFixture[str]) -> None:
    """An array, empty where nothing is pending, and nothing else on standard output."""
    codes = [
        shown(PendingSink(orders, FRESH), Wanted(at=NOW, as_json=True))
        for orders in ([waiting("A1", -1)], [])
    ]
    first, end = json.JSONDecoder().raw_decode(out := capsys.readouterr().out)

    assert codes == [3, 0]
    assert out[end:].strip() == "[]"
    assert first == [
        {
            "account": "acme-us",
            "api": "retail",
            "purchase_order_number": "A1",
            "why": "new",
            "since": "2026-11-20T11:00:00Z",
            "answer_by": "2026-11-21T11:00:00Z",
            "unconfirmed_line_count": 3,
            "acknowledged_at": None,
        }
    ]


def test_old_knowledge_is_told_of_each_account(capsys: pytest.CaptureFixture[str]) -> None:
    """With the command that asks Amazon again; accounts that are not shown are left out."""
    states = [
        state("acme-us", "statuses", 3),
        state("acme-us", "created", 2, api="direct_fulfillment"),
        state("acme-de", "statuses", None),
        state("other", "statuses", 3),
    ]
    shown(PendingSink([waiting("A1", 3)], states), Wanted(at=NOW, patterns=("acme-*",)))

    de, df, retail = capsys.readouterr().err.splitlines()

    assert de.startswith("vendororders: acme-de: its statuses were never read; ")
    assert "acme-us: its direct fulfillment orders were read 2 h ago" in df
    assert "`vendororders backfill --api direct-fulfillment` asks again" in df
    assert "acme-us: its statuses were read 3 h ago; `vendororders backfill` asks" in retail


@pytest.mark.parametrize(("hours", "words"), [(0, "in 0 s"), (-0.5, "overdue by 30 min")])
def test_a_due_time_is_told_as_what_is_left_of_it(hours: float, words: str) -> None:
    """Or as what it is past."""
    assert due_words(NOW + hours * HOUR, NOW) == words


@pytest.mark.parametrize("kind", ["ndjson:{}/orders", "ndjson:-"])
def test_a_sink_that_cannot_know_is_wrong_use(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line names a sink that can."""
    code = run("--to", kind.format(tmp_path))
    err = capsys.readouterr().err

    assert code == 2
    assert err.count("\n") == 1
    assert "sqlite:PATH" in err


def test_the_accounts_file_that_is_named_has_to_be_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its times to answer would be missed without a word."""
    code = run("--accounts", f"{tmp_path}/none.toml")

    assert code == 2
    assert "none.toml" in capsys.readouterr().err


def test_a_wrong_age_is_wrong_use() -> None:
    """Before anything is opened."""
    assert run("--due", "soon") == 2
