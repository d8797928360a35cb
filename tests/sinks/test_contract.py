"""What every sink that keeps something promises, whatever it keeps it in."""

# ruff: noqa: ASYNC240 - a test may look at a file while nobody waits for its loop

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from s3 import S3, s3_server
from stores import open_store

from vendororders_async.errors import SinkError
from vendororders_async.jobs.quarantine import Retried, retry_quarantine
from vendororders_async.models.retail_procurement import Order, OrderStatus
from vendororders_async.pages import Document, Row, decode_document
from vendororders_async.sinks import Sink
from vendororders_async.sinks.base import Arrival, Ledger, Outcome, StoredOrder
from vendororders_async.sinks.rows import digest_of
from vendororders_async.windows import FinishedWindow, Window

LEDGER = Ledger("acme-us", "retail", "created", "amazon")
STATUSES = Ledger("acme-us", "retail", "statuses", "amazon")
ASKED = datetime(2026, 11, 21, 12, 0, 0, 250, tzinfo=UTC)
DAY = timedelta(days=1)
WINDOW = Window(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 8, tzinfo=UTC))
LATER = Window(WINDOW.before, WINDOW.before + DAY)
ENDLESS_WRITER = Path(__file__).with_name("endless_writer.py")
ORDERS_IN_A_WINDOW = 120
STRANGE = (
    b'{"purchaseOrderNumber": "X", "orderDetails": {"purchaseOrderDate": "soon"}, "\xff": 1}\n'
)
ODD_NAMES = (
    "../acme/us",
    "Acme",
    "acme",
    "ä\u202e\U0001f600",
    "a\nb",
    "a\x00b",
    ".",
    "=1+1",
    "x" * 300,
)


@pytest.fixture(scope="module")
def s3() -> Iterator[S3]:
    """An S3 server for all tests of this module."""
    with s3_server() as server:
        yield server


@pytest.fixture(
    params=["sqlite", "ndjson", "ndjson+gzip", "ndjson+zstd", "postgres", "parquet", "s3"]
)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """One kind of sink after the other."""
    if request.param == "postgres":
        found: str = request.getfixturevalue("postgres_url")
        return found
    if request.param in {"parquet", "s3"}:
        pytest.importorskip("vendororders_async.sinks.parquet")  # here, for it blocks
    if request.param == "s3":
        server: S3 = request.getfixturevalue("s3")
        return server.bucket(f"bucket-{uuid4().hex}")
    return f"{request.param}:{tmp_path / 'store'}"


@pytest.fixture
def path(url: str) -> Path:
    """The file or folder that a sink keeps everything in."""
    if "://" in url:
        pytest.skip("it is neither a file nor a folder")
    return Path(url.partition(":")[2])


@pytest.fixture
async def sink(url: str, now: Callable[[], datetime]) -> AsyncIterator[Sink]:
    """An open sink."""
    async with open_store(url, now=now) as opened:
        yield opened


def raw_order(
    number: str, changed: str | None = "2026-11-02T00:00:00Z", **more: object
) -> bytes:
    """Return an order's document; one that was changed at no time has no details."""
    details = {"orderDetails": {"purchaseOrderChangedDate": changed, **more}} if changed else {}
    return json.dumps({"purchaseOrderNumber": number, **details}).encode()


def page(
    *raws: bytes,
    asked_at: datetime = ASKED,
    ledger: Ledger = LEDGER,
    window: Window = WINDOW,
    content: type[Row] = Order,
) -> Arrival:
    """Return a page with these documents."""
    return Arrival(ledger, window, asked_at, [decode_document(raw, content) for raw in raws])


async def store(sink: Sink, *pages: Arrival) -> None:
    """Write *pages* of one window from its beginning to its end."""
    ledger, window = pages[0].ledger, pages[0].window
    begun_at = await sink.begin(ledger, window)
    for one in pages:
        await sink.write(one)
    await sink.finish(ledger, FinishedWindow(window, begun_at))


async def orders_in(sink: Sink) -> list[StoredOrder]:
    """Return all orders."""
    return [order async for batch in sink.orders() for order in batch]


async def documents_in(sink: Sink) -> dict[str, bytes]:
    """Return all documents by number."""
    return {one.purchase_order_number: one.document for one in await orders_in(sink)}


