"""``vendororders pending``."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from datetime import datetime, timedelta

import click
import msgspec

from ..accounts import Account
from ..clock import format_wire, now, seconds_between
from ..jobs.pending import (
    KnowsPending,
    StaleReading,
    is_chosen,
    opened,
    pending,
    stale_readings,
)
from ..operations import RETAIL_API
from ..settings import accounts_from
from ..sinks.base import PendingOrder
from . import say
from .jobs import COMPLETE, INCOMPLETE, echo_json
from .logs import log_to_stderr
from .options import Age, account_options
from .status import age
from .tables import show_table

HEADINGS = ("account", "api", "number", "why", "since", "due", "lines")


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What the user asks for, and *at* which time."""

    at: datetime
    due: timedelta | None = None
    patterns: tuple[str, ...] = ()
    accounts: tuple[Account, ...] = ()
    as_json: bool = False


@click.command("pending")
@click.option(
    "--to",
    default="sqlite:vendororders.db",
    show_default=True,
    help="The sink to look into: sqlite:PATH or postgres://….",
)
@click.option("--due", type=Age(), help="Only what is due within this time, or overdue (4h).")
@click.option("--json", "as_json", is_flag=True, help="One JSON array.")
@account_options
def command(
    to: str,
    due: timedelta | None,
    as_json: bool,
    patterns: tuple[str, ...],
    accounts_file: str | None,
) -> int:
    """Show the orders that wait for an acknowledgement, the most urgent first.

    It reads the sink alone, and may be asked while a job is running; `backfill` brings the
    sink up to date. Amazon asks for an answer within 24 hours, or what an accounts file says
    with acknowledge_within. Exits with 3 when an order that is shown is overdue.
    """
    log_to_stderr("text", quiet=False)
    # the account of the environment has no acknowledge_within of its own
    has_file = accounts_file or os.environ.get("VENDORORDERS_ACCOUNTS")
    accounts = accounts_from(accounts_file) if has_file else ()
    wanted = Wanted(at=now(), due=due, patterns=patterns, accounts=accounts, as_json=as_json)
    return asyncio.run(_look(to, wanted))


async def _look(url: str, wanted: Wanted) -> int:
    async with opened(url) as sink:
        return await show(sink, wanted)


async def show(sink: KnowsPending, wanted: Wanted) -> int:
    """Print what of *sink* is wanted; return the exit code."""
    orders = await pending(
        sink,
        due=wanted.due,
        patterns=wanted.patterns,
        accounts=wanted.accounts,
        now=lambda: wanted.at,
    )
    if wanted.as_json:
        echo_json(msgspec.json.format(msgspec.json.encode(orders), indent=2))
    elif orders:
        show_table(HEADINGS, [_cells(one, wanted.at) for one in orders])
    else:
        limit = "" if wanted.due is None else f" within {age(wanted.due.total_seconds())}"
        say(f"no order has to be acknowledged{limit}")
    for one in stale_readings(await sink.states(), now=wanted.at):
        if is_chosen(one.account, wanted.patterns):
            say(f"vendororders: {stale_line(one, wanted.at)}")
    return INCOMPLETE if any(one.answer_by < wanted.at for one in orders) else COMPLETE


def _cells(one: PendingOrder, at: datetime) -> Sequence[str]:
    return (
        *(one.account, one.api, one.purchase_order_number, one.why),
        format_wire(one.since),
        due_words(one.answer_by, at),
        str(one.unconfirmed_line_count),
    )


def due_words(answer_by: datetime, at: datetime) -> str:
    """Return how much time is left, or how much too late it is."""
    seconds = seconds_between(at, answer_by)
    return f"overdue by {age(-seconds)}" if seconds < 0 else f"in {age(seconds)}"


def stale_line(one: StaleReading, at: datetime) -> str:
    """Return how old the knowledge of an account is, and what to do."""
    is_retail = one.api == RETAIL_API
    what = "statuses" if is_retail else "direct fulfillment orders"
    option = "" if is_retail else " --api direct-fulfillment"
    again = f"`vendororders backfill{option}` asks again"
    if one.read_at is None:
        return f"{one.account}: its {what} were never read; {again}"
    when = age(seconds_between(one.read_at, at))
    return f"{one.account}: its {what} were read {when} ago; {again}"
