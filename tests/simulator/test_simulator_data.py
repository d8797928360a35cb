"""The generated history: the same every time, and as odd as Amazon's."""

from __future__ import annotations

import json
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from vendororders_async.clock import parse_instant
from vendororders_async.errors import InvalidArgument
from vendororders_async.simulator import Settings, Simulator

NOW = datetime(2026, 6, 10, 12, tzinfo=UTC)
LAST_MIDNIGHT = datetime(2026, 6, 10, tzinfo=UTC)


def simulator(**settings: Any) -> Simulator:
    """Return a simulator at noon of one certain day."""
    return Simulator(Settings(**settings), now=lambda: NOW)


@pytest.fixture(scope="module")
def orders() -> list[dict[str, Any]]:
    """Return 1,500 decoded orders."""
    return [json.loads(document) for document in simulator(orders=1500).truth("demo").values()]


@pytest.fixture(scope="module")
def statuses() -> list[dict[str, Any]]:
    """Return the statuses of the same orders."""
    documents = simulator(orders=1500).status_truth("demo").values()
    return [json.loads(document) for document in documents]


def test_the_same_day_gives_the_same_bytes() -> None:
    """Seed, account, day and settings decide everything."""
    morning = Simulator(Settings(orders=300), now=lambda: NOW - timedelta(hours=11))
    evening = Simulator(Settings(orders=300), now=lambda: NOW + timedelta(hours=11))
    early = morning.truth("demo")

    assert early
    assert {number: evening.truth("demo")[number] for number in early} == early
    assert morning.status_truth("demo").items() <= evening.status_truth("demo").items()


def test_seeds_and_accounts_differ() -> None:
    """No two accounts hold the same orders, and another seed holds others again."""
    two = simulator(orders=200, accounts=2)
    other = simulator(orders=200, accounts=2, seed=1)
    numbers = [set(one.truth(name)) for one in (two, other) for name in ("demo-1", "demo-2")]

    assert len(set.union(*numbers)) == sum(map(len, numbers))


def test_every_document_is_good_json() -> None:
    """The strictest reader gets through all of it, in every market."""
    everywhere = simulator(orders=400, accounts=3)
    for account in everywhere.accounts:
        for number, document in everywhere.truth(account.name).items():
            assert msgspec.json.decode(document)["purchaseOrderNumber"] == number
        for number, document in everywhere.status_truth(account.name).items():
            assert msgspec.json.decode(document)["purchaseOrderNumber"] == number


def test_nothing_of_the_future_is_served(
    orders: list[dict[str, Any]], statuses: list[dict[str, Any]]
) -> None:
    """Placed by now, and changed, closed or updated before the day began."""
    for order in orders:
        details = order["orderDetails"]

        assert parse_instant(details["purchaseOrderDate"]) <= NOW
        assert (
            parse_instant(details.get("purchaseOrderChangedDate", "2026-01-01"))
            <= LAST_MIDNIGHT
        )
    assert all(parse_instant(status["lastUpdatedDate"]) <= NOW for status in statuses)


def test_dates_of_an_order_are_in_sequence(
    orders: list[dict[str, Any]], statuses: list[dict[str, Any]]
) -> None:
    """Placed, then changed, and last updated after both."""
    updated = {one["purchaseOrderNumber"]: one["lastUpdatedDate"] for one in statuses}
    for order in orders:
        details = order["orderDetails"]
        placed = parse_instant(details["purchaseOrderDate"])
        changed = parse_instant(details.get("purchaseOrderChangedDate", "2999-01-01"))
        last = parse_instant(updated[order["purchaseOrderNumber"]])

        assert placed < changed
        assert last >= placed
        assert last >= changed or changed.year == 2999


def test_the_week_has_its_rhythm(orders: list[dict[str, Any]]) -> None:
    """Mondays are heavy and weekends nearly empty."""
    days = Counter(
        parse_instant(order["orderDetails"]["purchaseOrderDate"]).weekday() for order in orders
    )

    assert days.most_common(1)[0][0] == 0
    assert days[5] + days[6] < len(orders) * 0.05


