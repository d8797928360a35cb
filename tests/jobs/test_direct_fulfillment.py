"""Backfills of direct fulfillment: all of it, either version, people in the sink alone."""

# ruff: noqa: ASYNC240 - a test may look at a file while nobody waits for its loop

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
import virtual_time
from fakes import FakeTransport, an_account
from memory_sink import MemorySink, owner
from shop import JSON, Shop, an_order, canaries_in
from simulated import NOW, SINCE, UNTIL, now, simulation

from vendororders_async.cli.progress import ProgressReport
from vendororders_async.errors import InvalidArgument
from vendororders_async.jobs.backfill import Backfill, backfill
from vendororders_async.jobs.export import export
from vendororders_async.jobs.holdings import AccountHolding, holdings
from vendororders_async.jobs.quarantine import Retried, retry_quarantine
from vendororders_async.jobs.reading import Reading
from vendororders_async.jobs.summary import Summary
from vendororders_async.models import direct_fulfillment
from vendororders_async.models.retail_procurement import Order
from vendororders_async.operations import api_named
from vendororders_async.pages import decode_document
from vendororders_async.redaction import redact
from vendororders_async.sinks import Sink, open_sink
from vendororders_async.sinks.sqlite import SqliteSink
from vendororders_async.telemetry import Event
from vendororders_async.transport import Answer

API = "direct_fulfillment"
VERSIONS = ("v1", "2021-12-28")
GERMANY = owner("germany", API)
Spoil = Callable[[str, bytes], bytes]


async def read(
    shop: Shop, sink: Sink | str, version: str = "v1", **options: Any
) -> tuple[Summary, list[Event]]:
    """Run a backfill of the usual range, and return its summary and its events."""
    events: list[Event] = []
    tick: Callable[[], datetime] = options.pop("now", now)
    api = api_named("direct-fulfillment", version)
    given: dict[str, Any] = {"since": SINCE, "until": UNTIL, "api": api}
    async with FakeTransport(shop.script, latency=0.0) as transport:
        job = Backfill(
            [an_account()],
            Reading(**given | options),
            to=sink,
            observer=events.append,
            transport=transport,
            now=tick,
        )
        await job.run()
    return job.summary(), events


def stored(sink: MemorySink) -> dict[str, bytes]:
    """Return the documents in the sink."""
    return {key[2]: raw for key, raw in sink.documents.items() if key[:2] == (GERMANY, "order")}


def spoilt(*rules: tuple[str, bytes, bytes]) -> Spoil:
    """Return what replaces bytes in the orders that are named."""

    def spoil(number: str, document: bytes) -> bytes:
        for name, before, after in rules:
            if name == number:
                assert before in document
                document = document.replace(before, after)
        return document

    return spoil


def bad(astray: bytes = b"nobody") -> Spoil:
    """Return what makes one order each undecodable, with a customer gone *astray* in some."""
    return spoilt(
        ("DF0001", b'"amount": 2', b'"amount": "two of %s"' % astray),
        ("DF0002", b"Happy", b"Happy \xff"),
        ("DF0003", b'"1.50"', b"NaN"),
        ("DF0004", b'"Zaphod', b'"\\ud800 Zaphod'),
        ("DF0005", b'"orderDate": "', b'"orderDate": "%s' % astray),
        ("DF0006", b'"phone": "+49 555 CANARY"', b'"phone": {"CANARY": ["+49 555 CANARY"]}'),
        ("DF0007", b'"00001"', b"[" * 200 + b'"42 Canary Street"' + b"]" * 200),
        ("DF0008", b'"isGift": true', b'"isGift": "%s"' % astray),
        ("DF0009", b'"partyId": "VENDOR"', b'"partyId": ["%s"]' % astray),
    )


BAD_COUNT = 9
# What is wrong is said of the customer alone, so that it goes with him
MENDED_BY_REDACTION = {"DF0002", "DF0004", "DF0006"}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("details", ["inline", "fan-out"])
async def test_every_order_arrives_as_it_was_sent(version: str, details: str) -> None:
    """Whole or one by one; the summary adds up, and a second run asks nothing."""
    sink, shop = MemorySink(), Shop()
    summary, _ = await read(shop, sink, version, details=details)
    asked_count = len(shop.asked)
    again, _ = await read(shop, sink, version, details=details)

    assert stored(sink) == shop.documents()
    assert all(f"/{version}/" in one for one in shop.asked)
    assert summary.complete
    assert (summary.orders, summary.new) == (100, 100)
    assert summary.requests == asked_count
    assert summary.ideal_seconds == (0.18 if details == "fan-out" else 0.0)
    assert again.complete
    assert again.requests == 0
    assert len(shop.asked) == asked_count


