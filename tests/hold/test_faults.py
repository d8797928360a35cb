"""Every fault at every operation of every job, and mixtures of them, on virtual time.

A run ends; it says that all is there only where that is so; its ledger claims nothing that is
not; and the same run without trouble completes it. An acknowledgement is taken once.
"""

from __future__ import annotations

import tempfile
from itertools import islice
from pathlib import Path
from random import Random

import msgspec
import pytest
import quick_loop
from bounded import shrunk_for
from faulty import JOBS, tried_out
from hold import Often, Record, tried
from hypothesis import strategies as st
from trials import Cell, Trial
from troubles import (
    CLOCK,
    DIRECT_SUBMIT,
    FOR_EVER,
    OUTAGES,
    STATUSES,
    SUBMIT,
    Trouble,
    a_few,
    kinds_of,
)

from vendororders_async.simulator import KINDS, OPERATIONS

WHOLE = sorted((KINDS | {CLOCK, *OUTAGES}) - {"bad-order"})
PLACES = [(job, operation) for job, (operations, _) in JOBS.items() for operation in operations]
SUBMISSIONS = [(job, one) for job, one in PLACES if one in {SUBMIT, DIRECT_SUBMIT}]
# An acknowledgement asks for one order's status: there is no next token to go wrong
NOWHERE = {("acknowledge", STATUSES, kind) for kind in ("expired-token", "spurious-400")}
IN_DOUBT = ["500-after", "empty", "reset", "reset-body"]  # it was taken, and nobody said so

WORDS = {
    CLOCK: "our clock jumps by hours and days",
    "500-after": "500 although it was done",
    "bad-order:missing-number": "an order without its number",
    "bad-order:nan": "an order with NaN",
    "bad-order:surrogate": "an order with half a surrogate pair",
    "bad-order:utf8": "an order with invalid UTF-8",
    "empty": "200 with an empty body",
    "errors-200": "200 that carries `errors`",
    "expired-token": "next tokens that have expired",
    "gzip-bomb": "a gzip bomb",
    "hang": "no answer, ever",
    "html": "503 with HTML",
    "html-400": "400 with HTML",
    "redirect": "a redirect to another host",
    "refused": "connections refused",
    "reset": "reset after the request was done",
    "reset-before": "reset before it was done",
    "reset-body": "the connection ends within the body",
    "slow": "answers that come late",
    "spurious-400": "400 to right requests",
    "token-500": "Login with Amazon answers 500",
    "token-hang": "Login with Amazon never answers",
    "token-endless": "ever new next tokens to the same page",
    "token-loop": "next tokens that lead in a circle",
    "trickle": "a body of a byte a second",
    "truncated": "JSON that stops in the middle",
    "truncated-gzip": "gzip that stops in the middle",
}


def run(cell: Cell) -> Trial:
    """Try *cell* on a loop and in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        return quick_loop.run(tried_out(cell, Path(folder)))


def struck(cell: Cell) -> tuple[Cell, Trial]:
    """Try *cell*; where nothing went wrong so late, let it go wrong from the start."""
    trial = run(cell)
    if trial.struck or trial.wrong:
        return cell, trial
    at_once = [msgspec.structs.replace(one, after=0) for one in cell.troubles]
    earlier = msgspec.structs.replace(cell, troubles=tuple(at_once))
    return earlier, run(earlier)


def cells_of(kind: str, times: int, chance: Random) -> list[Cell]:
    """Return every place where *kind* can happen, so many times, in any order."""
    seed = chance.randrange(1000)
    cells = [
        Cell(job, (Trouble(operation, kind, times, chance.randrange(4)),), seed=seed)
        for job, operation in PLACES
        if kind in kinds_of(operation) and (job, operation, kind) not in NOWHERE
    ]
    chance.shuffle(cells)
    return cells


@pytest.mark.parametrize("kind", WHOLE)
def test_a_fault_loses_nothing_wherever_it_strikes(
    kind: str, often: Often, chance: Random, figure: Record
) -> None:
    """At each operation of each job, a few times and for ever; a few times it is outlived."""
    trials: list[tuple[Cell, Trial]] = []
    for times in (a_few(kind), FOR_EVER):
        cells = cells_of(kind, times, chance)
        tried_out = filter(lambda one: one[1].struck or one[1].wrong, map(struck, cells))
        trials += islice(tried_out, often(1, len(cells)))
    wrong = [(cell, trial.wrong) for cell, trial in trials if trial.wrong]
    figure(
        "Faults",
        WORDS.get(kind, kind),
        times=len(trials),
        orders=sum(trial.compared for _, trial in trials),
        lost=sum(len(words) for _, words in wrong),
    )

    assert wrong == []
    assert len(trials) >= often(2, 2 * len(cells))


@pytest.mark.parametrize(("job", "operation"), SUBMISSIONS)
def test_a_submission_is_taken_once(
    job: str, operation: str, often: Often, chance: Random, figure: Record
) -> None:
    """Though its answer is lost, a few times and for ever: once, not twice and not never."""
    trials = [
        (
            kind,
            times,
            run(Cell(job, (Trouble(operation, kind, times),), chance.randrange(1000))),
        )
        for kind in IN_DOUBT
        for times in (a_few(kind), FOR_EVER)[: often(1, 2)]
    ]
    wrong = [(kind, times, trial.wrong) for kind, times, trial in trials if trial.wrong]
    figure(
        "Faults",
        "acknowledgements sent, and the answer is lost in four ways",
        times=len(trials),
        orders=sum(trial.compared for _, _, trial in trials),
        lost=sum(len(words) for _, _, words in wrong),
    )

    assert wrong == []


@st.composite
def cells(draw: st.DrawFn, job: str) -> Cell:
    """Draw up to four troubles of a job's operations, a seed and a latency."""
    troubles = []
    for _ in range(draw(st.integers(1, 4))):
        operation = draw(st.sampled_from(JOBS[job][0]))
        troubles.append(
            Trouble(
                operation,
                draw(st.sampled_from(kinds_of(operation))),
                draw(st.one_of(st.integers(1, 12), st.just(FOR_EVER))),
                draw(st.integers(0, 20)),
            )
        )
    latency = draw(st.sampled_from((0.0, 0.1, 2.0)))
    return Cell(job, tuple(troubles), seed=draw(st.integers(0, 99)), latency=latency)


@pytest.mark.parametrize("job", sorted(JOBS))
def test_a_mixture_of_faults_loses_nothing(
    job: str, often: Often, chance: Random, figure: Record
) -> None:
    """Whichever meet, how often and when: hypothesis picks them, and shrinks what fails."""
    trials: list[Trial] = []

    def holds(cell: Cell) -> None:
        trials.append(run(cell))
        assert trials[-1].wrong == []

    times = often(1, 25)
    try:
        tried(shrunk_for(often(10, 60), holds), cells(job), times, by=chance)
    finally:
        figure(
            "Faults",
            "mixtures of them",
            times=len(trials),
            orders=sum(trial.compared for trial in trials),
            lost=sum(len(trial.wrong) for trial in trials),
        )

    assert len(trials) >= times


def test_every_operation_is_part_of_a_job_here() -> None:
    """A new one needs a place in the matrix."""
    assert {operation for _, operation in PLACES} == set(OPERATIONS)


def test_every_kind_can_happen_somewhere() -> None:
    """A new one is in the matrix by itself, and no row of it is empty."""
    assert {kind for _, operation in PLACES for kind in kinds_of(operation)} == set(WHOLE)
