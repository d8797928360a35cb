"""The views: every digit of money, and plain quantities."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from sample_files import sample
from stores import Database, Select

from vendororders_async.models.retail_procurement import Order, OrderStatus
from vendororders_async.pages import Row, decode_document, decode_page
from vendororders_async.sinks.base import Arrival, Ledger
from vendororders_async.windows import Window

LEDGER = Ledger("acme-us", "retail", "created", "amazon")
ASKED = datetime(2026, 11, 21, 12, tzinfo=UTC)
WINDOW = Window(ASKED - timedelta(days=1), ASKED)


async def store(database: Database, raw: str | bytes, content: type[Row] = Order) -> None:
    """Put one document into the store."""
    document = decode_document(raw.encode() if isinstance(raw, str) else raw, content)
    assert document.content is not None, document.reason

    await database.write(Arrival(LEDGER, WINDOW, ASKED, [document]))


def order(*items: str) -> str:
    """Return an order with these items, which are JSON text."""
    return (
        '{"purchaseOrderNumber": "A1", "orderDetails": {"items": [' + ", ".join(items) + "]}}"
    )


def status(item: str) -> str:
    """Return a status with this item, which is JSON text."""
    return '{"purchaseOrderNumber": "A1", "itemStatus": [' + item + "]}"


async def test_an_item_is_a_row(database: Database, ask: Select) -> None:
    """Every column of an item comes from its place in the document."""
    await store(
        database,
        order(
            """{"itemSequenceNumber": "1", "amazonProductIdentifier": "B000000001",
            "vendorProductIdentifier": "0012", "isBackOrderAllowed": true,
            "orderedQuantity": {"amount": 3, "unitOfMeasure": "Cases", "unitSize": 12},
            "netCost": {"amount": "1.50", "currencyCode": "EUR", "unitOfMeasure": "POUNDS"},
            "listPrice": {"amount": "2.00", "currencyCode": "USD"}}"""
        ),
    )

    [row] = ask("SELECT * FROM purchase_order_items")

    assert row[:12] == (
        *("acme-us", "retail", "A1", "1", "B000000001", "0012"),
        *(3, "Cases", 12, 1, row[10], "EUR"),
    )
    assert [digits(one) for one in (row[10], row[13])] == ["1.50", "2.00"]
    assert (row[12], row[14]) == ("POUNDS", "USD")


def digits(amount: Decimal | str | None) -> str | None:
    """Return *amount*, text in SQLite, with all of its digits and no exponent."""
    return None if amount is None else f"{Decimal(amount):f}"


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
        ("1.5E+3", "1500"),
        ('"\\u0031.10"', "1.10"),
        ("null", None),
        ('""', None),
    ],
)
async def test_an_amount_keeps_every_digit(
    database: Database, ask: Select, field: str, written: str, stored: str | None
) -> None:
    """Amazon's amounts come as text or as numbers; both are the text of their digits."""
    name = {"net_cost": "netCost", "list_price": "listPrice"}[field]
    await store(database, order(f'{{"{name}": {{"amount": {written}}}}}'))

    [row] = ask("SELECT net_cost_amount, list_price_amount FROM purchase_order_items")
    told = tuple(map(digits, row))

    assert told == ((stored, None) if field == "net_cost" else (None, stored))


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
    database: Database, ask: Select, quantity: str, eaches: int | None
) -> None:
    """Cases count with their size, however the unit is spelt; an unknown unit is null."""
    await store(
        database, order(f'{{"orderedQuantity": {quantity}, "netCost": {{"amount": "0.5"}}}}')
    )

    assert ask("SELECT ordered_eaches, net_cost, line_total FROM purchase_order_lines") == [
        (eaches, 0.5, None if eaches is None else eaches * 0.5)
    ]


