"""A day of requests at full pace, of an account and an operation, judged by a strict bucket.

The whole way of a call but the wire: the dispatcher, its places, its tokens and its limiter.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import datetime, timedelta

from fakes import an_account, virtual_now
from hold import Often, Record
from memory import grown_by
from memory_book import MemoryBook, MemoryServer
from multidict import CIMultiDict
from quick_loop import run

from vendororders_async.auth import AccessTokens
from vendororders_async.dispatch import Dispatcher
from vendororders_async.errors import RequestError
from vendororders_async.limiter import Gate, Limiters, Urgency
from vendororders_async.operations import GET_PURCHASE_ORDER, Call, GetPurchaseOrder
from vendororders_async.shared_limiter import Link, SharedGate
from vendororders_async.simulator.bucket import Bucket
from vendororders_async.transport import Answer, Pass, Transport
from vendororders_async.usage import UsagePlan

PLAN = GET_PURCHASE_ORDER.plan
CALL = Call(GET_PURCHASE_ORDER, GetPurchaseOrder(purchase_order_number="5ABC1236"))
HOUR = 3600.0
LATENCY = (0.05, 0.25)  # seconds
JITTER = 0.05  # seconds of it, on the way there
SENDERS = 8  # more than are under way at 10 a second
CLOSE = 0.001  # of what is granted
SAMPLE = 150.0  # seconds in which nothing is to grow
NOTHING = 150_000  # bytes after 1,500 requests: two dozen are under way
RATES = (2.0, 5.0, 10.0, 20.0)
FOLLOWS = 10.0  # seconds of the new rate that a change costs at most: a 429 is slowed for
RECOVERED = 120.0  # seconds after a storm

_ORDER = b'{"payload": {"purchaseOrderNumber": "5ABC1236", "purchaseOrderState": "New"}}'
_TOKEN = b'{"access_token": "Atza|x", "expires_in": 3600}'


class StrictAmazon(Transport):
    """Grants what its bucket has; everything gets a 429 while *storms*."""

    def __init__(self, chance: random.Random) -> None:
        super().__init__(limit=100)
        self._chance = chance
        self._time = asyncio.get_running_loop().time
        self.bucket = Bucket(rate=PLAN.rate, burst=PLAN.burst, at=self._time())
        self.granted_count = self.throttled_count = 0
        self.storms = False
        self._headers = self._told(PLAN.rate)

    def set_rate(self, rate: float) -> None:
        """Grant another rate from now on, and tell of it."""
        self.bucket.change(rate=rate, burst=PLAN.burst, at=self._time())
        self._headers = self._told(rate)

    async def exchange(
        self,
        method: str,
        url: str,  # noqa: ARG002 - there is one operation only
        *,
        headers: Mapping[str, str],  # noqa: ARG002 - and one account
        body: bytes | None = None,  # noqa: ARG002 - of a login
        may_pass: Pass | None = None,
    ) -> Answer:
        """Judge a request when it arrives, and answer a while later."""
        if method == "POST":
            return Answer(200, self._headers, _TOKEN)
        assert may_pass is not None
        await may_pass()
        way = self._chance.uniform(0, JITTER)
        await asyncio.sleep(way)
        is_granted = not self.storms and self.bucket.take(self._time())
        self.granted_count += is_granted
        self.throttled_count += not is_granted
        await asyncio.sleep(self._chance.uniform(*LATENCY) - way)
        return Answer(200, self._headers, _ORDER) if is_granted else Answer(429, {}, b"")

    @staticmethod
    def _told(rate: float) -> Mapping[str, str]:
        return CIMultiDict({"x-amzn-RateLimit-Limit": f"{rate}"})


@asynccontextmanager
async def sending(
    amazon: StrictAmazon, limiters: Limiters, now: Callable[[], datetime] = virtual_now
) -> AsyncIterator[None]:
    """Send for one account as fast as *limiters* let it, while the block lasts."""
    dispatcher = Dispatcher(
        amazon, AccessTokens(amazon), limiters, observer=lambda _event: None, now=now
    )
    account = an_account()

    async def send() -> None:
        while True:
            with suppress(RequestError):
                await dispatcher.send(account, CALL, urgency=Urgency.BULK)

    tasks = [asyncio.create_task(send()) for _ in range(SENDERS)]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def test_a_day_at_full_pace_does_not_drift(
    often: Often, chance: random.Random, figure: Record
) -> None:
    """Hour by hour Amazon grants the plan to a thousandth, and no 429; nothing grows."""
    hours = often(1, 24)

    async def main() -> tuple[list[int], int, int]:
        counts: list[int] = []
        amazon = StrictAmazon(chance)
        async with sending(amazon, Limiters()):
            for _ in range(hours):
                await asyncio.sleep(HOUR)
                counts.append(amazon.granted_count)
            grown = await grown_by(asyncio.sleep(SAMPLE))
        return counts, amazon.throttled_count, grown

    counts, throttled, grown = run(main())
    off = [n for n, one in enumerate(counts, 1) if not is_close(one, PLAN, HOUR * n)]
    figure(
        "Overload",
        "an hour at 10 requests a second; 429s, and a pace off by over 0.1 %",
        times=hours,
        orders=counts[-1],
        lost=throttled + len(off),
    )

    assert throttled == 0
    assert off == []
    assert grown < NOTHING


def is_close(count: int, plan: UsagePlan, seconds: float) -> bool:
    """Whether it is what the plan grants to a thousandth; a burst that is not used is none."""
    ideal = plan.rate * seconds
    return (1 - CLOSE) * ideal <= count <= ideal * (1 + CLOSE) + plan.burst


class _Clock:
    """Ours: it goes with the loop's, and can be set."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def now(self) -> datetime:
        return virtual_now() + self.ahead


