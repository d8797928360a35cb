"""Accounts followed for hours and months: nothing is lost, none is told twice, none is old.

Time is virtual. What is asserted is in `Following.differences`: every document is as Amazon
has it, every version was recorded once and with its store, every change came to whoever reads
them, and no watermark was ahead of what is stored, nor of the clock.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from audited_sink import Stored
from following import Following
from memory import grown_by
from months import Month, Step, by_days, live, perform, steps_of
from quick_loop import run

from vendororders_async.clock import seconds_between
from vendororders_async.jobs.course import Course
from vendororders_async.operations import api_named
from vendororders_async.simulator import Settings

BEAT = 60.0  # seconds
DEEP = timedelta(hours=2)
AMAZON = Settings(orders=30, days=20, latency=0.2)
SHOP = Settings(orders=0, direct_fulfillment_orders=30, days=20, latency=0.2)
COURSE = Course(interval=BEAT, deep_every=DEEP)
DIRECT = Course(api=api_named("direct-fulfillment"), interval=BEAT, deep_every=DEEP)
HOUR = 3600.0
FAULTS = {"500": 0.002, "503": 0.002, "429": 0.002, "reset": 0.002, "truncated": 0.001} | {
    "hang": 0.0005,
    "slow": 0.0005,
}

Story = Callable[[Following], Awaitable[None]]


def follow(
    folder: Path, story: Story, *, settings: Settings = AMAZON, course: Course = COURSE
) -> list[str]:
    """Have *story* happen while a sync runs; return what is wrong when all has settled."""

    async def main() -> list[str]:
        async with Following(folder, settings, course) as scene:
            scene.start()
            await scene.pass_time(minutes=10)
            await story(scene)
            await scene.settle()
            return scene.differences()

    return run(main())


async def told_after(scene: Following, number: str, kind: str = "OrderCreated") -> float:
    """Return how many seconds from now on it takes until the change is told."""
    return seconds_between(scene.simulator.now(), await scene.told_at(number, kind))


@pytest.mark.parametrize(("settings", "course"), [(AMAZON, COURSE), (SHOP, DIRECT)])
def test_an_order_is_followed_through_its_life(
    tmp_path: Path, settings: Settings, course: Course
) -> None:
    """It arrives, changes, is acknowledged, received and closed: the sink has it each time."""

    async def story(scene: Following) -> None:
        number = scene.amazon.arrive()
        for happens in (
            scene.amazon.change,
            scene.amazon.acknowledge,
            scene.amazon.receive,
            scene.amazon.close,
        ):
            await scene.pass_time(minutes=11)
            happens(number)

    assert follow(tmp_path, story, settings=settings, course=course) == []


@pytest.mark.parametrize(
    "kind", ["arrive at a page", "change before a page", "change during a page", "change twice"]
)
def test_what_happens_during_a_sweep_is_not_missed(tmp_path: Path, kind: str) -> None:
    """Between two pages of a list, during a page, and twice within a second."""

    async def story(scene: Following) -> None:
        for which in range(12):
            await perform(scene, Step(kind, 17 * which, 0.4))
            await scene.pass_time(seconds=37)

    paged = msgspec.structs.replace(AMAZON, empty_pages=1.0)

    assert follow(tmp_path, story, settings=paged) == []


def test_an_order_is_told_on_the_next_beat(tmp_path: Path) -> None:
    """So is a move of its state; and what is read again for it comes with it."""
    seconds: list[float] = []

    async def story(scene: Following) -> None:
        number = scene.amazon.arrive()
        seconds.append(await told_after(scene, number))
        await scene.pass_time(minutes=20)  # past the lookback, which would bring it as well
        scene.amazon.close(number)
        seconds.append(await told_after(scene, number, "OrderChanged"))

    assert follow(tmp_path, story) == []
    assert max(seconds) < 1.1 * BEAT + 5


@pytest.mark.parametrize(
    ("late", "seconds"),
    [
        (timedelta(minutes=13), 1.1 * BEAT + 5),
        (timedelta(hours=3), 1.1 * DEEP.total_seconds()),
        (timedelta(days=6, hours=21), 1.1 * DEEP.total_seconds()),
    ],
)
def test_what_is_published_late_is_found(
    tmp_path: Path, late: timedelta, seconds: float
) -> None:
    """Minutes late by the next sweep, up to seven days by the next deep one."""
    taken: list[float] = []

    async def story(scene: Following) -> None:
        for _ in range(3):
            taken.append(await told_after(scene, scene.amazon.arrive(late=late)))
            await scene.pass_time(minutes=7)

    assert follow(tmp_path, story) == []
    assert max(taken) < seconds


@pytest.mark.parametrize("outage", ["refused", "503"])
def test_an_outage_of_hours_is_made_up_for(tmp_path: Path, outage: str) -> None:
    """Within minutes after it, and while it lasts, no more is asked than when it is quiet."""
    counts: list[int] = []
    taken: list[float] = []

    async def story(scene: Following) -> None:
        await scene.pass_time(hours=1)
        counts.append(scene.transport.request_count)
        numbers = [scene.amazon.arrive()]
        await perform(scene, Step("outage", which=int(outage == "503"), amount=3))
        counts.append(scene.transport.request_count)
        numbers.append(scene.amazon.arrive())
        taken.extend([await told_after(scene, one) for one in numbers])

    assert follow(tmp_path, story) == []
    assert counts[1] - counts[0] < 3 * 480
    assert max(taken) < 180


@pytest.mark.parametrize("hours", [-24.0, -1.0, 1.0, 24.0])
@pytest.mark.parametrize("kind", ["clock", "clock during a page"])
def test_our_clock_may_be_set(tmp_path: Path, kind: str, hours: float) -> None:
    """However far, and whenever: what arrives then is told as soon as ever."""
    taken: list[float] = []

    async def story(scene: Following) -> None:
        for ahead in (hours, 0.0):
            await perform(scene, Step(kind, amount=ahead))
            taken.append(await told_after(scene, scene.amazon.arrive()))
            await scene.pass_time(minutes=40)
            taken.append(await told_after(scene, scene.amazon.arrive()))

    assert follow(tmp_path, story) == []
    assert max(taken) < 2.2 * BEAT + 5


@pytest.mark.parametrize("hours", [-24.0, 24.0])
def test_our_clock_may_be_wrong_when_it_begins(tmp_path: Path, hours: float) -> None:
    """Even while Amazon is away, so that nobody says what time it is."""
    taken: list[float] = []

    async def story(scene: Following) -> None:
        await perform(scene, Step("clock", amount=hours))
        scene.transport.outage = "refused"
        await perform(scene, Step("kill"))
        await scene.pass_time(minutes=30)
        scene.transport.outage = ""
        taken.append(await told_after(scene, scene.amazon.arrive()))

    assert follow(tmp_path, story) == []
    assert max(taken) < 180


def test_a_cancellation_is_seen_before_anything_ships(tmp_path: Path) -> None:
    """Nothing but the order of direct fulfillment itself says so: it is read on a beat."""
    taken: list[float] = []

    async def story(scene: Following) -> None:
        number = scene.amazon.arrive()
        await scene.pass_time(hours=4)
        scene.amazon.cancel(number)
        taken.append(await told_after(scene, number, "OrderChanged"))

    assert follow(tmp_path, story, settings=SHOP, course=DIRECT) == []
    assert max(taken) < 360


@pytest.mark.parametrize("kind", ["restart", "kill", "backfill", "once"])
def test_a_sync_goes_on_where_another_run_was(tmp_path: Path, kind: str) -> None:
    """Stopped, killed, or in turn with a backfill; what happened meanwhile is made up for."""

    async def story(scene: Following) -> None:
        for which in range(6):
            await perform(scene, Step("arrive"))
            await perform(scene, Step("close", which))
            await scene.pass_time(seconds=20 * which)
            await perform(scene, Step("change during a page", which + 3))
            await perform(scene, Step(kind))

    assert follow(tmp_path, story) == []


@pytest.mark.parametrize(("settings", "course"), [(AMAZON, COURSE), (SHOP, DIRECT)])
def test_once_brings_everything_and_ends(
    tmp_path: Path, settings: Settings, course: Course
) -> None:
    """Into an empty sink all of the history, and later on what came late, moved or changed."""

    async def main() -> tuple[list[str], list[str]]:
        async with Following(tmp_path, settings, course) as scene:
            await scene.once()
            first = scene.differences()
            numbers = scene.amazon.numbers()
            for kind in ("change", "close", "cancel"):
                await scene.pass_time(days=2)
                await perform(scene, Step(kind, len(kind)))
                await perform(scene, Step("arrive", amount=6))
            await scene.once()
            assert len(scene.amazon.numbers()) == len(numbers) + 3
            return first, scene.differences()

    assert run(main()) == ([], [])


def test_a_document_that_is_spoilt_on_its_way_is_read_again(tmp_path: Path) -> None:
    """It is kept in quarantine, and the order is in the sink all the same."""

    async def story(scene: Following) -> None:
        scene.simulator.inject("getPurchaseOrders", "bad-order:nan")
        scene.amazon.arrive()
        await scene.pass_time(minutes=10)

    assert follow(tmp_path, story) == ["1 documents are in quarantine"]


def test_a_quiet_account_costs_what_is_promised(tmp_path: Path) -> None:
    """480 requests an hour, of 36,000 that an operation's plan grants; the sink knows it."""
    course = Course()

    async def main() -> tuple[float, dict[str, float]]:
        async with Following(tmp_path, AMAZON, course, readers_every=HOUR) as scene:
            scene.start()
            await scene.pass_time(hours=1)
            before = scene.transport.request_count
            await scene.pass_time(hours=6)
            made = scene.transport.request_count - before
            [standing] = scene.job.standing().accounts
            await scene.stop()
            return made / 6, standing.requests_an_hour

    an_hour, told = run(main())

    assert 470 < an_hour < 500
    assert told["getPurchaseOrders"] == pytest.approx(360, rel=0.05)
    assert told["getPurchaseOrdersStatus"] == pytest.approx(120, rel=0.05)


