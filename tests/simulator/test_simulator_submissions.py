"""Acknowledgements over HTTP: what they do, when, and what is told of it."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import aiohttp
import pytest
from plain_caller import NOON, PlainCaller, plain_caller

from vendororders_async.errors import InvalidArgument

RETAIL = "/vendor/orders/v1/acknowledgements"
RETAIL_TRANSACTIONS = "/vendor/transactions/v1/transactions"
DIRECT = "/vendor/directFulfillment/orders/{}/acknowledgements"
DIRECT_TRANSACTIONS = "/vendor/directFulfillment/transactions/{}/transactions"
VERSIONS = ["v1", "2021-12-28"]
EACHES = {"amount": 10, "unitOfMeasure": "Eaches", "unitSize": 1}


def order(number: str = "1PLACED1", lines: int = 2) -> dict[str, Any]:
    """Return a retail order that was placed this morning."""
    return {
        "purchaseOrderNumber": number,
        "purchaseOrderState": "New",
        "orderDetails": {
            "purchaseOrderDate": "2026-06-10T06:00:00Z",
            "purchaseOrderStateChangedDate": "2026-06-10T06:00:00Z",
            "items": [
                {"itemSequenceNumber": str(position), "orderedQuantity": EACHES}
                for position in range(1, lines + 1)
            ],
        },
    }


def direct_order(number: str = "DPLACED1") -> dict[str, Any]:
    """Return a Direct Fulfillment order of two lines."""
    return {
        "purchaseOrderNumber": number,
        "orderDetails": {
            "orderDate": "2026-06-10T06:00:00Z",
            "orderStatus": "NEW",
            "items": [
                {
                    "itemSequenceNumber": position,
                    "orderedQuantity": {"amount": 2, "unitOfMeasure": "EACH"},
                }
                for position in ("1", "2")
            ],
        },
    }


def answer(
    number: str = "1PLACED1", *, code: str = "Accepted", lines: tuple[str, ...] = ("1", "2")
) -> dict[str, Any]:
    """Return a retail acknowledgement that says the same of all *lines*."""
    return {
        "purchaseOrderNumber": number,
        "sellingParty": {"partyId": "V1"},
        "acknowledgementDate": "2026-06-10T12:00:00Z",
        "items": [
            {
                "itemSequenceNumber": position,
                "orderedQuantity": EACHES,
                "netCost": {"currencyCode": "EUR", "amount": "1.10"},
                "itemAcknowledgements": [
                    {"acknowledgementCode": code, "acknowledgedQuantity": EACHES}
                ],
            }
            for position in lines
        ],
    }


def direct_answer(
    number: str = "DPLACED1", *, code: str = "00", amounts: tuple[int, ...] = (2, 2)
) -> dict[str, Any]:
    """Return a Direct Fulfillment acknowledgement."""
    return {
        "purchaseOrderNumber": number,
        "vendorOrderNumber": "ABC",
        "acknowledgementDate": "2026-06-10T12:00:00Z",
        "acknowledgementStatus": {"code": code, "description": "as it says"},
        "sellingParty": {"partyId": "V1"},
        "shipFromParty": {"partyId": "W1"},
        "itemAcknowledgements": [
            {
                "itemSequenceNumber": str(position),
                "acknowledgedQuantity": {"amount": amount, "unitOfMeasure": "EACH"},
            }
            for position, amount in enumerate(amounts, 1)
        ],
    }


async def submit(caller: PlainCaller, *answers: dict[str, Any]) -> str:
    """Submit retail acknowledgements, and return the transaction's id."""
    reply = await caller.post(RETAIL, {"acknowledgements": list(answers)})
    assert reply.status == 202
    return str(reply.data["payload"]["transactionId"])


async def submit_direct(
    caller: PlainCaller, *answers: dict[str, Any], version: str = "v1"
) -> str:
    """Submit Direct Fulfillment acknowledgements, and return the transaction's id."""
    body = {"orderAcknowledgements": list(answers)}
    reply = await caller.post(DIRECT.format(version), body)
    assert reply.status == 202
    data = reply.data["payload"] if version == "v1" else reply.data
    assert list(data) == ["transactionId"]
    return str(data["transactionId"])


