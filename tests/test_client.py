"""The client: typed calls, shared parts, and nothing left behind by a cancellation."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
import virtual_time
from fakes import FakeGate, FakeTokens, FakeTransport, OneGate, an_account, virtual_now
from hypothesis import given, settings
from hypothesis import strategies as st
from mocked import aioresponses
from sample_files import sample
from simulated import QUICK, SINCE, UNTIL, now, simulation

from vendororders_async import (
    AccessTokens,
    DecodeError,
    InvalidArgument,
    Limiters,
    NotFound,
    Transport,
    TransportError,
    Urgency,
    VendorOrdersClient,
    open_clients,
)
from vendororders_async.models.common import (
    ItemQuantity,
    PartyIdentification,
    SubmitAcknowledgementResponse,
)
from vendororders_async.models.retail_procurement import (
    GetPurchaseOrderResponse,
    GetPurchaseOrdersResponse,
    GetPurchaseOrdersStatusResponse,
    OrderAcknowledgement,
    OrderAcknowledgementItem,
    OrderItemAcknowledgement,
    SubmitAcknowledgementRequest,
)
from vendororders_async.models.transactions import GetTransactionResponse
from vendororders_async.operations import (
    GET_PURCHASE_ORDERS,
    GetPurchaseOrders,
    GetPurchaseOrdersStatus,
)
from vendororders_async.retail import Retail
from vendororders_async.simulator import Settings
from vendororders_async.telemetry import AttemptMade, Event
from vendororders_async.transport import Answer

WEEK = timedelta(days=7)


def fake_client(*answers: Answer, **options: Any) -> VendorOrdersClient:
    """Return a client whose Amazon answers with *answers*."""
    return VendorOrdersClient(
        an_account(),
        transport=FakeTransport([*answers]),
        tokens=FakeTokens(),
        limiters=OneGate(FakeGate()),
        now=virtual_now,
        **options,
    )


def an_acknowledgement(number: str, **changes: Any) -> SubmitAcknowledgementRequest:
    """Return a request that accepts two cases of *number*."""
    two = ItemQuantity(amount=2, unit_of_measure="Cases", unit_size=6)
    line = OrderAcknowledgementItem(
        item_sequence_number="1",
        ordered_quantity=two,
        item_acknowledgements=[
            OrderItemAcknowledgement(acknowledgement_code="Accepted", acknowledged_quantity=two)
        ],
    )
    one = OrderAcknowledgement(
        purchase_order_number=number,
        selling_party=PartyIdentification(party_id="ACME1"),
        acknowledgement_date=UNTIL,
        items=[line],
    )
    return SubmitAcknowledgementRequest(
        acknowledgements=[msgspec.structs.replace(one, **changes)]
    )


async def test_every_operation_returns_its_response() -> None:
    """Orders, one order, statuses, an acknowledgement and its transaction."""
    async with (
        simulation() as (simulator, [account]),
        VendorOrdersClient(account, now=now) as client,
    ):
        page = await client.retail.get_purchase_orders(
            created_after=UNTIL - WEEK, created_before=UNTIL, limit=3
        )
        assert page.payload is not None
        number = page.payload.orders[0].purchase_order_number
        order = await client.retail.get_purchase_order(number)
        statuses = await client.retail.get_purchase_orders_status(
            purchase_order_number=number, created_after=UNTIL - WEEK, created_before=UNTIL
        )
        taken = await client.retail.submit_acknowledgement(an_acknowledgement(number))
        assert taken.payload is not None
        transaction = await client.transactions.get_transaction(
            taken.payload.transaction_id or ""
        )

    assert isinstance(page, GetPurchaseOrdersResponse)
    assert len(page.payload.orders) == 3
    assert page.payload.pagination is not None
    assert page.payload.pagination.next_token
    assert isinstance(order, GetPurchaseOrderResponse)
    assert order.payload == page.payload.orders[0]
    assert isinstance(statuses, GetPurchaseOrdersStatusResponse)
    assert statuses.payload is not None
    assert [one.purchase_order_number for one in statuses.payload.orders_status] == [number]
    assert statuses.payload.pagination is None
    assert isinstance(taken, SubmitAcknowledgementResponse)
    assert [one.account for one in simulator.acknowledgements] == ["demo"]
    assert isinstance(transaction, GetTransactionResponse)
    assert transaction.payload is not None
    assert transaction.payload.transaction_status is not None
    assert transaction.payload.transaction_status.status == "Processing"


@pytest.mark.parametrize(
    ("method", "question"),
    [
        (Retail.get_purchase_orders, GetPurchaseOrders),
        (Retail.get_purchase_orders_status, GetPurchaseOrdersStatus),
    ],
)
def test_every_parameter_of_amazon_is_offered(
    method: Callable[..., object], question: type[msgspec.Struct]
) -> None:
    """By name only, each typed, none hidden behind keyword arguments."""
    _, *offered = inspect.signature(method).parameters.values()

    assert {one.name for one in offered} == set(question.__struct_fields__)
    assert {one.kind for one in offered} == {inspect.Parameter.KEYWORD_ONLY}
    assert all(one.default is None for one in offered)


def test_every_parameter_reaches_amazon() -> None:
    """What is given is sent, under the wire's name."""
    everything: dict[str, Any] = {
        "limit": 5,
        "created_after": datetime(2026, 6, 1, tzinfo=UTC),
        "created_before": datetime(2026, 6, 2, tzinfo=UTC),
        "sort_order": "DESC",
        "next_token": "a+b=",
        "include_details": False,
        "changed_after": datetime(2026, 6, 3, tzinfo=UTC),
        "changed_before": datetime(2026, 6, 4, tzinfo=UTC),
        "po_item_state": "Cancelled",
        "is_po_changed": True,
        "purchase_order_state": "New",
        "ordering_vendor_code": "ACME1",
    }
    transport = FakeTransport([Answer(200, {}, sample("getPurchaseOrders", "200_last.json"))])

    async def main() -> None:
        client = VendorOrdersClient(an_account(), transport=transport, tokens=FakeTokens())
        await client.retail.get_purchase_orders(**everything)

    virtual_time.run(main())
    [request] = transport.sent

    assert everything.keys() == set(GetPurchaseOrders.__struct_fields__)
    assert request.url.partition("?")[2] == (
        "limit=5&createdAfter=2026-06-01T00%3A00%3A00Z&createdBefore=2026-06-02T00%3A00%3A00Z"
        "&sortOrder=DESC&nextToken=a%2Bb%3D&includeDetails=false"
        "&changedAfter=2026-06-03T00%3A00%3A00Z&changedBefore=2026-06-04T00%3A00%3A00Z"
        "&poItemState=Cancelled&isPOChanged=true&purchaseOrderState=New"
        "&orderingVendorCode=ACME1"
    )


