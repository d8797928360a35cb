"""Writing pages: the newest version wins, the same content changes nothing."""

from __future__ import annotations

import asyncio
import json
import random
import sqlite3
import tempfile
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sample_files import sample

from vendororders_async.errors import SinkError
from vendororders_async.models.retail_procurement import Order, OrderStatus
from vendororders_async.pages import Document, Row, decode_document, decode_page
from vendororders_async.sinks.base import Arrival, Ledger, Outcome, Written
from vendororders_async.sinks.rows import digest_of
from vendororders_async.sinks.sqlite import SqliteSink
from vendororders_async.windows import Window

Select = Callable[..., list[tuple[Any, ...]]]

LEDGER = Ledger("acme-us", "retail", "created", "amazon")
STATUSES = Ledger("acme-us", "retail", "statuses", "amazon")
ASKED = datetime(2026, 11, 21, 12, tzinfo=UTC)
WINDOW = Window(ASKED - timedelta(days=1), ASKED)
HOUR = timedelta(hours=1)

_ORDERS = "SELECT purchase_order_number, document, change_seq FROM purchase_orders ORDER BY 1"
_VERSIONS = """
SELECT document, seen_at, change_seq FROM purchase_order_versions ORDER BY change_seq, seen_at
"""


def order(number: str = "A1", *, state: str = "New", **details: object) -> bytes:
    """Return an order; without details it is a number and a state."""
    document = {"purchaseOrderNumber": number, "purchaseOrderState": state}
    return json.dumps({**document, "orderDetails": details} if details else document).encode()


def status(number: str = "A1", *, updated: str, word: str = "OPEN") -> bytes:
    """Return the status of an order."""
    document = {"purchaseOrderNumber": number, "purchaseOrderStatus": word}
    return json.dumps({**document, "lastUpdatedDate": updated}).encode()


def arrival(
    *raws: bytes,
    asked_at: datetime = ASKED,
    ledger: Ledger = LEDGER,
    content: type[Row] = Order,
) -> Arrival:
    """Return a page with these documents."""
    return Arrival(ledger, WINDOW, asked_at, [decode_document(raw, content) for raw in raws])


def outcomes(written: Sequence[Written]) -> list[str]:
    """Return the outcomes alone."""
    return [one.outcome.value for one in written]


async def test_a_page_is_stored_as_it_came(sink: SqliteSink, select: Select) -> None:
    """Every order of a page is new, and its bytes are in the table untouched."""
    documents = decode_page(sample("getPurchaseOrders", "200.json"), Order).documents

    written = await sink.write(Arrival(LEDGER, WINDOW, ASKED, documents))
    rows: dict[str | None, str] = dict(
        select("SELECT purchase_order_number, document FROM purchase_orders")
    )

    assert {one.outcome for one in written} == {Outcome.NEW}
    assert [rows[one.purchase_order_number].encode() for one in written] == [
        document.raw for document in documents
    ]


async def test_times_are_fixed_width_utc(sink: SqliteSink, select: Select) -> None:
    """Every time column sorts as text, whatever zone and precision Amazon chose."""
    raw = order(
        purchaseOrderDate="2026-03-01T10:00:00.5+09:00",
        shipWindow="2026-03-02--2026-03-03T01:00:00Z",
    )
    await sink.write(arrival(raw))

    assert select(
        "SELECT purchase_order_date, ship_window_start, ship_window_end, asked_at,"
        " first_seen_at, purchase_order_changed_date FROM purchase_orders"
    ) == [
        (
            "2026-03-01T01:00:00.500000Z",
            "2026-03-02T00:00:00.000000Z",
            "2026-03-03T01:00:00.000000Z",
            "2026-11-21T12:00:00.000000Z",
            "2026-11-21T12:00:00.000000Z",
            None,
        )
    ]


async def test_the_same_bytes_change_nothing(sink: SqliteSink, select: Select) -> None:
    """A page that is read again leaves the tables as they are, whenever it was asked for."""
    raws = [order(f"A{n}", purchaseOrderType="RegularOrder") for n in range(250)]
    first = await sink.write(arrival(*raws))
    before = select("SELECT * FROM purchase_orders ORDER BY purchase_order_number")

    again = await sink.write(arrival(*raws, asked_at=ASKED + HOUR))

    assert outcomes(first) == ["new"] * 250
    assert outcomes(again) == ["unchanged"] * 250
    assert select("SELECT * FROM purchase_orders ORDER BY purchase_order_number") == before
    assert select("SELECT change_seq FROM change_counter") == [(1,)]


