"""Pace: one bucket per account and operation, the last gate before the wire."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
from collections.abc import Mapping
from enum import IntEnum
from heapq import heappop, heappush
from http import HTTPStatus
from typing import Protocol

import msgspec
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


class Pace(msgspec.Struct, frozen=True):
    """What Amazon's answers say of an account's pace, and what follows; instants are given.

    Slowed to *share* of what is *granted*, which the last 429, *signalled_at*, and quiet
    times since have made it.
    """

    granted: UsagePlan
    share: float = 1.0
    pause: float = 0.0  # seconds
    paused_until: float = 0.0
    signalled_at: float = float("-inf")
    share_changed_at: float = float("-inf")

    @property
    def plan(self) -> UsagePlan:
        """The plan to send by."""
        return self.granted.with_margin().at_rate(self.granted.rate * self.share)

    def after_429(self, now: float, *, successes: int) -> Pace:
        """Return it paused and slowed; there were so many *successes* since the last 429."""
        shortest = self.granted.burst / self.granted.rate
        # Amazon throttles now and then for no reason; only 429 upon 429 is a longer matter
        recent = now - self.signalled_at < _QUIET + self.pause
        again = recent and successes < self.granted.burst
        pause = min(self.pause * 2 if again else shortest, _LONGEST_PAUSE)
        return Pace(
            granted=self.granted,
            share=max(self.share * _SLOWER, _SLOWEST),
            pause=pause,
            paused_until=now + pause,
            signalled_at=now,
            share_changed_at=now,
        )

    def recovered(self, now: float) -> Pace:
        """Return it a step quicker, if it has been quiet for long enough."""
        if self.share == 1 or now - max(self.share_changed_at, self.paused_until) <= _QUIET:
            return self
        share = min(1.0, self.share / _SLOWER)
        return msgspec.structs.replace(self, share=share, share_changed_at=now)

    def after_answer(self, headers: Mapping[str, str]) -> Pace:
        """Return it at the rate that an answer's *headers* tell."""
        rate = granted_rate(headers)
        if rate is None or rate == self.granted.rate:
            return self
        return msgspec.structs.replace(self, granted=self.granted.at_rate(rate))


class Line:
    """Who waits for a permit, people first, each in the order of coming."""

    def __init__(self) -> None:
        self._waiting: list[tuple[Urgency, int, asyncio.Future[float]]] = []
        self._order = itertools.count()

    def __len__(self) -> int:
        return sum(not waiter.done() for _, _, waiter in self._waiting)

    @property
    def is_empty(self) -> bool:
        """Whether nobody waits."""
        while self._waiting and self._waiting[0][2].done():
            heappop(self._waiting)
        return not self._waiting

    def join(self, urgency: Urgency) -> asyncio.Future[float]:
        """Return what is set when it is one's turn; whoever cancels it has left."""
        waiter: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        heappush(self._waiting, (urgency, next(self._order), waiter))
        return waiter

    def next(self) -> asyncio.Future[float] | None:
        """Return whose turn it is, who is not in the line any more; None if nobody waits."""
        return None if self.is_empty else heappop(self._waiting)[2]


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
        self._pace = Pace(plan)
        self._bucket: AsyncLimiter | None = None
        self._bucket_plan = plan.with_margin()
        self._drained = False
        self._successes = 0  # since the last 429
        # the queue: whose turn it is to ask the bucket, and who waits for a turn
        self._taken = False
        self._line = Line()

    def __repr__(self) -> str:
        return f"<Limiter {shown(self._pace, self._line)}>"

    @property
    def plan(self) -> UsagePlan:
        """What Amazon grants, as far as we know."""
        return self._pace.granted

    async def acquire(self, urgency: Urgency = Urgency.BULK) -> float:
        """Wait for a permit, and return the loop's time at which it was given.

        Raises:
            Paused: Amazon throttles, and there will be none for a while.
        """
        loop = asyncio.get_running_loop()
        await self._take_turn(urgency)
        try:
            while True:
                if (pause := self._pace.paused_until - loop.time()) > 0:
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
            if sent_at > self._pace.signalled_at:
                now = asyncio.get_running_loop().time()
                self._pace = self._pace.after_429(now, successes=self._successes)
                self._successes = 0
                self.drain()
            return
        self._successes += sent_at > self._pace.signalled_at
        self._pace = self._pace.after_answer(headers)

    def drain(self) -> None:
        """Take the bucket for empty: somebody else may just have spent the burst."""
        self._bucket = None
        self._drained = True

    async def _current_bucket(self, now: float) -> AsyncLimiter:
        """Return the bucket for what is granted now; a changed plan needs a new one.

        aiolimiter computes its drain once, so assigning to ``max_rate`` would change the
        burst and not the rate.
        """
        self._pace = self._pace.recovered(now)
        wanted = self._pace.plan
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
            waiter = self._line.join(urgency)
            try:
                await waiter
            except asyncio.CancelledError:
                if not waiter.cancelled():  # the turn came at the same moment: pass it on
                    self._pass_turn()
                raise
        self._taken = True

    def _pass_turn(self) -> None:
        if (waiter := self._line.next()) is not None:
            waiter.set_result(0.0)
        else:
            self._taken = False


def shown(pace: Pace, line: Line) -> str:
    """Return how a gate stands, for its repr."""
    state = f"{pace.granted}, {len(line)} waiting"
    return state + (f", slowed to {pace.share:.0%}" if pace.share < 1 else "")


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
            self._limiters[key] = self.make(_hashed(key), plan)
        return self._limiters[key]

    def make(self, name: str, plan: UsagePlan) -> Gate:
        """Make a limiter for *plan*; *name* is that of its bucket, and tells no secret."""
        del name
        return Limiter(plan)


def _hashed(key: tuple[str, ...]) -> str:
    return hashlib.sha256("\n".join(key).encode()).hexdigest()[:32]
