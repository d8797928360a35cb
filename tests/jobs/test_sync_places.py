"""Places: how far a consumer is with each account and API, whoever else writes to the sink."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager, closing
from datetime import timedelta
from itertools import count
from pathlib import Path

import msgspec
import pytest
import virtual_time
from amazons_side import an_order
from fakes import EPOCH
from in_process import InProcess
from shop import an_order as a_customers_order

from vendororders_async import Account, watch
from vendororders_async.jobs.course import Course
from vendororders_async.jobs.sync import Sync
from vendororders_async.operations import api_named
from vendororders_async.simulator import Settings, Simulator

TWO = Settings(orders=12, days=5, accounts=2, latency=0.1, direct_fulfillment_orders=12)
RETAIL = Course(once=True)
DIRECT = Course(api=api_named("direct-fulfillment"), once=True)

# What each of two follows: other accounts, or the same ones in another API
Pair = Callable[[Sequence[Account]], list[tuple[Sequence[Account], Course]]]
PAIRS: dict[str, Pair] = {
    "accounts": lambda accounts: [(accounts[:1], RETAIL), (accounts[1:], RETAIL)],
    "APIs": lambda accounts: [(accounts, RETAIL), (accounts, DIRECT)],
}


class Office:
    """A sink that several syncs write to, and all of their consumers are called "erp"."""

    def __init__(self, transport: InProcess, path: Path) -> None:
        self.transport = transport
        self.to = f"sqlite:{path}"
        self._path = path
        self._numbers = count(1)

    async def follow(self, accounts: Sequence[Account], course: Course) -> list[int]:
        """Sweep everything once, and return the numbers of what was told."""
        job = Sync(
            accounts, course, to=self.to, transport=self.transport, now=self.transport.now
        )
        running = asyncio.create_task(job.run())
        told = [one.sequence async for batch in job.changes(consumer="erp") for one in batch]
        await running
        return told

    def arrive(self) -> None:
        """Let an order of either kind arrive at each account."""
        simulator = self.transport.simulator
        for account in self.transport.accounts:
            number, now = f"N{next(self._numbers):07}", simulator.now()
            simulator.put_order(account.name, an_order(number, now), available_at=now)
            simulator.put_direct_fulfillment_order(
                account.name, a_customers_order(number, now), available_at=now
            )

    def recorded(self, accounts: Sequence[Account], course: Course) -> list[int]:
        """Return the numbers of what was recorded of them, in order."""
        names = {account.name for account in accounts}
        with closing(sqlite3.connect(self._path)) as reader:
            found = reader.execute("SELECT sequence, account, api FROM changes ORDER BY 1")
            return [
                sequence
                for sequence, account, api in found
                if account in names and api == course.api.name
            ]


@asynccontextmanager
async def office(folder: Path) -> AsyncIterator[Office]:
    """Open a sink, and a way to two accounts on virtual time."""
    loop = asyncio.get_running_loop()
    settings = msgspec.structs.replace(TWO, anchor=EPOCH)
    simulator = Simulator(settings, now=lambda: EPOCH + timedelta(seconds=loop.time()))
    async with InProcess(simulator) as transport:
        yield Office(transport, folder / "orders.db")


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("together", [True, False], ids=["together", "alternately"])
def test_two_syncs_on_one_sink_each_get_their_own(
    tmp_path: Path, pair: str, *, together: bool
) -> None:
    """All of it once, and none of the other's, under one name and whoever goes first."""

    async def main() -> None:
        async with office(tmp_path) as shared:
            both = PAIRS[pair](shared.transport.accounts)
            told: list[list[int]] = [[], []]
            for _ in range(3):
                if together:
                    some = await asyncio.gather(*(shared.follow(*one) for one in both))
                else:
                    some = [await shared.follow(*one) for one in both]
                for all_of_one, new in zip(told, some, strict=True):
                    all_of_one.extend(new)
                shared.arrive()
                await asyncio.sleep(600)
            recorded = [shared.recorded(*one) for one in both]

        assert all(len(one) > TWO.orders for one in recorded)
        assert told == recorded

    virtual_time.run(main())


@pytest.mark.parametrize("pair", PAIRS)
def test_what_one_left_behind_is_told_by_its_next_run(tmp_path: Path, pair: str) -> None:
    """Also when the other was told of all that is its own in between."""

    async def main() -> None:
        async with office(tmp_path) as shared:
            first, second = PAIRS[pair](shared.transport.accounts)
            seen: list[int] = []
            watching = watch(
                first[0], to=shared.to, consumer="erp", transport=shared.transport, once=True
            )
            async with aclosing(watching) as changes:
                async for change in changes:
                    seen.append(change.sequence)
                    if len(seen) == 5:
                        break
            others = await shared.follow(*second)
            rest = await shared.follow(*first)

        recorded = shared.recorded(*first)
        assert others == shared.recorded(*second)
        assert seen == recorded[:5]
        # the one at which it left comes again, and so do those before it of another account
        assert sorted({*seen, *rest}) == recorded
        assert rest == sorted(set(rest))

    virtual_time.run(main())
