"""``vendororders sync`` as its users run it: in a process of its own."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sqlite3
import sys
import urllib.request
from contextlib import closing, suppress
from http import HTTPStatus
from itertools import pairwise
from pathlib import Path
from typing import Any

import click
import msgspec
import pytest
from commands import ended, environment, run, start, stored
from simulated import accounts_of

from vendororders_async.cli import main
from vendororders_async.cli.sync import Interval, exit_code
from vendororders_async.jobs.summary import AccountSummary, Summary
from vendororders_async.simulator import Settings, Simulator

QUICK = Settings(orders=300, days=40, rate=500.0, burst=500.0)
SLOW = Settings(orders=5_000, days=50, latency=0.05)  # some ten seconds at the plan's pace
SINCE = ("--since", "60d")
OFTEN = ("--interval", "0.5")


def sequences(lines: str) -> list[int]:
    """Return the sequence numbers in *lines*, of which the last may be torn."""
    whole = [line for line in lines.splitlines(keepends=True) if line.endswith("\n")]
    return [json.loads(line)["sequence"] for line in whole]


def recorded(path: Path) -> list[int]:
    """Return the sequence numbers of all changes in the database at *path*."""
    with closing(sqlite3.connect(path)) as database:
        rows = database.execute("SELECT sequence FROM changes ORDER BY sequence")
        return [sequence for (sequence,) in rows]


async def line_of(process: asyncio.subprocess.Process) -> dict[str, Any]:
    """Wait for a line on the standard output of *process*, and return it as JSON."""
    assert process.stdout is not None
    found: dict[str, Any] = json.loads(await asyncio.wait_for(process.stdout.readline(), 20))
    return found


async def test_one_look_ends_with_0_and_tells_every_order_once(tmp_path: Path) -> None:
    """Orders are in the sink, events on standard output, everything else is not."""
    simulator = Simulator(QUICK)
    sink = f"sqlite:{tmp_path}/orders.db"
    command = ("sync", "--once", *SINCE, "--to", sink, "--events", "ndjson:-")
    async with simulator.serve() as served:
        env = environment(*accounts_of(served))
        done = await run(*command, "--summary", f"{tmp_path}/summary.json", env=env)
        again = await run(*command, env=env)
        anew = await run(*command, "--after", "0", env=env)

    truth = simulator.truth("demo")
    summary = msgspec.json.decode((tmp_path / "summary.json").read_bytes(), type=Summary)
    events = [json.loads(line) for line in done.out.splitlines()]
    created = [one for one in events if one["event"] == "order_created"]
    numbers = [one["purchase_order_number"] for one in created]
    assert (done.code, again.code, anew.code) == (0, 0, 0)
    assert summary.complete
    assert "complete: followed 1 account" in done.err
    assert stored(tmp_path / "orders.db") == truth
    assert sorted(numbers) == sorted(truth)
    assert {one["purchase_order_number"]: one["document"] for one in created} == {
        number: json.loads(raw) for number, raw in truth.items()
    }
    assert sequences(done.out) == recorded(tmp_path / "orders.db")
    assert again.out == ""
    assert anew.out == done.out


async def test_what_amazon_changes_is_printed_within_seconds(tmp_path: Path) -> None:
    """While it follows, with old and new; and its health can be asked for."""
    simulator = Simulator(QUICK)
    number = next(iter(simulator.truth("demo")))
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]

    def edit(order: dict[str, object]) -> None:
        order["purchaseOrderState"] = "Rewritten"

    def is_ready() -> bool:
        with (
            suppress(OSError),
            urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=10) as answer,
        ):
            return int(answer.status) == HTTPStatus.OK
        return False

    async with simulator.serve() as served:
        env = environment(*accounts_of(served))
        await run("backfill", *SINCE, "--to", f"sqlite:{tmp_path}/orders.db", env=env)
        process = await start(
            *("sync", *SINCE, *OFTEN, "--to", f"sqlite:{tmp_path}/orders.db"),
            *("--events", "ndjson:-", "--health", str(port)),
            env=env,
        )
        while not await asyncio.to_thread(is_ready):  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.05)
        simulator.change_order("demo", number, edit)
        events = [await line_of(process)]
        while events[-1]["event"] != "order_changed":
            events.append(await line_of(process))
        process.terminate()
        done = await asyncio.wait_for(ended(process), timeout=15)

    assert {one["purchase_order_number"] for one in events} == {number}
    assert "purchaseOrderState" in {one["field"] for one in events[-1]["fields"]}
    assert events[-1]["document"]["purchaseOrderState"] == "Rewritten"
    assert done.code == 0


@pytest.mark.parametrize(
    ("number", "options", "code"),
    [
        (signal.SIGTERM, (), 0),
        (signal.SIGINT, (), 130),
        (signal.SIGTERM, ("--once",), 143),
    ],
    ids=["TERM", "INT", "once"],
)
async def test_a_signal_ends_it_in_order_within_seconds(
    number: signal.Signals, options: tuple[str, ...], code: int, tmp_path: Path
) -> None:
    """The sink is whole, the summary is written, and the next run misses nothing."""
    simulator = Simulator(SLOW)
    path = tmp_path / "orders.db"
    command = ("sync", *SINCE, "--to", f"sqlite:{path}", "--summary", "-")
    async with simulator.serve() as served:
        env = environment(*accounts_of(served))
        process = await start(*command, *options, env=env)
        while simulator.traffic.count(operation="getPurchaseOrders") < 12:  # noqa: ASYNC110 - a counter
            await asyncio.sleep(0.01)
        process.send_signal(number)
        stopped = await asyncio.wait_for(ended(process), timeout=15)
        held = stored(path)
        simulator.set_rate(500.0, 500.0)
        resumed = await run(*command, "--once", env=env)

    truth = simulator.truth("demo")
    assert stopped.code == code
    assert "Traceback" not in stopped.err
    assert 0 < len(held) < len(truth)
    assert not stopped.summary.complete
    assert resumed.code == 0
    assert stored(path) == truth


async def test_a_second_signal_does_not_wait(tmp_path: Path) -> None:
    """Not even for a command that is deaf; what it had in hand comes again."""
    simulator = Simulator(QUICK)
    async with simulator.serve() as served:
        env = environment(*accounts_of(served)) | {"PATH": os.environ["PATH"]}
        process = await start(
            *("sync", *SINCE, "--to", f"sqlite:{tmp_path}/orders.db"),
            *("--exec", f"touch {tmp_path}/begun; sleep 60"),
            env=env,
        )
        while not (tmp_path / "begun").exists():  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.01)
        process.terminate()
        await asyncio.sleep(0.2)
        process.terminate()
        done = await asyncio.wait_for(ended(process), timeout=15)

    assert done.code == 143
    assert "Traceback" not in done.err


async def test_events_come_at_least_once_however_often_it_is_killed(tmp_path: Path) -> None:
    """After SIGKILL between two lines the next run goes on, and no number is skipped."""
    simulator = Simulator(msgspec.structs.replace(QUICK, orders=900))
    path = tmp_path / "orders.db"
    command = ("sync", "--once", *SINCE, "--to", f"sqlite:{path}", "--events", "ndjson:-")
    seen: list[list[int]] = []  # by run
    async with simulator.serve() as served:
        env = environment(*accounts_of(served))
        for count in (1, 150, 260):
            process = await start(*command, env=env)
            read = [(await line_of(process))["sequence"] for _ in range(count)]
            process.kill()
            rest, _ = await process.communicate()
            seen.append(read + sequences(rest.decode()))
        last = await run(*command, env=env)
    seen.append(sequences(last.out))

    everything = recorded(path)
    assert last.code == 0
    assert seen[0][0] == everything[0]
    assert seen[-1][-1] == everything[-1]
    assert len(seen[0]) < len(everything)
    for run_before, run_after in pairwise(seen):
        assert run_after[0] <= run_before[-1] + 1
    for one in seen:
        assert one == list(range(one[0], one[-1] + 1))


async def test_two_consumers_get_everything(tmp_path: Path) -> None:
    """A file and a command, each at its own place; a third begins where it is told to."""
    simulator = Simulator(QUICK)
    command = ("sync", "--once", *SINCE, "--to", f"sqlite:{tmp_path}/orders.db")
    async with simulator.serve() as served:
        env = environment(*accounts_of(served)) | {"PATH": os.environ["PATH"]}
        both = await run(
            *(*command, "--events", f"ndjson:{tmp_path}/events.ndjson"),
            *("--exec", f"wc -l >>{tmp_path}/counts; cat >>{tmp_path}/rest; env"),
            env=env,
        )
        third = await run(
            *(*command, "--exec", f"cat >>{tmp_path}/third", "--consumer", "third"),
            *("--after", "500"),
            env=env,
        )

    everything = recorded(tmp_path / "orders.db")
    counts = [int(line) for line in (tmp_path / "counts").read_text().splitlines()]
    assert (both.code, third.code) == (0, 0)
    assert sequences((tmp_path / "events.ndjson").read_text()) == everything
    assert sum(counts) == len(everything)
    assert max(counts) <= 200
    assert sequences((tmp_path / "third").read_text()) == [n for n in everything if n > 500]
    assert both.out == ""  # what a command prints is no data
    assert "LWA_APP_ID=" in both.err
    assert env["LWA_CLIENT_SECRET"] not in both.err
    assert env["SP_API_REFRESH_TOKEN"] not in both.err


async def test_a_command_does_not_learn_secrets_that_an_accounts_file_names(
    tmp_path: Path,
) -> None:
    """Whatever the variables are called that they are kept in."""
    simulator = Simulator(QUICK)
    path = tmp_path / "accounts.toml"
    async with simulator.serve() as served:
        [account] = accounts_of(served)
        credentials = account.credentials
        path.write_text(
            f'[application]\nclient_id = "{credentials.client_id}"\n'
            'client_secret = { env = "MY_LWA_SECRET" }\n'
            '[[account]]\nname = "acme"\nrefresh_token = { env = "MY_TOKEN" }\n'
            f'endpoint = "{account.base_url}"\ntoken_url = "{account.login_url}"\n'
        )
        path.chmod(0o600)
        done = await run(
            *("sync", "--once", *SINCE, "--to", f"sqlite:{tmp_path}/orders.db"),
            *("--accounts", str(path), "--exec", "cat >/dev/null; env"),
            env={
                "PATH": os.environ["PATH"],
                "MY_LWA_SECRET": credentials.client_secret,
                "MY_TOKEN": credentials.refresh_token,
            },
        )

    assert done.code == 0
    assert "PATH=" in done.err
    assert credentials.client_secret not in done.err
    assert credentials.refresh_token not in done.err


async def test_a_batch_that_one_look_cannot_deliver_ends_with_3(tmp_path: Path) -> None:
    """After three tries, with the sink complete; the next run begins with the same batch."""
    simulator = Simulator(QUICK)
    command = ("sync", "--once", *SINCE, "--to", f"sqlite:{tmp_path}/orders.db")
    async with simulator.serve() as served:
        env = environment(*accounts_of(served)) | {"PATH": os.environ["PATH"]}
        refused = await run(
            *command,
            "--exec",
            f"echo >>{tmp_path}/tries; echo disk full >&2; exit 5",
            env=env,
        )
        taken = await run(*command, "--exec", f"cat >>{tmp_path}/got", env=env)

    warnings = [line for line in refused.err.splitlines() if "not taken" in line]
    assert refused.code == 3
    assert (tmp_path / "tries").read_text() == "\n" * 3
    assert [line.partition("; ")[2] for line in warnings] == [
        "again in 1 s",
        "again in 2 s",
        "they come again with the next run",
    ]
    assert all("changes from 1 on were not taken: exit code 5: d" in line for line in warnings)
    assert taken.code == 0
    assert sequences((tmp_path / "got").read_text()) == recorded(tmp_path / "orders.db")


async def test_a_reader_that_leaves_ends_it_with_1(tmp_path: Path) -> None:
    """In one line; orders that were stored by then stay stored."""
    simulator = Simulator(QUICK)
    reading, writing = os.pipe()
    async with simulator.serve() as served:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "vendororders_async", "sync", *SINCE),
            *("--to", f"sqlite:{tmp_path}/orders.db", "--events", "ndjson:-"),
            env=environment(*accounts_of(served)),
            stdout=writing,
            stderr=asyncio.subprocess.PIPE,
        )
        os.close(writing)
        await asyncio.to_thread(os.read, reading, 100)
        os.close(reading)
        _, err = await asyncio.wait_for(process.communicate(), timeout=10)

    assert process.returncode == 1
    assert err.decode().splitlines()[-1] == (
        "vendororders: nobody reads standard output any more"
    )
    assert "Traceback" not in err.decode()
    assert stored(tmp_path / "orders.db")


async def test_refused_credentials_end_one_look_with_1(tmp_path: Path) -> None:
    """Nothing could be done, and a line says why."""
    simulator = Simulator(QUICK)
    simulator.refuse("demo")
    async with simulator.serve() as served:
        [account] = accounts_of(served)
        done = await run(
            *("sync", "--once", *SINCE, "--to", f"sqlite:{tmp_path}/orders.db"),
            env=environment(account),
        )

    assert done.code == 1
    assert "invalid_grant" in done.err
    assert "Traceback" not in done.err
    assert account.credentials.client_secret not in done.err + done.out


async def test_a_sink_that_another_run_follows_into_ends_with_1(tmp_path: Path) -> None:
    """The second says why it leaves; the first goes on, and status tells what it costs."""
    simulator = Simulator(QUICK)
    sink = f"sqlite:{tmp_path}/orders.db"
    command = ("sync", *SINCE, "--to", sink, "--events", "ndjson:-")
    async with simulator.serve() as served:
        env = environment(*accounts_of(served))
        first = await start(*command, env=env)
        await line_of(first)
        second = await run(*command, env=env)
        first.terminate()
        await first.communicate()
        status = await run("status", "--to", sink, "--json", env=env)

    requests = json.loads(status.out)["requests"]
    assert second.code == 1
    assert "another run" in second.err
    assert first.returncode == 0
    assert {one["operation"] for one in requests} >= {"getPurchaseOrders"}


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--to", "papyrus:x"], 2, "papyrus"),
        (["--to", "ndjson:-"], 2, "sqlite:PATH"),
        (["--events", "ndjson:-", "--summary", "-"], 2, "both"),
        (["--consumer", "erp"], 2, "--exec"),
        (["--after", "5"], 2, "--exec"),
        (["--events", "ndjson:-", "--exec", "cat", "--consumer", "erp"], 2, "two names"),
        (["--streams", "crated"], 2, "created, changed, statuses"),
        (["--interval", "0.01"], 2, "between 0.5 seconds and a day"),
        (["--interval", "crated=5"], 2, "crated"),
        (["--lookback", "2w"], 2, "lookback"),
        (["--deep-every", "1s"], 2, "deep_every"),
        (["--accounts", "/nowhere.toml"], 2, "No such file"),
        (["--account", "acme-*"], 2, "acme-*"),
        (["--to", "sqlite:/nowhere/orders.db"], 1, "/nowhere"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
async def test_what_is_wrong_is_said_in_a_line_before_anything_is_sent(
    arguments: list[str], code: int, words: str
) -> None:
    """A wrong command or setting makes no request."""
    simulator = Simulator(msgspec.structs.replace(QUICK, orders=1))
    async with simulator.serve() as served:
        done = await run("sync", *arguments, env=environment(*accounts_of(served)))

    assert done.code == code
    assert words in done.err
    assert len(done.err.splitlines()) == 1
    assert simulator.traffic.count() == 0


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--events", "csv:x", "ndjson:FILE"),
        ("--events", "ndjson:/nowhere/x", "/nowhere"),
        ("--events", f"ndjson:{__file__}", "something else"),
        ("--since", "tomorrow", "no time"),
        ("--interval", "often", "created=5,statuses=60"),
        ("--health", "port", "no address"),
        ("--summary", "/nowhere/summary.json", "no folder"),
        ("--summary", __file__, "something else"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_the_command_line(
    option: str, value: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before settings are read, with 2 and a line."""
    with pytest.raises(SystemExit) as refused:
        main(["sync", option, value])
    [line] = capsys.readouterr().err.splitlines()

    assert refused.value.code == 2
    assert words in line


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("5", 5.0),
        ("created=5,statuses=60", {"created": 5.0, "statuses": 60.0}),
        (" created = 0.5 ", {"created": 0.5}),
    ],
)
def test_an_interval_is_for_all_streams_or_by_name(text: str, expected: object) -> None:
    """Seconds, as numbers."""
    assert Interval().convert(text, None, None) == expected


