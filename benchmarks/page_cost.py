"""What a page costs by parts, bare and ours: the measured process of bench_page.

It is a process of its own since a trusted certificate is named to OpenSSL by the environment,
before aiohttp is imported, and since the CPU counted is all of the process, threads included.
"""

from __future__ import annotations

import asyncio
import gc
import sqlite3
import sys
import tempfile
import time
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from vendororders_async import Account, Transport
from vendororders_async.dispatch import Dispatcher
from vendororders_async.models.common import DateTimeInterval
from vendororders_async.models.retail_procurement import GetPurchaseOrdersResponse, Order
from vendororders_async.operations import CREATED, http_request
from vendororders_async.pages import decode_page
from vendororders_async.sinks.base import Arrival, Ledger, Outcome
from vendororders_async.sinks.sqlite import SqliteSink
from vendororders_async.windows import Window

from .server import KINDS, account_at, bodies
from .unlimited import AnyToken, Unlimited

try:
    from isal import isal_zlib
except ImportError:
    decompress = zlib.decompress
else:
    decompress = isal_zlib.decompress

IN_FLIGHT = 20
_GZIP = 31  # zlib's window bits that mean a gzip header
_NOW = datetime(2026, 6, 15, tzinfo=UTC)
_WINDOW = Window(_NOW - timedelta(days=7), _NOW)
_HEADERS = {"x-amz-access-token": "Atza|x"}

Costs = dict[str, list[float]]  # by part: CPU milliseconds of a page, round by round


def main(address: str, rounds: str) -> None:
    """Measure both kinds of page and print the costs as JSON."""
    costs = {kind: asyncio.run(_measure(kind, address, int(rounds))) for kind in KINDS}
    sys.stdout.buffer.write(msgspec.json.encode(costs))


async def _measure(kind: str, address: str, rounds: int) -> Costs:
    account = account_at(f"{address}/{kind}")
    costs: Costs = {}
    for round_number in range(rounds + 1):  # the first one warms up
        with tempfile.TemporaryDirectory() as directory:
            parts = {
                **await _bare(kind, account, Path(directory)),
                **await _ours(kind, account, Path(directory)),
            }
        if round_number:
            for name, cost in parts.items():
                costs.setdefault(name, []).append(cost)
    return costs


async def _bare(kind: str, account: Account, directory: Path) -> dict[str, float]:
    pages = bodies(kind)
    count = len(pages)
    url = account.base_url + http_request(CREATED.call(_WINDOW)).target
    packed: list[bytes] = []
    async with aiohttp.ClientSession(auto_decompress=False) as session:

        async def get() -> None:
            async with session.get(url, headers=_HEADERS) as response:
                packed.append(await response.read())

        await _connected(get)
        packed.clear()
        read = await _of_all(get for _ in range(count))
    decoder = msgspec.json.Decoder(
        GetPurchaseOrdersResponse, dec_hook=lambda _type, value: DateTimeInterval(value)
    )
    gunzip = _of_each(packed[:count], lambda body: decompress(body, _GZIP))
    decode = _of_each(pages, decoder.decode)
    # what there is to bind, as ours stores it
    async with SqliteSink(directory / "model.db", now=lambda: _NOW) as sink:
        for page in pages:
            await sink.write(_arrival(account, page))
    with closing(sqlite3.connect(directory / "model.db", isolation_level=None)) as connection:
        rows = connection.execute("SELECT * FROM purchase_orders").fetchall()
        connection.execute("DELETE FROM purchase_orders")
        connection.execute("DROP INDEX purchase_orders_by_change")
        connection.execute("VACUUM")
        connection.execute("PRAGMA synchronous = NORMAL")
        insert = f"INSERT INTO purchase_orders VALUES ({', '.join('?' * len(rows[0]))})"  # noqa: S608 - question marks

        def write(page: list[tuple[object, ...]]) -> None:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(insert, page)
            connection.execute("COMMIT")

        size = len(rows) // count
        written = _of_each(
            [rows[start : start + size] for start in range(0, len(rows), size)], write
        )
    return {
        "bare: aiohttp read": read,
        "bare: gunzip": gunzip,
        "bare: msgspec decode": decode,
        "bare: executemany": written,
    }


