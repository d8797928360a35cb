"""An event loop whose clock jumps to the next timer instead of waiting for it.

While threads of the default executor (or any future registered with `hold`) are at work,
time stands still, so that a timer does not overtake real work.
"""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Executor
from typing import Any, TypeVar

T = TypeVar("T")

_STALLED = 20.0  # real seconds in which nothing happens and nothing is going to
_TICK = 1e-6  # a clock that stands quite still makes aiolimiter re-arm a due timer for ever


class _JumpingSelector(selectors.DefaultSelector):
    """Asks for events without waiting, and moves the clock where it would have waited."""

    loop: VirtualTimeLoop
    _idle_since: float | None = None

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout == 0:
            self._idle_since = None
            self.loop.advance(0)
            return ready
        self._refuse_to_stall(timeout)
        if self.loop.jobs_running or timeout is None or self.loop.sockets_open:
            # real work is under way: let it happen, a moment at a time
            ready = super().select(0.002 if timeout is None else min(timeout, 0.002))
            if ready or self.loop.jobs_running or timeout is None:
                return ready
        self.loop.advance(timeout)
        return ready

    def _refuse_to_stall(self, timeout: float | None) -> None:
        """Raise where a test would hang: no timer is set, and no socket or thread speaks."""
        if timeout is not None:
            self._idle_since = None
            return
        now = time.monotonic()
        self._idle_since = self._idle_since or now
        if now - self._idle_since > _STALLED:
            raise RuntimeError("nothing happens on virtual time: something waits for ever")


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """A loop with its own clock; ``time()`` starts at 1,000 seconds."""

    def __init__(self) -> None:
        selector = _JumpingSelector()
        selector.loop = self
        self._virtual_now = 1_000.0
        self.jobs_running = 0
        super().__init__(selector)

    @property
    def sockets_open(self) -> bool:
        """Whether anything but the loop's own wake-up pipe is watched."""
        return len(self._selector.get_map()) > 1  # type: ignore[attr-defined] # asyncio names it so since 3.4

    def time(self) -> float:
        return self._virtual_now

    def advance(self, seconds: float) -> None:
        """Let *seconds* pass at once."""
        self._virtual_now += max(seconds, 0.0) + _TICK

    def run_in_executor(  # type: ignore[override] # typeshed's overload with TypeVarTuple is not worth repeating
        self, executor: Executor | None, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        future = super().run_in_executor(executor, func, *args)
        self.jobs_running += 1
        future.add_done_callback(self._job_done)
        return future

    async def shutdown_default_executor(
        self,
        timeout: float | None = None,  # noqa: ASYNC109 - the signature is asyncio's
    ) -> None:
        """Wait for its threads; in vain for *timeout*, which would be over at once here."""
        del timeout  # new in 3.12: asyncio's own closing gives it 300 s
        await super().shutdown_default_executor()

    def _job_done(self, _future: asyncio.Future[Any]) -> None:
        self.jobs_running -= 1


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run *main* on virtual time and return what it returns."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)


async def elapsed(awaitable: Awaitable[object]) -> float:
    """Return how many (virtual) seconds *awaitable* takes."""
    loop = asyncio.get_running_loop()
    began_at = loop.time()
    await awaitable
    return loop.time() - began_at
