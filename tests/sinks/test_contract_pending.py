"""The view to_acknowledge: which orders wait, since when, until when, and why."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from stores import Database, Select, Store

from vendororders_async.clock import format_wire
from vendororders_async.models.retail_procurement import Order, OrderStatus
from vendororders_async.pages import decode_document
from vendororders_async.sinks.base import (
    Arrival,
    Ledger,
    PendingOrder,
    Submission,
    SubmissionState,
)
from vendororders_async.windows import FinishedWindow, Window

PLACED = datetime(2026, 11, 2, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = 24 * HOUR
WINDOW = Window(PLACED, PLACED + DAY)
RETAIL = Ledger("acme-us", "retail", "created", "amazon")
DIRECT = Ledger("acme-us", "direct_fulfillment", "created", "amazon")


def order(
    state: str | None = "New",
    *,
    changed: datetime | None = None,
    moved: datetime | None = PLACED,
    amounts: tuple[object, ...] = (5, 7),
    number: str = "A1",
    placed: datetime | None = PLACED,
) -> dict[str, Any]:
    """Return an order whose state was *moved* then, with a line for each of *amounts*."""
    return {
        "purchaseOrderNumber": number,
        "purchaseOrderState": state,
        "orderDetails": {
            "purchaseOrderDate": placed and format_wire(placed),
            "purchaseOrderChangedDate": changed and format_wire(changed),
            "purchaseOrderStateChangedDate": moved and format_wire(moved),
            "items": [
                {"itemSequenceNumber": str(n), "orderedQuantity": {"amount": amount}}
                for n, amount in enumerate(amounts)
            ],
        },
    }


def status(
    *words: str | None,
    word: str = "OPEN",
    updated: datetime | None = PLACED,
    acknowledged: datetime | None = None,
    amounts: tuple[object, ...] = (5, 7),
) -> dict[str, Any]:
    """Return a status *updated* then, with a line for each of *words*."""
    details = [{"acknowledgementDate": acknowledged.isoformat()}] if acknowledged else []
    return {
        "purchaseOrderNumber": "A1",
        "purchaseOrderStatus": word,
        "lastUpdatedDate": updated and format_wire(updated),
        "itemStatus": [
            {
                "itemSequenceNumber": str(n),
                "orderedQuantity": {"orderedQuantity": {"amount": amount}},
                "acknowledgementStatus": {
                    **({"confirmationStatus": said} if said is not None else {}),
                    "acknowledgementStatusDetails": details,
                },
            }
            for n, (said, amount) in enumerate(zip(words, amounts, strict=False))
        ],
    }


async def put(
    database: Database,
    document: dict[str, Any],
    *,
    asked: datetime = PLACED + DAY,
    ledger: Ledger = RETAIL,
) -> None:
    """Write *document*, an order or a status."""
    kind = OrderStatus if "itemStatus" in document else Order
    decoded = decode_document(json.dumps(document).encode(), kind)
    assert decoded.content is not None, decoded.reason
    await database.write(Arrival(ledger, WINDOW, asked, [decoded]))


async def pending(database: Database) -> tuple[str, int] | None:
    """Return why the one order waits, and with how many lines; None if it does not."""
    found = await database.pending()
    return (found[0].why, found[0].unconfirmed_line_count) if found else None


LATER, EARLIER = PLACED + 3 * HOUR, PLACED + HOUR
UNCONFIRMED = status("UNCONFIRMED", "Unconfirmed")
CONFIRMED = status("ACCEPTED", "REJECTED", updated=LATER, acknowledged=LATER)


@pytest.mark.parametrize(
    ("documents", "expected"),
    [
        pytest.param([order()], ("new", 2), id="new, no status"),
        pytest.param([order("NEW")], ("new", 2), id="whatever the case"),
        pytest.param([order(None)], ("new", 2), id="no state, no status"),
        pytest.param([order("Acknowledged")], None, id="acknowledged, no status"),
        pytest.param([order("Closed")], None, id="closed"),
        pytest.param([order(), UNCONFIRMED], ("new", 2), id="both say new"),
        pytest.param([order(), status(None, "")], ("new", 2), id="lines that say nothing"),
        pytest.param(
            [order(), status(None, None, word="Closed")], None, id="closed by its status"
        ),
        pytest.param([order("Closed"), UNCONFIRMED], None, id="closed by its state"),
        pytest.param([order(), status()], ("new", 2), id="a status without lines"),
        pytest.param(
            [order(), status("UNCONFIRMED", "accepted", updated=LATER, acknowledged=LATER)],
            ("unconfirmed", 1),
            id="a line was forgotten",
        ),
        pytest.param(
            [order(), status("UNCONFIRMED", "ACCEPTED", updated=LATER)],
            ("unconfirmed", 1),
            id="a line was confirmed, nobody says when",
        ),
        pytest.param(
            [order("Acknowledged"), status("UNCONFIRMED", "ACCEPTED", updated=LATER)],
            ("unconfirmed", 1),
            id="a later status knows of an unconfirmed line",
        ),
        pytest.param(
            [order(), status("UNCONFIRMED", "UNCONFIRMED", amounts=("0", 0), updated=LATER)],
            None,
            id="the unconfirmed lines are cancelled",
        ),
        pytest.param([order(amounts=(0, "0"))], None, id="all lines are cancelled"),
        pytest.param([order(amounts=(0, 3))], ("new", 1), id="one line is cancelled"),
        pytest.param([order(amounts=())], ("new", 0), id="an order without lines"),
        # either side may be stale
        pytest.param(
            [order("Acknowledged", moved=LATER), UNCONFIRMED],
            None,
            id="acknowledged after the status was updated",
        ),
        pytest.param([order(), CONFIRMED], None, id="confirmed after the state was new"),
        pytest.param(
            [order(moved=LATER + HOUR), CONFIRMED],
            ("unconfirmed", 2),
            id="new again after it was confirmed",
        ),
        # Amazon changed it
        pytest.param([order(changed=LATER)], ("new", 2), id="changed before any answer"),
        pytest.param(
            [order("Acknowledged", changed=LATER + HOUR), CONFIRMED],
            ("changed", 0),
            id="changed since acknowledged",
        ),
        pytest.param(
            [order("Acknowledged", changed=EARLIER), CONFIRMED],
            None,
            id="acknowledged since changed",
        ),
        pytest.param(
            [
                order("Acknowledged", changed=LATER + HOUR),
                status(*("ACCEPTED", "UNCONFIRMED"), updated=LATER + HOUR, acknowledged=LATER),
            ],
            ("changed", 1),
            id="changed by a line more",
        ),
        pytest.param(
            [order("Acknowledged", moved=EARLIER, changed=LATER)],
            ("changed", 0),
            id="changed since its state was, no status",
        ),
        pytest.param(
            [order("Acknowledged", changed=LATER + HOUR, amounts=(0, 0)), CONFIRMED],
            None,
            id="cancelled since acknowledged",
        ),
        pytest.param(
            [
                order("Acknowledged", changed=LATER + HOUR),
                {**CONFIRMED, "purchaseOrderStatus": "CLOSED"},
            ],
            None,
            id="changed and closed",
        ),
    ],
)
async def test_an_order_waits_for_a_reason(
    database: Database, documents: list[dict[str, Any]], expected: tuple[str, int] | None
) -> None:
    """By the later word of order and status, whatever came first."""
    for document in documents:
        await put(database, document)

    assert await pending(database) == expected


@pytest.mark.parametrize(
    ("asked", "expected"), [(PLACED + 2 * DAY, None), (PLACED, ("unconfirmed", 2))]
)
async def test_without_dates_what_was_asked_later_counts(
    database: Database, asked: datetime, expected: tuple[str, int] | None
) -> None:
    """An answer that carries no date of its own is as old as its question."""
    await put(database, order("Acknowledged", moved=None), asked=asked)
    await put(database, status(None, None, updated=None))

    assert await pending(database) == expected


@pytest.mark.parametrize(
    ("document", "text"),
    [
        ({"itemStatus": [7, "x", None, {"acknowledgementStatus": "?"}]}, "an odd list"),
        ({"itemStatus": None}, "no list"),
    ],
)
async def test_odd_statuses_do_no_harm(
    database: Database, store: Store, ask: Select, document: dict[str, Any], text: str
) -> None:
    """What is not a line says nothing, and breaks nothing."""
    await put(database, order())
    await put(database, {**status("ACCEPTED"), "purchaseOrderNumber": "A1"})
    raw = json.dumps({"purchaseOrderNumber": "A1", **document})
    # no decoder lets such a status in
    store.select("UPDATE purchase_order_statuses SET document = $1", raw)

    assert ask("SELECT why FROM to_acknowledge") == [("new",)], text


async def test_an_answer_is_due_within_the_accounts_time(
    database: Database, ask: Select
) -> None:
    """A day after it was placed, or whatever was noted; after its change, if it was changed."""
    await put(database, order())
    [by_default] = await database.pending()
    await database.note_account("acme-us", 4 * HOUR)
    await database.note_account("other", HOUR)
    [noted] = await database.pending()
    await put(database, order("Acknowledged", changed=LATER + HOUR, moved=LATER))
    await put(database, CONFIRMED)
    [changed] = await database.pending()

    assert by_default == PendingOrder(
        account="acme-us",
        api="retail",
        purchase_order_number="A1",
        why="new",
        since=PLACED,
        answer_by=PLACED + DAY,
        unconfirmed_line_count=2,
    )
    assert noted.answer_by == PLACED + 4 * HOUR
    assert (changed.since, changed.answer_by) == (LATER + HOUR, LATER + 5 * HOUR)
    assert changed.acknowledged_at == LATER
    assert ask("SELECT since, answer_by, acknowledged_at FROM to_acknowledge") == [
        (
            "2026-11-02T13:00:00.000000Z",
            "2026-11-02T17:00:00.000000Z",
            "2026-11-02T12:00:00.000000Z",
        )
    ]


async def test_the_latest_acknowledgement_counts_in_any_zone(database: Database) -> None:
    """Amazon writes dates with and without an offset; the instant is what they mean."""
    document = status("ACCEPTED", updated=LATER, acknowledged=LATER)
    lines = document["itemStatus"][0]["acknowledgementStatus"]["acknowledgementStatusDetails"]
    lines.append({"acknowledgementDate": "2026-11-02T16:30:00.5+02:00"})
    lines.append({"acknowledgementDate": "2026-11-02T08:00:00"})
    await put(database, order("Acknowledged", changed=LATER + 3 * HOUR))
    await put(database, document)
    [found] = await database.pending()

    assert found.acknowledged_at == datetime(2026, 11, 2, 14, 30, 0, 500_000, tzinfo=UTC)


async def test_the_most_urgent_comes_first(database: Database) -> None:
    """Whatever the account and API."""
    for number, hours in (("B", 2), ("A", 3), ("C", 1)):
        await put(database, order(number=number, placed=PLACED + hours * HOUR))
    await put(database, order(number="D", placed=PLACED), ledger=DIRECT)

    assert [one.purchase_order_number for one in await database.pending()] == [
        "D",
        "C",
        "B",
        "A",
    ]


async def test_a_new_direct_order_waits(database: Database) -> None:
    """Its own status is all that tells; it has no other."""
    await put(database, order("NEW", number="N"), ledger=DIRECT)
    for state in ("ACCEPTED", "SHIPPED", "CANCELLED", None):
        await put(database, order(state, number=str(state)), ledger=DIRECT)
    [found] = await database.pending()

    assert (found.purchase_order_number, found.why) == ("N", "new")
    assert (found.since, found.unconfirmed_line_count) == (PLACED, 2)


async def test_an_order_without_details_is_not_known_to_wait(database: Database) -> None:
    """Of a number nothing is known, and an order without a date waits since it was seen."""
    await put(database, {"purchaseOrderNumber": "N", "purchaseOrderState": "New"})
    await put(database, order(number="A1", placed=None))
    [found] = await database.pending()

    assert found.purchase_order_number == "A1"
    assert found.since.date() == datetime(2026, 11, 21, tzinfo=UTC).date()


@pytest.mark.parametrize("state", SubmissionState)
async def test_what_was_answered_no_longer_waits(
    database: Database, state: SubmissionState
) -> None:
    """An answer on its way counts, one that came to nothing does not, nor one from before."""
    await put(database, order())
    answer = Submission(
        account="acme-us",
        api="retail",
        purchase_order_number="A1",
        submitted_at=PLACED - HOUR,
        source="amazon",
        digest="d",
        document=b"{}",
        state=state,
    )
    await database.record([answer, msgspec.structs.replace(answer, account="other")])
    before = await pending(database)
    await database.record([msgspec.structs.replace(answer, submitted_at=PLACED + HOUR)])
    came_to_nothing = state in {
        SubmissionState.MISSING,
        SubmissionState.FAILED,
        SubmissionState.REFUSED,
    }

    assert before == ("new", 2)
    assert await pending(database) == (("new", 2) if came_to_nothing else None)


async def test_a_change_after_the_answer_waits_again(database: Database) -> None:
    """What was answered before Amazon changed the order answers the order as it was."""
    await put(database, order("Acknowledged", changed=LATER + HOUR))
    await put(database, CONFIRMED)
    await database.record(
        [
            Submission(
                account="acme-us",
                api="retail",
                purchase_order_number="A1",
                submitted_at=LATER,
                source="amazon",
                digest="d",
                document=b"{}",
                state=SubmissionState.ACCEPTED,
            )
        ]
    )

    assert await pending(database) == ("changed", 0)


@pytest.mark.parametrize("ledger", [RETAIL, DIRECT], ids=["retail", "direct fulfillment"])
@pytest.mark.parametrize("minutes", [29, 31])
async def test_an_answer_that_amazon_does_not_show_half_an_hour_later_is_none(
    database: Database, ledger: Ledger, minutes: int
) -> None:
    """What was read by then and still waits, waits again, whatever was presumed of it."""
    await put(database, order("NEW"), ledger=ledger)
    told_by = "statuses" if ledger is RETAIL else "created"
    await database.record(
        [
            Submission(
                account=ledger.account,
                api=ledger.api,
                purchase_order_number="A1",
                submitted_at=PLACED + HOUR,
                source=ledger.source,
                digest="d",
                document=b"{}",
                state=SubmissionState.PRESUMED_ACCEPTED,
            )
        ]
    )
    read_at = PLACED + HOUR + timedelta(minutes=minutes)
    window = Window(PLACED - DAY, read_at)
    stream = msgspec.structs.replace(ledger, stream=told_by)
    await database.finish(stream, FinishedWindow(window, read_at))

    assert len(await database.pending()) == (minutes > 30)
