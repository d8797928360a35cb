"""``vendororders backfill``."""

from __future__ import annotations

import asyncio
import logging
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import click

from ..distributed import Assignment, ClusterBackfill
from ..errors import ConfigurationError, InvalidArgument
from ..jobs.backfill import Backfill
from ..jobs.reading import FAN_OUT, INLINE, Reading
from ..jobs.summary import Summary
from ..operations import api_named
from ..settings import ConfiguredAccounts
from ..shards import Shard
from . import NOTHING_DONE, say
from .jobs import COMPLETE, INCOMPLETE, limiters_at, paced, until_signal, write_summary
from .logs import log_to_stderr
from .options import (
    Age,
    When,
    account_options,
    api_options,
    by_commas,
    limiter_option,
    output_options,
)
from .process import one_job
from .progress import ProgressReport
from .shards import nobody_here, on_option, quieten_dask, shard_option

_log = logging.getLogger("vendororders_async")


@click.command("backfill")
@click.option(
    "--to",
    default="sqlite:vendororders.db",
    show_default=True,
    help="Where orders go: sqlite:PATH, postgres://…, parquet:DIR, s3://BUCKET/PREFIX, "
    "ndjson:DIR, ndjson:- (standard output).",
)
@api_options
@click.option("--since", type=When(), help="Begin here: a time, or an age (default: 6 months).")
@click.option("--until", type=When(), help="End here (default: two minutes ago).")
@click.option(
    "--streams",
    callback=by_commas,
    help="What to read, by commas (default: created,changed,statuses; of direct fulfillment "
    "created, all there is).",
)
@click.option(
    "--details",
    type=click.Choice([INLINE, FAN_OUT]),
    default=INLINE,
    show_default=True,
    help="Whole orders in the lists, or numbers there and one request for each order.",
)
@click.option(
    "--reread",
    type=Age(),
    default="7d",
    show_default=True,
    help="Read again what ended less than this before it was read.",
)
@click.option(
    "--concurrency", type=click.IntRange(min=1), help="At most so many requests in flight."
)
@click.option(
    "--redact",
    is_flag=True,
    help="Store orders of direct fulfillment without their customers' details.",
)
@click.option("--strict", is_flag=True, help="Exit with 3 for standing quarantine as well.")
@limiter_option
@on_option
@shard_option
@account_options
@output_options
def command(
    to: str,
    api_name: str,
    version: str,
    strict: bool,
    on: str | None,
    shard: Shard | None,
    patterns: tuple[str, ...],
    accounts_file: str | None,
    limiter_url: str | None,
    summary_file: Path | None,
    quiet: bool,
    log_format: str,
    **asked: Any,
) -> int:
    """Read every order of a range into a sink, once.

    The same command goes on from where an interrupted run was; what is finished is not
    asked again. Exits with 0 when complete, 1 when nothing could be done, 2 when the
    command or the settings are wrong, 3 when something is missing.

    Orders of direct fulfillment name customers, with address and phone: they go into the
    sink and nowhere else, and with --redact not even there. What a run without it stored
    keeps its customers, in older versions and in quarantine, until `vendororders purge`: a
    second run with --redact does not reach them.
    """
    log_to_stderr(log_format, quiet=quiet)
    if to == "ndjson:-" and str(summary_file) == "-":
        raise click.UsageError("orders and summary cannot both go to standard output")
    try:
        source = ConfiguredAccounts(accounts_file, patterns=patterns, shard=shard)
        names = source.names()
        is_told = not quiet and log_format == "text"  # machines read the log alone
        if not names:
            return nobody_here(shard, summary_file)
        report = ProgressReport(names) if is_told else nullcontext()
        observer = None if isinstance(report, nullcontext) else report
        job: Backfill | ClusterBackfill
        limiters = None
        if on is None:
            reading = Reading(api=api_named(api_name, version), **asked)
            limiters = limiters_at(limiter_url)
            job = Backfill(source.load(), reading, to=to, observer=observer, limiters=limiters)
        else:
            quieten_dask()
            work = Assignment(
                to=to,
                accounts_file=source.path,
                api=api_name,
                direct_fulfillment_version=version,
                reading=asked,
                shared_limiter=limiter_url,
            )
            job = ClusterBackfill(names, work, on=on, tell=observer.take if observer else None)
    except (ConfigurationError, InvalidArgument):
        write_summary(Summary.of_nothing(), summary_file)
        raise
    try:
        with report, one_job():
            signal_number = asyncio.run(until_signal(paced(job.run, limiters)))
    finally:
        summary = job.summary()
        write_summary(summary, summary_file)
    if is_told:
        say(closing_line(summary))
    else:
        _log.info("%s", closing_line(summary))
    if signal_number is not None:
        return 128 + signal_number
    if summary.nothing_done:
        return NOTHING_DONE
    complete = summary.complete and not (strict and summary.quarantine_standing)
    return COMPLETE if complete else INCOMPLETE


def closing_line(summary: Summary) -> str:
    """Return the outcome in one line."""
    standing = summary.quarantine_standing
    aside = f" ({standing} orders stand in quarantine)" if standing else ""
    if summary.complete and not summary.requests:
        return "complete: nothing to ask, all of the range was read before" + aside
    parts = [
        f"{'complete' if summary.complete else 'incomplete'}: {summary.orders:,} orders",
        f"({summary.new:,} new, {summary.changed:,} changed)",
        f"in {summary.seconds:.1f} s with {summary.requests:,} requests",
        f"(the plan allows {summary.ideal_seconds:.1f} s),",
        f"{summary.throttled} throttled,",
        f"{summary.quarantined} quarantined",
    ]
    if standing:
        parts.append(f"({standing} standing)")
    if summary.beyond_history:
        parts.append(f"; {summary.beyond_history} windows lie beyond Amazon's history")
    if summary.missing_details:
        parts.append(f"; Amazon lists {summary.missing_details} orders without details")
    return " ".join(parts)
