"""Accounts followed for months on virtual time: Amazon, our sync, and what befalls both.

async with Following(folder, Settings(orders=20), Course()) as scene:
    scene.start()
    scene.amazon.arrive()
    await scene.settle()
    assert scene.differences() == []
"""

from __future__ import annotations

import asyncio
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import aclosing, suppress
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec
from amazons_side import AmazonsSide
from audited_sink import AuditedSink, Auditor, Stored
from fakes import virtual_clock, virtual_now
from in_process import InProcess
from spoilt import is_spoilt
from virtual_time import VirtualTimeLoop

from vendororders_async.changes import Change
from vendororders_async.jobs.backfill import Backfill
from vendororders_async.jobs.course import Course
from vendororders_async.jobs.sync import Sync
from vendororders_async.operations import RETAIL_API
from vendororders_async.simulator import Settings, Simulator
from vendororders_async.sinks.base import Ledger
from vendororders_async.telemetry import Observer
from vendororders_async.windows import SETTLING, FinishedWindow

_LONGEST_STOP = 30.0  # seconds; what is in hand is finished, and nothing begun
_STAYS = 8.0  # seconds
_LONGEST_WAIT = 86_400.0  # seconds; what is not told by then never will be


class Reader:
    """Somebody who reads the changes, and keeps their numbers, and when each came.

    A *consumer* lets the sink remember how far it is, and takes *seconds* over what it is
    handed; without a name it remembers that itself. One who comes *every* so many seconds
    stays for a few: whoever stays for months wakes as often as a sweep does.
    """

    def __init__(
        self, consumer: str | None = None, *, seconds: float = 0.0, every: float | None = None
    ) -> None:
        self.sequences: list[int] = []
        self.first_seen_at: dict[tuple[str, str], datetime] = {}  # by number and kind
        self._consumer, self._seconds, self._every = consumer, seconds, every

    async def read(self, job: Sync) -> None:
        """Read until *job* has ended, or this is cancelled."""
        if self._every is None:
            await self._read(job)
            return
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(_STAYS):
                    await self._read(job)
                return
            await asyncio.sleep(self._every)

    async def _read(self, job: Sync) -> None:
        after = None
        if self._consumer is None:
            after = self.sequences[-1] if self.sequences else 0
        changes = job.changes(consumer=self._consumer, after=after)
        async with aclosing(changes):
            async for batch in changes:
                await asyncio.sleep(self._seconds)
                self._take(batch)

    def _take(self, batch: Iterable[Change]) -> None:
        for change in batch:
            self.sequences.append(change.sequence)
            key = (change.purchase_order_number, type(change).__name__)
            self.first_seen_at.setdefault(key, virtual_now())


