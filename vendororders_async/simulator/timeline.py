"""When orders are placed and what becomes of them: a vendor's history as sketches.

A sketch is all that the indexes need to know of an order, and all that its document is
later written from; a hundred thousand of them are made in a second or two.
"""

from __future__ import annotations

from bisect import bisect
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import accumulate
from typing import TYPE_CHECKING

import msgspec

from .seeds import seeded
from .settings import Settings, instant, micros

if TYPE_CHECKING:
    from random import Random

SECOND = 1_000_000  # all times here are microseconds
HOUR = 3600 * SECOND
DAY = 24 * HOUR

_MONDAY = 0
_BATCHES_FROM, _BATCHES_UNTIL = 6 * HOUR, 9 * HOUR
_WEEK = (3.2, 1.6, 1.4, 1.2, 1.0, 0.06, 0.04)  # Monday to Sunday
_PEAK_DAYS = 5
_PEAK_AT = 0.6  # of the history, and not at its end: a season that is over
_PEAK_FACTOR = 4.0
_NUMBER_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZ"
_NUMBER_LENGTH = 8
_SERIAL_LENGTH = 3
_USUAL_LINES = (1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 6, 7, 8, 10, 12)

_CHANGED = 0.21  # a little more than a fifth, since the newest cannot have changed yet
_CANCELLED = 0.07
_IMPORTED = 0.04
_LATE = 0.03  # became available some hours after it was placed
_WITH_MILLIS = 0.05
_WITHOUT_ZONE = 0.02
_NEW_FOR = 1.2 * DAY
_OPEN_FOR = 18 * DAY
_NEGLECTED = 0.01  # never acknowledged, though old
_LINGERING = 0.04  # acknowledged long ago and still not closed

# Each was seen at Amazon or in its sandbox; every 17th order has one of them.
ODDITIES = (
    "spelling",  # CASES for Cases, EACH for Eaches
    "new-type",  # a purchaseOrderType that the model does not list
    "new-payment",  # the same for paymentMethod
    "json-number",  # amounts as numbers, not strings
    "bare",  # the sandbox's short form, without purchaseOrderState
    "zeros",  # itemSequenceNumber 00001
    "no-receiving",  # no receivingStatus: amzn/selling-partner-api-docs issue 2639
    "weight",  # sold by the pound
)
_ODD_EVERY = 17


