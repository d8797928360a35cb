"""The jobs that fill, follow and empty a sink: acts to be ended at any step."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from cancelling import Act
from in_process import InProcess
from public_calls import NotedLimiters, full_again

from vendororders_async import (
    Account,
    AcknowledgementOutcome,
    Summary,
    acknowledge,
    backfill,
    clock,
    sync,
    watch,
)
from vendororders_async.acknowledgements import accept_all
from vendororders_async.changes import Change
from vendororders_async.jobs.backfill import Backfill
from vendororders_async.jobs.reading import FAN_OUT, Reading
from vendororders_async.models.retail_procurement import Order, OrderAcknowledgement
from vendororders_async.operations import DIRECT_FULFILLMENT_API, RETAIL_API, api_named
from vendororders_async.pages import decode_document
from vendororders_async.simulator import Settings, Simulator
from vendororders_async.sinks import open_sink
from vendororders_async.sinks.base import StreamState, SubmissionState
from vendororders_async.sinks.followed import FollowedSink
from vendororders_async.testing import accounts_of
from vendororders_async.windows import Window

_SETTINGS = Settings(
    orders=40, direct_fulfillment_orders=20, days=12, rate=100, burst=100, latency=0.05
)
_LONGEST_STOP = 11.0  # seconds: sweeps and whoever takes changes have five each to end in
PATIENCE = 0.5  # seconds in which a lock that nobody has is taken
_REALLY = 4.0  # the same of a lease, on a busy machine; one that nobody renews takes 30


class Works(NamedTuple):
    """Amazon, a sink that is not made yet or filled already, and the way to Amazon."""

    simulator: Simulator
    transport: InProcess
    limiters: NotedLimiters
    folder: Path
    url: str

    @property
    def accounts(self) -> tuple[Account, ...]:
        return self.transport.accounts

    @property
    def is_in_postgres(self) -> bool:
        return self.url.startswith("postgres")

    @property
    def since(self) -> datetime:
        return self.simulator.anchor - timedelta(days=9)

    @property
    def until(self) -> datetime:
        return self.simulator.anchor - timedelta(days=1)

    def job(self, **reading: Any) -> Backfill:
        """Return a backfill of the range."""
        return Backfill(
            self.accounts,
            Reading(since=self.since, until=self.until, **reading),
            to=self.url,
            transport=self.transport,
            limiters=self.limiters,
            now=self.transport.now,
        )

    def truth(self, api: str, window: Window | None = None) -> dict[str, bytes]:
        """Return what Amazon has of the range, or of a window of it."""
        served = (
            self.simulator.truth
            if api == RETAIL_API
            else self.simulator.direct_fulfillment_truth
        )
        chosen = window or Window(self.since, self.until)
        return served("demo", after=chosen.after, before=chosen.before)


Stage = Callable[[Path], Any]


def staged(kind: str, *, api: str = "") -> Stage:
    """Return what makes the works of a sink of a *kind*, filled from *api* if one is said."""

    @asynccontextmanager
    async def made(place: Path | str) -> AsyncIterator[Works]:
        anchor = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        simulator = Simulator(msgspec.structs.replace(_SETTINGS, anchor=anchor))
        url = str(place) if kind == "postgres" else f"{kind}:{Path(place) / 'orders'}"
        async with InProcess(simulator) as transport:
            works = Works(simulator, transport, NotedLimiters(), Path(place), url)
            if api:
                await works.job(api=api_named(api)).run()
            yield works

    return made


async def stored(works: Works) -> tuple[dict[tuple[str, str], bytes], list[StreamState]]:
    """Return the documents in the sink, by API and number, and what it claims."""
    async with open_sink(works.url, now=works.transport.now) as sink:
        patience = _REALLY if works.is_in_postgres else PATIENCE
        async with asyncio.timeout(patience), sink.lock("demo"):
            pass
        documents = {
            (one.api, one.purchase_order_number): one.document
            async for batch in sink.orders()
            for one in batch
        }
        return documents, await sink.states()


async def check_claims(works: Works, faults: list[str]) -> None:
    """Look whether what is claimed is there, and another run has the account at once."""
    documents, states = await stored(works)
    for state in states:
        if state.ledger.stream != "created":
            continue
        for finished in state.windows:
            wanted = works.truth(state.ledger.api, finished.window)
            lost = [one for one in wanted if (state.ledger.api, one) not in documents]
            if lost:
                faults.append(f"{finished.window} is claimed without {lost}")


async def _check_truth(works: Works, api: str, faults: list[str]) -> int:
    documents, _ = await stored(works)
    truth = works.truth(api)
    faults += [
        f"{number} is not in the sink as Amazon has it"
        for number, raw in truth.items()
        if documents.get((api, number)) != raw
    ]
    return len(truth)


async def _check_limiters(works: Works, faults: list[str]) -> int:
    places = works.transport.places
    if f"<Places 0 of {places.count} taken, 0 waiting, 0 silent>" != repr(places):
        faults.append(f"places are lost: {places!r}")
    if works.is_in_postgres:  # whose time is real, so that nobody rests
        return 0
    return await full_again(works.limiters.gates, faults)


def _backfilled(**reading: Any) -> tuple[Any, Any]:
    """Return the play that reads, and what follows it: the same again, to the truth."""

    async def play(works: Works) -> Summary:
        job = works.job(**reading)
        await job.run()
        return job.summary()

    async def after(works: Works, faults: list[str]) -> int:
        await check_claims(works, faults)
        await _check_limiters(works, faults)
        if not (await play(works)).complete:
            faults.append("the next run is not complete")
        api = reading.get("api")
        return await _check_truth(works, api.name if api else RETAIL_API, faults)

    return play, after


def _backfill(name: str, kind: str, **more: Any) -> Act:
    reading = {key: more.pop(key) for key in ("api", "details", "streams") if key in more}
    play, after = _backfilled(**reading)
    return Act(f"backfill {name}", staged(kind), play, after, **more)


# Over HTTP, as an application calls them


class Served(NamedTuple):
    """A simulator on a port, and a sink."""

    simulator: Simulator
    account: Account
    url: str
    answer: OrderAcknowledgement | None = None


@asynccontextmanager
async def _served(folder: Path) -> AsyncIterator[Served]:
    anchor = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    settings = msgspec.structs.replace(_SETTINGS, anchor=anchor, latency=0.0)
    simulator = Simulator(settings)
    async with simulator.serve() as served:
        url = f"sqlite:{folder / 'orders.db'}"
        yield Served(simulator, accounts_of(served)[0], url)


async def _backfill_over_http(served: Served) -> Summary:
    until = served.simulator.anchor - timedelta(days=1)
    since = until - timedelta(days=5)
    return await backfill([served.account], since=since, until=until, to=served.url)


async def _backfilled_over_http(served: Served, faults: list[str]) -> int:
    summary = await _backfill_over_http(served)
    until = served.simulator.anchor - timedelta(days=1)
    truth = served.simulator.truth("demo", after=until - timedelta(days=5), before=until)
    async with open_sink(served.url) as sink:
        found = {
            one.purchase_order_number: one.document
            async for batch in sink.orders()
            for one in batch
        }
    faults += [f"{one} is missing" for one in truth if found.get(one) != truth[one]]
    if not summary.complete:
        faults.append("the next run is not complete")
    return len(truth)


def _new_order(simulator: Simulator) -> Order:
    """Return an order that nobody has answered, with nothing in it cancelled."""
    for raw in simulator.truth("demo").values():
        order = decode_document(raw, Order).content
        assert order is None or isinstance(order, Order)
        if order is None or order.purchase_order_state != "New" or not order.order_details:
            continue
        amounts = [one.ordered_quantity for one in order.order_details.items]
        if amounts and all(one is not None and (one.amount or 0) > 0 for one in amounts):
            return order
    raise AssertionError("the simulator has no new order")


@asynccontextmanager
async def _with_an_answer(folder: Path) -> AsyncIterator[Served]:
    async with _served(folder) as served:
        answer = accept_all(_new_order(served.simulator), at=clock.now())
        yield served._replace(answer=answer)


async def _acknowledge(served: Served) -> list[AcknowledgementOutcome]:
    assert served.answer is not None
    return await acknowledge(served.account, [served.answer], to=served.url, wait=False)


async def _acknowledged_again(served: Served, faults: list[str]) -> int:
    [outcome] = await _acknowledge(served)
    applied = [one for each in served.simulator.acknowledgements for one in each.applied]
    # what may have arrived is not sent again before it is certain that it did not
    doubtful = not applied and outcome.state == SubmissionState.UNRESOLVED
    if len(applied) != 1 and not doubtful:
        faults.append(f"acknowledged {len(applied)} times: {outcome.state}")
    return 1


# Following


async def _sync_once(works: Works) -> Summary:
    return await sync(
        works.accounts,
        to=works.url,
        since=works.since,
        transport=works.transport,
        limiters=works.limiters,
        once=True,
    )


async def _synced_again(works: Works, faults: list[str]) -> int:
    await check_claims(works, faults)
    await _check_limiters(works, faults)
    summary = await _sync_once(works)
    if not summary.complete:
        faults.append("the next run is not complete")
    return await _check_truth(works, RETAIL_API, faults)


async def _watched(works: Works, enough: int, **options: Any) -> list[Change]:
    """Take so many changes, and leave."""
    taken: list[Change] = []
    changes = watch(
        works.accounts,
        to=works.url,
        consumer="erp",
        since=works.since,
        transport=works.transport,
        limiters=works.limiters,
        **options,
    )
    async with aclosing(changes):
        async for change in changes:
            taken.append(change)
            if len(taken) == enough:
                break
    return taken


async def _watched_again(works: Works, faults: list[str]) -> int:
    """See all that was stored and not told: the consumer remembers what it has seen."""
    await check_claims(works, faults)
    await _check_limiters(works, faults)
    async with open_sink(works.url, now=works.transport.now) as sink:
        assert isinstance(sink, FollowedSink)
        seen = (await sink.consumed("erp", RETAIL_API)).get("demo", 0)
    rest = await _watched(works, 1_000_000, once=True)
    async with open_sink(works.url, now=works.transport.now) as sink:
        assert isinstance(sink, FollowedSink)
        last = await sink.last_change()
    told = {one.sequence for one in rest}
    missed = set(range(seen + 1, last + 1)) - told
    if missed and seen:
        faults.append(f"changes {sorted(missed)} were never told")
    return await _check_truth(works, RETAIL_API, faults)


_IN_POSTGRES: dict[str, Any] = {"fixture": "postgres_url", "is_real": True, "seconds": 5.0}
DIRECT = api_named(DIRECT_FULFILLMENT_API)

JOBS = [
    _backfill("into sqlite", "sqlite", covers=("backfill",)),
    _backfill("by numbers", "sqlite", details=FAN_OUT),
    _backfill("of direct fulfillment", "sqlite", api=DIRECT),
    _backfill("into ndjson", "ndjson"),
    _backfill("into gzip", "ndjson+gzip"),
    _backfill("into parquet", "parquet"),
    _backfill("into postgres", "postgres", **_IN_POSTGRES),
    Act(
        "backfill over HTTP",
        _served,
        _backfill_over_http,
        _backfilled_over_http,
        ("backfill", "Transport"),
    ),
    Act("acknowledge", _with_an_answer, _acknowledge, _acknowledged_again, ("acknowledge",)),
    Act(
        "sync once",
        staged("sqlite"),
        _sync_once,
        _synced_again,
        ("sync",),
        seconds=_LONGEST_STOP,
    ),
    Act(
        "watch, and leave after the first change",
        staged("sqlite"),
        lambda works: _watched(works, 1),
        _watched_again,
        ("watch",),
        seconds=_LONGEST_STOP,
    ),
    Act(
        "watch to the end",
        staged("sqlite"),
        lambda works: _watched(works, 1_000_000, once=True),
        _watched_again,
        ("watch",),
        seconds=_LONGEST_STOP,
    ),
]
