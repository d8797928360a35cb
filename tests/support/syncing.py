"""A sync that runs on virtual time, over a simulator without sockets."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from fakes import EPOCH
from in_process import InProcess

from vendororders_async import Account, Limiters
from vendororders_async.jobs.course import Course
from vendororders_async.jobs.sync import Sync
from vendororders_async.simulator import Settings, Simulator
from vendororders_async.telemetry import Event

FEW = Settings(orders=30, days=20, latency=0.1)


class Scene(NamedTuple):
    """A simulator, a way to it without sockets, and a sync that runs."""

    simulator: Simulator
    transport: InProcess
    job: Sync
    running: asyncio.Task[None]
    path: Path
    told: list[Event]


class Source:
    """Accounts that a test changes, as somebody edits their file."""

    def __init__(self, accounts: Iterable[Account]) -> None:
        self.accounts = tuple(accounts)
        self.edited = False
        self.load_count = 0

    def load(self) -> tuple[Account, ...]:
        """Return them as they are now."""
        self.load_count += 1
        self.edited = False
        return self.accounts

    def has_changed(self) -> bool:
        """Say whether somebody edited them since."""
        return self.edited

    def edit(self, *accounts: Account) -> None:
        """Put *accounts* into the file."""
        self.accounts, self.edited = accounts, True


def on_virtual_time() -> Callable[[], datetime]:
    """Return a clock that goes with the running loop, and may be read in any thread."""
    loop = asyncio.get_running_loop()
    return lambda: EPOCH + timedelta(seconds=loop.time())


@asynccontextmanager
async def syncing(
    folder: Path,
    settings: Settings = FEW,
    *,
    source: Callable[[tuple[Account, ...]], Any] = tuple,
    limiters: Limiters | None = None,
    **course: Any,
) -> AsyncIterator[Scene]:
    """Sync the accounts of a simulator while the block lasts."""
    now = on_virtual_time()
    settings = msgspec.structs.replace(settings, anchor=now())
    simulator = Simulator(settings, now=now)
    async with InProcess(simulator) as transport:
        told: list[Event] = []
        job = Sync(
            source(transport.accounts),
            Course(**course),
            to=f"sqlite:{folder / 'orders.db'}",
            observer=told.append,
            transport=transport,
            limiters=limiters,
            now=transport.now,
        )
        running = asyncio.create_task(job.run())
        try:
            yield Scene(simulator, transport, job, running, folder / "orders.db", told)
        finally:
            job.stop()
            await asyncio.wait([running])


def rows(path: Path, statement: str) -> list[tuple[Any, ...]]:
    """Return what a reader with a connection of its own sees."""
    with closing(sqlite3.connect(path)) as reader:
        return reader.execute(statement).fetchall()


def stored(path: Path, account: str) -> dict[str, bytes]:
    """Return the documents of *account*."""
    found = rows(path, "SELECT account, purchase_order_number, document FROM purchase_orders")
    return {number: text.encode() for owner, number, text in found if owner == account}


def add_order(scene: Scene, number: str, *, age: timedelta = timedelta()) -> None:
    """Publish an order that was placed so long ago, as the first account's."""
    account = scene.simulator.accounts[0].name
    order = msgspec.json.decode(next(iter(scene.simulator.truth(account).values())))
    order["purchaseOrderNumber"], order["purchaseOrderState"] = number, "New"
    details = order["orderDetails"]
    placed_at = (scene.simulator.now() - age).isoformat()
    details["purchaseOrderDate"] = details["purchaseOrderStateChangedDate"] = placed_at
    details.pop("purchaseOrderChangedDate", None)
    scene.simulator.put_order(account, order)
