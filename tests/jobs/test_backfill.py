"""The whole way: an account's orders into a sink, whatever happens on the way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
import virtual_time
from fakes import an_account
from memory_sink import MemorySink
from simulated import NOW, QUICK, SINCE, UNTIL, now, simulation

from vendororders_async.accounts import Account
from vendororders_async.errors import ConfigurationError, InvalidArgument, SinkError
from vendororders_async.jobs.backfill import Backfill, backfill
from vendororders_async.jobs.reading import Reading
from vendororders_async.jobs.summary import Summary
from vendororders_async.simulator import BAD_ORDER_KINDS, Call, Settings, Simulator
from vendororders_async.telemetry import Event, WindowFailed, WindowFinished

DAY = timedelta(days=1)


async def read(accounts: Iterable[Account], sink: MemorySink, **options: object) -> Summary:
    """Run a backfill of the usual range at the simulated present."""
    observer: Any = options.pop("observer", None)
    given: Any = {"since": SINCE, "until": UNTIL} | options
    job = Backfill(accounts, Reading(**given), to=sink, observer=observer, now=now)
    await job.run()
    return job.summary()


def lost(simulator: Simulator, sink: MemorySink, account: str = "demo") -> set[str]:
    """Return the orders of the usual range that the sink has not, or not as they are."""
    truth = simulator.truth(account, after=SINCE, before=UNTIL)
    return {
        number
        for number, document in truth.items()
        if sink.documents.get((account, "order", number)) != document
    }


def claimed_and_lost(simulator: Simulator, sink: MemorySink, account: str = "demo") -> set[str]:
    """Return the orders in windows that the ledger claims, and the sink has not."""
    return {
        number
        for ledger, windows in sink.finished.items()
        if ledger.stream == "created"
        for finished in windows
        for number in simulator.truth(
            account, after=finished.window.after, before=finished.window.before
        )
        if (account, "order", number) not in sink.documents
    }


async def test_every_order_of_the_range_arrives_as_it_was_sent() -> None:
    """Nothing is lost, and the bytes are Amazon's."""
    sink = MemorySink()
    async with simulation() as (simulator, accounts):
        summary = await read(accounts, sink)

    assert lost(simulator, sink) == set()
    assert summary.complete
    assert (
        summary.orders == summary.new >= len(simulator.truth("demo", after=SINCE, before=UNTIL))
    )
    assert summary.requests == simulator.traffic.count() - simulator.traffic.token_requests
    assert summary.accounts["demo"].complete


async def test_one_request_at_a_time_is_enough() -> None:
    """A bound on concurrency makes it slower, not stuck."""
    sink = MemorySink()
    async with simulation() as (simulator, accounts):
        summary = await read(accounts, sink, concurrency=1)

    assert summary.complete
    assert lost(simulator, sink) == set()


async def test_a_failed_window_among_empty_ones_is_not_nothing() -> None:
    """Something was read to its end, so the run is incomplete and not void."""
    sink = MemorySink()
    async with simulation(msgspec.structs.replace(QUICK, orders=0)) as (simulator, accounts):
        simulator.inject("getPurchaseOrders", "html-400", times=6, when=_on_first_window())
        summary = await read(accounts, sink, streams=["created"])

    assert summary.accounts["demo"].error
    assert summary.accounts["demo"].windows > 0
    assert not summary.complete
    assert not summary.nothing_done


async def test_statuses_arrive_beside_the_orders() -> None:
    """The third stream reads what was updated in the range."""
    sink = MemorySink()
    async with simulation() as (simulator, accounts):
        await read(accounts, sink, streams=["statuses"])
    statuses = {key[2]: raw for key, raw in sink.documents.items() if key[1] == "status"}
    truth = simulator.status_truth("demo")
    updated = {
        number
        for number, raw in truth.items()
        if SINCE.isoformat() < msgspec.json.decode(raw)["lastUpdatedDate"] < UNTIL.isoformat()
    }

    assert updated
    assert updated <= statuses.keys()
    assert all(truth[number] == raw for number, raw in statuses.items())


