"""Windows: tiles cover exactly, sets behave like sets of seconds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vendororders_async.errors import InvalidArgument
from vendororders_async.windows import (
    LONGEST_CORE,
    LONGEST_QUERY,
    REACH,
    FinishedWindow,
    Window,
    WindowSet,
)

START = datetime(2026, 1, 1, tzinfo=UTC)


def span(after: int, before: int) -> Window:
    """Return the window between two numbers of seconds."""
    return Window(START + timedelta(seconds=after), START + timedelta(seconds=before))


SPANS = st.tuples(st.integers(0, 60), st.integers(1, 20)).map(
    lambda pair: span(pair[0], pair[0] + pair[1])
)
SETS = st.lists(SPANS, max_size=8).map(WindowSet)
LONG = st.tuples(st.integers(0, 10**6), st.integers(1, 2 * 10**7)).map(
    lambda pair: span(pair[0], pair[0] + pair[1])
)


def seconds(windows: WindowSet) -> set[int]:
    """Return the seconds that *windows* hold, one by one: the model we compare with."""
    return {
        second
        for window in windows
        for second in range(
            int((window.after - START).total_seconds()),
            int((window.before - START).total_seconds()),
        )
    }


@given(LONG, st.integers(1, 10**6))
def test_tiles_cover_their_window_exactly(window: Window, longest: int) -> None:
    """No second is left out, none is in two tiles, and none is too long."""
    count_at_most = 500
    limit = timedelta(
        seconds=max(longest, int(window.length.total_seconds()) // count_at_most, 1)
    )
    tiles = window.tiles(limit)

    assert tiles[0].after == window.after
    assert tiles[-1].before == window.before
    assert all(one.before == other.after for one, other in pairwise(tiles))
    assert all(tile.length <= limit for tile in tiles)
    assert len(tiles) == -(-window.length // limit)


@given(LONG)
def test_tiles_are_of_equal_length(window: Window) -> None:
    """The work is shared evenly: lengths differ by a second at most."""
    lengths = {tile.length for tile in window.tiles()}

    assert max(lengths) - min(lengths) <= timedelta(seconds=1)


@given(LONG)
def test_what_is_asked_for_a_tile_never_exceeds_seven_days(window: Window) -> None:
    """The reach past both ends is inside Amazon's limit."""
    for tile in window.tiles():
        asked = tile.query()

        assert asked.length <= LONGEST_QUERY
        assert asked.after == tile.after - REACH
        assert asked.before == tile.before + REACH


def test_a_core_with_its_reach_fills_the_limit() -> None:
    """Nothing of the seven days is given away."""
    assert LONGEST_CORE + 2 * REACH == LONGEST_QUERY == timedelta(days=7)


@given(SETS, SETS)
def test_union_and_difference_are_those_of_the_seconds(
    one: WindowSet, other: WindowSet
) -> None:
    """A set of windows is a set of instants, whatever way it was put together."""
    assert seconds(one | other) == seconds(one) | seconds(other)
    assert seconds(one - other) == seconds(one) - seconds(other)


@given(SETS, SETS)
def test_a_difference_and_an_intersection_make_the_whole(
    one: WindowSet, other: WindowSet
) -> None:
    """(a - b) and (a & b) share nothing and together are a."""
    shared = one - (one - other)

    assert (one - other) | shared == one
    assert not seconds(one - other) & seconds(shared)


@given(SETS, SETS)
def test_what_was_missing_completes_the_whole(wanted: WindowSet, done: WindowSet) -> None:
    """Subtracting what is done and merging what was missing leaves nothing to do."""
    missing = wanted - done

    assert len(wanted - (done | missing)) == 0
    assert (missing - done) == missing
    assert (done | missing) - missing == done - missing


@given(st.lists(SPANS, max_size=8))
def test_a_set_is_disjoint_and_in_order(windows: list[Window]) -> None:
    """Neighbours that touch are one window, and the order of arrival does not matter."""
    merged = list(WindowSet(windows))

    assert all(one.before < other.after for one, other in pairwise(merged))
    assert WindowSet(reversed(windows)) == WindowSet(windows)
    assert hash(WindowSet(reversed(windows))) == hash(WindowSet(windows))
    assert WindowSet(windows).length == timedelta(seconds=len(seconds(WindowSet(windows))))


def test_an_empty_set_holds_nothing() -> None:
    """Nothing is a set too."""
    assert len(WindowSet()) == 0
    assert WindowSet().length == timedelta()
    assert WindowSet() != [span(0, 1)]
    assert repr(WindowSet()) == "WindowSet()"


def test_touching_windows_become_one() -> None:
    """An end is the next one's beginning, so nothing lies between them."""
    assert list(WindowSet([span(0, 5), span(5, 9)])) == [span(0, 9)]


@pytest.mark.parametrize(("after", "before"), [(5, 5), (6, 5)])
def test_a_window_must_end_after_it_begins(after: int, before: int) -> None:
    """An empty or turned-round window could not be meant."""
    with pytest.raises(InvalidArgument, match="must end after it begins"):
        span(after, before)


def test_a_window_needs_zones() -> None:
    """An instant without a zone is nobody's instant."""
    naive = START.replace(tzinfo=None)

    with pytest.raises(InvalidArgument, match="time zone"):
        Window(START, naive)
    with pytest.raises(InvalidArgument, match="time zone"):
        Window(naive, START)
    with pytest.raises(InvalidArgument, match="time zone"):
        Window.covering(naive, START)
    with pytest.raises(InvalidArgument, match="time zone"):
        Window.covering(START, naive)


def test_covering_cuts_to_whole_seconds_in_utc() -> None:
    """What the wire cannot say is cut down at both ends."""
    berlin = timezone(timedelta(hours=1))
    window = Window.covering(
        datetime(2026, 1, 1, 1, 0, 0, 900_000, tzinfo=berlin),
        datetime(2026, 1, 1, 2, 0, 0, 900_000, tzinfo=berlin),
    )

    assert window == Window(START, START + timedelta(hours=1))
    assert window.after.utcoffset() == timedelta(0)


def test_a_fraction_of_a_second_is_no_window() -> None:
    """Two instants of the same second have nothing between them on the wire."""
    with pytest.raises(InvalidArgument, match="must end after it begins"):
        Window.covering(START, START + timedelta(seconds=0.9))


def test_a_window_prints_as_an_iso_interval() -> None:
    """The form that logs and ledgers show."""
    assert str(span(0, 60)) == "2026-01-01T00:00:00Z/2026-01-01T00:01:00Z"


@pytest.mark.parametrize(
    ("begun", "reread", "settled"),
    [
        (100, 10, (0, 60)),
        (70, 10, (0, 60)),
        (69, 10, (0, 59)),
        (11, 10, (0, 1)),
        (10, 10, None),
        (5, 10, None),
        (100, 0, (0, 60)),
    ],
)
def test_what_was_fresh_when_it_was_read_is_read_again(
    begun: int, reread: int, settled: tuple[int, int] | None
) -> None:
    """Only the part that had ended long enough before counts as read."""
    finished = FinishedWindow(span(0, 60), START + timedelta(seconds=begun))

    assert finished.settled(timedelta(seconds=reread)) == (span(*settled) if settled else None)
