"""The PostgreSQL store: made once, shared by several processes, and odd things kept in it."""

from __future__ import annotations

import asyncio
import json
import random
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from asyncpg import Connection, InternalClientError, PostgresError, connect
from postgres import execute
from stores import TERM

from vendororders_async.changes import OrderChanged
from vendororders_async.clock import parse_instant
from vendororders_async.errors import SinkError
from vendororders_async.jobs.quarantine import Retried, retry_quarantine
from vendororders_async.models.retail_procurement import Order
from vendororders_async.pages import decode_document
from vendororders_async.sinks.base import Arrival, Ledger, Outcome
from vendororders_async.sinks.postgres import PostgresSink
from vendororders_async.sinks.postgres_database import Database
from vendororders_async.sinks.postgres_lease import LeaseRow
from vendororders_async.sinks.postgres_numbers import those_of
from vendororders_async.sinks.postgres_schema import prepare, read_steps
from vendororders_async.windows import FinishedWindow, Window

LEDGER = Ledger("acme-us", "retail", "created", "amazon")
ASKED = datetime(2026, 11, 21, 12, tzinfo=UTC)
WINDOW = Window(ASKED - timedelta(days=1), ASKED)
ENDLESS_WRITER = Path(__file__).with_name("endless_writer.py")


def page(*raws: bytes, ledger: Ledger = LEDGER, asked_at: datetime = ASKED) -> Arrival:
    """Return a page with these documents."""
    return Arrival(ledger, WINDOW, asked_at, [decode_document(raw, Order) for raw in raws])


def order(number: str, **details: object) -> bytes:
    """Return an order with details."""
    return json.dumps({"purchaseOrderNumber": number, "orderDetails": details}).encode()


async def documents(sink: PostgresSink) -> dict[str, bytes]:
    """Return all documents by number."""
    return {
        one.purchase_order_number: one.document async for some in sink.orders() for one in some
    }


async def test_columns_say_what_the_document_says(postgres_url: str) -> None:
    """In types of the database's own; the document is kept byte for byte."""
    raw = order(
        "A1", purchaseOrderDate="2026-11-02T01:02:03.000004+01:00", dealCode="D", items=[]
    ).replace(b": ", b" :\n ")
    async with PostgresSink(postgres_url, now=lambda: ASKED) as sink:
        await sink.write(page(raw))
    [row] = execute(
        postgres_url,
        "SELECT purchase_order_date, own_date_at, asked_at, updated_at, has_details, "
        "deal_code, document::text, change_seq FROM purchase_orders",
    )

    ordered_at = parse_instant("2026-11-02T00:02:03.000004Z")
    assert row == (ordered_at, ordered_at, ASKED, ASKED, True, "D", raw.decode(), 1)


async def test_a_replaced_version_is_kept(postgres_url: str) -> None:
    """Once for each content, with the number of the change that brought it."""
    raws = [order("A1", dealCode=str(n)) for n in range(3)]
    async with PostgresSink(postgres_url) as sink:
        for minute, raw in enumerate([*raws, raws[2]]):
            await sink.write(page(raw, asked_at=ASKED + minute * timedelta(minutes=1)))
        found = await documents(sink)
    kept = execute(
        postgres_url, "SELECT change_seq, document::text FROM superseded_orders ORDER BY 1"
    )

    assert kept == [(1, raws[0].decode()), (2, raws[1].decode())]
    assert found == {"A1": raws[2]}


async def test_an_account_is_never_read_for_a_page(postgres_url: str) -> None:
    """Orders are looked up by their whole key, also where the planner expects no others."""
    plans: list[str] = []

    async def explain(connection: Connection) -> None:
        async with connection.transaction():
            await connection.execute("SET LOCAL enable_seqscan = off")
            for table in ("purchase_orders", "purchase_order_statuses"):
                statement = f"EXPLAIN SELECT digest {those_of(table)}"
                plans.extend(
                    line
                    for (line,) in await connection.fetch(statement, "a", "retail", ["A1"])
                    if "Cond" in line or "Filter" in line
                )

    async with PostgresSink(postgres_url) as sink:
        await sink.write(page(order("A1")))
        await sink._read(explain)  # noqa: SLF001 - to see what it asks

    assert len(plans) == 2
    assert all("Index Cond" in one and "purchase_order_number = " in one for one in plans)


