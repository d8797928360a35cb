"""What happens, as values, and who wants to know.

The engine tells an `Observer`; progress, logs and the summary are observers.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import msgspec

from .usage import UsagePlan
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
    request_id: str | None = None


class PlanGranted(msgspec.Struct, frozen=True, gc=False):
    """Amazon grants an account *plan* for an operation, as far as is known by now."""

    account: str
    operation: str
    plan: UsagePlan


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


class PageListed(msgspec.Struct, frozen=True, gc=False):
    """A page of *row_count* numbers came, whose details are asked for one by one."""

    account: str
    operation: str
    stream: str
    window: Window
    row_count: int


class DetailStored(msgspec.Struct, frozen=True, gc=False):
    """The answer for one listed order is durable in the sink.

    *outside_count* tells how many windows waited for it that its own date lies outside of.
    """

    account: str
    operation: str
    stream: str
    window: Window
    outside_count: int


class DetailMissing(msgspec.Struct, frozen=True, gc=False):
    """Amazon knows of an order, and has no details of it: what is known of it is stored."""

    account: str
    operation: str
    stream: str
    window: Window
    purchase_order_number: str
    reason: str
    request_id: str | None = None


class OrdersQuarantined(msgspec.Struct, frozen=True, gc=False):
    """So many documents of a window could not be decoded; they are set aside, whole."""

    account: str
    stream: str
    window: Window
    count: int


class VersionsStored(msgspec.Struct, frozen=True, gc=False):
    """So many orders or statuses are durable in the sink that are new or say something else."""

    account: str
    stream: str
    count: int


class WindowFinished(msgspec.Struct, frozen=True, gc=False):
    """All pages of a window are durable, and the sink says so."""

    account: str
    stream: str
    window: Window


class WindowRestarted(msgspec.Struct, frozen=True, gc=False):
    """A window is read once more from its start, because of *reason*."""

    account: str
    stream: str
    window: Window
    reason: str
    request_id: str | None = None


class WindowSplit(msgspec.Struct, frozen=True, gc=False):
    """What is left of a window is read in *part_count* parts, side by side."""

    account: str
    stream: str
    window: Window
    part_count: int


class WindowFailed(msgspec.Struct, frozen=True, gc=False):
    """A window was given up; nothing claims it. *status* is Amazon's last word, if any."""

    account: str
    stream: str
    window: Window
    reason: str
    request_id: str | None = None
    status: int | None = None


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
    request_id: str | None = None


class AccountSetAside(msgspec.Struct, frozen=True, gc=False):
    """An account cannot be followed just now: it is tried again after *seconds*."""

    account: str
    reason: str
    seconds: float
    request_id: str | None = None


class AccountTakenUp(msgspec.Struct, frozen=True, gc=False):
    """An account that was set aside is followed again."""

    account: str


Event = (
    AttemptMade
    | RetryScheduled
    | PlanGranted
    | StreamPlanned
    | PageStored
    | PageListed
    | DetailStored
    | DetailMissing
    | OrdersQuarantined
    | VersionsStored
    | WindowFinished
    | WindowRestarted
    | WindowSplit
    | WindowFailed
    | BeyondHistory
    | AccountFinished
    | AccountFailed
    | AccountSetAside
    | AccountTakenUp
)

Observer = Callable[[Event], None]

_log = logging.getLogger("vendororders_async")


# What a record carries beside its message, for whoever formats it. The names are safe: no
# attribute of a record is called so.
LOG_FIELDS = (
    "account",
    "operation",
    "stream",
    "window",
    "purchase_order_number",
    "request_id",
)


def log_event(event: Event) -> None:
    """Write *event* to the log of this package: what needs a person as warnings.

    Its `LOG_FIELDS` go with the record as ``extra``.
    """
    if isinstance(event, AttemptMade) and not _log.isEnabledFor(logging.DEBUG):
        return  # it comes with every request, and is seldom asked for
    level, message = _words(event)
    if level != logging.NOTSET and _log.isEnabledFor(level):
        fields = {name: getattr(event, name, None) for name in LOG_FIELDS}
        extra = {name: str(value) for name, value in fields.items() if value is not None}
        _log.log(level, "%s", message, extra=extra)


def _words(event: Event) -> tuple[int, str]:  # noqa: C901, PLR0911 - a table of events
    """Return how much *event* matters, and what it says; most say nothing."""
    match event:
        case AttemptMade():
            answer = event.status or "no answer"
            return (
                logging.DEBUG,
                f"{event.operation} for {event.account}: {answer} in {event.seconds:.3f} s",
            )
        case RetryScheduled():
            return logging.INFO, f"{event.reason}, again in {event.seconds:.1f} s"
        case WindowRestarted():
            return logging.INFO, f"{_place(event)} again from its start: {event.reason}"
        case WindowSplit():
            return logging.DEBUG, f"{_place(event)} read in {event.part_count} parts"
        case WindowFailed():
            return logging.WARNING, f"{_place(event)} given up: {event.reason}"
        case DetailMissing():
            what = f"no details of {event.purchase_order_number}, what is known of it is stored"
            return logging.WARNING, f"{_place(event)} {what}: {event.reason}"
        case OrdersQuarantined():
            what = f"{event.count} could not be decoded, see `vendororders quarantine list`"
            return logging.WARNING, f"{_place(event)} {what}"
        case BeyondHistory():
            return (
                logging.WARNING,
                f"{_place(event)} lies behind Amazon's history and was not served",
            )
        case AccountFailed():
            return logging.ERROR, f"account {event.account}: {event.reason}"
        case AccountSetAside():
            again = f"set aside, again in {event.seconds:.0f} s"
            return logging.WARNING, f"account {event.account} {again}: {event.reason}"
        case AccountTakenUp():
            return logging.WARNING, f"account {event.account} is followed again"
        case _:
            return logging.NOTSET, ""


def _place(
    event: WindowRestarted
    | WindowSplit
    | WindowFailed
    | DetailMissing
    | OrdersQuarantined
    | BeyondHistory,
) -> str:
    return f"{event.account} {event.stream} {event.window}"


def fan_out(*observers: Observer) -> Observer:
    """Return one observer that tells all of *observers*."""

    def tell(event: Event) -> None:
        for observer in observers:
            observer(event)

    return tell
