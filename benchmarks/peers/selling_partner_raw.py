"""amzn-selling-partner, hand-tuned for CPU: its raw mode, so that orders are plain dicts.

Cheaper than its models, and no order is ever refused; nor is anything checked or typed.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from amzn_selling_partner import RequestOptions

from .contest import Task, all_at_once, compete
from .selling_partner_documented import client_of


async def read(task: Task, numbers: list[str]) -> Iterable[BaseException]:
    """Read."""
    raw = RequestOptions(raw=True)
    async with client_of(task, max_retries=8) as client:

        async def week(after: datetime, before: datetime) -> None:
            async for order in client.vendor_orders_v1.iter_list_purchase_orders(
                created_after=after, created_before=before, request_options=raw
            ):
                numbers.append(order["purchaseOrderNumber"])

        return await all_at_once(week(after, before) for after, before in task.weeks)


if __name__ == "__main__":
    compete(read)
