"""Run every benchmark, one after the other; exit with 1 if a figure is over its limit."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence

from . import (
    bench_accounts,
    bench_acknowledge,
    bench_backfill,
    bench_checks,
    bench_client,
    bench_decode,
    bench_limiter,
    bench_memory,
    bench_month,
    bench_page,
    bench_peers,
    bench_planner,
    bench_requests,
    bench_shards,
    bench_shared_limiter,
    bench_sinks,
    bench_sync,
)

MAINS = (
    bench_decode.main,
    bench_client.main,
    bench_limiter.main,
    bench_shared_limiter.main,
    bench_planner.main,
    bench_backfill.main,
    bench_accounts.main,
    bench_shards.main,
    bench_acknowledge.main,
    bench_sync.main,
    bench_month.main,
    bench_requests.main,
    bench_page.main,
    bench_checks.main,
    bench_sinks.main,
    bench_memory.main,
    bench_peers.main,
)


def run_all(mains: Iterable[Callable[[Sequence[str]], bool]], given: Sequence[str]) -> int:
    """Run all *mains*, also after one that is over its limits, and return the exit code."""
    verdicts = [main(given) for main in mains]
    return 0 if all(verdicts) else 1


if __name__ == "__main__":
    sys.exit(run_all(MAINS, sys.argv[1:]))