def test_accounts_do_not_wake_at_once(tmp_path: Path) -> None:
    """However many begin together, their requests are spread evenly over a beat."""
    settings = Settings(accounts=100, orders=0, latency=0.2, keep_arrivals=True)

    async def main() -> Counter[int]:
        async with Following(tmp_path, settings, Course(), readers_every=HOUR) as scene:
            since = scene.simulator.now() - timedelta(hours=1)
            scene.start(since=since)
            await scene.pass_time(minutes=4)
            scene.simulator.traffic.clear()
            await scene.pass_time(minutes=1)
            await scene.stop()
            return Counter(int(one.at) for one in scene.simulator.traffic.arrivals)

    seconds = run(main())

    assert sum(seconds.values()) / 60 == pytest.approx(100 * 480 / 3600, rel=0.2)
    assert max(seconds.values()) < 3 * 100 * 480 / 3600


def test_a_month_loses_nothing_and_grows_nothing(tmp_path: Path) -> None:
    """With faults, outages, clocks that are set, runs that end in any way, and late orders."""
    month = Month(days=30, arrivals=100, late=20, moves=200, restarts=4, kills=4)
    settings = msgspec.structs.replace(AMAZON, faults=FAULTS)
    course = Course(
        interval={"created": 1800.0, "changed": 7200.0, "statuses": 7200.0},
        deep_every=timedelta(hours=12),
    )
    window_counts: list[int] = []

    async def main() -> tuple[list[str], int]:
        async with Following(tmp_path, settings, course, readers_every=6 * HOUR) as scene:
            scene.start()
            for steps in by_days(steps_of(month), days=5):
                await live(scene, steps, 5)
                window_counts.append(Stored.of(scene.path).window_count)
            await scene.pass_time(hours=12)
            grown = await grown_by(scene.pass_time(hours=12))
            await scene.settle()
            return scene.differences(), grown

    found, grown = run(main())

    assert found == []
    assert max(window_counts) < 60
    assert grown < 100_000