def test_shares_are_about_what_they_are_said_to_be(orders: list[dict[str, Any]]) -> None:
    """A fifth is changed after creation, one in fifteen has a cancelled line."""
    changed = sum("purchaseOrderChangedDate" in order["orderDetails"] for order in orders)
    cancelled = [order for order in orders if 0 in _amounts(order)]

    assert 0.15 < changed / len(orders) < 0.25
    assert 0.04 < len(cancelled) / len(orders) < 0.10
    assert all("purchaseOrderChangedDate" in order["orderDetails"] for order in cancelled)


def test_states_follow_age(orders: list[dict[str, Any]]) -> None:
    """The young are new, the old mostly closed."""
    states: dict[bool, Counter[str]] = {True: Counter(), False: Counter()}
    for order in orders:
        placed = parse_instant(order["orderDetails"]["purchaseOrderDate"])
        is_old = placed < NOW - timedelta(days=20)
        states[is_old][order.get("purchaseOrderState", "missing")] += 1

    assert states[True]["Closed"] > 0.75 * states[True].total()
    assert states[False]["New"] > 0
    assert states[False]["Acknowledged"] > states[False]["Closed"]


def test_statuses_agree_with_their_orders() -> None:
    """The same lines, the same quantities, open as long as the order is not closed."""
    clean = simulator(orders=900, oddities=False)
    orders = [json.loads(one) for one in clean.truth("demo").values()]
    statuses = [json.loads(one) for one in clean.status_truth("demo").values()]
    by_number = {status["purchaseOrderNumber"]: status for status in statuses}
    for order in orders:
        status = by_number[order["purchaseOrderNumber"]]
        lines = status["itemStatus"]
        ordered = [line["orderedQuantity"]["orderedQuantity"]["amount"] for line in lines]

        assert ordered == _amounts(order)
        is_closed = order["purchaseOrderState"] == "Closed"
        assert status["purchaseOrderStatus"] == ("CLOSED" if is_closed else "OPEN")
        for line in lines:
            confirmed = line["acknowledgementStatus"]
            if confirmed["confirmationStatus"] != "UNCONFIRMED":
                accepted = confirmed["acceptedQuantity"]["amount"]
                rejected = confirmed["rejectedQuantity"]["amount"]
                wanted = line["orderedQuantity"]["orderedQuantity"]["amount"]
                assert accepted + rejected == max(wanted, 0)


def odd_lines(*, oddities: bool) -> Counter[str]:
    """Return how many lines of statuses are odd in which way."""
    found: Counter[str] = Counter()
    documents = simulator(orders=1500, oddities=oddities).status_truth("demo").values()
    lines = (line for one in documents for line in json.loads(one)["itemStatus"])
    for line in lines:
        ordered = line["orderedQuantity"]["orderedQuantity"]
        steps = line["orderedQuantity"]["orderedQuantityDetails"]
        added = [one["orderedQuantity"]["amount"] for one in steps if "orderedQuantity" in one]
        gone = [
            one["cancelledQuantity"]["amount"] for one in steps if "cancelledQuantity" in one
        ]
        confirmed = line["acknowledgementStatus"]
        details = confirmed.get("acknowledgementStatusDetails", [])
        received = line.get("receivingStatus", {}).get("receivedQuantity", ordered)
        accepted = sum(one["acceptedQuantity"]["amount"] for one in details)
        is_net = sum(added) - sum(gone) == ordered["amount"]
        found["in steps"] += len(added) > 1 and is_net
        found["net"] += bool(gone) and ordered["amount"] > 0 and is_net
        found["no rejected"] += bool(details) and "rejectedQuantity" not in confirmed
        found["wrong accepted"] += (
            bool(details) and confirmed["acceptedQuantity"]["amount"] != accepted
        )
        units = ordered["unitOfMeasure"], received["unitOfMeasure"]
        found["mixed units"] += units == ("Eaches", "Cases")
        found["too many received"] += (
            units[0] == units[1] and received["amount"] > ordered["amount"] >= 0
        )
    return found


