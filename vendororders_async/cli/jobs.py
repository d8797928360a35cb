"""Run a job to its end, or until somebody wants it to stop."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from pathlib import Path

import click
import msgspec

from ..jobs.summary import Summary
from ..shared_limiter import SharedLimiters
from ..terminals import escaped
from . import say

COMPLETE = 0
INCOMPLETE = 3

_SUMMARY = b'{\n  "complete": '  # how every summary begins


async def until_signal(
    job: Callable[[], Awaitable[None]], *, stop: Callable[[], None] | None = None
) -> int | None:
    """Run *job*; on SIGINT or SIGTERM cancel it, let it clean up, and return the signal.

    Where there is a *stop*, the first signal calls that, and the second one cancels. One more
    does what it always does.
    """
    loop = asyncio.get_running_loop()
    received: list[int] = []
    task = asyncio.ensure_future(job())

    def on_signal(number: int) -> None:
        received.append(number)
        if stop is not None and len(received) == 1:
            stop()
            return
        for one in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(one)
        task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, on_signal, number)
    try:
        await task
    except asyncio.CancelledError:
        if not received:
            raise
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
    return received[0] if received else None


def limiters_at(url: str | None) -> SharedLimiters | None:
    """Return the limiters that are shared at *url*, to be opened by `paced`.

    Raises:
        ConfigurationError: *url* is no address of a shared limiter.
    """
    return SharedLimiters(url) if url else None


def paced(
    job: Callable[[], Awaitable[None]], limiters: SharedLimiters | None
) -> Callable[[], Awaitable[None]]:
    """Return *job* as one that opens *limiters* first, if there are any, and closes them."""

    async def run() -> None:
        async with limiters or nullcontext():
            await job()

    return run


def private(path: str, flags: int) -> int:
    """Open a file; one that was not there is private (0600), whatever the umask says."""
    return os.open(path, flags, 0o600)


def echo_json(data: bytes) -> None:
    """Print *data* on standard output; on a terminal nothing in it drives that."""
    click.echo(escaped(data) if sys.stdout.isatty() else data)


def why_no_summary(path: Path) -> str | None:
    """Return why no summary can be put in the place of what is at *path*; None if it can."""
    try:
        if not path.is_file():  # nothing is there, or a pipe
            return None
        with path.open("rb") as file:
            is_ours = file.read(len(_SUMMARY)) in {b"", _SUMMARY}
    except OSError as error:
        return f"{path}: {error.strerror}"
    return None if is_ours else f"{path} holds something else; name another file"


def write_summary(summary: Summary, path: Path | None) -> None:
    """Write *summary* as one JSON object to *path*, standard output when it is ``-``.

    Where that cannot be done it is said; how the run came out does not depend on it.
    """
    if path is None:
        return
    data = msgspec.json.format(msgspec.json.encode(summary), indent=2)
    try:
        if str(path) == "-":
            echo_json(data)
        elif problem := why_no_summary(path):  # the sink may have been made there meanwhile
            say(f"vendororders: the summary could not be written: {problem}")
        else:
            with open(path, "wb", opener=private) as file:
                file.write(data + b"\n")
    except OSError as error:
        say(f"vendororders: the summary could not be written to {path}: {error.strerror}")
