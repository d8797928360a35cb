"""One account's pace over several processes: through a real Redis on loopback.

How long it is waited to the tenth of a second is test_shared_limiter's, on virtual time; here
time is real and the machine may be busy, so that what is counted are requests, and seconds
only where being wrong would cost many.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from commands import STRICT
from fakes import an_account
from memory_book import MemoryBook, MemoryServer
from redis import asyncio as redis
from redis_server import RedisServer, needs_redis

from vendororders_async import SharedLimiters, VendorOrdersClient, clock
from vendororders_async.errors import ConfigurationError
from vendororders_async.limiter import Gate, Pace, Paused, Urgency
from vendororders_async.operations import GET_PURCHASE_ORDERS
from vendororders_async.shared_book import Book, BookLost, Known, RedisBook
from vendororders_async.shared_limiter import SharedGate
from vendororders_async.simulator import Settings, Simulator
from vendororders_async.testing import SimulatedAmazon, running
from vendororders_async.usage import UsagePlan

pytestmark = needs_redis

PLAN = UsagePlan(rate=10, burst=10)
QUICK = UsagePlan(rate=200, burst=10)  # a second of it shows as much as twenty of Amazon's


async def permit(gate: Gate, urgency: Urgency = Urgency.BULK) -> float:
    """Wait for a permit as a request does, outside of the line while there is a pause."""
    while True:
        try:
            return await gate.acquire(urgency)
        except Paused as pause:
            await asyncio.sleep(pause.seconds)


async def permits(gate: Gate, count: int) -> float:
    """Take *count* permits and return how long that took."""
    began_at = time.monotonic()
    await asyncio.gather(*(permit(gate) for _ in range(count)))
    return time.monotonic() - began_at


@asynccontextmanager
async def opened(url: str, count: int) -> AsyncIterator[list[SharedLimiters]]:
    """Open *count* limiters, each as a process of its own has them."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(SharedLimiters(url)) for _ in range(count)]


def gates_of(several: list[SharedLimiters], plan: UsagePlan = QUICK) -> list[SharedGate]:
    """Return the gate of each to one bucket."""
    return [one.make("a-bucket", plan) for one in several]


async def test_one_bucket_serves_all_in_turns(tmp_path: Path) -> None:
    """What the script grants is the plan, shared equally; the server's clock decides."""
    async with RedisServer(tmp_path) as server, opened(server.url, 3) as several:
        gates = gates_of(several)
        began_at = time.monotonic()
        took = await asyncio.gather(*(permits(gate, 100) for gate in gates))
        seconds = time.monotonic() - began_at

        assert seconds >= 300 / 200 - 0.01
        assert min(took) > 0.8 * max(took)


async def test_a_known_pace_is_replaced_only_by_who_knows_it(tmp_path: Path) -> None:
    """Of two who were told the same, the second learns of the first; a lost one is nobody's."""
    first, second = Known(Pace(PLAN), "first"), Known(Pace(PLAN), "second")
    slowed = Pace(PLAN).after_429(0.0, successes=0)
    async with RedisServer(tmp_path) as server, books(server.url, 2) as [one, two]:
        nothing = await one.revise("a-bucket", first, slowed)
        await one.reserve("a-bucket", first, is_empty=False)
        told = await two.reserve("a-bucket", second, is_empty=False)
        taken = await one.revise("a-bucket", first, slowed)
        refused_ = await two.revise("a-bucket", first, Pace(QUICK))
        learnt = await two.reserve("a-bucket", told.known, is_empty=False)

    assert nothing is None
    assert (told.known, told.peers) == (first, 2)
    assert taken is not None
    assert taken.pace == slowed
    assert refused_ == learnt.known == taken


async def test_who_is_back_first_waits_for_the_others(tmp_path: Path) -> None:
    """Once, and not where the others never left."""
    known = Known(Pace(PLAN), "first")
    async with RedisServer(tmp_path) as server, books(server.url, 2) as [one, two]:
        began_at = time.monotonic()
        first = await one.reserve("a-bucket", known, is_empty=True)
        second = await two.reserve("a-bucket", known, is_empty=True)
        new = await one.reserve("another", known, is_empty=False)
        late = await two.reserve("another", known, is_empty=True)
        seconds = time.monotonic() - began_at

    waits = [one.wait for one in (first, second, new, late)]
    assert waits == pytest.approx([1.6, 1.7, 0.1, 0.2], abs=0.02 + seconds)


