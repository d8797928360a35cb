"""Tables as files: orders and their lines, each in a file that appears when it is whole."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Protocol, Self

from ..errors import SinkError
from .claims import Claim
from .columns import StoredContent
from .ndjson_files import errors_explained, settle
from .writer_thread import WriterThread

MARKERS = "vendororders*.json"  # what says that a place is a store of ours, of any kind


class TableWriter(Protocol):
    """Writes one table into a file. Its methods block."""

    def add(self, orders: Sequence[StoredContent]) -> None:
        """Write rows."""

    def finish(self) -> None:
        """Write what is still held back."""

    def leave(self) -> None:
        """Write no more, finished or not."""


class Aside(Protocol):
    """A file that is written where nobody looks for it. Its methods block."""

    file: IO[bytes]

    def settle(self) -> None:
        """Close it and give it its name, in place of what had it."""

    def discard(self) -> None:
        """Remove it, unless it has its name."""


class Place(Protocol):
    """Where files appear. Its methods block."""

    def prepare(self) -> None:
        """Make sure that files can be made there; `SinkError` if not."""

    def aside(self, name: str) -> Aside:
        """Return a new file that is to be called *name*."""


class Folder:
    """A folder on the disk, made if it is not there; files in it are private (0600)."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def __str__(self) -> str:
        return str(self._root)

    def prepare(self) -> None:
        """Make the folder.

        Raises:
            SinkError: something else is there.
        """
        if not self._root.parent.is_dir():
            raise SinkError(f"there is no directory {self._root.parent}; make it first")
        if self._root.exists() and not self._root.is_dir():
            raise SinkError(f"{self._root} is no directory; name another")
        if any(self._root.glob(MARKERS)):
            raise SinkError(
                f"{self._root} is a store that backfills fill; name another directory"
            )
        self._root.mkdir(mode=0o700, exist_ok=True)

    def aside(self, name: str) -> Aside:
        """Return a new hidden file in the folder."""
        return _AsideFile(self._root / name)


class _AsideFile:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._claim = Claim(path)
        self.file: IO[bytes] = os.fdopen(self._claim.opened(), "wb")

    def settle(self) -> None:
        self.file.close()
        settle(self._claim.path, self._path)
        self._claim.release()

    def discard(self) -> None:
        with suppress(OSError):  # a full disk, once more
            self.file.close()
        self._claim.path.unlink(missing_ok=True)
        self._claim.release()


class TableFiles:
    """Writes tables into files of *place*, each by the writer that *writers* has for its name.

        async with TableFiles(place, writers) as tables:
            await tables.add(orders)
            await tables.settle()

    All are written aside; only `settle` gives them their names, in the order of *writers*.
    """

    def __init__(
        self, place: Place, writers: Mapping[str, Callable[[IO[bytes]], TableWriter]]
    ) -> None:
        self._place = place
        self._writers = writers
        self._thread = WriterThread("tables")
        self._tables: list[tuple[Aside, TableWriter]] = []

    async def __aenter__(self) -> Self:
        try:
            await self._run(self._open)
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._thread.close(self._discard)

    async def add(self, orders: Sequence[StoredContent]) -> None:
        """Write *orders*, each with its content, and their lines."""

        def job() -> None:
            for _, writer in self._tables:
                writer.add(orders)

        await self._run(job)

    async def settle(self) -> None:
        """Let the files appear."""

        def job() -> None:
            for _, writer in self._tables:
                writer.finish()
            for aside, _ in self._tables:
                aside.settle()

        await self._run(job)

    def _open(self) -> None:
        self._place.prepare()
        for name, writer in self._writers.items():
            aside = self._place.aside(name)
            try:
                self._tables.append((aside, writer(aside.file)))
            except BaseException:
                aside.discard()
                raise

    def _discard(self) -> None:
        for aside, writer in self._tables:
            writer.leave()
            aside.discard()

    async def _run(self, job: Callable[[], None]) -> None:
        """Do *job* in the thread."""

        def guarded() -> None:
            with errors_explained(self._place):
                job()

        await self._thread.run(guarded)
