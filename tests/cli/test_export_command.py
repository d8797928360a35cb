"""``vendororders export`` as its users run it, after a backfill into plain files."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from commands import STRICT
from simulated import accounts_of

from vendororders_async.cli import main
from vendororders_async.models.retail_procurement import Order
from vendororders_async.pages import decode_document
from vendororders_async.simulator import Settings, Simulator
from vendororders_async.sinks import open_sink
from vendororders_async.sinks.base import Arrival, Ledger
from vendororders_async.windows import Window

UNTIL = (datetime.now(UTC) - timedelta(days=10)).replace(microsecond=0)
SINCE = UNTIL - timedelta(days=60)
PROGRAM = (sys.executable, "-m", "vendororders_async")


async def test_plain_files_hold_every_order_after_a_kill(tmp_path: Path) -> None:
    """A backfill into a folder is killed and run again; all is there and can be exported."""
    simulator = Simulator(Settings(orders=4_000, days=120, latency=0.05))
    async with simulator.serve() as served:
        [account] = accounts_of(served)
        env = {
            "LWA_APP_ID": account.credentials.client_id,
            "LWA_CLIENT_SECRET": account.credentials.client_secret,
            "SP_API_REFRESH_TOKEN": account.credentials.refresh_token,
            "SP_API_ENDPOINT": account.base_url,
            "LWA_ENDPOINT": account.login_url,
            "PYTHONWARNINGS": STRICT,
        }
        command = (
            *(*PROGRAM, "backfill", "--quiet", "--to", f"ndjson:{tmp_path}/store"),
            *("--since", SINCE.isoformat(), "--until", UNTIL.isoformat()),
        )
        killed = await asyncio.create_subprocess_exec(*command, env=env)
        while simulator.traffic.count(operation="getPurchaseOrders") < 30:  # noqa: ASYNC110 - a counter
            await asyncio.sleep(0.01)
        killed.kill()
        await killed.wait()
        resumed = await asyncio.create_subprocess_exec(*command, env=env)
        code = await asyncio.wait_for(resumed.wait(), timeout=60)
    done = await asyncio.to_thread(
        subprocess.run,
        [*PROGRAM, "export", "--from", f"ndjson:{tmp_path}/store", "--to", "ndjson:-"],
        capture_output=True,
        check=False,
    )
    truth = simulator.truth("demo", after=SINCE, before=UNTIL)
    exported = {
        json.loads(line)["document"]["purchaseOrderNumber"]: line
        for line in done.stdout.splitlines()
    }

    assert (code, done.returncode) == (0, 0)
    assert truth.keys() <= exported.keys()
    assert all(raw in exported[number] for number, raw in truth.items())
    assert f"exported {len(exported):,} orders of 1 accounts" in done.stderr.decode()


def test_a_pipe_that_is_closed_ends_the_export_in_one_line(tmp_path: Path) -> None:
    """``| head`` gets its line, and nobody a traceback."""
    source = f"ndjson:{tmp_path}/store"
    asyncio.run(_fill(source))
    with subprocess.Popen(
        [*PROGRAM, "export", "--from", source, "--to", "ndjson:-"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        first = process.stdout.readline()
        process.stdout.close()
        error = process.stderr.read().decode()
        code = process.wait(timeout=20)

    assert json.loads(first)["account"] == "acme"
    assert code == 1
    assert error == "vendororders: nobody reads standard output any more\n"


async def _fill(url: str) -> None:
    window = Window(SINCE, UNTIL)
    ledger = Ledger("acme", "retail", "created", "amazon")
    padding = "x" * 2_000
    async with open_sink(url) as sink:
        for start in range(0, 2_000, 100):
            raws = [
                b'{"purchaseOrderNumber": "%d", "x": "%s"}' % (number, padding.encode())
                for number in range(start, start + 100)
            ]
            documents = [decode_document(raw, Order) for raw in raws]
            await sink.write(Arrival(ledger, window, UNTIL, documents))


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--from", "sqlite:no/where.db", "--to", "csv:out"], 1, "there is no no/where.db"),
        (["--from", "sqlite:no/where.db", "--to", "xml:out"], 2, "or csv:DIR"),
        (["--from", "sqlite:no/where.db", "--to", "sqlite:no/where.db"], 2, "another sink"),
        (["--from", "sqlite:no/where.db"], 2, "--to"),
    ],
)
def test_what_goes_wrong_is_said_in_one_line(
    arguments: list[str], code: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """1 for a sink that cannot be used, 2 for what was not meant."""
    with pytest.raises(SystemExit) as ended:
        main(["export", *arguments])

    assert ended.value.code == code
    assert words in capsys.readouterr().err
