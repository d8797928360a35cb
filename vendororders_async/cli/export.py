"""``vendororders export``."""

from __future__ import annotations

import asyncio

import click

from ..jobs.export import Exported, export
from .jobs import COMPLETE, INCOMPLETE, until_signal
from .logs import log_to_stderr


@click.command("export")
@click.option(
    "--from",
    "source",
    default="sqlite:vendororders.db",
    show_default=True,
    help="A sink that holds orders: sqlite:PATH, postgres://…, parquet:DIR, ndjson:DIR.",
)
@click.option(
    "--to",
    required=True,
    help="Where they go: csv:DIR, parquet:DIR, s3://BUCKET/PREFIX, duckdb:PATH, ndjson:DIR, "
    "ndjson:- (standard output), sqlite:PATH, postgres://….",
)
@click.option(
    "--account",
    "patterns",
    multiple=True,
    metavar="PATTERN",
    help="Only accounts of this name (acme-*); repeatable.",
)
@click.option("--quiet", is_flag=True, help="Say nothing but what is wrong.")
def command(source: str, to: str, patterns: tuple[str, ...], quiet: bool) -> int:
    """Copy the latest version of every order from one sink into another.

    csv:DIR gets orders.csv and lines.csv; parquet:DIR, an object store and duckdb:PATH get
    purchase_orders and purchase_order_lines, typed. These tables replace those of an earlier
    export and have no customers' addresses; the others get whole documents. Windows and
    statuses are not copied. Exits with 0 when complete, 1 when a sink could not be used, 3
    when an order had to be left.
    """
    log_to_stderr("text", quiet=quiet)
    done: list[Exported] = []

    async def job() -> None:
        done.append(await export(source=source, to=to, patterns=patterns))

    signal_number = asyncio.run(until_signal(job))
    if signal_number is not None:
        return 128 + signal_number
    [result] = done
    if not quiet:
        click.echo(closing_line(result), err=True)
    return INCOMPLETE if result.undecodable else COMPLETE


def closing_line(result: Exported) -> str:
    """Return the outcome in one line."""
    line = f"exported {result.orders:,} orders of {result.accounts:,} accounts"
    if result.undecodable:
        line += f"; {result.undecodable:,} could not be decoded and were left"
    return line
