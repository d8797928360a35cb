"""What a store holds and what it claims, read past no promise, and compared with the truth."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import asyncpg
import msgspec
import pyarrow.parquet as pq
from postgres import execute
from stores import Store

from vendororders_async.clock import parse_instant
from vendororders_async.errors import SinkError
from vendororders_async.simulator import Simulator
from vendororders_async.sinks import open_sink
from vendororders_async.sinks.compression import open_lines
from vendororders_async.sinks.damage import LOOSE
from vendororders_async.sinks.ndjson_files import parse_line
from vendororders_async.sinks.parquet_objects import shelf_of
from vendororders_async.windows import Window

Documents = Mapping[str, bytes]

_ACCOUNT = "demo"
_DATABASES = ("sqlite:", "postgres:")
_KEPT = ["purchase_order_number", "document"]
_STATUSES = "SELECT purchase_order_number, document FROM purchase_order_statuses"
_VERSIONS = "SELECT account, api, purchase_order_number, digest FROM purchase_order_versions"
_TOLD = """
SELECT account, api, purchase_order_number, digest FROM changes
WHERE event <> 'status_changed'
"""


class Truth:
    """All that a *simulator* has of its account at this moment, and of which window it is."""

    def __init__(self, simulator: Simulator) -> None:
        self.orders: Documents = simulator.truth(_ACCOUNT)
        self.statuses: Documents = simulator.status_truth(_ACCOUNT)
        self._filed: dict[str, list[tuple[datetime, str]]] = {
            "created": [(simulator.available_at(_ACCOUNT, one), one) for one in self.orders],
            "changed": [
                (moment, number)
                for number, document in self.orders.items()
                if (moment := _changed_at(document)) is not None
            ],
            "statuses": [
                (parse_instant(msgspec.json.decode(document)["lastUpdatedDate"]), number)
                for number, document in self.statuses.items()
            ],
        }

    def of(self, stream: str, window: Window) -> list[str]:
        """Return the numbers that a reading of *window* has to bring."""
        return [
            number
            for moment, number in self._filed[stream]
            if window.after <= moment < window.before
        ]

    def unkept(self, found: Found, *, exactly: bool = True) -> list[str]:
        """Say which orders are not there, though a finished window claims them.

        Where they go on changing, what is there need not be *exactly* the newest.
        """
        return [
            f"{stream} {window.after}/{window.before} claims {number}"
            for stream, windows in found.windows.items()
            for window in windows
            for number in self.of(stream, window)
            if not self._is_kept(stream, number, found, exactly=exactly)
        ]

    def _is_kept(self, stream: str, number: str, found: Found, *, exactly: bool) -> bool:
        is_status = stream == "statuses"
        kept = (found.statuses if is_status else found.orders).get(number)
        if not exactly:
            return kept is not None
        return kept == (self.statuses if is_status else self.orders)[number]

    def differences(self, found: Found, window: Window | None = None) -> list[str]:
        """Say where *found* is not what Amazon has, of *window* or of everything."""
        said = []
        for stream, kept, true in (
            ("created", found.orders, self.orders),
            ("statuses", found.statuses, self.statuses),
        ):
            wanted = set(true) if window is None else set(self.of(stream, window))
            said += [f"{stream}: {one} is missing" for one in sorted(wanted - kept.keys())]
            said += [
                f"{stream}: {number} is not as Amazon has it"
                for number, document in kept.items()
                if true.get(number) != document
            ]
        return said


class Found(msgspec.Struct, frozen=True):
    """What is in a store."""

    windows: Mapping[str, list[Window]]
    orders: Documents
    statuses: Documents
    broken: list[str]  # what can never be

    @property
    def phase(self) -> str:
        """How far a run was."""
        if not self.orders and not any(self.windows.values()):
            return "nothing stored"
        return "windows finished" if any(self.windows.values()) else "pages stored"


NOTHING = Found({}, {}, {}, [])


def look(url: str, before: Found = NOTHING) -> Found:
    """Read the store at *url*; it need not be there if there was none *before*."""
    try:
        windows, orders, broken = asyncio.run(_read(url))
    except SinkError as error:
        if before is not NOTHING or "damaged" in str(error):
            raise
        return NOTHING
    broken += _miscounted(url) if url.startswith(_DATABASES) else doubled(url)
    return Found(windows, orders, _statuses(url), broken)


async def _read(url: str) -> tuple[dict[str, list[Window]], dict[str, bytes], list[str]]:
    orders: dict[str, bytes] = {}
    broken: list[str] = []
    async with open_sink(url, read_only=True) as sink:
        windows = {
            state.ledger.stream: [one.window for one in state.windows]
            for state in await sink.states()
        }
        async for batch in sink.orders():
            for one in batch:
                if one.purchase_order_number in orders:
                    broken.append(f"{one.purchase_order_number} is there twice")
                orders[one.purchase_order_number] = one.document
    return windows, orders, broken


def drop_lease(url: str) -> None:
    """End the lease of a run that was killed: half a minute that nobody need wait for."""
    if url.startswith("postgres:"):
        with suppress(asyncpg.UndefinedTableError):
            execute(url, "DELETE FROM leases")
    elif url.startswith("s3:"):
        shelf = shelf_of(url)
        shelf.open(read_only=False)
        shelf.remove_folder(".locks")
        shelf.close()


def _statuses(url: str) -> dict[str, bytes]:
    if url.startswith(_DATABASES):
        rows = Store(url).select(_STATUSES)
        return {number: str(document).encode() for number, document in rows}
    return {
        one.number: one.document for one in _rows(url) if one.file.parent.name == "statuses"
    }


def doubled(url: str) -> list[str]:
    """Say which version of an order the file of a finished window has more than once.

    Parquet has it once, whatever came. NDJSON has a line for each time that it came, and that
    is once where no window begins anew because its next token ended or a page failed. In a
    database nothing is there twice: its keys see to that.
    """
    if url.startswith(_DATABASES):
        return []
    counts = Counter(one for one in _rows(url) if not one.file.name.startswith(LOOSE))
    return [
        f"{one.number} is {times} times in {one.file}"
        for one, times in counts.items()
        if times > 1
    ]


class _Row(NamedTuple):
    """What is kept of an order or a status; the *file* is of one stream of one account."""

    file: Path
    number: str
    document: bytes


def _rows(url: str) -> Iterator[_Row]:
    """Yield every line and row in the files of a store, in a folder or a bucket."""
    kind, _, place = url.partition(":")
    if kind.startswith("ndjson"):
        for path in sorted(Path(place).glob("*/*/*/[!.]*.ndjson*")):
            with open_lines(path) as lines:
                for line in lines:
                    *_, document = parse_line(line)
                    number = msgspec.json.decode(document)["purchaseOrderNumber"]
                    yield _Row(path, number, document)
        return
    for path, table in _tables(url) if kind == "s3" else _tables_in(Path(place)):
        for row in table.to_pylist():
            yield _Row(path, row["purchase_order_number"], row["document"].encode())


def _tables_in(folder: Path) -> Iterator[tuple[Path, Any]]:
    """Yield the tables below a folder, past the sink, so that it may be on the loop."""
    for path in sorted(folder.glob("*/*/*/[!.]*.parquet")):
        yield path, pq.read_table(path, columns=_KEPT)


def _tables(url: str) -> Iterator[tuple[Path, Any]]:
    """Yield the tables in a bucket."""
    shelf = shelf_of(url)
    shelf.open(read_only=True)
    try:
        for one in shelf.entries():
            if one.key.endswith(".parquet"):
                with shelf.open_file(one.key) as file:
                    yield Path(one.key), pq.read_table(file, columns=_KEPT)
    finally:
        shelf.close()


def _miscounted(url: str) -> list[str]:
    """Say where versions and changes do not go together, or the file is not sound."""
    store, said = Store(url), []
    versions = Counter(map(tuple, store.select(_VERSIONS)))
    told = Counter(map(tuple, store.select(_TOLD)))
    if versions != told:
        said.append(f"changes and versions differ: {(versions - told) + (told - versions)}")
    if url.startswith("sqlite:"):
        with closing(sqlite3.connect(urlsplit(url).path)) as database:
            if (found := database.execute("PRAGMA integrity_check").fetchall()) != [("ok",)]:
                said.append(f"the file is damaged: {found}")
    return said


def _changed_at(document: bytes) -> datetime | None:
    details = msgspec.json.decode(document).get("orderDetails") or {}
    text = details.get("purchaseOrderChangedDate")
    return parse_instant(text) if text else None
