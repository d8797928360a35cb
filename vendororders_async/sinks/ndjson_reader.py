"""Reading an NDJSON store: the newest version of every order, out of all its lines."""

from __future__ import annotations

import os
import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote

import msgspec

from ..clock import format_stored
from ..errors import SinkError
from ..models.retail_procurement import OrderStatus
from ..operations import stream_named
from ..pages import decode_document
from ..windows import FinishedWindow
from .base import Ledger, StoredOrder, StreamState
from .ndjson_files import (
    ERROR,
    accounts_in,
    error_source,
    ledger_of,
    named_files,
    parse_line,
    partial_files,
)
from .ndjson_quarantine import QUARANTINE, Quarantine
from .rows import ORDER_TYPES, AnyOrder, Version, digest_of, order_row

BATCH = 200  # orders held in memory at a time

# What is known of each order while the lines go by. It lies in a temporary file of SQLite's
# own, so that a store of any size can be read in little memory.
_INDEX = """
CREATE TABLE newest (
    purchase_order_number TEXT PRIMARY KEY,
    digest TEXT, asked_at TEXT, own_date_at TEXT, has_details INTEGER,
    file TEXT, place INTEGER
) WITHOUT ROWID
"""

_HELD = """
SELECT digest, asked_at, own_date_at, has_details FROM newest WHERE purchase_order_number = ?
"""

_PUT = "INSERT OR REPLACE INTO newest VALUES (?, ?, ?, ?, ?, ?, ?)"

_PLACES = "SELECT purchase_order_number, file, place FROM newest ORDER BY purchase_order_number"


class _Stream:
    """What the files of a stream say, one after the other."""

    def __init__(self) -> None:
        self.windows: list[FinishedWindow] = []
        self.last_success_at: datetime | None = None
        self.error: str | None = None

    def take_in(self, file: Path, finished: FinishedWindow | None) -> None:
        if finished is not None:
            self.windows.append(finished)
        with suppress(FileNotFoundError):  # a file that is written aside has its name by now
            at = datetime.fromtimestamp(file.stat().st_mtime, UTC)
            self.last_success_at = max(at, self.last_success_at or at)


def read_states(root: Path) -> list[StreamState]:
    """Return how every stream is doing, by the names of its files and what is in quarantine."""
    found: dict[Ledger, _Stream] = defaultdict(_Stream)
    for account, folder in accounts_in(root):
        for stream in sorted(folder.glob("*/*/")):
            for file, source, finished in [*named_files(stream), *partial_files(stream)]:
                found[ledger_of(account, file, source)].take_in(file, finished)
            for file in sorted(stream.glob(f"{ERROR}_*.txt")):
                ledger = ledger_of(account, file, error_source(file.name))
                with suppress(FileNotFoundError):  # cleared in the meantime
                    found[ledger].error = file.read_text("utf-8")
        for api in sorted(folder.glob("*/")):
            for held in Quarantine(api / QUARANTINE, account, unquote(api.name)).read():
                _ = found[held.ledger]  # known, if only by this
    return [
        StreamState(
            ledger,
            tuple(sorted(stream.windows, key=lambda one: one.window)),
            stream.last_success_at,
            stream.error,
        )
        for ledger, stream in sorted(
            found.items(), key=lambda item: msgspec.structs.astuple(item[0])
        )
    ]


class NewestOrders:
    """The newest version of each order of one account and API, a batch at a time.

        newest = NewestOrders(account, api, folder)
        while batch := newest.next(): ...
        newest.close()

    It is made of all the files there are at its beginning. Every method blocks.
    """

    def __init__(self, account: str, api: str, folder: Path) -> None:
        self.account = account
        self.api = api
        self._type = ORDER_TYPES[api]
        self._connection = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        try:
            self._connection.execute(_INDEX)
            self._connection.execute("BEGIN")
            for file in _order_files(folder):
                self._take_in(file)
            self._places = self._connection.execute(_PLACES)
        except BaseException:
            self._connection.close()
            raise

    def close(self) -> None:
        """Forget it all."""
        self._connection.close()

    def count(self) -> int:
        """Return how many orders there are."""
        (count,) = self._connection.execute("SELECT count(*) FROM newest").fetchone()
        return int(count)

    def next(self) -> list[StoredOrder]:
        """Return the next orders; none when that was all."""
        return [
            self._order(number, Path(file), place)
            for number, file, place in self._places.fetchmany(BATCH)
        ]

    def _take_in(self, file: Path) -> None:
        place = 0
        with file.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                try:
                    _, _, seen_at, raw = parse_line(line)
                except (msgspec.DecodeError, UnicodeDecodeError):
                    raise SinkError(f"{file}: line {number} is damaged") from None
                order = decode_document(raw, self._type).content
                if order is not None:
                    self._compare(order, raw, seen_at, file, place)
                place += len(line)

    def _compare(
        self, order: AnyOrder, raw: bytes, seen_at: datetime, file: Path, place: int
    ) -> None:
        row = order_row(order, raw, digest_of(raw), format_stored(seen_at))
        held = self._connection.execute(_HELD, (row.purchase_order_number,)).fetchone()
        if held is None or row.version.is_newer_than(Version(*held)):
            values = (
                *(row.purchase_order_number, row.digest, row.asked_at, row.own_date_at),
                *(row.has_details, os.fspath(file), place),
            )
            self._connection.execute(_PUT, values)

    def _order(self, number: str, file: Path, place: int) -> StoredOrder:
        with file.open("rb") as lines:
            lines.seek(place)
            _, _, seen_at, raw = parse_line(lines.readline())
        return StoredOrder(self.account, self.api, number, seen_at, raw)


def newest_orders(root: Path) -> Iterator[NewestOrders]:
    """Yield what there is to read, account by account and API by API; each is to be closed."""
    for account, folder in accounts_in(root):
        for api in sorted(folder.glob("*/")):
            if unquote(api.name) in ORDER_TYPES:  # else it is nothing of ours
                yield NewestOrders(account, unquote(api.name), api)


def count_orders(root: Path) -> dict[tuple[str, str], int]:
    """Return how many orders there are, by account and API."""
    counts = {}
    for newest in newest_orders(root):
        with closing(newest):
            counts[newest.account, newest.api] = newest.count()
    return counts


def _order_files(folder: Path) -> Iterator[Path]:
    for stream_folder in sorted(folder.glob("*/")):
        stream = stream_named(unquote(folder.name), unquote(stream_folder.name))
        if stream is None or stream.row is not OrderStatus:
            yield from (file for file, _, _ in named_files(stream_folder))
