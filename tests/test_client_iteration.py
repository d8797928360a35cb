"""Any range as an iterator: nothing missing, nothing twice, and an end at any moment."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest
import virtual_time
from fakes import FakeGate, FakeTokens, FakeTransport, OneGate, Sent, an_account
from hypothesis import given, settings
from hypothesis import strategies as st
from simulated import NOW, QUICK, SINCE, UNTIL, now, simulation

from vendororders_async import (
    AccessDenied,
    BadRequest,
    DecodeError,
    InvalidArgument,
    PaginationError,
    VendorOrdersClient,
    VendorOrdersError,
)
from vendororders_async.clock import parse_instant
from vendororders_async.models.retail_procurement import Order
from vendororders_async.simulator import BAD_ORDER_KINDS, Settings
from vendororders_async.telemetry import BeyondHistory, Event, WindowRestarted
from vendororders_async.transport import Answer
from vendororders_async.windows import LONGEST_QUERY

WEEK = timedelta(days=7)
START = datetime(2026, 5, 1, tzinfo=UTC)
AHEAD = 5  # requests


def page(*numbers: str, token: str | None = None) -> Answer:
    """Return a page of orders that have but a number."""
    payload: dict[str, Any] = {"orders": [{"purchaseOrderNumber": one} for one in numbers]}
    if token:
        payload["pagination"] = {"nextToken": token}
    return Answer(200, {}, msgspec.json.encode({"payload": payload}))


def query(request: Sent) -> dict[str, str]:
    """Return what *request* asked."""
    return {key: one for key, [one] in parse_qs(urlsplit(request.url).query).items()}


class Scene:
    """A client over a script, and what it was asked."""

    def __init__(self, script: Callable[[Sent], Any] | list[Any], **options: Any) -> None:
        self.transport = FakeTransport(script)
        self.events: list[Event] = []
        self.client = VendorOrdersClient(
            an_account(),
            transport=self.transport,
            tokens=FakeTokens(),
            limiters=OneGate(FakeGate()),
            observer=self.events.append,
            now=now,
            **options,
        )

    def orders(self, **arguments: Any) -> AsyncGenerator[Order, None]:
        """Iterate over three windows, unless *arguments* say otherwise."""
        usual = {"created_after": START, "created_before": START + timedelta(days=20)}
        return self.client.retail.iter_purchase_orders(**(usual | arguments))

    def numbers(self, **arguments: Any) -> list[str]:
        """Return the numbers that come, on virtual time."""

        async def main() -> list[str]:
            return [one.purchase_order_number async for one in self.orders(**arguments)]

        return virtual_time.run(main())

    @property
    def asked(self) -> list[dict[str, str]]:
        """The queries that were sent."""
        return [query(one) for one in self.transport.sent]


@pytest.mark.parametrize("bounds", ["exclusive", "half-open", "inclusive"])
async def test_every_order_of_the_range_comes_once(bounds: Any) -> None:
    """Whatever Amazon's bounds mean, and with empty pages in between."""
    demanding = msgspec.structs.replace(QUICK, bounds=bounds, empty_pages=0.3)
    async with (
        simulation(demanding) as (simulator, [account]),
        VendorOrdersClient(account, now=now) as client,
    ):
        found = [
            one.purchase_order_number
            async for one in client.retail.iter_purchase_orders(
                created_after=SINCE, created_before=UNTIL
            )
        ]

    assert simulator.truth("demo", after=SINCE, before=UNTIL).keys() <= set(found)
    assert len(found) == len(set(found))
    assert simulator.traffic.throttled() == 0


async def test_changed_orders_and_statuses_are_iterated_as_well() -> None:
    """By the pair of bounds that is given."""
    async with (
        simulation() as (simulator, [account]),
        VendorOrdersClient(account, now=now) as client,
    ):
        changed = [
            one.purchase_order_number
            async for one in client.retail.iter_purchase_orders(
                changed_after=SINCE, changed_before=UNTIL
            )
        ]
        updated = [
            one.purchase_order_number
            async for one in client.retail.iter_purchase_orders_status(
                updated_after=SINCE, updated_before=UNTIL
            )
        ]
        created = [
            one.purchase_order_number
            async for one in client.retail.iter_purchase_orders_status(
                created_after=SINCE, created_before=UNTIL, purchase_order_status="OPEN"
            )
        ]

    def dated(field: str, truth: dict[str, bytes], part: str | None = None) -> set[str]:
        found = set()
        for number, raw in truth.items():
            tree = msgspec.json.decode(raw)
            date = (tree[part] if part else tree).get(field)
            if date and SINCE < parse_instant(date) < UNTIL:
                found.add(number)
        return found

    orders, statuses = simulator.truth("demo"), simulator.status_truth("demo")
    assert dated("purchaseOrderChangedDate", orders, "orderDetails") == set(changed)
    assert dated("lastUpdatedDate", statuses) == set(updated)
    assert set(created) < simulator.truth("demo", after=SINCE, before=UNTIL).keys()
    for found in (changed, updated, created):
        assert found
        assert len(found) == len(set(found))


