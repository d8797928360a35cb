"""Everything that can go wrong, at every operation of every job, and what must be true after.

cell = Cell(job="backfill", troubles=(Trouble("getPurchaseOrders", "reset", times=3),))
trial = quick_loop.run(tried_out(cell, folder))
assert trial.wrong == []
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

from faulty_questions import ACCOUNT, QUESTIONS, wanted_range
from faulty_submissions import acknowledged, submitted
from following import Following
from memory_sink import MemorySink, owner
from own_dates import Dated, updated_at
from spoilt import is_spoilt
from syncing import on_virtual_time
from trials import DENSE, LONGEST, Cell, Scene, Trial, is_named
from troubles import (
    DIRECT_ORDER,
    DIRECT_ORDERS,
    DIRECT_SUBMIT,
    ORDER,
    ORDERS,
    RDT,
    STATUSES,
    SUBMIT,
    TOKEN,
    Troubles,
)

from vendororders_async import VendorOrdersClient
from vendororders_async.errors import VendorOrdersError
from vendororders_async.jobs.backfill import Backfill
from vendororders_async.jobs.course import Course
from vendororders_async.jobs.reading import Reading
from vendororders_async.operations import RETAIL_API, api_named
from vendororders_async.simulator import Settings
from vendororders_async.sinks.base import Ledger
from vendororders_async.windows import FinishedWindow, Window

_IN_QUARANTINE = "documents could not be decoded: they are in quarantine"


class _Filling:
    """A backfill into memory, as often as it takes, and what it must have brought."""

    def __init__(self, scene: Scene, *, api: str, version: str, details: str) -> None:
        self._scene = scene
        self._api, self._version = api_named(api, version), version
        given = wanted_range()
        self._after, self._before = given["created_after"], given["created_before"]
        self._reading = Reading(
            api=self._api, details=details, since=self._after, until=self._before
        )
        self.sink = _Watched(self._overclaimed, scene.transport.now)
        self._statuses = {} if api != RETAIL_API else scene.simulator.status_truth(ACCOUNT)
        self._changed = Dated(self.truth()), Dated(self._statuses)

    async def run(self) -> tuple[bool, str]:
        """Return whether it says that all is there, and its error."""
        transport = self._scene.transport
        job = Backfill(
            [self._scene.account],
            self._reading,
            to=self.sink,
            transport=transport,
            now=transport.now,
        )
        await job.run()
        summary = job.summary()
        return summary.complete, summary.accounts[ACCOUNT].error or ""

    def truth(
        self, after: datetime | None = None, before: datetime | None = None
    ) -> dict[str, bytes]:
        """Return what Amazon has of that time."""
        simulator = self._scene.simulator
        if self._api.name == RETAIL_API:
            return simulator.truth(ACCOUNT, after=after, before=before)
        return simulator.direct_fulfillment_truth(ACCOUNT, self._version, after, before)

    def all(self) -> dict[str, bytes]:
        """Return what Amazon has of the whole range."""
        return self.truth(self._after, self._before)

    def statuses(self) -> dict[str, bytes]:
        """Return the statuses that Amazon has of the whole range."""
        return {
            number: raw
            for number, raw in self._statuses.items()
            if self._after < updated_at(raw) < self._before
        }

    def missing(self, wanted: Mapping[str, bytes], kind: str = "order") -> list[str]:
        """Return what is neither there as it is at Amazon, nor in quarantine as it came."""
        there, account = self.sink.documents, owner(ACCOUNT, self._api.name)
        spoilt = {raw for holder, raw in self.sink.held if holder == account}
        return [
            number
            for number, raw in wanted.items()
            if there.get((account, kind, number)) != raw and not is_spoilt(raw, spoilt)
        ]

    def lacking(self) -> list[str]:
        """Return in words what is missing of all that is wanted."""
        found = [f"order {one} is not there" for one in self.missing(self.all())]
        statuses = self.missing(self.statuses(), "status")
        return found + [f"the status of {one} is not there" for one in statuses]

    def _overclaimed(self, stream: str, window: Window) -> list[str]:
        """Return the numbers of what belongs to *window* and is not there."""
        if stream == "created":
            return self.missing(self.truth(window.after, window.before))
        by_change, by_update = self._changed
        if stream == "changed":
            return self.missing(dict(by_change.within(window)))
        return self.missing(dict(by_update.within(window)), "status")


class _Watched(MemorySink):
    """Notes what is missing of a window at the moment when it is finished."""

    def __init__(
        self, missing: Callable[[str, Window], list[str]], now: Callable[[], datetime]
    ) -> None:
        super().__init__(now=now)
        self.overclaimed: list[str] = []
        self._missing = missing

    async def finish(self, ledger: Ledger, finished: FinishedWindow) -> None:
        await super().finish(ledger, finished)
        if numbers := self._missing(ledger.stream, finished.window):
            words = f"{finished.window} of {ledger.stream} is finished without {numbers}"
            self.overclaimed.append(words)


async def _filled(cell: Cell, _folder: Path, **reading: str) -> Trial:
    """Backfill in trouble, and then, if that is not complete, once more without."""
    scene = Scene(cell, **DENSE)
    filling = _Filling(scene, **reading)
    async with asyncio.timeout(LONGEST):
        complete, error = await filling.run()
    trial = Trial(
        compared=len(filling.all()) + len(filling.statuses()),
        wrong=filling.sink.overclaimed,
        struck=scene.trouble.fired,
    )
    if cell.is_outlived and not complete:
        trial.wrong.append(f"not outlived: {error!r}")
    if complete:
        trial.wrong += [f"{one}, and it says that all is" for one in filling.lacking()]
        return trial
    # what is in quarantine is told of by account, and has no one operation
    if not (filling.sink.held and _IN_QUARANTINE in error) and not is_named(error, cell):
        trial.wrong.append(f"the error does not say what of whom: {error!r}")
    scene.trouble.end()
    async with asyncio.timeout(LONGEST):
        complete, error = await filling.run()
    if not complete:
        trial.wrong.append(f"the same run without trouble does not complete it: {error}")
    trial.wrong += [f"{one} after a run without trouble" for one in filling.lacking()]
    return trial


async def _synced(cell: Cell, folder: Path) -> Trial:
    """Run every sweep of a sync once in trouble, and then once without."""
    settings = Settings(**DENSE, seed=cell.seed, latency=cell.latency)
    trial = Trial()
    # a little more than there is: half a year of empty windows would only cost time
    course = Course(since=on_virtual_time()() - timedelta(days=11))
    async with Following(folder, settings, course) as scene:
        async with asyncio.timeout(LONGEST):
            if any(one.operation == ORDER for one in cell.troubles):
                await _outdate(scene)
            troubles = Troubles(cell.troubles, scene.simulator, scene.transport)
            await _once(scene)
            trial.struck = troubles.fired
            if cell.is_outlived:
                trial.wrong += [f"not outlived: {one}" for one in scene.differences()]
            troubles.end()
            await asyncio.sleep(60)
            await _once(scene)
        # an order and its status
        trial.compared = 2 * len(scene.simulator.truth(ACCOUNT))
        spoilt = any(one.kind.startswith("bad-order") for one in cell.troubles)
        trial.wrong += scene.differences(is_spoilt_allowed=spoilt)
    return trial


async def _outdate(scene: Following) -> None:
    """Have orders change after they were read: only those are asked for one by one."""
    await scene.once()
    for number in scene.amazon.numbers()[-3:]:
        scene.amazon.acknowledge(number)
    await asyncio.sleep(120)


async def _once(scene: Following) -> None:
    with suppress(VendorOrdersError):
        await scene.once()


async def _read(cell: Cell, _folder: Path, *, what: str) -> Trial:
    """Ask by the client: it is right, or an error that says what of whom."""
    scene, trial = Scene(cell, **DENSE), Trial()
    async with VendorOrdersClient(
        scene.account, transport=scene.transport, now=scene.transport.now
    ) as client:
        wanted, ask = QUESTIONS[what](scene.simulator, client)
        for is_last in (False, True):
            if is_last:
                scene.trouble.end()
                await asyncio.sleep(3700)  # refusals that stand for an hour are over
            try:
                async with asyncio.timeout(LONGEST):
                    found = await ask()
            except VendorOrdersError as error:
                if is_last or cell.is_outlived or not is_named(str(error), cell):
                    trial.wrong.append(f"the error {'stays' if is_last else 'says'} {error}")
            else:
                trial.compared += len(wanted)
                if found != wanted:
                    trial.wrong.append(f"{len(found ^ wanted)} orders are missing or too many")
    trial.struck = scene.trouble.fired
    return trial


_Run = Callable[[Cell, Path], Awaitable[Trial]]


def _with(run: Callable[..., Awaitable[Trial]], **given: str) -> _Run:
    return lambda cell, folder: run(cell, folder, **given)


_DIRECT = "direct-fulfillment"
#: Each job: what it asks, and how it is tried.
JOBS: Mapping[str, tuple[tuple[str, ...], _Run]] = {
    "backfill": (
        (ORDERS, STATUSES, TOKEN),
        _with(_filled, api=RETAIL_API, version="v1", details="inline"),
    ),
    "backfill, fan-out": (
        (ORDERS, ORDER, STATUSES),
        _with(_filled, api=RETAIL_API, version="v1", details="fan-out"),
    ),
    "backfill of direct fulfillment": (
        (DIRECT_ORDERS, RDT, TOKEN),
        _with(_filled, api=_DIRECT, version="v1", details="inline"),
    ),
    "backfill of 2021-12-28, fan-out": (
        (DIRECT_ORDERS, DIRECT_ORDER, RDT),
        _with(_filled, api=_DIRECT, version="2021-12-28", details="fan-out"),
    ),
    "sync": ((ORDERS, STATUSES, ORDER, TOKEN), _synced),
    "acknowledge": (
        (ORDER, STATUSES, SUBMIT, "getTransaction", TOKEN),
        _with(acknowledged, api=RETAIL_API, version="v1"),
    ),
    "acknowledge direct fulfillment": (
        (DIRECT_ORDER, DIRECT_SUBMIT, "getTransactionStatus", RDT),
        _with(acknowledged, api=_DIRECT, version="v1"),
    ),
    "acknowledge 2021-12-28": (
        (DIRECT_ORDER, DIRECT_SUBMIT, "getTransactionStatus"),
        _with(acknowledged, api=_DIRECT, version="2021-12-28"),
    ),
    "submit": ((SUBMIT, TOKEN), _with(submitted, api=RETAIL_API)),
    "submit for direct fulfillment": ((DIRECT_SUBMIT,), _with(submitted, api=_DIRECT)),
    "iterate orders": ((ORDERS, TOKEN), _with(_read, what="orders")),
    "iterate statuses": ((STATUSES,), _with(_read, what="statuses")),
    "iterate customers' orders": ((DIRECT_ORDERS, RDT), _with(_read, what="direct")),
    "get": ((ORDER, TOKEN), _with(_read, what="order")),
    "get a customer's order": ((DIRECT_ORDER, RDT), _with(_read, what="direct order")),
}


async def tried_out(cell: Cell, folder: Path) -> Trial:
    """Try *cell*; what never ends is wrong as well."""
    try:
        return await JOBS[cell.job][1](cell, folder)
    except TimeoutError:
        return Trial(wrong=["it goes on for days"])
    except VendorOrdersError as error:
        return Trial(wrong=[f"it raises {error!r}"])
