"""Sinks: where orders go, each opened by its URL."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from .. import clock
from ..errors import ConfigurationError
from .base import Sink

__all__ = ["Sink", "open_sink"]


def open_sink(url: str, *, now: Callable[[], datetime] = clock.now) -> Sink:
    """Return the sink that *url* names, to be used with ``async with``.

        >>> open_sink("sqlite:orders.db")
        <SqliteSink orders.db>

    Raises:
        ConfigurationError: there is no such kind of sink.
    """
    kind, separator, rest = url.partition(":")
    match kind:
        case "sqlite" if separator and rest:
            from .sqlite import SqliteSink  # noqa: PLC0415 - each sink brings its own weight

            return SqliteSink(rest, now=now)
        case _:
            raise ConfigurationError(f"no such sink: {url!r}; use sqlite:PATH")
