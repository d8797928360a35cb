"""A backfill that is killed, cancelled and refused again and again, and what it left behind.

Time is virtual and nothing is sent, so that a story is over in a moment, and goes the same way
when it is told again. A kill is a copy of the store as it is then: what is in a file survives
the process, what is only in its memory does not. (tests/hold/test_crashes.py has real ones.)

story = Story(sink="sqlite", data={"orders": 300}, runs=(Run(kind="kill", at_call=7),))
told = quick_loop.run(tell(folder, story))
assert told.wrong == []
"""

from __future__ import annotations

import asyncio
import gzip
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import msgspec
import pyarrow.parquet as pq
from audited_sink import Stored
from fakes import virtual_clock
from in_process import InProcess
from looking import doubled
from own_dates import Dated, updated_at
from spoilt import is_spoilt

from vendororders_async.jobs.backfill import Backfill
from vendororders_async.jobs.reading import Reading
from vendororders_async.jobs.summary import Summary
from vendororders_async.operations import RETAIL_API, api_named
from vendororders_async.simulator import Call, Settings, Simulator
from vendororders_async.sinks import open_sink

_LINE = msgspec.json.Decoder(dict[str, msgspec.Raw])
_END = timedelta(days=10)  # before the present: nothing that is so old is read again


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One run, and how it ends: by itself, or *turns* of the loop after a request.

    That request is the one *at_call*; our clock is *ahead* hours of Amazon's, and *jumps* by
    as many when it is sent.
    """

    kind: Literal["end", "kill", "cancel"] = "end"
    at_call: int = 1
    turns: int = 0
    details: str = "inline"
    ahead: float = 0.0
    jumps: float = 0.0


class Story(msgspec.Struct, frozen=True, kw_only=True):
    """What there is to be read, into what kind of sink, what goes wrong, and the runs."""

    sink: str
    api: str = RETAIL_API
    days: int = 25
    data: Mapping[str, Any] = {}
    faults: Mapping[str, float] = {}
    runs: tuple[Run, ...] = ()


class Told(msgspec.Struct, frozen=True):
    """How a story came out: what is *wrong*, in words, and of how many orders."""

    wrong: list[str]
    orders: int
    kills: int


async def tell(folder: Path, story: Story) -> Told:
    """Have all of *story* happen, then one run without faults, and compare."""
    scene = _Scene(folder, story)
    for run in story.runs:
        await scene.play(run)
        await scene.compare()
    scene.calm()
    summary = await scene.play(Run(details=story.runs[-1].details if story.runs else "inline"))
    await scene.compare(is_last=True)
    if summary is None or not summary.complete:
        scene.wrong.append(f"without faults it is not complete: {summary}")
    return Told(scene.wrong, scene.order_count, scene.kills)


class _Scene:
    """The store, the simulator behind it, and what was found wrong so far."""

    def __init__(self, folder: Path, story: Story) -> None:
        self._clock = virtual_clock()
        self._began_at = self._clock()
        self._until = self._began_at - _END
        self._since = self._until - timedelta(days=story.days)
        self._folder, self._story = folder, story
        self._api = api_named(story.api)
        self._transport = self._transport_to(story.faults)
        self.wrong: list[str] = []
        self.kills = 0
        self._generation = 0

    def calm(self) -> None:
        """Let nothing go wrong any more; the orders are the same.

        Next tokens live as long as Amazon's, since one that ends before the pace allows the
        next page cannot be followed.
        """
        self._transport = self._transport_to({}, next_token_seconds=3600.0)

    async def play(self, run: Run) -> Summary | None:
        """Have *run* happen; return its summary if it came to its end."""
        transport = self._transport
        transport.offset = timedelta(hours=run.ahead)
        reached = asyncio.Event()
        calls = 0

        def watch(_call: Call) -> None:
            nonlocal calls
            calls += 1
            if calls == run.at_call:
                transport.offset += timedelta(hours=run.jumps)
                reached.set()

        transport.before_answer = watch
        job = asyncio.create_task(self._read(run.details))
        if run.kind != "end":
            over = asyncio.create_task(reached.wait())
            await asyncio.wait([job, over], return_when=asyncio.FIRST_COMPLETED)
            over.cancel()
            # the answers arrive after the latency, all at one instant, and step by step
            await asyncio.sleep(self._latency if run.turns else 0.0)
            for _ in range(run.turns):
                await asyncio.sleep(0)
            if run.kind == "kill":
                self._leave_behind()
            job.cancel()
        with suppress(asyncio.CancelledError):
            return await job
        return None

    async def compare(self, *, is_last: bool = False) -> None:
        """Note where what is stored is not true, or is claimed and not there."""
        async with open_sink(self._url, now=self._clock) as sink:
            for one in self._transport.accounts:
                # a store of files shows what a killed run left when the next one begins
                async with sink.lock(one.name):
                    pass
            states = await sink.states()
            stored = [one async for batch in sink.orders() for one in batch]
            quarantine = {
                one.document
                for account in self._transport.accounts
                for one in await sink.quarantine(account.name, self._api.name)
            }
        twice = [
            key
            for key, count in Counter(
                (one.account, one.purchase_order_number) for one in stored
            ).items()
            if count > 1
        ]
        self._note(f"{key} is there more than once" for key in twice)
        orders = {(one.account, one.purchase_order_number): one.document for one in stored}
        if self._url.startswith("parquet:"):  # NDJSON has a line for each time that it came
            self._note(await asyncio.to_thread(doubled, self._url))
        statuses = set(self._statuses())
        there = statuses | set(orders.values())
        for state in states:
            account, stream = state.ledger.account, state.ledger.stream
            dated = Dated(self._truth(account, is_status=stream == "statuses"))
            for window in (one.window for one in state.windows):
                wanted = (
                    self._truth(account, False, window.after, window.before).items()
                    if stream == "created"
                    else dated.within(window)
                )
                self._note(
                    f"{number} is missing from {window} of {stream}, which is finished"
                    for number, document in wanted
                    if not (document in there or is_spoilt(document, quarantine))
                )
        if is_last:
            self._compare_all(orders, statuses, quarantine)

    @property
    def order_count(self) -> int:
        """How many orders there are in the range."""
        return sum(len(self._in_range(one.name)) for one in self._transport.accounts)

    def _compare_all(
        self, orders: Mapping[tuple[str, str], bytes], statuses: set[bytes], held: set[bytes]
    ) -> None:
        known: set[tuple[str, str]] = set()
        for account in self._transport.accounts:
            everything = self._truth(account.name)
            known |= {(account.name, number) for number in everything}
            for number in self._in_range(account.name):
                document = everything[number]
                if orders.get((account.name, number)) != document:
                    self._note([f"{number} is missing"] * (not is_spoilt(document, held)))
            for number, document in self._truth(account.name, True).items():
                is_asked_for = self._since < updated_at(document) < self._until
                if is_asked_for and not (document in statuses or is_spoilt(document, held)):
                    self.wrong.append(f"the status of {number} is missing")
        self._note(f"{key} is no order of Amazon's" for key in orders.keys() - known)

    def _note(self, found: Iterable[str]) -> None:
        self.wrong += [f"generation {self._generation}: {one}" for one in found]

    async def _read(self, details: str) -> Summary:
        reading = Reading(
            api=self._api,
            since=self._since,
            until=self._until,
            details=details,
        )
        transport = self._transport
        async with open_sink(self._url, now=transport.now) as sink:
            job = Backfill(
                transport.accounts, reading, to=sink, transport=transport, now=transport.now
            )
            await job.run()
            return job.summary()

    def _leave_behind(self) -> None:
        """Go on with the store as it is now, whatever the old run does to its own."""
        self.kills += 1
        old = self._place
        self._generation += 1
        if old.parent.exists():
            shutil.copytree(old.parent, self._place.parent, ignore=_shared_memory)

    @property
    def _place(self) -> Path:
        return self._folder / str(self._generation) / "store"

    @property
    def _url(self) -> str:
        self._place.parent.mkdir(exist_ok=True)
        return f"{self._story.sink}:{self._place}"

    @property
    def _latency(self) -> float:
        return float(self._story.data.get("latency", 0.0))

    def _transport_to(self, faults: Mapping[str, float], **changes: Any) -> InProcess:
        data: dict[str, Any] = {"days": self._story.days + 20, "anchor": self._began_at}
        data |= dict(self._story.data) | changes
        return InProcess(Simulator(Settings(faults=faults, **data), now=self._clock))

    def _in_range(self, account: str) -> Mapping[str, bytes]:
        return self._truth(account, False, self._since, self._until)

    def _truth(self, account: str, is_status: bool = False, *ends: Any) -> Mapping[str, bytes]:
        simulator = self._transport.simulator
        after, before = ends or (None, None)
        if self._api.name != RETAIL_API:
            if is_status:
                return {}
            return simulator.direct_fulfillment_truth(account, after=after, before=before)
        ask = simulator.status_truth if is_status else simulator.truth
        return ask(account, after=after, before=before)

    def _statuses(self) -> Iterator[bytes]:
        """Yield the documents of the statuses, read past the sink where it has no way."""
        if self._story.sink == "sqlite":
            if self._place.exists():
                kept = Stored.of(self._place).documents
                yield from (one for (_, is_status, _), one in kept.items() if is_status)
            return
        for file in self._place.glob("*/retail/statuses/*"):
            if file.suffix == ".parquet":
                yield from map(str.encode, pq.read_table(file)["document"].to_pylist())
            elif ".ndjson" in file.name and not file.name.startswith("."):
                opened = gzip.open if file.suffix == ".gz" else open
                with opened(file, "rb") as lines:
                    yield from (bytes(_LINE.decode(line)["document"]) for line in lines)


def _shared_memory(_folder: str, names: list[str]) -> list[str]:
    return [name for name in names if name.endswith("-shm")]  # no kill leaves it to others
