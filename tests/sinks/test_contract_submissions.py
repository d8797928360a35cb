"""Submissions: recorded for good before anything is sent, and found again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from stores import Database

from vendororders_async.models.retail_procurement import Order, OrderStatus
from vendororders_async.pages import decode_document
from vendororders_async.sinks.base import (
    Arrival,
    Held,
    Ledger,
    Submission,
    SubmissionSink,
    SubmissionState,
)
from vendororders_async.windows import Window

NOON = datetime(2026, 11, 21, 12, 0, 0, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = datetime(2026, 11, 20, tzinfo=UTC)
WINDOW = Window(DAY, DAY + HOUR)
SENT = Submission(
    account="acme-us",
    api="retail",
    purchase_order_number="A1",
    submitted_at=NOON,
    source="amazon",
    digest="d1",
    document='{"purchaseOrderNumber": "A1", "n": "ä"}'.encode(),
    state=SubmissionState.SENDING,
)


def sent(number: str = "A1", at: datetime = NOON, **more: object) -> Submission:
    """Return a submission."""
    return msgspec.structs.replace(SENT, purchase_order_number=number, submitted_at=at, **more)


async def test_submissions_come_back_as_they_were(database: Database) -> None:
    """The oldest first, of all orders or of some, and of nobody else."""
    first, second, third = sent("B2"), sent(at=NOON + HOUR), sent(at=NOON + 2 * HOUR)
    others = [sent("A1", account="other"), sent("A1", api="direct_fulfillment")]
    await database.record([third, first, *others])
    await database.record([second])

    assert isinstance(database, SubmissionSink)
    assert await database.submissions("acme-us", "retail") == [first, second, third]
    assert await database.submissions("acme-us", "retail", ["A1", "C3"]) == [second, third]
    assert await database.submissions("acme-us", "retail", []) == []


async def test_numbers_without_end_are_looked_up(database: Database) -> None:
    """More than fit into one question, and some of them twice."""
    numbers = [f"P{n}" for n in range(250)]
    await database.record([sent(number) for number in numbers])

    found = await database.submissions("acme-us", "retail", [*numbers, *numbers])

    assert sorted(one.purchase_order_number for one in found) == sorted(numbers)


async def test_a_submission_is_brought_up_to_date(database: Database) -> None:
    """Recorded once more, it is the same one, and says what is known of it now."""
    await database.record([SENT])
    done = sent(
        state=SubmissionState.FAILED, transaction_id="t-1", reason="no such line", digest="d2"
    )
    await database.record([done])

    assert await database.submissions("acme-us", "retail") == [done]


async def test_submissions_are_recorded_all_or_none(database: Database) -> None:
    """One that cannot be written keeps the others out."""
    with pytest.raises(UnicodeDecodeError):
        await database.record([SENT, sent("B2", document=b"\xff")])

    assert await database.submissions("acme-us", "retail") == []


async def test_what_is_held_of_orders_comes_by_number(database: Database) -> None:
    """Order and status, each if there is one; what is not held is left out."""
    order = b'{"purchaseOrderNumber": "A1", "purchaseOrderState": "New"}'
    status = b'{"purchaseOrderNumber": "A1", "itemStatus": []}'
    alone = b'{"purchaseOrderNumber": "B2"}'
    ledger = Ledger("acme-us", "retail", "created", "amazon")
    await database.write(Arrival(ledger, WINDOW, NOON, [decode_document(order, Order)]))
    await database.write(
        Arrival(
            ledger,
            WINDOW,
            NOON,
            [decode_document(raw, OrderStatus) for raw in (status, alone)],
        )
    )

    assert await database.held("acme-us", "retail", ["A1", "B2", "C3"]) == {
        "A1": Held(purchase_order_number="A1", order=order, status=status),
        "B2": Held(purchase_order_number="B2", status=alone),
    }
    assert await database.held("other", "retail", ["A1"]) == {}
