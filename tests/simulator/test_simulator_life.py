"""The simulator's life of its own: what happens, when, in which order, and what it leaves."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest
import virtual_time
from fakes import virtual_now
from in_process import InProcess

from vendororders_async import VendorOrdersClient
from vendororders_async.clock import parse_instant
from vendororders_async.simulator import Happening, Settings, Simulator
from vendororders_async.simulator.answers import Answer
from vendororders_async.simulator.judge import Request

START = datetime(2026, 6, 10, 12, tzinfo=UTC)
SETTINGS: dict[str, Any] = {
    "orders": 300,
    "direct_fulfillment_orders": 100,
    "arrivals_an_hour": 4.0,
    "burst": 1000.0,
    "direct_arrivals_an_hour": 3.0,
    "keep_happenings": True,
}
RETAIL, DIRECT = "retail", "direct_fulfillment"
CREATED = {"created", "created-late"}
# What tells of the past; windows, and days on which something is due, may lie ahead.
PAST = re.compile(
    r'"(?:purchaseOrder(?:State|Changed|StateChanged)?Date|lastUpdatedDate|updatedDate'
    r'|acknowledgementDate|lastReceiveDate|orderDate)":"([^"]+)"'
)


class World:
    """A simulator, and the hands of its clock."""

    def __init__(self, **settings: Any) -> None:
        self.at = START
        self.simulator = Simulator(Settings(**(SETTINGS | settings)), now=lambda: self.at)

    def after(self, **duration: float) -> Simulator:
        """Return the simulator when that much time has passed since the start."""
        self.at = START + timedelta(**duration)
        return self.simulator


def fates(happenings: Sequence[Happening], api: str) -> dict[str, list[str]]:
    """Return what happened to each order of *api* that was created, in order."""
    found: dict[str, list[str]] = defaultdict(list)
    for one in happenings:
        if one.api == api:
            found[one.number].append(one.kind)
    return {number: kinds for number, kinds in found.items() if CREATED & set(kinds)}


def pairs(simulator: Simulator) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Yield every retail order with its status."""
    statuses = simulator.status_truth("demo")
    for number, order in simulator.truth("demo").items():
        yield json.loads(order), json.loads(statuses[number])


def rejection(number: str) -> dict[str, Any]:
    """Return an acknowledgement that rejects five of the first line, and nothing else."""
    quantity = {"amount": 5, "unitOfMeasure": "Eaches", "unitSize": 1}
    part = {"acknowledgementCode": "Rejected", "acknowledgedQuantity": quantity}
    line = {
        "itemSequenceNumber": "1",
        "orderedQuantity": quantity,
        "netCost": {"currencyCode": "EUR", "amount": "1.10"},
        "itemAcknowledgements": [part],
    }
    return {
        "purchaseOrderNumber": number,
        "sellingParty": {"partyId": "V1"},
        "acknowledgementDate": "2026-06-10T12:00:00Z",
        "items": [line],
    }


def submit(simulator: Simulator, body: bytes) -> Answer:
    """Log in and submit *body* to retail, without HTTP."""
    [account] = simulator.accounts
    form = {"grant_type": "refresh_token"} | msgspec.to_builtins(account)
    login = Request(
        method="POST",
        path="/auth/o2/token",
        raw_query="",
        headers={"Content-Type": "application/x-www-form-urlencoded"},
        body=urlencode(form).encode(),
        at=0.0,
    )
    token = json.loads(simulator.judge.hear(login).answer.body)["access_token"]
    request = msgspec.structs.replace(
        login,
        path="/vendor/orders/v1/acknowledgements",
        headers={"Content-Type": "application/json", "x-amz-access-token": token},
        body=body,
    )
    return simulator.judge.hear(request).answer


@pytest.fixture(scope="module")
def month() -> Simulator:
    """Return a simulator after thirty days."""
    return World().after(days=30)


def test_nothing_happens_unless_orders_are_to_arrive() -> None:
    """Without a rate of arrivals, what is served a month later is what was served."""
    world = World(arrivals_an_hour=0.0, direct_arrivals_an_hour=0.0)
    before = world.after(days=1).truth("demo") | world.simulator.status_truth("demo")

    assert before == world.after(days=30).truth("demo") | world.simulator.status_truth("demo")
    assert list(world.simulator.happenings) == []


