"""Drift in stores: what came with an odd order is stored, read and exported like any other."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest
import sample_files
from drifted import LISTED, Drifted, drifted
from hold import Often, Record
from postgres import execute

from vendororders_async.changes import StatusChanged
from vendororders_async.jobs.export import export
from vendororders_async.models.retail_procurement import OrderStatus
from vendororders_async.sinks import open_sink
from vendororders_async.sinks.base import Arrival, Ledger, Outcome, Sink, Written
from vendororders_async.sinks.followed import FollowedSink
from vendororders_async.windows import FinishedWindow, Window

needs_models = pytest.mark.skipif(not sample_files.HAS_MODELS, reason=sample_files.NO_MODELS)
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
FIRST = Window(NOON - timedelta(hours=1), NOON)
SECOND = Window(NOON, NOON + timedelta(hours=1))
NAMES = {"sqlite": "SQLite", "ndjson": "NDJSON", "parquet": "Parquet", "postgres": "PostgreSQL"}
_ASIDE = (Outcome.QUARANTINED, Outcome.STANDING)
VIEWS = (
    *("purchase_orders", "purchase_order_statuses", "purchase_order_versions"),
    *("purchase_order_items", "purchase_order_lines", "purchase_order_item_statuses"),
    *("to_acknowledge", "changes", "quarantine"),
)


def url_of(kind: str, folder: Path, request: pytest.FixtureRequest) -> str:
    """Return where a sink of a kind is made."""
    if kind == "postgres":
        return str(request.getfixturevalue("postgres_url"))
    return f"{kind}:{folder / ('orders.db' if kind == 'sqlite' else 'orders')}"


def ledger_of(page: Drifted) -> Ledger:
    """Return what *page* belongs to."""
    stream = "statuses" if page.listed.kind is OrderStatus else "created"
    return Ledger("acme", page.listed.api, stream, "amazon")


async def store(sink: Sink, page: Drifted, window: Window) -> list[Written]:
    """Write *page*, asked for when *window* ended; return what became of its rows."""
    documents = page.decoded().documents
    try:
        return await sink.write(Arrival(ledger_of(page), window, window.before, documents))
    except BaseException as error:
        error.add_note(f"{page.listed.operation}: {page.what}")
        raise


async def all_in(sink: Sink) -> tuple[set[bytes], set[bytes]]:
    """Return the orders of *sink*, and what it has set aside."""
    stored = {one.document async for batch in sink.orders() for one in batch}
    aside = [await sink.quarantine("acme", api) for api in ("retail", "direct_fulfillment")]
    return stored, {one.document for found in aside for one in found}


async def read_changes(sink: Sink) -> int:
    """Return how many changes *sink* tells of; each is decoded."""
    count = place = 0
    while isinstance(sink, FollowedSink) and (found := await sink.changes(place)):
        place = found[-1].sequence
        count += sum(isinstance(one, StatusChanged) or one.order is not None for one in found)
    return count


def read_views(kind: str, url: str) -> None:
    """Read every view to its end."""
    statements = [f"SELECT * FROM {view}" for view in VIEWS]  # noqa: S608 - names of ours
    if kind == "postgres":
        for one in statements:
            execute(url, one)
    if kind == "sqlite":
        with closing(sqlite3.connect(url.partition(":")[2])) as reader:
            # half a pair of surrogates is what JSON's escapes can say and UTF-8 cannot
            reader.text_factory = lambda raw: raw.decode("utf-8", "surrogatepass")
            for one in statements:
                reader.execute(one).fetchall()


@needs_models
@pytest.mark.parametrize("kind", NAMES)
async def test_an_odd_order_costs_a_store_only_itself(
    *,
    kind: str,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    often: Often,
    chance: Random,
    figure: Record,
) -> None:
    """It is stored or set aside, its neighbours are there, and all is read and exported."""
    url = url_of(kind, tmp_path, request)
    pages = [
        drifted(listed, f"{listed.operation}-{turn}", chance)
        for turn in range(often(6, 100))
        for listed in LISTED
    ]
    became: list[Outcome] = []
    async with open_sink(url) as sink, sink.lock("acme"):
        for start in range(0, len(pages), 40):
            some = pages[start : start + 40]
            await asyncio.gather(*(store(sink, one.earlier, FIRST) for one in some))
            answers = await asyncio.gather(*(store(sink, one, SECOND) for one in some))
            became += [
                written[page.place].outcome for page, written in zip(some, answers, strict=True)
            ]
        for ledger in {ledger_of(one) for one in pages}:
            for window in (FIRST, SECOND):
                await sink.finish(ledger, FinishedWindow(window, window.before))
        stored, aside = await all_in(sink)
        change_count = await read_changes(sink)
    missing = [
        f"{page.listed.operation}: {page.what}"
        for page, outcome in zip(pages, became, strict=True)
        if not (page.listed.kind is OrderStatus or stored.issuperset(page.others))
        or (outcome in _ASIDE) != (page.odd in aside)
    ]
    rows = sum(len(page.rows) for page in pages)
    figure(
        "Drift",
        f"a page with an odd order, into {NAMES[kind]}, and all of it exported",
        times=len(pages),
        orders=rows,
        lost=len(missing),
    )

    assert missing == []
    assert change_count > 0 or kind in ("ndjson", "parquet")
    read_views(kind, url)
    for target in ("csv", "parquet", "duckdb", "ndjson", "sqlite"):
        done = await export(source=url, to=f"{target}:{tmp_path / 'to'}-{target}")
        assert (done.orders, done.undecodable) == (len(stored), 0)
