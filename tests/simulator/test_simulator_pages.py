"""Lists by the page: complete, without repeats, under tokens that belong to them."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from vendororders_async.simulator import Settings
from vendororders_async.simulator.cache import ByteCache
from vendororders_async.simulator.pages import Page, Pager
from vendororders_async.simulator.queries import Refused, read_query
from vendororders_async.simulator.world import World, written_record

NOW = datetime(2026, 6, 10, 12, tzinfo=UTC)
START = NOW - timedelta(days=6)
ORDERS = "getPurchaseOrders"
STATUSES = "getPurchaseOrdersStatus"


def document(position: int, **details: Any) -> dict[str, Any]:
    """Return the order that was placed that many minutes after the start."""
    placed = START + timedelta(minutes=position)
    amount = details.pop("amount", 4)
    return {
        "purchaseOrderNumber": f"N{position:07d}",
        "purchaseOrderState": details.pop("state", "New"),
        "orderDetails": {
            "purchaseOrderDate": placed.isoformat(),
            "sellingParty": {"partyId": details.pop("vendor", "V1")},
            "shipToParty": {"partyId": details.pop("warehouse", "W1")},
            "items": [{"itemSequenceNumber": "1", "orderedQuantity": {"amount": amount}}],
            **details,
        },
    }


def world_of(*documents: Mapping[str, Any]) -> World:
    """Return a world that holds *documents*."""
    return World(written_record(one, None, available=None) for one in documents)


class Reader:
    """Reads lists from a pager, at a time that tests can move."""

    def __init__(self, world: World, account: str = "demo", **settings: Any) -> None:
        self.cache: ByteCache[Page] = ByteCache(10_000_000)
        self.at = 0.0
        self.now = NOW
        self.pager = Pager(account, world, Settings(**settings), cache=self.cache)

    def page(self, operation: str = ORDERS, **query: str) -> dict[str, Any]:
        """Return the payload of one page."""
        asked = read_query(operation, urlencode(query))
        page = self.pager.page(asked, now=self.now, at=self.at, zipped=False)
        payload: dict[str, Any] = json.loads(page.body)["payload"]
        return payload

    def pages(self, operation: str = ORDERS, **query: str) -> list[list[str]]:
        """Return the order numbers of every page."""
        name = "orders" if operation == ORDERS else "ordersStatus"
        pages = []
        while True:
            payload = self.page(operation, **query)
            pages.append([one["purchaseOrderNumber"] for one in payload[name]])
            if "pagination" not in payload:
                return pages
            query["nextToken"] = payload["pagination"]["nextToken"]

    def numbers(self, operation: str = ORDERS, **query: str) -> list[str]:
        """Return all order numbers of a list."""
        return [number for page in self.pages(operation, **query) for number in page]


@pytest.mark.parametrize("limit", [1, 7, 25, 50, 100])
@pytest.mark.parametrize("sort_order", ["ASC", "DESC"])
@pytest.mark.parametrize("operation", [ORDERS, STATUSES])
def test_pages_make_up_the_list(limit: int, sort_order: str, operation: str) -> None:
    """Every order once, in the order asked for, and full pages but for the last."""
    reader = Reader(world_of(*(document(position) for position in range(50))))
    pages = reader.pages(operation, limit=str(limit), sortOrder=sort_order)
    numbers = [number for page in pages for number in page]

    assert numbers == sorted(numbers, reverse=sort_order == "DESC")
    assert len(set(numbers)) == 50
    assert [len(page) for page in pages[:-1]] == [limit] * (len(pages) - 1)
    assert pages[-1]


def test_a_last_page_has_no_pagination() -> None:
    """The key is absent, not empty."""
    payload = Reader(world_of(document(1))).page()

    assert payload.keys() == {"orders"}


def test_an_empty_list_is_one_empty_page() -> None:
    """No orders is an answer."""
    assert Reader(World([])).page(STATUSES) == {"ordersStatus": []}


@hypothesis_settings(deadline=None)
@given(
    moments=st.lists(st.integers(min_value=0, max_value=30), max_size=30),
    after=st.integers(min_value=0, max_value=30),
    width=st.integers(min_value=0, max_value=30),
    limit=st.integers(min_value=1, max_value=10),
    bounds=st.sampled_from(["exclusive", "half-open", "inclusive"]),
)
def test_a_window_holds_what_lies_between_its_bounds(
    moments: list[int], after: int, width: int, limit: int, bounds: str
) -> None:
    """Whatever the bounds mean, windows and pages agree with a plain comparison."""
    at = [START + timedelta(minutes=moment) for moment in moments]
    orders = [
        document(position, purchaseOrderDate=moment.isoformat())
        for position, moment in enumerate(at)
    ]
    low, high = START + timedelta(minutes=after), START + timedelta(minutes=after + width)
    expected = {
        order["purchaseOrderNumber"]
        for order, moment in zip(orders, at, strict=True)
        if low < moment < high
        or (bounds != "exclusive" and moment == low and low < high)
        or (bounds == "inclusive" and moment in (low, high))
    }
    numbers = Reader(world_of(*orders), bounds=bounds).numbers(
        createdAfter=low.isoformat(), createdBefore=high.isoformat(), limit=str(limit)
    )

    assert set(numbers) == expected
    assert len(numbers) == len(expected)


@pytest.mark.parametrize(
    ("operation", "query", "expected"),
    [
        (ORDERS, {"purchaseOrderState": "Closed"}, [2]),
        (ORDERS, {"poItemState": "Cancelled"}, [3]),
        (ORDERS, {"isPOChanged": "true"}, [3, 4]),
        (ORDERS, {"isPOChanged": "false"}, [1, 2, 3, 4, 5]),
        (ORDERS, {"orderingVendorCode": "V2"}, [4]),
        (ORDERS, {"orderingVendorCode": "nobody"}, []),
        (STATUSES, {"purchaseOrderStatus": "CLOSED"}, [2]),
        (STATUSES, {"purchaseOrderStatus": "OPEN", "shipToPartyId": "W2"}, [5]),
        (STATUSES, {"purchaseOrderNumber": "N0000005"}, [5]),
        (STATUSES, {"purchaseOrderNumber": "none"}, []),
        (STATUSES, {"itemConfirmationStatus": "UNCONFIRMED"}, [1, 2, 3, 4, 5]),
        (STATUSES, {"itemConfirmationStatus": "ACCEPTED"}, []),
        (STATUSES, {"itemReceiveStatus": "RECEIVED"}, []),
    ],
)
def test_filters_pass_what_they_ask_for(
    operation: str, query: dict[str, str], expected: list[int]
) -> None:
    """Each parameter selects by the field that Amazon's model names."""
    changed = (NOW - timedelta(hours=1)).isoformat()
    reader = Reader(
        world_of(
            document(1),
            document(2, state="Closed"),
            document(3, amount=0, purchaseOrderChangedDate=changed),
            document(4, vendor="V2", purchaseOrderChangedDate=changed),
            document(5, warehouse="W2"),
        )
    )

    assert reader.numbers(operation, **query) == [f"N{position:07d}" for position in expected]


