"""What is asked next, and what a failure means."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vendororders_async.errors import (
    BadRequest,
    Error,
    PaginationError,
    RequestError,
    ServerError,
)
from vendororders_async.planner import (
    DetailPlanner,
    PageRequest,
    Planner,
    Span,
    Verdict,
    covered_until,
    in_flight,
    missing,
)
from vendororders_async.usage import UsagePlan
from vendororders_async.windows import FinishedWindow, Window, WindowSet

NOW = datetime(2026, 6, 15, 12, tzinfo=UTC)
DAY = timedelta(days=1)
SPURIOUS = BadRequest("Invalid Input", status=400, errors=(Error(code="InvalidInput"),))


def days_ago(after: float, before: float) -> Window:
    """Return the window between two ages."""
    return Window(NOW - after * DAY, NOW - before * DAY)


def spans(*windows: Window, stream: str = "created") -> list[Span]:
    """Return the spans of one stream."""
    return [Span(stream, window) for window in windows]


def test_windows_are_asked_oldest_first_and_never_more_than_there_is_room_for() -> None:
    """The oldest windows come first, up to the capacity."""
    planner = Planner(spans(days_ago(10, 5), days_ago(20, 15), days_ago(15, 10)))

    first = planner.next(2)
    second = planner.next(2)

    assert [request.span.window for request in first] == [days_ago(20, 15), days_ago(15, 10)]
    assert [request.span.window for request in second] == [days_ago(10, 5)]
    assert planner.next(5) == []


def test_a_page_is_followed_before_another_window_is_begun() -> None:
    """A window that has begun comes before one that has not."""
    planner = Planner(spans(days_ago(20, 15), days_ago(10, 5)))
    [request] = planner.next(1)

    finished = planner.received(request, "token", asked_at=NOW)

    assert finished is None
    assert planner.next(1) == [PageRequest(request.span, "token")]


def test_a_window_is_finished_by_the_page_without_a_token_and_knows_when_it_began() -> None:
    """The first page's time is the window's, since what came later may be missing."""
    planner = Planner(spans(days_ago(20, 15)))
    [first] = planner.next(1)
    planner.received(first, "token", asked_at=NOW)
    [second] = planner.next(1)

    finished = planner.received(second, None, asked_at=NOW + timedelta(minutes=5))

    assert finished == FinishedWindow(days_ago(20, 15), NOW)


def test_a_repeated_next_token_is_an_error() -> None:
    """Following the same token twice would never end."""
    planner = Planner(spans(days_ago(20, 15)))
    [request] = planner.next(1)
    for token in ("one", "two"):
        planner.received(request, token, asked_at=NOW)
        [request] = planner.next(1)

    with pytest.raises(PaginationError):
        planner.received(request, "one", asked_at=NOW)


def test_a_refused_next_token_starts_the_window_once_more() -> None:
    """An expired token looks like a wrong one; a second time it is given up."""
    planner = Planner(spans(days_ago(20, 15)))
    verdicts = []
    for _ in range(2):
        [first] = planner.next(1)
        planner.received(first, "token", asked_at=NOW)
        [second] = planner.next(1)
        verdicts.append(planner.failed(second, SPURIOUS, now=NOW).verdict)

    assert verdicts == [Verdict.RESTARTED, Verdict.GIVEN_UP]
    assert planner.next(1) == []


def test_a_restarted_window_may_see_its_tokens_again() -> None:
    """What was seen before the restart does not count as a repetition."""
    planner = Planner(spans(days_ago(20, 15)))
    [first] = planner.next(1)
    planner.received(first, "token", asked_at=NOW)
    [second] = planner.next(1)
    planner.failed(second, SPURIOUS, now=NOW)
    [again] = planner.next(1)

    planner.received(again, "token", asked_at=NOW)

    assert planner.next(1) == [PageRequest(first.span, "token")]


@pytest.mark.parametrize(
    "error",
    [
        ServerError("x", status=500),
        PaginationError("x"),
        BadRequest("x", errors=(Error(code="X"),)),
    ],
    ids=["500", "pagination", "another 400"],
)
def test_a_failed_window_within_history_is_given_up(error: RequestError) -> None:
    """Whatever else fails for good costs its window, and says which."""
    planner = Planner(spans(days_ago(20, 15)))
    [request] = planner.next(1)

    failure = planner.failed(request, error, now=NOW)

    assert failure.verdict is Verdict.GIVEN_UP
    assert failure.window == days_ago(20, 15)


def test_a_refused_window_beyond_history_is_no_failure() -> None:
    """Amazon does not serve what is older than six months."""
    planner = Planner(spans(days_ago(300, 294)))
    [request] = planner.next(1)

    failure = planner.failed(request, SPURIOUS, now=NOW)

    assert failure.verdict is Verdict.BEYOND_HISTORY
    assert failure.window == days_ago(300, 294)
    assert planner.next(1) == []


def test_a_refused_window_across_the_horizon_is_asked_again_for_what_is_served() -> None:
    """Only what lies behind the horizon is lost, and nothing is left between the two."""
    planner = Planner(spans(days_ago(185, 179)))
    [request] = planner.next(1)

    failure = planner.failed(request, SPURIOUS, now=NOW)
    [rest] = planner.next(1)

    assert failure.verdict is Verdict.BEYOND_HISTORY
    assert failure.window.after == NOW - 185 * DAY
    assert failure.window.before == rest.span.window.after
    assert rest.span.window.before == NOW - 179 * DAY
    assert planner.failed(rest, SPURIOUS, now=NOW).verdict is Verdict.GIVEN_UP


def test_what_is_finished_and_settled_is_not_missing() -> None:
    """A window that ended long before it was read is not asked again."""
    finished = FinishedWindow(days_ago(60, 40), NOW - 20 * DAY)

    gaps = missing(days_ago(90, 10), [finished], reread=7 * DAY)

    assert list(gaps) == [days_ago(90, 60), days_ago(40, 10)]


def test_what_was_fresh_when_it_was_read_is_missing_again() -> None:
    """Amazon publishes late, so the last days before the reading are read again."""
    finished = FinishedWindow(days_ago(60, 20), NOW - 20 * DAY)

    gaps = missing(days_ago(60, 20), [finished], reread=7 * DAY)

    assert list(gaps) == [days_ago(27, 20)]
    assert missing(days_ago(60, 20), [finished], reread=timedelta()) == WindowSet()


@given(st.lists(st.tuples(st.integers(0, 100), st.integers(1, 30), st.integers(0, 40))))
def test_reading_what_is_missing_leaves_nothing_missing(
    entries: list[tuple[int, int, int]],
) -> None:
    """Whatever was finished before, the gaps complete it, and no gap was settled."""
    wanted = days_ago(90, 10)
    finished = [
        FinishedWindow(days_ago(age + length, age), NOW - read * DAY)
        for age, length, read in entries
    ]
    gaps = missing(wanted, finished, reread=7 * DAY)
    settled = WindowSet(part for one in finished if (part := one.settled(7 * DAY)))

    assert WindowSet([wanted]) - gaps - settled == WindowSet()
    assert gaps - settled == gaps


def test_coverage_ends_at_the_first_gap_after_its_beginning() -> None:
    """A hole at the beginning is no coverage at all, whatever was read after it."""
    finished = [
        FinishedWindow(window, NOW)
        for window in (days_ago(30, 25), days_ago(25, 20), days_ago(10, 5))
    ]

    assert covered_until(finished, NOW - 30 * DAY) == NOW - 20 * DAY
    assert covered_until(finished, NOW - 8 * DAY) == NOW - 5 * DAY
    assert covered_until(finished, NOW - 15 * DAY) is None
    assert covered_until([], NOW) is None


def test_requests_in_flight_follow_latency() -> None:
    """As many are under way as the plan's rate times the latency needs, within bounds."""
    plan = UsagePlan(rate=10, burst=10)

    assert in_flight(plan, 0.1) < in_flight(plan, 1.0) < in_flight(plan, 3.0)
    assert in_flight(plan, 1.0) >= 10
    assert in_flight(plan, 1_000.0) <= 64


def test_what_is_given_up_is_not_asked_again() -> None:
    """Its next page is not sent, and what is under way can be told to be unwanted."""
    planner = Planner(spans(days_ago(20, 15), days_ago(10, 5)))
    [first] = planner.next(1)
    planner.received(first, "token", asked_at=NOW)

    planner.give_up(first.span)

    assert not planner.is_open(first.span)
    assert [one.span.window for one in planner.next(5)] == [days_ago(10, 5)]


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
