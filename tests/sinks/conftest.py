"""An open sink on a file of its own, and a reader beside it."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from vendororders_async.sinks.sqlite import SqliteSink

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
Select = Callable[..., list[tuple[Any, ...]]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the database is."""
    return tmp_path / "orders.db"


@pytest.fixture
def now() -> Callable[[], datetime]:
    """A clock that says noon, and a second later each time it is asked."""
    seconds = count()
    return lambda: NOON + timedelta(seconds=next(seconds))


@pytest.fixture
async def sink(path: Path, now: Callable[[], datetime]) -> AsyncIterator[SqliteSink]:
    """An open sink."""
    async with SqliteSink(path, now=now) as opened:
        yield opened


@pytest.fixture
def select(path: Path) -> Select:
    """Return what a reader with a connection of its own sees."""

    def rows(statement: str, *values: object) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(path)) as reader:
            return reader.execute(statement, values).fetchall()

    return rows
