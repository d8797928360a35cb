"""The orders of one account and the indexes over their dates."""

from __future__ import annotations

import zlib
from bisect import bisect_left, insort
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from ..clock import parse_instant
from ..errors import InvalidArgument
from .documents import ORDER, STATUS, Writer
from .settings import micros
from .timeline import Sketch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

Key = tuple[int, str]  # a moment in microseconds and an order number: what indexes sort by

_PACKED_QUICKLY = 1

#: Where a record's documents come from: a form in, its bytes out.
Text = Callable[[str], bytes]


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """What the filters need to know of an order; times are microseconds since 1970.

    An order of Direct Fulfillment has its orderStatus for a state, and ships from its
    warehouse instead of to it.
    """

    number: str
    available: int
    changed: int | None
    updated: int
    state: str
    is_cancelled: bool  # has a line whose ordered quantity is zero
    vendor: str
    warehouse: str
    text: Text

    @property
    def key(self) -> Key:
        """What lists are sorted by: when the order became available, then its number."""
        return self.available, self.number

    def line_words(self) -> set[str]:
        """Return every confirmation and receive status among the lines."""
        status = msgspec.json.decode(self.text(STATUS))
        words = set()
        for line in status.get("itemStatus", ()):
            words.add(line.get("acknowledgementStatus", {}).get("confirmationStatus", ""))
            words.add(line.get("receivingStatus", {}).get("receiveStatus", ""))
        return words


class Range(msgspec.Struct, frozen=True):
    """The positions *start* to *stop* of an index."""

    start: int
    stop: int

    def __len__(self) -> int:
        """Return how many orders are in it."""
        return max(0, self.stop - self.start)


class Index:
    """The records that have a certain date, sorted by it; *moment* reads the date."""

    def __init__(
        self, records: Iterable[Record], moment: Callable[[Record], int | None]
    ) -> None:
        self.moment = moment
        self._keys = sorted(key for one in records if (key := self._key(one)) is not None)

    def range(self, low: int | None, high: int) -> Range:
        """Return where the moments from *low* up to, not including, *high* are."""
        start = 0 if low is None else bisect_left(self._keys, (low,))
        return Range(start, bisect_left(self._keys, (high,)))

    def numbers(self, positions: Range) -> Iterator[str]:
        """Yield the order numbers at *positions*."""
        return (number for _, number in self._keys[positions.start : positions.stop])

    def replace(self, old: Record | None, new: Record) -> None:
        """Take *old* out and put *new* in."""
        if old is not None and (key := self._key(old)) is not None:
            del self._keys[bisect_left(self._keys, key)]
        if (key := self._key(new)) is not None:
            insort(self._keys, key)

    def _key(self, record: Record) -> Key | None:
        at = self.moment(record)
        return None if at is None else (at, record.number)


class World:
    """The orders of one account.

    The mutable state is the records and three indexes; *version* counts the changes to
    them, so that a cache can tell.
    """

    def __init__(self, records: Iterable[Record]) -> None:
        self._records = {record.number: record for record in records}
        self.available = Index(self, lambda record: record.available)
        self.changed = Index(self, lambda record: record.changed)
        self.updated = Index(self, lambda record: record.updated)
        self.version = 0

    def __iter__(self) -> Iterator[Record]:
        """Iterate over all records."""
        return iter(self._records.values())

    def __len__(self) -> int:
        """Return how many orders there are, the future ones included."""
        return len(self._records)

    def get(self, number: str) -> Record | None:
        """Return the record of that order number, if there is one."""
        return self._records.get(number)

    def served(self, number: str, now: int) -> Record | None:
        """Return the record of that order number, if it is available by *now*."""
        record = self._records.get(number)
        return None if record is None or record.available > now else record

    def put(self, record: Record) -> None:
        """Add *record*, or put it in the place of the one with its number."""
        old = self._records.get(record.number)
        self._records[record.number] = record
        for index in (self.available, self.changed, self.updated):
            index.replace(old, record)
        self.version += 1


def sketched_record(writer: Writer, sketch: Sketch) -> Record:
    """Return the record of a generated order."""
    return Record(
        number=sketch.number,
        available=sketch.available,
        changed=sketch.changed,
        updated=sketch.updated,
        state=sketch.state,
        is_cancelled=sketch.cancelled_count > 0,
        vendor=writer.vendor_codes[sketch.vendor],
        warehouse=writer.warehouse_code(sketch),
        text=partial(writer.written, sketch),
    )


def fixed_text(documents: Mapping[str, bytes]) -> Text:
    """Return a text whose *documents* somebody put there.

    They are kept packed, all forms together, since months change a great many orders.
    """
    packed = zlib.compress(b"\n".join(documents.values()), _PACKED_QUICKLY)
    places = {form: place for place, form in enumerate(documents)}
    return lambda form: zlib.decompress(packed).split(b"\n")[places[form]]


def written_record(
    order: Mapping[str, Any], status: Mapping[str, Any] | None, *, available: int | None
) -> Record:
    """Return the record of a document that somebody wrote; a missing status is derived.

    Raises:
        InvalidArgument: The document has no number or no purchaseOrderDate.
    """
    number = order.get("purchaseOrderNumber")
    details = order.get("orderDetails") or {}
    if not isinstance(number, str) or "purchaseOrderDate" not in details:
        raise InvalidArgument("an order needs a purchaseOrderNumber and a purchaseOrderDate")
    placed = micros(parse_instant(details["purchaseOrderDate"]))
    changed = details.get("purchaseOrderChangedDate")
    status = status or derived_status(order)
    return Record(
        number=number,
        available=placed if available is None else available,
        changed=None if changed is None else micros(parse_instant(changed)),
        updated=micros(parse_instant(status["lastUpdatedDate"])),
        state=order.get("purchaseOrderState", "New"),
        is_cancelled=any(
            item.get("orderedQuantity", {}).get("amount") == 0
            for item in details.get("items", ())
        ),
        vendor=details.get("sellingParty", {}).get("partyId", ""),
        warehouse=details.get("shipToParty", {}).get("partyId", ""),
        text=fixed_text(
            {ORDER: msgspec.json.encode(order), STATUS: msgspec.json.encode(status)}
        ),
    )


def derived_status(order: Mapping[str, Any]) -> dict[str, Any]:
    """Return the status that an order has of which nothing more is known."""
    details = order["orderDetails"]
    dates = [
        details[name]
        for name in (
            "purchaseOrderDate",
            "purchaseOrderChangedDate",
            "purchaseOrderStateChangedDate",
        )
        if name in details
    ]
    return {
        "purchaseOrderNumber": order["purchaseOrderNumber"],
        "purchaseOrderStatus": "CLOSED"
        if order.get("purchaseOrderState") == "Closed"
        else "OPEN",
        "purchaseOrderDate": details["purchaseOrderDate"],
        "lastUpdatedDate": max(dates, key=parse_instant),
        "sellingParty": details.get("sellingParty", {"partyId": ""}),
        "shipToParty": details.get("shipToParty", {"partyId": ""}),
        "itemStatus": [
            {
                "itemSequenceNumber": item.get("itemSequenceNumber", str(position)),
                "orderedQuantity": {"orderedQuantity": item.get("orderedQuantity", {})},
                "acknowledgementStatus": {"confirmationStatus": "UNCONFIRMED"},
            }
            for position, item in enumerate(details.get("items", ()), 1)
        ],
    }
