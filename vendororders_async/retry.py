"""What is worth another attempt, how long to wait, and when to give up."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

import msgspec
from tenacity import AsyncRetrying, RetryCallState

from .errors import (
    BadRequest,
    DecodeError,
    RequestError,
    ServerError,
    Throttled,
    TransportError,
)

_FIRST_WAIT = 0.5  # seconds
_LONGEST_WAIT = 60.0

# Amazon answers 400 InvalidInput now and then to a request that is right, and the same
# request works after two or three tries (selling-partner-api-docs#1745). An expired next
# token looks exactly like it.
_SPURIOUS_400_TRIES = 3
# An answer that cannot be read is mostly cut short on its way; if it is not, it stays so.
_UNREADABLE_TRIES = 5


class Patience(msgspec.Struct, frozen=True):
    """How long a call goes on after its first failure, in seconds."""

    seconds: float


BULK = Patience(15 * 60)
BRIEF = Patience(20)  # to find out whether it is the request or Amazon
NONE = Patience(0)
PERSON = Patience(30)


def tries_allowed(error: BaseException | None, *, repeatable: bool) -> float:
    """Return how many times *error* may be met in one call; 1 means no second try.

    A call that is not *repeatable* (a POST) is sent again only when Amazon certainly did
    not take it: refused by the usage plan, or never sent.
    """
    match error:
        case Throttled():
            return float("inf")
        case TransportError():
            return float("inf") if repeatable or not error.sent else 1
        case ServerError():
            return float("inf") if repeatable else 1
        case DecodeError():
            return _UNREADABLE_TRIES if repeatable else 1
        case BadRequest(is_spurious=True):
            return _SPURIOUS_400_TRIES if repeatable else 1
        case _:
            return 1


def is_silence(error: BaseException) -> bool:
    """Return whether *error* tells of Amazon, and not of the request: others meet it too."""
    return isinstance(error, (ServerError, Throttled, TransportError))


def backoff(failure_count: int, jitter: float) -> float:
    """Return the seconds to wait after the *failure_count*-th failure in a row.

    Doubles from half a second to a minute; *jitter*, from 0 to 1, takes up to half of it
    away, so that calls which failed together do not return together.
    """
    longest = min(_FIRST_WAIT * 2.0 ** min(failure_count - 1, 16), _LONGEST_WAIT)
    return longest * (1 - jitter / 2)


class Controller:
    """The judgement over one call; make a fresh one for each.

    tenacity's own controllers keep their state in themselves, so that calls sharing one
    would count each other's attempts (jd/tenacity#93).
    """

    def __init__(
        self,
        patience: Patience,
        *,
        repeatable: bool,
        time: Callable[[], float],
        on_retry: Callable[[float, RequestError], None],
    ) -> None:
        self._patience = patience
        self._repeatable = repeatable
        self._time = time
        self._on_retry = on_retry
        self._met: Counter[type[BaseException]] = Counter()
        self._first_failure_at: float | None = None

    def attempts(self) -> AsyncRetrying:
        """Return tenacity's iterator over the attempts; the last error is raised as it is."""
        return AsyncRetrying(
            retry=self._worth_it,
            wait=self._seconds,
            stop=self._out_of_patience,
            before_sleep=self._announce,
            reraise=True,
        )

    def _worth_it(self, state: RetryCallState) -> bool:
        error = _error_of(state)
        if error is None:
            return False
        self._met[type(error)] += 1
        return self._met[type(error)] < tries_allowed(error, repeatable=self._repeatable)

    def _seconds(self, state: RetryCallState) -> float:
        asked = getattr(_error_of(state), "retry_after", None) or 0.0
        return max(asked, backoff(self._met.total(), random.random()))  # noqa: S311 - jitter

    def _out_of_patience(self, state: RetryCallState) -> bool:
        if self._first_failure_at is None:
            self._first_failure_at = self._time()
        waited = self._time() - self._first_failure_at
        return waited + state.upcoming_sleep > self._patience.seconds

    def _announce(self, state: RetryCallState) -> None:
        error = _error_of(state)
        if isinstance(error, RequestError):
            self._on_retry(state.upcoming_sleep, error)


def _error_of(state: RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome is not None else None
