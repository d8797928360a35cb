"""The command line itself: help, versions, ways of writing a time."""

from __future__ import annotations

import shlex
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import pytest

from vendororders_async import __version__
from vendororders_async.cli import COMMANDS, main
from vendororders_async.cli.options import When
from vendororders_async.cli.simulate import shell_lines
from vendororders_async.clock import parse_age
from vendororders_async.settings import load_accounts
from vendororders_async.simulator import Served, Settings, Simulator


def test_help_names_every_command_and_loads_nothing_heavy() -> None:
    """Help comes at once: neither aiohttp nor rich is imported for it."""
    script = (
        "import sys\n"
        "from vendororders_async.cli import main\n"
        "try:\n"
        "    main(['--help'])\n"
        "finally:\n"
        "    sys.exit(len({'aiohttp', 'rich', 'asyncio'} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0
    assert all(name in done.stdout for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself_and_its_options(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A command's help has a sentence, and every option is in it."""
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])

    assert ended.value.code == 0
    assert "Usage: vendororders " + name in capsys.readouterr().out


def test_the_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    """``--version`` says what is installed."""
    with pytest.raises(SystemExit):
        main(["--version"])

    assert __version__ in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-31", datetime(2026, 1, 31, tzinfo=UTC)),
        ("2026-01-31T12:00", datetime(2026, 1, 31, 12, tzinfo=UTC)),
        ("2026-01-31T12:00:00+02:00", datetime(2026, 1, 31, 10, tzinfo=UTC)),
    ],
)
def test_a_time_is_iso_8601_and_utc_unless_it_says_otherwise(
    text: str, expected: datetime
) -> None:
    """A date alone, or a time without a zone, is UTC."""
    assert When().convert(text, None, None) == expected


def test_a_time_may_be_an_age() -> None:
    """``30d`` is thirty days ago."""
    moment = When().convert("30d", None, None)

    assert abs(datetime.now(UTC) - timedelta(days=30) - moment) < timedelta(minutes=1)
    assert parse_age("12h") == timedelta(hours=12)
    assert parse_age("12") is None


@pytest.mark.parametrize("text", ["", "soon", "30x", "2026-02-31", "999999999999d"])
def test_what_is_no_time_is_said_to_be_none(text: str) -> None:
    """A mistyped time is a usage error, not a traceback."""
    with pytest.raises(click.BadParameter):
        When().convert(text, None, None)


def test_the_simulator_prints_what_a_shell_needs(tmp_path: Path) -> None:
    """One account comes as exports, several as the path of an accounts file."""
    one, three = (
        Served(
            host="127.0.0.1",
            port=1,
            accounts=Simulator(Settings(orders=1, accounts=n)).accounts,
        )
        for n in (1, 3)
    )
    [path] = shell_lines(three, tmp_path)
    names = [shlex.split(line)[1].split("=")[0] for line in shell_lines(one, tmp_path)]

    assert names[:3] == ["LWA_APP_ID", "LWA_CLIENT_SECRET", "SP_API_REFRESH_TOKEN"]
    assert [account.name for account in load_accounts(path)] == ["demo-1", "demo-2", "demo-3"]
    assert Path(path).stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("life", [(), ("--arrivals=3600", "--speed=3600")])
def test_the_simulator_serves_until_it_is_told_to_stop(life: tuple[str, ...]) -> None:
    """It prints its exports as soon as it answers, and a signal ends it."""
    command = [sys.executable, "-m", "vendororders_async", "simulate", "--port=0", "--orders=5"]
    command += life
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        code = process.wait(timeout=10)

    assert line.startswith("export LWA_APP_ID=")
    assert code == 143
