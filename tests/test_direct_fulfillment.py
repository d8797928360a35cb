"""Direct Fulfillment's face: both versions alike, any range, no address in an error."""

from __future__ import annotations

import inspect
import json
import logging
import pickle
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec
import pytest
import virtual_time
from fakes import (
    FakeGate,
    FakeTokens,
    FakeTransport,
    OneGate,
    Sent,
    Step,
    an_account,
    virtual_now,
)
from sample_files import sample

from vendororders_async import (
    DecodeError,
    InvalidArgument,
    NotFound,
    RequestError,
    Transport,
    TransportError,
    VendorOrdersClient,
    open_clients,
)
from vendororders_async.direct_fulfillment import DirectFulfillment
from vendororders_async.models.common import ItemQuantity
from vendororders_async.models.direct_fulfillment import (
    AcknowledgementStatus,
    GetOrderResponse,
    GetOrdersResponse,
    Order,
    OrderAcknowledgementItem,
    OrderItemAcknowledgement,
    PartyIdentification,
    SubmitAcknowledgementRequest,
)
from vendororders_async.operations import DIRECT_FULFILLMENT, GetOrders
from vendororders_async.transport import Answer

START = datetime(2026, 5, 1, tzinfo=UTC)
WEEK = timedelta(days=7)
VERSIONS = list(DIRECT_FULFILLMENT)
NUMBER = "2JK3S9VC"
TRANSACTION = "20260101000000-00000000-0000-0000-0000-000000000000"

Use = Callable[[VendorOrdersClient], Awaitable[Any]]


def ask(version: str, use: Use, *script: Step, transport: FakeTransport | None = None) -> Any:
    """Let *use* ask an Amazon that answers with *script*."""

    async def main() -> Any:
        client = VendorOrdersClient(
            an_account(),
            direct_fulfillment_version=version,
            transport=transport or FakeTransport([*script]),
            tokens=FakeTokens(),
            limiters=OneGate(FakeGate()),
            now=virtual_now,
        )
        async with client:
            return await use(client)

    return virtual_time.run(main())


def answer(operation: str, version: str, name: str = "200.json") -> Answer:
    """Return a kept answer of one version."""
    return Answer(int(name[:3]), {}, sample(f"{operation}-{version}", name))


def wrapped(version: str, payload: bytes) -> Answer:
    """Return *payload* as the version sends it."""
    return Answer(200, {}, b'{"payload": %s}' % payload if version == "v1" else payload)


def an_acknowledgement(**changes: Any) -> SubmitAcknowledgementRequest:
    """Return a request that takes all of an order."""
    line = OrderItemAcknowledgement(
        item_sequence_number="00001",
        acknowledged_quantity=ItemQuantity(amount=2, unit_of_measure="Each"),
    )
    party = PartyIdentification(party_id="999DE")
    one = OrderAcknowledgementItem(
        purchase_order_number=NUMBER,
        vendor_order_number="V1",
        acknowledgement_date=START,
        acknowledgement_status=AcknowledgementStatus(code="00"),
        selling_party=party,
        ship_from_party=party,
        item_acknowledgements=[line],
    )
    return SubmitAcknowledgementRequest(
        order_acknowledgements=[msgspec.structs.replace(one, **changes)]
    )


@pytest.mark.parametrize("version", VERSIONS)
def test_a_page_is_amazons_response(version: str) -> None:
    """The same struct for both versions, whatever envelope it came in."""
    transport = FakeTransport([answer("getOrders", version)])
    page = ask(
        version,
        lambda client: client.direct_fulfillment.get_orders(
            created_after=START, created_before=START + WEEK, status="NEW"
        ),
        transport=transport,
    )
    [request] = transport.sent

    assert isinstance(page, GetOrdersResponse)
    assert page.payload is not None
    first, second = page.payload.orders
    assert first.order_details is not None
    assert first.order_details.ship_to_party is not None
    assert first.order_details.ship_to_party.name == "Canary Ødegaard"
    assert second == Order(purchase_order_number="2JK3S9VD")
    assert page.payload.pagination is not None
    assert page.payload.pagination.next_token == "MDAwMDAwMDAwMQ=="
    assert urlsplit(request.url).path == (
        f"/vendor/directFulfillment/orders/{version}/purchaseOrders"
    )
    assert dict(parse_qsl(urlsplit(request.url).query)) == {
        "status": "NEW",
        "createdAfter": "2026-05-01T00:00:00Z",
        "createdBefore": "2026-05-08T00:00:00Z",
    }


@pytest.mark.parametrize("version", VERSIONS)
def test_an_order_is_had_by_its_number(version: str) -> None:
    """With all its details."""
    found = ask(
        version,
        lambda client: client.direct_fulfillment.get_order(NUMBER),
        answer("getOrder", version),
    )

    assert isinstance(found, GetOrderResponse)
    assert found.payload is not None
    assert found.payload.purchase_order_number == NUMBER
    assert found.payload.order_details is not None
    assert found.payload.order_details.has_customizable_items is (
        None if version == "v1" else True
    )


