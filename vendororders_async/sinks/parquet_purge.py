"""Forgetting in a Parquet store: files are written anew aside, and take the old ones' places.

A file keeps its key, which is what says that a window is finished, and on disk its time. Each
row stays in its place, in as many row groups: whoever is reading the store finds it there,
redacted or not yet.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeVar

import pyarrow as pa

from ..clock import format_stored
from . import ndjson_files as files
from . import parquet_names as names
from .base import Ledger, Purged, StoredOrder
from .damage import DamagedFile
from .due import DueIndex
from .ndjson_quarantine import quarantine_file
from .parquet_names import Entry, Found
from .parquet_reader import GroupReader, read_accounts, read_quarantined, stored_times
from .parquet_shelf import Shelf
from .parquet_spool import holds_statuses, spooled, stored_batch, table_writer
from .people import NAMING_API, held_without_people, ordered_at, without_people

T = TypeVar("T")

_NUMBER = "purchase_order_number"
_FORGOTTEN = [_NUMBER, "document"]
_DATED = [_NUMBER, "purchase_order_date", "asked_at"]


class PurgeableStore(ABC):
    """What a Parquet sink can forget, and how; the rest of the sink is its subclass.

    An order is counted once, and what else there is of it as older versions. Files are read
    and written one at a time, and in memory is one row group.
    """

    _shelf: Shelf
    _named: set[str]
    _wrote: dict[str, datetime]

    @abstractmethod
    async def _run(self, job: Callable[[], T]) -> T:
        """Return what *job* returns, in the thread."""

    @abstractmethod
    async def _change(self, job: Callable[[], T]) -> T:
        """Do the same with what changes the store."""

    @abstractmethod
    def _forget(self, account: str | None = None) -> None:
        """Let go of the windows that are not finished: what was spooled becomes a file."""

    async def accounts(self) -> frozenset[str]:
        """Return the accounts of which anything is kept."""

        def job() -> frozenset[str]:
            keys = [one.key for one in self._shelf.entries()]
            return frozenset(read_accounts(self._shelf, keys).values())

        return await self._run(job)

    async def purge_account(self, account: str, *, dry_run: bool = False) -> Purged:
        """Remove all files of *account*; with *dry_run* only count what is in them.

        The windows go first, since they are the ledger, and what says whose folder it is goes
        last. The lock is the caller's, and stays.
        """
        if not dry_run:
            await self._change(lambda: self._forget(account))
        folder = names.account_key(account)
        entries = await self._run(lambda: self._shelf.entries(folder))
        spools = await self._run(lambda: _spools(self._shelf, account, "*"))
        purged, index = Purged(), await self._run(DueIndex)
        try:
            for file in names.found(entries):
                purged += await self._run(partial(_count, self._shelf, file, index))
            for spool in spools:
                purged += await self._run(partial(_count_spool, spool, index))
        finally:
            await self._run(index.close)
        if not dry_run:
            for key in sorted((one.key for one in entries), key=_turn):
                await self._change(partial(self._shelf.remove, key))
            await self._change(lambda: self._remove_folder(account))
        return purged

    async def purge_people(
        self, account: str, before: datetime, *, dry_run: bool = False
    ) -> Purged:
        """Redact what *account* was ordered before then; with *dry_run* only count it.

        A row's typed columns are those of the document that is left. On disk a file keeps its
        time; an object's is that of the purge, and so is the account's last success in a
        bucket.
        """
        if not dry_run:
            await self._change(lambda: self._forget(account))
        run = self._run if dry_run else self._change
        people = await run(lambda: _People(self._shelf, account, before, dry_run=dry_run))
        try:
            for file in people.files:
                await run(partial(people.take_in, file))
            for spool in people.spools:
                await run(partial(people.take_in_spool, spool))
            purged = Purged()
            for file in people.files:
                purged += await run(partial(people.redact, file))
            for spool in people.spools:
                purged += await run(partial(people.count_spool, spool))
            for held in people.quarantine:
                purged += await run(partial(people.redact_quarantined, held))
            return purged + Purged(damaged=tuple(people.damaged.values()))
        finally:
            await run(people.close)

    async def scrub(self) -> None:  # noqa: B027 - it may well be empty
        """Do nothing: what was written anew or removed has left no bytes in the files.

        In a bucket that keeps versions of its objects, or is copied elsewhere, the old ones
        stay, and it is for its own rules to end them. The spool of a run that crashed lies in
        its machine's temporary folder until the next run into a bucket there.
        """

    def _remove_folder(self, account: str) -> None:
        self._shelf.remove_folder(names.account_key(account))
        self._named.discard(account)
        self._wrote.pop(account, None)


class _Spool(NamedTuple):
    """A window that is not finished: only a dry run meets one, which takes no lock."""

    path: Path
    account: str
    api: str

    def rows(self) -> Iterator[StoredOrder]:
        return spooled(self.path, self.account, self.api)


class _People:
    """The people in an account's orders: first all files are taken in, then redacted.

    Every method blocks for one file. One that is damaged stays as it is, and is named.
    """

    def __init__(self, shelf: Shelf, account: str, before: datetime, *, dry_run: bool) -> None:
        self._shelf = shelf
        self._account = account
        self._before = before
        self._dry_run = dry_run
        folder = f"{names.account_key(account)}/{files.safe(NAMING_API)}"
        found = [*names.found(shelf.entries(folder))]
        self.files = [one for one in found if _has_orders(one)]
        self.quarantine = [one for one in found if one.stream == names.QUARANTINE]
        self.spools = _spools(shelf, account, files.safe(NAMING_API))
        self.close = (index := DueIndex()).close
        self._index = index
        self.damaged: dict[Found, str] = {}

    def take_in(self, file: Found) -> None:
        """Note whose rows are in *file*, and when they were ordered."""
        with self._damage_noted(file), GroupReader(self._shelf, file.entry.key) as groups:
            for group in range(len(groups.sizes)):
                table = groups.read(group, _DATED)
                dates = stored_times(table, *_DATED[1:])
                for number, *seen in zip(*_texts(table, _NUMBER), *dates, strict=True):
                    self._index.saw(number, *seen)

    def redact(self, file: Found) -> Purged:
        """Write *file* anew if it has people in it that are to be forgotten."""
        purged = Purged()
        if file not in self.damaged:
            with self._damage_noted(file):
                purged = self._redact(file)
        return purged

    def _redact(self, file: Found) -> Purged:
        with GroupReader(self._shelf, file.entry.key) as groups:
            numbers = [
                number
                for group in range(len(groups.sizes))
                for number, _ in self._left(groups.read(group, _FORGOTTEN)).values()
            ]
            if numbers and not self._dry_run:
                self._write_anew(file, groups)
        return self._index.counted(numbers)  # last: what is damaged is not counted

    def redact_quarantined(self, file: Found) -> Purged:
        """Do the same with one document that could not be decoded."""
        key, held = file.entry.key, None
        with self._damage_noted(file):
            held = read_quarantined(self._shelf, self._account, file.api, key)
        redacted = held_without_people(held, self._before) if held else None
        if redacted is None:
            return Purged()
        if not self._dry_run:
            anew = f"{key.rpartition('/')[0]}/{redacted.digest}"
            if not self._shelf.has(anew):
                kept = quarantine_file(redacted)
                self._put(anew, file.entry, lambda aside: files.append(aside, kept))
            self._shelf.remove(key)
        return Purged(quarantine_count=1)

    @contextmanager
    def _damage_noted(self, file: Found) -> Iterator[None]:
        try:
            yield
        except DamagedFile as error:
            self.damaged[file] = str(error)

    def take_in_spool(self, spool: _Spool) -> None:
        """Note whose lines are in *spool*."""
        for row in spool.rows():
            number, asked_at = row.purchase_order_number.encode(), format_stored(row.seen_at)
            self._index.saw(number, ordered_at(row.document), asked_at)

    def count_spool(self, spool: _Spool) -> Purged:
        """Count what would be redacted, were it a file."""
        rows = ((row.purchase_order_number.encode(), row.document) for row in spool.rows())
        return self._index.counted(one for one, raw in rows if self._redacted(one, raw))

    def _left(self, table: pa.Table) -> dict[int, tuple[bytes, bytes]]:
        """Return the rows of *table* that change: their order's number, and what is left."""
        left = {}
        for row, (number, raw) in enumerate(zip(*_texts(table, *_FORGOTTEN), strict=True)):
            if (redacted := self._redacted(number, raw)) is not None:
                left[row] = number, redacted
        return left

    def _redacted(self, number: bytes, raw: bytes) -> bytes | None:
        return without_people(raw) if self._index.is_due(number, self._before) else None

    def _write_anew(self, file: Found, groups: GroupReader) -> None:
        def write(aside: Path) -> None:
            with table_writer(aside, groups.schema) as writer:
                for group in range(len(groups.sizes)):
                    table = groups.read(group)
                    if left := self._left(table):
                        table = self._replaced(table, left, file)
                    writer.write_table(table, row_group_size=len(table))

        self._put(file.entry.key, file.entry, write)

    def _replaced(
        self, table: pa.Table, left: Mapping[int, tuple[bytes, bytes]], file: Found
    ) -> pa.Table:
        """Return *table* with the rows of what is *left* made anew, each in its place."""
        asked = table["asked_at"]
        rows = [
            StoredOrder(
                *(self._account, file.api, number.decode()),
                asked[row].as_py().replace(tzinfo=UTC),
                document,
            )
            for row, (number, document) in left.items()
        ]
        ledger = Ledger(self._account, file.api, file.stream, "")
        anew = pa.Table.from_batches([stored_batch(rows, ledger)])
        anew = anew.select(table.column_names).cast(table.schema)
        places = list(range(len(table)))
        for place, row in enumerate(left, len(table)):
            places[row] = place
        return pa.concat_tables([table, anew]).take(places)

    def _put(self, key: str, entry: Entry, write: Callable[[Path], None]) -> None:
        """Let what *write* writes appear as *key*, with the time of *entry*."""
        aside = self._shelf.aside(key)
        aside.unlink(missing_ok=True)
        try:
            write(aside)
            self._shelf.publish(aside, key, entry.written_at)
        except BaseException:
            aside.unlink(missing_ok=True)
            raise


