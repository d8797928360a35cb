"""One account's pace over several processes: on virtual time, without a server."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from memory_book import MemoryBook, MemoryServer
from virtual_time import elapsed, run

from vendororders_async.errors import ConfigurationError
from vendororders_async.limiter import Paused, Urgency
from vendororders_async.shared_book import RedisBook
from vendororders_async.shared_limiter import Link, SharedGate, SharedLimiters
from vendororders_async.usage import UsagePlan

PLAN = UsagePlan(rate=10, burst=10)
SLACK = 0.02  # seconds; the virtual clock ticks a little at every timer
NAME = "acme getPurchaseOrders"


@asynccontextmanager
async def processes(server: MemoryServer, count: int) -> AsyncIterator[list[SharedGate]]:
    """Open the gates of *count* processes to the same bucket."""
    async with AsyncExitStack() as stack:
        gates = []
        for _ in range(count):
            link = Link(MemoryBook(server), "redis://test")
            link.open()
            stack.push_async_callback(link.close)
            gates.append(SharedGate(NAME, PLAN, link))
        yield gates


def virtually(
    scenario: Callable[[MemoryServer, list[SharedGate]], Awaitable[Any]],
    *,
    count: int = 4,
) -> Any:
    """Run *scenario* with the gates of *count* processes, on virtual time."""

    async def main() -> Any:
        server = MemoryServer()
        async with processes(server, count) as gates:
            return await scenario(server, gates)

    return run(main())


def now() -> float:
    """Return the loop's time."""
    return asyncio.get_running_loop().time()


async def permit(gate: SharedGate, urgency: Urgency = Urgency.BULK) -> float:
    """Wait for a permit as a request does, outside of the line while there is a pause."""
    while True:
        try:
            return await gate.acquire(urgency)
        except Paused as pause:
            await asyncio.sleep(pause.seconds)


async def permits(gate: SharedGate, count: int) -> list[float]:
    """Ask for *count* permits at once and return when each was given."""
    return sorted(await asyncio.gather(*(permit(gate) for _ in range(count))))


async def busy(gate: SharedGate, granted: list[float], workers: int = 4) -> None:
    """Take permits for ever, several at once."""

    async def work() -> None:
        while True:
            granted.append(await permit(gate))

    async with asyncio.TaskGroup() as group:
        for _ in range(workers):
            group.create_task(work())


@asynccontextmanager
async def all_busy(gates: list[SharedGate]) -> AsyncIterator[list[list[float]]]:
    """Keep all of *gates* busy inside the block; yield when each gave its permits."""
    granted: list[list[float]] = [[] for _ in gates]
    tasks = [asyncio.create_task(busy(*pair)) for pair in zip(gates, granted, strict=True)]
    try:
        yield granted
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


def most_in(granted: list[list[float]], seconds: float) -> int:
    """Return how many permits there were at the most in any *seconds*, over all."""
    given = sorted(at for each in granted for at in each)
    return max(sum(at <= one < at + seconds for one in given) for at in given)


def test_several_processes_keep_one_plan_and_equal_shares() -> None:
    """Together they have the rate of one, and take turns."""

    async def scenario(_: MemoryServer, gates: list[SharedGate]) -> list[int]:
        async with all_busy(gates) as granted:
            await asyncio.sleep(60)
            return [len(each) for each in granted]

    counts = virtually(scenario)

    assert sum(counts) == pytest.approx(600, rel=0.02)
    assert max(counts) - min(counts) <= 1


def test_what_was_saved_up_is_one_burst_for_all() -> None:
    """After a rest nine go at once, whoever asks; not nine each."""

    async def scenario(_: MemoryServer, gates: list[SharedGate]) -> list[float]:
        await permit(gates[0])
        await asyncio.sleep(10)
        began_at = now()
        given = await asyncio.gather(*(permits(gate, 5) for gate in gates))
        return sorted(at - began_at for each in given for at in each)

    given = virtually(scenario)

    assert given[8] < SLACK
    assert given[9] == pytest.approx(0.1, abs=SLACK)
    assert given[19] == pytest.approx(1.1, abs=SLACK)


def test_a_bucket_that_nobody_knows_begins_empty() -> None:
    """What was spent before is not known either: ten permits take a second."""
    seconds = virtually(lambda _, gates: elapsed(permits(gates[0], 10)))

    assert seconds == pytest.approx(1.0, abs=SLACK)


def test_a_permit_is_one_round_trip() -> None:
    """Also where many wait: nobody polls."""

    async def scenario(server: MemoryServer, _: list[SharedGate]) -> int:
        book = MemoryBook(server)
        link = Link(book, "redis://test")
        link.open()
        await permits(SharedGate(NAME, PLAN, link), 50)
        await link.close()
        return book.round_trips

    assert virtually(scenario) == 50


