"""The examples of deployment: their commands are ours, and what they name fits together."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
import shutil
import subprocess
import sys
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path

import click
import pytest

from vendororders_async.cli import cli
from vendororders_async.cli.health import Address, serving_health
from vendororders_async.jobs.standing import Standing

DEPLOY = Path(__file__).parents[1] / "deploy"
SERVICE = (DEPLOY / "vendororders-sync.service").read_text(encoding="utf-8")
CONTAINER = (DEPLOY / "Containerfile").read_text(encoding="utf-8")
PROGRAM = "/opt/vendororders/bin/vendororders"
STANDING = Standing(began_at=datetime(2026, 7, 1, tzinfo=UTC), is_ready=False)


def settings(name: str) -> list[str]:
    """Return the values that the unit gives *name*, those that are commented out as well."""
    return re.findall(rf"^#?{name}=(.*)$", SERVICE, re.MULTILINE)


def array_of(instruction: str) -> list[str]:
    """Return the words of an instruction of the container file, which are a JSON array."""
    [text] = re.findall(rf"^{instruction} (\[.*\])$", CONTAINER, re.MULTILINE)
    words: list[str] = json.loads(text)
    return words


def words_of(line: str) -> list[str]:
    """Return what systemd makes of a command line: no prefix, and specifiers in full."""
    return shlex.split(
        line.removeprefix("-").replace("%d", "/run/credentials/it").replace("%S", "/var/lib")
    )


STARTED = [
    pytest.param(words_of(line), id=f"unit-{words_of(line)[1]}")
    for line in settings("Exec(?:Start|StartPre)")
] + [pytest.param([PROGRAM, *array_of("CMD")], id="container-sync")]


def option(words: list[str], name: str) -> str:
    """Return the value of an option on a command line."""
    return words[words.index(name) + 1]


@pytest.mark.parametrize("words", STARTED)
def test_a_command_line_is_one_of_ours(words: list[str]) -> None:
    """Every option exists and takes the value that it is given."""
    program, name, *options = words
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    context = command.make_context(name, options)

    assert program == PROGRAM
    assert context.params["to"].startswith("sqlite:/")


def test_the_unit_writes_where_it_may_and_reads_what_it_is_given() -> None:
    """The store is in its state directory, purge has the same, and secrets are credentials."""
    [start] = map(words_of, settings("ExecStart"))
    [purge] = map(words_of, settings("ExecStartPre"))
    loaded = dict(line.split(":") for line in settings("LoadCredential"))

    assert settings("StateDirectory") == ["vendororders"]
    assert option(start, "--to") == "sqlite:/var/lib/vendororders/orders.db"
    assert option(purge, "--to") == option(start, "--to")
    assert option(start, "--accounts") == "/run/credentials/it/accounts.toml"
    assert loaded == {name: f"/etc/vendororders/{name}" for name in loaded}
    assert set(loaded) == {"accounts.toml", "client_secret", "refresh_token"}


@pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed"
)
def test_systemd_takes_the_unit_as_it_is(tmp_path: Path) -> None:
    """Also with what is commented out: no unknown key, no value that it ignores."""
    unit = tmp_path / "vendororders-sync.service"
    active = re.sub(r"^#(?=[A-Z]\w+=)", "", SERVICE, flags=re.MULTILINE)
    unit.write_text(active.replace(PROGRAM, sys.executable))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(unit)],  # noqa: S607 - where it is differs
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
    )

    told = [line for line in done.stderr.splitlines() if unit.name in line]  # not of others

    assert (done.returncode, told) == (0, [])
    assert "\nRuntimeMaxSec=" in active


def test_the_container_keeps_its_store_in_a_volume_and_is_nobody_special() -> None:
    """What is written survives the container, and the process is started without a shell."""
    assert array_of("ENTRYPOINT") == ["vendororders"]
    assert option(array_of("CMD"), "--to") == "sqlite:/data/orders.db"
    assert "\nVOLUME /data\n" in CONTAINER
    assert re.search(r"^USER [1-9]\d*$", CONTAINER, re.MULTILINE)


@pytest.mark.parametrize("lives", [True, False])
async def test_the_container_knows_whether_it_lives(*, lives: bool) -> None:
    """Its check asks where the sync answers, and fails where nobody does."""
    _, *check = array_of(r" +CMD")
    host, _, port = option(array_of("CMD"), "--health").rpartition(":")
    asked = f"127.0.0.1:{port}"
    async with AsyncExitStack() as stack:
        address = await stack.enter_async_context(
            serving_health(Address("127.0.0.1", 0), lambda: STANDING)
        )
        if not lives:
            await stack.aclose()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, *(word.replace(asked, str(address)) for word in check)),
            stderr=asyncio.subprocess.DEVNULL,
        )
        code = await process.wait()

    assert host == "0.0.0.0"  # noqa: S104 - others than the container itself are to ask
    assert any(asked in word for word in check)
    assert (code == 0) is lives
