"""``vendororders acknowledge``."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import click
import msgspec

from ..accounts import Account
from ..acknowledgements import Draft, draft_csv, read_drafts
from ..errors import AcknowledgementError, InvalidArgument, VendorOrdersError
from ..jobs.acknowledge import (
    Drafting,
    jobs_for,
    pending_orders,
    recording,
    run_together,
)
from ..jobs.acknowledging import (
    NOT_FOUND,
    NOT_SENT,
    AcknowledgementOutcome,
    Acknowledging,
    Manner,
)
from ..jobs.pending import opened
from ..jobs.submitting import BATCH
from ..operations import DIRECT_FULFILLMENT_API, Api, api_named
from ..settings import accounts_from, chosen
from ..shared_limiter import SharedLimiters
from ..sinks import open_sink
from ..sinks.base import SubmissionState
from ..transport import Transport
from . import NOTHING_DONE, WRONG_USE, complain, say
from .jobs import (
    COMPLETE,
    INCOMPLETE,
    echo_json,
    limiters_at,
    paced,
    private,
    until_signal,
)
from .logs import log_to_stderr
from .options import account_options, api_options, limiter_option, log_options
from .printing import wanted_from
from .tables import show_table

# what says that not even one order was asked about with success
_NOTHING = {NOT_FOUND, NOT_SENT}

_HEADINGS = ("account", "order", "state", "transaction", "reason")


@click.command("acknowledge")
@click.argument("what", metavar="FILE|NUMBER...", nargs=-1)
@click.option(
    "--accept-all", is_flag=True, help="Accept every line of the orders that are named."
)
@click.option(
    "--draft",
    "draft_file",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    help="Write a CSV of what is pending, ready to be edited; nothing is sent.",
)
@click.option(
    "--to",
    default="sqlite:vendororders.db",
    show_default=True,
    help="The sink: sqlite:PATH or postgres://….",
)
@api_options
@account_options
@click.option("--dry-run", is_flag=True, help="Read and check all of it, and send nothing.")
@click.option("--no-wait", is_flag=True, help="End as soon as Amazon has taken it.")
@click.option(
    "--confirm", is_flag=True, help="Look whether the orders themselves show the answers."
)
@click.option("--again", is_flag=True, help="Send what failed or was refused once more.")
@click.option(
    "--batch",
    type=click.IntRange(min=1),
    default=BATCH,
    show_default=True,
    help="Orders in one request; Amazon's errors do not say which of them is meant.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@limiter_option
@log_options
def command(
    what: tuple[str, ...],
    accept_all: bool,
    draft_file: Path | None,
    to: str,
    api_name: str,
    version: str,
    patterns: tuple[str, ...],
    accounts_file: str | None,
    limiter_url: str | None,
    no_wait: bool,
    as_json: bool,
    quiet: bool,
    log_format: str,
    **asked: Any,
) -> int:
    """Answer orders: check, submit, and follow to an outcome.

    FILE is Amazon's JSON, NDJSON or CSV (- is standard input); --draft writes such a CSV.
    Every order is read again before anything is sent; what is wrong with a line is told with
    its place, and then nothing is sent. What was sent is in the sink: the same command again
    sends only what has no outcome.

    Exits with 0 when all is taken by Amazon, 1 when nothing could be done, 2 when the file
    or the settings are wrong, 3 when something was refused, has moved, or is unresolved.
    """
    log_to_stderr(log_format, quiet=quiet)
    found = api_named(api_name, version)
    if draft_file is not None:
        if what or accept_all:
            raise click.UsageError("--draft takes what is pending; name no order")
        return _write_draft(draft_file, to, found, patterns)
    if no_wait and asked["confirm"]:
        raise click.UsageError("--confirm waits until orders show it, --no-wait does not")
    manner = Manner(api=found, wait=not no_wait, **asked)
    try:
        drafts = (
            accepting(found.name, wanted_from(what, "order number"))
            if accept_all
            else read_drafts(_data(what), api=found.name)
        )
        accounts = accounts_from(accounts_file)
        wanted = by_account(drafts, chosen(accounts, patterns), accounts)
        outcomes, signal_number, is_broken = _run(wanted, to, manner, limiters_at(limiter_url))
    except AcknowledgementError as error:
        for problem in error.problems:
            say(f"vendororders: {problem}")
        say("vendororders: nothing was sent")
        return WRONG_USE
    _show(outcomes, as_json=as_json, with_documents=manner.dry_run)
    if not quiet:
        say(closing_line(outcomes))
    if signal_number is not None:
        return 128 + signal_number
    return INCOMPLETE if is_broken else exit_code(outcomes, manner)


def accepting(api: str, numbers: Iterable[str]) -> list[Draft]:
    """Return drafts that accept all of the orders *numbers*."""
    code = "00" if api == DIRECT_FULFILLMENT_API else None
    return [Draft(api=api, purchase_order_number=one, where=one, code=code) for one in numbers]


def by_account(
    drafts: Iterable[Draft], accounts: Sequence[Account], known: Sequence[Account]
) -> list[tuple[Account, list[Draft]]]:
    """Return each of the chosen *accounts* with its drafts; those of others are left.

    Raises:
        InvalidArgument: a draft's account is not *known*, or it could be any of several, or
            nothing is left.
    """
    found: dict[str, list[Draft]] = {account.name: [] for account in accounts}
    names = {account.name for account in known}
    for draft in drafts:
        if draft.account is None and len(found) > 1:
            raise InvalidArgument(
                f"{draft.where}: which account? Choose one of them with --account: "
                f"{', '.join(found)} (a CSV may name it in its column account)"
            )
        name = draft.account or next(iter(found))
        if name not in names:
            raise InvalidArgument(
                f"{draft.where}: there is no account {name!r}, only {', '.join(names)}"
            )
        if name in found:
            found[name].append(draft)
    wanted = [(account, found[account.name]) for account in accounts if found[account.name]]
    if not wanted:
        raise InvalidArgument(f"no order is of the accounts chosen: {', '.join(found)}")
    return wanted


def exit_code(outcomes: Sequence[AcknowledgementOutcome], manner: Manner) -> int:
    """Return what the command ends with."""
    wanted = {SubmissionState.ACCEPTED} if manner.confirm and not manner.dry_run else None
    if all(one.is_settled and (not wanted or one.state in wanted) for one in outcomes):
        return COMPLETE
    if all(one.state in _NOTHING for one in outcomes):
        return NOTHING_DONE
    return INCOMPLETE


def closing_line(outcomes: Sequence[AcknowledgementOutcome]) -> str:
    """Return how it came out in one line.

    >>> closing_line([])
    '0 acknowledgements'
    """
    counts = Counter(one.state.replace("_", " ") for one in outcomes)
    words = ", ".join(f"{count} {state}" for state, count in counts.most_common())
    return f"{len(outcomes)} acknowledgements" + (f": {words}" if words else "")


def _data(what: Sequence[str]) -> bytes:
    if len(what) != 1:
        raise click.UsageError("name one FILE, or orders with --accept-all")
    if what[0] == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(what[0]).read_bytes()
    except OSError as error:
        hint = "" if Path(what[0]).suffix else " (orders are named after --accept-all)"
        raise InvalidArgument(f"{what[0]}: {error.strerror}{hint}") from None


def _run(
    wanted: Sequence[tuple[Account, Sequence[Draft]]],
    to: str,
    manner: Manner,
    limiters: SharedLimiters | None,
) -> tuple[list[AcknowledgementOutcome], int | None, bool]:
    """Do it; return what is known of every order, also where a signal or the sink ended it."""
    jobs: list[Acknowledging] = []
    _tell_of_new_sink(to)

    async def run() -> None:
        async with AsyncExitStack() as stack:
            sink = recording(await stack.enter_async_context(open_sink(to)))
            transport = Transport(account_count=len(wanted))
            await stack.enter_async_context(transport)
            jobs.extend(jobs_for(wanted, sink, transport, manner, limiters))
            await run_together(jobs, manner)

    signal_number, is_broken = None, False
    try:
        signal_number = asyncio.run(until_signal(paced(run, limiters)))
    except AcknowledgementError:
        raise
    except VendorOrdersError as error:
        if not any(one.submitted_at for job in jobs for one in job.outcomes()):
            raise
        complain(error)  # something may have left by then, which the outcomes tell
        is_broken = True
    for job in jobs:
        if job.error is not None:
            complain(job.error)
    return [one for job in jobs for one in job.outcomes()], signal_number, is_broken


def _tell_of_new_sink(to: str) -> None:
    """Say that nothing is known of earlier submissions: a mistyped name looks like that."""
    kind, _, path = to.partition(":")
    if kind == "sqlite" and path and not Path(path).expanduser().exists():
        say(f"{path} is new: what was submitted before is not known there")


def _show(
    outcomes: Sequence[AcknowledgementOutcome], *, as_json: bool, with_documents: bool
) -> None:
    if not as_json:
        show_table(
            _HEADINGS,
            [
                (
                    one.account,
                    one.purchase_order_number,
                    one.state.replace("_", " "),
                    one.transaction_id or "-",
                    one.reason or "-",
                )
                for one in outcomes
            ],
        )
        return
    for one in outcomes:
        told = msgspec.structs.asdict(one) | {
            "document": msgspec.Raw(one.document) if one.document and with_documents else None
        }
        echo_json(msgspec.json.encode(told))


def _write_draft(file: Path, to: str, found: Api, patterns: Sequence[str]) -> int:
    """Write what is pending; a file that is there may hold somebody's answers, and stays."""
    if str(file) != "-" and file.exists():
        raise InvalidArgument(f"{file} is there already; name another file, or remove it")

    async def read() -> Drafting:
        async with opened(to) as sink:
            return await pending_orders(sink, found, patterns)

    drafting = asyncio.run(read())
    if drafting.left:
        say(
            f"answer these by hand, some lines are answered already: {', '.join(drafting.left)}"
        )
    if not drafting.orders:
        say("there is nothing to accept")
        return COMPLETE
    text = draft_csv(found.name, drafting.orders)
    if str(file) == "-":
        click.echo(text, nl=False)
        return COMPLETE
    try:
        # with its mark, by which spreadsheets know UTF-8
        with open(
            file, "x", encoding="utf-8-sig", errors="replace", newline="", opener=private
        ) as writing:
            writing.write(text)
    except OSError as error:
        raise InvalidArgument(f"{file}: {error.strerror}") from None
    say(f"{file}: edit it, then: vendororders acknowledge {file}")
    return COMPLETE