async def test_by_default_the_one_stream_there_is_is_read() -> None:
    """Direct fulfillment has neither changes nor statuses, and both versions one ledger."""
    sink, shop = MemorySink(), Shop(1)
    for version in VERSIONS:
        await read(shop, sink, version)

    assert [(one.api, one.stream) for one in sink.finished] == [(API, "created")]
    assert all("2021-12-28" not in one for one in shop.asked)
    with pytest.raises(InvalidArgument, match="streams are created; not statuses"):
        await read(shop, sink, streams=["statuses"])
    with pytest.raises(InvalidArgument, match="2022"):
        await backfill(
            [an_account()],
            to="sqlite:never.db",
            api="direct-fulfillment",
            direct_fulfillment_version="2022",
        )


@pytest.mark.parametrize("kind", ["sqlite", "ndjson"])
async def test_both_apis_of_an_account_live_in_one_sink(tmp_path: Path, kind: str) -> None:
    """Orders of the same number, windows, counts and exports of the two are kept apart."""
    url = f"{kind}:{tmp_path / 'store'}"
    shop = Shop(30)
    async with simulation() as (simulator, [demo]):
        document = msgspec.json.decode(next(iter(simulator.truth("demo").values())))
        document["purchaseOrderNumber"] = "DF0001"
        simulator.put_order("demo", document, available_at=UNTIL - timedelta(days=1))
        account = msgspec.structs.replace(demo, name="germany")
        async with open_sink(url, now=now) as sink:
            for first in (True, False):
                reading = Reading(since=SINCE, until=UNTIL, streams=["created"])
                job = Backfill([account], reading, to=sink, now=now)
                await job.run()
                summary, _ = await read(shop, sink)
                assert summary.new == (30 if first else 0)
                assert job.summary().complete
                assert job.summary().new == (job.summary().orders if first else 0)
        truth = simulator.truth("demo", after=SINCE, before=UNTIL)
    async with open_sink(url, read_only=True) as sink:
        found = await holdings(sink, now=NOW)
        held = {
            (one.api, one.purchase_order_number): one.document
            async for batch in sink.orders()
            for one in batch
        }
    for target in ("csv", "ndjson", "sqlite"):
        done = await export(source=url, to=f"{target}:{tmp_path / target}", now=now)
        assert (done.orders, done.undecodable) == (len(held), 0)

    assert {number for api, number in held if api == API} == shop.orders.keys()
    assert (
        truth.items()
        <= {number: raw for (api, number), raw in held.items() if api == "retail"}.items()
    )
    assert held[API, "DF0001"] != held["retail", "DF0001"]
    assert found.accounts == (
        AccountHolding("germany", API, 30, 0),
        AccountHolding("germany", "retail", len(held) - 30, 0),
    )
    assert {(one.api, one.stream, one.covered_until) for one in found.streams} == {
        (API, "created", UNTIL),
        ("retail", "created", UNTIL),
    }
    tables = {one: (tmp_path / "csv" / f"{one}.csv").read_text() for one in ("orders", "lines")}
    assert canaries_in("".join(tables.values())) == set()
    assert "germany,direct_fulfillment,DF0001," in tables["orders"]
    assert (
        "germany,direct_fulfillment,DF0001,00001,B07DFVDRAB,8806098286500,2,1.5,EUR,3.0"
        in tables["lines"]
    )


@pytest.mark.parametrize("details", ["inline", "fan-out"])
def test_bad_orders_go_to_quarantine_and_no_word_tells_of_anybody(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str], details: str
) -> None:
    """Logs, progress, events, summary and reasons name places in a document, never values."""
    caplog.set_level(logging.DEBUG)
    pages = iter(range(1, 1000))

    def fault(_path: str, _count: int) -> Answer | None:
        place = next(pages)
        customer = b'{"payload": {"name": "Zaphod Canaryname", "orders": '
        return {
            2: Answer(500, JSON, b'{"errors": [{"code": "InternalFailure", "message": "x"}]}'),
            4: Answer(200, JSON, customer),
            6: Answer(200, JSON, b"<html>Zaphod Canaryname"),
            8: Answer(200, JSON, b'{"orders": "Zaphod Canaryname"}'),
        }.get(place)

    sink = MemorySink()
    shop = Shop(spoil=bad(b"Zaphod Canaryname"), fault=fault)
    summary, events = virtual_time.run(read(shop, sink, details=details))
    with ProgressReport(["germany"], clock=iter(range(0, 10**6, 60)).__next__) as report:
        for event in events:
            report(event)
    reasons = [one.reason for one in sink.held.values()]

    assert summary.quarantined == len(reasons) == BAD_COUNT
    assert summary.accounts["germany"].error
    assert canaries_in(b"".join(raw for _, raw in sink.held)) != set()
    told = [caplog.text, *capsys.readouterr(), repr(events), repr(summary), *reasons]
    told += [msgspec.json.encode(summary).decode(), *map(str, sink.ends.values())]
    assert canaries_in("\n".join(told)) == set()
    assert all(reasons)


