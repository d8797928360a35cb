"""Any call, ended at any of its steps: whether it ends, and what it leaves behind.

found = tried(act, folder, Cut(at=17))
assert found.faults == []

A step is one callback of the loop, so that the awaits of every task count and not those of the
outermost alone. What goes to a thread is done in the loop, in three of them: a job that has
begun is done to its end, whoever has gone meanwhile, as a thread does it.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import threading
import time
import warnings
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from quick_loop import QuickLoop

T = TypeVar("T")

CANCEL, AGAIN, TIME_OUT = "cancelled", "cancelled twice", "timed out"
TOGETHER = "cancelled with its hands"
MANNERS = (CANCEL, AGAIN, TIME_OUT, TOGETHER)

_LONGEST = 100_000.0  # virtual seconds; what takes longer never ends
_LONGEST_REALLY = 60.0
# Ended while it connects, asyncpg leaves a future of its own unread: a line in asyncio's log
_OF_ASYNCPG = "unexpected connection_lost() call"
# What answers in the loop of the test, beside the call that is ended
_SERVERS = ("RequestHandler.", "BaseSelectorEventLoop._accept", "RawServer.")


class Act(msgspec.Struct, frozen=True):
    """A *play* in a world of its own, that *stage* makes anew for every try.

    *covers* are the public names it goes through. *after* uses the same world again, once the
    play was ended: it returns how much it has compared, and says in words what is wrong. Once
    it is told to, the play ends within *seconds*.
    """

    name: str
    stage: Callable[[Path], AbstractAsyncContextManager[Any]]
    play: Callable[[Any], Awaitable[object]]
    after: Callable[[Any, list[str]], Awaitable[int]]
    covers: tuple[str, ...] = ()
    seconds: float = 1.0
    fixture: str = ""  # what its stage needs of pytest, in the place of a folder
    is_real: bool = False  # a server of others answers, who knows no virtual time
    # Tasks of the play's own, by their coroutines' names: a task group would cancel them a few
    # steps later, when what they were just given has reached them
    hands: tuple[str, ...] = ()
    stays: str = "nothing"  # whose tasks belong to what stays open, and not to the play


class Cut(msgspec.Struct, frozen=True):
    """When a play is ended, and how: just before the step *at*, and again *later* steps on."""

    at: int
    manner: str = CANCEL
    later: int = 1


class Found(msgspec.Struct):
    """What came of a try: how many steps there were, and what is wrong."""

    steps: int = 0
    was_cut: bool = False
    compared: int = 0
    faults: list[str] = []


class SteppingLoop(QuickLoop):
    """Counts the callbacks since `count`, and does something before some of them."""

    def __init__(self) -> None:
        super().__init__()
        self.steps = 0
        self.forgotten: list[str] = []  # async generators that nobody closed
        self.is_real = False
        self._happenings: dict[int, Callable[[], object]] | None = None

    def time(self) -> float:
        return time.monotonic() if self.is_real else super().time()

    def count(self, happenings: dict[int, Callable[[], object]]) -> None:
        """Count from now on, and have these happen before the steps of these numbers."""
        self._happenings = happenings

    def stop_counting(self) -> None:
        """Have nothing happen any more."""
        self._happenings = None

    def call_soon(  # type: ignore[override] # typeshed's TypeVarTuple is not worth repeating
        self, callback: Callable[..., object], *args: Any, context: Any = None
    ) -> asyncio.Handle:
        return super().call_soon(self._stepped, callback, *args, context=context)

    def _stepped(self, callback: Callable[..., object], *args: Any) -> None:
        if self._happenings is not None:
            self.steps += 1
            happening = self._happenings.pop(self.steps, None)
            if happening is not None:
                happening()
        callback(*args)

    def _do(
        self, future: asyncio.Future[T], func: Callable[..., T], args: tuple[Any, ...]
    ) -> None:
        if future.cancelled():  # it was still in the queue
            self.jobs_running -= 1
            return
        job: asyncio.Future[T] = self.create_future()
        self.call_soon(super()._do, job, func, args)

        def deliver(job: asyncio.Future[T]) -> None:
            error = job.exception()
            if future.cancelled():
                return
            if error is None:
                future.set_result(job.result())
            else:
                future.set_exception(error)

        job.add_done_callback(deliver)

    def _asyncgen_finalizer_hook(self, agen: AsyncGenerator[Any, Any]) -> None:
        """Note who was left to the garbage collector; asyncio's own hook, which it names so."""
        self.forgotten.append(getattr(agen, "__qualname__", repr(agen)))
        super()._asyncgen_finalizer_hook(agen)  # type: ignore[misc] # typeshed leaves it out


def tried(act: Act, folder: Path | str, cut: Cut | None = None) -> Found:
    """Have *act* played and ended by *cut*, and say what is wrong then; None lets it end."""
    found = Found()
    gc.freeze()  # what is there already need not be looked through again and again
    with _complaints(found.faults):
        files, threads = _files(), set(threading.enumerate())
        with asyncio.Runner(debug=False, loop_factory=SteppingLoop) as runner:
            runner.run(_play(act, folder, cut, found))
        gc.collect()
        found.faults += [f"open: {one}" for one in sorted(_files() - files)]
        left = set(threading.enumerate()) - threads
        found.faults += [f"a thread lives on: {one.name}" for one in left]
    gc.unfreeze()
    return found