@pytest.mark.parametrize("version", VERSIONS)
def test_a_submission_and_what_became_of_it(version: str) -> None:
    """Posted as Amazon's body; followed in the same version."""
    transport = FakeTransport(
        [
            answer("submitAcknowledgement", version, "202.json"),
            answer("getTransactionStatus", version),
        ]
    )

    async def use(client: VendorOrdersClient) -> tuple[Any, Any]:
        taken = await client.direct_fulfillment.submit_acknowledgement(an_acknowledgement())
        assert taken.payload is not None
        number = taken.payload.transaction_id or ""
        return number, await client.transactions.get_transaction_status(number)

    number, told = ask(version, use, transport=transport)
    submitted, followed = transport.sent
    body = json.loads(submitted.body or b"")

    assert number == TRANSACTION
    assert told.payload.transaction_status.status == "Failure"
    assert told.payload.transaction_status.errors[0].details == NUMBER
    assert submitted.url.endswith(f"/orders/{version}/acknowledgements")
    assert followed.url.endswith(f"/transactions/{version}/transactions/{TRANSACTION}")
    assert body["orderAcknowledgements"][0]["itemAcknowledgements"] == [
        {
            "itemSequenceNumber": "00001",
            "acknowledgedQuantity": {"amount": 2, "unitOfMeasure": "Each"},
        }
    ]


def test_a_transaction_in_an_envelope_is_not_lost() -> None:
    """The later model shows both forms; without the id nobody could follow a submission."""
    taken = ask(
        "2021-12-28",
        lambda client: client.direct_fulfillment.submit_acknowledgement(an_acknowledgement()),
        Answer(202, {}, b'{"payload": {"transactionId": "t1"}}'),
    )

    assert taken.payload.transaction_id == "t1"


@pytest.mark.parametrize(
    "request_",
    [
        SubmitAcknowledgementRequest(),
        {"orderAcknowledgements": []},
        an_acknowledgement(acknowledgement_date=datetime(2026, 6, 1)),  # noqa: DTZ001
        an_acknowledgement(vendor_order_number=None),
        an_acknowledgement(item_acknowledgements=[object()]),
    ],
)
def test_an_acknowledgement_that_is_not_the_schema_is_refused(request_: Any) -> None:
    """Before anything is sent."""
    transport = FakeTransport([])
    with pytest.raises(InvalidArgument):
        ask(
            "v1",
            lambda client: client.direct_fulfillment.submit_acknowledgement(request_),
            transport=transport,
        )

    assert transport.sent == []


def test_a_doubtful_submission_is_not_repeated() -> None:
    """Whether Amazon took it is the caller's to find out."""
    transport = FakeTransport([TransportError("the answer broke off", sent=True)])
    with pytest.raises(TransportError) as caught:
        ask(
            "v1",
            lambda client: client.direct_fulfillment.submit_acknowledgement(
                an_acknowledgement()
            ),
            transport=transport,
        )

    assert caught.value.sent
    assert len(transport.sent) == 1


def test_every_parameter_of_amazon_is_offered() -> None:
    """By name only; both dates must be given."""
    _, *offered = inspect.signature(DirectFulfillment.get_orders).parameters.values()

    assert {one.name for one in offered} == set(GetOrders.__struct_fields__)
    assert {one.kind for one in offered} == {inspect.Parameter.KEYWORD_ONLY}
    assert {one.name for one in offered if one.default is not None} == {
        "created_after",
        "created_before",
    }


@pytest.mark.parametrize("version", VERSIONS)
def test_any_range_is_read_window_by_window(version: str) -> None:
    """With the filters in every request, and an order on a seam once."""
    days = ["2026-05-06", "2026-05-11", "2026-05-16", "2026-05-22"]
    seam = dict(zip(days, ["a", "a", "b", "b"], strict=True))

    def amazon(request: Sent) -> Step:
        asked = dict(parse_qsl(urlsplit(request.url).query))
        assert asked["shipFromPartyId"] == "ABCD"
        assert asked["limit"] == "100"
        day = asked["createdBefore"][:10]
        numbers = [f"{day} last"] if "nextToken" in asked else [seam[day], day]
        page: dict[str, Any] = {"orders": [{"purchaseOrderNumber": one} for one in numbers]}
        if "nextToken" not in asked:
            page["pagination"] = {"nextToken": "t"}
        return wrapped(version, json.dumps(page).encode())

    async def use(client: VendorOrdersClient) -> list[str]:
        return [
            order.purchase_order_number
            async for order in client.direct_fulfillment.iter_orders(
                created_after=START, created_before=START + 3 * WEEK, ship_from_party_id="ABCD"
            )
        ]

    numbers = ask(version, use, transport=FakeTransport(amazon))

    first, second, third, fourth = ([day, f"{day} last"] for day in days)

    assert numbers == ["a", *first, *second, "b", *third, *fourth]