async def told(caller: PlainCaller, identifier: str, version: str = "") -> dict[str, Any]:
    """Return what a transaction is said to be."""
    path = DIRECT_TRANSACTIONS.format(version) if version else RETAIL_TRANSACTIONS
    data = (await caller.get(f"{path}/{identifier}")).data
    status = data if version == "2021-12-28" else data["payload"]
    return dict(status["transactionStatus"])


def state(caller: PlainCaller, number: str = "1PLACED1") -> str:
    """Return the state that an order is in."""
    document = json.loads(caller.simulator.truth("demo")[number])
    return str(document["purchaseOrderState"])


def direct_state(caller: PlainCaller, number: str = "DPLACED1") -> str:
    """Return the status that a Direct Fulfillment order has."""
    document = json.loads(caller.simulator.direct_fulfillment_truth("demo")[number])
    return str(document["orderDetails"]["orderStatus"])


def words(caller: PlainCaller, number: str = "1PLACED1") -> list[str]:
    """Return the confirmation of each line."""
    status = json.loads(caller.simulator.status_truth("demo")[number])
    return [one["acknowledgementStatus"]["confirmationStatus"] for one in status["itemStatus"]]


# Retail


async def test_an_acknowledgement_takes_effect_at_once_by_default() -> None:
    """Order and status are changed before the 202 is there."""
    async with plain_caller() as caller:
        caller.simulator.put_order("demo", order())
        identifier = await submit(caller, answer(lines=("1",)))
        [one] = caller.simulator.acknowledgements

        assert (state(caller), words(caller)) == ("Acknowledged", ["ACCEPTED", "REJECTED"])
        assert await told(caller, identifier) == {
            "transactionId": identifier,
            "status": "Processing",
        }
    assert (one.account, one.api, one.transaction_id) == ("demo", "retail", identifier)
    assert (one.arrived_at, one.took_effect, one.unknown) == (NOON, True, ())


async def test_an_acknowledgement_can_take_time() -> None:
    """Until then nothing shows, then everything does, as of when it took effect."""
    async with plain_caller(acknowledge_seconds=900.0) as caller:
        caller.simulator.put_order("demo", order())
        identifier = await submit(caller, answer())
        before = state(caller), await told(caller, identifier)
        pending = caller.simulator.acknowledgements[0].took_effect
        caller.wait(minutes=16)
        updated = await caller.get(
            "/vendor/orders/v1/purchaseOrdersStatus",
            updatedAfter="2026-06-10T12:14:00Z",
            updatedBefore="2026-06-10T12:16:00Z",
        )
        after = state(caller), await told(caller, identifier)
        done = caller.simulator.acknowledgements[0].took_effect

    assert (before[0], after[0]) == ("New", "Acknowledged")
    assert before[1]["status"] == after[1]["status"] == "Processing"
    assert (pending, done) == (False, True)
    [status] = updated.data["payload"]["ordersStatus"]
    assert status["lastUpdatedDate"] == "2026-06-10T12:15:00Z"


async def test_a_transaction_can_be_unknown_for_a_while() -> None:
    """It is a 404 until it is visible, and another account's for ever."""
    async with plain_caller(transaction_visible_seconds=60.0, accounts=2) as caller:
        identifier = await submit(caller, answer())
        path = f"{RETAIL_TRANSACTIONS}/{identifier}"
        early = await caller.get(path)
        caller.wait(seconds=60)
        late = await caller.get(path)
        foreign = await caller.get(path, token=caller.tokens[1])

    assert (early.status, late.status, foreign.status) == (404, 200, 404)


