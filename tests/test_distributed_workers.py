"""``--on dask`` with real worker processes: what becomes of a run when one of them dies."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import Process
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from commands import ended, run, start
from many_accounts import accounts_file, stored_by_account
from postgres import execute
from redis_server import RedisServer, needs_redis
from simulated import accounts_of

from vendororders_async.simulator import Arrival, Settings, Simulator

pytest.importorskip("distributed", reason="the extra dask is not installed")
psutil = pytest.importorskip("psutil", reason="it comes with the extra dask")

UNTIL = (datetime.now(UTC) - timedelta(days=10)).replace(microsecond=0)
SINCE = UNTIL - timedelta(days=150)
RANGE = ("--since", SINCE.isoformat(), "--until", UNTIL.isoformat())
# Some five seconds at the plan's pace, and less than a core of work
FOUR = Settings(accounts=4, orders=2_000, days=170, items=1, latency=0.05)
ENV = {"PATH": os.environ.get("PATH", "")}  # Dask's warnings are not ours


def command(file: Path, sink: Path | str) -> tuple[str, ...]:
    """Return a backfill of all accounts, into a database of SQLite's or into a URL."""
    to = f"sqlite:{sink}" if isinstance(sink, Path) else sink
    return ("backfill", *RANGE, "--accounts", str(file), "--to", to)


async def pages(simulator: Simulator, count: int) -> None:
    """Wait until every account was answered so many pages."""
    names = [one.name for one in simulator.accounts]
    async with asyncio.timeout(30):
        while min(simulator.traffic.count(account=name, status=200) for name in names) < count:  # noqa: ASYNC110 - a counter
            await asyncio.sleep(0.01)


def workers_of(process: Process) -> list[int]:
    """Return the processes of the workers that the command started."""
    children = psutil.Process(process.pid).children()
    return [one.pid for one in children if "--multiprocessing-fork" in one.cmdline()]


def after_second_login(simulator: Simulator) -> list[Arrival]:
    """Return the requests of accounts that another process has taken over."""
    logins: Counter[str] = Counter()
    found = []
    for one in simulator.traffic.arrivals:
        if one.operation == "token":
            logins[one.account] += 1
        elif logins[one.account] > 1:
            found.append(one)
    return found


def assert_exact(simulator: Simulator, held: Mapping[str, Mapping[str, bytes]]) -> None:
    """Every order of the range is there, as it is at Amazon, and nothing else."""
    for one in simulator.accounts:
        everything = simulator.truth(one.name)
        truth = simulator.truth(one.name, after=SINCE, before=UNTIL)
        assert truth.items() <= held[one.name].items() <= everything.items()


async def test_a_run_outlives_the_death_of_a_worker(tmp_path: Path) -> None:
    """One is killed in mid-run: every order is there, and its successor keeps the pace."""
    simulator = await outlived(tmp_path, tmp_path / "orders.db")

    assert_exact(simulator, stored_by_account(tmp_path / "orders.db"))


async def test_the_lease_of_a_dead_worker_is_waited_for(
    tmp_path: Path, postgres_url: str
) -> None:
    """PostgreSQL cannot know that its holder died; the rest is as with a lock on a file."""
    simulator = await outlived(tmp_path, f"{postgres_url}&lease=5")

    held: dict[str, dict[str, bytes]] = {}
    select = "SELECT account, purchase_order_number, document FROM purchase_orders"
    for account, number, document in execute(postgres_url, select):
        held.setdefault(account, {})[number] = document.encode()
    assert_exact(simulator, held)
    assert execute(postgres_url, "SELECT count(*) FROM leases") == [(0,)]


async def outlived(folder: Path, sink: Path | str) -> Simulator:
    """Kill a worker in mid-run; the run is complete, and nobody was throttled for it."""
    simulator = Simulator(msgspec.structs.replace(FOUR, keep_arrivals=True))
    async with simulator.serve() as served:
        file = accounts_file(folder, accounts_of(served))
        process = await start(*command(file, sink), "--on", "dask", "--summary", "-", env=ENV)
        await pages(simulator, 30)  # of each account something is stored by then
        workers = await asyncio.to_thread(workers_of, process)
        os.kill(workers[0], signal.SIGKILL)
        done = await ended(process)

    assert done.code == 0, done.err
    assert "Traceback" not in done.err
    assert done.summary.complete
    assert len(done.summary.accounts) == 4
    successor = after_second_login(simulator)
    assert {one.account for one in successor}
    assert [one for one in successor if one.status == 429] == []
    return simulator


