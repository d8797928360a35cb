"""One account's reader: what is missing of each stream, a driver for each bucket."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta

from ..chains import Span
from ..coverage import covered_until, missing
from ..errors import AccessDenied, SinkError, VendorOrdersError, first_of
from ..operations import Api, Operation, Stream
from ..pages import Page, Row
from ..planner import Planner, Split
from ..sinks.base import SubmissionSink
from ..sinks.followed import FollowedSink
from ..telemetry import AccountFailed, AccountFinished, StreamPlanned, WindowSplit
from ..windows import Window, WindowSet
from .desk import Desk, Pace
from .details import DetailReader
from .page_reader import PageReader
from .quarantine import retry_quarantine
from .reading import Reading

# Another run that wrote this recently may have left Amazon's buckets empty.
_BUCKETS_EMPTY = timedelta(seconds=30)


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
            async with self._locked():
                await self.prepare(streams)
                try:
                    await self.read(wanted, streams)
                except* VendorOrdersError as group:
                    await self.conclude(wanted, streams, str(first_of(group)))
                    raise
                await self.conclude(wanted, streams, None)
                standing = await sink.quarantine(name, self._desk.api.name)
                self._desk.tally.quarantine_standing += len(standing)
        except* VendorOrdersError as group:
            error = first_of(group)
            request_id = getattr(error, "request_id", None)
            self._desk.tell(AccountFailed(name, with_advice(error, self._desk.api), request_id))
        else:
            self._desk.tell(AccountFinished(name))

    def _locked(self) -> AbstractAsyncContextManager[None]:
        """Return the narrowest lock that the sink has: its other API may be followed."""
        desk = self._desk
        if isinstance(desk.sink, FollowedSink):
            return desk.sink.lock_api(desk.name, desk.api.name)
        return desk.sink.lock(desk.name)

    async def prepare(self, streams: Sequence[Stream]) -> None:
        """Do what comes before any reading; the account's lock is held."""
        name, sink = self._desk.name, self._desk.sink
        if isinstance(sink, SubmissionSink):
            await sink.note_account(name, self._desk.account.acknowledge_within)
        await retry_quarantine(sink, name, self._desk.api.name, redacts=self._desk.redacts)
        last = await sink.last_success_at(name)
        if last is not None and self._desk.now() - last < _BUCKETS_EMPTY:
            for operation in {*(one.operation for one in streams), self._desk.api.detail}:
                self._desk.gate(operation).drain()

    async def read(self, wanted: Window, streams: Sequence[Stream]) -> None:
        """Read what is missing of *wanted*."""
        spans: dict[Operation[Page[Row]], list[Span]] = {}
        listed: dict[Stream, list[Span]] = {}
        for stream in streams:
            gaps, known = await self._missing(wanted, stream)
            listed[stream] = _spans(stream, known)
            spans.setdefault(stream.operation, []).extend(_spans(stream, gaps))
        if any(spans.values()) or any(listed.values()):
            # How long Amazon takes to answer is learnt from the first calls.
            await self._desk.dispatcher.prepare(self._desk.account, next(iter(spans)))
        async with asyncio.TaskGroup() as group:
            for stream in {one.operation: one for one in streams}.values():
                of_operation = spans[stream.operation]
                planner = Planner(
                    of_operation,
                    sorted_streams=[one.name for one in streams if one.is_sortable],
                )
                if stream.has_details and self._reading.fans_out and of_operation:
                    group.create_task(self._fan_out(stream, planner, of_operation))
                else:
                    group.create_task(self.drive(stream.operation, planner))
            for stream, again in listed.items():
                if again:
                    group.create_task(self._fan_out(stream, Planner(again), again))

    def served_since(self, stream: Stream) -> datetime | None:
        """Return where Amazon's history of *stream* begins, if it was met."""
        return self._served_since.get(stream.name)

    async def conclude(
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

    async def _missing(self, wanted: Window, stream: Stream) -> tuple[WindowSet, WindowSet]:
        """Return what of *stream* is to be read, and of what the known orders are left out."""
        finished = await self._desk.sink.windows(self._desk.ledger(stream))
        gaps, known = missing(wanted, finished, reread=self._reading.reread), WindowSet()
        self._desk.tell(
            StreamPlanned(
                self._desk.name,
                stream.operation.name,
                stream.name,
                sum(len(gap.tiles()) for gap in gaps),
                gaps.length.total_seconds(),
            )
        )
        if self._reading.skips_known(stream):
            unread = WindowSet([wanted]) - WindowSet(one.window for one in finished)
            gaps, known = unread, gaps - unread
        return gaps, known

    async def _fan_out(self, stream: Stream, planner: Planner, spans: Sequence[Span]) -> None:
        """Keep two buckets busy: the lists bring numbers, the details follow."""
        sink, skips_known = self._desk.sink, self._reading.skips_known(stream)
        known = sink if skips_known and isinstance(sink, FollowedSink) else None
        details = DetailReader(self._desk, planner, known=known)
        for span in spans:
            # All at once and first: an order that several windows list is asked for once,
            # and that has to be after each of them was begun.
            await details.begin(span)
        async with asyncio.TaskGroup() as group:
            group.create_task(details.run())
            await self.drive(stream.operation, planner, details)
            await details.end()

    async def drive(
        self,
        operation: Operation[Page[Row]],
        planner: Planner,
        details: DetailReader | None = None,
    ) -> None:
        """Keep one bucket busy until its windows are read.

        Where the details follow, it is their bucket that is short, and the lists' need not
        be split for.
        """
        pace = Pace(self._desk, operation)
        pages = PageReader(self._desk, planner, pace, self._served_since, details)
        running: set[asyncio.Task[float | None]] = set()
        async with asyncio.TaskGroup() as group:
            while True:
                room = pace.in_flight - len(running)
                if details is None:
                    self._tell_of(planner.replan(pace.plan, pace.latency))
                running |= {group.create_task(pages.read(one)) for one in planner.next(room)}
                for span in pages.one_by_one():
                    stream = self._desk.api.streams[span.stream]
                    group.create_task(self._fan_out(stream, Planner([span]), [span]))
                if not running:
                    break
                may_guess = details is None and planner.may_guess
                done, running = await asyncio.wait(
                    running,
                    timeout=pace.silence if may_guess else None,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                if not done and may_guess and (splits := planner.spread(pace.plan)):
                    self._tell_of(splits)
                    more = planner.next(int(pace.plan.burst))
                    running |= {group.create_task(pages.read(one)) for one in more}
                for seconds in (task.result() for task in done):
                    if seconds is not None:
                        pace.answered(seconds)

    def _tell_of(self, splits: Iterable[Split]) -> None:
        for one in splits:
            whole = Window(one.parts[0].after, one.parts[-1].before)
            self._desk.tell(WindowSplit(self._desk.name, one.stream, whole, len(one.parts)))


def with_advice(error: VendorOrdersError, api: Api) -> str:
    """Return *error* in a line that ends with what to do next."""
    match error:
        case AccessDenied():
            return (
                f"{error}; give the application the role {api.roles}, then have the vendor "
                "authorise it again"
            )
        case SinkError():
            return f"{error}; after that, the same command goes on from there"
        case _:
            return str(error)


def _spans(stream: Stream, windows: WindowSet) -> list[Span]:
    return [Span(stream.name, tile) for window in windows for tile in window.tiles()]
