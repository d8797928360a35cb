"""How much memory does a backfill take? ``python -m benchmarks.bench_memory``.

Five times the orders in the same 180 days, full pages of ten lines, each in a new process
that imports nothing but the client. At 200 requests a second and 0.3 s latency some sixty
pages are in flight, as many as there ever are for one account, and these are what fills the
memory: at Amazon's 10 a second it is half of that. So the smaller history is long enough
for all of them to be in flight; a shorter one takes less, which says nothing about growth.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from vendororders_async.simulator import Settings

from .amazon import last_midnight, running
from .reader import Peak, Range, read_alone
from .report import Figure, arguments, report

FEW, MANY = 20_000, 100_000  # orders
DAYS, RATE, LATENCY = 180, 200.0, 0.3
LIMIT = 200  # megabytes
# What is kept of each order, a hash to count it by, is some 100 bytes: 8 MB more for MANY.
# The rest rises in steps, whenever more pages than before happen to be decoded at once, and
# stands still for tens of thousands of orders in between; a longer run has more chances.
# Neither the allocator's arenas nor files are in it. Documents kept would be 360 MB more.
FLAT = 1.3  # times the memory for FEW


def main(given: Sequence[str] | None = None) -> bool:
    """Measure and print; return whether all is within its limits."""
    options = arguments(__doc__ or "", given, rounds=3)
    few, many = (_peaks(orders, options.rounds) for orders in (FEW, MANY))
    growth = [b.megabytes / a.megabytes for a, b in zip(few, many, strict=True)]
    return report(
        f"Peak memory, {DAYS} days, full pages of 10 lines, {RATE:g}/s, {LATENCY:g} s",
        [
            Figure(f"{FEW:,} orders", "MB", [one.megabytes for one in few], LIMIT),
            Figure(f"{MANY:,} orders", "MB", [one.megabytes for one in many], LIMIT),
            Figure(f"{MANY:,} / {FEW:,}", "times", growth, FLAT),
            Figure(f"{MANY:,} orders took", "s", [one.seconds for one in many]),
        ],
        as_json=options.json,
    )


def _peaks(orders: int, rounds: int) -> list[Peak]:
    until = last_midnight()
    settings = Settings(
        anchor=until,
        days=DAYS,
        orders=orders,
        items=10,
        rate=RATE,
        burst=RATE,
        latency=LATENCY,
        write_ahead=True,
    )
    with running(settings) as amazon, tempfile.TemporaryDirectory() as folder:
        peaks = [
            read_alone(
                Range(
                    amazon.account,
                    until - timedelta(days=DAYS),
                    until,
                    f"sqlite:{Path(folder) / str(number)}.db",
                )
            )
            for number in range(rounds)
        ]
    # an incomplete run measures nothing
    assert all(one.complete and one.orders == orders for one in peaks), peaks  # noqa: S101
    return peaks


if __name__ == "__main__":
    sys.exit(not main())
