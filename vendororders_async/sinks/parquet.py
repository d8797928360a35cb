"""The Parquet sink: a typed file for each finished window, on disk or in a bucket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Self, TypeVar

import msgspec

from .. import clock
from ..errors import SinkError, one_line
from ..pages import Document, Row
from ..windows import FinishedWindow, Window
from . import ndjson_files as files
from . import parquet_names as names
from .base import (
    Arrival,
    Ledger,
    Outcome,
    Quarantined,
    StoredOrder,
    StreamState,
    Written,
)
from .brought import Brought
from .ndjson_quarantine import quarantine_file
from .parquet_objects import shelf_of
from .parquet_purge import PurgeableStore
from .parquet_reader import count_orders, newest_orders, read_quarantine, read_states
from .parquet_shelf import Shelf, explained
from .parquet_spool import holds_statuses, spool_line, write_table
from .rows import digest_of
from .writer_thread import WriterThread

T = TypeVar("T")


class ParquetSink(PurgeableStore):
    """Keeps documents and what they say in columns, as files that any engine reads.

        async with ParquetSink("s3://lake/orders") as sink, sink.lock("acme-us"):
            begun_at = await sink.begin(ledger, window)
            written = await sink.write(arrival)
            await sink.finish(ledger, FinishedWindow(window, begun_at))

    *place* is a folder, a URL, or a `Shelf`. A window is spooled on the disk and appears as one
    file when it is finished; that file is all that says so. What arrived for one that is not
    finished by the end of the lock (on disk, after a kill: by the beginning of the next)
    appears then, in a file that claims no window.

    An order is asked for once, whatever number of windows list it, so a finished window may
    count on what lies in the spool of another. On disk that is safe before the window is. In
    a bucket it would die with this process, so it goes along: into the window's own file if
    it is of the same stream, else into a loose one that is there before.

    As in `NdjsonSink`, an order is *new* when this run has not written it before, and the
    newest version is found on reading.
    """

    def __init__(
        self,
        place: str | Path | Shelf,
        *,
        now: Callable[[], datetime] = clock.now,
        read_only: bool = False,
    ) -> None:
        self._shelf = shelf_of(place) if isinstance(place, str | Path) else place
        self._now = now
        self._read_only = read_only
        self._thread: WriterThread | None = None
        # touched in the thread alone
        self._begun: dict[tuple[Ledger, Window], datetime] = {}
        self._open: dict[Path, Ledger] = {}  # spools of windows that are not finished
        self._unsynced: set[Path] = set()
        self._named: set[str] = set()  # accounts whose names are stored
        self._wrote: dict[str, datetime] = {}
        self._has_told = False  # what was not let go of is known to whoever held the lock
        self._brought = Brought()

    def __repr__(self) -> str:
        return f"<ParquetSink {self._shelf.name}>"

    async def __aenter__(self) -> Self:
        if self._thread is not None:
            raise SinkError(f"{self._shelf.name} is open already")
        self._thread = WriterThread("parquet")
        try:
            await self._run(lambda: self._shelf.open(read_only=self._read_only))
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        thread, self._thread = self._thread, None
        if thread is not None:
            await thread.close(self._close)

    @asynccontextmanager
    async def lock(self, account: str) -> AsyncIterator[None]:
        """Keep other runs, in this process and in others, from writing for *account*."""
        thread = self._running()
        self._check_writable()
        async with self._shelf.locked(account, thread):
            is_cancelled = False
            try:
                await self._change(lambda: self._take_over(account))
                yield
            except asyncio.CancelledError:
                is_cancelled = True
                raise
            finally:
                # What fails now is tried again on closing, or by whoever takes over.
                try:
                    await thread.run_surely(lambda: self._forget(account))
                except SinkError:
                    self._has_told = not is_cancelled
                    if self._has_told:
                        raise

    async def windows(self, ledger: Ledger) -> list[FinishedWindow]:
        """Return the windows that are finished; one for each time one was read."""

        def job() -> list[FinishedWindow]:
            entries = sorted(self._shelf.entries(names.stream_key(ledger)))
            known = [names.source_of(one.key.rpartition("/")[2]) for one in entries]
            return [one[1] for one in known if one and one[0] == ledger.source and one[1]]

        return await self._run(job)

    async def last_success_at(self, account: str) -> datetime | None:
        """Return when something was last written for *account*."""

        def job() -> datetime | None:
            entries = self._shelf.entries(names.account_key(account))
            times = [
                one.written_at
                for one in entries
                if not one.key.rpartition("/")[2].startswith(f"{files.ERROR}_")
            ]
            return self._wrote.get(account) or max(times, default=None)

        return await self._run(job)

    async def begin(self, ledger: Ledger, window: Window) -> datetime:
        """Note that a window is begun, and return when; a killed run's is begun anew."""
        return await self._change(lambda: self._begun.setdefault((ledger, window), self._now()))

    async def fresh(
        self, account: str, api: str, numbers: Sequence[str], since: datetime
    ) -> frozenset[str]:
        """Return nothing: a window that was not finished is read again as a whole."""
        del account, api, numbers, since
        return frozenset()

    async def write(self, arrival: Arrival) -> list[Written]:
        """Spool a page until its window is finished; answer for each document in turn."""

        def job() -> list[Written]:
            ledger = arrival.ledger
            self._name_account(ledger.account)
            digests = [digest_of(one.raw) for one in arrival.documents]
            self._spool(arrival, digests)
            self._wrote[ledger.account] = self._now()
            return [
                self._outcome(arrival, one, digest)
                for one, digest in zip(arrival.documents, digests, strict=True)
            ]

        return await self._change(job)

    async def finish(self, ledger: Ledger, finished: FinishedWindow) -> None:
        """Let the window's file appear."""

        def job() -> None:
            self._name_account(ledger.account)
            own = self._partial(ledger, finished.window)
            spools = [own] if own in self._open else []
            if self._shelf.keeps_spool:
                self._sync()
                self._loosen(files.overlapping(own, self._open))
            else:
                spools += self._carry(own, ledger)
            key = names.window_key(ledger, finished)
            if not self._shelf.has(key):
                self._publish(spools, ledger, key)
            elif spools:  # read once more within the clock's resolution: a file does not change
                self._publish(spools, ledger, names.loose_key(ledger, self._now()))
            self._begun.pop((ledger, finished.window), None)
            self._wrote[ledger.account] = self._now()

        await self._change(job)

    async def ended(
        self,
        ledger: Ledger,
        *,
        covered_until: datetime | None,  # noqa: ARG002 - the files themselves say it
        error: str | None,
    ) -> None:
        """Record how a run over a stream ended: why it went no further, if it did not."""

        def job() -> None:
            key = names.error_key(ledger)
            if error is None:
                self._shelf.remove(key)
                return
            self._name_account(ledger.account)
            self._shelf.put(key, one_line(error).encode("utf-8", "replace"))

        await self._change(job)

    async def quarantine(self, account: str, api: str) -> list[Quarantined]:
        """Return what stands in the quarantine, the oldest first."""
        return await self._run(lambda: read_quarantine(self._shelf, account, api))

    async def release(self, quarantined: Quarantined) -> None:
        """Take out of the quarantine what could be stored after all."""
        ledger = quarantined.ledger
        folder = names.quarantine_key(ledger.account, ledger.api)

        def job() -> None:
            # where a reader finds it, whatever becomes of this run
            self._loosen([one for one, owner in self._open.items() if owner == ledger])
            self._shelf.remove(f"{folder}/{quarantined.digest}")

        await self._change(job)

    async def states(self) -> list[StreamState]:
        """Return all streams of all accounts that there are files of."""
        return await self._run(lambda: read_states(self._shelf))

    async def orders(self) -> AsyncGenerator[list[StoredOrder], None]:
        """Yield every order once, in its newest version, some at a time."""
        thread, sources = self._running(), newest_orders(self._shelf)
        try:
            while newest := await self._run(lambda: next(sources, None)):
                while batch := await self._run(newest.next):
                    yield batch
        finally:
            # also what was opened for a caller who was cancelled by then
            await thread.run_surely(sources.close)

    async def order_counts(self) -> dict[tuple[str, str], int]:
        """Return how many orders there are, by account and API."""
        return await self._run(lambda: count_orders(self._shelf))

    def _name_account(self, account: str) -> None:
        """Store what the folder of *account* cannot be called."""
        if account not in self._named:
            key = f"{names.account_key(account)}/{files.ACCOUNT}"
            if not self._shelf.has(key):
                self._shelf.put(key, msgspec.json.encode(files.AccountFile(account)))
            self._named.add(account)

    def _spool(self, arrival: Arrival, digests: Sequence[str]) -> None:
        lines = b"".join(
            spool_line(one.content.purchase_order_number, digest, arrival.asked_at, one.raw)
            for one, digest in zip(arrival.documents, digests, strict=True)
            if one.content is not None
        )
        if lines:
            partial = self._partial(arrival.ledger, arrival.window)
            files.make_folders(partial.parent)
            files.append(partial, lines)
            self._open[partial] = arrival.ledger
            self._unsynced.add(partial)

    def _outcome(self, arrival: Arrival, document: Document[Row], digest: str) -> Written:
        """Say what *document* is to this run, and put it into quarantine where it must go."""
        ledger = arrival.ledger
        if document.content is None:
            key = f"{names.quarantine_key(ledger.account, ledger.api)}/{digest}"
            if self._shelf.has(key):
                return Written(None, Outcome.STANDING)
            reason = document.reason or ""
            held = Quarantined(ledger, digest, document.raw, reason, self._now())
            self._shelf.put(key, quarantine_file(held))
            return Written(None, Outcome.QUARANTINED)
        return self._brought.add(ledger, document.content, digest)

    def _carry(self, own: Path, ledger: Ledger) -> list[Path]:
        """Return what of the same stream goes along with a window; make the rest durable."""
        if holds_statuses(ledger):
            return []  # nobody counts on another's status, nor a status on an order
        others = [
            one
            for one, owner in self._open.items()
            if one != own
            and (owner.account, owner.api) == (ledger.account, ledger.api)
            and not holds_statuses(owner)
        ]
        carried = [one for one in others if self._open[one] == ledger]
        self._loosen([one for one in others if one not in carried])
        return carried

    def _loosen(self, spools: Sequence[Path]) -> None:
        """Let what is in *spools* appear in files that claim no window, one a stream."""
        by_ledger: dict[Ledger, list[Path]] = {}
        for one in spools:
            by_ledger.setdefault(self._open[one], []).append(one)
        for ledger, of_stream in by_ledger.items():
            self._publish(of_stream, ledger, names.loose_key(ledger, self._now()))

    def _publish(self, spools: Sequence[Path], ledger: Ledger, key: str) -> None:
        """Make one file of *spools*, and forget them."""
        aside = self._shelf.aside(key)
        files.make_folders(aside.parent)
        aside.unlink(missing_ok=True)
        try:
            write_table(aside, ledger, spools)
            self._shelf.publish(aside, key, self._now())
        except BaseException:
            aside.unlink(missing_ok=True)
            raise
        for spool in spools:  # until then it is there twice, which does not matter
            spool.unlink()
            self._open.pop(spool, None)
            self._unsynced.discard(spool)

    def _partial(self, ledger: Ledger, window: Window) -> Path:
        folder = files.stream_folder(self._shelf.spool, ledger)
        return folder / files.partial_name(window, ledger.source)

    def _sync(self) -> None:
        """Wait until the disk has all that was spooled; a window may count on any of it."""
        for partial in tuple(self._unsynced):
            files.sync(partial)
            self._unsynced.discard(partial)

    def _take_over(self, account: str) -> None:
        """Keep the whole lines that a killed run left, and remove what else it did."""
        folder = files.account_folder(self._shelf.spool, account)
        for partial in sorted(folder.rglob(f"*{files.PARTIAL}")):
            if not partial.name.endswith(f"{files.SUFFIX}{files.PARTIAL}"):
                partial.unlink()
            elif files.cut_torn_line(partial):
                source, _ = files.parse_name(partial.name[1:].removesuffix(files.PARTIAL))
                self._open[partial] = files.ledger_of(account, partial, source)
                self._loosen([partial])
            else:
                partial.unlink()

    def _close(self) -> None:
        try:
            with suppress(*[SinkError] * self._has_told):
                self._forget()
        finally:
            self._shelf.close()

    def _forget(self, account: str | None = None) -> None:
        """Let go of the windows that are not finished, those of *account* or all."""
        for key in [key for key in self._begun if account in {None, key[0].account}]:
            del self._begun[key]
        left = [one for one, owner in self._open.items() if account in {None, owner.account}]
        if left:
            self._shelf.check_still_there()
        with explained(self._shelf.name):
            self._loosen(left)

    async def _run(self, job: Callable[[], T]) -> T:
        """Return what *job* returns, in the thread."""

        def guarded() -> T:
            with explained(self._shelf.name):
                return job()

        return await self._running().run(guarded)

    async def _change(self, job: Callable[[], T]) -> T:
        """Do the same with what changes the store."""
        self._check_writable()

        def checked() -> T:
            self._shelf.check_still_there()
            return job()

        return await self._run(checked)

    def _check_writable(self) -> None:
        if self._read_only:
            raise SinkError(f"cannot use {self._shelf.name}: it is open for reading")

    def _running(self) -> WriterThread:
        if self._thread is None:
            raise SinkError(f"{self._shelf.name} is not open")
        return self._thread
