"""An open sink on a file of its own, or in a database, and a reader beside it."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from stores import Database, Store

from vendororders_async.sinks import open_sink
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


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """One kind of database after the other, of which there is nothing yet."""
    if request.param == "postgres":
        return Store(request.getfixturevalue("postgres_url"))
    return Store(f"sqlite:{tmp_path / 'orders.db'}")


@pytest.fixture
async def database(store: Store, now: Callable[[], datetime]) -> AsyncIterator[Database]:
    """An open sink in either."""
    async with open_sink(store.url, now=now) as opened:
        assert isinstance(opened, Database)
        yield opened


@pytest.fixture
def ask(store: Store) -> Select:
    """Return what a reader of either sees, with a connection of its own."""
    return store.select
