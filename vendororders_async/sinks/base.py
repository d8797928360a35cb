"""What every sink promises.

A sink keeps orders and remembers which windows it holds, in one place: a window is
finished in the same store, and never before all of its pages are durable there.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol, Self, runtime_checkable

import msgspec

from ..pages import Document, Row
from ..windows import FinishedWindow, Window

# A window that was begun longer ago is begun anew: its details have aged.
BEGUN_FOR = timedelta(hours=24)


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


class SubmissionState(StrEnum):
    """How far an acknowledgement is."""

    SENDING = "sending"  # on its way, or it was when its run ended
    UNRESOLVED = "unresolved"  # no answer came: it may have arrived, or not
    MISSING = "missing"  # it did not arrive, for certain: it may be sent again
    PROCESSING = "processing"  # Amazon took it, and named a transaction
    ACCEPTED = "accepted"  # Amazon says so, or its order does
    PRESUMED_ACCEPTED = "presumed_accepted"  # still processing after 15 minutes
    FAILED = "failed"  # the transaction failed
    REFUSED = "refused"  # Amazon did not take it

    @property
    def has_outcome(self) -> bool:
        """Whether there is nothing more to find out, and nothing to send again."""
        return self in _OUTCOMES


_OUTCOMES = frozenset(
    {
        SubmissionState.ACCEPTED,
        SubmissionState.PRESUMED_ACCEPTED,
        SubmissionState.FAILED,
        SubmissionState.REFUSED,
    }
)


class Submission(msgspec.Struct, frozen=True, kw_only=True):
    """An acknowledgement of one order that was sent, or was going to be.

    *digest* names what it says, its date left out, *document* is what was sent. *source* is
    that of a `Ledger`. One order's submissions differ in *submitted_at*.
    """

    account: str
    api: str
    purchase_order_number: str
    submitted_at: datetime
    source: str
    digest: str
    document: bytes
    state: SubmissionState
    transaction_id: str | None = None
    reason: str | None = None


class PendingOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An order that waits for an acknowledgement, until *answer_by*.

    *why* is ``new``, ``unconfirmed`` (some lines are) or ``changed`` (by Amazon, since it was
    acknowledged at *acknowledged_at*); *since* is when that was.
    """

    account: str
    api: str
    purchase_order_number: str
    why: str
    since: datetime
    answer_by: datetime
    unconfirmed_line_count: int
    acknowledged_at: datetime | None = None


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """The newest documents of one order that a sink holds, as Amazon sent them."""

    purchase_order_number: str
    order: bytes | None = None
    status: bytes | None = None


class Purged(msgspec.Struct, frozen=True, kw_only=True):
    """How many documents a purge took away or redacted, or would.

    *order_count* counts the newest versions of orders; statuses are not counted. *damaged*
    says which files cannot be read, so that whoever is in them stays, and what to do.
    """

    order_count: int = 0
    version_count: int = 0
    quarantine_count: int = 0
    damaged: tuple[str, ...] = ()

    def __add__(self, other: Purged) -> Purged:
        return Purged(
            order_count=self.order_count + other.order_count,
            version_count=self.version_count + other.version_count,
            quarantine_count=self.quarantine_count + other.quarantine_count,
            damaged=self.damaged + other.damaged,
        )


class StreamState(msgspec.Struct, frozen=True):
    """How a stream of an account is doing, as far as the sink knows."""

    ledger: Ledger
    windows: tuple[FinishedWindow, ...]
    last_success_at: datetime | None = None
    last_error: str | None = None


@runtime_checkable
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

    def orders(self) -> AsyncGenerator[list[StoredOrder], None]:
        """Yield every order once, in its newest version, some at a time."""

    async def release(self, quarantined: Quarantined) -> None:
        """Take out of the quarantine what could be stored after all."""


@runtime_checkable
class PurgeableSink(Sink, Protocol):
    """A sink that can forget an account, or the people in its orders.

    Both are done some documents at a time, so that others can read and write meanwhile; what
    was interrupted goes on when it is asked for again. `scrub` comes last.
    """

    async def accounts(self) -> frozenset[str]:
        """Return the accounts of which anything is kept, or was until the next `scrub`."""

    async def purge_account(self, account: str, *, dry_run: bool = False) -> Purged:
        """Remove everything about *account*, whose lock the caller holds, damaged or not.

        With *dry_run* it is only counted, and no lock is needed.
        """

    async def purge_people(
        self, account: str, before: datetime, *, dry_run: bool = False
    ) -> Purged:
        """Take personal details out of all that *account* was ordered before then.

        An order's own date counts, and where it has none, when it was first seen; documents,
        earlier versions and the quarantine are treated alike, as `redact` does it, and what
        it would not change is not counted. The caller holds the account's lock; with
        *dry_run*, which only counts, it need not.
        """

    async def scrub(self) -> None:
        """Let nothing of what was purged, by this run or an earlier one, stay in the files.

        Raises:
            SinkError: somebody who reads keeps old bytes there; scrub again later.
        """


class SubmissionLog(Protocol):
    """Where submissions are recorded, before they leave and when more is known of them."""

    def lock(self, account: str) -> AbstractAsyncContextManager[None]:
        """Keep other runs from the same, as `Sink.lock` does."""

    async def record(self, submissions: Sequence[Submission]) -> None:
        """Record *submissions*, all or none; one that is there is brought up to date.

        One is there if account, API, number and *submitted_at* are the same. When this
        returns, not even a power cut takes it back.
        """

    async def submissions(
        self, account: str, api: str, numbers: Sequence[str] | None = None
    ) -> list[Submission]:
        """Return what was submitted for *numbers*, or for all orders, the oldest first."""

    async def held(self, account: str, api: str, numbers: Sequence[str]) -> dict[str, Held]:
        """Return what the sink holds of *numbers*, by number; what it does not is left out."""


@runtime_checkable
class SubmissionSink(Sink, SubmissionLog, Protocol):
    """A sink that acknowledgements can be recorded in, and that knows what is pending."""

    async def note_account(self, account: str, acknowledge_within: timedelta) -> None:
        """Remember how long *account* may take to acknowledge an order."""

    async def pending(self) -> list[PendingOrder]:
        """Return the orders that wait for an acknowledgement, the most urgent first.

        One that was answered since is not among them, also where no outcome is known yet,
        unless what was read half an hour later does not show the answer.
        """
