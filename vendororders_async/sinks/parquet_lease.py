"""A lease in an object store, which has no compare-and-swap that all of them share.

Write, wait, read back (Fischer's algorithm; Lamport, "A Fast Mutual Exclusion Algorithm",
https://lamport.azurewebsites.net/pubs/fast-mutex.pdf): who finds the lease free writes its
name, waits, and has the lease if its name still stands there. It takes a store that shows what
was last written (https://aws.amazon.com/s3/consistency/), and two bounds on time:

- From reading that it is free to the end of the own write passes less than half the wait. Who
  took longer does not count as a holder, so this one is checked and not assumed.
- A request has its effect within a quarter of the term after it was sent, or never. A write
  that came later would only make a holder stop; a removal could let a second one in.

Clocks of machines differ, so none is compared: a lease is dead when its object has not changed
for a whole term by the clock of whoever looks.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol, TypeVar

import msgspec
from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_fixed

from ..errors import SinkError
from .lease import Held

SETTLE = 2.0  # seconds between writing and reading back
_TRIES, _AGAIN_AFTER = 3, 0.5  # seconds: a cell tries nothing twice by itself

T = TypeVar("T")


class Cell(Protocol):
    """One small object. Its methods block, and raise `SinkError`."""

    def read(self) -> bytes | None:
        """Return what is in it; None if it is not there."""

    def write(self, data: bytes) -> None:
        """Put *data* in place of what was there."""

    def remove(self) -> None:
        """Take it away."""


class Runner(Protocol):
    """Runs what blocks; whoever waits for it may give up."""

    async def __call__(self, job: Callable[[], T]) -> T:
        """Return what *job* returns."""


class _Lease(msgspec.Struct, frozen=True):
    holder: str
    renewal: int


class CellLease:
    """One lease in *cell*; a `LeaseRecord`."""

    def __init__(self, cell: Cell, run: Runner, *, settle: float = SETTLE) -> None:
        self._cell = cell
        self._run = run
        self._settle = settle
        self._holder = ""  # our name, while we have it
        self._renewed_at = 0.0
        self._term = 0.0
        self._watched: tuple[bytes, float] | None = None  # another's, and since when

    @retry(
        retry=retry_if_exception_type(SinkError),
        wait=wait_fixed(_AGAIN_AFTER),
        stop=stop_after_attempt(_TRIES),
        reraise=True,
    )
    async def take(self, seconds: float) -> Held | None:
        """Take the lease, unless it changed within so many *seconds*."""
        loop = asyncio.get_running_loop()
        began_at = loop.time()
        found = await self._run(self._cell.read)
        if found is not None and (rest := self._rest(found, seconds)) > 0:
            return Held(rest, _renewal_of(found))
        holder = secrets.token_hex(8)  # a new one: an earlier write of ours may still arrive
        ours = _encoded(holder, 0)
        writing = asyncio.ensure_future(self._run(lambda: self._cell.write(ours)))
        try:
            await asyncio.shield(writing)
            is_late = loop.time() - began_at > self._settle / 2
            await asyncio.sleep(self._settle)
        except asyncio.CancelledError:
            await self._withdraw(ours, writing)
            raise
        stands = await self._run(self._cell.read) or b""
        if stands != ours or is_late:
            # Our own late name is watched as another's: whom it displaced may not know yet.
            return Held(self._rest(stands, seconds), _renewal_of(stands))
        self._holder, self._watched = holder, None
        self._renewed_at, self._term = began_at, seconds
        return None

    async def renew(self, seconds: float) -> bool:
        """Change the object, if our name stands there."""
        began_at = asyncio.get_running_loop().time()
        found = _decoded(await self._run(self._cell.read))
        if found.holder != self._holder:
            return False
        renewed = _encoded(self._holder, found.renewal + 1)
        await self._run(lambda: self._cell.write(renewed))
        self._renewed_at, self._term = began_at, seconds
        return True

    async def release(self) -> None:
        """Remove the object, if our name stands there, and for certain until it is gone."""
        age = asyncio.get_running_loop().time() - self._renewed_at
        if age < self._term / 2:
            found = _decoded(await self._run(self._cell.read))
            if found.holder == self._holder:
                await self._run(self._cell.remove)

    async def _withdraw(self, ours: bytes, writing: asyncio.Future[None]) -> None:
        """Remove what was written for a lease that nobody wants any more."""
        await asyncio.wait([writing])
        if writing.exception() is None:
            await asyncio.sleep(self._settle / 2)  # now nobody may write over it any more
            with suppress(SinkError):  # it ends by itself
                if await self._run(self._cell.read) == ours:
                    await self._run(self._cell.remove)

    def _rest(self, found: bytes, seconds: float) -> float:
        """Return for how long *found* has still to stand there unchanged."""
        now = asyncio.get_running_loop().time()
        if self._watched is None or self._watched[0] != found:
            self._watched = found, now
        return self._watched[1] + seconds - now


def _encoded(holder: str, renewal: int) -> bytes:
    return msgspec.json.encode(_Lease(holder, renewal))


def _decoded(found: bytes | None) -> _Lease:
    try:
        return msgspec.json.decode(found or b"", type=_Lease)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _Lease("", 0)


def _renewal_of(found: bytes) -> str:
    lease = _decoded(found)
    return f"{lease.holder} {lease.renewal}"
