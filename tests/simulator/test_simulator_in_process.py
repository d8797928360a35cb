"""The simulator without sockets: the same judgement, on the loop's time alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from itertools import product
from typing import Any
from urllib.parse import urlencode

import pytest
import virtual_time
from fakes import virtual_now
from in_process import InProcess, Outage

from vendororders_async import Account, VendorOrdersClient
from vendororders_async.errors import RequestError, TransportError
from vendororders_async.simulator import (
    BAD_ORDER_KINDS,
    KINDS,
    PAGING_KINDS,
    TOKEN_KINDS,
    Call,
    Settings,
    Simulator,
)
from vendororders_async.testing import accounts_of
from vendororders_async.transport import Transport

ORDERS = "getPurchaseOrders"


@asynccontextmanager
async def shop(**settings: Any) -> AsyncIterator[tuple[InProcess, VendorOrdersClient]]:
    """Open a client of a small simulator, all in this process."""
    defaults = {"orders": 400, "days": 30, "keep_arrivals": True}
    simulator = Simulator(Settings(**(defaults | settings)), now=virtual_now)
    async with (
        InProcess(simulator) as transport,
        VendorOrdersClient(
            transport.accounts[0], transport=transport, now=transport.now
        ) as client,
    ):
        yield transport, client


async def numbers(client: VendorOrdersClient, days: int = 6) -> list[str]:
    """Return the numbers of the orders of the last days, as a client reads them."""
    since = virtual_now() - timedelta(days=days)
    return [
        order.purchase_order_number
        async for order in client.retail.iter_purchase_orders(created_after=since)
    ]


def test_a_client_reads_what_is_true() -> None:
    """Login, lists and the truth are the same as over HTTP."""

    async def scene() -> None:
        async with shop() as (transport, client):
            since = virtual_now() - timedelta(days=6)

            assert set(await numbers(client)) == set(
                transport.simulator.truth("demo", after=since)
            )
            assert transport.request_count == sum(transport.simulator.traffic.counts.values())

    virtual_time.run(scene())


def test_an_answer_takes_its_latency_and_bears_the_simulated_date() -> None:
    """Two seconds pass on the loop, and the date is that of the moment it leaves."""

    async def scene() -> None:
        async with shop(latency=2.0) as (transport, _):
            began_at = asyncio.get_running_loop().time()
            answer = await transport.exchange(
                "POST", transport.accounts[0].login_url, headers={}
            )
            took = asyncio.get_running_loop().time() - began_at

            assert took == pytest.approx(2.0, abs=0.01)
            assert answer.headers["date"] == "Wed, 01 Jul 2026 00:16:42 GMT"

    virtual_time.run(scene())


def test_the_gate_is_passed_before_the_request_arrives() -> None:
    """Whatever the gate waits for, the request is judged after it."""

    async def wait() -> None:
        await asyncio.sleep(7.0)

    async def scene() -> None:
        async with shop() as (transport, _):
            seconds = await virtual_time.elapsed(
                transport.exchange(
                    "POST", transport.accounts[0].login_url, headers={}, may_pass=wait
                )
            )

            assert seconds == pytest.approx(7.0, abs=0.01)
            assert transport.simulator.traffic.arrivals[0].at == pytest.approx(1007.0, abs=0.01)

    virtual_time.run(scene())


@pytest.mark.parametrize(
    ("kind", "complaint", "seconds"),
    [
        ("reset", "Connection reset by peer", 0.0),
        ("reset-before", "Connection reset by peer", 0.0),
        ("reset-body", "broke off", 0.0),
        ("hang", "no answer in time", 60.0),
        ("slow", None, 5.0),
    ],
)
def test_connections_fail_as_they_do_at_amazon(
    kind: str, complaint: str | None, seconds: float
) -> None:
    """Resets come at once, a hang takes a deadline, what is slow comes in the end."""

    async def scene() -> None:
        async with shop() as (transport, client):
            await numbers(client)
            headers = {"x-amz-access-token": "Atza|simulated-demo-1"}
            url = transport.accounts[0].base_url + "/vendor/orders/v1/purchaseOrders/nothing"
            transport.simulator.inject("getPurchaseOrder", kind)
            began_at = asyncio.get_running_loop().time()
            if complaint is None:
                await transport.exchange("GET", url, headers=headers)
            else:
                with pytest.raises(TransportError, match=complaint) as caught:
                    await transport.exchange("GET", url, headers=headers)
                assert caught.value.sent
            took = asyncio.get_running_loop().time() - began_at

            assert took == pytest.approx(seconds, abs=0.01)

    virtual_time.run(scene())


Outcome = tuple[object, ...]

# What needs orders, tokens or pages to befall is the answer's own, whatever brings it
ON_THE_WIRE = sorted(KINDS - PAGING_KINDS - TOKEN_KINDS - {"bad-order", *BAD_ORDER_KINDS})
AT_LOGIN = sorted({*ON_THE_WIRE, *TOKEN_KINDS} - {"403", "spurious-400"})


async def outcome(transport: Transport, account: Account, operation: str) -> Outcome:
    """Return what becomes of one request, and after how many seconds."""
    credentials = account.credentials
    form = {
        "grant_type": "refresh_token",
        "client_id": credentials.client_id,
        "client_secret": credentials.client_secret,
        "refresh_token": credentials.refresh_token,
    }
    is_login = operation == "token"
    began_at = asyncio.get_running_loop().time()
    said: Outcome
    try:
        if is_login:
            answer = await transport.exchange(
                "POST",
                account.login_url,
                headers={"Content-Type": "application/x-www-form-urlencoded"},
                body=urlencode(form).encode(),
            )
        else:
            answer = await transport.exchange(
                "GET",
                account.base_url + "/vendor/orders/v1/purchaseOrders?limit=3",
                headers={"x-amz-access-token": "Atza|simulated-demo-1"},
            )
    except TransportError as error:
        said = (str(error), error.sent)
    else:
        # a body is cut where it is cut; how far zlib comes with it depends on its version
        said = (answer.status, answer.headers.get("Location"), answer.body[:40])
    return *said, round((asyncio.get_running_loop().time() - began_at) / 2)


@pytest.mark.parametrize(
    ("operation", "kind"),
    [*product(["getPurchaseOrders"], ON_THE_WIRE), *product(["token"], AT_LOGIN)],
)
def test_what_goes_wrong_does_so_as_over_http(operation: str, kind: str) -> None:
    """The real transport, over real sockets, says the same of it after the same seconds."""
    outcomes: list[Outcome] = []

    async def ask(simulator: Simulator, transport: Transport, account: Account) -> None:
        await outcome(transport, account, "token")
        # more often than once, since aiohttp sends a GET again by itself
        simulator.inject(operation, kind, times=9, when=lambda _: True)
        outcomes.append(await outcome(transport, account, operation))

    async def scene() -> None:
        settings = Settings(orders=400, days=30, rate=500.0)
        simulator = Simulator(settings, now=virtual_now)
        async with InProcess(simulator) as ours:
            await ask(simulator, ours, ours.accounts[0])
        simulator = Simulator(settings, now=virtual_now)
        async with simulator.serve() as served, Transport() as real:
            await ask(simulator, real, accounts_of(served)[0])

    virtual_time.run(scene())

    assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize("outage", ["refused", "dns", "tls", "503"])
def test_in_an_outage_nothing_succeeds_until_it_is_over(outage: Outage) -> None:
    """A client that goes on trying gets through when it ends."""

    async def scene() -> None:
        async with shop() as (transport, client):
            expected = await numbers(client)
            transport.outage = outage
            with pytest.raises(RequestError):
                await numbers(client)
            transport.outage = ""

            assert await numbers(client) == expected

    virtual_time.run(scene())


def test_a_refused_connection_certainly_sent_nothing() -> None:
    """No permit is spent on it, and even a submission may be repeated."""

    async def never() -> None:
        raise AssertionError("the gate was asked")

    async def scene() -> None:
        async with shop() as (transport, _):
            transport.outage = "refused"
            with pytest.raises(TransportError, match="refused") as caught:
                await transport.exchange(
                    "POST", "http://127.0.0.1:9/", headers={}, may_pass=never
                )

            assert not caught.value.sent
            assert transport.request_count == 0

    virtual_time.run(scene())


def test_the_clients_clock_may_be_wrong() -> None:
    """The offset moves the client's present, and Amazon's not at all."""

    async def scene() -> None:
        async with shop() as (transport, client):
            transport.offset = timedelta(hours=-3)

            assert virtual_now() - transport.now() > timedelta(hours=2.9)
            assert await numbers(client)
            assert transport.simulator.now() - virtual_now() < timedelta(seconds=1)

    virtual_time.run(scene())


def test_an_order_can_change_between_two_pages() -> None:
    """Who is told of a call before its answer is made sees the page change under it."""
    calls: list[Call] = []

    async def scene() -> None:
        async with shop(orders=700) as (transport, client):

            def change(call: Call) -> None:
                calls.append(call)
                if "nextToken" in call.query:
                    for number in transport.simulator.truth("demo"):
                        transport.simulator.change_order("demo", number)

            transport.before_answer = change
            orders = [
                order
                async for order in client.retail.iter_purchase_orders(
                    created_after=virtual_now() - timedelta(days=6)
                )
            ]
            changed = [
                order.order_details is not None
                and order.order_details.purchase_order_changed_date is not None
                for order in orders
            ]

            assert len(orders) > 100
            assert not all(changed[:100])
            assert all(changed[100:])
            assert calls[0].operation == ORDERS
            assert calls[0].account == "demo"

    virtual_time.run(scene())
