"""Places: who may have a request under way, shared out fairly when there are too few."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from types import TracebackType
from typing import Self

from .errors import TransportError


class Places:
    """Room for *count* requests in flight, for any number of parties (accounts).

        places = Places(100)
        async with places.of("acme"):
            ...                     # send, and wait for the answer

    While there is room, nobody waits. When there is none, who has the fewest under way comes
    next; among equals, who came first. A party whose last request ended without an answer is
    *silent* until one is answered: it would sit on its places until a deadline, so all the
    silent together have an eighth of them, and no more.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._free = count
        self._eighth = count // 8  # 0: a silent party goes when nobody else wants to
        self._silent_held = 0
        self._parties: dict[str, _Party] = {}
        # who waits, by how many it has under way; the silent have lines of their own
        self._lines: dict[bool, dict[int, OrderedDict[_Party, None]]] = {False: {}, True: {}}

    def __repr__(self) -> str:
        waiting = sum(len(party.waiters) for party in self._parties.values())
        silent = sum(party.is_silent for party in self._parties.values())
        taken = self.count - self._free
        return f"<Places {taken} of {self.count} taken, {waiting} waiting, {silent} silent>"

    def of(self, name: str) -> Place:
        """Return a place for the party *name*, to be entered with ``async with``."""
        return Place(self, name)

    async def take(self, name: str) -> _Party:
        """Wait for a place."""
        party = self._parties.get(name)
        if party is None:
            party = self._parties[name] = _Party(name)
        # With room left, the only ones that wait are silent
        if self._free and (not party.is_silent or self._silent_held < max(self._eighth, 1)):
            self._change(party, held=1)
            return party
        waiter = asyncio.get_running_loop().create_future()
        self._line_up(party, waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.cancelled():
                self._step_out(party, waiter)
            else:  # the place came at the same moment: hand it on
                self.leave(party)
            raise
        return party

    def leave(self, party: _Party, *, is_silent: bool | None = None) -> None:
        """Give a place back; *is_silent* is None where nothing was learnt."""
        self._change(party, held=-1, is_silent=is_silent)
        while self._free and (party_next := self._next()) is not None:
            waiter = party_next.waiters.popleft()
            if not party_next.waiters:
                self._out_of_line(party_next)
            if not waiter.done():  # cancelled, and about to step out
                self._change(party_next, held=1)
                waiter.set_result(None)
        self._forget(party)

    def _next(self) -> _Party | None:
        answering, silent = self._lines[False], self._lines[True]
        if silent and self._silent_held < self._eighth:
            lines = silent
        elif answering:
            lines = answering
        elif silent and not self._silent_held:
            lines = silent
        else:
            return None
        return next(iter(lines[min(lines)]))

    def _change(self, party: _Party, *, held: int, is_silent: bool | None = None) -> None:
        """Count one place more or less for *party*, and put it into the line it belongs to."""
        if party.waiters:
            self._out_of_line(party)
        if party.is_silent:
            self._silent_held -= party.held
        party.held += held
        self._free -= held
        if is_silent is not None:
            party.is_silent = is_silent
        if party.is_silent:
            self._silent_held += party.held
        if party.waiters:
            self._into_line(party)

    def _line_up(self, party: _Party, waiter: asyncio.Future[None]) -> None:
        if not party.waiters:
            self._into_line(party)
        party.waiters.append(waiter)

    def _step_out(self, party: _Party, waiter: asyncio.Future[None]) -> None:
        if waiter in party.waiters:
            party.waiters.remove(waiter)
            if not party.waiters:
                self._out_of_line(party)
        self._forget(party)

    def _into_line(self, party: _Party) -> None:
        self._lines[party.is_silent].setdefault(party.held, OrderedDict())[party] = None

    def _out_of_line(self, party: _Party) -> None:
        lines = self._lines[party.is_silent]
        del lines[party.held][party]
        if not lines[party.held]:
            del lines[party.held]

    def _forget(self, party: _Party) -> None:
        """Keep nothing of who has nothing here, so that parties may come and go."""
        if not (party.held or party.waiters or party.is_silent):
            self._parties.pop(party.name, None)


class _Party:
    __slots__ = ("held", "is_silent", "name", "waiters")

    def __init__(self, name: str) -> None:
        self.name = name
        self.held = 0
        self.is_silent = False
        self.waiters: deque[asyncio.Future[None]] = deque()


class Place:
    """One place of a party's: taken and left, or entered with ``async with``."""

    __slots__ = ("_name", "_party", "_places")

    def __init__(self, places: Places, name: str) -> None:
        self._places = places
        self._name = name
        self._party: _Party | None = None

    async def take(self) -> None:
        """Wait until it is there."""
        self._party = await self._places.take(self._name)

    def leave(self, error: BaseException | None = None) -> None:
        """Give it back, once or more often; *error* is what came in place of an answer."""
        party, self._party = self._party, None
        if party is not None:
            no_answer = isinstance(error, TransportError)
            learnt = no_answer if error is None or no_answer else None
            self._places.leave(party, is_silent=learnt)

    async def __aenter__(self) -> Self:
        await self.take()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.leave(exc)
