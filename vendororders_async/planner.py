"""What to ask next: windows still missing, pages to follow, and what a failure means.

Pure: no clock of its own, no I/O. The job tells it what happened and asks for more.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum

import msgspec

from .chains import Chain, PageRequest, Progress, Sighting, Span, sorted_spans
from .clock import horizon
from .errors import BadRequest, PaginationError, RequestError
from .operations import LARGEST_PAGE
from .usage import UsagePlan
from .windows import FinishedWindow, Window

# More than these would only wait at the limiter, each holding a connection.
_SPARE_REQUESTS = 2
_MOST_REQUESTS = 64
# Amazon's horizon moves while a long job runs and while a request is under way
HORIZON_SLACK = timedelta(minutes=5)
_PAGE_SIZES = (LARGEST_PAGE, 10)  # then one by one
# With nothing known, windows are cut for the burst that is there anyway, but not finer;
# and again when it has come back before any answer did.
_SHORTEST_GUESS, _SHORTEST_IN_SILENCE = timedelta(hours=12), timedelta(hours=1)
_MOST_SPREADS = 2
_SILENCE = 0.6  # of the time in which an empty bucket fills: not all of it was spent
# A split has to bring the end nearer by this share of a latency
_WORTH_IT = 0.5
# Where this share of the work lies in one window, its parts must end in half of the time: it
# may hide a second of many pages, which nobody can split and which must be met early.
_MOST_OF_IT, _EARLIER = 0.4, 0.5
_DOUBT = 0.3  # pages: how far an estimate may be off before it costs a chain another round
_FEW = 4  # windows; the mean of fewer says nothing about the others
# A chain that needs this share of all the time left goes first. In a longer job it is more:
# windows that end one after the other are what an interrupted run has to go on from.
_PRESSING, _PRESSING_LATER = 0.2, 0.5
_LONG = 60.0  # seconds


class Verdict(StrEnum):
    """What a failed request means for its window."""

    RESTARTED = "restarted"  # it is read once more from its start
    SMALLER = "smaller pages"  # the same, by pages of fewer rows
    ONE_BY_ONE = "one by one"  # whoever asks has to list it and ask for each order
    BEYOND_HISTORY = "beyond history"  # Amazon does not serve it any more
    GIVEN_UP = "given up"


class Failure(msgspec.Struct, frozen=True):
    """The verdict on a failed request, and the window that it leaves unread.

    *progress* is what the end of this window brought about elsewhere.
    """

    verdict: Verdict
    window: Window
    progress: Progress = Progress()


class Split(msgspec.Struct, frozen=True):
    """A window that is going to be read in parts, side by side."""

    stream: str
    parts: tuple[Window, ...]


def in_flight(plan: UsagePlan, latency: float) -> int:
    """Return how many requests must be under way to use *plan* at *latency* seconds."""
    return min(math.ceil(plan.rate * latency) + _SPARE_REQUESTS, _MOST_REQUESTS)


def silence(plan: UsagePlan) -> float:
    """Return after how many seconds without an answer a burst may be spent on a guess."""
    return plan.burst / plan.rate * _SILENCE


class Planner:
    """Decides what one account asks of one operation, page by page.

        planner = Planner(spans)
        splits = planner.replan(plan, latency)          # where the plan is to be kept busy
        for request in planner.next(capacity): ...      # send them
        progress = planner.received(request, next_token, asked_at=…, rows=…)
        failure = planner.failed(request, error, now=…)

    The oldest windows come first, since they are the ones that slide out of Amazon's
    history; a window that has begun comes before one that has not. `replan` is for those
    to whom the order does not matter, only when everything has been read.

    *sorted_streams* are those whose rows Amazon can sort by the date that bounds them. Of
    the others a window is never left before its last page: what is sorted by its creation
    and filtered by its change seems to rise, and some of it comes at the very end.

    With *guesses* off nothing is split as long as nothing is known: where little is expected,
    silence means that Amazon is away.
    """

    def __init__(
        self,
        spans: Iterable[Span],
        *,
        sorted_streams: Iterable[str] = (),
        guesses: bool = True,
    ) -> None:
        in_order = sorted_spans(spans)
        self._waiting = deque(PageRequest(span) for span in in_order)
        self._chains = {span: Chain(span) for span in in_order}
        self._restarted: set[Span] = set()
        self._spread_count = 0 if guesses else _MOST_SPREADS + 1
        self._leant_on = set(sorted_streams)  # until their order was leant on in vain
        self._read_count, self._read_pages, self._read_seconds = 0, 0, 0.0

    def __repr__(self) -> str:
        return (
            f"<Planner {len(self._chains)} windows open, {len(self._waiting)} requests waiting>"
        )

    @property
    def may_guess(self) -> bool:
        """Whether `spread` may still find something to cut."""
        return self._spread_count <= _MOST_SPREADS

    def next(self, capacity: int) -> list[PageRequest]:
        """Return up to *capacity* requests that can be sent now."""
        self._spread_count = max(self._spread_count, 1)
        return [self._waiting.popleft() for _ in range(min(capacity, len(self._waiting)))]

    def is_open(self, span: Span) -> bool:
        """Return whether pages of *span* are still wanted."""
        return span in self._chains

    def give_up(self, span: Span) -> None:
        """Ask no more of *span*; what is under way is not wanted any more."""
        if span in self._chains:
            self._close(self._chains[span])
            self._waiting = deque(one for one in self._waiting if one.span != span)

    def received(
        self,
        request: PageRequest,
        next_token: str | None,
        *,
        asked_at: datetime,
        rows: Sequence[Sighting] = (),
        mark: int | None = None,
    ) -> Progress:
        """Take in an answer; return the windows that are finished by it.

        *mark* tells its page from others. An empty page with a next token goes on: Amazon
        sends such pages.

        Raises:
            PaginationError: the next token came before in this window, cannot be sent, or so
                many pages in a row brought nothing new that it would never end.
        """
        chain = self._chains[request.span]
        if chain.begun_at is None:
            chain.begun_at = asked_at
        beyond = chain.take_in(rows)
        leans = self._is_leant_on(chain)
        finished = FinishedWindow(chain.window, chain.begun_at)
        if next_token is None:
            return self._close(chain, finished)
        if not (next_token.isprintable() and next_token.strip()):
            raise PaginationError("the next token cannot be sent back: it is no plain text")
        if hash(next_token) in chain.tokens:
            raise PaginationError("the same next token came twice")
        if chain.is_endless(mark):
            raise PaginationError("ever new next tokens lead to nothing new")
        if beyond and leans:
            chain.family.claim(finished, beyond, chain.evidence.stray_share)
            return self._close(chain)
        if chain.is_shortened and not leans and (chain.page_count == 1 or chain.is_against):
            # it would go on through what others read: better by itself, from its start
            self._again(chain, limit=chain.limit)
            return Progress()
        chain.tokens.add(hash(next_token))
        self._waiting.appendleft(chain.request(next_token))
        return Progress()

    def failed(
        self,
        request: PageRequest,
        error: RequestError,
        *,
        now: datetime,
        is_serving: bool = False,
    ) -> Failure:
        """Decide how to go on after *request* failed for good.

        *is_serving* says that Amazon answers for the same window otherwise, so that it is
        this page which it cannot make, or we cannot read.
        """
        chain = self._chains[request.span]
        window = chain.window
        if isinstance(error, BadRequest):
            return self._refused(chain, request, error, now)
        if not is_serving or isinstance(error, PaginationError):
            return Failure(Verdict.GIVEN_UP, window, self._close(chain))
        smaller = next((size for size in _PAGE_SIZES if size < chain.limit), None)
        if smaller is None:
            return Failure(Verdict.ONE_BY_ONE, window, self._close(chain))
        self._again(chain, limit=smaller)
        return Failure(Verdict.SMALLER, window)

    def replan(self, plan: UsagePlan, latency: float) -> list[Split]:
        """Split what would keep the others waiting, and put what is pressing first.

        *plan* is what Amazon grants, and a page takes *latency* seconds. Where the answers
        come in the order of their dates a split costs about a page; where they do not, a
        window is split only as long as its first page is all that is read twice for it.
        """
        splits = [] if self._spread_count else self.spread(plan)
        guesses = self._guesses()
        left = sum(guesses.values())
        for chain in sorted(guesses, key=lambda one: (-guesses[one], one.window)):
            pages, total = guesses[chain], left / plan.rate + latency
            rounds = _rounds(pages)
            allowed = total * (_EARLIER if pages > left * _MOST_OF_IT else 1)
            if rounds * latency <= allowed:
                break  # it ends before the work does, and so do all that come after it
            lost = self._lost_by_splitting(chain)
            if lost is None:
                continue
            room = max(math.floor(allowed / latency), 1)
            count = math.ceil((pages + lost) / (room - _DOUBT))
            then = max(room * latency, (left + lost + count - 1) / plan.rate + latency)
            if rounds * latency - then < latency * _WORTH_IT:
                continue
            if split := self._split(chain, count, expected=(pages + lost) / count):
                splits.append(split)
                left += lost + len(split.parts) - 1
        if splits:
            guesses = self._guesses()
        self._put_pressing_first(guesses, sum(guesses.values()) / plan.rate, latency)
        return splits

    def spread(self, plan: UsagePlan) -> list[Split]:
        """Cut the windows for a whole burst of requests, while no answer tells about them.

        At first, and once again when so much time went by that there is another burst.
        """
        self._spread_count += 1
        is_first = self._spread_count == 1
        shortest = _SHORTEST_GUESS if is_first else _SHORTEST_IN_SILENCE
        wanted = plan.burst if is_first else len(self._chains) + plan.burst
        chains = list(self._chains.values())
        is_told = any(chain.page_count for chain in chains)
        is_due = is_first or (self._spread_count <= _MOST_SPREADS and not self._waiting)
        if len(chains) >= wanted or is_told or not is_due:
            return []
        whole = sum(chain.seconds for chain in chains)
        splits = []
        for chain in chains:
            share = math.ceil(chain.seconds / whole * wanted)
            if split := self._split(chain, min(share, chain.window.length // shortest)):
                splits.append(split)
        return splits

    def _refused(
        self, chain: Chain, request: PageRequest, error: BadRequest, now: datetime
    ) -> Failure:
        window = chain.window
        # An expired next token is refused just as a wrong one; from its start the window
        # needs none.
        if request.next_token and error.is_spurious and request.span not in self._restarted:
            self._restarted.add(self._again(chain, limit=chain.limit))
            return Failure(Verdict.RESTARTED, window)
        served = horizon(now) + HORIZON_SLACK
        if request.next_token or window.after >= served:
            return Failure(Verdict.GIVEN_UP, window, self._close(chain))
        if window.before > served:
            narrower = Window.covering(served, window.before)
            self._add(Chain(Span(request.span.stream, narrower), chain.family))
        behind = Window.covering(window.after, min(served, window.before))
        return Failure(Verdict.BEYOND_HISTORY, behind, self._close(chain))

    def _close(self, chain: Chain, *finished: FinishedWindow) -> Progress:
        """End *chain*, and settle what is claimed when it was the last of its family."""
        del self._chains[chain.span]
        self._read_count += 1
        self._read_pages += chain.page_count
        self._read_seconds += chain.seconds
        family, stream = chain.family, chain.span.stream
        family.open_count -= 1
        if family.open_count:
            return Progress(finished)
        settled = family.settle()
        for window in settled.again:
            self._leant_on.discard(stream)
            self._add(Chain(Span(stream, window)))
        return Progress((*finished, *settled.finished), settled.again)

    def _again(self, chain: Chain, *, limit: int) -> Span:
        """Read the window of *chain* from its start."""
        span = Span(chain.span.stream, chain.window)
        del self._chains[chain.span]
        chain.family.open_count -= 1
        self._add(Chain(span, chain.family, limit=limit))
        return span

    def _add(self, chain: Chain) -> None:
        self._chains[chain.span] = chain
        self._waiting.appendleft(chain.request())

    def _guesses(self) -> dict[Chain, float]:
        """Return how many pages there may be left in each window that is open."""
        chains = self._chains.values()
        usual = self._read_pages / self._read_seconds if self._read_count >= _FEW else 0
        guesses = {
            chain: chain.guess(None if chain.is_part or not usual else usual * chain.seconds)
            for chain in chains
        }
        if unknown := [chain for chain in chains if chain.is_unknown]:
            known = [chain for chain in chains if not chain.is_unknown]
            pages = self._read_pages + sum(one.page_count + guesses[one] for one in known)
            seconds = self._read_seconds + sum(one.seconds for one in known)
            for chain in unknown:
                guesses[chain] = max(pages / seconds * chain.seconds if seconds else 1.0, 1.0)
        return guesses

    def _lost_by_splitting(self, chain: Chain) -> int | None:
        """Return how many pages of *chain* would be read twice; None if it cannot be."""
        if not chain.page_count:
            return None
        if self._is_leant_on(chain):
            return 0
        is_waiting = any(request.span == chain.span for request in self._waiting)
        return 1 if chain.page_count == 1 and is_waiting else None

    def _is_leant_on(self, chain: Chain) -> bool:
        return chain.evidence.is_rising and chain.span.stream in self._leant_on

    def _split(self, chain: Chain, count: int, expected: float | None = None) -> Split | None:
        """Let others read what *chain* has before it; all of it, if it is out of order."""
        stream, window = chain.span.stream, chain.window
        cuts = chain.evidence.cuts(chain.seconds, count)
        places = [window.after + timedelta(seconds=cut) for cut in cuts]
        parts = tuple(map(Window, [window.after, *places], [*places, window.before]))
        if not cuts:
            return None
        waits = any(request.span == chain.span for request in self._waiting)
        if self._is_leant_on(chain) or not waits:
            chain.shorten(parts[0])
            others = parts[1:]
        else:
            self._waiting = deque(one for one in self._waiting if one.span != chain.span)
            del self._chains[chain.span]
            chain.family.open_count -= 1  # its parts take its place, with what others claimed
            others = parts
        for part in others:
            self._add(Chain(Span(stream, part), chain.family, expected=expected))
        return Split(stream, parts)

    def _put_pressing_first(
        self, guesses: Mapping[Chain, float], seconds: float, latency: float
    ) -> None:
        """Order what waits: the unknown, then the longest, then the oldest.

        *seconds* is how long all the pages take that are left.
        """
        share = _PRESSING if seconds < _LONG else _PRESSING_LATER
        pressing = share * (seconds + latency) / latency  # pages

        def rank(request: PageRequest) -> tuple[bool, float, bool, Window]:
            chain = self._chains[request.span]
            pages = math.inf if chain.is_unknown else guesses[chain]
            is_pressing = chain.evidence.is_crowded or pages > pressing
            return not is_pressing, -pages * is_pressing, not chain.page_count, chain.window

        self._waiting = deque(sorted(self._waiting, key=rank))


def _rounds(pages: float) -> int:
    """Return how many requests after one another *pages* probably take."""
    return max(math.ceil(pages + _DOUBT), 1)
