"""Bytes that were dear to make, up to a limit."""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

Value = TypeVar("Value")


class ByteCache(Generic[Value]):
    """Values by whatever identifies them; the least recently used go first.

    *size* is what the values were said to take, and stays within *limit* bytes.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.size = 0
        self._values: OrderedDict[object, tuple[Value, int]] = OrderedDict()

    def __len__(self) -> int:
        """Return how many values are held."""
        return len(self._values)

    def __repr__(self) -> str:
        """Return how full it is."""
        return f"<ByteCache {len(self)} values, {self.size} of {self.limit} bytes>"

    def get(self, key: object) -> Value | None:
        """Return the value of *key* if it is held."""
        held = self._values.get(key)
        if held is None:
            return None
        self._values.move_to_end(key)
        return held[0]

    def put(self, key: object, value: Value, size: int) -> None:
        """Hold *value*, at the cost of those that nobody asked for lately."""
        replaced = self._values.pop(key, None)
        if replaced is not None:
            self.size -= replaced[1]
        self._values[key] = value, size
        self.size += size
        while self.size > self.limit:
            _, (_, dropped) = self._values.popitem(last=False)
            self.size -= dropped
