"""How near to the usage plan is a backfill? ``python -m benchmarks.bench_backfill``.

The simulator runs in a process of its own, at 10 requests a second and burst 10; each
round is a backfill into a new SQLite database, with two ways of putting the figure:
against what the plan allows for the orders received (*ideal*), and against what it allows
for the requests that were sent. ``created`` only, so that one bucket is all there is.
"""

from __future__ import annotations

import asyncio
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from vendororders_async import Account, Summary, backfill
from vendororders_async.operations import GET_PURCHASE_ORDERS

from .report import Figure, arguments, report

ORDERS, DAYS, LATENCY = 10_000, 180, 0.3
LIMIT = 1.35  # times the ideal; a static split leaves the plan idle at the end of chains
PACE_LIMIT = 1.2  # times what the plan allows for the requests sent, for the same reason


def main(given: Sequence[str] | None = None) -> None:
    """Measure and print."""
    options = arguments(__doc__ or "", given, rounds=5)
    until = datetime.now(UTC).replace(microsecond=0) - timedelta(days=9)
    with simulator() as account, tempfile.TemporaryDirectory() as folder:
        runs = [
            asyncio.run(_run(account, until, Path(folder) / f"{number}.db"))
            for number in range(options.rounds)
        ]
    plan = GET_PURCHASE_ORDERS.plan
    report(
        f"A backfill of {runs[0].orders:,} orders of 150 days, {LATENCY:g} s latency, {plan}",
        [
            Figure("seconds", "s", [run.seconds for run in runs]),
            Figure("ideal", "s", [run.ideal_seconds + LATENCY for run in runs]),
            Figure(
                "seconds / ideal",
                "times",
                [run.seconds / (run.ideal_seconds + LATENCY) for run in runs],
                LIMIT,
            ),
            Figure("requests", "", [run.requests for run in runs]),
            Figure(
                "seconds / plan for those requests",
                "times",
                [run.seconds / (plan.seconds_for(run.requests) + LATENCY) for run in runs],
                PACE_LIMIT,
            ),
            Figure("throttled (429)", "", [run.throttled for run in runs], 1),
        ],
        as_json=options.json,
    )


async def _run(account: Account, until: datetime, path: Path) -> Summary:
    summary = await backfill(
        [account],
        since=until - timedelta(days=150),
        until=until,
        to=f"sqlite:{path}",
        streams=["created"],
    )
    assert summary.complete, summary  # noqa: S101 - an incomplete run measures nothing
    await asyncio.sleep(2)  # Amazon's bucket fills again
    return summary


@contextmanager
def simulator() -> Iterator[Account]:
    """Run a simulator in a process of its own, and yield its account."""
    command = [
        *(sys.executable, "-m", "vendororders_async", "simulate", "--port=0"),
        *(f"--orders={ORDERS}", f"--days={DAYS}", f"--latency={LATENCY}"),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None  # noqa: S101 - it is piped
            lines = [process.stdout.readline() for _ in range(5)]
            words = [shlex.split(line)[1].split("=", 1) for line in lines]
            yield Account.from_env(dict(words))
        finally:
            process.terminate()


if __name__ == "__main__":
    main()
