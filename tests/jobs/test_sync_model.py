"""Whatever happens, in whatever order: the sink comes to what Amazon has, and all is told.

Hypothesis writes the story, the simulator is the model, and `Following` compares the two.
"""

from __future__ import annotations

import logging
import tempfile
from datetime import timedelta
from pathlib import Path

import pytest
from following import Following
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from months import Step, perform
from quick_loop import run

from vendororders_async.jobs.course import Course
from vendororders_async.operations import api_named
from vendororders_async.simulator import Settings

INTERVAL = 300.0
DEEP_EVERY = timedelta(hours=1)
FAULTS = {"500": 0.01, "503": 0.01, "429": 0.01, "reset": 0.01, "truncated": 0.01}

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


async def told(folder: Path, steps: list[Step], course: Course, amazon: Settings) -> list[str]:
    """Tell a story, and return what is wrong at its end."""
    async with Following(folder, amazon, course, readers_every=600.0) as scene:
        scene.start()
        await scene.pass_time(seconds=20)  # those who read have come by then
        for step in steps:
            await perform(scene, step)
        await scene.settle()
        return scene.differences()


@pytest.mark.parametrize("api", ["retail", "direct-fulfillment"])
def test_whatever_happens_the_sink_comes_to_what_amazon_has(api: str) -> None:
    """And every version of it was told once, to whoever never went away."""
    course = Course(api=api_named(api), interval=INTERVAL, deep_every=DEEP_EVERY)
    amazon = Settings(
        orders=4,
        direct_fulfillment_orders=4,
        days=10,
        latency=0.2,
        empty_pages=0.3,
        faults=FAULTS,
    )

    @settings(
        max_examples=6,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.explicit, Phase.reuse, Phase.generate],  # they are short as they are
    )
    @given(st.lists(STEPS, min_size=1, max_size=10))
    @example([Step("outage", 1, 7.0), Step("clock", amount=24.0), Step("kill")])
    @example([Step("clock during a page", amount=-24.0), Step("arrive", amount=0.3)])
    @example([Step("acknowledge"), Step("change twice", 2), Step("arrive", amount=6.5)])
    def tell(steps: list[Step]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            assert run(told(Path(folder), steps, course, amazon)) == []

    logging.disable(logging.WARNING)  # of outages there are many
    try:
        tell()
    finally:
        logging.disable(logging.NOTSET)
