"""Versions of a PostgreSQL store: made, recognised and brought up to date, step by step."""

from __future__ import annotations

import re
from importlib import resources

import asyncpg

from ..errors import SinkError

# What turns a store of the version before into one of this; 0 is where there is none.
_STEPS: dict[int, tuple[str, ...]] = {1: ("postgres_tables.sql",)}

# Laid over every new version.
_VIEWS: tuple[str, ...] = ("postgres_views.sql",)

# Any number will do that nobody else locks in this database: "VPO1".
_LOCK = "SELECT pg_advisory_xact_lock(1448103729)"

_IDENTIFY = """
SELECT
    current_schema() AS place,
    getdatabaseencoding() AS encoding,
    EXISTS (
        SELECT 1 FROM pg_class
        WHERE relnamespace = to_regnamespace(quote_ident(current_schema()))
            AND relname = 'vendororders_store'
    ) AS is_ours,
    (
        SELECT min(relname) FROM pg_class
        WHERE relnamespace = to_regnamespace(quote_ident(current_schema()))
            AND relname = ANY($1::text[])
    ) AS taken
"""

_VERSION = "SELECT version FROM vendororders_store"
_SET_VERSION = "UPDATE vendororders_store SET version = $1"


def read_steps() -> dict[int, str]:
    """Return the script of each version; this reads files."""
    folder = resources.files(__package__)
    return {
        version: "\n".join(
            folder.joinpath(name).read_text("utf-8") for name in (*names, *_VIEWS)
        )
        for version, names in _STEPS.items()
    }


async def prepare(
    connection: asyncpg.Connection, steps: dict[int, str], store: str, *, read_only: bool
) -> None:
    """Make the store's tables, or bring them up to date; with *read_only* only look at them.

    *steps* are those of `read_steps`; a store is of the newest version that they lead to.

    Raises:
        SinkError: *store* is not there, not ours, or of a newer version.
    """
    newest = max(steps)
    version = await _version(connection, steps, store)
    if version == newest:
        return
    if read_only:
        raise SinkError(
            f"there is no store of vendororders-async in {store}"
            if version == 0
            else f"{store} is of an older version; any backfill into it brings it up to date"
        )
    async with connection.transaction():
        await connection.execute(_LOCK)  # another process may be making it at this moment
        for step in range(await _version(connection, steps, store) + 1, newest + 1):
            await connection.execute(steps[step])
            await connection.execute(_SET_VERSION, step)


async def _version(connection: asyncpg.Connection, steps: dict[int, str], store: str) -> int:
    names = re.findall(
        r"CREATE (?:OR REPLACE )?(?:TABLE|VIEW) (\w+)", "\n".join(steps.values())
    )
    found = await connection.fetchrow(_IDENTIFY, names)
    if found["place"] is None:
        raise SinkError(f"{store} has no schema to put tables into; create it, or name another")
    if found["encoding"] != "UTF8":
        raise SinkError(f"{store} is encoded in {found['encoding']}; create one in UTF8")
    if not found["is_ours"]:
        if found["taken"] is not None:
            raise SinkError(
                f"{store} has a {found['taken']} of something else; name another database, "
                "or a schema with ?search_path="
            )
        return 0
    version = int(await connection.fetchval(_VERSION))
    if version > max(steps):
        raise SinkError(
            f"{store} was made by a newer version of vendororders-async; upgrade this one"
        )
    return version
