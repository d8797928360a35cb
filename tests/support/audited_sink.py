"""A SQLite sink that is looked at after every commit: what it promises holds at any moment.

So it holds whenever a process is killed, which leaves behind what was committed.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from copy import copy
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Self

import msgspec
from spoilt import is_spoilt

from vendororders_async.clock import format_wire
from vendororders_async.sinks.base import Ledger
from vendororders_async.sinks.sqlite import SqliteSink
from vendororders_async.windows import SETTLING, FinishedWindow, Window

Key = tuple[str, str, str, bool]  # account, API, number, and whether it is a status

# What a Date of whole seconds leaves open, and an answer on its way
_UNKNOWN = timedelta(seconds=2)

_STORED = """
SELECT account, api, purchase_order_number, 0, digest FROM purchase_orders
WHERE change_seq > ?1 AND has_details
UNION ALL
SELECT account, api, purchase_order_number, 1, digest FROM purchase_order_statuses
WHERE change_seq > ?1
"""

_RECORDED = """
SELECT sequence, account, api, purchase_order_number, event, digest, previous_digest
FROM changes WHERE sequence > ? ORDER BY sequence
"""

_DOCUMENTS = """
SELECT account, 0, purchase_order_number, document FROM purchase_orders
UNION ALL
SELECT account, 1, purchase_order_number, document FROM purchase_order_statuses
"""

_VERSIONS = """
SELECT account, api, purchase_order_number, digest FROM purchase_order_versions
WHERE document ->> '$.orderDetails' IS NOT NULL
"""

_TOLD_OF = """
SELECT account, api, purchase_order_number, digest FROM changes
WHERE event <> 'status_changed'
"""

_SEQUENCES = "SELECT sequence FROM changes ORDER BY sequence"

_CHANGE_SEQ = "SELECT change_seq FROM change_counter"


class Auditor:
    """Remembers what a store told, and notes in words where it broke a promise.

    *ours* and *amazons* are the two clocks; *expected* says which orders of an account's
    stream, as Amazon has them by number, a finished window must have brought.
    """

    def __init__(
        self,
        *,
        ours: Callable[[], datetime],
        amazons: Callable[[], datetime],
        expected: Callable[[Ledger, FinishedWindow], Mapping[str, bytes]],
    ) -> None:
        self.broken: list[str] = []
        self._ours, self._amazons, self._expected = ours, amazons, expected
        self.digests: dict[Key, str] = {}
        self.watermarks: dict[Ledger, datetime] = {}
        self._sequence, self._change_seq = 0, 0
        self._latest = ours()  # that our clock ever showed: it may be put back

    def twin(self) -> Auditor:
        """Return one that knows the same, for a copy of the file."""
        other = copy(self)
        other.digests, other.watermarks = dict(self.digests), dict(self.watermarks)
        return other

    def look(self, connection: sqlite3.Connection) -> None:
        """Compare the versions and the changes that were committed since the last look."""
        for sequence, *order, event, digest, previous in connection.execute(
            _RECORDED, (self._sequence,)
        ).fetchall():
            account, api, number = order
            key = (account, api, number, event == "status_changed")
            before = self.digests.get(key)
            if previous != before or digest == before:
                self.broken.append(f"change {sequence} of {number} does not follow the last")
            if event != "status_changed" and (event == "order_created") != (before is None):
                self.broken.append(f"change {sequence} of {number} is no {event}")
            self.digests[key], self._sequence = digest, sequence
        for account, api, number, is_status, digest in connection.execute(
            _STORED, (self._change_seq,)
        ).fetchall():
            if self.digests.get((account, api, number, bool(is_status))) != digest:
                self.broken.append(f"{number} was stored, and no change recorded with it")
        (self._change_seq,) = connection.execute(_CHANGE_SEQ).fetchone()

    def see_clock(self) -> None:
        """Take in what our clock shows, before it is set."""
        self._latest = max(self._latest, self._ours())

    def expected(self, ledger: Ledger, finished: FinishedWindow) -> Mapping[str, bytes]:
        """Return the orders that must be stored before that window is finished."""
        self.see_clock()
        last = min(self._latest, self._amazons())
        if finished.window.before > last - SETTLING + _UNKNOWN:
            self._break(ledger, finished.window, "is not past")
        if finished.begun_at > self._amazons() + _UNKNOWN:
            self._break(ledger, finished.window, "was begun in the future")
        return self._expected(ledger, finished)

    def missed(self, ledger: Ledger, window: Window, numbers: Iterable[str]) -> None:
        """Note that *window* was finished before these were stored."""
        for number in numbers:
            self._break(ledger, window, f"was finished without {number}")

    def covered(self, ledger: Ledger, until: datetime | None) -> None:
        """Take in how far a stream is said to be unbroken."""
        if until is None:
            return  # for a moment nobody knows: where it begins depends on what time it is
        if until < self.watermarks.get(ledger, until):
            self.broken.append(f"the watermark of {ledger.stream} went back to {until}")
        self.watermarks[ledger] = until

    def _break(self, ledger: Ledger, window: Window, what: str) -> None:
        self.broken.append(
            f"{ledger.stream} {window} {what}, at {format_wire(self._amazons())}"
            f" (ours {format_wire(self._ours())})"
        )


class AuditedSink(SqliteSink):
    """Tells its *auditor* of every commit, every finished window and every watermark."""

    def __init__(self, path: Path, auditor: Auditor, *, now: Callable[[], datetime]) -> None:
        super().__init__(path, now=now)
        self.path = path
        self._auditor = auditor

    async def finish(self, ledger: Ledger, finished: FinishedWindow) -> None:
        """Finish a window; what it must have brought is looked up before."""
        expected = self._auditor.expected(ledger, finished)
        held = await self.held(ledger.account, ledger.api, list(expected)) if expected else {}
        missed = [one for one in expected if one not in held or held[one].order is None]
        if missed:
            quarantine = await self.quarantine(ledger.account, ledger.api)
            spoilt = {one.document for one in quarantine}
            missed = [one for one in missed if not is_spoilt(expected[one], spoilt)]
        self._auditor.missed(ledger, finished.window, missed)
        await super().finish(ledger, finished)

    async def ended(
        self, ledger: Ledger, *, covered_until: datetime | None, error: str | None
    ) -> None:
        """Record how far a stream is."""
        await super().ended(ledger, covered_until=covered_until, error=error)
        self._auditor.covered(ledger, covered_until)

    def _commit(self, jobs: Sequence[Any]) -> list[Any]:
        results = super()._commit(jobs)
        self._auditor.look(self._opened())
        return results


class Stored(msgspec.Struct, frozen=True):
    """What is in a store: by account, whether it is a status, and number."""

    documents: dict[tuple[str, bool, str], bytes]
    versions: Counter[tuple[str, ...]]  # of orders with details: account, API, number, digest
    recorded: Counter[tuple[str, ...]]
    sequences: tuple[int, ...]
    quarantine: frozenset[bytes]
    window_count: int

    @classmethod
    def of(cls, path: Path) -> Self:
        """Read it."""
        with closing(sqlite3.connect(path)) as connection:
            rows = connection.execute(_DOCUMENTS).fetchall()
            documents = {
                (account, bool(is_status), number): document.encode()
                for account, is_status, number, document in rows
            }
            spoilt = connection.execute("SELECT CAST(document AS BLOB) FROM quarantine")
            (window_count,) = connection.execute("SELECT count(*) FROM windows").fetchone()
            return cls(
                documents,
                Counter(map(tuple, connection.execute(_VERSIONS))),
                Counter(map(tuple, connection.execute(_TOLD_OF))),
                tuple(one for (one,) in connection.execute(_SEQUENCES)),
                frozenset(bytes(one) for (one,) in spoilt),
                window_count,
            )

    def unrecorded(self) -> list[str]:
        """Return in words which versions were recorded as changes too seldom or too often."""
        keys = sorted(self.versions.keys() | self.recorded.keys())
        return [
            f"{self.recorded[key]} changes tell of {self.versions[key]} versions {key}"
            for key in keys
            if self.versions[key] != self.recorded[key]
        ]