async def test_a_second_run_asks_nothing_again() -> None:
    """What is finished and settled costs no request."""
    sink = MemorySink()
    async with simulation() as (simulator, accounts):
        await read(accounts, sink)
        simulator.traffic.clear()
        summary = await read(accounts, sink)

    assert simulator.traffic.count() == 0
    assert summary.complete
    assert (summary.orders, summary.requests, summary.ideal_seconds) == (0, 0, 0)


async def test_the_last_days_are_read_again() -> None:
    """An order that Amazon publishes late is found by a later run."""
    sink = MemorySink()
    events: list[Event] = []
    until = NOW - timedelta(minutes=2)
    async with simulation() as (simulator, accounts):
        await read(accounts, sink, until=until)
        late = msgspec.json.decode(next(iter(simulator.truth("demo").values())))
        late["purchaseOrderNumber"] = "LATE0001"
        simulator.put_order("demo", late, available_at=NOW - 3 * DAY)
        summary = await read(accounts, sink, until=until, observer=events.append)
    again = [event.window for event in events if isinstance(event, WindowFinished)]

    assert ("demo", "order", "LATE0001") in sink.documents
    assert min(window.after for window in again) >= until - 8 * DAY
    assert max(window.before for window in again) >= until
    assert summary.new == 1


async def test_requests_keep_to_seven_days_and_reach_over_each_end() -> None:
    """No query is longer than Amazon allows, and neighbours overlap."""
    sink = MemorySink()
    settings = msgspec.structs.replace(QUICK, keep_arrivals=True, bounds="exclusive")
    async with simulation(settings) as (simulator, accounts):
        await read(accounts, sink, streams=["created"])

    assert simulator.traffic.count(status=400) == 0
    windows = sorted(one.window for windows in sink.finished.values() for one in windows)
    assert windows[0].after <= SINCE
    assert windows[-1].before >= UNTIL - timedelta(seconds=1)
    assert all(one.before == two.after for one, two in pairwise(windows))
    assert all(one.query().length <= 7 * DAY for one in windows)


@pytest.mark.parametrize("bounds", ["exclusive", "half-open", "inclusive"])
async def test_nothing_is_lost_however_amazon_takes_its_bounds(bounds: str) -> None:
    """Amazon does not say whether bounds are inclusive."""
    sink = MemorySink()
    settings = msgspec.convert(msgspec.structs.asdict(QUICK) | {"bounds": bounds}, Settings)
    async with simulation(settings) as (simulator, accounts):
        order = msgspec.json.decode(next(iter(simulator.truth("demo").values())))
        for number, moment in [("EDGE0001", SINCE), ("EDGE0002", SINCE + 6 * DAY)]:
            order["purchaseOrderNumber"] = number
            simulator.put_order("demo", order, available_at=moment.replace(microsecond=0))
        await read(accounts, sink)

    assert lost(simulator, sink) == set()


def test_every_order_arrives_through_a_storm_of_faults() -> None:
    """Retries, restarts and pauses end with all of it, and nothing given up."""

    async def main() -> None:
        sink = MemorySink()
        faults = dict.fromkeys(
            ["429", "500", "503", "html", "reset", "reset-body", "truncated", "empty"], 0.03
        )
        settings = msgspec.structs.replace(
            QUICK, faults=faults | {"spurious-400": 0.05}, empty_pages=0.3, orders=2_000
        )
        async with simulation(settings) as (simulator, accounts):
            summary = await read(accounts, sink)

        assert lost(simulator, sink) == set()
        assert summary.complete
        assert summary.retries > 0

    virtual_time.run(main())


