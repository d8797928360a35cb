"""Options that commands share, and the ways of writing a time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import click

from ..clock import now, parse_age, parse_instant
from ..operations import API_NAMES, DIRECT_FULFILLMENT
from .jobs import why_no_summary

F = TypeVar("F", bound=Callable[..., Any])


class Age(click.ParamType[timedelta]):
    """A duration as people write it: ``90s``, ``12h``, ``30d``, ``2w``."""

    name = "age"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta:
        """Return the duration that *value* means."""
        if isinstance(value, timedelta):
            return value
        try:
            age = parse_age(str(value))
        except OverflowError:
            age = None
        if age is None:
            self.fail(f"{value!r} is no age: write 90s, 12h, 30d or 2w", param, ctx)
        return age


class When(click.ParamType[datetime]):
    """An instant: ISO 8601, where no zone means UTC, or an age, counted back from now."""

    name = "time"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """Return the instant that *value* means."""
        if isinstance(value, datetime):
            return value
        try:
            age = parse_age(str(value))
            return parse_instant(str(value)) if age is None else now() - age
        except (ValueError, OverflowError):
            self.fail(
                f"{value!r} is no time: write 2026-01-31, 2026-01-31T12:00:00Z or an age (30d)",
                param,
                ctx,
            )


def by_commas(
    ctx: click.Context, param: click.Parameter, value: str | None
) -> list[str] | None:
    """Return the names in *value*; None where the option is not given."""
    del ctx, param
    if value is None:
        return None
    return [name.strip() for name in value.split(",") if name.strip()]


def api_options(command: F) -> F:
    """Add the options that choose one of the two APIs, and its version."""
    command = click.option(
        "--direct-fulfillment-version",
        "version",
        type=click.Choice(list(DIRECT_FULFILLMENT)),
        default="v1",
        show_default=True,
        help="Which version of Direct Fulfillment is asked; both have the same orders.",
    )(command)
    return click.option(
        "--api",
        "api_name",
        type=click.Choice(list(API_NAMES)),
        default=API_NAMES[0],
        show_default=True,
        help="The API to ask.",
    )(command)


def account_options(command: F) -> F:
    """Add the options that choose accounts."""
    command = click.option(
        "--account",
        "patterns",
        multiple=True,
        metavar="PATTERN",
        help="Only accounts of this name (acme-*); repeatable.",
    )(command)
    return click.option(
        "--accounts",
        "accounts_file",
        metavar="FILE",
        help="A TOML file of accounts [env: VENDORORDERS_ACCOUNTS]; else one from the "
        "environment.",
    )(command)


def limiter_option(command: F) -> F:
    """Add the option that names where processes keep an account's pace together."""
    return click.option(
        "--shared-limiter",
        "limiter_url",
        envvar="VENDORORDERS_SHARED_LIMITER",
        metavar="URL",
        help="Keep each account's pace together with other processes, in this Redis or "
        "Valkey: redis://HOST:PORT/0 [env: VENDORORDERS_SHARED_LIMITER].",
    )(command)


def log_options(command: F) -> F:
    """Add the options that say what the log tells, and how."""
    command = click.option(
        "--log-format",
        type=click.Choice(["text", "json"]),
        default="text",
        show_default=True,
        help="How log lines on standard error look.",
    )(command)
    return click.option(
        "--quiet", is_flag=True, help="No progress, and of the log only warnings."
    )(command)


def output_options(command: F) -> F:
    """Add the options that say what is told, and how."""
    return click.option(
        "--summary",
        "summary_file",
        type=click.Path(dir_okay=False, allow_dash=True, writable=True, path_type=Path),
        callback=_in_a_free_place,
        help="Write the outcome as JSON here; - is standard output.",
    )(log_options(command))


def _in_a_free_place(
    ctx: click.Context, param: click.Parameter, value: Path | None
) -> Path | None:
    if value is None or str(value) == "-":
        return value
    if not value.parent.is_dir():
        raise click.BadParameter(f"there is no folder {value.parent}", ctx, param)
    if problem := why_no_summary(value):
        raise click.BadParameter(problem, ctx, param)
    return value
