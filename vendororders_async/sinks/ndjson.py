"""The NDJSON sink: a folder of plain files, one for each finished window."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Self, TypeVar

import msgspec

from .. import clock
from ..errors import SinkError, one_line
from ..pages import Document, Row
from ..windows import FinishedWindow, Window
from . import ndjson_files as files
from .account_lock import AccountLock
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
from .compression import Compression, check
from .damage import EXPORTED
from .ndjson_purge import PurgeableFolder
from .ndjson_quarantine import QUARANTINE, Quarantine
from .ndjson_reader import count_orders, newest_orders, read_states
from .rows import digest_of
from .writer_thread import WriterThread

T = TypeVar("T")


class NdjsonSink(PurgeableFolder):
    """Keeps documents in a folder, as lines that any tool reads.

        async with NdjsonSink("orders") as sink, sink.lock("acme-us"):
            begun_at = await sink.begin(ledger, window)
            written = await sink.write(arrival)
            await sink.finish(ledger, FinishedWindow(window, begun_at))

    A window is written aside, and appears as one file when it is finished. What arrived for
    one that is not finished by the end of the lock (or, after a kill, by the beginning of the
    next) appears then, in a file that claims no window: nothing is ever taken back.

    What is there is not looked up while writing: an order is *new* when this run has not
    written it before, and the newest version is found on reading. Files are private (0600),
    folders too. What appears is compressed as *compression* says; one store may hold all kinds.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        now: Callable[[], datetime] = clock.now,
        read_only: bool = False,
        compression: Compression = Compression.NONE,
    ) -> None:
        check(compression)
        self._root = Path(path)
        self._compression = compression
        self._now = now
        self._read_only = read_only
        self._thread: WriterThread | None = None
        # touched in the thread alone
        self._begun: dict[tuple[Ledger, Window], datetime] = {}
        self._open: dict[Path, str] = {}  # files of windows not finished, and their accounts
        self._unsynced: set[Path] = set()
        self._named: set[str] = set()  # accounts whose folders say whose they are
        self._kept: dict[Ledger, Path] = {}
        self._has_told = False
        self._brought = Brought()

    def __repr__(self) -> str:
        return f"<NdjsonSink {self._root}>"

    async def __aenter__(self) -> Self:
        if self._thread is not None:
            raise SinkError(f"{self._root} is open already")
        self._thread = WriterThread("ndjson")
        try:
            prepare = files.check_store if self._read_only else files.make_store
            await self._run(lambda: prepare(self._root))
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
        lock = AccountLock(self._root / ".locks", account, str(self._root))

        def acquire() -> None:
            lock.acquire()
            self._take_over(account)

        def release() -> None:
            try:
                with files.errors_explained(self._root):
                    self._forget(account)
            except SinkError:
                self._has_told = True
                raise
            finally:
                lock.release()

        held = False
        try:
            await self._change(acquire)
            held = True
            yield
        finally:
            await thread.run_surely(release if held else lock.release)

    async def windows(self, ledger: Ledger) -> list[FinishedWindow]:
        """Return the windows that are finished; one for each time one was read."""

        def job() -> list[FinishedWindow]:
            return [
                finished
                for _, source, finished in files.named_files(self._folder(ledger))
                if finished is not None and source == ledger.source
            ]

        return await self._run(job)

    async def last_success_at(self, account: str) -> datetime | None:
        """Return when something was last written for *account*."""

        def job() -> datetime | None:
            file = files.account_folder(self._root, account) / files.ACCOUNT
            try:
                return datetime.fromtimestamp(file.stat().st_mtime, UTC)
            except FileNotFoundError:
                return None

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
        """Store a page, aside until its window is finished; answer for each in turn."""

        def job() -> list[Written]:
            self._add(arrival)
            written = [self._outcome(arrival, one) for one in arrival.documents]
            self._touch(arrival.ledger.account)
            return written

        return await self._change(job)

    async def finish(self, ledger: Ledger, finished: FinishedWindow) -> None:
        """Give the window's file its name."""

        def job() -> None:
            self._make_folder(ledger)
            folder = self._folder(ledger)
            name = files.window_name(finished, ledger.source)
            partial = folder / files.partial_name(finished.window, ledger.source)
            if partial not in self._open:  # where its lines are gone, it is not finished
                files.append(partial, b"")  # a window may hold nothing
            self._sync()
            self._loosen(files.overlapping(partial, self._open))
            stamp = self._now().timestamp()
            os.utime(partial, (stamp, stamp))
            if any((folder / f"{name}{one}").exists() for one in Compression):
                # read once more within the clock's resolution; a file does not change
                files.adopt(partial, self._now(), self._compression)
            else:
                files.settle_lines(partial, folder / f"{name}{self._compression}")
            self._begun.pop((ledger, finished.window), None)
            self._open.pop(partial, None)
            self._touch(ledger.account)

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
            path = self._folder(ledger) / files.error_name(ledger.source)
            if error is None:
                path.unlink(missing_ok=True)
                return
            self._make_folder(ledger)
            files.replace_file(path, one_line(error).encode("utf-8", "replace"))

        await self._change(job)

    async def quarantine(self, account: str, api: str) -> list[Quarantined]:
        """Return what stands in the quarantine, the oldest first."""
        return await self._run(self._quarantine(account, api).read)

    async def release(self, quarantined: Quarantined) -> None:
        """Take out of the quarantine what could be stored after all."""
        ledger = quarantined.ledger
        quarantine = self._quarantine(ledger.account, ledger.api)

        def job() -> None:
            # where a reader finds it, whatever becomes of this run
            self._loosen([one for one in self._open if one.parent == self._folder(ledger)])
            quarantine.remove(quarantined.digest)

        await self._change(job)

    async def states(self) -> list[StreamState]:
        """Return all streams of all accounts that there are files of."""
        return await self._run(lambda: read_states(self._root))

    async def orders(self) -> AsyncGenerator[list[StoredOrder], None]:
        """Yield every order once, in its newest version, some at a time."""
        thread, sources = self._running(), newest_orders(self._root)
        try:
            while newest := await self._run(lambda: next(sources, None)):
                while batch := await self._run(newest.next):
                    yield batch
        finally:
            # also what was opened for a caller who was cancelled by then
            await thread.run_surely(sources.close)

    async def order_counts(self) -> dict[tuple[str, str], int]:
        """Return how many orders there are, by account and API."""
        return await self._run(lambda: count_orders(self._root))

    async def keep(self, orders: Sequence[StoredOrder]) -> None:
        """Keep *orders* of somebody else's aside, until `settle`; they claim no window."""

        def job() -> None:
            for order in orders:
                ledger = Ledger(order.account, order.api, EXPORTED, EXPORTED)
                if ledger not in self._kept:
                    self._make_folder(ledger)
                    self._kept[ledger] = self._folder(ledger) / f".{EXPORTED}{files.PARTIAL}"
                files.append(self._kept[ledger], files.line_of_order(order))

        await self._change(job)

    async def settle(self) -> None:
        """Let what was kept aside appear, one file an account."""

        def job() -> None:
            for ledger, partial in self._kept.items():
                name = files.loose_name(self._now(), ledger.source) + self._compression
                files.settle_lines(partial, self._folder(ledger) / name)
                self._touch(ledger.account)
            self._kept.clear()

        await self._change(job)

    def _add(self, arrival: Arrival) -> None:
        """Write the lines of *arrival* where its window is."""
        ledger = arrival.ledger
        lines = b"".join(
            files.line_of(ledger.account, ledger.api, arrival.asked_at, one.raw)
            for one in arrival.documents
            if one.content is not None
        )
        self._make_folder(ledger)
        if lines:
            partial = self._folder(ledger) / files.partial_name(arrival.window, ledger.source)
            files.append(partial, lines)
            self._open[partial] = ledger.account
            self._unsynced.add(partial)

    def _outcome(self, arrival: Arrival, document: Document[Row]) -> Written:
        """Say what *document* is to this run, and put it into quarantine where it must go."""
        digest, ledger = digest_of(document.raw), arrival.ledger
        if document.content is None:
            quarantine = self._quarantine(ledger.account, ledger.api)
            reason = document.reason or ""
            is_new = quarantine.add(
                Quarantined(ledger, digest, document.raw, reason, self._now())
            )
            return Written(None, Outcome.QUARANTINED if is_new else Outcome.STANDING)
        return self._brought.add(ledger, document.content, digest)

    def _make_folder(self, ledger: Ledger) -> None:
        """Make the folders that files of *ledger* go into; the account's is named first."""
        folder = self._folder(ledger)
        if ledger.account in self._named and folder.is_dir():
            return
        named = folder.parent.parent / files.ACCOUNT
        files.make_folders(named.parent)
        if not named.exists():
            kept = files.AccountFile(ledger.account)
            files.replace_file(named, msgspec.json.encode(kept))
        self._named.add(ledger.account)
        files.make_folders(folder)

    def _touch(self, account: str) -> None:
        """Note that something was written for *account* now."""
        stamp = self._now().timestamp()
        os.utime(files.account_folder(self._root, account) / files.ACCOUNT, (stamp, stamp))

    def _folder(self, ledger: Ledger) -> Path:
        return files.stream_folder(self._root, ledger)

    def _quarantine(self, account: str, api: str) -> Quarantine:
        folder = files.account_folder(self._root, account) / files.safe(api) / QUARANTINE
        return Quarantine(folder, account, api)

    def _sync(self) -> None:
        """Wait until the disk has all that was written: no window outlives what came before."""
        for partial in tuple(self._unsynced):
            files.sync(partial)
            self._unsynced.discard(partial)

    def _take_over(self, account: str) -> None:
        """Keep the whole lines that a killed run left, and remove what else it did."""
        folder = files.account_folder(self._root, account)
        for partial in sorted(folder.rglob(f"*{files.PARTIAL}")):
            if partial.name.endswith(f"{files.SUFFIX}{files.PARTIAL}"):
                files.adopt(partial, self._now(), self._compression)
            else:
                partial.unlink()

    def _close(self) -> None:
        # what cannot be let go of stays for the next run, and whoever held the lock knows it
        with suppress(*[SinkError] * self._has_told), files.errors_explained(self._root):
            self._forget()

    def _loosen(self, partials: Sequence[Path]) -> None:
        """Let what is in *partials* appear in files that claim no window."""
        for partial in partials:
            del self._open[partial]
            self._unsynced.discard(partial)
            files.adopt(partial, self._now(), self._compression)

    def _forget(self, account: str | None = None) -> None:
        """Let go of the windows that are not finished, those of *account* or all."""
        for key in [key for key in self._begun if account in {None, key[0].account}]:
            del self._begun[key]
        left = [one for one, owner in self._open.items() if account in {None, owner}]
        if left:
            files.check_still_there(self._root)
        self._loosen(left)
        for ledger in [one for one in self._kept if account in {None, one.account}]:
            self._kept.pop(ledger).unlink(missing_ok=True)

    async def _run(self, job: Callable[[], T]) -> T:
        """Return what *job* returns, in the thread."""

        def guarded() -> T:
            with files.errors_explained(self._root):
                return job()

        return await self._running().run(guarded)

    async def _change(self, job: Callable[[], T]) -> T:
        """Do the same with what changes the store."""
        if self._read_only:
            raise SinkError(f"cannot use {self._root}: it is open for reading")

        def checked() -> T:
            files.check_still_there(self._root)
            return job()

        return await self._run(checked)

    def _running(self) -> WriterThread:
        if self._thread is None:
            raise SinkError(f"{self._root} is not open")
        return self._thread
