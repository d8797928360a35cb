"""Export: the latest version of every order, from one sink into another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    aclosing,
    asynccontextmanager,
)
from datetime import datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import msgspec

from .. import clock
from ..clock import whole_second
from ..errors import ConfigurationError
from ..sinks import Sink, UnknownSink, open_sink
from ..sinks.base import Arrival, Ledger
from ..sinks.damage import EXPORTED
from ..sinks.ndjson import NdjsonSink
from ..sinks.ndjson_stream import NdjsonStream
from ..sinks.tables import Tables, open_tables
from ..windows import Window
from .stored import Content, check_patterns, stored_orders


class Exported(msgspec.Struct, frozen=True):
    """What an export moved; *undecodable* orders it had to leave."""

    orders: int
    accounts: int
    undecodable: int = 0


class Target(Protocol):
    """Where an export goes; it appears there once all of it is settled."""

    async def add(self, batch: Sequence[Content]) -> None:
        """Take in a batch."""

    async def settle(self) -> None:
        """Let it be seen."""


async def export(
    *,
    source: str,
    to: str,
    patterns: Iterable[str] = (),
    now: Callable[[], datetime] = clock.now,
) -> Exported:
    """Copy the latest version of every order from *source* into *to*.

        await export(source="sqlite:orders.db", to="csv:orders")

    *patterns* choose accounts (``acme-*``). Windows are not copied: what a sink was given
    by an export, a backfill into it reads again. Documents go whole, customers' addresses
    in them too; ``csv:``, ``parquet:`` and ``duckdb:``, which are tables for other programs,
    have none.

    Raises:
        ConfigurationError: there is no such kind of sink, or both are the same one.
        InvalidArgument: no account in *source* is called so.
        SinkError: one of the two cannot be used.
    """
    if await asyncio.to_thread(_are_same, source, to):
        raise ConfigurationError("an export goes into another sink than it comes from")
    # in a thread: what they import may be large
    reader = await asyncio.to_thread(open_sink, source, now=now, read_only=True)
    opening = await asyncio.to_thread(_target, to, now)
    patterns = tuple(patterns)
    order_count, undecodable = 0, 0
    accounts: set[str] = set()
    async with reader:
        await check_patterns(reader, patterns)
        async with opening as target, aclosing(stored_orders(reader, patterns)) as batches:
            async for contents in batches:
                good = [one for one in contents if one.document.content is not None]
                await target.add(good)
                accounts.update(one.order.account for one in contents)
                order_count += len(good)
                undecodable += len(contents) - len(good)
            await target.settle()
    return Exported(order_count, len(accounts), undecodable)


def _target(to: str, now: Callable[[], datetime]) -> AbstractAsyncContextManager[Target]:
    if tables := open_tables(to):
        return _into_tables(tables)
    try:
        return _into_sink(open_sink(to, now=now))
    except UnknownSink as error:
        raise ConfigurationError(f"{error}, or csv:DIR, duckdb:PATH") from None


@asynccontextmanager
async def _into_tables(opening: Tables) -> AsyncIterator[Target]:
    async with opening as tables:
        yield _TablesTarget(tables)


@asynccontextmanager
async def _into_sink(sink: Sink) -> AsyncIterator[Target]:
    async with sink, AsyncExitStack() as locks:
        yield _SinkTarget(sink, locks)


class _TablesTarget:
    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def add(self, batch: Sequence[Content]) -> None:
        """Write rows."""
        await self._tables.add(
            [(one.order, one.document.content) for one in batch if one.document.content]
        )

    async def settle(self) -> None:
        """Let them appear."""
        await self._tables.settle()


class _SinkTarget:
    """A sink whose accounts are locked as they come, until the export ends."""

    def __init__(self, sink: Sink, locks: AsyncExitStack) -> None:
        self._sink = sink
        self._locks = locks
        self._locked: set[str] = set()

    async def add(self, batch: Sequence[Content]) -> None:
        """Write documents."""
        for account in dict.fromkeys(one.order.account for one in batch):
            if account not in self._locked:
                await self._locks.enter_async_context(self._sink.lock(account))
                self._locked.add(account)
        if isinstance(self._sink, NdjsonSink | NdjsonStream):
            await self._sink.keep([one.order for one in batch])
            return
        for arrival in arrivals(batch):
            await self._sink.write(arrival)

    async def settle(self) -> None:
        """Let what was kept aside appear."""
        if isinstance(self._sink, NdjsonSink | NdjsonStream):
            await self._sink.settle()


def arrivals(batch: Iterable[Content]) -> list[Arrival]:
    """Return *batch* as pages of documents that were asked for together."""
    found = []
    for (account, api, seen_at), contents in groupby(sorted(batch, key=_origin), key=_origin):
        second = whole_second(seen_at)
        found.append(
            Arrival(
                Ledger(account, api, EXPORTED, EXPORTED),
                Window(second, second + timedelta(seconds=1)),  # never begun nor finished
                seen_at,
                [one.document for one in contents],
            )
        )
    return found


def _origin(content: Content) -> tuple[str, str, datetime]:
    return content.order.account, content.order.api, content.order.seen_at


def _are_same(source: str, to: str) -> bool:
    """Say whether two URLs name the same sink, however they are spelled; it asks the disk."""
    return _place(source) == _place(to)


def _place(url: str) -> tuple[object, ...]:
    kind, _, path = url.partition(":")
    if "://" in url:  # parquet:s3://… is s3://…, ndjson+zstd:DIR below is ndjson:DIR
        parts = urlsplit(url.removeprefix("parquet:"))
        return parts._replace(path=parts.path.rstrip("/"))
    return kind.partition("+")[0], Path(path).expanduser().resolve()
