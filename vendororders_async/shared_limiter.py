"""One account in several processes: its pace kept together, through Redis or Valkey.

async with SharedLimiters("redis://cache:6379/0") as limiters:
    summary = await backfill(accounts, to="sqlite:orders.db", limiters=limiters)
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import Any, Self

from .errors import ConfigurationError
from .limiter import Limiter, Limiters, Line, Pace, Paused, Urgency, shown
from .shared_book import Book, BookLost, Known, RedisBook, Reservation, new_version
from .usage import MARGIN, UsagePlan

_ENTERING = 5.0  # seconds in which the server has to answer at first; nothing waits for it yet
_PROBE_EVERY = 1.0  # seconds, while the server is lost
_KNOWN_AGAIN = 60.0  # seconds after it was, until all who send have been there
_GRACE = 1.0  # seconds to end in
_SHORTEST_STALE = 0.05  # seconds; a loop is late by some milliseconds

_log = logging.getLogger("vendororders_async")

Change = Callable[[Pace, float], Pace]


class SharedLimiters(Limiters):
    """Limiters that share their pace with all processes that name the same server.

        async with SharedLimiters("redis://cache:6379/0") as limiters:
            async with VendorOrdersClient(account, limiters=limiters) as client: ...

    To be passed as ``limiters`` to clients, `backfill`, `sync` and `watch`, and to be left
    after them. Over any number of processes an account's requests keep to its usage plan,
    in turns; a 429 or a new rate that one of them sees slows or speeds all. Each process
    has one place in the queue, so that a person waits for one request of every other
    process at the most.

    When the server is lost, each process goes on at its share of the pace, as many as were
    there last, and from an empty bucket; when it is back, they share again. A bucket that
    was not used for an hour begins empty as well, which costs a second.

    Raises:
        ConfigurationError: *url* is no ``redis://``, ``rediss://``, ``unix://`` or
            ``valkey://``, or, when it is entered, the server cannot be reached.
    """

    def __init__(self, url: str) -> None:
        book = RedisBook(url)
        super().__init__()
        self._book = book
        self._link = Link(book, book.shown)
        self._names: list[str] = []

    def __repr__(self) -> str:
        return f"<SharedLimiters {self._book.shown}{'' if self._link.is_up else ', lost'}>"

    async def __aenter__(self) -> Self:
        try:
            await self._book.check(_ENTERING)
        except BaseException as error:
            await self._book.close()
            if not isinstance(error, BookLost):
                raise
            raise ConfigurationError(
                f"the shared limiter cannot be used: {error}; see --shared-limiter"
            ) from None
        self._link.open()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        try:
            await self._link.close()
            if self._link.is_up and self._names:
                with suppress(BookLost):
                    await self._book.leave(self._names)
        finally:
            await self._book.close()

    def make(self, name: str, plan: UsagePlan) -> SharedGate:
        """Make a gate to the bucket called *name*, which is all processes' together."""
        self._names.append(name)
        return SharedGate(name, plan, self._link)


