"""Is an event lost or doubled in a month? ``python -m benchmarks.bench_month``.

Thirty days on virtual time: an account is followed while orders arrive, change and move, 200
of them published up to six days late, a hundredth of all requests fails, the sync is restarted
ten times and killed as often, Amazon is away for hours, and our clock is set. At the end the
sink is compared with the simulator, and the events with what the sink recorded, as two readers
got them: one that was always there, and one that died with the sync.
"""

from __future__ import annotations

import logging
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec

from vendororders_async.jobs.course import Course
from vendororders_async.simulator import Settings

from .report import Figure, arguments, report

# What lets months pass is shared with the tests, and lives there.
sys.path.append(str(Path(__file__).parents[1] / "tests" / "support"))

from following import Following
from months import Month, live, steps_of
from quick_loop import run

MONTH = Month(days=30, arrivals=600, late=200, moves=900, restarts=10, kills=10)
FAULTS = {"500": 0.003, "503": 0.003, "429": 0.002, "reset": 0.001, "truncated": 0.001}
AMAZON = Settings(orders=30, days=20, latency=0.2, faults=FAULTS)
COURSE = Course(interval={"created": 300.0, "changed": 600.0, "statuses": 600.0})


class Told(msgspec.Struct, frozen=True):
    """What is wrong at the end, and of how many events."""

    differences: Sequence[str]
    event_count: int


def main(given: Sequence[str] | None = None) -> bool:
    """Measure and print; return whether all is within its limits."""
    options = arguments(__doc__ or "", given, rounds=1)
    logging.getLogger("vendororders_async").setLevel(logging.CRITICAL)
    months = [_month(seed) for seed in range(options.rounds)]
    for one in months:
        for line in one.differences[:10]:
            print(line, file=sys.stderr)
    figures = [
        Figure("lost, doubled or stale", "", [len(one.differences) for one in months], 0),
        Figure("events", "", [one.event_count for one in months]),
    ]
    return report("30 days, 1% faults, 20 ends, 200 late orders", figures, as_json=options.json)


def _month(seed: int) -> Told:
    settings = msgspec.structs.replace(AMAZON, seed=seed)

    async def told(folder: Path) -> Told:
        async with Following(folder, settings, COURSE, readers_every=3600.0) as scene:
            scene.start()
            await live(scene, steps_of(MONTH, seed), MONTH.days)
            await scene.settle()
            return Told(scene.differences(), len(scene.attentive.sequences))

    with tempfile.TemporaryDirectory() as folder:
        return run(told(Path(folder)))


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
