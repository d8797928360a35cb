"""The pytest fixture that we offer, from asyncio and without it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from vendororders_async import NotFound, VendorOrdersClient, testing
from vendororders_async.simulator import Settings, Simulator
from vendororders_async.testing import SimulatedAmazon, running

# As the plugin would offer them, whether it is installed or not
vendororders_simulator = testing.vendororders_simulator
vendororders_simulator_settings = testing.vendororders_simulator_settings

THEIR_TESTS = """
import asyncio
import pytest
from vendororders_async import VendorOrdersClient
from vendororders_async.simulator import Settings

@pytest.fixture
def vendororders_simulator_settings():
    return Settings(orders=7, days=30, accounts=2)

def test_of_theirs(vendororders_simulator):
    async def main():
        async with VendorOrdersClient(vendororders_simulator.accounts[1]) as client:
            number = next(iter(vendororders_simulator.simulator.truth("demo-2")))
            await client.retail.get_purchase_order(number)
    asyncio.run(main())
"""


async def test_an_async_test_uses_it_from_its_own_loop(
    vendororders_simulator: SimulatedAmazon,
) -> None:
    """What the test puts there, its client finds, and its traffic is counted."""
    simulator = vendororders_simulator.simulator
    simulator.put_order(
        "demo",
        {
            "purchaseOrderNumber": "MYORDER1",
            "purchaseOrderState": "New",
            "orderDetails": {"purchaseOrderDate": "2026-01-01T00:00:00Z", "items": []},
        },
    )
    simulator.inject("getPurchaseOrder", "429")
    async with VendorOrdersClient(vendororders_simulator.account) as client:
        order = (await client.retail.get_purchase_order("MYORDER1")).payload
        with pytest.raises(NotFound):
            await client.retail.get_purchase_order("NOTMINE1")

    assert order is not None
    assert order.purchase_order_state == "New"
    assert simulator.traffic.token_requests == 1
    assert simulator.traffic.throttled() == 1


def test_a_sync_test_uses_it_as_well(vendororders_simulator: SimulatedAmazon) -> None:
    """It answers while the test blocks, also in several loops one after the other."""
    amazon = vendororders_simulator
    with pytest.raises(HTTPError, match="403"):
        urlopen(f"{amazon.url}/vendor/orders/v1/purchaseOrders")  # noqa: S310 - loopback

    async def get(number: str) -> str:
        async with VendorOrdersClient(amazon.account) as client:
            order = (await client.retail.get_purchase_order(number)).payload
            assert order is not None
            return order.purchase_order_number

    numbers = list(amazon.simulator.truth("demo"))[:2]

    assert [asyncio.run(get(number)) for number in numbers] == numbers


def test_nothing_is_left_when_the_test_is_over() -> None:
    """The thread is gone, and the port closed."""
    with running(Simulator(Settings(orders=1))) as amazon:
        names = {thread.name for thread in threading.enumerate()}
        assert any(name.startswith("vendororders-simulator") for name in names)
        assert repr(amazon.account.credentials).count("***") == 2

    names = {thread.name for thread in threading.enumerate()}
    assert not any(name.startswith("vendororders-simulator") for name in names)
    with pytest.raises(OSError, match="refused"):
        urlopen(amazon.url)  # noqa: S310 - loopback


def test_a_simulator_that_cannot_listen_says_why() -> None:
    """The error comes out in the test, which does not hang."""
    simulator = Simulator(Settings(orders=1))
    with running(simulator) as amazon:
        taken = int(amazon.url.rpartition(":")[2])
        with (
            pytest.raises(OSError, match="address already in use"),
            running(simulator, port=taken),
        ):
            pass


def test_their_tests_need_no_import(tmp_path: Path) -> None:
    """As a plugin, it is found by the fixture's name, and its settings can be overridden."""
    (tmp_path / "test_theirs.py").write_text(THEIR_TESTS)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "vendororders_async.testing"],
        cwd=tmp_path,
        env=os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert "1 passed" in done.stdout
    assert done.returncode == 0


def test_the_plugin_is_light() -> None:
    """Every pytest run of the environment loads it."""
    code = "import sys, vendororders_async.testing; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout.split()

    assert not {"aiohttp", "tenacity", "vendororders_async.simulator"} & set(loaded)
