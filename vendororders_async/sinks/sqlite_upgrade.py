"""Versions of the store: each is made out of the one before, in the transaction of the first.

A store of an older version is brought up to date when it is opened for writing. Whoever has it
open meanwhile, with the program of that time, goes on: a step only adds.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from importlib import resources

SCHEMA_VERSION = 4  # as in schema.sql

# What turns a store of this version into one of the next, before the schema is laid over it:
# tables that are new come with the schema, views that change have to go first.
_STEPS: Mapping[int, tuple[str, ...]] = {
    1: (
        "DROP VIEW IF EXISTS purchase_order_versions",
        "DROP VIEW IF EXISTS purchase_order_items",
        "DROP VIEW IF EXISTS purchase_order_lines",
        "DROP VIEW IF EXISTS purchase_order_item_statuses",
    ),
    3: ("DROP VIEW IF EXISTS purchase_order_item_statuses",),
}


def bring_up_to_date(connection: sqlite3.Connection) -> None:
    """Make a blank file or an older store one of `SCHEMA_VERSION`.

    The caller has begun a transaction; another process may have done it just before.
    """
    version = version_of(connection)
    if version >= SCHEMA_VERSION:
        return
    for step in range(version, SCHEMA_VERSION):
        for statement in _STEPS.get(step, ()):
            connection.execute(statement)
    schema = resources.files(__package__).joinpath("schema.sql").read_text("utf-8")
    for statement in _statements(schema):  # executescript() would commit
        connection.execute(statement)


def version_of(connection: sqlite3.Connection) -> int:
    """Return the version of the store; 0 is that of a blank file."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def _statements(script: str) -> Iterator[str]:
    statement = ""
    for piece in script.split(";"):
        statement += f"{piece};"
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
