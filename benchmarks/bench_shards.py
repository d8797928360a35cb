"""Do shards on workers keep up with one process? ``python -m benchmarks.bench_shards``.

Sixteen accounts, once in one process, once in 8 shards on two local Dask workers of four
threads each, into one SQLite file each time; the simulator is a process of its own. Amazon's
pace decides how long an account takes, so the two should take equally long for as long as one
core can do it: what more workers bring is CPU, and here three processes share what cores
there are, so that the ratio says what Dask costs and not how it scales. Starting the cluster
is counted by itself.

Below are 1,000 and 10,000 accounts on paper; `Parts` says what it is computed from.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec

from vendororders_async import Account
from vendororders_async.distributed import Assignment, ClusterBackfill
from vendororders_async.jobs.summary import Summary
from vendororders_async.simulator import Settings

from .amazon import last_midnight, running
from .bench_backfill import PLAN, REFILLS, read
from .report import Figure, arguments, report

ACCOUNTS, SHARDS, WORKERS = 16, 8, 2
DAYS = 180
LIMIT = 1.25  # times one process, without the start of the cluster
HISTORY = Settings(
    accounts=ACCOUNTS,
    days=DAYS,
    orders=4_000,
    items=2,
    latency=0.3,
    rate=PLAN.rate,
    burst=PLAN.burst,
    history_months=None,
    write_ahead=True,
)


class Run(msgspec.Struct, frozen=True):
    """How shards came out, and how long the cluster took to start before that."""

    summary: Summary
    start_seconds: float


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """What the paper is computed from; each was measured by itself, on two cores."""

    pages: int = 600  # of an account: 20,000 orders of 180 days, in each of three streams
    operations: int = 2  # that are asked side by side
    rate: float = PLAN.rate
    latency: float = 0.5  # seconds; not measured: Amazon's is said to be that and more
    page_cpu: float = 0.0075  # seconds, full pages into SQLite: bench_page
    idle_accounts: int = 465  # that a core follows: measured before, not here
    postgres_pages: float = 88.0  # a second, full and new, of four accounts: bench_sinks
    redis_acquires: float = 50_000.0  # a second, of one server: redis-benchmark, not here
    files: int = 4_096  # that the command asks for in a process


class Paper(msgspec.Struct, frozen=True, kw_only=True):
    """What a backfill of so many accounts takes."""

    core_hours: float
    cores: float  # for all of them at the plan's pace at once
    connections: int  # the same
    redis_servers: float  # the same, with a shared limiter
    postgres_hours: float  # of one server, however many cores ask
    following_cores: float


def paper(account_count: int, parts: Parts | None = None) -> Paper:
    """Return what *account_count* accounts take.

    >>> paper(1_000).cores, paper(1_000).connections
    (150.0, 10000)
    """
    parts = parts or Parts()
    pages = account_count * parts.pages
    a_second = account_count * parts.operations * parts.rate
    return Paper(
        core_hours=pages * parts.page_cpu / 3600,
        cores=a_second * parts.page_cpu,
        connections=round(a_second * parts.latency),
        redis_servers=a_second / parts.redis_acquires,
        postgres_hours=pages / parts.postgres_pages / 3600,
        following_cores=account_count / parts.idle_accounts,
    )


def main(given: Sequence[str] | None = None) -> bool:
    """Measure and print; return whether all is within its limits."""
    options = arguments(__doc__ or "", given, rounds=3)
    settings = msgspec.structs.replace(HISTORY, anchor=last_midnight())
    alone, shared = [], []
    with running(settings) as amazon, tempfile.TemporaryDirectory() as folder:
        for number in range(options.rounds):
            place = Path(folder) / str(number)
            place.mkdir()
            alone.append(asyncio.run(read(amazon.accounts, settings, place / "one.db")).summary)
            time.sleep(REFILLS)
            shared.append(asyncio.run(_shared(amazon.accounts, settings, place)))
            time.sleep(REFILLS)
    ratios = [b.summary.seconds / a.seconds for a, b in zip(alone, shared, strict=True)]
    verdict = report(
        f"{ACCOUNTS} accounts, {SHARDS} shards on {WORKERS} Dask workers, {PLAN} each",
        [
            Figure("one process", "s", [one.seconds for one in alone]),
            Figure(f"{SHARDS} shards", "s", [one.summary.seconds for one in shared]),
            Figure("shards / one process", "times", ratios, LIMIT),
            Figure("start of the cluster", "s", [one.start_seconds for one in shared]),
            Figure("requests of all", "", [one.summary.requests for one in shared]),
            Figure("throttled (429)", "", [one.summary.throttled for one in shared]),
        ],
        as_json=options.json,
    )
    for count in (1_000, 10_000):
        verdict &= report(
            f"{count:,} accounts on paper: 180 days, 20,000 orders each, then followed",
            _on_paper(paper(count)),
            as_json=options.json,
        )
    return verdict


async def _shared(accounts: Sequence[Account], history: Settings, folder: Path) -> Run:
    """Do the same as `read` in shards, and say how long the cluster took to start."""
    until = history.anchor
    assert until is not None  # noqa: S101 - `main` has set it
    work = Assignment(
        to=f"sqlite:{folder}/shards.db",
        accounts_file=_accounts_file(folder, accounts),
        reading={
            "since": until - timedelta(days=history.days),
            "until": until,
            "streams": ["created"],
        },
    )
    names = [account.name for account in accounts]
    library: Any = import_module("distributed")
    began_at = time.monotonic()
    async with library.LocalCluster(
        n_workers=WORKERS,
        threads_per_worker=SHARDS // WORKERS,
        dashboard_address=None,
        asynchronous=True,
    ) as cluster:
        start = time.monotonic() - began_at
        job = ClusterBackfill(names, work, on=cluster.scheduler_address, shard_count=SHARDS)
        await job.run()
    summary = job.summary()
    # an incomplete run measures nothing
    assert summary.complete, summary  # noqa: S101
    assert summary.orders == history.orders * len(accounts), summary  # noqa: S101
    return Run(summary, start)


def _accounts_file(folder: Path, accounts: Sequence[Account]) -> Path:
    lines = []
    for number, account in enumerate(accounts):
        ours = account.credentials
        lines += [
            f"[applications.a{number}]",
            f'client_id = "{ours.client_id}"',
            f'client_secret = "{ours.client_secret}"',
            "[[account]]",
            f'name = "{account.name}"',
            f'application = "a{number}"',
            f'refresh_token = "{ours.refresh_token}"',
            f'endpoint = "{account.base_url}"',
            f'token_url = "{account.login_url}"',
        ]
    path = folder / "accounts.toml"
    path.touch(mode=0o600)
    path.write_text("\n".join(lines))
    return path


def _on_paper(found: Paper) -> list[Figure]:
    return [
        Figure("CPU of the backfill", "core hours", [found.core_hours]),
        Figure("one PostgreSQL server writes it in", "hours", [found.postgres_hours]),
        Figure("cores, all accounts at their plan's pace", "", [found.cores]),
        Figure("connections and files, the same", "", [found.connections]),
        Figure("Redis servers, the same", "", [found.redis_servers]),
        Figure("cores to follow them when little happens", "", [found.following_cores]),
    ]


if __name__ == "__main__":
    sys.exit(not main())
