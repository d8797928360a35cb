"""The course of a sync: what it follows, how often, and how far it looks back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

import msgspec

from ..errors import InvalidArgument
from ..operations import RETAIL, Api, Stream
from .reading import FIRST_YEAR, INLINE, REREAD, Reading

LOOKBACK = timedelta(minutes=15)
DEEP_EVERY = timedelta(hours=6)

_LONGEST_LOOKBACK = timedelta(days=1)
_SHORTEST_INTERVAL = 0.5  # seconds
_LONGEST_INTERVAL = 86_400.0


class Beat(msgspec.Struct, frozen=True):
    """How many seconds lie between two sweeps of a stream: *quick* while things arrive.

        >>> beat = Beat(3, 15)
        >>> beat.after(15, arrived=True), beat.after(3, arrived=False)
        (3, 4.5)

    While nothing does, each pause is half as long again as the one before, up to *quiet*.
    """

    quick: float
    quiet: float

    def after(self, seconds: float, *, arrived: bool) -> float:
        """Return the pause that follows one of *seconds*."""
        return self.quick if arrived else min(max(seconds, self.quick) * 1.5, self.quiet)


# What an order waits for is `created`; 240 requests an hour when quiet are 0.7 % of the plan.
_BEATS: Mapping[str, Beat] = {"created": Beat(3.0, 15.0)}
_OTHER_BEAT = Beat(5.0, 30.0)


class Course(msgspec.Struct, frozen=True, kw_only=True):
    """What a sync is asked for; `sync` says what each of them means.

    Raises:
        InvalidArgument: it could not be meant.
    """

    api: Api = RETAIL
    since: datetime | None = None
    streams: Iterable[str] | None = None
    interval: float | Mapping[str, float] | None = None
    lookback: timedelta = LOOKBACK
    reread: timedelta = REREAD
    deep_every: timedelta = DEEP_EVERY
    once: bool = False
    concurrency: int | None = None
    redact: bool = False

    def __post_init__(self) -> None:
        if self.streams is not None:  # it is read more than once
            msgspec.structs.force_setattr(self, "streams", tuple(self.streams))
        self.reading()
        if self.since is not None and (
            self.since.tzinfo is None or self.since.year < FIRST_YEAR
        ):
            raise InvalidArgument(f"since cannot be {self.since}: name a time and its zone")
        if not timedelta() <= self.lookback <= _LONGEST_LOOKBACK:
            raise InvalidArgument("lookback must be between nothing and a day")
        if self.deep_every < timedelta(minutes=1):
            raise InvalidArgument("deep_every must be a minute at least")
        given = self.interval if isinstance(self.interval, Mapping) else {}
        known = {stream.name for stream in self.chosen()}
        if unknown := sorted(set(given) - known):
            raise InvalidArgument(
                f"an interval is for {', '.join(sorted(known))}, not {unknown[0]!r}"
            )
        for stream in self.chosen():
            beat = self.beat(stream)
            if not _SHORTEST_INTERVAL <= beat.quick <= beat.quiet <= _LONGEST_INTERVAL:
                raise InvalidArgument(
                    f"an interval lies between {_SHORTEST_INTERVAL:g} seconds and a day, "
                    f"not {beat.quick:g}"
                )

    def chosen(self) -> tuple[Stream, ...]:
        """Return the streams that are followed."""
        return self.reading().chosen()

    def reading(self, details: str = INLINE) -> Reading:
        """Return how windows are read, and what is missing."""
        return Reading(
            api=self.api,
            details=details,
            since=self.since,
            streams=self.streams,
            reread=self.reread,
            concurrency=self.concurrency,
            redact=self.redact,
        )

    def beat(self, stream: Stream) -> Beat:
        """Return how often *stream* is swept."""
        given = self.interval
        if isinstance(given, Mapping):
            given = given.get(stream.name)
        if given is None:
            return _BEATS.get(stream.name, _OTHER_BEAT)
        return Beat(given, given)
