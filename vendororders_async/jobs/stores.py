"""Where the pages of a sweep go, on their way into the sink."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from ..clock import ServerClock, whole_second
from ..sinks import Sink
from ..sinks.base import Arrival, Ledger, Outcome, Written
from ..sinks.rows import digest_of
from ..windows import SETTLING, FinishedWindow, Window

_TO_BE_TOLD = {Outcome.NEW, Outcome.CHANGED, Outcome.QUARANTINED}


class Ahead:
    """Where a sweep's pages go: what the one before brought as well is not stored again.

    Not for long: somebody else may have stored an older version since.
    """

    def __init__(self, sink: Sink, clock: ServerClock) -> None:
        self._sink = sink
        self._clock = clock
        self._before: frozenset[str] = frozenset()  # digests
        self._present: set[str] = set()
        self.finished: list[FinishedWindow] = []
        self.arrived = False

    def start(self) -> None:
        """Take in that a sweep begins."""
        self._present, self.finished, self.arrived = set(), [], False

    def end(self) -> None:
        """Take in that it was complete."""
        self._before = frozenset(self._present)

    def forget(self) -> None:
        """Store again what comes again."""
        self._before = frozenset()

    async def begin(self, ledger: Ledger, window: Window) -> datetime:
        """Return the present."""
        del ledger, window  # each sweep begins anew
        return self._clock()

    async def write(self, arrival: Arrival) -> list[Written]:
        """Store what the sweep before did not bring."""
        digests = [digest_of(one.raw) for one in arrival.documents]
        unseen = [
            one
            for one, digest in zip(arrival.documents, digests, strict=True)
            if digest not in self._before
        ]
        written: Sequence[Written] = ()
        if unseen:
            written = await self._sink.write(msgspec.structs.replace(arrival, documents=unseen))
        self._present.update(digests)
        self.arrived |= any(one.outcome in _TO_BE_TOLD for one in written)
        return list(written)

    async def finish(self, ledger: Ledger, finished: FinishedWindow) -> None:
        """Keep *finished* for the head, which records what it comes to."""
        del ledger
        self.finished.append(finished)


class Past:
    """Where a deep sweep's pages go: of a window only what is past is recorded as read.

    By Amazon's clock; ours may have been set since the window was chosen.
    """

    def __init__(self, sink: Sink, clock: ServerClock) -> None:
        self._sink = sink
        self._clock = clock

    async def begin(self, ledger: Ledger, window: Window) -> datetime:
        """Note that *window* is begun, and return since when it is being read."""
        return await self._sink.begin(ledger, window)

    async def write(self, arrival: Arrival) -> list[Written]:
        """Store a page."""
        return await self._sink.write(arrival)

    async def finish(self, ledger: Ledger, finished: FinishedWindow) -> None:
        """Record as read what of a window is past."""
        latest = whole_second(self._clock.certain()) - SETTLING
        after, before = finished.window.after, min(finished.window.before, latest)
        if after < before:
            begun_at = min(finished.begun_at, self._clock())
            await self._sink.finish(ledger, FinishedWindow(Window(after, before), begun_at))