async def test_a_pause_that_is_longer_than_any_is_of_another_clock(tmp_path: Path) -> None:
    """So it counts for nothing, in a bucket that is made and in one that is there."""
    known = Known(Pace(PLAN).after_429(time.time() + 3600, successes=0), "first")
    async with RedisServer(tmp_path) as server, books(server.url, 1) as [book]:
        made = await book.reserve("a-bucket", known, is_empty=False)
        found = await book.reserve("a-bucket", known, is_empty=False)

    assert (made.paused, found.paused) == (0, 0)


@pytest.mark.parametrize("seed", range(5))
async def test_the_fake_does_what_the_scripts_do(tmp_path: Path, seed: int) -> None:
    """Whatever is asked of both in the same order, so that tests on virtual time count."""
    dice = random.Random(seed)
    known = [Known(Pace(UsagePlan(2, 5)), "first")] * 2
    began_at = time.monotonic()
    async with RedisServer(tmp_path) as server, books(server.url, 1) as [real]:
        fake = MemoryServer(ahead=time.time() - asyncio.get_running_loop().time())
        both: list[Book] = [real, MemoryBook(fake)]
        for _ in range(60):
            # who is asked a moment later has granted more; rates differ threefold
            near = 0.1 + 3 * (time.monotonic() - began_at)
            what = dice.choice(["reserve"] * 6 + ["empty", "give back", "rate", "429"])
            if what in {"reserve", "empty"}:
                places = [
                    await book.reserve("a-bucket", one, is_empty=what == "empty")
                    for book, one in zip(both, known, strict=True)
                ]
                known = [one.known for one in places]
                assert places[0].wait == pytest.approx(places[1].wait, abs=near)
                assert places[0].paused == pytest.approx(places[1].paused, abs=near)
            elif what == "give back":
                for book in both:
                    await book.give_back("a-bucket")
            else:
                rate = dice.choice(["1", "2", "3"])
                for place, book in enumerate(both):
                    pace = known[place].pace.after_answer({"x-amzn-RateLimit-Limit": rate})
                    if what == "429":
                        pace = pace.after_429(time.time() - 2.4, successes=0)
                    revised = await book.revise("a-bucket", known[place], pace)
                    known[place] = revised or known[place]


@asynccontextmanager
async def books(url: str, count: int) -> AsyncIterator[list[RedisBook]]:
    """Open the books of *count* processes."""
    async with AsyncExitStack() as stack:
        found = [RedisBook(url) for _ in range(count)]
        for one in found:
            stack.push_async_callback(one.close)
            await one.check(10)  # and connect, which a busy machine takes its time for
        yield found


async def test_the_server_knows_neither_token_nor_account(tmp_path: Path) -> None:
    """Its keys are hashes, and do not stay for ever."""
    account = an_account()
    async with RedisServer(tmp_path) as server:
        async with (
            SharedLimiters(server.url) as limiters,
            redis.Redis.from_url(server.url, decode_responses=True) as client,
        ):
            await limiters.of(account, GET_PURCHASE_ORDERS).acquire()
            keys = sorted(
                [key async for key in client.scan_iter("vendororders:*") if "check" not in key]
            )
            lives = [await client.ttl(key) for key in keys]
            peers = await client.zcard(keys[1])
        async with redis.Redis.from_url(server.url) as client:
            left = await client.exists(keys[1])

    assert len(keys) == 2
    assert all(account.credentials.refresh_token not in key for key in keys)
    assert 0 < lives[1] <= 60 < lives[0] <= 3_600
    assert (peers, left) == (1, 0)


