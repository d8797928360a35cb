"""What does the client cost, and does it keep the pace? ``python -m benchmarks.bench_client``.

*CPU*: the same 1 KB orders from a server in a process of its own, once through
``get_purchase_order`` and once through a bare aiohttp session with msgspec, both with as
many in flight. Rounds alternate, in process time.

*Pace*: 200 calls awaited at once on one account, against the simulator in a process of its
own: how many token requests and 429s that costs, and how near it comes to the plan.
"""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import aiohttp
import msgspec

from vendororders_async import Account, Credentials, Limiters, Transport, VendorOrdersClient
from vendororders_async.limiter import Gate, Limiter
from vendororders_async.models.common import DateTimeInterval
from vendororders_async.models.retail_procurement import GetPurchaseOrderResponse
from vendororders_async.operations import GET_PURCHASE_ORDER, Operation
from vendororders_async.telemetry import AttemptMade, Event
from vendororders_async.transport import Answer
from vendororders_async.usage import UsagePlan

from . import data
from .bench_backfill import LATENCY, simulator
from .report import Figure, arguments, report

LIMIT = 2.0  # times the bare loop
PACE_LIMIT = 1.03  # times what the plan allows
CALLS = 1_500  # a round
IN_FLIGHT = 20
AT_ONCE = 200

_SERVER = """
import asyncio, sys
head = b"HTTP/1.1 200 OK\\r\\nContent-Type: application/json\\r\\n"
head += b"Content-Length: %d\\r\\n\\r\\n"
def answer(body): return head % len(body) + body
order = answer(sys.stdin.buffer.read())
token = answer(b'{"access_token": "Atza|x", "expires_in": 3600}')
class Server(asyncio.Protocol):
    def connection_made(self, transport): self.transport = transport
    def data_received(self, data): self.transport.write(token if data[:4] == b"POST" else order)
async def main():
    server = await asyncio.get_running_loop().create_server(Server, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
asyncio.run(main())
"""


def main(given: Sequence[str] | None = None) -> None:
    """Measure and print."""
    options = arguments(__doc__ or "", given, rounds=9)
    body = data.single()
    contenders = {"bare aiohttp and msgspec": _bare, "get_purchase_order": _ours}
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    with _server(body) as url:
        for round_number in range(options.rounds + 1):  # the first one warms up
            for name, contender in contenders.items():
                taken = asyncio.run(contender(url))
                if round_number:
                    seconds[name].append(1e6 * taken / CALLS)
    bare, ours = seconds.values()
    report(
        f"CPU of a request for an order of {len(body) / 1000:.1f} KB, {IN_FLIGHT} in flight",
        [
            *(Figure(name, "µs", values) for name, values in seconds.items()),
            Figure(
                "ours / bare", "times", [a / b for a, b in zip(ours, bare, strict=True)], LIMIT
            ),
        ],
        as_json=options.json,
    )
    with simulator() as account:
        paces = []
        for _ in range(max(options.rounds // 3, 1)):
            paces.append(asyncio.run(_pace(account)))
            time.sleep(2)  # Amazon's bucket fills again
    plan = GET_PURCHASE_ORDER.plan
    report(
        f"{AT_ONCE} calls awaited at once, {LATENCY:g} s latency, {plan}",
        [
            Figure("seconds", "s", [one.seconds for one in paces]),
            Figure(
                "seconds / plan",
                "times",
                [one.seconds / (plan.seconds_for(AT_ONCE) + LATENCY) for one in paces],
                PACE_LIMIT,
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


class _Unlimited(Limiters):
    """Our limiter, with a plan that is never used up."""

    def __init__(self) -> None:
        super().__init__()
        self._gate = Limiter(UsagePlan(1e9, 1e9))

    def of(self, account: Account, operation: Operation[object]) -> Gate:
        del account, operation
        return self._gate


async def _ours(url: str) -> float:
    account = Account(
        name="bench",
        credentials=Credentials(client_id="x", client_secret="x", refresh_token="x"),  # noqa: S106 - made up
        endpoint=url,
        token_url=f"{url}/auth/o2/token",
    )
    async with VendorOrdersClient(account, limiters=_Unlimited()) as client:
        return await _cpu_seconds(lambda: client.retail.get_purchase_order("5ABC1236"))


async def _bare(url: str) -> float:
    decoder = msgspec.json.Decoder(
        GetPurchaseOrderResponse, dec_hook=lambda _type, value: DateTimeInterval(value)
    )
    address = f"{url}/vendor/orders/v1/purchaseOrders/5ABC1236"
    headers = {"x-amz-access-token": "Atza|x"}
    async with aiohttp.ClientSession() as session:

        async def get() -> GetPurchaseOrderResponse:
            async with session.get(address, headers=headers) as response:
                return decoder.decode(await response.read())

        return await _cpu_seconds(get)


async def _cpu_seconds(get: Callable[[], Awaitable[object]]) -> float:
    left = iter(range(CALLS))

    async def work() -> None:
        for _ in left:
            await get()

    await get()  # the connection, the token, the imports
    gc.collect()
    began_at = time.process_time()
    await asyncio.gather(*(work() for _ in range(IN_FLIGHT)))
    return time.process_time() - began_at


@contextmanager
def _server(body: bytes) -> Iterator[str]:
    """Run a server that answers everything with *body*, and tokens with a token."""
    command = [sys.executable, "-c", _SERVER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdin is not None  # noqa: S101 - it is piped
            assert process.stdout is not None  # noqa: S101
            process.stdin.write(body)
            process.stdin.close()
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.terminate()


if __name__ == "__main__":
    main()
