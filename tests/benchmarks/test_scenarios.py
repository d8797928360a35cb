"""What the pace is measured against, and the histories that are read for it."""

from __future__ import annotations

import doctest
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from benchmarks import ideal
from benchmarks.amazon import last_midnight, running
from benchmarks.bench_backfill import SCENARIOS, Scenario, read, with_arrivals
from benchmarks.bench_page import side_by_side
from benchmarks.ideal import ideal_seconds, needed_requests
from benchmarks.report import Figure
from vendororders_async.simulator import Settings, Simulator
from vendororders_async.usage import UsagePlan

PLAN = UsagePlan(rate=10, burst=10)


@pytest.mark.parametrize(
    ("days", "orders", "needed"),
    [(7, 10_000, 100), (7, 10_001, 101), (180, 20_000, 200), (180, 50, 26), (7.5, 0, 2)],
)
def test_needed_is_a_page_for_a_hundred_orders_and_a_week(
    days: float, orders: int, needed: int
) -> None:
    """Whichever is more, since a window holds a week at most and a page a hundred."""
    assert needed_requests(days, orders) == needed


@pytest.mark.parametrize(
    ("days", "orders", "seconds"), [(7, 10_000, 9.5), (180, 20_000, 19.5), (7, 500, 0.5)]
)
def test_the_ideal_is_the_burst_then_the_rate_then_one_answer(
    days: int, orders: int, seconds: float
) -> None:
    """What fits into the burst takes only as long as an answer."""
    assert ideal_seconds(days, orders, plan=PLAN, latency=0.5) == seconds


def test_its_examples_run() -> None:
    """An example that lies is worse than none."""
    outcome = doctest.testmod(ideal)

    assert outcome.attempted > 0
    assert outcome.failed == 0


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda one: one.title)
def test_all_orders_of_a_scenario_are_in_its_range(scenario: Scenario) -> None:
    """Otherwise the ideal would count orders that nobody asks for."""
    fewer = msgspec.structs.replace(scenario.settings(), orders=500, write_ahead=False)
    until = last_midnight()
    since = until - timedelta(days=scenario.history.days)

    assert len(Simulator(fewer).truth("demo", after=since, before=until)) == 500


@pytest.mark.tells("a secret", "standard output", because="a pipe to us alone has the accounts")
async def test_a_round_reads_everything_and_knows_its_requests(tmp_path: Path) -> None:
    """The simulator's process reports what came since it was last asked."""
    history = Settings(
        days=7, orders=250, anchor=last_midnight(), keep_arrivals=True, latency=0.1
    )
    with running(history) as amazon:
        run = await read(amazon.accounts, history, tmp_path / "orders.db")
        first, second = amazon.report(), amazon.report()

    assert run.summary.orders == 250
    assert len(first.arrivals) == run.summary.requests + 1  # and one for the access token
    assert not second.arrivals
    told = with_arrivals(run, first.arrivals)
    assert 0.1 <= told.login_seconds < told.summary.seconds - 0.1
    assert told.seconds == told.summary.seconds - told.login_seconds
    assert told.arrivals[0] == 0.0
    assert len(told.arrivals) == run.summary.requests


def test_the_parts_of_a_page_stand_beside_what_they_do_bare() -> None:
    """Reading and gunzipping are two parts bare and one of ours; nobody rewrites bare."""
    names = (
        "bare: aiohttp read",
        "bare: gunzip",
        "bare: msgspec decode",
        "bare: executemany",
        "bare: sum",
        "ours: read and gunzip",
        "ours: decode_page",
        "ours: sink.write, new",
        "ours: sink.write, unchanged",
        "ours: socket to SQLite, new",
        "ours: socket to SQLite, unchanged",
    )
    figures = [Figure(name, "ms", [float(2**place)]) for place, name in enumerate(names)]
    rows = {name: (bare, ours) for name, bare, ours in side_by_side(figures)}

    assert rows["read and gunzip"] == (1.0 + 2.0, 32.0)
    assert rows["store, unchanged"] == (None, 256.0)
    assert rows["socket to SQLite, new"] == (16.0, 512.0)
