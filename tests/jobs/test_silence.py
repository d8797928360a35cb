"""Amazon says nothing for a while: how long is waited, and for how long that is remembered.

On virtual time, without sockets.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from math import inf

import msgspec
import pytest
import quick_loop
from fakes import virtual_clock
from in_process import InProcess
from memory_sink import MemorySink

from vendororders_async.jobs.backfill import Backfill
from vendororders_async.jobs.reading import Reading
from vendororders_async.simulator import Settings, Simulator
from vendororders_async.telemetry import Event, WindowFailed, WindowFinished

MINUTE = 60.0
BACK = 2 * MINUTE  # longer than between two tries of what was under way
FIRST = 3  # windows
FOR_EVER = 10**9

WAYS = [("getPurchaseOrders", "inline"), ("getPurchaseOrder", "fan-out")]


class Told(msgspec.Struct):
    """How many windows failed before Amazon was down again and after, or were read after."""

    failed_before: int = 0
    failed_after: int = 0
    finished_count: int = 0
    finished_after: int = 0
    was_down_again: bool = False
    seconds: float = 0.0


def read(operation: str, details: str, *, comes_back: bool) -> Told:
    """Read nearly a year of orders; *operation* is down from the third window on.

    If it *comes back*, when the first is lost, it is soon down again for five minutes.
    """

    async def main() -> Told:
        loop, now, told = asyncio.get_running_loop(), virtual_clock(), Told()
        began_at, down = loop.time(), [inf, inf]  # since when, and until when
        settings = Settings(orders=150, days=330, rate=0.2, burst=2, anchor=now())
        simulator = Simulator(settings, now=now)

        def down_again() -> None:
            told.was_down_again = True
            down[:] = loop.time(), loop.time() + 5 * MINUTE

        def observe(event: Event) -> None:
            if isinstance(event, WindowFailed):
                told.failed_before += not told.was_down_again
                told.failed_after += told.was_down_again
                if comes_back and down[1] == inf:
                    down[1] = loop.time()
                    loop.call_later(BACK, down_again)
            elif isinstance(event, WindowFinished):
                told.finished_count += 1
                told.finished_after += told.was_down_again and loop.time() > down[1]
                if told.finished_count == FIRST:
                    down[0] = loop.time()

        simulator.inject(
            operation, "503", times=FOR_EVER, when=lambda _: down[0] <= loop.time() < down[1]
        )
        transport, end = InProcess(simulator), now() - timedelta(days=10)
        reading = Reading(
            since=end - timedelta(days=320), until=end, streams=["created"], details=details
        )
        await Backfill(
            transport.accounts,
            reading,
            to=MemorySink(now=now),
            observer=observe,
            transport=transport,
            now=now,
        ).run()
        told.seconds = loop.time() - began_at
        return told

    return quick_loop.run(main())


@pytest.mark.parametrize(("operation", "details"), WAYS)
def test_who_is_silent_is_waited_for_once(operation: str, details: str) -> None:
    """A quarter of an hour, and not again for each window or order."""
    told = read(operation, details, comes_back=False)

    assert told.failed_before
    assert told.seconds < 60 * MINUTE


@pytest.mark.parametrize(("operation", "details"), WAYS)
def test_who_speaks_again_is_waited_for_as_before(operation: str, details: str) -> None:
    """A second time without an answer, shorter than the patience, costs nothing."""
    told = read(operation, details, comes_back=True)

    assert told.failed_before
    assert told.finished_after
    assert told.failed_after == 0
