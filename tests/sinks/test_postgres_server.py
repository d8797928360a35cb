"""The PostgreSQL sink and its server: one that goes away, and one that says no."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from own_postgres import PASSWORD, OwnPostgres, own_postgres
from postgres import execute

from vendororders_async.errors import ConfigurationError, SinkError
from vendororders_async.models.retail_procurement import Order
from vendororders_async.pages import decode_document
from vendororders_async.sinks.base import Arrival, Ledger
from vendororders_async.sinks.postgres import PostgresSink
from vendororders_async.windows import FinishedWindow, Window

LEDGER = Ledger("acme-us", "retail", "created", "amazon")
START = datetime(2026, 11, 1, tzinfo=UTC)
DAY = timedelta(days=1)
ORDERS = 5  # on a page


@pytest.fixture(scope="module")
def server() -> Iterator[OwnPostgres]:
    """A server that runs, and asks for a password."""
    with own_postgres() as started:
        yield started


def page(day: int) -> Arrival:
    """Return the one page of a day's window."""
    window = Window(START + day * DAY, START + (day + 1) * DAY)
    raws = [
        json.dumps({"purchaseOrderNumber": f"{day}-{n}", "orderDetails": {}}).encode()
        for n in range(ORDERS)
    ]
    return Arrival(LEDGER, window, START, [decode_document(raw, Order) for raw in raws])


async def write_days(sink: PostgresSink, days: int, going: asyncio.Event) -> None:
    """Write a window a day, five at once, and say so when some are written."""
    room = asyncio.Semaphore(5)

    async def one(day: int) -> None:
        async with room:
            arrival = page(day)
            begun_at = await sink.begin(LEDGER, arrival.window)
            await sink.write(arrival)
            await sink.finish(LEDGER, FinishedWindow(arrival.window, begun_at))
            if day == days // 4:
                going.set()

    async with sink.lock("acme-us"), asyncio.TaskGroup() as group:
        for day in range(days):
            group.create_task(one(day))


async def held(sink: PostgresSink) -> set[str]:
    """Return the numbers of all orders."""
    return {one.purchase_order_number async for some in sink.orders() for one in some}


@pytest.mark.parametrize("how", ["crashed", "cut off"])
async def test_a_run_outlives_its_connections(server: OwnPostgres, how: str) -> None:
    """Whatever was under way is done again, nothing is missing, and nothing is told twice."""
    schema = "s" + how[:3]
    execute(server.url(), f"CREATE SCHEMA {schema}")
    url, days, going = f"{server.url()}?search_path={schema}", 60, asyncio.Event()
    async with PostgresSink(url) as sink:
        async with asyncio.TaskGroup() as group:
            group.create_task(write_days(sink, days, going))
            await going.wait()
            if how == "crashed":
                await asyncio.to_thread(server.stop)
                await asyncio.to_thread(server.start)
            else:
                for _ in range(5):
                    await asyncio.to_thread(
                        execute,
                        server.url(),
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                        "WHERE application_name = 'vendororders'",
                    )
                    await asyncio.sleep(0.02)
        changes = [
            one.purchase_order_number for one in await sink.changes(0, limit=2 * ORDERS * days)
        ]
        windows = await sink.windows(LEDGER)
        numbers = await held(sink)

    everything = {f"{day}-{n}" for day in range(days) for n in range(ORDERS)}
    assert numbers == everything
    assert len(windows) == days
    assert sorted(changes) == sorted(everything)


async def test_a_server_that_is_gone_is_given_up(server: OwnPostgres) -> None:
    """After some patience a method fails in one line, and so does the lock."""
    execute(server.url(), "CREATE SCHEMA gone")
    sink = PostgresSink(f"{server.url()}?search_path=gone", patience=0.3)
    async with sink:
        server.stop()
        with pytest.raises(SinkError) as read:
            await sink.windows(LEDGER)
        with pytest.raises(SinkError) as written:
            await sink.write(page(0))
        server.start()
        await sink.write(page(0))
        found = await held(sink)

    assert "\n" not in f"{read.value}{written.value}"
    assert "cannot be reached" in str(read.value)
    assert len(found) == ORDERS


class Wire:
    """A way to the server that can be cut without either end being told."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._whole = asyncio.Event()
        self._whole.set()

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take what one client says to the server, and back."""
        there, back = await asyncio.open_connection("127.0.0.1", self._port)
        with suppress(OSError):
            await asyncio.gather(self._copy(reader, back), self._copy(there, writer))
        for one in (writer, back):
            one.close()

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while some := await reader.read(65536):
            await self._whole.wait()
            writer.write(some)
        writer.close()

    def cut(self) -> None:
        """Let nothing through."""
        self._whole.clear()

    def mend(self) -> None:
        """Let all of it through."""
        self._whole.set()


