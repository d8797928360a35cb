"""The summary of a run, and the observer that adds it up."""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Iterable
from enum import IntEnum
from http import HTTPStatus

import msgspec

from ..operations import LARGEST_PAGE
from ..sinks.base import Outcome, Written
from ..telemetry import (
    AccountFailed,
    AccountFinished,
    AttemptMade,
    BeyondHistory,
    DetailMissing,
    DetailStored,
    Event,
    PageListed,
    PageStored,
    PlanGranted,
    RetryScheduled,
    StreamPlanned,
    WindowFailed,
    WindowFinished,
)
from ..usage import UsagePlan
from ..windows import LONGEST_QUERY


class AccountSummary(msgspec.Struct, frozen=True):
    """How one account came out; *error* says why it is not complete.

    *windows* counts those that were read to their end in this run.
    """

    complete: bool
    orders: int
    windows: int
    requests: int
    throttled: int
    error: str | None = None


class Summary(msgspec.Struct, frozen=True):
    """How a run came out.

    *orders* counts distinct purchase orders received, of which *new*, *changed* and
    *unchanged* are what they were to the sink; *requests* are sends to the Selling
    Partner API, repeats included; *seconds* is wall time, *ideal_seconds* the least that
    the usage plan allows for what was received. *missing_details* counts orders that Amazon
    lists and has no details of: their number and state are stored, and asking again would
    not help, so they do not make a run incomplete.
    """

    complete: bool
    orders: int
    new: int
    changed: int
    unchanged: int
    requests: int
    retries: int
    throttled: int
    quarantined: int
    quarantine_standing: int
    outside_window: int
    beyond_history: int
    missing_details: int
    seconds: float
    ideal_seconds: float
    accounts: dict[str, AccountSummary]

    @classmethod
    def of_nothing(cls) -> Summary:
        """Return the summary of a run that could not begin."""
        return msgspec.structs.replace(Tally(()).summary(0.0), complete=False)

    @property
    def nothing_done(self) -> bool:
        """Whether no account could do anything at all."""
        return bool(self.accounts) and all(
            account.error and account.orders == account.windows == 0
            for account in self.accounts.values()
        )


class Rank(IntEnum):
    """How much a row meant to the sink; of several sights of an order the highest counts."""

    UNCHANGED = 0
    CHANGED = 1
    NEW = 2


_62_BITS = (1 << 62) - 1
_RANKS = {
    Outcome.UNCHANGED: Rank.UNCHANGED,
    Outcome.CHANGED: Rank.CHANGED,
    Outcome.NEW: Rank.NEW,
}


class Ranks:
    """What each order of a run meant, by the hash of its number: the highest counts.

    A table of 64-bit words, at most two thirds full, so that an order takes 12 to 24 bytes
    and not the 88 of a dict: it is what grows with history in a run, and four million
    orders of hundreds of accounts are 50 to 100 MB so.
    """

    def __init__(self) -> None:
        self.counts = Counter[Rank]()
        self._words = array("Q", bytes(8 * 16))  # 62 bits of hash, 2 of rank + 1; 0 is empty

    def __len__(self) -> int:
        return self.counts.total()

    def note(self, number: str, rank: Rank) -> None:
        """Take note of one sight of the order *number*."""
        key = hash(number) & _62_BITS
        index = self._index(key)
        word, told = self._words[index], rank + 1
        if word & 3 < told:  # a page brings a hundred: an enum here would be half the cost
            self._words[index] = key << 2 | told
            self.counts[rank] += 1
            if word:
                self.counts[Rank((word & 3) - 1)] -= 1
            elif 3 * len(self) > 2 * len(self._words):
                self._grow()

    def _index(self, key: int) -> int:
        """Return where *key* is, or the empty word where it belongs."""
        words, last = self._words, len(self._words) - 1
        index = key & last
        while (word := words[index]) and word >> 2 != key:
            index = index + 1 & last
        return index

    def _grow(self) -> None:
        old, self._words = self._words, array("Q", bytes(16 * len(self._words)))
        for word in filter(None, old):
            self._words[self._index(word >> 2)] = word


class Counts:
    """The same for a run without an end: what came, each time, and nothing remembered."""

    def __init__(self) -> None:
        self.counts = Counter[Rank]()

    def __len__(self) -> int:
        return self.counts.total()

    def note(self, number: str, rank: Rank) -> None:  # noqa: ARG002 - as `Ranks` has it
        """Count what is new or has changed."""
        if rank is not Rank.UNCHANGED:
            self.counts[rank] += 1


