"""Figures: how far each account of a job is, from its events."""

from __future__ import annotations

from collections import Counter, deque
from http import HTTPStatus

import msgspec

from ..operations import STATUSES
from ..telemetry import (
    AccountFailed,
    AccountFinished,
    AttemptMade,
    BeyondHistory,
    DetailStored,
    Event,
    PageStored,
    PlanGranted,
    StreamPlanned,
    WindowFailed,
    WindowFinished,
    WindowSplit,
)

_PACE_SECONDS = 10.0  # the pace is that of so many seconds past


class Pace(msgspec.Struct, frozen=True):
    """How fast an operation is asked, against what its plan grants."""

    rate: float
    granted: float

    def __str__(self) -> str:
        return f"{self.rate:.1f} of {self.granted:g}/s"


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """How far an account is; *pace* is that of its busiest operation."""

    name: str
    planned: int = 0
    ended: int = 0
    failed: int = 0
    orders: int = 0
    throttled: int = 0
    pace: Pace | None = None
    is_done: bool = False

    @property
    def left(self) -> int:
        """How many windows are still to be read."""
        return 0 if self.is_done else max(0, self.planned - self.ended)


class Recorder:
    """Makes figures of events, for one account."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._counts: Counter[str] = Counter()
        self._granted: dict[str, float] = {}
        self._sent: dict[str, deque[float]] = {}
        self._is_done = False

    def note(self, event: Event, at: float) -> None:  # noqa: C901 - a table of events
        """Take in an *event* that happened *at* a monotonic time."""
        counts = self._counts
        match event:
            case StreamPlanned():
                counts["planned"] += event.window_count
            case WindowSplit():
                counts["planned"] += event.part_count - 1
            case PlanGranted():
                self._granted[event.operation] = event.plan.rate
            case PageStored() if event.stream != STATUSES.name:
                counts["orders"] += event.row_count
            case DetailStored():
                counts["orders"] += 1
            case AttemptMade():
                self._sent.setdefault(event.operation, deque()).append(at)
                counts["throttled"] += event.status == HTTPStatus.TOO_MANY_REQUESTS
            case WindowFinished() | BeyondHistory():
                counts["ended"] += 1
            case WindowFailed():
                counts["ended"] += 1
                counts["failed"] += 1
            case AccountFinished():
                self._is_done = True
            case AccountFailed():
                self._is_done = True
                counts["failed"] += 1

    def figures(self, began_at: float, at: float) -> Figures:
        """Return how far it is *at* a monotonic time."""
        return Figures(
            name=self._name,
            pace=self._pace(min(at - began_at, _PACE_SECONDS), at),
            is_done=self._is_done,
            **self._counts,
        )

    def _pace(self, seconds: float, at: float) -> Pace | None:
        paces = []
        for operation, sent in self._sent.items():
            while sent and sent[0] < at - _PACE_SECONDS:
                sent.popleft()
            if operation in self._granted and seconds > 0:
                paces.append(Pace(len(sent) / seconds, self._granted[operation]))
        return max(paces, key=lambda one: one.rate / one.granted, default=None)
