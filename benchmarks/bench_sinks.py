"""What does a page cost in each sink? ``python -m benchmarks.bench_sinks``.

Full pages (100 orders × 10 lines, decoded before), five to a window, written as new orders
by four accounts at once, and then the same ones again. Wall time, and the CPU of this process
with its threads: what PostgreSQL itself takes is on the wall only. It is asked where
``VENDORORDERS_BENCH_POSTGRES`` says, and left out where nobody answers there. Ratios are to
SQLite in the same round.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from vendororders_async.errors import VendorOrdersError
from vendororders_async.models.retail_procurement import Order
from vendororders_async.pages import Document, decode_page
from vendororders_async.sinks import Sink, open_sink
from vendororders_async.sinks.base import Arrival, Ledger
from vendororders_async.windows import FinishedWindow, Window

from .report import Figure, arguments, report
from .server import bodies

ACCOUNTS, PAGES = 4, 5  # pages a window
# CPU of a new page, times that of SQLite's
LIMITS = {
    "postgres": 2.0,
    "parquet": 2.5,
    "ndjson": 1.0,
    "ndjson+gzip": 1.0,
    "ndjson+zstd": 1.0,
}

_NOW = datetime(2026, 6, 15, tzinfo=UTC)
_POSTGRES = os.environ.get(
    "VENDORORDERS_BENCH_POSTGRES", "postgres://postgres@127.0.0.1:5432/postgres"
)

Orders = Sequence[Document[Order]]
Measured = dict[str, list[float]]  # by what is told, round by round


def main(given: Sequence[str] | None = None) -> bool:
    """Measure and print; return whether all is within its limits."""
    options = arguments(__doc__ or "", given, rounds=5)
    pages = [decode_page(body, Order).documents for body in bodies("full")]
    measured: dict[str, Measured] = {}
    left_out: set[str] = set()
    for number in range(options.rounds + 1):  # the first one warms up
        for kind in ("sqlite", *LIMITS):
            if kind in left_out:
                continue
            try:
                costs = asyncio.run(_round(kind, pages))
            except (VendorOrdersError, OSError) as error:  # nobody is there, or an extra is not
                left_out.add(kind)
                print(f"left out: {kind}: {error}", file=sys.stderr)
                continue
            for name, cost in costs.items() if number else ():
                measured.setdefault(kind, {}).setdefault(name, []).append(cost)
    figures = [
        Figure(f"{kind}: {name}", "pages/s" if "pages" in name else "ms", values)
        for kind, by_name in measured.items()
        for name, values in by_name.items()
    ]
    return report(
        f"Full pages into each sink, {ACCOUNTS} accounts at once",
        [*figures, *_ratios(measured)],
        as_json=options.json,
    )


def _ratios(measured: dict[str, Measured]) -> list[Figure]:
    """Return what a new page costs in CPU, to SQLite's."""
    name = "CPU of a new page"
    base = measured["sqlite"][name]
    return [
        Figure(
            f"{kind} / sqlite, {name}",
            "times",
            [one / other for one, other in zip(by_name[name], base, strict=True)],
            LIMITS[kind],
        )
        for kind, by_name in measured.items()
        if kind in LIMITS
    ]


async def _round(kind: str, pages: Sequence[Orders]) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        if kind == "postgres":
            return await _in_schema(lambda url: _timed(url, pages))
        return await _timed(f"{kind}:{Path(folder) / 'store'}", pages)


async def _timed(url: str, pages: Sequence[Orders]) -> dict[str, float]:
    found = {}
    async with open_sink(url) as sink:
        for name, asked_at in (("new", _NOW), ("known", _NOW + timedelta(hours=1))):
            began_at, spent = time.perf_counter(), time.process_time()
            await _write(sink, pages, asked_at)
            spent = time.process_time() - spent
            found[f"CPU of a {name} page"] = 1000 * spent / len(pages)
            found[f"{name} pages"] = len(pages) / (time.perf_counter() - began_at)
    return found


async def _write(sink: Sink, pages: Sequence[Orders], asked_at: datetime) -> None:
    async def write(account: int) -> None:
        ledger = Ledger(f"bench-{account}", "retail", "created", "bench")
        async with sink.lock(ledger.account):
            own = pages[account::ACCOUNTS]
            for day, start in enumerate(range(0, len(own), PAGES)):
                window = Window(_NOW + timedelta(days=day), _NOW + timedelta(days=day + 1))
                begun_at = await sink.begin(ledger, window)
                for page in own[start : start + PAGES]:
                    await sink.write(Arrival(ledger, window, asked_at, page))
                await sink.finish(ledger, FinishedWindow(window, begun_at))

    async with asyncio.TaskGroup() as group:
        for account in range(ACCOUNTS):
            group.create_task(write(account))


async def _in_schema(run: Callable[[str], Awaitable[dict[str, float]]]) -> dict[str, float]:
    """Run it on a schema of its own, which is dropped afterwards."""
    import asyncpg  # noqa: PLC0415 - an extra

    name = f"bench_{secrets.token_hex(4)}"
    connection = await asyncpg.connect(_POSTGRES)
    try:
        await connection.execute(f"CREATE SCHEMA {name}")
        joint = "&" if "?" in _POSTGRES else "?"
        return await run(f"{_POSTGRES}{joint}search_path={name}")
    finally:
        with suppress(OSError):
            await connection.execute(f"DROP SCHEMA {name} CASCADE")
        await connection.close()


if __name__ == "__main__":
    sys.exit(not main())