async def test_what_was_written_is_read_as_it_came(sink: Sink) -> None:
    """Bytes, digits, odd spellings and the time of asking are the same afterwards."""
    raw = '{"purchaseOrderNumber":"Ä\\u0000\\n1" , "n": 1.10, "e":1E400,"x":"\\ud83d\\ude00é"}'
    await store(sink, page(raw.encode()))

    assert await orders_in(sink) == [
        StoredOrder("acme-us", "retail", "Ä\x00\n1", ASKED, raw.encode())
    ]


async def test_a_document_of_many_lines_says_the_same(sink: Sink) -> None:
    """Line breaks between tokens may go, nothing else."""
    raw = b'\n{"purchaseOrderNumber":\r\n "A1",\n"n": 1.10}\n'
    await store(sink, page(raw))
    [order] = await orders_in(sink)

    assert order.document.split() == raw.split()


async def test_every_document_has_its_answer(sink: Sink) -> None:
    """What is new is new, what comes once more in a run is not."""
    await sink.begin(LEDGER, WINDOW)
    first = await sink.write(page(raw_order("A1"), raw_order("A2")))
    again = await sink.write(page(raw_order("A2"), raw_order("A3")))

    assert [(one.purchase_order_number, one.outcome) for one in first + again] == [
        *(("A1", Outcome.NEW), ("A2", Outcome.NEW)),
        *(("A2", Outcome.UNCHANGED), ("A3", Outcome.NEW)),
    ]


@pytest.mark.parametrize("turned", [False, True], ids=["in order", "turned round"])
async def test_the_newest_version_is_read_whatever_order_pages_come_in(
    sink: Sink, turned: bool
) -> None:
    """The order's own date decides, then the time of asking; details beat none."""
    newest = raw_order("A1", "2026-11-05T00:00:00Z")
    pages = [
        page(raw_order("A1", "2026-11-03T00:00:00Z"), raw_order("A2"), asked_at=ASKED + DAY),
        page(newest, raw_order("A2", None), asked_at=ASKED),
        page(raw_order("A1", None), raw_order("A3", None), asked_at=ASKED + 2 * DAY),
    ]
    await store(sink, *(reversed(pages) if turned else pages))

    assert await documents_in(sink) == {
        "A1": newest,
        "A2": raw_order("A2"),
        "A3": raw_order("A3", None),
    }


async def test_an_order_of_two_streams_is_read_once(sink: Sink) -> None:
    """Streams overlap; accounts do not, and statuses are no orders."""
    changed = Ledger("acme-us", "retail", "changed", "amazon")
    other = Ledger("acme-eu", "retail", "created", "amazon")
    status = b'{"purchaseOrderNumber": "S1"}'
    await store(sink, page(raw_order("A1")))
    await store(sink, page(raw_order("A1"), ledger=changed))
    await store(sink, page(raw_order("A1"), ledger=other))
    await store(sink, page(status, ledger=STATUSES, content=OrderStatus))

    assert [(one.account, one.purchase_order_number) for one in await orders_in(sink)] == [
        ("acme-eu", "A1"),
        ("acme-us", "A1"),
    ]


async def test_orders_are_read_a_few_at_a_time(sink: Sink) -> None:
    """However many there are, only a batch is in memory, and each comes once."""
    numbers = [f"A{number:04}" for number in range(450)]
    await sink.begin(LEDGER, WINDOW)
    for start in range(0, 450, 90):
        await sink.write(page(*map(raw_order, numbers[start : start + 90])))
    await sink.finish(LEDGER, FinishedWindow(WINDOW, ASKED))
    batches = [batch async for batch in sink.orders()]

    assert max(map(len, batches)) < 450
    assert [one.purchase_order_number for batch in batches for one in batch] == numbers


async def test_reading_may_stop_early(sink: Sink) -> None:
    """Whoever has seen enough leaves nothing open, and the sink goes on."""
    await store(sink, page(*(raw_order(f"A{number}") for number in range(300))))
    async for _ in sink.orders():
        break

    assert len(await documents_in(sink)) == 300


async def test_windows_are_remembered_across_runs(url: str) -> None:
    """Each ledger knows its own, with the instant from which it was read."""
    finished = FinishedWindow(WINDOW, ASKED)
    async with open_store(url) as first:
        await first.begin(LEDGER, WINDOW)
        await first.finish(LEDGER, finished)
    async with open_store(url) as second:
        found = await second.windows(LEDGER)
        others = [
            await second.windows(one)
            for one in (
                STATUSES,
                Ledger("acme-us", "retail", "created", "simulator"),
                Ledger("acme-eu", "retail", "created", "amazon"),
                Ledger("acme-us", "direct_fulfillment", "created", "amazon"),
            )
        ]

    assert found == [finished]
    assert others == [[], [], [], []]


