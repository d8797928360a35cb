"""This package without a sink, as its README shows: one iterator over the whole range."""

from __future__ import annotations

from collections.abc import Iterable

from vendororders_async import Account, Credentials, VendorOrdersClient

from .contest import Task, compete


def account_of(task: Task) -> Account:
    """Return the account that *task* is about."""
    credentials = Credentials(
        client_id=task.client_id,
        client_secret=task.client_secret,
        refresh_token=task.refresh_token,
    )
    return Account(
        name="bench", credentials=credentials, endpoint=task.url, token_url=task.token_url
    )


async def read(task: Task, numbers: list[str]) -> Iterable[BaseException]:
    """Read."""
    async with VendorOrdersClient(account_of(task)) as client:
        async for order in client.retail.iter_purchase_orders(
            created_after=task.weeks[0][0], created_before=task.weeks[-1][1]
        ):
            numbers.append(order.purchase_order_number)
    return ()


if __name__ == "__main__":
    compete(read)
