"""amzn-selling-partner as its README pages: ``async for … in client.….iter_…(…)``.

https://pypi.org/project/amzn-selling-partner/1.6.0/ under "Pagination". Amazon answers a
week at a time at most, so the loop over the weeks is the user's.
"""

from __future__ import annotations

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

from amzn_selling_partner import AsyncSellingPartner

from .contest import Task, compete


def client_of(task: Task, **options: Any) -> Any:
    """Return a client of the simulator: a region is whatever answers ``base_url()``."""

    def base_url(*, sandbox: bool) -> str:
        del sandbox
        return task.url

    return AsyncSellingPartner(
        region=SimpleNamespace(base_url=base_url),
        token_url=task.token_url,
        client_id=task.client_id,
        client_secret=task.client_secret,
        refresh_token=task.refresh_token,
        **options,
    )


async def read(task: Task, numbers: list[str]) -> Iterable[BaseException]:
    """Read."""
    async with client_of(task) as client:
        for after, before in task.weeks:
            async for order in client.vendor_orders_v1.iter_list_purchase_orders(
                created_after=after, created_before=before
            ):
                numbers.append(order.purchase_order_number)
    return ()


if __name__ == "__main__":
    compete(read)