def test_orders_arrive_at_the_rate_that_was_asked_for(month: Simulator) -> None:
    """A month of four and three an hour, within what chance allows, and at any minute."""
    created = [one for one in month.happenings if one.kind in CREATED]
    by_api = Counter[str](one.api for one in created)
    minutes = Counter(one.at.minute for one in created)

    assert by_api[RETAIL] == pytest.approx(30 * 24 * 4, rel=0.06)
    assert by_api[DIRECT] == pytest.approx(30 * 24 * 3, rel=0.07)
    assert len(minutes) == 60
    assert min(minutes.values()) > len(created) / 60 / 2


def test_things_happen_to_about_the_shares_that_were_asked_for(month: Simulator) -> None:
    """A fiftieth is late, a fifth changes, a twentieth is cancelled; most of it is closed."""
    retail = fates(month.happenings, RETAIL)
    direct = fates(month.happenings, DIRECT)
    shares = Counter(kind for kinds in retail.values() for kind in set(kinds))
    changed = [kinds.count("changed") for kinds in retail.values() if "changed" in kinds]

    assert shares["created-late"] / len(retail) == pytest.approx(0.02, abs=0.01)
    assert shares["changed"] / len(retail) == pytest.approx(0.2, abs=0.03)
    assert shares["cancelled-line"] / len(retail) == pytest.approx(0.05, abs=0.02)
    assert shares["acknowledged"] / len(retail) > 0.95
    assert 0.4 < shares["closed"] / len(retail) < 0.8
    assert max(changed) > 2
    assert sum("cancelled" in kinds for kinds in direct.values()) / len(direct) > 0.03
    assert sum("shipped" in kinds for kinds in direct.values()) / len(direct) > 0.85


def test_the_same_happens_whatever_is_asked_meanwhile() -> None:
    """One leap over ten days, and a look at everything every five hours, end the same."""
    leaping, looking, other = World(), World(), World(seed=1)
    for hours in range(0, 240, 5):
        looking.after(hours=hours).truth("demo")
    leap, look = leaping.after(days=10), looking.after(days=10)

    assert list(leap.happenings) == list(look.happenings)
    assert leap.truth("demo") == look.truth("demo")
    assert leap.status_truth("demo") == look.status_truth("demo")
    assert leap.direct_fulfillment_truth("demo") == look.direct_fulfillment_truth("demo")
    assert list(other.after(days=10).happenings) != list(leap.happenings)


def test_accounts_live_lives_of_their_own() -> None:
    """What happens to one is not what happens to the other, and all of it is in order."""
    happenings = World(accounts=3).after(days=3).happenings
    numbers = {one.account: one.number for one in happenings if one.kind == "created"}

    assert len(set(numbers.values())) == 3
    assert [one.at for one in happenings] == sorted(one.at for one in happenings)


@pytest.mark.parametrize("hours", [1.0, 30.0, 100.0, 500.0])
def test_no_document_tells_of_the_future(hours: float) -> None:
    """Whenever one looks, every date of something that happened has passed."""
    simulator = World().after(hours=hours)
    documents = [
        *simulator.truth("demo").values(),
        *simulator.status_truth("demo").values(),
        *simulator.direct_fulfillment_truth("demo").values(),
    ]
    dates = {date for document in documents for date in PAST.findall(document.decode())}

    assert max(map(parse_instant, dates)) <= simulator.now()
    assert max(one.at for one in simulator.happenings) <= simulator.now()
    assert max(map(parse_instant, dates)) > simulator.now() - timedelta(hours=1)


def test_lives_are_legal(month: Simulator) -> None:
    """Acknowledged once, changed before goods arrive, and nothing after the end."""
    for kinds in fates(month.happenings, RETAIL).values():
        told = "".join(
            {"changed": "~", "cancelled-line": "~", "created-late": "c"}.get(kind, kind[0])
            for kind in kinds
        )

        assert re.fullmatch("c~*(a~*(p|p?rc?|c)?)?", told), kinds
    for kinds in fates(month.happenings, DIRECT).values():
        told = ",".join(kinds).removeprefix("created").removeprefix("-late")

        assert re.fullmatch("(,accepted)?(,cancelled)?|,accepted,shipped", told), kinds


