"""Writing a page into PostgreSQL: what is there, what is newer, and only that written."""

# ruff: noqa: S608 - the statements are put together from column names of ours, never from data

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any

import asyncpg
import msgspec

from ..clock import format_stored
from ..models import direct_fulfillment
from ..models.retail_procurement import Order, OrderStatus
from ..pages import Document, Row
from . import postgres_changes as changes
from . import postgres_followed as followed
from . import postgres_ledger as ledgers
from .base import Arrival, Outcome, Written
from .postgres_database import refusal_of
from .postgres_numbers import those_of
from .postgres_text import array
from .rows import (
    DIRECT_FULFILLMENT_COLUMNS,
    AnyOrder,
    OrderRow,
    StatusRow,
    Version,
    digest_of,
)
from .versions import Decided, Group, decide, digests_of, grouped, told

_KEY = ("account", "api", "purchase_order_number")
_STAMPS = ("change_seq", "first_seen_at", "updated_at")
_TIMES = ("_at", "_date", "_start", "_end")

_SUPERSEDE_ORDERS = f"""
INSERT INTO superseded_orders
    (account, api, purchase_order_number, change_seq, digest, seen_at, document)
SELECT account, api, purchase_order_number, change_seq, digest, updated_at, document
{those_of("purchase_orders")}
"""

# Only while a window is begun does anybody ask for it (`Sink.fresh`); at other times a row is
# not rewritten for it.
_ASKED_AGAIN = f"""
UPDATE purchase_orders SET asked_at = $4
FROM (SELECT place AS at {those_of("purchase_orders")}) AS those
WHERE ctid = at AND has_details AND asked_at < $4
"""

_SET_ASIDE = """
INSERT INTO quarantine
    (account, api, digest, stream, source, reason, first_seen_at, document)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT DO NOTHING
RETURNING true
"""

# What a value is refused for: its form (class 22) or its size (class 54)
# https://www.postgresql.org/docs/current/errcodes-appendix.html
REFUSALS = (asyncpg.DataError, asyncpg.ProgramLimitExceededError)


class _Table(msgspec.Struct, frozen=True):
    """Where one kind of document goes, and the statements that take it there.

    A page is one statement with an array for each column: it costs less than COPY into a
    temporary table, which has to be made for each transaction.
    """

    columns: Sequence[tuple[str, bool]]  # and whether its text may have to be escaped
    held: str
    documents: str
    upsert: str
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
        """Write the statements for table *name*, whose columns are those of *row_type*."""
        fields = [one for one in row_type.__struct_fields__ if one not in without]
        columns = ("account", "api", *_STAMPS, *fields)
        changing = [one for one in columns if one not in {*_KEY, "first_seen_at"}]
        kinds = [_kind(one) for one in fields]
        return cls(
            columns=[(one, kind == "text") for one, kind in zip(fields, kinds, strict=True)],
            held=f"SELECT purchase_order_number, {version} {those_of(name)}",
            documents=f"SELECT purchase_order_number, document {those_of(name)}",
            # times travel as text: the server reads them faster than Python would
            upsert=f"INSERT INTO {name} ({', '.join(columns)}) "
            "SELECT $1, $2, $3, $4, $4, "
            + ", ".join(
                f"{one}::timestamptz" if kind == "timestamptz" else one
                for one, kind in zip(fields, kinds, strict=True)
            )
            + " FROM unnest("
            + ", ".join(
                f"${at}::{'text' if kind == 'timestamptz' else kind}[]"
                for at, kind in enumerate(kinds, 5)
            )
            + f") AS page ({', '.join(fields)}) "
            + f"ON CONFLICT ({', '.join(_KEY)}) DO UPDATE SET "
            + ", ".join(f"{one} = excluded.{one}" for one in changing),
            supersede=supersede,
        )


def _kind(column: str) -> str:
    if column == "has_details":
        return "boolean"
    if column == "document":
        return "json"
    return "timestamptz" if column.endswith(_TIMES) else "text"


def _orders(without: Sequence[str] = ()) -> _Table:
    return _Table.of(
        "purchase_orders",
        OrderRow,
        version="digest, asked_at, own_date_at, has_details",
        supersede=_SUPERSEDE_ORDERS,
        without=without,
    )


_TABLES: dict[type[Row], _Table] = {
    Order: _orders(without=DIRECT_FULFILLMENT_COLUMNS),
    direct_fulfillment.Order: _orders(),
    OrderStatus: _Table.of(
        "purchase_order_statuses",
        StatusRow,
        version="digest, asked_at, last_updated_date, true",
    ),
}


