"""Backfill: every order of a range, once, resumable.

summary = await backfill([Account.from_env()], since=…, to="sqlite:orders.db")
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from typing import NamedTuple

from .. import clock
from ..accounts import Account
from ..auth import AccessTokens
from ..dispatch import Dispatcher, Reply
from ..errors import (
    AccessDenied,
    InvalidArgument,
    RequestError,
    VendorOrdersError,
)
from ..limiter import Limiters, Urgency
from ..models.retail_procurement import Order
from ..operations import RETAIL_STREAMS, Operation, Stream
from ..pages import Page, Row, decode_document
from ..planner import PageRequest, Planner, Span, Verdict, covered_until, in_flight, missing
from ..sinks import Sink, open_sink
from ..sinks.base import Arrival, Ledger
from ..telemetry import (
    AccountFailed,
    AccountFinished,
    BeyondHistory,
    Observer,
    PageStored,
    StreamPlanned,
    WindowFailed,
    WindowFinished,
    fan_out,
    log_event,
)
from ..transport import Transport
from ..windows import Window
from .summary import Summary, Tally

API = "retail"

# What is younger may still be on its way into Amazon's answers, so no window ends there.
SETTLING = timedelta(minutes=2)
REREAD = timedelta(days=7)

_LONGEST_REREAD = timedelta(days=3660)
_FIRST_YEAR = 2000  # of orders that could be meant

# Another run that wrote this recently may have left Amazon's buckets empty.
_BUCKETS_EMPTY = timedelta(seconds=30)
_FIRST_LATENCY = 1.0  # seconds, until there is one to go by
_LATENCY_MEMORY = 0.2  # how much a new latency counts against those before

_log = logging.getLogger("vendororders_async")


async def backfill(
    accounts: Iterable[Account],
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    to: str | Sink,
    streams: Iterable[str] | None = None,
    reread: timedelta = REREAD,
    concurrency: int | None = None,
    observer: Observer | None = None,
) -> Summary:
    """Read every order of a range into a sink, and say how it came out.

        summary = await backfill(accounts, since=since, to="sqlite:orders.db")
        summary.complete

    *since* defaults to six months back, as far as Amazon's history reaches, *until* to two
    minutes ago; *streams* to ``created``, ``changed`` and ``statuses``. What an earlier run
    finished is not asked again, except what ended less than *reread* before it was read.
    *concurrency* bounds the requests in flight in this process.

    One account's or window's failure does not stop the others: it is in the summary. A sink
    that is passed in open stays open.

    Raises:
        InvalidArgument: the range, the streams or the accounts could not be meant.
        ConfigurationError: there is no such kind of sink.
        SinkError: the sink cannot be opened.
    """
    job = Backfill(
        accounts,
        since=since,
        until=until,
        to=to,
        streams=streams,
        reread=reread,
        concurrency=concurrency,
        observer=observer,
    )
    await job.run()
    return job.summary()


class Backfill:
    """A backfill that can be asked for its summary at any time, also after a cancellation."""

    def __init__(
        self,
        accounts: Iterable[Account],
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        to: str | Sink,
        streams: Iterable[str] | None = None,
        reread: timedelta = REREAD,
        concurrency: int | None = None,
        observer: Observer | None = None,
        now: Callable[[], datetime] = clock.now,
    ) -> None:
        self._accounts = tuple(accounts)
        _check_accounts(self._accounts)
        if concurrency is not None and concurrency < 1:
            raise InvalidArgument(f"concurrency must be at least 1, not {concurrency}")
        if not timedelta() <= reread <= _LONGEST_REREAD:
            raise InvalidArgument("reread must not be negative, nor longer than ten years")
        self._now = now
        self.range = _range(since, until, now())
        self._streams = _streams(streams)
        self._to = to
        self._reread = reread
        self._concurrency = concurrency
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
        finally:
            self._seconds = time() - began_at

    async def _run(self) -> None:
        async with AsyncExitStack() as stack:
            sink = self._to
            if isinstance(sink, str):
                sink = await stack.enter_async_context(open_sink(sink, now=self._now))
            transport = await stack.enter_async_context(
                Transport(account_count=len(self._accounts), limit=self._concurrency)
            )
            limiters = Limiters()
            dispatcher = Dispatcher(
                transport, AccessTokens(transport), limiters, observer=self._tell, now=self._now
            )
            parts = _Parts(sink, dispatcher, limiters, self._tally, self._tell, self._now)
            async with asyncio.TaskGroup() as group:
                for account in self._accounts:
                    reader = _AccountReader(account, parts)
                    group.create_task(reader.run(self.range, self._streams, self._reread))


class _Parts(NamedTuple):
    """What the readers of all accounts share."""

    sink: Sink
    dispatcher: Dispatcher
    limiters: Limiters
    tally: Tally
    tell: Observer
    now: Callable[[], datetime]


class _AccountReader:
    """Reads what is missing of one account, all its streams at once."""

    def __init__(self, account: Account, parts: _Parts) -> None:
        self._account = account
        self._sink = parts.sink
        self._dispatcher = parts.dispatcher
        self._limiters = parts.limiters
        self._tally = parts.tally
        self._tell = parts.tell
        self._now = parts.now
        self._errors: dict[str, str] = {}  # by stream: the first that cost a window
        self._served_since: dict[str, datetime] = {}  # by stream: where Amazon's history begins

    async def run(self, wanted: Window, streams: Sequence[Stream], reread: timedelta) -> None:
        """Read *wanted*; whatever goes wrong is told, and stops nobody else."""
        name = self._account.name
        try:
            async with self._sink.lock(name):
                await self._retry_quarantine()
                try:
                    await self._read(wanted, streams, reread)
                except* VendorOrdersError as group:
                    await self._conclude(wanted, streams, str(_first(group)))
                    raise
                await self._conclude(wanted, streams, None)
                standing = await self._sink.quarantine(name, API)
                self._tally.quarantine_standing += len(standing)
        except* VendorOrdersError as group:
            self._tell(AccountFailed(name, str(_first(group))))
        else:
            self._tell(AccountFinished(name))

    async def _read(self, wanted: Window, streams: Sequence[Stream], reread: timedelta) -> None:
        spans: dict[Operation[Page[Row]], list[Span]] = {}
        for stream in streams:
            finished = await self._sink.windows(self._ledger(stream))
            gaps = missing(wanted, finished, reread=reread)
            tiles = [tile for gap in gaps for tile in gap.tiles()]
            self._tell(
                StreamPlanned(
                    self._account.name,
                    stream.operation.name,
                    stream.name,
                    len(tiles),
                    gaps.length.total_seconds(),
                )
            )
            spans.setdefault(stream.operation, []).extend(
                Span(stream.name, tile) for tile in tiles
            )
        last = await self._sink.last_success_at(self._account.name)
        async with asyncio.TaskGroup() as group:
            for operation, of_operation in spans.items():
                gate = self._limiters.of(self._account, operation)
                if last is not None and self._now() - last < _BUCKETS_EMPTY:
                    gate.drain()
                group.create_task(self._drive(operation, Planner(of_operation)))

    async def _conclude(
        self, wanted: Window, streams: Sequence[Stream], error: str | None
    ) -> None:
        """Leave word in the sink of how far each stream is, and what stopped it."""
        for stream in streams:
            ledger = self._ledger(stream)
            since = self._served_since.get(stream.name, wanted.after)
            await self._sink.ended(
                ledger,
                covered_until=covered_until(await self._sink.windows(ledger), since),
                error=error or self._errors.get(stream.name),
            )

    async def _drive(self, operation: Operation[Page[Row]], planner: Planner) -> None:
        """Keep one bucket busy until its windows are read."""
        gate = self._limiters.of(self._account, operation)
        latency = _FIRST_LATENCY
        self._tally.granted(self._account.name, operation.name, gate.plan)
        running: set[asyncio.Task[float | None]] = set()
        async with asyncio.TaskGroup() as group:
            while True:
                room = in_flight(gate.plan, latency) - len(running)
                running |= {
                    group.create_task(self._page(planner, request))
                    for request in planner.next(room)
                }
                if not running:
                    break
                done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                for seconds in (task.result() for task in done):
                    if seconds is not None:
                        latency += _LATENCY_MEMORY * (seconds - latency)
        self._tally.granted(self._account.name, operation.name, gate.plan)

    async def _page(self, planner: Planner, request: PageRequest) -> float | None:
        """Fetch a page and store it; return how long Amazon took, None if it failed."""
        stream = RETAIL_STREAMS[request.span.stream]
        call = stream.call(request.span.window.query(), request.next_token)
        try:
            reply = await self._dispatcher.send(self._account, call, urgency=Urgency.BULK)
            await self._store(stream, request, reply)
            finished = planner.received(
                request, reply.content.next_token, asked_at=reply.asked_at
            )
        except AccessDenied:
            raise  # a role or an authorisation is missing: every other window would say so
        except RequestError as error:
            self._failed(planner, request, error)
            return None
        if finished is not None:
            await self._sink.finish(self._ledger(stream), finished)
            self._tell(WindowFinished(self._account.name, stream.name, finished.window))
        return reply.seconds

    async def _store(
        self, stream: Stream, request: PageRequest, reply: Reply[Page[Row]]
    ) -> None:
        documents = reply.content.documents
        written = await self._sink.write(
            Arrival(self._ledger(stream), reply.asked_at, documents)
        )
        self._tally.written(self._account.name, written, are_orders=stream.row is Order)
        asked = request.span.window.query()
        dates = [stream.own_date(one.content) for one in documents if one.content is not None]
        self._tell(
            PageStored(
                self._account.name,
                stream.operation.name,
                stream.name,
                request.span.window,
                row_count=len(documents),
                outside_count=sum(
                    date is not None and not asked.after <= date <= asked.before
                    for date in dates
                ),
            )
        )

    def _failed(self, planner: Planner, request: PageRequest, error: RequestError) -> None:
        name, stream = self._account.name, request.span.stream
        failure = planner.failed(request, error, now=self._now())
        match failure.verdict:
            case Verdict.RESTARTED:
                _log.info("%s %s %s from its start: %s", name, stream, failure.window, error)
            case Verdict.BEYOND_HISTORY:
                self._tell(BeyondHistory(name, stream, failure.window))
                served = self._served_since.get(stream, failure.window.before)
                self._served_since[stream] = max(served, failure.window.before)
            case Verdict.GIVEN_UP:
                self._tell(WindowFailed(name, stream, failure.window, str(error)))
                self._errors.setdefault(stream, str(error))

    async def _retry_quarantine(self) -> None:
        """Decode once more what could not be decoded: this version may know better."""
        for held in await self._sink.quarantine(self._account.name, API):
            stream = RETAIL_STREAMS.get(held.ledger.stream)
            if stream is None:
                continue
            document = decode_document(held.document, stream.row)
            if document.content is not None:
                await self._sink.write(Arrival(held.ledger, held.first_seen_at, [document]))
                await self._sink.release(held)

    def _ledger(self, stream: Stream) -> Ledger:
        return Ledger(self._account.name, API, stream.name, self._account.source)


def _first(group: BaseExceptionGroup[VendorOrdersError]) -> VendorOrdersError:
    """Return one of the errors in *group*: the rest say the same of the same account."""
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error


def _check_accounts(accounts: Sequence[Account]) -> None:
    names = [account.name for account in accounts]
    if not names:
        raise InvalidArgument("no account to read for")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidArgument(f"two accounts are called {twice!r}")


def _streams(names: Iterable[str] | None) -> tuple[Stream, ...]:
    if names is None:
        return tuple(RETAIL_STREAMS.values())
    chosen = dict.fromkeys(names)
    unknown = [name for name in chosen if name not in RETAIL_STREAMS]
    if unknown or not chosen:
        known = ", ".join(RETAIL_STREAMS)
        raise InvalidArgument(f"streams are {known}; not {', '.join(unknown) or 'none'}")
    return tuple(RETAIL_STREAMS[name] for name in chosen)


def _range(since: datetime | None, until: datetime | None, now: datetime) -> Window:
    """Return what is wanted: within the settled past, with a warning about what is not."""
    latest = now - SETTLING
    if until is not None and until.tzinfo is not None and until > latest:
        _log.warning("the range ends two minutes ago: what is younger may not be there yet")
        until = latest
    oldest = clock.horizon(now)
    if since is None:
        since = oldest
    elif since.year < _FIRST_YEAR:
        raise InvalidArgument(f"since {since.isoformat()} is before any order of Amazon's")
    elif since.tzinfo is not None and clock.whole_second(since) < clock.whole_second(oldest):
        _log.warning(
            "Amazon serves orders of the past six months; what is before %s may be refused",
            clock.format_wire(oldest),
        )
    return Window.covering(since, until or latest)
