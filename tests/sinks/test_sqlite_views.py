"""The views: every digit of money, plain quantities, and no document that breaks them."""

from __future__ import annotations

import json
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from sample_files import sample

from vendororders_async.models.retail_procurement import Order, OrderStatus
from vendororders_async.pages import Row, decode_document, decode_page
from vendororders_async.sinks.base import Arrival, Ledger, Outcome
from vendororders_async.sinks.sqlite import SqliteSink
from vendororders_async.sinks.sqlite_file import open_database, transaction
from vendororders_async.sinks.sqlite_pages import PageWriter
from vendororders_async.windows import Window

Select = Callable[..., list[tuple[Any, ...]]]

LEDGER = Ledger("acme-us", "retail", "created", "amazon")
ASKED = datetime(2026, 11, 21, 12, tzinfo=UTC)
WINDOW = Window(ASKED - timedelta(days=1), ASKED)
STAMP = "2026-11-21T12:00:00.000000Z"
VALID = """
SELECT json_valid(document) FROM purchase_orders
UNION ALL SELECT json_valid(document) FROM purchase_order_statuses
"""
READINGS = (
    "SELECT * FROM purchase_order_items",
    "SELECT * FROM purchase_order_items WHERE net_cost_amount = '1' AND unit_size = 2",
    "SELECT * FROM purchase_order_lines",
    "SELECT * FROM purchase_order_lines WHERE line_total > 1 ORDER BY ordered_eaches",
    "SELECT * FROM purchase_order_item_statuses",
    "SELECT * FROM purchase_order_item_statuses WHERE cancelled_quantity > 1",
    "SELECT * FROM purchase_order_versions",
)


async def store(sink: SqliteSink, raw: str | bytes, content: type[Row] = Order) -> None:
    """Put one document into the sink."""
    document = decode_document(raw.encode() if isinstance(raw, str) else raw, content)
    assert document.content is not None, document.reason

    await sink.write(Arrival(LEDGER, WINDOW, ASKED, [document]))


def order(*items: str) -> str:
    """Return an order with these items, which are JSON text."""
    return (
        '{"purchaseOrderNumber": "A1", "orderDetails": {"items": [' + ", ".join(items) + "]}}"
    )


def status(item: str) -> str:
    """Return a status with this item, which is JSON text."""
    return '{"purchaseOrderNumber": "A1", "itemStatus": [' + item + "]}"


async def test_an_item_is_a_row(sink: SqliteSink, select: Select) -> None:
    """Every column of an item comes from its place in the document."""
    await store(
        sink,
        order(
            """{"itemSequenceNumber": "1", "amazonProductIdentifier": "B000000001",
            "vendorProductIdentifier": "0012", "isBackOrderAllowed": true,
            "orderedQuantity": {"amount": 3, "unitOfMeasure": "Cases", "unitSize": 12},
            "netCost": {"amount": "1.50", "currencyCode": "EUR", "unitOfMeasure": "POUNDS"},
            "listPrice": {"amount": "2.00", "currencyCode": "USD"}}"""
        ),
    )

    assert select("SELECT * FROM purchase_order_items") == [
        (
            *("acme-us", "retail", "A1", "1", "B000000001", "0012"),
            *(3, "Cases", 12, 1, "1.50", "EUR", "POUNDS", "2.00", "USD"),
        )
    ]


@pytest.mark.parametrize("field", ["net_cost", "list_price"])
@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ('"1.10"', "1.10"),
        ("1.10", "1.10"),
        ("7", "7"),
        ("0.10000000000000000000001", "0.10000000000000000000001"),
        ('"12345678901234567890.123"', "12345678901234567890.123"),
        ("12345678901234567890.123", "12345678901234567890.123"),
        ("1.5E+3", "1.5E+3"),
        ('"\\u0031.10"', "1.10"),
        ("null", None),
        ('""', None),
    ],
)
async def test_an_amount_keeps_every_digit(
    sink: SqliteSink, select: Select, field: str, written: str, stored: str | None
) -> None:
    """Amazon's amounts come as text or as numbers; both are the text of their digits."""
    name = {"net_cost": "netCost", "list_price": "listPrice"}[field]
    await store(sink, order(f'{{"{name}": {{"amount": {written}}}}}'))

    assert select("SELECT net_cost_amount, list_price_amount FROM purchase_order_items") == [
        (stored, None) if field == "net_cost" else (None, stored)
    ]


