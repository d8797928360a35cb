"""What a simulated Amazon is made of: one frozen value that says everything."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Literal

import msgspec

from ..errors import ConfigurationError
from .faults import KINDS, TOKEN_KINDS

Bounds = Literal["exclusive", "half-open", "inclusive"]
RestrictedData = Literal["optional", "required", "refused", "gone"]

MICROSECOND = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BOUNDS = ("exclusive", "half-open", "inclusive")
_SORT_ORDERS = ("ASC", "DESC")
_RESTRICTED_DATA = ("optional", "required", "refused", "gone")
_MOST_ACCOUNTS = 1000
_MOST_ORDERS = 5_000_000
_LONGEST_HISTORY = 3660  # days
_WEEK = 7  # days
_MOST_ITEMS = 400  # what one catalogue holds
_SMALL_ACCOUNT = 1


def micros(moment: datetime) -> int:
    """Return *moment* as whole microseconds since 1970: what the indexes sort by."""
    return (moment - _EPOCH) // MICROSECOND


def instant(micros_since_epoch: int) -> datetime:
    """Return the instant that lies so many microseconds after 1970."""
    return _EPOCH + timedelta(microseconds=micros_since_epoch)


class SimulatedAccount(msgspec.Struct, frozen=True, kw_only=True):
    """One vendor group of the imitation; its secrets are as fake as they look."""

    name: str
    client_id: str
    client_secret: str
    refresh_token: str


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a simulator can be told; the same settings give the same bytes.

        >>> Settings(orders=20_000, accounts=3, latency=0.2, faults={"503": 0.01}).accounts
        3

    *orders* are per account, over *days* days that end at *anchor* (the coming midnight in
    UTC, unless said otherwise). *rate* and *burst* are the usage plan of every operation.
    *latency* and all other durations are seconds; a pair is drawn from evenly. *faults*
    maps kinds to probabilities.

    *restricted_data* is what reading Direct Fulfillment orders takes: ``"optional"``, a
    restricted data token or an access token, as Amazon is today; ``"required"``, a
    restricted one; ``"refused"`` and ``"gone"``, an access token, since the Tokens API
    answers 400 or 404.

    Raises:
        ConfigurationError: A value makes no sense; the message names it.
    """

    seed: int = 0
    orders: int = 2000
    days: int = 180
    accounts: int = 1
    anchor: datetime | None = None
    items: int | None = None  # exactly so many lines in each order, instead of a mixture
    oddities: bool = True  # every 17th order breaks the published schema, as Amazon's do
    peak_day: float = 0.0  # this share of all orders falls on one day...
    peak_second: float = 0.0  # ...and this share of all orders into one second of that day
    monday_batches: float = 0.0  # this share is placed on Mondays between 6 and 9 o'clock

    rate: float = 10.0
    burst: float = 10.0
    latency: float | tuple[float, float] = 0.0
    retry_after: float | None = None  # seconds to name on a 429; Amazon names none

    bounds: Bounds = "exclusive"
    default_order: Literal["ASC", "DESC"] = "ASC"
    history_months: int | None = 6  # None: as far back as there are orders
    empty_pages: float = 0.0  # this share of pages is preceded by an empty one with a token

    direct_fulfillment_orders: int = 0  # an account, besides the *orders* of retail
    restricted_data: RestrictedData = "optional"
    restricted_token_seconds: float = 3600.0  # how long a restricted data token lives
    token_rate: float = 1.0  # the plan of the Tokens API, which *rate* and *burst* leave alone
    token_burst: float = 10.0

    # These seconds are those of the simulated world's clock.
    acknowledge_seconds: float = 0.0  # from the 202 until a submission takes effect
    transaction_visible_seconds: float = 0.0  # from the 202 until its transaction is known
    transaction_failures: float = 0.0  # this share of submissions comes to nothing
    largest_body: int = 1_000_000  # bytes of a submission; Amazon does not say how many

    # What happens of its own accord from the simulator's start on, if orders arrive; the shares
    # are those of the orders that are late (by up to 5 days), change (some of them more than
    # once), and are cancelled: a line of them, or all of one of Direct Fulfillment.
    arrivals_an_hour: float = 0.0  # new orders of each account
    direct_arrivals_an_hour: float = 0.0
    life_speed: float = 1.0  # how many times faster than at Amazon things happen to orders
    late_share: float = 0.02
    changed_share: float = 0.2
    cancelled_share: float = 0.05

    token_seconds: float = 3600.0  # how long an access token lives
    next_token_seconds: float = 3600.0

    faults: Mapping[str, float] = {}
    slow_seconds: float = 5.0  # how late a "slow" answer is
    redirect_to: str = "https://elsewhere.invalid/"  # where a "redirect" points

    cache_bytes: int = 512 * 1024 * 1024  # for documents and pages, half each
    write_ahead: bool = False  # write all documents before serving, as far as they fit
    keep_arrivals: bool = False  # remember every request, for tests that look at pacing
    keep_happenings: bool = False  # and everything that happens of its own accord

    def __post_init__(self) -> None:
        """Refuse nonsense in one line."""
        _within("orders", self.orders, 0, _MOST_ORDERS)
        _within("days", self.days, 1, _LONGEST_HISTORY)
        _within("accounts", self.accounts, 1, _MOST_ACCOUNTS)
        _within("rate", self.rate, 1e-6, math.inf)
        _within("burst", self.burst, 1, math.inf)
        _within("slow_seconds", self.slow_seconds, 0, math.inf)
        _within("token_seconds", self.token_seconds, 1, math.inf)
        _within("next_token_seconds", self.next_token_seconds, 0, math.inf)
        _check_rest(self)
        _within("cache_bytes", self.cache_bytes, 0, math.inf)
        _check_shares(self)
        if self.items is not None:
            _within("items", self.items, 1, _MOST_ITEMS)
        if self.history_months is not None:
            _within("history_months", self.history_months, 1, math.inf)
        if self.retry_after is not None:
            _within("retry_after", self.retry_after, 0, math.inf)
        low, high = latency_range(self.latency)
        _within("latency", low, 0, math.inf)
        _within("latency", high, low, math.inf)
        if self.bounds not in _BOUNDS:
            raise ConfigurationError(f"bounds must be one of {', '.join(_BOUNDS)}")
        if self.restricted_data not in _RESTRICTED_DATA:
            raise ConfigurationError(
                f"restricted_data must be one of {', '.join(_RESTRICTED_DATA)}"
            )
        if self.default_order not in _SORT_ORDERS:
            raise ConfigurationError("default_order must be ASC or DESC")
        if self.anchor is not None and self.anchor.tzinfo is None:
            raise ConfigurationError("anchor needs a time zone")
        _check_faults(self.faults)


