"""Reading a SQLite store: its streams, and its orders some at a time."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from pathlib import Path

from ..clock import parse_instant
from ..errors import SinkError
from ..windows import FinishedWindow, Window
from .base import Ledger, StoredOrder, StreamState
from .sqlite_file import APPLICATION_ID, PATIENCE, check_library
from .sqlite_upgrade import SCHEMA_VERSION

BATCH = 200  # orders held in memory at a time

_STREAMS = """
SELECT account, api, stream, source, last_success_at, last_error FROM account_streams
ORDER BY account, api, stream, source
"""

_WINDOWS = """
SELECT account, api, stream, source, "after", "before", begun_at FROM windows
ORDER BY "after", "before"
"""

# By key, page after page: a reading transaction that stayed open for all of it would keep
# the write-ahead log from being reset, https://www.sqlite.org/wal.html#avoiding_excessively_large_wal_files
_ORDERS = """
SELECT account, api, purchase_order_number, asked_at, document FROM purchase_orders
WHERE (account, api, purchase_order_number) > (?, ?, ?)
ORDER BY account, api, purchase_order_number
LIMIT ?
"""

_COUNTS = "SELECT account, api, count(*) FROM purchase_orders GROUP BY account, api"


def open_to_read(path: Path) -> sqlite3.Connection:
    """Return a connection to the store at *path* that changes nothing.

    Raises:
        SinkError: it is not there, or not ours.
    """
    check_library(sqlite3.sqlite_version_info)
    if not path.is_file():
        is_there = path.exists()
        raise SinkError(f"{path} is no file" if is_there else f"there is no {path}")
    # "rw" creates no database, and falls back to reading where only that is allowed. "ro"
    # could leave the files of the write-ahead log behind, https://www.sqlite.org/wal.html
    uri = f"{path.absolute().as_uri()}?mode=rw"
    connection = sqlite3.connect(uri, uri=True, timeout=PATIENCE, isolation_level=None)
    try:
        connection.execute("PRAGMA query_only = ON")
        _check(connection, path)
    except sqlite3.OperationalError as error:
        connection.close()
        if getattr(error, "sqlite_errorcode", 0) & 0xFF != sqlite3.SQLITE_CANTOPEN:
            raise
        # even to read in WAL mode takes -wal and -shm, https://www.sqlite.org/wal.html#readonly
        raise SinkError(
            f"{path} cannot be read where it is: its folder is read-only, and SQLite keeps "
            "files beside it meanwhile; copy it elsewhere"
        ) from error
    except BaseException:
        connection.close()
        raise
    return connection


def _check(connection: sqlite3.Connection, path: Path) -> None:
    (identity,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if identity != APPLICATION_ID:
        raise SinkError(f"{path} is no store of vendororders-async")
    if version > SCHEMA_VERSION:
        raise SinkError(
            f"{path} was made by a newer version of vendororders-async; upgrade this one"
        )


def read_states(connection: sqlite3.Connection) -> list[StreamState]:
    """Return how every stream is doing."""
    windows: dict[Ledger, list[FinishedWindow]] = defaultdict(list)
    connection.execute("BEGIN")  # both tables as of one moment
    try:
        for *key, after, before, begun_at in connection.execute(_WINDOWS):
            window = Window(parse_instant(after), parse_instant(before))
            windows[Ledger(*key)].append(FinishedWindow(window, parse_instant(begun_at)))
        streams = connection.execute(_STREAMS).fetchall()
    finally:
        connection.execute("ROLLBACK")
    return [
        StreamState(
            ledger=(ledger := Ledger(*key)),
            windows=tuple(windows[ledger]),
            last_success_at=parse_instant(last_success_at) if last_success_at else None,
            last_error=last_error,
        )
        for *key, last_success_at, last_error in streams
    ]


def read_orders(connection: sqlite3.Connection, last: StoredOrder | None) -> list[StoredOrder]:
    """Return the orders that come after *last*, up to `BATCH` of them."""
    key = (last.account, last.api, last.purchase_order_number) if last else ("", "", "")
    return [
        StoredOrder(account, api, number, parse_instant(asked_at), document.encode())
        for account, api, number, asked_at, document in connection.execute(
            _ORDERS, (*key, BATCH)
        )
    ]


def count_orders(connection: sqlite3.Connection) -> dict[tuple[str, str], int]:
    """Return how many orders there are, by account and API."""
    return {(account, api): count for account, api, count in connection.execute(_COUNTS)}
