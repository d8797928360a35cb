"""One account's way to the dispatcher, and what is under way on it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, TypeVar

from .accounts import Account
from .dispatch import Dispatcher, Reply
from .limiter import Urgency
from .operations import Call
from .telemetry import Observer

T = TypeVar("T")


class Caller:
    """Sends calls for one account, at one urgency.

    What is sent ahead, in tasks of their own, is kept track of: `close` ends it all.
    """

    def __init__(
        self,
        account: Account,
        dispatcher: Dispatcher,
        *,
        urgency: Urgency,
        observer: Observer,
        now: Callable[[], datetime],
    ) -> None:
        self.account = account
        self.tell = observer
        self.now = now
        self._dispatcher = dispatcher
        self._urgency = urgency
        self._under_way: set[asyncio.Task[Any]] = set()

    async def send(self, call: Call[T]) -> Reply[T]:
        """Send *call*, and wait for its answer."""
        return await self._dispatcher.send(self.account, call, urgency=self._urgency)

    def send_ahead(self, call: Call[T]) -> asyncio.Task[Reply[T]]:
        """Send *call* in a task that ends with its answer, or when it is told to."""
        task = asyncio.get_running_loop().create_task(self.send(call))
        self._under_way.add(task)
        task.add_done_callback(self._ended)
        return task

    async def close(self) -> None:
        """End everything that was sent ahead."""
        await end(self._under_way)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._under_way.discard(task)
        if not task.cancelled():
            task.exception()  # nobody may be left to ask for it, and that is no accident


async def end(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel *tasks*, and wait until they are gone."""
    tasks = set(tasks)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def ended(task: asyncio.Task[Any]) -> None:
    """Wait until *task* has ended by itself; whoever is cancelled meanwhile cancels it too."""
    try:
        await asyncio.wait([task])
    except asyncio.CancelledError:
        await end([task])
        raise
