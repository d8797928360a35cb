"""Does the limiter follow what Amazon grants? ``python -m benchmarks.bench_limiter``.

Against the simulator in this process and in real time, at 10 requests a second and burst
10: in mid-run the rate is cut to 4, in another run raised to 20. Amazon tells its rate in
its answers only, so the requests on their way by then are at risk of a 429.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

import msgspec

from vendororders_async import clock
from vendororders_async.auth import AccessTokens
from vendororders_async.dispatch import Dispatcher
from vendororders_async.limiter import Limiters, Urgency
from vendororders_async.operations import CREATED
from vendororders_async.simulator import Settings, Simulator
from vendororders_async.testing import accounts_of
from vendororders_async.transport import Transport
from vendororders_async.windows import Window

from .report import Figure, arguments, report

LATENCY = (0.1, 0.4)
IN_FLIGHT = 30
BEFORE, AFTER = 8.0, 12.0  # seconds at the old rate, and at the new one
THROTTLED_LIMIT = 5.0  # per cent of all requests
FOLLOWS_LIMIT = 5.0  # seconds until the new rate is used
USED = 0.9  # of the rate granted


class Sent(msgspec.Struct, frozen=True):
    """One run: when each request arrived after the change, and how many met a 429."""

    arrivals: tuple[float, ...]
    throttled: int
    count: int

    @property
    def percent_throttled(self) -> float:
        """How many of a hundred requests were refused."""
        return 100 * self.throttled / self.count

    def seconds_until(self, rate: float) -> float:
        """Return after how long a second is over that brought *rate* requests."""
        size = round(rate)
        after = [at for at in self.arrivals if at >= 0]
        starts = zip(after, after[size - 1 :], strict=False)
        return next((end for start, end in starts if end - start <= 1), AFTER)


def main(given: Sequence[str] | None = None) -> bool:
    """Measure and print; return whether all is within its limits."""
    options = arguments(__doc__ or "", given, rounds=3)
    cuts, raises = (
        [asyncio.run(_run(rate)) for _ in range(options.rounds)] for rate in (4.0, 20.0)
    )
    return report(
        f"The limiter, when 10/s becomes another rate; {LATENCY[0]:g} to {LATENCY[1]:g} s",
        [
            Figure(
                "cut to 4/s: throttled",
                "%",
                [one.percent_throttled for one in cuts],
                THROTTLED_LIMIT,
            ),
            Figure(
                "cut to 4/s: rate in the end",
                "/s",
                [_last_rate(one) for one in cuts],
            ),
            Figure(
                f"raised to 20/s: until {USED:.0%} is used",
                "s",
                [one.seconds_until(20 * USED) for one in raises],
                FOLLOWS_LIMIT,
            ),
            Figure(
                "raised to 20/s: throttled",
                "%",
                [one.percent_throttled for one in raises],
                THROTTLED_LIMIT,
            ),
        ],
        as_json=options.json,
    )


def _last_rate(sent: Sent) -> float:
    """Return the pace of the last five seconds."""
    return sum(at >= AFTER - 5 for at in sent.arrivals) / 5


async def _run(rate: float) -> Sent:
    """Send as fast as the limiter lets, with the plan changed to *rate* on the way."""
    simulator = Simulator(Settings(orders=200, days=30, latency=LATENCY, keep_arrivals=True))
    async with _sending(simulator):
        await asyncio.sleep(BEFORE)
        simulator.set_rate(rate)
        changed_at = asyncio.get_running_loop().time()
        await asyncio.sleep(AFTER)
    arrivals = [one for one in simulator.traffic.arrivals if one.operation != "token"]
    return Sent(
        arrivals=tuple(one.at - changed_at for one in arrivals if one.status == 200),  # noqa: PLR2004 - HTTP
        throttled=simulator.traffic.throttled(),
        count=len(arrivals),
    )


@asynccontextmanager
async def _sending(simulator: Simulator) -> AsyncIterator[None]:
    """Keep requests in flight for as long as the block lasts."""
    async with simulator.serve() as served, Transport() as transport:
        [account] = accounts_of(served)
        dispatcher = Dispatcher(
            transport, AccessTokens(transport), Limiters(), observer=lambda _event: None
        )
        until = clock.now() - timedelta(days=3)
        call = CREATED.call(Window.covering(until - timedelta(days=1), until))

        async def send() -> None:
            while True:
                await dispatcher.send(account, call, urgency=Urgency.BULK)

        senders = [asyncio.create_task(send()) for _ in range(IN_FLIGHT)]
        try:
            yield
        finally:
            for sender in senders:
                sender.cancel()
            await asyncio.wait(senders)


if __name__ == "__main__":
    sys.exit(not main())