def test_quantities_of_statuses_do_not_add_up() -> None:
    """Six ways, all of which were seen at Amazon, and none where orders are clean."""
    odd, clean = odd_lines(oddities=True), odd_lines(oddities=False)

    assert [way for way, count in odd.items() if count == 0] == []
    assert [way for way, count in clean.items() if count > 0] == []


def test_the_oddities_are_there() -> None:
    """Everything that ever broke a strict client occurs in a small history."""
    served = simulator(orders=600)
    text = b"\n".join([*served.truth("demo").values(), *served.status_truth("demo").values()])
    expected = [
        b'"EACH"',
        b'"SeasonalPreOrder"',
        b'"InvoiceByAmazon"',
        b'"itemSequenceNumber":"00001"',
        b'"unitOfMeasure":"POUNDS"',
        b'"amount":-3,',
        b'"Cases","unitSize":',
        b'"importDetails"',
        b'"dealCode"',
        b"--20",
        "Töne".encode(),
    ]
    numbers = [json.loads(document) for document in served.truth("demo").values()]

    assert [fragment for fragment in expected if fragment not in text] == []
    assert any("purchaseOrderState" not in order for order in numbers)
    assert any(
        not order["orderDetails"]["purchaseOrderDate"].endswith("Z") for order in numbers
    )
    assert any("." in order["orderDetails"]["purchaseOrderDate"] for order in numbers)
    assert any(
        isinstance(item["netCost"]["amount"], float)
        for order in numbers
        for item in order["orderDetails"]["items"]
    )


def test_without_oddities_orders_are_as_the_model_has_them() -> None:
    """A comparison with clients that refuse more than we do needs orders they can read."""
    served = simulator(orders=600, oddities=False)
    text = b"\n".join([*served.truth("demo").values(), *served.status_truth("demo").values()])
    odd = [
        b'"EACH"',
        b'"SeasonalPreOrder"',
        b'"InvoiceByAmazon"',
        b'"itemSequenceNumber":"00001"',
        b'"unitOfMeasure":"POUNDS"',
        b'"amount":-3,',
    ]
    orders = [json.loads(document) for document in served.truth("demo").values()]

    assert [fragment for fragment in odd if fragment in text] == []
    assert all("purchaseOrderState" in order for order in orders)


def test_amounts_keep_their_zeros(orders: list[dict[str, Any]]) -> None:
    """A price such as 11.20 is written with its zero."""
    costs = [item["netCost"]["amount"] for item in orders[0]["orderDetails"]["items"]]

    assert all(cost.endswith("0") and "." in cost for cost in costs)


def test_some_orders_become_available_later_than_placed() -> None:
    """The date that the created bounds go by is in no document."""
    served = simulator(orders=500)
    late = [
        number
        for number, document in served.truth("demo").items()
        if served.available_at("demo", number)
        > parse_instant(json.loads(document)["orderDetails"]["purchaseOrderDate"])
    ]

    assert 1 <= len(late) <= 40


def test_items_can_be_fixed() -> None:
    """Benchmarks get exactly as many lines as they ask for."""
    documents = simulator(orders=50, items=10).truth("demo").values()

    assert {len(json.loads(one)["orderDetails"]["items"]) for one in documents} == {10}


def test_a_peak_takes_its_share() -> None:
    """Six in ten orders fall on one day, and one in ten into one second."""
    documents = simulator(orders=1000, peak_day=0.6, peak_second=0.1).truth("demo").values()
    placed = [json.loads(one)["orderDetails"]["purchaseOrderDate"] for one in documents]
    (_, in_day), *_ = Counter(date[:10] for date in placed).most_common()
    (_, in_second), *_ = Counter(date[:19] for date in placed).most_common()

    assert in_day >= 600
    assert in_second >= 100


