"""``vendororders quarantine``."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from fnmatch import fnmatchcase

import click

from ..clock import format_wire
from ..errors import InvalidArgument, SinkError, VendorOrdersError, one_line
from ..jobs.quarantine import Retried, retry_quarantine
from ..sinks import open_sink
from ..sinks.base import Quarantined
from . import NOTHING_DONE, complain
from .jobs import COMPLETE, INCOMPLETE, echo_json
from .logs import log_to_stderr
from .options import F
from .tables import show_table

_HEADINGS = ("account", "api", "stream", "digest", "reason", "first seen")


def _options(command: F) -> F:
    command = click.option(
        "--account",
        "patterns",
        multiple=True,
        metavar="PATTERN",
        help="Only accounts of this name (acme-*); repeatable.",
    )(command)
    return click.option(
        "--to",
        default="sqlite:vendororders.db",
        show_default=True,
        help="The sink it stands in.",
    )(command)


@click.group("quarantine")
def command() -> None:
    """Look at, retry or drop what could not be decoded."""


@command.command("list")
@_options
@click.option("--documents", is_flag=True, help="Print each document whole, below its line.")
def list_(to: str, patterns: tuple[str, ...], documents: bool) -> int:
    """List what stands in the quarantine.

    A line names no customer; a document of direct fulfillment does.
    """
    held = asyncio.run(standing(to, patterns))
    if not documents:
        show_table(_HEADINGS, [_cells(one) for one in held])
    for one in held if documents else ():
        click.echo("  ".join(map(one_line, _cells(one))))
        echo_json(one.document)
    return COMPLETE


@command.command("retry")
@_options
def retry(to: str, patterns: tuple[str, ...]) -> int:
    """Decode it once more, and store what decodes.

    Exits with 3 when an account could not be written, 1 when none could.
    """
    log_to_stderr("text", quiet=False)
    owners = _owners(asyncio.run(standing(to, patterns)))
    results = asyncio.run(_retry(to, owners))
    stored = sum(one.stored_count for one in results)
    left = sum(one.standing_count for one in results)
    click.echo(f"{stored:,} stored, {left:,} still standing", err=True)
    return _code(done=len(results), wanted=len(owners))


@command.command("drop")
@_options
@click.option("--all", "everything", is_flag=True, help="All that stands there.")
@click.argument("digests", nargs=-1, metavar="DIGEST...")
def drop(to: str, patterns: tuple[str, ...], everything: bool, digests: tuple[str, ...]) -> int:
    """Remove documents for good: those of these digests, or --all.

    It does not ask: `list --documents` shows what would be lost.
    """
    if everything == bool(digests):
        raise click.UsageError("name the digests to drop, or --all")
    chosen = [
        one
        for one in asyncio.run(standing(to, patterns))
        if everything or one.digest in digests
    ]
    unknown = set(digests) - {one.digest for one in chosen}
    if unknown:
        raise SinkError(f"nothing in quarantine has the digest {min(unknown)}")
    owners = _owners(chosen)
    dropped = asyncio.run(_drop(to, chosen))
    click.echo(f"{sum(dropped):,} dropped", err=True)
    return _code(done=len(dropped), wanted=len(owners))


async def standing(url: str, patterns: Sequence[str]) -> list[Quarantined]:
    """Return what stands in the quarantine of the accounts that match *patterns*.

    Raises:
        InvalidArgument: no account is called so.
    """
    async with open_sink(url, read_only=True) as sink:
        owners = sorted({(one.ledger.account, one.ledger.api) for one in await sink.states()})
        for pattern in patterns:
            if not any(fnmatchcase(account, pattern) for account, _ in owners):
                raise InvalidArgument(f"no account is called {pattern!r}")
        return [
            held
            for account, api in owners
            if not patterns or any(fnmatchcase(account, pattern) for pattern in patterns)
            for held in await sink.quarantine(account, api)
        ]


async def _retry(url: str, owners: Sequence[tuple[str, str]]) -> list[Retried]:
    results = []
    async with open_sink(url) as sink:
        for account, api in owners:
            try:
                async with sink.lock(account):
                    results.append(await retry_quarantine(sink, account, api))
            except VendorOrdersError as error:
                complain(error)
    return results


async def _drop(url: str, chosen: Sequence[Quarantined]) -> list[int]:
    """Remove *chosen*; return how many, for each account that could be written."""
    dropped = []
    async with open_sink(url) as sink:
        for owner in _owners(chosen):
            its = [one for one in chosen if (one.ledger.account, one.ledger.api) == owner]
            try:
                async with sink.lock(owner[0]):
                    for one in its:
                        await sink.release(one)
            except VendorOrdersError as error:
                complain(error)
            else:
                dropped.append(len(its))
    return dropped


def _owners(held: Sequence[Quarantined]) -> list[tuple[str, str]]:
    return list(dict.fromkeys((one.ledger.account, one.ledger.api) for one in held))


def _cells(one: Quarantined) -> tuple[str, ...]:
    ledger = one.ledger
    return (
        *(ledger.account, ledger.api, ledger.stream),
        *(one.digest, one.reason, format_wire(one.first_seen_at)),
    )


def _code(*, done: int, wanted: int) -> int:
    if done == wanted:
        return COMPLETE
    return INCOMPLETE if done else NOTHING_DONE
