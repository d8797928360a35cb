"""Guard rails for every test: nothing leaves the machine, blocks the loop or tells secrets."""

from __future__ import annotations

import ipaddress
import sys
from collections.abc import Iterator

import hold
import leaks
import pytest
from blockbuster import BlockBuster, blockbuster_ctx
from hold import chance, figure, often, pytest_addoption, pytest_report_header
from postgres import postgres_database, postgres_server, postgres_url

__all__ = [  # once for all tests
    "chance",
    "figure",
    "often",
    "postgres_database",
    "postgres_server",
    "postgres_url",
    "pytest_addoption",
    "pytest_report_header",
]


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Draw the seed, and listen for leaks."""
    hold.pytest_configure(config)
    config.pluginmanager.register(leaks, "leaks")


def _only_loopback(event: str, arguments: tuple[object, ...]) -> None:
    if event != "socket.connect":
        return
    address = arguments[1]
    if isinstance(address, tuple) and not ipaddress.ip_address(address[0]).is_loopback:
        raise AssertionError(f"a test tried to reach {address[0]}")


sys.addaudithook(_only_loopback)

_LOOKED_FOR = {"_read_password_file", "_parse_connect_dsn_and_args", "_dot_postgresql_path"}


@pytest.fixture(autouse=True)
def _no_blocking() -> Iterator[BlockBuster]:
    """Fail when our code blocks the event loop."""
    with blockbuster_ctx("vendororders_async") as blockbuster:
        # asyncpg looks for ~/.pgpass and ~/.postgresql, once a connection
        for name in ("os.stat", "os.path.abspath"):
            blockbuster.functions[name].can_block_in("asyncpg/connect_utils.py", _LOOKED_FOR)
        yield blockbuster
