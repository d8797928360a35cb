"""What acknowledgements and purges need of a PostgreSQL sink."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

import asyncpg

from . import postgres_purge as purges
from . import postgres_submissions as submitted
from .base import Held, PendingOrder, Purged, Submission, SubmissionState
from .people import NAMING_API
from .postgres_database import Job
from .postgres_lease import LeaseRow

T = TypeVar("T")


class PostgresOffices(ABC):
    """The part of the sink that `SubmissionSink` and `PurgeableSink` have over others."""

    _now: Callable[[], datetime]
    _leases: dict[tuple[str, str], LeaseRow]

    @abstractmethod
    async def _read(self, job: Job[T]) -> T:
        """Return what *job* makes of a connection."""

    @abstractmethod
    async def _change(self, job: Job[T]) -> T:
        """Return what *job* makes of a connection in a transaction, once it is committed."""

    @abstractmethod
    async def _change_of(self, owner: tuple[str, str], job: Job[T]) -> T:
        """Do the same as `_change` for an account and API, unless their lock was lost."""

    async def record(self, submissions: Sequence[Submission]) -> None:
        """Record *submissions*, all or none, so that not even a power cut takes them back.

        Nothing is going to be sent for an account whose lock was lost; what was sent already
        is recorded all the same.
        """
        sending = {
            (one.account, one.api)
            for one in submissions
            if one.state is SubmissionState.SENDING
        }

        async def job(connection: asyncpg.Connection) -> None:
            for owner in sorted(sending & self._leases.keys()):
                await self._leases[owner].check(connection)
            await submitted.record(connection, submissions, self._now())

        await self._change(job)

    async def submissions(
        self, account: str, api: str, numbers: Sequence[str] | None = None
    ) -> list[Submission]:
        """Return what was submitted for *numbers*, or for all orders, the oldest first."""
        return await self._read(
            lambda connection: submitted.read_submissions(connection, account, api, numbers)
        )

    async def held(self, account: str, api: str, numbers: Sequence[str]) -> dict[str, Held]:
        """Return the newest documents of *numbers*, by number."""
        return await self._read(
            lambda connection: submitted.read_held(connection, account, api, numbers)
        )

    async def note_account(self, account: str, acknowledge_within: timedelta) -> None:
        """Remember how long *account* may take to acknowledge an order."""
        await self._change(
            lambda connection: submitted.note_account(connection, account, acknowledge_within)
        )

    async def pending(self) -> list[PendingOrder]:
        """Return what is in the view ``to_acknowledge``, the most urgent first."""
        return await self._read(submitted.read_pending)

    async def accounts(self) -> frozenset[str]:
        """Return the accounts of which anything is kept, or was until the next `scrub`."""
        return await self._read(purges.accounts_in)

    async def purge_account(self, account: str, *, dry_run: bool = False) -> Purged:
        """Remove everything about *account*; with *dry_run* only count it."""
        if dry_run:
            return await self._read(
                lambda connection: purges.count_account(connection, account)
            )
        return await purges.purge_account(
            partial(self._change_of, (account, NAMING_API)), account
        )

    async def purge_people(
        self, account: str, before: datetime, *, dry_run: bool = False
    ) -> Purged:
        """Redact what *account* was ordered before then; with *dry_run* only count it."""
        people = purges.People(account, before, self._now, dry_run)
        if dry_run:
            return await people.purge(self._read)
        return await people.purge(partial(self._change_of, (account, NAMING_API)))

    async def scrub(self) -> None:
        """Write the tables anew without what was deleted: see `postgres_purge.scrub`."""
        await self._read(purges.scrub)