class Link:
    """What the gates of a process know of the server: the *book*, and whether it is lost."""

    def __init__(self, book: Book, shown: str) -> None:
        self.book = book
        self.is_up = True
        self.losses = 0  # so far
        self._shown = shown
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_open = False

    def open(self) -> None:
        """Let work be started."""
        self._is_open = True

    def lost(self, error: BookLost) -> None:
        """Take the server for lost, and look every second whether it is back."""
        if self.is_up:
            self.is_up = False
            self.losses += 1
            _log.warning("shared limiter lost, each process keeps its own pace: %s", error)
            self.start(self._probe())

    def start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run *work* beside whoever waits for a permit.

        Raises:
            RuntimeError: the limiters are not open.
        """
        if not self._is_open:
            work.close()
            raise RuntimeError("shared limiters are used inside their async with")
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def close(self) -> None:
        """End what is still running."""
        self._is_open = False
        try:
            # who was just started begins, or would tell nobody of its end
            await asyncio.sleep(0)
        finally:
            for task in self._tasks:
                task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_GRACE)

    async def _probe(self) -> None:
        while not self.is_up:
            await asyncio.sleep(_PROBE_EVERY)
            with suppress(BookLost):
                await self.book.check()
                self.is_up = True
        _log.warning("shared limiter is back: %s", self._shown)


class SharedGate:
    """A `Gate` whose permits are reserved in the book of a server.

    A task asks for one permit at a time, as long as somebody waits, and gives it to whoever
    is first in line when its turn comes.
    """

    def __init__(self, name: str, plan: UsagePlan, link: Link) -> None:
        self._name = name
        self._link = link
        self._line = Line()
        self._serving: asyncio.Task[None] | None = None
        self._nap: asyncio.Future[None] | None = None
        # what the server knows, and what we are about to tell it
        self._known = Known(Pace(plan), new_version())
        self._pace = self._known.pace
        self._changes: list[Change] = []
        self._is_revising = False
        self._ahead = 0.0  # seconds, of the server's clock before the loop's
        self._peers = 1
        self._peers_until = 0.0  # until then there may be more than the server knows
        self._successes = 0  # since the last 429
        self._losses = link.losses  # as they were when the server was last asked
        self._alone: Limiter | None = None  # while it is lost

    def __repr__(self) -> str:
        where = f"{self._peers} processes" if self._link.is_up else "alone"
        return f"<SharedGate {shown(self._pace, self._line)}, {where}>"

    @property
    def plan(self) -> UsagePlan:
        """What Amazon grants, as far as we know."""
        return self._pace.granted

    async def acquire(self, urgency: Urgency = Urgency.BULK) -> float:
        """Wait for a permit, and return the loop's time at which it was given.

        Raises:
            Paused: Amazon throttles, and there will be none for a while.
        """
        if self._serving is None:
            self._serving = self._link.start(self._serve())
        waiter = self._line.join(urgency)
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self._pass_on()  # it came at the same moment
            elif self._line.is_empty:
                self._wake()
            raise

    def observe(self, status: int, headers: Mapping[str, str], sent_at: float) -> None:
        """Learn from an answer to the request whose permit was given at *sent_at*."""
        told = self._pace.after_answer(headers)
        if told is not self._pace:
            self._change(lambda pace, _: pace.after_answer(headers))
            self._alone = None
        if self._alone is not None:
            self._alone.observe(status, {}, sent_at)  # what headers tell is for all together
            return
        sent_at += self._ahead
        is_new = sent_at > self._pace.signalled_at
        if status != HTTPStatus.TOO_MANY_REQUESTS:
            self._successes += is_new
        elif is_new:
            # the others have had as many answers as we
            successes, self._successes = self._successes * self._peers, 0
            self._change(
                lambda pace, now: (
                    pace.after_429(now, successes=successes)
                    if sent_at > pace.signalled_at
                    else pace
                )
            )

    def drain(self) -> None:
        """Do nothing: what others spend is in the book, as long as there is one."""
        if self._alone is not None:
            self._alone.drain()

    async def _serve(self) -> None:
        """Get permits for as long as somebody waits."""
        error: Exception = RuntimeError("the shared limiters were closed")
        try:
            while not self._line.is_empty:
                try:
                    is_given = await self._permit()
                except Paused as pause:
                    while (waiter := self._line.next()) is not None:
                        waiter.set_exception(Paused(pause.seconds))
                else:
                    if is_given:
                        self._hand_out()
        except Exception as mistake:  # noqa: BLE001 - it belongs to whoever waits
            error = mistake
        finally:
            self._serving = None
            while (waiter := self._line.next()) is not None:
                waiter.set_exception(error)

    def _hand_out(self) -> None:
        if (waiter := self._line.next()) is not None:
            waiter.set_result(asyncio.get_running_loop().time())

    def _pass_on(self) -> None:
        if not self._line.is_empty:
            self._hand_out()
        elif self._link.is_up:
            self._link.start(self._give_back())

    async def _permit(self) -> bool:
        """Wait for a permit; return whether there is one, which needs somebody waiting.

        Raises:
            Paused: there will be none for a while.
        """
        time = asyncio.get_running_loop().time
        is_again = False
        while True:
            self._raise_if_paused()
            if not self._link.is_up:
                await self._limiter_alone().acquire()
                return True
            asked_at = time()
            try:
                reserved = await self._reserve()
            except BookLost as error:
                self._link.lost(error)
                continue
            if reserved.paused > 0:
                raise Paused(reserved.paused)
            if not await self._turn(time() + reserved.wait):
                await self._give_back()
                return False
            self._raise_if_paused()
            # used late, it would meet those of others: as much as the margin absorbs is fine
            stale = max(MARGIN / self._pace.plan.rate, _SHORTEST_STALE)
            if is_again or time() - asked_at - reserved.wait <= stale:
                return True
            is_again = True

    async def _reserve(self) -> Reservation:
        """Take the next place, and learn what else the server tells."""
        losses = self._link.losses
        reserved = await self._link.book.reserve(
            self._name, self._known, is_empty=losses != self._losses
        )
        now = asyncio.get_running_loop().time()
        if losses != self._losses:
            self._peers_until = now + _KNOWN_AGAIN
        self._peers = max(reserved.peers, self._peers if now < self._peers_until else 0)
        self._losses, self._alone, self._ahead = losses, None, reserved.now - now
        self._learn(reserved.known)
        if self._pace.recovered(reserved.now) is not self._pace:
            self._change(Pace.recovered)
        elif self._changes:  # from before the server was lost
            self._tell()
        return reserved

    async def _turn(self, at: float) -> bool:
        """Wait until *at*, or until nobody waits or nobody may pass; return if it has come."""
        loop = asyncio.get_running_loop()
        while not self._line.is_empty:
            if loop.time() >= at or self._pause_left() > 0:
                return True
            self._nap = loop.create_future()
            alarm = loop.call_at(at, self._wake)
            try:
                await self._nap
            finally:
                alarm.cancel()
                self._nap = None
        return False

    def _wake(self) -> None:
        if self._nap is not None and not self._nap.done():
            self._nap.set_result(None)

    async def _give_back(self) -> None:
        try:
            await self._link.book.give_back(self._name)
        except BookLost as error:
            self._link.lost(error)

    def _pause_left(self) -> float:
        """Return how long nobody may pass; what is longer than the pause is another clock."""
        left = self._pace.paused_until - self._now()
        return left if 0 < left <= self._pace.pause else 0.0

    def _raise_if_paused(self) -> None:
        if (left := self._pause_left()) > 0:
            raise Paused(left)

    def _now(self) -> float:
        """Return the server's time."""
        return asyncio.get_running_loop().time() + self._ahead

    def _limiter_alone(self) -> Limiter:
        """Return what keeps our share of the pace while the server is lost."""
        if self._alone is None:
            plan, peers = self._pace.granted, self._peers
            share = self._pace.share / peers
            self._alone = Limiter(UsagePlan(plan.rate * share, max(1.0, plan.burst / peers)))
            self._alone.drain()
        return self._alone

    def _change(self, change: Change) -> None:
        """Change the pace here at once, and for all as soon as the server has it."""
        self._pace = change(self._pace, self._now())
        self._wake()
        self._changes.append(change)
        self._tell()

    def _tell(self) -> None:
        if not self._is_revising and self._link.is_up:
            self._is_revising = True
            self._link.start(self._revise())

    def _learn(self, known: Known) -> None:
        """Take over what the server knows, and on top of it what it does not yet."""
        if known == self._known:
            return
        self._known = known
        self._pace = self._changed(known.pace)

    def _changed(self, pace: Pace) -> Pace:
        for change in self._changes:
            pace = change(pace, self._now())
        return pace

    async def _revise(self) -> None:
        """Tell the server what has changed; where another was first, on top of that."""
        try:
            while self._changes and self._link.is_up:
                pace, count = self._changed(self._known.pace), len(self._changes)
                if pace == self._known.pace:  # another has said the same
                    del self._changes[:count]
                    continue
                known = await self._link.book.revise(self._name, self._known, pace)
                if known is None:  # our next place brings it there
                    known = Known(pace, new_version())
                if known.pace == pace:
                    del self._changes[:count]
                self._learn(known)
        except BookLost as error:
            self._link.lost(error)
        finally:
            self._is_revising = False
