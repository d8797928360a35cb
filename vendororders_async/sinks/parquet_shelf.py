"""Where the files of a Parquet store are kept: what any place can do, and a folder on disk."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    asynccontextmanager,
    contextmanager,
    suppress,
)
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import msgspec
import pyarrow as pa

from ..errors import SinkError, one_line
from . import ndjson_files as files
from .account_lock import AccountLock
from .parquet_names import MARKER, Entry
from .reasons import reason_of
from .writer_thread import WriterThread

_FORMAT = 1


class Shelf(Protocol):
    """A place for files; a file is there as a whole or not at all.

    Only a purge changes one, and leaves the rows in their places. All methods but `locked`
    block.
    """

    name: str  # in errors: no secrets in it
    spool: Path  # a folder on disk for windows that are not finished
    keeps_spool: bool  # what lies in there outlives the process

    def open(self, *, read_only: bool) -> None:
        """Find the store, or make it; `SinkError` if something else is there."""

    def check_still_there(self) -> None:
        """Make sure, where that costs nothing, that nobody has taken the store away."""

    def close(self) -> None:
        """Let go of what `open` took."""

    def locked(self, account: str, thread: WriterThread) -> AbstractAsyncContextManager[None]:
        """Keep other runs from writing for *account*."""

    def entries(self, folder: str = "") -> list[Entry]:
        """Return all files below *folder*."""

    def has(self, key: str) -> bool:
        """Say whether a file is there."""

    def read(self, key: str) -> bytes | None:
        """Return what is in a file; None if it is not there."""

    def put(self, key: str, data: bytes) -> None:
        """Make a file of *data*, in place of what was there."""

    def aside(self, key: str) -> Path:
        """Return where to write what `publish` is to put there as *key*."""

    def publish(self, written: Path, key: str, at: datetime) -> None:
        """Let *written* appear as *key*, as of *at*; it is durable then, and *written* gone.

        What was there is replaced.
        """

    def remove(self, key: str) -> None:
        """Take a file away, if it is there."""

    def remove_folder(self, folder: str) -> None:
        """Take a folder away for good, and all that is in it."""

    def open_file(self, key: str) -> pa.NativeFile:
        """Open a file for reading at any place."""


def marker() -> bytes:
    """Return what says that a place is a store."""
    return msgspec.json.encode(files.Marker(_FORMAT))


def check_marker(name: str, found: bytes | None) -> None:
    """Make sure that the place *name*, which is marked so, is a store of ours.

    Raises:
        SinkError: it is not, or newer than this version.
    """
    try:
        kept = msgspec.json.decode(found or b"", type=files.Marker)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise SinkError(f"{name} is no Parquet store of vendororders-async") from None
    if kept.format > _FORMAT:
        raise SinkError(
            f"{name} was made by a newer version of vendororders-async; upgrade this one"
        )


@contextmanager
def explained(name: str) -> Iterator[None]:
    """Turn what the system, SQLite or Arrow raise into a `SinkError` in one line."""
    try:
        yield
    except (OSError, sqlite3.Error, pa.ArrowException) as error:
        reason = one_line(reason_of(error))
        raise SinkError(f"cannot use {name}: {reason}") from error


class DiskShelf:
    """A folder. Windows that are not finished lie in it too, in hidden files of lines."""

    keeps_spool = True

    def __init__(self, root: Path) -> None:
        self.name = str(root)
        self.spool = root
        self._root = root

    def open(self, *, read_only: bool) -> None:
        """Find the folder, or make it."""
        root = self._root
        if not read_only:
            self._make()
        if not root.exists():
            raise SinkError(f"there is no {root}")
        with suppress(NotADirectoryError):
            check_marker(self.name, self.read(MARKER))
            return
        raise SinkError(f"{root} is no directory; name another")

    def _make(self) -> None:
        root = self._root
        if not root.parent.is_dir():
            raise SinkError(f"there is no directory {root.parent}; make it first")
        if root.exists() and not root.is_dir():
            raise SinkError(f"{root} is no directory; name another")
        files.make_folders(root)
        if not (root / MARKER).exists():
            hidden = f".{MARKER}."  # another run may be making it at this moment
            if any(not one.name.startswith(hidden) for one in root.iterdir()):
                check_marker(self.name, self.read(MARKER))
            files.replace_file(root / MARKER, marker())
        files.clear_asides(root / MARKER)

    def check_still_there(self) -> None:
        """Look for the file that says what the folder is."""
        if not self.has(MARKER):
            raise SinkError(f"{self.name} was moved or deleted while in use; put it back")

    def close(self) -> None:
        """Nothing is held open."""

    @asynccontextmanager
    async def locked(self, account: str, thread: WriterThread) -> AsyncIterator[None]:
        """Hold a lock file of the system's."""
        lock = AccountLock(self._root / ".locks", account, self.name)
        try:
            await thread.run(lock.acquire)
            yield
        finally:
            await thread.run_surely(lock.release)

    def entries(self, folder: str = "") -> list[Entry]:
        """Return all files below *folder*."""
        found = []
        for at, _, names in os.walk(self._root / folder):
            for name in names:
                path = Path(at, name)
                with suppress(FileNotFoundError):  # what was written aside has its name by now
                    written_at = datetime.fromtimestamp(path.stat().st_mtime, UTC)
                    found.append(Entry(path.relative_to(self._root).as_posix(), written_at))
        return found

    def has(self, key: str) -> bool:
        """Say whether a file is there."""
        return (self._root / key).exists()

    def read(self, key: str) -> bytes | None:
        """Return what is in a file."""
        try:
            return (self._root / key).read_bytes()
        except FileNotFoundError:
            return None

    def put(self, key: str, data: bytes) -> None:
        """Replace a file."""
        path = self._root / key
        files.make_folders(path.parent)
        files.replace_file(path, data)

    def aside(self, key: str) -> Path:
        """Return a hidden file in the same folder."""
        path = self._root / key
        return path.with_name(f".{path.name}{files.PARTIAL}")

    def publish(self, written: Path, key: str, at: datetime) -> None:
        """Rename *written*, once it is safely on the disk."""
        os.utime(written, (at.timestamp(), at.timestamp()))
        files.settle(written, self._root / key)

    def remove(self, key: str) -> None:
        """Take a file away."""
        (self._root / key).unlink(missing_ok=True)

    def remove_folder(self, folder: str) -> None:
        """Take a folder away."""
        with suppress(FileNotFoundError):
            shutil.rmtree(self._root / folder)
        files.sync(self._root)

    def open_file(self, key: str) -> pa.NativeFile:
        """Open a file."""
        return pa.OSFile(os.fspath(self._root / key), "rb")