async def _play(act: Act, folder: Path | str, cut: Cut | None, found: Found) -> None:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, SteppingLoop)
    loop.is_real = act.is_real
    longest = _LONGEST_REALLY if act.is_real else _LONGEST

    def unseen(_: asyncio.AbstractEventLoop, said: dict[str, Any]) -> None:
        if str(said.get("exception")) != _OF_ASYNCPG:
            found.faults.append(f"unseen: {said}")

    loop.set_exception_handler(unseen)
    async with act.stage(folder) as world:  # type: ignore[arg-type] # a fixture's may be text
        call = _Call(act, world, cut)
        before = asyncio.all_tasks()
        root = loop.create_task(call.run())
        left: set[asyncio.Task[Any]] = set()
        jobs: list[int] = []

        def look(_: asyncio.Task[None]) -> None:
            """Take in what is there at the very end of it, before anybody else's turn."""
            left.update(asyncio.all_tasks() - before - {root})
            jobs.append(loop.jobs_running)

        root.add_done_callback(look)
        loop.count(call.happenings(root))
        await asyncio.wait({root}, timeout=longest)
        loop.stop_counting()
        found.steps, found.was_cut = loop.steps, call.was_cut
        if not root.done():
            found.faults.append("it never ends")
            root.cancel()
            await asyncio.wait({root}, timeout=longest)
            return
        found.faults += call.faults(root)
        names = [_name(one) for one in left]
        others = (*_SERVERS, act.stays)
        found.faults += [
            f"a task lives on: {name}" for name in names if not name.startswith(others)
        ]
        if any(jobs):
            found.faults.append(f"{jobs} jobs of threads go on")
        del call
        gc.collect()
        if loop.forgotten:
            found.faults.append(f"nobody closed {', '.join(loop.forgotten)}")
        try:
            async with asyncio.timeout(longest):
                found.compared = await act.after(world, found.faults)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is found
            found.faults.append(f"used again, it fails: {error!r}")


class _Call:
    """The play, and how it is ended."""

    def __init__(self, act: Act, world: Any, cut: Cut | None) -> None:
        self.was_cut = False
        self._act, self._world, self._cut = act, world, cut
        self._cut_at = 0.0
        self._ended_at = 0.0
        self._limit: asyncio.Timeout | None = None
        self._cancelling = 0

    async def run(self) -> None:
        """Play, within a limit if there is to be one."""
        loop = asyncio.get_running_loop()
        try:
            if self._cut is None or self._cut.manner != TIME_OUT:
                await self._act.play(self._world)
                return
            try:
                async with asyncio.timeout(None) as self._limit:
                    await self._act.play(self._world)
            finally:
                task = asyncio.current_task()
                self._cancelling = task.cancelling() if task is not None else 0
        finally:
            self._ended_at = loop.time()

    def happenings(self, root: asyncio.Task[None]) -> dict[int, Callable[[], object]]:
        """Return what happens before which step."""
        if self._cut is None:
            return {}
        loop = asyncio.get_running_loop()

        def end() -> None:
            self._cut_at = loop.time()
            if self._cut is not None and self._cut.manner == TOGETHER:
                for task in asyncio.all_tasks():
                    if _name(task).startswith(self._act.hands):
                        task.cancel()
            if self._cut is None or self._cut.manner != TIME_OUT:
                self.was_cut = root.cancel()
            elif self._limit is not None and not root.done():
                self.was_cut = True
                with suppress(RuntimeError):  # it is just being left
                    self._limit.reschedule(loop.time())

        found: dict[int, Callable[[], object]] = {self._cut.at: end}
        if self._cut.manner == AGAIN:
            found[self._cut.at + self._cut.later] = root.cancel
        return found

    def faults(self, root: asyncio.Task[None]) -> Iterator[str]:
        """Say what is wrong with how it ended."""
        error = None if root.cancelled() else root.exception()
        if not self.was_cut:
            if error is not None:
                yield f"it failed by itself: {error!r}"
            return
        assert self._cut is not None
        if self._cut.manner == TIME_OUT:
            if root.cancelled() or not isinstance(error, TimeoutError | None):
                yield f"it ended with {error!r} and not as timed out"
            elif error is None and self._limit is not None and self._limit.expired():
                yield "the time-out was swallowed"
            if self._cancelling:
                yield "the time-out counts as a cancellation"
        elif error is not None:
            yield f"it ended with {error!r} and not as cancelled"
        elif not root.cancelled():
            yield "the cancellation was swallowed"
        if self._ended_at - self._cut_at > self._act.seconds:
            yield f"it took {self._ended_at - self._cut_at:.1f} s to end"


def _name(task: asyncio.Task[Any]) -> str:
    return getattr(task.get_coro(), "__qualname__", "")


@contextmanager
def _complaints(faults: list[str]) -> Iterator[None]:
    """Take down what Python says of what was not closed, or never awaited."""

    def hook(said: sys.UnraisableHookArgs) -> None:
        faults.append(f"{said.exc_value!r}")

    before = sys.unraisablehook
    sys.unraisablehook = hook
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", ResourceWarning)
            warnings.simplefilter("error", RuntimeWarning)
            yield
    finally:
        sys.unraisablehook = before


def _files() -> set[str]:
    """Return what this process has open, where the system tells."""
    folder = Path("/proc/self/fd")
    if not folder.is_dir():
        return set()
    found = set()
    for one in folder.iterdir():
        with suppress(OSError):  # the one that was the list itself
            found.add(f"{one.name} {os.readlink(one)}")  # noqa: PTH115 - a name, no path
    return found