def test_expired_next_tokens_start_their_windows_again() -> None:
    """Tokens that expire while the job waits cost a re-read, not an order."""

    async def main() -> None:
        sink = MemorySink()
        settings = Settings(orders=3_000, days=60, next_token_seconds=2.0)
        async with simulation(settings) as (simulator, accounts):
            # by the time Amazon answers again, the token is too old
            simulator.inject(
                "getPurchaseOrders", "503", times=4, when=_on_first_window("nextToken")
            )
            summary = await read(accounts, sink, since=UNTIL - 30 * DAY, streams=["created"])

        assert summary.complete
        assert simulator.traffic.count(status=400) > 0
        truth = simulator.truth("demo", after=UNTIL - 30 * DAY, before=UNTIL)
        assert truth.keys() <= {key[2] for key in sink.documents}

    virtual_time.run(main())


@pytest.mark.parametrize("kind", BAD_ORDER_KINDS)
async def test_a_bad_order_goes_to_quarantine_and_its_page_goes_on(kind: str) -> None:
    """One order that does not decode costs only itself, and makes the run incomplete."""
    sink = MemorySink()
    async with simulation() as (simulator, accounts):
        simulator.inject("getPurchaseOrders", kind)
        summary = await read(accounts, sink, streams=["created"])

    held = [one.document for one in sink.held.values()]
    assert len(held) == 1
    assert len(lost(simulator, sink)) <= 1
    assert summary.quarantined == summary.quarantine_standing == 1
    assert not summary.complete
    assert "quarantine" in (summary.accounts["demo"].error or "")


async def test_what_stands_in_quarantine_is_tried_again_by_the_next_run() -> None:
    """A version that understands it takes it out; standing quarantine is no failure."""
    sink = MemorySink()
    async with simulation() as (simulator, accounts):
        simulator.inject("getPurchaseOrders", "bad-order:nan", times=2)
        await read(accounts, sink)
        [key, *_] = list(sink.held)
        bad = sink.held.pop(key)
        mended = msgspec.structs.replace(bad, document=b'{"purchaseOrderNumber": "MENDED01"}')
        sink.held["demo", mended.document] = mended
        summary = await read(accounts, sink)

    assert ("demo", "order", "MENDED01") in sink.documents
    assert mended not in sink.held.values()
    assert summary.quarantined == 0
    assert summary.quarantine_standing == len(sink.held)
    assert summary.complete


async def test_a_refused_account_does_not_stop_the_others() -> None:
    """One failed account is reported; the others are complete."""
    sink = MemorySink()
    async with simulation(msgspec.structs.replace(QUICK, accounts=3)) as (simulator, accounts):
        simulator.refuse("demo-2")
        summary = await read(accounts, sink)

    assert not summary.complete
    assert not summary.nothing_done
    assert lost(simulator, sink, "demo-1") == lost(simulator, sink, "demo-3") == set()
    error = summary.accounts["demo-2"].error
    assert error is not None
    assert "demo-2" in error
    assert summary.accounts["demo-2"].requests == 0
    assert simulator.traffic.token_requests == 3


async def test_revoked_access_tokens_are_refreshed_once() -> None:
    """A 403 in mid-run costs one refresh, and no order."""
    sink = MemorySink()
    async with simulation() as (simulator, accounts):

        def revoke(_call: Call) -> bool:
            simulator.revoke_tokens()
            return False

        simulator.inject("getPurchaseOrders", "500", when=_on_the(5, revoke))
        summary = await read(accounts, sink)

    assert summary.complete
    assert lost(simulator, sink) == set()
    assert simulator.traffic.count(status=403) > 0
    assert simulator.traffic.token_requests <= 3


async def test_a_role_that_is_missing_fails_the_account_at_once() -> None:
    """A 403 that stays is not asked of every window."""
    sink = MemorySink()
    async with simulation() as (simulator, accounts):
        for operation in ("getPurchaseOrders", "getPurchaseOrdersStatus"):
            simulator.inject(operation, "403", times=1_000)
        summary = await read(accounts, sink)

    assert summary.nothing_done
    assert simulator.traffic.count(status=403) < 100
    assert simulator.traffic.token_requests == 2
    assert "getPurchaseOrder" in (summary.accounts["demo"].error or "")


