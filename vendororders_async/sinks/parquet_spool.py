"""What arrives is kept as lines until its window is finished; then it becomes one table.

Memory stays flat whatever a window holds: the lines lie on the disk, and what sorts them lies
in a temporary file of SQLite's.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, TypeVar

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from ..clock import format_stored
from ..errors import SinkError, one_line
from ..models.retail_procurement import OrderStatus
from ..operations import stream_named
from ..pages import Row, decode_document
from .arrow_tables import ORDER_SCHEMA, STATUS_SCHEMA, order_batch, status_batch
from .base import Ledger, StoredOrder
from .damage import damaged
from .rows import ORDER_TYPES

T = TypeVar("T", bound=Row)

# A row group is read as a whole by whoever wants one of its documents.
_ROWS, _BYTES = 5_000, 8_000_000

_INDEX = """
CREATE TABLE line (
    purchase_order_number TEXT, asked_at TEXT, digest TEXT, file INTEGER, place INTEGER,
    size INTEGER, PRIMARY KEY (purchase_order_number, digest)
) WITHOUT ROWID
"""

# Of what came in the very same bytes, the last time counts.
_PUT = """
INSERT INTO line VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE
SET asked_at = excluded.asked_at, file = excluded.file, place = excluded.place,
    size = excluded.size
WHERE excluded.asked_at > asked_at
"""

_SORTED = "SELECT file, place, size FROM line ORDER BY purchase_order_number, asked_at, digest"


class _Key(msgspec.Struct, frozen=True, array_like=True):
    """The beginning of a line: enough to sort by."""

    purchase_order_number: str
    digest: str
    asked_at: datetime


class _Line(_Key, frozen=True, array_like=True):
    """A line; the document is a string in it, so that none of its bytes changes."""

    document: str


_KEY = msgspec.json.Decoder(_Key)
_LINE = msgspec.json.Decoder(_Line)


def spool_line(number: str, digest: str, asked_at: datetime, raw: bytes) -> bytes:
    """Return one document as a line."""
    return msgspec.json.encode(_Line(number, digest, asked_at, raw.decode())) + b"\n"


def holds_statuses(ledger: Ledger) -> bool:
    """Say whether the rows of a stream are statuses, and not orders."""
    stream = stream_named(ledger.api, ledger.stream)
    return stream is not None and stream.row is OrderStatus


def write_table(path: Path, ledger: Ledger, spools: Sequence[Path]) -> int:
    """Write the lines in *spools* to *path*, sorted; return how many rows that are.

    *path* is private, and there must be nothing yet. One row is one version of an order or a
    status of the stream of *ledger*.

    Raises:
        DamagedFile: a line is damaged.
    """
    schema = STATUS_SCHEMA if holds_statuses(ledger) else ORDER_SCHEMA
    with table_writer(path, schema) as writer, ExitStack() as stack:
        opened = [stack.enter_context(spool.open("rb")) for spool in spools]
        count = 0
        for batch in _batches(_sorted_lines(opened), ledger):
            writer.write_batch(batch, row_group_size=len(batch))
            count += len(batch)
    return count


@contextmanager
def table_writer(path: Path, schema: pa.Schema) -> Iterator[pq.ParquetWriter]:
    """Write what is sorted by number to *path*, where there must be nothing yet."""
    typed = [name for name in schema.names if name != "document"]
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with (
        os.fdopen(descriptor, "wb") as file,
        pq.ParquetWriter(
            file,
            schema,
            compression="zstd",
            use_dictionary=typed,
            write_statistics=typed,
            sorting_columns=[pq.SortingColumn(schema.get_field_index("purchase_order_number"))],
        ) as writer,
    ):
        yield writer


def spooled(path: Path, account: str, api: str) -> Iterator[StoredOrder]:
    """Yield what would become rows of *path*, which another run may be writing or end."""
    with suppress(FileNotFoundError), path.open("rb") as spool:
        for line in _sorted_lines([spool]):
            number, asked_at = line.purchase_order_number, line.asked_at
            yield StoredOrder(account, api, number, asked_at, line.document.encode())


def _sorted_lines(spools: Sequence[BinaryIO]) -> Iterator[_Line]:
    with closing(sqlite3.connect("", isolation_level=None)) as index:
        index.execute(_INDEX)
        index.execute("BEGIN")
        for number, spool in enumerate(spools):
            index.executemany(_PUT, _keys(number, spool))
        for number, place, size in index.execute(_SORTED):
            yield _LINE.decode(os.pread(spools[number].fileno(), size, place))


def _keys(number: int, spool: BinaryIO) -> Iterator[tuple[str, str, str, int, int, int]]:
    place = 0
    for line in spool:
        if not line.endswith(b"\n"):
            return  # it is being written, and nobody counts on it yet
        try:
            key = _KEY.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise damaged(spool.name, "a line", is_shared=True) from None
        yield (
            *(key.purchase_order_number, format_stored(key.asked_at), key.digest),
            *(number, place, len(line)),
        )
        place += len(line)


def _batches(lines: Iterator[_Line], ledger: Ledger) -> Iterator[pa.RecordBatch]:
    rows: list[StoredOrder] = []
    size = 0
    for line in lines:
        raw = line.document.encode()
        rows.append(
            StoredOrder(
                ledger.account, ledger.api, line.purchase_order_number, line.asked_at, raw
            )
        )
        size += len(raw)
        if len(rows) == _ROWS or size >= _BYTES:
            yield stored_batch(rows, ledger)
            rows, size = [], 0
    if rows:
        yield stored_batch(rows, ledger)


def stored_batch(rows: Sequence[StoredOrder], ledger: Ledger) -> pa.RecordBatch:
    """Return *rows* of the stream of *ledger* with all that their documents say."""
    if holds_statuses(ledger):
        return status_batch((one, _content(one, OrderStatus)) for one in rows)
    kind = ORDER_TYPES[ledger.api]
    return order_batch((one, _content(one, kind)) for one in rows)


def _content(row: StoredOrder, kind: type[T]) -> T:
    content = decode_document(row.document, kind).content
    if content is None:  # what did not decode is in quarantine; another version wrote this
        raise SinkError(f"order {one_line(row.purchase_order_number)} was spooled undecoded")
    return content
