"""Progress on standard error: bars on a terminal, elsewhere a line every few seconds."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ..jobs.figures import Figures, Pace, Recorder
from ..telemetry import Event

_MOST_LINES = 8  # accounts; of more, only the worst are shown by themselves
_WORST = 3
_EVERYBODY = "all accounts"

_LINE_SECONDS = 5.0
_BAR_SECONDS = 0.25

# The first windows tell little: those of one account run side by side, and end together.
_FEWEST_WINDOWS = 5
_FEWEST_SECONDS = 5.0


def seconds_left(figures: Figures, seconds: float) -> float | None:
    """Return how long the rest will take if it goes on like the *seconds* so far.

    None while too little is known: no promise is better than a wrong one.
    """
    if figures.left == 0 or figures.ended < _FEWEST_WINDOWS or seconds < _FEWEST_SECONDS:
        return None
    return seconds / figures.ended * figures.left


def words(figures: Figures, seconds: float) -> str:
    """Return what there is to say of *figures* after *seconds*, in one line.

    >>> words(Figures(name="acme", orders=1200, pace=Pace(9.8, 10)), 3)
    '1,200 orders, 9.8 of 10/s'
    """
    left = seconds_left(figures, seconds)
    parts = [
        f"{figures.orders:,} orders",
        str(figures.pace) if figures.pace and not figures.is_done else "",
        f"{figures.throttled:,} throttled" if figures.throttled else "",
        f"{figures.failed:,} failed" if figures.failed else "",
        f"{duration(left)} left" if left is not None else "",
    ]
    return ", ".join(filter(None, parts))


def line(figures: Figures, seconds: float) -> str:
    """Return *figures* for where there are no bars."""
    windows = f"{figures.ended}/{figures.planned} windows"
    return f"{figures.name}: {windows}, {words(figures, seconds)}"


def shown(everybody: Iterable[Figures]) -> list[Figures]:
    """Return what is worth a line: each account, or all together and the worst few.

    The worst are those that failed, then those with most still to do.
    """
    figures = list(everybody)
    if len(figures) <= _MOST_LINES:
        return figures
    worst = sorted(figures, key=lambda one: (-one.failed, -one.left, one.name))[:_WORST]
    return [together(figures), *(one for one in worst if one.failed or one.left)]


def together(everybody: Iterable[Figures]) -> Figures:
    """Return the sum of what accounts have done; each has a pace and a plan of its own."""
    figures = list(everybody)
    paces = [one.pace for one in figures if one.pace and not one.is_done]
    pace = Pace(sum(one.rate for one in paces), sum(one.granted for one in paces))
    return Figures(
        name=_EVERYBODY,
        planned=sum(one.planned for one in figures),
        ended=sum(one.ended for one in figures),
        failed=sum(one.failed for one in figures),
        orders=sum(one.orders for one in figures),
        throttled=sum(one.throttled for one in figures),
        pace=pace if paces else None,
        is_done=all(one.is_done for one in figures),
    )


def duration(seconds: float) -> str:
    """Return *seconds* as people say it.

    >>> [duration(20), duration(200), duration(20_000)]
    ['20 s', '3 min 20 s', '5 h 33 min']
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


class ProgressReport:
    """An observer that shows how far a job is.

    with ProgressReport(account_names) as report:
        await backfill(..., observer=report)
    """

    def __init__(
        self,
        accounts: Iterable[str],
        *,
        console: Console | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._recorders: Mapping[str, Recorder] = {name: Recorder(name) for name in accounts}
        self._received: dict[str, Figures] = {}
        self._clock = clock
        self._began_at = self._shown_at = clock()
        self._console = console or Console(stderr=True)
        self._live: Live | None = None
        if self._console.is_terminal:
            # Refreshed by events, not by a thread: the figures belong to the loop's.
            self._live = Live(
                console=self._console, auto_refresh=False, get_renderable=self._table
            )

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def __call__(self, event: Event) -> None:
        """Take note of *event*, and show it."""
        at = self._clock()
        self._recorders[event.account].note(event, at)
        self._show_when_due(at)

    def take(self, figures: Iterable[Figures]) -> None:
        """Show *figures* of accounts whose events happen in another process."""
        self._received.update((one.name, one) for one in figures)
        self._show_when_due(self._clock())

    def _show_when_due(self, at: float) -> None:
        interval = _LINE_SECONDS if self._live is None else _BAR_SECONDS
        if at - self._shown_at < interval:
            return
        self._shown_at = at
        with suppress(OSError):  # a full log disk or a closed pipe must not stop the job
            self._show(at)

    def _show(self, at: float) -> None:
        if self._live is not None:
            self._live.refresh()
            return
        for figures in self._shown(at):
            print(line(figures, at - self._began_at), file=self._console.file)

    def _shown(self, at: float) -> list[Figures]:
        return shown(
            self._received.get(name) or recorder.figures(self._began_at, at)
            for name, recorder in self._recorders.items()
        )

    def _table(self) -> Table:
        """Return the bars as they are now."""
        at = self._clock()
        table = Table.grid(padding=(0, 1))
        for figures in self._shown(at):
            table.add_row(
                Text(figures.name),  # a name is no markup
                ProgressBar(total=figures.planned or 1, completed=figures.ended, width=30),
                f"{figures.ended}/{figures.planned} windows",
                words(figures, at - self._began_at),
            )
        return table
