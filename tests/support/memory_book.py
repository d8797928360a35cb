"""What the scripts of a shared limiter do, in memory and on the loop's time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from vendororders_async.limiter import Pace
from vendororders_async.shared_book import BookLost, Known, Reservation, new_version


class MemoryServer:
    """What a Redis keeps: levels and paces by name, and who was there."""

    def __init__(self, *, ahead: float = 1e9) -> None:
        self.is_up = True
        self.latency = 0.0
        self.buckets: dict[str, Bucket] = {}
        self.ahead = ahead

    def now(self) -> float:
        """Return the server's time, which is not the loop's."""
        return asyncio.get_running_loop().time() + self.ahead


class Bucket:
    """One account and operation."""

    def __init__(self, known: Known, now: float) -> None:
        self.known = known
        self.level = known.pace.plan.burst
        self.at = now
        self.seen: dict[object, float] = {}

    def drain_to(self, now: float) -> None:
        """Let what was granted by *now* run out."""
        self.level = max(0.0, self.level - (now - self.at) * self.known.pace.plan.rate)
        self.at = now


class MemoryBook:
    """One process's `Book` at a `MemoryServer`."""

    def __init__(self, server: MemoryServer) -> None:
        self.round_trips = 0
        self._server = server

    async def reserve(self, name: str, known: Known, *, is_empty: bool) -> Reservation:
        await self.check()
        now = self._server.now()
        is_new = name not in self._server.buckets
        bucket = self._server.buckets.setdefault(name, Bucket(known, now))
        is_first = is_new or now - bucket.at > 0.9
        bucket.drain_to(now)
        plan = bucket.known.pace.plan
        if is_empty:
            bucket.level = max(bucket.level, plan.burst + 1.5 * plan.rate * is_first)
        paused = bucket.known.pace.paused_until - now
        if paused > 60:
            paused = 0.0
        wait = max(0.0, bucket.level + 1 - plan.burst) / plan.rate
        bucket.level += paused <= 0
        bucket.seen[self] = now
        return Reservation(wait, max(0.0, paused), now, len(bucket.seen), bucket.known)

    async def give_back(self, name: str) -> None:
        await self.check()
        if (bucket := self._server.buckets.get(name)) is not None:
            bucket.drain_to(self._server.now())
            bucket.level = max(0.0, bucket.level - 1)

    async def revise(self, name: str, known: Known, pace: Pace) -> Known | None:
        await self.check()
        bucket = self._server.buckets.get(name)
        if bucket is not None and bucket.known.version == known.version:
            now = self._server.now()
            bucket.drain_to(now)
            bucket.known = Known(pace, new_version())
            full = pace.plan.burst + max(0.0, pace.paused_until - now) * pace.plan.rate
            bucket.level = max(bucket.level, full)
        return None if bucket is None else bucket.known

    async def leave(self, names: Iterable[str]) -> None:
        for name in names:
            self._server.buckets[name].seen.pop(self, None)

    async def check(self, seconds: float = 0.0) -> None:
        del seconds  # it answers, or is not there
        self.round_trips += 1
        await asyncio.sleep(self._server.latency)
        if not self._server.is_up:
            raise BookLost("redis://test: Connection refused")