def test_a_range_ends_two_minutes_ago() -> None:
    """Unless its end is given; the error for a late start says so."""

    async def late(client: VendorOrdersClient) -> None:
        async for _ in client.direct_fulfillment.iter_orders(created_after=virtual_now()):
            pass

    with pytest.raises(InvalidArgument, match="two minutes ago unless it is given"):
        ask("v1", late)
    with pytest.raises(InvalidArgument, match=r"bounded by created_after and the _before"):
        ask("v1", lambda client: _first(client, None))


async def _first(client: VendorOrdersClient, after: Any) -> None:
    async for _ in client.direct_fulfillment.iter_orders(created_after=after):
        return


@pytest.mark.parametrize("version", ["v2", "2021", ""])
def test_another_version_is_refused(version: str) -> None:
    """By the client, before anything is opened."""
    with pytest.raises(InvalidArgument, match="v1, 2021-12-28"):
        VendorOrdersClient(an_account(), direct_fulfillment_version=version)


async def test_many_clients_have_one_version() -> None:
    """The one that `open_clients` was given."""
    accounts = [an_account("germany"), an_account("france")]
    async with (
        Transport() as transport,
        open_clients(
            accounts, direct_fulfillment_version="2021-12-28", transport=transport
        ) as clients,
    ):
        shown = [repr(client.direct_fulfillment) for client in clients]

    assert shown == [
        "<DirectFulfillment germany 2021-12-28>",
        "<DirectFulfillment france 2021-12-28>",
    ]


CANARIES = ("Canary", "Kanarienweg", "+49 000", "with love")
ORDER = sample("getOrder-2021-12-28", "200.json")
BROKEN = ORDER.replace(b'"amount": 2', b'"amount": "Canary"')
CASES: dict[str, bytes] = {
    "wrong kind": BROKEN,
    "broken text": ORDER.replace("Ødegaard".encode(), b"\xff"),
    "not json": ORDER.replace(b'"amount": 2', b'"amount": NaN'),
    "cut": ORDER[:-30],
    "no number": ORDER.replace(b'"purchaseOrderNumber"', b'"poNumber"'),
    "odd date": ORDER.replace(b"2026-01-01T13:51:00Z", b"Kanarienweg 7"),
    "a text for an order": b'"Canary Kanarienweg"',
    "a list": b'[{"name": "Canary"}]',
}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("is_page", [True, False], ids=["page", "order"])
def test_no_error_tells_who_the_customer_is(
    version: str, case: str, is_page: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Its bytes are in *body*, for who looks there; no words, log or pickle show them."""
    caplog.set_level(logging.DEBUG)
    body = b'{"orders": [%s]}' % CASES[case] if is_page else CASES[case]

    async def use(client: VendorOrdersClient) -> object:
        if is_page:
            return await client.direct_fulfillment.get_orders(
                created_after=START, created_before=START + WEEK
            )
        return await client.direct_fulfillment.get_order(NUMBER)

    with pytest.raises(DecodeError) as caught:
        ask(version, use, wrapped(version, body))
    error = caught.value
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    shown = f"{error} {error!r} {again} {again!r} {error.__cause__!r} {caplog.text}"

    assert "germany" in str(error)
    assert again.body == error.body
    assert not [one for one in CANARIES if one in shown]
    assert [one for one in CANARIES if one.encode() in error.body]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_bad_order_goes_to_whom_it_was_given_to(version: str) -> None:
    """The iteration goes on, and the error is as discreet."""
    bad: list[DecodeError] = []
    rows = b'{"orders": [%s, {"purchaseOrderNumber": "B"}]}' % BROKEN

    async def use(client: VendorOrdersClient) -> list[str]:
        return [
            order.purchase_order_number
            async for order in client.direct_fulfillment.iter_orders(
                created_after=START,
                created_before=START + timedelta(days=1),
                on_undecodable=bad.append,
            )
        ]

    numbers = ask(version, use, wrapped(version, rows))
    [error] = bad

    assert numbers == ["B"]
    assert (error.purchase_order_number, error.operation) == (NUMBER, "getOrders")
    assert "Canary" not in f"{error} {error!r}"


@pytest.mark.parametrize("version", VERSIONS)
def test_refusals_are_what_they_are(version: str) -> None:
    """In both versions errors come alike."""
    body = b'{"errors": [{"code": "NotFound", "message": "no such order"}]}'
    with pytest.raises(NotFound, match="getOrder for germany: NotFound: no such order"):
        ask(
            version,
            lambda client: client.direct_fulfillment.get_order(NUMBER),
            Answer(404, {}, body),
        )
    with pytest.raises(RequestError, match="no such order"):  # a success that is none
        ask(
            version,
            lambda client: client.direct_fulfillment.get_order(NUMBER),
            Answer(200, {}, body),
        )
