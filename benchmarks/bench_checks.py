"""What do retries and checks cost on the good path? ``python -m benchmarks.bench_checks``.

*Plain*: aiohttp reads a gzip'd page and gunzips it, `Operation.decode` and the SQLite sink do
the rest, as they do for us; nothing else. *A call*: the same through the dispatcher, which
checks the question, takes a place and a permit, bounds the time and the size of the answer,
learns from its headers, tells of the attempt, and would try again: that is what has a limit.
*A job*: the same through the reader of a backfill, which also plans what to ask next from the
rows' dates, looks for next tokens that repeat and for rows outside the window, and adds up a
summary. All three keep the same documents.

The ratio is taken round by round, of CPU in this process; the server has its own. Without
TLS, which would be the same for all and make the ratio smaller.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
from yarl import URL

from vendororders_async import Account, Transport
from vendororders_async.chains import Span
from vendororders_async.dispatch import Dispatcher
from vendororders_async.jobs.desk import Desk, Pace
from vendororders_async.jobs.page_reader import PageReader
from vendororders_async.jobs.summary import Tally
from vendororders_async.operations import CREATED, RETAIL, http_request
from vendororders_async.planner import Planner
from vendororders_async.sinks.base import Arrival, Ledger
from vendororders_async.sinks.sqlite import SqliteSink
from vendororders_async.telemetry import Event
from vendororders_async.windows import Window

from .report import Figure, arguments, report
from .server import KINDS, account_at, serving
from .unlimited import AnyToken, Unlimited

LIMIT = 1.05  # times the plain path, for a full page
IN_FLIGHT = 20
_NOW = datetime(2026, 6, 15, tzinfo=UTC)
_WINDOW = Window(_NOW - timedelta(days=6), _NOW)
_HEADERS = {"x-amz-access-token": "Atza|x"}

Way = Callable[[Account, SqliteSink], Awaitable[float]]


def main(given: Sequence[str] | None = None) -> bool:
    """Measure and print; return whether all is within its limits."""
    options = arguments(__doc__ or "", given, rounds=15)
    with serving() as url:
        verdicts = [_report(kind, url, options.rounds, as_json=options.json) for kind in KINDS]
    return all(verdicts)


def _report(kind: str, url: str, rounds: int, *, as_json: bool) -> bool:
    took = asyncio.run(_rounds(account_at(f"{url}/{kind}"), rounds))
    plain, call, job = took.values()
    limit = LIMIT if kind == "full" else None  # of a page of one order they are a third
    orders, lines, _ = KINDS[kind]
    return report(
        f"CPU of a {kind} page, {orders} × {lines} lines, socket to SQLite",
        [
            *(Figure(name, "ms", values) for name, values in took.items()),
            Figure("a call / plain", "times", _ratios(call, plain), limit),
            Figure("a job / plain", "times", _ratios(job, plain)),
        ],
        as_json=as_json,
    )


def _ratios(some: Sequence[float], others: Sequence[float]) -> list[float]:
    return [a / b for a, b in zip(some, others, strict=True)]


async def _rounds(account: Account, count: int) -> dict[str, list[float]]:
    """Return what a page takes, in ms, by the way it goes; each round begins with another."""
    ways: dict[str, Way] = {"plain": _plain, "a call": _call, "a job": _job}
    took: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(count + 1):  # the first one warms up
        names = list(ways)
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            with tempfile.TemporaryDirectory() as folder:
                async with SqliteSink(Path(folder) / "orders.db", now=lambda: _NOW) as sink:
                    milliseconds = await ways[name](account, sink)
            if number:
                took[name].append(milliseconds)
    return took


async def _plain(account: Account, sink: SqliteSink) -> float:
    call = CREATED.call(_WINDOW)
    url = URL(account.base_url + http_request(call).target, encoded=True)
    connector = aiohttp.TCPConnector(limit=IN_FLIGHT)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def fetched() -> bytes:
            async with session.get(url, headers=_HEADERS) as response:
                return await response.read()

        async def get() -> None:
            page = call.operation.decode(await fetched())
            ledger = Ledger(account.name, "retail", "created", account.source)
            await sink.write(Arrival(ledger, _WINDOW, _NOW, page.documents))

        return await _each_page(account, fetched, get)


async def _call(account: Account, sink: SqliteSink) -> float:
    async with Transport() as transport:
        dispatcher = _dispatcher(transport)

        async def get() -> None:
            async with dispatcher.sending(account, CREATED.call(_WINDOW)) as reply:
                ledger = Ledger(account.name, "retail", "created", account.source)
                documents = reply.content.documents
                await sink.write(Arrival(ledger, _WINDOW, reply.asked_at, documents))

        return await _each_page(account, lambda: _fetched(account, transport), get)


async def _job(account: Account, sink: SqliteSink) -> float:
    async with Transport() as transport:
        tally = Tally([account.name])
        desk = Desk(
            account,
            RETAIL,
            sink,
            _dispatcher(transport, tally),
            Unlimited(),
            tally,
            tally,
            lambda: _NOW,
            {},
        )
        pace = Pace(desk, CREATED.operation)

        async def get() -> None:
            # a fresh one each time, since the server answers the same question in turn
            planner = Planner([Span(CREATED.name, _WINDOW)], sorted_streams=[CREATED.name])
            [request] = planner.next(1)
            await PageReader(desk, planner, pace, {}).read(request)

        return await _each_page(account, lambda: _fetched(account, transport), get)


def _dispatcher(
    transport: Transport, tell: Callable[[Event], None] | None = None
) -> Dispatcher:
    return Dispatcher(
        transport,
        AnyToken(),
        Unlimited(),
        observer=tell or (lambda _event: None),
        now=lambda: _NOW,
    )


async def _fetched(account: Account, transport: Transport) -> None:
    """Fetch a page that goes nowhere."""
    url = account.base_url + http_request(CREATED.call(_WINDOW)).target
    await transport.exchange("GET", url, headers=_HEADERS)


async def _each_page(
    account: Account,
    connect: Callable[[], Awaitable[object]],
    get: Callable[[], Awaitable[None]],
) -> float:
    """Get each of the server's pages once, and return the CPU of one, in milliseconds.

    With *connect* all connections are opened beforehand.
    """
    count = KINDS[account.base_url.rpartition("/")[2]][2]

    async def work(left: Sequence[int]) -> None:
        for _ in left:
            await get()

    await asyncio.gather(*(connect() for _ in range(IN_FLIGHT)))
    gc.collect()
    began_at = time.process_time()
    await asyncio.gather(*(work(range(count // IN_FLIGHT)) for _ in range(IN_FLIGHT)))
    return 1000 * (time.process_time() - began_at) / count


if __name__ == "__main__":
    sys.exit(not main())
