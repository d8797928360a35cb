"""Backfills into Parquet files, against the simulator: complete, exact, and resumable."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from s3 import s3_server
from simulated import QUICK, SINCE, UNTIL, now, simulation

from vendororders_async.accounts import Account
from vendororders_async.errors import SinkError
from vendororders_async.jobs.backfill import Backfill
from vendororders_async.jobs.reading import Reading
from vendororders_async.jobs.summary import Summary
from vendororders_async.sinks.base import Sink

pytest.importorskip("pyarrow.parquet")

from vendororders_async.sinks.parquet import ParquetSink

FEW = msgspec.structs.replace(QUICK, orders=300)


async def read(accounts: list[Account], sink: Sink, details: str) -> Summary:
    """Run a backfill of the usual range."""
    given: Any = {"since": SINCE, "until": UNTIL, "details": details}
    job = Backfill(accounts, Reading(**given), to=sink, now=now)
    await job.run()
    return job.summary()


async def documents_in(path: Path | str) -> dict[str, bytes]:
    """Return all documents by number."""
    async with ParquetSink(path, read_only=True) as sink:
        return {
            one.purchase_order_number: one.document
            async for batch in sink.orders()
            for one in batch
        }


@pytest.mark.parametrize("details", ["inline", "fan-out"])
async def test_a_backfill_brings_every_order_as_it_is(tmp_path: Path, details: str) -> None:
    """The files hold the truth, byte for byte, and the next run asks for nothing."""
    async with simulation(FEW) as (simulator, accounts), ParquetSink(tmp_path / "s") as sink:
        summary = await read(accounts, sink, details)
        truth = simulator.truth("demo", after=SINCE, before=UNTIL)
        states = await sink.states()
        again = await read(accounts, sink, details)
    held = await documents_in(tmp_path / "s")

    assert summary.complete
    assert {number: held.get(number) for number in truth} == truth
    assert {one.ledger.stream for one in states} == {"created", "changed", "statuses"}
    assert again.complete
    assert again.requests == 0


@pytest.mark.parametrize("details", ["inline", "fan-out"])
async def test_a_backfill_that_was_interrupted_is_completed_by_the_next(
    tmp_path: Path, details: str
) -> None:
    """However far it was; and what the ledger claimed in between was there."""
    async with simulation(FEW) as (simulator, accounts):
        truth = simulator.truth("demo", after=SINCE, before=UNTIL)
        for moments in (0.05, 0.1, 0.2):
            async with ParquetSink(tmp_path / "s", now=now) as sink:
                task = asyncio.create_task(read(accounts, sink, details))
                await asyncio.sleep(moments)
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                claimed = [
                    finished.window
                    for state in await sink.states()
                    if state.ledger.stream == "created"
                    for finished in state.windows
                ]
            held = await documents_in(tmp_path / "s")
            for window in claimed:
                inside = simulator.truth("demo", after=window.after, before=window.before)
                assert inside.keys() <= held.keys()
        async with ParquetSink(tmp_path / "s") as sink:
            summary = await read(accounts, sink, details)
    held = await documents_in(tmp_path / "s")

    assert summary.complete
    assert {number: held.get(number) for number in truth} == truth


@pytest.mark.parametrize("uploads", [3, 12])
async def test_a_bucket_claims_nothing_that_it_has_not_whenever_a_run_dies(
    uploads: int,
) -> None:
    """After an upload, the windows that are there have their orders; the next run has all."""
    left = uploads

    def dies(method: str, path: str) -> int | None:
        nonlocal left
        if method in {"GET", "HEAD"} or not path.endswith(".parquet"):
            return None  # the lease is let go of, so that nobody has to wait for its end
        left -= 1
        return 403 if left < 0 else None

    with s3_server() as s3:
        url = s3.bucket(f"bucket-{uuid4().hex}")
        async with simulation(FEW) as (simulator, accounts):
            truth = simulator.truth("demo", after=SINCE, before=UNTIL)
            s3.fault = dies
            with suppress(SinkError):
                async with ParquetSink(url) as sink:
                    await read(accounts, sink, "fan-out")
            s3.fault = None
            async with ParquetSink(url, read_only=True) as sink:
                claimed = [
                    finished.window
                    for state in await sink.states()
                    if state.ledger.stream == "created"
                    for finished in state.windows
                ]
            held = await documents_in(url)
            async with ParquetSink(url) as sink:
                summary = await read(accounts, sink, "fan-out")
        completed = await documents_in(url)

    for window in claimed:
        inside = simulator.truth("demo", after=window.after, before=window.before)
        assert inside.keys() <= held.keys()
    assert held.keys() < truth.keys()
    assert summary.complete
    assert {number: completed.get(number) for number in truth} == truth