async def test_failures_come_by_chance_and_have_no_effect() -> None:
    """At about their share, the same for the same seed, with code and message only."""
    runs = []
    for _ in range(2):
        async with plain_caller(transaction_failures=0.3, acknowledge_seconds=60.0) as caller:
            numbers = [f"1PLACE{position:02d}" for position in range(40)]
            for number in numbers:
                caller.simulator.put_order("demo", order(number))
            identifiers = [await submit(caller, answer(number)) for number in numbers]
            early = {(await told(caller, one))["status"] for one in identifiers}
            caller.wait(minutes=2)
            late = [await told(caller, one) for one in identifiers]
            states = [state(caller, number) for number in numbers]
        failed = [one["status"] == "Failure" for one in late]
        runs.append(failed)

        assert early == {"Processing"}
        assert states == ["New" if one else "Acknowledged" for one in failed]
        assert all(
            {*error} == {"code", "message"} for one in late for error in one.get("errors", ())
        )
    assert runs[0] == runs[1]
    assert 4 <= sum(runs[0]) <= 20


async def test_an_unknown_order_fails_the_transaction_and_not_the_others() -> None:
    """Another account's order is unknown as well."""
    async with plain_caller(accounts=2) as caller:
        caller.simulator.put_order("demo-1", order())
        caller.simulator.put_order("demo-2", order("1FOREIGN"))
        identifier = await submit(caller, answer("1FOREIGN"), answer(), answer("1NOWHERE"))
        status = await told(caller, identifier)
        [one] = caller.simulator.acknowledgements
        mine = json.loads(caller.simulator.truth("demo-1")["1PLACED1"])
        foreign = json.loads(caller.simulator.truth("demo-2")["1FOREIGN"])

    assert status["status"] == "Failure"
    assert len(status["errors"]) == 2
    assert (one.unknown, one.applied) == (("1FOREIGN", "1NOWHERE"), ("1PLACED1",))
    assert mine["purchaseOrderState"] == "Acknowledged"
    assert foreign["purchaseOrderState"] == "New"


async def test_what_is_misspelt_is_taken_and_does_nothing() -> None:
    """A 202, a transaction that never fails, and an order that stays new."""
    async with plain_caller() as caller:
        caller.simulator.put_order("demo", order())
        identifier = await submit(caller, answer(code="ACCEPTED"))
        status = await told(caller, identifier)
        [one] = caller.simulator.acknowledgements

        assert state(caller) == "New"
    assert status["status"] == "Processing"
    assert not one.took_effect


async def test_a_line_that_amazon_adds_later_is_not_rejected_by_an_update() -> None:
    """Only the first acknowledgement has to name every line."""
    async with plain_caller() as caller:
        caller.simulator.put_order("demo", order(lines=2))
        await submit(caller, answer())
        document = json.loads(caller.simulator.status_truth("demo")["1PLACED1"])
        new_line = document["itemStatus"][0] | {
            "itemSequenceNumber": "3",
            "acknowledgementStatus": {"confirmationStatus": "UNCONFIRMED"},
        }
        document["itemStatus"].append(new_line)
        acknowledged = order(lines=3) | {"purchaseOrderState": "Acknowledged"}
        caller.simulator.put_order("demo", acknowledged, status=document)
        caller.wait(hours=1)
        await submit(caller, answer(code="Rejected", lines=("1",)))

        assert words(caller) == ["REJECTED", "ACCEPTED", "UNCONFIRMED"]


async def test_ids_come_both_ways_round() -> None:
    """The time first, or last: nobody can read anything into them."""
    async with plain_caller() as caller:
        identifiers = [await submit(caller, answer()) for _ in range(60)]

    first = [one for one in identifiers if one.startswith("20260610120000-")]
    last = [one for one in identifiers if one.endswith("-20260610120000")]
    assert len(first) + len(last) == len(set(identifiers)) == 60
    assert 5 <= len(last) < len(first)


@pytest.mark.parametrize("path", [RETAIL, DIRECT.format("v1")])
@pytest.mark.parametrize("size", [5_000, 2_000_000])
async def test_a_body_can_be_too_large(path: str, size: int) -> None:
    """A 413, with an errors body, also far above the limit."""
    async with plain_caller(largest_body=4_000) as caller:
        reply = await caller.post(path, {"acknowledgements": "x" * size})
        after = await caller.get("/vendor/orders/v1/purchaseOrders")

    assert (reply.status, after.status) == (413, 200)
    assert set(reply.data["errors"][0]) == {"code", "message", "details"}
    assert caller.simulator.acknowledgements == ()


