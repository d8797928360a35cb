"""Forgetting in an NDJSON store: files are written anew aside, and take the old ones' places.

A file keeps its name, which is what says that a window is finished, and its time.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

import msgspec

from ..clock import format_stored
from ..models.lenient import REFUSED
from ..operations import STATUSES
from . import ndjson_files as files
from .base import Purged
from .compression import compressing, compression_of
from .damage import DamagedFile
from .due import DueIndex
from .ndjson_quarantine import QUARANTINE, Quarantine
from .ndjson_reader import read_lines
from .people import NAMING_API, held_without_people, ordered_at, without_people

T = TypeVar("T")


class _Numbered(msgspec.Struct, frozen=True, rename="camel"):
    """What tells one order from another, as it is written."""

    purchase_order_number: msgspec.Raw = msgspec.Raw()


_NUMBERED = msgspec.json.Decoder(_Numbered)


class PurgeableFolder(ABC):
    """What an NDJSON sink can forget, and how; the rest of the sink is its subclass.

    An order is counted once, and what else there is of it as older versions.
    """

    _root: Path

    @abstractmethod
    async def _run(self, job: Callable[[], T]) -> T:
        """Return what *job* returns, in the thread."""

    @abstractmethod
    async def _change(self, job: Callable[[], T]) -> T:
        """Do the same with what changes the store."""

    @abstractmethod
    def _forget(self, account: str | None = None) -> None:
        """Let go of the windows that are not finished."""

    async def accounts(self) -> frozenset[str]:
        """Return the accounts of which anything is kept."""
        found = await self._run(lambda: files.accounts_in(self._root))
        return frozenset(account for account, _ in found)

    async def purge_account(self, account: str, *, dry_run: bool = False) -> Purged:
        """Remove the folder of *account*; with *dry_run* only count what is in it."""
        folder = files.account_folder(self._root, account)

        def job() -> Purged:
            if not dry_run:
                self._forget(account)
            purged = _count(folder, account)
            if not dry_run:
                _remove(folder)
            return purged

        return await (self._run if dry_run else self._change)(job)

    async def purge_people(
        self, account: str, before: datetime, *, dry_run: bool = False
    ) -> Purged:
        """Redact what *account* was ordered before then; with *dry_run* only count it."""
        folder = files.account_folder(self._root, account) / files.safe(NAMING_API)
        run = self._run if dry_run else self._change
        people = await run(lambda: _People(folder, before, dry_run=dry_run))
        try:
            for file in people.files:
                await run(partial(people.take_in, file))
            purged = Purged()
            for file in people.files:
                purged += await run(partial(people.redact, file))
            purged += await run(
                lambda: people.redact_quarantine(
                    Quarantine(folder / QUARANTINE, account, NAMING_API)
                )
            )
            return purged + Purged(damaged=tuple(people.damaged.values()))
        finally:
            await run(people.close)

    async def scrub(self) -> None:  # noqa: B027 - it may well be empty
        """Do nothing: what was written anew or removed has left no bytes in the files."""


class _People:
    """The people in an account's orders: first all files are taken in, then redacted.

    Every method blocks for one file. One that is damaged stays as it is, and is named.
    """

    def __init__(self, folder: Path, before: datetime, *, dry_run: bool) -> None:
        self.files = list(_files(folder))
        self.damaged: dict[Path, str] = {}
        self.close = (index := DueIndex()).close
        self._index = index
        self._before = before
        self._dry_run = dry_run

    def take_in(self, file: Path) -> None:
        """Note whose lines are in *file*, and when they were ordered."""
        with self._damage_noted(file):
            for _, seen_at, raw in read_lines(file):
                self._index.saw(_number(raw), ordered_at(raw), format_stored(seen_at))

    def redact(self, file: Path) -> Purged:
        """Write *file* anew if it has people in it that are to be forgotten."""
        if file in self.damaged or not any(raw for _, raw in self._redacted(file)):
            return Purged()
        if self._dry_run:
            return self._index.counted(_number(raw) for _, raw in self._redacted(file) if raw)
        aside = file.with_name(f".{file.name}.purge{files.PARTIAL}")
        aside.unlink(missing_ok=True)
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)

        def written() -> Iterator[bytes]:
            with (
                os.fdopen(descriptor, "wb") as opened,
                compressing(opened, compression_of(file)) as lines,
            ):
                for line, raw in self._redacted(file):
                    lines.write(line)
                    if raw:
                        yield _number(raw)

        purged = self._index.counted(written())
        times = file.stat()
        os.utime(aside, ns=(times.st_atime_ns, times.st_mtime_ns))
        files.settle(aside, file)
        return purged

    def redact_quarantine(self, quarantine: Quarantine) -> Purged:
        """Do the same with what could not be decoded."""
        count = 0
        for file in quarantine.files():
            with self._damage_noted(file):
                held = quarantine.read_file(file)
                redacted = held_without_people(held, self._before) if held else None
                if redacted is None:
                    continue
                count += 1
                if not self._dry_run:
                    quarantine.add(redacted)
                    file.unlink(missing_ok=True)
        return Purged(quarantine_count=count)

    @contextmanager
    def _damage_noted(self, file: Path) -> Iterator[None]:
        try:
            yield
        except DamagedFile as error:
            self.damaged[file] = str(error)

    def _redacted(self, file: Path) -> Iterator[tuple[bytes, bytes]]:
        """Yield each line as it is to be, and what was its document if that changes."""
        for line, seen_at, raw in read_lines(file):
            redacted = None
            if self._index.is_due(_number(raw), self._before):
                redacted = without_people(raw)
            if redacted is None:
                yield line, b""
                continue
            account, api, _, _ = files.parse_line(line)
            new = files.line_of(account, api, seen_at, redacted)
            # As long as before: who is reading the store finds its lines by their places
            yield new[:-1].ljust(len(line) - 1) + b"\n", raw


def _count(folder: Path, account: str) -> Purged:
    """Return what there is of *account*; the statuses of its orders are no orders."""
    purged, index = Purged(), DueIndex()
    try:
        for api in sorted(folder.glob("*/")):
            for file in _files(api):
                if file.parent.name != STATUSES.name:
                    purged += index.counted(_readable_numbers(file), api.name)
            held = Quarantine(api / QUARANTINE, account, api.name).files()
            purged += Purged(quarantine_count=len(held))
    finally:
        index.close()
    return purged


def _readable_numbers(file: Path) -> Iterator[bytes]:
    """Yield the orders' numbers in *file* as far as it can be read: it goes, damaged or not."""
    with suppress(DamagedFile):
        for *_, raw in read_lines(file):
            yield _number(raw)


def _remove(folder: Path) -> None:
    """Remove *folder*; what says whose it is goes last."""
    named = folder / files.ACCOUNT
    inside = sorted(folder.rglob("*"), reverse=True)  # a folder after what is in it
    for path in inside:
        if path.is_dir():
            path.rmdir()
        elif path != named:
            path.unlink()
    named.unlink(missing_ok=True)
    if folder.is_dir():
        folder.rmdir()
        files.sync(folder.parent)


def _files(folder: Path) -> Iterator[Path]:
    """Yield the files of lines of an API, also of windows that are not finished."""
    for stream in sorted(folder.glob("*/")):
        for file, _, _ in (*files.named_files(stream), *files.partial_files(stream)):
            yield file


def _number(raw: bytes) -> bytes:
    try:
        return bytes(_NUMBERED.decode(raw).purchase_order_number)
    except REFUSED:
        return raw
