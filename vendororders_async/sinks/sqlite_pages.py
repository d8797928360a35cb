"""Writing a page into SQLite: what is there, what is newer, and only that written."""

# ruff: noqa: S608 - the statements are put together from column names of ours, never from data

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import chain
from operator import attrgetter

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
)
from .sqlite_numbers import AT_ONCE, by_count, marks, padded
from .versions import Group, NewVersion, decide, digests_of, grouped, told

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
    version="digest, asked_at, own_date_at, has_details",
    supersede=_SUPERSEDE_ORDER,
)
_TABLES: dict[type[Row], _Table] = {
    Order: _orders(without=DIRECT_FULFILLMENT_COLUMNS),
    direct_fulfillment.Order: _orders(),
    OrderStatus: _Table.of(
        "purchase_order_statuses",
        StatusRow,
        version="digest, asked_at, last_updated_date, 1",
    ),
}


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
        for group in grouped(documents):
            answers = self._write_group(group)
            written.update(zip(group.places.values(), answers, strict=True))
        for place, document in enumerate(documents):
            if document.content is None:
                written[place] = self._set_aside(document)
        return [written[place] for place in range(len(documents))]

    def _write_group(self, group: Group) -> list[Written]:
        table, documents = _TABLES[group.kind], self._arrival.documents
        decided = decide(
            group,
            documents,
            self._asked_at,
            digests_of(group, documents),
            self._held(table, list(group.places)),
            document_of=partial(self._document, table),
        )
        self._note_asked(
            number for number in decided.unchanged if self._has_details(group.places[number])
        )
        if table.supersede is not None and (superseded := decided.superseded):
            self._connection.executemany(
                table.supersede, [(*self._owner, number) for number in superseded]
            )
        rows = [self._values(table.values(one.row)) for one in decided.versions]
        self._upsert(table, rows)
        self._note_changes(group, told(decided.versions))
        return decided.written

    def _note_changes(self, group: Group, versions: list[NewVersion]) -> None:
        """Record what became of the orders, and which of them are outdated by it or no more."""
        changes.record(self._connection, self._owner, versions, self._stamp)
        if group.kind is OrderStatus:
            moved = [one.row for one in versions if isinstance(one.row, StatusRow)]
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

    def _held(self, table: _Table, numbers: list[str]) -> dict[str, Version]:
        """Return what is there of *numbers*, which are a group's."""
        count, some = padded(numbers)
        rows = self._connection.execute(table.held[count], (*self._owner, *some))
        (found,) = rows.fetchone()
        return {one.purchase_order_number: one.version() for one in _HELD.decode(found)}

    def _document(self, table: _Table, number: str) -> str:
        found = self._connection.execute(table.document, (*self._owner, number))
        (document,) = found.fetchone()
        return str(document)

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