def test_changed_bounds_go_by_the_change() -> None:
    """An order that never changed matches no changed window, however new it is."""
    changed = NOW - timedelta(hours=1)
    reader = Reader(
        world_of(document(1), document(2, purchaseOrderChangedDate=changed.isoformat()))
    )
    window = {
        "changedAfter": (changed - timedelta(seconds=1)).isoformat(),
        "changedBefore": (changed + timedelta(seconds=1)).isoformat(),
    }

    assert reader.numbers(**window) == ["N0000002"]


def test_updated_bounds_go_by_the_last_update() -> None:
    """The status list has bounds of its own."""
    changed = NOW - timedelta(hours=1)
    reader = Reader(
        world_of(document(1), document(2, purchaseOrderChangedDate=changed.isoformat()))
    )

    assert reader.numbers(
        STATUSES, updatedAfter=(changed - timedelta(seconds=1)).isoformat()
    ) == ["N0000002"]


def test_what_was_changed_is_not_taken_for_what_was_updated() -> None:
    """The two lists are cut from indexes of their own, at the same places in these here."""
    changed = NOW - timedelta(hours=1)
    reader = Reader(
        world_of(document(0), document(1, purchaseOrderChangedDate=changed.isoformat()))
    )
    first = reader.numbers(changedAfter=(changed - timedelta(seconds=1)).isoformat())
    second = reader.numbers(
        STATUSES,
        updatedAfter=(START - timedelta(seconds=1)).isoformat(),
        updatedBefore=(START + timedelta(seconds=1)).isoformat(),
    )

    assert (first, second) == (["N0000001"], ["N0000000"])


def test_without_details_there_are_only_number_and_state() -> None:
    """includeDetails=false leaves two keys."""
    payload = Reader(world_of(document(1))).page(includeDetails="false")

    assert payload["orders"] == [
        {"purchaseOrderNumber": "N0000001", "purchaseOrderState": "New"}
    ]


def test_an_order_of_the_future_is_not_listed_yet() -> None:
    """It appears when its time has come."""
    reader = Reader(world_of(document(1), document(6 * 24 * 60 + 10)))
    before = reader.numbers()
    reader.now += timedelta(minutes=11)

    assert before == ["N0000001"]
    assert reader.numbers() == ["N0000001", "N0008650"]


def token_of(reader: Reader, **query: str) -> str:
    """Return the next token of the first page."""
    return str(reader.page(**query)["pagination"]["nextToken"])


