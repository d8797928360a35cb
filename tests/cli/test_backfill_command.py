"""``vendororders backfill`` as its users run it: in a process of its own."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import sqlite3
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from commands import Ended, ended, environment, run, start, stored
from fakes import an_account
from loopback import WebServer
from shop import JSON, Shop, canaries_in
from simulated import accounts_of

from vendororders_async.cli.logs import JsonLine, TextLine
from vendororders_async.simulator import Settings, Simulator
from vendororders_async.transport import Answer

NOW = datetime.now(UTC)
UNTIL = (NOW - timedelta(days=10)).replace(microsecond=0)
SINCE = UNTIL - timedelta(days=60)
RANGE = ("--since", SINCE.isoformat(), "--until", UNTIL.isoformat())
QUICK = Settings(orders=900, days=120, rate=500.0, burst=500.0)
SLOW = Settings(orders=4_000, days=120, latency=0.05)  # three seconds or so at the plan's pace


async def run_with(redirection: str, *arguments: str, env: dict[str, str]) -> Ended:
    """Run the command as a shell does with *redirection*."""
    process = await asyncio.create_subprocess_exec(
        *("/bin/sh", "-c", f'exec "$@" {redirection}', "sh"),
        *(sys.executable, "-m", "vendororders_async", *arguments),
        env=env,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    return await ended(process)


async def first_page(simulator: Simulator) -> None:
    """Wait until some pages were asked for."""
    while simulator.traffic.count(operation="getPurchaseOrders") < 15:  # noqa: ASYNC110 - a counter
        await asyncio.sleep(0.01)


def claimed(path: Path) -> list[tuple[datetime, datetime]]:
    """Return the windows of created orders that the database claims to hold."""
    with closing(sqlite3.connect(path)) as database:
        rows = database.execute("SELECT after, before FROM windows WHERE stream = 'created'")
        return [
            (datetime.fromisoformat(after), datetime.fromisoformat(before))
            for after, before in rows
        ]


@pytest.mark.parametrize("redirection", ["2>&-", ">&-", "<&- >&- 2>&-"])
async def test_closed_streams_are_no_hindrance(tmp_path: Path, redirection: str) -> None:
    """The database does not get their numbers, and what was done is told by the exit code."""
    simulator = Simulator(QUICK)
    async with simulator.serve() as served:
        env = environment(*accounts_of(served))
        done = await run_with(
            redirection,
            *("backfill", *RANGE, "--to", f"sqlite:{tmp_path}/orders.db"),
            env=env,
        )

    assert done.code == 0
    assert "Traceback" not in done.err
    assert stored(tmp_path / "orders.db") == simulator.truth("demo", after=SINCE, before=UNTIL)


async def test_orders_are_not_written_into_a_closed_stream() -> None:
    """They would be lost; it is one line, and no success."""
    simulator = Simulator(QUICK)
    async with simulator.serve() as served:
        env = environment(*accounts_of(served))
        done = await run_with(">&-", *("backfill", *RANGE, "--to", "ndjson:-"), env=env)

    assert done.code in {1, 3}
    assert "Bad file descriptor" in done.err
    assert "Traceback" not in done.err


async def test_a_summary_replaces_nothing_but_a_summary(tmp_path: Path) -> None:
    """Least of all the store that was just written."""
    simulator = Simulator(QUICK)
    path, link, told = (tmp_path / name for name in ("orders.db", "link", "told.json"))
    link.symlink_to(path)
    async with simulator.serve() as served:
        env = environment(*accounts_of(served))
        command = ("backfill", *RANGE, "--to", f"sqlite:{path}", "--summary")
        first = await run(*command, str(path), env=env)
        again = [await run(*command, str(one), env=env) for one in (path, link)]
        good = [await run(*command, str(told), env=env) for _ in range(2)]

    assert first.code == 0
    assert f"the summary could not be written: {path} holds something else" in first.err
    assert [one.code for one in again] == [2, 2]
    assert [one.code for one in good] == [0, 0]
    assert json.loads(told.read_text())["requests"] == 0
    assert stored(path) == simulator.truth("demo", after=SINCE, before=UNTIL)


async def test_a_complete_run_ends_with_0_and_says_so_in_json(tmp_path: Path) -> None:
    """The summary has every promised key; progress and logs stay off standard output."""
    simulator = Simulator(QUICK)
    async with simulator.serve() as served:
        env = environment(*accounts_of(served))
        sink = f"sqlite:{tmp_path}/orders.db"
        first = await run("backfill", *RANGE, "--to", sink, "--summary", "-", env=env)
        again = await run("backfill", *RANGE, "--to", sink, "--summary", "-", env=env)

    truth = simulator.truth("demo", after=SINCE, before=UNTIL)
    assert first.code == again.code == 0
    assert "complete" in first.err
    assert json.loads(first.out).keys() >= {
        *("complete", "orders", "new", "changed", "unchanged", "requests", "retries"),
        *("throttled", "quarantined", "quarantine_standing", "outside_window", "seconds"),
        *("ideal_seconds", "accounts"),
    }
    assert first.summary.complete
    assert truth.items() <= stored(tmp_path / "orders.db").items()
    assert again.summary.requests == 0


async def test_a_killed_run_loses_nothing_and_claims_nothing_false(tmp_path: Path) -> None:
    """After SIGKILL the same command goes on, and only what was in flight is asked again."""
    simulator = Simulator(SLOW)
    path = tmp_path / "orders.db"
    async with simulator.serve() as served:
        env = environment(*accounts_of(served))
        command = ("backfill", *RANGE, "--to", f"sqlite:{path}", "--summary", "-")
        process = await start(*command, env=env)
        await first_page(simulator)
        process.kill()
        await process.communicate()
        held = stored(path)
        promised = [
            number
            for after, before in claimed(path)
            for number in simulator.truth("demo", after=after, before=before)
        ]
        resumed = await run(*command, env=env)

    truth = simulator.truth("demo", after=SINCE, before=UNTIL)
    assert len(held) < len(truth)
    assert set(promised) <= held.keys()
    assert resumed.code == 0
    assert truth.items() <= stored(path).items()
    assert resumed.summary.throttled <= 1


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["INT", "TERM"]
)
async def test_an_interrupted_run_ends_cleanly_and_goes_on_later(
    number: signal.Signals, code: int, tmp_path: Path
) -> None:
    """Ctrl-C and SIGTERM end it within seconds, with a summary and without a traceback."""
    simulator = Simulator(SLOW)
    path = tmp_path / "orders.db"
    async with simulator.serve() as served:
        env = environment(*accounts_of(served))
        command = ("backfill", *RANGE, "--to", f"sqlite:{path}", "--summary", "-")
        process = await start(*command, env=env)
        await first_page(simulator)
        process.send_signal(number)
        interrupted = await asyncio.wait_for(ended(process), timeout=5)
        resumed = await run(*command, env=env)

    assert interrupted.code == code
    assert "Traceback" not in interrupted.err
    assert not interrupted.summary.complete
    assert interrupted.summary.orders > 0
    assert resumed.code == 0
    assert simulator.truth("demo", after=SINCE, before=UNTIL).keys() <= stored(path).keys()


async def test_refused_credentials_end_with_1_in_one_line(tmp_path: Path) -> None:
    """Nothing could be done, and the line names the account and what to look at."""
    simulator = Simulator(QUICK)
    simulator.refuse("demo")
    async with simulator.serve() as served:
        [account] = accounts_of(served)
        done = await run(
            *("backfill", *RANGE, "--to", f"sqlite:{tmp_path}/orders.db", "--summary", "-"),
            env=environment(account),
        )

    complaints = [line for line in done.err.splitlines() if line.startswith("error:")]
    assert done.code == 1
    assert len(complaints) == 1
    assert "default" in complaints[0]
    assert "invalid_grant" in complaints[0]
    assert "Traceback" not in done.err
    assert account.credentials.client_secret not in done.err + done.out
    assert account.credentials.refresh_token not in done.err + done.out
    assert done.summary.accounts["default"].error


async def test_one_refused_account_of_several_ends_with_3(tmp_path: Path) -> None:
    """The others are complete; the accounts file is read, and a pattern chooses from it."""
    simulator = Simulator(msgspec.structs.replace(QUICK, accounts=3))
    simulator.refuse("demo-2")
    file = tmp_path / "accounts.toml"
    async with simulator.serve() as served:
        file.write_text(
            "\n".join(
                f'[applications.{one.name}]\nclient_id = "{one.credentials.client_id}"\n'
                f'client_secret = {{ env = "SECRET_OF_{index}" }}\n'
                f'[[account]]\nname = "{one.name}"\napplication = "{one.name}"\n'
                f'refresh_token = "{one.credentials.refresh_token}"\n'
                f'endpoint = "{one.endpoint}"\ntoken_url = "{one.token_url}"\n'
                for index, one in enumerate(accounts_of(served))
            )
        )
        file.chmod(0o600)
        env = {
            f"SECRET_OF_{index}": one.credentials.client_secret
            for index, one in enumerate(accounts_of(served))
        }
        common = ("backfill", *RANGE, "--accounts", str(file), "--summary", "-")
        some = await run(*common, "--to", f"sqlite:{tmp_path}/a.db", env=env)
        good = await run(
            *(*common, "--account", "*-1", "--account", "demo-3"),
            *("--to", f"sqlite:{tmp_path}/b.db"),
            env=env,
        )
        none = await run(*common, "--account", "acme-*", env=env)

    assert some.code == 3
    assert {name for name, one in some.summary.accounts.items() if one.error} == {"demo-2"}
    assert good.code == 0
    assert good.summary.accounts.keys() == {"demo-1", "demo-3"}
    assert none.code == 2
    assert "acme-*" in none.err


async def test_new_quarantine_ends_with_3_and_standing_quarantine_only_if_strict(
    tmp_path: Path,
) -> None:
    """What could not be decoded is reported when it comes, and counted ever after."""
    simulator = Simulator(QUICK)
    command = ("backfill", *RANGE, "--to", f"sqlite:{tmp_path}/orders.db", "--summary", "-")
    async with simulator.serve() as served:
        env = environment(*accounts_of(served))
        simulator.inject("getPurchaseOrders", "bad-order:missing-number")
        fresh = await run(*command, env=env)
        standing = await run(*command, env=env)
        strict = await run(*command, "--strict", env=env)

    assert (fresh.code, standing.code, strict.code) == (3, 0, 3)
    assert fresh.summary.quarantined == 1
    assert standing.summary.quarantined == 0
    assert standing.summary.quarantine_standing == 1


async def test_a_sink_that_another_run_writes_ends_with_1(tmp_path: Path) -> None:
    """Two runs of one account do not mix; the second says why it leaves."""
    simulator = Simulator(SLOW)
    command = ("backfill", *RANGE, "--to", f"sqlite:{tmp_path}/orders.db")
    async with simulator.serve() as served:
        env = environment(*accounts_of(served))
        first = await start(*command, env=env)
        await first_page(simulator)
        simulator.set_rate(
            0.1, 1.0
        )  # the first one is still there, however busy this machine is
        second = await run(*command, env=env)
        first.terminate()
        await first.communicate()

    assert second.code == 1
    assert "another run" in second.err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--to", "papyrus:x"], 2, "papyrus"),
        (["--to", "ndjson:-", "--summary", "-"], 2, "both"),
        (["--since", "tomorrow"], 2, "no time"),
        (["--since", "2026-01-02", "--until", "2026-01-01"], 2, "end after it begins"),
        (["--since", "0001-01-01"], 2, "before any order"),
        (["--reread", "99999999999999d"], 2, "no age"),
        (["--reread", "900000d"], 2, "ten years"),
        (["--streams", "crated"], 2, "created, changed, statuses"),
        (["--accounts", "/nowhere.toml"], 2, "No such file"),
        (["--to", "sqlite:/nowhere/orders.db"], 1, "/nowhere"),
        (["--summary", "/nowhere/summary.json"], 2, "no folder"),
    ],
    ids=[
        *("sink", "two outputs", "time", "range", "long ago", "endless age", "long age"),
        *("stream", "accounts", "folder", "summary"),
    ],
)
async def test_what_is_wrong_is_said_in_a_line_before_anything_is_sent(
    arguments: list[str], code: int, words: str
) -> None:
    """A wrong command or setting makes no request."""
    simulator = Simulator(msgspec.structs.replace(QUICK, orders=1))
    async with simulator.serve() as served:
        done = await run("backfill", *arguments, env=environment(*accounts_of(served)))

    assert done.code == code
    assert words in done.err
    said = [line for line in done.err.splitlines() if not line.startswith("warning:")]
    assert len(said) == 1
    assert simulator.traffic.count() == 0


async def test_without_an_account_it_says_what_to_set() -> None:
    """A newcomer without settings is told their names."""
    done = await run("backfill", env={})

    assert done.code == 2
    assert "LWA_APP_ID" in done.err
    assert "--accounts" in done.err


async def test_the_same_name_with_another_authorisation_is_another_source(
    tmp_path: Path,
) -> None:
    """What was read for one vendor group does not pass for another's."""
    simulator = Simulator(msgspec.structs.replace(QUICK, accounts=2))
    command = ("backfill", *RANGE, "--to", f"sqlite:{tmp_path}/orders.db", "--summary", "-")
    async with simulator.serve() as served:
        germany, france = accounts_of(served)
        first = await run(*command, env=environment(germany))
        second = await run(*command, env=environment(france))

    assert first.summary.complete
    assert second.summary.complete
    assert second.summary.orders > 0


