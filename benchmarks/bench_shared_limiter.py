"""Who keeps a pace over processes? ``python -m benchmarks.bench_shared_limiter``.

Ours against the GCRA of two libraries, on a Redis of its own: first one process alone, as
fast as it can, for what an acquire costs; then four processes, four tasks each, on a plan of
10 a second and burst 10, of which everybody spends 9 at once. A strict bucket judges each
permit when it arrives, up to 50 ms late. A fair share is 1; the figure is the largest by the
smallest of the four. Last, four processes ask a simulator for pages at our shared pace.

What is not installed is left out and named: ``make bench`` puts the libraries into
``.peers``.
"""

from __future__ import annotations

import os
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path

import msgspec

from vendororders_async.simulator import Settings
from vendororders_async.usage import UsagePlan

from .amazon import running
from .limiters import asking
from .limiters.contender import LIMITERS, Result, Task
from .report import Figure, arguments, report

PROCESSES, WORKERS = 4, 4
PLAN = UsagePlan(10, 10)
SECONDS, ACQUIRES, STARTING = 10.0, 2_000, 2.0
JITTER = 0.05  # seconds
FAIR, MEDIAN_LIMIT, THROTTLED_LIMIT = 1.5, 500.0, 0.0

_PEERS = Path(__file__).parents[1] / ".peers"


class Left(Exception):
    """A contender could not be run."""


def main(given: Sequence[str] | None = None) -> bool:
    """Measure and print; return whether ours is within its limits."""
    options = arguments(__doc__ or "", given, rounds=3)
    figures: list[Figure] = []
    command = shutil.which("redis-server") or shutil.which("valkey-server")
    if command is None:
        print("left out: the shared limiter: it needs redis-server", file=sys.stderr)
        return True
    with redis_server(command) as url:
        for name in LIMITERS:
            try:
                rounds = [measured(name, url) for _ in range(options.rounds)]
            except Left as error:
                print(f"left out: {name}: {error}; `make bench` installs it", file=sys.stderr)
                continue
            figures += _figures(name, rounds)
        throttled, rates = zip(
            *(through_the_simulator(url) for _ in range(options.rounds)), strict=True
        )
        figures += [
            Figure("4 processes, simulator: 429s", "", throttled, THROTTLED_LIMIT),
            Figure("4 processes, simulator: rate", "/s", rates),
        ]
    title = f"A shared limiter; {PROCESSES} processes, {PLAN}, {SECONDS:g} s"
    return report(title, figures, as_json=options.json)


class Round(msgspec.Struct, frozen=True):
    """What came of one limiter in one round; times are in microseconds."""

    median: float
    late: float
    cpu: float
    granted: float
    refused: float
    share: float


def measured(name: str, url: str) -> Round:
    """Run one round of one limiter.

    Raises:
        Left: it is not installed, or fails.
    """
    alone = Task(name, url, os.urandom(8).hex(), 1e6, 1e6, workers=0, count=ACQUIRES)
    [one] = _processes([alone])
    seconds = sorted(one.seconds)
    begins_at = time.time() + STARTING
    task = msgspec.structs.replace(
        alone,
        key=os.urandom(8).hex(),
        rate=PLAN.rate,
        burst=PLAN.burst,
        workers=WORKERS,
        count=0,
        begins_at=begins_at,
        ends_at=begins_at + SECONDS,
    )
    several = _processes([task] * PROCESSES)
    granted = [[at for at in each.granted_at if at <= begins_at + SECONDS] for each in several]
    return Round(
        median=1e6 * statistics.median(seconds),
        late=1e6 * seconds[int(0.99 * len(seconds))],
        cpu=1e6 * one.cpu_seconds / ACQUIRES,
        granted=sum(map(len, granted)),
        refused=refused([at for each in granted for at in each], PLAN),
        share=max(map(len, granted)) / max(1, min(map(len, granted))),
    )


def refused(sent_at: Sequence[float], plan: UsagePlan) -> int:
    """Return how many of these a strict bucket refuses, each arriving a little late."""
    dice = random.Random(1)
    content, before, count = plan.burst, 0.0, 0
    for at in sorted(at + dice.uniform(0, JITTER) for at in sent_at):
        content = min(plan.burst, content + (at - before) * plan.rate)
        before = at
        if content < 1:
            count += 1
        else:
            content -= 1
    return count


def through_the_simulator(url: str) -> tuple[float, float]:
    """Return the 429s of four processes that ask at our pace, and their rate together."""
    with running(Settings(orders=50, latency=0.1, keep_arrivals=True)) as amazon:
        begins_at = time.time() + STARTING
        task = asking.Task(amazon.account, url, WORKERS, begins_at, begins_at + SECONDS)
        _run("asking", [msgspec.json.encode(task)] * PROCESSES)
        arrivals = [one for one in amazon.report().arrivals if one.operation != "token"]
    throttled = sum(one.status == HTTPStatus.TOO_MANY_REQUESTS for one in arrivals)
    first, *_, last = (one.at for one in arrivals)
    return throttled, (len(arrivals) - 1) / (last - first)


@contextmanager
def redis_server(command: str) -> Iterator[str]:
    """Run a Redis until the block is left; yield its URL."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        arguments_ = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder]
        with subprocess.Popen([command, *arguments_], stdout=subprocess.DEVNULL) as process:
            time.sleep(0.5)
            try:
                yield f"redis://127.0.0.1:{port}/0"
            finally:
                process.terminate()


def _figures(name: str, rounds: Sequence[Round]) -> list[Figure]:
    is_ours = name == "ours"
    ideal = PLAN.with_margin().burst + PLAN.rate * SECONDS
    return [
        Figure(
            f"{name}: an acquire",
            "us",
            [one.median for one in rounds],
            MEDIAN_LIMIT if is_ours else None,
        ),
        Figure(f"{name}: 99 of 100", "us", [one.late for one in rounds]),
        Figure(f"{name}: CPU an acquire", "us", [one.cpu for one in rounds]),
        Figure(f"{name}: granted of {ideal:g}", "", [one.granted for one in rounds]),
        Figure(
            f"{name}: refused by a strict bucket",
            "",
            [one.refused for one in rounds],
            THROTTLED_LIMIT if is_ours else None,
        ),
        Figure(
            f"{name}: largest share by smallest",
            "",
            [one.share for one in rounds],
            FAIR if is_ours else None,
        ),
    ]


def _processes(tasks: Sequence[Task]) -> list[Result]:
    given = [msgspec.json.encode(task) for task in tasks]
    answers = _run("contender", given, needs_peers=tasks[0].limiter != "ours")
    return [msgspec.json.decode(one, type=Result) for one in answers]


def _run(module: str, tasks: Sequence[bytes], *, needs_peers: bool = False) -> list[bytes]:
    """Run a process for each of *tasks*, all at once, and return what they print."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", f"benchmarks.limiters.{module}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=os.environ | ({"PYTHONPATH": str(_PEERS)} if needs_peers else {}),
        )
        for _ in tasks
    ]
    for process, task in zip(processes, tasks, strict=True):
        assert process.stdin is not None  # noqa: S101 - it is piped
        process.stdin.write(task)
        process.stdin.close()
        process.stdin = None
    ended = [process.communicate() for process in processes]
    for process, (_, errors) in zip(processes, ended, strict=True):
        if process.returncode:
            raise Left(errors.decode().strip().rpartition("\n")[2])
    return [out for out, _ in ended]


if __name__ == "__main__":
    sys.exit(not main())
