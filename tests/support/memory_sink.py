"""A sink that keeps everything in memory, and can fail where a test wants it to."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Self

import simulated

from vendororders_async.errors import SinkError
from vendororders_async.operations import RETAIL_API, STATUSES
from vendororders_async.sinks.base import (
    Arrival,
    Ledger,
    Outcome,
    Quarantined,
    StoredOrder,
    StreamState,
    Written,
)
from vendororders_async.windows import FinishedWindow, Window


def owner(account: str, api: str) -> str:
    """Return what an account's rows of one API are kept under; retail's by its plain name."""
    return account if api == RETAIL_API else f"{account} {api}"


class MemorySink:
    """Implements `Sink` with dictionaries; *before* is called with each method's name."""

    def __init__(
        self,
        before: Callable[[str], None] = lambda _name: None,
        *,
        now: Callable[[], datetime] = simulated.now,
    ) -> None:
        self.documents: dict[tuple[str, str, str], bytes] = {}  # owner, stream's rows, number
        self.finished: dict[Ledger, list[FinishedWindow]] = {}
        self.held: dict[tuple[str, bytes], Quarantined] = {}
        self.ends: dict[str, tuple[datetime | None, str | None]] = {}
        self.touched_at: dict[str, datetime] = {}
        self.begun: dict[tuple[Ledger, Window], datetime] = {}
        self.asked_at: dict[tuple[str, str], datetime] = {}  # owner, number: its details
        self.now = now
        self._locked: set[str] = set()
        self._before = before

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        pass

    @asynccontextmanager
    async def lock(self, account: str) -> AsyncIterator[None]:
        if account in self._locked:
            raise SinkError(f"account {account} is being written by another run")
        self._locked.add(account)
        try:
            yield
        finally:
            self._locked.remove(account)

    async def windows(self, ledger: Ledger) -> list[FinishedWindow]:
        self._before("windows")
        return list(self.finished.get(ledger, ()))

    async def last_success_at(self, account: str) -> datetime | None:
        return self.touched_at.get(account)

    async def begin(self, ledger: Ledger, window: Window) -> datetime:
        self._before("begin")
        now = self.now()
        overlapping = [
            begun_at
            for (other_ledger, other), begun_at in self.begun.items()
            if other_ledger == ledger
            and other.after < window.before
            and other.before > window.after
        ]
        recent = [one for one in overlapping if now - one <= timedelta(hours=24)]
        self.begun[ledger, window] = min([now, *recent])
        return self.begun[ledger, window]

    async def fresh(
        self,
        account: str,
        api: str,
        numbers: Sequence[str],
        since: datetime,
    ) -> frozenset[str]:
        self._before("fresh")
        asked_at = {one: self.asked_at.get((owner(account, api), one)) for one in numbers}
        return frozenset(one for one, at in asked_at.items() if at is not None and at >= since)

    async def write(self, arrival: Arrival) -> list[Written]:
        self._before("write")
        account = owner(arrival.ledger.account, arrival.ledger.api)
        kind = "status" if arrival.ledger.stream == STATUSES.name else "order"
        written = []
        for one in arrival.documents:
            if one.content is None:
                outcome = (
                    Outcome.STANDING if (account, one.raw) in self.held else Outcome.QUARANTINED
                )
                self.held[account, one.raw] = Quarantined(
                    arrival.ledger, "", one.raw, one.reason or "", arrival.asked_at
                )
                written.append(Written(None, outcome))
                continue
            key = (account, kind, one.content.purchase_order_number)
            known = self.documents.get(key)
            if kind == "order" and getattr(one.content, "order_details", None) is not None:
                self.asked_at[account, key[2]] = arrival.asked_at
            elif kind == "order" and (account, key[2]) in self.asked_at:
                written.append(Written(key[2], Outcome.UNCHANGED))
                continue
            self.documents[key] = one.raw
            outcome = Outcome.NEW if known is None else Outcome.CHANGED
            written.append(Written(key[2], Outcome.UNCHANGED if known == one.raw else outcome))
        self.touched_at[arrival.ledger.account] = arrival.asked_at
        return written

    async def finish(self, ledger: Ledger, finished: FinishedWindow) -> None:
        self._before("finish")
        self.finished.setdefault(ledger, []).append(finished)
        self.begun.pop((ledger, finished.window), None)

    async def ended(
        self, ledger: Ledger, *, covered_until: datetime | None, error: str | None
    ) -> None:
        self.ends[ledger.stream] = (covered_until, error)

    async def quarantine(self, account: str, api: str) -> list[Quarantined]:
        return [one for (holder, _), one in self.held.items() if holder == owner(account, api)]

    async def release(self, quarantined: Quarantined) -> None:
        ledger = quarantined.ledger
        del self.held[owner(ledger.account, ledger.api), quarantined.document]

    async def states(self) -> list[StreamState]:
        return [StreamState(ledger, tuple(self.finished[ledger])) for ledger in self.finished]

    async def orders(self) -> AsyncGenerator[list[StoredOrder], None]:
        apis = {(one.account, one.api) for one in self.finished}
        yield [
            StoredOrder(account, api, number, self.touched_at[account], raw)
            for account, api in sorted(apis)
            for (holder, kind, number), raw in self.documents.items()
            if kind == "order" and holder == owner(account, api)
        ]
