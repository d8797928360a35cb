"""More than one process: the options ``--shard`` and ``--on``."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from ..errors import InvalidArgument
from ..jobs.summary import Tally
from ..shards import Shard, shard_named
from . import say
from .jobs import COMPLETE, write_summary

F = TypeVar("F", bound=Callable[..., Any])


class ShardNumber(click.ParamType[Shard]):
    """One of several parts of the accounts: ``0/8`` is the first of eight."""

    name = "shard"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Shard:
        """Return the shard that *value* means."""
        if isinstance(value, Shard):
            return value
        try:
            return shard_named(str(value))
        except InvalidArgument as error:
            self.fail(str(error), param, ctx)


def shard_option(command: F) -> F:
    """Add the option that takes a part of the accounts."""
    return click.option(
        "--shard",
        type=ShardNumber(),
        metavar="I/N",
        help="Only part I, counted from 0, of the accounts in N parts (0/8 … 7/8; of a "
        "Kubernetes indexed job: $JOB_COMPLETION_INDEX/8).",
    )(command)


def on_option(command: F) -> F:
    """Add the option that shares accounts out among workers."""
    return click.option(
        "--on",
        metavar="dask|dask://HOST:PORT|tls://HOST:PORT",
        help="Share accounts out among Dask workers: a cluster of this machine that ends "
        "with the run, or the one of that scheduler. --concurrency is of each shard then.",
    )(command)


def no_on_option(command: F) -> F:
    """Refuse the same in words, where there is nothing to share out."""

    def refuse(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
        if value is not None:
            raise click.BadParameter(
                "a task of Dask's has an end, which sync has not: start N of them, with "
                "--shard 0/N and so on",
                ctx,
                param,
            )

    return click.option("--on", hidden=True, expose_value=False, callback=refuse)(command)


def quieten_dask() -> None:
    """Keep Dask from telling of processes that it ends, also when it is interrupted early."""
    logging.getLogger("distributed.process").setLevel(logging.WARNING)


def nobody_here(shard: Shard | None, summary_file: Path | None) -> int:
    """Say that a shard has no accounts, which is no failure: it has all there is for it."""
    write_summary(Tally(()).summary(0.0), summary_file)
    say(f"complete: no account is in shard {shard}")
    return COMPLETE
