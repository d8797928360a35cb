"""A process that asks for pages at a shared pace, and prints how many it had.

A line of JSON goes in: the account, the URL of the server, for how many seconds to ask. It
says that it is ready, and begins with the next line.
"""

from __future__ import annotations

import asyncio
import sys
import time
from datetime import timedelta

import msgspec

from vendororders_async import Account, SharedLimiters, Urgency, VendorOrdersClient, clock

Task = tuple[Account, str, float]


async def main(account: Account, url: str, seconds: float) -> None:
    """Ask, four times at once."""
    after = clock.now() - timedelta(days=3)
    async with (
        SharedLimiters(url) as limiters,
        VendorOrdersClient(account, limiters=limiters, urgency=Urgency.BULK) as client,
    ):

        async def work() -> int:
            count = 0
            while time.monotonic() < ends_at:
                await client.retail.get_purchase_orders(
                    created_after=after, created_before=after + timedelta(days=1), limit=1
                )
                count += 1
            return count

        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.readline)
        ends_at = time.monotonic() + seconds
        counts = await asyncio.gather(*(work() for _ in range(4)))
        sys.stdout.write(str(sum(counts)))


if __name__ == "__main__":
    asyncio.run(main(*msgspec.json.decode(sys.stdin.readline(), type=Task)))