async def test_an_unknown_order_is_not_found() -> None:
    """A 404 has a class of its own."""
    async with (
        simulation() as (_, [account]),
        VendorOrdersClient(account, now=now) as client,
    ):
        with pytest.raises(NotFound, match="getPurchaseOrder for demo"):
            await client.retail.get_purchase_order("NOSUCHPO")


BROKEN = b'{"purchaseOrderNumber": "5ABC1233", "orderDetails": {"items": 7}}'
NOT_JSON = b'{"purchaseOrderNumber": "5ABC1233", "orderDetails": {"items": NaN}}'
NUMBERLESS = b'{"purchaseOrderState": "New"}'


@pytest.mark.parametrize(
    ("broken", "number"), [(BROKEN, "5ABC1233"), (NOT_JSON, "5ABC1233"), (NUMBERLESS, None)]
)
def test_an_order_that_is_not_the_schema_is_named(broken: bytes, number: str | None) -> None:
    """The error of a page has its number where it can be read, and its bytes."""
    client = fake_client(Answer(200, {}, b'{"payload": {"orders": [%s]}}' % broken))
    with pytest.raises(DecodeError, match=number or "without a readable number") as caught:
        virtual_time.run(client.retail.get_purchase_orders())

    assert caught.value.purchase_order_number == number
    assert caught.value.body == broken
    assert (caught.value.operation, caught.value.account) == ("getPurchaseOrders", "germany")


@pytest.mark.parametrize("broken", [BROKEN, NOT_JSON, NUMBERLESS])
def test_a_single_order_is_named_by_what_was_asked(broken: bytes) -> None:
    """Also where its answer as a whole cannot be read."""
    client = fake_client(Answer(200, {}, b'{"payload": %s}' % broken))
    with pytest.raises(DecodeError) as caught:
        virtual_time.run(client.retail.get_purchase_order("5ABC1233"))

    assert caught.value.purchase_order_number == "5ABC1233"
    assert broken in caught.value.body


@settings(max_examples=50)
@given(
    limit=st.one_of(st.integers(), st.text(), st.just(True), st.floats()),
    state=st.text(),
    moment=st.datetimes(),
)
def test_what_could_not_be_meant_is_refused_before_anything_is_sent(
    limit: Any, state: str, moment: datetime
) -> None:
    """A wrong argument is an InvalidArgument, and a ValueError, whatever it is."""
    transport = FakeTransport([])

    async def main() -> None:
        client = VendorOrdersClient(
            an_account(), transport=transport, tokens=FakeTokens(), now=virtual_now
        )
        wrong: list[dict[str, Any]] = [
            {"purchase_order_state": f"{state}?"},
            {"ordering_vendor_code": f"{state}\n"},
            {"created_after": moment},
            {"changed_after": UNTIL, "changed_before": SINCE},
            {"changed_after": SINCE, "changed_before": UNTIL},
            {"next_token": ""},
        ]
        if not (type(limit) is int and 1 <= limit <= 100):
            wrong.append({"limit": limit})
        for arguments in wrong:
            with pytest.raises(InvalidArgument) as caught:
                await client.retail.get_purchase_orders(**arguments)
            assert isinstance(caught.value, ValueError)

    virtual_time.run(main())

    assert transport.sent == []


