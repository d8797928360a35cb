"""What the printing commands share: ask for many things at once, print them in order."""

from __future__ import annotations

import asyncio
import os
import sys
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

from ..accounts import Account
from ..caller import end
from ..client import VendorOrdersClient
from ..errors import AccessDenied, AuthError, InvalidArgument, NotFound, VendorOrdersError
from ..settings import accounts_from, chosen
from ..shared_limiter import SharedLimiters
from ..terminals import escaped
from ..transport import CONNECTIONS_PER_ACCOUNT
from . import NOTHING_DONE, complain, say
from .jobs import COMPLETE, INCOMPLETE, limiters_at, paced, until_signal
from .options import account_options, api_options, limiter_option, log_options

F = TypeVar("F", bound=Callable[..., Any])
Line = Callable[[VendorOrdersClient, str], Awaitable[bytes]]

_AT_ONCE = CONNECTIONS_PER_ACCOUNT  # more would only wait for the usage plan
_PIPE_CLOSED = 128 + 13  # as if SIGPIPE had ended us


def printing_options(command: F) -> F:
    """Add the options of a command that prints what it asks one account's API for."""
    return account_options(api_options(limiter_option(log_options(command))))


def wanted_from(arguments: Iterable[str], what: str) -> list[str]:
    """Return what *arguments* name, each once; - stands for lines of standard input.

    Raises:
        InvalidArgument: they name nothing.
    """
    wanted = list(dict.fromkeys(_given(arguments)))
    if not wanted:
        raise InvalidArgument(f"no {what} was given")
    return wanted


def one_account(accounts_file: str | None, patterns: Sequence[str]) -> Account:
    """Return the account that is meant.

    Raises:
        InvalidArgument: it could be several, or none.
        ConfigurationError: the settings cannot be used.
    """
    accounts = chosen(accounts_from(accounts_file), patterns)
    if len(accounts) > 1:
        names = ", ".join(account.name for account in accounts)
        raise InvalidArgument(f"choose one account with --account: {names}")
    return accounts[0]


def print_each(
    account: Account,
    version: str,
    wanted: Sequence[str],
    line: Line,
    *,
    limiter_url: str | None = None,
) -> int:
    """Print the *line* of each thing that is *wanted*, in their order; return the exit code.

    What is not found is named on standard error.
    """
    limiters = limiters_at(limiter_url)
    printing = _Printing(account, version, wanted, line, limiters)
    try:
        signal_number = asyncio.run(until_signal(paced(printing.run, limiters)))
    except BrokenPipeError:  # whoever read our output has seen enough; click would say 1
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _PIPE_CLOSED
    if signal_number is not None:
        return 128 + signal_number
    if not printing.found_count:
        return NOTHING_DONE
    return COMPLETE if printing.found_count == len(wanted) else INCOMPLETE


class _Printing:
    """Asks for a bounded number of things at once, and prints them in the order asked."""

    def __init__(
        self,
        account: Account,
        version: str,
        wanted: Sequence[str],
        line: Line,
        limiters: SharedLimiters | None,
    ) -> None:
        self.found_count = 0
        self._account = account
        self._version = version
        self._wanted = wanted
        self._line = line
        self._limiters = limiters

    async def run(self) -> None:
        """Print what is found; what is not is named on standard error."""
        ahead: deque[tuple[str, asyncio.Task[bytes]]] = deque()
        async with VendorOrdersClient(
            self._account, direct_fulfillment_version=self._version, limiters=self._limiters
        ) as client:
            try:
                for one in self._wanted:
                    ahead.append((one, asyncio.ensure_future(self._line(client, one))))
                    if len(ahead) == _AT_ONCE:
                        await self._print(*ahead.popleft())
                while ahead:
                    await self._print(*ahead.popleft())
            except (AuthError, AccessDenied) as error:
                complain(error)  # the others would say the same
            finally:
                await end(task for _, task in ahead)

    async def _print(self, one: str, task: asyncio.Task[bytes]) -> None:
        try:
            line = await task
        except (AuthError, AccessDenied):
            raise
        except VendorOrdersError as error:
            say(f"vendororders: {one}: {'not found' if isinstance(error, NotFound) else error}")
            return
        sys.stdout.buffer.write(escaped(line) if sys.stdout.isatty() else line)
        sys.stdout.buffer.flush()
        self.found_count += 1


def _given(arguments: Iterable[str]) -> Iterator[str]:
    """Yield *arguments*, and what is on standard input in the place of ``-``."""
    for argument in arguments:
        if argument != "-":
            yield argument
            continue
        try:
            lines = sys.stdin.buffer.read().decode().splitlines()
        except UnicodeDecodeError:
            raise InvalidArgument("standard input is not text") from None
        yield from filter(None, map(str.strip, lines))
