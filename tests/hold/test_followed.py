"""Whatever happens, in whatever order: the sink comes to what Amazon has, and all is told.

Hypothesis writes the story, the simulator is the model, and `Following` compares the two.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from bounded import shrunk_for
from following import Following
from hold import Often, Record, tried
from hypothesis import strategies as st
from months import Step, perform
from quick_loop import run

from vendororders_async.jobs.course import Course
from vendororders_async.operations import api_named
from vendororders_async.simulator import Settings
from vendororders_async.simulator.faults import BAD_ORDER_KINDS, KINDS

INTERVAL = 300.0
DEEP_EVERY = timedelta(hours=1)

# Amazon's side: a few orders are met again and again, so that what happens to one piles up
ORDERS = st.integers(0, 3)
MOVES = st.builds(
    Step,
    st.sampled_from(
        [
            "change",
            "change before a page",
            "change during a page",
            "acknowledge",
            "receive",
            "close",
            "cancel",
        ]
    ),
    ORDERS,
)
ARRIVALS = st.builds(
    Step, st.just("arrive"), amount=st.sampled_from([0.0, 0.0, 0.005, 0.3, 3.0, 6.5])
)
STEPS = st.one_of(
    MOVES,
    MOVES,
    ARRIVALS,
    st.builds(Step, st.just("arrive at a page")),
    st.builds(Step, st.just("change twice"), ORDERS, st.sampled_from([0.0, 0.3, 40.0])),
    st.builds(Step, st.just("pass"), amount=st.sampled_from([0.1, 1.0, 30.0, 300.0])),
    st.builds(Step, st.just("pass"), amount=st.sampled_from([5_000.0, 20_000.0, 90_000.0])),
    # and what befalls us
    st.builds(Step, st.just("outage"), ORDERS, st.sampled_from([0.05, 0.5, 7.0])),
    st.builds(
        Step,
        st.sampled_from(["clock", "clock during a page"]),
        amount=st.sampled_from([-24.0, -1.0, 0.0, 1.0, 24.0]),
    ),
    st.builds(Step, st.sampled_from(["restart", "kill", "kill", "backfill", "once"])),
)


# The ways in which it ends well at last; a document that is spoilt stays in quarantine.
FAULTS = st.dictionaries(
    st.sampled_from(sorted(KINDS - {"403", "bad-order", *BAD_ORDER_KINDS})),
    st.sampled_from([0.005, 0.02]),
    max_size=4,
)
# A history of several pages a window, most of it within a second; or a few orders alone.
DENSE: dict[str, Any] = {
    "orders": 260,
    "direct_fulfillment_orders": 4,
    "peak_day": 0.97,
    "peak_second": 0.96,
    "items": 1,
}
FEW: dict[str, Any] = {"orders": 4, "direct_fulfillment_orders": 4}
EXAMPLES = (
    (Step("outage", 1, 7.0), Step("clock", amount=24.0), Step("kill")),
    (Step("clock during a page", amount=-24.0), Step("arrive", amount=0.3)),
    (Step("acknowledge"), Step("change twice", 2), Step("arrive", amount=6.5)),
)


async def told(
    folder: Path, steps: Iterable[Step], course: Course, amazon: Settings
) -> tuple[list[str], int]:
    """Tell a story; return what is wrong at its end, and how many orders there are."""
    async with Following(folder, amazon, course, readers_every=600.0) as scene:
        scene.start()
        await scene.pass_time(seconds=20)  # those who read have come by then
        for step in steps:
            await perform(scene, step)
        await scene.settle()
        return scene.differences(), len(scene.amazon.numbers())


@pytest.mark.parametrize("api", ["retail", "direct-fulfillment"])
def test_whatever_happens_the_sink_comes_to_what_amazon_has(
    api: str, often: Often, chance: Random, figure: Record
) -> None:
    """And every version of it was told once, to whoever never went away."""
    course = Course(api=api_named(api), interval=INTERVAL, deep_every=DEEP_EVERY)
    row = (
        "Any of it together",
        f"any life of orders, faults and kills while `sync` follows, {api}",
    )
    compared: list[int] = []

    def tell(story: tuple[tuple[Step, ...], dict[str, float], dict[str, Any]]) -> None:
        steps, faults, history = story
        amazon = Settings(
            **history,
            days=10,
            latency=0.2,
            empty_pages=0.3,
            faults=faults,
        )
        with tempfile.TemporaryDirectory() as folder:
            wrong, orders = run(told(Path(folder), steps, course, amazon))
        compared.append(orders)
        if wrong:
            figure(*row, times=len(compared), orders=orders, lost=len(wrong))
        assert wrong == []

    logging.disable(logging.WARNING)  # of outages there are many
    try:
        for steps, history in zip(EXAMPLES, (FEW, FEW, DENSE), strict=True):
            faults = {"500": 0.01, "429": 0.01, "reset": 0.01, "truncated": 0.01}
            tell((steps, faults, history))
        stories = st.lists(STEPS, min_size=1, max_size=10).map(tuple)
        cases = st.tuples(stories, FAULTS, st.sampled_from([FEW, FEW, FEW, DENSE]))
        tried(shrunk_for(often(10, 60), tell), cases, often(3, 25), by=chance)
    finally:
        logging.disable(logging.NOTSET)

    figure(*row, times=len(compared), orders=sum(compared), lost=0)
