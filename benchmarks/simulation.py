"""A backfill as events on paper: the planner against an Amazon of a few lines.

Nothing is sent and no time passes, so that a run takes some thirty milliseconds. What is
real is the planner; the rest does as the job does around it: permits as the limiter gives
them, its margin kept back, and each answer a latency later. Storing takes no time here.
"""

from __future__ import annotations

import itertools
import math
import random
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush

import msgspec

from vendororders_async.chains import PageRequest, Sighting, Span
from vendororders_async.operations import LARGEST_PAGE
from vendororders_async.planner import Planner, Split, in_flight, silence
from vendororders_async.usage import UsagePlan
from vendororders_async.windows import FinishedWindow, Window, WindowSet

START = datetime(2026, 1, 5, tzinfo=UTC)  # a Monday
PLAN = UsagePlan(rate=10, burst=10)

# What the job reckons with until there is an answer, and how much a new latency counts
# against those before: as `vendororders_async.jobs.desk.Pace`.
_FIRST_LATENCY, _LATENCY_MEMORY = 1.0, 0.2
_SILENCE = silence(PLAN)

Order = tuple[float, float, str]  # available at, placed at (seconds from START), number
Answer = Callable[[list[Order]], list[Order]]

ANSWERS: dict[str, Answer] = {
    "ascending": lambda rows: rows,
    "descending": lambda rows: rows[::-1],
    "shuffled": lambda rows: random.Random(len(rows)).sample(rows, len(rows)),
    "by number": lambda rows: sorted(rows, key=lambda row: row[2]),
}


class Result(msgspec.Struct, frozen=True):
    """How a simulated backfill came out; *lost* is what no page brought."""

    seconds: float
    request_count: int
    splits: list[Split]
    finished: WindowSet
    lost: set[str]


class Permits:
    """When requests may leave: a bucket that is full at first, as the limiter has it.

    >>> permits = Permits(UsagePlan(rate=10, burst=3))
    >>> [permits.next(at) for at in (0, 0, 0, 1)]
    [0.0, 0.0, 0.1, 1.0]
    """

    def __init__(self, plan: UsagePlan) -> None:
        self._plan = plan.with_margin()
        self._level, self._at = self._plan.burst, 0.0

    def next(self, now: float) -> float:
        """Return when the next request leaves that was ready at *now*, after all before it."""
        at = max(now, self._at)
        level = min(self._plan.burst, self._level + (at - self._at) * self._plan.rate)
        wait = max(0.0, 1 - level) / self._plan.rate
        self._level, self._at = max(level, 1.0) - 1, at + wait
        return self._at


class Amazon:
    """What answers: the orders that became available in a window, page by page."""

    def __init__(self, orders: Sequence[Order], answer: Answer, page_size: int) -> None:
        self._orders = sorted(orders, key=lambda order: (order[0], order[2]))
        self._available = [order[0] for order in self._orders]
        self._answer = answer
        self._page_size = page_size
        self._rows: dict[Span, list[Order]] = {}

    def page(self, request: PageRequest) -> tuple[list[Order], str | None]:
        """Return the rows of a page, and the next token if there are more."""
        rows = self._rows_of(request.span)
        begin = int(request.next_token or 0)
        end = begin + min(self._page_size, request.limit)
        return rows[begin:end], str(end) if end < len(rows) else None

    def _rows_of(self, span: Span) -> list[Order]:
        if span not in self._rows:
            asked = span.window.query()
            first = bisect_left(self._available, (asked.after - START).total_seconds())
            last = bisect_right(self._available, (asked.before - START).total_seconds())
            self._rows[span] = self._answer(self._orders[first:last])
        return self._rows[span]


class Simulation:
    """One run of the planner over *orders* in the first *days* days.

        result = Simulation(orders, 7, latency=0.5).run()

    With *replans* off no window is ever split: what the pace would be without.
    """

    def __init__(
        self,
        orders: Sequence[Order],
        days: float,
        *,
        latency: float,
        answer: Answer = ANSWERS["ascending"],
        jitter: float = 0.0,
        page_size: int = LARGEST_PAGE,
        replans: bool = True,
    ) -> None:
        self.window = Window(START, START + timedelta(days=days))
        spans = [Span("created", tile) for tile in self.window.tiles()]
        self.planner = Planner(spans, sorted_streams=["created"])
        self._missing = {number for _, _, number in orders}
        self._amazon = Amazon(orders, answer, page_size)
        self._latency, self._jitter = latency, jitter
        self._replans = replans
        self._random = random.Random(0)
        self._permits = Permits(PLAN)
        self._now = 0.0
        self._known_latency: float | None = None
        self._serial = itertools.count()
        # answers on their way: when each comes, and how long it took from its permit on
        self._coming: list[tuple[float, int, PageRequest, float]] = []
        self._splits: list[Split] = []
        self._finished: list[FinishedWindow] = []

    def run(self) -> Result:
        """Read until nothing is left to ask."""
        while True:
            latency = self._known_latency or _FIRST_LATENCY
            if self._replans:
                self._splits += self.planner.replan(PLAN, latency)
            self._send(in_flight(PLAN, latency) - len(self._coming))
            if not self._coming:
                break
            if self._known_latency is None and self._coming[0][0] > self._now + _SILENCE:
                self._wait_in_silence()
            else:
                self._receive()
        return Result(
            self._now,
            next(self._serial),
            self._splits,
            WindowSet(one.window for one in self._finished),
            self._missing,
        )

    def _send(self, room: int) -> None:
        for request in self.planner.next(max(room, 0)):
            seconds = self._latency * (1 + self._random.uniform(0, self._jitter))
            comes_at = self._permits.next(self._now) + seconds
            heappush(self._coming, (comes_at, next(self._serial), request, seconds))

    def _wait_in_silence(self) -> None:
        """Let a burst's worth of time go by, in which no answer comes."""
        self._now += _SILENCE
        if self._replans and (splits := self.planner.spread(PLAN)):
            self._splits += splits
            self._send(math.floor(PLAN.burst))

    def _receive(self) -> None:
        """Take in the answer that comes next."""
        self._now, _, request, seconds = heappop(self._coming)
        before = seconds if self._known_latency is None else self._known_latency
        self._known_latency = before + _LATENCY_MEMORY * (seconds - before)
        rows, next_token = self._amazon.page(request)
        self._missing.difference_update(number for _, _, number in rows)
        if self.planner.is_open(request.span):
            progress = self.planner.received(
                request,
                next_token,
                asked_at=START,
                rows=[Sighting(number, _at(placed)) for _, placed, number in rows],
            )
            self._finished += progress.finished


def _at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)
