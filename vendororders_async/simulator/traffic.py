"""What has been asked and how it was answered, for those who want to count."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import msgspec

from .calls import TOKEN

if TYPE_CHECKING:
    from collections.abc import Mapping

NO_ANSWER = 0  # the status under which resets and hangs are counted


class Kind(msgspec.Struct, frozen=True):
    """A group of requests that are counted together."""

    account: str
    operation: str
    status: int


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """One request: when it arrived, by the loop's clock, and what it got."""

    at: float
    account: str
    operation: str
    status: int
    raw_query: str = ""
    subject: str = ""


class Traffic:
    """Counts requests; *arrivals* is filled only if the settings ask for it.

    A request without a good access token counts for the account ``""``.
    """

    def __init__(self, *, keep_arrivals: bool) -> None:
        self.arrivals: list[Arrival] = []
        self._keeps_arrivals = keep_arrivals
        self._counts: Counter[Kind] = Counter()

    def __repr__(self) -> str:
        """Return the counts, as a table in one line."""
        rows = (
            f"{kind.account or '?'} {kind.operation} {kind.status or 'dropped'}: {count}"
            for kind, count in self._counts.items()
        )
        return f"<Traffic {', '.join(rows) or 'none'}>"

    @property
    def counts(self) -> Mapping[Kind, int]:
        """How many requests there were of each kind."""
        return dict(self._counts)

    @property
    def token_requests(self) -> int:
        """How often anybody asked for an access token."""
        return self.count(operation=TOKEN)

    def note(self, arrival: Arrival) -> None:
        """Count one request."""
        self._counts[Kind(arrival.account, arrival.operation, arrival.status)] += 1
        if self._keeps_arrivals:
            self.arrivals.append(arrival)

    def count(
        self,
        *,
        account: str | None = None,
        operation: str | None = None,
        status: int | None = None,
    ) -> int:
        """Return how many requests there were of that account, operation and status."""
        return sum(
            count
            for kind, count in self._counts.items()
            if account in (None, kind.account)
            and operation in (None, kind.operation)
            and status in (None, kind.status)
        )

    def throttled(self, *, account: str | None = None, operation: str | None = None) -> int:
        """Return how many requests got a 429."""
        return self.count(account=account, operation=operation, status=429)

    def clear(self) -> None:
        """Forget everything."""
        self._counts.clear()
        self.arrivals.clear()
