"""The PostgreSQL sink: one database for many accounts, and for several processes at once."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from functools import partial
from typing import Self, TypeVar

import asyncpg

from .. import clock
from ..changes import Change
from ..errors import SinkError, one_line
from ..windows import FinishedWindow, Window
from . import postgres_changes as changes
from . import postgres_followed as followed
from . import postgres_ledger as ledgers
from . import postgres_reader as readers
from .base import Arrival, Ledger, Quarantined, StoredOrder, StreamState, Written
from .followed import MOST_CHANGES, RequestRate, UnfinishedOrder
from .lease import TERM, leased
from .postgres_database import PATIENCE, Database, Job, split_option
from .postgres_lease import LeaseRow
from .postgres_offices import PostgresOffices
from .postgres_pages import REFUSALS, PageWriter, sift
from .rows import ORDER_TYPES

T = TypeVar("T")

_RELEASE = "DELETE FROM quarantine WHERE account = $1 AND api = $2 AND digest = $3"


class PostgresSink(PostgresOffices):
    """Keeps orders in a PostgreSQL database, in the tables that the README describes.

        async with PostgresSink("postgres://user@host/orders") as sink, sink.lock("acme-us"):
            written = await sink.write(arrival)

    The tables are made in the first schema of the search path. Several processes may write at
    once, for different accounts. Every method raises `SinkError`, in one line, when the
    database cannot be used; while a server restarts it is waited for, *patience* seconds. *now*
    stamps the rows. With *read_only* the tables must be there, and nothing in them changes.
    An account's lock ends *term* seconds after it was last renewed, or ``?lease=`` of the URL.
    """

    def __init__(
        self,
        url: str,
        *,
        now: Callable[[], datetime] = clock.now,
        read_only: bool = False,
        term: float = TERM,
        patience: float = PATIENCE,
    ) -> None:
        url, self._term = split_option(url, "lease", term, range(1, 601))
        # a transaction of a run that was stopped ends before its leases do
        silence = self._term / 2
        self._database = Database(url, read_only=read_only, patience=patience, silence=silence)
        self._now = now
        self._leases: dict[tuple[str, str], LeaseRow] = {}

    def __repr__(self) -> str:
        return f"<PostgresSink {self._database}>"

    async def __aenter__(self) -> Self:
        await self._database.open()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._database.close()

    @asynccontextmanager
    async def lock(self, account: str) -> AsyncIterator[None]:
        """Keep other runs, on this machine and on others, from writing for *account*."""
        async with AsyncExitStack() as stack:
            for api in ORDER_TYPES:
                await stack.enter_async_context(self.lock_api(account, api))
            yield

    @asynccontextmanager
    async def lock_api(self, account: str, api: str) -> AsyncIterator[None]:
        """Keep other runs from writing for *account* in *api*.

        The block is cancelled, and that is a `SinkError`, where the lock cannot be kept. What
        it still writes then is refused.
        """
        lease = LeaseRow(self._database, account, api)
        what = f"account {one_line(account)} in {self._database}"
        async with leased(lease, what, term=self._term):
            self._leases[account, api] = lease
            try:
                yield
            finally:
                del self._leases[account, api]

    async def windows(self, ledger: Ledger) -> list[FinishedWindow]:
        """Return the windows that are finished."""
        return await self._read(lambda connection: ledgers.finished_windows(connection, ledger))

    async def last_success_at(self, account: str) -> datetime | None:
        """Return when something was last written for *account*, whatever its source."""
        return await self._read(lambda connection: ledgers.last_success(connection, account))

    async def begin(self, ledger: Ledger, window: Window) -> datetime:
        """Note that a window is begun now, and return since when it is being read."""
        now = self._now()
        return await self._change_of(
            (ledger.account, ledger.api),
            lambda connection: ledgers.begin_window(connection, ledger, window, now),
        )

    async def fresh(
        self, account: str, api: str, numbers: Sequence[str], since: datetime
    ) -> frozenset[str]:
        """Return those of *numbers* whose details were asked for and stored since then."""
        return await self._read(
            lambda connection: ledgers.fresh_numbers(connection, account, api, numbers, since)
        )

    async def write(self, arrival: Arrival) -> list[Written]:
        """Store a page as a whole or not at all; answer for each document in turn.

        Pages that are written at the same time share a transaction, but not their fate. A
        document that PostgreSQL does not take goes to the quarantine, whole. Where the
        connection broke just as a page was committed, it is written again, and the answer is
        that nothing of it is new.
        """
        ledger = arrival.ledger
        owner = (ledger.account, ledger.api)

        async def job(connection: asyncpg.Connection) -> list[Written]:
            now = self._now()
            written = await PageWriter(connection, arrival, now).write()
            await ledgers.note_success(connection, ledger, now)
            return written

        async def careful_job(connection: asyncpg.Connection) -> list[Written]:
            now = self._now()
            written = await sift(connection, arrival, now)
            await ledgers.note_success(connection, ledger, now)
            return written

        try:
            return await self._change_of(owner, job)
        except SinkError as error:
            if not isinstance(error.__context__, REFUSALS):
                raise
        return await self._change_of(owner, careful_job)

    async def finish(self, ledger: Ledger, finished: FinishedWindow) -> None:
        """Record that all pages of a window are stored."""
        await self._change_of(
            (ledger.account, ledger.api),
            lambda connection: ledgers.finish_window(connection, ledger, finished, self._now()),
        )

    async def ended(
        self, ledger: Ledger, *, covered_until: datetime | None, error: str | None
    ) -> None:
        """Record how a run over a stream ended: how far it is unbroken, and why no further."""
        await self._change_of(
            (ledger.account, ledger.api),
            lambda connection: ledgers.note_end(connection, ledger, covered_until, error),
        )

    async def quarantine(self, account: str, api: str) -> list[Quarantined]:
        """Return what stands in the quarantine, the oldest first."""
        return await self._read(
            lambda connection: readers.read_quarantine(connection, account, api)
        )

    async def states(self) -> list[StreamState]:
        """Return all streams of all accounts that the store knows of."""
        return await self._read(readers.read_states)

    async def orders(self) -> AsyncGenerator[list[StoredOrder], None]:
        """Yield every order once, in its newest version, some at a time."""
        last: StoredOrder | None = None
        while batch := await self._read(partial(readers.read_orders, last=last)):
            yield batch
            last = batch[-1]

    async def order_counts(self) -> dict[tuple[str, str], int]:
        """Return how many orders there are, by account and API."""
        return await self._read(readers.count_orders)

    async def release(self, quarantined: Quarantined) -> None:
        """Take out of the quarantine what could be stored after all."""
        ledger = quarantined.ledger
        owner = (ledger.account, ledger.api)
        await self._change_of(
            owner,
            lambda connection: connection.execute(_RELEASE, *owner, quarantined.digest),
        )

    async def changes(
        self,
        after: int,
        limit: int = MOST_CHANGES,
        *,
        api: str | None = None,
        accounts: Sequence[str] | None = None,
    ) -> list[Change]:
        """Return what was recorded after the sequence number *after*, the oldest first."""
        return await self._read(
            lambda connection: changes.read_changes(
                connection, after, limit, api=api, accounts=accounts
            )
        )

    async def last_change(self) -> int:
        """Return the last sequence number that was given, 0 before the first."""
        return await self._read(changes.last)

    async def consumed(self, consumer: str, api: str) -> dict[str, int]:
        """Return the last sequence number that *consumer* has seen, by account."""
        return await self._read(lambda connection: changes.consumed(connection, consumer, api))

    async def consume(self, consumer: str, api: str, places: Mapping[str, int]) -> None:
        """Remember up to where *consumer* has seen all, by account; none ever goes back."""
        await self._change(
            lambda connection: changes.consume(connection, consumer, api, places, self._now())
        )

    async def known_states(
        self, account: str, api: str, numbers: Sequence[str]
    ) -> dict[str, str | None]:
        """Return the state of each of *numbers* whose details are stored."""
        return await self._read(
            lambda connection: followed.known_states(connection, account, api, numbers)
        )

    async def outdated(self, account: str, api: str, limit: int = 100) -> list[str]:
        """Return orders to be read again, the longest waiting first."""
        return await self._read(
            lambda connection: followed.outdated(connection, account, api, limit)
        )

    async def forgo(self, account: str, api: str, number: str, asked_at: datetime) -> None:
        """Let *number* be read again no more, unless its status moved after *asked_at*."""
        await self._change_of(
            (account, api),
            lambda connection: followed.forgo(connection, account, api, number, asked_at),
        )

    async def unfinished(
        self, account: str, api: str, final_states: Sequence[str]
    ) -> list[UnfinishedOrder]:
        """Return the orders with details whose state is none of *final_states*."""
        return await self._read(
            lambda connection: followed.unfinished(connection, account, api, final_states)
        )

    async def note_requests(
        self, account: str, api: str, rates: Mapping[str, float], measured_at: datetime
    ) -> None:
        """Remember what following costs, in the place of what was measured before."""
        await self._change_of(
            (account, api),
            lambda connection: followed.note_requests(
                connection, account, api, rates, measured_at
            ),
        )

    async def request_rates(self) -> list[RequestRate]:
        """Return what following costs, as it was last measured."""
        return await self._read(followed.request_rates)

    async def _change_of(self, owner: tuple[str, str], job: Job[T]) -> T:
        """Do the same as `_change` for an account and API, unless their lock was lost."""
        lease = self._leases.get(owner)
        return await self._database.change(job, check=lease.check if lease else None)

    async def _read(self, job: Job[T]) -> T:
        """Return what *job* makes of a connection."""
        return await self._database.read(job)

    async def _change(self, job: Job[T]) -> T:
        """Return what *job* makes of a connection in a transaction, once it is committed."""
        return await self._database.change(job)
