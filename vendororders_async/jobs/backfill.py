"""Backfill: every order of a range, once, resumable.

summary = await backfill([Account.from_env()], since=…, to="sqlite:orders.db")
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from datetime import datetime, timedelta

from .. import clock
from ..accounts import Account
from ..dispatch import Dispatcher
from ..errors import InvalidArgument, first_of
from ..limiter import Limiters
from ..operations import api_named
from ..restricted import OperationTokens
from ..sinks import Sink, open_sink
from ..telemetry import Observer, fan_out, log_event
from ..transport import Transport
from .desk import Desk
from .reader import AccountReader
from .reading import INLINE, REREAD, Reading
from .summary import Summary, Tally


async def backfill(
    accounts: Iterable[Account],
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    to: str | Sink,
    api: str = "retail",
    direct_fulfillment_version: str = "v1",
    streams: Iterable[str] | None = None,
    details: str = INLINE,
    reread: timedelta = REREAD,
    concurrency: int | None = None,
    redact: bool = False,
    observer: Observer | None = None,
    limiters: Limiters | None = None,
) -> Summary:
    """Read every order of a range into a sink, and say how it came out.

        summary = await backfill(accounts, since=since, to="sqlite:orders.db")
        summary.complete

    *since* defaults to six months back, as far as Amazon's history reaches, *until* to two
    minutes ago; *streams* to all that the API has. What an earlier run finished is not asked
    again, except what ended less than *reread* before it was read. *concurrency* bounds the
    requests in flight in this process.

    *api* is ``retail`` (streams ``created``, ``changed`` and ``statuses``) or
    ``direct-fulfillment`` (``created`` alone), of which there are two versions, ``v1`` and
    ``2021-12-28``; both fill the same tables, and what was read in one is not asked again in
    the other. Amazon does not tell of an order of direct fulfillment that moved later.

    *details* come with the lists (``inline``), a hundred orders a request; with ``fan-out``
    the lists bring numbers, and each order is asked for by itself, at the pace of that
    operation's own usage plan.

    An order of direct fulfillment names a customer, with address and phone; *redact* takes
    that out before anything is stored. Only of what this run receives: an order that comes
    again replaces the one with its customer, but earlier versions, and orders that are not
    asked for again, stay as they are until they are purged. A later run without *redact*
    brings customers back.

    One account's or window's failure does not stop the others: it is in the summary. A sink
    that is passed in open stays open, as do *limiters*: `SharedLimiters`, where other
    processes ask for the same accounts, or those of a client, whose calls go first.

    Raises:
        InvalidArgument: the range, the API, the streams or the accounts could not be meant.
        ConfigurationError: there is no such kind of sink.
        SinkError: the sink cannot be opened.
    """
    reading = Reading(
        api=api_named(api, direct_fulfillment_version),
        since=since,
        until=until,
        streams=streams,
        details=details,
        reread=reread,
        concurrency=concurrency,
        redact=redact,
    )
    job = Backfill(accounts, reading, to=to, observer=observer, limiters=limiters)
    await job.run()
    return job.summary()


class Backfill:
    """A backfill that can be asked for its summary at any time, also after a cancellation.

    A *transport* and *limiters* that are passed in stay open; a transport has its own bound
    on what is in flight.
    """

    def __init__(
        self,
        accounts: Iterable[Account],
        reading: Reading,
        *,
        to: str | Sink,
        observer: Observer | None = None,
        transport: Transport | None = None,
        limiters: Limiters | None = None,
        now: Callable[[], datetime] = clock.now,
    ) -> None:
        self._accounts = tuple(accounts)
        check_accounts(self._accounts)
        self._now = now
        self._reading = reading
        self._window = reading.window(now())
        self._streams = reading.chosen()
        self._to = to
        self._transport = transport
        self._limiters = limiters
        self._tally = Tally(account.name for account in self._accounts)
        watching = (observer,) if observer else ()
        self._tell = fan_out(self._tally, log_event, *watching)
        self._seconds = 0.0

    def summary(self) -> Summary:
        """Return how the run came out, or how it stands."""
        return self._tally.summary(self._seconds)

    async def run(self) -> None:
        """Do it; cancelled, it leaves everything in order, and the next run goes on."""
        time = asyncio.get_running_loop().time
        began_at = time()
        try:
            await self._run()
        except ExceptionGroup as group:  # of an observer's mistakes; ours are in the summary
            raise first_of(group) from None
        finally:
            self._seconds = time() - began_at

    async def _run(self) -> None:
        async with AsyncExitStack() as stack:
            sink = self._to
            if not isinstance(sink, Sink):
                sink = await stack.enter_async_context(open_sink(sink, now=self._now))
            transport = self._transport
            if transport is None:
                room = Transport(
                    account_count=len(self._accounts), limit=self._reading.concurrency
                )
                transport = await stack.enter_async_context(room)
            limiters = self._limiters or Limiters()
            tokens = OperationTokens(transport, limiters)
            dispatcher = Dispatcher(
                transport, tokens, limiters, observer=self._tell, now=self._now
            )
            async with asyncio.TaskGroup() as group:
                for account in self._accounts:
                    desk = Desk(
                        account,
                        self._reading.api,
                        sink,
                        dispatcher,
                        limiters,
                        self._tally,
                        self._tell,
                        dispatcher.clock,
                        {},
                        self._reading.redacts,
                    )
                    reader = AccountReader(desk, self._reading)
                    group.create_task(reader.run(self._window, self._streams))


def check_accounts(accounts: Sequence[Account]) -> None:
    """Refuse what is no account at all, or two of one name.

    Raises:
        InvalidArgument: that is so.
    """
    names = [account.name for account in accounts]
    if not names:
        raise InvalidArgument("no account to read for")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidArgument(f"two accounts are called {twice!r}")