async def test_a_window_that_was_not_finished_is_not_claimed(url: str) -> None:
    """The next run reads it again, and has everything then."""
    async with open_store(url) as first:
        await first.begin(LEDGER, WINDOW)
        await first.write(page(raw_order("A1")))
    async with open_store(url) as second, second.lock("acme-us"):
        claimed = await second.windows(LEDGER)
        kept = await documents_in(second)
        await store(second, page(raw_order("A1"), raw_order("A2")))
        held = await documents_in(second)

    assert claimed == []
    assert kept.keys() == {"A1"}
    assert held.keys() == {"A1", "A2"}


async def test_an_order_outlives_the_window_it_came_for(sink: Sink) -> None:
    """It stays when its own window fails: another one, which listed it too, was finished."""
    async with sink.lock("acme-us"):
        await sink.begin(LEDGER, WINDOW)
        await sink.begin(LEDGER, LATER)
        await sink.write(page(raw_order("A1")))
        await sink.finish(LEDGER, FinishedWindow(LATER, ASKED))
        await sink.ended(LEDGER, covered_until=None, error="no answer")

    assert (await documents_in(sink)).keys() == {"A1"}
    assert [one.window for one in await sink.windows(LEDGER)] == [LATER]


async def test_a_window_read_twice_keeps_what_it_had(sink: Sink) -> None:
    """Also when both readings began at the same instant, and the second found less."""
    finished = FinishedWindow(WINDOW, ASKED)
    for raws in ((raw_order("A1"), raw_order("A2")), (raw_order("A2"),), ()):
        await sink.begin(LEDGER, WINDOW)
        await sink.write(page(*raws))
        await sink.finish(LEDGER, finished)

    assert (await documents_in(sink)).keys() == {"A1", "A2"}
    assert set(await sink.windows(LEDGER)) == {finished}


async def test_a_window_nobody_began_is_kept_as_well(sink: Sink) -> None:
    """Pages are stored and the window is recorded without a beginning."""
    await sink.write(page(raw_order("A1")))
    await sink.write(page(raw_order("A2")))
    await sink.finish(LEDGER, FinishedWindow(WINDOW, ASKED))

    assert (await documents_in(sink)).keys() == {"A1", "A2"}
    assert await sink.windows(LEDGER) == [FinishedWindow(WINDOW, ASKED)]


async def test_what_does_not_decode_stands_in_quarantine(sink: Sink, url: str) -> None:
    """Its bytes are whole, whatever they are; the rest of its page goes on."""
    await sink.begin(LEDGER, WINDOW)
    first = await sink.write(page(STRANGE, raw_order("A1")))
    again = await sink.write(page(STRANGE))
    await sink.finish(LEDGER, FinishedWindow(WINDOW, ASKED))
    async with open_store(url, read_only=True) as reader:
        [held] = await reader.quarantine("acme-us", "retail")
        others = await reader.quarantine("acme-eu", "retail")

    assert [one.outcome for one in first] == [Outcome.QUARANTINED, Outcome.NEW]
    assert [one.outcome for one in again] == [Outcome.STANDING]
    assert (held.document, held.digest, held.ledger) == (STRANGE, digest_of(STRANGE), LEDGER)
    assert held.reason == "invalid UTF-8"
    assert others == []
    assert (await documents_in(sink)).keys() == {"A1"}


async def test_quarantine_stands_though_its_window_is_never_finished(url: str) -> None:
    """A document that was set aside survives the end of its run."""
    async with open_store(url) as first:
        await first.begin(LEDGER, WINDOW)
        await first.write(page(STRANGE))
    async with open_store(url) as second:
        held = await second.quarantine("acme-us", "retail")
        known = [one.ledger for one in await second.states()]

    assert [one.document for one in held] == [STRANGE]
    assert known == [LEDGER]


async def test_a_part_of_a_split_window_claims_nothing_that_is_not_seen(url: str) -> None:
    """The whole's first page holds orders of the part, and may never be finished itself."""
    middle = WINDOW.after + (WINDOW.before - WINDOW.after) / 2
    part = Window(WINDOW.after, middle)
    async with open_store(url) as sink:
        await sink.begin(LEDGER, WINDOW)
        await sink.write(page(raw_order("A1")))
        await store(sink, page(raw_order("A2"), window=part))
        async with open_store(url, read_only=True) as reader:
            seen = await documents_in(reader)

    assert seen.keys() == {"A1", "A2"}


