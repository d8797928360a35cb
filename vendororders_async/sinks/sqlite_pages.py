"""Writing a page into SQLite: what is there, what is newer, and only that written."""

# ruff: noqa: S608 - the statements are put together from column names of ours, never from data

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import chain
from operator import attrgetter
from typing import Any

import msgspec

from ..clock import format_stored
from ..models import direct_fulfillment
from ..models.retail_procurement import Order, OrderStatus
from ..pages import Document, Row
from . import sqlite_changes as changes
from . import sqlite_followed as followed
from . import sqlite_ledger as ledgers
from .base import Arrival, Outcome, Written
from .rows import (
    DIRECT_FULFILLMENT_COLUMNS,
    AnyOrder,
    OrderRow,
    StatusRow,
    Version,
    digest_of,
    order_row,
    same_content,
    status_row,
)
from .sqlite_changes import NewVersion
from .sqlite_numbers import AT_ONCE, by_count, marks, padded

_KEY = ("account", "api", "purchase_order_number")
_STAMPS = ("change_seq", "first_seen_at", "updated_at")

_SUPERSEDE_ORDER = """
INSERT INTO superseded_orders
SELECT account, api, purchase_order_number, change_seq, digest, updated_at, document
FROM purchase_orders
WHERE account = ? AND api = ? AND purchase_order_number = ?
"""

_ASKED_AGAIN = """
UPDATE purchase_orders SET asked_at = ?1
WHERE account = ?2 AND api = ?3 AND purchase_order_number = ?4
    AND has_details AND asked_at < ?1
"""

_NEXT_CHANGE = "UPDATE change_counter SET change_seq = change_seq + 1 RETURNING change_seq"

_SET_ASIDE = """
INSERT INTO quarantine
    (account, api, digest, stream, source, reason, first_seen_at, document)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO NOTHING
"""


class _Table(msgspec.Struct, frozen=True):
    """Where one kind of document goes, and the statements that take it there."""

    row: Callable[[Any, bytes, str, str], OrderRow | StatusRow]
    values: Callable[[object], tuple[object, ...]]
    held: Mapping[int, str]
    document: str
    upserts: Mapping[int, str]
    supersede: str | None = None

    @classmethod
    def of(
        cls,
        name: str,
        row_type: type[OrderRow | StatusRow],
        *,
        row: Callable[[Any, bytes, str, str], OrderRow | StatusRow],
        version: str,
        supersede: str | None = None,
        without: Sequence[str] = (),
    ) -> _Table:
        """Write the statements for table *name*, whose columns are those of *row_type*.

        Columns that are always null are left out of them: each is a value to bind.
        """
        fields = [one for one in row_type.__struct_fields__ if one not in without]
        columns = ("account", "api", *fields, *_STAMPS)
        changing = [one for one in columns if one not in {*_KEY, "first_seen_at"}]
        return cls(
            row=row,
            values=attrgetter(*fields),
            held=by_count(
                f"SELECT json_group_array(json_array(purchase_order_number, {version})) "
                f"FROM {name} WHERE account = ? AND api = ? "
                "AND purchase_order_number IN ({numbers})"
            ),
            document=f"SELECT document FROM {name} "
            f"WHERE account = ? AND api = ? AND purchase_order_number = ?",
            upserts={
                count: f"INSERT INTO {name} ({', '.join(columns)}) "
                f"VALUES {', '.join([f'({marks(len(columns))})'] * count)} "
                f"ON CONFLICT ({', '.join(_KEY)}) DO UPDATE SET "
                + ", ".join(f"{one} = excluded.{one}" for one in changing)
                for count in AT_ONCE
            },
            supersede=supersede,
        )