def test_a_person_goes_before_a_bulk_job_of_the_same_process() -> None:
    """It takes over the place that was reserved for the job."""

    async def scenario(_: MemoryServer, gates: list[SharedGate]) -> float:
        async with all_busy(gates[:1]):
            await asyncio.sleep(2.05)
            return await elapsed(permit(gates[0], Urgency.PERSON))

    assert virtually(scenario) <= 0.1 + SLACK


@pytest.mark.parametrize("own_is_busy", [True, False])
def test_a_person_waits_for_one_request_of_every_other_process(own_is_busy: bool) -> None:
    """Whatever waits behind those: three others are 0.3 s, and then it is its turn."""

    async def scenario(_: MemoryServer, gates: list[SharedGate]) -> float:
        waits = []
        async with all_busy(gates if own_is_busy else gates[1:]):
            for _round in range(20):
                await asyncio.sleep(1.03)
                waits.append(await elapsed(permit(gates[0], Urgency.PERSON)))
        return max(waits)

    assert virtually(scenario) <= 4 / 10 + SLACK


def test_who_gives_up_gives_the_place_back() -> None:
    """A hundred who wait and leave cost the others nothing."""

    async def scenario(_: MemoryServer, gates: list[SharedGate]) -> float:
        await permits(gates[0], 5)
        for _round in range(100):
            waiting = [asyncio.ensure_future(permit(gate)) for gate in gates]
            await asyncio.sleep(0.001)
            for one in waiting:
                one.cancel()
            await asyncio.wait(waiting)
        await asyncio.sleep(0.01)
        return await elapsed(permits(gates[0], 10))

    assert virtually(scenario) <= 1.0 + SLACK


@pytest.mark.parametrize("steps", range(9))
def test_a_permit_that_comes_with_the_cancellation_is_not_lost(steps: int) -> None:
    """At whatever step: what was not used of the burst is still there."""

    async def scenario(_: MemoryServer, gates: list[SharedGate]) -> float:
        await permit(gates[0])
        await asyncio.sleep(10)
        waiting = [asyncio.ensure_future(permit(gates[0])) for _ in range(3)]
        for _step in range(steps):
            await asyncio.sleep(0)
        for one in waiting:
            one.cancel()
        await asyncio.wait(waiting)
        used = sum(not one.cancelled() for one in waiting)
        return await elapsed(permits(gates[0], 9 - used))

    assert virtually(scenario) < SLACK


def test_nobody_of_a_process_passes_after_its_429() -> None:
    """Not even with the place that was reserved before, and while the server does not know."""

    async def scenario(server: MemoryServer, gates: list[SharedGate]) -> float:
        sent_at = await permit(gates[0])
        waiting = asyncio.ensure_future(permit(gates[0]))
        await asyncio.sleep(0.05)
        server.latency = 0.2
        gates[0].observe(429, {}, sent_at)
        return await elapsed(waiting)

    assert virtually(scenario) >= 1.0


def test_a_429_anywhere_pauses_and_slows_all() -> None:
    """One process is told; in the others at most one request each is on its way by then."""

    async def scenario(_: MemoryServer, gates: list[SharedGate]) -> tuple[int, int, str]:
        async with all_busy(gates) as granted:
            await asyncio.sleep(3)
            told_at = now()
            gates[0].observe(429, {}, now())
            await asyncio.sleep(9)
            given = [at - told_at for each in granted for at in each]
            paused = sum(0.0 < at < 0.9 for at in given)
            return paused, sum(2 <= at < 8 for at in given), repr(gates[3])

    paused, after, shown = virtually(scenario)

    assert paused <= 3
    assert after == pytest.approx(6 * 7.5, abs=2)
    assert shown.startswith("<SharedGate 10/s burst 10, ")
    assert shown.endswith(" waiting, slowed to 75%, 4 processes>")


def test_the_429s_of_one_moment_are_one_signal_for_all() -> None:
    """Whichever processes they reach."""

    async def scenario(_: MemoryServer, gates: list[SharedGate]) -> list[str]:
        await asyncio.gather(*(permits(gate, 2) for gate in gates))
        sent_at = now()
        for gate in gates:
            await asyncio.sleep(0.01)
            gate.observe(429, {}, sent_at)
            gate.observe(429, {}, sent_at)
        await asyncio.sleep(2)
        await asyncio.gather(*(permit(gate) for gate in gates))
        return [repr(gate) for gate in gates]

    for shown in virtually(scenario):
        assert "slowed to 75%" in shown


