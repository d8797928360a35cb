"""``vendororders transaction``."""

from __future__ import annotations

import click
import msgspec

from ..client import VendorOrdersClient
from ..clock import now
from ..errors import DecodeError
from ..operations import RETAIL_API, GetTransaction, api_named, check
from .logs import log_to_stderr
from .printing import one_account, print_each, printing_options, wanted_from


@click.command("transaction")
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@printing_options
def command(
    ids: tuple[str, ...],
    patterns: tuple[str, ...],
    accounts_file: str | None,
    api_name: str,
    version: str,
    limiter_url: str | None,
    quiet: bool,
    log_format: str,
) -> int:
    """Print what became of submissions, by the ids of their transactions.

    One JSON line each, in the order asked: transaction_id, status (Failure, Processing or
    Success), errors in Amazon's own words; - reads ids from standard input, one a line.

    Of a retail acknowledgement Success never comes: what is still Processing after 15
    minutes is presumed accepted. Exits with 0 when all were found, 1 when none was, 2 when
    the command or the settings are wrong, 3 when some are missing.
    """
    # https://developer-docs.amazon.com/sp-api/docs/get-transaction-status
    log_to_stderr(log_format, quiet=quiet)
    api = api_named(api_name, version)
    wanted = wanted_from(ids, "transaction id")
    for one in wanted:
        check(GetTransaction(transaction_id=one), now=now(), longest=None)
    account = one_account(accounts_file, patterns)

    async def line(client: VendorOrdersClient, transaction_id: str) -> bytes:
        transactions = client.transactions
        answer = await (
            transactions.get_transaction(transaction_id)
            if api.name == RETAIL_API
            else transactions.get_transaction_status(transaction_id)
        )
        found = answer.payload.transaction_status if answer.payload else None
        if found is None:
            raise DecodeError("Amazon answered without a status", account=account.name)
        told = {
            "transaction_id": found.transaction_id,
            "status": found.status,
            "errors": found.errors,
        }
        return msgspec.json.encode(told) + b"\n"

    return print_each(account, version, wanted, line, limiter_url=limiter_url)
