"""How soon does a change at Amazon reach its reader? ``python -m benchmarks.bench_sync``.

Accounts are followed at their own beat, in one process into one SQLite file, while orders
arrive, change and move at a simulator in a process of its own. What counts is the time from
the moment at which something is visible there until the event is yielded here: to be seen by
the next sweep it waits half a pause on average, and the pauses are up to 15 seconds for new
orders, 30 for all else. Quiet is an account to which nothing happens.

A round is a minute of each case, after all accounts were swept once.
"""

from __future__ import annotations

import asyncio
import logging
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from vendororders_async.changes import Change
from vendororders_async.jobs.course import Course
from vendororders_async.jobs.sync import Sync
from vendororders_async.simulator import Settings

from .amazon import Amazon, running
from .report import Figure, arguments, report

ACCOUNTS = (1, 50, 400)
SECONDS = 60.0
ARRIVALS = 4_000.0  # an hour, in all accounts together
# what tells of it; what changes before it is first seen is told as new
ORDER, STATUS = ("order_created", "order_changed"), ("status_changed",)
EVENTS = {
    "created": ORDER,
    "changed": ORDER,
    "cancelled-line": ORDER,
    "acknowledged": STATUS,
    "partly-received": STATUS,
    "received": STATUS,
    "closed": STATUS,
}
# of the longest pause, and what a sweep takes on a busy machine
LIMITS = {"p50": 15.0, "p99": 33.0}
QUIET_LIMIT = 540.0  # requests an hour; 480 by the beat, and one in two minutes counts 30
CORE_LIMIT = 0.5  # of a core, at 400 accounts


class Case(msgspec.Struct, frozen=True):
    """What one case came to; *core* is the share of one that the process took."""

    waits: Sequence[float]
    core: float
    missed_count: int


def main(given: Sequence[str] | None = None) -> bool:
    """Measure and print; return whether all is within its limits."""
    options = arguments(__doc__ or "", given, rounds=1)
    logging.getLogger("vendororders_async").setLevel(logging.ERROR)
    figures = []
    for count in ACCOUNTS:
        cases = [_case(count, seed) for seed in range(options.rounds)]
        figures += _figures(count, cases)
    quiet = [_quiet(seed) for seed in range(options.rounds)]
    figures.append(Figure("an account when quiet", "requests/h", quiet, QUIET_LIMIT))
    return report("From visible to yielded", figures, as_json=options.json)


def _figures(count: int, cases: Sequence[Case]) -> list[Figure]:
    name = f"{count} account{'s' if count > 1 else ''}"
    cuts = [statistics.quantiles(one.waits, n=100) for one in cases]
    return [
        Figure(f"{name}, p50", "s", [one[49] for one in cuts], LIMITS["p50"]),
        Figure(f"{name}, p99", "s", [one[98] for one in cuts], LIMITS["p99"]),
        Figure(f"{name}, not seen in time", "events", [one.missed_count for one in cases], 0),
        Figure(f"{name}, CPU", "cores", [one.core for one in cases], CORE_LIMIT),
    ]


def _case(count: int, seed: int) -> Case:
    settings = Settings(
        seed=seed,
        accounts=count,
        orders=0,
        latency=0.1,
        arrivals_an_hour=ARRIVALS / count,
        life_speed=3_000.0,
        late_share=0.0,
        keep_happenings=True,
    )
    with running(settings) as amazon, tempfile.TemporaryDirectory() as folder:
        return asyncio.run(_follow(amazon, Path(folder) / "orders.db"))


async def _follow(amazon: Amazon, path: Path) -> Case:
    job = Sync(amazon.accounts, Course(since=_lately()), to=f"sqlite:{path}")
    seen: dict[tuple[str, str, str], list[datetime]] = {}
    running_job = asyncio.create_task(job.run())
    listening = asyncio.create_task(_listen(job, seen))
    while not _is_swept(job):  # noqa: ASYNC110 - nobody tells of it
        await asyncio.sleep(0.5)
    began_at, used = datetime.now(UTC), time.process_time()
    await asyncio.sleep(SECONDS)
    ended_at, core = datetime.now(UTC), (time.process_time() - used) / SECONDS
    await asyncio.sleep(LIMITS["p99"] + 2)
    job.stop()
    await asyncio.gather(running_job, listening)
    waits, missed_count = [], 0
    for one in amazon.report().happenings:
        if one.kind not in EVENTS or not began_at <= one.at <= ended_at:
            continue
        moments = [
            moment
            for event in EVENTS[one.kind]
            for moment in seen.get((one.account, one.number, event), ())
        ]
        after = [moment for moment in moments if moment >= one.at]
        missed_count += not after
        waits += [(min(after) - one.at).total_seconds()] if after else []
    return Case(waits, core, missed_count)


def _is_swept(job: Sync) -> bool:
    """Say whether every stream of every account was swept."""
    streams = [stream for one in job.standing().accounts for stream in one.streams]
    return bool(streams) and all(stream.watermark for stream in streams)


async def _listen(job: Sync, seen: dict[tuple[str, str, str], list[datetime]]) -> None:
    async for batch in job.changes():
        now = datetime.now(UTC)
        for change in batch:
            key = (change.account, change.purchase_order_number, _name(change))
            seen.setdefault(key, []).append(now)


def _name(change: Change) -> str:
    return str(change.__struct_config__.tag)


def _quiet(seed: int) -> float:
    """Return the requests an hour of an account to which nothing happens."""
    settings = Settings(seed=seed, orders=0, latency=0.1)
    with running(settings) as amazon, tempfile.TemporaryDirectory() as folder:
        return asyncio.run(_rest(amazon, Path(folder) / "orders.db"))


async def _rest(amazon: Amazon, path: Path) -> float:
    job = Sync(amazon.accounts, Course(since=_lately()), to=f"sqlite:{path}")
    running_job = asyncio.create_task(job.run())
    await asyncio.sleep(2 * SECONDS)  # until its pauses are as long as they get
    before = job.summary().requests
    await asyncio.sleep(2 * SECONDS)
    count = job.summary().requests - before
    job.stop()
    await running_job
    return count * 3600 / (2 * SECONDS)


def _lately() -> datetime:
    return datetime.now(UTC) - timedelta(hours=1)


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
