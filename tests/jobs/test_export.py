"""Exports: the latest version of every order, in another place and another shape."""

# ruff: noqa: ASYNC240 - a test may look at a file while nobody waits for its loop

from __future__ import annotations

import csv
import io
import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from simulated import SINCE, UNTIL, now, simulation

from vendororders_async.errors import ConfigurationError, InvalidArgument, SinkError
from vendororders_async.jobs.backfill import backfill
from vendororders_async.jobs.export import Exported, export
from vendororders_async.models.retail_procurement import Order
from vendororders_async.pages import decode_document
from vendororders_async.simulator import Settings
from vendororders_async.sinks import open_sink
from vendororders_async.sinks.base import Arrival, Ledger, StoredOrder
from vendororders_async.sinks.columns import ORDER_COLUMNS
from vendororders_async.sinks.csv_tables import LINE_COLUMNS
from vendororders_async.windows import FinishedWindow, Window

ASKED = datetime(2026, 11, 21, 12, tzinfo=UTC)
WINDOW = Window(ASKED - timedelta(days=1), ASKED)
HOSTILE = json.dumps(
    {
        "purchaseOrderNumber": "=HYPERLINK(1)\n\x00",
        "orderDetails": {
            "dealCode": "@SUM(A1)",
            "sellingParty": {"partyId": "-CODE\r\n"},
            "items": [{"itemSequenceNumber": "+1", "netCost": {"amount": "-1.10"}}],
        },
    }
).encode()


async def fill(url: str, *accounts: str) -> None:
    """Put an order, and an older version of it, into a window of each account."""
    async with open_sink(url) as sink:
        for name in accounts:
            ledger = Ledger(name, "retail", "created", "amazon")
            await sink.begin(ledger, WINDOW)
            for asked_at, raw in ((ASKED, HOSTILE), (ASKED - WINDOW.length, HOSTILE + b" ")):
                document = decode_document(raw, Order)
                await sink.write(Arrival(ledger, WINDOW, asked_at, [document]))
            await sink.finish(ledger, FinishedWindow(WINDOW, ASKED))


async def held(url: str) -> list[StoredOrder]:
    """Return the orders in a sink."""
    async with open_sink(url, read_only=True) as sink:
        return [order async for batch in sink.orders() for order in batch]


@pytest.mark.parametrize("source", ["sqlite", "ndjson"])
@pytest.mark.parametrize("target", ["sqlite", "ndjson"])
async def test_an_export_holds_what_its_source_holds(
    tmp_path: Path, source: str, target: str
) -> None:
    """Whichever way it goes, documents and times are the same, and twice changes nothing."""
    urls = f"{source}:{tmp_path / 'from'}", f"{target}:{tmp_path / 'to'}"
    await fill(urls[0], "acme/us", "äcme")
    for _ in range(2):
        done = await export(source=urls[0], to=urls[1])

    assert done == Exported(orders=2, accounts=2)
    assert await held(urls[1]) == await held(urls[0])
    assert {one.document for one in await held(urls[1])} == {HOSTILE}


async def test_an_export_claims_no_windows(tmp_path: Path) -> None:
    """A backfill into it reads everything: statuses and quarantine were not copied."""
    await fill(f"sqlite:{tmp_path}/orders.db", "acme")
    for to in (f"ndjson:{tmp_path}/out", f"sqlite:{tmp_path}/out.db"):
        await export(source=f"sqlite:{tmp_path}/orders.db", to=to)
        async with open_sink(to) as sink:
            [state] = await sink.states()

        assert state.windows == ()
        assert state.ledger.stream == "exported"


