"""What following costs: requests an hour."""

from __future__ import annotations

import pytest

from vendororders_async.jobs.meter import Meter
from vendororders_async.telemetry import AccountFinished, AttemptMade


class Time:
    """Seconds that a test moves."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def __call__(self) -> float:
        """Return the loop's time."""
        return self.seconds


def attempt(account: str, operation: str = "getPurchaseOrders") -> AttemptMade:
    """Return a request that was made."""
    return AttemptMade(account, operation, 200, seconds=0.1, waited=0.0)


def test_requests_are_counted_for_each_account_and_operation() -> None:
    """The rate is that of the last hour; other events are no requests."""
    time = Time()
    meter = Meter(time)
    for _ in range(7200 // 15):
        time.seconds += 15
        meter(attempt("acme"))
        meter(AccountFinished("acme"))
    meter(attempt("other", "getPurchaseOrder"))

    assert meter.rates("acme") == pytest.approx({"getPurchaseOrders": 240.0}, rel=0.01)
    assert meter.rates("other") == {"getPurchaseOrder": 1.0}
    assert meter.rates("nobody") == {}


def test_what_was_an_hour_ago_is_forgotten() -> None:
    """A burst in the morning costs nothing at noon, and takes no memory."""
    time = Time()
    meter = Meter(time)
    for _ in range(500):
        meter(attempt("acme"))
    time.seconds += 2 * 3600

    assert meter.rates("acme") == {"getPurchaseOrders": 0.0}


def test_in_the_first_hour_what_there_is_stands_for_the_rest() -> None:
    """Twenty requests in ten minutes are 120 an hour."""
    time = Time()
    meter = Meter(time)
    for _ in range(20):
        time.seconds += 30
        meter(attempt("acme"))

    assert meter.rates("acme") == {"getPurchaseOrders": 120.0}
