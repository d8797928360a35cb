"""Orders on their whole way into PostgreSQL, by commands in processes of their own."""

from __future__ import annotations

import asyncio
import signal
from contextlib import suppress
from pathlib import Path

import pytest
from commands import ended, environment, run, start
from simulated import accounts_of

from vendororders_async.errors import SinkError
from vendororders_async.simulator import Settings, Simulator
from vendororders_async.sinks import open_sink

QUICK = Settings(orders=300, days=40, rate=500.0, burst=500.0)
SLOW = Settings(orders=4_000, days=50, latency=0.05, rate=50.0, burst=10.0)


async def stored(url: str) -> dict[str, bytes]:
    """Return all orders in the store."""
    async with open_sink(url, read_only=True) as sink:
        return {
            one.purchase_order_number: one.document
            async for batch in sink.orders()
            for one in batch
        }


async def test_a_backfill_and_a_look_leave_the_truth(postgres_url: str) -> None:
    """What a backfill brought is not new to a sync; all of it is there, as Amazon has it."""
    simulator = Simulator(QUICK)
    async with simulator.serve() as served:
        env = environment(*accounts_of(served))
        backfill = ("backfill", "--since", "60d", "--to", postgres_url, "--summary", "-")
        done = await run(*backfill, env=env)
        again = await run(*backfill, env=env)
        looked = await run(
            *("sync", "--once", "--since", "60d", "--to", postgres_url, "--summary", "-"),
            env=env,
        )
        found = await stored(postgres_url)

    truth = simulator.truth("demo")
    assert (done.code, again.code, looked.code) == (0, 0, 0), done.err + looked.err
    assert (done.summary.new, again.summary.new, looked.summary.new) == (len(truth), 0, 0)
    assert found == truth


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
async def test_a_backfill_that_was_ended_goes_on(
    postgres_url: str, tmp_path: Path, how: signal.Signals
) -> None:
    """The next run finds what it left, and fills the rest."""
    simulator = Simulator(SLOW)
    async with simulator.serve() as served:
        env = environment(*accounts_of(served))
        command = ("backfill", "--since", "60d", "--to", postgres_url, "--streams", "created")
        running = await start(*command, env=env)
        await _begun(postgres_url)
        running.send_signal(how)
        cut = await ended(running)
        before = len(await stored(postgres_url))
        if how is signal.SIGKILL:  # half a minute of waiting that tests need not wait
            async with open_sink(postgres_url) as sink:
                await sink._change(  # type: ignore[attr-defined]  # noqa: SLF001 - past its promises
                    lambda connection: connection.execute("DELETE FROM leases")
                )
        done = await run(*command, "--summary", f"{tmp_path}/summary.json", env=env)
        found = await stored(postgres_url)

    truth = simulator.truth("demo")
    assert cut.code != 0
    assert done.code == 0, done.err
    assert 0 < before < len(truth)
    assert found == truth


async def _begun(url: str) -> None:
    """Return when there are orders in the store."""
    for _ in range(400):
        with suppress(SinkError):  # there is none yet
            if await stored(url):
                return
        await asyncio.sleep(0.05)
    raise AssertionError("nothing came")
