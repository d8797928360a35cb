"""Sync: all accounts followed over one pool, into one sink, and what is told of it."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, suppress
from datetime import datetime, timedelta
from typing import Protocol, runtime_checkable

from .. import clock
from ..accounts import Account
from ..changes import Change
from ..dispatch import Dispatcher
from ..errors import ConfigurationError, InvalidArgument, VendorOrdersError, first_of
from ..limiter import Limiters
from ..restricted import OperationTokens
from ..sinks import Sink, open_sink
from ..sinks.followed import FollowedSink
from ..telemetry import (
    AccountSetAside,
    Event,
    Observer,
    VersionsStored,
    fan_out,
    log_event,
)
from ..transport import Transport
from .backfill import check_accounts
from .course import Course
from .keeper import Keeper, Workplace
from .meter import Meter
from .standing import Standing
from .summary import Summary, Tally

_TOMORROW = timedelta(days=1)  # from then on may be meant; from next year on is a slip
_GRACE = 5.0  # seconds to end in, for sweeps and for whoever takes changes
_RELOAD_EVERY = 30.0  # seconds between two looks at the files of the accounts
_NEWS_EVERY = 5.0  # another process may store changes too, and nobody tells of them


_log = logging.getLogger("vendororders_async")


@runtime_checkable
class AccountSource(Protocol):
    """Where accounts come from, more than once: both methods may block, in a thread.

    Raises from `load`:
        ConfigurationError: they cannot be read just now.
    """

    def load(self) -> tuple[Account, ...]:
        """Return the accounts as they are now, their secrets read anew."""

    def has_changed(self) -> bool:
        """Say whether a file they were read from is another one since `load`."""


class Fixed:
    """Accounts that stay as they are: an `AccountSource`."""

    def __init__(self, accounts: Iterable[Account]) -> None:
        self._accounts = tuple(accounts)

    def load(self) -> tuple[Account, ...]:
        """Return them."""
        return self._accounts

    def has_changed(self) -> bool:
        """Say no."""
        return False


class Sync:
    """A sync that can be stopped, asked how it stands, and asked for its changes.

        job = Sync(accounts, Course(), to="sqlite:orders.db")
        await job.run()                 # until job.stop(), or with once=True to its end

    A *transport* and *limiters* that are passed in stay open, and are shared with whoever
    else has them: a client's calls for an account go before those of the sync.
    """

    def __init__(
        self,
        accounts: Iterable[Account] | AccountSource,
        course: Course,
        *,
        to: str | Sink,
        observer: Observer | None = None,
        transport: Transport | None = None,
        limiters: Limiters | None = None,
        now: Callable[[], datetime] = clock.now,
    ) -> None:
        self._source = accounts if isinstance(accounts, AccountSource) else Fixed(accounts)
        if course.since is not None and course.since > now() + _TOMORROW:
            since = clock.format_wire(course.since)
            raise InvalidArgument(f"since {since} is still to come: nothing before is read")
        self._course = course
        self._to = to
        self._transport = transport
        self._limiters = limiters
        self._now = now
        self._tally = Tally((), is_endless=not course.once)
        watching = (observer,) if observer else ()
        self._tell = fan_out(self._tally, log_event, self._note, *watching)
        self._keepers: dict[str, Keeper] = {}
        self._followed: set[str] = set()  # also those that have left
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = asyncio.Event()
        self._began_at = now()
        self._seconds = 0.0
        self._loaded_at = float("-inf")
        self._sink: FollowedSink | None = None
        self._first_change = 0  # the last one before this run
        self._has_begun = asyncio.Event()
        self._has_ended = False
        self._locked_out: VendorOrdersError | None = None
        self._listeners: set[asyncio.Event] = set()
        self._listened = asyncio.Event()  # nobody listens any more

    def summary(self) -> Summary:
        """Return how it came out, or how it stands."""
        return self._tally.summary(self._seconds)

    def standing(self) -> Standing:
        """Return how every account and stream stands."""
        keepers = self._keepers.values()
        is_ready = all(one.was_tried or one.is_ready for one in keepers)
        return Standing(
            began_at=self._began_at,
            is_ready=is_ready and any(one.is_ready for one in keepers),
            accounts=tuple(one.standing() for one in keepers),
        )

    def stop(self) -> None:
        """End `run` in an orderly way: pages in hand are stored, and within seconds."""
        self._stopping.set()

    async def run(self) -> None:
        """Follow the accounts until `stop`; cancelled, it leaves everything in order.

        Raises:
            ConfigurationError: the accounts cannot be read, or the sink is none that accounts
                can be followed into.
            SinkError: the sink cannot be opened, or all accounts are locked by other runs.
        """
        time = asyncio.get_running_loop().time
        began_at = time()
        try:
            await self._run()
        except ExceptionGroup as group:  # of an observer's mistakes; ours are in the summary
            raise first_of(group) from None
        finally:
            self._seconds = time() - began_at
            self._has_ended, self._sink = True, None
            self._has_begun.set()
            self._wake()

    async def changes(
        self, *, consumer: str | None = None, after: int | None = None
    ) -> AsyncGenerator[list[Change], None]:
        """Yield changes as they are recorded, some at a time, until the run has ended.

        They are those of the accounts and the API that this run follows, in the order of
        their sequence numbers. They begin after *after*; else after what *consumer* has seen
        of each account, which is remembered in the sink whenever it comes back for more; else
        with what is recorded from the beginning of the run on. So it is with an account that
        is new to *consumer*; one that joins later may begin with older ones.
        """
        news = asyncio.Event()
        self._listeners.add(news)
        try:
            await self._has_begun.wait()
            places: dict[str, int] = {}  # by account: all up to there was seen
            while (sink := self._sink) is not None:
                news.clear()
                has_ended = self._has_ended
                if joining := self._followed - places.keys():
                    places |= await self._places(sink, joining, consumer, after)
                batch, last = await self._next(sink, places)
                if unseen := [one for one in batch if one.sequence > places[one.account]]:
                    yield unseen
                places = {name: max(place, last) for name, place in places.items()}
                if batch:
                    await self.seen(consumer, places)
                elif has_ended:
                    return
                else:
                    with suppress(TimeoutError):
                        async with asyncio.timeout(_NEWS_EVERY):
                            await news.wait()
        finally:
            self._listeners.discard(news)
            if not self._listeners:
                self._listened.set()

    async def seen(self, consumer: str | None, places: Mapping[str, int]) -> None:
        """Remember in the sink up to where *consumer* has seen all, by account."""
        if consumer is not None and self._sink is not None:
            await self._sink.consume(consumer, self._course.api.name, places)

    async def _places(
        self, sink: FollowedSink, accounts: set[str], consumer: str | None, after: int | None
    ) -> dict[str, int]:
        """Return after which number to begin, by account; a new consumer's are remembered."""
        if after is not None:
            return dict.fromkeys(accounts, after)
        places = dict.fromkeys(accounts, self._first_change)
        if consumer is not None:
            known = await sink.consumed(consumer, self._course.api.name)
            places |= {name: known[name] for name in accounts & known.keys()}
            await self.seen(consumer, places)
        return places

    async def _next(
        self, sink: FollowedSink, places: Mapping[str, int]
    ) -> tuple[list[Change], int]:
        """Return what comes next of the accounts in *places*, and up to where that is all.

        Where nothing comes, that is the last change of anybody: it is passed over only once.
        """
        last = await sink.last_change()
        position = min(places.values(), default=last)
        if position >= last:
            return [], position
        api = self._course.api.name
        batch = await sink.changes(position, api=api, accounts=tuple(places))
        return batch, batch[-1].sequence if batch else last

    async def _run(self) -> None:
        accounts = await asyncio.to_thread(self._source.load)
        check_accounts(accounts)
        async with AsyncExitStack() as stack:
            sink = self._to
            if not isinstance(sink, Sink):
                sink = await stack.enter_async_context(open_sink(sink, now=self._now))
            if not isinstance(sink, FollowedSink):
                raise ConfigurationError(
                    "to follow accounts, versions and changes have to be kept, which this sink "
                    "cannot: use sqlite:PATH or postgres://…"
                )
            transport = self._transport
            if transport is None:
                room = Transport(account_count=len(accounts), limit=self._course.concurrency)
                transport = await stack.enter_async_context(room)
            limiters = self._limiters or Limiters()
            tokens = OperationTokens(transport, limiters)
            meter = Meter(asyncio.get_running_loop().time)
            tell = fan_out(self._tell, meter)
            dispatcher = Dispatcher(transport, tokens, limiters, observer=tell, now=self._now)
            work = Workplace(sink, dispatcher, limiters, self._tally, tell, meter, self._course)
            names = ", ".join(account.name for account in accounts)
            _log.info("following into %s: %s", self._to, names)
            self._sink, self._first_change = sink, await sink.last_change()
            self._has_begun.set()
            try:
                await self._follow(accounts, work)
            finally:
                self._has_ended = True
                await self._let_them_listen()
                self._sink = None

    async def _follow(self, accounts: Iterable[Account], work: Workplace) -> None:
        every = None if isinstance(self._source, Fixed) or self._course.once else _RELOAD_EVERY
        async with asyncio.TaskGroup() as group:
            stopper = group.create_task(self._stopping.wait())
            self._take(accounts, work, group)
            while running := {task for task in self._tasks if not task.done()}:
                await asyncio.wait(
                    {*running, stopper}, timeout=every, return_when=asyncio.FIRST_COMPLETED
                )
                if self._stopping.is_set():
                    break
                if every and await asyncio.to_thread(self._source.has_changed):
                    reloading = group.create_task(self._reload(work, group))
                    await asyncio.wait(
                        {reloading, stopper}, return_when=asyncio.FIRST_COMPLETED
                    )
            for keeper in self._keepers.values():
                keeper.stop()
            if running:
                await asyncio.wait(running, timeout=_GRACE)
            for task in (stopper, *running):
                task.cancel()
        if self._locked_out is not None:
            raise self._locked_out

    def _take(
        self, accounts: Iterable[Account], work: Workplace, group: asyncio.TaskGroup
    ) -> None:
        """Follow *accounts*, and no others: the new from now on, the known as they are now."""
        wanted = {account.name: account for account in accounts}
        for name, keeper in list(self._keepers.items()):
            if name in wanted:
                keeper.replace(wanted[name])
            else:
                keeper.stop()
                del self._keepers[name]

        async def refused() -> None:
            await self._reload(work, group)

        self._followed |= wanted.keys()
        for place, (name, account) in enumerate(wanted.items()):
            if name not in self._keepers:
                keeper = self._keepers[name] = Keeper(account, work, refused=refused)
                self._tasks.add(group.create_task(keeper.run(place=place)))

    async def _reload(self, work: Workplace, group: asyncio.TaskGroup) -> None:
        """Read the accounts anew; where that fails, they stay as they were."""
        time = asyncio.get_running_loop().time
        if self._stopping.is_set() or time() - self._loaded_at < _RELOAD_EVERY:
            return  # of many that are refused, one reads for all
        self._loaded_at = time()
        try:
            accounts = await asyncio.to_thread(self._source.load)
            check_accounts(accounts)
        except (ConfigurationError, InvalidArgument) as error:
            _log.warning("the accounts stay as they were: %s", error)
        else:
            if not self._stopping.is_set():
                self._take(accounts, work, group)

    async def _let_them_listen(self) -> None:
        """Wait until everybody has taken the last changes; not for long, when in a hurry."""
        self._wake()
        if self._listeners:
            self._listened.clear()
            is_hurried = self._stopping.is_set() or sys.exc_info()[0] is not None
            with suppress(TimeoutError):
                async with asyncio.timeout(_GRACE if is_hurried else None):
                    await self._listened.wait()

    def _wake(self) -> None:
        for news in self._listeners:
            news.set()

    def _note(self, event: Event) -> None:
        if isinstance(event, VersionsStored):
            self._wake()
        elif isinstance(event, AccountSetAside):
            keepers = self._keepers.values()
            has_reloaded = self._loaded_at > float("-inf")
            if not has_reloaded and all(one.is_locked_out for one in keepers):
                self._locked_out = next(iter(keepers)).error
                self.stop()
