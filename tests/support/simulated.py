"""Accounts of a running simulator, and what it knows to be true, in the client's terms."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from vendororders_async.accounts import Account
from vendororders_async.simulator import Settings, Simulator
from vendororders_async.testing import accounts_of

__all__ = ["NOW", "QUICK", "SINCE", "UNTIL", "accounts_of", "now", "simulation"]

NOW = datetime(2026, 6, 15, 12, 0, 30, tzinfo=UTC)
UNTIL = NOW - timedelta(days=10)
SINCE = UNTIL - timedelta(days=60)

# Fast enough that tests of other things than pace do not wait for it
QUICK = Settings(orders=900, days=120, rate=500.0, burst=500.0)


def now() -> datetime:
    """Return the present of the simulated world, which does not move."""
    return NOW


@asynccontextmanager
async def simulation(
    settings: Settings = QUICK,
) -> AsyncIterator[tuple[Simulator, list[Account]]]:
    """Serve a simulator whose present is `NOW`, with the accounts to use it."""
    simulator = Simulator(settings, now=now)
    async with simulator.serve() as served:
        yield simulator, list(accounts_of(served))