def latency_range(latency: float | tuple[float, float]) -> tuple[float, float]:
    """Return the lowest and the highest delay that *latency* allows."""
    if isinstance(latency, tuple | list):
        low, high = latency
        return low, high
    return latency, latency


def account_names(count: int) -> list[str]:
    """Return the names of *count* accounts: ``demo`` alone, else ``demo-1`` and so on."""
    if count == _SMALL_ACCOUNT:
        return ["demo"]
    return [f"demo-{position}" for position in range(1, count + 1)]


def simulated_account(name: str) -> SimulatedAccount:
    """Return the account of that name, with credentials that nobody can take for real."""
    return SimulatedAccount(
        name=name,
        client_id=f"amzn1.application-oa2-client.simulated-{name}",
        client_secret=f"amzn1.oa2-cs.v1.simulated-{name}",
        refresh_token=f"Atzr|simulated-{name}",
    )


def coming_midnight(moment: datetime) -> datetime:
    """Return the first midnight in UTC after *moment*."""
    day = moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return day + timedelta(days=1)


def _within(name: str, value: float, low: float, high: float) -> None:
    if math.isinf(value) or not low <= value <= high:
        limits = f"at least {low:g}" if math.isinf(high) else f"between {low:g} and {high:g}"
        raise ConfigurationError(f"{name} must be {limits}, not {value!r}")


def _check_rest(settings: Settings) -> None:
    for name, low, high in (
        ("direct_fulfillment_orders", 0, _MOST_ORDERS),
        ("restricted_token_seconds", 1, math.inf),
        ("token_rate", 1e-6, math.inf),
        ("token_burst", 1, math.inf),
        ("acknowledge_seconds", 0, math.inf),
        ("transaction_visible_seconds", 0, math.inf),
        ("largest_body", 1, math.inf),
        ("arrivals_an_hour", 0, math.inf),
        ("direct_arrivals_an_hour", 0, math.inf),
        ("life_speed", 1e-6, math.inf),
    ):
        _within(name, getattr(settings, name), low, high)


def _check_shares(settings: Settings) -> None:
    for share in (
        "peak_day",
        "peak_second",
        "monday_batches",
        "empty_pages",
        "transaction_failures",
        "late_share",
        "changed_share",
        "cancelled_share",
    ):
        _within(share, getattr(settings, share), 0, 1)
    if settings.peak_second > settings.peak_day:
        raise ConfigurationError("peak_second is a part of peak_day and cannot exceed it")
    if settings.peak_day + settings.monday_batches > 1:
        raise ConfigurationError("peak_day and monday_batches are shares of all orders")
    if settings.monday_batches and settings.days < _WEEK:
        raise ConfigurationError("days must be at least 7: monday_batches need a Monday")


def _check_faults(faults: Mapping[str, float]) -> None:
    for kind, probability in faults.items():
        if kind not in KINDS:
            raise ConfigurationError(
                f"there is no fault {kind!r}; there are {', '.join(sorted(KINDS))}"
            )
        _within(f"the probability of {kind}", probability, 0, 1)
    for token in (False, True):
        total = sum(p for kind, p in faults.items() if (kind in TOKEN_KINDS) is token)
        _within("the sum of all fault probabilities", round(total, 9), 0, 1)
