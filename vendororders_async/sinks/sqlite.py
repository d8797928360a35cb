"""The SQLite sink: one file, readable by anything, written by one thread."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Self, TypeVar

from .. import clock
from ..changes import Change
from ..clock import format_stored, parse_instant
from ..errors import SinkError
from ..operations import RETAIL_API
from ..windows import FinishedWindow, Window
from . import sqlite_changes as changes
from . import sqlite_followed as followed
from . import sqlite_ledger as ledgers
from . import sqlite_purge as purges
from . import sqlite_reader as readers
from . import sqlite_submissions as submitted
from .account_lock import AccountLock
from .base import (
    Arrival,
    Held,
    Ledger,
    PendingOrder,
    Purged,
    Quarantined,
    StoredOrder,
    StreamState,
    Submission,
    Written,
)
from .followed import MOST_CHANGES, RequestRate, UnfinishedOrder
from .group_commit import GroupCommit
from .rows import ORDER_TYPES
from .sqlite_file import Job, errors_explained, is_busy, open_database, still_there, transaction
from .sqlite_pages import PageWriter
from .writer_thread import WriterThread

T = TypeVar("T")

_QUARANTINE = """
SELECT stream, source, digest, document, reason, first_seen_at FROM quarantine
WHERE account = ? AND api = ?
ORDER BY first_seen_at, digest
"""

_RELEASE = "DELETE FROM quarantine WHERE account = ? AND api = ? AND digest = ?"


class SqliteSink:
    """Keeps orders in an SQLite database, in the tables that the README describes.

        async with SqliteSink("orders.db") as sink, sink.lock("acme-us"):
            written = await sink.write(arrival)

    Others may read the file meanwhile (it is in WAL mode); its mode is 0600. Every method
    raises `SinkError`, in one line, when the file cannot be used. *now* stamps the rows.
    With *read_only* the file must be there, and nothing in it changes.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        now: Callable[[], datetime] = clock.now,
        read_only: bool = False,
    ) -> None:
        self._path = Path(path).expanduser()
        self._open_file = readers.open_to_read if read_only else open_database
        self._now = now
        self._thread: WriterThread | None = None
        self._changes: GroupCommit[Job[Any]] | None = None
        self._connection: sqlite3.Connection | None = None  # touched in the thread alone

    def __repr__(self) -> str:
        return f"<SqliteSink {self._path}>"

    async def __aenter__(self) -> Self:
        if self._thread is not None:
            raise SinkError(f"{self._path} is open already")
        self._thread = thread = WriterThread("sqlite")
        self._changes = GroupCommit(
            lambda jobs: thread.start(lambda: self._commit(jobs)),
            # to wait for another program's lock once more, job by job, would take for ever
            is_everybodys=is_busy,
        )
        try:
            await self._thread.run(self._open)
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        thread, self._thread = self._thread, None
        changes, self._changes = self._changes, None
        if thread is not None and changes is not None:
            try:
                await changes.flush()
            finally:
                await thread.close(self._close)

    @asynccontextmanager
    async def lock(self, account: str) -> AsyncIterator[None]:
        """Keep other runs, in this process and in others, from writing for *account*."""
        async with AsyncExitStack() as stack:
            for api in ORDER_TYPES:
                await stack.enter_async_context(self.lock_api(account, api))
            yield

    @asynccontextmanager
    async def lock_api(self, account: str, api: str) -> AsyncIterator[None]:
        """Keep other runs from writing for *account* in *api*."""
        thread = self._running()
        # one file has one lock, whatever links lead to it
        file = await thread.run(self._path.resolve)
        # retail's is named as earlier versions named the account's
        part = "" if api == RETAIL_API else api
        folder = file.with_name(f"{file.name}.locks")
        lock = AccountLock(folder, account, str(self._path), part)
        try:
            await thread.run(lock.acquire)
            yield
        finally:
            await thread.run_surely(lock.release)

    async def windows(self, ledger: Ledger) -> list[FinishedWindow]:
        """Return the windows that are finished."""
        return await self._read(lambda connection: ledgers.finished_windows(connection, ledger))

    async def last_success_at(self, account: str) -> datetime | None:
        """Return when something was last written for *account*, whatever its source."""
        return await self._read(lambda connection: ledgers.last_success(connection, account))

    async def begin(self, ledger: Ledger, window: Window) -> datetime:
        """Note that a window is begun now, and return since when it is being read."""
        now = self._now()
        return await self._change(
            lambda connection: ledgers.begin_window(connection, ledger, window, now)
        )

    async def fresh(
        self, account: str, api: str, numbers: Sequence[str], since: datetime
    ) -> frozenset[str]:
        """Return those of *numbers* whose details were asked for and stored since then."""
        return await self._read(
            lambda connection: ledgers.fresh_numbers(connection, account, api, numbers, since)
        )

    async def write(self, arrival: Arrival) -> list[Written]:
        """Store a page as a whole or not at all; answer for each document in turn.

        Pages that are written at the same time share a transaction, but not their fate.
        """

        def job(connection: sqlite3.Connection) -> list[Written]:
            stamp = self._stamp()
            written = PageWriter(connection, arrival, stamp).write()
            ledgers.note_success(connection, arrival.ledger, stamp)
            return written

        return await self._change(job)

    async def finish(self, ledger: Ledger, finished: FinishedWindow) -> None:
        """Record that all pages of a window are stored."""
        await self._change(
            lambda connection: ledgers.finish_window(
                connection, ledger, finished, self._stamp()
            )
        )

    async def ended(
        self, ledger: Ledger, *, covered_until: datetime | None, error: str | None
    ) -> None:
        """Record how a run over a stream ended: how far it is unbroken, and why no further."""
        await self._change(
            lambda connection: ledgers.note_end(connection, ledger, covered_until, error)
        )

    async def quarantine(self, account: str, api: str) -> list[Quarantined]:
        """Return what stands in the quarantine, the oldest first."""

        def job(connection: sqlite3.Connection) -> list[Quarantined]:
            return [
                Quarantined(
                    ledger=Ledger(account, api, stream, source),
                    digest=digest,
                    document=document.encode() if isinstance(document, str) else document,
                    reason=reason,
                    first_seen_at=parse_instant(first_seen_at),
                )
                for stream, source, digest, document, reason, first_seen_at in (
                    connection.execute(_QUARANTINE, (account, api))
                )
            ]

        return await self._read(job)

    async def states(self) -> list[StreamState]:
        """Return all streams of all accounts that the store knows of."""
        return await self._read(readers.read_states)

    async def orders(self) -> AsyncGenerator[list[StoredOrder], None]:
        """Yield every order once, in its newest version, some at a time."""
        last: StoredOrder | None = None
        while batch := await self._read(partial(readers.read_orders, last=last)):
            yield batch
            last = batch[-1]

    async def order_counts(self) -> dict[tuple[str, str], int]:
        """Return how many orders there are, by account and API."""
        return await self._read(readers.count_orders)

    async def release(self, quarantined: Quarantined) -> None:
        """Take out of the quarantine what could be stored after all."""
        ledger = quarantined.ledger
        key = (ledger.account, ledger.api, quarantined.digest)
        await self._change(lambda connection: connection.execute(_RELEASE, key))

    async def record(self, submissions: Sequence[Submission]) -> None:
        """Record *submissions*, all or none, so that not even a power cut takes them back."""

        def job() -> None:
            self._check_still_there()
            submitted.record(self._opened(), submissions, self._stamp())

        # past the groups: what they share is no more durable than a page has to be
        with errors_explained(self._path):
            await self._running().run(job)

    async def submissions(
        self, account: str, api: str, numbers: Sequence[str] | None = None
    ) -> list[Submission]:
        """Return what was submitted for *numbers*, or for all orders, the oldest first."""
        return await self._read(
            lambda connection: submitted.read_submissions(connection, account, api, numbers)
        )

    async def held(self, account: str, api: str, numbers: Sequence[str]) -> dict[str, Held]:
        """Return the newest documents of *numbers*, by number."""
        return await self._read(
            lambda connection: submitted.read_held(connection, account, api, numbers)
        )

    async def note_account(self, account: str, acknowledge_within: timedelta) -> None:
        """Remember how long *account* may take to acknowledge an order."""
        await self._change(
            lambda connection: submitted.note_account(connection, account, acknowledge_within)
        )

    async def pending(self) -> list[PendingOrder]:
        """Return what is in the view ``to_acknowledge``, the most urgent first."""
        return await self._read(submitted.read_pending)

    async def changes(
        self,
        after: int,
        limit: int = MOST_CHANGES,
        *,
        api: str | None = None,
        accounts: Sequence[str] | None = None,
    ) -> list[Change]:
        """Return what was recorded after the sequence number *after*, the oldest first."""
        return await self._read(
            lambda connection: changes.hand_out(
                connection, after, limit, api=api, accounts=accounts
            )
        )

    async def last_change(self) -> int:
        """Return the last sequence number that was given, 0 before the first."""
        return await self._read(changes.last)

    async def consumed(self, consumer: str, api: str) -> dict[str, int]:
        """Return the last sequence number that *consumer* has seen, by account."""
        return await self._read(lambda connection: changes.consumed(connection, consumer, api))

    async def consume(self, consumer: str, api: str, places: Mapping[str, int]) -> None:
        """Remember up to where *consumer* has seen all, by account; none ever goes back."""
        await self._change(
            lambda connection: changes.consume(connection, consumer, api, places, self._stamp())
        )

    async def known_states(
        self, account: str, api: str, numbers: Sequence[str]
    ) -> dict[str, str | None]:
        """Return the state of each of *numbers* whose details are stored."""
        return await self._read(
            lambda connection: followed.known_states(connection, account, api, numbers)
        )

    async def outdated(self, account: str, api: str, limit: int = 100) -> list[str]:
        """Return orders to be read again, the longest waiting first."""
        return await self._read(
            lambda connection: followed.outdated(connection, account, api, limit)
        )

    async def forgo(self, account: str, api: str, number: str, asked_at: datetime) -> None:
        """Let *number* be read again no more, unless its status moved after *asked_at*."""
        await self._change(
            lambda connection: followed.forgo(connection, account, api, number, asked_at)
        )

    async def unfinished(
        self, account: str, api: str, final_states: Sequence[str]
    ) -> list[UnfinishedOrder]:
        """Return the orders with details whose state is none of *final_states*."""
        return await self._read(
            lambda connection: followed.unfinished(connection, account, api, final_states)
        )

    async def note_requests(
        self, account: str, api: str, rates: Mapping[str, float], measured_at: datetime
    ) -> None:
        """Remember what following costs, in the place of what was measured before."""
        await self._change(
            lambda connection: followed.note_requests(
                connection, account, api, rates, measured_at
            )
        )

    async def request_rates(self) -> list[RequestRate]:
        """Return what following costs, as it was last measured."""
        return await self._read(followed.request_rates)

    async def accounts(self) -> frozenset[str]:
        """Return the accounts of which anything is kept, or was until the next `scrub`."""
        return await self._read(purges.accounts_in)

    async def purge_account(self, account: str, *, dry_run: bool = False) -> Purged:
        """Remove everything about *account*; with *dry_run* only count it."""
        if dry_run:
            return await self._read(
                lambda connection: purges.count_account(connection, account)
            )
        return await purges.purge_account(self._change, account)

    async def purge_people(
        self, account: str, before: datetime, *, dry_run: bool = False
    ) -> Purged:
        """Redact what *account* was ordered before then; with *dry_run* only count it."""
        people = purges.People(account, before, self._stamp, dry_run)
        return await people.purge(self._read if dry_run else self._change)

    async def scrub(self) -> None:
        """Write the file anew without what was deleted, and empty its write-ahead log."""
        await self._read(purges.scrub)

    async def _read(self, job: Callable[[sqlite3.Connection], T]) -> T:
        """Return what *job* makes of the connection, in the thread."""
        with errors_explained(self._path):
            return await self._running().run(lambda: job(self._opened()))

    async def _change(self, job: Job[T]) -> T:
        """Return what *job* makes of the connection, in the thread, once it is committed."""
        if self._changes is None:
            raise SinkError(f"{self._path} is not open")
        with errors_explained(self._path):
            result: T = await self._changes.run(job)
            return result

    def _commit(self, jobs: Sequence[Job[Any]]) -> list[Any]:
        connection = self._opened()
        with transaction(connection):
            self._check_still_there()
            return [job(connection) for job in jobs]

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            raise SinkError(f"{self._path} is not open")
        return self._connection

    def _running(self) -> WriterThread:
        if self._thread is None:
            raise SinkError(f"{self._path} is not open")
        return self._thread

    def _open(self) -> None:
        with errors_explained(self._path):
            self._connection = self._open_file(self._path)
        self._check_still_there = still_there(self._path)

    def _close(self) -> None:
        if self._connection is not None:
            with errors_explained(self._path):
                self._connection.close()
            self._connection = None

    def _stamp(self) -> str:
        return format_stored(self._now())
