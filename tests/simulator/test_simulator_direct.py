"""Direct Fulfillment in the simulator: both versions of its orders, and its own rules."""

from __future__ import annotations

import json
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from plain_caller import NOON, PlainCaller, plain_caller

from vendororders_async.clock import parse_instant
from vendororders_async.errors import InvalidArgument
from vendororders_async.simulator import Settings, Simulator

VERSIONS = ["v1", "2021-12-28"]
WEEK = {"createdAfter": "2026-06-03T12:00:00Z", "createdBefore": "2026-06-10T12:00:00Z"}
ORDER = {
    "purchaseOrderNumber": "DPLACED1",
    "orderDetails": {
        "orderDate": "2026-06-10T09:00:00Z",
        "hasCustomizableItems": True,
        "items": [
            {"itemSequenceNumber": "1", "buyerCustomizedInfo": {"customizedUrl": "eA=="}}
        ],
    },
}


def orders_path(version: str) -> str:
    """Return where the orders of that version are."""
    return f"/vendor/directFulfillment/orders/{version}/purchaseOrders"


def simulator(**settings: Any) -> Simulator:
    """Return a simulator at noon."""
    return Simulator(Settings(orders=0, **settings), now=lambda: NOON)


async def read_all(caller: PlainCaller, version: str, **query: str) -> list[dict[str, Any]]:
    """Return the orders of the last week, page by page."""
    orders: list[dict[str, Any]] = []
    token: str | None = ""
    while token is not None:
        more = {"nextToken": token} if token else {}
        reply = await caller.get(orders_path(version), **WEEK, **query, **more)
        body = reply.data["payload"] if version == "v1" else reply.data
        orders += body["orders"]
        token = body.get("pagination", {}).get("nextToken")
    return orders


@pytest.mark.parametrize("version", VERSIONS)
async def test_pages_hold_the_truth(version: str) -> None:
    """Every order of the window comes once, as the bytes that are said to be true."""
    async with plain_caller(direct_fulfillment_orders=400, days=30) as caller:
        orders = await read_all(caller, version, limit="10")
        truth = caller.simulator.direct_fulfillment_truth(
            "demo", version, after=NOON - timedelta(days=7)
        )

    assert len(orders) == len(truth) > 30
    assert {one["purchaseOrderNumber"]: one for one in orders} == {
        number: json.loads(document) for number, document in truth.items()
    }


@pytest.mark.parametrize("version", VERSIONS)
async def test_one_order_has_the_envelope_of_its_version(version: str) -> None:
    """v1 has a payload around everything and 2021-12-28 nothing."""
    async with plain_caller(direct_fulfillment_orders=20, days=5) as caller:
        number, document = next(
            iter(caller.simulator.direct_fulfillment_truth("demo", version).items())
        )
        reply = await caller.get(f"{orders_path(version)}/{number}")
        missing = await caller.get(f"{orders_path(version)}/NOSUCHPO")
        retail = await caller.get(f"/vendor/orders/v1/purchaseOrders/{number}")

    assert reply.body == (b'{"payload":%b}' % document if version == "v1" else document)
    assert (missing.status, retail.status) == (404, 404)
    assert missing.data["errors"][0]["code"] == "ResourceNotFound"


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("missing", sorted(WEEK))
async def test_both_bounds_are_required(version: str, missing: str) -> None:
    """Unlike retail's, this list is a 400 without one of them."""
    query = {name: value for name, value in WEEK.items() if name != missing}
    async with plain_caller() as caller:
        reply = await caller.get(orders_path(version), **query)

    assert reply.status == 400
    assert missing in reply.data["errors"][0]["details"]


@pytest.mark.parametrize(
    "query",
    [
        {"createdAfter": "2026-06-03T11:59:59Z", "createdBefore": "2026-06-10T12:00:00Z"},
        {"createdAfter": "2025-12-01T00:00:00Z", "createdBefore": "2025-12-02T00:00:00Z"},
        WEEK | {"status": "New"},
        WEEK | {"limit": "101"},
        WEEK | {"nextToken": "invented"},
    ],
    ids=["over 7 days", "over 6 months", "no status", "limit", "token"],
)
async def test_what_retail_refuses_is_refused(query: dict[str, str]) -> None:
    """Windows, values and tokens have the same limits."""
    async with plain_caller() as caller:
        reply = await caller.get(orders_path("v1"), **query)

    assert reply.status == 400


async def test_filters_narrow_the_list() -> None:
    """By status and by warehouse; without details there are only numbers."""
    async with plain_caller(direct_fulfillment_orders=200, days=20) as caller:
        everything = await read_all(caller, "v1")
        accepted = await read_all(caller, "v1", status="ACCEPTED")
        here = await read_all(caller, "v1", shipFromPartyId="W000X")
        bare = await read_all(caller, "v1", includeDetails="false", sortOrder="DESC")

    details = [one["orderDetails"] for one in everything]
    assert 0 < len(accepted) == sum(one["orderStatus"] == "ACCEPTED" for one in details)
    assert 0 < len(here) == sum(one["shipFromParty"]["partyId"] == "W000X" for one in details)
    assert bare == [
        {"purchaseOrderNumber": one["purchaseOrderNumber"]} for one in reversed(everything)
    ]