class PageWriter:
    """Writes one page, inside a transaction of its caller's.

    written = await PageWriter(connection, arrival, now).write()
    """

    def __init__(self, connection: asyncpg.Connection, arrival: Arrival, now: datetime) -> None:
        self._connection = connection
        self._arrival = arrival
        self._owner = (arrival.ledger.account, arrival.ledger.api)
        self._now = now
        self._change_seq: int | None = None

    async def write(self) -> list[Written]:
        """Store what is new or newer, and answer for each document in turn."""
        documents = self._arrival.documents
        written: dict[int, Written] = {}
        for group in grouped(documents):
            answers = await self._write_group(group)
            written.update(zip(group.places.values(), answers, strict=True))
        for place, document in enumerate(documents):
            if document.content is None:
                written[place] = await self._set_aside(document)
        return [written[place] for place in range(len(documents))]

    async def _write_group(self, group: Group) -> list[Written]:
        table, connection = _TABLES[group.kind], self._connection
        decided = await self._decide(table, group)
        unchanged = [one for one in decided.unchanged if self._has_details(group.places[one])]
        if unchanged and await ledgers.is_begun(
            connection, self._arrival.ledger, self._arrival.window
        ):
            await connection.execute(
                _ASKED_AGAIN, *self._owner, array(unchanged), self._arrival.asked_at
            )
        if decided.versions:
            if table.supersede is not None and (superseded := decided.superseded):
                await connection.execute(table.supersede, *self._owner, array(superseded))
            recorded = told(decided.versions)
            numbers = await changes.next_numbers(
                connection, len(recorded), moves=self._change_seq is None
            )
            self._change_seq = numbers.change_seq
            await self._upsert(table, [one.row for one in decided.versions])
            await changes.record(
                connection, self._owner, recorded, numbers.first_sequence, self._now
            )
            if group.kind is OrderStatus:
                await followed.note_moved(
                    connection,
                    self._owner,
                    [one.row for one in recorded if isinstance(one.row, StatusRow)],
                    self._arrival.asked_at,
                )
        if group.kind is Order:  # the others have no statuses
            read = [one for one, place in group.places.items() if self._has_details(place)]
            await followed.note_read(connection, self._owner, read, self._arrival.asked_at)
        return decided.written

    async def _decide(self, table: _Table, group: Group) -> Decided:
        documents = self._arrival.documents
        digests = digests_of(group, documents)
        held = await self._held(table, group)
        if digests != {number: one.digest for number, one in held.items()}:
            await changes.take_turns(self._connection)
            held = await self._held(table, group)
        other = [
            one for one, digest in digests.items() if one in held and held[one].digest != digest
        ]
        present: dict[str, str] = {}
        if other:
            found = await self._connection.fetch(table.documents, *self._owner, array(other))
            present = dict(map(tuple, found))
        return decide(
            group,
            documents,
            format_stored(self._arrival.asked_at),
            digests,
            held,
            document_of=present.__getitem__,
        )

    async def _held(self, table: _Table, group: Group) -> dict[str, Version]:
        return {
            number: Version(
                digest,
                format_stored(asked_at),
                format_stored(own_date_at) if own_date_at else None,
                has_details,
            )
            for number, digest, asked_at, own_date_at, has_details in (
                await self._connection.fetch(table.held, *self._owner, array(group.places))
            )
        }

    async def _upsert(self, table: _Table, rows: Sequence[OrderRow | StatusRow]) -> None:
        values: list[Sequence[Any]] = []
        for column, is_text in table.columns:
            value_of: Callable[[object], Any] = attrgetter(column)
            some = [value_of(row) for row in rows]
            values.append(array(some) if is_text else some)
        await self._connection.execute(
            table.upsert, *self._owner, self._change_seq, self._now, *values
        )

    def _has_details(self, place: int) -> bool:
        order = self._arrival.documents[place].content
        return isinstance(order, AnyOrder) and order.order_details is not None

    async def _set_aside(self, document: Document[Row]) -> Written:
        ledger = self._arrival.ledger
        added = await self._connection.fetchval(
            _SET_ASIDE,
            *self._owner,
            digest_of(document.raw),
            ledger.stream,
            ledger.source,
            document.reason or "",
            self._now,
            document.raw,
        )
        return Written(None, Outcome.QUARANTINED if added else Outcome.STANDING)


async def sift(
    connection: asyncpg.Connection, arrival: Arrival, now: datetime
) -> list[Written]:
    """Write a page one document after the other: what the database refuses is set aside."""
    written: list[Written] = []
    for document in arrival.documents:
        one = msgspec.structs.replace(arrival, documents=[document])
        try:
            async with connection.transaction():
                written += await PageWriter(connection, one, now).write()
        except REFUSALS as error:
            reason = f"PostgreSQL does not take it: {refusal_of(error)}"
            aside = msgspec.structs.replace(
                arrival, documents=[Document[Row](document.raw, reason=reason)]
            )
            written += await PageWriter(connection, aside, now).write()
    return written