async def test_processes_that_make_the_store_at_once_share_it(postgres_url: str) -> None:
    """One makes the tables, the others wait for it."""
    sinks = [PostgresSink(postgres_url) for _ in range(6)]
    async with asyncio.TaskGroup() as group:
        for sink in sinks:
            group.create_task(sink.__aenter__())
    written = await sinks[0].write(page(order("A1")))
    found = [await documents(sink) for sink in sinks]
    for sink in sinks:
        await sink.__aexit__()

    assert [one.outcome for one in written] == [Outcome.NEW]
    assert found == [{"A1": order("A1")}] * 6


@pytest.mark.parametrize("read_only", [True, False])
@pytest.mark.parametrize(
    ("statement", "meaning"),
    [
        ("UPDATE vendororders_store SET version = 99", "newer version"),
        ("DROP TABLE vendororders_store", "something else"),
    ],
)
async def test_a_store_of_somebody_elses_is_refused(
    postgres_url: str, statement: str, meaning: str, read_only: bool
) -> None:
    """Of a newer version, or with tables of the same names: nothing is changed in it."""
    async with PostgresSink(postgres_url) as sink:
        await sink.write(page(order("A1")))
    execute(postgres_url, statement)
    with pytest.raises(SinkError, match=meaning) as caught:
        async with PostgresSink(postgres_url, read_only=read_only):
            pass

    assert "\n" not in str(caught.value)
    assert execute(postgres_url, "SELECT count(*) FROM purchase_orders") == [(1,)]


async def test_an_older_store_is_brought_up_to_date_step_by_step(postgres_url: str) -> None:
    """Once, however many processes begin it; wholly or not at all, and its orders stay."""
    async with PostgresSink(postgres_url) as sink:
        await sink.write(page(order("A1")))
    steps = await asyncio.to_thread(read_steps) | {
        2: "ALTER TABLE purchase_orders ADD COLUMN extra text DEFAULT 'x'",
        3: "ALTER TABLE purchase_orders RENAME COLUMN extra TO more",
    }

    async def upgrade(steps: dict[int, str], *, read_only: bool = False) -> None:
        connection = await connect(postgres_url)
        try:
            await prepare(connection, steps, "the store", read_only=read_only)
        finally:
            await connection.close()

    with pytest.raises(SinkError, match="the store is of an older version"):
        await upgrade(steps, read_only=True)
    with pytest.raises(PostgresError):
        await upgrade(steps | {3: "SELECT 1 / 0"})
    unchanged = execute(postgres_url, "SELECT version FROM vendororders_store")
    await asyncio.gather(*(upgrade(steps) for _ in range(4)))
    upgraded = execute(postgres_url, "SELECT version FROM vendororders_store")

    assert (unchanged, upgraded) == ([(1,)], [(3,)])
    assert execute(postgres_url, "SELECT more FROM purchase_orders") == [("x",)]
    with pytest.raises(SinkError, match="newer version"):
        async with PostgresSink(postgres_url):
            pass


async def test_a_url_says_how_long_a_lease_lasts(postgres_url: str) -> None:
    """So that a successor waits for less where machines come and go."""
    ends = "SELECT extract(epoch FROM ends_at - clock_timestamp())::float FROM leases"
    async with PostgresSink(f"{postgres_url}&lease=9") as sink, sink.lock("acme-us"):
        seconds = [value for (value,) in execute(postgres_url, ends)]

    assert seconds == [pytest.approx(8, abs=1)] * 2


async def test_without_prepared_statements(postgres_url: str) -> None:
    """A pooler that lends a connection for a transaction need not know of them."""
    async with PostgresSink(f"{postgres_url}&statement_cache_size=0") as sink:
        async with sink.lock("acme-us"):
            await sink.write(page(order("A1")))
        found = await documents(sink)
        prepared = await sink._read(  # noqa: SLF001 - each connection has its own
            lambda connection: connection.fetchval(
                "SELECT count(*) FROM pg_prepared_statements"
            )
        )

    assert found == {"A1": order("A1")}
    assert prepared == 0


