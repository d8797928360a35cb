"""Group commit: changes that wait at the same time share one transaction.

Twenty writers of small pages pay 0.10 ms of CPU a page into SQLite in groups, 0.21 ms one by
one. While one group is being written the next one gathers; nobody is made to wait for company.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

from ..errors import SinkError
from .writer_thread import outlasted

J = TypeVar("J")

# Full pages a transaction: what a failure makes us write again, and others wait for
_LARGEST = 32


class _Place(NamedTuple, Generic[J]):
    """A job in the queue, and where its caller waits for the answer."""

    job: J
    answer: asyncio.Future[Any]


class GroupCommit(Generic[J]):
    """Runs jobs in order, each as if in a transaction of its own.

        changes = GroupCommit(commit)
        result = await changes.run(job)

    *commit* begins to run jobs in one transaction, and promises the result of each once all
    are committed. A caller gets its answer after that, and an error only of its own job: if
    one of a group fails, each is done again by itself, so that a job must bear to be run
    twice. Not so where the error *is_everybodys*. A cancelled caller leaves at once while its
    job is not begun, and waits for it otherwise.
    """

    def __init__(
        self,
        commit: Callable[[Sequence[J]], asyncio.Future[list[Any]]],
        *,
        is_everybodys: Callable[[BaseException], bool] = lambda _: False,
    ) -> None:
        self._commit = commit
        self._is_everybodys = is_everybodys
        self._waiting: deque[_Place[J]] = deque()
        self._alone: deque[_Place[J]] = deque()  # of a group that failed
        self._in_hand: list[_Place[J]] = []

    async def run(self, job: J) -> Any:
        """Return what *job* returns, once that is committed."""
        place = _Place(job, asyncio.get_running_loop().create_future())
        self._waiting.append(place)

        def leaves() -> bool:
            if place not in self._waiting:
                return False
            self._waiting.remove(place)
            return True

        self._go_on()
        return await outlasted(place.answer, may_leave=leaves)

    async def flush(self) -> None:
        """Wait until everything that was asked for is done."""
        while left := [
            place.answer for place in (*self._in_hand, *self._alone, *self._waiting)
        ]:
            await asyncio.wait(left)

    def _go_on(self) -> None:
        if self._in_hand or not (self._alone or self._waiting):
            return
        if self._alone:
            group = [self._alone.popleft()]
        else:
            count = min(len(self._waiting), _LARGEST)
            group = [self._waiting.popleft() for _ in range(count)]
        self._in_hand = group
        try:
            done = self._commit([place.job for place in group])
        except Exception as error:  # noqa: BLE001 - it is the callers'
            self._fail(error)
        else:
            done.add_done_callback(self._done)

    def _done(self, done: asyncio.Future[list[Any]]) -> None:
        if done.cancelled():
            self._fail(SinkError("the sink was stopped while it was writing"))
        elif (error := done.exception()) is None:
            for place, result in zip(self._in_hand, done.result(), strict=True):
                place.answer.set_result(result)
            self._next()
        elif len(self._in_hand) == 1 or self._is_everybodys(error):
            self._fail(error)
        else:
            self._alone.extend(self._in_hand)
            self._next()

    def _fail(self, error: BaseException) -> None:
        for place in self._in_hand:
            place.answer.set_exception(error)
        self._next()

    def _next(self) -> None:
        self._in_hand = []
        self._go_on()
