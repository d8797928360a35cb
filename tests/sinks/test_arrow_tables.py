"""Arrow tables: every digit, every instant, and nothing that is not a column."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Context, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vendororders_async.models.retail_procurement import Order
from vendororders_async.pages import decode_document
from vendororders_async.sinks.base import StoredOrder
from vendororders_async.sinks.columns import LINE_COLUMNS, ORDER_COLUMNS, StoredContent

pa = pytest.importorskip("pyarrow")

from vendororders_async.sinks import arrow_tables  # noqa: E402 - it needs pyarrow

ASKED = datetime(2026, 11, 21, 12, 0, 0, 123456, tzinfo=UTC)


def stored(details: dict[str, object] | None, number: str = "A1") -> StoredContent:
    """Return an order that a sink might hold."""
    raw = json.dumps({"purchaseOrderNumber": number, "orderDetails": details}).encode()
    document = decode_document(raw, Order)
    assert document.content is not None, document.reason

    return StoredOrder("acme", "retail", number, ASKED, raw), document.content


def line(**fields: object) -> dict[str, object]:
    """Return the row of an order's only line."""
    [row] = arrow_tables.line_batch([stored({"items": [fields]})]).to_pylist()
    assert isinstance(row, dict)

    return row


# Zero to 25 digits on either side: what fits, what just does not, and what is far from it
AMOUNTS = st.builds(
    lambda digits, places, sign: Decimal(f"{sign}{digits}").scaleb(-places),
    st.integers(0, 10**45),
    st.integers(-6, 30),
    st.sampled_from(["", "-"]),
)


@given(AMOUNTS)
def test_an_amount_keeps_every_digit(amount: Decimal) -> None:
    """It is exact or null, never rounded, and its text is exact in any case."""
    row = line(netCost={"amount": str(amount)}, listPrice={"amount": str(amount)})
    fits = amount == amount.quantize(Decimal("1E-18"), context=Context(prec=100)) and abs(
        amount
    ) < Decimal(10**20)

    assert row["net_cost_amount"] == row["list_price_amount"] == (amount if fits else None)
    assert Decimal(str(row["net_cost_amount_text"])) == amount


@pytest.mark.parametrize(
    "amount",
    ["1.10", "0.30000000000000004", "12345678901234567890.123", "-0.0000000001", "0E+400"],
)
def test_amounts_that_amazon_sends_fit(amount: str) -> None:
    """Prices, leftovers of floating point, and whatever a test of theirs holds."""
    row = line(netCost={"amount": amount})

    assert row["net_cost_amount"] == Decimal(amount)
    assert Decimal(str(row["net_cost_amount_text"])) == Decimal(amount)


def test_a_count_that_is_too_large_is_null() -> None:
    """Cases times size may be more than a column holds; the two are there, whole."""
    row = line(orderedQuantity={"amount": 2**62, "unitOfMeasure": "Cases", "unitSize": 12})

    assert (row["ordered_quantity"], row["unit_size"]) == (2**62, 12)
    assert row["ordered_eaches"] is None


INSTANTS = st.datetimes(timezones=st.just(UTC))


@given(INSTANTS, INSTANTS)
def test_instants_are_exact(ordered: datetime, start: datetime) -> None:
    """To the microsecond, from the first year to the last, in UTC."""
    window = f"{start.isoformat()}--{start.isoformat()}"
    order = stored({"purchaseOrderDate": ordered.isoformat(), "shipWindow": window})
    [row] = arrow_tables.order_batch([order]).to_pylist()

    assert row["purchase_order_date"] == row["own_date_at"] == ordered
    assert row["ship_window_start"] == row["ship_window_end"] == start
    assert row["asked_at"] == ASKED


def test_columns_are_those_of_the_tables_with_their_types() -> None:
    """Names as in SQL; times, decimals, counts and truth values are what they are."""
    batch = arrow_tables.order_batch([stored(None)])
    lines = arrow_tables.LINE_SCHEMA
    kinds = {field.name: str(field.type) for field in [*arrow_tables.ORDER_SCHEMA, *lines]}

    assert batch.schema.names == [*ORDER_COLUMNS, "document"]
    assert arrow_tables.bare_order_batch([]).schema.names == list(ORDER_COLUMNS)
    assert [one for one in lines.names if not one.endswith("_text")] == list(LINE_COLUMNS)
    assert {name for name, kind in kinds.items() if kind == "timestamp[us, tz=UTC]"} == {
        name for name in ORDER_COLUMNS if name.endswith(("_at", "_date")) or "_window_" in name
    }
    assert kinds["net_cost_amount"] == kinds["list_price_amount"] == "decimal128(38, 18)"
    assert kinds["has_details"] == kinds["is_back_order_allowed"] == "bool"
    assert kinds["ordered_quantity"] == kinds["ordered_eaches"] == "int64"
    assert kinds["net_cost"] == kinds["line_total"] == "double"
    assert batch.to_pylist()[0]["has_details"] is False


def test_rows_are_gathered_into_groups_without_losing_one() -> None:
    """What is left over comes at the end, and there is a table even of nothing."""
    groups = arrow_tables.RowGroups(arrow_tables.bare_order_batch, 5)
    orders = [stored(None, f"A{number}") for number in range(12)]
    tables = [table for one in range(0, 12, 3) for table in groups.add(orders[one : one + 3])]
    tables.append(groups.rest())
    numbers = pa.concat_tables(tables)["purchase_order_number"].to_pylist()

    assert [table.num_rows for table in tables] == [6, 6, 0]
    assert numbers == [f"A{number}" for number in range(12)]
    assert groups.rest().schema == arrow_tables.BARE_ORDER_SCHEMA
