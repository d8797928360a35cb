"""What is asked next, and what a failure means."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from vendororders_async.chains import PageRequest, Progress, Sighting, Span
from vendororders_async.errors import (
    BadRequest,
    Error,
    PaginationError,
    RequestError,
    ServerError,
)
from vendororders_async.planner import (
    Planner,
    Verdict,
    in_flight,
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

    progress = planner.received(request, "token", asked_at=NOW)

    assert progress == Progress()
    assert planner.next(1) == [PageRequest(request.span, "token")]


def test_a_window_is_finished_by_the_page_without_a_token_and_knows_when_it_began() -> None:
    """The first page's time is the window's, since what came later may be missing."""
    planner = Planner(spans(days_ago(20, 15)))
    [first] = planner.next(1)
    planner.received(first, "token", asked_at=NOW)
    [second] = planner.next(1)

    progress = planner.received(second, None, asked_at=NOW + timedelta(minutes=5))

    assert progress == Progress((FinishedWindow(days_ago(20, 15), NOW),))


@pytest.mark.parametrize("token", ["a\r\nHost: evil", " ", "\u202ea", "\0"])
def test_a_next_token_that_cannot_be_sent_back_ends_its_window(token: str) -> None:
    """It is refused before anything is sent, and the other windows go on."""
    planner = Planner(spans(days_ago(20, 15)))
    [request] = planner.next(1)

    with pytest.raises(PaginationError, match="cannot be sent back"):
        planner.received(request, token, asked_at=NOW)


def test_a_repeated_next_token_is_an_error() -> None:
    """Following the same token twice would never end."""
    planner = Planner(spans(days_ago(20, 15)))
    [request] = planner.next(1)
    for token in ("one", "two"):
        planner.received(request, token, asked_at=NOW)
        [request] = planner.next(1)

    with pytest.raises(PaginationError):
        planner.received(request, "one", asked_at=NOW)


@pytest.mark.parametrize(("marks", "pages"), [((None,), 1000), ((1, 2, 3), 3 + 20)])
def test_next_tokens_that_lead_nowhere_are_an_error(
    marks: tuple[int | None, ...], pages: int
) -> None:
    """A thousand empty pages in a row, or twenty that came before; what is new counts anew."""
    planner = Planner(spans(days_ago(10, 5)))
    count = 0

    def follow() -> None:
        nonlocal count
        while True:
            [request] = planner.next(1)
            mark = marks[count % len(marks)]
            count += 1
            planner.received(request, f"token {count}", asked_at=NOW, mark=mark)

    with pytest.raises(PaginationError, match="nothing new"):
        follow()

    assert count == pages


def test_a_page_that_is_new_makes_up_for_empty_ones() -> None:
    """However many of them come, as long as something comes between."""
    planner = Planner(spans(days_ago(10, 5)))
    for count in range(5000):
        [request] = planner.next(1)
        mark = count if count % 900 == 0 else None
        planner.received(request, f"token {count}", asked_at=NOW, mark=mark)

    [request] = planner.next(1)
    assert planner.received(request, None, asked_at=NOW).finished


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


PLAN = UsagePlan(rate=10, burst=10)
WEEK = days_ago(17, 10)


def page(window: Window, start: float, end: float, count: int = 100) -> list[Sighting]:
    """Return *count* rows, evenly from *start* to *end*, which are shares of *window*."""
    steps = (start + (end - start) * index / count for index in range(count))
    return [Sighting(f"{step:.8f}", window.after + window.length * step) for step in steps]


def begun(window: Window, *, pages: int, share: float) -> tuple[Planner, PageRequest]:
    """Return a planner that has read *pages* rising pages, and the request for the next.

    They reach up to *share* of *window*; nothing was split so far.
    """
    planner = Planner(spans(window), sorted_streams=["created"])
    [request] = planner.next(1)
    for number in range(pages):
        rows = page(window, share * number / pages, share * (number + 1) / pages)
        planner.received(request, f"token {number}", asked_at=NOW, rows=rows)
        [request] = planner.next(1)
    return planner, request


def parts_of(planner: Planner) -> list[Window]:
    """Return the one window that is split now, by its parts."""
    [split] = planner.replan(PLAN, latency=1.0)
    return list(split.parts)


def test_before_any_answer_the_windows_are_cut_for_the_whole_burst() -> None:
    """The permits are there anyway, and what they bring tells where the orders are."""
    planner = Planner(spans(days_ago(20, 14)))

    [split] = planner.replan(PLAN, latency=1.0)

    assert len(split.parts) > 1
    assert WindowSet(split.parts) == WindowSet([days_ago(20, 14)])
    assert all(part.length > DAY / 2 - timedelta(minutes=1) for part in split.parts)
    assert planner.replan(PLAN, latency=1.0) == []


def test_more_windows_than_permits_are_not_cut() -> None:
    """There is enough to ask as it is."""
    planner = Planner(spans(*(days_ago(age + 6, age) for age in range(10, 100, 6))))

    assert planner.replan(PLAN, latency=1.0) == []


def test_a_window_that_would_be_the_last_one_running_is_split() -> None:
    """What is ahead of it is read by others, and it goes on where it stands."""
    planner, request = begun(WEEK, pages=2, share=0.1)

    parts = parts_of(planner)

    assert len(parts) > 2
    assert WindowSet(parts) == WindowSet([WEEK])
    assert parts[0].before > WEEK.after + WEEK.length * 0.1
    assert planner.is_open(request.span)
    assert [one.span.window for one in planner.next(100)] == parts[1:]


def test_a_plan_that_is_busy_anyway_splits_nothing() -> None:
    """Fifty windows of a page each keep it busy for longer than this one takes."""
    planner = Planner(spans(*(days_ago(age + 6, age) for age in range(300, 600, 6))))
    [request] = planner.next(1)
    window = request.span.window

    planner.received(request, "token", asked_at=NOW, rows=page(window, 0, 0.4))

    assert planner.replan(PLAN, latency=1.0) == []


def test_rows_in_no_order_split_a_window_after_its_first_page_alone() -> None:
    """It starts over in parts, which costs the page; after a second one it would cost two."""
    rows = page(WEEK, 0.9, 1.0)[::-1]
    for pages, is_split in ((1, True), (2, False)):
        planner = Planner(spans(WEEK))
        for number in range(pages):
            [request] = planner.next(1)
            planner.received(request, f"token {number}", asked_at=NOW, rows=rows)

        splits = planner.replan(PLAN, latency=1.0)

        assert bool(splits) is is_split
        assert planner.is_open(Span("created", WEEK)) is not is_split


def test_a_part_that_was_left_counts_only_after_all_the_others_bear_it_out() -> None:
    """Its rows came past its end, and came again in the part beyond it."""
    planner, request = begun(WEEK, pages=2, share=0.1)
    first, *others = parts_of(planner)
    past = (first.before - WEEK.after) / WEEK.length
    rows = page(WEEK, 0.1, past + 0.05)

    left = planner.received(request, "on", asked_at=NOW, rows=rows)
    progress = []
    for one in planner.next(100):
        there = [row for row in rows if row.date and row.date >= one.span.window.after]
        progress.append(planner.received(one, None, asked_at=NOW, rows=there))

    assert left == Progress()
    assert not planner.is_open(request.span)
    assert [one.window for each in progress[:-1] for one in each.finished] == others[:-1]
    assert {one.window for one in progress[-1].finished} == {others[-1], first}
    assert progress[-1].again == ()


def test_a_part_is_read_again_where_what_it_saw_beyond_its_end_does_not_come_again() -> None:
    """Then the order was none, and its pages say nothing about what they left out."""
    planner, request = begun(WEEK, pages=2, share=0.1)
    first, *others = parts_of(planner)
    past = (first.before - WEEK.after) / WEEK.length

    planner.received(request, "on", asked_at=NOW, rows=page(WEEK, 0.1, past + 0.05))
    progress = [planner.received(one, None, asked_at=NOW) for one in planner.next(100)]
    [again] = planner.next(100)
    last = planner.received(again, None, asked_at=NOW)

    assert progress[-1].again == (first,)
    assert {one.window for each in progress for one in each.finished} == set(others)
    assert again == PageRequest(Span("created", first))
    assert last.finished == (FinishedWindow(first, NOW),)


def test_a_part_that_starts_over_in_parts_does_not_hold_up_what_leans_on_it() -> None:
    """Once those have been read as well, what was left before them is settled."""
    planner, request = begun(WEEK, pages=2, share=0.1)
    first, *others = parts_of(planner)
    past = (first.before - WEEK.after) / WEEK.length
    planner.received(request, "on", asked_at=NOW, rows=page(WEEK, 0.1, past + 0.05))
    [*rest, last] = planner.next(100)
    for one in rest:
        planner.received(one, None, asked_at=NOW)
    falling = page(last.span.window, 0.95, 1.0)[::-1]
    planner.received(last, "on", asked_at=NOW, rows=falling)

    [split] = planner.replan(PLAN, latency=1.0)
    progress = [planner.received(one, None, asked_at=NOW) for one in planner.next(100)]

    assert WindowSet(split.parts) == WindowSet([others[-1]])
    assert progress[-1].again == (first,)


def test_after_order_was_leant_on_in_vain_it_is_not_leant_on_again() -> None:
    """One stream's other windows are read to their last page from then on."""
    later = days_ago(9, 2)
    planner = Planner(spans(WEEK, later))
    disordered, other = planner.next(2)
    for number in range(2):
        rows = page(WEEK, number / 20, (number + 1) / 20)
        planner.received(disordered, str(number), asked_at=NOW, rows=rows)
        [disordered] = planner.next(1)
    planner.replan(PLAN, latency=1.0)
    others = planner.next(100)
    planner.received(disordered, "on", asked_at=NOW, rows=page(WEEK, 0.1, 0.9))
    for one in others:
        planner.received(one, None, asked_at=NOW)
    for number in range(2):
        rows = page(later, number / 20, (number + 1) / 20)
        planner.received(other, str(number), asked_at=NOW, rows=rows)
        [other] = [one for one in planner.next(100) if one.span.window == later]

    assert planner.replan(PLAN, latency=1.0) == []


