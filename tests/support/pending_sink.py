"""A sink that knows what is pending, since a test has told it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from vendororders_async.sinks.base import (
    Ledger,
    PendingOrder,
    StreamState,
)

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


class PendingSink:
    """Implements `KnowsPending`: *orders* are pending, *states* are what was read."""

    def __init__(self, orders: Sequence[PendingOrder], states: Sequence[StreamState]) -> None:
        self._pending = list(orders)
        self._states = list(states)

    async def states(self) -> list[StreamState]:
        return self._states

    async def pending(self) -> list[PendingOrder]:
        return self._pending


def waiting(number: str, hours: float, *, account: str = "acme-us") -> PendingOrder:
    """Return an order that has to be answered in so many hours, of a day."""
    return PendingOrder(
        account=account,
        api="retail",
        purchase_order_number=number,
        why="new",
        since=NOW + (hours - 24) * HOUR,
        answer_by=NOW + hours * HOUR,
        unconfirmed_line_count=3,
    )


def state(
    account: str, stream: str, hours: float | None, *, api: str = "retail", source: str = "a"
) -> StreamState:
    """Return a stream that was read so many hours ago, or never."""
    at = None if hours is None else NOW - hours * HOUR
    return StreamState(Ledger(account, api, stream, source), (), last_success_at=at)
