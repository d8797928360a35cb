"""What becomes of orders from now on: an endless plan for each account, drawn from the seed.

It is made without looking at any document, so that it is the same whatever is asked
meanwhile; `turns` says what each of its entries does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Literal

import msgspec

from .calls import RETAIL, Api
from .direct_orders import DirectSketch, new_direct_sketch
from .seeds import seeded
from .timeline import HOUR, SECOND, Sketch, new_number, new_sketch

if TYPE_CHECKING:
    from random import Random

    from .settings import Settings
    from .world import Record

Turn = Literal[
    "created",
    "created-late",  # with a date that lies days back
    "changed",  # a quantity, the window, a cost, or a line more
    "cancelled-line",
    "acknowledged",  # as by a person in Vendor Central
    "partly-received",
    "received",
    "closed",
    "accepted",  # this and what follows: an order of Direct Fulfillment
    "shipped",
    "cancelled",
]

Fate = list[tuple[float, Turn]]  # after how many hours what happens

# 16 to 20 September 2021 took days: amzn/selling-partner-api-docs issue 1416
_LATE_BY = (1.0, 120.0)  # hours

# Hours; nothing changes any more once goods arrive, a day after the answer at the earliest.
_CHANGES_FOR = 24.0
_ANSWERED_AFTER = (0.2, 24.0)
_DELIVERED_AFTER = (48.0, 240.0)  # from the answer
_CLOSED_AFTER = (6.0, 120.0)  # from then
_CHANGED_AGAIN = 0.35
_NEGLECTED = 0.01  # never acknowledged
_IN_PARTS = 0.5
_ACCEPTED_AFTER = (0.5, 12.0)
_SHIPPED_AFTER = (6.0, 36.0)  # from then


class Planned(msgspec.Struct, frozen=True, order=True, kw_only=True):
    """Something that is to happen to an order *at* a moment, in microseconds since 1970.

    *outline* is that of a new order, *seed* draws what else is open about it.
    """

    at: int
    number: str
    step: int
    kind: Turn
    seed: int = 0
    outline: Sketch | DirectSketch | None = None


def planned(
    settings: Settings, account: str, api: Api, history: Iterable[Record], start: int
) -> Iterator[Planned]:
    """Yield what happens after *start* to the orders of *history* and to new ones, in order.

    Nothing does unless orders arrive.
    """
    is_retail = api == RETAIL
    rate = settings.arrivals_an_hour if is_retail else settings.direct_arrivals_an_hour
    if not rate:
        return
    random = seeded(settings.seed, account, api, "life")
    fate = retail_fate if is_retail else direct_fate
    heap: list[Planned] = []
    for record in history:
        since = max(start, record.available, record.updated)
        if record.available > start:  # the rest of the history's last day
            first = Planned(at=record.available, number=record.number, step=0, kind="created")
            heappush(heap, first)
        ahead = fate(random, settings, record.state)
        for one in _dated(random, settings.life_speed, since, record.number, ahead):
            heappush(heap, one)
    for birth in _births(random, settings, is_retail=is_retail, rate=rate, start=start):
        while heap and heap[0] < birth:
            yield heappop(heap)
        yield birth
        ahead = fate(random, settings, "New" if is_retail else "NEW")
        for one in _dated(random, settings.life_speed, birth.at, birth.number, ahead):
            heappush(heap, one)


def retail_fate(random: Random, settings: Settings, state: str) -> Fate:
    """Return what becomes of a retail order in *state*."""
    if state == "Closed":
        return []
    answered = random.uniform(*_ANSWERED_AFTER) if state == "New" else 0.0
    delivered = answered + random.uniform(*_DELIVERED_AFTER)
    fate: Fate = []
    if random.random() < settings.changed_share:
        fate.append((random.uniform(0, _CHANGES_FOR), "changed"))
        while random.random() < _CHANGED_AGAIN:
            fate.append((random.uniform(0, _CHANGES_FOR), "changed"))
    if random.random() < settings.cancelled_share:
        fate.append((random.uniform(0, _CHANGES_FOR), "cancelled-line"))
    if state == "New":
        if random.random() < _NEGLECTED:
            return fate
        fate.append((answered, "acknowledged"))
    if random.random() < _IN_PARTS:
        half = answered + (delivered - answered) * random.uniform(0.5, 0.9)
        fate.append((half, "partly-received"))
    closed = delivered + random.uniform(*_CLOSED_AFTER)
    return [*fate, (delivered, "received"), (closed, "closed")]


def direct_fate(random: Random, settings: Settings, state: str) -> Fate:
    """Return what becomes of a Direct Fulfillment order in *state*."""
    if state in {"SHIPPED", "CANCELLED"}:
        return []
    accepted = random.uniform(*_ACCEPTED_AFTER) if state == "NEW" else 0.0
    shipped = accepted + random.uniform(*_SHIPPED_AFTER)
    fate: Fate = [(accepted, "accepted"), (shipped, "shipped")]
    if random.random() < settings.cancelled_share:
        fate.append((random.uniform(0, shipped), "cancelled"))
    return fate


def _dated(
    random: Random, speed: float, since: int, number: str, fate: Fate
) -> Iterator[Planned]:
    """Yield *fate* with its moments, in the order in which it comes to pass."""
    for step, (hours, kind) in enumerate(sorted(fate), 1):
        at = since + int(hours * HOUR / speed)
        seed = random.getrandbits(32)
        yield Planned(at=at, number=number, step=step, kind=kind, seed=seed)


def _births(
    random: Random, settings: Settings, *, is_retail: bool, rate: float, start: int
) -> Iterator[Planned]:
    """Yield new orders for ever, *rate* an hour, some of them with a date of days ago."""
    index = settings.orders if is_retail else settings.direct_fulfillment_orders
    sketch = new_sketch if is_retail else new_direct_sketch
    at = start
    while True:
        at += 1 + int(random.expovariate(rate) * HOUR)
        is_late = random.random() < settings.late_share
        late_by = int(random.uniform(*_LATE_BY) * HOUR) if is_late else 0
        outline = sketch(
            random,
            settings,
            index=index,
            number=new_number(random, index),
            placed=(at - late_by) // SECOND * SECOND,
        )
        yield Planned(
            at=at,
            number=outline.number,
            step=0,
            kind="created-late" if is_late else "created",
            outline=outline,
        )
        index += 1
