"""Do many accounts at once take longer than one? ``python -m benchmarks.bench_accounts``.

Each account has a bucket of its own, so twenty should take as long as one. Every round
backfills one account alone and then all of them, in one process into one SQLite file.

That is 200 pages a second, so the pages are small, about 20 orders of one line in each
window of 7 days, for neither process to be the limit: the table says how much of a core
each took. The range is longer than Amazon's history, for enough such windows.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from vendororders_async.simulator import Settings

from .amazon import Amazon, last_midnight, running
from .bench_backfill import PLAN, REFILLS, Run, read
from .report import Figure, arguments, report

ACCOUNTS = 20
LIMIT = 1.15  # times one account alone
LATENCY = 0.5
HISTORY = Settings(
    accounts=ACCOUNTS,
    days=700,
    orders=2_000,
    items=1,
    latency=LATENCY,
    rate=PLAN.rate,
    burst=PLAN.burst,
    history_months=None,
    write_ahead=True,
)


class Round(msgspec.Struct, frozen=True):
    """One account alone, then all of them, and the simulator's CPU meanwhile."""

    alone: Run
    together: Run
    simulator_seconds: float

    @property
    def ratio(self) -> float:
        """How much longer all took than one."""
        return self.together.summary.seconds / self.alone.summary.seconds


def main(given: Sequence[str] | None = None) -> bool:
    """Measure and print; return whether all is within its limits."""
    options = arguments(__doc__ or "", given, rounds=5)
    # the range is longer than Amazon's history on purpose, and this is said in every run
    logging.getLogger("vendororders_async").setLevel(logging.ERROR)
    settings = msgspec.structs.replace(HISTORY, anchor=last_midnight())
    with running(settings) as amazon, tempfile.TemporaryDirectory() as folder:
        rounds = [
            _round(amazon, settings, Path(folder) / str(n)) for n in range(options.rounds)
        ]
    alls = [one.together.summary for one in rounds]
    return report(
        f"{ACCOUNTS} accounts at once, into one file, {LATENCY:g} s latency, {PLAN} each",
        [
            Figure("one alone", "s", [one.alone.summary.seconds for one in rounds]),
            Figure(f"{ACCOUNTS} at once", "s", [one.seconds for one in alls]),
            Figure("at once / alone", "times", [one.ratio for one in rounds], LIMIT),
            Figure("requests of all", "", [one.requests for one in alls]),
            Figure("requests a second", "", [one.requests / one.seconds for one in alls]),
            Figure("throttled (429)", "", [one.throttled for one in alls]),
            Figure(
                "CPU of the client",
                "% of a core",
                [
                    100 * one.together.cpu_seconds / one.together.summary.seconds
                    for one in rounds
                ],
            ),
            Figure(
                "CPU of the simulator",
                "% of a core",
                [100 * one.simulator_seconds / one.together.summary.seconds for one in rounds],
            ),
        ],
        as_json=options.json,
    )


def _round(amazon: Amazon, history: Settings, folder: Path) -> Round:
    folder.mkdir()
    alone = asyncio.run(read([amazon.account], history, folder / "one.db"))
    time.sleep(REFILLS)
    amazon.report()
    together = asyncio.run(read(amazon.accounts, history, folder / "all.db"))
    time.sleep(REFILLS)
    return Round(alone, together, amazon.report().cpu_seconds)


if __name__ == "__main__":
    sys.exit(not main())
