"""What is remembered of a window's pages, and when a claim counts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from vendororders_async.chains import Chain, Family, Progress, Sighting, Span
from vendororders_async.windows import FinishedWindow, Window

START = datetime(2026, 3, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)
FIRST = FinishedWindow(Window(START, START + HOUR), START)


def sightings(start: float, end: float, count: int = 100) -> list[Sighting]:
    """Return rows from *start* to *end*, in hours."""
    steps = (start + (end - start) * index / count for index in range(count))
    return [Sighting(f"{step:.4f}", START + step * HOUR) for step in steps]


def shortened() -> Chain:
    """Return the chain of four hours, of which others read the last three."""
    chain = Chain(Span("created", Window(START, START + 4 * HOUR)))
    chain.shorten(FIRST.window)
    return chain


def test_rows_past_the_end_are_seen_only_where_others_read_them() -> None:
    """A window that nobody shortened has no end but its last page."""
    whole = Chain(Span("created", FIRST.window))

    assert not whole.take_in(sightings(0, 3))
    assert not shortened().take_in(sightings(0, 0.9))
    assert len(shortened().take_in(sightings(0.5, 1.5))) == 49


def test_rows_that_do_not_rise_never_come_past_the_end() -> None:
    """Falling ones are past it from the first page on."""
    assert not shortened().take_in(sightings(2, 4)[::-1])


@pytest.mark.parametrize(
    ("seen", "is_in_order", "is_borne_out"),
    [({"A"}, True, True), ({"A"}, False, False), ({"A", "B"}, True, False)],
    ids=["seen again", "out of order", "one is missing"],
)
def test_a_claim_counts_if_what_was_beyond_it_came_again_in_order(
    seen: set[str], *, is_in_order: bool, is_borne_out: bool
) -> None:
    """Rows in earlier parts say nothing about what lies beyond."""
    family = Family()
    beyond = dict.fromkeys(seen, START + HOUR + timedelta(minutes=5))
    family.claim(FIRST, beyond, stray_share=0)
    family.note(START, [Sighting("B", START)])
    family.note(START + HOUR, [Sighting("A", START + HOUR)])
    family.is_in_order = is_in_order

    again = Progress(again=(FIRST.window,))
    assert family.settle() == (Progress((FIRST,)) if is_borne_out else again)
