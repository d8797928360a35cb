"""Delivery: changes to somebody who may be busy or gone, until they are taken.

delivery = Delivery("erp", recipient)
await delivery.run(job.changes(consumer=delivery.consumer))
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing, suppress
from typing import Protocol

import msgspec

from ..caller import end
from ..changes import Change
from ..errors import one_line

GRACE = 9.0  # seconds after a stop, in which the last pages are stored and delivered
_LONGEST_TRY = 600.0  # seconds, where tries are limited
_TOLD_AFTER = 60.0  # seconds in which a recipient may be at it unnoticed
_TOLD_EVERY = 600.0  # and from then on
_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 300.0
_BREAKS = bytes.maketrans(b"\r\n", b"  ")

_log = logging.getLogger("vendororders_async")


class Recipient(Protocol):
    """Where changes go."""

    async def take(self, lines: bytes) -> str | None:
        """Take JSON lines, one a change; return None once they are safe, else why not.

        What was not taken comes again. Cancelled, it lets go of them.

        Raises:
            VendorOrdersError: nothing will ever be taken any more.
        """


class Delivery:
    """Hands changes to *recipient*, a batch at a time and in order.

    A batch that is not taken comes again after growing pauses, and the next one only after
    it. With *tries* it comes so many times at most, each for ten minutes at most, and then
    the delivery has *given_up*; else a recipient has all the time it takes, and is named in
    the log now and then.
    """

    def __init__(
        self, consumer: str, recipient: Recipient, *, tries: int | None = None
    ) -> None:
        self.consumer = consumer
        self.given_up = False
        self._recipient = recipient
        self._tries = tries
        self._ends_at: float | None = None
        self._limit: asyncio.Timeout | None = None

    async def run(self, batches: AsyncGenerator[Sequence[Change], None]) -> None:
        """Deliver *batches*; one is asked for when the one before it was taken."""
        with suppress(TimeoutError):
            async with aclosing(batches), asyncio.timeout_at(self._ends_at) as self._limit:
                async for batch in batches:
                    if not await self._deliver(batch):
                        self.given_up = True
                        break

    def stop(self, within: float = GRACE) -> None:
        """End `run` *within* seconds: what is not taken by then comes another time."""
        self._ends_at = asyncio.get_running_loop().time() + within
        if self._limit is not None:
            with suppress(RuntimeError):  # it has ended by itself
                self._limit.reschedule(self._ends_at)

    async def _deliver(self, batch: Sequence[Change]) -> bool:
        lines = lines_of(batch)
        named = f"{self.consumer}: {len(batch)} changes from {batch[0].sequence} on"
        failure_count = 0
        while (reason := await self._try(lines, named)) is not None:
            failure_count += 1
            what = f"{named} were not taken: {one_line(reason)}"
            if failure_count == self._tries:
                _log.warning("%s; they come again with the next run", what)
                return False
            seconds = pause(failure_count)
            _log.warning("%s; again in %g s", what, seconds)
            await asyncio.sleep(seconds)
        return True

    async def _try(self, lines: bytes, named: str) -> str | None:
        telling = asyncio.create_task(_tell_of_waiting(named))
        try:
            async with asyncio.timeout(None if self._tries is None else _LONGEST_TRY):
                return await self._recipient.take(lines)
        except TimeoutError:
            return f"it did not end within {_LONGEST_TRY / 60:g} min"
        finally:
            await end([telling])


async def _tell_of_waiting(named: str) -> None:
    seconds = _TOLD_AFTER
    await asyncio.sleep(_TOLD_AFTER)
    while True:
        _log.warning(
            "%s were handed over %g min ago and are not taken yet", named, seconds / 60
        )
        seconds += _TOLD_EVERY
        await asyncio.sleep(_TOLD_EVERY)


def pause(failure_count: int) -> float:
    """Return the seconds to wait after a batch was refused so many times.

    >>> [pause(1), pause(4), pause(40)]
    [1.0, 8.0, 300.0]
    """
    return min(_FIRST_PAUSE * 2.0 ** min(failure_count - 1, 16), _LONGEST_PAUSE)


def lines_of(changes: Iterable[Change]) -> bytes:
    """Return *changes* as JSON, a line each; of documents only line breaks become blanks."""
    return b"".join(
        msgspec.json.encode(change).translate(_BREAKS) + b"\n" for change in changes
    )
