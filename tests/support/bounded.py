"""Hypothesis shrinks what fails for up to five minutes, and here an example may take seconds.

tried(shrunk_for(20.0, holds), cases, times)
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import TypeVar

T = TypeVar("T")


def shrunk_for(seconds: float, test: Callable[[T], None]) -> Callable[[T], None]:
    """Return *test*, which nothing new fails so many *seconds* after its first failure.

    What failed it by then fails it again, in the same words, so that the smallest of it is
    what hypothesis shows.
    """
    failed: dict[str, AssertionError] = {}
    ends_at: list[float] = []

    def bounded(case: T) -> None:
        name = repr(case)
        if name in failed:
            raise failed[name]
        if ends_at and monotonic() > ends_at[0]:
            return
        try:
            test(case)
        except AssertionError as error:
            failed[name] = error
            ends_at.append(monotonic() + seconds)
            raise

    return bounded
