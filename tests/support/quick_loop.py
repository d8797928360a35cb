"""Virtual time for months: what goes to threads is done in the loop, one turn later.

A million such jobs would spend their time on being handed over, and their order is the same.
"""

from __future__ import annotations

import asyncio
from asyncio.events import (
    _set_running_loop,
)  # for those who implement loops, says its docstring
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import Any, TypeVar

from virtual_time import VirtualTimeLoop

T = TypeVar("T")


class QuickLoop(VirtualTimeLoop):
    """Does the jobs of all executors by itself, in the order in which they were given."""

    def run_in_executor(  # type: ignore[override] # as in the loop that this one is made from
        self, executor: Executor | None, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        del executor
        future: asyncio.Future[T] = self.create_future()
        self.jobs_running += 1
        self.call_soon(self._do, future, func, args)
        return future

    def _do(
        self, future: asyncio.Future[T], func: Callable[..., T], args: tuple[Any, ...]
    ) -> None:
        self.jobs_running -= 1
        if future.cancelled():
            return
        _set_running_loop(None)  # a job is none of the loop's, and may block
        try:
            result = func(*args)
        except BaseException as error:  # noqa: BLE001 - it is the caller's
            future.set_exception(error)
        else:
            future.set_result(result)
        finally:
            _set_running_loop(self)


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run *main* and return what it returns.

    Without asyncio's debug mode, in which months would take ten times as long.
    """
    with asyncio.Runner(debug=False, loop_factory=QuickLoop) as runner:
        return runner.run(main)