def test_requests_tile_the_range_and_reach_over_the_seams() -> None:
    """At most seven days each, one second over both ends, oldest first."""
    scene = Scene([page()])

    assert scene.numbers() == []
    bounds = [
        [datetime.fromisoformat(one[name]) for name in ("createdAfter", "createdBefore")]
        for one in scene.asked
    ]
    second = timedelta(seconds=1)
    assert bounds[0][0] == START - second
    assert bounds[-1][1] == START + timedelta(days=20) + second
    assert all(before - after <= LONGEST_QUERY for after, before in bounds)
    assert [one[1] - 2 * second for one in bounds[:-1]] == [one[0] for one in bounds[1:]]


def test_the_end_is_two_minutes_ago_unless_it_is_given() -> None:
    """What is younger may still be on its way; and the future is not asked."""
    scene = Scene([page()])
    scene.numbers(created_after=NOW - WEEK / 2, created_before=None)
    scene.numbers(created_after=NOW - WEEK / 2, created_before=NOW + 52 * WEEK)

    assert [one["createdBefore"] for one in scene.asked] == [
        "2026-06-15T11:58:31Z",
        "2026-06-15T12:00:31Z",
    ]


def test_filters_go_with_every_page() -> None:
    """Amazon wants all parameters repeated with a next token."""
    scene = Scene([page("A", token="t="), page("B")])
    arguments = {
        "created_before": START + timedelta(days=1),
        "include_details": False,
        "po_item_state": "Cancelled",
        "is_po_changed": True,
        "purchase_order_state": "New",
        "ordering_vendor_code": "ACME1",
    }

    assert scene.numbers(**arguments) == ["A", "B"]
    first, second = scene.asked
    assert first == {
        "limit": "100",
        "createdAfter": "2026-04-30T23:59:59Z",
        "createdBefore": "2026-05-02T00:00:01Z",
        "includeDetails": "false",
        "poItemState": "Cancelled",
        "isPOChanged": "true",
        "purchaseOrderState": "New",
        "orderingVendorCode": "ACME1",
    }
    assert second == first | {"nextToken": "t="}


def by_window(*scripts: list[Any]) -> Callable[[Sent], Any]:
    """Answer each window from a script of its own, in the order the windows have."""
    left = {}
    starts = ["2026-04-30", "2026-05-07", "2026-05-14"]
    for start, script in zip(starts, scripts, strict=True):
        left[start] = list(script)

    def answer(request: Sent) -> Any:
        return left[query(request)["createdAfter"][:10]].pop(0)

    return answer


def test_windows_come_in_order_with_seams_once() -> None:
    """Also when their first pages came long before; an empty page with a token goes on."""
    scene = Scene(
        by_window(
            [page("A", token="1"), page(token="2"), page("B", "SEAM")],
            [page("SEAM", "C", token="1"), page("D")],
            [page("E")],
        )
    )

    assert scene.numbers() == ["A", "B", "SEAM", "C", "D", "E"]


def test_an_order_that_changed_in_the_meantime_comes_again() -> None:
    """As it then is: a newer version is no repetition."""
    newer = page("SEAM")
    newer = msgspec.structs.replace(
        newer, body=newer.body.replace(b'"SEAM"', b'"SEAM","purchaseOrderState":"Closed"')
    )

    assert Scene(by_window([page("SEAM")], [newer], [page()])).numbers() == ["SEAM", "SEAM"]


def test_a_repeated_next_token_is_an_error() -> None:
    """Following it would never end; the error says where."""
    scene = Scene([page("A", token="t")])
    with pytest.raises(PaginationError, match="getPurchaseOrders for germany: the same"):
        scene.numbers(created_before=START + timedelta(days=1))


def test_an_error_comes_when_its_turn_has_come() -> None:
    """What lies before it is yielded; nothing is left under way."""
    denied = Answer(403, {}, b'{"errors": [{"code": "Unauthorized", "message": "no"}]}')
    scene = Scene(by_window([page("A")], [denied, denied], [page("C")]))
    found = []

    async def main() -> None:
        orders = scene.orders()
        found.append((await anext(orders)).purchase_order_number)
        with pytest.raises(AccessDenied):
            await anext(orders)
        assert len(asyncio.all_tasks()) == 1

    virtual_time.run(main())

    assert found == ["A"]