async def test_accounts_are_chosen_by_pattern(tmp_path: Path) -> None:
    """A pattern that matches nobody is an error, and nothing is made."""
    source = f"sqlite:{tmp_path}/orders.db"
    await fill(source, "acme-us", "acme-de", "other")
    done = await export(source=source, to=f"ndjson:{tmp_path}/out", patterns=["acme-*"])
    with pytest.raises(InvalidArgument, match="no account is called 'nobody'"):
        await export(source=source, to=f"csv:{tmp_path}/none", patterns=["nobody"])

    assert done.accounts == 2
    assert [one.account for one in await held(f"ndjson:{tmp_path}/out")] == [
        "acme-de",
        "acme-us",
    ]
    assert not (tmp_path / "none").exists()


async def test_nothing_in_a_spreadsheet_runs(tmp_path: Path) -> None:
    """Codes that look like formulas are text, and amounts are numbers."""
    await fill(f"sqlite:{tmp_path}/orders.db", "=acme")
    await export(source=f"sqlite:{tmp_path}/orders.db", to=f"csv:{tmp_path}/out")
    [order], [line] = (table(tmp_path / "out" / name) for name in ("orders.csv", "lines.csv"))

    assert order["account"] == "'=acme"
    assert order["purchase_order_number"] == "'=HYPERLINK(1) "
    assert order["selling_party_id"] == "'-CODE  "
    assert order["deal_code"] == "'@SUM(A1)"
    assert line["item_sequence_number"] == "'+1"
    assert line["net_cost"] == "-1.1"


async def test_tables_say_what_the_database_says(tmp_path: Path) -> None:
    """Orders and lines of the simulator are the same by CSV and by SQL, cell by cell."""
    database = tmp_path / "orders.db"
    async with simulation(Settings(orders=300, days=120, rate=500.0, burst=500.0)) as world:
        await backfill(world[1], since=SINCE, until=UNTIL, to=f"sqlite:{database}")
    await export(source=f"sqlite:{database}", to=f"csv:{tmp_path}/out", now=now)
    with closing(sqlite3.connect(database)) as reader:
        for name, columns, file in (
            ("purchase_orders", ORDER_COLUMNS, "orders.csv"),
            ("purchase_order_lines", LINE_COLUMNS, "lines.csv"),
        ):
            by_sql = reader.execute(f"SELECT {', '.join(columns)} FROM {name}").fetchall()  # noqa: S608 - names of ours
            by_csv = [tuple(row.values()) for row in table(tmp_path / "out" / file)]

            assert len(by_sql) > 100
            assert sorted(by_csv) == sorted(
                tuple("" if one is None else str(one) for one in row) for row in by_sql
            )


async def test_a_source_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    """Neither it nor what it was to go into is made."""
    for kind in ("sqlite", "ndjson"):
        with pytest.raises(SinkError, match="there is no"):
            await export(source=f"{kind}:{tmp_path}/none", to=f"csv:{tmp_path}/out")

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("source", "to"),
    [
        ("sqlite:a", "sqlite:a"),
        ("ndjson:a", "ndjson:./b/../a/"),
        ("sqlite:a", "csv:-"),
        ("sqlite:a", "xml:out"),
        ("sqlite:a", "csv:"),
        ("csv:out", "sqlite:a"),
        ("ndjson:-", "sqlite:a"),
    ],
)
async def test_what_cannot_be_meant_is_refused(source: str, to: str) -> None:
    """A kind of sink that is not there, or that cannot be read, or the same one twice."""
    with pytest.raises(ConfigurationError):
        await export(source=source, to=to)


async def test_a_target_in_use_is_left_alone(tmp_path: Path) -> None:
    """While a run writes for an account, nobody exports into it."""
    await fill(f"sqlite:{tmp_path}/orders.db", "acme")
    async with open_sink(f"ndjson:{tmp_path}/out") as sink, sink.lock("acme"):
        with pytest.raises(SinkError, match="another run"):
            await export(source=f"sqlite:{tmp_path}/orders.db", to=f"ndjson:{tmp_path}/out")

    assert await held(f"ndjson:{tmp_path}/out") == []


def table(path: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV file."""
    with io.StringIO(path.read_bytes().decode(), newline="") as text:
        return list(csv.DictReader(text))
