"""Chains: the pages of a window, each named by the one before it, and how they end.

Pure values and state, no I/O. `planner` decides with them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import dropwhile

import msgspec

from .evidence import Evidence
from .operations import LARGEST_PAGE
from .windows import REACH, FinishedWindow, Window

_ENOUGH = 20  # rows past the end that are compared with what others read there
_SURE = 0.8  # of the rows after the first one past the end are past it as well
# of the rows that others read in the overlap, so many may have been published only later
_LATE, _SINGLES = 0.1, 3
_PAGES_KEPT = 3  # the last ones, on which a chain may have come past its end
# Pages in a row that bring nothing new, before the list is taken for endless. Empty ones come
# (selling-partner-api-models#2730), but not for two minutes at 10 a second; a page that came
# before is a sign of nothing good.
_MOST_IDLE, _LIKE_EMPTY_ONES = 1_000, 50
_HEAD = 200  # rows at the start of a part, among which are those its neighbour saw


class Span(msgspec.Struct, frozen=True):
    """A window of a stream: what is asked for as one."""

    stream: str
    window: Window


class PageRequest(msgspec.Struct, frozen=True):
    """A page of at most *limit* rows to ask for; the first of its span has no next token."""

    span: Span
    next_token: str | None = None
    limit: int = LARGEST_PAGE


class Sighting(msgspec.Struct, frozen=True, gc=False):
    """What is looked at in a row: whose it is, and its own date, where it has one."""

    number: str
    date: datetime | None


class Progress(msgspec.Struct, frozen=True):
    """What an answer brought about: windows that are finished, windows to be read again."""

    finished: tuple[FinishedWindow, ...] = ()
    again: tuple[Window, ...] = ()


class Family:
    """What became of one window: how many parts are open, and what is claimed of others.

    A claim leans on the order of Amazon's answers: the part was left when its rows had
    come past its end. So it counts only after the whole family has been read, and only if
    every row that was seen past the end has come again in the parts beyond it, and no part
    came in another order. Else the part is read again, to its last page.

    What it cannot find out: an answer in perfect order but for a few rows at its very end.
    """

    def __init__(self) -> None:
        self.open_count = 0
        self.is_in_order = True
        self._claims: list[tuple[FinishedWindow, Mapping[str, datetime], float]] = []
        # by where a part begins: the first rows that came, and the earliest
        self._heads: dict[datetime, set[str]] = {}
        self._earliest: dict[datetime, list[tuple[datetime, str]]] = {}

    def claim(
        self, finished: FinishedWindow, beyond: Mapping[str, datetime], stray_share: float
    ) -> None:
        """Note a part that was left when *beyond* were seen past its end."""
        self._claims.append((finished, beyond, stray_share))

    def note(self, after: datetime, rows: Iterable[Sighting]) -> None:
        """Remember who comes first in the part that begins at *after*, and who is earliest."""
        head = self._heads.setdefault(after, set())
        if len(head) < _HEAD:
            head.update(row.number for row in rows)
        earliest = self._earliest.setdefault(after, [])
        earliest += [(row.date, row.number) for row in rows if row.date is not None]
        earliest.sort()
        del earliest[_HEAD:]

    def settle(self) -> Progress:
        """Return which claims are borne out, and what has to be read again."""
        finished, again = [], []
        for claimed, beyond, stray_share in self._claims:
            if self.is_in_order and self._bears_out(claimed.window, beyond, stray_share):
                finished.append(claimed)
            else:
                again.append(claimed.window)
        return Progress(tuple(finished), tuple(again))

    def _bears_out(
        self, window: Window, beyond: Mapping[str, datetime], stray_share: float
    ) -> bool:
        """Return whether both sides saw the same rows past the end of *window*."""
        parts = [after for after in self._heads if after >= window.before]
        if not beyond.keys() <= set().union(*(self._heads[after] for after in parts)):
            return False
        past, until = window.before + REACH, max(beyond.values())
        for after in parts:
            if len(self._earliest[after]) == _HEAD:
                until = min(until, self._earliest[after][-1][0])
        there = [
            n for after in parts for date, n in self._earliest[after] if past <= date < until
        ]
        unseen = sum(number not in beyond for number in there)
        return unseen <= _SINGLES + max(_LATE, 2 * stray_share) * len(there)


class Chain:
    """The pages of a span so far: what must be remembered to follow them safely."""

    def __init__(
        self,
        span: Span,
        family: Family | None = None,
        *,
        expected: float | None = None,
        limit: int = LARGEST_PAGE,
    ) -> None:
        self.span = span
        self.window = span.window  # what it is to read
        self.seconds = span.window.length.total_seconds()
        self.is_part = family is not None
        self.family = family or Family()
        self.family.open_count += 1
        self.limit = limit
        self.begun_at: datetime | None = None
        self._lately: deque[dict[str, datetime]] = deque(maxlen=_PAGES_KEPT)
        self.tokens: set[int] = set()  # hashes: a token can be long, a chain as well
        self._marks: set[int] = set()
        self._idle_count = 0
        self.evidence = Evidence(expected)
        self._guess: tuple[tuple[int, float, float | None], float] | None = None

    def shorten(self, window: Window) -> None:
        """Read no more than *window*, since others read the rest."""
        self.window = window
        self.seconds = window.length.total_seconds()

    def guess(self, usual: float | None) -> float:
        """Return how many pages there may be left, where *usual* is had by others."""
        asked = (self.page_count, self.seconds, usual)
        if self._guess is None or self._guess[0] != asked:
            self._guess = asked, self.evidence.remaining(self.seconds, usual)
        return self._guess[1]

    @property
    def page_count(self) -> int:
        """How many pages came so far."""
        return self.evidence.page_count

    @property
    def is_unknown(self) -> bool:
        """Whether nothing tells yet how many pages it has."""
        return not self.page_count and self.evidence.expected is None

    @property
    def is_shortened(self) -> bool:
        """Whether others read what is at its end."""
        return self.window != self.span.window

    @property
    def is_against(self) -> bool:
        """Whether its rows certainly do not come in the order of their dates."""
        return self.evidence.is_against

    def request(self, next_token: str | None = None) -> PageRequest:
        """Return the request for its first page, or the one that *next_token* names."""
        return PageRequest(self.span, next_token, self.limit)

    def is_endless(self, mark: int | None) -> bool:
        """Note the page that came; return whether too many brought nothing new."""
        if mark is None:
            self._idle_count += 1
        elif mark in self._marks:
            self._idle_count += _LIKE_EMPTY_ONES
        else:
            self._idle_count = 0
            self._marks.add(mark)
        return self._idle_count >= _MOST_IDLE

    def take_in(self, rows: Sequence[Sighting]) -> Mapping[str, datetime]:
        """Learn from a page; return who came past the end, once that is certainly reached."""
        after = self.window.after
        self.family.note(after, rows)
        dated = [(row.number, row.date) for row in rows if row.date is not None]
        self.evidence.add(
            [(date - after).total_seconds() for _, date in dated],
            undated=len(rows) - len(dated),
        )
        if self.evidence.is_broken:
            self.family.is_in_order = False
        self._lately.append(dict(dated))
        if not self.is_shortened or not self.evidence.is_rising:
            return {}
        past = self.window.before + REACH
        beyond = {n: date for page in self._lately for n, date in page.items() if date >= past}
        # One row alone may be ahead of its page, where they go by another date: what follows
        # the first one past the end has to be past it as well.
        following = [date >= past for _, date in dropwhile(lambda row: row[1] < past, dated)]
        is_past = sum(following) >= max(_SURE * len(following), 1)
        return beyond if is_past and len(beyond) >= _ENOUGH else {}


def sorted_spans(spans: Iterable[Span]) -> list[Span]:
    """Return *spans*, the oldest windows first."""
    return sorted(spans, key=lambda span: (span.window, span.stream))
