"""Pace: one bucket per account and operation, the last gate before the wire."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Mapping
from enum import IntEnum
from heapq import heappop, heappush
from http import HTTPStatus
from typing import Protocol

from aiolimiter import AsyncLimiter

from .accounts import Account
from .operations import Operation
from .usage import UsagePlan, granted_rate

# Amazon's sandbox has one bucket for all operations.
# https://developer-docs.amazon.com/sp-api/docs/sp-api-sandbox
_SANDBOX_PLAN = UsagePlan(rate=5, burst=15)

# After a 429: wait for as long as an empty bucket takes to fill, then send at three
# quarters of the pace, and climb back a step for every quiet stretch. Two busy clients on
# one plan cost each other one to two 429s in a hundred so (simulated; tests/test_limiter.py).
_LONGEST_PAUSE = 30.0  # seconds
_SLOWER = 0.75
_SLOWEST = 0.1
_QUIET = 10.0  # seconds


class Urgency(IntEnum):
    """Who waits for the answer; a person goes before a bulk job."""

    PERSON = 0
    BULK = 1


class Paused(Exception):
    """Nothing may pass for so many *seconds*: come back then, and hold nothing meanwhile.

    A pause is up to half a minute long, and a connection that waits with its request is
    one less for everybody else.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds


class Gate(Protocol):
    """What lets requests through: ours in this process, or one shared by many."""

    @property
    def plan(self) -> UsagePlan:
        """What Amazon grants, as far as we know."""

    async def acquire(self, urgency: Urgency = Urgency.BULK) -> float:
        """Wait for a permit, and return the loop's time at which it was given.

        Raises:
            Paused: there will be none for a while.
        """

    def observe(self, status: int, headers: Mapping[str, str], sent_at: float) -> None:
        """Learn from an answer to the request whose permit was given at *sent_at*."""

    def drain(self) -> None:
        """Take the bucket for empty: somebody else may just have spent the burst."""


class Limiter:
    """A token bucket a little inside the usage plan, which follows what Amazon grants.

        limiter = Limiter(UsagePlan(rate=10, burst=10))
        sent_at = await limiter.acquire()
        ...                                     # send, without waiting for anything else
        limiter.observe(status, headers, sent_at)

    A 429 empties it, pauses it, and slows it down for a while; all the 429s of requests
    that were on their way by then are the same signal. A new rate in Amazon's answers is
    taken over at once.
    """

    def __init__(self, plan: UsagePlan) -> None:
        self._granted = plan
        self._share = 1.0
        self._bucket: AsyncLimiter | None = None
        self._bucket_plan = plan.with_margin()
        self._drained = False
        self._pause = 0.0
        self._paused_until = 0.0
        self._signalled_at = float("-inf")
        self._successes = 0  # since then
        self._share_changed_at = float("-inf")
        # the queue: whose turn it is to ask the bucket, and who waits for a turn
        self._taken = False
        self._waiting: list[tuple[Urgency, int, asyncio.Future[None]]] = []
        self._order = itertools.count()

    def __repr__(self) -> str:
        waiting = sum(not waiter.done() for _, _, waiter in self._waiting)
        state = f"{self.plan}, {waiting} waiting"
        if self._share < 1:
            state += f", slowed to {self._share:.0%}"
        return f"<Limiter {state}>"

    @property
    def plan(self) -> UsagePlan:
        """What Amazon grants, as far as we know."""
        return self._granted

    async def acquire(self, urgency: Urgency = Urgency.BULK) -> float:
        """Wait for a permit, and return the loop's time at which it was given.

        Raises:
            Paused: Amazon throttles, and there will be none for a while.
        """
        loop = asyncio.get_running_loop()
        await self._take_turn(urgency)
        try:
            while True:
                if (pause := self._paused_until - loop.time()) > 0:
                    raise Paused(pause)
                bucket = await self._current_bucket(loop.time())
                await bucket.acquire()
                if bucket is self._bucket:  # not drained while we waited
                    return loop.time()
        finally:
            self._pass_turn()

    def observe(self, status: int, headers: Mapping[str, str], sent_at: float) -> None:
        """Learn from an answer to the request whose permit was given at *sent_at*."""
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            if sent_at > self._signalled_at:
                self._slow_down(asyncio.get_running_loop().time())
            return
        self._successes += sent_at > self._signalled_at
        if (rate := granted_rate(headers)) is not None and rate != self._granted.rate:
            self._granted = self._granted.at_rate(rate)

    def drain(self) -> None:
        """Take the bucket for empty: somebody else may just have spent the burst."""
        self._bucket = None
        self._drained = True

    def _slow_down(self, now: float) -> None:
        shortest = self._granted.burst / self._granted.rate
        # Amazon throttles now and then for no reason; only 429 upon 429 is a longer matter
        recent = now - self._signalled_at < _QUIET + self._pause
        again = recent and self._successes < self._granted.burst
        self._pause = min(self._pause * 2 if again else shortest, _LONGEST_PAUSE)
        self._successes = 0
        self._paused_until = now + self._pause
        self._share = max(self._share * _SLOWER, _SLOWEST)
        self._signalled_at = self._share_changed_at = now
        self.drain()

    async def _current_bucket(self, now: float) -> AsyncLimiter:
        """Return the bucket for what is granted now; a changed plan needs a new one.

        aiolimiter computes its drain once, so assigning to ``max_rate`` would change the
        burst and not the rate.
        """
        if self._share < 1 and now - max(self._share_changed_at, self._paused_until) > _QUIET:
            self._share = min(1.0, self._share / _SLOWER)
            self._share_changed_at = now
        wanted = self._granted.with_margin().at_rate(self._granted.rate * self._share)
        if self._bucket is None or wanted != self._bucket_plan:
            empty = self._drained or self._bucket is not None
            self._bucket = AsyncLimiter(wanted.burst, wanted.burst / wanted.rate)
            self._bucket_plan = wanted
            self._drained = False
            if empty:  # there is room for all of it, so this does not wait
                await self._bucket.acquire(wanted.burst)
        return self._bucket

    async def _take_turn(self, urgency: Urgency) -> None:
        """Wait for the head of the queue; aiolimiter itself would not keep the order."""
        if self._taken:
            waiter = asyncio.get_running_loop().create_future()
            heappush(self._waiting, (urgency, next(self._order), waiter))
            try:
                await waiter
            except asyncio.CancelledError:
                if not waiter.cancelled():  # the turn came at the same moment: pass it on
                    self._pass_turn()
                raise
        self._taken = True

    def _pass_turn(self) -> None:
        while self._waiting:
            waiter = heappop(self._waiting)[2]
            if not waiter.done():
                waiter.set_result(None)
                return
        self._taken = False


class Limiters:
    """The limiters of a process: one per account and operation, made when first asked for.

    Amazon counts per application and account, so two `Account` values with the same
    credentials share their limiters.
    """

    def __init__(self) -> None:
        self._limiters: dict[tuple[str, str, str, str], Gate] = {}

    def of(self, account: Account, operation: Operation[object]) -> Gate:
        """Return the limiter of *account* for *operation*."""
        name, plan = f"{operation.api} {operation.name}", operation.plan
        if account.is_sandbox:
            name, plan = "every operation", _SANDBOX_PLAN
        credentials = account.credentials
        key = (account.base_url, credentials.client_id, credentials.refresh_token, name)
        if key not in self._limiters:
            self._limiters[key] = Limiter(plan)
        return self._limiters[key]
