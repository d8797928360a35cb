"""Nothing tells a secret or a person: objects at work, foreign words, files on the disk."""

from __future__ import annotations

import asyncio
import gc
import gzip
import json
import logging
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import canaries
import hearing
import leaks
import msgspec
import pytest
from commands import environment, run
from fakes import FakeTransport, an_account
from hold import Often, Record
from loopback import RawServer, Received
from multidict import CIMultiDict
from postgres import execute
from simulated import simulation

from vendororders_async.auth import AccessTokens
from vendororders_async.cli.logs import JsonLine, TextLine
from vendororders_async.dispatch import refusal
from vendororders_async.errors import (
    AuthError,
    ConfigurationError,
    DecodeError,
    SinkError,
    TransportError,
)
from vendororders_async.jobs.backfill import Backfill
from vendororders_async.jobs.reading import Reading
from vendororders_async.operations import GET_PURCHASE_ORDERS, Operation, api_named
from vendororders_async.operations.direct_fulfillment import DIRECT_FULFILLMENT
from vendororders_async.settings import load_accounts
from vendororders_async.simulator import Injection, Settings, Simulator
from vendororders_async.sinks import open_sink
from vendororders_async.sinks.base import PurgeableSink
from vendororders_async.telemetry import Event, log_event
from vendororders_async.transport import Answer, Transport

_RESTRICTED = [
    one for api in DIRECT_FULFILLMENT.values() for one in (api.get_orders, api.get_order)
]
PART = "Secrets and people"
SINCE = timedelta(days=20)
TOKEN = "Atza|IwEBIsimulated"
LIVELY = Settings(
    orders=40,
    direct_fulfillment_orders=20,
    days=20,
    rate=500.0,
    burst=500.0,
    latency=0.0,
    faults={"503": 0.05, "truncated": 0.05},
)


@contextmanager
def refusing_once(simulator: Simulator) -> Iterator[list[Injection]]:
    """Have the first list of each API answered with 403; two in a row would end a command."""
    ones = [simulator.inject(name, "403") for name in ("getPurchaseOrders", "getOrders")]
    yield ones
    for one in ones:
        one.cancel()


def ours() -> Iterator[object]:
    """Yield every object of the package that is alive; a token itself is what it is."""
    for one in gc.get_objects():
        kind = type(one)
        is_ours = str(kind.__module__).startswith("vendororders_async.")
        if is_ours and ".simulator" not in str(kind.__module__) and not isinstance(one, str):
            yield one


