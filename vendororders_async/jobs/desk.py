"""What all reading for one account shares: whom to ask, where to write, whom to tell."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol, TypeVar

from ..accounts import Account
from ..chains import Span
from ..dispatch import Dispatcher, Reply, Sending
from ..errors import RequestError
from ..limiter import Gate, Limiters, Urgency
from ..operations import Api, Call, Operation, Stream
from ..pages import Document, Row
from ..planner import in_flight, silence
from ..retry import BULK, Patience
from ..sinks import Sink
from ..sinks.base import Arrival, Ledger, Outcome, Written
from ..telemetry import (
    Observer,
    OrdersQuarantined,
    PlanGranted,
    VersionsStored,
    WindowFailed,
    WindowFinished,
)
from ..usage import UsagePlan
from ..windows import FinishedWindow, Window
from .redacting import redacted
from .summary import Tally

T = TypeVar("T")

_FIRST_LATENCY = 1.0  # seconds, until there is one to go by
_LATENCY_MEMORY = 0.2  # how much a new latency counts against those before


class Store(Protocol):
    """Where pages and finished windows go; every `Sink` is one."""

    async def begin(self, ledger: Ledger, window: Window) -> datetime:
        """Note that a window is begun, and return since when it is being read."""

    async def write(self, arrival: Arrival) -> list[Written]:
        """Store of a page what was not stored before; answer for each of that."""

    async def finish(self, ledger: Ledger, finished: FinishedWindow) -> None:
        """Take in that all pages of a window are stored."""


class Desk(NamedTuple):
    """One account, and everything that reading for it needs."""

    account: Account
    api: Api
    sink: Sink
    dispatcher: Dispatcher
    limiters: Limiters
    tally: Tally
    tell: Observer
    now: Callable[[], datetime]
    errors: dict[str, str]  # by stream: the first that cost a window
    redacts: bool = False  # whether personal details are taken out of what is stored
    store: Store | None = None  # where pages go, if not straight into the sink

    @property
    def name(self) -> str:
        """The account's."""
        return self.account.name

    def gate(self, operation: Operation[object]) -> Gate:
        """Return what lets requests of *operation* through."""
        return self.limiters.of(self.account, operation)

    def ledger(self, stream: Stream) -> Ledger:
        """Return where the windows of *stream* are recorded."""
        return Ledger(self.name, self.api.name, stream.name, self.account.source)

    async def send(self, call: Call[T], patience: Patience = BULK) -> Reply[T]:
        """Send *call* behind everybody who waits in person."""
        return await self.dispatcher.send(
            self.account, call, urgency=Urgency.BULK, patience=patience
        )

    def sending(self, call: Call[T], patience: Patience = BULK) -> Sending[T]:
        """Do the same, and hold back other requests until the block is left.

        What is done in it must not wait for another request.
        """
        return self.dispatcher.sending(
            self.account, call, urgency=Urgency.BULK, patience=patience
        )

    async def write(
        self,
        stream: Stream,
        span: Span,
        asked_at: datetime,
        documents: Sequence[Document[Row]],
    ) -> None:
        """Store *documents*, which came for *span*, and count what they meant to the sink.

        Everything that came from Amazon goes this way, and no other, into the sink.
        """
        if self.redacts:
            documents = [redacted(one, stream.row) for one in documents]
        if not documents:
            return
        arrival = Arrival(self.ledger(stream), span.window, asked_at, documents)
        written = await (self.store or self.sink).write(arrival)
        self.tally.written(self.name, written, are_orders=stream.has_details)
        count = sum(one.outcome is Outcome.QUARANTINED for one in written)
        if count:
            self.tell(OrdersQuarantined(self.name, stream.name, span.window, count))
        count = sum(one.outcome in {Outcome.NEW, Outcome.CHANGED} for one in written)
        if count:
            self.tell(VersionsStored(self.name, stream.name, count))

    async def begin(self, span: Span) -> datetime:
        """Note that *span* is begun, and return since when it is being read."""
        ledger = self.ledger(self.api.streams[span.stream])
        return await (self.store or self.sink).begin(ledger, span.window)

    async def finish(self, stream: Stream, finished: FinishedWindow) -> None:
        """Record that all pages of a window are stored, and tell of it."""
        await (self.store or self.sink).finish(self.ledger(stream), finished)
        self.tell(WindowFinished(self.name, stream.name, finished.window))

    def given_up(self, span: Span, reason: str, error: RequestError) -> None:
        """Tell, and remember, that *span* is not going to be read."""
        request_id, status = getattr(error, "request_id", None), getattr(error, "status", None)
        self.tell(WindowFailed(self.name, span.stream, span.window, reason, request_id, status))
        self.errors.setdefault(span.stream, reason)


class Pace:
    """How many requests keep one bucket of an account busy, as its answers have it."""

    def __init__(self, desk: Desk, operation: Operation[object]) -> None:
        self._desk = desk
        self._operation = operation
        self._gate = desk.gate(operation)
        self._latency: float | None = None
        # Whether a request waited in vain for as long as there was patience. Others need not,
        # or an account that is dead would keep a job of a hundred windows for hours.
        self.is_silent = False
        self._told = self._gate.plan
        desk.tell(PlanGranted(desk.name, operation.name, self._told))

    @property
    def plan(self) -> UsagePlan:
        """What Amazon grants for the operation."""
        return self._gate.plan

    @property
    def latency(self) -> float:
        """How many seconds an answer takes, about."""
        return _FIRST_LATENCY if self._latency is None else self._latency

    @property
    def in_flight(self) -> int:
        """So many requests are to be under way."""
        return in_flight(self.plan, self.latency)

    @property
    def silence(self) -> float | None:
        """How long to wait for the first answer before there is more to ask; then None."""
        return silence(self.plan) if self._latency is None else None

    def answered(self, seconds: float) -> None:
        """Learn from an answer that took *seconds*."""
        self.is_silent = False
        before = seconds if self._latency is None else self._latency
        self._latency = before + _LATENCY_MEMORY * (seconds - before)
        if self._gate.plan != self._told:
            self._told = self._gate.plan
            self._desk.tell(PlanGranted(self._desk.name, self._operation.name, self._told))
