"""Log lines on standard error, for people or for machines."""

from __future__ import annotations

import logging
import sys

import msgspec

from ..clock import format_wire, now
from ..errors import one_line


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return f"{record.levelname.lower()}: {one_line(record.getMessage())}"


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "at": format_wire(now()),
            "level": record.levelname.lower(),
            "message": one_line(record.getMessage()),
        }
        return msgspec.json.encode(entry).decode()


def log_to_stderr(log_format: str, *, quiet: bool) -> None:
    """Send this package's log to standard error; only a command does so, never the library."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if log_format == "json" else _Text())
    log = logging.getLogger("vendororders_async")
    log.handlers = [handler]
    log.propagate = False
    log.setLevel(logging.WARNING if quiet else logging.INFO)
