"""Customers called canary: orders that name them, and a search for what is left of them."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from vendororders_async.models.retail_procurement import Order
from vendororders_async.pages import Row, decode_document
from vendororders_async.sinks.base import Arrival, Ledger, PurgeableSink, Purged
from vendororders_async.windows import FinishedWindow, Window

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
DAY = timedelta(days=1)
WINDOW = Window(NOW - 7 * DAY, NOW)
LATER = Window(NOW, NOW + DAY)
DIRECT = Ledger("acme-us", "direct_fulfillment", "created", "amazon")
BEFORE = NOW - 30 * DAY  # of whom is to be forgotten
OLD, YOUNG = NOW - 31 * DAY, NOW - 29 * DAY


def direct(
    number: str, placed: datetime | None = OLD, *, canary: str = "CANARY", **more: object
) -> bytes:
    """Return an order of a customer who is called *canary*, and lives there."""
    said = placed and placed.isoformat()
    party = {"name": canary, "addressLine1": f"{canary} road", "countryCode": "DE"}
    # the second date is a retail order's: whichever struct decodes it, it is as old
    dates = {"orderDate": said, "purchaseOrderDate": said}
    details = {**dates, "shipToParty": party, "padding": "x" * 300, **more}
    return json.dumps({"purchaseOrderNumber": number, "orderDetails": details}).encode()


def page(
    *raws: bytes,
    ledger: Ledger = DIRECT,
    asked_at: datetime = NOW,
    window: Window = WINDOW,
    kind: type[Row] = Order,
) -> Arrival:
    """Return a page with these documents; what does not decode is for the quarantine."""
    return Arrival(ledger, window, asked_at, [decode_document(raw, kind) for raw in raws])


async def store(sink: PurgeableSink, *pages: Arrival) -> None:
    """Write *pages* of one window from its beginning to its end."""
    ledger, window = pages[0].ledger, pages[0].window
    begun_at = await sink.begin(ledger, window)
    for one in pages:
        await sink.write(one)
    await sink.finish(ledger, FinishedWindow(window, begun_at))


async def documents_in(sink: PurgeableSink) -> dict[str, bytes]:
    """Return the newest documents by number."""
    return {
        one.purchase_order_number: one.document
        async for batch in sink.orders()
        for one in batch
    }


def files_with(folder: Path, canary: str = "CANARY") -> list[str]:
    """Return the files below *folder* that have *canary* in them, however written."""
    return [
        file.name
        for file in sorted(folder.rglob("*"))
        if file.is_file() and _has(file.name, file.read_bytes(), canary)
    ]


def objects_with(system: Any, bucket: str, canary: str = "CANARY") -> list[str]:
    """Return the objects in *bucket* that have it; *system* is a file system of pyarrow's."""
    fs = pytest.importorskip("pyarrow.fs")
    infos = system.get_file_info(fs.FileSelector(bucket, recursive=True))
    return [
        info.base_name
        for info in infos
        if info.is_file
        and _has(info.base_name, system.open_input_file(info.path).readall(), canary)
    ]


def _has(name: str, data: bytes, canary: str) -> bool:
    """Say whether *data* has *canary* in its bytes or, of a table, in any column."""
    words = (canary.encode(), canary.encode("utf-16-le"))
    if any(word in data for word in words) or not name.endswith(".parquet"):
        return any(word in data for word in words)
    pq = pytest.importorskip("pyarrow.parquet")
    return any(canary in str(row) for row in pq.read_table(io.BytesIO(data)).to_pylist())


async def forget(sink: PurgeableSink, before: datetime = BEFORE) -> Purged:
    """Purge people as the command does it."""
    async with sink.lock("acme-us"):
        purged = await sink.purge_people("acme-us", before)
    await sink.scrub()
    return purged