async def test_a_window_that_fails_for_good_is_named_and_left_open() -> None:
    """The others are finished; the next run reads the one that is missing."""
    sink = MemorySink()
    events: list[Event] = []
    async with simulation() as (simulator, accounts):
        simulator.inject("getPurchaseOrders", "html-400", times=6, when=_on_first_window())
        summary = await read(accounts, sink, streams=["created"], observer=events.append)
        failed = [event for event in events if isinstance(event, WindowFailed)]
        ends = sink.ends["created"]
        again = await read(accounts, sink, streams=["created"])

    assert len(failed) == 1
    assert not summary.complete
    assert "getPurchaseOrders" in (summary.accounts["demo"].error or "")
    assert ends == (None, summary.accounts["demo"].error)
    assert sink.ends["created"] == (UNTIL, None)
    assert again.complete
    assert again.requests < summary.requests
    assert lost(simulator, sink) == set()


async def test_history_that_amazon_refuses_is_not_a_failure() -> None:
    """Windows beyond six months are asked, refused, and reported as what they are."""
    sink = MemorySink()
    settings = msgspec.structs.replace(QUICK, days=300)
    async with simulation(settings) as (simulator, accounts):
        summary = await read(accounts, sink, since=NOW - 220 * DAY, streams=["created"])
        horizon = NOW - 181 * DAY
        served = simulator.truth("demo", after=horizon, before=UNTIL)

    assert summary.complete
    assert summary.beyond_history >= 5
    assert served.keys() <= {key[2] for key in sink.documents}
    assert all(
        one.window.after > horizon - 3 * DAY
        for windows in sink.finished.values()
        for one in windows
    )


async def test_by_default_the_whole_history_is_read() -> None:
    """Without a range it is from Amazon's horizon to two minutes ago."""
    sink = MemorySink()
    settings = msgspec.structs.replace(QUICK, days=200)
    async with simulation(settings) as (simulator, accounts):
        summary = await read(accounts, sink, since=None, until=None, streams=["created"])
        served = simulator.truth(
            "demo", after=NOW - 181 * DAY, before=NOW - timedelta(minutes=2)
        )

    assert summary.complete
    assert served.keys() <= {key[2] for key in sink.documents}


def test_the_pace_is_the_plans_and_draws_no_429() -> None:
    """At 10/10 the job keeps the plan busy within a few per cent, without one 429."""

    async def main() -> None:
        sink = MemorySink()
        settings = Settings(orders=12_000, days=170, latency=(0.1, 0.4))
        async with simulation(settings) as (simulator, accounts):
            summary = await read(accounts, sink, since=NOW - 165 * DAY, streams=["created"])

        assert simulator.traffic.throttled() == 0
        assert summary.complete
        assert summary.requests > 100
        # 10 requests at once, then 10 a second, and the last answer's latency
        assert summary.seconds < 1.1 * (summary.requests - 10) / 10 + 0.4

    virtual_time.run(main())


def test_a_resumed_run_does_not_begin_with_a_full_burst() -> None:
    """Another run has just emptied Amazon's bucket; this one does not draw a 429 for it."""

    async def main() -> None:
        sink = MemorySink()
        settings = Settings(orders=6_000, days=120, latency=0.05)
        async with simulation(settings) as (simulator, accounts):
            job = Backfill(accounts, Reading(since=SINCE, until=UNTIL), to=sink, now=now)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(job.run(), timeout=1.5)
            await read(accounts, sink)

        assert simulator.traffic.throttled() == 0
        assert lost(simulator, sink) == set()

    virtual_time.run(main())


@pytest.mark.parametrize("step", [1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233, 377, 610, 987])
async def test_a_run_cancelled_anywhere_is_completed_by_the_next(step: int) -> None:
    """Cancelled after any number of turns of the loop, nothing false is claimed or lost."""
    sink = MemorySink()
    async with simulation(msgspec.structs.replace(QUICK, orders=300)) as (simulator, accounts):
        before = asyncio.all_tasks()
        task = asyncio.create_task(read(accounts, sink))
        for _ in range(step):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        left = asyncio.all_tasks() - before - {task}
        own = [one for one in left if "vendororders_async/simulator" not in repr(one)]
        claims = claimed_and_lost(simulator, sink)
        summary = await read(accounts, sink)

    assert not any("backfill" in repr(one) for one in own)
    assert claims == set()
    assert summary.complete
    assert lost(simulator, sink) == set()