async def test_what_leaves_the_quarantine_is_seen_at_once(url: str) -> None:
    """Whatever becomes of the run that took it out."""
    strange = Document[Row](raw_order("A1"), reason="not yet understood")
    async with open_store(url) as sink:
        await sink.write(Arrival(LEDGER, WINDOW, ASKED, [strange]))
        async with sink.lock("acme-us"):
            await retry_quarantine(sink, "acme-us", "retail")
            async with open_store(url, read_only=True) as reader:
                seen = await documents_in(reader)

    assert seen.keys() == {"A1"}


async def test_what_decodes_by_now_leaves_the_quarantine(sink: Sink) -> None:
    """It is stored without a claim to its window; what still does not decode stays."""
    strange = Document[Row](raw_order("A1"), reason="not yet understood")
    await sink.write(Arrival(LEDGER, WINDOW, ASKED, [strange, decode_document(STRANGE, Order)]))
    async with sink.lock("acme-us"):
        retried = await retry_quarantine(sink, "acme-us", "retail")
    held = await sink.quarantine("acme-us", "retail")

    assert retried == Retried(stored_count=1, standing_count=1)
    assert [one.document for one in held] == [STRANGE]
    assert await documents_in(sink) == {"A1": raw_order("A1")}
    assert await sink.windows(LEDGER) == []


async def test_states_tell_how_every_stream_is_doing(sink: Sink, url: str) -> None:
    """A run that ended well clears the error of its stream, and of no other."""
    await store(sink, page(raw_order("A1")))
    await store(sink, page(raw_order("A2"), window=LATER))
    await sink.ended(STATUSES, covered_until=None, error="refused\nfor good")
    await sink.ended(LEDGER, covered_until=None, error="no answer")
    async with open_store(url, read_only=True) as reader:
        failing = await reader.states()
    await sink.ended(LEDGER, covered_until=LATER.before, error=None)
    recovered = await sink.states()

    assert [one.ledger for one in failing] == [LEDGER, STATUSES]
    assert [one.last_error for one in failing] == ["no answer", "refused for good"]
    assert [one.window for one in failing[0].windows] == [WINDOW, LATER]
    assert failing[0].last_success_at is not None
    assert failing[1].last_success_at is None
    assert [one.last_error for one in recovered] == [None, "refused for good"]


async def test_the_last_success_is_an_accounts(sink: Sink) -> None:
    """A page counts before its window is finished."""
    before = await sink.last_success_at("acme-us")
    await sink.begin(LEDGER, WINDOW)
    await sink.write(page(raw_order("A1")))
    after = await sink.last_success_at("acme-us")

    assert before is None
    assert after is not None
    assert after.tzinfo is UTC
    assert await sink.last_success_at("acme-eu") is None


@pytest.mark.parametrize("name", ODD_NAMES)
async def test_an_account_may_be_called_anything(sink: Sink, url: str, name: str) -> None:
    """Slashes, dots, line breaks and sheer length change nothing."""
    ledger = Ledger(name, "retail", "created", "amazon")
    async with sink.lock(name):
        await store(sink, page(raw_order("A1"), STRANGE, ledger=ledger))
    async with open_store(url, read_only=True) as reader:
        [state] = await reader.states()
        [order] = await orders_in(reader)
        [held] = await reader.quarantine(name, "retail")

    assert state.ledger == ledger
    assert order.account == name
    assert held.ledger == ledger


async def test_an_odd_account_stays_in_the_store(url: str, path: Path) -> None:
    """Whatever it is called, no file is made beside the store's."""
    async with open_store(url) as sink:
        for name in ODD_NAMES:
            ledger = Ledger(name, "retail", "created", "amazon")
            async with sink.lock(name):
                await store(sink, page(raw_order("A1"), STRANGE, ledger=ledger))

    assert all(one.name.startswith("store") for one in path.parent.iterdir())


async def test_accounts_that_look_alike_are_kept_apart(sink: Sink) -> None:
    """Each reads its own, on a file system that ignores case as well."""
    for number, name in enumerate(ODD_NAMES):
        ledger = Ledger(name, "retail", "created", "amazon")
        await store(sink, page(raw_order(f"A{number}"), ledger=ledger))
    found = {one.account: one.purchase_order_number for one in await orders_in(sink)}

    assert found == {name: f"A{number}" for number, name in enumerate(ODD_NAMES)}