@pytest.mark.parametrize("where", ["/dev/full", "-"])
async def test_nobody_has_to_read_what_is_told(where: str, tmp_path: Path) -> None:
    """A full log disk or a closed pipe stops no job, and changes nothing about its end."""
    simulator = Simulator(QUICK)
    async with simulator.serve() as served:
        process = await asyncio.create_subprocess_shell(
            f"{sys.executable} -m vendororders_async backfill {' '.join(RANGE)} "
            f"--to sqlite:{tmp_path}/orders.db --summary {where} >/dev/full 2>/dev/full",
            env=environment(*accounts_of(served)),
        )
        code = await asyncio.wait_for(process.wait(), timeout=60)

    assert code == 0
    assert (
        simulator.truth("demo", after=SINCE, before=UNTIL).keys()
        <= stored(tmp_path / "orders.db").keys()
    )


@pytest.mark.parametrize("log_format", ["json", "text"])
async def test_log_lines_carry_fields_and_no_secrets(tmp_path: Path, log_format: str) -> None:
    """Account, operation, stream, window and request id: as keys, or in the line."""
    simulator = Simulator(QUICK)
    simulator.inject("getPurchaseOrders", "500", times=2)
    simulator.inject("getPurchaseOrdersStatus", "html-400", times=3)
    async with simulator.serve() as served:
        [account] = accounts_of(served)
        done = await run(
            *("backfill", *RANGE, "--to", f"sqlite:{tmp_path}/orders.db"),
            *("--log-format", log_format),
            env=environment(account),
        )

    assert done.code in {0, 3}
    credentials = account.credentials
    for secret in (credentials.client_secret, credentials.refresh_token, "Atza|"):
        assert secret not in done.err
    lines = done.err.splitlines()
    if log_format == "json":
        *logged, closing = [json.loads(line) for line in lines]
        retried = [one for one in logged if one.get("operation") == "getPurchaseOrders"]
        assert [one["level"] for one in retried] == ["info", "info"]
        assert all("InternalFailure" in one["message"] for one in retried)
        assert {one["account"] for one in logged} == {"default"}
        assert all(one.keys() >= {"at", "level", "message"} for one in logged)
        given_up = [one for one in logged if one["level"] == "warning"]
        assert all(one.keys() >= {"stream", "window"} for one in given_up)
        assert "complete: " in closing["message"]
    else:
        retried_lines = [line for line in lines if line.startswith("info: getPurchaseOrders ")]
        assert len(retried_lines) == 2
        assert all("for default: " in line and "(request " in line for line in retried_lines)