@pytest.mark.parametrize(
    "request_",
    [
        SubmitAcknowledgementRequest(),
        {"acknowledgements": []},
        an_acknowledgement("5ABC1233", acknowledgement_date=datetime(2026, 6, 1)),  # noqa: DTZ001
        an_acknowledgement("5ABC1233", selling_party=None),
        an_acknowledgement("", items=[]),
        an_acknowledgement("5ABC1233", items=[object()]),
    ],
)
def test_an_acknowledgement_that_is_not_the_schema_is_refused(request_: Any) -> None:
    """Amazon would take some of them, and not apply them."""
    with pytest.raises(InvalidArgument):
        virtual_time.run(fake_client().retail.submit_acknowledgement(request_))


def test_two_hundred_calls_at_once_cost_one_token_and_no_429() -> None:
    """A client keeps the pace by itself, at the plan's bound."""

    async def main() -> None:
        async with (
            simulation(Settings(orders=50, days=30, latency=0.1)) as (simulator, [account]),
            VendorOrdersClient(account, now=now) as client,
        ):
            number = next(iter(simulator.truth("demo")))
            calls = (client.retail.get_purchase_order(number) for _ in range(200))
            seconds = await virtual_time.elapsed(asyncio.gather(*calls))

            assert simulator.traffic.token_requests == 1
            assert simulator.traffic.throttled() == 0
            assert simulator.traffic.count(operation="getPurchaseOrder") == 200
            assert 19.0 < seconds < 19.0 * 1.03 + 0.2

    virtual_time.run(main())


def test_two_clients_of_one_account_share_its_bucket_and_its_token() -> None:
    """Limiters, tokens and transport that are passed in serve both."""

    async def main() -> None:
        async with (
            simulation(Settings(orders=50, days=30)) as (simulator, [account]),
            Transport() as transport,
        ):
            shared: dict[str, Any] = {
                "transport": transport,
                "limiters": Limiters(),
                "tokens": AccessTokens(transport),
            }
            number = next(iter(simulator.truth("demo")))
            one = VendorOrdersClient(account, now=now, **shared)
            async with VendorOrdersClient(account, now=now, **shared) as other:
                await asyncio.gather(
                    *(client.retail.get_purchase_order(number) for client in (one, other) * 30)
                )
            await one.retail.get_purchase_order(number)  # nobody closed what is shared

            assert simulator.traffic.token_requests == 1
            assert simulator.traffic.throttled() == 0

    virtual_time.run(main())


async def test_many_clients_stand_over_one_pool() -> None:
    """One for each account, in order; all closed at the end."""
    three = msgspec.structs.replace(QUICK, accounts=3, orders=30)
    async with simulation(three) as (simulator, accounts):
        async with open_clients(accounts, now=now) as clients:
            for client in clients:
                number = next(iter(simulator.truth(client.account.name)))
                await client.retail.get_purchase_order(number)
        with pytest.raises(RuntimeError, match="not open"):
            await clients[0].retail.get_purchase_order("5ABC1233")

    assert [client.account for client in clients] == accounts
    assert simulator.traffic.token_requests == 3


async def test_open_clients_uses_what_it_is_given() -> None:
    """A transport that is passed in stays open."""
    async with simulation() as (simulator, accounts), Transport() as transport:
        number = next(iter(simulator.truth("demo")))
        for _ in range(2):
            async with open_clients(accounts, transport=transport, now=now) as [client]:
                await client.retail.get_purchase_order(number)

    assert simulator.traffic.token_requests == 2


@pytest.mark.parametrize("urgency", Urgency)
def test_a_bulk_user_can_stand_back(urgency: Urgency) -> None:
    """A person goes first, unless the client was told otherwise."""
    gate = FakeGate()

    async def main() -> None:
        answer = Answer(200, {}, sample("getPurchaseOrders", "200_last.json"))
        client = VendorOrdersClient(
            an_account(),
            transport=FakeTransport([answer]),
            tokens=FakeTokens(),
            limiters=OneGate(gate),
            urgency=urgency,
            now=virtual_now,
        )
        await client.retail.get_purchase_orders()
        async for _ in client.retail.iter_purchase_orders(
            created_after=virtual_now() - timedelta(days=1)
        ):
            pass

    virtual_time.run(main())

    assert gate.passed == [urgency, urgency]


