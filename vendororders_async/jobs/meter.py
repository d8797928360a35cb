"""What following costs: requests an hour, by account and operation."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from ..telemetry import AttemptMade, Event

_HOUR, _FIRST = 60, 10  # minutes


class Meter:
    """Counts the requests of the last hour; an observer.

        meter = Meter(time)
        meter(event)
        meter.rates("acme")         # {"getPurchaseOrders": 240.0}

    *time* is the loop's, in seconds. In the first hour what there is stands for the rest, as
    if ten minutes were over at least.
    """

    def __init__(self, time: Callable[[], float]) -> None:
        self._time = time
        self._began_at = time()
        # by account and operation: a minute, and the requests in it
        self._counts: dict[str, dict[str, deque[tuple[int, int]]]] = {}

    def __call__(self, event: Event) -> None:
        """Count *event* if it is a request."""
        if not isinstance(event, AttemptMade):
            return
        of_account = self._counts.setdefault(event.account, {})
        minutes = of_account.setdefault(event.operation, deque())
        minute = int(self._time() // 60)
        count = minutes.pop()[1] if minutes and minutes[-1][0] == minute else 0
        minutes.append((minute, count + 1))
        while minutes[0][0] <= minute - _HOUR:
            minutes.popleft()

    def rates(self, account: str) -> dict[str, float]:
        """Return how many requests an hour were made for *account*, by operation."""
        oldest = int(self._time() // 60) - _HOUR
        share = min(max((self._time() - self._began_at) / 3600, _FIRST / _HOUR), 1.0)
        return {
            operation: round(sum(n for minute, n in minutes if minute > oldest) / share, 1)
            for operation, minutes in self._counts.get(account, {}).items()
        }