async def test_the_same_content_changes_nothing(sink: SqliteSink, select: Select) -> None:
    """Other bytes that say the same are no change: the first ones stay."""
    raw = order(dealCode="D", paymentMethod="Invoice")
    rewritten = json.dumps(json.loads(raw), sort_keys=True, indent=2).encode()
    await sink.write(arrival(raw))

    written = await sink.write(arrival(rewritten, asked_at=ASKED + HOUR))

    assert rewritten != raw
    assert outcomes(written) == ["unchanged"]
    assert select(_ORDERS) == [("A1", raw.decode(), 1)]


async def test_a_change_supersedes_what_was_there(sink: SqliteSink, select: Select) -> None:
    """The new version is in the table, the old one in the versions, each kept once."""
    old, new = order(dealCode="old"), order(dealCode="new")
    await sink.write(arrival(old))

    written = await sink.write(arrival(new, asked_at=ASKED + HOUR))

    assert written == [Written("A1", Outcome.CHANGED, digest_of(old))]
    assert select(_ORDERS) == [("A1", new.decode(), 2)]
    assert select(_VERSIONS) == [
        (old.decode(), "2026-11-21T12:00:00.000000Z", 1),
        (new.decode(), "2026-11-21T12:00:01.000000Z", 2),
    ]
    assert select("SELECT first_seen_at, updated_at FROM purchase_orders") == [
        ("2026-11-21T12:00:00.000000Z", "2026-11-21T12:00:01.000000Z")
    ]


async def test_an_older_version_changes_nothing(sink: SqliteSink, select: Select) -> None:
    """The order's own dates count before the time of asking."""
    new = order(purchaseOrderChangedDate="2026-11-02T00:00:00Z")
    old = order(purchaseOrderChangedDate="2026-11-01T00:00:00Z")
    await sink.write(arrival(new))

    written = await sink.write(arrival(old, asked_at=ASKED + HOUR))

    assert outcomes(written) == ["unchanged"]
    assert select(_ORDERS) == [("A1", new.decode(), 1)]


async def test_a_row_without_details_never_hides_them(sink: SqliteSink, select: Select) -> None:
    """A number and a state give way to details, and never the other way round."""
    bare, full = order(), order(dealCode="D")

    first = await sink.write(arrival(bare))
    second = await sink.write(arrival(full, asked_at=ASKED - HOUR))
    third = await sink.write(arrival(order(state="Closed"), asked_at=ASKED + HOUR))

    assert outcomes(first + second + third) == ["new", "changed", "unchanged"]
    assert select(_ORDERS) == [("A1", full.decode(), 2)]


async def test_an_order_twice_on_a_page_is_written_once(
    sink: SqliteSink, select: Select
) -> None:
    """The newer of the two wins in either order, and the first of them is the new one."""
    old = order("A1", purchaseOrderChangedDate="2026-11-01T00:00:00Z")
    new = order("A1", purchaseOrderChangedDate="2026-11-02T00:00:00Z")
    other_old, other_new = old.replace(b'"A1"', b'"A2"'), new.replace(b'"A1"', b'"A2"')

    written = await sink.write(arrival(old, other_new, new, other_old, new))

    assert outcomes(written) == ["new", "new", "changed", "unchanged", "unchanged"]
    assert written[2].replaced_digest == digest_of(old)
    assert select(_ORDERS) == [("A1", new.decode(), 1), ("A2", other_new.decode(), 1)]
    assert len(select(_VERSIONS)) == 3


async def test_accounts_do_not_share_orders(sink: SqliteSink, select: Select) -> None:
    """The same number of another account or API is another order."""
    ledgers = [LEDGER, Ledger("acme-eu", "retail", "created", "amazon")]

    written = [await sink.write(arrival(order(), ledger=ledger)) for ledger in ledgers]

    assert [outcomes(one) for one in written] == [["new"], ["new"]]
    assert select("SELECT account FROM purchase_orders ORDER BY 1") == [
        ("acme-eu",),
        ("acme-us",),
    ]


@pytest.mark.parametrize("number", ["A\x001", "A\x002", " L8266355", "ü'; --", "x" * 999])
async def test_any_number_is_a_key(sink: SqliteSink, number: str) -> None:
    """A number is bound as it is: spaces, quotes and even a NUL keep it apart."""
    await sink.write(arrival(order("A"), order("L8266355")))

    first = await sink.write(arrival(order(number)))
    second = await sink.write(arrival(order(number)))

    assert outcomes(first + second) == ["new", "unchanged"]


