"""``vendororders get``."""

from __future__ import annotations

import asyncio
import os
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Sequence

import click

from ..accounts import Account
from ..caller import end
from ..client import VendorOrdersClient
from ..clock import now
from ..errors import (
    AccessDenied,
    AuthError,
    InvalidArgument,
    NotFound,
    VendorOrdersError,
    one_line,
)
from ..iteration import content_of
from ..operations import GET_PURCHASE_ORDER, Call, GetPurchaseOrder, check
from ..settings import accounts_from, chosen
from ..transport import CONNECTIONS_PER_ACCOUNT
from . import NOTHING_DONE, complain
from .jobs import COMPLETE, INCOMPLETE, until_signal
from .logs import log_to_stderr
from .options import account_options

_AT_ONCE = CONNECTIONS_PER_ACCOUNT  # more would only wait for the usage plan
_PIPE_CLOSED = 128 + 13  # as if SIGPIPE had ended us


@click.command("get")
@click.argument("numbers", metavar="NUMBER...", nargs=-1, required=True)
@account_options
@click.option("--quiet", is_flag=True, help="Of the log only warnings.")
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="How log lines on standard error look.",
)
def command(
    numbers: tuple[str, ...],
    patterns: tuple[str, ...],
    accounts_file: str | None,
    quiet: bool,
    log_format: str,
) -> int:
    """Print orders by their numbers, each as Amazon sent it, one JSON document a line.

    They come in the order asked, each once; - reads numbers from standard input, one a
    line. Exits with 0 when all were found, 1 when none was, 2 when the command or the
    settings are wrong, 3 when some are missing.
    """
    log_to_stderr(log_format, quiet=quiet)
    wanted = list(dict.fromkeys(_given(numbers)))
    if not wanted:
        raise InvalidArgument("no order number was given")
    for number in wanted:
        check(GetPurchaseOrder(purchase_order_number=number), now=now(), longest=None)
    accounts = chosen(accounts_from(accounts_file), patterns)
    if len(accounts) > 1:
        names = ", ".join(account.name for account in accounts)
        raise InvalidArgument(f"choose one account with --account: {names}")
    printing = _Printing(accounts[0], wanted)
    try:
        signal_number = asyncio.run(until_signal(printing.run))
    except BrokenPipeError:  # whoever read our output has seen enough; click would say 1
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _PIPE_CLOSED
    if signal_number is not None:
        return 128 + signal_number
    if not printing.found_count:
        return NOTHING_DONE
    return COMPLETE if printing.found_count == len(wanted) else INCOMPLETE


class _Printing:
    """Asks for a bounded number of orders at once, and prints them in the order asked."""

    def __init__(self, account: Account, numbers: Sequence[str]) -> None:
        self.found_count = 0
        self._account = account
        self._numbers = numbers

    async def run(self) -> None:
        """Print what is found; what is not is named on standard error."""
        ahead: deque[tuple[str, asyncio.Task[bytes]]] = deque()
        async with VendorOrdersClient(self._account) as client:
            try:
                for number in self._numbers:
                    ahead.append((number, asyncio.create_task(self._line(client, number))))
                    if len(ahead) == _AT_ONCE:
                        await self._print(*ahead.popleft())
                while ahead:
                    await self._print(*ahead.popleft())
            except (AuthError, AccessDenied) as error:
                complain(error)  # the others would say the same
            finally:
                await end(task for _, task in ahead)

    async def _line(self, client: VendorOrdersClient, number: str) -> bytes:
        question = GetPurchaseOrder(purchase_order_number=number)
        document = (await client.send(Call(GET_PURCHASE_ORDER, question))).content
        content_of(document, GET_PURCHASE_ORDER, self._account)
        return document_line(document.raw)

    async def _print(self, number: str, task: asyncio.Task[bytes]) -> None:
        try:
            line = await task
        except (AuthError, AccessDenied):
            raise
        except VendorOrdersError as error:
            reason = "not found" if isinstance(error, NotFound) else one_line(str(error))
            click.echo(f"vendororders: {number}: {reason}", err=True)
            return
        sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()
        self.found_count += 1


def document_line(raw: bytes) -> bytes:
    r"""Return a JSON document as one line, otherwise byte for byte.

    >>> document_line(b'{"a":\n 1.10}')
    b'{"a": 1.10}\n'
    """
    # JSON has line breaks only where they mean nothing
    return raw.translate(None, b"\r\n") + b"\n"


def _given(arguments: Iterable[str]) -> Iterator[str]:
    """Yield the numbers in *arguments*, and those on standard input in the place of ``-``."""
    for argument in arguments:
        if argument != "-":
            yield argument
            continue
        try:
            lines = sys.stdin.buffer.read().decode().splitlines()
        except UnicodeDecodeError:
            raise InvalidArgument("standard input is not text") from None
        yield from filter(None, map(str.strip, lines))