def test_the_pace_recovers_in_quiet_times_for_all() -> None:
    """Step by step, and only once for all processes together."""

    async def scenario(_: MemoryServer, gates: list[SharedGate]) -> list[int]:
        async with all_busy(gates) as granted:
            await asyncio.sleep(2)
            gates[0].observe(429, {}, now())
            await asyncio.sleep(30)
            before = sum(map(len, granted))
            await asyncio.sleep(20)
            return [sum(map(len, granted)) - before, *("slowed" in repr(one) for one in gates)]

    assert virtually(scenario) == [pytest.approx(200, abs=3), False, False, False, False]


def test_a_granted_rate_is_taken_over_by_all() -> None:
    """Amazon tells one process, and all go by it."""

    async def scenario(_: MemoryServer, gates: list[SharedGate]) -> tuple[int, list[UsagePlan]]:
        async with all_busy(gates) as granted:
            await asyncio.sleep(2)
            gates[2].observe(200, {"x-amzn-RateLimit-Limit": "4"}, now())
            await asyncio.sleep(3)
            before = sum(map(len, granted))
            await asyncio.sleep(20)
            return sum(map(len, granted)) - before, [one.plan for one in gates]

    count, plans = virtually(scenario)

    assert count == pytest.approx(80, abs=2)
    assert plans == [UsagePlan(4, 10)] * 4


@pytest.mark.parametrize("forgets", [True, False])
def test_without_the_server_each_process_keeps_its_share(forgets: bool) -> None:
    """No burst when it goes, none when it is back, and the rate of one meanwhile."""

    async def scenario(
        server: MemoryServer, gates: list[SharedGate]
    ) -> tuple[list[list[float]], float]:
        async with all_busy(gates) as granted:
            await asyncio.sleep(5)
            server.is_up = False
            await asyncio.sleep(10.5)
            if forgets:
                server.buckets.clear()
            server.is_up = True
            await asyncio.sleep(10)
            return granted, now()

    granted, ended_at = virtually(scenario)
    given = sorted(at for each in granted for at in each)
    alone = sum(ended_at - 19 <= at < ended_at - 10.5 for at in given)
    again = [sum(at >= ended_at - 5 for at in each) for each in granted]

    assert alone == pytest.approx(85, abs=4)
    assert most_in(granted, 1) <= 10 + 4  # one each was reserved
    assert sum(again) == pytest.approx(50, abs=1)
    assert max(again) - min(again) <= 1


@pytest.mark.parametrize("up", [0.2, 0.4, 0.9])
def test_a_server_that_comes_and_goes_leaves_each_process_its_share(up: float) -> None:
    """Who is back first finds nobody there, and loses it again before the others are."""

    async def scenario(server: MemoryServer, gates: list[SharedGate]) -> list[list[float]]:
        async with all_busy(gates) as granted:
            await asyncio.sleep(5)
            for _ in range(4):
                server.is_up = False
                await asyncio.sleep(9.05)
                server.buckets.clear()
                server.is_up = True
                await asyncio.sleep(up)
            return granted

    granted = virtually(scenario)

    assert most_in(granted, 1) <= 10 + 4  # one each was reserved
    assert most_in(granted, 10) <= 10 * 10 + 4


def test_a_lost_server_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    """And its return as well, however many ask."""
    caplog.set_level(logging.WARNING)

    async def main() -> str:
        server = MemoryServer()
        link = Link(MemoryBook(server), "redis://test")
        link.open()
        gates = [SharedGate(name, PLAN, link) for name in ("one", "two")]
        server.is_up, server.latency = False, 0.01
        await asyncio.gather(*(permits(gate, 20) for gate in gates))
        shown = repr(gates[0])
        server.is_up = True
        await asyncio.gather(*(permits(gate, 20) for gate in gates))
        await link.close()
        return shown

    shown = run(main())

    assert shown == "<SharedGate 10/s burst 10, 0 waiting, alone>"
    lost = "shared limiter lost, each process keeps its own pace: redis://test: "
    assert [record.getMessage() for record in caplog.records] == [
        f"{lost}Connection refused",
        "shared limiter is back: redis://test",
    ]


def test_a_429_alone_slows_this_process_alone() -> None:
    """While the server is lost, the local limiter learns."""

    async def scenario(server: MemoryServer, gates: list[SharedGate]) -> float:
        server.is_up = False
        sent_at = await permit(gates[0])
        gates[0].observe(429, {}, sent_at)
        return await elapsed(permit(gates[0]))

    assert virtually(scenario) >= 1.0


