"""Sinks: where orders go, each opened by its URL."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from .. import clock
from ..errors import ConfigurationError
from .base import Sink

__all__ = ["Sink", "open_sink"]


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
        case "ndjson" if separator and rest:
            from .ndjson import NdjsonSink  # noqa: PLC0415 - the same

            return NdjsonSink(rest, now=now, read_only=read_only)
        case _:
            raise ConfigurationError(
                f"no such sink: {url!r}; use sqlite:PATH, ndjson:DIR or ndjson:-"
            )
