"""Guard rails for every test: nothing leaves the machine, nothing blocks the loop."""

from __future__ import annotations

import ipaddress
import sys
from collections.abc import Iterator

import pytest
from blockbuster import BlockBuster, blockbuster_ctx
from postgres import postgres_database, postgres_server, postgres_url

__all__ = ["postgres_database", "postgres_server", "postgres_url"]  # once for all tests


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
