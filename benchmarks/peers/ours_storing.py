"""This package as it is meant to be used: a backfill into SQLite, every order stored."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from vendororders_async import backfill

from .contest import Task, compete
from .ours_iterating import account_of


async def read(task: Task, numbers: list[str]) -> Iterable[BaseException]:
    """Read."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "orders.db"
        summary = await backfill(
            [account_of(task)],
            since=task.weeks[0][0],
            until=task.weeks[-1][1],
            to=f"sqlite:{path}",
            streams=["created"],
        )
        with closing(sqlite3.connect(path)) as database:
            rows = database.execute("SELECT purchase_order_number FROM purchase_orders")
            numbers.extend(number for (number,) in rows)
    return () if summary.complete else [RuntimeError("incomplete")]


if __name__ == "__main__":
    compete(read)
