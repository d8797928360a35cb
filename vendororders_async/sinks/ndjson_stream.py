"""Lines on standard output: a sink that passes documents on and remembers nothing."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Self

from .. import clock
from ..errors import SinkError
from ..terminals import for_output
from ..windows import FinishedWindow, Window
from .base import Arrival, Ledger, Outcome, Quarantined, StoredOrder, StreamState, Written
from .ndjson_files import line_of, line_of_order, write_all
from .writer_thread import WriterThread

STANDARD_OUTPUT = 1

_log = logging.getLogger("vendororders_async")


class NdjsonStream:
    """Writes each document to standard output as it comes, a line each.

    It has no ledger and no quarantine: every run begins anew, every order is *new*, and what
    cannot be decoded is only told in the log. A reader that goes away (``| head``) is a
    `SinkError`.
    """

    def __init__(
        self, descriptor: int = STANDARD_OUTPUT, *, now: Callable[[], datetime] = clock.now
    ) -> None:
        self._descriptor = descriptor
        self._now = now
        self._thread: WriterThread | None = None

    def __repr__(self) -> str:
        return "<NdjsonStream>"

    async def __aenter__(self) -> Self:
        if self._thread is not None:
            raise SinkError("standard output is open already")
        self._thread = WriterThread("ndjson")
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        thread, self._thread = self._thread, None
        if thread is not None:
            await thread.close(lambda: None)

    @asynccontextmanager
    async def lock(self, account: str) -> AsyncIterator[None]:
        """Exclude nobody: nobody else writes to this standard output."""
        del account
        yield

    async def windows(self, ledger: Ledger) -> list[FinishedWindow]:
        """Return none."""
        del ledger
        return []

    async def last_success_at(self, account: str) -> datetime | None:
        """Return nothing: it is not known."""
        del account
        return None

    async def begin(self, ledger: Ledger, window: Window) -> datetime:
        """Return the present."""
        del ledger, window
        return self._now()

    async def fresh(
        self, account: str, api: str, numbers: Sequence[str], since: datetime
    ) -> frozenset[str]:
        """Return none."""
        del account, api, numbers, since
        return frozenset()

    async def write(self, arrival: Arrival) -> list[Written]:
        """Pass a page on; answer for each document in turn."""
        ledger = arrival.ledger
        written, lines = [], []
        for one in arrival.documents:
            if one.content is None:
                _log.warning("%s: an order does not decode: %s", ledger.account, one.reason)
                written.append(Written(None, Outcome.QUARANTINED))
                continue
            lines.append(line_of(ledger.account, ledger.api, arrival.asked_at, one.raw))
            written.append(Written(one.content.purchase_order_number, Outcome.NEW))
        await self._put(b"".join(lines))
        return written

    async def keep(self, orders: Sequence[StoredOrder]) -> None:
        """Pass *orders* on."""
        await self._put(b"".join(map(line_of_order, orders)))

    async def settle(self) -> None:
        """Do nothing: it is passed on already."""

    async def finish(self, ledger: Ledger, finished: FinishedWindow) -> None:
        """Forget it."""

    async def ended(
        self, ledger: Ledger, *, covered_until: datetime | None, error: str | None
    ) -> None:
        """Forget it."""

    async def quarantine(self, account: str, api: str) -> list[Quarantined]:
        """Return none."""
        del account, api
        return []

    async def release(self, quarantined: Quarantined) -> None:
        """Do nothing."""

    async def states(self) -> list[StreamState]:
        """Return none."""
        return []

    async def orders(self) -> AsyncGenerator[list[StoredOrder], None]:
        """Yield none."""
        nothing: list[list[StoredOrder]] = []
        for batch in nothing:
            yield batch

    async def _put(self, lines: bytes) -> None:
        def job() -> None:
            # Past Python's own buffer, which would complain once more at the very end
            try:
                write_all(self._descriptor, for_output(lines, self._descriptor))
            except BrokenPipeError:
                raise SinkError("nobody reads standard output any more") from None
            except OSError as error:
                raise SinkError(f"cannot write to standard output: {error.strerror}") from error

        if self._thread is None:
            raise SinkError("standard output is not open")
        await self._thread.run(job)
