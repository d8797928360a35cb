"""python-amazon-sp-api as its documentation pages: two decorators, and a client for a call.

https://python-amazon-sp-api.readthedocs.io under "load_all_pages". Only the token's name is
not the default's: asked with ``NextToken``, this operation sends the first page for ever.
The 2 s between pages are the default. Orders are plain dicts.
"""

from __future__ import annotations

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

from sp_api.api import VendorOrders
from sp_api.auth import AccessTokenClient
from sp_api.util import load_all_pages, throttle_retry

from .contest import Task, Week, compete


def client_of(task: Task) -> Any:
    """Return a client of the simulator, by the constructor's own arguments: no patch.

    A marketplace is whatever has these three; the class that fetches tokens is a parameter.
    """
    scheme, _, host = task.url.partition("//")
    here = {"scheme": f"{scheme}//", "host": host}
    return VendorOrders(
        marketplace=SimpleNamespace(
            endpoint=task.url, marketplace_id="ATVPDKIKX0DER", region="us-east-1"
        ),
        credentials={
            "refresh_token": task.refresh_token,
            "lwa_app_id": task.client_id,
            "lwa_client_secret": task.client_secret,
        },
        auth_token_client_class=type("LocalLogin", (AccessTokenClient,), here),
    )


def bounds_of(week: Week) -> dict[str, str]:
    """Return the parameters that ask for one week."""
    after, before = week
    return {"createdAfter": after.isoformat(), "createdBefore": before.isoformat()}


async def read(task: Task, numbers: list[str]) -> Iterable[BaseException]:
    """Read."""

    @throttle_retry()
    @load_all_pages(next_token_param="nextToken")
    def load_all_orders(**kwargs: Any) -> Any:
        return client_of(task).get_purchase_orders(**kwargs)

    for week in task.weeks:
        for page in load_all_orders(**bounds_of(week)):
            for order in page.payload.get("orders", ()):
                numbers.append(order["purchaseOrderNumber"])
    return ()


if __name__ == "__main__":
    compete(read)
