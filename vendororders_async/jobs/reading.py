"""What is to be read: a range, its streams, and how."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import datetime, timedelta

import msgspec

from .. import clock
from ..errors import InvalidArgument
from ..operations import DIRECT_FULFILLMENT_API, RETAIL, Api, Stream
from ..windows import SETTLING, Window

REREAD = timedelta(days=7)

_LONGEST_REREAD = timedelta(days=3660)
FIRST_YEAR = 2000  # of orders that could be meant

INLINE = "inline"
FAN_OUT = "fan-out"
UNKNOWN = "unknown"

_log = logging.getLogger("vendororders_async")


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """What a backfill is asked for; `backfill` says what each of them means.

    Raises:
        InvalidArgument: it could not be meant.
    """

    api: Api = RETAIL
    since: datetime | None = None
    until: datetime | None = None
    streams: Iterable[str] | None = None
    details: str = INLINE
    reread: timedelta = REREAD
    concurrency: int | None = None
    redact: bool = False

    def __post_init__(self) -> None:
        if self.concurrency is not None and self.concurrency < 1:
            raise InvalidArgument(f"concurrency must be at least 1, not {self.concurrency}")
        if not timedelta() <= self.reread <= _LONGEST_REREAD:
            raise InvalidArgument("reread must not be negative, nor longer than ten years")
        if self.details not in {INLINE, FAN_OUT, UNKNOWN}:
            raise InvalidArgument(f"details are {INLINE} or {FAN_OUT}, not {self.details!r}")

    @property
    def fans_out(self) -> bool:
        """Whether orders are listed by number, and their details asked for one by one."""
        return self.details == FAN_OUT

    def skips_known(self, stream: Stream) -> bool:
        """Whether what is read again of *stream* asks for unknown orders' details only.

        An order that is known may have changed, and matches the changed filter then: of
        that stream all is read.
        """
        return self.details == UNKNOWN and stream.has_details and stream.bounds == "created"

    @property
    def redacts(self) -> bool:
        """Whether personal details are taken out: retail's orders have none."""
        return self.redact and self.api.name == DIRECT_FULFILLMENT_API

    def chosen(self) -> tuple[Stream, ...]:
        """Return the streams that are named, all of them where none is."""
        if self.streams is None:
            return tuple(self.api.streams.values())
        chosen = dict.fromkeys(self.streams)
        unknown = [name for name in chosen if name not in self.api.streams]
        if unknown or not chosen:
            known = ", ".join(self.api.streams)
            raise InvalidArgument(f"streams are {known}; not {', '.join(unknown) or 'none'}")
        return tuple(self.api.streams[name] for name in chosen)

    def window(self, now: datetime) -> Window:
        """Return the range within the settled past, with a warning about what is not."""
        since, until, latest = self.since, self.until, now - SETTLING
        if until is not None and until.tzinfo is not None and until > latest:
            _log.warning("the range ends two minutes ago: what is younger may not be there yet")
            until = latest
        oldest = clock.horizon(now)
        if since is None:
            since = oldest
        elif since.year < FIRST_YEAR:
            raise InvalidArgument(f"since {since.isoformat()} is before any order of Amazon's")
        elif since.tzinfo is not None and clock.whole_second(since) < clock.whole_second(
            oldest
        ):
            _log.warning(
                "Amazon serves orders of the past six months; what is before %s may be refused",
                clock.format_wire(oldest),
            )
        return Window.covering(since, until or latest)
