"""The printer of the benchmarks: what is over its limit is said, and told to the caller."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest

from benchmarks.__main__ import run_all
from benchmarks.report import Figure, machine, report

FAST = Figure("seconds / ideal", "times", [1.0, 1.1, 1.4], limit=1.15)
SLOW = Figure("seconds / ideal", "times", [1.0, 1.2, 1.1, 1.2], limit=1.14)


def test_the_median_decides(capsys: pytest.CaptureFixture[str]) -> None:
    """One slow round of three is the spread, and no verdict."""
    within = report("Pace", [FAST], as_json=False)

    assert within
    row = capsys.readouterr().out.splitlines()[-1]
    assert row.split() == ["seconds", "/", "ideal", "1.100", "1.000", "1.400", "1.15", "times"]


@pytest.mark.parametrize("as_json", [False, True])
def test_one_figure_over_its_limit_is_enough(
    capsys: pytest.CaptureFixture[str], *, as_json: bool
) -> None:
    """The verdict stands in its row, and all of the table is not within."""
    within = report("Pace", [SLOW, FAST, Figure("seconds", "s", [99.0])], as_json=as_json)

    assert not within
    printed = capsys.readouterr().out
    if as_json:
        rows = msgspec.json.decode(printed)["figures"]
        assert [one["over"] for one in rows] == [True, False, False]
    else:
        verdicts = [line.endswith("OVER") for line in printed.splitlines()[-3:]]
        assert verdicts == [True, False, False]


def test_a_limit_may_be_reached() -> None:
    """At most, and not less than."""
    assert not Figure("token requests", "", [1.0], limit=1).is_over
    assert Figure("throttled", "", [1.0], limit=0).is_over


def test_what_it_was_measured_on_is_said() -> None:
    """Whoever reads a figure knows the processor's cores, and whose versions they are."""
    line = machine()

    assert all(name in line for name in ("cores", "Python 3.", "aiohttp ", "SQLite 3."))


def test_all_benchmarks_run_and_the_exit_code_tells() -> None:
    """One that is over its limits keeps no other from running, and is not forgotten."""
    calls: list[str] = []

    def over(given: Sequence[str]) -> bool:
        calls.extend(given)
        return False

    def within(given: Sequence[str]) -> bool:
        calls.extend(given)
        return True

    assert run_all([over, within], ["--json"]) == 1
    assert calls == ["--json", "--json"]
    assert run_all([within], []) == 0
