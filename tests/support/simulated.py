"""Accounts of a running simulator, and what it knows to be true, in the client's terms."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from vendororders_async.accounts import Account, Credentials
from vendororders_async.simulator import Served, Settings, Simulator

NOW = datetime(2026, 6, 15, 12, 0, 30, tzinfo=UTC)
UNTIL = NOW - timedelta(days=10)
SINCE = UNTIL - timedelta(days=60)

# Fast enough that tests of other things than pace do not wait for it
QUICK = Settings(orders=900, days=120, rate=500.0, burst=500.0)


def now() -> datetime:
    """Return the present of the simulated world, which does not move."""
    return NOW


def accounts_of(served: Served) -> list[Account]:
    """Return the simulator's accounts as the client wants them."""
    return [
        Account(
            name=one.name,
            credentials=Credentials(
                client_id=one.client_id,
                client_secret=one.client_secret,
                refresh_token=one.refresh_token,
            ),
            endpoint=served.url,
            token_url=f"{served.url}/auth/o2/token",
        )
        for one in served.accounts
    ]


@asynccontextmanager
async def simulation(
    settings: Settings = QUICK,
) -> AsyncIterator[tuple[Simulator, list[Account]]]:
    """Serve a simulator whose present is `NOW`, with the accounts to use it."""
    simulator = Simulator(settings, now=now)
    async with simulator.serve() as served:
        yield simulator, accounts_of(served)
