"""Stored orders as tables, for notebooks and scripts."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from threading import Event
from typing import TYPE_CHECKING, TypeVar

import msgspec

from ..extras import extra
from ..models import direct_fulfillment
from ..models.retail_procurement import Order
from ..operations import RETAIL_API, api_named
from ..sinks import Sink, open_sink
from ..sinks.columns import StoredContent
from .stored import Content, check_patterns, stored_orders

if TYPE_CHECKING:
    import pyarrow as pa

    from ..sinks.arrow_tables import RowGroups

T = TypeVar("T")

_WHAT = "to_arrow()"
_AT_ONCE = 2_000  # orders that are made rows at a time
_ROWS = 65_536  # in a chunk of a table


class _Choice(msgspec.Struct, frozen=True):
    """Which orders are to be read."""

    sink: str
    patterns: tuple[str, ...]
    api: str | None


def read_orders(
    sink: str, *, accounts: str | Iterable[str] = (), api: str | None = None
) -> StoredOrders:
    """Return the orders in *sink*, each in its newest version, ready to be made a table.

        orders = read_orders("sqlite:orders.db")
        orders.to_arrow().to_pandas()
        polars.from_arrow(orders.lines().to_arrow())

    *accounts* are patterns (``acme-*``), *api* is ``retail`` or ``direct-fulfillment``; without
    them all are read. Nothing is opened before `to_arrow`, which can be called in a notebook
    and in a script alike; a coroutine awaits ``asyncio.to_thread(orders.to_arrow)``.

    Raises:
        InvalidArgument: there is no such API.
    """
    patterns = (accounts,) if isinstance(accounts, str) else tuple(accounts)
    return StoredOrders(_Choice(sink, patterns, api and api_named(api).name))


class StoredOrders:
    """The orders in a sink, as `read_orders` returns them."""

    def __init__(self, choice: _Choice) -> None:
        self._choice = choice

    def lines(self) -> StoredLines:
        """Return the lines of these orders."""
        return StoredLines(self._choice)

    def to_arrow(self, *, documents: bool = False) -> pa.Table:
        """Return a row for each order: the columns of `purchase_orders`, typed, times in UTC.

        With *documents* there is a column ``document`` as well, the order as Amazon sent it,
        customers' addresses in it too. Of an order that cannot be decoded only its number is
        known, and a warning says how many there are.

        Raises:
            ConfigurationError: there is no such kind of sink, or pyarrow is not installed.
            InvalidArgument: no account is called so.
            SinkError: the sink cannot be read.
        """
        with extra("arrow", _WHAT):
            from ..sinks.arrow_tables import bare_order_batch, order_batch  # noqa: PLC0415 - heavy

        return _table(self._choice, order_batch if documents else bare_order_batch)


class StoredLines:
    """The lines of the orders in a sink."""

    def __init__(self, choice: _Choice) -> None:
        self._choice = choice

    def to_arrow(self) -> pa.Table:
        """Return a row for each line.

        Its columns are those of `purchase_order_items` and of `purchase_order_lines`.
        Amounts are decimals with 18 digits behind the point; one that does not fit into 38
        digits is null, never rounded, and ``net_cost_amount_text`` has all digits of any.
        It raises what `StoredOrders.to_arrow` does.
        """
        with extra("arrow", _WHAT):
            from ..sinks.arrow_tables import line_batch  # noqa: PLC0415 - heavy

        return _table(self._choice, line_batch)


def _table(
    choice: _Choice, batch_of: Callable[[Iterable[StoredContent]], pa.RecordBatch]
) -> pa.Table:
    """Return what *batch_of* makes of the orders."""
    import pyarrow as pa  # noqa: PLC0415 - heavy

    from ..sinks.arrow_tables import RowGroups  # noqa: PLC0415 - heavy

    groups = RowGroups(batch_of, _ROWS)
    reader = open_sink(choice.sink, read_only=True)
    tables, undecodable = _in_a_loop_of_its_own(
        lambda stop: _read(reader, choice, groups, stop)
    )
    if undecodable:
        text = f"{undecodable:,} orders could not be decoded: only their numbers are there"
        warnings.warn(text, stacklevel=3)
    return pa.concat_tables(tables)


async def _read(
    opening: Sink, choice: _Choice, groups: RowGroups, stop: Event
) -> tuple[list[pa.Table], int]:
    """Return the orders as tables, and how many of them could not be decoded."""
    tables: list[pa.Table] = []
    waiting: list[StoredContent] = []
    undecodable = 0
    async with opening as reader:
        await check_patterns(reader, choice.patterns)
        orders = stored_orders(reader, choice.patterns, choice.api)
        async with aclosing(orders) as batches:
            async for contents in batches:
                if stop.is_set():
                    raise asyncio.CancelledError
                waiting += map(_decoded, contents)
                undecodable += sum(one.document.content is None for one in contents)
                if len(waiting) >= _AT_ONCE:
                    tables += groups.add(waiting)
                    waiting = []
    tables += groups.add(waiting)
    return [*tables, groups.rest()], undecodable


def _decoded(content: Content) -> StoredContent:
    order, found = content.order, content.document.content
    if found is None:
        kind = Order if order.api == RETAIL_API else direct_fulfillment.Order
        found = kind(purchase_order_number=order.purchase_order_number)
    return order, found


def _in_a_loop_of_its_own(work: Callable[[Event], Coroutine[object, object, T]]) -> T:
    """Return what *work* returns; the caller's thread may have a loop, which runs already."""
    stop = Event()
    with ThreadPoolExecutor(1, thread_name_prefix="read") as thread:
        future = thread.submit(lambda: asyncio.run(work(stop)))
        try:
            return future.result()
        except BaseException:  # Ctrl-C
            stop.set()
            raise
