"""The least that a usage plan allows: what every pace is measured against."""

from __future__ import annotations

import math

from vendororders_async.usage import UsagePlan

LARGEST_PAGE = 100  # orders
LONGEST_WINDOW = 7.0  # days


def needed_requests(days: float, orders: int) -> int:
    """Return the fewest requests that can bring *orders* of *days*, for one stream.

    >>> needed_requests(7, 10_000), needed_requests(180, 0)
    (100, 26)
    """
    return max(math.ceil(days / LONGEST_WINDOW), math.ceil(orders / LARGEST_PAGE))


def ideal_seconds(days: float, orders: int, *, plan: UsagePlan, latency: float) -> float:
    """Return the least time for them: the last request leaves at once, its answer later.

    >>> ideal_seconds(7, 10_000, plan=UsagePlan(rate=10, burst=10), latency=0.5)
    9.5
    """
    return plan.seconds_for(needed_requests(days, orders)) + latency
