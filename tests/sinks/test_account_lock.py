"""The account lock: one run at a time, whoever asks and however the holder ends."""

from __future__ import annotations

import asyncio
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from vendororders_async.errors import SinkError
from vendororders_async.sinks.account_lock import AccountLock
from vendororders_async.sinks.sqlite import SqliteSink

_HOLD = """
import asyncio, sys
from vendororders_async.sinks.sqlite import SqliteSink

async def main():
    async with SqliteSink(sys.argv[1]) as sink, sink.lock("acme-us"):
        print("held", flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_a_second_sink_cannot_lock_the_same_account(sink: SqliteSink, path: Path) -> None:
    """Within one process too, the error names the account and the sink in one line."""
    async with SqliteSink(path) as other, sink.lock("acme-us"):
        with pytest.raises(SinkError) as caught:
            async with other.lock("acme-us"):
                pass

    assert str(caught.value) == f"account acme-us in {path} is being written by another run"


async def test_one_sink_cannot_lock_an_account_twice(sink: SqliteSink) -> None:
    """Two jobs over one sink exclude each other as two processes do."""
    async with sink.lock("acme-us"):
        with pytest.raises(SinkError, match="another run"):
            async with sink.lock("acme-us"):
                pass


async def test_accounts_are_locked_one_by_one(sink: SqliteSink, path: Path) -> None:
    """Another account is free, however much its name looks alike, and whatever is in it."""
    async with SqliteSink(path) as other, sink.lock("acme/us"):
        for name in ("acme us", "../acme/us", "Acme/US", "acme/us ", "ü" * 300):
            async with other.lock(name):
                pass


async def test_a_lock_is_free_again_afterwards(sink: SqliteSink) -> None:
    """It is released at the end of the block, after an error too."""
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            async with sink.lock("acme-us"):
                raise ZeroDivisionError


async def test_a_cancelled_holder_lets_go(sink: SqliteSink, path: Path) -> None:
    """Cancelled at any of its first steps, a task leaves the account free."""

    async def hold() -> None:
        async with sink.lock("acme-us"):
            await asyncio.Event().wait()

    async with SqliteSink(path) as other:
        for steps in range(6):
            task = asyncio.create_task(hold())
            for _ in range(steps):
                await asyncio.sleep(0.001)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            async with other.lock("acme-us"):
                pass


def test_a_killed_holder_lets_go(path: Path) -> None:
    """Another process holds it until it ends, even by SIGKILL."""
    with subprocess.Popen(
        [sys.executable, "-c", _HOLD, path], stdout=subprocess.PIPE, text=True
    ) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "held\n"
            with pytest.raises(SinkError, match="another run"):
                asyncio.run(_lock_once(path))
        finally:
            holder.kill()

    asyncio.run(_lock_once(path))


async def _lock_once(path: Path) -> None:
    async with SqliteSink(path) as sink, sink.lock("acme-us"):
        pass


async def test_a_link_to_the_file_is_the_same_file(sink: SqliteSink, path: Path) -> None:
    """However the database is named, one account has one writer."""
    link = path.with_name("link.db")
    link.symlink_to(path)
    async with sink.lock("acme-us"), SqliteSink(link) as other:
        with pytest.raises(SinkError, match="another run"):
            async with other.lock("acme-us"):
                pass


async def test_lock_files_are_private(sink: SqliteSink, path: Path) -> None:
    """The directory beside the database is 0700, its files are 0600 and plainly named."""
    directory = path.with_name("orders.db.locks")
    async with sink.lock("Ä../x us"):
        files = list(directory.iterdir())

    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert [stat.S_IMODE(file.stat().st_mode) for file in files] == [0o600, 0o600]
    assert all(file.name.startswith("x-us.") and file.name.isascii() for file in files)


async def test_the_apis_of_an_account_are_locked_apart(sink: SqliteSink, path: Path) -> None:
    """One can be written beside the other; who locks the account keeps both out."""
    async with SqliteSink(path) as other, sink.lock_api("acme-us", "retail"):
        async with other.lock_api("acme-us", "direct_fulfillment"):
            with pytest.raises(SinkError, match="another run"):
                async with other.lock_api("acme-us", "retail"):
                    pass
        with pytest.raises(SinkError, match="another run"):
            async with other.lock("acme-us"):
                pass
    async with SqliteSink(path) as other, sink.lock("acme-us"):
        for api in ("retail", "direct_fulfillment"):
            with pytest.raises(SinkError, match="another run"):
                async with other.lock_api("acme-us", api):
                    pass
        async with other.lock_api("acme-us (direct_fulfillment)", "retail"):
            pass


async def test_half_a_lock_is_let_go(sink: SqliteSink, path: Path) -> None:
    """Who cannot lock all of an account keeps nobody from what was free of it."""
    async with SqliteSink(path) as other, sink.lock_api("acme-us", "direct_fulfillment"):
        with pytest.raises(SinkError, match="another run"):
            async with other.lock("acme-us"):
                pass
        async with other.lock_api("acme-us", "retail"):
            pass


def test_a_lock_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    """A file where the directory should be is a `SinkError` in one line."""
    (tmp_path / "locks").write_text("")

    with pytest.raises(SinkError, match=r"^cannot lock account acme in orders\.db: ") as caught:
        AccountLock(tmp_path / "locks", "acme", "orders.db").acquire()

    assert "\n" not in str(caught.value)