async def test_two_runs_of_one_process_exclude_each_other(postgres_url: str) -> None:
    """Through the same sink as through another; what is let go can be had at once."""
    async with PostgresSink(postgres_url, term=TERM) as sink:
        async with sink.lock_api("acme-us", "retail"):
            with pytest.raises(
                SinkError, match=r"account acme-us in postgres://.* another run"
            ):
                async with sink.lock("acme-us"):
                    pass
            async with sink.lock_api("acme-us", "direct_fulfillment"):
                pass
            await sink.write(page(order("A1")))
        async with sink.lock("acme-us"):
            await sink.write(page(order("A2")))
        found = await documents(sink)

    assert found.keys() == {"A1", "A2"}


async def test_whoever_lost_its_lock_writes_no_more(postgres_url: str) -> None:
    """Another run has the account: pages and windows of the first are refused."""
    async with PostgresSink(postgres_url) as sink, PostgresSink(postgres_url) as other:
        async with sink.lock_api("acme-us", "retail"):
            await sink.write(page(order("A1")))
            # as if its machine had slept for longer than the term
            execute(postgres_url, "UPDATE leases SET ends_at = now() - interval '1 second'")
            async with other.lock_api("acme-us", "retail"):
                await other.write(page(order("A2")))
                for refused in (
                    sink.write(page(order("A3"))),
                    sink.finish(LEDGER, FinishedWindow(WINDOW, ASKED)),
                ):
                    with pytest.raises(SinkError, match="ours no more"):
                        await refused
                await sink.write(page(order("A4"), ledger=Ledger("acme-eu", *_RETAIL)))
                claimed = await other.windows(LEDGER)
        found = await documents(other)

    assert found.keys() == {"A1", "A2", "A4"}
    assert claimed == []


_RETAIL = ("retail", "created", "amazon")


async def test_a_lock_is_held_while_its_run_is_slow(postgres_url: str) -> None:
    """It is renewed for as long as it takes."""
    async with PostgresSink(postgres_url, term=TERM) as sink, sink.lock("acme-us"):
        await asyncio.sleep(1.5 * TERM)
        written = await sink.write(page(order("A1")))

    assert [one.outcome for one in written] == [Outcome.NEW]


async def test_a_lease_is_renewed_and_let_go_by_its_holder_only(postgres_url: str) -> None:
    """Whoever lost it changes nothing for the one who has it."""
    async with PostgresSink(postgres_url):
        pass
    database = Database(postgres_url)
    await database.open()
    late, present = (LeaseRow(database, "acme-us", "retail") for _ in range(2))
    await late.take(0)
    taken = await present.take(60)
    renewed = await late.renew(60)
    await late.release()
    kept = await present.renew(60)
    await database.close()

    assert taken is None
    assert (renewed, kept) == (False, True)


async def test_a_connection_that_is_about_to_close_is_not_used_again(postgres_url: str) -> None:
    """The driver says only that it is in no state for a statement: it is done on another."""
    backends: list[int] = []

    async def job(connection: Connection) -> None:
        backends.append(await connection.fetchval("SELECT pg_backend_pid()"))
        if len(backends) == 1:
            raise InternalClientError("cannot switch to state 15")

    async with PostgresSink(postgres_url) as sink:
        await sink._change(job)  # noqa: SLF001 - pages fail so in a moment only

    assert len(set(backends)) == 2


async def test_transactions_that_wait_for_each_other_both_end(postgres_url: str) -> None:
    """The server undoes one of them, and it is done again."""
    lock = "SELECT FROM change_counter FOR UPDATE", "SELECT FROM vendororders_store FOR UPDATE"
    meeting = [asyncio.Event(), asyncio.Event()]

    async def cross(place: int, connection: Connection) -> int:
        await connection.execute(lock[place])
        meeting[place].set()
        await meeting[1 - place].wait()
        await connection.execute(lock[1 - place])
        return place

    async with PostgresSink(postgres_url) as one, PostgresSink(postgres_url) as other:
        done = await asyncio.gather(
            *(
                sink._change(partial(cross, place))  # noqa: SLF001 - no two pages cross
                for place, sink in enumerate((one, other))
            )
        )

    assert done == [0, 1]