class Sketch(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One order in outline; times are microseconds since 1970."""

    index: int
    number: str
    placed: int
    available: int
    changed: int | None
    state: str
    state_changed: int
    updated: int
    vendor: int
    warehouse: int
    line_count: int
    cancelled_count: int
    is_imported: bool
    has_zone: bool
    oddity: str


def sketches(settings: Settings, account: str, anchor: datetime) -> list[Sketch]:
    """Return the outline of all orders of *account*, oldest first."""
    random = seeded(settings.seed, account, "timeline")
    placed = placing_times(random, settings, anchor)
    numbers = order_numbers(random, len(placed))
    return [
        _sketch(random, settings, index, number=number, placed=moment, anchor=micros(anchor))
        for index, (number, moment) in enumerate(zip(numbers, placed, strict=True))
    ]


def placing_times(random: Random, settings: Settings, anchor: datetime) -> list[int]:
    """Return when the orders are placed: by the week's rhythm, and the peaks asked for."""
    days = [anchor - timedelta(days=ago) for ago in range(settings.days, 0, -1)]
    in_peak_day = round(settings.orders * settings.peak_day)
    in_peak_second = round(settings.orders * settings.peak_second)
    in_batches = round(settings.orders * settings.monday_batches)
    in_batches = min(in_batches, settings.orders - in_peak_day)  # both may be rounded up
    weights = list(
        accumulate(_day_weight(index, day, len(days)) for index, day in enumerate(days))
    )
    midnights = [micros(day) for day in days]
    times = []
    for _ in range(settings.orders - in_peak_day - in_batches):
        day = bisect(weights, random.random() * weights[-1], hi=len(days) - 1)
        times.append(midnights[day] + _time_of_day(random))
    peak = midnights[len(days) // 2]
    times += [peak + _time_of_day(random) for _ in range(in_peak_day - in_peak_second)]
    times += [peak + 12 * HOUR] * in_peak_second
    mondays = [at for at, day in zip(midnights, days, strict=True) if day.weekday() == _MONDAY]
    times += [random.choice(mondays) + _time_of_batch(random) for _ in range(in_batches)]
    return sorted(times)


def _day_weight(index: int, day: datetime, count: int) -> float:
    start = int(count * _PEAK_AT)
    is_peak = start <= index < start + _PEAK_DAYS
    return _WEEK[day.weekday()] * (_PEAK_FACTOR if is_peak else 1.0)


def _time_of_day(random: Random) -> int:
    moment = int(random.triangular(4 * 3600, 22 * 3600, 9 * 3600)) * SECOND
    if random.random() < _WITH_MILLIS:
        moment += random.randrange(1, 1000) * 1000
    return moment


def _time_of_batch(random: Random) -> int:
    return random.randrange(_BATCHES_FROM, _BATCHES_UNTIL, SECOND)


def order_numbers(random: Random, count: int) -> list[str]:
    """Return *count* order numbers that look like Amazon's, no two the same."""
    numbers: dict[str, None] = {}
    while len(numbers) < count:
        numbers["".join(random.choices(_NUMBER_ALPHABET, k=_NUMBER_LENGTH))] = None
    return list(numbers)


def new_number(random: Random, index: int) -> str:
    """Return the number of an order that no history has: theirs have no zero."""
    base, serial = len(_NUMBER_ALPHABET), ""
    while index or len(serial) < _SERIAL_LENGTH:
        index, digit = divmod(index, base)
        serial = _NUMBER_ALPHABET[digit] + serial
    chosen = random.choices(_NUMBER_ALPHABET, k=_NUMBER_LENGTH - _SERIAL_LENGTH - 1)
    return f"{''.join(chosen)}0{serial}"


def new_sketch(
    random: Random, settings: Settings, *, index: int, number: str, placed: int
) -> Sketch:
    """Return the outline of an order to which nothing has happened yet."""
    return Sketch(
        index=index,
        number=number,
        placed=placed,
        available=placed,
        changed=None,
        state="New",
        state_changed=placed,
        updated=placed,
        vendor=random.randrange(3),
        warehouse=random.randrange(60),
        line_count=settings.items or random.choice(_USUAL_LINES),
        cancelled_count=0,
        is_imported=random.random() < _IMPORTED,
        has_zone=random.random() >= _WITHOUT_ZONE,
        oddity=_oddity(settings, index),
    )


def _oddity(settings: Settings, index: int) -> str:
    if settings.oddities and index % _ODD_EVERY == _ODD_EVERY // 2:
        return ODDITIES[(index // _ODD_EVERY) % len(ODDITIES)]
    return ""


def _sketch(
    random: Random, settings: Settings, index: int, *, number: str, placed: int, anchor: int
) -> Sketch:
    # What happens to an order happens before the last day of the history begins, so that
    # no document tells of a future; the orders of the last day are as they were placed.
    until = anchor - DAY
    oddity = _oddity(settings, index)
    if settings.oddities and index == settings.orders // 3:
        oddity = (
            "negative"  # an ordered quantity of -3: amzn/selling-partner-api-docs issue 2421
        )
    available = placed
    # who asks for a share of all orders in one second gets exactly that share
    if settings.peak_second == 0 and random.random() < _LATE:
        available = min(placed + int(random.uniform(1, 30) * HOUR), anchor - SECOND)
        available = available // SECOND * SECOND
    chance = random.random()
    changed = later(random, available, until, 120) if chance < _CHANGED else None
    line_count = settings.items or random.choice(_USUAL_LINES)
    # a cancelled line is a change too
    # https://developer-docs.amazon.com/sp-api/reference/getpurchaseorders
    is_cancelled = chance < _CANCELLED and changed is not None and oddity != "negative"
    state, state_changed = _fate(random, available, until)
    settled = max(available, state_changed, changed or 0)
    updated = later(random, settled, until, 48) or settled
    return Sketch(
        index=index,
        number=number,
        placed=placed,
        available=available,
        changed=changed,
        state=state,
        state_changed=state_changed if state != "New" else placed,
        updated=updated if state != "New" else settled,
        vendor=random.randrange(3),
        warehouse=random.randrange(60),
        line_count=line_count,
        cancelled_count=random.randint(1, line_count) if is_cancelled else 0,
        is_imported=random.random() < _IMPORTED,
        has_zone=random.random() >= _WITHOUT_ZONE,
        oddity=oddity,
    )


def _fate(random: Random, available: int, until: int) -> tuple[str, int]:
    """Return the state that an order has reached by *until*, and since when."""
    age = until + DAY - available
    if age < _NEW_FOR or random.random() < _NEGLECTED:
        return "New", available
    acknowledged = later(random, available, until, 24)
    if acknowledged is None:
        return "New", available
    if age < _OPEN_FOR or random.random() < _LINGERING:
        return "Acknowledged", acknowledged
    closed = later(random, acknowledged + 4 * DAY, until, 13 * 24)
    return ("Acknowledged", acknowledged) if closed is None else ("Closed", closed)


def later(random: Random, moment: int, until: int, hours: float) -> int | None:
    """Return a whole second within *hours* after *moment*, or None if *until* is too soon."""
    later = moment + SECOND + int(random.random() * hours * 3600) * SECOND
    return later // SECOND * SECOND if later <= until else None


@lru_cache(maxsize=4096)  # every line of a status repeats the dates of its order
def write_instant(moment: int, *, has_zone: bool = True) -> str:
    """Write *moment* as Amazon does: a fraction only when there is one, a zone mostly.

    >>> write_instant(1_598_000_000_193_000)
    '2020-08-21T08:53:20.193Z'
    """
    text = (
        instant(moment)
        .replace(tzinfo=None)
        .isoformat(timespec="milliseconds" if moment % SECOND else "seconds")
    )
    return f"{text}Z" if has_zone else text
