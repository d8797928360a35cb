"""The views of SQLite and PostgreSQL: the same rows, whatever the documents say."""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from odd_documents import DOCUMENTS
from postgres import execute
from simulated import now

from vendororders_async.clock import format_stored, parse_instant
from vendororders_async.models import direct_fulfillment
from vendororders_async.models.retail_procurement import Order, OrderStatus
from vendororders_async.pages import Row, decode_document
from vendororders_async.simulator import Settings, Simulator
from vendororders_async.sinks.postgres import PostgresSink
from vendororders_async.sinks.sqlite_file import open_database

VIEWS = (
    "purchase_order_versions",
    "purchase_order_items",
    "purchase_order_lines",
    "purchase_order_item_statuses",
    "to_acknowledge",
)
ORDER_OF = '{"purchaseOrderNumber": "A", "orderDetails": {"items": [%s]}}'
STATUS_OF = '{"purchaseOrderNumber": "A", "itemStatus": [%s]}'
AT = "2026-11-21T12:00:00.000000Z"
_INSERT_ORDER = (
    "INSERT INTO purchase_orders (account, api, purchase_order_number, digest, has_details, "
    "asked_at, change_seq, first_seen_at, updated_at, purchase_order_state, document) "
    "VALUES ('a', '{}', $1, 'd', true, $2, 1, $2, $2, 'New', $3)"
)
_INSERTS = {
    Order: _INSERT_ORDER.format("retail"),
    direct_fulfillment.Order: _INSERT_ORDER.format("direct_fulfillment"),
    OrderStatus: "INSERT INTO purchase_order_statuses (account, api, purchase_order_number, "
    "digest, asked_at, change_seq, first_seen_at, updated_at, document) "
    "VALUES ('a', 'retail', $1, 'd', $2, 1, $2, $2, $3)",
}
_NUMBER = re.compile(r"\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d{1,4})?\s*")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT[\d:]{8}\.\d{6}Z")

Documents = list[tuple[type[Row], str, str]]  # what each is, its number, its text
Answers = dict[str, list[dict[str, object]]]


class Stores:
    """One of each, which are given the same documents."""

    def __init__(self, file: sqlite3.Connection, server: asyncpg.Connection) -> None:
        self._file = file
        self._server = server

    async def fill(self, documents: Documents) -> None:
        """Let *documents* be what is there."""
        for table in ("purchase_orders", "purchase_order_statuses"):
            self._file.execute(f"DELETE FROM {table}")  # noqa: S608 - one of two names
            await self._server.execute(f"DELETE FROM {table}")  # noqa: S608 - the same
        for kind, number, text in documents:
            statement = _INSERTS[kind].replace("$", "?")
            self._file.execute(statement, (number, AT, text))
            await self._server.execute(_INSERTS[kind], number, parse_instant(AT), text)

    def in_file(self) -> Answers:
        """Return what SQLite's views say, column by column."""
        return {
            view: [dict(zip(row.keys(), row, strict=True)) for row in self._rows(view)]
            for view in VIEWS
        }

    def _rows(self, view: str) -> list[sqlite3.Row]:
        return self._file.execute(f"SELECT * FROM {view}").fetchall()  # noqa: S608 - ours

    async def on_server(self) -> Answers:
        """Return what PostgreSQL's views say, column by column."""
        return {
            view: [dict(row) for row in await self._server.fetch(f"SELECT * FROM {view}")]  # noqa: S608 - ours
            for view in VIEWS
        }


@asynccontextmanager
async def stores(path: Path, url: str) -> AsyncIterator[Stores]:
    """Open both."""
    async with PostgresSink(url):
        pass  # it has its tables now
    server = await asyncpg.connect(url)
    try:
        with closing(open_database(path)) as file:
            file.row_factory = sqlite3.Row
            file.text_factory = lambda raw: raw.decode("utf-8", "surrogatepass")
            yield Stores(file, server)
    finally:
        await server.close()


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    """A loop for what is shared by examples."""
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module")
def both(
    tmp_path_factory: pytest.TempPathFactory, runner: asyncio.Runner, postgres_database: str
) -> Iterator[Stores]:
    """Both stores, for all examples."""
    execute(postgres_database, "CREATE SCHEMA views_agree")
    url = f"{postgres_database}?search_path=views_agree"
    opening = stores(tmp_path_factory.mktemp("views") / "orders.db", url)
    yield runner.run(opening.__aenter__())
    runner.run(opening.__aexit__(None, None, None))