async def test_a_lock_is_kept_while_its_run_waits_for_others(postgres_url: str) -> None:
    """A page that is not committed yet holds no renewal up."""
    entered, done = asyncio.Event(), asyncio.Event()

    async def number(connection: Connection) -> None:
        await connection.execute(_TAKE_A_NUMBER)
        entered.set()
        await done.wait()

    async with (
        PostgresSink(postgres_url, term=TERM) as sink,
        PostgresSink(postgres_url) as other,
    ):
        numbering = asyncio.create_task(other._change(number))  # noqa: SLF001 - no page stops
        await entered.wait()
        async with sink.lock("acme-us"), asyncio.TaskGroup() as group:
            writing = group.create_task(sink.write(page(order("A1"))))
            try:
                await asyncio.sleep(2 * TERM)
                was_waiting = not writing.done()
            finally:
                done.set()
        await numbering

    assert was_waiting
    assert [one.outcome for one in writing.result()] == [Outcome.NEW]


async def test_a_lock_whose_holder_died_is_waited_for(postgres_url: str) -> None:
    """Nobody renews it, so it ends by itself."""
    async with PostgresSink(postgres_url, term=TERM) as sink:
        execute(
            postgres_url,
            "INSERT INTO leases SELECT 'acme-us', 'retail', 'dead', 1, "
            f"now() + interval '{TERM} seconds'",
        )
        async with sink.lock("acme-us"):
            written = await sink.write(page(order("A1")))

    assert [one.outcome for one in written] == [Outcome.NEW]


async def test_text_is_sent_as_utf_8_whatever_the_url_says(postgres_url: str) -> None:
    """Or another encoding would be stored without a word."""
    ledger = Ledger("Köln", *_RETAIL)
    async with PostgresSink(f"{postgres_url}&client_encoding=latin1") as sink:
        await sink.write(page(order("Ä1"), ledger=ledger))
        changes = await sink.changes(0, accounts=["Köln"])
    async with PostgresSink(postgres_url) as sink:
        states = await sink.states()

    assert [one.purchase_order_number for one in changes] == ["Ä1"]
    assert [one.ledger for one in states] == [ledger]


async def test_names_that_no_column_takes_are_kept_apart(postgres_url: str) -> None:
    """A NUL, half a surrogate pair and what stands for them: each is read as it was written."""
    names = ["a\0b", "a\ud83db", "a\uffff0000b", "a\uffffb", "ab", "a\\0b"]
    async with PostgresSink(postgres_url) as sink:
        for name in names:
            ledger = Ledger(name, *_RETAIL)
            async with sink.lock(name):
                await sink.begin(ledger, WINDOW)
                await sink.write(page(order("N\0"), order("N"), ledger=ledger))
                await sink.finish(ledger, FinishedWindow(WINDOW, ASKED))
            await sink.consume("erp\0", "retail", {name: 1})
        found = [one async for some in sink.orders() for one in some]
        changes = await sink.changes(0, accounts=names[:2])
        states = await sink.states()
        fresh = await sink.fresh("a\0b", "retail", ["N\0", "M\0"], ASKED)
        consumed = await sink.consumed("erp\0", "retail")

    assert {(one.account, one.purchase_order_number) for one in found} == {
        (name, number) for name in names for number in ("N", "N\0")
    }
    assert {one.account for one in changes} == set(names[:2])
    assert {one.ledger.account for one in states} == set(names)
    assert fresh == {"N\0"}
    assert consumed == dict.fromkeys(names, 1)


async def test_what_the_database_refuses_is_set_aside_whole(postgres_url: str) -> None:
    """Its page goes on without it, and it stays in quarantine until the database takes it."""
    long = "".join(random.Random(7).choices("0123456789abcdefghijklmnopqrstuvwxyz", k=9000))
    raws = [order("A1"), order(long), order("A2")]
    async with PostgresSink(postgres_url) as sink:
        written = await sink.write(page(*raws))
        again = await sink.write(page(*raws))
        retried = await retry_quarantine(sink, "acme-us", "retail")
        held = await sink.quarantine("acme-us", "retail")
        found = await documents(sink)

    outcomes = [Outcome.NEW, Outcome.QUARANTINED, Outcome.NEW]
    assert [one.outcome for one in written] == outcomes
    assert [one.outcome for one in again] == [
        *(Outcome.UNCHANGED, Outcome.STANDING, Outcome.UNCHANGED)
    ]
    assert found.keys() == {"A1", "A2"}
    assert retried == Retried(stored_count=0, standing_count=1)
    assert [one.document for one in held] == [raws[1]]
    assert held[0].reason.startswith("PostgreSQL does not take it: index row")
    assert long[:50] not in held[0].reason


