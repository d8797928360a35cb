"""A sync with all that goes on around it: those who get its changes, its health."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Protocol

from ..caller import end
from ..changes import Change
from ..errors import VendorOrdersError, first_of
from ..jobs.delivery import Delivery
from ..jobs.standing import Standing
from ..jobs.summary import Summary
from .progress import duration

_TELL_EVERY = 30.0  # seconds, on a terminal

_log = logging.getLogger("vendororders_async")


class Job(Protocol):
    """What is to be run, as a `Sync` promises it."""

    async def run(self) -> None:
        """Follow the accounts until `stop`."""

    def stop(self) -> None:
        """End `run` in order."""

    def summary(self) -> Summary:
        """Return how it came out, or stands."""

    def standing(self) -> Standing:
        """Return how every account and stream stands."""

    def changes(
        self, *, consumer: str | None = None, after: int | None = None
    ) -> AsyncGenerator[list[Change], None]:
        """Yield changes as they are recorded, until the run has ended."""


class Following:
    """Runs *job*, and delivers its changes until it ends and all of them are taken.

    What is *beside* it is open as long; *tell* is told now and then how it stands.
    """

    def __init__(
        self,
        job: Job,
        deliveries: Iterable[Delivery] = (),
        *,
        after: int | None = None,
        beside: Iterable[AbstractAsyncContextManager[object]] = (),
        tell: Callable[[str], None] | None = None,
    ) -> None:
        self.has_ended = False
        self._job = job
        self._deliveries = tuple(deliveries)
        self._after = after
        self._beside = tuple(beside)
        self._tell = tell
        self._error: VendorOrdersError | None = None

    @property
    def has_delivered(self) -> bool:
        """Whether nobody has given up."""
        return not any(one.given_up for one in self._deliveries)

    async def run(self) -> None:
        """Do it; cancelled, it leaves everything in order.

        Raises:
            VendorOrdersError: the job cannot go on, or nobody takes its changes any more.
        """
        async with AsyncExitStack() as stack:
            for one in self._beside:
                await stack.enter_async_context(one)
            telling = asyncio.create_task(self._tell_now_and_then())
            stack.push_async_callback(end, [telling])
            try:
                async with asyncio.TaskGroup() as group:
                    for delivery in self._deliveries:
                        group.create_task(self._deliver(delivery))
                    await self._job.run()
                    for delivery in self._deliveries:
                        delivery.stop(within=0)  # what is taken now nobody would remember
            except* VendorOrdersError as errors:
                raise first_of(errors) from None
        if self._error is not None:
            raise self._error
        self.has_ended = True

    def stop(self) -> None:
        """End `run` in order, and within seconds."""
        self._job.stop()
        for delivery in self._deliveries:
            delivery.stop()

    async def _deliver(self, delivery: Delivery) -> None:
        try:
            await delivery.run(self._job.changes(consumer=delivery.consumer, after=self._after))
        except VendorOrdersError as error:
            self._error = self._error or error
            self.stop()

    async def _tell_now_and_then(self) -> None:
        while self._tell is not None:
            await asyncio.sleep(_TELL_EVERY)
            self._tell(standing_line(self._job.standing(), self._job.summary()))


def standing_line(standing: Standing, summary: Summary) -> str:
    """Return how a sync stands in one line."""
    aside = [one.account for one in standing.accounts if one.error is not None]
    rate = sum(sum(one.requests_an_hour.values()) for one in standing.accounts)
    parts = [
        f"following {accounts_words(len(standing.accounts))}",
        f"set aside: {names_words(aside)}" if aside else "",
        _orders_words(summary),
        f"{rate:,.0f} requests an hour",
    ]
    return ", ".join(filter(None, parts))


def closing_line(summary: Summary, *, once: bool) -> str:
    """Return how a sync came out in one line."""
    outcome = ("complete" if summary.complete else "incomplete") if once else "stopped"
    followed = accounts_words(len(summary.accounts))
    standing = summary.quarantine_standing
    parts = [
        f"{outcome}: followed {followed} for {duration(summary.seconds)}",
        _orders_words(summary),
        f"{summary.requests:,} requests",
        f"{summary.throttled:,} throttled",
        f"{summary.quarantined:,} quarantined" + (f" ({standing:,} standing)" * bool(standing)),
    ]
    return ", ".join(parts)


def _orders_words(summary: Summary) -> str:
    return f"{summary.orders:,} orders ({summary.new:,} new, {summary.changed:,} changed)"


def accounts_words(count: int) -> str:
    """Return how many accounts there are.

    >>> accounts_words(1), accounts_words(400)
    ('1 account', '400 accounts')
    """
    return f"{count:,} account{'s' if count != 1 else ''}"


def names_words(names: list[str]) -> str:
    """Return some of *names*, and how many more there are.

    >>> names_words(["a", "b", "c", "d", "e"])
    'a, b, c and 2 more'
    """
    most = 3
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest:,} more" if rest > 0 else "")