class Following:
    """A simulator, a sync of its accounts, and two who read its changes.

    Amazon's clock is the loop's, ours can be set. The *attentive* reader
    never dies, the *mortal* one does with its sync.
    """

    def __init__(
        self,
        folder: Path,
        settings: Settings,
        course: Course,
        *,
        observer: Observer | None = None,
        readers_every: float | None = None,
    ) -> None:
        amazons_now = virtual_clock()
        settings = msgspec.structs.replace(settings, anchor=settings.anchor or amazons_now())
        self.simulator = Simulator(settings, now=amazons_now)
        self.amazon = AmazonsSide(self.simulator, course.api.name)
        self.transport = InProcess(self.simulator, before_answer=self._before_answer)
        self.attentive = Reader(every=readers_every)
        self.mortal = Reader("mortal", seconds=5.0, every=readers_every)
        self.auditor = Auditor(
            ours=self.transport.now, amazons=amazons_now, expected=self._expected
        )
        self._course, self._observer = course, observer
        self._folder, self._generations = folder, count(1)
        self._at_next_page: list[Callable[[], object]] = []
        self._job: Sync | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self.path = self._next_path()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def job(self) -> Sync:
        """The sync that runs."""
        assert self._job is not None
        return self._job

    def start(self, **changes: Any) -> None:
        """Start a sync, with *changes* to its course."""
        course = msgspec.structs.replace(self._course, **changes)
        sink = self._sink()
        self._job = Sync(
            self.transport.accounts,
            course,
            to=sink,
            observer=self._observer,
            transport=self.transport,
            now=self.transport.now,
        )
        self._tasks = [
            asyncio.create_task(_run(sink, self._job)),
            asyncio.create_task(self.attentive.read(self._job)),
            asyncio.create_task(self.mortal.read(self._job)),
        ]

    async def stop(self) -> None:
        """End the sync in order; the attentive reader gets what is left, the mortal not."""
        run, attentive, mortal = self._tasks
        self.job.stop()
        mortal.cancel()
        async with asyncio.timeout(_LONGEST_STOP):
            await run
        await asyncio.wait([attentive], timeout=1.0)
        attentive.cancel()
        await self._leave(attentive, mortal)

    async def kill(self) -> None:
        """End the sync as kill -9 does: what was committed by now is all that there is."""
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualTimeLoop)
        while loop.jobs_running:  # noqa: ASYNC110 - it tells nobody when they end
            await asyncio.sleep(0)
        for task in self._tasks:
            task.cancel()
        path = self._next_path()
        for suffix in ("", "-wal"):
            with suppress(FileNotFoundError):
                shutil.copyfile(f"{self.path}{suffix}", f"{path}{suffix}")
        self.auditor, self.path = self.auditor.twin(), path
        await self._leave(*self._tasks)

    async def once(self) -> None:
        """Run every sweep once, until it ends by itself and all is read of it."""
        self.start(once=True)
        await asyncio.gather(*self._tasks)
        await self._leave()

    async def backfill(self) -> None:
        """Run a backfill into the same sink while no sync runs, up to what is surely past."""
        certain = min(self.simulator.now(), self.transport.now())
        reading = msgspec.structs.replace(self._course.reading(), until=certain - SETTLING)
        async with self._sink() as sink:
            await Backfill(
                self.transport.accounts,
                reading,
                to=sink,
                transport=self.transport,
                now=self.transport.now,
            ).run()

    def set_clock(self, ahead: timedelta) -> None:
        """Set our clock so far ahead of Amazon's."""
        self.auditor.see_clock()
        self.transport.offset = ahead

    async def pass_time(self, **length: float) -> None:
        """Let time go by: ``hours=3`` and so on."""
        await asyncio.sleep(timedelta(**length).total_seconds())

    async def settle(self) -> None:
        """Let what is wrong end, and all that lags behind catch up; then stop."""
        self.transport.outage = ""
        longest = max(self._course.beat(stream).quiet for stream in self._course.chosen())
        await self.pass_time(hours=1, seconds=2 * longest)
        await asyncio.sleep(1.2 * self._course.deep_every.total_seconds())
        if self._course.api.name != RETAIL_API:  # what should have shipped is read seldom
            await self.pass_time(hours=6)
        await self.stop()

    def at_next_page(self, happening: Callable[[], object], *, seconds: float = 0.0) -> None:
        """Let *happening* happen so long after the next page was asked for, or just before."""
        loop = asyncio.get_running_loop()
        if seconds:
            self._at_next_page.append(lambda: loop.call_later(seconds, happening))
        else:
            self._at_next_page.append(happening)

    def differences(self, *, is_spoilt_allowed: bool = False) -> list[str]:
        """Say in words where the sink is not as Amazon has it, and what was not told.

        Where that *is_spoilt_allowed*, an order may be in quarantine, as a fault spoilt it.
        """
        stored = Stored.of(self.path)
        truth = {
            (account.name, is_status, number): document
            for account in self.simulator.accounts
            for is_status, documents in (
                (False, self.amazon.truth(account.name)),
                (True, self.amazon.statuses(account.name)),
            )
            for number, document in documents.items()
        }
        found = [*self.auditor.broken, *stored.unrecorded()]
        differing = {
            key
            for key in truth.keys() | stored.documents.keys()
            if truth.get(key) != stored.documents.get(key)
        }
        excused = {
            key for key in differing & truth.keys() if is_spoilt(truth[key], stored.quarantine)
        }
        found += [
            f"{key} is {'not as Amazon has it' if key in stored.documents else 'missing'}"
            for key in sorted(differing - excused)
        ]
        if stored.quarantine and not is_spoilt_allowed:
            found.append(f"{len(stored.quarantine)} documents are in quarantine")
        return found + self._untold(stored.sequences)

    async def told_at(self, number: str, kind: str) -> datetime:
        """Wait until the attentive reader knows of a change, and return when it was told.

        Raises:
            TimeoutError: a day later he still does not.
        """
        async with asyncio.timeout(_LONGEST_WAIT):
            while (number, kind) not in self.attentive.first_seen_at:  # noqa: ASYNC110 - time is virtual
                await asyncio.sleep(1.0)
        return self.attentive.first_seen_at[number, kind]

    def _untold(self, sequences: Sequence[int]) -> list[str]:
        told = Counter(self.attentive.sequences)
        found = [f"change {one} came {told[one]} times" for one in sequences if told[one] != 1]
        if self.attentive.sequences != sorted(self.attentive.sequences):
            found.append("changes came out of order")
        skipped = sorted(set(sequences) - set(self.mortal.sequences))
        return found + [f"change {one} was skipped" for one in skipped]

    def _expected(self, ledger: Ledger, finished: FinishedWindow) -> dict[str, bytes]:
        """Return the orders that could be seen when a window was read, and belong to it."""
        if ledger.stream != "created":
            return {}
        amazon, window = self.amazon, finished.window
        truth = amazon.truth(ledger.account, after=window.after, before=window.before)
        return {
            number: document
            for number, document in truth.items()
            if number not in amazon.late or amazon.visible_at[number] <= finished.begun_at
        }

    def _before_answer(self, _call: object) -> None:
        happenings, self._at_next_page = self._at_next_page, []
        for happening in happenings:
            happening()

    async def _leave(self, *tasks: asyncio.Task[None]) -> None:
        """Wait until *tasks* are cancelled, and be without a sync."""
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task
        self._tasks, self._job = [], None

    def _sink(self) -> AuditedSink:
        return AuditedSink(self.path, self.auditor, now=self.transport.now)

    def _next_path(self) -> Path:
        return self._folder / f"orders-{next(self._generations)}.db"


async def _run(sink: AuditedSink, job: Sync) -> None:
    async with sink:
        await job.run()
