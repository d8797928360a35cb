"""How streams are doing, by what the files of a store are called."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime

import msgspec

from ..windows import FinishedWindow
from .base import Ledger, StreamState


class _Stream:
    def __init__(self) -> None:
        self.windows: list[FinishedWindow] = []
        self.last_success_at: datetime | None = None
        self.error: str | None = None


class States:
    """What is said of each stream, file by file."""

    def __init__(self) -> None:
        self._found: dict[Ledger, _Stream] = defaultdict(_Stream)

    def add(self, ledger: Ledger, finished: FinishedWindow | None, at: datetime) -> None:
        """Take in a file that was written *at* that time; one of no window is loose."""
        stream = self._found[ledger]
        if finished is not None:
            stream.windows.append(finished)
        stream.last_success_at = max(at, stream.last_success_at or at)

    def fail(self, ledger: Ledger, error: str) -> None:
        """Take in why a run went no further."""
        self._found[ledger].error = error

    def know(self, ledger: Ledger) -> None:
        """Take in that there is something of it."""
        _ = self._found[ledger]

    def all(self) -> list[StreamState]:
        """Return the streams, sorted."""
        return [
            StreamState(
                ledger,
                tuple(sorted(stream.windows, key=lambda one: one.window)),
                stream.last_success_at,
                stream.error,
            )
            for ledger, stream in sorted(
                self._found.items(), key=lambda item: msgspec.structs.astuple(item[0])
            )
        ]
