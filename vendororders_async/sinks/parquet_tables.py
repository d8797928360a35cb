"""Parquet files of orders and their lines: two compact tables, typed and compressed."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import IO
from urllib.parse import unquote, urlsplit

import pyarrow as pa
import pyarrow.parquet as pq

from .. import clock
from ..errors import SinkError
from .arrow_tables import RowGroups, bare_order_batch, line_batch
from .claims import Claim
from .columns import StoredContent
from .parquet_names import MARKER
from .parquet_objects import ObjectShelf
from .table_files import Aside, Folder, Place, TableFiles

ORDERS = "purchase_orders.parquet"
LINES = "purchase_order_lines.parquet"

_ASIDE = "vendororders-export"  # what is not uploaded yet is hidden beside a file called so
_ROWS = 65_536  # in a row group: few enough to be held in memory, enough to compress well


class _Table:
    """One file; *batch_of* makes the rows of some orders."""

    def __init__(
        self,
        batch_of: Callable[[Iterable[StoredContent]], pa.RecordBatch],
        file: IO[bytes],
    ) -> None:
        self._groups = RowGroups(batch_of, _ROWS)
        self._writer = pq.ParquetWriter(file, batch_of([]).schema, compression="zstd")

    def add(self, orders: Sequence[StoredContent]) -> None:
        for table in self._groups.add(orders):
            self._writer.write_table(table)

    def finish(self) -> None:
        self._writer.write_table(self._groups.rest())
        self._writer.close()

    def leave(self) -> None:
        self._writer.is_open = False  # else it writes a footer when it is collected


class ParquetTables(TableFiles):
    """Writes ``purchase_orders.parquet`` and ``purchase_order_lines.parquet`` into *place*.

        async with ParquetTables("export") as tables:
            await tables.add(pairs)
            await tables.settle()

    *place* is a folder, which is made if it is not there, or an object store's URL
    (``s3://bucket/prefix``). Both files are written aside; only `settle` gives them their
    names, the lines first: whoever finds an order finds its lines. Rows are in the order in
    which they come. Documents, and with them customers' addresses, are left out.
    """

    def __init__(self, place: str | Path) -> None:
        writers = {
            LINES: partial(_Table, line_batch),
            ORDERS: partial(_Table, bare_order_batch),
        }
        super().__init__(_place(place), writers)


class _Objects:
    """A prefix in an object store's bucket.

    A file is written into a private folder on the disk and uploaded whole when it is settled:
    an upload that is cut off by us, and not by the network, would be taken for a whole one.
    """

    def __init__(self, url: str) -> None:
        self._shelf = ObjectShelf(url)

    def __str__(self) -> str:
        return self._shelf.name

    def prepare(self) -> None:
        """Find the bucket.

        Raises:
            SinkError: there is none, or it cannot be used, or a store is there.
        """
        self._shelf.connect()
        self._shelf.require_bucket()
        if self._shelf.has(MARKER):
            raise SinkError(f"{self} is a store that backfills fill; name another prefix")

    def aside(self, name: str) -> Aside:
        """Return a new file on the disk."""
        return _AsideObject(self._shelf, name)


class _AsideObject:
    def __init__(self, shelf: ObjectShelf, key: str) -> None:
        self._shelf = shelf
        self._key = key
        self._claim = Claim(Path(tempfile.gettempdir(), _ASIDE))
        self.file: IO[bytes] = os.fdopen(self._claim.opened(), "wb")

    def settle(self) -> None:
        self.file.close()
        self._shelf.publish(self._claim.path, self._key, clock.now())

    def discard(self) -> None:
        with suppress(OSError):  # a full disk, once more
            self.file.close()
        self._claim.path.unlink(missing_ok=True)
        self._claim.release()


def _place(place: str | Path) -> Place:
    text = os.fspath(place)
    if "://" not in text:
        return Folder(Path(text))
    url = urlsplit(text)
    return Folder(Path(unquote(url.path))) if url.scheme == "file" else _Objects(text)
