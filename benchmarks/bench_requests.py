"""Where does the CPU of a small request go? ``python -m benchmarks.bench_requests``.

*Parts*: the same 1 KB order from a server in a process of its own, as fast as possible and
20 in flight, through one layer more each time: a bare aiohttp session with msgspec, our
transport, the dispatcher with a plan that is never used up, and ``get_purchase_order``.

*Paced*: many accounts at 10 requests a second each: a bare loop with aiolimiter, our
dispatcher with its limiters, and a whole backfill of small pages into SQLite. A core's
worth of accounts is what the CPU of a request leaves room for, at 10 requests a second.

All in process time, which other work on the machine touches least; over a loopback without
TLS, which would be more for each of them.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import msgspec
from aiolimiter import AsyncLimiter

from vendororders_async import Limiters, Transport, VendorOrdersClient, backfill
from vendororders_async.auth import AccessTokens
from vendororders_async.dispatch import Dispatcher
from vendororders_async.limiter import Urgency
from vendororders_async.models.common import DateTimeInterval
from vendororders_async.models.retail_procurement import GetPurchaseOrderResponse
from vendororders_async.operations import GET_PURCHASE_ORDER, Call, GetPurchaseOrder
from vendororders_async.telemetry import Event

from .report import Figure, arguments, report
from .server import NUMBER, account_at, serving
from .unlimited import Unlimited

LIMIT = 1.8  # times the bare loop
CLIENT_LIMIT = 2.0  # the same, of all there is to a call
PACED_LIMIT = 1.5  # times a bare loop with aiolimiter
CALLS = 2_000  # a round
IN_FLIGHT = 20
ACCOUNTS = 100
SECONDS = 4  # a paced round
TASKS = 3  # of an account: enough for 10 a second on a loopback

_ORDER = f"/vendor/orders/v1/purchaseOrders/{NUMBER}"


def main(given: Sequence[str] | None = None) -> bool:
    """Measure and print; return whether all is within its limits."""
    options = arguments(__doc__ or "", given, rounds=5)
    parts = {
        "bare aiohttp and msgspec": _bare,
        "transport": _transport,
        "dispatcher": _dispatcher,
        "get_purchase_order": _client,
    }
    paced = {
        "bare, with aiolimiter": _bare_paced,
        "dispatcher": _dispatcher_paced,
        "backfill into SQLite": _backfill,
    }
    with serving() as url:
        took = _rounds(parts, url, options.rounds)
        bare, _, dispatcher, client = took.values()
        within = report(
            f"CPU of a request for an order of 1 KB, {IN_FLIGHT} in flight",
            [
                *(Figure(name, "µs", values) for name, values in took.items()),
                Figure("dispatcher / bare", "times", _ratio(dispatcher, bare), LIMIT),
                Figure(
                    "get_purchase_order / bare", "times", _ratio(client, bare), CLIENT_LIMIT
                ),
            ],
            as_json=options.json,
        )
        took = _rounds(paced, url, max(options.rounds // 2, 1))
        bare, ours, job = took.values()
        return within & report(
            f"CPU of a request, {ACCOUNTS} accounts at 10 a second",
            [
                *(Figure(name, "µs", values) for name, values in took.items()),
                Figure("dispatcher / bare", "times", _ratio(ours, bare), PACED_LIMIT),
                Figure("accounts a core, dispatcher", "", [1e5 / one for one in ours]),
                Figure("accounts a core, backfill", "", [1e5 / one for one in job]),
            ],
            as_json=options.json,
        )


def _ratio(some: Sequence[float], others: Sequence[float]) -> list[float]:
    return [a / b for a, b in zip(some, others, strict=True)]


def _rounds(
    contenders: Mapping[str, Callable[[str], Awaitable[float]]], url: str, count: int
) -> dict[str, list[float]]:
    """Return what a request of each contender takes, in µs, in rounds that alternate."""
    took: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(count + 1):  # the first one warms up
        for name, contender in contenders.items():
            microseconds = asyncio.run(_of(contender(url)))
            if number:
                took[name].append(microseconds)
    return took


async def _of(awaitable: Awaitable[float]) -> float:
    return await awaitable


def _ignore(event: Event) -> None:
    """Be told of nothing."""


def _decoder() -> msgspec.json.Decoder[GetPurchaseOrderResponse]:
    return msgspec.json.Decoder(
        GetPurchaseOrderResponse, dec_hook=lambda _type, value: DateTimeInterval(value)
    )


async def _bare(url: str) -> float:
    decoder, headers = _decoder(), {"x-amz-access-token": "Atza|x"}
    async with aiohttp.ClientSession() as session:

        async def get() -> None:
            async with session.get(url + _ORDER, headers=headers) as response:
                decoder.decode(await response.read())

        return await _flat_out(get)


async def _transport(url: str) -> float:
    decoder, headers = _decoder(), {"x-amz-access-token": "Atza|x"}
    async with Transport() as transport:

        async def get() -> None:
            answer = await transport.exchange("GET", url + _ORDER, headers=headers)
            decoder.decode(answer.body)

        return await _flat_out(get)


async def _dispatcher(url: str) -> float:
    account, call = account_at(url), _call()
    async with Transport() as transport:
        dispatcher = Dispatcher(
            transport, AccessTokens(transport), Unlimited(), observer=_ignore
        )
        return await _flat_out(lambda: dispatcher.send(account, call))


async def _client(url: str) -> float:
    async with VendorOrdersClient(account_at(url), limiters=Unlimited()) as client:
        return await _flat_out(lambda: client.retail.get_purchase_order(NUMBER))


def _call() -> Call[object]:
    return Call(GET_PURCHASE_ORDER, GetPurchaseOrder(purchase_order_number=NUMBER))


async def _flat_out(get: Callable[[], Awaitable[object]]) -> float:
    left = iter(range(CALLS))

    async def work() -> None:
        for _ in left:
            await get()

    await get()  # the connection, the token, the imports
    gc.collect()
    began_at = time.process_time()
    await asyncio.gather(*(work() for _ in range(IN_FLIGHT)))
    return 1e6 * (time.process_time() - began_at) / CALLS


async def _bare_paced(url: str) -> float:
    decoder, headers = _decoder(), {"x-amz-access-token": "Atza|x"}
    limiters = [AsyncLimiter(9, 0.9) for _ in range(ACCOUNTS)]
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def get(number: int) -> None:
            await limiters[number].acquire()
            async with session.get(url + _ORDER, headers=headers) as response:
                decoder.decode(await response.read())

        return await _at_pace(get)


async def _dispatcher_paced(url: str) -> float:
    accounts, call = [account_at(url, number) for number in range(ACCOUNTS)], _call()
    async with Transport(account_count=ACCOUNTS) as transport:
        dispatcher = Dispatcher(
            transport, AccessTokens(transport), Limiters(), observer=_ignore
        )

        async def get(number: int) -> None:
            await dispatcher.send(accounts[number], call, urgency=Urgency.BULK)

        return await _at_pace(get)


async def _at_pace(get: Callable[[int], Awaitable[object]]) -> float:
    """Let each account send for some seconds, after its burst; return the CPU of a request."""
    count = 0

    async def work(number: int) -> None:
        nonlocal count
        while True:
            await get(number)
            count += 1

    tasks = [asyncio.ensure_future(work(n)) for n in range(ACCOUNTS) for _ in range(TASKS)]
    await asyncio.sleep(1.5)  # connections, tokens, the burst
    began_at, before = time.process_time(), count
    await asyncio.sleep(SECONDS)
    seconds, done = time.process_time() - began_at, count - before
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return 1e6 * seconds / done


async def _backfill(url: str) -> float:
    """Read a week of each account, some pages of one order each."""
    until = datetime.now(UTC).replace(microsecond=0) - timedelta(days=9)
    with tempfile.TemporaryDirectory() as folder:
        began_at = time.process_time()
        summary = await backfill(
            [account_at(url, number) for number in range(ACCOUNTS)],
            since=until - timedelta(days=6),
            until=until,
            to=f"sqlite:{Path(folder) / 'orders.db'}",
            streams=["created"],
        )
        assert summary.complete, summary  # noqa: S101 - an incomplete run measures nothing
        return 1e6 * (time.process_time() - began_at) / summary.requests


if __name__ == "__main__":
    sys.exit(not main())
