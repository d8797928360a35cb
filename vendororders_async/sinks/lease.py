"""Leases: an account belongs to one run at a time, also across machines.

A lease ends by itself when it is not renewed, so that a machine that died or was cut off
holds nothing up; and whoever cannot renew it stops before somebody else may take it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Protocol

import msgspec

from ..errors import SinkError
from .writer_thread import outlasted

TERM = 30.0  # seconds without a renewal
_RENEWALS = 6  # in a term
_SAFETY = 0.75  # of the term: then its holder stops, whatever its clock does

_log = logging.getLogger("vendororders_async")


class Held(msgspec.Struct, frozen=True):
    """Somebody else's lease: for how many *seconds* yet, and which renewal of it that is."""

    seconds: float
    renewal: str


class LeaseRecord(Protocol):
    """Where one lease is written down: a row of a table, an object in a bucket."""

    async def take(self, seconds: float) -> Held | None:
        """Take the lease for so many *seconds*; say who has it where that cannot be."""

    async def renew(self, seconds: float) -> bool:
        """Hold it for so many *seconds* from now; False if it is ours no more.

        Raises:
            SinkError: nobody knows; it may be tried again.
        """

    async def release(self) -> None:
        """Let it go, if it is ours."""


@asynccontextmanager
async def leased(record: LeaseRecord, what: str, *, term: float = TERM) -> AsyncIterator[None]:
    """Hold the lease in *record* while the block runs; *what* names it in errors.

    A lease that somebody renews is refused; one that nobody renews is waited for. Where ours
    cannot be renewed in time the block is cancelled, and that is a `SinkError`.

    Raises:
        SinkError: another run has it, or got it.
    """
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - a coroutine runs in a task
    try:
        began_at = await _taken(record, what, term)
    except asyncio.CancelledError:
        # it may have been taken, only the answer did not come
        await outlasted(asyncio.ensure_future(_let_go(record, term)))
        raise
    cancelling = task.cancelling()
    is_over = is_lost = False

    def stop(renewing: asyncio.Task[str]) -> None:
        nonlocal is_lost
        if not (is_over or renewing.cancelled()):
            is_lost = True
            task.cancel()

    renewing = asyncio.create_task(_renewed(record, began_at, term))
    renewing.add_done_callback(stop)
    try:
        try:
            yield
        finally:
            is_over = True  # or an end in the same moment would be cancelled for ever
            # whatever the block made of it: what it wrote last may have been refused
            if is_lost and task.uncancel() <= cancelling:
                raise SinkError(f"{what} is ours no more: {renewing.result()}")
    finally:
        # however often we are cancelled meanwhile: others would wait for the term
        await outlasted(asyncio.ensure_future(_given_up(record, renewing, term)))


async def _given_up(record: LeaseRecord, renewing: asyncio.Task[str], term: float) -> None:
    """End the renewing, and release the lease unless it is lost."""
    renewing.cancel()
    await asyncio.wait([renewing])
    if renewing.cancelled():
        await _let_go(record, term)


async def _let_go(record: LeaseRecord, term: float) -> None:
    """Release the lease, if that is soon done."""
    # it ends by itself, and nobody waits for a server that is gone
    with suppress(SinkError, TimeoutError):
        async with asyncio.timeout(term / _RENEWALS):
            await record.release()


async def _renewed(record: LeaseRecord, held_since: float, term: float) -> str:
    """Renew the lease for as long as that can be done; return why it cannot any more."""
    loop = asyncio.get_running_loop()
    until = held_since + term * _SAFETY
    while True:
        await asyncio.sleep(term / _RENEWALS)
        began_at = loop.time()
        with suppress(SinkError, TimeoutError):
            async with asyncio.timeout_at(until):
                if not await record.renew(term):
                    return "another run has taken it"
                until = began_at + term * _SAFETY
        if loop.time() >= until:
            return "it could not be renewed"


async def _taken(record: LeaseRecord, what: str, term: float) -> float:
    """Take the lease, and return the loop's time from which it counts."""
    loop = asyncio.get_running_loop()
    seen: str | None = None
    while True:
        began_at = loop.time()
        held = await record.take(term)
        if held is None:
            return began_at
        if seen is not None and held.renewal != seen:
            raise SinkError(f"{what} is being written by another run")
        if seen is None:
            _log.warning("%s: waiting for a lease that ends in %.0f s", what, held.seconds)
            seen = held.renewal
        await asyncio.sleep(min(held.seconds, term / _RENEWALS) + 0.1 * term / _RENEWALS)
