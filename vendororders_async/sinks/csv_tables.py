"""CSV files of orders and their lines, safe to open in a spreadsheet.

https://www.rfc-editor.org/rfc/rfc4180 and, for what a spreadsheet would take for a formula,
https://owasp.org/www-community/attacks/CSV_Injection
"""

from __future__ import annotations

import csv
import os
import tempfile
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

import msgspec

from ..clock import format_stored
from ..errors import SinkError
from ..spreadsheets import cell
from .base import StoredOrder
from .lines import OrderLine, order_lines
from .ndjson_files import PARTIAL, errors_explained, settle
from .rows import AnyOrder, OrderRow, digest_of, order_row
from .writer_thread import WriterThread

_OWNER = ("account", "api")

# Those of the table, in its order, without the document and without what only one store
# can say: change_seq, first_seen_at, updated_at. Some are filled by direct fulfillment only;
# none says who the customer is, or where.
ORDER_COLUMNS = (
    *_OWNER,
    *("purchase_order_number", "digest", "has_details", "own_date_at", "asked_at"),
    *("purchase_order_state", "purchase_order_type", "purchase_order_date"),
    *("purchase_order_changed_date", "purchase_order_state_changed_date"),
    *("selling_party_id", "buying_party_id", "ship_to_party_id", "bill_to_party_id"),
    *("ship_from_party_id", "payment_method", "deal_code"),
    *("ship_window_start", "ship_window_end", "delivery_window_start", "delivery_window_end"),
    *("customer_order_number", "ship_method", "required_ship_date"),
)
LINE_COLUMNS = (*_OWNER, *OrderLine.__struct_fields__)


def order_cells(order: StoredOrder, content: AnyOrder) -> list[object]:
    """Return the cells of an order, as `ORDER_COLUMNS` names them."""
    digest, seen_at = digest_of(order.document), format_stored(order.seen_at)
    row: OrderRow = order_row(content, order.document, digest, seen_at)
    values = {"account": order.account, "api": order.api, **msgspec.structs.asdict(row)}
    return [cell(values.get(column)) for column in ORDER_COLUMNS]


def line_cells(order: StoredOrder, content: AnyOrder) -> list[list[object]]:
    """Return the cells of an order's lines, as `LINE_COLUMNS` names them."""
    return [
        [cell(one) for one in (order.account, order.api, *msgspec.structs.astuple(line))]
        for line in order_lines(content)
    ]


class _Table:
    """One file, written aside. Its methods block."""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self._path = path
        descriptor, aside = tempfile.mkstemp(  # 0600 by itself
            prefix=f".{path.name}.", suffix=PARTIAL, dir=path.parent
        )
        self._aside = Path(aside)
        # what is no text in UTF-8 (half a pair of surrogates) becomes a question mark
        self._file = os.fdopen(descriptor, "w", encoding="utf-8", errors="replace", newline="")
        self._writer = csv.writer(self._file)
        self._writer.writerow(columns)

    def add(self, rows: Iterable[Sequence[object]]) -> None:
        self._writer.writerows(rows)

    def settle(self) -> None:
        self._file.close()
        settle(self._aside, self._path)

    def discard(self) -> None:
        """Remove the file, unless it has its name."""
        with suppress(OSError):  # a full disk, once more
            self._file.close()
        self._aside.unlink(missing_ok=True)


class CsvTables:
    """Writes ``orders.csv`` and ``lines.csv`` into a folder, which is made if it is not there.

        async with CsvTables(path) as tables:
            await tables.add(pairs)
            await tables.settle()

    Both are written aside; only `settle` gives them their names. They are private (0600).
    """

    def __init__(self, path: str | Path) -> None:
        self._root = Path(path)
        self._thread = WriterThread("csv")
        self._tables: list[_Table] = []  # orders, lines

    async def __aenter__(self) -> Self:
        try:
            await self._run(self._open)
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._thread.close(self._discard)

    async def add(self, orders: Sequence[tuple[StoredOrder, AnyOrder]]) -> None:
        """Write *orders*, each with its content, and their lines."""

        def job() -> None:
            of_orders, of_lines = self._tables
            of_orders.add(order_cells(*one) for one in orders)
            of_lines.add(cells for one in orders for cells in line_cells(*one))

        await self._run(job)

    async def settle(self) -> None:
        """Let the files appear."""

        def job() -> None:
            for table in self._tables:
                table.settle()

        await self._run(job)

    def _open(self) -> None:
        if not self._root.parent.is_dir():
            raise SinkError(f"there is no directory {self._root.parent}; make it first")
        if self._root.exists() and not self._root.is_dir():
            raise SinkError(f"{self._root} is no directory; name another")
        self._root.mkdir(mode=0o700, exist_ok=True)
        for name, columns in (("orders", ORDER_COLUMNS), ("lines", LINE_COLUMNS)):
            self._tables.append(_Table(self._root / f"{name}.csv", columns))

    def _discard(self) -> None:
        for table in self._tables:
            table.discard()

    async def _run(self, job: Callable[[], None]) -> None:
        """Do *job* in the thread."""

        def guarded() -> None:
            with errors_explained(self._root):
                job()

        await self._thread.run(guarded)
