"""Which orders and statuses belong to a window by a date of their own, as Amazon has them.

Of the stream `created` the simulator tells it: an order may become available late.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

import msgspec

from vendororders_async.clock import parse_instant
from vendororders_async.windows import Window


class _Details(msgspec.Struct):
    changed: str | None = msgspec.field(name="purchaseOrderChangedDate", default=None)


class _Dates(msgspec.Struct):
    updated: str | None = msgspec.field(name="lastUpdatedDate", default=None)
    details: _Details = msgspec.field(name="orderDetails", default_factory=_Details)


_DATES = msgspec.json.Decoder(_Dates)


def updated_at(status: bytes) -> datetime:
    """Return when what *status* tells of last changed, which bounds the stream of statuses."""
    told = _DATES.decode(status).updated
    assert told is not None
    return parse_instant(told)


class Dated:
    """The *documents* of the stream `changed` or `statuses`, by number, with their dates."""

    def __init__(self, documents: Mapping[str, bytes]) -> None:
        self._dated = [
            (parse_instant(told), number, document)
            for number, document in documents.items()
            for dates in [_DATES.decode(document)]
            if (told := dates.updated or dates.details.changed) is not None
        ]

    def within(self, window: Window) -> Iterator[tuple[str, bytes]]:
        """Yield what belongs to *window*, with its number."""
        for moment, number, document in self._dated:
            if window.after <= moment < window.before:
                yield number, document