async def test_a_next_token_belongs_to_its_version() -> None:
    """The other version does not know it."""
    async with plain_caller(direct_fulfillment_orders=200, days=20) as caller:
        first = await caller.get(orders_path("v1"), **WEEK, limit="2")
        token = first.data["payload"]["pagination"]["nextToken"]
        same = await caller.get(orders_path("v1"), **WEEK, limit="2", nextToken=token)
        other = await caller.get(orders_path("2021-12-28"), **WEEK, limit="2", nextToken=token)

    assert (same.status, other.status) == (200, 400)


async def test_the_same_question_to_both_versions_has_two_answers() -> None:
    """A page that was built for one is not served by the other."""
    async with plain_caller(direct_fulfillment_orders=50, days=5) as caller:
        old, new = [await caller.get(orders_path(one), **WEEK) for one in VERSIONS]

    assert list(old.data) == ["payload"]
    assert list(new.data) == ["orders"]
    assert b"hasCustomizableItems" not in old.body


async def test_both_versions_share_a_bucket_that_retail_does_not_touch() -> None:
    """The usage plan is of the operation."""
    async with plain_caller(rate=0.001, burst=2.0) as caller:
        await caller.get("/vendor/orders/v1/purchaseOrders")
        asked = ["v1", "2021-12-28", "v1", "2021-12-28"]
        replies = [await caller.get(orders_path(one), **WEEK) for one in asked]
        counted = caller.simulator.traffic.throttled(operation="getOrders")

    assert [one.status for one in replies] == [200, 200, 429, 429]
    assert counted == 2


@pytest.mark.parametrize("kind", ["500", "bad-order:missing-number"])
async def test_faults_befall_it_as_well(kind: str) -> None:
    """Scripts know the operations by name."""
    async with plain_caller(direct_fulfillment_orders=50, days=5) as caller:
        good = await caller.get(orders_path("v1"), **WEEK)
        script = caller.simulator.inject("getOrders", kind)
        bad = await caller.get(orders_path("v1"), **WEEK)

    assert script.fired == 1
    assert bad.body != good.body


# The data


@pytest.fixture(scope="module")
def orders() -> list[dict[str, Any]]:
    """Return 600 decoded orders of 2021-12-28."""
    documents = simulator(direct_fulfillment_orders=600).direct_fulfillment_truth(
        "demo", "2021-12-28"
    )
    return [json.loads(one) for one in documents.values()]


def names_of(value: object, at: str = "") -> set[str]:
    """Return every path of names in a document."""
    if isinstance(value, list):
        return {name for one in value for name in names_of(one, at)}
    if not isinstance(value, dict):
        return set()
    return {
        path
        for name, inner in value.items()
        for path in ({f"{at}.{name}"} | names_of(inner, f"{at}.{name}"))
    }


def test_every_field_of_the_model_occurs(orders: list[dict[str, Any]]) -> None:
    """Whoever decodes all of them has seen all of the model."""
    found = {path.rpartition(".")[2] for path in names_of(orders)}
    address = "name attention addressLine1 addressLine2 addressLine3 city county district"
    rest = """stateOrRegion postalCode countryCode phone
        customerOrderNumber orderDate orderStatus shipmentDetails taxTotal sellingParty
        shipFromParty shipToParty billToParty hasCustomizableItems items partyId address taxInfo
        taxRegistrationType taxRegistrationNumber taxRegistrationAddress
        taxRegistrationMessages isPriorityShipment isScheduledDeliveryShipment isPslipRequired
        isGift shipMethod shipmentDates requiredShipDate promisedDeliveryDate messageToCustomer
        itemSequenceNumber buyerProductIdentifier vendorProductIdentifier title orderedQuantity
        scheduledDeliveryShipment scheduledDeliveryServiceType earliestNominatedDeliveryDate
        latestNominatedDeliveryDate giftDetails giftMessage giftWrapId netPrice taxDetails
        taxLineItem taxRate taxAmount taxableAmount type totalPrice buyerCustomizedInfo
        customizedUrl amount unitOfMeasure currencyCode"""

    assert {*address.split(), *rest.split()} - found == set()


def test_customization_is_new_in_the_second_version() -> None:
    """Nothing else tells the documents of the versions apart."""
    served = simulator(direct_fulfillment_orders=300)
    old, new = (served.direct_fulfillment_truth("demo", version) for version in VERSIONS)
    extra = names_of([json.loads(one) for one in new.values()]) - names_of(
        [json.loads(one) for one in old.values()]
    )

    assert {path.rpartition(".")[2] for path in extra} == {
        "hasCustomizableItems",
        "buyerCustomizedInfo",
        "customizedUrl",
    }