def record(**fields: str) -> logging.LogRecord:
    """Return a log record as the library makes them."""
    made = logging.LogRecord("vendororders_async", 30, "", 0, "of %s", ("acme",), None)
    vars(made).update(fields)
    return made


def test_a_text_line_adds_what_its_message_does_not_tell() -> None:
    """Nothing is said twice, and a line stays a line."""
    entry = record(account="acme", window="a/b", request_id="one\ntwo")

    assert TextLine().format(entry) == "warning: of acme [window=a/b request_id=one two]"
    assert TextLine().format(record(account="acme")) == "warning: of acme"


def test_a_json_line_has_a_key_for_each_field() -> None:
    """Machines need not take a message apart."""
    entry = json.loads(JsonLine().format(record(account="acme", request_id="one")))

    assert entry.pop("at").endswith("Z")
    assert entry == {
        "level": "warning",
        "message": "of acme",
        "account": "acme",
        "request_id": "one",
    }


async def test_a_killed_fan_out_goes_on_with_the_details_that_are_missing(
    tmp_path: Path,
) -> None:
    """After SIGKILL nothing false is claimed, and what is stored is not asked for again."""
    settings = msgspec.structs.replace(QUICK, rate=50.0, latency=0.02, keep_arrivals=True)
    simulator = Simulator(settings)
    path = tmp_path / "orders.db"
    async with simulator.serve() as served:
        env = environment(*accounts_of(served))
        command = ("backfill", *RANGE, "--details", "fan-out", "--to", f"sqlite:{path}")
        process = await start(*command, "--summary", "-", env=env)
        while simulator.traffic.count(operation="getPurchaseOrder") < 150:  # noqa: ASYNC110 - a counter
            await asyncio.sleep(0.01)
        process.kill()
        await process.communicate()
        held = stored(path)
        promised = [
            number
            for after, before in claimed(path)
            for number in simulator.truth("demo", after=after, before=before)
        ]
        simulator.traffic.clear()
        resumed = await run(*command, "--summary", "-", env=env)

    truth = simulator.truth("demo", after=SINCE, before=UNTIL)
    asked = {
        arrival.subject
        for arrival in simulator.traffic.arrivals
        if arrival.operation == "getPurchaseOrder"
    }
    assert 0 < len(held) < len(truth)
    assert set(promised) <= held.keys()
    assert resumed.code == 0
    assert asked & held.keys() == set()
    assert truth.items() <= stored(path).items()