class _Load:
    """What one stream of one account had to read, and how many rows came."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.row_count = 0

    @property
    def request_count(self) -> int:
        """The fewest requests that could do it."""
        windows = math.ceil(self.seconds / LONGEST_QUERY.total_seconds())
        return max(windows, math.ceil(self.row_count / LARGEST_PAGE)) if self.seconds else 0


class _AccountTally:
    def __init__(self, ranks: Ranks | Counts) -> None:
        self.ranks = ranks
        self.attempts: Counter[int | None] = Counter()
        self.is_done = False
        self.window_count = 0
        self.failed_count = 0
        self.quarantined = 0
        self.outside_window = 0
        self.beyond_history = 0
        self.missing_details = 0
        self.retries = 0
        self.error: str | None = None
        self.loads: dict[tuple[str, str], _Load] = {}  # by operation and stream
        self.details: Counter[str] = Counter()  # by operation: one request an order
        self.plans: dict[str, UsagePlan] = {}  # by operation

    @property
    def complete(self) -> bool:
        return self.is_done and not (self.error or self.failed_count or self.quarantined)

    def load(self, operation: str, stream: str) -> _Load:
        """Return what is read of *stream*, planned or not."""
        return self.loads.setdefault((operation, stream), _Load(0.0))

    def ideal_seconds(self) -> float:
        needed = self.details.copy()
        for (operation, _stream), load in self.loads.items():
            needed[operation] += load.request_count
        known = self.plans.keys() & needed  # cut short, it may not have come to all of them
        return max((self.plans[name].seconds_for(needed[name]) for name in known), default=0.0)

    def _what_is_wrong(self) -> str | None:
        if self.error is None and self.quarantined:
            return f"{self.quarantined} documents could not be decoded: they are in quarantine"
        return self.error

    def summary(self) -> AccountSummary:
        return AccountSummary(
            complete=self.complete,
            orders=len(self.ranks),
            windows=self.window_count,
            requests=self.attempts.total(),
            throttled=self.attempts[HTTPStatus.TOO_MANY_REQUESTS],
            error=self._what_is_wrong(),
        )


class Tally:
    """Adds up a run: an observer of its events, told of what was written besides.

    Of one that *is_endless* the orders are not told apart: an order counts as often as it is
    new or has changed.
    """

    def __init__(self, accounts: Iterable[str], *, is_endless: bool = False) -> None:
        self._is_endless = is_endless
        self._accounts: dict[str, _AccountTally] = {}
        self.quarantine_standing = 0
        for name in accounts:
            self._of(name)

    def __call__(self, event: Event) -> None:  # noqa: C901, PLR0912 - a table of events
        """Add *event* to the figures of its account."""
        tally = self._of(event.account)
        match event:
            case AttemptMade():
                tally.attempts[event.status] += 1
            case RetryScheduled():
                tally.retries += 1
            case StreamPlanned():
                tally.loads[event.operation, event.stream] = _Load(event.seconds)
            case PlanGranted():
                tally.plans[event.operation] = event.plan
            case PageStored():
                tally.load(event.operation, event.stream).row_count += event.row_count
                tally.outside_window += event.outside_count
            case PageListed():
                tally.load(event.operation, event.stream).row_count += event.row_count
            case DetailStored():
                tally.details[event.operation] += 1
                tally.outside_window += event.outside_count
            case DetailMissing():
                tally.details[event.operation] += 1
                tally.missing_details += 1
            case WindowFinished():
                tally.window_count += 1
            case WindowFailed():
                tally.failed_count += 1
                tally.error = tally.error or event.reason
            case BeyondHistory():
                tally.beyond_history += 1
            case AccountFinished():
                tally.is_done = True
            case AccountFailed():
                tally.error = event.reason

    def written(self, account: str, rows: Iterable[Written], *, are_orders: bool) -> None:
        """Take note of what a page meant to the sink; statuses are not counted as orders."""
        tally = self._of(account)
        for row in rows:
            if row.outcome is Outcome.QUARANTINED:
                tally.quarantined += 1
            elif are_orders and row.purchase_order_number and row.outcome in _RANKS:
                tally.ranks.note(row.purchase_order_number, _RANKS[row.outcome])

    def _of(self, account: str) -> _AccountTally:
        tally = self._accounts.get(account)
        if tally is None:
            tally = self._accounts[account] = _AccountTally(
                Counts() if self._is_endless else Ranks()
            )
        return tally

    def summary(self, seconds: float) -> Summary:
        """Return how the run came out, or stands, after *seconds*."""
        tallies = self._accounts.values()
        ranks = Counter[Rank]()
        for tally in tallies:
            ranks.update(tally.ranks.counts)
        return Summary(
            complete=all(tally.complete for tally in tallies),
            orders=ranks.total(),
            new=ranks[Rank.NEW],
            changed=ranks[Rank.CHANGED],
            unchanged=ranks[Rank.UNCHANGED],
            requests=sum(tally.attempts.total() for tally in tallies),
            retries=sum(tally.retries for tally in tallies),
            throttled=sum(tally.attempts[HTTPStatus.TOO_MANY_REQUESTS] for tally in tallies),
            quarantined=sum(tally.quarantined for tally in tallies),
            quarantine_standing=self.quarantine_standing,
            outside_window=sum(tally.outside_window for tally in tallies),
            beyond_history=sum(tally.beyond_history for tally in tallies),
            missing_details=sum(tally.missing_details for tally in tallies),
            seconds=round(seconds, 3),
            ideal_seconds=max((tally.ideal_seconds() for tally in tallies), default=0.0),
            accounts={name: tally.summary() for name, tally in self._accounts.items()},
        )
