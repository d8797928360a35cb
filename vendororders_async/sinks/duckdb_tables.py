"""DuckDB: orders and their lines as two tables of a database.

https://duckdb.org/docs/guides/python/sql_on_arrow
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

import duckdb
import pyarrow as pa

from ..errors import SinkError, one_line
from .arrow_tables import RowGroups, bare_order_batch, line_batch
from .claims import Claim
from .columns import StoredContent
from .ndjson_files import errors_explained, settle
from .writer_thread import WriterThread

_TABLES: dict[str, Callable[[Iterable[StoredContent]], pa.RecordBatch]] = {
    "purchase_orders": bare_order_batch,
    "purchase_order_lines": line_batch,
}
_NO_DATABASE = "it is no database of DuckDB"
_ROW_COUNT = 16_384  # at a time: few enough to be held in memory

# A table's comment says who made it: what an export may replace, and what it may not.
_COMMENT = "written by vendororders-async; the next export replaces it"

_OTHERS = """
SELECT table_name FROM duckdb_tables()
WHERE database_name = current_database() AND schema_name = current_schema()
    AND table_name IN ('purchase_orders', 'purchase_order_lines')
    AND comment IS DISTINCT FROM ?
UNION ALL
SELECT view_name FROM duckdb_views()
WHERE database_name = current_database() AND schema_name = current_schema()
    AND view_name IN ('purchase_orders', 'purchase_order_lines')
"""


class DuckDbTables:
    """Writes the tables `purchase_orders` and `purchase_order_lines` into a database.

        async with DuckDbTables("orders.duckdb") as tables:
            await tables.add(pairs)
            await tables.settle()

    They replace those of an earlier export, in one transaction that `settle` commits, and
    nothing else in the database changes. A new database is private (0600) and appears when
    it is whole. Documents, and with them customers' addresses, are left out.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self._thread = WriterThread("duckdb")
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._claim: Claim | None = None  # a private folder: what does not fit into memory
        self._made: Path | None = None  # a new database, which is made in there
        self._groups = {
            name: RowGroups(batch_of, _ROW_COUNT) for name, batch_of in _TABLES.items()
        }

    async def __aenter__(self) -> Self:
        try:
            await self._run(self._open)
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._thread.close(self._close)

    async def add(self, orders: Sequence[StoredContent]) -> None:
        """Write *orders*, each with its content, and their lines."""

        def job() -> None:
            for name, groups in self._groups.items():
                for table in groups.add(orders):
                    self._insert(name, table)

        await self._run(job)

    async def settle(self) -> None:
        """Commit."""

        def job() -> None:
            for name, groups in self._groups.items():
                self._insert(name, groups.rest())
            self._commit()
            if self._made is not None:
                if self._path.exists():
                    raise SinkError(f"somebody else made {self._path} meanwhile; export again")
                settle(self._made, self._path)

        await self._run(job)

    def _open(self) -> None:
        if not self._path.parent.is_dir():
            raise SinkError(f"there is no directory {self._path.parent}; make it first")
        file = self._path
        is_new = not file.exists()
        if not (is_new or _is_database(file)):
            raise SinkError(f"cannot use {file}: {_NO_DATABASE}")
        self._claim = Claim(file, is_folder=True)
        if is_new:
            file = self._made = self._claim.path / file.name
        spills_to = str(self._claim.path / "spilt")
        self._connection = duckdb.connect(file, config={"temp_directory": spills_to})
        if is_new:
            file.chmod(0o600)
        self._refuse_others(self._connection)
        self._connection.execute("BEGIN")
        for name, batch_of in _TABLES.items():
            self._connection.execute(f"DROP TABLE IF EXISTS {name}")
            self._connection.from_arrow(pa.Table.from_batches([batch_of([])])).create(name)
            self._connection.execute(f"COMMENT ON TABLE {name} IS '{_COMMENT}'")

    def _refuse_others(self, connection: duckdb.DuckDBPyConnection) -> None:
        found = connection.execute(_OTHERS, [_COMMENT]).fetchall()
        if found:
            raise SinkError(
                f"{self._path} has a {found[0][0]} that no export made; name another file"
            )

    def _insert(self, name: str, rows: pa.Table) -> None:
        if self._connection is None:
            raise SinkError(f"{self._path} is not open")
        # what is registered instead would be kept in memory until the commit
        self._connection.from_arrow(rows).insert_into(name)

    def _commit(self) -> None:
        if self._connection is not None:
            with _private_files():
                self._connection.execute("COMMIT")
                self._disconnect()  # which writes all of it into the one file

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()  # rolls back what was not committed
            self._connection = None

    def _close(self) -> None:
        with suppress(duckdb.Error):  # a full disk, once more
            self._disconnect()
        if self._claim is not None:
            shutil.rmtree(self._claim.path, ignore_errors=True)
            self._claim.release()

    async def _run(self, job: Callable[[], None]) -> None:
        """Do *job* in the thread."""

        def guarded() -> None:
            with errors_explained(self._path), _explained(self._path):
                job()

        await self._thread.run(guarded)


@contextmanager
def _private_files() -> Iterator[None]:
    """Let nobody else read the log (``.wal``) that DuckDB makes beside a database to commit.

    It asks nobody for the mode. All threads share the mask: what another one makes meanwhile
    is private, too.
    """
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


def _is_database(path: Path) -> bool:
    """Say whether DuckDB made the file at *path*.

    It would open others too: a CSV, JSON or Parquet file as views in memory, in which an export
    would vanish, and SQLite's by an extension, which it downloads.
    https://duckdb.org/docs/stable/internals/storage
    """
    with path.open("rb") as file:
        return file.read(12)[8:] == b"DUCK"


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn what DuckDB raises into a `SinkError` in one line."""
    try:
        yield
    except duckdb.Error as error:
        text = str(error)
        if "Could not set lock" in text:
            meaning = "another program has it open; close it there first"
        elif "not a valid DuckDB database" in text:
            meaning = _NO_DATABASE
        else:
            meaning = one_line(text)
        raise SinkError(f"cannot use {path}: {meaning}") from error