def places(tree: Any, *path: str | int) -> Iterator[tuple[str | int, ...]]:
    """Yield the way to everything in *tree*."""
    members = tree if isinstance(tree, dict) else dict(enumerate(tree))
    for step, one in members.items():
        yield (*path, step)
        if isinstance(one, dict | list):
            yield from places(one, *path, step)


OUT_OF_PLACE = (
    *(b'"Zaphod Canaryname"', b'["Zaphod Canaryname"]', b'{"Zaphod": "Canaryname"}', b"-1.5"),
    *(b"1" * 400, b"true", b"9e99999", b'"Zaphod Canaryname', b'"Zaphod \xff"', b"Canaryname"),
    b'"\\ud800 Canaryname"',
)


@pytest.mark.parametrize("place", [*places(an_order("P1", UNTIL))], ids=str)
@pytest.mark.parametrize("row", [direct_fulfillment.Order, Order], ids=["its own", "retail's"])
def test_no_reason_tells_of_anybody(
    place: tuple[str | int, ...], row: type[direct_fulfillment.Order | Order]
) -> None:
    """Whatever is put in whatever place, a reason says where it is wrong, not what is there."""
    order: Any = an_order("P1", UNTIL)
    inner = order
    for step in place[:-1]:
        inner = inner[step]
    inner[place[-1]] = "HERE"
    whole = json.dumps(order).encode()
    documents = [decode_document(whole.replace(b'"HERE"', one), row) for one in OUT_OF_PLACE]
    reasons = [one.reason for one in documents if one.reason is not None]

    assert reasons
    assert canaries_in("\n".join(reasons)) == set()
    assert not [one for one in reasons if "zaphod" in one.lower()]


@pytest.mark.parametrize(("kind", "version"), [("sqlite", "v1"), ("ndjson", "2021-12-28")])
async def test_a_redacted_backfill_stores_nobody(
    tmp_path: Path, kind: str, version: str
) -> None:
    """No byte of a customer reaches the disk, also of what cannot be decoded."""
    url = f"{kind}:{tmp_path / 'store'}"
    shop = Shop(30, spoil=bad())
    async with open_sink(url, now=now) as sink:
        summary, _ = await read(shop, sink, version, redact=True)
        held = await sink.quarantine("germany", API)
        async with sink.lock("germany"):
            retried = await retry_quarantine(sink, "germany", API)
        orders = {
            one.purchase_order_number: one.document
            async for batch in sink.orders()
            for one in batch
        }
    files = [one for one in tmp_path.rglob("*") if one.is_file()]

    assert orders.keys() >= MENDED_BY_REDACTION
    assert summary.orders == len(orders) == 30 - BAD_COUNT + len(MENDED_BY_REDACTION)
    truth = shop.documents()
    assert all(raw == redact(truth[number]) for number, raw in orders.items())
    assert summary.quarantined == len(held) == BAD_COUNT - len(MENDED_BY_REDACTION)
    assert all("personal details were taken out" in one.reason for one in held)
    reduced = [one.document for one in held if one.document.startswith(b'{"redacted"')]
    assert reduced == [b'{"redacted":"DF0007"}']
    assert retried == Retried(0, len(held))
    assert files
    assert [one for one in files if canaries_in(one.read_bytes())] == []


@pytest.mark.parametrize(
    ("held", "error"), [("retail", None), (API, "another run"), (None, "another run")]
)
async def test_it_runs_beside_whoever_writes_retail(
    tmp_path: Path, held: str | None, error: str | None
) -> None:
    """But not beside another run of direct fulfillment, nor while all is locked."""
    async with (
        SqliteSink(tmp_path / "orders.db", now=now) as sink,
        sink.lock_api("germany", held) if held else sink.lock("germany"),
    ):
        summary, _ = await read(Shop(1), sink)

    told = summary.accounts["germany"].error
    assert told is None if error is None else error in str(told)
    assert summary.orders == (error is None)


