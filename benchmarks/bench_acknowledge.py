"""Is an acknowledgement lost, or sent twice? ``python -m benchmarks.bench_acknowledge``.

A thousand orders are acknowledged in batches of five while a tenth of all requests fail:
with resets before and after they took effect, and with 500s before and after. Amazon's
half an hour is a few seconds here, on both sides, so that a round ends. What was applied is
counted by the simulator: an order that it applied no answer to was lost, one that it applied
more than one to was sent again without being missing.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import msgspec

from vendororders_async.acknowledgements import Draft
from vendororders_async.jobs.acknowledge import jobs_for, recording, run_together
from vendororders_async.jobs.acknowledging import AcknowledgementOutcome, Manner
from vendororders_async.jobs.submitting import Following
from vendororders_async.operations import RETAIL
from vendororders_async.simulator import Settings, Simulator
from vendororders_async.sinks import open_sink
from vendororders_async.testing import SimulatedAmazon, running
from vendororders_async.transport import Transport

from .amazon import last_midnight
from .report import Figure, arguments, report

ORDERS = 1_000
BATCH = 5
# before an effect and after it; a tenth together
FAULTS = {"reset-before": 0.025, "reset": 0.025, "500": 0.025, "500-after": 0.025}
FOLLOWING = Following(first_look=0.5, presumed_after=3.0, missing_after=4.0)
AMAZON = Settings(
    orders=ORDERS,
    days=1,  # all of them are new
    oddities=False,
    rate=200.0,
    burst=200.0,
    faults=FAULTS,
    acknowledge_seconds=1.0,
)


class Run(msgspec.Struct, frozen=True):
    """How a round came out."""

    seconds: float
    outcomes: Sequence[AcknowledgementOutcome]
    applied: Counter[str]
    request_count: int


def main(given: Sequence[str] | None = None) -> bool:
    """Measure and print; return whether all is within its limits."""
    options = arguments(__doc__ or "", given, rounds=3)
    runs = [_round(seed) for seed in range(options.rounds)]
    title = f"{ORDERS} acknowledgements, {sum(FAULTS.values()):.0%} of requests fail"
    return report(title, _figures(runs), as_json=options.json)


def _round(seed: int) -> Run:
    simulator = Simulator(msgspec.structs.replace(AMAZON, seed=seed, anchor=last_midnight()))
    with running(simulator) as amazon, tempfile.TemporaryDirectory() as folder:
        return asyncio.run(_acknowledge(amazon, Path(folder) / "orders.db"))


async def _acknowledge(amazon: SimulatedAmazon, path: Path) -> Run:
    numbers = amazon.simulator.truth(amazon.account.name)
    drafts = [Draft(api="retail", purchase_order_number=one, where=one) for one in numbers]
    manner = Manner(api=RETAIL, batch=BATCH, following=FOLLOWING)
    began_at = time.monotonic()
    async with open_sink(f"sqlite:{path}") as sink, Transport() as transport:
        [job] = jobs_for([(amazon.account, drafts)], recording(sink), transport, manner)
        await run_together([job], manner)
    applied = Counter(
        one["purchaseOrderNumber"]
        for submitted in amazon.simulator.acknowledgements
        for one in submitted.body["acknowledgements"]
    )
    return Run(
        time.monotonic() - began_at,
        job.outcomes(),
        applied,
        len(amazon.simulator.acknowledgements),
    )


def _figures(runs: Sequence[Run]) -> list[Figure]:
    return [
        Figure("seconds", "s", [run.seconds for run in runs]),
        Figure("submissions that arrived", "", [run.request_count for run in runs]),
        Figure("lost", "orders", [ORDERS - len(run.applied) for run in runs], 0),
        Figure(
            "sent again without being missing",
            "orders",
            [sum(count > 1 for count in run.applied.values()) for run in runs],
            0,
        ),
        Figure(
            "without an outcome",
            "orders",
            [sum(not one.is_settled for one in run.outcomes) for run in runs],
            0,
        ),
    ]


if __name__ == "__main__":
    sys.exit(not main())
