"""Pending: the orders that wait for an acknowledgement, and how fresh that knowledge is."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from memory_sink import MemorySink
from pending_sink import HOUR, NOW, PendingSink, state, waiting

from vendororders_async.accounts import Account, Credentials
from vendororders_async.errors import ConfigurationError, InvalidArgument
from vendororders_async.jobs.pending import StaleReading, pending, stale_readings

ORDERS = [
    waiting("LATE", 30),
    waiting("SOON", 3, account="acme-de"),
    waiting("OVERDUE", -2),
    waiting("FOUR", 4),
]
STATES = [state("acme-us", "statuses", 0.5), state("idle", "statuses", 0.5)]


async def numbers(
    due: timedelta | None = None,
    patterns: tuple[str, ...] = (),
    accounts: tuple[Account, ...] = (),
) -> list[str]:
    """Return the numbers of what is pending, in order."""
    found = await pending(
        PendingSink(ORDERS, STATES),
        due=due,
        patterns=patterns,
        accounts=accounts,
        now=lambda: NOW,
    )
    return [one.purchase_order_number for one in found]


async def test_the_most_urgent_comes_first() -> None:
    """Whatever order a sink tells them in."""
    assert await numbers() == ["OVERDUE", "SOON", "FOUR", "LATE"]


@pytest.mark.parametrize(
    ("due", "shown"),
    [
        (4 * HOUR, ["OVERDUE", "SOON", "FOUR"]),
        (3 * HOUR, ["OVERDUE", "SOON"]),
        (0 * HOUR, ["OVERDUE"]),
        (timedelta.max, ["OVERDUE", "SOON", "FOUR", "LATE"]),
    ],
)
async def test_what_is_due_can_be_asked_for(due: timedelta, shown: list[str]) -> None:
    """What is overdue is due as well."""
    assert await numbers(due) == shown


async def test_accounts_are_chosen_by_pattern() -> None:
    """One that has nothing pending is an account all the same, and an unknown one is none."""
    assert await numbers(patterns=("acme-d*",)) == ["SOON"]
    assert await numbers(patterns=("idle",)) == []
    with pytest.raises(InvalidArgument, match="there are acme-de, acme-us, idle"):
        await numbers(patterns=("acme-u*", "other"))


async def test_the_settings_of_an_account_count_over_what_was_noted() -> None:
    """A shorter time to answer makes an order urgent, in its account alone."""
    strict = Account(
        name="acme-us",
        credentials=Credentials(client_id="x", client_secret="s3cret", refresh_token="Atzr|x"),
        acknowledge_within=timedelta(hours=12),
    )
    found = await pending(PendingSink(ORDERS, STATES), accounts=[strict], now=lambda: NOW)

    assert [(one.purchase_order_number, one.answer_by - NOW) for one in found] == [
        ("OVERDUE", -14 * HOUR),
        ("FOUR", -8 * HOUR),
        ("SOON", 3 * HOUR),
        ("LATE", 18 * HOUR),
    ]


async def test_a_sink_that_cannot_know_is_refused(tmp_path: Path) -> None:
    """By its URL or as it is, in a line that names one that can; nothing is made."""
    with pytest.raises(ConfigurationError, match="use sqlite:PATH"):
        await pending(MemorySink())
    for url in (f"ndjson:{tmp_path}/orders", "ndjson:-", "xml:orders"):
        with pytest.raises(ConfigurationError, match="sqlite:PATH"):
            await pending(url)
    assert not await asyncio.to_thread(lambda: list(tmp_path.iterdir()))


def test_what_was_read_long_ago_is_told() -> None:
    """Of retail it is the statuses that tell, of direct fulfillment the orders."""
    df = "direct_fulfillment"
    states = [
        state("fresh", "statuses", 0.9),
        state("fresh", "created", 9),
        state("old", "statuses", 9, source="a"),
        state("old", "statuses", 2, source="b"),
        state("old", "created", 0),
        state("old", "created", 3, api=df),
        state("new", "created", 0),
        state("failing", "statuses", None),
        state("fresh", "created", 1, api=df),
    ]

    assert stale_readings(states, now=NOW) == [
        StaleReading("failing", "retail", "statuses", None),
        StaleReading("new", "retail", "statuses", None),
        StaleReading("old", df, "created", NOW - 3 * HOUR),
        StaleReading("old", "retail", "statuses", NOW - 2 * HOUR),
    ]