def test_monday_batches_take_their_share() -> None:
    """Nineteen in twenty orders are placed on Mondays, early, and on every Monday alike."""
    documents = simulator(orders=1000, days=28, monday_batches=0.95).truth("demo").values()
    dates = [json.loads(one)["orderDetails"]["purchaseOrderDate"] for one in documents]
    placed = [parse_instant(date) for date in dates]
    batches = Counter(at.date() for at in placed if at.weekday() == 0 and 6 <= at.hour < 9)

    assert batches.total() >= 950
    assert len(batches) == 4
    assert min(batches.values()) > 150


def test_shares_that_are_all_of_it_leave_the_count_alone() -> None:
    """Halves of three orders are three orders."""
    served = simulator(orders=3, peak_day=0.5, monday_batches=0.5)

    assert len(served.truth("demo")) == 3


def test_the_truth_can_be_narrowed() -> None:
    """A window of the truth begins with its after and ends before its before."""
    served = simulator(orders=300)
    middle = NOW - timedelta(days=60)
    older = served.truth("demo", before=middle)
    newer = served.truth("demo", after=middle)

    assert older
    assert newer
    assert older | newer == served.truth("demo")
    assert not older.keys() & newer.keys()


def test_an_unknown_account_is_named() -> None:
    """A typing error in a test is found at once."""
    with pytest.raises(InvalidArgument, match="no account 'nobody'; there are demo"):
        simulator(orders=0).truth("nobody")


def test_an_unknown_order_is_named() -> None:
    """So is a document that cannot be an order."""
    served = simulator(orders=0)
    with pytest.raises(InvalidArgument, match="demo has no order 'NOSUCHPO'"):
        served.change_order("demo", "NOSUCHPO")
    with pytest.raises(InvalidArgument, match="needs a purchaseOrderNumber and"):
        served.put_order("demo", {"purchaseOrderNumber": "1ABCDEFG"})


def test_a_replaced_order_stays_available_since_when_it_was() -> None:
    """Unless another moment is given."""
    served = simulator(orders=20)
    number, document = next(iter(served.truth("demo").items()))
    before = served.available_at("demo", number)
    served.put_order("demo", json.loads(document) | {"purchaseOrderState": "Closed"})

    assert served.available_at("demo", number) == before
    assert json.loads(served.truth("demo")[number])["purchaseOrderState"] == "Closed"
    assert json.loads(served.status_truth("demo")[number])["purchaseOrderStatus"] == "CLOSED"


def test_a_large_history_is_made_quickly_and_little_of_it_is_written() -> None:
    """Twenty thousand orders start in a moment, since documents wait until asked for."""
    started = time.perf_counter()
    simulator(orders=20_000)

    assert time.perf_counter() - started < 3


@pytest.mark.parametrize("cache_bytes", [0, 200_000, 100_000_000])
def test_documents_written_ahead_are_the_same(cache_bytes: int) -> None:
    """However many of them fit into the cache."""
    made = {"orders": 60, "direct_fulfillment_orders": 20, "accounts": 2}
    ahead = simulator(**made, write_ahead=True, cache_bytes=cache_bytes)
    later = simulator(**made)

    assert ahead.truth("demo-2") == later.truth("demo-2")
    assert ahead.direct_fulfillment_truth("demo-2") == later.direct_fulfillment_truth("demo-2")


def test_no_order_names_a_product_twice(orders: list[dict[str, Any]]) -> None:
    """Lines can be told apart by their product."""
    for order in orders:
        items = order["orderDetails"]["items"]

        assert len({item["amazonProductIdentifier"] for item in items}) == len(items)


def _amounts(order: dict[str, Any]) -> list[int]:
    return [item["orderedQuantity"]["amount"] for item in order["orderDetails"]["items"]]