@pytest.mark.parametrize(
    ("quantity", "eaches"),
    [
        ('{"amount": 3, "unitOfMeasure": "Cases", "unitSize": 12}', 36),
        ('{"amount": "3", "unitOfMeasure": "CASES", "unitSize": "12"}', 36),
        ('{"amount": 3, "unitOfMeasure": "Eaches", "unitSize": 12}', 3),
        ('{"amount": 3.0, "unitOfMeasure": "EACH"}', 3),
        ('{"amount": "3e1", "unitOfMeasure": "each"}', 30),
        ('{"amount": -3, "unitOfMeasure": "Eaches"}', -3),
        ('{"amount": 3, "unitOfMeasure": "Cases"}', None),
        ('{"amount": 3, "unitOfMeasure": "Pallets", "unitSize": 12}', None),
        ("null", None),
    ],
)
async def test_ordered_eaches(
    sink: SqliteSink, select: Select, quantity: str, eaches: int | None
) -> None:
    """Cases count with their size, however the unit is spelt; an unknown unit is null."""
    await store(
        sink, order(f'{{"orderedQuantity": {quantity}, "netCost": {{"amount": "0.5"}}}}')
    )

    assert select("SELECT ordered_eaches, net_cost, line_total FROM purchase_order_lines") == [
        (eaches, 0.5, None if eaches is None else eaches * 0.5)
    ]


@pytest.mark.parametrize(
    ("unit", "total"), [('"POUNDS"', None), ("null", 3.0), ('"EACH"', 3.0)]
)
async def test_a_price_by_weight_has_no_total(
    sink: SqliteSink, select: Select, unit: str, total: float | None
) -> None:
    """What is priced by the pound cannot be multiplied by a count."""
    await store(
        sink,
        order(
            f'{{"netCost": {{"amount": "1.5", "unitOfMeasure": {unit}}},'
            ' "orderedQuantity": {"amount": 2, "unitOfMeasure": "Eaches"}}'
        ),
    )

    assert select("SELECT line_total FROM purchase_order_lines") == [(total,)]


@pytest.mark.parametrize(
    ("word", "allowed"),
    [("true", 1), ("false", 0), ('"true"', 1), ('"FALSE"', 0), ("null", None)],
)
async def test_back_orders_are_one_or_zero(
    sink: SqliteSink, select: Select, word: str, allowed: int | None
) -> None:
    """Whether back orders are allowed is a number, as SQLite has no booleans."""
    await store(sink, order(f'{{"isBackOrderAllowed": {word}}}'))

    assert select("SELECT is_back_order_allowed FROM purchase_order_items") == [(allowed,)]


async def test_the_status_of_an_item_is_a_row(sink: SqliteSink, select: Select) -> None:
    """Quantities are as Amazon says them; what is summed from increments is named so."""
    await store(
        sink,
        status(
            """{"itemSequenceNumber": "1", "buyerProductIdentifier": "B000000001",
            "orderedQuantity": {
                "orderedQuantity": {"amount": 18, "unitOfMeasure": "Eaches"},
                "orderedQuantityDetails": [
                    {"orderedQuantity": {"amount": 15, "unitOfMeasure": "Eaches"}},
                    {"orderedQuantity": {"amount": 5, "unitOfMeasure": "EACHES"},
                     "cancelledQuantity": {"amount": "2", "unitOfMeasure": "Eaches"}}]},
            "acknowledgementStatus": {"confirmationStatus": "PARTIALLY_ACCEPTED",
                "acceptedQuantity": {"amount": 10, "unitOfMeasure": "Eaches"},
                "rejectedQuantity": {"amount": 8, "unitOfMeasure": "Eaches"}},
            "receivingStatus": {"receiveStatus": "PARTIALLY_RECEIVED",
                "receivedQuantity": {"amount": 1, "unitOfMeasure": "Cases"},
                "lastReceiveDate": "2026-11-20T01:30:00+02:00"}}"""
        ),
        OrderStatus,
    )

    assert select(
        """
        SELECT item_sequence_number, product_identifier, confirmation_status, receive_status,
            ordered_quantity, ordered_unit_of_measure, summed_ordered_quantity,
            cancelled_quantity, cancelled_unit_of_measure,
            accepted_quantity, accepted_unit_of_measure,
            rejected_quantity, rejected_unit_of_measure,
            received_quantity, received_unit_of_measure, last_receive_date
        FROM purchase_order_item_statuses
        """
    ) == [
        (
            *("1", "B000000001", "PARTIALLY_ACCEPTED", "PARTIALLY_RECEIVED"),
            *(18, "Eaches", 20, 2, "Eaches", 10, "Eaches", 8, "Eaches", 1, "Cases"),
            "2026-11-19T23:30:00.000000Z",
        )
    ]


