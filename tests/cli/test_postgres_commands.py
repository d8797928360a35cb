"""Every command that takes a sink, over PostgreSQL; none of them tells its password."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from commands import STRICT, stored

from vendororders_async.simulator import Settings, Simulator
from vendororders_async.testing import SimulatedAmazon, running

AMAZON = Settings(
    orders=200, days=10, rate=500.0, burst=500.0, oddities=False, direct_fulfillment_orders=20
)
PASSWORD = "correct-horse"


@pytest.fixture
def amazon() -> Iterator[SimulatedAmazon]:
    """Run a simulator in which nobody has answered anything yet."""
    with running(Simulator(AMAZON)) as amazon:
        yield amazon


@pytest.fixture
def url(postgres_url: str) -> str:
    """A database that is named with a password."""
    user = urlsplit(postgres_url).username or ""
    return postgres_url.replace(f"//{user}@", f"//{user}:{PASSWORD}@")


class Shell:
    """Runs commands in *folder*, and looks for the password in what they say."""

    def __init__(self, amazon: SimulatedAmazon, folder: Path) -> None:
        self._env = amazon.env | {"PYTHONWARNINGS": STRICT}
        self._folder = folder

    def __call__(self, *arguments: str, codes: tuple[int, ...] = (0,)) -> str:
        """Return what a command prints, or the error it ends with."""
        ended = subprocess.run(
            [sys.executable, "-m", "vendororders_async", *arguments],
            env=self._env,
            cwd=self._folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

        assert ended.returncode in codes, ended.stderr
        assert PASSWORD not in ended.stdout + ended.stderr
        return ended.stdout or ended.stderr


@pytest.fixture
def shell(amazon: SimulatedAmazon, tmp_path: Path) -> Shell:
    """Where commands are run."""
    return Shell(amazon, tmp_path)


def test_a_working_day(amazon: SimulatedAmazon, shell: Shell, url: str, tmp_path: Path) -> None:
    """Read, asked what is pending, answered, exported there and back, and forgotten."""
    shell("backfill", "--since", "30d", "--to", url, "--quiet")
    shell("backfill", "--since", "30d", "--to", url, "--quiet", "--api", "direct-fulfillment")
    truth = amazon.simulator.truth("demo")
    status = json.loads(shell("status", "--to", url, "--json"))
    asked = shell("pending", "--to", url, "--json", codes=(0, 3))
    waiting = {one["purchase_order_number"] for one in json.loads(asked)}
    shell("acknowledge", "--to", url, "--draft", "answers.csv", "--quiet")
    with (tmp_path / "answers.csv").open(encoding="utf-8-sig", newline="") as reading:
        drafted = {one["purchase_order_number"] for one in csv.DictReader(reading)}
    told = shell("acknowledge", "answers.csv", "--to", url, "--no-wait", "--json")
    outcomes = [json.loads(line) for line in told.splitlines()]
    again = shell("acknowledge", "answers.csv", "--to", url, "--no-wait", "--json")
    left = json.loads(shell("pending", "--to", url, "--json", codes=(0, 3)))
    shell("transaction", outcomes[0]["transaction_id"])
    quarantine = shell("quarantine", "list", "--to", url)
    shell("export", "--from", url, "--to", "sqlite:copy.db", "--quiet")
    shell("export", "--from", "sqlite:copy.db", "--to", url, "--quiet")
    shell("purge", "--to", url, "--pii-older-than", "1d")
    shell("purge", "--to", url, "--account", "default")
    gone = json.loads(shell("status", "--to", url, "--json"))

    assert sum(one["orders"] for one in status["accounts"]) == len(truth) + 20
    assert drafted
    assert drafted <= waiting
    assert {one["purchase_order_number"] for one in outcomes} == drafted
    assert [json.loads(line)["transaction_id"] for line in again.splitlines()] == [
        one["transaction_id"] for one in outcomes
    ]
    assert drafted.isdisjoint(one["purchase_order_number"] for one in left)
    assert "default" not in quarantine
    copied = stored(tmp_path / "copy.db")
    assert {number: copied[number] for number in truth} == truth
    assert gone["accounts"] == []


def test_what_goes_wrong_is_said_without_the_password(shell: Shell, url: str) -> None:
    """No store, no such account, no such database, no such kind of sink."""
    assert "no store of vendororders-async" in shell("status", "--to", url, codes=(1,))
    shell("backfill", "--since", "2d", "--to", url, "--quiet")
    database = urlsplit(url).path
    assert "no account 'nobody'" in shell(
        "purge", "--to", url, "--account", "nobody", codes=(1,)
    )
    assert "no such database" in shell(
        "pending", "--to", url.replace(database, "/nowhere"), codes=(1,)
    )
    assert "no such sink" in shell("pending", "--to", f"odd{url}", codes=(2,))
    assert "another sink" in shell("export", "--from", url, "--to", url, codes=(2,))
