"""The simulator in a process of its own, so that its CPU is not the client's.

Settings go in as a line of JSON and the address comes out as one; every further line asks
for a report of what happened since the last. When its input ends, so does the process.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import IO

import msgspec

from vendororders_async import Account
from vendororders_async.simulator import Arrival, Happening, Served, Settings, Simulator
from vendororders_async.testing import accounts_of


class Report(msgspec.Struct, frozen=True):
    """What a simulator did since it was last asked: its CPU, and the requests it got.

    *happenings* are all that happened to orders so far.
    """

    cpu_seconds: float
    arrivals: tuple[Arrival, ...]  # empty unless the settings keep them, as the next
    happenings: tuple[Happening, ...] = ()


class Amazon:
    """A running simulator: its accounts, and reports of what it did."""

    def __init__(self, asked: IO[bytes], answered: IO[bytes]) -> None:
        self._asked, self._answered = asked, answered
        self.accounts = accounts_of(msgspec.json.decode(answered.readline(), type=Served))

    @property
    def account(self) -> Account:
        """The first of the accounts; mostly there is only one."""
        return self.accounts[0]

    def report(self) -> Report:
        """Return what happened since the last report, or the start."""
        self._asked.write(b"report\n")
        self._asked.flush()
        return msgspec.json.decode(self._answered.readline(), type=Report)


@contextmanager
def running(settings: Settings) -> Iterator[Amazon]:
    """Run a simulator until the block is left.

    with running(Settings(orders=50)) as amazon:
        amazon.account
    """
    command = [sys.executable, "-m", __name__]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None  # noqa: S101 - it is piped
        assert process.stdout is not None  # noqa: S101 - the same
        process.stdin.write(msgspec.json.encode(settings) + b"\n")
        process.stdin.flush()
        yield Amazon(process.stdin, process.stdout)
        # leaving the block closes both pipes and waits for the process


def last_midnight() -> datetime:
    """Return where the range that benchmarks read ends: no order of it comes any more."""
    settled = datetime.now(UTC) - timedelta(minutes=10)  # the client leaves the last two out
    return settled.replace(hour=0, minute=0, second=0, microsecond=0)


async def _serve() -> None:
    settings = msgspec.json.decode(sys.stdin.buffer.readline(), type=Settings)
    simulator = Simulator(settings)
    async with simulator.serve() as served:
        _say(served)
        used = time.process_time()
        while await asyncio.to_thread(sys.stdin.buffer.readline):
            now = time.process_time()
            happenings = tuple(simulator.happenings)
            _say(Report(now - used, tuple(simulator.traffic.arrivals), happenings))
            used = now
            simulator.traffic.clear()


def _say(value: msgspec.Struct) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(value) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    asyncio.run(_serve())