def test_people_can_be_searched_for() -> None:
    """Every order has a Canary of its own, across accounts, and no retail order has any."""
    served = Simulator(
        Settings(orders=100, direct_fulfillment_orders=100, accounts=3), now=lambda: NOON
    )
    people: Counter[str] = Counter()
    for account in served.accounts:
        for document in served.direct_fulfillment_truth(account.name).values():
            address = json.loads(document)["orderDetails"]["shipToParty"]
            people[address["name"]] += 1

            assert address["name"].startswith("Canary ")
            assert "Kanarienweg" in address["addressLine1"]
        retail = b"".join(served.truth(account.name).values())
        assert b"Canary" not in retail
        assert b"Kanarienweg" not in retail
    assert set(people.values()) == {1}
    assert any("Ødegaard" in name for name in people)


def test_orders_are_odd_unless_they_are_to_be_clean(orders: list[dict[str, Any]]) -> None:
    """EACH mostly and Each sometimes, and numbers where the model has texts."""
    clean = simulator(direct_fulfillment_orders=200, oddities=False)
    items = [item for order in orders for item in order["orderDetails"]["items"]]
    units = Counter(item["orderedQuantity"]["unitOfMeasure"] for item in items)
    kinds = {type(item["vendorProductIdentifier"]) for item in items}
    text = b"".join(clean.direct_fulfillment_truth("demo").values())

    assert units["EACH"] > 4 * units["Each"] > 0
    assert kinds == {int, str}
    assert b'"EACH"' not in text
    assert b'"vendorProductIdentifier":"' in text


def test_the_types_of_tax_are_those_of_the_model(orders: list[dict[str, Any]]) -> None:
    """All seven, each as it comes."""
    lines = [
        line
        for order in orders
        for line in order["orderDetails"].get("taxTotal", {}).get("taxLineItem", ())
    ]

    assert {line["type"] for line in lines} == {
        *("CONSUMPTION", "GST", "MwSt.", "PST", "TOTAL", "TVA", "VAT")
    }


def test_the_status_follows_age(orders: list[dict[str, Any]]) -> None:
    """The young are new, the old shipped, and a few cancelled."""
    by_age: dict[bool, Counter[str]] = {True: Counter(), False: Counter()}
    for order in orders:
        details = order["orderDetails"]
        is_old = parse_instant(details["orderDate"]) < NOON - timedelta(days=5)
        by_age[is_old][details["orderStatus"]] += 1

    assert set(by_age[True]) == {"SHIPPED", "CANCELLED"}
    assert by_age[False]["NEW"] > 0
    assert by_age[False]["ACCEPTED"] > 0


def test_retail_stays_what_it_is() -> None:
    """Direct Fulfillment takes no chance away from it."""
    without = Simulator(Settings(orders=200), now=lambda: NOON)
    beside = Simulator(Settings(orders=200, direct_fulfillment_orders=50), now=lambda: NOON)

    assert beside.truth("demo") == without.truth("demo")
    assert beside.status_truth("demo") == without.status_truth("demo")


# What a test may do


async def test_an_order_can_be_put_and_changed() -> None:
    """No date tells of a cancellation, and the list of its window shows it."""

    def cancel(order: dict[str, Any]) -> None:
        order["orderDetails"]["orderStatus"] = "CANCELLED"

    async with plain_caller() as caller:
        caller.simulator.put_direct_fulfillment_order("demo", ORDER)
        placed = await caller.get(f"{orders_path('2021-12-28')}/DPLACED1")
        old = await caller.get(f"{orders_path('v1')}/DPLACED1")
        caller.simulator.change_direct_fulfillment_order("demo", "DPLACED1", cancel)
        listed = await read_all(caller, "v1", status="CANCELLED")

    assert placed.data == ORDER
    assert old.data["payload"]["orderDetails"] == {
        "orderDate": "2026-06-10T09:00:00Z",
        "items": [{"itemSequenceNumber": "1"}],
    }
    assert [one["purchaseOrderNumber"] for one in listed] == ["DPLACED1"]


async def test_an_order_can_become_available_later() -> None:
    """Until then nobody sees it."""
    async with plain_caller() as caller:
        later = NOON + timedelta(hours=1)
        caller.simulator.put_direct_fulfillment_order("demo", ORDER, available_at=later)
        early = await caller.get(f"{orders_path('v1')}/DPLACED1")
        caller.wait(hours=1)
        late = await caller.get(f"{orders_path('v1')}/DPLACED1")
        available = caller.simulator.available_at("demo", "DPLACED1")

    assert (early.status, late.status) == (404, 200)
    assert available == later


def test_what_cannot_be_an_order_is_named() -> None:
    """A typing error in a test is found at once."""
    served = simulator()
    with pytest.raises(InvalidArgument, match="purchaseOrderNumber and an orderDate"):
        served.put_direct_fulfillment_order("demo", {"purchaseOrderNumber": "D1"})
    with pytest.raises(InvalidArgument, match="demo has no order 'D1'"):
        served.change_direct_fulfillment_order("demo", "D1", dict.clear)
    with pytest.raises(InvalidArgument, match="demo has no order 'D1'"):
        served.available_at("demo", "D1")
