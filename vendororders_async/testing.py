"""A pytest fixture: Amazon on a free port of this machine, for your own tests.

.. code-block:: python

    async def test_my_import(vendororders_simulator):
        account = vendororders_simulator.account
        async with VendorOrdersClient(account) as client:
            ...
        assert vendororders_simulator.simulator.traffic.throttled() == 0

It comes with ``pip install "vendororders-async[testing]"`` and needs no import. What it
imitates, what it does not, and how it is told to fail is promised in the docstring of
`vendororders_async.simulator`. It has about 200 orders of 30 days and grants 500 requests a
second; another fixture of yours changes that:

.. code-block:: python

    @pytest.fixture
    def vendororders_simulator_settings():
        return Settings(orders=2_000, rate=10, burst=10, faults={"503": 0.01})

The simulator answers from a thread and a loop of its own, so that tests with and without
asyncio can use it alike, also what they start in other processes. Change it (`put_order`,
`inject`) while no request is under way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from .accounts import Account, Credentials

if TYPE_CHECKING:
    from .simulator import Served, Settings, Simulator

# Every pytest run of the environment imports this module, so it imports little itself.


class SimulatedAmazon(NamedTuple):
    """A running simulator, where it is, and the accounts it knows."""

    simulator: Simulator
    accounts: tuple[Account, ...]
    url: str

    @property
    def account(self) -> Account:
        """The first of the accounts; mostly there is only one."""
        return self.accounts[0]

    @property
    def env(self) -> dict[str, str]:
        """The environment with which a process uses the first account."""
        credentials = self.account.credentials
        return {
            "LWA_APP_ID": credentials.client_id,
            "LWA_CLIENT_SECRET": credentials.client_secret,
            "SP_API_REFRESH_TOKEN": credentials.refresh_token,
            "SP_API_ENDPOINT": self.url,
            "LWA_ENDPOINT": self.account.login_url,
        }


@pytest.fixture
def vendororders_simulator_settings() -> Settings:
    """What the simulator is made of; override it to have another."""
    from .simulator import Settings  # noqa: PLC0415 - see above

    return Settings(orders=200, days=30, rate=500.0, burst=500.0)


@pytest.fixture
def vendororders_simulator(
    vendororders_simulator_settings: Settings,
) -> Iterator[SimulatedAmazon]:
    """Run a simulator on a free port for as long as the test lasts."""
    from .simulator import Simulator  # noqa: PLC0415 - see above

    with running(Simulator(vendororders_simulator_settings)) as amazon:
        yield amazon


@contextmanager
def running(simulator: Simulator, *, port: int = 0) -> Iterator[SimulatedAmazon]:
    """Let *simulator* answer, from a thread of its own, until the block is left.

    Port 0 is any free one.

    with running(Simulator(Settings(orders=50))) as amazon:
        requests.get(amazon.url)
    """
    started: Future[_Started] = Future()

    async def serve() -> None:
        loop, leave = asyncio.get_running_loop(), asyncio.Event()
        async with simulator.serve(port=port) as served:
            started.set_result(_Started(served, lambda: loop.call_soon_threadsafe(leave.set)))
            await leave.wait()

    with ThreadPoolExecutor(1, thread_name_prefix="vendororders-simulator") as thread:
        ended = thread.submit(asyncio.run, serve())
        either: list[Future[Any]] = [started, ended]
        wait(either, return_when=FIRST_COMPLETED)
        if ended.done():  # it could not listen
            ended.result()
        served, stop = started.result()
        try:
            yield SimulatedAmazon(simulator, accounts_of(served), served.url)
        finally:
            stop()
            ended.result()


def accounts_of(served: Served) -> tuple[Account, ...]:
    """Return the accounts of a running simulator as the client wants them."""
    return tuple(
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
    )


class _Started(NamedTuple):
    served: Served
    stop: Callable[[], object]