def test_every_order_that_arrived_is_true(month: Simulator) -> None:
    """Those that were created are served, and in the state that they have reached."""
    ends = {"closed": "Closed", "received": "Acknowledged", "shipped": "SHIPPED"}
    truth = month.truth("demo") | month.direct_fulfillment_truth("demo")
    for api in (RETAIL, DIRECT):
        for number, kinds in fates(month.happenings, api).items():
            order = json.loads(truth[number])
            state = order.get("purchaseOrderState", order["orderDetails"].get("orderStatus"))

            assert ends.get(kinds[-1], state) == state


def test_orders_and_statuses_agree() -> None:
    """The same lines and quantities, answered and received no more than was ordered."""
    for order, status in pairs(World(oddities=False).after(days=20)):
        lines = status["itemStatus"]
        is_closed = order["purchaseOrderState"] == "Closed"

        assert (status["purchaseOrderStatus"] == "CLOSED") is is_closed
        for item, line in zip(order["orderDetails"]["items"], lines, strict=True):
            ordered = line["orderedQuantity"]
            answer = line["acknowledgementStatus"]
            steps = answer.get("acknowledgementStatusDetails", [])

            assert item["itemSequenceNumber"] == line["itemSequenceNumber"]
            assert item["netCost"] == line["netCost"]
            assert item["orderedQuantity"] == ordered["orderedQuantity"]
            assert item["orderedQuantity"]["amount"] == sum(
                part.get("orderedQuantity", {}).get("amount", 0)
                - part.get("cancelledQuantity", {}).get("amount", 0)
                for part in ordered["orderedQuantityDetails"]
            )
            if answer["confirmationStatus"] != "UNCONFIRMED":
                parts = ("acceptedQuantity", "rejectedQuantity")
                assert item["orderedQuantity"]["amount"] == sum(
                    answer[part]["amount"] for part in parts
                )
                assert all(
                    answer[part]["amount"] == sum(step[part]["amount"] for step in steps)
                    for part in parts
                )
                assert (
                    line["receivingStatus"]["receivedQuantity"]["amount"]
                    <= answer["acceptedQuantity"]["amount"]
                )


def test_every_kind_of_change_happens() -> None:
    """Between one look and the next, quantities, windows, costs and lines change."""
    world = World(oddities=False, changed_share=1.0)
    before = {order["purchaseOrderNumber"]: order for order, _ in pairs(world.after(hours=6))}
    changes: Counter[str] = Counter()
    for order, _ in pairs(world.after(hours=20)):
        old, new = before.get(order["purchaseOrderNumber"]), order["orderDetails"]
        if old is None or old == order:
            continue
        then = old["orderDetails"]
        changes["window"] += any(
            then.get(name) != new.get(name) for name in ("shipWindow", "deliveryWindow")
        )
        changes["line"] += len(new["items"]) > len(then["items"])
        for mine, theirs in zip(then["items"], new["items"], strict=False):
            amount = theirs["orderedQuantity"]["amount"]
            changes["cost"] += mine["netCost"] != theirs["netCost"]
            changes["less"] += 0 < amount < mine["orderedQuantity"]["amount"]
            changes["more"] += amount > mine["orderedQuantity"]["amount"]
            changes["none"] += 0 == amount < mine["orderedQuantity"]["amount"]

    assert set(changes) == {"window", "line", "cost", "less", "more", "none"}
    assert min(changes.values()) > 0