@pytest.mark.parametrize("version", ["v1", "2021-12-28"])
@pytest.mark.parametrize("log_format", ["text", "json"])
async def test_people_of_direct_fulfillment_are_in_the_sink_alone(
    tmp_path: Path, version: str, log_format: str
) -> None:
    """Nothing that the command prints names one, faults and bad orders or not."""

    def spoil(number: str, document: bytes) -> bytes:
        return document.replace(b"Happy", b"Happy \xff") if number == "DF0003" else document

    def fault(_path: str, count: int) -> Answer | None:
        broken = {2: b'{"orders": "Zaphod Canaryname"}', 3: b"<html>Zaphod Canaryname</html>"}
        return Answer(200, JSON, broken[count]) if count in broken else None

    shop = Shop(40, until=UNTIL, spoil=spoil, fault=fault)
    sink = f"sqlite:{tmp_path}/orders.db"
    command = (
        *("backfill", *RANGE, "--api", "direct-fulfillment", "--summary", "-"),
        *("--direct-fulfillment-version", version, "--log-format", log_format),
    )
    async with WebServer(shop.handle) as server:
        account = msgspec.structs.replace(
            an_account(), endpoint=server.url, token_url=f"{server.url}/auth/o2/token"
        )
        env = environment(account)
        done = await run(*command, "--to", sink, env=env)
        redacted = tmp_path / "redacted.db"
        without = await run(*command, "--redact", "--to", f"sqlite:{redacted}", env=env)
    listed = await run("quarantine", "list", "--to", sink, env={})
    status = await run("status", "--to", sink, env={})

    truth = shop.documents()
    del truth["DF0003"]
    assert done.code == 3
    assert stored(tmp_path / "orders.db") == truth
    assert (done.summary.orders, done.summary.quarantined) == (39, 1)
    assert without.code == 0
    assert without.summary.orders == 40
    assert canaries_in(b"".join(stored(redacted).values())) == set()
    assert "invalid UTF-8" in listed.out
    for one in (done, without, listed, status):
        assert canaries_in(one.out + one.err) == set()


def test_an_api_or_version_that_is_not_there_is_a_wrong_command() -> None:
    """Before anything is asked; and so is a stream that the API does not have."""
    for arguments in (
        ("--api", "wholesale"),
        ("--direct-fulfillment-version", "v2"),
        ("--api", "direct-fulfillment", "--streams", "statuses"),
    ):
        done = asyncio.run(run("backfill", *arguments, env=environment(an_account())))

        assert done.code == 2, arguments
