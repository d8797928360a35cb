"""What is asked of the client while things go wrong, and what is right."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any

from syncing import on_virtual_time

from vendororders_async import VendorOrdersClient
from vendororders_async.simulator import Simulator

ACCOUNT = "demo"
DAYS = timedelta(days=12)
LATEST = timedelta(days=2)

Ask = Callable[[], Awaitable[set[str]]]
Question = Callable[[Simulator, VendorOrdersClient], tuple[set[str], Ask]]


def wanted_range() -> dict[str, Any]:
    """Return what is read, as the client wants it."""
    until = on_virtual_time()() - LATEST
    return {"created_after": until - DAYS, "created_before": until}


def _listed(
    truth: Callable[[Simulator], Callable[..., Mapping[str, bytes]]],
    rows: Callable[[VendorOrdersClient], Callable[..., AsyncIterator[Any]]],
) -> Question:
    """Return the question for all *rows* of the range, whose numbers *truth* has."""

    def question(simulator: Simulator, client: VendorOrdersClient) -> tuple[set[str], Ask]:
        given = wanted_range()
        after, before = given["created_after"], given["created_before"]
        wanted = set(truth(simulator)(ACCOUNT, after=after, before=before))

        async def ask() -> set[str]:
            return {one.purchase_order_number async for one in rows(client)(**given)}

        return wanted, ask

    return question


def _one_order(simulator: Simulator, client: VendorOrdersClient) -> tuple[set[str], Ask]:
    number = next(iter(simulator.truth(ACCOUNT)))

    async def ask() -> set[str]:
        order = (await client.retail.get_purchase_order(number)).payload
        return {order.purchase_order_number} if order else set()

    return {number}, ask


def _one_direct(simulator: Simulator, client: VendorOrdersClient) -> tuple[set[str], Ask]:
    number = next(iter(simulator.direct_fulfillment_truth(ACCOUNT)))

    async def ask() -> set[str]:
        order = (await client.direct_fulfillment.get_order(number)).payload
        return {order.purchase_order_number} if order else set()

    return {number}, ask


QUESTIONS: Mapping[str, Question] = {
    "orders": _listed(lambda one: one.truth, lambda one: one.retail.iter_purchase_orders),
    "statuses": _listed(
        lambda one: one.truth, lambda one: one.retail.iter_purchase_orders_status
    ),
    "direct": _listed(
        lambda one: one.direct_fulfillment_truth, lambda one: one.direct_fulfillment.iter_orders
    ),
    "order": _one_order,
    "direct order": _one_direct,
}