async def test_the_cursor_grows_with_every_change(sink: SqliteSink, select: Select) -> None:
    """A reader that asks for what is past its last change_seq misses nothing."""
    seen: dict[str, str] = {}
    cursor = 0
    generator = random.Random(20261121)
    for step in range(30):
        raws = [
            order(f"A{number}", dealCode=str(generator.randrange(3)))
            for number in generator.sample(range(8), 3)
        ]
        await sink.write(arrival(*raws, asked_at=ASKED + step * HOUR))
        seen |= {number: text for number, text, seq in select(_ORDERS) if seq > cursor}
        ((cursor,),) = select("SELECT max(change_seq) FROM purchase_orders")

    assert seen == {number: document for number, document, _ in select(_ORDERS)}
    assert cursor == select("SELECT change_seq FROM change_counter")[0][0]


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_the_table_does_not_depend_on_the_order_of_arrival(data: st.DataObject) -> None:
    """Versions, in pages of any cut and sequence, give the same table in the end."""
    dates = st.sampled_from([None, "2026-11-01T00:00:00Z", "2026-11-02T00:00:00+05:00"])
    hours = st.integers(0, 2)
    count = data.draw(st.integers(1, 7))
    versions = [
        (
            _version(index, data.draw(st.sampled_from("AB")), data.draw(dates)),
            ASKED + data.draw(hours) * HOUR,
        )
        for index in range(count)
    ]
    tables = []
    for _ in range(2):
        arriving = data.draw(st.permutations(versions + versions[:2]))
        tables.append(asyncio.run(_written_in_turn(arriving)))

    assert tables[0] == tables[1]


def _version(index: int, number: str, changed: str | None) -> bytes:
    """Return a version that differs from all others; every fourth has no details."""
    if index % 4 == 3:
        return order(number, state=f"State{index}")
    dates = {"purchaseOrderChangedDate": changed} if changed else {}
    return order(number, dealCode=str(index), **dates)


async def _written_in_turn(versions: list[tuple[bytes, datetime]]) -> list[tuple[Any, ...]]:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "orders.db")
        async with SqliteSink(path) as sink:
            for raw, asked_at in versions:
                await sink.write(arrival(raw, asked_at=asked_at))
        with closing(sqlite3.connect(path)) as reader:
            return reader.execute(
                "SELECT purchase_order_number, document, digest, asked_at, own_date_at"
                " FROM purchase_orders ORDER BY 1"
            ).fetchall()


async def test_the_newest_status_wins(sink: SqliteSink, select: Select) -> None:
    """Statuses have a table of their own, where lastUpdatedDate decides."""
    old = status(updated="2026-11-01T00:00:00Z")
    new = status(updated="2026-11-02T00:00:00Z", word="CLOSED")

    written = [
        await sink.write(arrival(raw, ledger=STATUSES, content=OrderStatus))
        for raw in (old, new, old, new)
    ]

    assert [one.outcome.value for (one,) in written] == [
        "new",
        "changed",
        "unchanged",
        "unchanged",
    ]
    assert select(
        "SELECT purchase_order_number, purchase_order_status, last_updated_date, document,"
        " change_seq, first_seen_at, updated_at FROM purchase_order_statuses"
    ) == [
        (
            "A1",
            "CLOSED",
            "2026-11-02T00:00:00.000000Z",
            new.decode(),
            2,
            "2026-11-21T12:00:00.000000Z",
            "2026-11-21T12:00:01.000000Z",
        )
    ]
    assert select("SELECT count(*) FROM purchase_orders") == [(0,)]


async def test_statuses_are_stored_as_they_came(sink: SqliteSink, select: Select) -> None:
    """The bytes of a status are in the table untouched."""
    documents = decode_page(
        sample("getPurchaseOrdersStatus", "200.json"), OrderStatus
    ).documents

    await sink.write(Arrival(STATUSES, WINDOW, ASKED, documents))

    assert {
        text.encode() for (text,) in select("SELECT document FROM purchase_order_statuses")
    } == {document.raw for document in documents}


async def test_what_does_not_decode_is_set_aside_whole(
    sink: SqliteSink, select: Select
) -> None:
    """Its neighbours are stored; it is new in the quarantine once, and stands there then."""
    broken = b'{"purchaseOrderNumber": "A2", "orderDetails": 5}'
    page = arrival(order("A1"), broken, order("A3"))

    first, second = await sink.write(page), await sink.write(page)
    (held,) = await sink.quarantine("acme-us", "retail")

    assert outcomes(first) == ["new", "quarantined", "new"]
    assert outcomes(second) == ["unchanged", "standing", "unchanged"]
    assert (held.ledger, held.document, held.digest) == (LEDGER, broken, digest_of(broken))
    assert held.first_seen_at == ASKED
    assert held.reason
    assert select("SELECT document, stream, typeof(document) FROM quarantine") == [
        (broken.decode(), "created", "text")
    ]