async def test_who_gives_up_gives_the_place_back(tmp_path: Path) -> None:
    """Forty who leave while they wait cost the next one nothing; forty places are 4 s."""
    async with RedisServer(tmp_path) as server, opened(server.url, 2) as several:
        gates = gates_of(several, PLAN)
        await permit(gates[0])
        for _ in range(40):
            waiting = asyncio.ensure_future(permit(gates[1]))
            await asyncio.sleep(0.01)
            waiting.cancel()
            with suppress(asyncio.CancelledError):
                await waiting
        seconds = await permits(gates[0], 1)

    assert seconds < 3


async def test_a_429_in_one_process_pauses_the_other(tmp_path: Path) -> None:
    """And slows it, as its own would."""
    async with RedisServer(tmp_path) as server, opened(server.url, 2) as several:
        gates = gates_of(several, UsagePlan(rate=0.5, burst=10))
        sent_at = await gates[0].acquire()
        gates[0].observe(429, {}, sent_at)
        await asyncio.sleep(0.05)
        with pytest.raises(Paused) as caught:
            await gates[1].acquire()

        assert 0 < caught.value.seconds <= 20  # until an empty bucket is full again
        assert "slowed to 75%" in repr(gates[1])


async def test_a_person_passes_the_bulk_jobs_of_other_processes(tmp_path: Path) -> None:
    """It waits for one request of each of the three."""
    async with RedisServer(tmp_path) as server, opened(server.url, 4) as several:
        gates = gates_of(several, PLAN)
        jobs = [asyncio.ensure_future(permit(gate)) for gate in gates[:3] for _ in range(50)]
        await asyncio.sleep(0.5)
        before = sum(map(asyncio.Task.done, jobs))
        async with asyncio.timeout(5):
            await permit(gates[3], Urgency.PERSON)
        meanwhile = sum(map(asyncio.Task.done, jobs)) - before
        for job in jobs:
            job.cancel()
        await asyncio.wait(jobs)

    assert meanwhile <= 3 + 3  # what had been granted, and was on its way, counts here as well


@pytest.mark.parametrize("restarts", [True, False])
async def test_the_server_is_killed_in_mid_run(tmp_path: Path, restarts: bool) -> None:
    """Work goes on within the plan, and together again where the server is back."""
    granted: list[tuple[float, int]] = []

    async def work(number: int, gate: Gate) -> None:
        while True:
            await permit(gate)
            granted.append((time.monotonic(), number))

    async with RedisServer(tmp_path) as server, opened(server.url, 4) as several:
        gates = gates_of(several, PLAN)
        tasks = [asyncio.ensure_future(work(*pair)) for pair in enumerate(gates) for _ in "ab"]
        await asyncio.sleep(1.5)
        await server.kill()
        killed_at = time.monotonic()
        await asyncio.sleep(2)
        meanwhile = len([at for at, _ in granted if at > killed_at])
        seconds = time.monotonic() - killed_at
        if restarts:
            await server.start()
        ends = "4 processes>" if restarts else "alone>"
        async with asyncio.timeout(30):
            while not all(repr(one).endswith(ends) for one in gates):  # noqa: ASYNC110 - no event
                await asyncio.sleep(0.1)
        before = len(granted)
        async with asyncio.timeout(30):
            while len(granted) < before + 20:  # noqa: ASYNC110 - a counter
                await asyncio.sleep(0.1)
        last = [number for _, number in granted[-16:]]
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)

    assert 4 < meanwhile <= 10 * seconds + 4  # one each was reserved
    assert refused([at for at, _ in granted]) == 0
    assert all(2 <= last.count(number) <= 6 for number in range(4))


def refused(sent_at: list[float]) -> int:
    """Return how many of these a strict bucket would have refused."""
    content, before, count = PLAN.burst, 0.0, 0
    for at in sorted(sent_at):
        content, before = min(PLAN.burst, content + (at - before) * PLAN.rate), at
        if content < 1:
            count += 1
        else:
            content -= 1
    return count


