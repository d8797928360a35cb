"""What to ask next: windows still missing, pages to follow, and what a failure means.

Pure: no clock of its own, no I/O. The job tells it what happened and asks for more.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum

import msgspec

from .clock import horizon
from .errors import BadRequest, PaginationError, RequestError
from .usage import UsagePlan
from .windows import FinishedWindow, Window, WindowSet

# More than these would only wait at the limiter, each holding a connection.
_SPARE_REQUESTS = 2
_MOST_REQUESTS = 64
# Amazon's horizon moves while a long job runs and while a request is under way
_HORIZON_SLACK = timedelta(minutes=5)


class Span(msgspec.Struct, frozen=True):
    """A window of a stream: what is read, and finished, as one."""

    stream: str
    window: Window


class PageRequest(msgspec.Struct, frozen=True):
    """A page to ask for; the first of its span has no next token."""

    span: Span
    next_token: str | None = None


class Verdict(StrEnum):
    """What a failed request means for its window."""

    RESTARTED = "restarted"  # it is read once more from its start
    BEYOND_HISTORY = "beyond history"  # Amazon does not serve it any more
    GIVEN_UP = "given up"


class Failure(msgspec.Struct, frozen=True):
    """The verdict on a failed request, and the window that it leaves unread."""

    verdict: Verdict
    window: Window


def missing(
    wanted: Window, finished: Iterable[FinishedWindow], *, reread: timedelta
) -> WindowSet:
    """Return what of *wanted* has to be read, given what was *finished* before.

    A part that ended less than *reread* before it was read is read again.
    """
    settled = (entry.settled(reread) for entry in finished)
    return WindowSet([wanted]) - WindowSet(window for window in settled if window)


def covered_until(finished: Iterable[FinishedWindow], since: datetime) -> datetime | None:
    """Return up to when everything from *since* on was read; None if that itself was not."""
    for block in WindowSet(one.window for one in finished):
        if block.after <= since < block.before:
            return block.before
    return None


def in_flight(plan: UsagePlan, latency: float) -> int:
    """Return how many requests must be under way to use *plan* at *latency* seconds."""
    return min(math.ceil(plan.rate * latency) + _SPARE_REQUESTS, _MOST_REQUESTS)


class _Chain:
    """The pages of a span so far: what must be remembered to follow them safely."""

    def __init__(self) -> None:
        self.begun_at: datetime | None = None
        self.tokens: set[int] = set()  # hashes: a token can be long, a chain as well


class Planner:
    """Decides what one account asks of one operation, page by page.

        planner = Planner(spans)
        for request in planner.next(capacity): ...      # send them
        finished = planner.received(request, next_token, asked_at=…)
        failure = planner.failed(request, error, now=…)

    The oldest windows come first, since they are the ones that slide out of Amazon's
    history; a window that has begun comes before one that has not.
    """

    def __init__(self, spans: Iterable[Span]) -> None:
        in_order = sorted(spans, key=lambda span: (span.window, span.stream))
        self._waiting = deque(PageRequest(span) for span in in_order)
        self._chains: dict[Span, _Chain] = {span: _Chain() for span in in_order}
        self._restarted: set[Span] = set()

    def __repr__(self) -> str:
        return (
            f"<Planner {len(self._chains)} windows open, {len(self._waiting)} requests waiting>"
        )

    def next(self, capacity: int) -> list[PageRequest]:
        """Return up to *capacity* requests that can be sent now."""
        return [self._waiting.popleft() for _ in range(min(capacity, len(self._waiting)))]

    def received(
        self, request: PageRequest, next_token: str | None, *, asked_at: datetime
    ) -> FinishedWindow | None:
        """Take in an answer; return its window when that was the last page.

        An empty page with a next token goes on: Amazon sends such pages.

        Raises:
            PaginationError: the next token came before in this window.
        """
        chain = self._chains[request.span]
        if chain.begun_at is None:
            chain.begun_at = asked_at
        if next_token is None:
            del self._chains[request.span]
            return FinishedWindow(request.span.window, chain.begun_at)
        if hash(next_token) in chain.tokens:
            raise PaginationError("the same next token came twice")
        chain.tokens.add(hash(next_token))
        self._waiting.appendleft(PageRequest(request.span, next_token))
        return None

    def failed(self, request: PageRequest, error: RequestError, *, now: datetime) -> Failure:
        """Decide how to go on after *request* failed for good."""
        span = request.span
        del self._chains[span]
        if not isinstance(error, BadRequest):
            return Failure(Verdict.GIVEN_UP, span.window)
        # An expired next token is refused just as a wrong one; from its start the window
        # needs none.
        if request.next_token and error.is_spurious and span not in self._restarted:
            self._restarted.add(span)
            self._add(span)
            return Failure(Verdict.RESTARTED, span.window)
        served = horizon(now) + _HORIZON_SLACK
        if request.next_token or span.window.after >= served:
            return Failure(Verdict.GIVEN_UP, span.window)
        if span.window.before > served:
            self._add(Span(span.stream, Window.covering(served, span.window.before)))
        return Failure(
            Verdict.BEYOND_HISTORY,
            Window.covering(span.window.after, min(served, span.window.before)),
        )

    def _add(self, span: Span) -> None:
        self._chains[span] = _Chain()
        self._waiting.appendleft(PageRequest(span))
