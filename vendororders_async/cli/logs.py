"""Log lines on standard error, for people or for machines."""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime
from typing import TextIO

import msgspec

from ..clock import format_wire
from ..errors import one_line
from ..telemetry import LOG_FIELDS


class TextLine(logging.Formatter):
    """``level: message``, and in brackets those fields that the message does not tell."""

    def format(self, record: logging.LogRecord) -> str:
        """Return *record* as one line."""
        message = one_line(record.getMessage())
        rest = " ".join(
            f"{name}={value}"
            for name, value in fields_of(record).items()
            if value not in message
        )
        return f"{record.levelname.lower()}: {message}" + (f" [{rest}]" if rest else "")


class JsonLine(logging.Formatter):
    """One JSON object: ``at``, ``level``, ``message``, and each field by its name."""

    def format(self, record: logging.LogRecord) -> str:
        """Return *record* as one line."""
        entry = {
            "at": format_wire(datetime.fromtimestamp(record.created, UTC)),
            "level": record.levelname.lower(),
            "message": one_line(record.getMessage()),
        }
        return msgspec.json.encode(entry | fields_of(record)).decode()


def fields_of(record: logging.LogRecord) -> dict[str, str]:
    """Return what *record* carries beside its message."""
    found = {name: getattr(record, name, None) for name in LOG_FIELDS}
    return {name: one_line(str(value)) for name, value in found.items() if value is not None}


class _StandardError(logging.StreamHandler[TextIO]):
    """Writes to what standard error is by then: under a progress bar, to above it."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override] # logging.lastResort does so too
        return sys.stderr


def log_to_stderr(log_format: str, *, quiet: bool) -> None:
    """Send this package's log to standard error; only a command does so, never the library."""
    handler = _StandardError()
    handler.setFormatter(JsonLine() if log_format == "json" else TextLine())
    log = logging.getLogger("vendororders_async")
    log.handlers = [handler]
    log.propagate = False
    log.setLevel(logging.WARNING if quiet else logging.INFO)
