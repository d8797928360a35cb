"""Tables: what an export writes for other programs, opened by URL.

They hold the newest version of each order, and its lines, without documents; nothing is read
back from them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, Self

from ..extras import extra
from .columns import StoredContent


class Tables(Protocol):
    """Orders and their lines, side by side. Open it with ``async with``."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *exc_info: object) -> None: ...

    async def add(self, orders: Sequence[StoredContent]) -> None:
        """Write *orders*, each with its content, and their lines."""

    async def settle(self) -> None:
        """Let all of it appear, in place of what an earlier export wrote."""


def open_tables(url: str) -> Tables | None:
    """Return the tables that *url* names; None where it names none.

        open_tables("parquet:export")

    Raises:
        ConfigurationError: the extra that they need is not installed.
    """
    kind, _, rest = url.partition(":")
    match kind:
        case "csv" if rest and rest != "-":
            from .csv_tables import CsvTables  # noqa: PLC0415 - each brings its own weight

            return CsvTables(rest)
        case "parquet" if rest and rest != "-":
            return _parquet("parquet:", rest)
        case "s3" | "gs" | "gcs" | "abfs" | "abfss" if rest.startswith("//"):
            return _parquet(f"{kind}://", url)
        case "duckdb" if rest and rest != "-":
            with extra("duckdb", "duckdb:"):
                from .duckdb_tables import DuckDbTables  # noqa: PLC0415 - the same

            return DuckDbTables(rest)
        case _:
            return None


def _parquet(what: str, place: str) -> Tables:
    with extra("arrow", what):
        from .parquet_tables import ParquetTables  # noqa: PLC0415 - the same

    return ParquetTables(place)
