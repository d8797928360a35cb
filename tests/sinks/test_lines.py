"""Lines of an order, and cells of a spreadsheet: what the views say, and nothing that runs."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
import stat
from collections.abc import Iterable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from vendororders_async.models import direct_fulfillment
from vendororders_async.models.retail_procurement import Order
from vendororders_async.pages import decode_document
from vendororders_async.sinks.base import Arrival, Ledger, StoredOrder
from vendororders_async.sinks.columns import LINE_COLUMNS, ORDER_COLUMNS
from vendororders_async.sinks.csv_tables import LINE_COLUMNS as CSV_LINE_COLUMNS
from vendororders_async.sinks.csv_tables import CsvTables
from vendororders_async.sinks.lines import OrderLine, order_lines
from vendororders_async.sinks.sqlite import SqliteSink
from vendororders_async.spreadsheets import cell
from vendororders_async.windows import Window

ASKED = datetime(2026, 11, 21, 12, tzinfo=UTC)
LEDGER = Ledger("acme-us", "retail", "created", "amazon")
WINDOW = Window(ASKED - timedelta(days=1), ASKED)

AMOUNTS = (None, 0, 3, -3, "3", 2**62)
UNITS = (None, "", "Cases", "CASE", "each", "EACHES", "Pallets")
COSTS: tuple[dict[str, object] | None, ...] = (
    None,
    {},
    {"amount": "1.10", "currencyCode": "EUR"},
    {"amount": 0.1, "currencyCode": "USD", "unitOfMeasure": "Eaches"},
    {"amount": "2", "unitOfMeasure": "POUNDS"},
    {"amount": "1E400"},
    {"amount": "-0.0000000001", "unitOfMeasure": ""},
    {"amount": "12345678901234567890.123"},
)


def parsed(document: object) -> Order:
    """Return what a document says."""
    content = decode_document(json.dumps(document).encode(), Order).content
    assert content is not None

    return content


def of_view(reader: sqlite3.Connection, view: str) -> list[dict[str, object]]:
    """Return what a view says, amounts as numbers without loss."""
    cursor = reader.execute(f"SELECT * FROM {view}")  # noqa: S608 - a name of ours
    names = [name for name, *_ in cursor.description]
    return [
        {
            name: Decimal(value) if name.endswith("_amount") and value is not None else value
            for name, value in zip(names, row, strict=True)
            if name not in {"account", "api"}
        }
        for row in cursor
    ]


def cells_of(line: OrderLine, names: Iterable[str]) -> dict[str, object]:
    """Return some columns of a line."""
    return {name: getattr(line, name) for name in names}


async def test_lines_say_what_the_view_says(tmp_path: Path) -> None:
    """Every combination of quantity, unit and price comes out as in both views."""
    items = [
        {
            "itemSequenceNumber": f"{number}",
            "amazonProductIdentifier": "B0",
            "vendorProductIdentifier": "=V",
            "orderedQuantity": {"amount": amount, "unitOfMeasure": unit, "unitSize": size},
            "netCost": cost,
        }
        for number, (amount, unit, size, cost) in enumerate(
            (amount, unit, size, cost)
            for amount in AMOUNTS
            for unit in UNITS
            for size in (None, 12)
            for cost in COSTS
            if not (amount == 2**62 and size)  # SQLite goes on in floating point there
        )
    ]
    document = {"purchaseOrderNumber": "A1", "orderDetails": {"items": items}}
    raw = decode_document(json.dumps(document).encode(), Order)
    async with SqliteSink(tmp_path / "orders.db") as sink:
        await sink.write(Arrival(LEDGER, WINDOW, ASKED, [raw]))
    with closing(sqlite3.connect(tmp_path / "orders.db")) as reader:
        lines = of_view(reader, "purchase_order_lines")
        of_items = of_view(reader, "purchase_order_items")
    found = order_lines(parsed(document))

    assert lines == [cells_of(line, lines[0]) for line in found]
    assert of_items == [cells_of(line, of_items[0]) for line in found]


IDENTIFIERS: tuple[object, ...] = (None, "", "0012", 8806098286500, 12)


async def test_lines_of_direct_fulfillment_say_what_the_views_say(tmp_path: Path) -> None:
    """Its own names for ASIN and price; an identifier that came as a number is text."""
    items = [
        {
            "itemSequenceNumber": identifier if number % 2 else f"{number}",
            "buyerProductIdentifier": identifier,
            "vendorProductIdentifier": identifier,
            "orderedQuantity": {"amount": amount, "unitOfMeasure": unit},
            "netPrice": price,
        }
        for number, (identifier, amount, unit, price) in enumerate(
            (identifier, amount, unit, price)
            for identifier in IDENTIFIERS
            for amount in AMOUNTS
            for unit in (None, "Each", "EACH")
            for price in COSTS
        )
    ]
    document = {"purchaseOrderNumber": "P1", "orderDetails": {"items": items}}
    raw = decode_document(json.dumps(document).encode(), direct_fulfillment.Order)
    assert raw.content is not None, raw.reason
    ledger = Ledger("acme-us", "direct_fulfillment", "created", "amazon")
    async with SqliteSink(tmp_path / "orders.db") as sink:
        await sink.write(Arrival(ledger, WINDOW, ASKED, [raw]))
    with closing(sqlite3.connect(tmp_path / "orders.db")) as reader:
        lines = of_view(reader, "purchase_order_lines")
        of_items = of_view(reader, "purchase_order_items")
        found = reader.execute(
            "SELECT count(*) FROM purchase_order_items WHERE vendor_product_identifier = ?",
            ("8806098286500",),
        ).fetchone()

    assert lines == [cells_of(line, lines[0]) for line in order_lines(raw.content)]
    assert found == (len(items) // len(IDENTIFIERS),)
    assert of_items == [cells_of(line, of_items[0]) for line in order_lines(raw.content)]


def test_an_order_without_details_has_no_lines() -> None:
    """Only its number is known."""
    assert order_lines(parsed({"purchaseOrderNumber": "A1"})) == []


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("=1+1", "'=1+1"),
        ("+49", "'+49"),
        ("-", "'-"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "' =1"),
        ("\r=1", "' =1"),
        ("\x00=1", "'=1"),
        ("\x1b[31mred", "[31mred"),
        ("a\nb", "a b"),
        ("0012", "0012"),
        ("a=b", "a=b"),
        ("ä\xa0\U0001f600", "ä\xa0\U0001f600"),
        (-3, -3),
        (-0.5, -0.5),
        (None, None),
        (True, 1),
        (ASKED, "2026-11-21T12:00:00.000000Z"),
    ],
)
def test_no_cell_is_a_formula(value: object, written: object) -> None:
    """Text that a spreadsheet would run gets an apostrophe; numbers stay numbers."""
    assert cell(value) == written


async def test_tables_appear_when_they_are_whole(tmp_path: Path) -> None:
    """Two private files of RFC 4180, and nothing of a run that did not come to its end."""
    document = {
        "purchaseOrderNumber": 'A"1,\n',
        "orderDetails": {
            "purchaseOrderDate": "2026-11-20T01:00:00Z",
            "dealCode": "=1+1",
            "items": [{"itemSequenceNumber": "1", "netCost": {"amount": "-1.5"}}],
        },
    }
    raw = json.dumps(document).encode()
    order = StoredOrder("ac\ud800me", "retail", 'A"1,\n', ASKED, raw)
    async with CsvTables(tmp_path / "out") as tables:
        await tables.add([(order, parsed(document))])
        early = [one.name for one in (tmp_path / "out").iterdir() if one.suffix == ".csv"]
        await tables.settle()
    async with CsvTables(tmp_path / "out") as tables:
        await tables.add([(order, parsed(document))] * 2)
    files = sorted((tmp_path / "out").iterdir())
    read = {
        one.name: list(csv.DictReader(io.StringIO(one.read_text(), newline="")))
        for one in files
    }

    assert early == []
    assert [(one.name, stat.S_IMODE(one.stat().st_mode)) for one in files] == [
        ("lines.csv", 0o600),
        ("orders.csv", 0o600),
    ]
    assert files[1].read_bytes().startswith(b"account,api,purchase_order_number,")
    assert files[1].read_bytes().count(b"\r\n") == 2
    assert [(one["account"], one["purchase_order_number"]) for one in read["orders.csv"]] == [
        ("ac?me", 'A"1, ')
    ]
    assert read["orders.csv"][0]["deal_code"] == "'=1+1"
    assert read["orders.csv"][0]["purchase_order_date"] == "2026-11-20T01:00:00.000000Z"
    assert read["lines.csv"][0]["net_cost"] == "-1.5"


async def test_columns_are_those_of_the_tables(tmp_path: Path) -> None:
    """In their order, but for the document and what only one store can say."""
    own = {"document", "change_seq", "first_seen_at", "updated_at"}
    async with SqliteSink(tmp_path / "orders.db"):
        pass
    with closing(sqlite3.connect(tmp_path / "orders.db")) as reader:
        orders, items, lines = (
            [
                name
                for (name,) in reader.execute("SELECT name FROM pragma_table_info(?)", (one,))
            ]
            for one in ("purchase_orders", "purchase_order_items", "purchase_order_lines")
        )

    assert list(ORDER_COLUMNS) == [one for one in orders if one not in own]
    assert list(CSV_LINE_COLUMNS) == lines
    assert list(LINE_COLUMNS) == items + [one for one in lines if one not in items]