@pytest.mark.parametrize(
    ("unit", "total"), [('"POUNDS"', None), ("null", 3.0), ('"EACH"', 3.0)]
)
async def test_a_price_by_weight_has_no_total(
    database: Database, ask: Select, unit: str, total: float | None
) -> None:
    """What is priced by the pound cannot be multiplied by a count."""
    await store(
        database,
        order(
            f'{{"netCost": {{"amount": "1.5", "unitOfMeasure": {unit}}},'
            ' "orderedQuantity": {"amount": 2, "unitOfMeasure": "Eaches"}}'
        ),
    )

    assert ask("SELECT line_total FROM purchase_order_lines") == [(total,)]


@pytest.mark.parametrize(
    ("word", "allowed"),
    [("true", 1), ("false", 0), ('"true"', 1), ('"FALSE"', 0), ("null", None)],
)
async def test_back_orders_are_one_or_zero(
    database: Database, ask: Select, word: str, allowed: int | None
) -> None:
    """Whether back orders are allowed is a boolean, or a number where there are none."""
    await store(database, order(f'{{"isBackOrderAllowed": {word}}}'))

    assert ask("SELECT is_back_order_allowed FROM purchase_order_items") == [(allowed,)]


async def test_the_status_of_an_item_is_a_row(database: Database, ask: Select) -> None:
    """Quantities are as Amazon says them; what is summed from increments is named so."""
    await store(
        database,
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

    assert ask(
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
    database: Database, ask: Select, unit: str
) -> None:
    """Three cases of six and five of something else are not eight of anything."""
    cases = '{"amount": 3, "unitOfMeasure": "Cases", "unitSize": 6}'
    details = [
        f'{{"orderedQuantity": {cases}, "cancelledQuantity": {cases}}}',
        f'{{"orderedQuantity": {{"amount": 5, {unit}}}, "cancelledQuantity": {cases}}}',
    ]
    await store(
        database,
        status(f'{{"orderedQuantity": {{"orderedQuantityDetails": [{", ".join(details)}]}}}}'),
        OrderStatus,
    )

    assert ask(
        "SELECT summed_ordered_quantity, cancelled_quantity FROM purchase_order_item_statuses"
    ) == [(None, 6)]


async def test_increments_of_any_size_are_summed(database: Database, ask: Select) -> None:
    """A sum that no integer of 64 bits holds is one all the same, and hides nobody's lines."""
    details = [
        f'{{"orderedQuantity": {amount}, "cancelledQuantity": {amount}}}'
        for amount in [f'{{"amount": {2**63 - 1}}}'] * 2
    ]
    await store(
        database,
        status(f'{{"orderedQuantity": {{"orderedQuantityDetails": [{", ".join(details)}]}}}}'),
        OrderStatus,
    )
    [sums] = ask(
        "SELECT summed_ordered_quantity, cancelled_quantity FROM purchase_order_item_statuses"
    )

    assert [float(one) for one in sums] == [2.0**64, 2.0**64]


async def test_views_have_every_item_of_the_samples(database: Database, ask: Select) -> None:
    """As many rows as there are items, with sequence numbers as they came."""
    key = "SELECT purchase_order_number, item_sequence_number FROM "
    for operation, content, statement in (
        ("getPurchaseOrders", Order, key + "purchase_order_items"),
        ("getPurchaseOrders", Order, key + "purchase_order_lines"),
        ("getPurchaseOrdersStatus", OrderStatus, key + "purchase_order_item_statuses"),
    ):
        body = sample(operation, "200.json")
        await database.write(
            Arrival(LEDGER, WINDOW, ASKED, decode_page(body, content).documents)
        )
        payload = json.loads(body)["payload"]
        items = [
            (row["purchaseOrderNumber"], item["itemSequenceNumber"])
            for row in payload.get("orders", payload.get("ordersStatus"))
            for item in row.get("itemStatus", row.get("orderDetails", {}).get("items", ()))
        ]

        assert items
        assert sorted(ask(statement)) == sorted(items)