async def _ours(kind: str, account: Account, directory: Path) -> dict[str, float]:
    pages = bodies(kind)
    count = len(pages)
    target = account.base_url + http_request(CREATED.call(_WINDOW)).target
    async with _opened(directory / "whole.db") as (transport, dispatcher, sink):

        async def get() -> None:
            await transport.exchange("GET", target, headers=_HEADERS)

        async def fetch_and_write() -> None:
            reply = await dispatcher.send(account, CREATED.call(_WINDOW))
            arrival = Arrival(
                _ledger(account), _WINDOW, reply.asked_at, reply.content.documents
            )
            outcomes.extend(one.outcome for one in await sink.write(arrival))

        outcomes: list[Outcome] = []
        await _connected(get)
        read = await _of_all(get for _ in range(count))
        # the server answers in turn, so that every page comes once, and then again
        whole = await _of_all(fetch_and_write for _ in range(count))
        _expect(outcomes, Outcome.NEW)
        outcomes.clear()
        again = await _of_all(fetch_and_write for _ in range(count))
        _expect(outcomes, Outcome.UNCHANGED)
    decode = _of_each(pages, lambda body: decode_page(body, Order))
    arrivals = [_arrival(account, page) for page in pages]
    async with SqliteSink(directory / "written.db", now=lambda: _NOW) as sink:
        writes = [lambda arrival=arrival: sink.write(arrival) for arrival in arrivals]
        written = await _of_all(writes)
        rewritten = await _of_all(writes)
    return {
        "ours: read and gunzip": read,
        "ours: decode_page": decode,
        "ours: sink.write, new": written,
        "ours: sink.write, unchanged": rewritten,
        "ours: socket to SQLite, new": whole,
        "ours: socket to SQLite, unchanged": again,
    }


@asynccontextmanager
async def _opened(
    path: Path,
) -> AsyncIterator[tuple[Transport, Dispatcher, SqliteSink]]:
    async with Transport() as transport, SqliteSink(path) as sink:
        dispatcher = Dispatcher(
            transport, AnyToken(), Unlimited(), observer=lambda _event: None, now=lambda: _NOW
        )
        yield transport, dispatcher, sink


def _ledger(account: Account) -> Ledger:
    return Ledger(account.name, "retail", "created", account.source)


def _arrival(account: Account, page: bytes) -> Arrival:
    return Arrival(_ledger(account), _WINDOW, _NOW, decode_page(page, Order).documents)


async def _connected(get: Callable[[], Awaitable[None]]) -> None:
    """Open all connections beforehand, whose handshakes are no part of a page."""
    await asyncio.gather(*(get() for _ in range(IN_FLIGHT)))


def _expect(outcomes: list[Outcome], expected: Outcome) -> None:
    if set(outcomes) != {expected}:
        raise RuntimeError(f"measured something else: {set(outcomes)}")


def _of_each(
    values: list[bytes] | list[list[tuple[object, ...]]], do: Callable[[Any], object]
) -> float:
    gc.collect()
    began_at = time.process_time()
    for value in values:
        do(value)
    return 1000 * (time.process_time() - began_at) / len(values)


async def _of_all(calls: Iterable[Callable[[], Awaitable[object]]]) -> float:
    left = iter(waiting := list(calls))

    async def work() -> None:
        for call in left:
            await call()

    gc.collect()
    began_at = time.process_time()
    await asyncio.gather(*(work() for _ in range(IN_FLIGHT)))
    return 1000 * (time.process_time() - began_at) / len(waiting)


if __name__ == "__main__":
    main(*sys.argv[1:])
