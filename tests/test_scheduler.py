"""The planner against an Amazon on paper: nothing lost, nothing claimed that is not there."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta

import pytest
from adversary import (
    BROKEN,
    DAY,
    NOW,
    SPURIOUS,
    START,
    Amazon,
    Arrange,
    Order,
    Run,
    evenly,
    orders_at,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from vendororders_async.chains import PageRequest
from vendororders_async.clock import horizon
from vendororders_async.errors import RequestError
from vendororders_async.planner import Verdict
from vendororders_async.windows import WindowSet

# What Amazon is known to do, or may: by the date it files them under or the one it shows,
# in either direction, or in no order that has to do with dates.
ARRANGED: dict[str, Arrange] = {
    "rising": list,
    "falling": lambda rows: rows[::-1],
    "shuffled": lambda rows: random.Random(len(rows)).sample(rows, len(rows)),
    "by number": lambda rows: sorted(rows, key=lambda one: one.number[::-1]),
    "as shown": lambda rows: sorted(rows, key=_shown),
    "as shown, falling": lambda rows: sorted(rows, key=_shown, reverse=True),
}
PLACED = ("evenly", "at random", "in batches", "in one second", "in an hour", "at one instant")


def _shown(order: Order) -> float:
    return order.filed if order.shown is None else order.shown


def placed(kind: str, count: int, days: float, chance: random.Random) -> list[float]:
    """Return when *count* orders become available within the first *days* days."""
    end = days * DAY
    if kind == "evenly":
        return evenly(count, 0, end)
    if kind == "in one second":
        return [int(end / 2) + chance.random() for _ in range(count)]
    if kind == "at one instant":
        return [float(int(end / 3))] * count
    if kind == "in batches":
        moments = [chance.randrange(int(end)) for _ in range(5)]
        return [
            chance.choice(moments) + chance.choice([0.0, chance.random()]) for _ in range(count)
        ]
    if kind == "in an hour":
        begin = chance.uniform(0, end)
        return [chance.uniform(begin, min(begin + 3_600, end)) for _ in range(count)]
    return [chance.uniform(0, end) for _ in range(count)]


@st.composite
def worlds(draw: st.DrawFn) -> tuple[list[Order], float, int]:
    """Draw orders, some of them late or without a date, the days they lie in, and a seed."""
    seed = draw(st.integers(0, 2**16))
    chance = random.Random(seed)
    days = draw(st.sampled_from([0.01, 1, 6, 7, 14]))
    count = draw(st.sampled_from([0, 1, 50, 101, 300, 800, 2_000]))
    late, undated = draw(st.sampled_from([(0.0, 0.0), (0.02, 0.0), (0.15, 0.0), (0.0, 1.0)]))
    orders = []
    for order in orders_at(placed(draw(st.sampled_from(PLACED)), count, days, chance)):
        shown = order.filed
        if chance.random() < late:  # placed long before it became available
            shown -= chance.uniform(0, 20 * DAY)
        orders.append(order._replace(shown=None if chance.random() < undated else shown))
    return orders, days, seed


page_sizes = st.sampled_from([(100,), (100,), (30,), (0, 100), (100, 0, 0, 7)])
latencies = st.sampled_from([0.1, 0.5, 1.0, 3.0])


@pytest.mark.parametrize("arranged", ARRANGED)
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_nothing_is_lost_whatever_the_order_of_the_answers(
    arranged: str, data: st.DataObject
) -> None:
    """Each page arrives, each window is finished, and in few more requests than needed."""
    orders, days, seed = data.draw(worlds())
    amazon = Amazon(
        orders,
        ARRANGED[arranged],
        page_sizes=data.draw(page_sizes),
        is_inclusive=data.draw(st.booleans()),
    )

    run = Run(amazon, days=days, seed=seed, latency=data.draw(latencies))

    assert run.falsely_claimed() == set()
    assert run.missing == WindowSet()


def expiring(chance: random.Random) -> Callable[[PageRequest], RequestError | None]:
    """Refuse one next token in twenty."""
    return lambda one: SPURIOUS if one.next_token and chance.random() < 0.05 else None


def broken_at(where: float, limit: int) -> Callable[[PageRequest], RequestError | None]:
    """Fail for ever on pages of more than *limit* rows of windows with the instant *where*."""
    at = START + timedelta(seconds=where)
    return lambda one: (
        BROKEN
        if one.span.window.after <= at < one.span.window.before and one.limit > limit
        else None
    )


def given_up(run: Run) -> WindowSet:
    """Return what the planner said that it leaves unread."""
    return WindowSet(one.window for one in run.failures if one.verdict in run.lost_for)


@pytest.mark.parametrize("arranged", ARRANGED)
@given(data=st.data())
@settings(max_examples=30, deadline=None)
def test_tokens_that_expire_cost_no_row(arranged: str, data: st.DataObject) -> None:
    """Also in the middle of a window that is read in parts; what is given up is told."""
    orders, days, seed = data.draw(worlds())
    amazon = Amazon(orders, ARRANGED[arranged], refuse=expiring(random.Random(seed)))

    run = Run(amazon, days=days, seed=seed, latency=data.draw(latencies))

    assert run.falsely_claimed() == set()
    assert run.missing == given_up(run)


@pytest.mark.parametrize("arranged", ARRANGED)
@given(data=st.data(), is_serving=st.booleans(), limit=st.sampled_from([0, 1, 10]))
@settings(max_examples=30, deadline=None)
def test_a_part_that_fails_for_good_is_missing_and_nothing_else(
    arranged: str, data: st.DataObject, limit: int, *, is_serving: bool
) -> None:
    """Whatever was claimed beside it has been read."""
    orders, days, seed = data.draw(worlds())
    where = data.draw(st.floats(0, days * DAY - 1))
    amazon = Amazon(orders, ARRANGED[arranged], refuse=broken_at(where, limit))

    run = Run(amazon, days=days, seed=seed, latency=data.draw(latencies), is_serving=is_serving)

    assert run.falsely_claimed() == set()
    assert run.missing == given_up(run)


@pytest.mark.parametrize("arranged", ["rising", "falling"])
@given(data=st.data())
@settings(max_examples=30, deadline=None)
def test_a_horizon_within_a_window_costs_what_lies_behind_it(
    arranged: str, data: st.DataObject
) -> None:
    """Its first page is refused, perhaps after others were split off; the rest is read."""
    orders, days, seed = data.draw(worlds())
    now = START + timedelta(days=184, seconds=data.draw(st.integers(0, int(days * DAY))))
    served = horizon(now)

    def refuse(request: PageRequest) -> RequestError | None:
        is_behind = request.span.window.query().after < served
        return SPURIOUS if is_behind and not request.next_token else None

    run = Run(
        Amazon(orders, ARRANGED[arranged], refuse=refuse),
        days=days,
        seed=seed,
        latency=data.draw(latencies),
        now=now,
    )

    assert run.falsely_claimed() == set()
    assert run.missing == given_up(run)
    assert run.lost_for <= {Verdict.BEYOND_HISTORY}
    assert all(one.before <= served + timedelta(minutes=5) for one in run.missing)


@pytest.mark.parametrize("arranged", ["rising", "falling", "shuffled"])
@given(data=st.data())
@settings(max_examples=30, deadline=None)
def test_orders_that_move_away_between_pages_are_no_reason_to_lose_others(
    arranged: str, data: st.DataObject
) -> None:
    """A change takes an order out of the past, also one that a claim leans on."""
    orders, days, seed = data.draw(worlds())

    def moves(amazon: Amazon, chance: random.Random) -> None:
        if amazon.orders and chance.random() < 0.3:
            amazon.gone.update(chance.choice(amazon.orders).number for _ in range(3))

    run = Run(
        Amazon(orders, ARRANGED[arranged]),
        days=days,
        seed=seed,
        latency=data.draw(latencies),
        happens=moves,
    )

    assert run.falsely_claimed() == set()
    assert run.missing == WindowSet()


@pytest.mark.parametrize("seed", range(8))
def test_orders_published_late_all_at_once_are_not_left_out(seed: int) -> None:
    """A batch that was placed a week before shows dates from before its window."""
    batch = [Order(0.4 * DAY, -7 * DAY, f"late {index:03}") for index in range(250)]
    single = [Order(at, at - 5 * DAY, f"single {at:.0f}") for at in evenly(40, 0, DAY)]

    run = Run(Amazon([*orders_at(evenly(3_000, 0, DAY)), *batch, *single]), seed=seed)

    assert run.splits
    assert run.falsely_claimed() == set()
    assert run.missing == WindowSet()


@pytest.mark.parametrize("seed", range(8))
def test_dense_seconds_at_the_borders_of_windows_and_of_parts_are_read(seed: int) -> None:
    """Where a cut falls beside a crowd, both neighbours see it, and none leaves it out."""
    orders = evenly(1_500, 0, 14 * DAY)
    for part in range(0, 140, 5):
        orders += [part * DAY / 10 + index / 100 for index in range(-50, 150)]
    inside = [at for at in orders if 0 <= at < 14 * DAY]

    run = Run(Amazon(orders_at(inside)), days=14, seed=seed)

    assert run.falsely_claimed() == set()
    assert run.missing == WindowSet()


def test_a_window_in_order_costs_a_page_for_each_part_at_most() -> None:
    """So that a plan that idles is what a split is paid with, not a second reading."""
    for count in (1_000, 3_000, 10_000):
        for arranged in ("rising", "falling"):
            run = Run(Amazon(orders_at(evenly(count, 0, 6 * DAY)), ARRANGED[arranged]), days=6)
            parts = sum(len(one.parts) for one in run.splits)

            assert run.request_count <= count / 100 + 1.5 * parts + 1


def test_falsehoods_are_noticed() -> None:
    """The tests above could not fail, did a run not see what was left out."""
    orders = orders_at(evenly(300, 0, DAY))
    amazon = Amazon(orders, lambda rows: rows[:100])

    run = Run(amazon, seed=0)
    unread = Run(Amazon(orders, refuse=lambda _request: BROKEN), now=NOW)

    assert run.falsely_claimed()
    assert list(unread.missing) == [unread.window]


HIDING: dict[str, Arrange] = {
    "two shards": lambda rows: sorted(rows, key=lambda one: int(one.number) % 2),
    "a tenth last": lambda rows: sorted(rows, key=lambda one: int(one.number) % 10 == 3),
    "by creation, some changed": lambda rows: sorted(rows, key=_created),
}


def _created(order: Order) -> float:
    """Return when it was created: one in thirty is changed up to five days later."""
    chance = random.Random(order.number)
    return order.filed - (chance.random() < 0.03) * chance.random() * 5 * DAY


@pytest.mark.parametrize("hiding", HIDING)
@pytest.mark.parametrize("seed", range(4))
def test_an_order_that_only_seems_to_be_that_of_the_dates_is_found_out(
    hiding: str, seed: int
) -> None:
    """What the parts beyond show of the overlap, and the part before them had not seen."""
    orders = orders_at(evenly(4_000, 0, 6 * DAY))

    run = Run(Amazon(orders, HIDING[hiding]), days=6, seed=seed)

    assert run.splits
    assert run.falsely_claimed() == set()
    assert run.missing == WindowSet()