@pytest.mark.parametrize("text", ["", "created", "created=", "5s", "created=5;statuses=6"])
def test_what_is_no_interval_is_said_to_be_none(text: str) -> None:
    """With an example of one."""
    with pytest.raises(click.BadParameter, match="created=5,statuses=60"):
        Interval().convert(text, None, None)


@pytest.mark.parametrize(
    ("changes", "strict", "has_delivered", "code"),
    [
        ({}, True, True, 0),
        ({"complete": False}, False, True, 3),
        ({}, False, False, 3),
        ({"quarantine_standing": 1}, False, True, 0),
        ({"quarantine_standing": 1}, True, True, 3),
        ({"complete": False, "accounts": {"a": "refused"}}, False, True, 1),
    ],
    ids=["complete", "missing", "not taken", "standing", "strict", "nothing"],
)
def test_one_look_ends_like_a_backfill(
    changes: dict[str, object], strict: bool, has_delivered: bool, code: int
) -> None:
    """0 when all is there and taken, 1 when nothing could be done, 3 in between."""
    failed = AccountSummary(
        complete=False, orders=0, windows=0, requests=1, throttled=0, error="refused"
    )
    if "accounts" in changes:
        changes = changes | {"accounts": {"acme": failed}}
    summary = msgspec.structs.replace(Summary.of_nothing(), **{"complete": True} | changes)

    assert exit_code(summary, strict=strict, has_delivered=has_delivered) == code
