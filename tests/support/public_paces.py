"""Requests on a wire, and the pace of several processes: acts to be ended at any step."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple, Self

import msgspec
from cancelling import Act
from fakes import an_account, virtual_now
from loopback import RawServer, Received
from memory_book import MemoryBook, MemoryServer
from public_calls import FEW, REST, all_rows, full_again

from vendororders_async import (
    Account,
    Limiters,
    SharedLimiters,
    Transport,
    open_clients,
)
from vendororders_async.limiter import Gate, Paused
from vendororders_async.operations import (
    GET_PURCHASE_ORDER,
)
from vendororders_async.shared_limiter import Link, SharedGate
from vendororders_async.simulator import Simulator
from vendororders_async.usage import UsagePlan

_CROWD = 12  # more than a burst
_BODY = b"x" * 40


# What is on a wire


class _Wire(NamedTuple):
    server: RawServer
    transport: Transport


async def _bit_by_bit(_: Received, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(_BODY))
    for piece in (_BODY[:10], _BODY[10:20], _BODY[20:]):
        await asyncio.sleep(0.01)
        writer.write(piece)
        await writer.drain()


@asynccontextmanager
async def _wire(_folder: object) -> AsyncIterator[_Wire]:
    async with RawServer(_bit_by_bit) as server, Transport(limit=1) as transport:
        yield _Wire(server, transport)


async def _pass() -> None:
    await asyncio.sleep(0.01)


async def _exchange(wire: _Wire) -> None:
    """Send two requests over the one connection there is room for."""
    async with asyncio.TaskGroup() as group:
        for _ in range(2):
            group.create_task(
                wire.transport.exchange("GET", wire.server.url, headers={}, may_pass=_pass)
            )


async def _exchanged_again(wire: _Wire, faults: list[str]) -> int:
    answer = await wire.transport.exchange("GET", wire.server.url, headers={})
    if answer.body != _BODY:
        faults.append(f"the next answer is {answer.body!r}")
    return 1


async def _own_transport(wire: _Wire) -> None:
    async with Transport(limit=1) as transport:
        await transport.exchange("GET", wire.server.url, headers={}, may_pass=_pass)


@asynccontextmanager
async def _served(_folder: object) -> AsyncIterator[Account]:
    simulator = Simulator(msgspec.structs.replace(FEW, anchor=virtual_now()), now=virtual_now)
    async with simulator.serve() as served:
        [one] = served.accounts
        account = an_account(
            one.name, endpoint=served.url, token_url=f"{served.url}/auth/o2/token"
        )
        credentials = msgspec.structs.replace(
            account.credentials,
            client_id=one.client_id,
            client_secret=one.client_secret,
            refresh_token=one.refresh_token,
        )
        yield msgspec.structs.replace(account, credentials=credentials)


async def _over_http(account: Account) -> None:
    """Open a client of everything its own, read a few rows, and close it."""
    async with open_clients([account], now=virtual_now) as (client,):
        since = virtual_now() - timedelta(days=5)
        await all_rows(client.retail.iter_purchase_orders(created_after=since))


async def _over_http_again(account: Account, _: list[str]) -> int:
    await _over_http(account)
    return 1


# The pace of several processes


class _Gates(NamedTuple):
    server: MemoryServer
    limiters: _SharedWithMemory


class _SharedWithMemory(Limiters):
    """What `SharedLimiters` are, with a book in memory."""

    def __init__(self, book: MemoryBook) -> None:
        super().__init__()
        self._link = Link(book, "redis://test")
        self.gate = SharedGate(
            "acme getPurchaseOrder", UsagePlan(rate=10, burst=10), self._link
        )

    async def __aenter__(self) -> Self:
        self._link.open()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._link.close()


@asynccontextmanager
async def _in_memory(_folder: object) -> AsyncIterator[_Gates]:
    server = MemoryServer()
    server.latency = 0.003
    async with _SharedWithMemory(MemoryBook(server)) as limiters:
        await limiters.gate.acquire()
        await asyncio.sleep(REST)
        yield _Gates(server, limiters)


async def permit(gate: Gate) -> None:
    """Take a permit as a request does."""
    while True:
        try:
            await gate.acquire()
        except Paused as pause:
            await asyncio.sleep(pause.seconds)
        else:
            return


async def _permits(gates: _Gates) -> None:
    async with asyncio.TaskGroup() as group:
        for _ in range(_CROWD):
            group.create_task(permit(gates.limiters.gate))


async def _permits_again(gates: _Gates, faults: list[str]) -> int:
    return await full_again([gates.limiters.gate], faults)


async def _own_permits(gates: _Gates) -> None:
    """Use limiters that are closed again, as whoever is cancelled closes them."""
    async with _SharedWithMemory(MemoryBook(gates.server)) as limiters:
        await _permits(_Gates(gates.server, limiters))


@asynccontextmanager
async def _redis(url: Path | str) -> AsyncIterator[str]:
    yield str(url)


async def _with_redis(url: str) -> None:
    async with SharedLimiters(url) as limiters:
        gate = limiters.of(an_account("redis"), GET_PURCHASE_ORDER)
        async with asyncio.TaskGroup() as group:
            for _ in range(3):
                group.create_task(permit(gate))


async def _with_redis_again(url: str, _: list[str]) -> int:
    await _with_redis(url)
    return 3


PACES = [
    Act(
        "exchange",
        _wire,
        _exchange,
        _exchanged_again,
        ("Transport.exchange",),
        hands=("Transport.exchange",),
    ),
    Act("a transport of its own", _wire, _own_transport, _exchanged_again, ("Transport",)),
    Act("a client over HTTP", _served, _over_http, _over_http_again, ("open_clients",)),
    Act(
        "shared gates",
        _in_memory,
        _permits,
        _permits_again,
        hands=("permit",),
        stays="SharedGate.",
    ),
    Act("shared limiters of its own", _in_memory, _own_permits, _permits_again),
    Act(
        "shared limiters in Redis",
        _redis,
        _with_redis,
        _with_redis_again,
        ("SharedLimiters",),
        seconds=2.0,
        fixture="redis_url",
        is_real=True,
    ),
]
