"""Keeping at it: one account is followed, set aside while it cannot be, and taken up again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import NamedTuple

from ..accounts import Account
from ..dispatch import Dispatcher
from ..errors import AccessDenied, AuthError, SinkError, VendorOrdersError, first_of
from ..limiter import Limiters
from ..sinks.followed import FollowedSink
from ..telemetry import (
    AccountFailed,
    AccountFinished,
    AccountSetAside,
    AccountTakenUp,
    Observer,
)
from .course import Course
from .desk import Desk
from .follower import Follower
from .meter import Meter
from .reader import with_advice
from .standing import AccountStanding
from .summary import Tally

_FIRST_PAUSE, _LONGEST_PAUSE = 30.0, 3600.0  # seconds; Login with Amazon is asked each time
_WELL_FOR = 600.0  # seconds; who fails again earlier is not tried more often for it
_GRACE = 4.0  # seconds to end in, for what is under way


class Workplace(NamedTuple):
    """What all accounts of a sync share."""

    sink: FollowedSink
    dispatcher: Dispatcher
    limiters: Limiters
    tally: Tally
    tell: Observer
    meter: Meter
    course: Course


class Keeper:
    """Keeps one account followed until `stop`.

        keeper = Keeper(account, work, refused=refused)
        await keeper.run()
        keeper.replace(account)         # with other secrets

    What is wrong with the account ends nothing: it is set aside, named, and tried again after
    growing pauses. *refused* is awaited when Amazon refuses it, to read its secrets anew.
    """

    def __init__(
        self, account: Account, work: Workplace, *, refused: Callable[[], Awaitable[None]]
    ) -> None:
        self.account = account
        self.error: VendorOrdersError | None = None  # why it is set aside
        self._has_failed = False
        self.is_ready = False  # it was swept at least once
        self._work = work
        self._refused = refused
        self._follower: Follower | None = None
        self._retried_at: datetime | None = None
        self._pause = _FIRST_PAUSE
        self._well_since = float("inf")  # the loop's time; never yet
        self._limit: asyncio.Timeout | None = None
        self._called = asyncio.Event()  # something changed: it is to stop, or to begin anew
        self._is_stopping = False

    @property
    def was_tried(self) -> bool:
        """Whether all of it was swept, or it is known why not."""
        follower = self._follower
        return self._has_failed or (follower is not None and follower.was_tried)

    @property
    def is_locked_out(self) -> bool:
        """Whether the sink kept it from ever beginning."""
        return isinstance(self.error, SinkError) and not self.is_ready

    def stop(self) -> None:
        """Let `run` end as soon as what is under way has come."""
        self._is_stopping = True
        self._call()

    def replace(self, account: Account) -> None:
        """Go on with *account*, which is the same one with other secrets or settings."""
        if account != self.account:
            self.account = account
            self._call()

    def standing(self) -> AccountStanding:
        """Return how the account is followed."""
        follower = self._follower
        return AccountStanding(
            account=self.account.name,
            api=self._work.course.api.name,
            streams=follower.standings() if follower else (),
            error=with_advice(self.error, self._work.course.api) if self.error else None,
            retried_at=self._retried_at,
            requests_an_hour=self._work.meter.rates(self.account.name),
        )

    async def run(self, *, place: int = 0) -> None:
        """Follow the account; *place* is its place among those that begin together."""
        name, tell, is_once = self.account.name, self._work.tell, self._work.course.once
        while not self._is_stopping:
            self._called.clear()
            error = await self._follow(place)
            if error is None and is_once:
                break
            if error is None:
                continue
            self.error = error
            if is_once:
                break
            await self._set_aside(error)
        if self.error is None:
            if self._follower is not None and self._follower.is_caught_up:
                tell(AccountFinished(name))
        else:
            request_id = getattr(self.error, "request_id", None)
            reason = with_advice(self.error, self._work.course.api)
            tell(AccountFailed(name, reason, request_id))

    async def _follow(self, place: int) -> VendorOrdersError | None:
        """Follow the account until it is to stop or to begin anew; return what went wrong."""
        work, name, api = self._work, self.account.name, self._work.course.api
        desk = Desk(
            self.account,
            api,
            work.sink,
            work.dispatcher,
            work.limiters,
            work.tally,
            work.tell,
            work.dispatcher.clock,
            {},
            work.course.reading().redacts,
        )
        self._follower = Follower(desk, work.sink, work.course, work.meter, swept=self._swept)
        error: VendorOrdersError | None = None
        try:
            async with asyncio.timeout(None) as self._limit, work.sink.lock_api(name, api.name):
                if not self._called.is_set():
                    await self._follower.run(place=place)
        except* VendorOrdersError as group:
            error = first_of(group)
        except* TimeoutError:  # it was called, and is to begin anew or to stop
            pass
        self._has_failed = error is not None
        return error

    async def _set_aside(self, error: VendorOrdersError) -> None:
        work, now = self._work, asyncio.get_running_loop().time()
        if now - self._well_since > _WELL_FOR:
            self._pause = _FIRST_PAUSE
        pause, self._well_since = self._pause, float("inf")
        self._pause = min(pause * 2, _LONGEST_PAUSE)
        self._retried_at = work.dispatcher.clock() + timedelta(seconds=pause)
        reason = with_advice(error, work.course.api)
        request_id = getattr(error, "request_id", None)
        work.tell(AccountSetAside(self.account.name, reason, pause, request_id))
        if isinstance(error, AuthError | AccessDenied):
            await self._refused()
        with suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await self._called.wait()
        self._retried_at = None

    def _swept(self) -> None:
        """Take in that a sweep came to its end, and is recorded."""
        if self._follower is None or not self._follower.is_ready:
            return
        self.is_ready = True
        if self.error is not None:
            self.error = None
            self._well_since = asyncio.get_running_loop().time()
            self._work.tell(AccountTakenUp(self.account.name))

    def _call(self) -> None:
        self._called.set()
        if self._follower is not None:
            self._follower.stop()
        if self._limit is not None:
            with suppress(RuntimeError):  # it has ended by itself
                self._limit.reschedule(asyncio.get_running_loop().time() + _GRACE)