def test_dates_tell_what_happened_and_no_more() -> None:
    """A change moves the date of changes, a state its own, and goods the status alone."""
    settings = {"orders": 0, "oddities": False, "life_speed": 10.0, "changed_share": 0.8}
    happenings = World(**settings).after(days=3).happenings
    world = World(**settings)

    def dates(number: str) -> tuple[str | None, ...]:
        since = world.simulator.available_at("demo", number)
        then = {"after": since, "before": since + timedelta(seconds=1)}
        details = json.loads(world.simulator.truth("demo", **then)[number])["orderDetails"]
        status = json.loads(world.simulator.status_truth("demo", **then)[number])
        return (
            details.get("purchaseOrderChangedDate"),
            details["purchaseOrderStateChangedDate"],
            status["lastUpdatedDate"],
        )

    moved: dict[str, set[tuple[bool, ...]]] = defaultdict(set)
    for one in happenings:
        if one.api == RETAIL and one.kind not in CREATED:
            world.at = one.at - timedelta(microseconds=1)
            before = dates(one.number)
            world.at = one.at
            after = dates(one.number)
            moved[one.kind].add(tuple(a != b for a, b in zip(before, after, strict=True)))

            assert parse_instant(after[2] or "") == one.at.replace(microsecond=0)

    assert moved["changed"] == moved["cancelled-line"] == {(True, False, True)}
    assert moved["acknowledged"] == moved["closed"] == {(False, True, True)}
    assert moved["received"] == moved["partly-received"] == {(False, False, True)}


def test_what_is_late_is_listed_by_a_date_of_days_ago() -> None:
    """It is not there a moment before, and then where nobody looks any more."""
    world = World(late_share=0.5)
    happenings = world.after(days=5).happenings
    late = [one for one in happenings if one.kind == "created-late"]
    by_api = {RETAIL: Simulator.truth, DIRECT: Simulator.direct_fulfillment_truth}
    ages = set()
    fresh = World(late_share=0.5)
    for one in late[:40]:
        fresh.at = one.at - timedelta(microseconds=1)
        assert one.number not in by_api[one.api](fresh.simulator, "demo")
        fresh.at = one.at
        listed_at = fresh.simulator.available_at("demo", one.number)
        at_that_time = by_api[one.api](
            fresh.simulator, "demo", after=listed_at, before=listed_at + timedelta(seconds=1)
        )
        assert one.number in at_that_time
        ages.add(one.at - listed_at)

    assert min(ages) >= timedelta(hours=1)
    assert max(ages) <= timedelta(days=5, seconds=1)
    assert max(ages) > timedelta(days=3)


def test_the_rest_of_the_historys_last_day_lives_as_well() -> None:
    """Orders that the history has placed later today are created when they become visible."""
    world = World(orders=5000, days=10, arrivals_an_hour=0.001)
    known = set(world.simulator.truth("demo"))
    happenings = world.after(days=4).happenings
    created = {
        one.number: one.at
        for one in happenings
        if one.kind in CREATED and one.api == RETAIL and "0" not in one.number
    }

    assert len(created) > 50
    assert not known & set(created)
    assert all(
        world.simulator.available_at("demo", number) == at for number, at in created.items()
    )
    assert {"acknowledged", "changed"} <= {
        one.kind for one in happenings if one.number in created
    }


def test_speed_makes_minutes_of_weeks() -> None:
    """At 3600 an order that has just come is closed within ten minutes."""
    retail = fates(World(life_speed=3600.0).after(minutes=90).happenings, RETAIL)

    assert all("closed" in retail[number] for number in list(retail)[:3])


def test_who_acknowledges_first_is_heard() -> None:
    """An order that its vendor has answered is not answered again by chance."""
    world = World(orders=0)
    first = next(one for one in world.after(hours=3).happenings if one.api == RETAIL)
    world.simulator.acknowledge("demo", first.number)
    kinds = [one.kind for one in world.after(days=25).happenings if one.number == first.number]

    assert "acknowledged" not in kinds
    assert "received" in kinds


def test_what_was_submitted_takes_its_turn() -> None:
    """What takes hours finds the order as it is by then, however late somebody looks."""
    settings = {"orders": 0, "changed_share": 1.0, "acknowledge_seconds": 10 * 3600.0}
    truths = []
    for looks in ((30,), range(6, 31)):
        world = World(**settings)
        simulator = world.after(hours=5)
        for number in simulator.truth("demo"):
            body = msgspec.json.encode({"acknowledgements": [rejection(number)]})
            assert submit(simulator, body).status == 202
        for hours in looks:
            world.after(hours=hours).truth("demo")
        truths.append(simulator.truth("demo") | simulator.status_truth("demo"))

    assert truths[0] == truths[1]
    assert any(
        b'"confirmationStatus":"REJECTED"' in document for document in truths[0].values()
    )


