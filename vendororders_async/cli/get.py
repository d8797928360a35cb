"""``vendororders get``."""

from __future__ import annotations

import click

from ..answers import content_of
from ..client import VendorOrdersClient
from ..clock import now
from ..errors import InvalidArgument
from ..operations import api_named, check
from .logs import log_to_stderr
from .printing import one_account, print_each, printing_options, wanted_from


@click.command("get")
@click.argument("numbers", metavar="NUMBER...", nargs=-1, required=True)
@printing_options
def command(
    numbers: tuple[str, ...],
    patterns: tuple[str, ...],
    accounts_file: str | None,
    api_name: str,
    version: str,
    limiter_url: str | None,
    quiet: bool,
    log_format: str,
) -> int:
    """Print orders by their numbers, each as Amazon sent it, one JSON document a line.

    They come in the order asked, each once; - reads numbers from standard input, one a
    line. Orders of --api direct-fulfillment have customers' names and addresses in them.
    Exits with 0 when all were found, 1 when none was, 2 when the command or the settings
    are wrong, 3 when some are missing.
    """
    log_to_stderr(log_format, quiet=quiet)
    api = api_named(api_name, version)
    wanted = wanted_from(numbers, "order number")
    for number in wanted:
        try:
            check(api.detail_call(number).question, now=now(), longest=None)
        except InvalidArgument as error:
            raise InvalidArgument(f"{number!r} is no order number: {error}") from None
    account = one_account(accounts_file, patterns)

    async def line(client: VendorOrdersClient, number: str) -> bytes:
        document = (await client.send(api.detail_call(number))).content
        content_of(document, api.detail, account)
        return document_line(document.raw)

    return print_each(account, version, wanted, line, limiter_url=limiter_url)


def document_line(raw: bytes) -> bytes:
    r"""Return a JSON document as one line, otherwise byte for byte.

    >>> document_line(b'{"a":\n 1.10}')
    b'{"a": 1.10}\n'
    """
    # JSON has line breaks only where they mean nothing
    return raw.translate(None, b"\r\n") + b"\n"
