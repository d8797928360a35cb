"""Whose details are asked for, and which windows wait for them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from vendororders_async.chains import Span
from vendororders_async.detail_planner import DetailPlanner
from vendororders_async.windows import Window

NOW = datetime(2026, 6, 15, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def days_ago(after: float, before: float) -> Window:
    """Return the window between two ages."""
    return Window(NOW - after * DAY, NOW - before * DAY)


def spans(*windows: Window, stream: str = "created") -> list[Span]:
    """Return the spans of one stream."""
    return [Span(stream, window) for window in windows]


def test_details_are_asked_for_once_and_all_windows_wait_for_them() -> None:
    """A number that two windows list finishes both."""
    details = DetailPlanner()
    one, two = spans(days_ago(20, 15), days_ago(10, 5))

    assert details.wanted(one, ["A", "B", "A"]) == ["A", "B"]
    assert details.wanted(two, ["B"]) == []
    assert (details.listed(one), details.listed(two)) == (False, False)
    assert details.unknown(["A", "B", "C", "C"]) == ["C"]
    assert details.settled("B") == [two]
    assert details.wanted(two, ["B"]) == []
    assert details.settled("A") == [one]


def test_a_window_without_numbers_is_finished_when_it_is_listed() -> None:
    """Nothing to wait for, also where all of it was settled before."""
    details = DetailPlanner()
    one, two = spans(days_ago(20, 15), days_ago(10, 5))
    details.wanted(one, ["A"])
    details.settled("A")
    details.wanted(two, ["A"])

    assert details.listed(two)
    assert details.listed(one)


def test_a_window_is_not_finished_before_its_last_page() -> None:
    """Details may be quicker than the list."""
    details = DetailPlanner()
    [one] = spans(days_ago(20, 15))
    details.wanted(one, ["A"])

    assert details.settled("A") == []
    assert details.listed(one)


def test_details_that_fail_give_up_all_that_wait_for_them() -> None:
    """A window that lost one of its orders never counts as finished."""
    details = DetailPlanner()
    one, two, three = spans(days_ago(30, 25), days_ago(20, 15), days_ago(10, 5))
    for span, numbers in ((one, ["A", "B"]), (two, ["A"]), (three, ["B"])):
        details.wanted(span, numbers)
        details.listed(span)

    assert details.failed("A") == [one, two]
    assert details.settled("B") == [three]


@given(st.data())
def test_every_window_is_finished_exactly_once(data: st.DataObject) -> None:
    """Whatever is listed where, and in whatever order the details come."""
    details = DetailPlanner()
    windows = spans(*(days_ago(10 * age + 9, 10 * age + 3) for age in range(4)))
    waiting: list[str] = []
    finished: list[Span] = []
    for span in windows:
        numbers = data.draw(st.lists(st.sampled_from("ABCDEF")))
        waiting += details.wanted(span, numbers)
        for number in (
            data.draw(st.lists(st.sampled_from(waiting), unique=True)) if waiting else []
        ):
            waiting.remove(number)
            finished += details.settled(number)
        finished += [span] if details.listed(span) else []
    for number in data.draw(st.permutations(waiting)):
        finished += details.settled(number)

    assert sorted(finished, key=lambda one: one.window) == sorted(
        windows, key=lambda one: one.window
    )
