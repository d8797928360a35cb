"""Group commit: together in a transaction, each with a fate of its own."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from vendororders_async.errors import SinkError
from vendororders_async.models.retail_procurement import Order
from vendororders_async.pages import decode_document
from vendororders_async.sinks.base import Arrival, Ledger
from vendororders_async.sinks.group_commit import GroupCommit
from vendororders_async.sinks.sqlite import SqliteSink
from vendororders_async.sinks.sqlite_file import Job, is_busy, transaction
from vendororders_async.sinks.writer_thread import WriterThread
from vendororders_async.windows import Window

Select = Callable[..., list[tuple[Any, ...]]]

ASKED = datetime(2026, 11, 21, 12, tzinfo=UTC)
WINDOW = Window(ASKED - timedelta(days=1), ASKED)


class Store:
    """A table of numbers, and a door that holds up whoever writes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.thread = WriterThread("test")
        self.changes = GroupCommit[Job[Any]](
            lambda jobs: self.thread.start(lambda: self._commit(jobs)), is_everybodys=is_busy
        )
        self.groups: list[int] = []  # how many jobs each transaction was to do
        self.begun = asyncio.Event()
        self.door = threading.Event()
        self._loop = asyncio.get_running_loop()
        self.connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self.connection.execute("CREATE TABLE numbers (n INTEGER PRIMARY KEY)")
        self.connection.execute("PRAGMA journal_mode = WAL")

    async def add(self, number: int) -> list[int]:
        """Add *number*, and return what others see at that very moment."""

        def job(connection: sqlite3.Connection) -> int:
            connection.execute("INSERT INTO numbers VALUES (?)", (number,))
            return number

        await self.changes.run(job)
        return self.seen()

    def seen(self) -> list[int]:
        """Return what is committed."""
        with closing(sqlite3.connect(self.path)) as reader:
            return [n for (n,) in reader.execute("SELECT n FROM numbers ORDER BY rowid")]

    def _commit(self, jobs: Sequence[Job[Any]]) -> list[Any]:
        self.groups.append(len(jobs))
        self._loop.call_soon_threadsafe(self.begun.set)
        self.door.wait(10)
        with transaction(self.connection):
            return [job(self.connection) for job in jobs]


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    """A store whose door is closed."""
    opened = Store(tmp_path / "numbers.db")
    yield opened
    opened.door.set()
    with suppress(SinkError):  # one test closes it itself
        await opened.thread.close(lambda: None)
    opened.connection.close()


async def begun(store: Store, *numbers: int) -> list[asyncio.Task[list[int]]]:
    """Ask for *numbers* one by one; the first is in hand, the others wait."""
    tasks = [asyncio.create_task(store.add(number)) for number in numbers]
    await store.begun.wait()
    return tasks


async def test_what_waits_together_is_committed_together(store: Store) -> None:
    """While one group is being written the next gathers, in the order it was asked for."""
    tasks = await begun(store, *range(1, 41))
    store.door.set()
    await asyncio.gather(*tasks)

    assert store.groups == [1, 32, 7]
    assert store.seen() == list(range(1, 41))


async def test_an_answer_comes_after_the_commit(store: Store) -> None:
    """Whoever has an answer finds in the store, from outside, what was written."""
    tasks = await begun(store, *range(1, 11))
    before = store.seen()
    store.door.set()
    seen = await asyncio.gather(*tasks)

    assert before == []
    assert all(number in numbers for number, numbers in enumerate(seen, 1))


async def test_one_failure_costs_its_neighbours_nothing(store: Store) -> None:
    """A job that fails fails its caller; those in its transaction are done all the same."""
    tasks = await begun(store, 1, 2, 3, 3, 4)
    store.door.set()
    answers = await asyncio.gather(*tasks, return_exceptions=True)

    assert [type(one) for one in answers] == [list, list, list, sqlite3.IntegrityError, list]
    assert store.seen() == [1, 2, 3, 4]


async def test_a_locked_store_is_waited_for_once(store: Store) -> None:
    """While another program writes, a group fails as one, not job by job."""
    asked: list[str] = []
    store.connection.execute("PRAGMA busy_timeout = 1")
    with closing(sqlite3.connect(store.path, isolation_level=None)) as other:
        tasks = await begun(store, 1, 2, 3)
        other.execute("BEGIN IMMEDIATE")
        store.connection.set_trace_callback(asked.append)
        store.door.set()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        other.execute("ROLLBACK")

    assert [type(one) for one in answers] == [sqlite3.OperationalError] * 3
    assert len(asked) == 2  # one BEGIN for each group
    assert await store.add(4) == [4]


async def test_a_cancelled_waiter_leaves_without_its_job(store: Store) -> None:
    """What is not begun is never done; what is begun is waited for; others do not notice."""
    first, second, third = await begun(store, 1, 2, 3)
    first.cancel()
    second.cancel()
    await asyncio.wait([second])
    left = first.done(), second.cancelled(), third.done()
    store.door.set()
    await asyncio.wait([first, third])

    assert left == (False, True, False)
    assert first.cancelled()
    assert await third == [1, 3]


async def test_flushing_waits_for_all_that_was_asked(store: Store) -> None:
    """After a flush everything is in the store, though nobody waited for it."""
    tasks = await begun(store, *range(1, 41))
    flushing = asyncio.create_task(store.changes.flush())
    await asyncio.sleep(0)
    was_done = flushing.done()
    store.door.set()
    await flushing

    assert not was_done
    assert store.seen() == list(range(1, 41))
    await asyncio.gather(*tasks)


async def test_a_closed_thread_refuses_all_who_wait(store: Store) -> None:
    """When the thread is gone nobody waits for ever."""
    store.door.set()
    await store.thread.close(lambda: None)

    answers = await asyncio.gather(*(store.add(n) for n in range(3)), return_exceptions=True)

    assert [type(one) for one in answers] == [SinkError] * 3


def page(number: int, *, breaks: bool = False) -> Arrival:
    """Return a page of one order; one that *breaks* cannot be bound to its columns."""
    raw = json.dumps({"purchaseOrderNumber": f"A{number:03}"}).encode()
    document = decode_document(raw, Order)
    if breaks:
        assert document.content is not None
        order = msgspec.structs.replace(document.content, purchase_order_state=object())
        document = msgspec.structs.replace(document, content=order)
    ledger = Ledger("acme-us", "retail", "created", "amazon")
    return Arrival(ledger, WINDOW, ASKED, [document])


async def test_a_bad_page_costs_its_neighbours_nothing(
    sink: SqliteSink, select: Select
) -> None:
    """Of fifty pages written at once the one that fails is missing, and only that one."""
    answers = await asyncio.gather(
        *(sink.write(page(n, breaks=n == 20)) for n in range(50)), return_exceptions=True
    )
    rows = select("SELECT purchase_order_number, change_seq FROM purchase_orders ORDER BY 1")

    assert [n for n, one in enumerate(answers) if isinstance(one, SinkError)] == [20]
    assert [number for number, _ in rows] == [f"A{n:03}" for n in range(50) if n != 20]
    assert [seq for _, seq in rows] == list(range(1, 50))


async def test_a_closed_sink_holds_what_was_asked_of_it(path: Path, select: Select) -> None:
    """Closing waits for the pages that are still on their way."""
    async with SqliteSink(path) as sink:
        tasks = [asyncio.create_task(sink.write(page(n))) for n in range(50)]
        await asyncio.sleep(0)
    written = await asyncio.gather(*tasks)

    assert [one.outcome.value for (one,) in written] == ["new"] * 50
    assert select("SELECT count(*) FROM purchase_orders") == [(50,)]
