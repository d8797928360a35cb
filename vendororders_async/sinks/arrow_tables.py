"""Arrow: orders and their lines as typed columns.

https://arrow.apache.org/docs/python/api/datatypes.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Context, Decimal, Inexact, InvalidOperation

import pyarrow as pa
import pyarrow.compute as pc

from ..models.retail_procurement import OrderStatus
from .base import StoredOrder
from .columns import (
    LINE_COLUMNS,
    ORDER_COLUMNS,
    STATUS_COLUMNS,
    StoredContent,
    line_values,
    order_values,
    status_values,
)

INSTANT = pa.timestamp("us", tz="UTC")

# The most digits that DuckDB and most others read: https://duckdb.org/docs/sql/data_types/numeric
# 18 behind the point hold what is left of a sum in floating point (0.30000000000000004).
_DIGITS, _SCALE = 38, 18
AMOUNT = pa.decimal128(_DIGITS, _SCALE)

_EXACTLY = Context(prec=_DIGITS, traps=[Inexact, InvalidOperation])
_STEP = Decimal(1).scaleb(-_SCALE)
_LARGEST_INTEGER = 2**63 - 1

_NOT_TEXT = {
    "has_details": pa.bool_(),
    **dict.fromkeys(
        (one for one in (*ORDER_COLUMNS, *STATUS_COLUMNS) if one.endswith(("_at", "_date"))),
        INSTANT,
    ),
    **dict.fromkeys((one for one in ORDER_COLUMNS if "_window_" in one), INSTANT),
    "ordered_quantity": pa.int64(),
    "unit_size": pa.int64(),
    "is_back_order_allowed": pa.bool_(),
    "net_cost_amount": AMOUNT,
    "list_price_amount": AMOUNT,
    "ordered_eaches": pa.int64(),
    "net_cost": pa.float64(),
    "line_total": pa.float64(),
}


def _field(column: str) -> pa.Field:
    return pa.field(column, _NOT_TEXT.get(column, pa.string()))


_EXACT = "_text"  # behind an amount's name: the column with all of its digits

BARE_ORDER_SCHEMA = pa.schema([_field(one) for one in ORDER_COLUMNS])
ORDER_SCHEMA = BARE_ORDER_SCHEMA.append(pa.field("document", pa.string()))
STATUS_SCHEMA = pa.schema([_field(one) for one in STATUS_COLUMNS])
LINE_SCHEMA = pa.schema(
    [
        field
        for one in LINE_COLUMNS
        for field in (
            [_field(one), pa.field(one + _EXACT, pa.string())]
            if _NOT_TEXT.get(one) == AMOUNT
            else [_field(one)]
        )
    ]
)


def order_batch(orders: Iterable[StoredContent]) -> pa.RecordBatch:
    """Return *orders*, each with what it says, as one row each, in their order.

        order_batch([(stored, decode_document(stored.document, Order).content)])

    It has the columns of `ORDER_SCHEMA`; ``asked_at`` is an order's `seen_at`.
    """
    return _batch([order_values(*one) for one in orders], ORDER_SCHEMA)


def bare_order_batch(orders: Iterable[StoredContent]) -> pa.RecordBatch:
    """Return the same without documents, as `BARE_ORDER_SCHEMA` has it: without people."""
    return _batch([order_values(*one) for one in orders], BARE_ORDER_SCHEMA)


def line_batch(orders: Iterable[StoredContent]) -> pa.RecordBatch:
    """Return the lines of *orders*, each with what it says, as `LINE_SCHEMA` has them.

    An amount that a decimal of 38 digits, 18 of them behind the point, cannot hold is null,
    and never rounded; the text beside it (``net_cost_amount_text``) always has all digits.
    A count that no 64-bit integer holds is null.
    """
    return _batch(
        [_with_text(line) for one in orders for line in line_values(*one)], LINE_SCHEMA
    )


class RowGroups:
    """Gathers the rows that *batch_of* makes of orders into tables of *row_count* or more."""

    def __init__(
        self, batch_of: Callable[[Iterable[StoredContent]], pa.RecordBatch], row_count: int
    ) -> None:
        self._batch_of = batch_of
        self._row_count = row_count
        self._batches = [batch_of([])]

    def add(self, orders: Iterable[StoredContent]) -> Iterator[pa.Table]:
        """Take in *orders*; yield a table when it is large enough."""
        self._batches.append(self._batch_of(orders))
        if sum(one.num_rows for one in self._batches) >= self._row_count:
            yield self.rest()

    def rest(self) -> pa.Table:
        """Return what was not yet yielded."""
        table = pa.Table.from_batches(self._batches).combine_chunks()
        del self._batches[1:]  # the first is empty, and knows the schema
        return table


def _batch(rows: Sequence[dict[str, object]], schema: pa.Schema) -> pa.RecordBatch:
    columns = [_array([row.get(field.name) for row in rows], field.type) for field in schema]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _array(values: list[object], kind: pa.DataType) -> pa.Array:
    if kind != INSTANT:
        return pa.array(values, kind)
    # times are text so far; to make datetimes of them first would take ten times as long
    return pc.cast(pa.array(values, pa.string()), kind)


def _with_text(line: dict[str, object]) -> dict[str, object]:
    for name in ("net_cost_amount", "list_price_amount"):
        amount = line[name]
        if isinstance(amount, Decimal):
            line[name], line[name + _EXACT] = _fitting(amount), str(amount)
    eaches = line["ordered_eaches"]
    if isinstance(eaches, int) and abs(eaches) > _LARGEST_INTEGER:
        line["ordered_eaches"] = None
    return line


def _fitting(amount: Decimal) -> Decimal | None:
    """Return *amount* at the scale of the column; None where digits would be lost."""
    try:
        return _EXACTLY.quantize(amount, _STEP)
    except (Inexact, InvalidOperation):
        return None


def status_batch(statuses: Iterable[tuple[StoredOrder, OrderStatus]]) -> pa.RecordBatch:
    """Return *statuses*, each with what it says, as `STATUS_SCHEMA` has them.

    Its document and its number are in a `StoredOrder`, as those of an order would be.
    """
    return _batch([status_values(*one) for one in statuses], STATUS_SCHEMA)
