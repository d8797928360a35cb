"""For any data, any fault mixture and any kill schedule that ends, the sink equals the truth.

Each order is there once, or its bytes are in quarantine, and the ledger claims nothing that is
not there: not at the end, and not after any of the runs.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from operator import or_
from pathlib import Path
from random import Random

import pytest
from bounded import shrunk_for
from hold import Often, Record, tried
from hypothesis import strategies as st
from quick_loop import run
from survival import Run, Story, Told, tell

from vendororders_async.simulator.faults import KINDS

SINKS = ("sqlite", "ndjson", "ndjson+gzip", "parquet")

# a second of many pages, which cannot be split, a day of them, or neither
PEAKS = st.sampled_from([{"peak_day": 0.8, "peak_second": 0.75}, {"peak_day": 0.6}, {}])
DATA = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 1_000),
        "orders": st.sampled_from([450, 450, 60, 3, 0]),
        "direct_fulfillment_orders": st.sampled_from([400, 120, 3]),
        "accounts": st.sampled_from([1, 1, 2]),
        "items": st.sampled_from([1, None]),
        "latency": st.sampled_from([0.0, 0.3, 2.0]),
        "empty_pages": st.sampled_from([0.5, 0.0]),
    },
    optional={
        "monday_batches": st.just(0.2),
        "bounds": st.sampled_from(["exclusive", "half-open", "inclusive"]),
        "default_order": st.just("DESC"),
        "next_token_seconds": st.sampled_from([0.1, 1.0]),
        "token_seconds": st.just(5.0),
        "restricted_data": st.sampled_from(["required", "refused", "gone"]),
    },
)
FAULTS = st.dictionaries(
    st.sampled_from(sorted(KINDS)), st.sampled_from([0.01, 0.05, 0.15]), max_size=5
)
RUNS = st.builds(
    Run,
    kind=st.sampled_from(["end", "kill", "kill", "kill", "cancel"]),
    at_call=st.integers(1, 40),
    turns=st.integers(0, 60),
    details=st.sampled_from(["inline", "inline", "fan-out"]),
    ahead=st.sampled_from([0.0, 0.0, -24.0, -0.02, 0.02, 24.0]),
    jumps=st.sampled_from([0.0, 0.0, -25.0, -0.1, 0.1, 25.0]),
)


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Log nothing: of faults there are many."""
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("api", ["retail", "direct-fulfillment"])
@pytest.mark.parametrize("sink", SINKS)
def test_the_sink_equals_the_truth_whatever_happened(
    sink: str, api: str, often: Often, chance: Random, figure: Record
) -> None:
    """Whatever there is to read, whatever goes wrong, and however often a run is ended."""
    stories: list[Told] = []

    def hold(story: Story) -> None:
        with tempfile.TemporaryDirectory() as folder:
            told = run(tell(Path(folder), story))
        stories.append(told)
        if told.wrong:
            figure(*row, times=len(stories), orders=told.orders, lost=len(told.wrong))
        assert told.wrong == []

    row = ("Any of it together", f"any data, faults and kills, {api} into `{sink}:`")
    cases = st.builds(
        Story,
        sink=st.just(sink),
        api=st.just(api),
        data=st.builds(or_, DATA, PEAKS),
        faults=FAULTS,
        runs=st.lists(RUNS, min_size=1, max_size=4).map(tuple),
    )
    tried(shrunk_for(often(10, 60), hold), cases, often(3, 40), by=chance)

    figure(*row, times=len(stories), orders=sum(one.orders for one in stories), lost=0)
