"""One thread that does a sink's blocking work, job after job."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from ..errors import SinkError

T = TypeVar("T")

_ROOM = 8  # jobs at hand: enough to keep the thread busy, few enough to hold callers back


class WriterThread:
    """Runs functions in one thread of its own, in the order they were asked for.

        result = await thread.run(function)

    A caller waits until its job is done even when it is cancelled meanwhile; the
    cancellation goes on from there. So a job is never abandoned halfway, and what follows
    it (a lock let go, a file closed) really follows.
    """

    def __init__(self, name: str) -> None:
        self._room = asyncio.Semaphore(_ROOM)
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        self._is_open = True

    async def run(self, job: Callable[[], T]) -> T:
        """Return what *job* returns.

        Raises:
            SinkError: the thread was closed.
        """
        async with self._room:
            return await self.run_surely(job)

    async def run_surely(self, job: Callable[[], T]) -> T:
        """Do the same past the queue's bound, where a cancellation could still prevent it."""
        return await outlasted(self.start(job))

    def start(self, job: Callable[[], T]) -> asyncio.Future[T]:
        """Put *job* into the queue; what it returns is set in the loop.

        Raises:
            SinkError: the thread was closed.
        """
        if not self._is_open:
            raise SinkError("the sink is not open")
        # through the loop, so that a loop with a clock of its own knows of the job
        return asyncio.get_running_loop().run_in_executor(self._executor, job)

    async def close(self, last_job: Callable[[], None]) -> None:
        """Let the thread finish what it has, do *last_job* and end."""
        try:
            await self.run_surely(last_job)
        finally:
            self._is_open = False
            self._executor.shutdown(wait=False)


async def outlasted(
    future: asyncio.Future[T], *, may_leave: Callable[[], bool] = lambda: False
) -> T:
    """Return the result of *future*; a cancellation waits for it, unless it *may_leave*."""
    cancelled: asyncio.CancelledError | None = None
    while not future.done():
        try:
            await asyncio.wait([future])
        except asyncio.CancelledError as error:
            if may_leave():
                raise
            cancelled = error
    if cancelled is not None:
        future.exception()  # seen; whoever gave up waiting does not want it
        raise cancelled
    return future.result()
