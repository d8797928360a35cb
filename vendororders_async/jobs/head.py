"""The head of a stream: what is youngest of it, read again and again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from http import HTTPStatus

from ..chains import Span
from ..clock import whole_second
from ..coverage import covered_until
from ..operations import Stream
from ..planner import Planner
from ..telemetry import Event, WindowFailed
from ..windows import REACH, SETTLING, FinishedWindow, Window, WindowSet
from .course import Course
from .desk import Desk
from .reader import AccountReader
from .reading import UNKNOWN
from .stores import Ahead

# What is further behind is not the head any more: it is a gap, which the deep sweep reads.
_LONGEST_GAP = timedelta(days=1)

# In the ledger a head is a window that grows for so long; it counts as read at its beginning.
_BLOCK = timedelta(hours=1)

# While nothing arrives, the watermark is written down this seldom: a crash costs a re-read.
_RECORD_EVERY = timedelta(minutes=1)

# Where Amazon refuses a query that ends with the present
_ENDS_EARLY = timedelta(hours=1)


class Head:
    """Sweeps one stream of one account, from a little before its watermark up to now.

        head = Head(desk, course, stream, since=since)
        await head.start()
        arrived = await head.sweep()

    The *watermark* moves only over what is durable, never back, and stays two minutes behind
    the present by our clock and by Amazon's. *last_error* is why a sweep was not complete,
    *deep_error* why what lies further back is not, *reread_error* why single orders are not;
    *since* says where a stream is to begin.
    """

    def __init__(
        self,
        desk: Desk,
        course: Course,
        stream: Stream,
        *,
        since: Callable[[Stream], datetime],
    ) -> None:
        self.stream = stream
        self.watermark = datetime.min.replace(tzinfo=UTC)  # start() finds it
        self.last_success_at: datetime | None = None
        self.last_error: str | None = None
        self.deep_error: str | None = None
        self.reread_error: str | None = None
        self.is_denied = False  # Amazon refuses its operation
        self._course = course
        self._since = since
        self._clock = desk.dispatcher.clock
        self._sink = desk.sink
        self._ledger = desk.ledger(stream)
        self._ahead = Ahead(desk.sink, self._clock)
        self._desk = desk._replace(store=self._ahead, tell=self._note)
        self._tell = desk.tell
        self._block: FinishedWindow | None = None
        self._recorded_at: datetime | None = None
        self._recorded_error: str | None = None
        self._ends_early_until: datetime | None = None

    @property
    def error(self) -> str | None:
        """What is wrong with the stream at present, here or further back."""
        return self.last_error or self.deep_error or self.reread_error

    async def start(self) -> None:
        """Go on where the sink has it, or begin with the present where that is long ago."""
        settled = self._settled(self._clock())
        blocks = WindowSet(one.window for one in await self._sink.windows(self._ledger))
        latest = max((min(block.before, settled) for block in blocks), default=None)
        is_near = latest is not None and latest >= settled - _LONGEST_GAP
        self.watermark = latest if latest and is_near else settled

    async def sweep(self) -> bool:
        """Read from the watermark, less the lookback, up to now; return if anything arrived.

        Raises:
            AuthError, AccessDenied: the account is refused.
            SinkError: the sink cannot be used.
        """
        window = self._window()
        self._ahead.start()
        errors: dict[str, str] = {}
        desk = self._desk._replace(errors=errors)
        reader = AccountReader(desk, self._course.reading(details=UNKNOWN))
        sortable = [self.stream.name] if self.stream.is_sortable else []
        span = Span(self.stream.name, window)
        planner = Planner([span], sorted_streams=sortable, guesses=False)
        await reader.drive(self.stream.operation, planner)
        reached = covered_until(self._ahead.finished, window.after)
        if reached is None or errors:
            self.last_error = errors.get(self.stream.name, "the window was not read to its end")
        else:
            self._ahead.end()
            self.is_denied = False
            self.last_error, self.last_success_at = None, self._clock()
        if reached is not None:
            self._move(window, reached)
        if self._ahead.arrived or self._is_due():
            await self.record()
        return self._ahead.arrived

    async def record(self) -> None:
        """Write down how far the stream is, and what is wrong with it."""
        if self._block is not None:
            await self._sink.finish(self._ledger, self._block)
        finished = await self._sink.windows(self._ledger)
        until, error = covered_until(finished, self._since(self.stream)), self.error
        await self._sink.ended(self._ledger, covered_until=until, error=error)
        self._recorded_at, self._recorded_error = self._clock(), error
        self._ahead.forget()

    def _is_due(self) -> bool:
        if self._recorded_at is None or self.error != self._recorded_error:
            return True
        return abs(self._clock() - self._recorded_at) >= _RECORD_EVERY

    def _window(self) -> Window:
        """Return what to sweep; where our clock was put back, what was swept before.

        For only an answer tells what time it is at Amazon.
        """
        now = self._clock()
        is_early = self._ends_early_until is not None and now < self._ends_early_until
        until = max(whole_second(now) - (SETTLING if is_early else REACH), self.watermark)
        after = max(self.watermark - self._course.lookback, until - _LONGEST_GAP)
        return Window(min(after, until - REACH), until)

    def _move(self, window: Window, reached: datetime) -> None:
        """Take in that *window* was read up to *reached*."""
        begun_at = min(one.begun_at for one in self._ahead.finished)
        watermark = min(reached, self._settled(min(begun_at, window.before + REACH)))
        if watermark <= max(self.watermark, window.after):
            return
        block = self._block
        is_old = block is None or abs(begun_at - block.begun_at) > _BLOCK
        if block is None or is_old or window.after > self.watermark:
            block = FinishedWindow(window, begun_at)
        self._block = FinishedWindow(Window(block.window.after, watermark), block.begun_at)
        self.watermark = watermark

    def _settled(self, moment: datetime) -> datetime:
        """Return up to when a request sent at *moment* is certain to have seen everything."""
        return whole_second(min(moment, self._clock.certain()) - SETTLING)

    def _note(self, event: Event) -> None:
        """Pass *event* on; end earlier from now on where Amazon refuses the last moments.

        It does so in its API for sellers' orders (airbytehq/airbyte#52592).
        """
        if isinstance(event, WindowFailed) and event.status == HTTPStatus.BAD_REQUEST:
            self._ends_early_until = self._clock() + _ENDS_EARLY
        self._tell(event)