@pytest.mark.parametrize(
    "unit",
    ['"unitOfMeasure": "Eaches"', '"unitOfMeasure": "Cases", "unitSize": 12'],
    ids=["eaches", "other cases"],
)
async def test_increments_in_different_units_are_not_summed(
    sink: SqliteSink, select: Select, unit: str
) -> None:
    """Three cases of six and five of something else are not eight of anything."""
    cases = '{"amount": 3, "unitOfMeasure": "Cases", "unitSize": 6}'
    details = [
        f'{{"orderedQuantity": {cases}, "cancelledQuantity": {cases}}}',
        f'{{"orderedQuantity": {{"amount": 5, {unit}}}, "cancelledQuantity": {cases}}}',
    ]
    await store(
        sink,
        status(f'{{"orderedQuantity": {{"orderedQuantityDetails": [{", ".join(details)}]}}}}'),
        OrderStatus,
    )

    assert select(
        "SELECT summed_ordered_quantity, cancelled_quantity FROM purchase_order_item_statuses"
    ) == [(None, 6)]


async def test_views_have_every_item_of_the_samples(sink: SqliteSink, select: Select) -> None:
    """As many rows as there are items, with sequence numbers as they came."""
    key = "SELECT purchase_order_number, item_sequence_number FROM "
    for operation, content, statement in (
        ("getPurchaseOrders", Order, key + "purchase_order_items"),
        ("getPurchaseOrders", Order, key + "purchase_order_lines"),
        ("getPurchaseOrdersStatus", OrderStatus, key + "purchase_order_item_statuses"),
    ):
        body = sample(operation, "200.json")
        await sink.write(Arrival(LEDGER, WINDOW, ASKED, decode_page(body, content).documents))
        payload = json.loads(body)["payload"]
        items = [
            (row["purchaseOrderNumber"], item["itemSequenceNumber"])
            for row in payload.get("orders", payload.get("ordersStatus"))
            for item in row.get("itemStatus", row.get("orderDetails", {}).get("items", ()))
        ]

        assert items
        assert sorted(select(statement)) == sorted(items)


@contextmanager
def store_of(document: bytes, content: type[Row]) -> Iterator[sqlite3.Connection]:
    """Open a store in memory's stead that holds *document*."""
    with (
        tempfile.TemporaryDirectory() as directory,
        closing(open_database(Path(directory, "orders.db"))) as connection,
    ):
        page = Arrival(LEDGER, WINDOW, ASKED, [decode_document(document, content)])
        with transaction(connection):
            (written,) = PageWriter(connection, page, STAMP).write()

        assert written.outcome is Outcome.NEW
        yield connection


ODD = st.sampled_from(
    [
        *(
            "null",
            "true",
            "0",
            "-0",
            "1.10",
            "1E400",
            "1e99999999999999999999",
            "9" * 20,
            "1" * 5000,
        ),
        *("01", "1.", ".5", "-", "NaN", "tru", "[1,]", '{"a":1,}', "{a:1}", "/**/1", " 1 ", ""),
        *('""', '"x"', '"10"', '"\\u0000"', '"a\\u0000b"', '"\\ud800"', '"\\ud83d\\ude00"'),
        *('"\\q"', '"\\u12G4"', '"\t"', '"\x00"', '"\x7f"', '"\u2028"', '"\U0001f600"'),
        *(
            "[]",
            "{}",
            "[[]]",
            "[null]",
            '["x"]',
            '{"amount":"x"}',
            '{"":""}',
            "[" * 95 + "]" * 95,
        ),
    ]
)


