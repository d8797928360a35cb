"""Reading an NDJSON store: the newest version of every order, out of all its lines."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Generator, Iterator
from contextlib import closing, nullcontext, suppress
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from urllib.parse import unquote

import msgspec

from ..clock import format_stored
from ..models.retail_procurement import OrderStatus
from ..operations import stream_named
from ..pages import decode_document
from .base import StoredOrder, StreamState
from .compression import Compression, compression_of, open_lines
from .damage import damaged
from .ndjson_files import (
    ERROR,
    PARTIAL,
    accounts_in,
    error_source,
    ledger_of,
    named_files,
    parse_line,
    partial_files,
)
from .ndjson_quarantine import QUARANTINE, Quarantine
from .newest import NewestIndex
from .rows import ORDER_TYPES, digest_of, order_row
from .states import States

BATCH = 200  # orders held in memory at a time
_UNPACKED = ""  # in the place of a file's name


def read_states(root: Path) -> list[StreamState]:
    """Return how every stream is doing, by the names of its files and what is in quarantine."""
    found = States()
    for account, folder in accounts_in(root):
        for stream in sorted(folder.glob("*/*/")):
            for file, source, finished in [*named_files(stream), *partial_files(stream)]:
                with suppress(FileNotFoundError):  # what was written aside has its name by now
                    at = datetime.fromtimestamp(file.stat().st_mtime, UTC)
                    found.add(ledger_of(account, file, source), finished, at)
            for file in sorted(stream.glob(f"{ERROR}_*.txt")):
                ledger = ledger_of(account, file, error_source(file.name))
                with suppress(FileNotFoundError):  # cleared in the meantime
                    found.fail(ledger, file.read_text("utf-8"))
        for api in sorted(folder.glob("*/")):
            for held in Quarantine(api / QUARANTINE, account, unquote(api.name)).read():
                found.know(held.ledger)
    return found.all()


def read_lines(file: Path) -> Iterator[tuple[bytes, datetime, bytes]]:
    """Yield the lines of *file*, each with its time and its document.

    Raises:
        DamagedFile: it cannot be read to its end.
    """
    with open_lines(file) as lines:
        for number, line in enumerate(lines, 1):
            try:
                _, _, seen_at, raw = parse_line(line)
            except (msgspec.DecodeError, UnicodeDecodeError):
                if file.suffix == PARTIAL:
                    return  # it is being written
                raise damaged(file, f"line {number}") from None
            yield line, seen_at, raw


class NewestOrders:
    """The newest version of each order of one account and API, a batch at a time.

        newest = NewestOrders(account, api, folder)
        while batch := newest.next(): ...
        newest.close()

    It is made of all the files there are at its beginning. Every method blocks. In a
    compressed file no line is found again by its place: its lines lie in a temporary file.
    """

    def __init__(self, account: str, api: str, folder: Path) -> None:
        self.account = account
        self.api = api
        self._type = ORDER_TYPES[api]
        self._index = NewestIndex()
        self._unpacked = tempfile.TemporaryFile()  # noqa: SIM115 - until this is closed
        try:
            for file in _order_files(folder):
                self._take_in(file)
            self._places = self._index.by_number()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Forget it all."""
        self._index.close()
        self._unpacked.close()

    def count(self) -> int:
        """Return how many orders there are."""
        return self._index.count()

    def next(self) -> list[StoredOrder]:
        """Return the next orders; none when that was all."""
        return [
            self._order(number, file, place)
            for number, file, place in islice(self._places, BATCH)
        ]

    def _take_in(self, file: Path) -> None:
        name, place = os.fspath(file), 0
        if is_compressed := compression_of(file) is not Compression.NONE:
            name, place = _UNPACKED, self._unpacked.tell()
        for line, seen_at, raw in read_lines(file):
            order = decode_document(raw, self._type).content
            if order is not None:
                row = order_row(order, raw, digest_of(raw), format_stored(seen_at))
                self._index.take(row.purchase_order_number, row.version, name, place)
            if is_compressed:
                self._unpacked.write(line)
            place += len(line)

    def _order(self, number: str, file: str, place: int) -> StoredOrder:
        with (
            nullcontext(self._unpacked) if file == _UNPACKED else Path(file).open("rb") as lines
        ):
            lines.seek(place)
            _, _, seen_at, raw = parse_line(lines.readline())
        return StoredOrder(self.account, self.api, number, seen_at, raw)


def newest_orders(root: Path) -> Generator[NewestOrders, None, None]:
    """Yield what there is to read, by account and API; each is closed with the next one."""
    for account, folder in accounts_in(root):
        for api in sorted(folder.glob("*/")):
            if unquote(api.name) in ORDER_TYPES:  # else it is nothing of ours
                with closing(NewestOrders(account, unquote(api.name), api)) as newest:
                    yield newest


def count_orders(root: Path) -> dict[tuple[str, str], int]:
    """Return how many orders there are, by account and API."""
    counts = {}
    for newest in newest_orders(root):
        counts[newest.account, newest.api] = newest.count()
    return counts


def _order_files(folder: Path) -> Iterator[Path]:
    for stream_folder in sorted(folder.glob("*/")):
        stream = stream_named(unquote(folder.name), unquote(stream_folder.name))
        if stream is None or stream.row is not OrderStatus:
            yield from (file for file, _, _ in named_files(stream_folder))
