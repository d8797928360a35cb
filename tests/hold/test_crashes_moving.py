"""`kill -9` while documents are moved: out of the quarantine, and into an export."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import duckdb
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from canaries import direct
from hold import Often, Record
from killing import Deed, Mortals, complaints
from looking import drop_lease, look
from msgspec.structs import replace

from vendororders_async.models.retail_procurement import Order
from vendororders_async.pages import Document, Row, decode_document
from vendororders_async.sinks import open_sink
from vendororders_async.sinks.base import Arrival, Ledger
from vendororders_async.windows import FinishedWindow, Window

KINDS = ("sqlite", "postgres", "ndjson", "ndjson+zstd", "parquet")
TABLES = ("csv", "parquet", "duckdb")
NOW = datetime(2026, 6, 1, tzinfo=UTC)
WINDOW = Window(NOW - timedelta(days=1), NOW)
LEDGER = Ledger("acme", "retail", "created", "amazon")

_HELD = 40  # in quarantine
_ORDERS = 1_500  # in an export
_ON_ONE_STORE = 5  # kills


def documents(count: int, mark: str = "x") -> dict[str, bytes]:
    """Return orders by number."""
    return {f"{one:05}": direct(f"{one:05}", NOW, canary=mark) for one in range(count)}


async def fill(url: str, documents: list[Document[Row]]) -> None:
    """Store a page of *documents*."""
    async with open_sink(url) as sink:
        begun_at = await sink.begin(LEDGER, WINDOW)
        await sink.write(Arrival(LEDGER, WINDOW, NOW, documents))
        await sink.finish(LEDGER, FinishedWindow(WINDOW, begun_at))


async def held(url: str) -> list[bytes]:
    """Return what is in the quarantine."""
    async with open_sink(url, read_only=True) as sink:
        return [one.document for one in await sink.quarantine("acme", "retail")]


def command(*arguments: str) -> Deed:
    """Return the deed that runs a command."""
    return Deed(job="command", env={}, arguments=arguments)


def test_a_killed_retry_leaves_each_in_quarantine_or_stored(
    new_store: Callable[[], str],
    mortals: Mortals,
    often: Often,
    chance: Random,
    figure: Record,
) -> None:
    """What leaves the quarantine is stored, once; the next retry brings the rest."""
    wanted = documents(_HELD)
    strange = [Document[Row](one, reason="not yet understood") for one in wanted.values()]

    def standing() -> str:
        url = new_store()
        asyncio.run(fill(url, list(strange)))
        return url

    length = mortals.run(command("quarantine", "retry", "--to", standing())).seconds
    times, wrong, killed, compared = often(8, 25), [], 0, 0
    while killed < times:
        url = standing()
        retry = command("quarantine", "retry", "--to", url)
        for _ in range(_ON_ONE_STORE):
            end = mortals.run(replace(retry, kill_after=chance.uniform(0.0, length)))
            killed += end.killed
            drop_lease(url)
            found = look(url)
            kept = [*asyncio.run(held(url)), *found.orders.values()]
            wrong += [f"{one} is gone" for one, raw in wanted.items() if raw not in kept]
            wrong += found.broken
            if not end.killed or killed == times:
                break
        wrong += complaints(mortals.run(retry))
        found = look(url)
        wrong += [f"{one} is not stored" for one in wanted.keys() - found.orders.keys()]
        wrong += [f"{len(left)} are left" for left in [asyncio.run(held(url))] if left]
        wrong += found.broken
        compared += len(found.orders)
    figure(
        "Crashes",
        f"`kill -9` while `quarantine retry` moves in `{url.partition(':')[0]}:`",
        times=killed,
        orders=compared,
        lost=len(wrong),
    )

    assert wrong == []


@pytest.fixture(params=TABLES)
def target(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return where tables go."""
    return f"{request.param}:{tmp_path}/out"


def test_a_killed_export_leaves_tables_whole(
    target: str, mortals: Mortals, often: Often, chance: Random, figure: Record
) -> None:
    """Each is the one before or the new one, and the next export replaces it."""
    kind, _, path = target.partition(":")
    place, sources = Path(path), []
    for name, count in (("one", _ORDERS), ("two", _ORDERS // 2)):
        url = f"sqlite:{place.parent}/{name}.db"
        found = [decode_document(raw, Order) for raw in documents(count).values()]
        asyncio.run(fill(url, list(found)))
        sources.append((command("export", "--from", url, "--to", target, "--quiet"), count))
    lengths = {count: mortals.run(deed).seconds for deed, count in sources}
    times, wrong, killed, compared = often(8, 25), [], 0, 0
    there = _ORDERS // 2
    while killed < times:
        deed, count = chance.choice(sources)
        end = mortals.run(replace(deed, kill_after=chance.uniform(0.0, lengths[count])))
        killed += end.killed
        counts = rows(kind, place)
        wrong += [f"{one} rows" for one in counts if one not in {there, count}]
        there = counts[0]
        compared += there
    deed, count = sources[0]
    wrong += complaints(mortals.run(deed))
    wrong += [f"{one} rows in the end" for one in rows(kind, place) if one != count]
    figure(
        "Crashes",
        f"`kill -9` while `export` writes `{kind}:`",
        times=killed,
        orders=compared,
        lost=len(wrong),
    )

    assert wrong == []


def rows(kind: str, place: Path) -> list[int]:
    """Return how many rows there are of orders, in tables that can be read."""
    match kind:
        case "csv":
            return [pa_csv.read_csv(place / "orders.csv").num_rows]
        case "parquet":
            return [pq.read_table(place / "purchase_orders.parquet").num_rows]
        case _:
            with duckdb.connect(place, read_only=True) as database:
                [[found]] = database.execute("SELECT count(*) FROM purchase_orders").fetchall()
                return [int(found)]
