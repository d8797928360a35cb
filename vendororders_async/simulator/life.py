"""What happens at Amazon of its own accord: done, with its moment, when the clock passes it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from heapq import merge
from typing import TYPE_CHECKING

import msgspec

from .calls import Api
from .fates import Planned, Turn, planned
from .seeds import seeded
from .settings import Settings, instant, micros
from .turns import turned

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .worlds import Book


class Happening(msgspec.Struct, frozen=True, kw_only=True):
    """Something that has happened to an order, and is visible from that moment on."""

    at: datetime
    account: str
    api: Api
    number: str
    kind: Turn


class Life:
    """Everybody's future, of which `settle` makes the past what is due.

    The mutable state is how far it is. *happenings* are those so far, oldest first, if the
    settings have them kept.
    """

    def __init__(self, books: Iterable[Book], settings: Settings, start: datetime) -> None:
        self.happenings: list[Happening] = []
        self._keeps = settings.keep_happenings
        self._future = merge(
            *(_plan(book, settings, micros(start)) for book in books),
            key=lambda one: one[0].at,
        )
        self._next = next(self._future, None)

    def __repr__(self) -> str:
        """Return when something happens next."""
        return f"<Life {instant(self._next[0].at) if self._next else 'without a future'}>"

    def settle(self, now: datetime) -> None:
        """Let happen what is due by *now*, in order."""
        moment = micros(now)
        while self._next is not None and self._next[0].at <= moment:
            self._let_happen(*self._next)
            self._next = next(self._future, None)

    def _let_happen(self, one: Planned, book: Book) -> None:
        at = instant(one.at)
        if one.outline is not None:
            book.world.put(book.record(one.outline))
        elif one.step:
            record = book.world.get(one.number)
            after = record and turned(record, one.kind, at, seeded(one.seed))
            if after is None:
                return
            book.world.put(after)
        if self._keeps:
            self.happenings.append(
                Happening(
                    at=at,
                    account=book.account,
                    api=book.api,
                    number=one.number,
                    kind=one.kind,
                )
            )


def _plan(book: Book, settings: Settings, start: int) -> Iterator[tuple[Planned, Book]]:
    for one in planned(settings, book.account, book.api, book.world, start):
        yield one, book