def test_an_expired_token_starts_its_window_again() -> None:
    """Once, and what was yielded before does not come again."""
    refused = Answer(400, {}, b'{"errors": [{"code": "InvalidInput", "message": "?"}]}')
    script = [page("A", token="1"), *[refused] * 3, page("A", token="3"), page("B")]
    scene = Scene(by_window(script, [page("C")], [page("D")]))

    assert scene.numbers() == ["A", "B", "C", "D"]
    assert [type(one) for one in scene.events].count(WindowRestarted) == 1


async def test_what_lies_behind_amazons_history_is_told_and_skipped() -> None:
    """A range of exactly six months is not refused for the second it reaches over."""
    events: list[Event] = []
    since = NOW - timedelta(days=200)
    async with (
        simulation(Settings(orders=100, days=210, rate=500.0, burst=500.0)) as (
            simulator,
            [account],
        ),
        VendorOrdersClient(account, now=now, observer=events.append) as client,
    ):
        found = {
            one.purchase_order_number
            async for one in client.retail.iter_purchase_orders(
                created_after=since, created_before=NOW
            )
        }
        with pytest.raises(BadRequest):
            async for _ in client.retail.iter_purchase_orders(
                created_after=since, created_before=since + timedelta(days=1)
            ):
                pass

    assert any(isinstance(one, BeyondHistory) for one in events)
    assert simulator.truth("demo", after=NOW - timedelta(days=180)).keys() <= found


@pytest.mark.parametrize("kind", BAD_ORDER_KINDS)
async def test_a_bad_order_ends_the_iteration_or_is_handed_over(kind: str) -> None:
    """By itself it is an error; with on_undecodable all the others come."""
    errors: list[DecodeError] = []
    async with (
        simulation() as (simulator, [account]),
        VendorOrdersClient(account, now=now) as client,
    ):
        simulator.inject("getPurchaseOrders", kind)
        found = {
            one.purchase_order_number
            async for one in client.retail.iter_purchase_orders(
                created_after=SINCE, created_before=UNTIL, on_undecodable=errors.append
            )
        }
        simulator.inject("getPurchaseOrders", kind)
        with pytest.raises(DecodeError, match="is not the schema"):
            async for _ in client.retail.iter_purchase_orders(
                created_after=SINCE, created_before=UNTIL
            ):
                pass

    truth = simulator.truth("demo", after=SINCE, before=UNTIL).keys()
    assert len(errors) == 1
    assert errors[0].body
    number = errors[0].purchase_order_number
    assert (number is None) == (kind == "bad-order:missing-number")
    assert len(truth - found) == 1
    assert number is None or truth - found == {number}


def test_an_undecodable_page_is_handed_over_whole() -> None:
    """What follows it in its window cannot be known; the next window goes on."""
    truncated = Answer(200, {}, page("B").body[:-5])
    errors: list[DecodeError] = []
    script = by_window([page("A", token="1"), *[truncated] * 9], [page("C")], [page("D")])

    assert Scene(script).numbers(on_undecodable=errors.append) == ["A", "C", "D"]
    assert [(one.purchase_order_number, one.body) for one in errors] == [(None, truncated.body)]
    with pytest.raises(DecodeError):
        Scene([truncated]).numbers()


# Leaving early


def endless(request: Sent) -> Answer:
    """Answer every window with pages that never end."""
    asked = query(request)
    count = int(asked.get("nextToken", "0")) + 1
    numbers = [f"{asked['createdAfter'][:10]}-{count}-{n}" for n in range(3)]
    return page(*numbers, token=str(count))


async def _break(orders: AsyncGenerator[Order, None]) -> None:
    async for _ in orders:
        break
    await orders.aclose()


async def _exception(orders: AsyncGenerator[Order, None]) -> None:
    with suppress(ZeroDivisionError):
        async for _ in orders:
            raise ZeroDivisionError
    await orders.aclose()