async def test_whoever_is_cut_off_stops_before_its_lock_ends(server: OwnPostgres) -> None:
    """Nobody says that the connection is gone; another run may have the account soon."""
    execute(server.url(), "CREATE SCHEMA cut")
    wire, term = Wire(server.port), 1.0
    loop = asyncio.get_running_loop()
    async with await asyncio.start_server(wire.carry, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        url = f"{server.url()}?search_path=cut".replace(f":{server.port}/", f":{port}/")
        async with PostgresSink(url, term=term) as sink:

            async def held() -> None:
                async with sink.lock_api("acme-us", "retail"):
                    wire.cut()
                    await asyncio.sleep(10 * term)

            began_at = loop.time()
            with pytest.raises(SinkError, match="ours no more: it could not be renewed"):
                await held()
            stopped_after = loop.time() - began_at
            wire.mend()
            await sink.write(page(0))

    assert stopped_after < term


async def test_a_page_does_not_wait_for_ever_on_a_wire_that_was_cut(
    server: OwnPostgres,
) -> None:
    """It fails in one line after some patience; the next one goes by a new connection."""
    execute(server.url(), "CREATE SCHEMA hung")
    wire, loop = Wire(server.port), asyncio.get_running_loop()
    async with await asyncio.start_server(wire.carry, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        url = f"{server.url()}?search_path=hung".replace(f":{server.port}/", f":{port}/")
        async with PostgresSink(url, patience=0.5) as sink:
            wire.cut()
            began_at = loop.time()
            with pytest.raises(SinkError, match="connection was closed") as caught:
                await sink.write(page(0))
            waited = loop.time() - began_at
            wire.mend()
            await sink.write(page(0))
            found = await held(sink)

    assert "\n" not in str(caught.value)
    assert waited < 5
    assert len(found) == ORDERS


@pytest.mark.parametrize(
    ("url", "meaning"),
    [
        ("postgres://owner:wr0ng@127.0.0.1:{port}/postgres", "does not accept this user"),
        ("postgres://nobody:wr0ng@127.0.0.1:{port}/postgres", "does not accept this user"),
        ("postgres://{owner}@127.0.0.1:{port}/nowhere", "there is no such database"),
        ("postgres://{owner}@127.0.0.1:1/postgres", "cannot be reached"),
        ("postgres://guest:gu3st@127.0.0.1:{port}/postgres", "permission denied"),
        ("postgres://{owner}@127.0.0.1:{port}/postgres?search_path=none", "has no schema"),
    ],
)
async def test_what_is_wrong_is_said_in_one_line(
    server: OwnPostgres, url: str, meaning: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Without a password, wherever it would be: in the error, the sink's name or the log."""
    caplog.set_level(logging.DEBUG)
    execute(
        server.url(),
        "DO $$ BEGIN CREATE USER guest PASSWORD 'gu3st'; "
        "EXCEPTION WHEN duplicate_object THEN NULL; END $$",
    )
    owner = server.url().partition("//")[2].partition("@")[0]
    sink = PostgresSink(url.format(port=server.port, owner=owner))
    with pytest.raises(SinkError, match=meaning) as caught:
        async with sink:
            pass
    said = f"{caught.value}{caught.value!r}{sink!r}{caplog.text}"

    assert "\n" not in str(caught.value)
    assert not [one for one in (PASSWORD, owner, "wr0ng", "gu3st") if one in said]


@pytest.mark.parametrize(
    "url",
    [
        "postgres://me:s3cret/more@host/orders",
        "postgres://me:s3cret#more@host/orders",
        "postgres://me:word@s3cret/more@host/orders",
        "postgres://me:s3cret@host:port/orders",
        "postgres://me@host/orders?password=s3cret&sslmode=odd",
        "postgres://me:s3cret@host/orders?statement_cache_size=s3cret",
        "postgres://me:s3cret@host/orders?lease=s3cret",
        "postgres://me:s3cret@host/orders?lease=0",
    ],
)
async def test_a_url_that_cannot_be_meant_is_not_quoted(url: str) -> None:
    """It may be a password that is not escaped."""
    with pytest.raises(ConfigurationError) as caught:
        async with PostgresSink(url):
            pass

    assert "s3cret" not in f"{caught.value}{caught.value.__cause__}"
    assert "more" not in str(caught.value)
