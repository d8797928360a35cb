"""``vendororders`` as its users run it, in a process of its own, and what it leaves behind."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import msgspec

from vendororders_async.accounts import Account
from vendororders_async.jobs.summary import Summary

# Every warning is an error, in a process of its own as well. Python 3.12.0 to 3.12.3 take ?1
# for a name, https://github.com/python/cpython/issues/117995
STRICT = "error,ignore:Binding:DeprecationWarning"


class Ended(NamedTuple):
    """How a command came out."""

    code: int
    out: str
    err: str

    @property
    def summary(self) -> Summary:
        """The summary that it wrote to standard output."""
        return msgspec.json.decode(self.out, type=Summary)


def environment(account: Account) -> dict[str, str]:
    """Return what a shell would have exported for *account*, and nothing else."""
    credentials = account.credentials
    return {
        "LWA_APP_ID": credentials.client_id,
        "LWA_CLIENT_SECRET": credentials.client_secret,
        "SP_API_REFRESH_TOKEN": credentials.refresh_token,
        "SP_API_ENDPOINT": account.base_url,
        "LWA_ENDPOINT": account.login_url,
        "PYTHONWARNINGS": STRICT,
    }


async def start(*arguments: str, env: dict[str, str]) -> asyncio.subprocess.Process:
    """Start ``vendororders`` with *arguments*."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "vendororders_async",
        *arguments,
        env=env,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def run(*arguments: str, env: dict[str, str]) -> Ended:
    """Run ``vendororders`` to its end."""
    return await ended(await start(*arguments, env=env))


async def ended(process: asyncio.subprocess.Process) -> Ended:
    """Wait for *process*, and return how it came out."""
    out, err = await asyncio.wait_for(process.communicate(), timeout=60)
    return Ended(process.returncode or 0, out.decode(), err.decode())


def stored(path: Path) -> dict[str, bytes]:
    """Return the orders in the database at *path*, which must be sound."""
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        rows = database.execute("SELECT purchase_order_number, document FROM purchase_orders")
        return {number: document.encode() for number, document in rows}
