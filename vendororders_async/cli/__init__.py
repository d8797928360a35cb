"""The command ``vendororders``.

Commands live in modules of their own, imported when one is run, so that help comes at
once and a mistyped option does not wait for aiohttp.
"""

from __future__ import annotations

import importlib
import logging
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import TextIO

import click

from .. import __version__
from ..errors import (
    ConfigurationError,
    InvalidArgument,
    VendorOrdersError,
    one_line,
    plain_line,
)

NOTHING_DONE = 1
WRONG_USE = 2

COMMANDS = {
    "backfill": "Read every order of a range, once; the same command resumes it.",
    "sync": "Follow accounts: what is created, changes or moves, within seconds.",
    "get": "Print orders by their numbers, one JSON document a line.",
    "pending": "List the orders that wait for an acknowledgement, and until when.",
    "acknowledge": "Answer orders: check, submit, and follow to an outcome.",
    "transaction": "Print what became of submissions.",
    "status": "Show what a sink holds: ranges, gaps, freshness, quarantine.",
    "export": "Copy the latest version of every order from one sink into another.",
    "quarantine": "Look at, retry or drop what could not be decoded.",
    "purge": "Remove customers' details past an age, or an account.",
    "simulate": "Run a local Selling Partner API with its limits and faults.",
}


class _Commands(click.Group):
    """A group that knows its commands by name and loads the one it needs."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        if cmd_name not in COMMANDS:
            return None
        command = importlib.import_module(f".{cmd_name}", __name__).command
        assert isinstance(command, click.Command)  # noqa: S101 - every module of COMMANDS has one
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="vendororders")
def cli() -> None:
    """Move Amazon vendors' purchase orders, without losing one.

    Accounts come from the environment (LWA_APP_ID, LWA_CLIENT_SECRET,
    SP_API_REFRESH_TOKEN, SP_API_REGION) or from a file (--accounts).
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code; errors are one line each."""
    _occupy_what_is_closed()
    try:
        code = cli.main(
            args=None if arguments is None else list(arguments),
            prog_name="vendororders",
            standalone_mode=False,
        )
    except click.ClickException as error:
        say(f"vendororders: {one_line(error.format_message())} (--help says more)")
        code = WRONG_USE
    except click.Abort:
        code = 130
    except (ConfigurationError, InvalidArgument) as error:
        complain(error)
        code = WRONG_USE
    except VendorOrdersError as error:
        complain(error)
        code = NOTHING_DONE
    except OSError as error:  # a closed pipe is click's own affair: it ends with 1
        say(f"vendororders: cannot write the output: {error.strerror}")
        code = NOTHING_DONE
    logging.shutdown()
    _let_go_of_the_unwritable()
    sys.exit(code if isinstance(code, int) else 0)


def _occupy_what_is_closed() -> None:
    """Keep the place of a standard stream that was closed from the next file that is opened.

    It would be a database, with error messages written into it. Output stays refused, since
    orders are not to be lost in silence; what is said beside it may be.
    """
    for descriptor, flags in enumerate((os.O_RDONLY, os.O_RDONLY, os.O_WRONLY)):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, flags)  # it gets the lowest number that is free
    streams: list[TextIO | None] = [sys.stdout, sys.stderr]  # typeshed leaves the None out
    if streams[0] is None:
        sys.stdout = os.fdopen(1, "w", closefd=False)
    if streams[1] is None:
        sys.stderr = os.fdopen(2, "w", closefd=False)


def _let_go_of_the_unwritable() -> None:
    """Keep Python from ending with 120 because nobody reads what is left in a buffer."""
    # https://docs.python.org/3/library/signal.html#note-on-sigpipe
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def complain(error: VendorOrdersError) -> None:
    """Print *error* in one line on standard error."""
    say(f"vendororders: {one_line(str(error))}")


def say(line: str) -> None:
    """Print *line* on standard error, if anybody can still read it there.

    Whatever was quoted in it, it is one line that drives no terminal.
    """
    with suppress(OSError):
        click.echo(plain_line(line), err=True)
