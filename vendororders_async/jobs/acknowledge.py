"""Acknowledge: answer orders, safely: checked, sent once, and followed to an outcome.

outcomes = await acknowledge(account, [accept_all(order, at=now)], to="sqlite:orders.db")
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from datetime import datetime

import msgspec

from .. import clock
from ..accounts import Account
from ..acknowledgements import Draft, accept_all, as_of, problems_of
from ..acknowledgements.lines import Names
from ..acknowledgements.standing import Standings
from ..dispatch import Dispatcher
from ..errors import AcknowledgementError, ConfigurationError, VendorOrdersError, first_of
from ..limiter import Limiters
from ..models.retail_procurement import (
    Order,
    OrderAcknowledgement,
    OrderAcknowledgementItem,
    OrderStatus,
)
from ..operations import DIRECT_FULFILLMENT_API, RETAIL_API, Api, api_named
from ..restricted import OperationTokens
from ..sinks import Sink, open_sink
from ..sinks.base import SubmissionSink
from ..telemetry import log_event
from ..transport import Transport
from .acknowledging import (
    AcknowledgementOutcome,
    Acknowledging,
    Manner,
    decoded,
    each,
)
from .offices import AnyAcknowledgement, AnyOrder, office_of
from .pending import is_chosen
from .submitting import BATCH

_ITEM = re.compile(r"items\[(\d+)\]")


async def acknowledge(
    account: Account,
    answers: Iterable[AnyAcknowledgement | Draft],
    *,
    to: str | Sink,
    api: str = "retail",
    direct_fulfillment_version: str = "v1",
    dry_run: bool = False,
    wait: bool = True,
    confirm: bool = False,
    again: bool = False,
    batch: int = BATCH,
    limiters: Limiters | None = None,
) -> list[AcknowledgementOutcome]:
    """Submit *answers* for *account*, and return what became of each.

        answers = [accept_all(order, at=datetime.now(UTC))]
        for outcome in await acknowledge(account, answers, to="sqlite:orders.db"):
            print(outcome.purchase_order_number, outcome.state, outcome.reason)

    Every order and its status are read first. If anything is wrong with one of *answers*,
    nothing is sent. An answer to an order that has moved since it was made is not sent
    either, but the others are. What is sent is recorded in the sink *to*: the same answers
    again are sent only where they have no outcome; *again* sends too what failed or was
    refused.

    Without *wait*, it ends when Amazon has taken the answers; with it, when their
    transactions have an outcome, which takes 15 minutes for retail. *confirm* asks the orders
    as well whether they show the answer. *batch* orders go into one request. *limiters* that
    are passed in stay open.

    Raises:
        AcknowledgementError: what is wrong with *answers*; nothing was sent.
        InvalidArgument, ConfigurationError: the call could not be meant.
        AuthError, AccessDenied: the account is refused; what was sent before is recorded.
        SinkError: the sink cannot be used, or another run acknowledges for the account.
    """
    manner = Manner(
        api=api_named(api, direct_fulfillment_version),
        dry_run=dry_run,
        wait=wait,
        confirm=confirm,
        again=again,
        batch=batch,
    )
    drafts = drafts_of(answers)
    async with AsyncExitStack() as stack:
        sink = to if isinstance(to, Sink) else await stack.enter_async_context(open_sink(to))
        transport = await stack.enter_async_context(Transport())
        [job] = jobs_for([(account, drafts)], recording(sink), transport, manner, limiters)
        await run_together([job], manner)
        if job.error is not None:
            raise job.error
        return job.outcomes()


def jobs_for(
    wanted: Sequence[tuple[Account, Sequence[Draft]]],
    sink: SubmissionSink,
    transport: Transport,
    manner: Manner,
    limiters: Limiters | None = None,
) -> list[Acknowledging]:
    """Return a job for each account and its drafts, all over one pool of connections."""
    limiters = limiters or Limiters()
    tokens = OperationTokens(transport, limiters)
    dispatcher = Dispatcher(transport, tokens, limiters, observer=log_event)
    return [
        Acknowledging(account, office_of(account, dispatcher, manner.api), sink, drafts, manner)
        for account, drafts in wanted
    ]


async def run_together(jobs: Sequence[Acknowledging], manner: Manner) -> None:
    """Do *jobs*: all is read and checked before the first acknowledgement is sent.

    What stops one account is in its `error`, and stops no other.

    Raises:
        AcknowledgementError: what is wrong with any of the answers; nothing was sent.
        SinkError: the sink cannot be used, or another run acknowledges for an account.
    """
    error: VendorOrdersError | None = None
    try:
        async with AsyncExitStack() as stack:
            for job in jobs:
                await stack.enter_async_context(job.lock())
            await each(jobs, Acknowledging.prepare, len(jobs))
            problems = [one for job in jobs for one in job.problems]
            if problems:
                raise AcknowledgementError(tuple(problems))
            if not manner.dry_run:
                await each(jobs, Acknowledging.submit, len(jobs))
    except* VendorOrdersError as group:
        error = first_of(group)
    if error is not None:
        raise error


def recording(sink: Sink) -> SubmissionSink:
    """Return *sink* as one that submissions can be recorded in.

    Raises:
        ConfigurationError: it is not.
    """
    if isinstance(sink, SubmissionSink):
        return sink
    raise ConfigurationError(
        "what is submitted has to be recorded, which this sink cannot: use sqlite:PATH or "
        "postgres://…"
    )


def drafts_of(answers: Iterable[AnyAcknowledgement | Draft]) -> list[Draft]:
    """Return *answers* as drafts; where each comes from is its place."""
    return [
        one
        if isinstance(one, Draft)
        else Draft(
            api=RETAIL_API if isinstance(one, OrderAcknowledgement) else DIRECT_FULFILLMENT_API,
            purchase_order_number=one.purchase_order_number,
            where=f"[{place}]",
            document=one,
        )
        for place, one in enumerate(answers)
    ]


class Drafting(msgspec.Struct, frozen=True):
    """What a draft can be made of, and the orders whose answer is not as simple as yes."""

    orders: list[tuple[str, AnyOrder, datetime | None]]
    left: list[str]


async def pending_orders(
    sink: SubmissionSink,
    api: Api,
    patterns: Sequence[str] = (),
    *,
    now: Callable[[], datetime] = clock.now,
) -> Drafting:
    """Return what is pending: account, order, and the state that an answer would be to.

    Of an order only those lines are there that can be accepted as they are: what was
    rejected is so for good, and what stands for 48 hours is firm.
    """
    numbers: dict[str, list[str]] = {}
    for one in await sink.pending():
        if one.api == api.name and is_chosen(one.account, patterns):
            numbers.setdefault(one.account, []).append(one.purchase_order_number)
    found, left = [], []
    for account, wanted in numbers.items():
        held = await sink.held(account, api.name, wanted)
        for number in wanted:
            order = decoded(held[number].order, api.order) if number in held else None
            status = decoded(held[number].status, OrderStatus) if number in held else None
            if isinstance(order, Order):
                order = _acceptable(order, status, now())
            if isinstance(order, AnyOrder):
                found.append((account, order, as_of(order, status)))
            else:
                left.append(number)
    return Drafting(found, left)


def _acceptable(order: Order, status: OrderStatus | None, now: datetime) -> Order | None:
    """Return *order* with those lines alone that may be accepted whole; None if none may."""
    try:
        made = accept_all(order, at=now)
    except AcknowledgementError:
        return None
    refused = {
        int(found[1])
        for problem in problems_of(made, order=order, status=status, now=now)
        if (found := _ITEM.match(problem.path))
    }
    refused |= {
        place for place, item in enumerate(made.items) if _is_rejected_in_part(item, status)
    }
    kept = {
        (item.item_sequence_number, item.amazon_product_identifier)
        for place, item in enumerate(made.items)
        if place not in refused
    }
    details = order.order_details
    if not kept or details is None:
        return None
    items = [
        item
        for item in details.items
        if (item.item_sequence_number, item.amazon_product_identifier) in kept
    ]
    return msgspec.structs.replace(
        order, order_details=msgspec.structs.replace(details, items=items)
    )


def _is_rejected_in_part(item: OrderAcknowledgementItem, status: OrderStatus | None) -> bool:
    """Say whether somebody has rejected some of the line: to accept it all is no default."""
    names = Names(
        number=item.item_sequence_number,
        product=item.amazon_product_identifier,
        vendor_product=item.vendor_product_identifier,
    )
    stands = Standings(status).of(names)
    return stands is not None and bool(stands.top.rejected or stands.total.rejected)