def test_a_clock_that_is_set_does_not_touch_the_pace(
    often: Often, chance: random.Random, figure: Record
) -> None:
    """However often our clock jumps, by seconds or by years, there is no 429 and no pause."""
    minutes = often(15, 120)

    async def main() -> tuple[int, int]:
        clock, amazon = _Clock(), StrictAmazon(chance)
        async with sending(amazon, Limiters(), clock.now):
            for _ in range(minutes):
                clock.ahead = timedelta(
                    seconds=chance.choice((-1, 1)) * 10 ** chance.uniform(0, 8)
                )
                await asyncio.sleep(60)
        return amazon.granted_count, amazon.throttled_count

    count, throttled = run(main())
    figure(
        "Overload",
        "our clock is set at full pace; 429s and a pace off by over 0.1 %",
        times=minutes,
        orders=count,
        lost=throttled + (not is_close(count, PLAN, 60.0 * minutes)),
    )

    assert throttled == 0
    assert is_close(count, PLAN, 60.0 * minutes)


def test_a_rate_that_changes_is_followed_at_once(
    often: Often, chance: random.Random, figure: Record
) -> None:
    """A change costs ten seconds of the new rate at most, and the 429s of one round trip."""
    changes = often(4, 60)
    stretch = 200.0  # seconds

    async def main() -> list[tuple[float, int, int]]:
        found = []
        amazon, rate = StrictAmazon(chance), PLAN.rate
        async with sending(amazon, Limiters()):
            await asyncio.sleep(60)
            for _ in range(changes):
                rate = chance.choice([one for one in RATES if one != rate])
                amazon.set_rate(rate)
                granted, throttled = amazon.granted_count, amazon.throttled_count
                await asyncio.sleep(stretch)
                granted = amazon.granted_count - granted
                found.append((rate, granted, amazon.throttled_count - throttled))
        return found

    found = run(main())
    late = [one for one in found if abs(one[1] / one[0] - stretch) > FOLLOWS]
    figure(
        "Overload",
        "Amazon grants another rate; over 10 s of it lost",
        times=changes,
        orders=sum(granted for _, granted, _ in found),
        lost=len(late),
    )

    assert late == []
    assert max(throttled for _, _, throttled in found) <= SENDERS


def test_a_storm_of_429s_ends_in_full_pace(
    often: Often, chance: random.Random, figure: Record
) -> None:
    """A storm is met with a few requests a minute; two minutes after it the pace is whole."""
    storms = often(3, 40)

    async def main() -> list[tuple[float, int, int]]:
        found = []
        amazon = StrictAmazon(chance)
        async with sending(amazon, Limiters()):
            await asyncio.sleep(60)
            for _ in range(storms):
                before, seconds = amazon.throttled_count, chance.uniform(10, 600)
                amazon.storms = True
                await asyncio.sleep(seconds)
                amazon.storms = False
                await asyncio.sleep(RECOVERED)
                throttled, granted = amazon.throttled_count - before, amazon.granted_count
                await asyncio.sleep(60)
                found.append((seconds, throttled, amazon.granted_count - granted))
                assert amazon.throttled_count == before + throttled
        return found

    found = run(main())
    whole = round(60 * PLAN.rate)
    slow = [one for one in found if not whole - 3 <= one[2] <= whole + 3]
    figure(
        "Overload",
        "a storm of 429s; pace not whole 2 min after it",
        times=storms,
        orders=sum(granted for _, _, granted in found),
        lost=len(slow),
    )

    assert slow == []
    assert max(throttled - seconds / 20 for seconds, throttled, _ in found) <= 2 * SENDERS


class _Shared(Limiters):
    """The limiters of a process that shares its pace with others."""

    def __init__(self, link: Link) -> None:
        super().__init__()
        self._link = link

    def make(self, name: str, plan: UsagePlan) -> Gate:
        return SharedGate(name, plan, self._link)


def test_a_pace_that_three_share_does_not_drift(
    often: Often, chance: random.Random, figure: Record
) -> None:
    """Three processes on one plan have, together and hour by hour, the pace of one."""
    stretches, stretch = often(1, 6), 600.0  # seconds

    async def main() -> tuple[list[int], int, int]:
        counts: list[int] = []
        amazon, server = StrictAmazon(chance), MemoryServer()
        server.latency = 0.002
        async with AsyncExitStack() as stack:
            for _ in range(3):
                link = Link(MemoryBook(server), "redis://test")
                link.open()
                stack.push_async_callback(link.close)
                await stack.enter_async_context(sending(amazon, _Shared(link)))
            for _ in range(stretches):
                await asyncio.sleep(stretch)
                counts.append(amazon.granted_count)
            grown = await grown_by(asyncio.sleep(SAMPLE))
        return counts, amazon.throttled_count, grown

    counts, throttled, grown = run(main())
    off = [n for n, one in enumerate(counts, 1) if not is_close(one, PLAN, stretch * n)]
    figure(
        "Overload",
        "ten minutes at 10 requests a second of three processes; 429s, and a pace off by "
        "over 0.1 %",
        times=stretches,
        orders=counts[-1],
        lost=throttled + len(off),
    )

    assert throttled == 0
    assert off == []
    assert grown < NOTHING
