"""CSV files of orders and their lines, safe to open in a spreadsheet.

https://www.rfc-editor.org/rfc/rfc4180 and, for what a spreadsheet would take for a formula,
https://owasp.org/www-community/attacks/CSV_Injection
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import IO

from ..spreadsheets import cell
from .columns import ORDER_COLUMNS, StoredContent, line_values, order_values
from .table_files import Folder, TableFiles

# Those of the view `purchase_order_lines`: a spreadsheet is for arithmetic
LINE_COLUMNS = (
    *("account", "api", "purchase_order_number", "item_sequence_number"),
    *("product_identifier", "vendor_product_identifier"),
    *("ordered_eaches", "net_cost", "net_cost_currency", "line_total"),
)

_Values = dict[str, object]


class _Table:
    """One file; *rows_of* gives what is to be written of some orders."""

    def __init__(
        self,
        columns: Sequence[str],
        rows_of: Callable[[Sequence[StoredContent]], Iterable[_Values]],
        file: IO[bytes],
    ) -> None:
        self._columns = columns
        self._rows_of = rows_of
        # what is no text in UTF-8 (half a pair of surrogates) becomes a question mark
        self._file = io.TextIOWrapper(file, encoding="utf-8", errors="replace", newline="")
        self._writer = csv.writer(self._file)
        self._writer.writerow(columns)

    def add(self, orders: Sequence[StoredContent]) -> None:
        self._writer.writerows(
            [cell(values.get(column)) for column in self._columns]
            for values in self._rows_of(orders)
        )

    def finish(self) -> None:
        self._file.flush()

    def leave(self) -> None:
        """Nothing to do: what was not flushed goes with the file."""


class CsvTables(TableFiles):
    """Writes ``orders.csv`` and ``lines.csv`` into a folder, which is made if it is not there.

        async with CsvTables(path) as tables:
            await tables.add(pairs)
            await tables.settle()

    Both are written aside; only `settle` gives them their names. They are private (0600).
    """

    def __init__(self, path: str | Path) -> None:
        writers = {
            "lines.csv": partial(_Table, LINE_COLUMNS, _rows_of_lines),
            "orders.csv": partial(_Table, ORDER_COLUMNS, _rows_of_orders),
        }
        super().__init__(Folder(Path(path)), writers)


def _rows_of_orders(orders: Sequence[StoredContent]) -> Iterable[_Values]:
    return (order_values(*one) for one in orders)


def _rows_of_lines(orders: Sequence[StoredContent]) -> Iterable[_Values]:
    return (values for one in orders for values in line_values(*one))
