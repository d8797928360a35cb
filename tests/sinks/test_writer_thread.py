"""The writer thread: one job at a time, none abandoned, few waiting."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest
import virtual_time

from vendororders_async.errors import SinkError
from vendororders_async.sinks.writer_thread import WriterThread


@pytest.fixture
async def thread() -> AsyncIterator[WriterThread]:
    """A thread that is closed in the end."""
    opened = WriterThread("test")
    yield opened
    await opened.close(lambda: None)


class Gate:
    """A job that tells when it begins and goes on when it may."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.is_done = False
        self._may_end = threading.Event()
        self._loop = asyncio.get_running_loop()

    def job(self) -> None:
        """Begin, wait, end."""
        self._loop.call_soon_threadsafe(self.begun.set)
        self._may_end.wait(10)
        self.is_done = True

    def open(self) -> None:
        """Let the job end."""
        self._may_end.set()


async def test_jobs_run_in_one_other_thread_in_order(thread: WriterThread) -> None:
    """What a connection belongs to is always the same thread, and never the loop's."""
    seen: list[tuple[int, int]] = []
    jobs = [lambda n=n: seen.append((n, threading.get_ident())) for n in range(20)]

    await asyncio.gather(*map(thread.run, jobs))

    assert [number for number, _ in seen] == list(range(20))
    assert len({ident for _, ident in seen}) == 1
    assert seen[0][1] != threading.get_ident()


async def test_an_error_of_a_job_is_its_callers(thread: WriterThread) -> None:
    """A job that fails fails its caller, and the next one runs."""
    with pytest.raises(ZeroDivisionError):
        await thread.run(lambda: 1 // 0)

    assert await thread.run(lambda: 1) == 1


async def test_a_cancelled_caller_waits_for_its_job(thread: WriterThread) -> None:
    """Cancelled once or twice, a caller leaves when its job is done, and as cancelled."""
    gate = Gate()
    task = asyncio.create_task(thread.run(gate.job))
    await gate.begun.wait()
    for _ in range(2):
        task.cancel()
        await asyncio.sleep(0)
    was_done = task.done()
    gate.open()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert not was_done
    assert gate.is_done


async def test_closing_waits_for_the_job_in_hand() -> None:
    """Closing outlives its cancellation: the last job runs, after all others."""
    thread, gate = WriterThread("test"), Gate()
    order: list[str] = []
    job = asyncio.create_task(thread.run(gate.job))
    await gate.begun.wait()
    closing = asyncio.create_task(
        thread.close(lambda: order.append(f"closed, job done: {gate.is_done}"))
    )
    await asyncio.sleep(0)
    closing.cancel()
    await asyncio.sleep(0)
    gate.open()
    await job
    with pytest.raises(asyncio.CancelledError):
        await closing

    assert order == ["closed, job done: True"]


async def test_a_closed_thread_takes_no_job() -> None:
    """After closing, a job is refused as an error of the sink."""
    thread = WriterThread("test")
    await thread.close(lambda: None)

    with pytest.raises(SinkError, match="not open"):
        await thread.run(lambda: None)


def test_few_jobs_wait_at_a_time() -> None:
    """Hundreds of callers put a handful of jobs into the queue; the others hold back."""
    loops: list[virtual_time.VirtualTimeLoop] = []
    running: list[int] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, virtual_time.VirtualTimeLoop)
        loops.append(loop)
        thread = WriterThread("test")
        await asyncio.gather(
            *(thread.run(lambda: running.append(loop.jobs_running)) for _ in range(300))
        )
        await thread.close(lambda: None)

    virtual_time.run(main())

    assert len(running) == 300
    assert max(running) <= 8


def test_a_loop_with_its_own_clock_waits_for_jobs() -> None:
    """A timer does not overtake a job, since jobs go through the loop's executor calls."""

    async def main() -> None:
        thread = WriterThread("test")
        async with asyncio.timeout(30):
            await thread.run(lambda: threading.Event().wait(0.05))
        await thread.close(lambda: None)

    virtual_time.run(main())