def test_what_was_learnt_alone_is_told_to_the_server_that_is_back() -> None:
    """The rate that Amazon told meanwhile is everybody's then."""

    async def scenario(server: MemoryServer, gates: list[SharedGate]) -> list[UsagePlan]:
        await asyncio.gather(*(permit(gate) for gate in gates))
        server.is_up = False
        await permit(gates[0])
        gates[0].observe(200, {"x-amzn-RateLimit-Limit": "5"}, now())
        server.is_up = True
        await asyncio.sleep(2)
        await permits(gates[0], 3)
        await permits(gates[1], 3)
        return [gates[0].plan, gates[1].plan]

    assert virtually(scenario) == [UsagePlan(5, 10)] * 2


def test_a_pause_by_the_clock_of_a_server_that_is_gone_does_not_last() -> None:
    """Another took over, an hour behind: nobody waits for that hour."""

    async def scenario(server: MemoryServer, gates: list[SharedGate]) -> float:
        sent_at = await permit(gates[0])
        gates[0].observe(429, {}, sent_at)
        await asyncio.sleep(0.01)
        server.ahead -= 3600
        server.buckets.clear()
        return await elapsed(permit(gates[0]))

    assert virtually(scenario) < 3.0


def test_a_permit_that_comes_late_is_not_used() -> None:
    """A process that slept would send into the time of others."""

    async def scenario(server: MemoryServer, gates: list[SharedGate]) -> float:
        await permits(gates[0], 3)
        server.latency = 0.3
        return await elapsed(permit(gates[0]))

    assert virtually(scenario) == pytest.approx(0.6, abs=SLACK)


def test_who_waits_while_the_limiters_are_closed_is_told() -> None:
    """They should outlive whoever uses them; nobody waits for ever."""

    async def main() -> None:
        link = Link(MemoryBook(MemoryServer()), "redis://test")
        link.open()
        waiting = asyncio.ensure_future(SharedGate(NAME, PLAN, link).acquire())
        await asyncio.sleep(0.01)
        await link.close()
        with pytest.raises(RuntimeError, match="were closed"):
            await waiting

    run(main())


def test_who_has_just_begun_to_wait_is_told_as_well() -> None:
    """Also where whoever would get the permit has not taken its first step."""

    async def scenario(server: MemoryServer, _: list[SharedGate]) -> None:
        link = Link(MemoryBook(server), "redis://test")
        link.open()
        waiting = asyncio.create_task(SharedGate(NAME, PLAN, link).acquire(Urgency.BULK))
        await asyncio.create_task(link.close())  # in the same turn of the loop, after it
        async with asyncio.timeout(5):
            with pytest.raises(RuntimeError, match="were closed"):
                await waiting

    virtually(scenario, count=0)


def test_who_is_cancelled_while_it_closes_leaves_nothing_running() -> None:
    """At the first step as well as at the last."""

    async def scenario(server: MemoryServer, _: list[SharedGate]) -> bool:
        link = Link(MemoryBook(server), "redis://test")
        link.open()
        task = link.start(asyncio.sleep(3600))
        closing = asyncio.create_task(link.close())
        await asyncio.sleep(0)
        closing.cancel()
        await asyncio.wait([closing, task], timeout=1)
        return closing.cancelled() and task.cancelled()

    assert virtually(scenario, count=0)


def test_gates_need_their_limiters_open() -> None:
    """Whoever forgot the async with is told."""

    async def scenario() -> None:
        async with SharedLimiters("redis://127.0.0.1:1/0") as limiters:
            limiters.make(NAME, PLAN)

    with pytest.raises(
        ConfigurationError, match=r"^the shared limiter cannot be used: redis://127.0.0.1:1/0"
    ):
        asyncio.run(scenario())

    async def unopened() -> None:
        limiters = SharedLimiters("redis://127.0.0.1:1/0")
        with pytest.raises(RuntimeError, match="inside their async with"):
            await limiters.make(NAME, PLAN).acquire()

    asyncio.run(unopened())


@pytest.mark.parametrize(
    "url", ["http://cache/0", "cache:6379", "redis://cache:port/0", "redis:/:pw@cache/0", ""]
)
def test_an_url_that_is_none_is_refused(url: str) -> None:
    """In one line that says which are."""
    with pytest.raises(ConfigurationError, match="redis://HOST:PORT/0"):
        SharedLimiters(url)


@pytest.mark.parametrize("scheme", ["redis", "rediss", "valkey"])
def test_no_secret_of_the_url_is_shown(scheme: str) -> None:
    """Neither user nor password nor what else it may carry."""
    url = f"{scheme}://me:s3cret@cache:6380/2?password=s3cret"

    assert repr(SharedLimiters(url)) == f"<SharedLimiters {scheme}://cache:6380/2>"
    assert repr(RedisBook(url)) == f"<RedisBook {scheme}://cache:6380/2>"
