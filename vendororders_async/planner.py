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
        in_order = sorted_spans(spans)
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

    def is_open(self, span: Span) -> bool:
        """Return whether pages of *span* are still wanted."""
        return span in self._chains

    def give_up(self, span: Span) -> None:
        """Ask no more of *span*; what is under way is not wanted any more."""
        if self._chains.pop(span, None) is not None:
            self._waiting = deque(one for one in self._waiting if one.span != span)

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


class DetailPlanner:
    """Decides whose details are asked for, each number once, and what waits for them.

        for number in details.wanted(span, numbers): ...    # ask for its details
        details.listed(span)                                # after its last page
        spans = details.settled(number)                     # these have all they waited for
        spans = details.failed(number)                      # these will never have it

    Several windows may list the same number; its details are asked for after all of them
    ended, so that one answer serves all.
    """

    def __init__(self) -> None:
        self._settled: set[str] = set()
        self._under_way: dict[str, set[Span]] = {}  # numbers, and who waits for them
        self._missing: dict[Span, set[str]] = {}  # the same, the other way round
        self._listed: set[Span] = set()

    def __repr__(self) -> str:
        return f"<DetailPlanner {len(self._settled)} settled, {len(self._under_way)} under way>"

    def unknown(self, numbers: Iterable[str]) -> list[str]:
        """Return those of *numbers* that nobody asked for so far, each once."""
        known = self._settled, self._under_way
        return [one for one in dict.fromkeys(numbers) if not any(one in each for each in known)]

    def wanted(self, span: Span, numbers: Iterable[str]) -> list[str]:
        """Let *span* wait for *numbers*; return those to ask for now."""
        missing = self._missing.setdefault(span, set())
        new = []
        for number in dict.fromkeys(numbers):
            if number in self._settled:
                continue
            if number not in self._under_way:
                self._under_way[number] = set()
                new.append(number)
            self._under_way[number].add(span)
            missing.add(number)
        return new

    def waiting(self, number: str) -> frozenset[Span]:
        """Return who waits for *number*."""
        return frozenset(self._under_way[number])

    def listed(self, span: Span) -> bool:
        """Take in that *span* has no more pages; return whether it waits for nothing."""
        self._listed.add(span)
        return self._is_finished(span)

    def settled(self, number: str) -> list[Span]:
        """Take in that all there is of *number* is stored; return the spans it finishes."""
        self._settled.add(number)
        spans = self._under_way.pop(number)
        for span in spans:
            self._missing[span].discard(number)
        return [span for span in sorted_spans(spans) if self._is_finished(span)]

    def failed(self, number: str) -> list[Span]:
        """Take in that *number* cannot be had; return the spans that are given up for it."""
        spans = self._under_way.pop(number)
        for span in spans:
            self.give_up(span)
        return sorted_spans(spans)

    def give_up(self, span: Span) -> None:
        """Let *span* wait no more; what is under way for it is fetched all the same."""
        for number in self._missing.pop(span, ()):
            self._under_way.get(number, set()).discard(span)
        self._listed.discard(span)

    def _is_finished(self, span: Span) -> bool:
        if span not in self._listed or self._missing.get(span):
            return False
        self._listed.discard(span)
        self._missing.pop(span, None)
        return True


def sorted_spans(spans: Iterable[Span]) -> list[Span]:
    """Return *spans*, the oldest windows first."""
    return sorted(spans, key=lambda span: (span.window, span.stream))