async def _cancellation(orders: AsyncGenerator[Order, None]) -> None:
    async def read_for_ever() -> None:
        async for _ in orders:
            pass

    task = asyncio.create_task(read_for_ever())
    await asyncio.sleep(1.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def _aclose(orders: AsyncGenerator[Order, None]) -> None:
    await anext(orders)
    await orders.aclose()


async def _time_out(orders: AsyncGenerator[Order, None]) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(1.05):
            async for _ in orders:
                await asyncio.sleep(0.3)
    await orders.aclose()


async def _never_begun(orders: AsyncGenerator[Order, None]) -> None:
    await orders.aclose()


WAYS_OUT = [_break, _exception, _cancellation, _aclose, _time_out, _never_begun]


@pytest.mark.parametrize("leave", WAYS_OUT)
def test_an_iteration_left_early_leaves_nothing_under_way(leave: Callable[..., Any]) -> None:
    """However it is left, its tasks are gone when the leaving is done."""
    scene = Scene(endless)

    async def main() -> None:
        await leave(scene.orders())
        assert len(asyncio.all_tasks()) == 1
        sent = len(scene.transport.sent)
        await asyncio.sleep(60)
        assert len(scene.transport.sent) == sent

    virtual_time.run(main())


def test_a_bare_break_ends_it_in_the_next_turns_of_the_loop() -> None:
    """The iterator that nobody holds any more cleans up after itself."""
    scene = Scene(endless)

    async def main() -> None:
        async for _ in scene.orders():
            break
        gc.collect()
        for _ in range(10):
            await asyncio.sleep(0)
        assert len(asyncio.all_tasks()) == 1

    virtual_time.run(main())

    assert len(scene.transport.sent) <= AHEAD


def test_an_iterator_that_is_held_but_not_read_stands_still() -> None:
    """It holds a few pages and asks for no more; closing the client ends it."""
    scene = Scene(endless)

    async def main() -> None:
        async with scene.client:
            orders = scene.orders()
            await anext(orders)
            await asyncio.sleep(60)
            assert len(scene.transport.sent) <= AHEAD + 1
            assert len(asyncio.all_tasks()) == 1

    virtual_time.run(main())


def test_closing_the_client_ends_what_its_iterators_have_under_way() -> None:
    """Whoever goes on reading is told why nothing comes."""
    scene = Scene(endless)

    async def main() -> None:
        async with scene.client:
            orders = scene.orders()
            await anext(orders)
        assert len(asyncio.all_tasks()) == 1
        with pytest.raises(RuntimeError, match="client was closed"):
            async for _ in orders:
                pass

    virtual_time.run(main())


def test_a_prefetched_failure_that_nobody_waits_for_is_silent() -> None:
    """It is no accident that an error of a page ahead is never looked at."""
    broken = Answer(403, {}, b"{}")
    scene = Scene(by_window([page("A")], [broken, broken], [broken, broken]))
    told: list[Any] = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, what: told.append(what))
        async with scene.client:
            orders = scene.orders()
            await anext(orders)
            await asyncio.sleep(5)
        del orders
        gc.collect()

    virtual_time.run(main())

    assert told == []


# Bounds


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"created_before": UNTIL},
        {"created_after": SINCE, "changed_after": SINCE},
        {"created_after": SINCE, "changed_before": UNTIL},
        {"created_after": UNTIL, "created_before": SINCE},
        {"created_after": SINCE, "created_before": SINCE},
        {"created_after": NOW},
        {"created_after": NOW + WEEK, "created_before": NOW + 2 * WEEK},
        {"created_after": SINCE.replace(tzinfo=None)},
        {"created_after": SINCE, "created_before": UNTIL.replace(tzinfo=None)},
        {"created_after": "2026-05-01"},
        {"created_after": datetime.min.replace(tzinfo=UTC), "created_before": SINCE},
        {"changed_after": SINCE, "purchase_order_state": "new"},
        {"changed_after": SINCE, "is_po_changed": "yes"},
        {"changed_after": SINCE, "ordering_vendor_code": " "},
    ],
)
def test_bounds_that_could_not_be_meant_are_refused_at_once(arguments: Any) -> None:
    """Where the iterator is asked for, not where it is first read."""
    with pytest.raises(InvalidArgument):
        Scene([]).client.retail.iter_purchase_orders(**arguments)


MOMENTS = st.datetimes(timezones=st.sampled_from([UTC, None]))


@settings(max_examples=200)
@given(after=MOMENTS, before=st.none() | MOMENTS, other=st.none() | MOMENTS)
def test_any_bounds_are_taken_or_refused_in_our_words(
    after: datetime, before: datetime | None, other: datetime | None
) -> None:
    """No other error comes out of the ends of the calendar."""
    retail = Scene([]).client.retail
    try:
        retail.iter_purchase_orders_status(
            updated_after=after, updated_before=before, created_after=other
        )
    except VendorOrdersError as error:
        assert isinstance(error, InvalidArgument)  # noqa: PT017 - or none at all
