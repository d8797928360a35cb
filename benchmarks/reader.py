"""One backfill in a process of its own, which says how much memory it took at most.

It imports the client and nothing else, so that the memory is the client's.
"""

from __future__ import annotations

import asyncio
import resource
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import msgspec

from vendororders_async import Account, backfill

_MEGABYTE = 1_000_000


class Range(msgspec.Struct, frozen=True):
    """What to read, and where to."""

    account: Account
    since: datetime
    until: datetime
    to: str


class Peak(msgspec.Struct, frozen=True):
    """How a backfill came out, and the most memory its process had resident."""

    complete: bool
    orders: int
    seconds: float
    megabytes: float


def read_alone(what: Range) -> Peak:
    """Backfill *what* in a new process."""
    process = subprocess.run(
        [sys.executable, "-m", __name__],
        input=msgspec.json.encode(what),
        stdout=subprocess.PIPE,
        check=True,
    )
    return msgspec.json.decode(process.stdout, type=Peak)


async def _read() -> Peak:
    what = msgspec.json.decode(sys.stdin.buffer.read(), type=Range)
    summary = await backfill(
        [what.account], since=what.since, until=what.until, to=what.to, streams=["created"]
    )
    return Peak(summary.complete, summary.orders, summary.seconds, _peak_bytes() / _MEGABYTE)


def _peak_bytes() -> int:
    """Return the most that was ever resident of this process."""
    # Linux hands a parent's peak down to what it starts, in ru_maxrss but not in VmHWM:
    # https://man7.org/linux/man-pages/man5/proc_pid_status.5.html
    status = Path("/proc/self/status")
    if status.exists():
        fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(fields["VmHWM"].removesuffix("kB")) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes on macOS


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(asyncio.run(_read())))
