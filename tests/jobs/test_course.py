"""What a sync is asked for, and the beat that it keeps."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from vendororders_async.errors import InvalidArgument
from vendororders_async.jobs.course import Beat, Course
from vendororders_async.operations import CHANGED, CREATED, STATUSES


def test_a_stream_is_swept_quicker_while_things_arrive() -> None:
    """What arrives brings the pause down at once; silence lets it grow, up to a bound."""
    beat, pauses = Beat(3.0, 15.0), [15.0]
    for arrived in (True, False, False, False, False, False):
        pauses.append(beat.after(pauses[-1], arrived=arrived))

    assert pauses == [15.0, 3.0, 4.5, 6.75, 10.125, 15.0, 15.0]


def test_an_interval_is_for_all_streams_or_for_some() -> None:
    """What is not named keeps its own beat."""
    fixed, some = Course(interval=7), Course(interval={"statuses": 60})

    assert {fixed.beat(one) for one in fixed.chosen()} == {Beat(7, 7)}
    assert some.beat(STATUSES) == Beat(60, 60)
    assert some.beat(CREATED) == Course().beat(CREATED)


def test_what_waits_for_an_order_is_swept_most_often() -> None:
    """At rest it costs less than a hundredth of the plan, ten requests a second."""
    course = Course()
    listing = sum(3600 / course.beat(one).quiet for one in (CREATED, CHANGED))

    assert course.beat(CREATED).quiet < course.beat(CHANGED).quiet
    assert listing / (10 * 3600) == pytest.approx(0.01)
    assert 3600 / course.beat(STATUSES).quiet / (10 * 3600) < 0.01


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"interval": 0}, "interval"),
        ({"interval": 100_000}, "interval"),
        ({"interval": float("nan")}, "interval"),
        ({"interval": {"nonsense": 5}}, "nonsense"),
        ({"interval": {"statuses": 5}, "streams": ["created"]}, "statuses"),
        ({"lookback": timedelta(days=2)}, "lookback"),
        ({"lookback": timedelta(seconds=-1)}, "lookback"),
        ({"deep_every": timedelta(seconds=1)}, "deep_every"),
        ({"reread": timedelta(days=-1)}, "reread"),
        ({"streams": ["nonsense"]}, "nonsense"),
        ({"concurrency": 0}, "concurrency"),
        ({"since": datetime(2026, 1, 1)}, "since"),  # noqa: DTZ001 - that is the mistake
        ({"since": datetime(1026, 1, 1, tzinfo=UTC)}, "since"),
    ],
)
def test_what_could_not_be_meant_is_refused(wrong: dict[str, Any], words: str) -> None:
    """In one line that names it, before anything is asked."""
    with pytest.raises(InvalidArgument, match=words):
        Course(**wrong)