@pytest.mark.parametrize(
    "other",
    [
        {"limit": "3"},
        {"limit": "2", "sortOrder": "DESC"},
        {"limit": "2", "isPOChanged": "true"},
    ],
)
def test_a_token_belongs_to_its_parameters(other: dict[str, str]) -> None:
    """The other parameters are repeated as they were, or it is a 400."""
    reader = Reader(world_of(*(document(position) for position in range(9))))
    token = token_of(reader, limit="2")

    with pytest.raises(Refused, match="Invalid Input"):
        reader.page(**other, nextToken=token)


def test_a_token_belongs_to_its_account_and_operation() -> None:
    """Neither another account nor the other list takes it."""
    world = world_of(*(document(position) for position in range(9)))
    reader, stranger = Reader(world), Reader(world, account="other")
    token = token_of(reader, limit="2")
    stranger.page(limit="2")

    with pytest.raises(Refused):
        stranger.page(limit="2", nextToken=token)
    with pytest.raises(Refused):
        reader.page(STATUSES, limit="2", nextToken=token)


def test_a_token_can_be_used_again_until_it_expires() -> None:
    """A repeated request gets the same page; an hour later it is a 400."""
    reader = Reader(world_of(*(document(position) for position in range(9))))
    token = token_of(reader, limit="2")
    reader.at = 3600.0
    first = reader.page(limit="2", nextToken=token)

    assert reader.page(limit="2", nextToken=token) == first
    reader.at = 3600.1
    with pytest.raises(Refused, match="Invalid Input"):
        reader.page(limit="2", nextToken=token)


def test_a_page_from_the_cache_gives_its_token_a_new_life() -> None:
    """A token is as old as the last answer that carried it."""
    reader = Reader(world_of(*(document(position) for position in range(9))))
    reader.page(limit="2")
    reader.at = 5000.0
    token = token_of(reader, limit="2")

    assert reader.page(limit="2", nextToken=token)["orders"]


@pytest.mark.parametrize("token", ["", "MDAwMDAwMDAwMQ==", "ä"])
def test_an_invented_token_is_refused(token: str) -> None:
    """Only tokens that were given out are good."""
    with pytest.raises(Refused):
        Reader(world_of(document(1))).page(nextToken=token)


def test_an_order_that_comes_in_between_shifts_nothing() -> None:
    """Tokens are keysets: what was behind the page stays behind it."""
    world = world_of(*(document(position) for position in range(0, 60, 2)))
    reader = Reader(world)
    first = reader.page(limit="10")
    world.put(written_record(document(5), None, available=None))
    world.put(written_record(document(41), None, available=None))
    rest = reader.numbers(limit="10", nextToken=first["pagination"]["nextToken"])

    assert "N0000005" not in rest
    assert "N0000041" in rest
    assert len(rest) == len(set(rest)) == 21


@pytest.mark.parametrize("share", [0.3, 1.0])
def test_empty_pages_lead_on(share: float) -> None:
    """A page without orders has a token, and nothing is lost behind it."""
    world = world_of(*(document(position) for position in range(40)))
    pages = Reader(world, empty_pages=share).pages(limit="2")

    assert [number for page in pages for number in page] == Reader(world).numbers()
    assert pages.count([]) == 20 if share == 1 else 0 < pages.count([]) < 20
    assert pages[-1]


def test_a_changed_order_is_seen_at_once() -> None:
    """No cached page outlives the orders that it shows."""
    world = world_of(document(1), document(2))
    reader = Reader(world)
    reader.page()
    world.put(written_record(document(2, state="Closed"), None, available=None))

    assert [one["purchaseOrderState"] for one in reader.page()["orders"]] == ["New", "Closed"]


def test_a_page_is_built_once() -> None:
    """Asking again, with the same meaning in other words, finds the same bytes."""
    reader = Reader(world_of(document(1)))
    asked = [read_query(ORDERS, words) for words in ("limit=9", "limit=009&x=y")]
    pages = [reader.pager.page(one, now=NOW, at=0.0, zipped=True) for one in asked]

    assert pages[0] is pages[1]
    assert json.loads(gzip.decompress(pages[0].body))["payload"]["orders"]


def test_the_cache_forgets_what_was_used_least() -> None:
    """Its size stays within its limit."""
    cache: ByteCache[str] = ByteCache(10)
    for name in ("a", "b"):
        cache.put(name, name.upper(), 5)
    cache.get("a")
    cache.put("c", "C", 5)
    cache.put("c", "D", 4)

    assert [cache.get(name) for name in "abc"] == ["A", None, "D"]
    assert repr(cache) == "<ByteCache 2 values, 9 of 10 bytes>"


def test_a_value_that_is_too_large_is_not_kept() -> None:
    """Nothing is held that alone exceeds the limit."""
    cache: ByteCache[str] = ByteCache(10)
    cache.put("a", "A", 11)

    assert len(cache) == 0
    assert cache.size == 0