@pytest.mark.parametrize("method", ["windows", "write", "finish"])
async def test_a_sink_that_fails_stops_its_account_and_claims_nothing(method: str) -> None:
    """A full disk is one clear line; what was written before it stays and is resumed from."""
    countdown = iter(range(4))

    def fail(name: str) -> None:
        if name == method and next(countdown, None) == (0 if method == "windows" else 3):
            raise SinkError("the disk is full")

    sink = MemorySink(fail)
    async with simulation() as (simulator, accounts):
        summary = await read(accounts, sink)
        claims = claimed_and_lost(simulator, sink)
        again = await read(accounts, sink)

    error = summary.accounts["demo"].error or ""
    assert error.startswith("the disk is full; ")
    assert not summary.complete
    assert claims == set()
    assert again.complete
    assert lost(simulator, sink) == set()


async def test_two_runs_do_not_write_one_account_at_once() -> None:
    """The second run says so and leaves; the first goes on."""
    sink = MemorySink()
    async with simulation() as (simulator, accounts):
        first, second = await asyncio.gather(read(accounts, sink), read(accounts, sink))

    assert first.complete
    assert second.nothing_done
    assert "another run" in (second.accounts["demo"].error or "")
    assert lost(simulator, sink) == set()


@pytest.mark.parametrize(
    "options",
    [
        {"since": UNTIL, "until": SINCE},
        {"since": SINCE.replace(tzinfo=None)},
        {"streams": ["created", "crated"]},
        {"streams": []},
        {"concurrency": 0},
        {"reread": -DAY},
        {"details": "outline"},
    ],
    ids=[
        *("turned round", "no zone", "unknown stream", "no stream", "no request", "negative"),
        "unknown details",
    ],
)
async def test_what_could_not_be_meant_is_refused_before_anything_is_sent(
    options: dict[str, object],
) -> None:
    """A wrong argument is an `InvalidArgument`, and no request is made."""
    async with simulation() as (simulator, accounts):
        with pytest.raises(InvalidArgument):
            await read(accounts, MemorySink(), **options)

    assert simulator.traffic.count() == 0


async def test_an_unknown_sink_is_refused() -> None:
    """A sink that does not exist is a matter of settings."""
    async with simulation() as (_simulator, accounts):
        job = Backfill(accounts, Reading(), to="papyrus:scroll")

        with pytest.raises(ConfigurationError, match="papyrus"):
            await job.run()


async def test_a_path_is_no_sink(tmp_path: Path) -> None:
    """What is often passed by mistake is named, with what is meant."""
    wrong: Any = tmp_path / "orders.db"
    with pytest.raises(ConfigurationError, match=r"^no such sink: PosixPath; .*sqlite:PATH"):
        await backfill([an_account()], to=wrong)


async def test_an_observers_mistake_is_raised_as_it_is() -> None:
    """Who wrote it finds it, and no group of the tasks that it happened to run in."""

    def mistaken(_event: Event) -> None:
        raise KeyError("colour")

    async with simulation() as (_simulator, accounts):
        with pytest.raises(KeyError, match="colour"):
            await read(accounts, MemorySink(), observer=mistaken)


def _on_the(count: int, then: Callable[[Call], bool]) -> Callable[[Call], bool]:
    """Call *then* at the *count*-th request, and pick what it picks."""
    remaining = iter(range(1, count + 1))

    def when(call: Call) -> bool:
        return next(remaining, None) == count and then(call)

    return when


def _on_first_window(parameter: str = "createdAfter") -> Callable[[Call], bool]:
    """Pick the requests of one window: the first that sends *parameter*."""
    chosen: list[str] = []

    def when(call: Call) -> bool:
        if parameter not in call.query:
            return False
        chosen.append(call.query["createdAfter"])
        return call.query["createdAfter"] == chosen[0]

    return when
