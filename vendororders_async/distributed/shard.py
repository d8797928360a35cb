"""One shard of a backfill: what travels to a worker, and what runs there."""

from __future__ import annotations

import asyncio
import glob
import logging
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import nullcontext, suppress
from contextvars import ContextVar
from importlib import import_module
from pathlib import Path
from threading import Lock
from typing import Any

import msgspec

from ..errors import ConfigurationError, VendorOrdersError, one_line
from ..jobs.backfill import Backfill
from ..jobs.figures import Figures, Recorder
from ..jobs.reading import Reading
from ..jobs.summary import Summary
from ..operations import api_named
from ..settings import ConfiguredAccounts
from ..shared_limiter import SharedLimiters
from ..telemetry import LOG_FIELDS, Event

TOPIC = "vendororders"  # of the events in which tasks tell how far they are

_LOOK_SECONDS = 0.2  # a task looks whether it is still wanted
_TELL_SECONDS = 1.0
_HERE = frozenset({"running", "paused", "closing_gracefully"})  # states of a worker

_log = logging.getLogger("vendororders_async")
_log_lock = Lock()
_stopped: set[str] = set()  # runs
_tellers: ContextVar[Callable[[dict[str, Any]], None]] = ContextVar("_tellers")


class Assignment(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be read, and where to: what `backfill` takes, in values that travel.

    *reading* are the arguments of `Reading` but for its API, *shared_limiter* is the URL of
    `SharedLimiters`. It shows no URL in its repr, which Dask writes into logs.
    """

    to: str
    accounts_file: Path | None = None
    api: str = "retail"
    direct_fulfillment_version: str = "v1"
    reading: Mapping[str, Any] = {}
    shared_limiter: str | None = None

    def __repr__(self) -> str:
        return f"Assignment(api={self.api!r})"

    def checked(self) -> Reading:
        """Return what is to be read.

        Raises:
            InvalidArgument, ConfigurationError: it could not be meant.
        """
        self.limiters()
        api = api_named(self.api, self.direct_fulfillment_version)
        return Reading(api=api, **self.reading)

    def limiters(self) -> SharedLimiters | None:
        """Return the limiters to share, to be opened, if there are any."""
        return SharedLimiters(self.shared_limiter) if self.shared_limiter else None


class Outcome(msgspec.Struct, frozen=True):
    """How a shard came out: *summary*, or the *error* for which it could not begin."""

    summary: Summary | None = None
    error: str | None = None
    is_setting: bool = False  # the error is one of the settings


def stop_shards(run: str) -> None:
    """Let this worker's tasks of *run* end: those under way, and those that begin later."""
    _stopped.add(run)


def run_shard(run: str, names: Sequence[str], assignment: Assignment) -> bytes:
    """Read what is asked for the accounts called *names*, in a worker's thread.

    A task that waits for its loop would sit on the worker's own, hence it has one of its own.
    What went wrong for a reason of ours is an answer, so that Dask does not try again.
    """
    worker: Any = import_module("distributed").get_worker()
    key = worker.get_current_task()

    def tell(message: dict[str, Any]) -> None:
        worker.log_event(TOPIC, {"run": run, **message})

    def is_wanted() -> bool:
        # Also when the client is gone, or the scheduler gave the task to another worker
        task = worker.state.tasks.get(key)
        is_here = worker.status.name in _HERE
        return (
            run not in _stopped and is_here and task is not None and task.state == "executing"
        )

    _tellers.set(tell)
    _send_log()
    try:
        patterns = [glob.escape(name) for name in names]
        source = ConfiguredAccounts(assignment.accounts_file, patterns=patterns)
        told = _Told(names, tell)
        limiters = assignment.limiters()
        job = Backfill(
            source.load(),
            assignment.checked(),
            to=assignment.to,
            observer=told,
            limiters=limiters,
        )

        async def paced() -> None:
            async with limiters or nullcontext():
                await job.run()

        asyncio.run(_while_wanted(paced(), is_wanted, told))
        outcome = Outcome(job.summary())
    except VendorOrdersError as error:
        is_setting = isinstance(error, ConfigurationError)
        what = f"Dask worker {worker.address}: {error}"
        outcome = Outcome(error=one_line(what), is_setting=is_setting)
    return msgspec.json.encode(outcome)


async def _while_wanted(
    run: Coroutine[Any, Any, None], is_wanted: Callable[[], bool], told: _Told
) -> None:
    running = asyncio.create_task(run)
    while not running.done():
        if not is_wanted():
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running
            break
        await asyncio.wait([running], timeout=_LOOK_SECONDS)
        told.now_and_then()
    told.now()
    if not running.cancelled():
        running.result()


class _Told:
    """An observer that tells the client how far accounts are: what has changed, seldom."""

    def __init__(self, names: Iterable[str], tell: Callable[[dict[str, Any]], None]) -> None:
        self._recorders = {name: Recorder(name) for name in names}
        self._tell = tell
        self._known: dict[str, Figures] = {}
        self._began_at = self._told_at = time.monotonic()

    def __call__(self, event: Event) -> None:
        self._recorders[event.account].note(event, time.monotonic())

    def now_and_then(self) -> None:
        if time.monotonic() - self._told_at >= _TELL_SECONDS:
            self.now()

    def now(self) -> None:
        self._told_at = time.monotonic()
        figures = {
            name: one.figures(self._began_at, self._told_at)
            for name, one in self._recorders.items()
        }
        new = [one for name, one in figures.items() if self._known.get(name) != one]
        self._known = figures
        if new:
            self._tell({"figures": msgspec.json.encode(new)})


class _ToClient(logging.Handler):
    """Sends what a shard logs to the client that waits for it."""

    def emit(self, record: logging.LogRecord) -> None:
        tell = _tellers.get(None)
        if tell is None:
            return
        fields = {name: getattr(record, name, None) for name in LOG_FIELDS}
        told = {name: str(value) for name, value in fields.items() if value is not None}
        tell({"level": record.levelno, "line": record.getMessage(), "fields": told})


def _send_log() -> None:
    with _log_lock:
        if not any(isinstance(one, _ToClient) for one in _log.handlers):
            handler = _ToClient(logging.WARNING)
            _log.addHandler(handler)
