"""Acknowledging while things go wrong: by the job, and by the client without one."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from faulty_questions import ACCOUNT
from sample_answers import customers_answer, retail_answer
from trials import LONGEST, Cell, Scene, Trial, is_named
from troubles import CLOCK

from vendororders_async import VendorOrdersClient
from vendororders_async.acknowledgements import Draft
from vendororders_async.acknowledgements.codes import ACCEPT
from vendororders_async.dispatch import Dispatcher
from vendororders_async.errors import (
    DecodeError,
    ServerError,
    TransportError,
    VendorOrdersError,
)
from vendororders_async.jobs.acknowledge import run_together
from vendororders_async.jobs.acknowledging import Acknowledging, Manner
from vendororders_async.jobs.offices import office_of
from vendororders_async.operations import RETAIL_API, api_named
from vendororders_async.sinks.sqlite import SqliteSink


async def acknowledged(cell: Cell, folder: Path, *, api: str, version: str) -> Trial:
    """Acknowledge in trouble, and again without; what was taken is never sent twice."""
    scene, trial = Scene(cell), Trial()
    if api == RETAIL_API:
        truth = scene.simulator.truth(ACCOUNT)
        field = "purchaseOrderState", "New"
    else:
        truth = scene.simulator.direct_fulfillment_truth(ACCOUNT, version)
        field = "orderStatus", "NEW"
    quoted = b'"%s":"%s"' % (field[0].encode(), field[1].encode())
    numbers = [number for number, raw in truth.items() if quoted in raw.replace(b" ", b"")][:6]
    manner = Manner(api=api_named(api, version), batch=3, confirm=True)
    drafts = [
        Draft(
            api=manner.api.name,
            purchase_order_number=one,
            where=one,
            code=None if manner.api.name == RETAIL_API else ACCEPT,
        )
        for one in numbers
    ]
    states: dict[str, str] = {}
    async with asyncio.timeout(LONGEST), scene.sink(folder) as sink:
        for is_last in (False, True):
            if is_last:
                scene.trouble.end()
                await asyncio.sleep(3600)
            states = await _run_acknowledging(scene, sink, drafts, manner)
            # of some seeds' orders there is one that nobody can acknowledge
            if cell.is_outlived and not set(states.values()) <= {"accepted", "invalid"}:
                trial.wrong.append(f"not outlived: {states}")
    sent = [
        one["purchaseOrderNumber"]
        for taken in scene.simulator.acknowledgements
        for name in ("acknowledgements", "orderAcknowledgements")
        for one in taken.body.get(name, ())
    ]
    trial.compared, trial.struck = len(numbers), scene.trouble.fired
    # by a clock that is wrong it cannot be told whose answer an order shows
    taken = {"accepted"} | {"presumed_accepted" for one in cell.troubles if one.kind == CLOCK}
    for one in numbers:
        # what a gateway refused is sent again only where that is asked for
        is_untaken = states.get(one) in {"refused", "invalid"}
        if sent.count(one) != (0 if is_untaken else 1):
            trial.wrong.append(f"{one} was taken {sent.count(one)} times")
        elif not is_untaken and states.get(one) not in taken:
            trial.wrong.append(f"{one} was taken, and is {states.get(one)}")
    return trial


async def _run_acknowledging(
    scene: Scene, sink: SqliteSink, drafts: Sequence[Draft], manner: Manner
) -> dict[str, str]:
    tokens, limiters = scene.tokens()
    now = scene.transport.now
    dispatcher = Dispatcher(
        scene.transport, tokens, limiters, observer=lambda _event: None, now=now
    )
    office = office_of(scene.account, dispatcher, manner.api)
    job = Acknowledging(scene.account, office, sink, drafts, manner, now=now)
    with suppress(VendorOrdersError):
        await run_together([job], manner)
    return {one.purchase_order_number: str(one.state) for one in job.outcomes()}


async def submitted(cell: Cell, _folder: Path, *, api: str) -> Trial:
    """Submit by the client: it is taken once, or an error says of whom, and if perhaps not."""
    scene, trial = Scene(cell), Trial(compared=2)
    async with VendorOrdersClient(
        scene.account, transport=scene.transport, now=scene.transport.now
    ) as client:
        for is_last in (False, True):
            if is_last:
                scene.trouble.end()
                await asyncio.sleep(3700)  # refusals that stand for an hour are over
            before, error = len(scene.simulator.acknowledgements), None
            try:
                async with asyncio.timeout(LONGEST):
                    await _submit(scene, client, api)
            except VendorOrdersError as caught:
                error = caught
            count = len(scene.simulator.acknowledgements) - before
            must_succeed = is_last or cell.is_outlived
            if error is not None and (must_succeed or not is_named(str(error), cell)):
                trial.wrong.append(f"the error {'stays' if is_last else 'says'} {error}")
            if count not in _possible(error):
                trial.wrong.append(f"it was taken {count} times, and the answer is {error!r}")
    trial.struck = scene.trouble.fired
    return trial


async def _submit(scene: Scene, client: VendorOrdersClient, api: str) -> None:
    if api == RETAIL_API:
        number = next(iter(scene.simulator.truth(ACCOUNT)))
        answer = retail_answer(number, scene.transport.now())
        await client.retail.submit_acknowledgement(answer)
        return
    number = next(iter(scene.simulator.direct_fulfillment_truth(ACCOUNT)))
    answered = customers_answer(number, scene.transport.now())
    await client.direct_fulfillment.submit_acknowledgement(answered)


def _possible(error: VendorOrdersError | None) -> tuple[int, ...]:
    """Return how often Amazon may have taken what ended so."""
    match error:
        case None:
            return (1,)
        case TransportError(sent=True) | ServerError() | DecodeError():
            return (0, 1)
        case _:
            return (0,)