async def test_one_run_at_a_time_writes_for_an_account(sink: Sink, url: str) -> None:
    """Another sink on the same store is refused, for this account only."""
    if url.startswith("s3:"):
        pytest.skip("test_parquet_objects does it with a shorter term")
    async with open_store(url) as other, sink.lock("acme-us"):
        with pytest.raises(SinkError, match="another run"):
            async with other.lock("acme-us"):
                pass
        async with other.lock("acme-eu"):
            pass
    async with sink.lock("acme-us"):
        pass


async def test_a_store_can_be_read_while_it_is_written(sink: Sink, url: str) -> None:
    """A reader takes no lock, sees what is finished and changes nothing."""
    async with sink.lock("acme-us"):
        await store(sink, page(raw_order("A1")))
        await sink.begin(LEDGER, LATER)
        async with open_store(url, read_only=True) as reader:
            held = await documents_in(reader)
            with pytest.raises(SinkError):
                await reader.finish(LEDGER, FinishedWindow(LATER, ASKED))
        await sink.write(page(raw_order("A2"), window=LATER))
        await sink.finish(LEDGER, FinishedWindow(LATER, ASKED))

    assert held.keys() == {"A1"}
    assert (await documents_in(sink)).keys() == {"A1", "A2"}


async def test_a_store_that_is_not_there_is_not_made_by_reading(url: str) -> None:
    """To look at it is an error in one line."""
    with pytest.raises(SinkError, match="there is no") as caught:
        async with open_store(url, read_only=True):
            pass

    with pytest.raises(SinkError, match="there is no"):
        async with open_store(url, read_only=True):
            pass

    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("read_only", [True, False])
async def test_a_folder_or_file_of_somebody_elses_is_refused(
    url: str, path: Path, read_only: bool
) -> None:
    """What is not ours is neither read nor written to."""
    if not url.startswith("sqlite:"):
        path.mkdir()
        path /= "notes.txt"
    path.write_text("mine\n" * 300)
    with pytest.raises(SinkError):
        async with open_store(url, read_only=read_only):
            pass

    assert path.read_text() == "mine\n" * 300
    assert len(list(path.parent.iterdir())) == 1


async def test_a_sink_that_is_not_open_says_so(url: str) -> None:
    """Before and after its ``async with`` a method is an error, not a hang."""
    sink = open_store(url)
    async with sink:
        with pytest.raises(SinkError, match="open already"):
            await sink.__aenter__()
    with pytest.raises(SinkError, match="not open"):
        await sink.windows(LEDGER)


async def test_cancelled_writers_leave_a_sound_store(sink: Sink) -> None:
    """Cancelled at any step, a window is whole or not there."""

    async def write() -> None:
        async with sink.lock("acme-us"):
            await store(sink, page(raw_order("A1")), page(raw_order("A2")))

    for steps in range(8):
        task = asyncio.create_task(write())
        for _ in range(steps):
            await asyncio.sleep(0.001)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        if await sink.windows(LEDGER):
            assert (await documents_in(sink)).keys() == {"A1", "A2"}
    await write()

    assert (await documents_in(sink)).keys() == {"A1", "A2"}


async def test_a_killed_writer_claims_nothing_it_does_not_hold(
    url: str,
) -> None:
    """After SIGKILL in the middle of writing, every window in the ledger has all its orders."""
    ledger = Ledger("acme-us", "retail", "created", "amazon")
    for lines in (3, 1, 5):
        said = await asyncio.to_thread(_write_and_kill, url, lines)
        async with open_store(url) as sink, sink.lock("acme-us"):
            finished = {one.window for one in await sink.windows(ledger)}
            held = [
                json.loads(one.document)["orderDetails"]["dealCode"]
                for one in await orders_in(sink)
            ]

        assert len(finished) > max(said)
        assert all(held.count(str(day)) == ORDERS_IN_A_WINDOW for day in range(len(finished)))


async def test_a_killed_writer_leaves_no_unfinished_file(url: str, path: Path) -> None:
    """The next run clears up what one left that was killed."""
    await asyncio.to_thread(_write_and_kill, url, 1)
    async with open_store(url) as sink, sink.lock("acme-us"):
        pass
    left = [one.name for one in path.parent.rglob("*.part")]

    assert left == []


def _write_and_kill(url: str, lines: int) -> list[int]:
    with subprocess.Popen(
        [sys.executable, ENDLESS_WRITER, url], stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        said = [int(writer.stdout.readline()) for _ in range(lines)]
        writer.kill()
    return said