def mostly(usual: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Make JSON text as it should be, and now and then something else."""
    return st.integers(0, 30).flatmap(lambda die: ODD if die == 30 else usual)


def one_of(*texts: str) -> st.SearchStrategy[str]:
    """Make one of these texts."""
    return mostly(st.sampled_from(texts))


def thing(**fields: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Make an object with some of the fields, one of them perhaps twice, and unknown ones."""
    pairs = [st.tuples(st.just(name), value) for name, value in fields.items()]
    unknown = st.tuples(st.just("unknown"), ODD)
    return mostly(
        st.lists(st.one_of(*pairs * 4, unknown), max_size=len(fields)).map(
            lambda chosen: "{" + ",".join(f'"{name}":{value}' for name, value in chosen) + "}"
        )
    )


def many(element: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Make a list."""
    return mostly(st.lists(element, max_size=2).map(lambda texts: "[" + ",".join(texts) + "]"))


WORD = one_of('"1"', "1", '"\\u00e9"', "null")
DATE = one_of('"2026-11-20T01:00:00Z"', '"2026-11-20"', "null")
QUANTITY = thing(
    amount=one_of("1", '"2"', "3.0", '"1e1"', "-3"),
    unitOfMeasure=one_of('"Cases"', '"EACH"', "null"),
    unitSize=one_of("12", '"12"'),
)
MONEY = thing(amount=one_of("1", '"2.10"', "3.10", '""'), unitOfMeasure=one_of('"POUNDS"'))
ITEMS = many(
    thing(
        itemSequenceNumber=WORD,
        orderedQuantity=QUANTITY,
        isBackOrderAllowed=one_of("true", '"false"'),
        netCost=MONEY,
        listPrice=MONEY,
    )
)
DETAILS = many(thing(orderedQuantity=QUANTITY, cancelledQuantity=QUANTITY))
ITEM_STATUSES = many(
    thing(
        itemSequenceNumber=WORD,
        orderedQuantity=thing(orderedQuantity=QUANTITY, orderedQuantityDetails=DETAILS),
        acknowledgementStatus=thing(confirmationStatus=WORD, acceptedQuantity=QUANTITY),
        receivingStatus=thing(receivedQuantity=QUANTITY, lastReceiveDate=DATE),
    )
)
ORDERS = thing(items=ITEMS, purchaseOrderDate=DATE).map(
    lambda details: f'{{"purchaseOrderNumber": "A", "orderDetails": {details}}}'
)
STATUSES = ITEM_STATUSES.map(
    lambda items: f'{{"purchaseOrderNumber": "A", "itemStatus": {items}}}'
)
DOCUMENTS = st.tuples(st.just(Order), ORDERS) | st.tuples(st.just(OrderStatus), STATUSES)


DETAILS_TWICE = """
{"purchaseOrderNumber": "A", "itemStatus": [{"orderedQuantity":
    {"orderedQuantityDetails": ["x", 5], "orderedQuantityDetails": []}}]}
"""


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(DOCUMENTS)
# SQLite takes the first of two equal keys, Python the last: so anything may be in the first
@example((Order, '{"purchaseOrderNumber": "A", "orderDetails": {"items": ["x"], "items": []}}'))
@example((Order, '{"purchaseOrderNumber": "A", "orderDetails": {"items": "x", "items": []}}'))
@example((Order, '{"purchaseOrderNumber": "A", "orderDetails": 5, "orderDetails": null}'))
@example((OrderStatus, DETAILS_TWICE))
@example(
    (OrderStatus, '{"purchaseOrderNumber": "A", "itemStatus": {"a": 1}, "itemStatus": []}')
)
@example(
    (Order, '{"purchaseOrderNumber": "A", "unknown": ["\\ud800", "\\u0000", 1e999999999]}')
)
def test_whatever_decodes_is_read_by_the_views(kind_and_text: tuple[type[Row], str]) -> None:
    """No document that gets in breaks `json_valid`, a view, or a condition on a view."""
    content, text = kind_and_text
    raw = text.encode()
    assume(decode_document(raw, content).content is not None)
    with store_of(raw, content) as connection:
        valid = connection.execute(VALID).fetchall()
        for statement in READINGS:
            connection.execute(statement).fetchall()

    assert valid == [(1,)]
