"""amzn-selling-partner, hand-tuned: all weeks at once on one client, and more retries.

Its bucket belongs to the client, so one client paces them all. It gives a request 2
retries; here it may have 8.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from .contest import Task, all_at_once, compete
from .selling_partner_documented import client_of


async def read(task: Task, numbers: list[str]) -> Iterable[BaseException]:
    """Read."""
    async with client_of(task, max_retries=8) as client:

        async def week(after: datetime, before: datetime) -> None:
            async for order in client.vendor_orders_v1.iter_list_purchase_orders(
                created_after=after, created_before=before
            ):
                numbers.append(order.purchase_order_number)

        return await all_at_once(week(after, before) for after, before in task.weeks)


if __name__ == "__main__":
    compete(read)