def test_an_observer_is_told_of_every_attempt() -> None:
    """In place of the log."""
    events: list[Event] = []
    answer = Answer(200, {}, sample("getPurchaseOrders", "200_last.json"))

    async def main() -> None:
        await fake_client(answer, observer=events.append).retail.get_purchase_orders()

    virtual_time.run(main())

    assert [type(one) for one in events] == [AttemptMade]


def test_a_doubtful_acknowledgement_is_not_repeated() -> None:
    """Whether Amazon took it is the caller's to find out."""
    transport = FakeTransport([TransportError("the answer broke off", sent=True)])
    client = VendorOrdersClient(an_account(), transport=transport, tokens=FakeTokens())
    with pytest.raises(TransportError) as caught:
        virtual_time.run(client.retail.submit_acknowledgement(an_acknowledgement("5ABC1233")))

    assert caught.value.sent
    assert len(transport.sent) == 1


async def test_a_client_can_be_tested_with_aioresponses() -> None:
    """Whoever mocks aiohttp needs no server."""
    account = an_account()
    async with VendorOrdersClient(account) as client:
        with aioresponses() as amazon:
            amazon.post(account.login_url, payload={"access_token": "Atza|1"})
            amazon.get(
                f"{account.base_url}/vendor/orders/v1/purchaseOrders/5ABC1236",
                body=sample("getPurchaseOrder", "200.json"),
            )
            order = (await client.retail.get_purchase_order("5ABC1236")).payload

    assert order is not None
    assert order.purchase_order_number == "5ABC1236"


async def test_a_client_that_is_not_open_says_so() -> None:
    """It does not open connections that nobody closes."""
    with pytest.raises(RuntimeError, match="async with"):
        await VendorOrdersClient(an_account()).retail.get_purchase_order("5ABC1233")


def test_the_client_shows_no_secret() -> None:
    """Its repr names the account and where it asks."""
    client = fake_client()

    assert repr(client) == (
        "<VendorOrdersClient germany at https://sellingpartnerapi-na.amazon.com>"
    )
    assert repr(client.retail) == "<Retail germany>"
    assert repr(client.transactions) == "<Transactions germany>"


async def _first_of_many(client: VendorOrdersClient) -> None:
    count = 0
    async for _ in client.retail.iter_purchase_orders(
        created_after=SINCE, created_before=SINCE + 2 * WEEK
    ):
        count += 1
    assert count


CALLS: dict[str, Callable[[VendorOrdersClient], Awaitable[object]]] = {
    "get_purchase_orders": lambda client: client.retail.get_purchase_orders(
        created_after=UNTIL - WEEK, created_before=UNTIL, limit=1
    ),
    "get_purchase_order": lambda client: client.retail.get_purchase_order("NOSUCHPO"),
    "get_purchase_orders_status": lambda client: client.retail.get_purchase_orders_status(
        created_after=UNTIL - WEEK, created_before=UNTIL, limit=1
    ),
    "submit_acknowledgement": lambda client: client.retail.submit_acknowledgement(
        an_acknowledgement("5ABC1233")
    ),
    "get_transaction": lambda client: client.transactions.get_transaction("none"),
    "iter_purchase_orders": _first_of_many,
}


def our_tasks() -> set[str]:
    """Return the tasks that are neither this test nor the server's."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    names = {getattr(task.get_coro(), "__qualname__", "") for task in others}
    servers = ("RequestHandler.", "BaseSelectorEventLoop._accept")
    return {name for name in names if not name.startswith(servers)}


@pytest.mark.parametrize("name", CALLS)
async def test_a_call_can_be_cancelled_at_every_await(name: str) -> None:
    """Nothing is left: no task, no connection of a pool of one, no turn at the limiter."""
    async with simulation() as (_, [account]), Transport(limit=1) as transport:
        limiters = Limiters()
        for steps in range(2_000):
            tokens = AccessTokens(transport)
            async with VendorOrdersClient(
                account, transport=transport, limiters=limiters, tokens=tokens, now=now
            ) as client:
                task = asyncio.ensure_future(CALLS[name](client))
                for _ in range(steps):
                    await asyncio.sleep(0)
                completed = task.done()
                task.cancel()
                [outcome] = await asyncio.gather(task, return_exceptions=True)
                assert our_tasks() == set()
                gate = limiters.of(account, GET_PURCHASE_ORDERS)
                assert ", 0 waiting" in repr(gate)
                if steps % 10 == 0 or completed:
                    async with asyncio.timeout(5):  # neither is it held by the one that is gone
                        await client.retail.get_purchase_orders(
                            created_after=UNTIL - WEEK, created_before=UNTIL, limit=1
                        )
            if completed:
                break
            assert isinstance(outcome, asyncio.CancelledError)

    assert completed
    assert steps > 10
