"""Pending: the orders that wait for an acknowledgement, as far as a sink knows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Protocol, runtime_checkable

import msgspec

from .. import clock
from ..accounts import Account
from ..errors import ConfigurationError, InvalidArgument
from ..operations import CREATED, RETAIL_API, STATUSES
from ..sinks import Sink, open_sink
from ..sinks.base import PendingOrder, StreamState, SubmissionSink
from ..sinks.urls import masked

STALE_AFTER = timedelta(hours=1)


@runtime_checkable
class KnowsPending(Protocol):
    """The part of a `SubmissionSink` that is asked here."""

    async def states(self) -> list[StreamState]:
        """Return all streams of all accounts that the sink knows of."""

    async def pending(self) -> list[PendingOrder]:
        """Return the orders that wait for an acknowledgement."""


class StaleReading(msgspec.Struct, frozen=True):
    """What tells of an account's orders was read long ago: at *read_at*, or never."""

    account: str
    api: str
    stream: str
    read_at: datetime | None


async def pending(
    sink: Sink | KnowsPending | str,
    *,
    due: timedelta | None = None,
    patterns: Iterable[str] = (),
    accounts: Iterable[Account] = (),
    now: Callable[[], datetime] = clock.now,
) -> list[PendingOrder]:
    """Return the orders that wait for an acknowledgement, the most urgent first.

        for order in await pending("sqlite:orders.db", due=timedelta(hours=4)):
            print(order.purchase_order_number, order.answer_by)

    With *due* only those that have to be answered within that time, overdue ones included.
    *patterns* choose accounts (``acme-*``); the ``acknowledge_within`` of *accounts* counts
    over what the sink noted. It knows what was read last: see `stale_readings`.

    Raises:
        ConfigurationError: the sink cannot know.
        InvalidArgument: no account in the sink is called so.
        SinkError: it cannot be used.
    """
    if isinstance(sink, str):
        async with opened(sink) as store:
            return await pending(store, due=due, patterns=patterns, accounts=accounts, now=now)
    if not isinstance(sink, KnowsPending):
        raise _ignorant(sink)
    within = {account.name: account.acknowledge_within for account in accounts}
    orders = [
        msgspec.structs.replace(one, answer_by=one.since + within[one.account])
        if one.account in within
        else one
        for one in await sink.pending()
    ]
    patterns = tuple(patterns)
    if patterns:
        known = {state.ledger.account for state in await sink.states()}
        _check(patterns, known | {one.account for one in orders})
    moment = now()
    found = [
        one
        for one in orders
        if is_chosen(one.account, patterns) and (due is None or one.answer_by - moment <= due)
    ]
    return sorted(found, key=_urgency)


def opened(url: str) -> SubmissionSink:
    """Return the sink at *url*, to be read with ``async with``.

    Raises:
        ConfigurationError: it cannot know what is pending, or there is no such kind.
    """
    try:
        sink = open_sink(url, read_only=True)
    except ConfigurationError as error:
        raise ConfigurationError(
            f"{error}; sqlite:PATH and postgres://… know what is pending"
        ) from None
    if not isinstance(sink, SubmissionSink):
        raise _ignorant(url)
    return sink


def stale_readings(states: Sequence[StreamState], *, now: datetime) -> list[StaleReading]:
    """Return of which accounts it was read more than an hour ago what became of their orders.

    That is told by the statuses of retail, and by the orders of direct fulfillment.
    """
    read_at: dict[tuple[str, str], datetime | None] = {}
    for state in states:
        owner = state.ledger.account, state.ledger.api
        last = read_at.setdefault(owner, None)
        at = state.last_success_at if state.ledger.stream == _telling(owner[1]) else None
        if at is not None and (last is None or at > last):
            read_at[owner] = at
    return [
        StaleReading(account, api, _telling(api), at)
        for (account, api), at in sorted(read_at.items(), key=lambda one: one[0])
        if at is None or now - at > STALE_AFTER
    ]


def is_chosen(account: str, patterns: Sequence[str]) -> bool:
    """Say whether *account* matches one of *patterns*, or there are none."""
    return not patterns or any(fnmatchcase(account, pattern) for pattern in patterns)


def _telling(api: str) -> str:
    return (STATUSES if api == RETAIL_API else CREATED).name


def _urgency(order: PendingOrder) -> tuple[datetime, str, str, str]:
    return order.answer_by, order.account, order.api, order.purchase_order_number


def _ignorant(sink: object) -> ConfigurationError:
    what = masked(sink) if isinstance(sink, str) else sink
    return ConfigurationError(
        f"{what} does not know what is pending; use sqlite:PATH or postgres://…"
    )


def _check(patterns: Sequence[str], known: set[str]) -> None:
    for pattern in patterns:
        if not any(fnmatchcase(account, pattern) for account in known):
            names = ", ".join(sorted(known)) or "none"
            raise InvalidArgument(f"no account is called {pattern!r}; there are {names}")
