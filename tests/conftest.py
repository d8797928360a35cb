"""Guard rails for every test: nothing leaves the machine, nothing blocks the loop."""

from __future__ import annotations

import ipaddress
import sys
from collections.abc import Iterator

import pytest
from blockbuster import BlockBuster, blockbuster_ctx


def _only_loopback(event: str, arguments: tuple[object, ...]) -> None:
    if event != "socket.connect":
        return
    address = arguments[1]
    if isinstance(address, tuple) and not ipaddress.ip_address(address[0]).is_loopback:
        raise AssertionError(f"a test tried to reach {address[0]}")


sys.addaudithook(_only_loopback)


@pytest.fixture(autouse=True)
def _no_blocking() -> Iterator[BlockBuster]:
    """Fail when our code blocks the event loop."""
    with blockbuster_ctx("vendororders_async") as blockbuster:
        yield blockbuster
