"""Purge: personal details past an age, or all that there is of an account."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from fnmatch import fnmatchcase

import msgspec

from .. import clock
from ..errors import InvalidArgument, SinkError
from ..sinks import open_sink
from ..sinks.account_lock import CannotLock
from ..sinks.base import PurgeableSink, Purged
from ..sinks.urls import masked


class AccountPurge(msgspec.Struct, frozen=True):
    """What went of an account; *error* says why something, or all of it, is still there."""

    account: str
    purged: Purged = Purged()
    error: str | None = None


class PurgeSummary(msgspec.Struct, frozen=True):
    """What a purge did, account by account, or would do.

    *leftovers* says why old bytes may still lie in the sink's files, though no order has
    them any more: the same purge, run again, removes them.
    """

    accounts: tuple[AccountPurge, ...]
    leftovers: str | None = None

    @property
    def complete(self) -> bool:
        """Whether everything that was to go is gone."""
        return self.leftovers is None and not any(
            one.error or one.purged.damaged for one in self.accounts
        )


async def purge(
    to: str,
    *,
    pii_older_than: timedelta | None = None,
    accounts: Iterable[str] = (),
    dry_run: bool = False,
    now: Callable[[], datetime] = clock.now,
) -> PurgeSummary:
    """Remove personal details past an age, or accounts as a whole, from the sink *to*.

        await purge("sqlite:orders.db", pii_older_than=timedelta(days=30))
        await purge("sqlite:orders.db", accounts=["acme-us"])

    With *pii_older_than*, the customer is taken out of every Direct Fulfillment order that
    was placed longer ago, out of its earlier versions and out of the quarantine; the rest of
    an order stays. *accounts* are patterns then (``acme-*``), and all if there is none.
    Without it they are names, and everything about them goes: orders, windows, submissions.
    With *dry_run* it is only counted. An account that another run holds is left and named, and
    so is, with an age, a file that is damaged.

    Amazon wants personal information kept no longer than 30 days after delivery, and
    encrypted at rest. Delivery is not in its API, so the order's date counts, which is
    earlier. Nothing is encrypted by us; backups and exports are not reached; and an order that
    is read from Amazon again comes back whole, unless ``redact`` is asked for.
    https://developer-docs.amazon.com/sp-api/docs/protecting-amazon-api-applications-data-encryption-and-recovery

    Raises:
        ConfigurationError: there is no such kind of sink, or it keeps nothing.
        InvalidArgument: neither an age nor an account is named, or it is a pattern where it
            has to be a name.
        SinkError: the sink cannot be used, or knows no such account.
    """
    asked = tuple(accounts)
    before = _before(pii_older_than, now()) if pii_older_than is not None else None
    if before is None and not asked:
        raise InvalidArgument("say what is to go: personal details past an age, or an account")
    # first read only: nothing is made, or brought up to date, where nothing is to be purged
    async with _opened(to, now, read_only=True) as sink:
        known = await sink.accounts()
        if before is None:
            _check_names(asked, known)
        chosen = _chosen(known, asked, to)
        if dry_run:
            found = [await _purged(sink, one, before, dry_run=True) for one in chosen]
            return PurgeSummary(tuple(map(AccountPurge, chosen, found)))
    async with _opened(to, now) as sink:
        refused: list[CannotLock] = []
        done = tuple([await _purge(sink, one, before, refused) for one in chosen])
        if refused and len(refused) == len(chosen):
            raise refused[0]
        return PurgeSummary(done, await _scrub(sink))


def _opened(to: str, now: Callable[[], datetime], *, read_only: bool = False) -> PurgeableSink:
    sink = open_sink(to, now=now, read_only=read_only)
    if not isinstance(sink, PurgeableSink):
        raise InvalidArgument(f"{masked(to)} cannot forget anything")
    return sink


def _before(age: timedelta, now: datetime) -> datetime:
    try:
        return now - age
    except OverflowError:
        raise InvalidArgument("nothing is as old as that") from None


def _check_names(asked: tuple[str, ...], known: frozenset[str]) -> None:
    for name in asked:
        if name not in known and any(mark in name for mark in "*?["):
            raise InvalidArgument(
                f"{name!r} is a pattern: to delete accounts, name each of them exactly"
            )


def _chosen(known: frozenset[str], asked: tuple[str, ...], to: str) -> list[str]:
    """Return those of *known* that are asked for; a name is no pattern if it is somebody's."""
    if not asked:
        return sorted(known)
    chosen: set[str] = set()
    for pattern in asked:
        found = {pattern} & known or {one for one in known if fnmatchcase(one, pattern)}
        if not found:
            raise SinkError(f"{masked(to)} knows no account {pattern!r}")
        chosen |= found
    return sorted(chosen)


async def _purged(
    sink: PurgeableSink, account: str, before: datetime | None, *, dry_run: bool = False
) -> Purged:
    if before is None:
        return await sink.purge_account(account, dry_run=dry_run)
    return await sink.purge_people(account, before, dry_run=dry_run)


async def _purge(
    sink: PurgeableSink, account: str, before: datetime | None, refused: list[CannotLock]
) -> AccountPurge:
    try:
        async with sink.lock(account):
            return AccountPurge(account, await _purged(sink, account, before))
    except SinkError as error:
        if isinstance(error, CannotLock):
            refused.append(error)
        return AccountPurge(account, error=str(error))


async def _scrub(sink: PurgeableSink) -> str | None:
    try:
        await sink.scrub()
    except SinkError as error:
        return str(error)
    return None
