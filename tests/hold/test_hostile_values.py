"""Hostile numbers, tokens and names: what is asked, stored and shown stays what it was."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from unicodedata import category
from urllib.parse import parse_qs, quote, unquote

import pytest
from canned import Asked, answering
from hold import Often, Record, tried
from hypothesis import strategies as st

from vendororders_async.accounts import Account, Credentials
from vendororders_async.cli import main
from vendororders_async.errors import one_line, plain_line
from vendororders_async.jobs.backfill import backfill
from vendororders_async.models.retail_procurement import Order
from vendororders_async.pages import decode_document
from vendororders_async.sinks import open_sink
from vendororders_async.sinks.base import Arrival, Ledger
from vendororders_async.sinks.ndjson_stream import NdjsonStream
from vendororders_async.spreadsheets import cell, text_of
from vendororders_async.terminals import escaped
from vendororders_async.windows import FinishedWindow, Window

PART = "Secrets and people"
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
WINDOW = Window(NOON - timedelta(days=1), NOON)

LIST = "/vendor/orders/v1/purchaseOrders"

HOSTILE = [
    *("../../x", "..", ".", "%2e%2e", "%2e%2e%2fx", "a/b?c=d#e", "/", "//evil.com/", "\\..\\"),
    *("\r\nHost: evil", "a\nb", "a\0b", "{purchaseOrderNumber}", "@evil.com", "://evil.com"),
    *(
        "'; DROP TABLE purchase_orders;--",
        "$1",
        "?1",
        ":a",
        '"',
        "a' OR '1'='1",
        "%s",
        "*",
        "[",
    ),
    *("\u202eabc", "\u2066a", "\u2028a", "\x1b[2J", "\x9b2J", "\ufeffA", "=1+1", "x" * 100_000),
    *(" ", "&createdAfter=2020-01-01T00:00:00Z", "a&b=c", "+", "CON", "a:b", "~", "-rf"),
]
# any text that UTF-8 has, and those
texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1) | st.sampled_from(HOSTILE)
# longer ones the server refuses here, and then it is no list
tokens = texts.filter(lambda one: len(quote(one, safe="")) < 4_000)


def order(number: str) -> dict[str, object]:
    """Return an order of that number."""
    details = {"purchaseOrderDate": "2026-11-20T13:00:00Z", "items": []}
    return {"purchaseOrderNumber": number, "purchaseOrderState": "New", "orderDetails": details}


def account(url: str = "https://example.com", name: str = "acme") -> Account:
    """Return an account at *url*."""
    credentials = Credentials(client_id="a", client_secret="b", refresh_token="c")
    return Account(
        name=name, credentials=credentials, endpoint=url, token_url=f"{url}/auth/o2/token"
    )


@contextmanager
def hostile_amazon(rows: list[str], token: str) -> Iterator[tuple[str, list[Asked]]]:
    """Serve one list of these numbers, and a next token; of details it knows nothing."""

    def answer(asked: Asked) -> tuple[int, bytes]:
        path, _, query = asked.path.partition("?")
        if path != LIST:
            return 404, b'{"errors": [{"code": "NotFound", "message": "no"}]}'
        payload: dict[str, object] = {"orders": [order(number) for number in rows]}
        if "nextToken" not in query:
            payload["pagination"] = {"nextToken": token}
        return 200, json.dumps({"payload": payload}).encode()

    with answering(answer) as served:
        yield served.url, served.asked


def is_within(asked: Asked, numbers: set[str], token: str) -> bool:
    """Say whether a request is one that could be meant: a list as planned, or one order."""
    path, _, query = asked.path.partition("?")
    if path in {LIST, "/auth/o2/token"}:
        names = parse_qs(query, keep_blank_values=True, strict_parsing=bool(query))
        return all(len(one) == 1 for one in names.values()) and (
            names.get("nextToken", [token]) == [token]
        )
    prefix, _, segment = path.rpartition("/")
    return prefix == LIST and not query and unquote(segment) in numbers - {".", ".."}


def test_no_number_and_no_next_token_leaves_its_place(
    often: Often, figure: Record, tmp_path: Path
) -> None:
    """Whatever Amazon lists, only lists and orders are asked for, and all of it is stored."""
    asked_count, strayed, lost = 0, 0, 0

    def run(case: tuple[set[str], str, str]) -> None:
        nonlocal asked_count, strayed, lost
        numbers, token, details = case
        with (
            TemporaryDirectory(dir=tmp_path) as folder,
            hostile_amazon(sorted(numbers), token) as (url, asked),
        ):
            database = Path(folder, "orders.db")
            summary = asyncio.run(
                backfill(
                    [account(url)],
                    to=f"sqlite:{database}",
                    since=WINDOW.after,
                    until=WINDOW.before,
                    streams=["created"],
                    details=details,
                )
            )
            with closing(sqlite3.connect(database)) as reader:
                rows = reader.execute("SELECT purchase_order_number FROM purchase_orders")
                stored = {number for (number,) in rows}
        strays = [one for one in asked if not is_within(one, numbers, token)]
        asked_count += len(asked)
        strayed += len(strays)
        # a token that cannot be sent back ends its window, which is not called finished
        can_go_on = token.isprintable() and bool(token.strip())
        is_whole = can_go_on or details == "inline"
        lost += len(numbers ^ stored if is_whole else stored - numbers)
        assert strays == []
        assert summary.complete is can_go_on
        assert stored == numbers if is_whole else stored <= numbers

    cases = st.tuples(
        st.sets(texts, min_size=1, max_size=6), tokens, st.sampled_from(["inline", "fan-out"])
    )
    times = often(8, 50)
    try:
        for token in ("a&createdAfter=2020#x", "a\r\nHost: evil"):
            run((set(HOSTILE), token, "fan-out"))
        tried(run, cases, times)
    finally:
        what = "a hostile order number or next token: requests compared"
        figure(PART, what, times=times + 2, orders=asked_count, lost=strayed + lost)


def test_no_name_leaves_its_folder_or_its_column(
    often: Often, figure: Record, tmp_path: Path
) -> None:
    """Each sink gives back what it was given, and touches no file of others."""
    count, lost = 0, 0

    async def keep(url: str, name: str, numbers: set[str]) -> set[tuple[str, str]]:
        ledger = Ledger(name, "retail", "created", "0123456789abcdef")
        documents = [
            decode_document(json.dumps(order(number)).encode(), Order) for number in numbers
        ]
        async with open_sink(url) as sink, sink.lock(name):
            begun_at = await sink.begin(ledger, WINDOW)
            await sink.write(Arrival(ledger, WINDOW, NOON, documents))
            await sink.finish(ledger, FinishedWindow(WINDOW, begun_at))
            await sink.ended(ledger, covered_until=None, error=name)
            assert [one.window for one in await sink.windows(ledger)] == [WINDOW]
            return {
                (one.account, one.purchase_order_number)
                async for batch in sink.orders()
                for one in batch
            }

    def run(case: tuple[str, set[str]]) -> None:
        nonlocal count, lost
        name, numbers = case
        with TemporaryDirectory(dir=tmp_path) as folder:
            Path(folder, "in").mkdir()
            for kind in ("sqlite", "ndjson", "parquet"):
                found = asyncio.run(keep(f"{kind}:{folder}/in/{kind}", name, numbers))
                count += len(numbers)
                lost += len(found ^ {(name, number) for number in numbers})
                assert found == {(name, number) for number in numbers}
            kinds = {
                path.name.partition(".")[0].split("-")[0]
                for path in Path(folder, "in").iterdir()
            }
            assert [path.name for path in Path(folder).iterdir()] == ["in"]
            assert kinds == {"sqlite", "ndjson", "parquet"}

    times = often(8, 100)
    try:
        tried(run, st.tuples(texts, st.sets(texts, min_size=1, max_size=5)), times)
    finally:
        what = "hostile names and numbers into three sinks: orders compared"
        figure(PART, what, times=times, orders=count, lost=lost)


FORMULAS = [
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "=cmd|' /C calc'!A0",
    "\uff1d1+1",
    "\uff20a",
    "\uff0d1",
    "|x",
]
LEADS = ["", " ", "\t", "\r", "\n", "\u00a0", "\u200b", "\ufeff", '"', "''", "a;", "a; ", 'x;"']


def is_seen(one: str) -> bool:
    """Say whether a character is one, and neither drives nor turns anything."""
    return category(one) != "Cc" and not (
        "\u202a" <= one <= "\u202e" or "\u2066" <= one <= "\u2069"
    )


def runs(text: str) -> bool:
    """Say whether a spreadsheet would take *text* for a formula, in any of its cells."""
    cells = [text, *text.split(";")[1:]]
    return any(
        one.lstrip(' \t\r\n\u00a0\u200b\ufeff"')[:1] in set("=+-@|\uff1d\uff0b\uff0d\uff20")
        for one in cells
        if one.strip('" ')
    )


def test_no_text_runs_in_a_spreadsheet(often: Often, figure: Record) -> None:
    """A cell is never a formula, in either separation, and our own reading gives it back."""
    wrong = 0
    alphabet = st.text(st.sampled_from("=+-@|;,'\" \t\r\nab1\uff1d\u202e\u200b\0"), max_size=9)
    hostile = st.tuples(st.sampled_from(LEADS), st.sampled_from(FORMULAS)).map("".join)

    def run(text: str) -> None:
        nonlocal wrong
        file = io.StringIO(newline="")
        csv.writer(file).writerow([cell(text)])
        [[written]] = csv.reader(io.StringIO(file.getvalue(), newline=""))
        plain = "".join(filter(is_seen, text.translate(str.maketrans("\t\r\n", "   "))))
        is_wrong = runs(written) or not set(written).isdisjoint("\0\r\n\t\u202e")
        wrong += is_wrong
        assert not is_wrong
        if not text.startswith(("\t", "\r")):
            assert text_of(written) == plain.strip()

    times = often(200, 20_000)
    try:
        tried(run, hostile | alphabet | texts.filter(lambda one: len(one) < 99), times)
    finally:
        figure(PART, "hostile text in a cell of CSV", times=times, orders=times, lost=wrong)


def test_no_cell_of_an_export_runs_in_a_spreadsheet(tmp_path: Path) -> None:
    """What a command writes as CSV has no formula, whatever an order says, and where."""
    documents = [
        json.dumps(
            {
                "purchaseOrderNumber": f"{formula}{place}",
                "purchaseOrderState": formula,
                "orderDetails": {
                    "dealCode": formula,
                    "buyingParty": {"partyId": formula},
                    "items": [
                        {"itemSequenceNumber": formula, "vendorProductIdentifier": formula}
                    ],
                },
            }
        ).encode()
        for place, formula in enumerate(map("".join, product(LEADS, FORMULAS)))
    ]
    ledger = Ledger("=acme", "retail", "created", "x")

    async def fill() -> None:
        async with open_sink(f"sqlite:{tmp_path}/orders.db") as sink:
            decoded = [decode_document(raw, Order) for raw in documents]
            await sink.write(Arrival(ledger, WINDOW, NOON, decoded))

    asyncio.run(fill())
    with pytest.raises(SystemExit) as ended:
        main(["export", "--from", f"sqlite:{tmp_path}/orders.db", "--to", f"csv:{tmp_path}/c"])
    rows = [
        row
        for path in (tmp_path / "c").glob("*.csv")
        for row in csv.reader(io.StringIO(path.read_bytes().decode(), newline=""))
    ]

    assert ended.value.code == 0
    assert len(rows) == 2 * (len(documents) + 1)
    assert [one for row in rows for one in row if runs(one)] == []


def test_no_text_drives_a_terminal_or_breaks_a_line(often: Often, figure: Record) -> None:
    """What is told is one line of what can be seen; JSON on a terminal means the same."""
    wrong = 0
    odd = st.text(
        st.sampled_from("a \x00\x07\x1b\x7f\x85\x9b\u2028\u202e\u2066\u200f\ufeff\n\r")
    )

    def drives(text: str) -> bool:
        return any(
            one < " "
            or "\x7f" <= one <= "\x9f"
            or one in "\u2028\u2029\u202e\u2066\u200f\ufeff"
            for one in text
        )

    def run(text: str) -> None:
        nonlocal wrong
        shown = escaped(json.dumps({"a": text}, ensure_ascii=False).encode())
        told = plain_line(text) + one_line(text)
        is_wrong = drives(shown.decode()) or drives(told) or json.loads(shown) != {"a": text}
        wrong += is_wrong
        assert not is_wrong

    times = often(200, 20_000)
    try:
        tried(run, odd | texts, times)
    finally:
        figure(
            PART,
            "hostile text on a terminal or in a log",
            times=times,
            orders=times,
            lost=wrong,
        )


@pytest.mark.skipif(os.name != "posix", reason="needs a terminal of POSIX")
def test_what_is_printed_on_a_terminal_is_escaped_there_alone() -> None:
    """A pipe gets the bytes as Amazon sent them."""
    raw = json.dumps(order("A\x9b2J"), ensure_ascii=False).encode()
    arrival = Arrival(
        Ledger("acme", "retail", "created", "x"), WINDOW, NOON, [decode_document(raw, Order)]
    )

    async def put(descriptor: int) -> None:
        async with NdjsonStream(descriptor) as sink:
            await sink.write(arrival)

    def printed(reader: int, writer: int) -> bytes:
        asyncio.run(put(writer))
        os.close(writer)
        with open(reader, "rb", buffering=0) as file:
            return file.read(65_536)

    on_terminal, in_pipe = printed(*os.openpty()), printed(*os.pipe())

    assert raw in in_pipe
    assert "\x9b".encode() not in on_terminal
    assert rb"A\u009b2J" in on_terminal