class _Held(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """The version in the store."""

    purchase_order_number: str
    digest: str
    asked_at: str
    own_date_at: str | None
    has_details: int

    def version(self) -> Version:
        """Return it as it compares."""
        return Version(self.digest, self.asked_at, self.own_date_at, bool(self.has_details))


_HELD = msgspec.json.Decoder(list[_Held])


_orders = partial(
    _Table.of,
    "purchase_orders",
    OrderRow,
    row=order_row,
    version="digest, asked_at, own_date_at, has_details",
    supersede=_SUPERSEDE_ORDER,
)
_TABLES: dict[type[Row], _Table] = {
    Order: _orders(without=DIRECT_FULFILLMENT_COLUMNS),
    direct_fulfillment.Order: _orders(),
    OrderStatus: _Table.of(
        "purchase_order_statuses",
        StatusRow,
        row=status_row,
        version="digest, asked_at, last_updated_date, 1",
    ),
}


class _Group(msgspec.Struct, frozen=True):
    """Documents of one kind and of different orders: number by number, where they stand."""

    kind: type[Row]
    places: dict[str, int]


class PageWriter:
    """Writes one page, inside a transaction of its caller's.

    written = PageWriter(connection, arrival, stamp).write()
    """

    def __init__(self, connection: sqlite3.Connection, arrival: Arrival, stamp: str) -> None:
        self._connection = connection
        self._arrival = arrival
        self._owner = (arrival.ledger.account, arrival.ledger.api)
        self._asked_at = format_stored(arrival.asked_at)
        self._stamp = stamp
        self._change_seq: int | None = None

    def write(self) -> list[Written]:
        """Store what is new or newer, and answer for each document in turn."""
        documents = self._arrival.documents
        written: dict[int, Written] = {}
        for group in _groups(documents):
            answers = self._write_group(group)
            written.update(zip(group.places.values(), answers, strict=True))
        for place, document in enumerate(documents):
            if document.content is None:
                written[place] = self._set_aside(document)
        return [written[place] for place in range(len(documents))]

    def _write_group(self, group: _Group) -> list[Written]:
        table, places = _TABLES[group.kind], group.places
        held = self._held(table, list(places))
        written: list[Written] = []
        rows: list[tuple[object, ...]] = []
        superseded: list[tuple[str, ...]] = []
        versions: list[NewVersion] = []
        for number, place in places.items():
            document = self._arrival.documents[place]
            assert document.content is not None  # noqa: S101 - what has none is in no group
            digest = digest_of(document.raw)
            before = held.get(number)
            if before is not None and before.digest == digest:
                written.append(Written(number, Outcome.UNCHANGED))
                continue
            row = table.row(document.content, document.raw, digest, self._asked_at)
            version = NewVersion(row, document.content)
            if before is None:
                written.append(Written(number, Outcome.NEW))
            elif (replaced := self._replaced(table, row, before)) is not None:
                written.append(Written(number, Outcome.CHANGED, before.digest))
                superseded.append((*self._owner, number))
                if before.has_details:
                    version = NewVersion(row, document.content, before.digest, replaced)
            else:
                written.append(Written(number, Outcome.UNCHANGED))
                continue
            rows.append(self._values(table.values(row)))
            versions.append(version)
        self._note_asked(
            number
            for (number, place), answer in zip(places.items(), written, strict=True)
            if answer.outcome is Outcome.UNCHANGED and self._has_details(place)
        )
        if superseded and table.supersede is not None:
            self._connection.executemany(table.supersede, superseded)
        self._upsert(table, rows)
        self._note_changes(group, versions)
        return written

    def _note_changes(self, group: _Group, versions: list[NewVersion]) -> None:
        """Record what became of the orders, and which of them are outdated by it or no more."""
        told = [
            one for one in versions if isinstance(one.row, StatusRow) or one.row.has_details
        ]
        changes.record(self._connection, self._owner, told, self._stamp)
        if group.kind is OrderStatus:
            moved = [one.row for one in told if isinstance(one.row, StatusRow)]
            followed.note_moved(self._connection, self._owner, moved, self._asked_at)
        elif group.kind is Order:  # the others have no statuses
            read = [
                number for number, place in group.places.items() if self._has_details(place)
            ]
            followed.note_read(self._connection, self._owner, read, self._asked_at)

    def _upsert(self, table: _Table, rows: list[tuple[object, ...]]) -> None:
        start = 0
        for count in AT_ONCE:
            while len(rows) - start >= count:
                some = rows[start : start + count]
                self._connection.execute(table.upserts[count], tuple(chain.from_iterable(some)))
                start += count

    def _note_asked(self, numbers: Iterable[str]) -> None:
        """Move *asked_at* of what came again unchanged, and nothing else.

        Only while a window is begun does anybody ask for it (`Sink.fresh`); at other times
        a row is not rewritten for it.
        """
        again = list(numbers)
        if again and ledgers.is_begun(
            self._connection, self._arrival.ledger, self._arrival.window
        ):
            self._connection.executemany(
                _ASKED_AGAIN, [(self._asked_at, *self._owner, number) for number in again]
            )

    def _has_details(self, place: int) -> bool:
        order = self._arrival.documents[place].content
        return isinstance(order, AnyOrder) and order.order_details is not None

    def _held(self, table: _Table, numbers: list[str]) -> dict[str, _Held]:
        """Return what is there of *numbers*, which are a group's."""
        count, some = padded(numbers)
        rows = self._connection.execute(table.held[count], (*self._owner, *some))
        (found,) = rows.fetchone()
        return {held.purchase_order_number: held for held in _HELD.decode(found)}

    def _replaced(self, table: _Table, row: OrderRow | StatusRow, held: _Held) -> str | None:
        """Return the document that *row* takes the place of; None if it does not."""
        if not row.version.is_newer_than(held.version()):
            return None
        key = (*self._owner, row.purchase_order_number)
        (document,) = self._connection.execute(table.document, key).fetchone()
        return None if same_content(row.document, document) else document

    def _values(self, fields: tuple[object, ...]) -> tuple[object, ...]:
        if self._change_seq is None:
            (self._change_seq,) = self._connection.execute(_NEXT_CHANGE).fetchone()
        return (*self._owner, *fields, self._change_seq, self._stamp, self._stamp)

    def _set_aside(self, document: Document[Row]) -> Written:
        ledger = self._arrival.ledger
        try:
            kept: str | bytes = document.raw.decode()
        except UnicodeDecodeError:
            kept = document.raw
        digest, reason = digest_of(document.raw), document.reason or ""
        added = self._connection.execute(
            _SET_ASIDE,
            (*self._owner, digest, ledger.stream, ledger.source, reason, self._stamp, kept),
        ).rowcount
        return Written(None, Outcome.QUARANTINED if added else Outcome.STANDING)


def _groups(documents: Sequence[Document[Row]]) -> list[_Group]:
    """Cut *documents* so that an order that comes twice on a page meets its first version."""
    groups: list[_Group] = []
    for place, document in enumerate(documents):
        if document.content is None:
            continue
        kind, number = type(document.content), document.content.purchase_order_number
        last = groups[-1] if groups else None
        if (
            last is None
            or last.kind is not kind
            or number in last.places
            or len(last.places) == AT_ONCE[0]
        ):
            last = _Group(kind, {})
            groups.append(last)
        last.places[number] = place
    return groups
