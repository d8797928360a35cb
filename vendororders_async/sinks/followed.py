"""What `sync` needs of a sink beside what every sink promises: changes, and what is stale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from typing import Protocol, runtime_checkable

import msgspec

from ..changes import Change
from .base import Sink

MOST_CHANGES = 200  # at a time
LAG = timedelta(minutes=1)  # an order may show a move that much later than its status does


class UnfinishedOrder(msgspec.Struct, frozen=True, gc=False):
    """An order that may still change without any list telling of it."""

    purchase_order_number: str
    placed_at: datetime | None
    required_ship_date: datetime | None = None


class RequestRate(msgspec.Struct, frozen=True):
    """What following an account costs: requests of an operation in an hour."""

    account: str
    api: str
    operation: str
    requests_an_hour: float
    measured_at: datetime


class ChangeLog(Protocol):
    """Changes as they were recorded, in the transaction that stored the version.

    Every version of an order with details, and every version of a status, is recorded once,
    whoever stored it; sequence numbers grow in the order in which that was committed.
    """

    async def changes(
        self,
        after: int,
        limit: int = MOST_CHANGES,
        *,
        api: str | None = None,
        accounts: Sequence[str] | None = None,
    ) -> list[Change]:
        """Return what was recorded after the sequence number *after*, the oldest first.

        That is of one *api* and of some *accounts*, or of all. Not even a power cut takes
        back what was returned.
        """

    async def last_change(self) -> int:
        """Return the last sequence number that was given, 0 before the first."""

    async def consumed(self, consumer: str, api: str) -> dict[str, int]:
        """Return the last sequence number that *consumer* has seen, by account."""

    async def consume(self, consumer: str, api: str, places: Mapping[str, int]) -> None:
        """Remember up to where *consumer* has seen all, by account; none ever goes back."""


@runtime_checkable
class FollowedSink(Sink, ChangeLog, Protocol):
    """A sink that an account can be followed into."""

    def lock_api(self, account: str, api: str) -> AbstractAsyncContextManager[None]:
        """Keep other runs from writing for *account* in one of its APIs, as `lock` does."""

    async def known_states(
        self, account: str, api: str, numbers: Sequence[str]
    ) -> dict[str, str | None]:
        """Return the state of each of *numbers* whose details are stored."""

    async def outdated(self, account: str, api: str, limit: int = 100) -> list[str]:
        """Return orders to be read again, the longest waiting first.

        They are those whose status moved less than a minute before they were last asked
        for, or later, and those that only a status tells of. An order may show a move later
        than its status does: only details asked for a minute after it take the order off. A
        status that says not when it moved, or a time to come, moved when it was asked for.
        """

    async def forgo(self, account: str, api: str, number: str, asked_at: datetime) -> None:
        """Let *number*, last asked for at *asked_at*, be read again no more.

        It is again when its status moves once more, or if that moved after *asked_at*.
        """

    async def unfinished(
        self, account: str, api: str, final_states: Sequence[str]
    ) -> list[UnfinishedOrder]:
        """Return the orders with details whose state is none of *final_states*.

        States are compared without regard to case.
        """

    async def note_requests(
        self, account: str, api: str, rates: Mapping[str, float], measured_at: datetime
    ) -> None:
        """Remember what following costs, by operation, in requests an hour."""

    async def request_rates(self) -> list[RequestRate]:
        """Return what following costs, as it was last measured."""