def test_orders_that_are_asked_for_one_by_one_are_redacted_too() -> None:
    """The answers of getOrder go the same way, whole or spoilt."""
    sink = MemorySink()
    virtual_time.run(
        read(Shop(30, spoil=bad()), sink, "2021-12-28", details="fan-out", redact=True)
    )

    assert len(stored(sink)) == 30 - BAD_COUNT + len(MENDED_BY_REDACTION)
    kept = [*stored(sink).values(), *(raw for _, raw in sink.held)]
    assert canaries_in(b"".join(kept)) == set()


async def test_a_redacted_run_after_a_plain_one_wins(tmp_path: Path) -> None:
    """The order that comes again takes the place of the one with its customer."""
    ticks = iter(range(10**6))
    shop = Shop(5, until=NOW - timedelta(days=1))
    options: dict[str, Any] = {
        "until": NOW - timedelta(minutes=2),
        "now": lambda: NOW + timedelta(seconds=next(ticks)),
    }
    outcomes = []
    async with open_sink(f"sqlite:{tmp_path}/orders.db", now=now) as sink:
        for redacts in (False, True, True):
            summary, _ = await read(shop, sink, redact=redacts, **options)
            outcomes.append((summary.new, summary.changed, summary.unchanged))
        documents = [one.document async for batch in sink.orders() for one in batch]

    assert outcomes == [(5, 0, 0), (0, 5, 0), (0, 0, 5)]
    assert canaries_in(b"".join(documents)) == set()


async def test_what_a_plain_run_set_aside_is_redacted_before_it_is_stored() -> None:
    """A redacting run that understands a standing document stores it without its customer."""
    sink = MemorySink()
    await read(Shop(3, spoil=bad()), sink)
    for key, one in list(sink.held.items()):
        mended = json.dumps(an_order("MENDED01", UNTIL)).encode()
        del sink.held[key]
        sink.held[GERMANY, mended] = msgspec.structs.replace(one, document=mended)
    await read(Shop(0), sink, redact=True)

    assert sink.held == {}
    assert canaries_in(stored(sink)["MENDED01"]) == set()


async def test_retail_is_not_redacted() -> None:
    """Its parties are warehouses: the bytes are Amazon's."""
    sink = MemorySink()
    async with simulation() as (simulator, accounts):
        reading = Reading(since=SINCE, until=UNTIL, streams=["created"], redact=True)
        await Backfill(accounts, reading, to=sink, now=now).run()
        truth = simulator.truth("demo", after=SINCE, before=UNTIL)

    assert truth.items() <= {key[2]: raw for key, raw in sink.documents.items()}.items()


def test_errors_in_an_orders_place_are_not_an_order() -> None:
    """A refusal with a good status costs its window, and puts nothing into quarantine."""
    refusal = Answer(200, JSON, b'{"errors": [{"code": "InternalFailure", "message": "x"}]}')
    sink = MemorySink()
    shop = Shop(3, fault=lambda path, _: refusal if path.endswith("/DF0001") else None)
    summary, _ = virtual_time.run(read(shop, sink, "2021-12-28", details="fan-out"))

    assert sink.held == {}
    assert not summary.complete
    assert stored(sink).keys() == {"DF0000", "DF0002"}


class NotingSink(MemorySink):
    """A memory that submissions can be recorded in, as far as a backfill looks."""

    def __init__(self) -> None:
        super().__init__()
        self.noted: list[tuple[str, timedelta, bool]] = []

    async def note_account(self, account: str, acknowledge_within: timedelta) -> None:
        """Note it, and whether the account was locked."""
        self.noted.append((account, acknowledge_within, account in self._locked))

    async def never(self) -> None:
        """Do what no backfill asks for."""
        raise NotImplementedError

    record = submissions = pending = never


async def test_a_sink_is_told_how_long_an_account_may_take() -> None:
    """Once a run, under the account's lock, where the sink can keep it."""
    sink = NotingSink()
    account = msgspec.structs.replace(an_account(), acknowledge_within=timedelta(hours=8))
    shop = Shop(1)
    async with FakeTransport(shop.script, latency=0.0) as transport:
        reading = Reading(api=api_named("direct-fulfillment"), since=SINCE, until=UNTIL)
        await Backfill([account], reading, to=sink, transport=transport, now=now).run()

    assert sink.noted == [("germany", timedelta(hours=8), True)]