@asynccontextmanager
async def relayed(server: RedisServer) -> AsyncIterator[tuple[str, asyncio.Event]]:
    """Yield a URL that leads to *server*, and what lets anything through while it is set."""
    writers: list[asyncio.StreamWriter] = []
    flowing = asyncio.Event()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        inner, outer = await asyncio.open_connection("127.0.0.1", server.port)
        writers.append(outer)

        async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            while data := await source.read(65536):
                await flowing.wait()
                sink.write(data)

        with suppress(ConnectionError):
            await asyncio.gather(pump(reader, outer), pump(inner, writer))

    relaying = await asyncio.start_server(relay, "127.0.0.1", 0)
    try:
        yield f"redis://127.0.0.1:{relaying.sockets[0].getsockname()[1]}/0", flowing
    finally:
        flowing.set()
        for writer in writers:
            writer.close()
        relaying.close()
        await relaying.wait_closed()


async def test_a_server_that_hangs_is_lost_within_half_a_second(tmp_path: Path) -> None:
    """Nobody waits for its answer."""
    async with RedisServer(tmp_path) as server, relayed(server) as (url, flowing):
        flowing.set()
        async with SharedLimiters(url) as limiters:
            gate = limiters.make("a-bucket", PLAN)
            await permit(gate)
            flowing.clear()
            seconds = await permits(gate, 1)
            shown = repr(limiters)
            flowing.set()

    assert 0.5 <= seconds < 5  # and not for ever, however busy this machine is
    assert shown.endswith(", lost>")


async def test_an_answer_that_is_there_is_read_however_late(tmp_path: Path) -> None:
    """A process that was held up itself does not take the server for lost."""
    async with RedisServer(tmp_path) as server, books(server.url, 1) as [book]:
        server.hold()
        asked = asyncio.ensure_future(
            book.reserve("a-bucket", Known(Pace(PLAN), "first"), is_empty=False)
        )
        await asyncio.sleep(0.05)
        server.go_on()
        time.sleep(1)  # noqa: ASYNC251 - what holds it up, for longer than its patience
        reserved = await asked

    assert reserved.peers == 1


async def test_a_server_that_is_slow_at_first_is_waited_for(tmp_path: Path) -> None:
    """Nothing is sent before, so that nothing waits; a thousand processes may begin at once."""
    async with RedisServer(tmp_path) as server, relayed(server) as (url, flowing):
        asyncio.get_running_loop().call_later(0.7, flowing.set)
        async with SharedLimiters(url) as limiters:
            shown = repr(limiters)

    assert shown == f"<SharedLimiters {url}>"


async def test_a_wrong_password_is_said_without_it(tmp_path: Path) -> None:
    """In one line, at the start; the right one is let in."""
    async with RedisServer(tmp_path, password="s3cret") as server:
        async with SharedLimiters(server.url) as limiters:
            await permit(limiters.make("a-bucket", PLAN))
        wrong = server.url.replace("s3cret", "wr0ng")
        with pytest.raises(ConfigurationError) as caught:
            await SharedLimiters(wrong).__aenter__()

    assert str(caught.value) == (
        f"the shared limiter cannot be used: redis://127.0.0.1:{server.port}/0: "
        "the user or the password is refused; see --shared-limiter"
    )


async def test_a_password_that_came_later_is_said(tmp_path: Path) -> None:
    """Though Redis answers a long command of a stranger with an error of its protocol."""
    async with RedisServer(tmp_path) as server, books(server.url, 1) as [book]:
        await book.check()
        async with redis.Redis.from_url(server.url) as other:
            await other.config_set("requirepass", "s3cret")
            await other.client_kill_filter(_type="normal")
        with pytest.raises(BookLost, match=r"/0: the user or the password is refused$"):
            await book.reserve("a-bucket", Known(Pace(PLAN), "first"), is_empty=False)


async def test_a_script_that_the_server_forgot_is_sent_again(tmp_path: Path) -> None:
    """A restart that nobody noticed is no loss."""
    async with RedisServer(tmp_path) as server, opened(server.url, 1) as [limiters]:
        gate = limiters.make("a-bucket", QUICK)
        await permit(gate)
        await server.kill()
        await server.start()
        await permit(gate)

        assert repr(limiters) == f"<SharedLimiters {server.url}>"


