"""Amazon's token bucket, as the server keeps it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

# A client that paces itself to the exact interval must not be refused for the last bit of
# a float; a millionth of a request is far below what anybody could gain by it.
_ROUNDING = 1e-6


class Bucket:
    """A bucket of *burst* requests that refills at *rate* a second and starts full.

        >>> bucket = Bucket(rate=10, burst=2, at=0.0)
        >>> [bucket.take(0.0), bucket.take(0.0), bucket.take(0.0), bucket.take(0.1)]
        [True, True, False, True]

    It is judged when a request arrives, and a refused request costs nothing. Times are
    those of the event loop.
    """

    # https://developer-docs.amazon.com/sp-api/docs/usage-plans-and-rate-limits

    __slots__ = ("_at", "_content", "burst", "rate")

    def __init__(self, *, rate: float, burst: float, at: float) -> None:
        self.rate = rate
        self.burst = burst
        self._content = burst
        self._at = at

    def __repr__(self) -> str:
        """Return the plan and what is left of it."""
        return f"<Bucket {self._content:.2f} of {self.burst:g}, {self.rate:g}/s>"

    def take(self, at: float) -> bool:
        """Return whether a request that arrives at *at* is granted."""
        self._refill(at)
        if self._content < 1 - _ROUNDING:
            return False
        self._content -= 1
        return True

    def change(self, *, rate: float, burst: float, at: float) -> None:
        """Grant another plan from *at* on; what was saved up stays, as far as it fits."""
        self._refill(at)
        self.rate = rate
        self.burst = burst
        self._content = min(self._content, burst)

    def _refill(self, at: float) -> None:
        # the body of a POST is read before it is judged: an earlier arrival may come later
        if at > self._at:
            self._content = min(self.burst, self._content + (at - self._at) * self.rate)
            self._at = at


class Plan(msgspec.Struct, frozen=True):
    """What one account may do with one operation."""

    rate: float
    burst: float


class Buckets:
    """One bucket for each account and operation, all on one plan unless it was changed."""

    # "application-selling partner pairs": an account's operations do not share
    # https://developer-docs.amazon.com/sp-api/docs/usage-plans-and-rate-limits

    def __init__(self, plan: Plan, others: Mapping[str, Plan] | None = None) -> None:
        self._plan = plan
        self._others = others or {}  # operations with a plan of their own
        self._buckets: dict[tuple[str, str], Bucket] = {}
        self._plans: dict[tuple[str, str], Plan] = {}

    def take(self, account: str, operation: str, at: float) -> bool:
        """Return whether that account's request is granted."""
        bucket = self._buckets.get((account, operation))
        if bucket is None:
            plan = self.plan(account, operation)
            bucket = Bucket(rate=plan.rate, burst=plan.burst, at=at)
            self._buckets[account, operation] = bucket
        return bucket.take(at)

    def plan(self, account: str, operation: str) -> Plan:
        """Return what that account is granted now."""
        usual = self._others.get(operation, self._plan)
        return self._plans.get((account, operation), usual)

    def change(self, account: str, operation: str, plan: Plan) -> None:
        """Grant *plan* from now on."""
        self._plans[account, operation] = plan
        bucket = self._buckets.get((account, operation))
        if bucket is not None:
            # a bucket exists only where a request has arrived, so there is a loop
            at = asyncio.get_running_loop().time()
            bucket.change(rate=plan.rate, burst=plan.burst, at=at)
