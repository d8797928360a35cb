"""Progress on standard error: bars on a terminal, elsewhere a line now and then."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from http import HTTPStatus
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

from ..telemetry import (
    AttemptMade,
    BeyondHistory,
    Event,
    PageStored,
    StreamPlanned,
    WindowFailed,
    WindowFinished,
)

_MOST_BARS = 12  # accounts; more share one bar
_QUIET_SECONDS = 5.0
_EVERYBODY = "all accounts"


class _Figures:
    """What is known of one bar."""

    def __init__(self) -> None:
        self.planned = 0
        self.ended = 0
        self.rows = 0
        self.requests = 0
        self.throttled = 0

    def words(self, seconds: float) -> str:
        pace = self.requests / seconds if seconds > 0 else 0.0
        throttled = f", {self.throttled} throttled" if self.throttled else ""
        return f"{self.rows:,} rows, {pace:.1f} requests/s{throttled}"


class ProgressReport:
    """An observer that shows how far a job is.

    with ProgressReport(account_names) as report:
        await backfill(..., observer=report)
    """

    def __init__(self, accounts: list[str]) -> None:
        self._one_bar = len(accounts) > _MOST_BARS
        self._figures: dict[str, _Figures] = {}
        self._bars: dict[str, TaskID] = {}
        self._began_at = time.monotonic()
        self._line_at = self._began_at
        console = Console(stderr=True)
        self._live = console.is_terminal
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TextColumn("windows"),
            TextColumn("{task.fields[words]}"),
            TimeElapsedColumn(),
            console=console,
            disable=not self._live,
        )

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def __call__(self, event: Event) -> None:
        """Take note of *event*, and show it."""
        name = _EVERYBODY if self._one_bar else event.account
        figures = self._figures.setdefault(name, _Figures())
        match event:
            case StreamPlanned():
                figures.planned += event.window_count
            case PageStored():
                figures.rows += event.row_count
            case AttemptMade():
                figures.requests += 1
                figures.throttled += event.status == HTTPStatus.TOO_MANY_REQUESTS
            case WindowFinished() | WindowFailed() | BeyondHistory():
                figures.ended += 1
        # progress is decoration: a full log disk or a closed pipe must not stop the job
        with suppress(OSError):
            self._show(name, figures, time.monotonic() - self._began_at)

    def _show(self, name: str, figures: _Figures, seconds: float) -> None:
        if self._live:
            self._move(name, figures, seconds)
        elif time.monotonic() - self._line_at >= _QUIET_SECONDS:
            self._line_at = time.monotonic()
            for each, its in self._figures.items():
                line = f"{each}: {its.ended}/{its.planned} windows, {its.words(seconds)}"
                print(line, file=sys.stderr)  # noqa: T201 - that is what it is for

    def _move(self, name: str, figures: _Figures, seconds: float) -> None:
        if name not in self._bars:
            self._bars[name] = self._progress.add_task(name, words="", total=None)
        self._progress.update(
            self._bars[name],
            total=figures.planned,
            completed=figures.ended,
            words=figures.words(seconds),
        )
