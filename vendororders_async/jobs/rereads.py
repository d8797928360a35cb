"""Orders read again, each by itself: their status moved, or nothing else tells of them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

from ..chains import Span
from ..clock import whole_second
from ..errors import DecodeError, InvalidArgument, NotFound, RequestError
from ..operations import Stream
from ..pages import Document, Row
from ..retry import BRIEF
from ..sinks.followed import FollowedSink, UnfinishedOrder
from ..telemetry import DetailMissing
from ..windows import Window
from .desk import Desk, Pace
from .details import spoilt

# The pressing first, then whoever was read longest ago, then by the day.
Turn = tuple[bool, datetime, datetime]

_AT_ONCE = 100  # numbers looked up together
_NEVER = datetime.min.replace(tzinfo=UTC)

# The order may show a move later than its status does, and is read once more after a minute.
_ONCE_MORE = 65.0  # seconds
_AGAIN = 300.0  # seconds after a failure; Amazon may not be able to make that order
_TRIES = 3  # of what cannot be decoded

# What no list tells of: https://developer-docs.amazon.com/sp-api/reference/getorders has the
# dates of creation alone. An order that has not shipped weeks after its day never will, and
# its customer is to be forgotten after a month.
FINAL_STATES = ("SHIPPED", "CANCELLED")
_OFTEN, _SELDOM = timedelta(minutes=5), timedelta(hours=6)
_PRESSING_FOR, _OPEN_FOR = timedelta(days=7), timedelta(days=21)

# Of the plan, at most, for what probably did not change: 300 open orders take five minutes,
# 3,000 take fifty.
_SHARE = 0.1


class Rereader:
    """Asks for single orders of one account, and stores them, until *stopping* is set.

        rereader = Rereader(desk, sink, stopping)
        error = await rereader.read_outdated()
        error = await rereader.read_unfinished()

    Both return why an order could not be had, None where all could; it is tried again later.
    """

    def __init__(self, desk: Desk, sink: FollowedSink, stopping: asyncio.Event) -> None:
        self._desk = desk
        self._sink = sink
        self._stopping = stopping
        self._clock = desk.dispatcher.clock
        self._stream: Stream = desk.api.streams["created"]
        self._time = asyncio.get_running_loop().time
        self._not_before: dict[str, float] = {}  # by the loop's time: nobody sets that
        self._failing: dict[str, str] = {}  # why, by number
        self._tries: dict[str, int] = {}  # of what could not be decoded
        self._read_at: dict[str, datetime] = {}  # of those that are not finished

    async def read_outdated(self) -> str | None:
        """Read every order again whose status moved, and that was not read just now."""
        desk = self._desk
        while not self._stopping.is_set():
            now = self._time()
            self._not_before = {n: at for n, at in self._not_before.items() if at > now}
            wanted = await self._sink.outdated(
                desk.name, desk.api.name, _AT_ONCE + len(self._not_before)
            )
            self._forget_all_but({*wanted, *self._read_at})
            numbers = [one for one in wanted if one not in self._not_before]
            if not numbers:
                break
            await self._read(numbers)
        return next(iter(self._failing.values()), None)

    async def read_unfinished(self) -> str | None:
        """Read those again that may be cancelled or shipped by now, the pressing ones first."""
        name, api = self._desk.name, self._desk.api.name
        while not self._stopping.is_set():
            found = await self._sink.unfinished(name, api, FINAL_STATES)
            now, read_at = self._clock(), self._read_at
            numbers = {one.purchase_order_number for one in found}
            self._read_at = {n: at for n, at in read_at.items() if n in numbers}
            due = sorted((turn, n) for n, turn in self._turns(found, now) if turn is not None)
            if not due:
                break
            some = [number for _, number in due[:_AT_ONCE]]
            self._read_at.update(dict.fromkeys(some, now))
            await self._read(some, share=_SHARE)
        return next(iter(self._failing.values()), None)

    def _forget_all_but(self, wanted: set[str]) -> None:
        self._failing = {n: why for n, why in self._failing.items() if n in wanted}
        self._tries = {n: count for n, count in self._tries.items() if n in wanted}

    def _turns(
        self, found: Iterable[UnfinishedOrder], now: datetime
    ) -> Iterator[tuple[str, Turn | None]]:
        for one in found:
            number = one.purchase_order_number
            yield number, turn_of(one, self._read_at.get(number), now)

    async def _read(self, numbers: Iterable[str], *, share: float = 1.0) -> None:
        pace = Pace(self._desk, self._desk.api.detail)
        running: set[asyncio.Task[None]] = set()
        async with asyncio.TaskGroup() as group:
            for number in numbers:
                while len(running) >= pace.in_flight:
                    await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                if self._stopping.is_set():
                    break
                task = group.create_task(self._one(number, pace))
                running.add(task)
                task.add_done_callback(running.discard)
                if share < 1:
                    await asyncio.sleep(1 / (pace.plan.rate * share))

    async def _one(self, number: str, pace: Pace) -> None:
        """Ask for one order, and store it or say why not."""
        began_at = self._clock()
        self._not_before[number] = self._time() + _ONCE_MORE
        second = whole_second(began_at)
        span = Span(self._stream.name, Window(second, second + timedelta(seconds=1)))
        try:
            document, asked_at = await self._ask(number, pace)
        except (NotFound, InvalidArgument) as error:
            await self._forgo(number, span, error, began_at)
        except RequestError as error:
            self._not_before[number] = self._time() + _AGAIN
            self._failing[number] = f"{number}: {error}"
            self._desk.given_up(span, self._failing[number], error)
        else:
            self._failing.pop(number, None)
            await self._desk.write(self._stream, span, asked_at, [document])
            await self._decoded(number, document, began_at)

    async def _ask(self, number: str, pace: Pace) -> tuple[Document[Row], datetime]:
        """Return an order, and when it was asked for; what is no JSON is for the quarantine."""
        try:
            reply = await self._desk.send(self._desk.api.detail_call(number), BRIEF)
        except DecodeError as error:
            document = spoilt(error, self._desk.api.order)
            if document is None:
                raise
            return document, self._clock()
        pace.answered(reply.seconds)
        return reply.content, reply.asked_at

    async def _decoded(self, number: str, document: Document[Row], began_at: datetime) -> None:
        """Try what could not be decoded a few times more: it is in quarantine meanwhile."""
        if document.content is not None:
            self._tries.pop(number, None)
            return
        self._tries[number] = self._tries.get(number, 0) + 1
        self._not_before[number] = self._time() + _AGAIN
        if self._tries[number] >= _TRIES:
            del self._tries[number]
            await self._sink.forgo(self._desk.name, self._desk.api.name, number, began_at)

    async def _forgo(
        self, number: str, span: Span, error: NotFound | InvalidArgument, began_at: datetime
    ) -> None:
        desk = self._desk
        self._failing.pop(number, None)
        await self._sink.forgo(desk.name, desk.api.name, number, began_at)
        desk.tell(
            DetailMissing(
                desk.name,
                desk.api.detail.name,
                self._stream.name,
                span.window,
                number,
                str(error),
                request_id=getattr(error, "request_id", None),
            )
        )


def turn_of(order: UnfinishedOrder, read_at: datetime | None, now: datetime) -> Turn | None:
    """Return whose turn comes before whose to be read again; None while it is not its turn.

    Until a week after the day that an order is to ship that is every five minutes, then
    every six hours, and three weeks after it no more. *read_at* is when it was read last.
    """
    day = order.required_ship_date or order.placed_at or now
    if now > day + _OPEN_FOR:
        return None
    is_pressing = now < day + _PRESSING_FOR
    if read_at is not None and abs(now - read_at) < (_OFTEN if is_pressing else _SELDOM):
        return None
    return not is_pressing, read_at or _NEVER, day
