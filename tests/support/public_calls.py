"""The public calls of a client, and of what clients share: acts to be ended at any step."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import msgspec
from cancelling import Act
from fakes import virtual_now
from in_process import InProcess
from sample_answers import customers_answer, retail_answer
from virtual_time import elapsed

from vendororders_async import (
    AccessTokens,
    Account,
    Limiters,
    OperationTokens,
    VendorOrdersClient,
    open_clients,
)
from vendororders_async.limiter import Gate, Urgency
from vendororders_async.models.common import SubmitAcknowledgementResponse
from vendororders_async.operations import (
    DIRECT_FULFILLMENT,
    GET_PURCHASE_ORDER,
    Call,
    GetPurchaseOrder,
    Operation,
)
from vendororders_async.places import Places
from vendororders_async.simulator import Settings, Simulator
from vendororders_async.usage import UsagePlan

_PLACES = 4  # so few that a crowd waits for them, and enough that it waits for its pace as well
_CROWD = 24
REST = 120.0  # seconds in which a bucket is full again, after any pause
_SLACK = 0.05  # seconds; the virtual clock ticks a little at every step
FEW = Settings(orders=12, direct_fulfillment_orders=6, days=20, latency=0.1)


class Shared(NamedTuple):
    """What clients share, and Amazon's side of it."""

    simulator: Simulator
    transport: InProcess
    limiters: Limiters
    tokens: OperationTokens

    @property
    def account(self) -> Account:
        return self.transport.accounts[0]

    @property
    def since(self) -> datetime:
        return virtual_now() - timedelta(days=6)

    def client(self) -> VendorOrdersClient:
        """Return one more client over all that."""
        return VendorOrdersClient(
            self.account,
            transport=self.transport,
            limiters=self.limiters,
            tokens=self.tokens,
            now=virtual_now,
        )

    def number(self) -> str:
        """Return an order of retail's."""
        return next(iter(self.simulator.truth("demo")))


class Held(NamedTuple):
    """A client that outlives the play."""

    shared: Shared
    client: VendorOrdersClient


class NotedLimiters(Limiters):
    """Limiters that know which gates they made."""

    def __init__(self) -> None:
        super().__init__()
        self.gates: list[Gate] = []

    def make(self, name: str, plan: UsagePlan) -> Gate:
        self.gates.append(super().make(name, plan))
        return self.gates[-1]


@asynccontextmanager
async def _shared(_folder: object) -> AsyncIterator[Shared]:
    settings = msgspec.structs.replace(FEW, anchor=virtual_now())
    simulator = Simulator(settings, now=virtual_now)
    async with InProcess(simulator) as transport:
        transport.places = Places(_PLACES)
        limiters = NotedLimiters()
        yield Shared(simulator, transport, limiters, OperationTokens(transport, limiters))


async def full_again(gates: list[Gate], faults: list[str]) -> int:
    """Look whether *gates* give a whole burst at once, after a rest; return its size."""
    await asyncio.sleep(REST)
    for gate in gates:  # one that was told another rate makes its bucket anew, and empty
        await gate.acquire(Urgency.PERSON)
    await asyncio.sleep(REST)
    count = 0
    for gate in gates:
        if ", 0 waiting" not in repr(gate):
            faults.append(f"somebody waits: {gate!r}")
        burst = int(gate.plan.with_margin().burst)

        async def take(gate: Gate = gate, burst: int = burst) -> None:
            for _ in range(burst):
                await gate.acquire(Urgency.PERSON)

        seconds = await elapsed(take())
        if seconds > _SLACK:
            faults.append(f"a burst of {burst} takes {seconds:.2f} s")
        count += burst
    await asyncio.sleep(REST)
    return count


def in_client(call: Callable[[Shared, VendorOrdersClient], Awaitable[object]]) -> Any:
    """Return the play that opens a client over what is shared, and makes *call*."""

    async def play(shared: Shared) -> None:
        async with shared.client() as client:
            await call(shared, client)

    return play


def _again(play: Callable[[Shared], Awaitable[object]]) -> Any:
    """Return what follows: places free, buckets full, and the same play to its end."""

    async def after(shared: Shared, faults: list[str]) -> int:
        places = shared.transport.places
        if repr(places) != f"<Places 0 of {_PLACES} taken, 0 waiting, 0 silent>":
            faults.append(f"places are lost: {places!r}")
        assert isinstance(shared.limiters, NotedLimiters)
        count = await full_again(shared.limiters.gates, faults)
        await play(shared)
        return count + places.count

    return after


def _iterator(name: str) -> Act:
    """Return the act that only iterates: its client is open before, and stays so."""
    call = _iterated(name)

    @asynccontextmanager
    async def stage(folder: object) -> AsyncIterator[Held]:
        async with _shared(folder) as shared, shared.client() as client:
            yield Held(shared, client)

    async def play(held: Held) -> object:
        return await call(held.shared, held.client)

    async def after(held: Held, faults: list[str]) -> int:
        return int(await _again(lambda _: play(held))(held.shared, faults))

    return Act(f"{name} alone", stage, play, after, (f"VendorOrdersClient.{name}",))


def _act(name: str, call: Callable[[Shared, VendorOrdersClient], Awaitable[object]]) -> Act:
    play = in_client(call)
    covers = ("VendorOrdersClient", f"VendorOrdersClient.{name}")
    return Act(name, _shared, play, _again(play), covers)


async def _page(shared: Shared, client: VendorOrdersClient) -> object:
    return await client.retail.get_purchase_orders(created_after=shared.since, limit=3)


async def _statuses(shared: Shared, client: VendorOrdersClient) -> object:
    return await client.retail.get_purchase_orders_status(created_after=shared.since, limit=3)


