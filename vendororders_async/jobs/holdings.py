"""Holdings: what a sink has of every stream, for people to look at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import aclosing, suppress
from datetime import datetime
from functools import cache
from itertools import pairwise
from typing import Protocol, runtime_checkable

import msgspec

from ..clock import seconds_between
from ..errors import SinkError
from ..operations import API_NAMES, CREATE_RESTRICTED_DATA_TOKEN, api_named
from ..sinks import Sink
from ..sinks.base import StreamState
from ..sinks.followed import RequestRate
from ..usage import UsagePlan
from ..windows import Window, WindowSet

_SECONDS = 3600.0  # of an hour


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


class RequestHolding(msgspec.Struct, frozen=True):
    """What following an account cost when it was last measured.

    *share_of_plan* is of the published usage plan, 1 all of it; None where none is known.
    """

    account: str
    api: str
    operation: str
    requests_an_hour: float
    share_of_plan: float | None
    measured_at: datetime
    age_seconds: float


class Holdings(msgspec.Struct, frozen=True):
    """All that a sink has; *requests* only if it was followed into."""

    streams: tuple[StreamHolding, ...]
    accounts: tuple[AccountHolding, ...]
    requests: tuple[RequestHolding, ...] = ()


@runtime_checkable
class CountsOrders(Protocol):
    """A sink that can count its orders without reading them."""

    async def order_counts(self) -> dict[tuple[str, str], int]:
        """Return how many orders there are, by account and API."""


@runtime_checkable
class KnowsRates(Protocol):
    """A sink that remembers what following costs."""

    async def request_rates(self) -> list[RequestRate]:
        """Return it as it was last measured."""


async def holdings(sink: Sink, *, now: datetime) -> Holdings:
    """Return what *sink* has; it is only read, and no lock is taken."""
    states = await sink.states()
    counts = await _counts(sink)
    rates = await _rates(sink)
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
        tuple(request_holding(rate, now) for rate in rates),
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


def request_holding(rate: RequestRate, now: datetime) -> RequestHolding:
    """Return what *rate* comes to at *now*."""
    plan = _plans().get(rate.operation)
    return RequestHolding(
        account=rate.account,
        api=rate.api,
        operation=rate.operation,
        requests_an_hour=rate.requests_an_hour,
        share_of_plan=rate.requests_an_hour / (plan.rate * _SECONDS) if plan else None,
        measured_at=rate.measured_at,
        age_seconds=seconds_between(rate.measured_at, now),
    )


@cache
def _plans() -> dict[str, UsagePlan]:
    """Return the plan of every operation that following may need, by its name."""
    apis = [api_named(name) for name in API_NAMES]
    streams = [stream.operation for api in apis for stream in api.streams.values()]
    operations = [*streams, *(api.detail for api in apis), CREATE_RESTRICTED_DATA_TOKEN]
    return {one.name: one.plan for one in operations}


def gaps_between(covered: Sequence[Window]) -> tuple[Window, ...]:
    """Return what lies between windows that are disjoint and in order."""
    return tuple(Window(one.before, other.after) for one, other in pairwise(covered))


async def _rates(sink: Sink) -> list[RequestRate]:
    if isinstance(sink, KnowsRates):
        with suppress(SinkError):  # a store of an older version does not know them
            return await sink.request_rates()
    return []


async def _counts(sink: Sink) -> dict[tuple[str, str], int]:
    if isinstance(sink, CountsOrders):
        return await sink.order_counts()
    counts: Counter[tuple[str, str]] = Counter()
    async with aclosing(sink.orders()) as batches:
        async for batch in batches:
            counts.update((order.account, order.api) for order in batch)
    return counts
