"""``vendororders purge``."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import click

from ..jobs.purge import AccountPurge, PurgeSummary, purge
from . import say
from .jobs import COMPLETE, INCOMPLETE, until_signal
from .options import Age


@click.command("purge")
@click.option(
    "--to",
    default="sqlite:vendororders.db",
    show_default=True,
    help="The sink that is to forget: sqlite:PATH, postgres://…, parquet:DIR, "
    "s3://BUCKET/PREFIX, ndjson:DIR.",
)
@click.option(
    "--pii-older-than",
    type=Age(),
    metavar="AGE",
    help="Take customers out of Direct Fulfillment orders placed longer ago (30d).",
)
@click.option(
    "--account",
    "accounts",
    multiple=True,
    metavar="NAME",
    help="With --pii-older-than, only accounts of this name (acme-*). Without it, the account "
    "that goes as a whole, named exactly; the name of an account is never a pattern. "
    "Repeatable.",
)
@click.option("--dry-run", is_flag=True, help="Only count what would go.")
@click.option("--quiet", is_flag=True, help="Say nothing but what is wrong.")
def command(
    to: str,
    pii_older_than: timedelta | None,
    accounts: tuple[str, ...],
    dry_run: bool,
    quiet: bool,
) -> int:
    """Remove personal details past an age, or an account.

    Amazon asks to keep personal information no longer than 30 days after delivery, and
    encrypted at rest. Delivery is not in its API, so an order's own date counts, which is
    earlier. What goes, goes out of the files as well, earlier versions and quarantine
    included. Not reached are backups and exports, what a bucket keeps of objects that were
    replaced, nor a server's write-ahead log and its standbys; nothing is encrypted by us; and
    an order that is read from Amazon again comes back whole unless backfill is given --redact.

    A database is written anew for it. That takes its size once more, in SQLite's temporary
    folder (SQLITE_TMPDIR) or where PostgreSQL has its tables, of which one has to be the
    owner; and other jobs that write into it wait meanwhile.

    Exits with 0 when it is gone, 1 when the sink cannot be used or knows no such account, 2
    when it is not said what is to go, 3 when something had to be left, and all else is done:
    an account is in use by another run, or somebody who reads the database keeps old bytes in
    it: run it again; or a file is damaged and not known to be forgotten: do with it what is
    said, and run it again. An account that goes as a whole takes damaged files with it.
    """
    if pii_older_than is None and not accounts:
        raise click.UsageError("say what is to go: --pii-older-than AGE, or --account NAME")
    done: list[PurgeSummary] = []

    async def job() -> None:
        done.append(
            await purge(to, pii_older_than=pii_older_than, accounts=accounts, dry_run=dry_run)
        )

    signal_number = asyncio.run(until_signal(job))
    if signal_number is not None:
        return 128 + signal_number
    [summary] = done
    verb = "removed" if pii_older_than is None else "redacted"
    for one in summary.accounts:
        if one.error is not None:
            say(f"vendororders: {one.error}")
        elif not quiet:
            say(line_of(one, f"would be {verb}" if dry_run else verb))
        for file in one.purged.damaged:
            say(f"vendororders: {file}")
    if summary.leftovers is not None:
        say(f"vendororders: {summary.leftovers}")
    return COMPLETE if summary.complete else INCOMPLETE


def line_of(one: AccountPurge, done: str) -> str:
    """Return what went of an account in one line.

    >>> line_of(AccountPurge("acme-us"), "redacted")
    'acme-us: 0 orders, 0 older versions, 0 in quarantine redacted'
    """
    purged = one.purged
    return (
        f"{one.account}: {purged.order_count:,} orders, {purged.version_count:,} older "
        f"versions, {purged.quarantine_count:,} in quarantine {done}"
    )
