"""Stores in either kind of database: opened alike, and read and spoilt past the sink."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from postgres import execute

from vendororders_async import clock
from vendororders_async.clock import format_stored
from vendororders_async.sinks import Sink, open_sink
from vendororders_async.sinks.postgres import PostgresSink
from vendororders_async.sinks.postgres_text import restored
from vendororders_async.sinks.sqlite import SqliteSink

TERM = 0.6  # seconds that a lease holds, so that nobody waits for long

# As the server's superuser; a file of a gigabyte or more would be several.
_RELATIONS_WITH = """
SELECT relname::text
FROM pg_class
WHERE relkind IN ('r', 'i', 't')
    AND (
        relnamespace = current_schema()::regnamespace
        OR oid IN (
            SELECT reltoastrelid FROM pg_class
            WHERE relnamespace = current_schema()::regnamespace
        )
    )
    AND position($1::bytea IN pg_read_binary_file(pg_relation_filepath(oid))) > 0
"""

Database = SqliteSink | PostgresSink
Rows = list[tuple[Any, ...]]
Select = Callable[..., Rows]


def open_store(
    url: str, *, now: Callable[[], datetime] = clock.now, read_only: bool = False
) -> Sink:
    """Return the sink at *url*; where it has leases, they are short."""
    if url.startswith("postgres:"):
        return PostgresSink(url, now=now, read_only=read_only, term=TERM)
    return open_sink(url, now=now, read_only=read_only)


class Store:
    """A database that a test may look into, and spoil."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.is_postgres = url.startswith("postgres:")

    def open(self, **options: Any) -> Any:
        """Return its sink."""
        return open_store(self.url, **options)

    def select(self, statement: str, *values: object) -> Rows:
        """Return what *statement* finds or does, with a connection of its own.

        Times are written as SQLite keeps them, from either; placeholders are $1.
        """
        if self.is_postgres:
            return [tuple(map(_plain, row)) for row in execute(self.url, statement, *values)]
        with closing(sqlite3.connect(self.url.partition(":")[2])) as connection, connection:
            return connection.execute(statement.replace("$", "?"), values).fetchall()


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return format_stored(value)
    return restored(value) if isinstance(value, str) else value


def fresh_stores(kind: str, request: pytest.FixtureRequest) -> Callable[[], str]:
    """Return what returns the URL of a store of *kind* that nobody has written to.

    One in files has a folder to itself; the one in PostgreSQL is emptied each time.
    """
    if kind == "postgres":
        url = str(request.getfixturevalue("postgres_url"))
        schema = url.rpartition("=")[2]

        def emptied() -> str:
            execute(url, f"DROP SCHEMA {schema} CASCADE")
            execute(url, f"CREATE SCHEMA {schema}")
            return url

        return emptied
    root, numbers = request.getfixturevalue("tmp_path"), count()

    def folder() -> Path:
        made = Path(root, str(next(numbers)))
        made.mkdir()
        return made

    return lambda: f"{kind}:{folder()}/store"


def relations_with(url: str, canary: str = "CANARY") -> list[str]:
    """Return our tables and indexes, and their long values, that have *canary* on the disk."""
    execute(url, "CHECKPOINT")
    return [name for (name,) in execute(url, _RELATIONS_WITH, canary.encode())]
