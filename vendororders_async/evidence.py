"""Evidence: where in a window its rows lie, judged by the pages that came so far.

A guess, made of the dates that the rows show. It says where a window is cut and what is
asked first; whether a window has been read is not decided by it (`planner` says how).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

# Four of five neighbours in order: the rest were published late, and show when they were
# placed (selling-partner-api-docs#1416).
_IN_ORDER = 4
_LIKE_CHANCE = 0.6  # of the steps go up: on a Sunday most of what comes was placed on Friday
_STRAYS = 20  # one row in so many may lie ahead of its page
# So many rows behind others and yet in order among themselves are no late ones, which come
# in any order: the answer has begun a second time.
_ANOTHER_ORDER = 12
_CROWD = 50  # rows of one second on one page: half of what both sides of a cut would read
_CROWDED = 2.0  # seconds; a page that spans less says nothing about the time after it
_BERTH = 2  # seconds between a cut and a crowd: queries reach one past either end
_RECENT = 2 / 3  # of the pages, which say more about what follows than the first ones do
_LEAST = 0.5  # pages: where there is a next token there is something
_SETTLED = 50  # steps from row to row that say enough about their order
_COARSE = 600  # seconds; parts longer than this are cut away from where batches begin


class Evidence:
    """What the pages of one window tell; times are seconds from the window's start.

        evidence = Evidence(expected=3)
        evidence.add(dates)                 # of a page's rows, as they came
        evidence.remaining(86_400)          # pages from here to there, a guess
        evidence.cuts(86_400, 3)            # where to begin what others are to read

    *expected* is how many pages were guessed before any came.
    """

    def __init__(self, expected: float | None = None) -> None:
        self.expected = expected
        self.page_count = 0
        self._rising = self._falling = 0  # steps from a row to the next
        #: Whether something came that no answer in order has: a second beginning, or a row
        #: without a date.
        self.is_broken = False
        self._row_count = self._stray_count = 0  # rows, and those behind one before them
        self._strays_in_order = 0  # the last rows, if they are behind and rise
        self._last = self._highest = -math.inf
        self._reach: list[float] = []  # where the first page began, and each page ended
        self._lowest = -math.inf  # of the last page
        self._span = 0.0  # of the last page
        self._crowded_count = 0  # pages in a row that lie within a moment
        self._crowds: set[int] = set()

    def add(self, dates: Sequence[float], *, undated: int = 0) -> None:
        """Take in a page, which may be empty: Amazon sends such pages."""
        self.page_count += 1
        self.is_broken |= undated > 0  # where such a row belongs cannot be told
        if not dates:
            return
        self._rising += sum(one < other for one, other in pairwise(dates))
        self._falling += sum(one > other for one, other in pairwise(dates))
        for date in dates:
            is_stray = date < self._highest
            self._stray_count += is_stray
            goes_on = is_stray and date > self._last
            self._strays_in_order = self._strays_in_order + 1 if goes_on else 0
            self.is_broken |= self._strays_in_order >= _ANOTHER_ORDER
            self._last, self._highest = date, max(self._highest, date)
        self._row_count += len(dates)
        in_order = sorted(dates)
        median, high = in_order[len(dates) // 2], in_order[-1 - len(dates) // _STRAYS]
        # From the upper half alone: what was published late shows an earlier date.
        low = max(in_order[0], 2 * median - high)
        self.is_broken |= len(dates) >= _STRAYS and median < self._lowest
        self._lowest, self._span = low, high - low
        self._crowded_count = self._crowded_count + 1 if self._span < _CROWDED else 0
        self._reach = self._reach or [low]
        self._reach.append(max(high, self._reach[-1]))
        self._crowds.update(
            int(one)
            for one, other in zip(in_order, in_order[_CROWD - 1 :], strict=False)
            if other - one < 1
        )

    @property
    def is_rising(self) -> bool:
        """Whether the rows come in the order of their dates, as far as can be told."""
        return self._rising > _IN_ORDER * self._falling and not self.is_broken

    @property
    def is_against(self) -> bool:
        """Whether the rows certainly do not come in the order of their dates."""
        if self.is_broken:
            return True
        steps = self._rising + self._falling
        return steps >= _SETTLED and self._rising < _LIKE_CHANCE * steps

    @property
    def stray_share(self) -> float:
        """How many of the rows came behind one with a later date."""
        return self._stray_count / max(self._row_count, 1)

    @property
    def reached(self) -> float:
        """Up to where the pages have come, if they rise."""
        return self._reach[-1] if self._reach else 0.0

    @property
    def is_crowded(self) -> bool:
        """Whether the last page lies within a moment."""
        return self._crowded_count > 0

    def remaining(self, end: float, usual: float | None = None) -> float:
        """Return how many pages there may be up to *end*.

        *usual* is what windows as long as this one had in all, where that is known.
        """
        if not self.page_count:
            return max(1.0, self.expected or usual or 1.0)
        if not self._reach:
            # no dates, so nothing tells how far it is: as if this were the middle
            return float(self.page_count)
        if not self.is_rising:
            ahead = self._lowest if self._falling > _IN_ORDER * self._rising else 0.0
            return max(ahead / max(self._span, 1.0), float(self.page_count))
        ahead = max(end - self.reached, 0.0)
        if self.is_crowded:
            # such a moment lasts for as many pages again, for all that is known
            before = self.page_count - self._crowded_count
            return max(2.0, self._crowded_count) + ahead * before / max(self.reached, 1.0)
        pages = ahead * self._density()
        if usual is not None and self.page_count < 1.5 * usual:
            pages = math.sqrt(pages * max(usual - self.page_count, _LEAST))
        return max(pages, _LEAST)

    def cuts(self, end: float, count: int) -> list[int]:
        """Return where to cut what is ahead for *count* parts of about equal work.

        Never beside a crowd, which both neighbours would read then.
        """
        start = self.reached if self.is_rising else 0.0
        if self.is_rising and self.is_crowded:
            places = [start + 1 + _BERTH]
        else:
            places = [start + (end - start) * part / count for part in range(1, count)]
        cuts: list[int] = []
        for place in places:
            cut = int(place)
            if (end - start) / count > _COARSE:
                cut = cut // 60 * 60 + 30  # batches begin with a minute
            while any(cut - _BERTH <= crowd < cut + _BERTH for crowd in self._crowds):
                cut += 1
            if max(start + 1, *cuts[-1:], 0) < cut < end:
                cuts.append(cut)
        return cuts

    def _density(self) -> float:
        """Return the pages a second to reckon with from here on.

        A burst does not last to the end of the window, nor does a lull: the mean, as of
        factors, of the last page and of those before it.
        """
        recent = min(math.ceil(self.page_count * _RECENT), len(self._reach) - 1)
        seconds = self.reached - self._reach[-1 - recent]
        return math.sqrt(recent / max(seconds, 1.0) / max(self._span, 1.0))