async def test_a_large_limit_is_really_one() -> None:
    """No other limit of the server's comes before it."""
    async with plain_caller(largest_body=10_000_000) as caller:
        padded = answer() | {"padding": "x" * 2_000_000}

        assert await submit(caller, padded)


@pytest.mark.parametrize(
    ("kind", "status", "has_effect"),
    [
        ("500", 500, False),
        ("503", 503, False),
        ("429", 429, False),
        ("403", 403, False),
        ("html", 503, False),
        ("reset", None, True),
        ("reset-before", None, False),
        ("500-after", 500, True),
        ("empty", 202, True),
    ],
)
@pytest.mark.parametrize("api", ["retail", "direct"])
async def test_a_failure_leaves_a_submission_done_or_not(
    api: str, kind: str, status: int | None, has_effect: bool
) -> None:
    """The client cannot tell which; the simulator can."""
    async with plain_caller() as caller:
        caller.simulator.put_order("demo", order())
        caller.simulator.put_direct_fulfillment_order("demo", direct_order())
        if api == "retail":
            operation = "submitAcknowledgement"
            path, body = RETAIL, {"acknowledgements": [answer()]}
        else:
            operation = "submitDirectFulfillmentAcknowledgement"
            path, body = DIRECT.format("v1"), {"orderAcknowledgements": [direct_answer()]}
        caller.simulator.inject(operation, kind)
        if status is None:
            with pytest.raises(aiohttp.ClientOSError):
                await caller.post(path, body)
        else:
            assert (await caller.post(path, body)).status == status
        is_done = state(caller) != "New" or direct_state(caller) != "NEW"

    assert is_done is has_effect
    assert len(caller.simulator.acknowledgements) == has_effect
    assert caller.simulator.traffic.count(operation=operation, status=status or 0) == 1


@pytest.mark.parametrize("kind", ["reset-before", "500-after"])
async def test_the_new_failures_befall_reads_as_well(kind: str) -> None:
    """There is no difference to the old ones."""
    async with plain_caller() as caller:
        caller.simulator.inject("getPurchaseOrders", kind, times=2)
        if kind == "reset-before":
            with pytest.raises(aiohttp.ClientOSError):
                await caller.get("/vendor/orders/v1/purchaseOrders")
        else:
            reply = await caller.get("/vendor/orders/v1/purchaseOrders")
            assert reply.status == 500


# Behind the client's back


async def test_somebody_can_acknowledge_in_vendor_central() -> None:
    """The order changes, and there is no submission and no transaction."""
    async with plain_caller() as caller:
        caller.simulator.put_order("demo", order(lines=3))
        caller.simulator.acknowledge("demo", "1PLACED1", {"1": 10, "2": 4})
        status = json.loads(caller.simulator.status_truth("demo")["1PLACED1"])
        accepted = [
            one["acknowledgementStatus"]["acceptedQuantity"]["amount"]
            for one in status["itemStatus"]
        ]

        assert words(caller) == ["ACCEPTED", "PARTIALLY_ACCEPTED", "REJECTED"]
        assert (accepted, state(caller)) == ([10, 4, 0], "Acknowledged")
        assert status["lastUpdatedDate"] == "2026-06-10T12:00:00Z"
        assert caller.simulator.acknowledgements == ()


async def test_vendor_central_has_the_same_rules() -> None:
    """What can no longer change is an error, so that no test believes it did."""
    async with plain_caller(orders=5, days=30) as caller:
        caller.simulator.put_order("demo", order())
        caller.simulator.acknowledge("demo", "1PLACED1")
        late = NOON + timedelta(days=3)
        with pytest.raises(InvalidArgument, match="'1PLACED1' cannot be changed like this"):
            caller.simulator.acknowledge("demo", "1PLACED1", {"1": 0}, at=late)
        with pytest.raises(InvalidArgument, match="has no order 'NOSUCHPO'"):
            caller.simulator.acknowledge("demo", "NOSUCHPO")


