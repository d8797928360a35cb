"""Query parameters: Amazon's meaning, and Amazon's refusals."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import pytest

from vendororders_async.simulator.queries import Refused, Span, check_spans, read_query
from vendororders_async.simulator.settings import Bounds, micros

NOW = datetime(2026, 8, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("operation", "name", "value", "code"),
    [
        ("getPurchaseOrders", "createdBefore", "2019-09-2100:00:00", "InvalidRequest"),
        ("getPurchaseOrders", "createdAfter", "", "InvalidRequest"),
        ("getPurchaseOrders", "changedAfter", "2026-08-01T00:00:00 00:00", "InvalidRequest"),
        ("getPurchaseOrders", "limit", "0", "InvalidInput"),
        ("getPurchaseOrders", "limit", "101", "InvalidInput"),
        ("getPurchaseOrders", "limit", "9" * 5000, "InvalidInput"),
        ("getPurchaseOrders", "limit", "²", "InvalidInput"),
        ("getPurchaseOrders", "sortOrder", "asc", "InvalidInput"),
        ("getPurchaseOrders", "includeDetails", "True", "InvalidInput"),
        ("getPurchaseOrders", "isPOChanged", "yes", "InvalidInput"),
        ("getPurchaseOrders", "poItemState", "New", "InvalidInput"),
        ("getPurchaseOrders", "purchaseOrderState", "OPEN", "InvalidInput"),
        ("getPurchaseOrdersStatus", "purchaseOrderStatus", "Closed", "InvalidInput"),
        ("getPurchaseOrdersStatus", "itemConfirmationStatus", "Accepted", "InvalidInput"),
        ("getPurchaseOrdersStatus", "itemReceiveStatus", "received", "InvalidInput"),
        ("getPurchaseOrdersStatus", "updatedBefore", "yesterday", "InvalidRequest"),
    ],
)
def test_a_malformed_value_is_refused(operation: str, name: str, value: str, code: str) -> None:
    """The code is the one that Amazon's model shows for such a value."""
    with pytest.raises(Refused) as caught:
        read_query(operation, urlencode({name: value}))

    assert caught.value.code == code


@pytest.mark.parametrize(
    ("operation", "name"),
    [
        ("getPurchaseOrders", "createdBefor"),
        ("getPurchaseOrders", "updatedAfter"),
        ("getPurchaseOrders", "MarketplaceIds"),
        ("getPurchaseOrdersStatus", "changedAfter"),
        ("getPurchaseOrdersStatus", "includeDetails"),
    ],
)
def test_an_unknown_name_is_ignored(operation: str, name: str) -> None:
    """A misspelt parameter returns everything, as it does at Amazon."""
    assert read_query(operation, f"{name}=nonsense") == read_query(operation, "")


def test_the_same_instant_can_be_written_in_several_ways() -> None:
    """A missing zone is UTC, and an offset is just another notation."""
    spellings = ["2026-08-01T10:00:00Z", "2026-08-01T10:00:00", "2026-08-01T12:00:00.000+02:00"]
    questions = {
        read_query("getPurchaseOrders", urlencode({"createdAfter": text})).question
        for text in spellings
    }

    assert len(questions) == 1


@pytest.mark.parametrize(
    ("bounds", "matching"),
    [("exclusive", [2]), ("half-open", [1, 2]), ("inclusive", [1, 2, 3])],
)
def test_bounds_are_a_setting(bounds: Bounds, matching: list[int]) -> None:
    """Amazon does not say whether a bound belongs to its window."""
    low, high = Span(1, 3).interval(bounds, now=100)

    assert [
        moment for moment in range(5) if (low is None or low <= moment) and moment < high
    ] == (matching)


def test_nothing_after_now_matches() -> None:
    """An upper bound in the future, or none, ends with the present moment."""
    assert Span(1, 500).interval("exclusive", now=100)[1] == 101
    assert Span(1, None).interval("inclusive", now=100)[1] == 101


def _check(after: datetime | None, before: datetime | None, months: int | None = 6) -> None:
    bounds = {"createdAfter": after, "createdBefore": before}
    query = urlencode({name: at.isoformat() for name, at in bounds.items() if at is not None})
    question = read_query("getPurchaseOrders", query).question
    check_spans(question, now=NOW, history_months=months)


@pytest.mark.parametrize(
    ("after", "before"),
    [
        (NOW - timedelta(days=7), NOW),
        (NOW - timedelta(days=7), None),
        (NOW, NOW - timedelta(days=2)),
        (datetime(2026, 2, 28, 12, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)),
        (None, None),
    ],
    ids=["exactly 7 days", "open at the end", "upside down", "exactly 6 months", "no window"],
)
def test_a_window_within_the_limits_is_accepted(
    after: datetime | None, before: datetime | None
) -> None:
    """Seven days are allowed to the second, six months to the day."""
    _check(after, before)


@pytest.mark.parametrize(
    ("after", "before"),
    [
        (NOW - timedelta(days=7, seconds=1), NOW),
        (NOW - timedelta(days=7, seconds=1), None),
        (datetime(2026, 2, 28, 11, 59, 59, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)),
        (None, NOW),
    ],
    ids=["too wide", "open and too wide", "beyond history", "no beginning"],
)
def test_a_window_beyond_the_limits_is_refused(
    after: datetime | None, before: datetime | None
) -> None:
    """One second too much is too much."""
    with pytest.raises(Refused) as caught:
        _check(after, before)

    assert caught.value.code == "InvalidInput"


def test_the_end_of_history_can_be_switched_off() -> None:
    """Amazon's limit of six months is younger than many of its answers."""
    _check(datetime(2020, 1, 1, tzinfo=UTC), datetime(2020, 1, 2, tzinfo=UTC), months=None)


def test_microseconds_matter() -> None:
    """A bound is kept as exactly as it was written."""
    query = "createdAfter=2026-08-01T10:00:00.000001Z"

    assert read_query("getPurchaseOrders", query).question.created.after == micros(
        datetime(2026, 8, 1, 10, 0, 0, 1, tzinfo=UTC)
    )