async def _customers_page(shared: Shared, client: VendorOrdersClient) -> object:
    return await client.direct_fulfillment.get_orders(
        created_after=shared.since, created_before=virtual_now(), limit=3
    )


def _customers_number(shared: Shared) -> str:
    return next(iter(shared.simulator.direct_fulfillment_truth("demo")))


async def _answer(shared: Shared, client: VendorOrdersClient) -> SubmitAcknowledgementResponse:
    answer = retail_answer(shared.number(), virtual_now())
    return await client.retail.submit_acknowledgement(answer)


async def _customers_answer(
    shared: Shared, client: VendorOrdersClient
) -> SubmitAcknowledgementResponse:
    answer = customers_answer(_customers_number(shared), virtual_now())
    return await client.direct_fulfillment.submit_acknowledgement(answer)


async def all_rows(rows: Any) -> int:
    """Iterate to the end; return how many there were."""
    count = 0
    async with aclosing(rows):
        async for _ in rows:
            count += 1
    assert count
    return count


def _iterated(name: str) -> Callable[[Shared, VendorOrdersClient], Awaitable[object]]:
    facade, method = name.split(".")

    async def call(_: Shared, client: VendorOrdersClient) -> object:
        before = virtual_now() - timedelta(minutes=2)
        after = before - timedelta(days=10)  # two windows
        made = getattr(getattr(client, facade), method)
        return await all_rows(made(created_after=after, created_before=before))

    return call


async def _crowd(shared: Shared, client: VendorOrdersClient) -> None:
    """Ask many times at once, so that they wait for places, for their pace and for a token."""
    async with asyncio.TaskGroup() as group:
        for _ in range(_CROWD):
            group.create_task(client.retail.get_purchase_order(shared.number()))


def _number(made: SubmitAcknowledgementResponse) -> str:
    assert made.payload is not None
    return made.payload.transaction_id or ""


async def _transaction(shared: Shared, client: VendorOrdersClient) -> object:
    made = await _answer(shared, client)
    return await client.transactions.get_transaction(_number(made))


async def _customers_transaction(shared: Shared, client: VendorOrdersClient) -> object:
    made = await _customers_answer(shared, client)
    return await client.transactions.get_transaction_status(_number(made))


async def _open_clients(shared: Shared) -> None:
    async with open_clients(
        [shared.account], transport=shared.transport, limiters=shared.limiters, now=virtual_now
    ) as (client,):
        await client.retail.get_purchase_order(shared.number())


class _Kept(NamedTuple):
    """Tokens that outlive who asked for them."""

    shared: Shared
    access: AccessTokens
    both: OperationTokens


@asynccontextmanager
async def _kept_tokens(folder: object) -> AsyncIterator[_Kept]:
    async with _shared(folder) as shared:
        access = AccessTokens(shared.transport)
        both = OperationTokens(shared.transport, shared.limiters, access_tokens=access)
        yield _Kept(shared, access, both)


async def _ask_for_tokens(kept: _Kept) -> None:
    account = kept.shared.account
    get_orders: Operation[Any] = DIRECT_FULFILLMENT["v1"].get_orders
    async with asyncio.TaskGroup() as group:
        for _ in range(3):
            group.create_task(kept.access.get(account))
            group.create_task(kept.access.token_for(account))
            group.create_task(kept.both.token_for(account, get_orders))


async def _tokens_again(kept: _Kept, faults: list[str]) -> int:
    before = kept.shared.transport.request_count
    count = await _again(lambda _: _ask_for_tokens(kept))(kept.shared, faults)
    asked = kept.shared.transport.request_count - before
    if asked > len(("access", "restricted")):
        faults.append(f"{asked} requests for two tokens")
    return int(count)


def _shared_act(
    name: str,
    play: Callable[[Shared], Awaitable[object]],
    *covers: str,
    hands: tuple[str, ...] = (),
) -> Act:
    return Act(name, _shared, play, _again(play), covers, hands=hands)


async def _send(shared: Shared, client: VendorOrdersClient) -> object:
    question = GetPurchaseOrder(purchase_order_number=shared.number())
    return await client.send(Call(GET_PURCHASE_ORDER, question))


CALLS = [
    _act("send", _send),
    _act("retail.get_purchase_orders", _page),
    _act(
        "retail.get_purchase_order",
        lambda shared, client: client.retail.get_purchase_order(shared.number()),
    ),
    _act("retail.get_purchase_orders_status", _statuses),
    _act("retail.submit_acknowledgement", _answer),
    _act("retail.iter_purchase_orders", _iterated("retail.iter_purchase_orders")),
    _act("retail.iter_purchase_orders_status", _iterated("retail.iter_purchase_orders_status")),
    _act("direct_fulfillment.get_orders", _customers_page),
    _act(
        "direct_fulfillment.get_order",
        lambda shared, client: client.direct_fulfillment.get_order(_customers_number(shared)),
    ),
    _act("direct_fulfillment.submit_acknowledgement", _customers_answer),
    _act("direct_fulfillment.iter_orders", _iterated("direct_fulfillment.iter_orders")),
    _act("transactions.get_transaction", _transaction),
    _act("transactions.get_transaction_status", _customers_transaction),
    *map(_iterator, ("retail.iter_purchase_orders", "direct_fulfillment.iter_orders")),
    _shared_act("a crowd", in_client(_crowd), hands=("Retail.",)),
    _shared_act("open_clients", _open_clients, "open_clients"),
    Act(
        "tokens",
        _kept_tokens,
        _ask_for_tokens,
        _tokens_again,
        ("AccessTokens.get", "AccessTokens.token_for", "OperationTokens.token_for"),
        hands=("AccessTokens.", "OperationTokens."),
    ),
]
