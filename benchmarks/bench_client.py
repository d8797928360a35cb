"""Do many calls at once keep to the plan? ``python -m benchmarks.bench_client``.

200 calls awaited at once on one account, against the simulator in a process of its own: how
many token requests and 429s that costs, and how near it comes to what the plan allows.
`bench_requests` says what a call costs.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Sequence
from typing import Any

import msgspec

from vendororders_async import Account, Transport, VendorOrdersClient
from vendororders_async.operations import GET_PURCHASE_ORDER
from vendororders_async.simulator import Settings
from vendororders_async.telemetry import AttemptMade, Event
from vendororders_async.transport import Answer

from .amazon import running
from .report import Figure, arguments, report

LIMIT = 1.03  # times what the plan allows
AT_ONCE = 200
LATENCY = 0.3  # seconds


def main(given: Sequence[str] | None = None) -> bool:
    """Measure and print; return whether all is within its limits."""
    options = arguments(__doc__ or "", given, rounds=3)
    with running(Settings(orders=10_000, latency=LATENCY)) as amazon:
        paces = []
        for _ in range(options.rounds):
            paces.append(asyncio.run(_pace(amazon.account)))
            time.sleep(2)  # Amazon's bucket fills again
    plan = GET_PURCHASE_ORDER.plan
    return report(
        f"{AT_ONCE} calls awaited at once, {LATENCY:g} s latency, {plan}",
        [
            Figure("seconds", "s", [one.seconds for one in paces]),
            Figure(
                "seconds / plan",
                "times",
                [one.seconds / (plan.seconds_for(AT_ONCE) + LATENCY) for one in paces],
                LIMIT,
            ),
            Figure("token requests", "", [one.token_requests for one in paces], 1),
            Figure("throttled (429)", "", [one.throttled for one in paces], 0),
        ],
        as_json=options.json,
    )


class _Pace(msgspec.Struct, frozen=True):
    seconds: float
    token_requests: int
    throttled: int


class _CountingTransport(Transport):
    """Counts what goes to Login with Amazon, the only address that is posted to here."""

    token_requests = 0

    async def exchange(self, method: str, *args: Any, **kwargs: Any) -> Answer:
        self.token_requests += method == "POST"
        return await super().exchange(method, *args, **kwargs)


async def _pace(account: Account) -> _Pace:
    attempts: list[AttemptMade] = []

    def observe(event: Event) -> None:
        if isinstance(event, AttemptMade):
            attempts.append(event)

    async with _CountingTransport() as transport:
        client = VendorOrdersClient(account, transport=transport, observer=observe)
        number = await _some_number(client)
        fresh = VendorOrdersClient(account, transport=transport, observer=observe)
        transport.token_requests = 0
        began_at = time.perf_counter()
        await asyncio.gather(*(fresh.retail.get_purchase_order(number) for _ in range(AT_ONCE)))
        seconds = time.perf_counter() - began_at
    throttled = sum(one.status == 429 for one in attempts)  # noqa: PLR2004 - HTTP's number
    return _Pace(seconds, transport.token_requests, throttled)


async def _some_number(client: VendorOrdersClient) -> str:
    page = await client.retail.get_purchase_orders(limit=1)
    assert page.payload is not None  # noqa: S101 - the simulator has orders
    return page.payload.orders[0].purchase_order_number


if __name__ == "__main__":
    sys.exit(not main())
