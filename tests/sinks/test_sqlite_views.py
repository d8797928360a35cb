"""SQLite's views: no document that gets in breaks them."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import HealthCheck, assume, example, given, settings
from odd_documents import DOCUMENTS

from vendororders_async.models.retail_procurement import Order, OrderStatus
from vendororders_async.pages import Row, decode_document
from vendororders_async.sinks.base import Arrival, Ledger, Outcome
from vendororders_async.sinks.sqlite_file import open_database, transaction
from vendororders_async.sinks.sqlite_pages import PageWriter
from vendororders_async.windows import Window

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
