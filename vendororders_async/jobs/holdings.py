"""Holdings: what a sink has of every stream, for people to look at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from typing import Protocol, runtime_checkable

import msgspec

from ..clock import seconds_between
from ..sinks import Sink
from ..sinks.base import StreamState
from ..windows import Window, WindowSet


class StreamHolding(msgspec.Struct, frozen=True):
    """How far a stream is read; *gaps* lie between the first instant and the last."""

    account: str
    api: str
    stream: str
    source: str
    covered: tuple[Window, ...]
    gaps: tuple[Window, ...]
    covered_until: datetime | None
    last_success_at: datetime | None
    age_seconds: float | None
    last_error: str | None


class AccountHolding(msgspec.Struct, frozen=True):
    """How much there is of an account and API."""

    account: str
    api: str
    orders: int
    quarantine: int


class Holdings(msgspec.Struct, frozen=True):
    """All that a sink has."""

    streams: tuple[StreamHolding, ...]
    accounts: tuple[AccountHolding, ...]


@runtime_checkable
class CountsOrders(Protocol):
    """A sink that can count its orders without reading them."""

    async def order_counts(self) -> dict[tuple[str, str], int]:
        """Return how many orders there are, by account and API."""


async def holdings(sink: Sink, *, now: datetime) -> Holdings:
    """Return what *sink* has; it is only read, and no lock is taken."""
    states = await sink.states()
    counts = await _counts(sink)
    owners = sorted({(state.ledger.account, state.ledger.api) for state in states} | {*counts})
    return Holdings(
        tuple(stream_holding(state, now) for state in states),
        tuple(
            [
                AccountHolding(
                    account,
                    api,
                    counts.get((account, api), 0),
                    len(await sink.quarantine(account, api)),
                )
                for account, api in owners
            ]
        ),
    )


def stream_holding(state: StreamState, now: datetime) -> StreamHolding:
    """Return what *state* comes to at *now*."""
    covered = tuple(WindowSet(finished.window for finished in state.windows))
    at = state.last_success_at
    return StreamHolding(
        account=state.ledger.account,
        api=state.ledger.api,
        stream=state.ledger.stream,
        source=state.ledger.source,
        covered=covered,
        gaps=gaps_between(covered),
        covered_until=covered[0].before if covered else None,
        last_success_at=at,
        age_seconds=seconds_between(at, now) if at else None,
        last_error=state.last_error,
    )


def gaps_between(covered: Sequence[Window]) -> tuple[Window, ...]:
    """Return what lies between windows that are disjoint and in order."""
    return tuple(Window(one.before, other.after) for one, other in pairwise(covered))


async def _counts(sink: Sink) -> dict[tuple[str, str], int]:
    if isinstance(sink, CountsOrders):
        return await sink.order_counts()
    counts: Counter[tuple[str, str]] = Counter()
    async for batch in sink.orders():
        counts.update((order.account, order.api) for order in batch)
    return counts
