"""Places in an acknowledgement, so that a problem can say where it is."""

from __future__ import annotations

import msgspec

from ..errors import Problem


class Place(msgspec.Struct, frozen=True):
    """A path into the document that would be sent.

    >>> Place("1ABCDEFG")["items"][2]["netCost"].path
    'items[2].netCost'
    """

    purchase_order_number: str | None
    path: str = ""

    def __getitem__(self, key: str | int) -> Place:
        if isinstance(key, int):
            return Place(self.purchase_order_number, f"{self.path}[{key}]")
        return Place(self.purchase_order_number, f"{self.path}.{key}".removeprefix("."))

    def problem(self, message: str) -> Problem:
        """Return a `Problem` here."""
        return Problem(self.purchase_order_number, self.path, message)