# Direct Fulfillment


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("code", "expected"), [("00", "ACCEPTED"), ("03", "CANCELLED")])
async def test_a_direct_fulfillment_order_is_accepted_or_cancelled(
    version: str, code: str, expected: str
) -> None:
    """By its code, and the transaction becomes a success, in the envelope of its version."""
    async with plain_caller(acknowledge_seconds=30.0) as caller:
        caller.simulator.put_direct_fulfillment_order("demo", direct_order())
        identifier = await submit_direct(caller, direct_answer(code=code), version=version)
        before = direct_state(caller), await told(caller, identifier, version)
        caller.wait(seconds=31)
        after = direct_state(caller), await told(caller, identifier, version)
        retail = await caller.get(f"{RETAIL_TRANSACTIONS}/{identifier}")
        [one] = caller.simulator.acknowledgements

    assert before == ("NEW", {"transactionId": identifier, "status": "Processing"})
    assert after == (expected, {"transactionId": identifier, "status": "Success"})
    assert retail.status == 404
    assert (one.api, one.took_effect) == ("direct_fulfillment", True)


@pytest.mark.parametrize("amounts", [(2,), (2, 1), (2, 3)])
async def test_a_direct_fulfillment_order_is_not_shipped_in_parts(
    amounts: tuple[int, ...],
) -> None:
    """A line that is missing or not whole fails the transaction, and nothing happens."""
    async with plain_caller() as caller:
        caller.simulator.put_direct_fulfillment_order("demo", direct_order())
        identifier = await submit_direct(caller, direct_answer(amounts=amounts))
        status = await told(caller, identifier, "v1")

        assert direct_state(caller) == "NEW"
    assert status["status"] == "Failure"
    assert set(status["errors"][0]) == {"code", "message"}


@pytest.mark.parametrize(
    ("current", "code", "expected", "word"),
    [
        ("NEW", "03", "CANCELLED", "Success"),
        ("ACCEPTED", "00", "ACCEPTED", "Success"),
        ("ACCEPTED", "03", "CANCELLED", "Success"),
        ("CANCELLED", "03", "CANCELLED", "Success"),
        ("CANCELLED", "00", "CANCELLED", "Failure"),
        ("SHIPPED", "00", "SHIPPED", "Success"),
        ("SHIPPED", "03", "SHIPPED", "Failure"),
    ],
)
async def test_what_is_settled_stays_so(
    current: str, code: str, expected: str, word: str
) -> None:
    """A shipped or cancelled order is not turned round."""
    placed = direct_order()
    placed["orderDetails"]["orderStatus"] = current
    async with plain_caller() as caller:
        caller.simulator.put_direct_fulfillment_order("demo", placed)
        identifier = await submit_direct(caller, direct_answer(code=code))
        status = await told(caller, identifier, "v1")

        assert (direct_state(caller), status["status"]) == (expected, word)


async def test_an_unknown_direct_fulfillment_order_fails() -> None:
    """A retail order of that number is none of these."""
    async with plain_caller() as caller:
        caller.simulator.put_order("demo", order())
        identifier = await submit_direct(caller, direct_answer("1PLACED1"))
        status = await told(caller, identifier, "v1")

        assert (status["status"], state(caller)) == ("Failure", "New")


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ({}, "content of element 'orderAcknowledgements' is not complete"),
        ({"acknowledgements": []}, "One of '{orderAcknowledgements}' is expected."),
        ({"orderAcknowledgements": [{}]}, "One of '{purchaseOrderNumber}' is expected."),
        (
            {"orderAcknowledgements": [direct_answer() | {"sellingParty": {}}]},
            "The content of element 'sellingParty' is not complete",
        ),
        (
            {"orderAcknowledgements": [direct_answer() | {"acknowledgementStatus": {}}]},
            "One of '{code}' is expected.",
        ),
        (
            {"orderAcknowledgements": [direct_answer(amounts=())]},
            "content of element 'itemAcknowledgements' is not complete",
        ),
    ],
)
@pytest.mark.parametrize("version", VERSIONS)
async def test_an_incomplete_body_is_refused(
    version: str, body: object, complaint: str
) -> None:
    """In the words of a schema, as retail's are."""
    async with plain_caller() as caller:
        reply = await caller.post(DIRECT.format(version), body)

    assert reply.status == 400
    assert complaint in reply.data["errors"][0]["message"]
    assert caller.simulator.acknowledgements == ()
