"""Amazon's token bucket, as the simulator keeps it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vendororders_async.simulator.bucket import Bucket, Buckets, Plan


def test_a_burst_is_granted_at_once_and_no_more() -> None:
    """A full bucket holds exactly its burst."""
    bucket = Bucket(rate=10, burst=10, at=100.0)

    assert [bucket.take(100.0) for _ in range(12)] == [True] * 10 + [False] * 2


def test_a_refused_request_costs_nothing() -> None:
    """Asking too early does not put off the next grant."""
    bucket = Bucket(rate=10, burst=1, at=0.0)
    bucket.take(0.0)
    refused = [bucket.take(moment / 1000) for moment in range(1, 99)]

    assert not any(refused)
    assert bucket.take(0.1)


def test_an_exact_pace_is_never_refused() -> None:
    """A client that keeps to the interval does not fail for the last bit of a float."""
    bucket = Bucket(rate=10, burst=1, at=1000.0)

    assert all(bucket.take(1000.0 + 0.1 * turn) for turn in range(10_000))


def test_an_earlier_arrival_that_is_judged_later_gains_nothing() -> None:
    """Time that was counted once is not counted again."""
    bucket = Bucket(rate=1, burst=1, at=0.0)
    granted = [bucket.take(moment) for moment in (5.0, 4.0, 5.0, 4.5, 5.5)]

    assert granted == [True, False, False, False, False]


@given(
    gaps=st.lists(st.floats(min_value=0, max_value=2), max_size=60),
    rate=st.floats(min_value=0.1, max_value=50),
    burst=st.integers(min_value=1, max_value=20),
)
def test_no_stretch_of_time_grants_more_than_its_share(
    gaps: list[float], rate: float, burst: int
) -> None:
    """From the start on, the grants are at most the burst and the rate times the time."""
    bucket = Bucket(rate=rate, burst=burst, at=0.0)
    now, granted = 0.0, 0
    for gap in gaps:
        now += gap
        granted += bucket.take(now)

    assert granted <= burst + rate * now + 1e-3


def test_a_changed_plan_keeps_what_was_saved_up() -> None:
    """What is in the bucket stays there as far as the new burst allows."""
    bucket = Bucket(rate=10, burst=10, at=0.0)
    bucket.change(rate=1, burst=3, at=0.0)

    assert repr(bucket) == "<Bucket 3.00 of 3, 1/s>"


async def test_accounts_and_operations_do_not_share_a_bucket() -> None:
    """What one spends, another still has."""
    buckets = Buckets(Plan(10, 1))
    granted = [
        buckets.take(account, operation, 0.0)
        for account in ("a", "b")
        for operation in ("getPurchaseOrders", "getPurchaseOrder", "getPurchaseOrders")
    ]

    assert granted == [True, True, False] * 2


async def test_a_plan_can_change_before_anything_was_asked() -> None:
    """A plan that was set early holds from the first request on."""
    buckets = Buckets(Plan(10, 10))
    buckets.change("a", "getPurchaseOrders", Plan(1, 2))

    assert [buckets.take("a", "getPurchaseOrders", 0.0) for _ in range(3)] == [
        True,
        True,
        False,
    ]
    assert buckets.plan("b", "getPurchaseOrders") == Plan(10, 10)


@pytest.mark.parametrize("rate", [0.5, 10.0])
def test_an_idle_bucket_holds_no_more_than_its_burst(rate: float) -> None:
    """Waiting for an hour earns one burst."""
    bucket = Bucket(rate=rate, burst=2, at=0.0)

    assert [bucket.take(3600.0) for _ in range(3)] == [True, True, False]