def test_an_order_can_be_published_late_by_hand() -> None:
    """It is visible from the call on, and listed by the date that it was given."""
    world = World()
    placed = START - timedelta(days=4)
    order = {
        "purchaseOrderNumber": "1LATE001",
        "orderDetails": {"purchaseOrderDate": placed.isoformat(), "items": []},
    }
    simulator = world.after(hours=1)
    seen = "1LATE001" in simulator.truth("demo")
    simulator.put_order("demo", order, available_at=placed + timedelta(hours=2))
    around = {"after": placed + timedelta(hours=2), "before": placed + timedelta(hours=3)}

    assert not seen
    assert "1LATE001" in simulator.truth("demo", **around)
    assert "1LATE001" in simulator.status_truth("demo", **around)
    assert "1LATE001" not in simulator.truth("demo", after=placed + timedelta(hours=3))


def test_an_amount_keeps_its_zeros_and_its_kind() -> None:
    """What is written as the number 11.20 stays so through all that happens to it."""
    world = World(orders=0, changed_share=0.0, cancelled_share=0.0, late_share=0.0)
    amounts = re.compile(rb'"netCost":\{[^}]*"amount":([0-9.]+|"[^"]*")')
    at_first: dict[str, list[bytes]] = {}
    for hours in range(1, 24 * 20, 6):
        for number, document in world.after(hours=hours).truth("demo").items():
            found = amounts.findall(document)
            assert at_first.setdefault(number, found) == found
    states = {
        order["purchaseOrderState"]
        for order, _ in pairs(world.simulator)
        if order.get("purchaseOrderState")
    }

    assert states == {"New", "Acknowledged", "Closed"}
    assert any(amount.endswith(b"0") for found in at_first.values() for amount in found)


def test_a_raised_cost_has_as_many_decimals() -> None:
    """Text stays text, a number a number, and yen have none."""
    world = World(accounts=3, changed_share=1.0)
    world.after(days=5)
    for account, decimals in (("demo-1", 2), ("demo-2", 2), ("demo-3", 0)):
        document = b"".join(world.simulator.truth(account).values()).decode()
        amounts = re.findall(r'"netCost":\{[^}]*"amount":"?([0-9.]+)', document)

        assert {len(one.partition(".")[2]) for one in amounts} == {decimals}


def test_nothing_due_costs_nothing() -> None:
    """With 400 accounts, to find that nothing has happened takes microseconds."""
    world = World(accounts=400, orders=3, direct_fulfillment_orders=0, arrivals_an_hour=0.01)
    began_at = time.process_time()
    for _ in range(10_000):
        assert not world.simulator.happenings

    assert time.process_time() - began_at < 0.5


def test_happenings_are_forgotten_unless_they_are_to_be_kept() -> None:
    """Months do not fill the memory by themselves."""
    simulator = World(keep_happenings=False).after(days=5)

    assert len(simulator.truth("demo")) > 300
    assert list(simulator.happenings) == []


def test_clients_read_what_has_come_to_pass() -> None:
    """The lists have what the truth has, at any moment."""

    async def scene() -> None:
        simulator = Simulator(Settings(**(SETTINGS | {"late_share": 0.3})), now=virtual_now)
        async with (
            InProcess(simulator) as transport,
            VendorOrdersClient(
                transport.accounts[0], transport=transport, now=transport.now
            ) as client,
        ):
            for _ in range(3):
                await asyncio.sleep(86_400)
                since = virtual_now() - timedelta(days=10)
                numbers = {
                    order.purchase_order_number
                    async for order in client.retail.iter_purchase_orders(created_after=since)
                }

                assert numbers == set(simulator.truth("demo", after=since))

    virtual_time.run(scene())


def test_moments_differ_by_less_than_a_second_too(month: Simulator) -> None:
    """Happenings are not tied to whole seconds, which is all that documents tell."""
    moments = [one.at for one in month.happenings]

    assert all(earlier <= later for earlier, later in pairwise(moments))
    assert sum(moment.microsecond > 0 for moment in moments) > len(moments) * 0.9