@pytest.mark.parametrize(
    "value",
    [
        "1E400",
        "-0.0",
        "1" * 5000,
        r'"\u0000"',
        r'"\ud83d"',
        r'"\udc00\ud800"',
        '"\u007f\u2028\U0010ffff"',
        "[" * 500 + "]" * 500,
        '{"a": 1, "a": 2}',
    ],
)
async def test_odd_documents_are_kept_byte_for_byte(postgres_url: str, value: str) -> None:
    """As an order, or whole in quarantine."""
    raw = f'\t{{"purchaseOrderNumber": "A1", "x": {value}, "orderDetails": {{}}}} '.encode()
    async with PostgresSink(postgres_url) as sink:
        await sink.write(page(raw))
        kept = [*(await documents(sink)).values()]
        kept += [one.document for one in await sink.quarantine("acme-us", "retail")]

    assert kept == [raw]


async def test_changes_are_numbered_as_they_are_committed(postgres_url: str) -> None:
    """Whoever reads on from the last number misses none, however many write at once."""
    seen: list[int] = []
    loads: list[int] = []

    async def write(name: str) -> None:
        async with PostgresSink(postgres_url) as sink:
            for n in range(20):
                await sink.write(
                    page(order(f"{n}-0"), order(f"{n}-1"), ledger=Ledger(name, *_RETAIL))
                )

    async def follow(writing: Sequence[asyncio.Task[None]]) -> None:
        async with PostgresSink(postgres_url, read_only=True) as reader:
            done = False
            while not done:
                done = all(one.done() for one in writing)
                seen.extend(one.sequence for one in await reader.changes(max(seen, default=0)))
                loads.extend(
                    seq
                    for (seq,) in await reader._read(  # noqa: SLF001 - as who loads from here
                        lambda connection: connection.fetch(
                            "SELECT change_seq FROM purchase_orders WHERE change_seq > $1 "
                            "ORDER BY 1",
                            max(loads, default=0),
                        )
                    )
                )

    async with PostgresSink(postgres_url), asyncio.TaskGroup() as group:
        writing = [group.create_task(write(f"acme-{n}")) for n in range(3)]
        group.create_task(follow(writing))

    assert seen == list(range(1, 121))
    assert len(loads) == 120


async def test_a_run_that_stops_in_mid_transaction_holds_nobody_up(postgres_url: str) -> None:
    """The server ends the transaction; whoever wakes up does it again."""
    entered, woken = asyncio.Event(), asyncio.Event()
    runs: list[int] = []

    async def linger(connection: Connection) -> int:
        runs.append(await connection.fetchval(_TAKE_A_NUMBER))
        entered.set()
        await woken.wait()
        await connection.execute("SELECT 1")
        return runs[-1]

    async with (
        PostgresSink(postgres_url, term=TERM) as sink,
        PostgresSink(postgres_url) as other,
    ):
        lingering = asyncio.create_task(sink._change(linger))  # noqa: SLF001 - no page stops
        await entered.wait()
        writing = asyncio.create_task(other.write(page(order("A1"))))
        await asyncio.wait([writing], timeout=20)
        was_held_up = not writing.done()
        woken.set()
        await writing
        taken = await lingering

    assert not was_held_up
    assert runs == [1, 2]
    assert taken == 2


_TAKE_A_NUMBER = "UPDATE change_counter SET change_seq = change_seq + 1 RETURNING change_seq"


