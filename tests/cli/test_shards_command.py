"""``--shard``: each process takes its part of the accounts, and together they take all."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
from commands import STRICT, run
from many_accounts import accounts_file, stored_by_account
from simulated import QUICK, accounts_of

from vendororders_async.shards import Shard
from vendororders_async.simulator import Simulator

UNTIL = (datetime.now(UTC) - timedelta(days=10)).replace(microsecond=0)
SINCE = UNTIL - timedelta(days=30)
RANGE = ("--since", SINCE.isoformat(), "--until", UNTIL.isoformat())
ENV = {"PYTHONWARNINGS": STRICT}


async def test_two_shards_together_are_a_whole_run(tmp_path: Path) -> None:
    """Into one sink, each account once, whichever of the two comes first."""
    simulator = Simulator(msgspec.structs.replace(QUICK, accounts=5))
    async with simulator.serve() as served:
        accounts = accounts_of(served)
        file = accounts_file(tmp_path, accounts)
        sink = f"sqlite:{tmp_path}/orders.db"
        done = [
            await run(
                *("backfill", *RANGE, "--accounts", str(file), "--to", sink),
                *("--shard", shard, "--summary", "-"),
                env=ENV,
            )
            for shard in ("1/2", "0/2")
        ]

    names = [account.name for account in accounts]
    held = stored_by_account(tmp_path / "orders.db")
    assert [one.code for one in done] == [0, 0]
    assert list(done[0].summary.accounts) == list(Shard(1, 2).of(names))
    assert list(done[1].summary.accounts) == list(Shard(0, 2).of(names))
    for name in names:
        truth = simulator.truth(name, after=SINCE, before=UNTIL)
        assert truth
        assert truth.items() <= held[name].items()


async def test_a_shard_without_accounts_is_complete(tmp_path: Path) -> None:
    """With fewer accounts than shards some have nothing to do, and that is no failure."""
    simulator = Simulator(msgspec.structs.replace(QUICK, orders=5))
    async with simulator.serve() as served:
        file = accounts_file(tmp_path, accounts_of(served))
    shard = next(f"{n}/9" for n in range(9) if not Shard(n, 9).of(["demo"]))
    options = ("--accounts", str(file), "--shard", shard, "--to", f"sqlite:{tmp_path}/x.db")
    backfill = await run("backfill", *options, "--summary", "-", env=ENV)
    sync = await run("sync", "--once", *options, "--summary", "-", env=ENV)

    assert backfill.code == sync.code == 0
    assert backfill.err == sync.err == f"complete: no account is in shard {shard}\n"
    assert backfill.summary.complete
    assert not (tmp_path / "x.db").exists()


async def test_patterns_choose_before_shards_do(tmp_path: Path) -> None:
    """Secrets of other accounts are not even looked for."""
    simulator = Simulator(msgspec.structs.replace(QUICK, accounts=3, orders=50))
    async with simulator.serve() as served:
        one, *others = accounts_of(served)
        file = accounts_file(tmp_path, [one, *others])
        text = file.read_text()
        for other in others:
            secret = f'refresh_token = "{other.credentials.refresh_token}"'
            text = text.replace(secret, 'refresh_token = { env = "NOWHERE" }')
        file.write_text(text)
        done = await run(
            *("sync", "--once", "--since", "30d", "--accounts", str(file)),
            *("--account", one.name, "--shard", "0/1", "--to", f"sqlite:{tmp_path}/orders.db"),
            *("--summary", "-"),
            env=ENV,
        )

    assert done.code == 0
    assert list(done.summary.accounts) == [one.name]


async def test_a_sync_is_no_task_for_a_cluster() -> None:
    """It is refused in one line that says what to do in its place."""
    done = await run("sync", "--on", "dask", env=ENV)

    assert done.code == 2
    assert len(done.err.splitlines()) == 1
    assert "--shard" in done.err