async def test_the_quarantine_keeps_any_bytes(sink: SqliteSink, select: Select) -> None:
    """Bytes that are not UTF-8 come back as they went in, as those with a NUL do."""
    raws = [b'{"purchaseOrderNumber": "\xff"}', b'{"x": "\x00"}', b"", b"not json"]

    await sink.write(arrival(*raws))
    held = await sink.quarantine("acme-us", "retail")

    assert {one.document for one in held} == set(raws)
    assert select("SELECT count(*) FROM quarantine WHERE typeof(document) = 'blob'") == [(1,)]


async def test_a_quarantine_is_its_accounts_own(sink: SqliteSink) -> None:
    """Another account, or another API, sees nothing of it."""
    await sink.write(arrival(b"1"))

    assert len(await sink.quarantine("acme-us", "retail")) == 1
    assert await sink.quarantine("acme-eu", "retail") == []
    assert await sink.quarantine("acme-us", "direct_fulfillment") == []


async def test_a_quarantine_is_read_from_its_oldest(sink: SqliteSink) -> None:
    """What came first is tried again first."""
    raws = [str(number).encode() for number in range(9)]
    for raw in reversed(raws):
        await sink.write(arrival(raw))
    held = await sink.quarantine("acme-us", "retail")

    assert [one.document for one in held] == raws[::-1]


async def test_what_decodes_after_all_leaves_the_quarantine(
    sink: SqliteSink, select: Select
) -> None:
    """A later version of this package stores it and releases it."""
    raw = order(dealCode="D")
    await sink.write(
        Arrival(LEDGER, WINDOW, ASKED, [Document(raw, reason="not yet understood")])
    )
    (held,) = await sink.quarantine("acme-us", "retail")

    document = decode_document(held.document, Order)
    written = await sink.write(Arrival(held.ledger, WINDOW, held.first_seen_at, [document]))
    await sink.release(held)
    await sink.release(held)

    assert outcomes(written) == ["new"]
    assert select(_ORDERS) == [("A1", raw.decode(), 1)]
    assert await sink.quarantine("acme-us", "retail") == []


async def test_a_cancelled_write_is_whole(sink: SqliteSink, select: Select) -> None:
    """Wherever a write is cancelled, all of its page is there or nothing of it."""
    for attempt in range(12):
        raws = [order(f"{attempt}-{number}", dealCode="D") for number in range(100)]
        task = asyncio.create_task(sink.write(arrival(*raws)))
        for _ in range(attempt % 4):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    counts = select(
        "SELECT count(*) FROM purchase_orders"
        " GROUP BY substr(purchase_order_number, 1, instr(purchase_order_number, '-'))"
    )

    assert {count for (count,) in counts} == {100}


async def test_a_page_that_fails_leaves_nothing(sink: SqliteSink, select: Select) -> None:
    """When one row cannot be written, no row of its page is, and the sink goes on."""
    good, bad = arrival(order("A1")).documents[0], arrival(order("A2")).documents[0]
    assert isinstance(bad.content, Order)
    strange = msgspec.structs.replace(
        bad, content=msgspec.structs.replace(bad.content, purchase_order_state=object())
    )
    with pytest.raises(SinkError, match="cannot use"):
        await sink.write(Arrival(LEDGER, WINDOW, ASKED, [good, strange]))

    assert select(_ORDERS) == []
    assert outcomes(await sink.write(arrival(order("A1")))) == ["new"]


async def test_many_writes_at_once_all_arrive(sink: SqliteSink, select: Select) -> None:
    """Two hundred writers at the same time are served one after the other."""
    raws = [order(f"A{number}", dealCode="D") for number in range(200)]

    written = await asyncio.gather(*(sink.write(arrival(raw)) for raw in raws))

    assert [outcomes(one) for one in written] == [["new"]] * 200
    assert select("SELECT count(*), count(DISTINCT change_seq) FROM purchase_orders") == [
        (200, 200)
    ]


async def test_readers_do_not_hold_up_the_writer(sink: SqliteSink, path: Path) -> None:
    """A reader in the middle of its work keeps its picture, and the writer goes on."""
    await sink.write(arrival(order("A1")))
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        before = reader.execute("SELECT count(*) FROM purchase_orders").fetchone()
        await sink.write(arrival(order("A2")))
        meanwhile = reader.execute("SELECT count(*) FROM purchase_orders").fetchone()
        reader.execute("COMMIT")
        after = reader.execute("SELECT count(*) FROM purchase_orders").fetchone()

    assert (before, meanwhile, after) == ((1,), (1,), (2,))
