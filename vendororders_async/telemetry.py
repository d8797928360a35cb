"""What happens, as values, and who wants to know.

The engine tells an `Observer`; progress, logs and the summary are observers.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import msgspec

from .windows import Window


class AttemptMade(msgspec.Struct, frozen=True, gc=False):
    """One send to the Selling Partner API; *status* is None when no answer came.

    *seconds* is from the first byte out to the last one in, *waited* the time it was paced.
    """

    account: str
    operation: str
    status: int | None
    seconds: float
    waited: float
    request_id: str | None = None
    byte_count: int = 0


class RetryScheduled(msgspec.Struct, frozen=True, gc=False):
    """A call will be repeated after *seconds*, because of *reason*."""

    account: str
    operation: str
    seconds: float
    reason: str


class StreamPlanned(msgspec.Struct, frozen=True, gc=False):
    """*window_count* windows of a stream, *seconds* long together, are going to be read."""

    account: str
    operation: str
    stream: str
    window_count: int
    seconds: float


class PageStored(msgspec.Struct, frozen=True, gc=False):
    """A page is durable in the sink.

    *row_count* tells how many orders or statuses it had, *outside_count* how many of them
    have a date of their own that lies outside the window which returned them.
    """

    account: str
    operation: str
    stream: str
    window: Window
    row_count: int
    outside_count: int


class WindowFinished(msgspec.Struct, frozen=True, gc=False):
    """All pages of a window are durable, and the sink says so."""

    account: str
    stream: str
    window: Window


class WindowFailed(msgspec.Struct, frozen=True, gc=False):
    """A window was given up; nothing claims it."""

    account: str
    stream: str
    window: Window
    reason: str


class BeyondHistory(msgspec.Struct, frozen=True, gc=False):
    """Amazon refused a window that lies behind its history: no failure, but nothing read."""

    account: str
    stream: str
    window: Window


class AccountFinished(msgspec.Struct, frozen=True, gc=False):
    """Everything that was planned for an account was tried."""

    account: str


class AccountFailed(msgspec.Struct, frozen=True, gc=False):
    """Nothing more can be done for an account in this run."""

    account: str
    reason: str


Event = (
    AttemptMade
    | RetryScheduled
    | StreamPlanned
    | PageStored
    | WindowFinished
    | WindowFailed
    | BeyondHistory
    | AccountFinished
    | AccountFailed
)

Observer = Callable[[Event], None]

_log = logging.getLogger("vendororders_async")


def log_event(event: Event) -> None:
    """Write *event* to the log of this package: what needs a person as warnings."""
    match event:
        case AttemptMade():
            _log.debug(
                "%s for %s: %s in %.3f s",
                event.operation,
                event.account,
                event.status or "no answer",
                event.seconds,
            )
        case RetryScheduled():
            _log.info(
                "%s, again in %.1f s",
                event.reason,
                event.seconds,
            )
        case WindowFailed():
            _log.warning(
                "%s %s %s given up: %s", event.account, event.stream, event.window, event.reason
            )
        case BeyondHistory():
            _log.warning(
                "%s %s %s lies behind Amazon's history and was not served",
                event.account,
                event.stream,
                event.window,
            )
        case AccountFailed():
            _log.error("account %s: %s", event.account, event.reason)


def fan_out(*observers: Observer) -> Observer:
    """Return one observer that tells all of *observers*."""

    def tell(event: Event) -> None:
        for observer in observers:
            observer(event)

    return tell