async def test_no_object_at_work_shows_a_secret(
    tmp_path: Path, often: Often, figure: Record, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither the repr of whatever is alive nor asyncio's own log, with debugging on."""
    caplog.set_level(logging.DEBUG)
    loop = asyncio.get_running_loop()
    loop.set_debug(True)
    loop.slow_callback_duration = 0.0  # it logs each step, with what is handed over
    event_count = text_count = refused = 0
    shown, limit = set[str](), often(10, 100)

    def look(event: Event) -> None:
        nonlocal event_count, text_count
        log_event(event)
        event_count += 1
        for one in (
            (event, *ours()) if event_count % 20 == 1 and event_count < 20 * limit else (event,)
        ):
            text_count += 1
            if leaks.SECRET in leaks.kinds_in(repr(one)):
                shown.add(type(one).__name__)

    async with simulation(LIVELY) as (simulator, [account]):
        for api in ("retail", "direct-fulfillment"):
            reading = Reading(api=api_named(api), since=simulator.now() - SINCE)
            async with open_sink(f"sqlite:{tmp_path}/orders.db", now=simulator.now) as sink:
                job = Backfill([account], reading, to=sink, observer=look, now=simulator.now)
                with refusing_once(simulator) as refusals:
                    await job.run()
                refused += sum(one.fired for one in refusals)
                text_count += 1
                if leaks.SECRET in leaks.kinds_in(repr(job.summary())):
                    shown.add("Summary")
    figure(PART, "what is at work, shown", times=1, orders=text_count, lost=len(shown))

    assert refused == 2
    assert text_count > 1000
    assert shown == set()


async def test_a_broken_answer_does_not_bring_its_request_along() -> None:
    """The error that aiohttp raises has the headers in it; a traceback must not."""

    async def garbage(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(b"no http at all\r\n\r\n")
        writer.close()

    async with RawServer(garbage) as server, Transport() as transport:
        with pytest.raises(TransportError) as caught:
            await transport.exchange("GET", server.url, headers={"x-amz-access-token": TOKEN})

    assert leaks.kinds_in(" ".join(leaks.told_by(caught.value))) == []


def test_an_answer_does_not_show_its_body() -> None:
    """A login's has a token, a page of Direct Fulfillment has people."""
    answer = Answer(200, {"x": TOKEN}, f"{TOKEN} Canary".encode())

    assert repr(answer) == f"<Answer 200, {len(answer.body)} bytes>"


QUOTED = f"The access token {TOKEN} of Canary, Kanarienweg 1"


@pytest.mark.parametrize("operation", [GET_PURCHASE_ORDERS, *_RESTRICTED], ids=str)
def test_what_amazon_quotes_is_not_carried_on(operation: Operation[object]) -> None:
    """No token at all, and nobody's address where an operation tells of people."""
    details = QUOTED if operation.is_restricted else TOKEN
    one = {"code": "InvalidInput", "message": f"Not {TOKEN}", "details": details}
    body = json.dumps({"errors": [one]}).encode()
    error = refusal(Answer(400, CIMultiDict(), body), operation, "acme")
    told = f"{error} {error!r} {vars(error)} {pickle.dumps(error)!r}"
    with pytest.raises(DecodeError) as caught:
        operation.decode(body)

    assert leaks.kinds_in(told) == []
    assert leaks.kinds_in(f"{caught.value} {caught.value!r}") == []
    assert "InvalidInput: Not ***" in str(error)


@pytest.mark.parametrize("secret", ["f00d" * 16, "s3cret-of-the-application", TOKEN])
def test_a_login_that_quotes_what_it_was_sent_is_not_carried_on(secret: str) -> None:
    """Whatever a client secret looks like."""
    account = an_account()
    credentials = msgspec.structs.replace(account.credentials, client_secret=secret)
    account = msgspec.structs.replace(account, credentials=credentials)
    words = f"{secret} and {credentials.refresh_token} are not known"
    body = json.dumps({"error": "invalid_client", "error_description": words}).encode()

    async def job() -> None:
        async with FakeTransport([Answer(401, {}, body)], latency=0.0) as transport:
            await AccessTokens(transport).get(account)

    with pytest.raises(AuthError) as caught:
        asyncio.run(job())

    assert secret not in repr(caught.value)
    assert credentials.refresh_token not in repr(caught.value)


@pytest.mark.tells(leaks.SECRET, hearing.OUTPUT, because="the command is there to print it")
@pytest.mark.tells(leaks.SECRET, hearing.ERRORS, because="the same, and we do not repeat it")
@pytest.mark.parametrize(
    "secret",
    [
        f'"{TOKEN}',  # never closed
        f'{{ env = "{TOKEN}" }}',
        f'{{ file = "{TOKEN}" }}',
        f'{{ command = ["{TOKEN}"] }}',
        f'{{ command = ["sh", "-c", "echo \'{TOKEN}\'; echo s3cret >&2; exit 1"] }}',
        f'{{ value = "{TOKEN}" }}',
        f'["{TOKEN}"]',
        f'"{TOKEN}\\q"',
    ],
)
def test_a_secret_in_the_wrong_place_is_not_shown(tmp_path: Path, secret: str) -> None:
    """Whatever is wrong with an accounts file, what is said of it is not what it keeps."""
    path = tmp_path / "accounts.toml"
    path.write_text(
        f'[[account]]\nname = "acme"\nrefresh_token = {secret}\n'
        '[application]\nclient_id = "x"\nclient_secret = "s3cret"\n'
    )
    with pytest.raises(ConfigurationError) as caught:
        load_accounts(path)

    assert leaks.kinds_in(" ".join(leaks.told_by(caught.value))) == []


@pytest.mark.tells(leaks.SECRET, leaks.RECORD, because="a format is given it to mask")
@pytest.mark.parametrize(
    "text",
    [
        TOKEN,
        f'{{"access_token":"{TOKEN}"}}',
        f"refresh_token={quote('Atzr|IwEBI', safe='')}&client_secret=amzn1.oa2-cs.v1.f00d",
        "Atz.sprdt|IwEBI/+==",
        "redis://:s3cret@cache:6379/0",
        "postgres://me:s3cret@db/orders, or postgres://me:s3cret/@:?#@db/orders",
        "amzn1.oa2-cs.v1.f00d",
    ],
)
def test_what_can_be_told_by_its_form_is_masked(text: str) -> None:
    """In an error, its repr, and a log line of either format and its fields."""
    error = SinkError(f"no: {text}")
    record = logging.makeLogRecord({"msg": f"no: {text}", "levelname": "INFO", "account": text})
    lines = [TextLine().format(record), JsonLine().format(record)]

    assert leaks.kinds_in(f"{error} {error!r} {lines}") == []
    assert str(error).startswith("no: ")


def texts_below(folder: Path) -> Iterator[tuple[Path, bytes]]:
    """Yield what is in the files below *folder*, unpacked where it is packed."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != "accounts.toml":
            yield path, path.read_bytes()
            if path.suffix == ".gz":
                yield path, gzip.decompress(path.read_bytes())
            if path.suffix == ".parquet":
                pq = pytest.importorskip("pyarrow.parquet")
                yield path, repr(pq.read_table(path).to_pylist()).encode()


SINKS = ("sqlite:{}/orders.db", "ndjson:{}/lines", "ndjson+gzip:{}/packed", "parquet:{}/tables")


async def test_no_secret_reaches_the_disk(tmp_path: Path, often: Often, figure: Record) -> None:
    """Of no command that writes orders, and in no file: sink, journal, summary or events."""
    file_count, refused, found = 0, 0, list[str]()
    home = tmp_path / "home"
    async with simulation(LIVELY) as (simulator, [account]):
        env = environment(account) | {"TMPDIR": str(home), "HOME": str(home)}
        for place in SINKS[: often(1, len(SINKS))]:
            folder = tmp_path / place.partition(":")[0]
            for one in (folder, home):
                one.mkdir(exist_ok=True)
            sink = place.format(folder)
            to = ("--to", sink, "--log-format", "json")
            since = ("--since", "2026-05-27", "--summary", f"{folder}/summary.json")
            direct = ("--api", "direct-fulfillment")
            commands = [
                ("backfill", *since, "--until", "2026-06-10", *to),
                ("backfill", *since, "--until", "2026-06-10", *to, *direct),
                ("export", "--from", sink, "--to", f"csv:{folder}/csv"),
                ("export", "--from", sink, "--to", f"duckdb:{folder}/orders.duckdb"),
            ]
            if place.startswith("sqlite"):
                events = ("--events", f"ndjson:{folder}/events", "--once")
                commands += [
                    ("sync", *since, *events, *to),
                    ("acknowledge", "--draft", f"{folder}/draft.csv", *to),
                    ("acknowledge", f"{folder}/draft.csv", "--no-wait", *to),
                ]
            for command in commands:
                with refusing_once(simulator) as refusals:
                    done = await run(*command, env=env)
                refused += sum(one.fired for one in refusals)
                (folder / f"{command[0]}.log").write_text(done.out + done.err)
                assert done.code in {0, 3}, (command[0], done.err)
        for path, content in texts_below(tmp_path):
            file_count += 1
            if leaks.SECRET in leaks.kinds_in(content):
                found.append(path.name)
    figure(
        PART, "files of every command that writes", times=1, orders=file_count, lost=len(found)
    )

    assert refused > 2
    assert file_count > 5
    assert found == []


@pytest.mark.parametrize(
    ("constraint", "words"),
    [
        ("CHECK (false)", "violates check constraint"),
        ("CHECK (('Canary' || purchase_order_number)::int > 0)", ""),
    ],
    ids=["its detail", "its message"],
)
async def test_what_the_server_quotes_is_not_carried_on(
    postgres_url: str, constraint: str, words: str
) -> None:
    """PostgreSQL tells the row that it does not take, or the value: neither comes with ours."""
    async with open_sink(postgres_url, now=lambda: canaries.NOW) as sink:
        assert isinstance(sink, PurgeableSink)
        await canaries.store(sink, canaries.page(canaries.direct("D1")))
        execute(postgres_url, f"ALTER TABLE purchase_orders ADD {constraint} NOT VALID")
        told = list[str]()
        try:
            arrival = canaries.page(canaries.direct("CANARY-2"))
            await canaries.store(sink, arrival)
        except SinkError as error:
            told += leaks.told_by(error)
        told += [one.reason for one in await sink.quarantine("acme-us", "direct_fulfillment")]

    assert told
    assert words in " ".join(told)
    assert leaks.kinds_in(" ".join(told)) == []