@pytest.mark.parametrize("limit", [100, 10])
def test_a_page_that_cannot_be_made_is_asked_for_in_smaller_ones(limit: int) -> None:
    """A hundred rows, then ten, then whoever asks has to go order by order."""
    planner = Planner(spans(WEEK))
    verdicts = []
    while requests := planner.next(1):
        [request] = requests
        if request.limit < limit:
            planner.received(request, None, asked_at=NOW)
            break
        error = ServerError("x", status=500)
        verdicts.append(planner.failed(request, error, now=NOW, is_serving=True).verdict)

    smaller = [Verdict.SMALLER] if limit == 100 else [Verdict.SMALLER, Verdict.ONE_BY_ONE]
    assert verdicts == smaller


def test_a_part_that_fails_takes_nothing_else_with_it() -> None:
    """What was left before it is read again, and the other parts stay finished."""
    planner, request = begun(WEEK, pages=2, share=0.1)
    first, *others = parts_of(planner)
    past = (first.before - WEEK.after) / WEEK.length
    planner.received(request, "on", asked_at=NOW, rows=page(WEEK, 0.1, past + 0.05))
    failing, *rest = planner.next(100)
    for one in rest:
        planner.received(one, None, asked_at=NOW)

    failure = planner.failed(failing, ServerError("x", status=500), now=NOW)

    assert (failure.verdict, failure.window) == (Verdict.GIVEN_UP, others[0])
    assert failure.progress == Progress(again=(first,))
    assert [one.span.window for one in planner.next(100)] == [first]
