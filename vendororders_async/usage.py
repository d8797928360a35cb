"""Usage plans: what Amazon grants an account for an operation."""

from __future__ import annotations

import math
from collections.abc import Mapping

import msgspec

# A permit reaches Amazon late by the jitter of the way, so a full bucket spent at once and
# refilled at the full rate overtakes Amazon's own. One token held back absorbs 0.1 s of
# jitter at 10/s: no 429 in steady state, and no rate lost (tests/test_limiter.py holds it
# against a strict bucket).
MARGIN = 1.0


class UsagePlan(msgspec.Struct, frozen=True):
    """The rate and burst Amazon grants one account for one operation.

    Amazon refills a token bucket of size *burst* at *rate* requests per second, so a
    client that has been idle may send *burst* requests at once and *rate* a second from
    then on.

        >>> UsagePlan(rate=10, burst=10).seconds_for(110)
        10.0
    """

    # https://developer-docs.amazon.com/sp-api/docs/usage-plans-and-rate-limits

    rate: float
    burst: float

    def __post_init__(self) -> None:
        if not (0 < self.rate < math.inf and 1 <= self.burst < math.inf):
            raise ValueError("a usage plan has a positive rate and a burst of at least 1")

    def __str__(self) -> str:
        return f"{self.rate:g}/s burst {self.burst:g}"

    def seconds_for(self, request_count: int) -> float:
        """Return how long *request_count* requests take at the least, from a full bucket."""
        return max(0.0, request_count - self.burst) / self.rate

    def with_margin(self) -> UsagePlan:
        """Return the plan to send by: a little less burst, the same rate."""
        return UsagePlan(self.rate, max(1.0, self.burst - MARGIN))

    def at_rate(self, rate: float) -> UsagePlan:
        """Return the plan at another *rate*; Amazon never tells the burst."""
        return UsagePlan(rate, self.burst)


def granted_rate(headers: Mapping[str, str]) -> float | None:
    """Return the rate that Amazon's answer says it grants, or None where it says nothing.

    The header is best effort, comes on success, 400 and 404 only, and holds a float as
    text.
    """
    # https://developer-docs.amazon.com/sp-api/docs/usage-plans-and-rate-limits
    try:
        rate = float(headers.get("x-amzn-RateLimit-Limit", ""))
    except ValueError:
        return None
    return rate if 0 < rate < math.inf else None
