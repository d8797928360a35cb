"""Run a job to its end, or until somebody wants it to stop."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from pathlib import Path

import click
import msgspec

from ..jobs.summary import Summary
from ..shared_limiter import SharedLimiters
from . import say

COMPLETE = 0
INCOMPLETE = 3


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


def write_summary(summary: Summary, path: Path | None) -> None:
    """Write *summary* as one JSON object to *path*, standard output when it is ``-``.

    Where that cannot be done it is said; how the run came out does not depend on it.
    """
    if path is None:
        return
    text = msgspec.json.format(msgspec.json.encode(summary), indent=2).decode()
    try:
        if str(path) == "-":
            click.echo(text)
        else:
            path.write_text(text + "\n")
    except OSError as error:
        say(f"vendororders: the summary could not be written to {path}: {error.strerror}")
