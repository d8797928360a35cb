"""Instants: read in every spelling, written in two."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vendororders_async import clock

ZONES = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
MOMENTS = st.datetimes(
    min_value=datetime(2, 1, 1),  # noqa: DTZ001 - the strategy adds the zone
    max_value=datetime(9998, 12, 31),  # noqa: DTZ001 - the strategy adds the zone
    timezones=ZONES,
)


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("2019-08-20T14:00:00", datetime(2019, 8, 20, 14, tzinfo=UTC)),
        ("2019-08-20T14:00:00Z", datetime(2019, 8, 20, 14, tzinfo=UTC)),
        ("2019-08-20T14:00:00+00:00", datetime(2019, 8, 20, 14, tzinfo=UTC)),
        ("2019-08-20T14:00:00-08:00", datetime(2019, 8, 20, 22, tzinfo=UTC)),
        ("2019-08-20T14:00:00+0530", datetime(2019, 8, 20, 8, 30, tzinfo=UTC)),
        ("2019-08-20", datetime(2019, 8, 20, tzinfo=UTC)),
        ("2019-08-20 14:00:00", datetime(2019, 8, 20, 14, tzinfo=UTC)),
        ("20190820T140000Z", datetime(2019, 8, 20, 14, tzinfo=UTC)),
        (" 2019-08-20T14:00:00Z\n", datetime(2019, 8, 20, 14, tzinfo=UTC)),
        ("2019-08-20T14:00:00.5Z", datetime(2019, 8, 20, 14, 0, 0, 500_000, tzinfo=UTC)),
        ("2019-08-20T14:00:00.308Z", datetime(2019, 8, 20, 14, 0, 0, 308_000, tzinfo=UTC)),
        (
            "2019-08-20T14:00:00.123456789Z",
            datetime(2019, 8, 20, 14, 0, 0, 123_456, tzinfo=UTC),
        ),
    ],
)
def test_instants_are_read_in_every_spelling_that_was_seen(
    text: str, meaning: datetime
) -> None:
    """Zones, offsets, fractions, dates alone: all become the instant they mean, in UTC."""
    moment = clock.parse_instant(text)

    assert moment == meaning
    assert moment.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "null",
        "2019-09-2100:00:00",
        "20.08.2019",
        "2019-02-30",
        "14:00:00",
        "1566309600",
    ],
)
def test_what_is_no_instant_is_refused(text: str) -> None:
    """Something else than ISO 8601 is a ValueError, not a guess."""
    with pytest.raises(ValueError, match=r"Invalid isoformat|out of range|must be in"):
        clock.parse_instant(text)


@given(MOMENTS)
def test_what_is_stored_is_read_back_exactly(moment: datetime) -> None:
    """The fixed-width text and the instant are the same thing."""
    text = clock.format_stored(moment)

    assert clock.parse_instant(text) == moment
    assert len(text) == len("2019-08-20T14:00:00.000000Z")


@given(MOMENTS)
def test_the_wire_keeps_whole_seconds(moment: datetime) -> None:
    """What is sent is the instant cut down to its second, with a Z."""
    text = clock.format_wire(moment)

    assert clock.parse_instant(text) == clock.whole_second(moment)
    assert timedelta(0) <= moment - clock.whole_second(moment) < timedelta(seconds=1)
    assert len(text) == len("2019-08-20T14:00:00Z")


class FrozenDatetime(datetime):
    """What libraries that stop the clock put in place of a datetime."""


@given(MOMENTS)
def test_an_instant_of_a_subclass_is_stored_alike(moment: datetime) -> None:
    """Whatever kind of datetime the application's clock hands out, its text is the same."""
    frozen = FrozenDatetime.fromisoformat(moment.isoformat())

    assert clock.format_stored(frozen) == clock.format_stored(moment)


