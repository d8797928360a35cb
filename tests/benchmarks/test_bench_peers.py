"""The comparison with other clients: losses are counted, and said, whoever has them."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import pytest

from benchmarks.bench_peers import (
    AMAZON,
    OURS,
    STORING,
    TYPED,
    Contender,
    Outcome,
    fastest_peer,
    fate,
    outcome,
    race,
    recent_weeks,
    verdicts,
)
from benchmarks.peers.contest import Score, Task, score
from vendororders_async.simulator import Arrival

QUICK = Contender("quick", "quick")


def came_out(
    *, seconds: float = 5.0, cpu: float = 1.0, lost: int = 0, error: str = ""
) -> Outcome:
    """Return how a run came out, complete unless told otherwise."""
    return Outcome(
        seconds=seconds,
        ideal_seconds=4.0,
        cpu_seconds=cpu,
        peak_mb=50.0,
        requests=60,
        throttled=0,
        failed=0,
        orders=100,
        lost=lost,
        errors=[error] if error else [],
    )


def test_an_order_received_twice_does_not_make_up_for_one_that_is_lost() -> None:
    """Losses are counted by number, against what the simulator has."""
    received = Score(1.0, 0.5, 50.0, numbers=["A", "B", "B", "strange"], errors=[])
    arrivals = [
        Arrival(at=0.0, account="demo", operation=operation, status=status)
        for operation, status in (
            ("token", 200),
            ("getPurchaseOrders", 429),
            ("getPurchaseOrders", 200),
        )
    ]
    result = outcome(received, arrivals, [["A", "B"], ["C", "D"]])

    assert (result.orders, result.lost) == (4, 2)
    assert (result.requests, result.throttled, result.failed) == (2, 1, 0)


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (came_out(), "complete"),
        (came_out(lost=1200), "lost 1,200 in silence"),
        (came_out(lost=3, error="HTTPError"), "lost 3 and raised 1: HTTPError"),
    ],
)
def test_a_loss_in_silence_is_told_from_one_that_was_raised(
    result: Outcome, words: str
) -> None:
    """It is the worse one: nobody will go back for those orders."""
    assert fate(result) == words


def test_what_came_before_a_failure_counts() -> None:
    """A client that dies on its second page keeps the first, and its error is named."""

    async def dies(task: Task, numbers: list[str]) -> Iterable[BaseException]:
        del task
        numbers.append("A")
        raise ConnectionResetError

    result = score(dies, Task("", "", "", "", "", []))

    assert (result.numbers, result.errors) == (["A"], ["ConnectionResetError"])


def test_who_loses_orders_is_not_the_fastest() -> None:
    """Ending early is quick."""
    results = {
        OURS: [came_out()],
        STORING: [came_out()],
        TYPED: [came_out(seconds=6.0)],
        QUICK: [came_out(seconds=1.0, lost=5)],
    }

    assert fastest_peer(results) == TYPED


@pytest.mark.parametrize(("cpu", "word"), [(0.125, "won"), (0.2, "NOT WON")])
def test_what_was_not_won_is_said(cpu: float, word: str) -> None:
    """The eighth of the fastest peer's CPU is won or not, in so many words."""
    results = {OURS: [came_out(cpu=cpu)], STORING: [came_out()], TYPED: [came_out()]}
    [line] = [line for line in verdicts(results) if "an eighth" in line]

    assert line.strip().startswith(word)


@pytest.mark.tells("a secret", "standard output", because="a pipe to us alone has the accounts")
@pytest.mark.parametrize("contender", [OURS, STORING], ids=lambda one: one.script)
def test_ours_reads_everything_that_the_simulator_has(contender: Contender) -> None:
    """The scripts and the simulator understand each other, in processes of their own."""
    small = msgspec.structs.replace(AMAZON, orders=300, days=30, items=1, latency=0.0)
    result = race(contender, small, recent_weeks(2))

    assert result.orders > 0
    assert result.requests >= 2
    assert (result.lost, fate(result)) == (0, "complete")
