"""One account, followed: its heads, the deep look back, and orders that are read again."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

from ..clock import horizon, whole_second
from ..coverage import covered_until, merged, read_since
from ..errors import (
    AccessDenied,
    DecodeError,
    RequestError,
    ServerError,
    Throttled,
    TransportError,
    VendorOrdersError,
    first_of,
)
from ..operations import DIRECT_FULFILLMENT_API, STATUSES, Operation, Stream
from ..pages import Page, Row
from ..planner import HORIZON_SLACK
from ..retry import NONE
from ..sinks.followed import FollowedSink
from ..telemetry import Event, VersionsStored
from ..windows import REACH, SETTLING, FinishedWindow, Window
from .course import Course
from .desk import Desk
from .head import Head
from .meter import Meter
from .reader import AccountReader, with_advice
from .reading import UNKNOWN
from .rereads import Rereader
from .standing import StreamStanding
from .stores import Past

_SPREAD = 0.1  # of a pause, so that what began together does not stay so
_APART = 1.0  # seconds for each account that begins earlier, and at random among them
_UNFINISHED_EVERY = 60.0  # seconds between two looks for orders that are due
_OUTDATED_EVERY = timedelta(minutes=1)  # what failed, or came while nobody looked
_MEASURED_EVERY = timedelta(minutes=5)
_SLACK = timedelta(minutes=10)  # the ledger may be behind the head, which writes seldom
_FIRST_PAUSE, _LONGEST_PAUSE = 60.0, 3600.0  # after a deep sweep that was not complete
_LAST_PAGES = 2.0  # seconds for what is on its way, when a deep sweep is to end
_FIRST_WAIT, _LONGEST_WAIT = 5.0, 60.0  # while Amazon does not answer at all


_log = logging.getLogger("vendororders_async")


class Follower:
    """Follows one account until `stop`, or with a course that is run once to its end.

        await Follower(desk, sink, course, meter, swept=swept).run()

    The caller holds the account's lock. *swept* is called after every sweep that was complete.
    """

    def __init__(
        self,
        desk: Desk,
        sink: FollowedSink,
        course: Course,
        meter: Meter,
        *,
        swept: Callable[[], None],
    ) -> None:
        self._desk = desk._replace(tell=self._note)
        self._tell = desk.tell
        self._sink = sink
        self._course = course
        self._meter = meter
        self._swept = swept
        self._stopping = asyncio.Event()
        self._clock = desk.dispatcher.clock
        self._streams = course.chosen()
        deep = self._desk._replace(store=Past(sink, self._clock))
        self._reader = AccountReader(deep, course.reading(details=UNKNOWN))
        self._heads = [
            Head(self._desk, course, stream, since=self._since) for stream in self._streams
        ]
        self._intervals = {stream.name: course.beat(stream).quick for stream in self._streams}
        self._rereader = Rereader(self._desk, sink, self._stopping)
        self._status_moved = asyncio.Event()
        self._caught_up = asyncio.Event()
        self.is_caught_up = False  # nothing was missing any more
        self._deep_limit: asyncio.Timeout | None = None
        self._random = random.Random(desk.name)  # noqa: S311 - it spreads, it hides nothing

    @property
    def was_tried(self) -> bool:
        """Whether every stream was swept, or it is known why not."""
        return all(head.last_success_at or head.error for head in self._heads)

    @property
    def is_ready(self) -> bool:
        """Whether every stream was swept, but for those that Amazon refuses."""
        return any(head.last_success_at for head in self._heads) and all(
            head.last_success_at or head.is_denied for head in self._heads
        )

    def standings(self) -> tuple[StreamStanding, ...]:
        """Return how every stream stands."""
        return tuple(
            StreamStanding(
                stream=head.stream.name,
                watermark=head.watermark if head.last_success_at else None,
                last_success_at=head.last_success_at,
                last_error=head.error,
                interval_seconds=self._intervals[head.stream.name],
            )
            for head in self._heads
        )

    def stop(self) -> None:
        """Let `run` end as soon as what is under way has come."""
        for event in (self._stopping, self._status_moved, self._caught_up):
            event.set()
        if self._deep_limit is not None:
            with suppress(RuntimeError):  # it has ended by itself
                self._deep_limit.reschedule(asyncio.get_running_loop().time() + _LAST_PAGES)

    async def run(self, *, place: int = 0) -> None:
        """Follow the account; *place* is its place among those that begin together.

        Raises:
            AuthError, AccessDenied: the account is refused.
            SinkError: the sink cannot be used.
        """
        try:
            await self._run(place)
        except* VendorOrdersError as group:
            error = first_of(group)
        else:
            return
        for head in self._heads:
            head.last_error = with_advice(error, self._desk.api)
            with suppress(VendorOrdersError):  # it may be the sink that is wrong
                await head.record()
        raise error

    async def _run(self, place: int) -> None:
        await self._reader.prepare(self._streams)
        await self._desk.dispatcher.prepare(self._desk.account, self._streams[0].operation)
        if not self._clock.is_known:
            await self._until_answered()
        for head in self._heads:
            await head.start()
        if self._course.once:
            await self._once()
        else:
            async with asyncio.TaskGroup() as group:
                for head in self._heads:
                    group.create_task(self._sweep(head, place))
                group.create_task(self._look_back())
                if any(stream.has_details for stream in self._streams):
                    group.create_task(self._read_again())
                if self._desk.api.name == DIRECT_FULFILLMENT_API:
                    group.create_task(self._read_unfinished())
                group.create_task(self._measure())
        for head in self._heads:
            await head.record()
        await self._note_requests()
        standing = await self._sink.quarantine(self._desk.name, self._desk.api.name)
        self._desk.tally.quarantine_standing += len(standing)

    async def _once(self) -> None:
        await self._read_deep()
        async with asyncio.TaskGroup() as group:
            for head in self._heads:
                group.create_task(head.sweep())
        self.is_caught_up = True
        self._swept()
        if any(stream.has_details for stream in self._streams):
            self._note_rereads(await self._rereader.read_outdated())
        if self._desk.api.name == DIRECT_FULFILLMENT_API:
            self._note_rereads(await self._rereader.read_unfinished())

    async def _until_answered(self) -> None:
        """Ask something small until Amazon answers, which tells what time it is there.

        What is asked at once while Amazon is away, however patiently, is asked a thousand
        times; this is asked once a minute.
        """
        pause = _FIRST_WAIT
        while not self._stopping.is_set():
            second = whole_second(self._clock())
            window = Window(second - timedelta(minutes=1), second)
            try:
                await self._desk.send(self._streams[0].call(window, limit=1), NONE)
            except (ServerError, TransportError, DecodeError, Throttled) as error:
                if self._course.once:
                    return
                await self._note_silence(error)
            except RequestError:
                return  # what follows says what is wrong
            else:
                return
            await self._pause(pause)
            pause = min(pause * 2, _LONGEST_WAIT)

    async def _note_silence(self, error: RequestError) -> None:
        """Say once, and write down, that Amazon does not answer."""
        words = str(error)
        if any(head.last_error is None for head in self._heads):
            _log.warning("%s: %s; asked again once a minute", self._desk.name, words)
        for head in self._heads:
            if head.last_error is None:
                head.last_error = words
                await head.record()

    async def _sweep(self, head: Head, place: int) -> None:
        """Sweep *head* on its beat."""
        beat, name = self._course.beat(head.stream), head.stream.name
        await self._pause(self._random.random() * min(place * _APART, beat.quiet))
        while not self._stopping.is_set():
            arrived = False
            try:
                arrived = await head.sweep()
            except* AccessDenied as group:
                self._deny([head], first_of(group))
            if head.last_error is None:
                self._swept()
            if head.is_denied:
                seconds = min(max(self._intervals[name], _FIRST_PAUSE) * 2, _LONGEST_PAUSE)
            else:
                seconds = beat.after(min(self._intervals[name], beat.quiet), arrived=arrived)
            self._intervals[name] = seconds
            await self._pause(seconds)

    def _deny(self, heads: Sequence[Head], error: VendorOrdersError) -> None:
        """Leave streams alone that Amazon refuses; where it refuses all, so is the account.

        Raises:
            AccessDenied: it does.
        """
        for head in heads:
            if not head.is_denied:
                _log.warning("%s %s: %s", self._desk.name, head.stream.name, error)
            head.is_denied, head.last_error = True, with_advice(error, self._desk.api)
        if all(head.is_denied for head in self._heads):
            raise error

    async def _look_back(self) -> None:
        """Do the deep sweep whenever it is due, and at once where something is missing."""
        pause = _FIRST_PAUSE
        while not self._stopping.is_set():
            seconds = (await self._due_at() - self._clock()).total_seconds()
            if seconds > 0:
                self.is_caught_up = True
                self._caught_up.set()
                await self._pause(min(seconds, _LONGEST_PAUSE))
                continue
            await self._until_answered()
            began_at = self._clock()
            with suppress(TimeoutError):
                async with asyncio.timeout(0 if self._stopping.is_set() else None) as limit:
                    self._deep_limit = limit
                    await self._read_deep()
            self._caught_up.set()
            if await self._due_at() > began_at:
                self.is_caught_up = True
                pause = _FIRST_PAUSE
            else:
                await self._pause(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)

    async def _read_deep(self) -> None:
        """Read what is missing, and again what was fresh when it was read."""
        self._desk.errors.clear()
        async with asyncio.TaskGroup() as group:
            for operation in {head.stream.operation for head in self._heads}:
                group.create_task(self._read_operation(operation))
        for head in self._heads:
            head.deep_error = self._desk.errors.get(head.stream.name)
            ledger = self._desk.ledger(head.stream)
            finished = await self._sink.windows(ledger)
            since = self._since(head.stream)
            if whole := merged(finished, since, reread=self._course.reread):
                await self._sink.finish(ledger, whole)

    async def _read_operation(self, operation: Operation[Page[Row]]) -> None:
        heads = [head for head in self._heads if head.stream.operation is operation]
        try:
            await self._reader.read(self._wanted(), [head.stream for head in heads])
        except* AccessDenied as group:
            self._deny(heads, first_of(group))

    async def _read_again(self) -> None:
        """Read orders again whose status moved, as soon as what is missing was read."""
        await self._caught_up.wait()
        while not self._stopping.is_set():
            self._status_moved.clear()
            self._note_rereads(await self._rereader.read_outdated())
            await self._wait(self._status_moved, _OUTDATED_EVERY.total_seconds())

    async def _read_unfinished(self) -> None:
        await self._caught_up.wait()
        while not self._stopping.is_set():
            self._note_rereads(await self._rereader.read_unfinished())
            await self._pause(_UNFINISHED_EVERY)

    def _note_rereads(self, error: str | None) -> None:
        for head in self._heads:
            if head.stream.has_details and head.stream.bounds == "created":
                head.reread_error = error

    async def _measure(self) -> None:
        while not self._stopping.is_set():
            await self._pause(_MEASURED_EVERY.total_seconds())
            await self._note_requests()

    async def _note_requests(self) -> None:
        name, api = self._desk.name, self._desk.api.name
        await self._sink.note_requests(name, api, self._meter.rates(name), self._clock())

    def _wanted(self) -> Window:
        """Return all that is to be in the sink by now, save the last two minutes."""
        until = whole_second(self._clock()) - SETTLING
        begins_at = horizon(self._clock()) + HORIZON_SLACK
        since = whole_second(self._course.since or begins_at)
        return Window(min(since, until - REACH), until)

    def _since(self, stream: Stream) -> datetime:
        """Return where *stream* begins: where it is asked to, or Amazon's history does."""
        return self._reader.served_since(stream) or self._wanted().after

    async def _due_at(self) -> datetime:
        """Return when to look back again: it is past where something was never read."""
        due = []
        for head in self._heads:
            finished = await self._sink.windows(self._desk.ledger(head.stream))
            since = self._since(head.stream)
            due.append(due_at(finished, since, self._course, head.watermark))
        return min(due) - self._course.deep_every * _SPREAD * self._random.random()

    async def _pause(self, seconds: float) -> None:
        spread = 1 + _SPREAD * (2 * self._random.random() - 1)
        await self._wait(self._stopping, seconds * spread)

    async def _wait(self, event: asyncio.Event, seconds: float) -> None:
        """Wait for *event*, but not longer than so many seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await event.wait()

    def _note(self, event: Event) -> None:
        if isinstance(event, VersionsStored) and event.stream == STATUSES.name:
            self._status_moved.set()
        self._tell(event)


def due_at(
    finished: list[FinishedWindow], since: datetime, course: Course, watermark: datetime
) -> datetime:
    """Return when a stream is to be looked back over, given what of it was *finished*.

    That is so long after what is fresh was last looked at as a whole, and at once where
    anything between *since* and the head was never read.
    """
    read_until = covered_until(finished, since)
    if read_until is None or read_until < watermark - course.lookback - _SLACK:
        return since
    settled = [
        FinishedWindow(window, one.begun_at)
        for one in finished
        if (window := one.settled(course.reread)) is not None
    ]
    fresh_from = covered_until(settled, since) or since
    if fresh_from >= watermark:
        return watermark + course.deep_every
    looked_at = read_since(finished, Window(fresh_from, min(read_until, watermark)))
    return since if looked_at is None else looked_at + course.deep_every
