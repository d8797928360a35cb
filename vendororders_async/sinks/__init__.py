"""Sinks: where orders go, each opened by its URL."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime

from .. import clock
from ..errors import ConfigurationError
from ..extras import extra
from .base import Sink
from .urls import masked

__all__ = ["Sink", "UnknownSink", "open_sink"]


class UnknownSink(ConfigurationError):
    """There is no such kind of sink."""


def open_sink(
    url: str, *, now: Callable[[], datetime] = clock.now, read_only: bool = False
) -> Sink:
    """Return the sink that *url* names, to be used with ``async with``.

        >>> open_sink("sqlite:orders.db")
        <SqliteSink orders.db>

    With *read_only* it must be there already, and nothing in it changes.

    Raises:
        ConfigurationError: there is no such kind of sink, or it keeps nothing to read.
    """
    if not isinstance(url, str):  # a path, most likely
        raise UnknownSink(f"no such sink: {type(url).__name__}; give text, as sqlite:PATH")
    kind, separator, rest = url.partition(":")
    match kind:
        case "sqlite" if separator and rest:
            from .sqlite import SqliteSink  # noqa: PLC0415 - each sink brings its own weight

            return SqliteSink(rest, now=now, read_only=read_only)
        case "ndjson" if rest == "-":
            from .ndjson_stream import NdjsonStream  # noqa: PLC0415 - the same

            if read_only:
                raise ConfigurationError("ndjson:- keeps nothing that could be read")
            return NdjsonStream(now=now)
        case "ndjson" | "ndjson+gzip" | "ndjson+zstd" if rest not in {"", "-"}:
            from .compression import named  # noqa: PLC0415 - the same
            from .ndjson import NdjsonSink  # noqa: PLC0415 - the same

            how = named(kind.partition("+")[2])
            return NdjsonSink(rest, now=now, read_only=read_only, compression=how)
        case "postgres" | "postgresql" if rest.startswith("//"):
            with extra("postgres", "postgres://"):
                from .postgres import PostgresSink  # noqa: PLC0415 - the same

            return PostgresSink(url, now=now, read_only=read_only)
        case "parquet" if rest:
            return _parquet("parquet:", rest, now=now, read_only=read_only)
        case "s3" | "gs" | "gcs" | "abfs" | "abfss" if rest.startswith("//"):
            return _parquet(f"{kind}://", url, now=now, read_only=read_only)
        case _:
            raise UnknownSink(
                f"no such sink: {_shown(url)!r}; use sqlite:PATH, postgres://…, parquet:DIR, "
                "s3://BUCKET/PREFIX, ndjson:DIR or ndjson:-"
            )


def _shown(url: str) -> str:
    """Return as much of *url* as is certainly no password: it may be one that is mistyped."""
    if "://" in url:
        return masked(url)
    return url if re.fullmatch(r"[\w.+-]{1,40}(:[\w.+-]{1,40})?", url) else "…"


def _parquet(what: str, place: str, *, now: Callable[[], datetime], read_only: bool) -> Sink:
    with extra("arrow", what):
        from .parquet import ParquetSink  # noqa: PLC0415 - each sink brings its own weight

    return ParquetSink(place, now=now, read_only=read_only)
