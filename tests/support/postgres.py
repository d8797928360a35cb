"""A PostgreSQL server on loopback, and a schema of its own for every test."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import pytest
from own_postgres import can_start, own_postgres

_NAMED = os.environ.get("VENDORORDERS_TEST_POSTGRES", "")


def execute(url: str, statement: str, *values: object) -> list[tuple[Any, ...]]:
    """Return the rows of *statement*, from a connection of its own."""
    asyncpg = pytest.importorskip("asyncpg")

    async def job() -> list[tuple[Any, ...]]:
        connection = await asyncpg.connect(url, timeout=5)
        try:
            return [tuple(row) for row in await connection.fetch(statement, *values)]
        finally:
            await connection.close()

    # in a loop of its own, also where one is running
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, job()).result()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of a server: of this process's own, if one can be started.

    What a purge leaves on the disk depends on all transactions of a server, so that tests
    that run at once had better not share one. ``VENDORORDERS_TEST_POSTGRES`` names another.
    """
    if not _NAMED and can_start():
        with own_postgres() as server:
            yield server.url("").rstrip("/")
        return
    url = _NAMED or "postgres://postgres@127.0.0.1:5432"
    try:
        execute(f"{url}/postgres", "SELECT 1")
    except OSError as error:
        pytest.skip(f"there is no PostgreSQL server at {urlsplit(url).hostname}: {error}")
    yield url


@pytest.fixture(scope="session")
def postgres_database(postgres_server: str) -> Iterator[str]:
    """The URL of a database of this process; no test runs where there is no server."""
    name = f"vendororders_test_{os.getpid()}_{secrets.token_hex(4)}"
    execute(
        f"{postgres_server}/postgres",
        f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'",
    )
    yield f"{postgres_server}/{name}"
    execute(f"{postgres_server}/postgres", f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def postgres_url(postgres_database: str) -> Iterator[str]:
    """The URL of an empty schema."""
    name = f"test_{secrets.token_hex(6)}"
    execute(postgres_database, f"CREATE SCHEMA {name}")
    yield f"{postgres_database}?search_path={name}"
    execute(postgres_database, f"DROP SCHEMA IF EXISTS {name} CASCADE")
