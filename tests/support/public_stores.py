"""What is done with a sink that is filled: acts to be ended at any step."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cancelling import Act
from public_jobs import PATIENCE, Works, check_claims, staged, stored
from virtual_time import elapsed

from vendororders_async import (
    pending,
    purge,
)
from vendororders_async.jobs.export import export
from vendororders_async.jobs.quarantine import retry_quarantine
from vendororders_async.models.retail_procurement import Order
from vendororders_async.operations import DIRECT_FULFILLMENT_API, RETAIL_API
from vendororders_async.pages import Document, decode_document
from vendororders_async.sinks import open_sink
from vendororders_async.sinks.base import Arrival, Ledger
from vendororders_async.windows import Window

_AGE = timedelta(days=5)

# What is in a sink already


async def _export(works: Works, to: str) -> object:
    return await export(source=works.url, to=f"{to}:{works.folder / 'exported'}.{to}")


def _exported(to: str, source: str = "sqlite") -> Act:
    async def play(works: Works) -> object:
        return await _export(works, to)

    async def after(works: Works, faults: list[str]) -> int:
        await check_claims(works, faults)
        made: Any = await _export(works, to)
        wanted = len((await stored(works))[0])
        if made.orders != wanted:
            faults.append(f"{made.orders} of {wanted} orders are exported")
        left = [one.name for one in works.folder.iterdir() if one.name.startswith(".")]
        if left:
            faults.append(f"left in the folder: {left}")
        return wanted

    return Act(f"export {source} to {to}", staged(source, api=RETAIL_API), play, after)


async def _purge(works: Works) -> object:
    return await purge(works.url, pii_older_than=_AGE)


async def _purged_again(works: Works, faults: list[str]) -> int:
    before, _ = await stored(works)
    await _purge(works)
    after, _ = await stored(works)
    if before.keys() != after.keys():
        faults.append(f"orders are gone: {before.keys() - after.keys()}")
    left = await purge(works.url, pii_older_than=_AGE, dry_run=True)
    if any(one.purged.order_count for one in left.accounts):
        faults.append("customers are still there")
    if not left.complete:
        faults.append(f"the next purge is not complete: {left}")
    return len(after)


def _purging(kind: str) -> Act:
    stage = staged(kind, api=DIRECT_FULFILLMENT_API)
    return Act(f"purge {kind}", stage, _purge, _purged_again, ("purge",))


async def _pending(works: Works) -> object:
    return await pending(works.url)


async def _pending_again(works: Works, _: list[str]) -> int:
    return len(await pending(works.url))


_AT = datetime(2026, 5, 1, tzinfo=UTC)
_ARRIVED = Window(_AT, _AT + timedelta(days=1))
_LEDGER = Ledger("demo", RETAIL_API, "created", "amazon")
_HELD = tuple(b'{"purchaseOrderNumber": "HELD%d"}' % number for number in range(3))


def _quarantined(kind: str) -> Act:
    """Return the act that retries what an older version could not decode."""

    @asynccontextmanager
    async def stage(place: Path) -> AsyncIterator[Works]:
        async with staged(kind)(place) as works:
            async with open_sink(works.url) as sink, sink.lock("demo"):
                documents = [Document[Any](raw, reason="not yet") for raw in _HELD]
                await sink.write(Arrival(_LEDGER, _ARRIVED, _AT, documents))
            yield works

    async def play(works: Works) -> None:
        async with open_sink(works.url) as sink, sink.lock("demo"):
            await retry_quarantine(sink, "demo", RETAIL_API)

    async def after(works: Works, faults: list[str]) -> int:
        await play(works)
        documents, _ = await stored(works)
        if sorted(documents.values()) != sorted(_HELD):
            faults.append(f"stored are {sorted(documents.values())}")
        async with open_sink(works.url) as sink:
            if held := await sink.quarantine("demo", RETAIL_API):
                faults.append(f"{len(held)} stand")
        return len(_HELD)

    return Act(f"retry the quarantine of {kind}", stage, play, after)


def _written(kind: str) -> Act:
    """Return the act that opens a sink, and writes into it from several tasks at once."""

    async def play(works: Works) -> None:
        async with open_sink(works.url) as sink, sink.lock("demo"), sink.lock("other"):

            async def page(number: int, raw: bytes) -> None:
                window = Window(_AT + timedelta(days=number), _AT + timedelta(days=number + 1))
                await sink.begin(_LEDGER, window)
                document = decode_document(raw, Order)
                await sink.write(Arrival(_LEDGER, window, _AT, [document]))

            async with asyncio.TaskGroup() as group:
                for number, raw in enumerate(_HELD):
                    group.create_task(page(number, raw))

    async def after(works: Works, faults: list[str]) -> int:
        seconds = await elapsed(play(works))
        if seconds > PATIENCE:
            faults.append(f"the account is free after {seconds:.1f} s")
        async with open_sink(works.url) as sink, sink.lock("demo"):
            await sink.windows(_LEDGER)
        return len(_HELD)

    return Act(f"write into {kind}", staged(kind), play, after)


STORES = [
    *map(_exported, ("ndjson", "csv", "duckdb", "parquet", "sqlite")),
    *(_exported("sqlite", source) for source in ("ndjson", "parquet")),
    *map(_purging, ("sqlite", "ndjson", "parquet")),
    Act(
        "pending",
        staged("sqlite", api=RETAIL_API),
        _pending,
        _pending_again,
        ("pending",),
    ),
    *map(_quarantined, ("sqlite", "ndjson", "parquet")),
    *map(_written, ("sqlite", "ndjson", "parquet")),
]