def plain(answers: Answers) -> dict[str, list[list[tuple[str, object]]]]:
    """Return *answers* so that what means the same is the same, in an order of its own."""
    return {
        view: sorted(
            ([(name, _plain(name, value)) for name, value in row.items()] for row in rows),
            key=repr,
        )
        for view, rows in answers.items()
    }


def _plain(name: str, value: Any) -> object:
    if name.endswith("_amount"):  # text in SQLite, with whatever digits it has
        is_number = value is not None and _NUMBER.fullmatch(str(value))
        return f"{float(Decimal(str(value).strip())):.12g}" if is_number else None
    if isinstance(value, bool | int | float | Decimal):
        return f"{float(value):.12g}"
    if hasattr(value, "isoformat"):
        value = format_stored(value)
    if isinstance(value, str):
        # SQLite reads other people's times to the millisecond
        told = value[:23] if _TIME.fullmatch(value) else value
        return re.sub("[\0\ud800-\udfff]", "\ufffd", told)
    return value


def keys_are_distinct(text: str) -> bool:
    """Say whether no object in a document has a key twice."""

    def pairs(found: list[tuple[str, object]]) -> dict[str, object]:
        if len(dict(found)) < len(found):
            raise KeyError
        return dict(found)

    try:
        json.loads(text, object_pairs_hook=pairs, parse_int=str)
    except KeyError:
        return False
    return True


@settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
)
@given(DOCUMENTS)
@example((Order, ORDER_OF % '{"netCost": {"amount": "1E400"}}, {"vendor": 1e9999}'))
@example((Order, ORDER_OF % '{"itemSequenceNumber": "\\u0000"}, {"vendor": "\\ud800"}'))
def test_what_decodes_says_the_same_in_both(
    both: Stores, runner: asyncio.Runner, kind_and_text: tuple[type[Row], str]
) -> None:
    """Row by row and column by column.

    Of two equal keys PostgreSQL reads the last, as Python does, and SQLite the first.
    """
    kind, text = kind_and_text
    assume(decode_document(text.encode(), kind).content is not None)
    assume(keys_are_distinct(text))
    runner.run(both.fill([(kind, "A", text)]))
    on_server = runner.run(both.on_server())

    assert plain(on_server) == plain(both.in_file())


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(DOCUMENTS)
@example((Order, ORDER_OF % '"\\u0000", 1e999999, "\\udc00"'))
@example((Order, ORDER_OF % '{"netCost": {"amount": "1E99999999"}}'))
@example((Order, ORDER_OF % '{"netCost": {"amount": "NaN"}}, {"netCost": 1}'))
@example((OrderStatus, STATUS_OF % '{"receivingStatus": {"lastReceiveDate": "2026-02-30"}}'))
@example((OrderStatus, STATUS_OF % '{"receivingStatus": {"lastReceiveDate": "now"}}'))
def test_no_document_breaks_postgresqls_views(
    both: Stores, runner: asyncio.Runner, kind_and_text: tuple[type[Row], str]
) -> None:
    """Nor hides what others say, whether any decoder lets it in or not."""
    kind, text = kind_and_text
    good = '{"orderDetails": {"items": [{"itemSequenceNumber": "1"}]}}'
    try:
        runner.run(both.fill([(kind, "A", text), (Order, "B", good)]))
    except (asyncpg.PostgresError, sqlite3.Error, UnicodeError):
        assume(False)
    found = runner.run(both.on_server())["purchase_order_items"]

    assert [row["purchase_order_number"] for row in found][-1:] == ["B"]


def test_the_simulators_odd_orders_say_the_same_in_both(
    both: Stores, runner: asyncio.Runner
) -> None:
    """Thousands of lines, with what Amazon was seen to get wrong."""
    made = Settings(orders=400, days=60, direct_fulfillment_orders=100, oddities=True)
    simulator = Simulator(made, now=now)
    [account] = simulator.accounts
    documents: Documents = []
    for kind, truth in (
        (Order, simulator.truth(account.name)),
        (OrderStatus, simulator.status_truth(account.name)),
        (direct_fulfillment.Order, simulator.direct_fulfillment_truth(account.name)),
    ):
        documents += [(kind, number, raw.decode()) for number, raw in truth.items()]
    runner.run(both.fill(documents))
    on_server = runner.run(both.on_server())

    assert len(on_server["purchase_order_items"]) > 1000
    assert len(on_server["to_acknowledge"]) > 10
    assert plain(on_server) == plain(both.in_file())
