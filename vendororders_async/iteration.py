"""Any range, row by row: windows in order, a few pages ahead, and an end at any moment."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from datetime import datetime, timedelta
from typing import Generic, TypeVar

import msgspec

from .answers import content_of
from .caller import Caller, end
from .chains import PageRequest, Span
from .clock import whole_second
from .dispatch import Reply
from .errors import DecodeError, InvalidArgument, PaginationError, RequestError
from .operations import LARGEST_PAGE, Call, Operation, Parameters, check
from .pages import Document, Page, Row
from .planner import Planner, Verdict
from .telemetry import BeyondHistory, WindowRestarted
from .windows import SETTLING, Window

R = TypeVar("R", bound=Row)

OnUndecodable = Callable[[DecodeError], object]

# The page that comes next, and the first ones of the windows after it. More would use the
# plan better where the caller is quicker than Amazon, and hold more where it is not.
_PAGES_AHEAD = 5

_ALMOST_A_SECOND = timedelta(seconds=1) - timedelta.resolution


class Reading(msgspec.Struct, Generic[R], frozen=True):
    """What is read of an operation: a range, in questions that *asks* makes.

    *bounds* says which dates the range is of: ``created``, ``changed`` or ``updated``.
    """

    operation: Operation[Page[R]]
    asks: Callable[..., Parameters]
    bounds: str
    range: Window

    def call(self, request: PageRequest) -> Call[Page[R]]:
        """Ask for a page; Amazon wants all other parameters repeated with a next token."""
        asked = request.span.window.query()
        bounds = {f"{self.bounds}_after": asked.after, f"{self.bounds}_before": asked.before}
        question = self.asks(limit=LARGEST_PAGE, next_token=request.next_token, **bounds)
        return Call(self.operation, question)


def reading(
    operation: Operation[Page[R]],
    asks: Callable[..., Parameters],
    bounds: Mapping[str, tuple[datetime | None, datetime | None]],
    *,
    now: datetime,
) -> Reading[R]:
    """Return how to read all that *asks* asks for, however long the range is.

    *bounds* are the ways to bound it, as they were given; one of them must be used. Its end
    is two minutes ago unless it is given, and not later than *now*.

    Raises:
        InvalidArgument: the question could not be meant.
    """
    used = [stem for stem, (after, _) in bounds.items() if after]
    loose = [stem for stem, (_, before) in bounds.items() if before and stem not in used]
    if len(used) != 1 or loose:
        ways = " or ".join(f"{stem}_after" for stem in bounds)
        choice = ", one of the two," if len(bounds) > 1 else ""
        raise InvalidArgument(
            f"a range is bounded by {ways}{choice} and the _before that goes with it"
        )
    [stem] = used
    after, given = bounds[stem]
    before = given or now - SETTLING
    try:
        question = asks(**{f"{stem}_after": after, f"{stem}_before": before})
        check(question, now=now, longest=None)
    except InvalidArgument as error:
        hint = "" if given else f" ({stem}_before is two minutes ago unless it is given)"
        raise InvalidArgument(f"{error}{hint}") from None
    assert after is not None  # noqa: S101 - it is what makes a stem used
    try:
        # a fraction at the end belongs to the range, so it ends with the second
        wanted = Window(whole_second(after), whole_second(min(before, now) + _ALMOST_A_SECOND))
        wanted.query()
    except OverflowError:
        raise InvalidArgument(f"{stem}_after is too near the calendar's end") from None
    return Reading(operation, asks, stem, wanted)


async def rows(
    caller: Caller, reading: Reading[R], on_undecodable: OnUndecodable | None
) -> AsyncGenerator[R, None]:
    """Yield every row of *reading* once, window by window.

    What is sent ahead is cancelled, and waited for, however this ends.
    """
    pages = _Pages(caller, reading, on_undecodable)
    seen = _Seen()
    try:
        while pages.send_ahead():
            window, documents = await pages.next()
            pages.send_ahead()
            seen.enter(window)
            for document in documents:
                if seen.is_repeated(document):
                    continue
                try:
                    content = content_of(document, reading.operation, caller.account)
                except DecodeError as error:
                    if on_undecodable is None:
                        raise
                    on_undecodable(error)
                else:
                    yield content
    finally:
        await pages.close()


class _Pages(Generic[R]):
    """The pages of a reading in order, a few of them sent for ahead.

    No task outlives the page it fetches, so that an iterator which is merely forgotten
    does nothing either.
    """

    def __init__(
        self, caller: Caller, reading: Reading[R], on_undecodable: OnUndecodable | None
    ) -> None:
        self._caller = caller
        self._reading = reading
        self._on_undecodable = on_undecodable
        self._planner = Planner(Span(reading.bounds, tile) for tile in reading.range.tiles())
        self._ahead: dict[PageRequest, asyncio.Task[Reply[Page[R]]]] = {}

    def send_ahead(self) -> bool:
        """Send for as many pages as there is room for; return whether any are to come."""
        for request in self._planner.next(_PAGES_AHEAD - len(self._ahead)):
            self._ahead[request] = self._caller.send_ahead(self._reading.call(request))
        return bool(self._ahead)

    async def next(self) -> tuple[Window, tuple[Document[R], ...]]:
        """Return the next page and its window; nothing of a page that could not be had."""
        request = min(self._ahead, key=lambda one: one.span.window)
        await asyncio.wait({self._ahead[request]})
        task = self._ahead.pop(request)
        if task.cancelled():
            raise RuntimeError("the client was closed while it was read from")
        try:
            reply = task.result()
            page = reply.content
            self._planner.received(
                request, page.next_token, asked_at=reply.asked_at, mark=page.mark
            )
        except PaginationError as error:
            name = self._reading.operation.name
            raise PaginationError(
                error.args[0], operation=name, account=self._caller.account.name
            ) from None
        except RequestError as error:
            self._failed(request, error)
            return request.span.window, ()
        return request.span.window, page.documents

    async def close(self) -> None:
        """End what was sent ahead."""
        await end(self._ahead.values())

    def _failed(self, request: PageRequest, error: RequestError) -> None:
        """Go on after a request that failed for good, or raise its error."""
        failure = self._planner.failed(request, error, now=self._caller.now())
        name, bounds, window = self._caller.account.name, self._reading.bounds, failure.window
        match failure.verdict:
            case Verdict.RESTARTED:
                self._caller.tell(WindowRestarted(name, bounds, window, str(error)))
            case Verdict.BEYOND_HISTORY if window.before < self._reading.range.before:
                self._caller.tell(BeyondHistory(name, bounds, window))
            case _ if isinstance(error, DecodeError) and self._on_undecodable is not None:
                self._on_undecodable(error)
            case _:
                raise error


class _Seen:
    """What came of a window and of the one before it, whose requests overlap at the seam.

    An order that has changed in the meantime is not the same, and comes again.
    """

    def __init__(self) -> None:
        self._window: Window | None = None
        self._before: set[tuple[str | None, int]] = set()
        self._here: set[tuple[str | None, int]] = set()

    def enter(self, window: Window) -> None:
        if window != self._window:
            self._window, self._before, self._here = window, self._here, set()

    def is_repeated(self, document: Document[Row]) -> bool:
        content = document.content
        key = (content.purchase_order_number if content else None, hash(document.raw))
        if key in self._here or key in self._before:
            return True
        self._here.add(key)
        return False
