"""What PostgreSQL's views promise beyond SQLite's."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import pytest
from canaries import NOW, WINDOW
from postgres import execute

from vendororders_async.models.retail_procurement import Order
from vendororders_async.pages import decode_document
from vendororders_async.sinks.base import Arrival, Ledger
from vendororders_async.sinks.postgres import PostgresSink

RETAIL = Ledger("acme-us", "retail", "created", "amazon")
ODD = (
    b'{"purchaseOrderNumber": "A1", "purchaseOrderState": "New", "note": "\\u0000",'
    b' "vendor": 1e999999, "orderDetails": {"items": [{"itemSequenceNumber": "1",'
    b' "netCost": {"amount": "12345678901234567890.123456789"},'
    b' "orderedQuantity": {"amount": 2, "unitOfMeasure": "Eaches"}}]}}'
)


@pytest.fixture
async def url(postgres_url: str, now: Callable[[], datetime]) -> str:
    """A store with an order that jsonb would not take."""
    async with PostgresSink(postgres_url, now=now) as sink:
        [written] = await sink.write(
            Arrival(RETAIL, WINDOW, NOW, [decode_document(ODD, Order)])
        )
        await sink.note_account("acme-us", timedelta(days=3_500_000))
        assert written.outcome == "new"
    return postgres_url


async def test_readers_need_no_search_path(url: str) -> None:
    """Whoever names the schema reads the views, odd documents included."""
    [(schema,)] = execute(url, "SELECT current_schema()::text")
    elsewhere = urlsplit(url)._replace(query="search_path=pg_catalog").geturl()
    for view in (
        "purchase_order_versions",
        "purchase_order_items",
        "purchase_order_lines",
        "to_acknowledge",
    ):
        assert len(execute(elsewhere, f"SELECT * FROM {schema}.{view}")) == 1, view  # noqa: S608 - ours


async def test_sums_are_exact(url: str) -> None:
    """Amounts are numeric, with the digits that Amazon sent."""
    [(total,)] = execute(url, "SELECT sum(line_total) FROM purchase_order_lines")

    assert str(total) == "24691357802469135780.246913578"


async def test_past_the_calendars_end_there_is_no_date(
    url: str, now: Callable[[], datetime]
) -> None:
    """An answer that is due after the year 9999 is due when it began to be."""
    async with PostgresSink(url, now=now) as sink:
        [waiting] = await sink.pending()

    assert waiting.answer_by == waiting.since


async def test_a_readers_clock_does_not_matter(url: str) -> None:
    """A time without a zone is UTC in whatever zone a session is."""
    there = f"{url}&timezone=Asia/Tokyo"
    [(moment,)] = execute(there, "SELECT vendororders_time('2026-11-20T01:30:00')")

    assert moment == datetime.fromisoformat("2026-11-20T01:30:00Z")
