"""Changes: recorded with the versions that they lead to, and told in turn."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vendororders_async.changes import (
    Change,
    OrderChanged,
)
from vendororders_async.clock import format_stored
from vendororders_async.models.retail_procurement import Order, OrderStatus
from vendororders_async.pages import Row, decode_document
from vendororders_async.sinks.base import Arrival, Ledger
from vendororders_async.sinks.rows import digest_of
from vendororders_async.sinks.sqlite import SqliteSink
from vendororders_async.sinks.sqlite_changes import hand_out
from vendororders_async.sinks.sqlite_file import open_database
from vendororders_async.windows import Window

Select = Callable[..., list[tuple[Any, ...]]]

LEDGER = Ledger("acme-us", "retail", "created", "amazon")
DIRECT = Ledger("acme-us", "direct_fulfillment", "created", "amazon")
ASKED = datetime(2026, 11, 21, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
WINDOW = Window(ASKED - timedelta(days=1), ASKED)
NOTHING = msgspec.Raw(b"null")
LINES = [{"itemSequenceNumber": "1", "amazonProductIdentifier": "B1"}]


def order(number: str = "A1", *, state: str = "New", quantity: int = 5) -> bytes:
    """Return an order of one line."""
    line = LINES[0] | {"orderedQuantity": {"amount": quantity}}
    document = {"purchaseOrderNumber": number, "purchaseOrderState": state}
    return json.dumps({**document, "orderDetails": {"items": [line]}}).encode()


def bare(number: str = "A1", *, state: str = "New") -> bytes:
    """Return an order without details."""
    return json.dumps({"purchaseOrderNumber": number, "purchaseOrderState": state}).encode()


def status(number: str = "A1", *, minute: int = 0, word: str = "UNCONFIRMED") -> bytes:
    """Return the status of an order of one line, as of that minute."""
    line = LINES[0] | {"acknowledgementStatus": {"confirmationStatus": word}}
    updated = (ASKED + minute * MINUTE).isoformat()
    document = {"purchaseOrderNumber": number, "lastUpdatedDate": updated}
    return json.dumps({**document, "itemStatus": [line]}).encode()


def arrival(
    *raws: bytes, minute: int = 0, kind: type[Row] = Order, ledger: Ledger = LEDGER
) -> Arrival:
    """Return a page with these documents, which was asked for in that minute."""
    documents = [decode_document(raw, kind) for raw in raws]
    return Arrival(ledger, WINDOW, ASKED + minute * MINUTE, documents)


def brief(changes: Sequence[Change]) -> list[tuple[str, str]]:
    """Return what happened, and to which orders."""
    return [
        (one.__struct_config__.tag, one.purchase_order_number)  # type: ignore[misc]  # always text
        for one in changes
    ]


def test_what_is_handed_out_survives_a_power_cut(path: Path) -> None:
    """Whoever remembers a number never meets it again as that of another change."""
    levels: list[int] = []
    with closing(open_database(path)) as connection:
        connection.execute(
            "INSERT INTO changes (account, api, purchase_order_number, event, recorded_at, "
            "digest) VALUES ('a', 'retail', 'A1', 'order_created', ?, 'd')",
            [format_stored(ASKED)],
        )

        def trace(statement: str) -> None:
            if statement == "COMMIT":
                with closing(connection.cursor()) as cursor:
                    connection.set_trace_callback(None)
                    levels.extend(cursor.execute("PRAGMA synchronous").fetchone())
                    connection.set_trace_callback(trace)

        connection.set_trace_callback(trace)
        first = hand_out(connection, 0, 10)
        once = list(levels)
        second = hand_out(connection, 0, 10)
        connection.set_trace_callback(None)

    assert len(first) == len(second) == 1
    assert once == levels == [2]  # FULL, and only where there is something new


async def test_numbers_are_never_given_twice(sink: SqliteSink) -> None:
    """Also where the last ones were purged, and the file written anew."""
    await sink.write(arrival(order("A1"), order("A2")))
    async with sink.lock("acme-us"):
        await sink.purge_account("acme-us")
    await sink.scrub()
    left, last = await sink.changes(0), await sink.last_change()
    await sink.write(arrival(order("A3")))

    assert (left, last) == ([], 2)
    assert [one.sequence for one in await sink.changes(0)] == [3]


def test_reading_never_scans(path: Path) -> None:
    """However long the history, what is asked of it is found by a key."""

    async def plans() -> list[str]:
        async with SqliteSink(path) as sink:
            asked: list[str] = []
            await sink._read(  # noqa: SLF001 - to see what it asks
                lambda connection: connection.set_trace_callback(asked.append)
            )
            await sink.write(arrival(order(), order("A2")))
            await sink.write(arrival(order(quantity=6), minute=1))
            await sink.write(arrival(status(), status("A3"), kind=OrderStatus))
            await sink.changes(1)
            await sink.changes(1, api="retail", accounts=["acme-us"])
            await sink.last_change()
            await sink.consumed("erp", "retail")
            await sink.outdated("acme-us", "retail")
            await sink.known_states("acme-us", "retail", ["A1"])
            await sink.unfinished("acme-us", "retail", ["Closed"])
        with closing(sqlite3.connect(path)) as other:
            return [
                row[3]
                for statement in asked
                if statement.lstrip().startswith(("SELECT", "INSERT", "DELETE", "WITH"))
                for row in other.execute(f"EXPLAIN QUERY PLAN {statement}")
            ]

    found = asyncio.run(plans())
    tables = (
        "changes",
        "consumers",
        "purchase_orders",
        "purchase_order_statuses",
        "outdated_orders",
    )
    keys = ("INTEGER PRIMARY KEY", "purchase_orders_by_state", "outdated_orders_by_age")

    assert [key for key in keys if not any(key in one for one in found)] == []
    assert [
        one for one in found if one.startswith(tuple(f"SCAN {one}" for one in tables))
    ] == []


@given(
    pages=st.lists(
        st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.booleans()), min_size=1),
        max_size=6,
    )
)
@settings(max_examples=40, deadline=None)
def test_what_is_told_leads_to_what_is_stored(
    pages: list[list[tuple[int, int, bool]]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whatever pages come: one creation an order, each change follows on the one before."""

    async def told() -> tuple[list[Change], dict[str, str]]:
        path = tmp_path_factory.mktemp("told") / "orders.db"
        async with SqliteSink(path, now=lambda: ASKED) as sink:
            for minute, page in enumerate(pages):
                raws = [
                    order(f"A{number}", quantity=quantity) if detailed else bare(f"A{number}")
                    for number, quantity, detailed in page
                ]
                await sink.write(arrival(*raws, minute=minute))
            stored = {
                one.purchase_order_number: digest_of(one.document)
                async for batch in sink.orders()
                for one in batch
                if b"orderDetails" in one.document
            }
            return await sink.changes(0), stored

    changes, stored = asyncio.run(told())
    last: dict[str, str] = {}
    for one in changes:
        previous = one.previous_digest if isinstance(one, OrderChanged) else None
        assert previous == last.get(one.purchase_order_number)
        last[one.purchase_order_number] = one.digest

    assert last == stored
