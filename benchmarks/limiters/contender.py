"""One process at a shared limiter: ``python -m benchmarks.limiters.contender``.

A `Task` goes in as JSON, a `Result` comes out.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import msgspec

from vendororders_async.usage import UsagePlan

Acquire = Callable[[], Awaitable[object]]


class Task(msgspec.Struct, frozen=True):
    """Ask *limiter* for permits under *key*: *workers* at once until *ends_at*, or *count*.

    *rate* and *burst* are Amazon's; a limiter keeps within the margin.
    """

    limiter: str
    url: str
    key: str
    rate: float
    burst: float
    workers: int
    begins_at: float = 0.0
    ends_at: float = 0.0
    count: int = 0


class Result(msgspec.Struct, frozen=True):
    """When each permit came, by the clock that all processes have; what they took."""

    granted_at: list[float]
    seconds: list[float]
    cpu_seconds: float


@asynccontextmanager
async def ours(task: Task) -> AsyncIterator[Acquire]:
    """Give permits of `SharedLimiters`."""
    from vendororders_async.shared_limiter import (  # noqa: PLC0415 - others do without
        SharedLimiters,
    )

    async with SharedLimiters(task.url) as limiters:
        yield limiters.make(task.key, UsagePlan(task.rate, task.burst)).acquire


@asynccontextmanager
async def throttled_py(task: Task) -> AsyncIterator[Acquire]:
    """Give permits of throttled-py's GCRA."""
    from datetime import timedelta  # noqa: PLC0415 - as the next

    from throttled.asyncio import (  # noqa: PLC0415 - it may not be installed
        RateLimiterType,
        Throttled,
        rate_limiter,
        store,
    )

    inside = UsagePlan(task.rate, task.burst).with_margin()
    period = timedelta(seconds=1)
    limiter = Throttled(
        key=task.key,
        using=RateLimiterType.GCRA.value,
        quota=rate_limiter.per_duration(period, int(inside.rate), int(inside.burst)),
        store=store.RedisStore(server=task.url),
        timeout=60,
    )
    yield limiter.limit


@asynccontextmanager
async def pyrate_limiter(task: Task) -> AsyncIterator[Acquire]:
    """Give permits of pyrate-limiter's GCRA."""
    from pyrate_limiter import (  # noqa: PLC0415 - it may not be installed
        GCRA,
        Limiter,
        Rate,
        StateBucket,
    )
    from pyrate_limiter.buckets.redis_state import RedisStateStore  # noqa: PLC0415 - the same
    from redis.asyncio import Redis  # noqa: PLC0415 - the same

    inside = UsagePlan(task.rate, task.burst).with_margin()
    rates = [Rate(int(inside.rate), 1_000, burst=int(inside.burst))]
    async with Redis.from_url(task.url) as redis:
        bucket = StateBucket(rates, GCRA(), RedisStateStore(redis, task.key))
        limiter = Limiter(bucket)
        yield lambda: limiter.try_acquire_async(task.key)


LIMITERS = {"ours": ours, "throttled-py": throttled_py, "pyrate-limiter": pyrate_limiter}


async def run(task: Task) -> Result:
    """Ask, and note when each permit came."""
    granted_at: list[float] = []
    seconds: list[float] = []
    async with AsyncExitStack() as stack:
        acquire = await stack.enter_async_context(LIMITERS[task.limiter](task))

        async def one() -> None:
            asked_at = time.perf_counter()
            await acquire()
            seconds.append(time.perf_counter() - asked_at)
            granted_at.append(time.time())

        async def work() -> None:
            while time.time() < task.ends_at:
                await one()

        if task.count:
            for _ in range(50):
                await one()
            seconds.clear()
        await asyncio.sleep(max(0.0, task.begins_at - time.time()))
        used = time.process_time()
        for _ in range(task.count):
            await one()
        async with asyncio.TaskGroup() as group:
            for _ in range(task.workers):
                group.create_task(work())
        used = time.process_time() - used
    return Result(granted_at, seconds, used)


if __name__ == "__main__":
    given = msgspec.json.decode(sys.stdin.buffer.read(), type=Task)
    sys.stdout.buffer.write(msgspec.json.encode(asyncio.run(run(given))))
