"""Orders on paper, for `simulation`: when they are placed, in the ways that vendors see.

>>> history = HISTORIES[0]
>>> history.title, len(history.orders(seed=1))
('7 days, 10,000 orders, evenly', 10000)
"""

from __future__ import annotations

import random
from collections.abc import Callable
from random import Random

import msgspec

from .simulation import Order

HOUR, DAY = 3600.0, 86400.0

_LATE = 0.03  # of all orders are not to be had before some hours after they were placed
_LATE_BY = (1 * HOUR, 30 * HOUR)
# Most is ordered on Mondays, hardly anything at weekends, and nothing in the night: the
# simulator's rhythm. A history begins on a Monday.
_WEIGHTS = (3.2, 1.6, 1.4, 1.2, 1.0, 0.06, 0.04)

Placing = Callable[[Random, int, int], list[float]]  # of so many days, and so many orders


class History(msgspec.Struct, frozen=True):
    """So many orders in so many days, spread in some way."""

    spread: str
    days: int
    count: int
    placing: Placing

    @property
    def title(self) -> str:
        """What it is, in words."""
        return f"{self.days} days, {self.count:,} orders, {self.spread}"

    def orders(self, seed: int) -> list[Order]:
        """Return the orders, which are others for another *seed*."""
        rng = random.Random(f"{self.spread} {seed}")  # whose hash is the same in every run
        placed = map(int, self.placing(rng, self.days, self.count))
        numbers = rng.sample(range(self.count), self.count)
        last = self.days * DAY - 1
        return [
            (min(at + _late_by(rng), last), float(at), f"{number:08}")
            for at, number in zip(placed, numbers, strict=True)
        ]


def _late_by(rng: Random) -> float:
    """Return how long after its placing an order appears; mostly at once."""
    return float(int(rng.uniform(*_LATE_BY))) if rng.random() < _LATE else 0.0


def _evenly(rng: Random, days: int, count: int) -> list[float]:
    return [rng.uniform(0, days * DAY - 1) for _ in range(count)]


def _weekly(rng: Random, days: int, count: int) -> list[float]:
    weights = [_WEIGHTS[day % 7] for day in range(days)]
    return [day * DAY + _hour(rng) for day in rng.choices(range(days), weights, k=count)]


def _mondays(rng: Random, days: int, count: int) -> list[float]:
    rest = count // 20
    mondays = range(0, days, 7)
    return _weekly(rng, days, rest) + [
        rng.choice(mondays) * DAY + rng.uniform(6 * HOUR, 9 * HOUR) for _ in range(count - rest)
    ]


def _peak(rng: Random, days: int, count: int) -> list[float]:
    peak = days // 2 * DAY
    in_second, in_day = count // 10, count // 2
    crowd = [peak + 12 * HOUR] * in_second
    day = [peak + _hour(rng) for _ in range(in_day)]
    return crowd + day + _weekly(rng, days, count - in_second - in_day)


def _one_day(rng: Random, days: int, count: int) -> list[float]:
    return [days // 2 * DAY + _hour(rng) for _ in range(count)]


def _hour(rng: Random) -> float:
    return rng.triangular(4 * HOUR, 22 * HOUR, 9 * HOUR)


EVEN_WEEK = History("evenly", 7, 10_000, _evenly)
WEEK = History("by the rhythm of a week", 7, 10_000, _weekly)
MONDAYS = History("95 % in Monday batches", 180, 20_000, _mondays)
PEAK = History("60 % in a day, 10 % in a second", 180, 20_000, _peak)
ONE_DAY = History("all in one day", 180, 20_000, _one_day)
HISTORIES = (EVEN_WEEK, WEEK, MONDAYS, PEAK, ONE_DAY)