async def test_who_brings_nothing_new_waits_for_nobody(postgres_url: str) -> None:
    """Pages that are known, and ledgers, go past a transaction that has numbers."""
    async with PostgresSink(postgres_url) as sink, PostgresSink(postgres_url) as other:
        await sink.write(page(order("A1")))
        entered, done = asyncio.Event(), asyncio.Event()

        async def number(connection: Connection) -> None:
            await connection.execute(_TAKE_A_NUMBER)
            entered.set()
            await done.wait()

        numbering = asyncio.create_task(other._change(number))  # noqa: SLF001 - no page stops
        await entered.wait()
        writing = asyncio.create_task(sink.write(page(order("A1"))))
        finishing = asyncio.create_task(sink.finish(LEDGER, FinishedWindow(WINDOW, ASKED)))
        _, held_up = await asyncio.wait([writing, finishing], timeout=5)
        done.set()
        await numbering
        written = await writing
        await finishing

    assert not held_up
    assert [one.outcome for one in written] == [Outcome.UNCHANGED]


async def test_versions_that_cross_follow_on_one_another(postgres_url: str) -> None:
    """Two that write one order at once: the newest wins, and each replaced what was there."""

    async def write(versions: Sequence[int]) -> None:
        async with PostgresSink(postgres_url) as sink:
            for n in versions:
                changed = (ASKED - timedelta(days=100 - n)).isoformat()
                await sink.write(page(order("A1", purchaseOrderChangedDate=changed)))

    async with PostgresSink(postgres_url) as sink:
        async with asyncio.TaskGroup() as group:
            group.create_task(write(range(0, 60, 2)))
            group.create_task(write(range(1, 60, 2)))
        changes = await sink.changes(0)
        found = await documents(sink)

    newest = order("A1", purchaseOrderChangedDate=(ASKED - timedelta(days=41)).isoformat())
    previous = [one.previous_digest for one in changes if isinstance(one, OrderChanged)]
    assert found == {"A1": newest}
    assert previous == [one.digest for one in changes[:-1]]


async def test_processes_write_for_different_accounts_at_once(postgres_url: str) -> None:
    """Both are killed in mid-write, and each account has what its windows claim."""
    said = await asyncio.gather(
        *(asyncio.to_thread(_write_and_kill, postgres_url, name) for name in ("acme", "bolt"))
    )
    async with PostgresSink(postgres_url, read_only=True) as sink:
        found = [one async for some in sink.orders() for one in some]
        windows = {
            name: len(await sink.windows(Ledger(name, *_RETAIL))) for name in ("acme", "bolt")
        }
        changes = await sink.changes(0, limit=100_000)

    assert all(windows[name] > max(days) for name, days in zip(windows, said, strict=True))
    for name, count in windows.items():
        days = [
            json.loads(one.document)["orderDetails"]["dealCode"]
            for one in found
            if one.account == name
        ]
        assert all(days.count(str(day)) == 120 for day in range(count))
    assert len(changes) == len(found)
    assert [one.sequence for one in changes] == list(range(1, len(found) + 1))


async def test_a_process_that_was_stopped_wakes_up_without_its_lock(postgres_url: str) -> None:
    """Another run has the account by then: the sleeper adds nothing, and says why it ends."""
    ledger = Ledger("acme", *_RETAIL)
    writer = await asyncio.create_subprocess_exec(
        *(sys.executable, ENDLESS_WRITER, postgres_url, "acme", str(TERM)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        assert writer.stdout is not None
        for _ in range(3):
            await writer.stdout.readline()
        writer.send_signal(signal.SIGSTOP)  # wherever it is, in mid-transaction too
        async with PostgresSink(postgres_url, term=TERM) as sink, sink.lock("acme"):
            await sink.write(page(order("A1"), ledger=ledger))
            before = await sink.windows(ledger), await documents(sink)
            writer.send_signal(signal.SIGCONT)
            async with asyncio.timeout(20):
                _, said = await writer.communicate()
            after = await sink.windows(ledger), await documents(sink)
    finally:
        with suppress(ProcessLookupError):
            writer.kill()
        await writer.communicate()

    assert after == before
    assert re.search(rb"account acme in postgres://.* is ours no more", said)


def _write_and_kill(url: str, account: str) -> list[int]:
    with subprocess.Popen(
        [sys.executable, ENDLESS_WRITER, url, account], stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        said = [int(writer.stdout.readline()) for _ in range(3)]
        writer.kill()
    return said
