"""Which orders are due to be forgotten, found while all that there is of them goes by.

Shared by the stores of files, which cannot be asked.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from datetime import datetime

from ..clock import format_stored
from .base import Purged

# It lies in a temporary file of SQLite's own: a store of any size is read in little memory.
_INDEX = """
CREATE TABLE orders (
    stream TEXT, number BLOB, ordered_at TEXT, seen_at TEXT, is_counted INTEGER DEFAULT 0,
    PRIMARY KEY (stream, number)
) WITHOUT ROWID
"""

_SEEN = """
INSERT INTO orders (stream, number, ordered_at, seen_at) VALUES ('', ?, ?, ?)
ON CONFLICT DO UPDATE SET
    ordered_at = min(
        coalesce(ordered_at, excluded.ordered_at), coalesce(excluded.ordered_at, ordered_at)
    ),
    seen_at = min(seen_at, excluded.seen_at)
"""

_IS_DUE = """
SELECT coalesce(ordered_at, seen_at) < ? FROM orders WHERE stream = '' AND number = ?
"""

_COUNT = """
INSERT INTO orders (stream, number, is_counted) VALUES (?, ?, 1)
ON CONFLICT DO UPDATE SET is_counted = 1 WHERE NOT is_counted
"""


class DueIndex:
    """The orders that were met, by stream where that matters.

        index = DueIndex()
        index.saw(number, ordered_at, seen_at)    # for every version there is
        if index.is_due(number, before): ...
        index.close()

    Every method blocks for a moment.
    """

    def __init__(self) -> None:
        self._connection = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        try:
            self._connection.execute(_INDEX)
            self._connection.execute("BEGIN")
        except BaseException:
            self._connection.close()
            raise

    def close(self) -> None:
        """Forget it all."""
        self._connection.close()

    def saw(self, number: bytes, ordered_at: str | None, seen_at: str) -> None:
        """Note when an order was placed, and seen; the earliest of all its versions counts.

        Times are text, as `format_stored` writes them.
        """
        self._connection.execute(_SEEN, (number, ordered_at, seen_at))

    def is_due(self, number: bytes, before: datetime) -> bool:
        """Say whether an order was placed, or first seen, before then."""
        found = self._connection.execute(_IS_DUE, (format_stored(before), number)).fetchone()
        return bool(found and found[0])

    def counted(self, numbers: Iterable[bytes], stream: str = "") -> Purged:
        """Count documents by their orders' numbers: each order once, the rest as versions."""
        firsts = [
            bool(self._connection.execute(_COUNT, (stream, number)).rowcount)
            for number in numbers
        ]
        return Purged(order_count=sum(firsts), version_count=len(firsts) - sum(firsts))
