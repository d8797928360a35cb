"""Reading a Parquet store: the newest version of every order, out of all its files."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC
from itertools import groupby, islice
from operator import itemgetter
from typing import Any, Self

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ..errors import SinkError
from . import ndjson_files as files
from .base import Ledger, Quarantined, StoredOrder, StreamState
from .damage import DamagedFile, damaged
from .ndjson_quarantine import parse_quarantine
from .newest import NewestIndex
from .parquet_names import QUARANTINE, found, quarantine_key, source_of
from .parquet_shelf import Shelf, explained
from .parquet_spool import holds_statuses
from .rows import ORDER_TYPES, Version
from .states import States

BATCH = 200  # orders handed out at a time

_COMPARED = ["purchase_order_number", "digest", "asked_at", "own_date_at", "has_details"]
_HANDED_OUT = ["purchase_order_number", "asked_at", "document"]


def read_accounts(shelf: Shelf, keys: list[str]) -> dict[str, str]:
    """Return the accounts of a store by their folders; *keys* are all there is in it."""
    accounts = {}
    for key in keys:
        folder, _, name = key.partition("/")
        if name != files.ACCOUNT or (data := shelf.read(key)) is None:
            continue
        try:
            accounts[folder] = msgspec.json.decode(data, type=files.AccountFile).account
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise DamagedFile(f"{shelf.name}/{key} is damaged; {files.NAMED_AGAIN}") from None
    return accounts


def read_states(shelf: Shelf) -> list[StreamState]:
    """Return how every stream is doing, by the names of its files and what is in quarantine."""
    entries = shelf.entries()
    accounts = read_accounts(shelf, [one.key for one in entries])
    states = States()
    for file in found(entries):
        account = accounts.get(file.folder)
        if account is None:
            continue
        if file.stream == QUARANTINE:
            if (held := read_quarantined(shelf, account, file.api, file.entry.key)) is not None:
                states.know(held.ledger)
        elif file.name.startswith(f"{files.ERROR}_"):
            ledger = Ledger(account, file.api, file.stream, files.error_source(file.name))
            if (error := shelf.read(file.entry.key)) is not None:
                states.fail(ledger, error.decode("utf-8", "replace"))
        elif (named := source_of(file.name) or _spooled(file.name)) is not None:
            source, finished = named
            ledger = Ledger(account, file.api, file.stream, source)
            states.add(ledger, finished, file.entry.written_at)
    return states.all()


def _spooled(name: str) -> tuple[str, None] | None:
    """Return the source of a window that is not finished."""
    ending = f"{files.SUFFIX}{files.PARTIAL}"
    if not (name.startswith(".") and name.endswith(ending)):
        return None
    return files.parse_name(name[1:].removesuffix(files.PARTIAL))[0], None


def read_quarantine(shelf: Shelf, account: str, api: str) -> list[Quarantined]:
    """Return all that is in quarantine, the oldest first."""
    keys = [one.key for one in shelf.entries(quarantine_key(account, api))]
    whole = [one for one in keys if not one.endswith(files.PARTIAL)]
    held = [read_quarantined(shelf, account, api, one) for one in whole]
    return sorted(
        (one for one in held if one is not None),
        key=lambda one: (one.first_seen_at, one.digest),
    )


def read_quarantined(shelf: Shelf, account: str, api: str, key: str) -> Quarantined | None:
    """Return one document in quarantine; None if it was taken out in the meantime."""
    if key.endswith(files.PARTIAL) or (data := shelf.read(key)) is None:
        return None
    return parse_quarantine(account, api, f"{shelf.name}/{key}", data)


class NewestOrders:
    """The newest version of each order of one account and API, a batch at a time.

        newest = NewestOrders(shelf, account, api, keys)
        while batch := newest.next(): ...
        newest.close()

    They come as they lie in the files: then each row group is read once, and one at a time is
    in memory. Every method blocks.
    """

    def __init__(self, shelf: Shelf, account: str, api: str, keys: list[str]) -> None:
        self._shelf = shelf
        self.account = account
        self.api = api
        self._index = NewestIndex()
        try:
            for key in keys:
                self._take_in(key)
        except BaseException:
            self._index.close()
            raise
        self._orders = self._read()

    def close(self) -> None:
        """Forget it all."""
        self._orders.close()
        self._index.close()

    def count(self) -> int:
        """Return how many orders there are."""
        return self._index.count()

    def next(self) -> list[StoredOrder]:
        """Return the next orders; none when that was all."""
        return list(islice(self._orders, BATCH))

    def _take_in(self, key: str) -> None:
        place = 0
        with GroupReader(self._shelf, key) as groups:
            for group in range(len(groups.sizes)):
                for number, version in _versions(groups.read(group, _COMPARED)):
                    self._index.take(number, version, key, place)
                    place += 1

    def _read(self) -> Generator[StoredOrder]:
        for key, places in groupby(self._index.by_place(), itemgetter(1)):
            with GroupReader(self._shelf, key) as groups:
                begins, group, rows = 0, -1, 0
                table: pa.Table | None = None
                for _, _, place in places:
                    while place >= begins + rows:
                        begins, group, table = begins + rows, group + 1, None
                        rows = groups.sizes[group]
                    if table is None:
                        table = groups.read(group, _HANDED_OUT)
                    yield self._order(table, place - begins)

    def _order(self, table: pa.Table, row: int) -> StoredOrder:
        number, asked_at, document = (table[name][row] for name in _HANDED_OUT)
        seen_at = asked_at.as_py().replace(tzinfo=UTC)
        return StoredOrder(
            self.account, self.api, number.as_py(), seen_at, document.as_py().encode()
        )


class GroupReader:
    """A file's row groups, one at a time; who enters it leaves it.

    On disk an open file stays what it was, also where a purge puts another in its place. An
    object does not: a part of the new one, found by the old one's footer, is no column. Then
    it is opened again, and has the same rows in the same places.
    """

    def __init__(self, shelf: Shelf, key: str) -> None:
        self._shelf = shelf
        self._key = key
        self._opened = ExitStack()

    def __enter__(self) -> Self:
        self._open()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._opened.close()

    @property
    def sizes(self) -> list[int]:
        """How many rows each of them has."""
        metadata = self._file.metadata
        return [metadata.row_group(one).num_rows for one in range(metadata.num_row_groups)]

    @property
    def schema(self) -> pa.Schema:
        """The columns."""
        return self._file.schema_arrow

    def read(self, group: int, columns: list[str] | None = None) -> pa.Table:
        """Return *columns* of a row group, or all of them."""
        try:
            return self._read(group, columns)
        except SinkError:
            self._opened.close()
            self._open()
            return self._read(group, columns)

    def _read(self, group: int, columns: list[str] | None) -> pa.Table:
        with self._explained():
            return self._file.read_row_group(group, columns=columns)

    def _open(self) -> None:
        with self._explained(), ExitStack() as opening:
            source = opening.enter_context(self._shelf.open_file(self._key))
            self._file = opening.enter_context(pq.ParquetFile(source, pre_buffer=True))
            self._opened = opening.pop_all()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        name, is_on_disk = f"{self._shelf.name}/{self._key}", self._shelf.keeps_spool
        with explained(name):
            try:
                yield
            except (OSError, pa.ArrowInvalid) as error:
                # what the disk itself says has a number; a bucket's troubles have none either
                if isinstance(error, OSError) and (error.errno or not is_on_disk):
                    raise
                raise damaged(name, is_shared=not is_on_disk) from error


def stored_times(table: pa.Table, *columns: str) -> list[list[Any]]:
    """Return instants as text, with their fractions, as `format_stored` writes them."""
    return [pc.strftime(table[one], "%Y-%m-%dT%H:%M:%SZ").to_pylist() for one in columns]


def _versions(table: pa.Table) -> Iterator[tuple[str, Version]]:
    numbers, digests, details = (
        table[name].to_pylist() for name in ("purchase_order_number", "digest", "has_details")
    )
    asked, dated = stored_times(table, "asked_at", "own_date_at")
    yield from zip(numbers, map(Version, digests, asked, dated, details), strict=True)


def newest_orders(shelf: Shelf) -> Generator[NewestOrders, None, None]:
    """Yield what there is to read, by account and API; each is closed with the next one."""
    entries = shelf.entries()
    accounts = read_accounts(shelf, [one.key for one in entries])
    keys: dict[tuple[str, str], list[str]] = {}
    for file in found(entries):
        account = accounts.get(file.folder)
        if account is None or file.api not in ORDER_TYPES or source_of(file.name) is None:
            continue
        if not holds_statuses(Ledger(account, file.api, file.stream, "")):
            keys.setdefault((account, file.api), []).append(file.entry.key)
    for (account, api), order_keys in sorted(keys.items()):
        with closing(NewestOrders(shelf, account, api, order_keys)) as newest:
            yield newest


def count_orders(shelf: Shelf) -> dict[tuple[str, str], int]:
    """Return how many orders there are, by account and API."""
    counts = {}
    for newest in newest_orders(shelf):
        counts[newest.account, newest.api] = newest.count()
    return counts
