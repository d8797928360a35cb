"""What pages tell of the rows ahead, and where a window is cut."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from vendororders_async.evidence import Evidence

DAY = 86_400


def seen(*pages: list[float], expected: float | None = None) -> Evidence:
    """Return what *pages* tell."""
    evidence = Evidence(expected)
    for dates in pages:
        evidence.add(dates)
    return evidence


def rising(start: float, end: float, count: int = 100) -> list[float]:
    """Return a page of dates from *start* to *end*."""
    return [start + (end - start) * index / count for index in range(count)]


def test_pages_that_rise_tell_how_many_there_may_be() -> None:
    """Two pages for a tenth of the window leave eighteen."""
    evidence = seen(rising(0, 500), rising(500, 1_000))

    assert evidence.is_rising
    assert 17 <= evidence.remaining(10_000) <= 20
    assert 950 <= evidence.reached <= 1_000


def test_a_few_late_rows_do_not_hide_the_order() -> None:
    """Amazon shows when they were placed, which may be days before."""
    page = rising(1_000, 2_000)
    page[10] = page[50] = page[90] = -5 * DAY

    assert seen(page).is_rising
    assert seen(page).reached > 1_900


def test_falling_rows_and_a_second_beginning_are_no_order() -> None:
    """They are certainly none; of too few rows, or of equal ones, nothing can be said."""
    page = rising(0, 1_000)

    assert seen(page[::-1]).is_against
    assert seen(rising(500, 1_000), page).is_against
    for unsettled in (seen([]), seen([5.0] * 100)):
        assert not unsettled.is_rising
        assert not unsettled.is_against


def test_no_cut_falls_beside_a_crowd() -> None:
    """Both neighbours would read its pages."""
    crowd = [5_000 + index / 100 for index in range(100)]
    evidence = seen(rising(0, 4_999), crowd)

    [cut] = evidence.cuts(5_900, 2)

    assert cut >= 5_002


def test_a_cut_moves_past_a_crowd_that_it_would_fall_into() -> None:
    """Two seconds lie between them: queries reach one past either end."""
    falling = [500 + index / 100 for index in range(100)][::-1] + rising(0, 1_000, 20)[::-1]

    [cut] = seen(falling).cuts(1_001, 2)
    [among_others] = seen(rising(0, 1_000)[::-1]).cuts(1_000, 2)

    assert cut > 502
    assert among_others == 500


@given(
    st.lists(st.lists(st.floats(-1e6, 1e6), max_size=120), max_size=6),
    st.integers(1, 7 * DAY),
    st.integers(1, 50),
)
def test_cuts_lie_within_the_window_apart_and_in_order(
    pages: list[list[float]], end: int, count: int
) -> None:
    """Whatever came, parts are never empty, and no estimate is below nothing."""
    evidence = seen(*pages)
    cuts = evidence.cuts(end, count)

    assert cuts == sorted(set(cuts))
    assert all(0 < cut < end for cut in cuts)
    assert evidence.remaining(end) > 0
