"""Which version of each order is the newest, found while all of them go by."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from .rows import Version

# It lies in a temporary file of SQLite's own, so that a store of any size can be read in
# little memory.
_INDEX = """
CREATE TABLE newest (
    purchase_order_number TEXT PRIMARY KEY,
    digest TEXT, asked_at TEXT, own_date_at TEXT, has_details INTEGER,
    file TEXT, place INTEGER
) WITHOUT ROWID
"""

_HELD = """
SELECT digest, asked_at, own_date_at, has_details FROM newest WHERE purchase_order_number = ?
"""

_PUT = "INSERT OR REPLACE INTO newest VALUES (?, ?, ?, ?, ?, ?, ?)"

_PLACES = "SELECT purchase_order_number, file, place FROM newest"


class NewestIndex:
    """Where the newest version of each order is: in which file, and at which place in it.

        index = NewestIndex()
        index.take(number, version, file, place)    # for every version there is
        for number, file, place in index.by_number(): ...
        index.close()

    What a place is, the caller knows.
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

    def take(self, number: str, version: Version, file: str, place: int) -> None:
        """Look at one more version of an order."""
        held = self._connection.execute(_HELD, (number,)).fetchone()
        if held is None or version.is_newer_than(Version(*held)):
            values = (
                *(number, version.digest, version.asked_at, version.own_date_at),
                *(version.has_details, file, place),
            )
            self._connection.execute(_PUT, values)

    def count(self) -> int:
        """Return how many orders there are."""
        (count,) = self._connection.execute("SELECT count(*) FROM newest").fetchone()
        return int(count)

    def by_number(self) -> Iterator[tuple[str, str, int]]:
        """Return number, file and place of every order."""
        return self._connection.execute(f"{_PLACES} ORDER BY purchase_order_number")

    def by_place(self) -> Iterator[tuple[str, str, int]]:
        """Return the same in the order in which they lie in the files."""
        return self._connection.execute(f"{_PLACES} ORDER BY file, place")