def _count(shelf: Shelf, file: Found, index: DueIndex) -> Purged:
    """Return what there is in *file*; the statuses of orders are no orders."""
    if file.stream == names.QUARANTINE:
        return Purged(quarantine_count=int(not file.name.endswith(files.PARTIAL)))
    if not _has_orders(file):
        return Purged()
    return index.counted(_readable_numbers(shelf, file), file.api)


def _readable_numbers(shelf: Shelf, file: Found) -> Iterator[bytes]:
    """Yield the orders' numbers in *file* as far as it can be read: it goes, damaged or not."""
    with suppress(DamagedFile), GroupReader(shelf, file.entry.key) as groups:
        for group in range(len(groups.sizes)):
            yield from _texts(groups.read(group, [_NUMBER]), _NUMBER)[0]


def _count_spool(spool: _Spool, index: DueIndex) -> Purged:
    numbers = (row.purchase_order_number.encode() for row in spool.rows())
    return index.counted(numbers, spool.api)


def _spools(shelf: Shelf, account: str, api: str) -> list[_Spool]:
    """Return the windows of orders that are not finished; *api* is a pattern of folders."""
    found = []
    for folder in sorted(files.account_folder(shelf.spool, account).glob(f"{api}/*/")):
        ledger = files.ledger_of(account, folder / "_", "")
        if not holds_statuses(ledger):
            found += [
                _Spool(path, account, ledger.api) for path, *_ in files.partial_files(folder)
            ]
    return found


def _has_orders(file: Found) -> bool:
    named = names.source_of(file.name)
    return named is not None and not holds_statuses(Ledger("", file.api, file.stream, ""))


def _texts(table: pa.Table, *columns: str) -> list[list[bytes]]:
    return [[text.encode() for text in table[one].to_pylist()] for one in columns]


def _turn(key: str) -> tuple[int, str]:
    """Return when a file of an account goes: windows first, the account's name last."""
    name = key.rpartition("/")[2]
    if names.source_of(name) is not None:
        return 0, key
    return (2 if name == files.ACCOUNT else 1), key
