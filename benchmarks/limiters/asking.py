"""One process that asks for pages at a shared pace: ``python -m benchmarks.limiters.asking``.

A `Task` goes in as JSON; the simulator counts what comes of it.
"""

from __future__ import annotations

import asyncio
import sys
import time
from datetime import timedelta

import msgspec

from vendororders_async import Account, SharedLimiters, Urgency, VendorOrdersClient, clock


class Task(msgspec.Struct, frozen=True):
    """Ask for *account* from *begins_at* to *ends_at*, *workers* at once."""

    account: Account
    url: str
    workers: int
    begins_at: float
    ends_at: float


async def run(task: Task) -> None:
    """Ask for the same small page again and again."""
    after = clock.now() - timedelta(days=3)
    async with (
        SharedLimiters(task.url) as limiters,
        VendorOrdersClient(task.account, limiters=limiters, urgency=Urgency.BULK) as client,
    ):

        async def work() -> None:
            while time.time() < task.ends_at:
                await client.retail.get_purchase_orders(
                    created_after=after, created_before=after + timedelta(days=1), limit=1
                )

        await asyncio.sleep(max(0.0, task.begins_at - time.time()))
        async with asyncio.TaskGroup() as group:
            for _ in range(task.workers):
                group.create_task(work())


if __name__ == "__main__":
    asyncio.run(run(msgspec.json.decode(sys.stdin.buffer.read(), type=Task)))
