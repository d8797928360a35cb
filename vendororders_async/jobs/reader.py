"""One account's reader: what is missing of each stream, a driver for each bucket."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

from ..dispatch import Reply
from ..errors import AccessDenied, RequestError, SinkError, VendorOrdersError
from ..operations import GET_PURCHASE_ORDER, RETAIL_STREAMS, Operation, Stream
from ..pages import Page, Row
from ..planner import PageRequest, Planner, Span, Verdict, covered_until, missing
from ..telemetry import (
    AccountFailed,
    AccountFinished,
    BeyondHistory,
    PageStored,
    StreamPlanned,
    WindowFinished,
    WindowRestarted,
)
from ..windows import Window
from .desk import API, Desk, Pace
from .details import DetailReader, is_outside
from .quarantine import retry_quarantine
from .reading import Reading

# Another run that wrote this recently may have left Amazon's buckets empty.
_BUCKETS_EMPTY = timedelta(seconds=30)

# https://developer-docs.amazon.com/sp-api/docs/vendor-retail-procurement-orders-api
_ROLES = (
    'give the application the role "Inventory and Order Tracking" or "Amazon Fulfillment", '
    "then have the vendor authorise it again"
)


class AccountReader:
    """Reads what is missing of one account, all its streams at once."""

    def __init__(self, desk: Desk, reading: Reading) -> None:
        self._desk = desk
        self._reading = reading
        self._served_since: dict[str, datetime] = {}  # by stream: where Amazon's history begins

    async def run(self, wanted: Window, streams: Sequence[Stream]) -> None:
        """Read *wanted*; whatever goes wrong is told, and stops nobody else."""
        name, sink = self._desk.name, self._desk.sink
        try:
            async with sink.lock(name):
                await retry_quarantine(sink, name, API)
                try:
                    await self._read(wanted, streams)
                except* VendorOrdersError as group:
                    await self._conclude(wanted, streams, str(_first(group)))
                    raise
                await self._conclude(wanted, streams, None)
                standing = await sink.quarantine(name, API)
                self._desk.tally.quarantine_standing += len(standing)
        except* VendorOrdersError as group:
            error = _first(group)
            request_id = getattr(error, "request_id", None)
            self._desk.tell(AccountFailed(name, with_advice(error), request_id))
        else:
            self._desk.tell(AccountFinished(name))

    async def _read(self, wanted: Window, streams: Sequence[Stream]) -> None:
        spans: dict[Operation[Page[Row]], list[Span]] = {}
        for stream in streams:
            tiles = await self._tiles(wanted, stream)
            spans.setdefault(stream.operation, []).extend(
                Span(stream.name, tile) for tile in tiles
            )
        last = await self._desk.sink.last_success_at(self._desk.name)
        if last is not None and self._desk.now() - last < _BUCKETS_EMPTY:
            for operation in (*spans, GET_PURCHASE_ORDER):
                self._desk.gate(operation).drain()
        async with asyncio.TaskGroup() as group:
            for stream in {one.operation: one for one in streams}.values():
                planner = Planner(of_operation := spans[stream.operation])
                if stream.has_details and self._reading.fans_out and of_operation:
                    group.create_task(self._fan_out(stream, planner, of_operation))
                else:
                    group.create_task(self._drive(stream.operation, planner))

    async def _conclude(
        self, wanted: Window, streams: Sequence[Stream], error: str | None
    ) -> None:
        """Leave word in the sink of how far each stream is, and what stopped it."""
        for stream in streams:
            ledger = self._desk.ledger(stream)
            since = self._served_since.get(stream.name, wanted.after)
            await self._desk.sink.ended(
                ledger,
                covered_until=covered_until(await self._desk.sink.windows(ledger), since),
                error=error or self._desk.errors.get(stream.name),
            )

    async def _tiles(self, wanted: Window, stream: Stream) -> list[Window]:
        """Return the windows of *stream* that are still to be read."""
        finished = await self._desk.sink.windows(self._desk.ledger(stream))
        gaps = missing(wanted, finished, reread=self._reading.reread)
        tiles = [tile for gap in gaps for tile in gap.tiles()]
        self._desk.tell(
            StreamPlanned(
                self._desk.name,
                stream.operation.name,
                stream.name,
                len(tiles),
                gaps.length.total_seconds(),
            )
        )
        return tiles

    async def _fan_out(self, stream: Stream, planner: Planner, spans: Sequence[Span]) -> None:
        """Keep two buckets busy: the lists bring numbers, the details follow."""
        details = DetailReader(self._desk, planner)
        for span in spans:
            # All at once and first: an order that several windows list is asked for once,
            # and that has to be after each of them was begun.
            await details.begin(span)
        async with asyncio.TaskGroup() as group:
            group.create_task(details.run())
            await self._drive(stream.operation, planner, details)
            await details.end()

    async def _drive(
        self,
        operation: Operation[Page[Row]],
        planner: Planner,
        details: DetailReader | None = None,
    ) -> None:
        """Keep one bucket busy until its windows are read."""
        pace = Pace(self._desk, operation)
        running: set[asyncio.Task[float | None]] = set()
        async with asyncio.TaskGroup() as group:
            while True:
                running |= {
                    group.create_task(self._page(planner, request, details))
                    for request in planner.next(pace.in_flight - len(running))
                }
                if not running:
                    break
                done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                for seconds in (task.result() for task in done):
                    if seconds is not None:
                        pace.answered(seconds)

    async def _page(
        self, planner: Planner, request: PageRequest, details: DetailReader | None
    ) -> float | None:
        """Fetch a page and store it; return how long Amazon took, None if it failed."""
        stream = RETAIL_STREAMS[request.span.stream]
        call = stream.call(
            request.span.window.query(), request.next_token, numbers_only=details is not None
        )
        try:
            reply = await self._desk.send(call)
            if details is not None:
                await details.take(request, reply.content, reply.asked_at)
            else:
                await self._store(planner, request, reply)
        except AccessDenied:
            raise  # a role or an authorisation is missing: every other window would say so
        except RequestError as error:
            if planner.is_open(request.span):
                self._failed(planner, request, error, details)
            return None
        return reply.seconds

    async def _store(
        self, planner: Planner, request: PageRequest, reply: Reply[Page[Row]]
    ) -> None:
        """Store a page, and finish its window if it was the last."""
        span, documents = request.span, reply.content.documents
        stream = RETAIL_STREAMS[span.stream]
        await self._desk.write(stream, span, reply.asked_at, documents)
        self._desk.tell(
            PageStored(
                self._desk.name,
                stream.operation.name,
                stream.name,
                span.window,
                row_count=len(documents),
                outside_count=sum(is_outside(document, span) for document in documents),
            )
        )
        finished = planner.received(request, reply.content.next_token, asked_at=reply.asked_at)
        if finished is not None:
            await self._desk.sink.finish(self._desk.ledger(stream), finished)
            self._desk.tell(WindowFinished(self._desk.name, stream.name, finished.window))

    def _failed(
        self,
        planner: Planner,
        request: PageRequest,
        error: RequestError,
        details: DetailReader | None,
    ) -> None:
        name, span = self._desk.name, request.span
        failure = planner.failed(request, error, now=self._desk.now())
        request_id = getattr(error, "request_id", None)
        if failure.verdict is Verdict.RESTARTED:
            self._desk.tell(
                WindowRestarted(name, span.stream, failure.window, str(error), request_id)
            )
            return
        if details is not None:
            details.give_up(span)
        if failure.verdict is Verdict.BEYOND_HISTORY:
            self._desk.tell(BeyondHistory(name, span.stream, failure.window))
            served = self._served_since.get(span.stream, failure.window.before)
            self._served_since[span.stream] = max(served, failure.window.before)
        else:
            self._desk.given_up(span, str(error), error)


def with_advice(error: VendorOrdersError) -> str:
    """Return *error* in a line that ends with what to do next."""
    match error:
        case AccessDenied():
            return f"{error}; {_ROLES}"
        case SinkError():
            return f"{error}; after that, the same command goes on from there"
        case _:
            return str(error)


def _first(group: BaseExceptionGroup[VendorOrdersError]) -> VendorOrdersError:
    """Return one of the errors in *group*: the rest say the same of the same account."""
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error
