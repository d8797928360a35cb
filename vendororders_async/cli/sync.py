"""``vendororders sync``."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from ..errors import ConfigurationError, InvalidArgument
from ..jobs.course import Course
from ..jobs.delivery import Delivery, Recipient
from ..jobs.summary import Summary
from ..jobs.sync import Sync
from ..operations import api_named
from ..settings import ConfiguredAccounts
from ..shards import Shard
from . import NOTHING_DONE, say
from .following import Following, closing_line
from .health import Address, HealthAddress, serving_health
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
from .recipients import Command, EventsFile, StandardOutput, problem_of
from .shards import no_on_option, nobody_here, shard_option

_TRIES = 3  # with --once

_log = logging.getLogger("vendororders_async")


class Interval(click.ParamType[float | Mapping[str, float]]):
    """Seconds for every stream, or for some by name: ``created=5,statuses=60``."""

    name = "seconds"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float | Mapping[str, float]:
        """Return the seconds that *value* means; what is sensible the course decides."""
        text = str(value)
        try:
            if "=" not in text:
                return float(text)
            pairs = [part.partition("=") for part in text.split(",") if part.strip()]
            return {name.strip(): float(seconds) for name, _, seconds in pairs}
        except ValueError:
            self.fail(f"{text!r} is no interval: write 5, or created=5,statuses=60", param, ctx)


class Events(click.ParamType[Path]):
    """Where events are written: ``ndjson:-``, or ``ndjson:FILE``."""

    name = "events"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Path:
        """Return the file that *value* means; - is standard output."""
        kind, _, rest = str(value).partition(":")
        if kind != "ndjson" or not rest:
            self.fail(f"{value!r} is no place: write ndjson:- or ndjson:FILE", param, ctx)
        path = Path(rest)
        problem = None if rest == "-" else problem_of(path)
        if problem is not None:
            self.fail(problem, param, ctx)
        return path


@click.command("sync")
@click.option(
    "--to",
    default="sqlite:vendororders.db",
    show_default=True,
    help="Where orders go: sqlite:PATH or postgres://….",
)
@api_options
@click.option("--since", type=When(), help="Begin here: a time, or an age (default: 6 months).")
@click.option(
    "--streams", callback=by_commas, help="What to follow, by commas (default: all there is)."
)
@click.option(
    "--interval",
    type=Interval(),
    help="Seconds between two looks, for all streams or by name (created=5,statuses=60); "
    "by default few while something arrives, and more when it is quiet.",
)
@click.option(
    "--lookback",
    type=Age(),
    default="15m",
    show_default=True,
    help="Every look reads so much again.",
)
@click.option(
    "--reread",
    type=Age(),
    default="7d",
    show_default=True,
    help="The deep look reads so much again, by numbers.",
)
@click.option(
    "--deep-every", type=Age(), default="6h", show_default=True, help="How often it is done."
)
@click.option("--once", is_flag=True, help="Look once, also deep, and end.")
@click.option(
    "--concurrency", type=click.IntRange(min=1), help="At most so many requests in flight."
)
@click.option(
    "--redact",
    is_flag=True,
    help="Store orders of direct fulfillment without their customers' details.",
)
@click.option(
    "--events",
    type=Events(),
    metavar="ndjson:-|ndjson:FILE",
    help="Write what changes, a JSON object a line.",
)
@click.option(
    "--exec",
    "shell_command",
    metavar="COMMAND",
    help="Run COMMAND for each batch of changes, with its lines on standard input; exit code "
    "0 says that it has them, after any other they come again.",
)
@click.option(
    "--consumer",
    metavar="NAME",
    help="Whose place among the changes is remembered (default: events, exec).",
)
@click.option(
    "--after",
    type=click.IntRange(min=0),
    metavar="SEQUENCE",
    help="Begin with the change after this one, and not where the consumer was.",
)
@click.option(
    "--health",
    type=HealthAddress(),
    metavar="[HOST:]PORT",
    help="Answer here how it stands: /live, /ready, /health.",
)
@click.option("--strict", is_flag=True, help="With --once: 3 for standing quarantine as well.")
@limiter_option
@no_on_option
@shard_option
@account_options
@output_options
def command(
    to: str,
    api_name: str,
    version: str,
    events: Path | None,
    shell_command: str | None,
    consumer: str | None,
    after: int | None,
    health: Address | None,
    strict: bool,
    shard: Shard | None,
    patterns: tuple[str, ...],
    accounts_file: str | None,
    limiter_url: str | None,
    summary_file: Path | None,
    quiet: bool,
    log_format: str,
    **asked: Any,
) -> int:
    """Follow accounts: every order that is created, changes or moves, within seconds.

    It begins with a backfill of what the sink does not have, and goes on until it is told to
    stop; then what is in hand is stored first. Changes are delivered at least once, in their
    order: a consumer goes on after the last that it has taken, also in another run. They have
    the orders in them, which in direct fulfillment name customers unless there is --redact.

    Exits with 0 after SIGTERM, 130 after Ctrl-C, 1 when the sink cannot be used or nobody
    reads the events any more, 2 when the command or the settings are wrong. With --once: 0
    when complete, 1 when nothing could be done, 3 when something is missing or a batch was
    not taken, 143 after SIGTERM.
    """
    log_to_stderr(log_format, quiet=quiet)
    _check_outputs(events, shell_command, consumer, after, summary_file)
    once = bool(asked["once"])
    try:
        source = ConfiguredAccounts(accounts_file, patterns=patterns, shard=shard)
        if not source.names():
            return nobody_here(shard, summary_file)
        course = Course(api=api_named(api_name, version), **asked)
        limiters = limiters_at(limiter_url)
        job = Sync(source, course, to=to, limiters=limiters)
    except (ConfigurationError, InvalidArgument):
        write_summary(Summary.of_nothing(), summary_file)
        raise
    recipients = _recipients(events, shell_command, source)
    tries = _TRIES if once else None
    deliveries = [Delivery(consumer or name, one, tries=tries) for name, one in recipients]
    is_watched = not quiet and log_format == "text" and sys.stderr.isatty()
    following = Following(
        job,
        deliveries,
        after=after,
        beside=() if health is None else (serving_health(health, job.standing),),
        tell=say if is_watched else None,
    )
    try:
        with one_job():
            running = until_signal(paced(following.run, limiters), stop=following.stop)
            signal_number = asyncio.run(running)
    finally:
        summary = job.summary() if job.standing().accounts else Summary.of_nothing()
        write_summary(summary, summary_file)
    _log.info("%s", closing_line(summary, once=once))
    if signal_number is not None:
        is_orderly = signal_number == signal.SIGTERM and following.has_ended and not once
        return COMPLETE if is_orderly else 128 + signal_number
    return exit_code(summary, strict=strict, has_delivered=following.has_delivered)


def exit_code(summary: Summary, *, strict: bool, has_delivered: bool) -> int:
    """Return what a sync that came to its end by itself ends with."""
    if summary.nothing_done:
        return NOTHING_DONE
    is_clean = not (strict and summary.quarantine_standing)
    return COMPLETE if summary.complete and has_delivered and is_clean else INCOMPLETE


def _check_outputs(
    events: Path | None,
    shell_command: str | None,
    consumer: str | None,
    after: int | None,
    summary_file: Path | None,
) -> None:
    """Raise where options do not go together."""
    if str(events) == str(summary_file) == "-":
        raise click.UsageError("events and summary cannot both go to standard output")
    if events is None and shell_command is None and (consumer or after is not None):
        raise click.UsageError("--consumer and --after are for --events or --exec")
    if events is not None and shell_command is not None and consumer:
        raise click.UsageError("--events and --exec are two consumers, and need two names")


def _recipients(
    events: Path | None, shell_command: str | None, source: ConfiguredAccounts
) -> Iterator[tuple[str, Recipient]]:
    """Yield who gets changes, each after the name of its consumer."""
    if events is not None:
        yield "events", StandardOutput() if str(events) == "-" else EventsFile(events)
    if shell_command is not None:
        yield "exec", Command(shell_command, secrets=lambda: source.secret_variables)
