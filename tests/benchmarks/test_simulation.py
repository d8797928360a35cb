"""The planner on paper: it must not flatter, or the benchmark over it says nothing."""

from __future__ import annotations

import doctest
from types import ModuleType

import pytest

from benchmarks import histories, simulation
from benchmarks.bench_planner import LATENCIES, ORDERS, Case, measure
from benchmarks.histories import DAY, EVEN_WEEK, HISTORIES, MONDAYS, ONE_DAY, PEAK, History
from benchmarks.ideal import ideal_seconds, needed_requests
from benchmarks.simulation import ANSWERS, PLAN, Permits, Simulation
from vendororders_async.usage import UsagePlan


@pytest.mark.parametrize("module", [histories, simulation], ids=lambda one: one.__name__)
def test_their_examples_run(module: ModuleType) -> None:
    """An example that lies is worse than none."""
    outcome = doctest.testmod(module)

    assert outcome.attempted > 0
    assert outcome.failed == 0


def test_permits_keep_the_margin_and_the_rate() -> None:
    """All that is ready at once leaves in a burst of one less, and then at the rate."""
    permits = Permits(UsagePlan(rate=10, burst=10))
    times = [permits.next(0.0) for _ in range(20)]

    assert times[:9] == [0.0] * 9
    assert times[9:] == pytest.approx([0.1 * count for count in range(1, 12)])


def test_permits_come_back_after_a_pause() -> None:
    """But never more of them than the burst, however long it was."""
    permits = Permits(UsagePlan(rate=10, burst=3))
    times = [permits.next(at) for at in (0, 0, 60, 60, 60)]

    assert times == pytest.approx([0, 0, 60, 60, 60.1])


@pytest.mark.parametrize("order", ANSWERS)
@pytest.mark.parametrize("replans", [True, False])
def test_a_run_on_paper_reads_everything_and_is_never_ahead_of_the_plan(
    order: str, *, replans: bool
) -> None:
    """Nothing is lost, all of the range is finished, and its requests took their permits."""
    small = History("evenly", 30, 3_000, EVEN_WEEK.placing)
    run = Simulation(
        small.orders(seed=1), 30, latency=0.5, answer=ANSWERS[order], replans=replans
    )
    result = run.run()

    assert not result.lost
    assert list(result.finished) == [run.window]
    assert result.request_count >= needed_requests(30, 3_000)
    assert result.seconds >= PLAN.with_margin().seconds_for(result.request_count) + 0.5
    assert result.seconds > ideal_seconds(30, 3_000, plan=PLAN, latency=0.5)


def test_a_static_run_splits_nothing() -> None:
    """A week of a hundred full pages is then a chain of a hundred answers."""
    result = Simulation(EVEN_WEEK.orders(seed=1), 7, latency=0.5, replans=False).run()

    assert not result.splits
    assert result.seconds > 20  # two chains, since a query is a second longer at each end
    assert result.request_count <= needed_requests(7, 10_000) + 3


@pytest.mark.parametrize("history", HISTORIES, ids=lambda one: one.title)
def test_a_history_is_as_large_as_it_says_and_lies_in_its_days(history: History) -> None:
    """Every order is placed before it appears, and appears within the range."""
    orders = history.orders(seed=3)

    assert len({number for _, _, number in orders}) == history.count
    assert all(0 <= placed <= at < history.days * DAY for at, placed, _ in orders)
    late = sum(placed < at for at, placed, _ in orders) / history.count
    assert 0.02 < late < 0.04


def test_the_skews_are_what_they_are_called() -> None:
    """Sixty per cent in a day and ten in a second, all in a day, nearly all on Mondays."""
    peak = [placed for _, placed, _ in PEAK.orders(seed=1)]
    one_day = [placed for _, placed, _ in ONE_DAY.orders(seed=1)]
    mondays = [placed for _, placed, _ in MONDAYS.orders(seed=1)]

    assert max(map(peak.count, set(peak))) >= 0.1 * len(peak)
    assert sum(placed // DAY == PEAK.days // 2 for placed in peak) >= 0.6 * len(peak)
    assert len({placed // DAY for placed in one_day}) == 1
    assert sum(placed // DAY % 7 == 0 for placed in mondays) >= 0.95 * len(mondays)


def test_the_same_seed_is_the_same_history() -> None:
    """And another seed is another."""
    assert EVEN_WEEK.orders(seed=1) == EVEN_WEEK.orders(seed=1)
    assert EVEN_WEEK.orders(seed=1) != EVEN_WEEK.orders(seed=2)


def test_every_case_is_run_with_every_seed() -> None:
    """All latencies in all orders, and what they would take without splits beside it."""
    small = History("evenly", 7, 500, EVEN_WEEK.placing)
    results = measure(2, [small])

    assert set(results) == {
        Case(small.title, order, latency) for order in ORDERS for latency in LATENCIES
    }
    assert all(len(runs) == 2 for runs in results.values())
    assert not any(one.lost_count for runs in results.values() for one in runs)
