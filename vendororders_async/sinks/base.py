"""What every sink promises.

A sink keeps orders and remembers which windows it holds, in one place: a window is
finished in the same store, and never before all of its pages are durable there.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from enum import StrEnum
from typing import Protocol, Self

import msgspec

from ..pages import Document, Row
from ..windows import FinishedWindow, Window


class Outcome(StrEnum):
    """What writing a document meant to the sink."""

    NEW = "new"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    QUARANTINED = "quarantined"  # new in the quarantine
    STANDING = "standing"  # in the quarantine already


class Ledger(msgspec.Struct, frozen=True):
    """Whose windows: one account's stream of one API, as one source tells it."""

    account: str
    api: str
    stream: str
    source: str


class Arrival(msgspec.Struct, frozen=True, gc=False):
    """Documents on their way into the sink; *asked_at* is when their request was sent.

    They belong to *window*, which is finished after the last of them.
    """

    ledger: Ledger
    window: Window
    asked_at: datetime
    documents: Sequence[Document[Row]]


class Written(msgspec.Struct, frozen=True, gc=False):
    """What became of one document, and the digest of the one it replaced."""

    purchase_order_number: str | None
    outcome: Outcome
    replaced_digest: str | None = None


class Quarantined(msgspec.Struct, frozen=True, gc=False):
    """A document that could not be decoded when it came."""

    ledger: Ledger
    digest: str
    document: bytes
    reason: str
    first_seen_at: datetime


class StoredOrder(msgspec.Struct, frozen=True, gc=False):
    """The newest version of an order that a sink holds, as Amazon sent it."""

    account: str
    api: str
    purchase_order_number: str
    seen_at: datetime
    document: bytes


class StreamState(msgspec.Struct, frozen=True):
    """How a stream of an account is doing, as far as the sink knows."""

    ledger: Ledger
    windows: tuple[FinishedWindow, ...]
    last_success_at: datetime | None = None
    last_error: str | None = None


class Sink(Protocol):
    """Where orders go. Open it with ``async with``; its methods may be called at once.

    A method returns when what it did survives the end of this process; what a power cut may
    take back, it takes back in order. Every one raises `SinkError` when the store cannot be
    used.
    """

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *exc_info: object) -> None: ...

    def lock(self, account: str) -> AbstractAsyncContextManager[None]:
        """Keep other runs from writing for *account*; `SinkError` if one does already."""

    async def windows(self, ledger: Ledger) -> list[FinishedWindow]:
        """Return the windows that are finished, in any order."""

    async def last_success_at(self, account: str) -> datetime | None:
        """Return when something was last written for *account*."""

    async def begin(self, ledger: Ledger, window: Window) -> datetime:
        """Note that a window is begun now, and return since when it is being read.

        That is earlier than now where a run that did not finish had begun some of it.
        """

    async def fresh(
        self, account: str, api: str, numbers: Sequence[str], since: datetime
    ) -> frozenset[str]:
        """Return those of *numbers* whose details were asked for and stored after *since*."""

    async def write(self, arrival: Arrival) -> list[Written]:
        """Store a page in one transaction; answer for each document in turn.

        The newest version of an order wins, whatever order pages come in; one without
        details never replaces one with them; equal content changes nothing. A document
        that is not decoded goes to the quarantine, whole.
        """

    async def finish(self, ledger: Ledger, finished: FinishedWindow) -> None:
        """Record that all pages of a window are stored."""

    async def ended(
        self, ledger: Ledger, *, covered_until: datetime | None, error: str | None
    ) -> None:
        """Record how a run over a stream ended: how far it is unbroken, and why no further."""

    async def quarantine(self, account: str, api: str) -> list[Quarantined]:
        """Return what stands in the quarantine."""

    async def states(self) -> list[StreamState]:
        """Return all streams of all accounts that the sink knows of."""

    def orders(self) -> AsyncIterator[list[StoredOrder]]:
        """Yield every order once, in its newest version, some at a time."""

    async def release(self, quarantined: Quarantined) -> None:
        """Take out of the quarantine what could be stored after all."""
