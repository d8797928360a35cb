"""Export: the latest version of every order, from one sink into another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from itertools import groupby
from pathlib import Path
from typing import Protocol

import msgspec

from .. import clock
from ..clock import whole_second
from ..errors import ConfigurationError, InvalidArgument
from ..pages import Document, decode_document
from ..sinks import Sink, open_sink
from ..sinks.base import Arrival, Ledger, StoredOrder
from ..sinks.csv_tables import CsvTables
from ..sinks.ndjson import EXPORTED, NdjsonSink
from ..sinks.ndjson_stream import NdjsonStream
from ..sinks.rows import ORDER_TYPES, AnyOrder
from ..windows import Window


class Exported(msgspec.Struct, frozen=True):
    """What an export moved; *undecodable* orders it had to leave."""

    orders: int
    accounts: int
    undecodable: int = 0


class Content(msgspec.Struct, frozen=True, gc=False):
    """An order on its way, and what its document says."""

    order: StoredOrder
    document: Document[AnyOrder]


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
    in them too; ``csv:`` files have none.

    Raises:
        ConfigurationError: there is no such kind of sink, or both are the same one.
        InvalidArgument: no account in *source* is called so.
        SinkError: one of the two cannot be used.
    """
    if await asyncio.to_thread(_are_same, source, to):
        raise ConfigurationError("an export goes into another sink than it comes from")
    reader = open_sink(source, now=now, read_only=True)
    opening = _target(to, now)
    patterns = tuple(patterns)
    order_count, undecodable = 0, 0
    accounts: set[str] = set()
    async with reader:
        known = {state.ledger.account for state in await reader.states()}
        _check_patterns(patterns, known)
        async with opening as target:
            async for batch in reader.orders():
                chosen = [one for one in batch if _is_chosen(one.account, patterns)]
                contents = [
                    Content(one, decode_document(one.document, ORDER_TYPES[one.api]))
                    for one in chosen
                ]
                good = [one for one in contents if one.document.content is not None]
                await target.add(good)
                accounts.update(one.account for one in chosen)
                order_count += len(good)
                undecodable += len(chosen) - len(good)
            await target.settle()
    return Exported(order_count, len(accounts), undecodable)


def _target(to: str, now: Callable[[], datetime]) -> AbstractAsyncContextManager[Target]:
    kind, _, rest = to.partition(":")
    if kind == "csv" and rest and rest != "-":
        return _into_csv(Path(rest))
    try:
        return _into_sink(open_sink(to, now=now))
    except ConfigurationError as error:
        raise ConfigurationError(f"{error}, or csv:DIR") from None


@asynccontextmanager
async def _into_csv(folder: Path) -> AsyncIterator[Target]:
    async with CsvTables(folder) as tables:
        yield _CsvTarget(tables)


@asynccontextmanager
async def _into_sink(sink: Sink) -> AsyncIterator[Target]:
    async with sink, AsyncExitStack() as locks:
        yield _SinkTarget(sink, locks)


class _CsvTarget:
    def __init__(self, tables: CsvTables) -> None:
        self._tables = tables

    async def add(self, batch: Sequence[Content]) -> None:
        """Write rows."""
        await self._tables.add(
            [(one.order, one.document.content) for one in batch if one.document.content]
        )

    async def settle(self) -> None:
        """Let the files appear."""
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


def _is_chosen(account: str, patterns: Sequence[str]) -> bool:
    return not patterns or any(fnmatchcase(account, pattern) for pattern in patterns)


def _check_patterns(patterns: Sequence[str], known: set[str]) -> None:
    for pattern in patterns:
        if not any(fnmatchcase(account, pattern) for account in known):
            names = ", ".join(sorted(known)) or "none"
            raise InvalidArgument(f"no account is called {pattern!r}; there are {names}")


def _are_same(source: str, to: str) -> bool:
    """Say whether two URLs name the same sink, however they are spelled; it asks the disk."""
    (kind, _, path), (other_kind, _, other_path) = source.partition(":"), to.partition(":")
    places = (Path(one).expanduser().resolve() for one in (path, other_path))
    return kind == other_kind and next(places) == next(places)
