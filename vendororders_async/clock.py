"""Instants: aware UTC datetimes, and the two ways of writing them down.

Amazon reads and writes ISO 8601; sinks keep fixed-width text that sorts as time does.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import msgspec

# How far back Amazon serves orders: "available to pull data from the past 6 months"
# https://developer-docs.amazon.com/sp-api/reference/getpurchaseorders
HISTORY_MONTHS = 6

_AGE = re.compile(r"(\d+)\s*([smhdw])", re.IGNORECASE)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}

# Certificates live about a year: a clock that is further off would not even connect.
_FURTHEST_OFF = timedelta(days=366)

_STORED_WIDTH = len("2019-08-20T14:00:00.000000Z")


def now() -> datetime:
    """Return the present instant."""
    return datetime.now(UTC)


def parse_instant(text: str) -> datetime:
    """Read an instant as Amazon really writes them.

    No zone means UTC, a date alone is its midnight, any number of fractional digits is
    cut to microseconds.

        >>> parse_instant("2019-08-20T14:00:00").isoformat()
        '2019-08-20T14:00:00+00:00'

    Raises:
        ValueError: *text* is not an ISO 8601 date or date-time.
    """
    moment = datetime.fromisoformat(text.strip())
    if moment.tzinfo is None:
        # "If the time zone is missing, UTC is assumed": the sandbox omits it as well
        # https://developer-docs.amazon.com/sp-api/docs/iso-8601
        return moment.replace(tzinfo=UTC)
    return utc(moment)


def utc(moment: datetime) -> datetime:
    """Return *moment* in UTC; one that lies outside the calendar there just loses its zone."""
    if moment.tzinfo is UTC:
        return moment
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        return moment.replace(tzinfo=UTC)


def format_wire(moment: datetime) -> str:
    """Write *moment* as a query parameter: whole seconds, in UTC, with a ``Z``."""
    return utc(moment).isoformat(timespec="seconds")[:19] + "Z"


def format_stored(moment: datetime) -> str:
    """Write *moment* in fixed width, to the microsecond, so that text sorts as time does."""
    if moment.tzinfo is not UTC:
        moment = utc(moment)
    if type(moment) is not datetime:  # msgspec takes no subclass: a frozen clock's, a pendulum
        return moment.isoformat(timespec="microseconds")[:26] + "Z"
    text: str = msgspec.to_builtins(moment)  # isoformat() takes ten times as long
    return text if len(text) == _STORED_WIDTH else f"{text[:19]}.000000Z"


def whole_second(moment: datetime) -> datetime:
    """Return *moment* in UTC without its fraction: the wire's resolution."""
    return utc(moment).replace(microsecond=0)


def months_before(moment: datetime, months: int) -> datetime:
    """Return the instant *months* calendar months before *moment*.

    A day that the earlier month lacks becomes its last one.
    """
    index = moment.year * 12 + (moment.month - 1) - months
    year, month = divmod(index, 12)
    day = min(moment.day, calendar.monthrange(year, month + 1)[1])
    return moment.replace(year=year, month=month + 1, day=day)


def horizon(moment: datetime) -> datetime:
    """Return the earliest instant whose orders Amazon still serves at *moment*."""
    return months_before(moment, HISTORY_MONTHS)


def seconds_between(earlier: datetime, later: datetime) -> float:
    """Return the seconds from *earlier* to *later*."""
    return (later - earlier) / timedelta(seconds=1)


def parse_age(text: str) -> timedelta | None:
    """Return the duration that *text* means; None when it is not one.

    >>> parse_age("36h")
    datetime.timedelta(days=1, seconds=43200)
    """
    match = _AGE.fullmatch(text.strip())
    if match is None:
        return None
    return timedelta(**{_UNITS[match[2].lower()]: int(match[1])})


class ServerClock:
    """Our clock, and how far the other side's is from it, as its answers say.

        clock = ServerClock(now)
        clock.observe(date, sent_at, received_at)   # of an answer; both by our clock
        clock()                                     # what time it is over there

    A ``Date`` header has whole seconds, and was written between sending and receiving: as
    long as that can be, the other clock is taken for ours. It is corrected by no more than
    an answer proves, at once, so that it also follows when ours is set.
    """

    def __init__(self, now: Callable[[], datetime] = now) -> None:
        self._now = now
        self.offset = timedelta()
        self.is_known = False  # whether there was an answer to tell

    def __repr__(self) -> str:
        return f"<ServerClock {self.offset.total_seconds():+.1f} s>"

    def __call__(self) -> datetime:
        """Return the present by the other side's clock."""
        return self._now() + self.offset

    def observe(self, date: datetime, sent_at: datetime, received_at: datetime) -> None:
        """Learn from an answer that says it was made at *date*, unless that is nonsense.

        *sent_at* and *received_at* are by our clock, as it was when the request was sent.
        """
        if abs(date - sent_at) > _FURTHEST_OFF:
            return
        least, most = date - received_at, date + timedelta(seconds=1) - sent_at
        self.offset = max(least, min(self.offset, most))
        self.is_known = True

    def corrected(self, moment: datetime) -> datetime:
        """Return what *moment* by our clock is by the other one."""
        return moment + self.offset

    def certain(self) -> datetime:
        """Return the present by whichever clock is behind: nobody is past it yet."""
        return self._now() + min(self.offset, timedelta())
