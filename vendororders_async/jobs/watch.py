"""Follow the accounts, from now on and for ever.

async for change in watch([Account.from_env()], to="sqlite:orders.db", consumer="erp"):
    ...
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import aclosing
from datetime import datetime, timedelta
from typing import TypedDict, Unpack

from ..accounts import Account
from ..caller import ended
from ..changes import Change
from ..limiter import Limiters
from ..operations import api_named
from ..sinks import Sink
from ..telemetry import Observer
from ..transport import Transport
from .course import Course
from .summary import Summary
from .sync import AccountSource, Sync


class CourseOptions(TypedDict, total=False):
    """What is followed, and how; `sync` says what each of them means."""

    since: datetime | None
    streams: Iterable[str] | None
    interval: float | Mapping[str, float] | None
    lookback: timedelta
    reread: timedelta
    deep_every: timedelta
    once: bool
    concurrency: int | None
    redact: bool


async def sync(
    accounts: Iterable[Account] | AccountSource,
    *,
    to: str | Sink,
    api: str = "retail",
    direct_fulfillment_version: str = "v1",
    observer: Observer | None = None,
    transport: Transport | None = None,
    limiters: Limiters | None = None,
    **options: Unpack[CourseOptions],
) -> Summary:
    """Follow *accounts* into the sink *to*: what is missing, and from then on what comes.

        await sync(accounts, to="sqlite:orders.db")         # until it is cancelled
        summary = await sync(accounts, to="sqlite:orders.db", once=True)

    It begins like a backfill from ``since`` (six months back), and goes on where an earlier
    run or a backfill was. Every one of ``streams`` is swept each ``interval`` seconds, or as
    its mapping says; by default in 3 to 15 seconds, or 5 to 30 for ``changed`` and
    ``statuses``, quicker while things arrive. Each sweep reads ``lookback`` (15 minutes)
    again, and each ``deep_every`` (6 hours) what is fresher than ``reread`` (7 days) is listed
    again, since Amazon publishes late. With ``once`` all of that is done once. An order is
    read again when its status moves; in direct fulfillment, every five minutes as long as it
    has neither shipped nor been cancelled.

    An account that is refused is set aside and tried again. *accounts* may be an
    `AccountSource`, from which secrets are read anew. *transport* and *limiters* may be shared
    with a client, whose calls go first. ``concurrency``, ``redact`` and the rest are as in
    `backfill`.

    Raises:
        InvalidArgument, ConfigurationError: it could not be meant; nothing was asked.
        SinkError: the sink cannot be opened, or other runs have locked all accounts.
    """
    course = Course(api=api_named(api, direct_fulfillment_version), **options)
    job = Sync(
        accounts, course, to=to, observer=observer, transport=transport, limiters=limiters
    )
    await job.run()
    return job.summary()


async def watch(
    accounts: Iterable[Account] | AccountSource,
    *,
    to: str | Sink,
    consumer: str | None = None,
    after: int | None = None,
    api: str = "retail",
    direct_fulfillment_version: str = "v1",
    observer: Observer | None = None,
    transport: Transport | None = None,
    limiters: Limiters | None = None,
    **options: Unpack[CourseOptions],
) -> AsyncGenerator[Change, None]:
    """Do what `sync` does, and yield every change once it is stored.

        async for change in watch(accounts, to="sqlite:orders.db", consumer="erp"):
            match change:
                case OrderCreated(): ...
                case OrderChanged(lines=lines): ...

    Changes are `OrderCreated`, `OrderChanged` and `StatusChanged` of these accounts in this
    API, in the order of their sequence numbers. They begin after *after*, else after what
    *consumer* has seen of each account, a name of your own that the sink remembers; else with
    what this run stores. What was yielded counts as seen when the next one is asked for, so
    that after a crash the last ones come again.

    Whoever leaves the loop early closes the iterator, and with it the sync::

        async with contextlib.aclosing(watch(accounts, to=sink)) as changes: ...

    Raises:
        As `sync`.
    """
    course = Course(api=api_named(api, direct_fulfillment_version), **options)
    job = Sync(
        accounts, course, to=to, observer=observer, transport=transport, limiters=limiters
    )
    running = asyncio.create_task(job.run())
    seen: dict[str, int] = {}  # by account
    try:
        async with aclosing(job.changes(consumer=consumer, after=after)) as batches:
            async for batch in batches:
                for change in batch:
                    yield change
                    seen[change.account] = change.sequence
        await running
    finally:
        try:
            if seen:
                await job.seen(consumer, seen)
        finally:
            job.stop()
            await ended(running)
            if not running.cancelled():
                running.exception()  # whoever left does not want it
