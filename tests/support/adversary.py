"""An Amazon on paper that answers in any order and refuses at will, and a run against it.

Nothing is sent and no time passes: answers arrive in an order that chance picks, so that
every interleaving may happen, also those that no latency would bring about.
"""

from __future__ import annotations

import random
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from vendororders_async.chains import PageRequest, Sighting, Span
from vendororders_async.errors import BadRequest, Error, RequestError, ServerError
from vendororders_async.planner import Failure, Planner, Split, Verdict, in_flight
from vendororders_async.usage import UsagePlan
from vendororders_async.windows import FinishedWindow, Window, WindowSet

START = datetime(2026, 3, 2, tzinfo=UTC)
NOW = START + timedelta(days=30)
DAY = 86_400.0
PLAN = UsagePlan(rate=10, burst=10)
SPURIOUS = BadRequest("Invalid Input", status=400, errors=(Error(code="InvalidInput"),))
BROKEN = ServerError("Internal Server Error", status=500)

_MOST_REQUESTS = 20_000  # whoever asks more often does not come to an end


class Order(NamedTuple):
    """What the windows go by, and what a row shows, in seconds from `START`."""

    filed: float
    shown: float | None
    number: str


Arrange = Callable[[list[Order]], list[Order]]
Refuse = Callable[[PageRequest], RequestError | None]


def orders_at(seconds: Sequence[float]) -> list[Order]:
    """Return an order for each of *seconds*, shown as it is filed."""
    return [Order(at, at, f"{index:06}") for index, at in enumerate(seconds)]


def evenly(count: int, start: float, end: float) -> list[float]:
    """Return *count* instants from *start* to *end*, the same way apart."""
    return [start + (end - start) * index / count for index in range(count)]


class Amazon:
    """Serves *orders* in pages, by the date they are filed under, arranged by *arrange*.

    *page_sizes* are taken in turn, where they are smaller than what is asked for; a size of
    0 is an empty page with a token.
    """

    def __init__(
        self,
        orders: Sequence[Order],
        arrange: Arrange = list,
        *,
        page_sizes: Sequence[int] = (100,),
        refuse: Refuse = lambda _request: None,
        is_inclusive: bool = True,
    ) -> None:
        self.orders = sorted(orders, key=lambda one: (one.filed, one.number))
        self._filed = [one.filed for one in self.orders]
        self.requests: list[PageRequest] = []
        self.gone: set[str] = set()
        self._arrange = arrange
        self._page_sizes = page_sizes
        self._refuse = refuse
        self._is_inclusive = is_inclusive
        self._arranged: dict[Span, list[Order]] = {}

    def answer(self, request: PageRequest) -> tuple[list[Order], str | None]:
        """Return a page and the next token."""
        self.requests.append(request)
        if error := self._refuse(request):
            raise error
        rows = self._rows(request.span)
        position, turn = map(int, (request.next_token or "0 0").split())
        size = self._page_sizes[turn % len(self._page_sizes)]
        end = position + min(size, request.limit)
        page = [one for one in rows[position:end] if one.number not in self.gone]
        return page, f"{end} {turn + 1}" if end < len(rows) else None

    def _rows(self, span: Span) -> list[Order]:
        if span not in self._arranged:
            asked = span.window.query()
            after, before = (
                (one - START).total_seconds() for one in (asked.after, asked.before)
            )
            first = bisect_left if self._is_inclusive else bisect_right
            last = bisect_right if self._is_inclusive else bisect_left
            begin, end = first(self._filed, after), last(self._filed, before)
            self._arranged[span] = self._arrange(self.orders[begin:end])
        return self._arranged[span]


class Run:
    """The planner against *amazon*, over the first *days* days, to the end.

    run = Run(Amazon(orders), days=1, seed=0)
    run.falsely_claimed()
    run.finished
    """

    def __init__(
        self,
        amazon: Amazon,
        *,
        days: float = 1,
        seed: int = 0,
        latency: float = 1.0,
        plan: UsagePlan = PLAN,
        is_serving: bool = False,
        now: datetime = NOW,
        happens: Callable[[Amazon, random.Random], None] = lambda _amazon, _chance: None,
    ) -> None:
        self.window = Window.covering(START, START + timedelta(days=days))
        spans = [Span("created", tile) for tile in self.window.tiles()]
        self.planner = Planner(spans, sorted_streams=["created"])
        self.splits: list[Split] = []
        self.failures: list[Failure] = []
        self.again: list[Window] = []
        self._amazon = amazon
        self._entries: list[FinishedWindow] = []
        self._delivered: set[str] = set()
        self._now = now
        self._is_serving = is_serving
        self._run(random.Random(seed), latency, plan, happens)

    def _run(
        self,
        chance: random.Random,
        latency: float,
        plan: UsagePlan,
        happens: Callable[[Amazon, random.Random], None],
    ) -> None:
        running: list[PageRequest] = []
        while True:
            self.splits += self.planner.replan(plan, latency)
            running += self.planner.next(in_flight(plan, latency) - len(running))
            if chance.random() < 0.05:
                self.splits += self.planner.spread(plan)
                running += self.planner.next(int(plan.burst))
            if not running:
                break
            happens(self._amazon, chance)
            # mostly the oldest, as it would be
            last = len(running) if chance.random() < 0.2 else min(3, len(running))
            self._answered(running.pop(chance.randrange(last)))
            if len(self._amazon.requests) > _MOST_REQUESTS:
                raise AssertionError("the planner does not come to an end")

    def _answered(self, request: PageRequest) -> None:
        try:
            page, next_token = self._amazon.answer(request)
        except RequestError as error:
            if not self.planner.is_open(request.span):
                return
            failure = self.planner.failed(
                request, error, now=self._now, is_serving=self._is_serving
            )
            self.failures.append(failure)
            progress = failure.progress
        else:
            self._delivered.update(one.number for one in page)
            if not self.planner.is_open(request.span):
                return
            progress = self.planner.received(
                request, next_token, asked_at=START, rows=list(map(_sighting, page))
            )
        self._entries += progress.finished
        self.again += progress.again

    @property
    def finished(self) -> WindowSet:
        """What the ledger would claim."""
        return WindowSet(one.window for one in self._entries)

    @property
    def missing(self) -> WindowSet:
        """What it would not."""
        return WindowSet([self.window]) - self.finished

    @property
    def lost_for(self) -> set[Verdict]:
        """Why windows are missing."""
        return {one.verdict for one in self.failures} - {Verdict.RESTARTED, Verdict.SMALLER}

    @property
    def request_count(self) -> int:
        """How many requests there were."""
        return len(self._amazon.requests)

    def falsely_claimed(self) -> set[str]:
        """Return the orders of windows that are claimed, which no page brought."""
        claimed = [
            ((one.after - START).total_seconds(), (one.before - START).total_seconds())
            for one in self.finished
        ]
        return {
            one.number
            for one in self._amazon.orders
            if one.number not in self._delivered | self._amazon.gone
            and any(after <= one.filed < before for after, before in claimed)
        }


def _sighting(order: Order) -> Sighting:
    at = None if order.shown is None else START + timedelta(seconds=order.shown)
    return Sighting(order.number, at)
