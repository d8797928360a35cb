"""What was read of a stream, and what is to be read again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from vendororders_async.coverage import covered_until, merged, missing, read_since
from vendororders_async.jobs.course import Course
from vendororders_async.jobs.follower import due_at
from vendororders_async.windows import FinishedWindow, Window, WindowSet

NOW = datetime(2026, 6, 15, 12, tzinfo=UTC)
DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)


def days_ago(after: float, before: float) -> Window:
    """Return the window between two ages."""
    return Window(NOW - after * DAY, NOW - before * DAY)


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


@given(st.lists(st.tuples(st.integers(0, 100), st.integers(1, 30), st.integers(-20, 40))))
def test_what_is_merged_is_read_again_where_its_parts_would_be(
    entries: list[tuple[int, int, int]],
) -> None:
    """One window in place of many: nothing more is missing for it, and nothing less."""
    since, wanted = NOW - 90 * DAY, days_ago(90, 10)
    finished = [
        FinishedWindow(days_ago(age + length, age), NOW - (age - late) * DAY)
        for age, length, late in entries
    ]
    whole = merged(finished, since, reread=7 * DAY)
    if whole is None:
        return
    kept = [
        one
        for one in finished
        if one.begun_at > whole.begun_at
        or one.window.after < whole.window.after
        or one.window.before > whole.window.before
    ]

    assert missing(wanted, [whole, *kept], reread=7 * DAY) == missing(
        wanted, finished, reread=7 * DAY
    )
    assert covered_until([whole, *kept], since) == covered_until(finished, since)


def test_a_stream_is_looked_back_over_when_what_was_fresh_has_settled() -> None:
    """Six hours after it was looked over last, whoever did that."""
    course, since = Course(), NOW - 90 * DAY
    finished = [FinishedWindow(Window(since, NOW - 2 * MINUTE), NOW)]

    assert due_at(finished, since, course, NOW) == NOW + course.deep_every


def test_a_stream_with_a_gap_is_looked_back_over_at_once() -> None:
    """Nobody has read it at all, there is a hole, or the head ran on after an outage."""
    course, since = Course(), NOW - 90 * DAY
    hole = [FinishedWindow(days_ago(90, 50), NOW), FinishedWindow(days_ago(40, 0), NOW)]
    behind = [FinishedWindow(days_ago(90, 1), NOW - DAY)]

    assert due_at([], since, course, NOW) == since
    assert due_at(hole, since, course, NOW) == since
    assert due_at(behind, since, course, NOW) == since


def test_what_began_lately_is_looked_back_over_no_more_often() -> None:
    """Nothing of it can have settled yet; what counts is when it was looked at."""
    course, since = Course(), NOW - DAY
    earlier = FinishedWindow(Window(since, NOW - DAY / 2), NOW - DAY / 2)
    later = [
        FinishedWindow(Window(since, NOW - DAY / 3), NOW - MINUTE),
        FinishedWindow(Window(NOW - DAY / 3, NOW - 2 * MINUTE), NOW),
    ]
    whole = Window(since, NOW - 2 * MINUTE)

    assert due_at([earlier, *later], since, course, NOW - 2 * MINUTE) == (
        NOW - MINUTE + course.deep_every
    )
    assert due_at([], NOW, course, NOW - DAY) == NOW
    assert read_since([earlier], whole) is None
    assert read_since([earlier, *later], whole) == NOW - MINUTE


def test_a_head_that_writes_seldom_leaves_no_gap() -> None:
    """What it has read in the last minutes may not be written down yet."""
    course, since = Course(lookback=timedelta()), NOW - 90 * DAY
    finished = [FinishedWindow(Window(since, NOW - 3 * MINUTE), NOW)]

    assert due_at(finished, since, course, NOW) > NOW
