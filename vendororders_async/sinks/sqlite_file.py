"""Opening the file: made private, recognised as ours, refused in one clear line."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import msgspec
from tenacity import retry, retry_if_exception, stop_after_delay, wait_random

from ..errors import SinkError, one_line
from .reasons import reason_of
from .sqlite_upgrade import SCHEMA_VERSION, bring_up_to_date, version_of

T = TypeVar("T")
Job = Callable[[sqlite3.Connection], T]

APPLICATION_ID = 0x56504F31  # "VPO1"; as in schema.sql
PATIENCE = 30.0  # seconds to wait while another process writes

# "->" and "->>" came with 3.38, https://www.sqlite.org/json1.html; STRICT with 3.37
_OLDEST_SQLITE = (3, 38, 0)

_MEANINGS = {
    sqlite3.SQLITE_FULL: "the disk is full; make room",
    # a database in WAL mode takes 32 KiB of memory that all its users share, from the disk
    sqlite3.SQLITE_IOERR_SHMSIZE: "the disk is full; make room",
    sqlite3.SQLITE_READONLY: "it is read-only",
    sqlite3.SQLITE_BUSY: f"it is locked: another program has been writing for {PATIENCE:.0f} s",
    sqlite3.SQLITE_CANTOPEN: "the file cannot be opened",
    sqlite3.SQLITE_NOTADB: "it is not an SQLite database; name another file",
    sqlite3.SQLITE_CORRUPT: "the database is damaged; restore it, or name another file",
    sqlite3.SQLITE_IOERR_WRITE: "the disk cannot be written, or a quota or limit is reached",
    sqlite3.SQLITE_IOERR: "the disk cannot be read or written",
}


def open_database(path: Path) -> sqlite3.Connection:
    """Return a connection to the store at *path*, which is made if it is not there.

    Raises:
        SinkError: it cannot be used, and why.
    """
    check_library(sqlite3.sqlite_version_info)
    _make_private(path)
    with errors_explained(path):
        connection = sqlite3.connect(
            path.absolute(),  # never ":memory:"
            timeout=PATIENCE,
            isolation_level=None,
        )
        try:
            _prepare(connection, path)
        except BaseException:
            connection.close()
            raise
        return connection


def check_library(version: tuple[int, ...]) -> None:
    """Refuse a SQLite library that lacks what the tables and views need.

    Raises:
        SinkError: *version* is too old.
    """
    if version < _OLDEST_SQLITE:
        found, oldest = (".".join(map(str, one)) for one in (version, _OLDEST_SQLITE))
        raise SinkError(f"SQLite {found} is too old: Python needs one of {oldest} or newer")


@contextmanager
def errors_explained(path: Path) -> Iterator[None]:
    """Turn what sqlite3 raises into a `SinkError` that names *path* and says what is wrong."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0)
        primary = _MEANINGS.get(code & 0xFF, one_line(str(error)))
        meaning = _MEANINGS.get(code, primary)
        raise SinkError(f"cannot use {path}: {meaning}") from error


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Do all of it or nothing; other writers wait from the beginning."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # SQLite itself rolls back on a full disk
            with suppress(sqlite3.Error):  # the first error is the one to tell
                connection.execute("ROLLBACK")
        raise


@contextmanager
def durable_transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Do all of it or nothing, so that once it is done not even a power cut undoes it."""
    # FULL syncs the write-ahead log after each commit, NORMAL at checkpoints only; macOS
    # flushes the disk itself for fullfsync alone. Neither can be set in a transaction.
    # https://www.sqlite.org/pragma.html#pragma_synchronous
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA fullfsync = ON")
    try:
        with transaction(connection):
            yield
    finally:
        connection.execute("PRAGMA fullfsync = OFF")
        connection.execute("PRAGMA synchronous = NORMAL")


def still_there(path: Path) -> Callable[[], None]:
    """Return what raises a `SinkError` once the file at *path* is there no more.

    SQLite would write on into a file that has no name, and that is gone when it is closed.
    """
    file = path.absolute()
    opened = file.stat()

    def check() -> None:
        with suppress(FileNotFoundError):
            if os.path.samestat(file.stat(), opened):
                return
        raise SinkError(f"{path} was moved or deleted while in use; put it back")

    return check


def file_of(connection: sqlite3.Connection) -> str:
    """Return the name of the file that *connection* is open on."""
    (_, _, file) = connection.execute("PRAGMA database_list").fetchone()
    return str(file)


def require_version(connection: sqlite3.Connection, oldest: int, what: str) -> None:
    """Refuse a store of an older version, which can only have been opened for reading.

    Raises:
        SinkError: it does not know *what*, which came with the version *oldest*.
    """
    if version_of(connection) < oldest:
        raise SinkError(
            f"{file_of(connection)} is of an older version, which does not know {what}; "
            "any backfill into it brings it up to date"
        )


def _make_private(path: Path) -> None:
    """Create the file so that nobody else could ever read it; -wal and -shm take its mode."""
    try:
        # Only a file that is not there yet: to close a descriptor of an open database is
        # to drop this process's locks on it, https://www.sqlite.org/howtocorrupt.html
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        if path.is_dir():
            raise SinkError(f"{path} is a directory; name a file in it") from None
        if not os.access(path, os.W_OK):  # SQLite would open it and refuse the first page
            raise SinkError(f"{path} is read-only; make it writable, or name another") from None
    except FileNotFoundError:
        raise SinkError(f"there is no directory {path.parent}; make it first") from None
    except OSError as error:
        raise SinkError(f"cannot create {path}: {reason_of(error)}") from error


def is_busy(error: BaseException) -> bool:
    """Say whether it was another program that stood in the way."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY


# Two that make a new file at once can meet where SQLite does not wait but refuses at once,
# lest both wait for ever: https://www.sqlite.org/c3ref/busy_handler.html
@retry(
    retry=retry_if_exception(is_busy),
    wait=wait_random(0.005, 0.05),
    stop=stop_after_delay(PATIENCE),
    reraise=True,
)
def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    found = _identify(connection)
    if found.application_id != APPLICATION_ID and not found.is_blank:
        raise SinkError(f"{path} is a database of something else; name another file")
    if found.version > SCHEMA_VERSION:
        raise SinkError(
            f"{path} was made by a newer version of vendororders-async; upgrade this one"
        )
    if connection.execute("PRAGMA journal_mode = WAL").fetchone() != ("wal",):
        raise SinkError(f"{path} cannot be used from here; put it on a local disk")
    # A power cut may take back the last transactions, never more: the file stays sound.
    # What is taken back is taken back in order, and windows are recorded in this very
    # file after their pages, so that they never claim what is gone.
    # https://www.sqlite.org/pragma.html#pragma_synchronous
    connection.execute("PRAGMA synchronous = NORMAL")
    if found.version < SCHEMA_VERSION:
        with transaction(connection):
            bring_up_to_date(connection)


class _Identity(msgspec.Struct, frozen=True):
    """What a database file says it is."""

    application_id: int
    version: int
    table_count: int

    @property
    def is_blank(self) -> bool:
        """Whether nobody has used the file yet."""
        return self == _Identity(0, 0, 0)


def _identify(connection: sqlite3.Connection) -> _Identity:
    with _snapshot(connection):  # another process may be making it at this moment
        found = [
            connection.execute(question).fetchone()[0]
            for question in (
                "PRAGMA application_id",
                "PRAGMA user_version",
                "SELECT count(*) FROM sqlite_schema",
            )
        ]
    return _Identity(*found)


@contextmanager
def _snapshot(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")
