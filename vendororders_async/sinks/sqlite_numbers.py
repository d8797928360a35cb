"""Statements for many purchase orders at once: how many marks, and what to bind to them.

SQLite lets go of Python's lock at each step, and to get it back from a busy event loop costs
more than the step: a page that took a hundred steps cost 3 ms more than in the loop itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

# How many a statement is written for, the largest first: a page's at most
AT_ONCE = (100, 10, 1)


def marks(count: int) -> str:
    """Return *count* question marks, to be bound one by one.

    Numbers are: json_each(?) would end one at a NUL.
    """
    return ", ".join("?" * count)


def by_count(statement: str) -> Mapping[int, str]:
    """Return *statement* for each count of numbers, which are bound where it says {numbers}."""
    return {count: statement.format(numbers=marks(count)) for count in AT_ONCE}


def padded(numbers: Sequence[str]) -> tuple[int, Sequence[str]]:
    """Return the count of a statement that takes *numbers*, and as many of them.

    >>> padded(["A1", "B2"])[0]
    10
    """
    count = min(one for one in AT_ONCE if one >= len(numbers))
    return count, [*numbers, *[numbers[-1]] * (count - len(numbers))]