@given(MOMENTS, MOMENTS)
def test_stored_text_sorts_as_time_does(one: datetime, other: datetime) -> None:
    """Databases compare the text, so it must order as the instants do."""
    texts = clock.format_stored(one), clock.format_stored(other)

    assert (texts[0] < texts[1]) == (one < other)
    assert (texts[0] == texts[1]) == (one == other)


@pytest.mark.parametrize(
    "moment",
    [
        datetime.min.replace(tzinfo=timezone(timedelta(hours=5))),
        datetime.max.replace(tzinfo=timezone(timedelta(hours=-5))),
    ],
)
def test_the_ends_of_the_calendar_can_be_written(moment: datetime) -> None:
    """An instant whose UTC lies outside the calendar is no crash."""
    text = clock.format_stored(moment)

    assert text.startswith(f"{moment:%Y}".rjust(4, "0")[:4])


@pytest.mark.parametrize(
    ("moment", "months", "earlier"),
    [
        (datetime(2026, 8, 31, tzinfo=UTC), 6, datetime(2026, 2, 28, tzinfo=UTC)),
        (datetime(2024, 8, 31, tzinfo=UTC), 6, datetime(2024, 2, 29, tzinfo=UTC)),
        (
            datetime(2026, 3, 31, 1, 2, 3, 4, tzinfo=UTC),
            1,
            datetime(2026, 2, 28, 1, 2, 3, 4, tzinfo=UTC),
        ),
        (datetime(2026, 1, 15, tzinfo=UTC), 6, datetime(2025, 7, 15, tzinfo=UTC)),
        (datetime(2026, 12, 31, tzinfo=UTC), 12, datetime(2025, 12, 31, tzinfo=UTC)),
        (datetime(2026, 6, 30, tzinfo=UTC), 6, datetime(2025, 12, 30, tzinfo=UTC)),
        (datetime(2026, 5, 31, tzinfo=UTC), 0, datetime(2026, 5, 31, tzinfo=UTC)),
    ],
)
def test_months_are_counted_on_the_calendar(
    moment: datetime, months: int, earlier: datetime
) -> None:
    """A day that the earlier month lacks becomes its last one."""
    assert clock.months_before(moment, months) == earlier


@given(MOMENTS.filter(lambda moment: moment.year > 10), st.integers(0, 60))
def test_months_before_lands_in_the_right_month(moment: datetime, months: int) -> None:
    """However many months back, the month is right and the time of day stays."""
    earlier = clock.months_before(moment, months)

    gone = (moment.year - earlier.year) * 12 + moment.month - earlier.month
    assert gone == months
    assert earlier.timetz() == moment.timetz()
    assert earlier.day <= moment.day


def test_the_horizon_is_six_months_back() -> None:
    """Amazon serves the past six months."""
    assert clock.horizon(datetime(2026, 8, 31, tzinfo=UTC)) == datetime(2026, 2, 28, tzinfo=UTC)


def test_now_is_aware_and_in_utc() -> None:
    """The present has a zone, and it is UTC."""
    assert clock.now().utcoffset() == timedelta(0)


def test_seconds_between_counts_forwards() -> None:
    """Later minus earlier, in seconds and their fractions."""
    start = datetime(2026, 1, 1, tzinfo=UTC)

    assert clock.seconds_between(start, start + timedelta(seconds=1.5)) == 1.5
    assert clock.seconds_between(start + timedelta(minutes=1), start) == -60


SECONDS = st.floats(0, 5, allow_nan=False)
OFFSETS = st.floats(-200 * 86_400, 200 * 86_400, allow_nan=False)
START = datetime(2026, 7, 1, tzinfo=UTC)


class Exchange(msgspec.Struct, frozen=True):
    """A request: seconds before it is sent, until it is answered, and until that is here."""

    pause: float
    there: float
    back: float

    @property
    def flight(self) -> float:
        """How long it takes."""
        return self.there + self.back


