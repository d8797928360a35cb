"""``vendororders status``."""

from __future__ import annotations

import asyncio
from datetime import datetime

import click
import msgspec

from ..clock import format_wire, now
from ..jobs.holdings import Holdings, RequestHolding, StreamHolding, holdings
from ..sinks import open_sink
from ..windows import Window
from .jobs import echo_json
from .tables import show_table

STREAM_HEADINGS = ("account", "api", "stream", "covered", "gaps", "last success", "error")
_ACCOUNT_HEADINGS = ("account", "api", "orders", "quarantine")
REQUEST_HEADINGS = ("account", "api", "operation", "an hour", "of the plan", "measured")


@click.command("status")
@click.option(
    "--to", default="sqlite:vendororders.db", show_default=True, help="The sink to look into."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def command(to: str, as_json: bool) -> int:
    """Show what a sink holds: ranges, gaps, freshness, orders, quarantine.

    Of accounts that `sync` follows, also what that costs in requests. It only reads, and may
    be asked while a job is running. A sink that does not exist is an error.
    """
    found = asyncio.run(_look(to))
    if as_json:
        # an account's name may be anything; JSON that is text is UTF-8
        echo_json(msgspec.json.format(msgspec.json.encode(found), indent=2))
        return 0
    show_table(STREAM_HEADINGS, [_stream_cells(one) for one in found.streams])
    click.echo()
    show_table(
        _ACCOUNT_HEADINGS,
        [
            (one.account, one.api, f"{one.orders:,}", str(one.quarantine))
            for one in found.accounts
        ],
    )
    if found.requests:
        click.echo()
        show_table(REQUEST_HEADINGS, [_request_cells(one) for one in found.requests])
    return 0


async def _look(url: str) -> Holdings:
    async with open_sink(url, read_only=True) as sink:
        return await holdings(sink, now=now())


def _stream_cells(one: StreamHolding) -> tuple[str, ...]:
    return (
        *(one.account, one.api, one.stream),
        ranges(one.covered),
        ranges(one.gaps),
        _when(one.last_success_at, one.age_seconds),
        one.last_error or "-",
    )


def _request_cells(one: RequestHolding) -> tuple[str, ...]:
    share = one.share_of_plan
    return (
        *(one.account, one.api, one.operation),
        f"{one.requests_an_hour:,.0f} requests",
        "-" if share is None else f"{share:.1%}",
        _when(one.measured_at, one.age_seconds),
    )


def ranges(windows: tuple[Window, ...]) -> str:
    """Return *windows* as people read them.

        >>> ranges(())
        '-'

    Only the first and the last two are written out where there are many.
    """
    most = 4
    words = [f"{_moment(one.after)} to {_moment(one.before)}" for one in windows]
    if len(words) > most:
        words[2:-2] = [f"{len(words) - most} more"]
    return ", ".join(words) or "-"


def age(seconds: float) -> str:
    """Return a length of time in its largest unit.

    >>> age(7300)
    '2 h'
    """
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"


def _when(moment: datetime | None, seconds: float | None) -> str:
    if moment is None or seconds is None:
        return "never"
    return f"{age(seconds)} ago ({_moment(moment)})"


def _moment(moment: datetime) -> str:
    """Return a date alone where that is all there is to say."""
    text = format_wire(moment)
    return text[:10] if text.endswith("T00:00:00Z") else text
