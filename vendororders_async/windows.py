"""Windows of time: what a query spans, and which of it is still missing.

>>> from datetime import UTC, datetime, timedelta
>>> january = Window(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC))
>>> len(january.tiles())
5
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

import msgspec

from .clock import format_wire, whole_second
from .errors import InvalidArgument

# "The date range to search must not be more than 7 days."
# https://developer-docs.amazon.com/sp-api/reference/getpurchaseorders
LONGEST_QUERY = timedelta(days=7)

# Amazon does not say whether its bounds are inclusive, so a request reaches this much past
# each end of the window it reads; the sinks absorb what comes twice.
REACH = timedelta(seconds=1)

# What is younger may still be on its way into Amazon's answers, so no window ends there.
SETTLING = timedelta(minutes=2)

LONGEST_CORE = LONGEST_QUERY - 2 * REACH


class Window(msgspec.Struct, frozen=True, order=True):
    """The instants from *after* up to, not including, *before*; whole seconds in UTC."""

    after: datetime
    before: datetime

    def __post_init__(self) -> None:
        if self.after.tzinfo is None or self.before.tzinfo is None:
            raise InvalidArgument("a window needs instants with a time zone")
        if self.after.microsecond or self.before.microsecond:
            raise InvalidArgument("a window is of whole seconds, as the wire is")
        if self.after >= self.before:
            raise InvalidArgument(f"a window must end after it begins: {self}")

    def __str__(self) -> str:
        return f"{format_wire(self.after)}/{format_wire(self.before)}"

    @classmethod
    def covering(cls, after: datetime, before: datetime) -> Window:
        """Return the window of whole seconds from *after* to *before*, both cut down.

        Raises:
            InvalidArgument: an instant has no zone, or nothing lies between the two.
        """
        if after.tzinfo is None or before.tzinfo is None:
            raise InvalidArgument("a window needs instants with a time zone")
        return cls(whole_second(after), whole_second(before))

    @property
    def length(self) -> timedelta:
        """How long the window is."""
        return self.before - self.after

    def query(self) -> Window:
        """Return what is asked to read this window: `REACH` more at each end."""
        return Window(self.after - REACH, self.before + REACH)

    def tiles(self, longest: timedelta = LONGEST_CORE) -> tuple[Window, ...]:
        """Cut the window into the fewest equal parts that are no longer than *longest*."""
        count = -(-self.length // longest)
        seconds = self.length // timedelta(seconds=1)
        cuts = [
            self.after + timedelta(seconds=seconds * index // count) for index in range(count)
        ]
        return tuple(map(Window, cuts, [*cuts[1:], self.before]))


class FinishedWindow(msgspec.Struct, frozen=True):
    """A window that was read to its end; *begun_at* is when its first page was asked for.

    What Amazon published in it after *begun_at* may be missing.
    """

    window: Window
    begun_at: datetime

    def settled(self, reread: timedelta) -> Window | None:
        """Return the part that ended at least *reread* before it was read.

        Amazon publishes orders late, days late once (selling-partner-api-docs#1416), so
        what was still fresh then is read again.
        """
        before = min(self.window.before, whole_second(self.begun_at - reread))
        return Window(self.window.after, before) if before > self.window.after else None


class WindowSet:
    """A set of instants, held as disjoint windows in order; it does not change.

    >>> from datetime import UTC, datetime
    >>> day = [datetime(2026, 1, n, tzinfo=UTC) for n in range(1, 5)]
    >>> WindowSet([Window(day[0], day[2])]) - WindowSet([Window(day[1], day[3])])
    WindowSet(2026-01-01T00:00:00Z/2026-01-02T00:00:00Z)
    """

    __slots__ = ("_windows",)

    def __init__(self, windows: Iterable[Window] = ()) -> None:
        merged: list[Window] = []
        for window in sorted(windows):
            if merged and window.after <= merged[-1].before:
                last = merged.pop()
                window = Window(last.after, max(last.before, window.before))  # noqa: PLW2901 - the grown one takes its place
            merged.append(window)
        self._windows = tuple(merged)

    def __iter__(self) -> Iterator[Window]:
        return iter(self._windows)

    def __len__(self) -> int:
        return len(self._windows)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, WindowSet) and self._windows == other._windows

    def __hash__(self) -> int:
        return hash(self._windows)

    def __repr__(self) -> str:
        return f"WindowSet({' '.join(map(str, self._windows))})"

    def __or__(self, other: WindowSet) -> WindowSet:
        return WindowSet([*self, *other])

    def __sub__(self, other: WindowSet) -> WindowSet:
        left: list[Window] = []
        for window in self:
            start = window.after
            for hole in other:
                if hole.before <= start:
                    continue
                if hole.after >= window.before:
                    break
                if hole.after > start:
                    left.append(Window(start, hole.after))
                start = hole.before
            if start < window.before:
                left.append(Window(start, window.before))
        return WindowSet(left)

    @property
    def length(self) -> timedelta:
        """How much time the windows span together."""
        return sum((window.length for window in self), timedelta())