class TwoClocks:
    """Ours and Amazon's, which is *offset* seconds ahead, and what ours learns of it."""

    def __init__(self, offset: float) -> None:
        self.offset = offset
        self.elapsed = 0.0
        self.clock = clock.ServerClock(self.ours)

    def ours(self) -> datetime:
        """Our present."""
        return self.amazons() - timedelta(seconds=self.offset)

    def amazons(self) -> datetime:
        """Amazon's present."""
        return START + timedelta(seconds=self.elapsed)

    def ask(self, exchange: Exchange) -> datetime:
        """Send a request, learn from its answer, and return the ``Date`` in it."""
        self.elapsed += exchange.pause
        sent_at = self.ours()
        self.elapsed += exchange.there
        date = clock.whole_second(self.amazons())
        self.elapsed += exchange.back
        self.clock.observe(date, sent_at, self.ours())
        return date

    @property
    def error(self) -> float:
        """How many seconds what is known of Amazon's clock is off."""
        return abs(self.clock.offset.total_seconds() - self.offset)


EXCHANGES = st.builds(Exchange, pause=SECONDS, there=SECONDS, back=SECONDS)


@given(OFFSETS, st.lists(EXCHANGES, min_size=1, max_size=8))
def test_amazons_clock_is_known_to_a_second_and_the_time_of_flight(
    offset: float, exchanges: list[Exchange]
) -> None:
    """However far ours is off; each answer says more, and none makes it worse."""
    clocks = TwoClocks(offset)
    errors = [math.inf]
    for exchange in exchanges:
        clocks.ask(exchange)
        errors.append(clocks.error)

        assert clocks.error <= 1 + max(exchange.there, exchange.back) + 1e-5
        assert clocks.error <= errors[-2] + 1e-5
        assert abs(clocks.clock() - clocks.amazons()) <= timedelta(
            seconds=1.00001 + exchange.flight
        )


@given(OFFSETS, OFFSETS, EXCHANGES, EXCHANGES)
def test_a_clock_of_ours_that_is_set_is_followed_at_the_next_answer(
    before: float, after: float, first: Exchange, second: Exchange
) -> None:
    """One answer is enough, whichever way and however far it was set."""
    clocks = TwoClocks(before)
    clocks.ask(first)
    clocks.offset = after
    clocks.ask(second)

    assert clocks.error <= 1 + max(second.there, second.back) + 1e-5


@given(OFFSETS, st.lists(EXCHANGES, min_size=1, max_size=8), SECONDS)
def test_what_is_certain_is_past_on_both_clocks(
    offset: float, exchanges: list[Exchange], later: float
) -> None:
    """Never ahead of ours, nor of Amazon's by more than an answer can tell."""
    clocks = TwoClocks(offset)
    for exchange in exchanges:
        clocks.ask(exchange)
    clocks.elapsed += later
    certain = clocks.clock.certain()
    unknown = 1 + min(one.there for one in exchanges)

    assert certain <= clocks.ours()
    assert certain <= clocks.amazons() + timedelta(seconds=unknown + 1e-5)


@given(EXCHANGES, st.integers(-1_000, 1_000))
def test_clocks_that_agree_are_left_alone(exchange: Exchange, milliseconds: int) -> None:
    """What whole seconds and the flight explain is no difference."""
    clocks = TwoClocks(0.0)
    clocks.elapsed = 10 + milliseconds / 1_000
    clocks.ask(exchange)

    assert clocks.clock.offset == timedelta()
    assert repr(clocks.clock) == "<ServerClock +0.0 s>"


@given(st.integers(367, 700_000), st.booleans())
def test_a_date_that_is_nonsense_teaches_nothing(days: int, is_ahead: bool) -> None:
    """A clock as far off as that could not have connected; the calendar may end there."""
    known = clock.ServerClock(lambda: START)
    date = START + timedelta(days=days) * (1 if is_ahead else -1)
    known.observe(date, START, START)

    assert known() == START
