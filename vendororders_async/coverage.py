"""What was read of a stream: how far it goes, what is missing, and what is read again.

Pure: no clock of its own, no I/O.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from .windows import FinishedWindow, Window, WindowSet


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


def read_since(finished: Iterable[FinishedWindow], window: Window) -> datetime | None:
    """Return since when all of *window* was read; None if some of it never was."""
    windows = list(finished)
    for begun_at in sorted({one.begun_at for one in windows}, reverse=True):
        late = WindowSet(one.window for one in windows if one.begun_at >= begun_at)
        if not WindowSet([window]) - late:
            return begun_at
    return None


def merged(
    finished: Iterable[FinishedWindow], since: datetime, *, reread: timedelta
) -> FinishedWindow | None:
    """Return in one window what is unbroken from *since* on; None if that is too little.

    It stands for all that was read while what it holds was settled, or is read again later:
    so a ledger need not grow with every time that the last *reread* is read again.
    """
    windows = list(finished)
    settled = [one for window in windows if (one := window.settled(reread)) is not None]
    for block in WindowSet(settled):
        if block.after <= since < block.before:
            begun_at = block.before + reread
            fresh = [one.window for one in windows if one.begun_at >= begun_at]
            [whole] = [
                one for one in WindowSet([block, *fresh]) if one.after <= since < one.before
            ]
            return FinishedWindow(whole, begun_at)
    return None
