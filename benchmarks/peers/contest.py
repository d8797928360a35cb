"""What every contender is given and what it hands back, whichever client it is made of."""

from __future__ import annotations

import asyncio
import resource
import sys
import time
from collections.abc import Coroutine, Iterable
from datetime import datetime
from typing import Protocol

import msgspec

_KB_IN_A_MB = 1000  # ru_maxrss counts in KB on Linux

Week = tuple[datetime, datetime]


class Task(msgspec.Struct, frozen=True):
    """Where the simulator is, with which credentials, and the weeks to read."""

    url: str
    token_url: str
    client_id: str
    client_secret: str
    refresh_token: str
    weeks: list[Week]


class Score(msgspec.Struct, frozen=True):
    """What came of it: the order numbers as they were received, and what went wrong.

    *seconds* and *cpu_seconds* (of all threads) are those of the run, without the start of
    Python and the imports; *peak_mb* is the whole process.
    """

    seconds: float
    cpu_seconds: float
    peak_mb: float
    numbers: list[str]
    errors: list[str]


class Contender(Protocol):
    """Reads the weeks of the task; appends each order's number as soon as it has it.

    What it had before it failed counts. It returns the errors that it outlived.
    """

    def __call__(
        self, task: Task, numbers: list[str]
    ) -> Coroutine[object, object, Iterable[BaseException]]:
        """Read."""
        ...


def compete(contender: Contender) -> None:
    """Run *contender*: the task comes as the one argument, the score goes to stdout."""
    task = msgspec.json.decode(sys.argv[1], type=Task)
    sys.stdout.write(msgspec.json.encode(score(contender, task)).decode())


def score(contender: Contender, task: Task) -> Score:
    """Return how *contender* did with *task*."""
    numbers: list[str] = []
    errors: Iterable[BaseException]
    began_at, cpu_began_at = time.perf_counter(), time.process_time()
    try:
        errors = asyncio.run(contender(task, numbers))
    except Exception as error:  # noqa: BLE001 - whatever a client raises is its score
        errors = [error]
    return Score(
        seconds=time.perf_counter() - began_at,
        cpu_seconds=time.process_time() - cpu_began_at,
        peak_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _KB_IN_A_MB,
        numbers=numbers,
        errors=[type(error).__name__ for error in errors],
    )


async def all_at_once(
    reads: Iterable[Coroutine[object, object, None]],
) -> list[BaseException]:
    """Await all *reads*; one that fails does not end the others, and is returned."""
    results = await asyncio.gather(*reads, return_exceptions=True)
    return [one for one in results if one is not None]
