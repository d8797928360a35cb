"""A process that starts copies of itself, each with one thing to do, and kills them.

All that is imported is imported once, so that a kill costs a tenth of a second. It takes
orders as lines on standard input, and answers each with a line; `killing.py` gives them.
"""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn

import msgspec
from killing import Deed, End

from vendororders_async.accounts import Account, Credentials
from vendororders_async.acknowledgements import Draft
from vendororders_async.changes import Change
from vendororders_async.cli import export, main, purge, quarantine  # noqa: F401 - warm
from vendororders_async.jobs.acknowledge import jobs_for, recording, run_together
from vendororders_async.jobs.acknowledging import Manner
from vendororders_async.jobs.backfill import Backfill
from vendororders_async.jobs.course import Course
from vendororders_async.jobs.reading import Reading
from vendororders_async.jobs.submitting import Following
from vendororders_async.jobs.sync import Sync
from vendororders_async.operations import RETAIL
from vendororders_async.sinks import Sink, open_sink
from vendororders_async.sinks.parquet import ParquetSink
from vendororders_async.sinks.parquet_objects import ObjectShelf
from vendororders_async.sinks.parquet_tables import ParquetTables  # noqa: F401 - warm
from vendororders_async.sinks.postgres import PostgresSink
from vendororders_async.transport import Transport

# Long enough that what was on its way when its sender was killed is there
FOLLOWING = Following(first_look=0.1, presumed_after=0.3, missing_after=3.0)

_TERM = 3.0  # seconds that a lease in a bucket holds
_LOOK = 0.001  # seconds


def opened(deed: Deed, now: Callable[[], datetime]) -> Sink:
    """Return the sink of *deed*; where it has leases, they are as long as the test likes."""
    url = deed.url
    if url.startswith("s3:"):
        return ParquetSink(ObjectShelf(url, term=_TERM), now=now)
    if url.startswith("postgres:"):
        return PostgresSink(url, now=now, term=deed.term)
    return open_sink(url, now=now)


def account_of(deed: Deed) -> Account:
    """Return the one whose orders are read."""
    env = deed.env
    return Account(
        name="demo",
        credentials=Credentials(
            client_id=env["LWA_APP_ID"],
            client_secret=env["LWA_CLIENT_SECRET"],
            refresh_token=env["SP_API_REFRESH_TOKEN"],
        ),
        endpoint=env["SP_API_ENDPOINT"],
        token_url=env["LWA_ENDPOINT"],
    )


def clock_of(deed: Deed) -> Callable[[], datetime]:
    """Return the clock that *deed* lives by: how far it is from ours, and how much faster."""
    began_at, speed = deed.began_at, deed.speed
    if (stopped_at := deed.stopped_at) is not None:
        return lambda: stopped_at
    return lambda: datetime.fromtimestamp(began_at + (time.time() - began_at) * speed, UTC)


async def backfill(deed: Deed) -> int:
    """Read the range into the sink; 3 if something is missing."""
    reading = Reading(
        since=deed.since,
        until=deed.until,
        reread=timedelta(days=400) if deed.reads_again else timedelta(days=7),
    )
    now = clock_of(deed)
    async with opened(deed, now) as sink:
        job = Backfill([account_of(deed)], reading, to=sink, now=now)
        await job.run()
    return 0 if job.summary().complete else 3


def note(file: str, batch: list[Change]) -> None:
    """Add the numbers of *batch* to *file*, as a consumer keeps what it was told."""
    with Path(file).open("a") as told:
        told.writelines(f"\n{one.sequence}\n" for one in batch)


async def sync(deed: Deed) -> int:
    """Follow, and write down the number of each change before the next are asked for."""
    now = clock_of(deed)
    course = Course(since=deed.since, interval=0.5, once=deed.once)
    async with opened(deed, now) as sink:
        job = Sync([account_of(deed)], course, to=sink, now=now)

        async def consume() -> None:
            changes = job.changes(consumer="mortal")
            async with aclosing(changes):
                async for batch in changes:
                    note(deed.told, batch)

        async with asyncio.TaskGroup() as group:
            group.create_task(consume())
            await job.run()
    return 0 if job.summary().complete else 3


async def accept(deed: Deed) -> int:
    """Accept the orders whose numbers are the arguments, and wait for nothing if not *once*."""
    manner = Manner(api=RETAIL, wait=deed.once, batch=2, following=FOLLOWING)
    drafts = [
        Draft(api="retail", purchase_order_number=one, where=one) for one in deed.arguments
    ]
    async with opened(deed, clock_of(deed)) as sink, Transport() as transport:
        wanted = [(account_of(deed), drafts)]
        [job] = jobs_for(wanted, recording(sink), transport, manner)
        await run_together([job], manner)
        if job.error is not None:
            raise job.error
        return 0 if all(one.is_settled for one in job.outcomes()) else 3


JOBS: dict[str, Callable[[Deed], Any]] = {"backfill": backfill, "sync": sync, "accept": accept}


def live(deed: Deed) -> NoReturn:
    """Do *deed*, and end with its code."""
    for name in ("stdout", "stderr"):
        kept = os.open(f"{deed.output}.{name}", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(kept, getattr(sys, name).fileno())
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    if deed.largest_file is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (deed.largest_file, deed.largest_file))
    os.environ.clear()
    os.environ.update(deed.env)
    if deed.job == "command":
        main(deed.arguments)
    if deed.job == "shell":
        os.execvp(deed.arguments[0], list(deed.arguments))  # noqa: S606 - the test's own
    sys.exit(asyncio.run(JOBS[deed.job](deed)))


def outlive(deed: Deed) -> End:
    """Have a child do *deed*, and kill it when its time has come."""
    child = os.fork()
    if not child:
        code = 70
        try:
            live(deed)
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        except BaseException:  # noqa: BLE001 - a traceback where the test finds it
            sys.excepthook(*sys.exc_info())
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    began_at = time.monotonic()
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        seconds = time.monotonic() - began_at
        if ended:
            return End(code=os.waitstatus_to_exitcode(status), seconds=seconds)
        is_late = deed.kill_after is not None and seconds >= deed.kill_after
        if is_late or (deed.kill_when and os.path.exists(deed.kill_when)):  # noqa: PTH110 - quick
            os.kill(child, signal.SIGKILL)
            _, status = os.waitpid(child, 0)
            return End(code=os.waitstatus_to_exitcode(status), seconds=seconds)
        time.sleep(_LOOK)


if __name__ == "__main__":
    gc.collect()
    gc.freeze()
    sys.stdout.write("\n")
    sys.stdout.flush()
    for line in sys.stdin:
        answer = outlive(msgspec.json.decode(line, type=Deed))
        sys.stdout.write(msgspec.json.encode(answer).decode() + "\n")
        sys.stdout.flush()