@needs_redis
async def test_workers_keep_one_plan_together_with_a_shared_limiter(tmp_path: Path) -> None:
    """An account that two shards know by two names is read at the pace of one."""
    simulator = Simulator(msgspec.structs.replace(FOUR, accounts=1, orders=1_000))
    path = tmp_path / "orders.db"
    async with RedisServer(tmp_path) as redis, simulator.serve() as served:
        [account] = accounts_of(served)
        again = msgspec.structs.replace(account, name="again")
        file = accounts_file(tmp_path, [account, again])
        limiter = ("--shared-limiter", redis.url)
        done = await run(
            *command(file, path), *limiter, "--on", "dask", "--summary", "-", env=ENV
        )

    held = stored_by_account(path)
    assert done.code == 0, done.err
    assert done.summary.throttled == 0
    assert held[account.name].keys() == held["again"].keys()
    assert simulator.traffic.count(operation="token") == 2  # in two processes


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["INT", "TERM"]
)
async def test_an_interrupted_run_stops_its_workers_and_goes_on_later(
    number: signal.Signals, code: int, tmp_path: Path
) -> None:
    """Ctrl-C reaches all processes of a terminal; the workers end in order all the same."""
    simulator = Simulator(FOUR)
    path = tmp_path / "orders.db"
    async with simulator.serve() as served:
        file = accounts_file(tmp_path, accounts_of(served))
        process = await start(*command(file, path), "--on", "dask", "--summary", "-", env=ENV)
        await pages(simulator, 8)
        workers = await asyncio.to_thread(workers_of, process)
        if number is signal.SIGINT:
            for one in workers:
                os.kill(one, number)
        process.send_signal(number)
        interrupted = await asyncio.wait_for(ended(process), timeout=10)
        left = [one for one in workers if psutil.pid_exists(one)]
        resumed = await run(*command(file, path), "--summary", "-", env=ENV)

    assert interrupted.code == code
    assert left == []
    assert "Traceback" not in interrupted.err
    assert not interrupted.summary.complete
    assert interrupted.summary.orders > 0
    assert resumed.code == 0
    assert_exact(simulator, stored_by_account(path))


async def test_refused_accounts_are_told_as_in_one_process(tmp_path: Path) -> None:
    """The account's line comes from the worker, and the others' orders are stored."""
    simulator = Simulator(Settings(accounts=2, orders=50, days=140, rate=500, burst=500))
    refused, other = (one.name for one in simulator.accounts)
    simulator.refuse(refused)
    async with simulator.serve() as served:
        file = accounts_file(tmp_path, accounts_of(served))
        done = await run(
            *command(file, tmp_path / "orders.db"), "--summary", "-", "--on", "dask", env=ENV
        )

    lines = [line for line in done.err.splitlines() if refused in line]
    assert done.code == 3
    assert len([line for line in lines if "warning" in line or "error" in line]) == 1
    assert done.summary.accounts[refused].error
    assert done.summary.accounts[other].complete


async def test_without_the_extra_one_line_names_it(tmp_path: Path) -> None:
    """Nothing is started, and the exit code says that the command is wrong."""
    simulator = Simulator(Settings(orders=5))
    async with simulator.serve() as served:
        file = accounts_file(tmp_path, accounts_of(served))
    code = (
        "import sys; sys.modules['distributed'] = None\n"
        "from vendororders_async.cli import main; main(sys.argv[1:])"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        code,
        *command(file, tmp_path / "x.db"),
        "--on",
        "dask",
        env=ENV,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    done = await ended(process)

    assert done.code == 2
    assert "vendororders-async[dask]" in done.err
    assert "Traceback" not in done.err


async def test_a_scheduler_that_does_not_answer_is_not_waited_for() -> None:
    """It is one line, after a time that is known."""
    code = (
        "import asyncio\n"
        "from vendororders_async.distributed.cluster import connected\n"
        "from vendororders_async.errors import ConfigurationError\n"
        "async def main():\n"
        "    try:\n"
        "        async with connected('tcp://127.0.0.1:1', 1, patience=0.5): pass\n"
        "    except ConfigurationError as error: print(error)\n"
        "asyncio.run(main())\n"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        code,
        env=ENV,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    done = await asyncio.wait_for(ended(process), timeout=15)

    assert done.err == ""
    assert done.out.startswith("the Dask scheduler at tcp://127.0.0.1:1 does not answer")
    assert len(done.out.splitlines()) == 1