@pytest.fixture
def amazon() -> Iterator[SimulatedAmazon]:
    """Run a simulator with Amazon's plan, that notes when requests arrive."""
    settings = Settings(orders=3_000, days=60, latency=0.02, keep_arrivals=True)
    with running(Simulator(settings)) as amazon:
        yield amazon


async def test_four_processes_draw_no_429(tmp_path: Path, amazon: SimulatedAmazon) -> None:
    """At Amazon's plan of 10 a second, in equal shares; benchmarks measure how near to it."""
    async with RedisServer(tmp_path) as server:
        task = msgspec.json.encode((amazon.account, server.url, 6.0))
        processes = [await asker(task) for _ in range(4)]
        outs = await asyncio.gather(*(one.communicate(b"go\n") for one in processes))
    traffic = amazon.simulator.traffic
    arrivals = [one.at for one in traffic.arrivals if one.operation != "token"]
    counts = [int(out) for out, _ in outs]

    assert traffic.throttled() == 0  # so that it was no more than the plan
    assert (len(arrivals) - 1) / (arrivals[-1] - arrivals[0]) > 7
    assert max(counts) <= 2 * min(counts)


async def asker(task: bytes) -> asyncio.subprocess.Process:
    """Return a process that is ready to do *task*, and prints how many answers it had."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        Path(__file__).parent / "support" / "asking_process.py",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(task + b"\n")
    assert await process.stdout.readline() == b"ready\n"
    return process


async def test_a_backfill_and_a_web_service_share_an_account(
    tmp_path: Path, amazon: SimulatedAmazon
) -> None:
    """One is the command, in a process of its own; both go on, and nobody is throttled."""
    others: list[int] = []  # that arrived meanwhile
    after = clock.now() - timedelta(days=3)
    async with RedisServer(tmp_path) as server:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "vendororders_async", "backfill", "--quiet"),
            *("--since", "59d", "--to", f"sqlite:{tmp_path / 'orders.db'}"),
            env=amazon.env
            | {"VENDORORDERS_SHARED_LIMITER": server.url, "PYTHONWARNINGS": STRICT},
            stderr=asyncio.subprocess.PIPE,
        )
        async with (
            SharedLimiters(server.url) as limiters,
            VendorOrdersClient(amazon.account, limiters=limiters) as client,
        ):
            while process.returncode is None:
                before = len(amazon.simulator.traffic.arrivals)
                await client.retail.get_purchase_orders(
                    created_after=after, created_before=after + timedelta(days=1), limit=1
                )
                others.append(len(amazon.simulator.traffic.arrivals) - before - 1)
                await asyncio.sleep(0.1)
        _, errors = await process.communicate()

    was_lost = b"shared limiter lost" in errors  # to a machine that stood still for a moment
    assert process.returncode == 0
    assert was_lost or (errors, amazon.simulator.traffic.throttled()) == (b"", 0)
    assert len(others) > 5
    assert statistics.median(others) <= 4  # a place, and what was on its way


@pytest.mark.parametrize(
    "command",
    ["backfill", "sync --once", "get X", "transaction X", "acknowledge --accept-all X"],
)
async def test_commands_say_that_the_server_is_not_there(tmp_path: Path, command: str) -> None:
    """In one line, and before anything is asked."""
    account = an_account()
    env = {
        "LWA_APP_ID": account.credentials.client_id,
        "LWA_CLIENT_SECRET": account.credentials.client_secret,
        "SP_API_REFRESH_TOKEN": account.credentials.refresh_token,
        "VENDORORDERS_SHARED_LIMITER": "redis://me:s3cret@127.0.0.1:1/0",
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "vendororders_async", *command.split()),
        env=env,
        cwd=tmp_path,
        stderr=asyncio.subprocess.PIPE,
    )
    _, errors = await asyncio.wait_for(process.communicate(), 60)
    *_, line = errors.decode().splitlines()

    assert process.returncode == 2
    assert line.startswith(
        "vendororders: the shared limiter cannot be used: redis://127.0.0.1:1/0: "
    )
    assert "s3cret" not in line
