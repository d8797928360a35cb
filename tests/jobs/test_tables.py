"""Stored orders in a notebook: one call, and it is a table."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from commands import STRICT

from vendororders_async import ConfigurationError, InvalidArgument, SinkError, read_orders
from vendororders_async.models import direct_fulfillment
from vendororders_async.models.retail_procurement import Order
from vendororders_async.pages import decode_document
from vendororders_async.sinks import open_sink
from vendororders_async.sinks.base import Arrival, Ledger
from vendororders_async.sinks.columns import LINE_COLUMNS, ORDER_COLUMNS
from vendororders_async.windows import FinishedWindow, Window

pa = pytest.importorskip("pyarrow")
pytest.importorskip("pyarrow.compute")  # here, since importing it blocks

ASKED = datetime(2026, 11, 21, 12, tzinfo=UTC)
WINDOW = Window(ASKED - timedelta(days=1), ASKED)
ORDER = b"""{"purchaseOrderNumber": "%s", "orderDetails": {
    "purchaseOrderDate": "2026-11-20T01:00:00Z",
    "items": [{"itemSequenceNumber": "1", "netCost": {"amount": "1.10"}}]
}}"""
SINKS = ("sqlite", "ndjson", "parquet", "postgres")


async def fill(url: str, *accounts: str, api: str = "retail") -> None:
    """Put an order and an older version of it into a window of each account."""
    kind = Order if api == "retail" else direct_fulfillment.Order
    async with open_sink(url) as sink:
        for name in accounts:
            ledger = Ledger(name, api, "created", "amazon")
            raw = ORDER % name.upper().encode()
            async with sink.lock(name):
                await sink.begin(ledger, WINDOW)
                for asked_at, text in ((ASKED, raw), (ASKED - WINDOW.length, raw + b" ")):
                    document = decode_document(text, kind)
                    await sink.write(Arrival(ledger, WINDOW, asked_at, [document]))
                await sink.finish(ledger, FinishedWindow(WINDOW, ASKED))


@pytest.mark.parametrize("kind", SINKS)
def test_orders_and_lines_are_read_in_one_call(
    tmp_path: Path, kind: str, request: pytest.FixtureRequest
) -> None:
    """A script needs no loop: the newest version of each order, and its lines, typed."""
    of_postgres = kind == "postgres"
    url = request.getfixturevalue("postgres_url") if of_postgres else f"{kind}:{tmp_path}/s"
    asyncio.run(fill(url, "acme", "other"))
    orders = read_orders(url)
    table, lines = orders.to_arrow(), orders.lines().to_arrow()

    assert table.column_names == list(ORDER_COLUMNS)
    assert table["purchase_order_number"].to_pylist() == ["ACME", "OTHER"]
    assert table["asked_at"].to_pylist() == [ASKED] * 2
    assert table["purchase_order_date"].type == pa.timestamp("us", tz="UTC")
    assert set(LINE_COLUMNS) <= set(lines.column_names)
    assert lines["account"].to_pylist() == ["acme", "other"]
    assert lines["net_cost_amount"].to_pylist() == [Decimal("1.10")] * 2


async def test_a_notebook_has_a_loop_already(tmp_path: Path) -> None:
    """The call works where a loop runs, and from a thread while it does."""
    url = f"sqlite:{tmp_path}/orders.db"
    await fill(url, "acme")
    at_once = await asyncio.to_thread(read_orders(url).to_arrow)
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", NOTEBOOK, url],
        env={**os.environ, "PYTHONWARNINGS": STRICT},
        capture_output=True,
        check=False,
        text=True,
    )

    assert at_once.num_rows == 1
    assert (done.stdout, done.stderr) == ("1 1\n", "")


NOTEBOOK = """
import asyncio, sys
from vendororders_async import read_orders

async def cell():
    orders = read_orders(sys.argv[1])
    print(orders.to_arrow().num_rows, orders.lines().to_arrow().num_rows)

asyncio.run(cell())
"""


def test_orders_are_chosen_by_account_and_api(tmp_path: Path) -> None:
    """By pattern, one or several; a pattern that matches nobody is an error."""
    url = f"sqlite:{tmp_path}/orders.db"
    asyncio.run(fill(url, "acme-us", "acme-de", "other"))
    asyncio.run(fill(url, "acme-us", api="direct_fulfillment"))

    def accounts(**chosen: object) -> list[object]:
        """Return the accounts of what is chosen."""
        return list(read_orders(url, **chosen).to_arrow()["account"].to_pylist())  # type: ignore[arg-type] # as users may

    assert accounts(accounts="acme-*") == ["acme-de", "acme-us", "acme-us"]
    assert accounts(accounts=["other", "*-de"], api="retail") == ["acme-de", "other"]
    assert accounts(api="direct_fulfillment") == ["acme-us"]
    assert read_orders(url, api="direct_fulfillment").lines().to_arrow().num_rows == 1
    with pytest.raises(InvalidArgument, match="no account is called 'nobody'"):
        accounts(accounts="nobody")
    with pytest.raises(InvalidArgument, match="an API is retail or direct-fulfillment"):
        accounts(api="retial")


def test_documents_are_there_when_they_are_asked_for(tmp_path: Path) -> None:
    """As Amazon sent them, byte for byte; else the table says nothing of customers."""
    url = f"sqlite:{tmp_path}/orders.db"
    asyncio.run(fill(url, "acme"))
    table = read_orders(url).to_arrow(documents=True)

    assert table.column_names == [*ORDER_COLUMNS, "document"]
    assert table["document"].to_pylist() == [(ORDER % b"ACME").decode()]


def test_an_order_that_cannot_be_decoded_keeps_its_number(tmp_path: Path) -> None:
    """It was written by another version, say: a row with its number, and a warning."""
    import sqlite3  # noqa: PLC0415 - only here
    from contextlib import closing  # noqa: PLC0415 - the same

    url = f"sqlite:{tmp_path}/orders.db"
    asyncio.run(fill(url, "acme", "other"))
    with closing(sqlite3.connect(tmp_path / "orders.db")) as database, database:
        database.execute("UPDATE purchase_orders SET document = '{}' WHERE account = 'acme'")
    with pytest.warns(UserWarning, match="1 orders could not be decoded"):
        table = read_orders(url).to_arrow()

    assert table["purchase_order_number"].to_pylist() == ["ACME", "OTHER"]
    assert table["has_details"].to_pylist() == [False, True]


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("xml:out", ConfigurationError),
        ("ndjson:-", ConfigurationError),
        ("sqlite:no/where.db", SinkError),
    ],
)
def test_what_cannot_be_read_is_an_error(url: str, error: type[Exception]) -> None:
    """It comes out of the thread as it went in."""
    with pytest.raises(error):
        read_orders(url).to_arrow()


def test_a_table_of_nothing_has_its_columns(tmp_path: Path) -> None:
    """Whoever joins it need not ask first."""
    url = f"sqlite:{tmp_path}/orders.db"
    asyncio.run(fill(url))

    assert read_orders(url).to_arrow().column_names == list(ORDER_COLUMNS)
    assert read_orders(url).lines().to_arrow().num_rows == 0


def test_its_repr_has_no_password() -> None:
    """A notebook shows what a cell returns."""
    orders = read_orders("postgres://user:s3cret@host/db")

    assert "s3cret" not in repr(orders) + repr(orders.lines())
