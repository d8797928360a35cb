"""Where changes go: what counts as taken, and what is never handed on."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path

import pytest

from vendororders_async.cli.recipients import (
    SECRETS,
    Command,
    EventsFile,
    StandardOutput,
    problem_of,
)
from vendororders_async.errors import SinkError

LINES = b'{"event":"order_created","sequence":1}\n{"event":"status_changed","sequence":2}\n'
ENVIRON = {"PATH": os.environ["PATH"]}


def content_of(path: Path) -> str:
    """Wait until somebody has written a line to *path*, and return it."""
    for _ in range(1_000):
        if path.exists() and path.read_text().endswith("\n"):
            break
        time.sleep(0.01)
    return path.read_text()


def is_alive(pid: int) -> bool:
    """Say whether there is such a process, and it is not only waited for."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def left_of(pids: list[int]) -> list[int]:
    """Return which of *pids* still live after a second: to die of a signal takes a moment."""
    ends_at = time.monotonic() + 1
    while any(map(is_alive, pids)) and time.monotonic() < ends_at:
        time.sleep(0.01)
    return [pid for pid in pids if is_alive(pid)]


def open_files() -> set[Path]:
    """Return what this process has open."""
    return set(Path("/proc/self/fd").iterdir())


async def test_a_command_gets_the_lines_on_standard_input(tmp_path: Path) -> None:
    """All of them, however many there are; ended with 0, it has taken them."""
    lines = LINES * 20_000
    reason = await Command(f"cat >{tmp_path}/got", ENVIRON).take(lines)

    assert reason is None
    assert (tmp_path / "got").read_bytes() == lines


@pytest.mark.parametrize(
    ("shell", "reason"),
    [
        ("exit 0", None),
        ("exit 4", "exit code 4"),
        ("cat >&2; echo; echo >&2 no such table; exit 1", "exit code 1: no such table"),
        ("kill -9 $$", "ended by signal 9"),
        ("no-such-command-anywhere 2>/dev/null", "exit code 127"),
        ("printf 'not\\377text' >&2; exit 2", "exit code 2: not\ufffdtext"),
    ],
    ids=["unread", "code", "words", "signal", "missing", "bytes"],
)
async def test_only_exit_code_0_takes_a_batch(shell: str, reason: str | None) -> None:
    """Also when nothing was read; else the code or signal is told, and its last words."""
    assert await Command(shell, ENVIRON).take(LINES * 5_000) == reason


async def test_what_a_command_prints_is_no_event(capfd: pytest.CaptureFixture[str]) -> None:
    """Standard output is for data; all that it says goes to standard error."""
    await Command("echo said; echo complained >&2", ENVIRON).take(LINES)
    out, err = capfd.readouterr()

    assert out == ""
    assert sorted(err.split()) == ["complained", "said"]


async def test_a_command_does_not_learn_our_secrets(tmp_path: Path) -> None:
    """It has the rest of the environment."""
    named: set[str] = set()
    given = {**ENVIRON, "SHOP": "acme", **dict.fromkeys({*SECRETS, "TOKEN_DE"}, "s3cret")}
    command = Command(f"env >{tmp_path}/env", given, secrets=lambda: named)
    named.add("TOKEN_DE")  # as the accounts file does, which is read later
    await command.take(LINES)
    found = (tmp_path / "env").read_text()

    assert "SHOP=acme" in found
    assert "s3cret" not in found
    assert {
        "LWA_CLIENT_SECRET",
        "SP_API_REFRESH_TOKEN",
        "PGPASSWORD",
        "VENDORORDERS_SHARED_LIMITER",
    } == SECRETS


async def test_what_a_command_leaves_behind_is_not_waited_for(tmp_path: Path) -> None:
    """A child in the background may keep the pipes open for as long as it likes."""
    began_at = time.monotonic()
    reason = await Command(f"sleep 60 & echo $! >{tmp_path}/pid", ENVIRON).take(LINES)
    seconds = time.monotonic() - began_at
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)

    assert reason is None
    assert seconds < 10


async def test_no_pipe_stays_open_to_what_a_command_leaves_behind(tmp_path: Path) -> None:
    """It reads nothing of a batch that is too large for the pipe's own buffer."""
    pids = tmp_path / "pid"
    before = open_files()
    shell = f"exec 3<&0; sleep 60 & echo $! >{pids}"
    reason = await Command(shell, ENVIRON).take(LINES * 20_000)
    await asyncio.sleep(0)  # asyncio closes pipes in its next round
    after = open_files()
    os.kill(int(pids.read_text()), signal.SIGKILL)

    assert reason is None
    assert after == before


@pytest.mark.parametrize("trap", ["", "trap '' TERM; "], ids=["polite", "deaf"])
async def test_a_cancelled_command_is_ended_with_all_it_has_started(
    tmp_path: Path, trap: str
) -> None:
    """At first politely, and soon otherwise."""
    pids = tmp_path / "pids"
    shell = f"{trap}sleep 60 & echo $$ $! >{pids}; wait; sleep 60"
    task = asyncio.ensure_future(Command(shell, ENVIRON).take(LINES))
    found = [int(pid) for pid in (await asyncio.to_thread(content_of, pids)).split()]
    began_at = time.monotonic()
    task.cancel()
    await asyncio.wait([task])

    assert task.cancelled()
    assert time.monotonic() - began_at < 5
    assert left_of(found) == []


async def test_a_command_that_is_just_starting_is_ended_as_well(tmp_path: Path) -> None:
    """Also when it has started something before anybody knew that it runs."""
    pids = tmp_path / "pids"
    shell = f"sleep 60 & echo $$ $! >{pids}; wait"
    task = asyncio.ensure_future(Command(shell, ENVIRON).take(LINES))
    for _ in range(2):
        await asyncio.sleep(0)
    found = [int(pid) for pid in content_of(pids).split()]  # the loop stands still meanwhile
    began_at = time.monotonic()
    task.cancel()
    await asyncio.wait([task])

    assert task.cancelled()
    assert time.monotonic() - began_at < 5
    assert left_of(found) == []


async def test_lines_are_added_to_a_file_that_only_its_owner_reads(tmp_path: Path) -> None:
    """After what is there, also when the file was moved away meanwhile."""
    path = tmp_path / "events.ndjson"
    file = EventsFile(path)
    reasons = [await file.take(LINES), await file.take(LINES)]
    path.rename(tmp_path / "events.1")
    reasons.append(await file.take(LINES))

    assert reasons == [None, None, None]
    assert (tmp_path / "events.1").read_bytes() == LINES * 2
    assert path.read_bytes() == LINES
    assert path.stat().st_mode & 0o077 == 0


async def test_a_line_that_a_crash_has_torn_is_cut_off(tmp_path: Path) -> None:
    """It comes again, and every line of the file is whole."""
    path = tmp_path / "events.ndjson"
    path.write_bytes(LINES + LINES[:20])
    await EventsFile(path).take(LINES)

    assert path.read_bytes() == LINES * 2


async def test_a_file_that_cannot_be_written_is_no_end(tmp_path: Path) -> None:
    """The reason names it, and the same lines come again."""
    folder = tmp_path / "events"
    file = EventsFile(folder / "events.ndjson")
    refused = await file.take(LINES)
    folder.mkdir()

    assert refused == f"{folder}/events.ndjson: No such file or directory"
    assert await file.take(LINES) is None


@pytest.mark.parametrize(
    ("content", "is_fine"),
    [(None, True), (b"", True), (LINES, True), (LINES[:5], True), (b"month,total\n", False)],
)
def test_a_file_of_something_else_is_left_alone(
    tmp_path: Path, content: bytes | None, *, is_fine: bool
) -> None:
    """Lines are added only to what is a file of events, or can become one."""
    path = tmp_path / "file"
    if content is not None:
        path.write_bytes(content)

    assert (problem_of(path) is None) == is_fine
    assert problem_of(tmp_path) == f"{tmp_path} is no file"
    assert problem_of(tmp_path / "none" / "file") == f"there is no folder {tmp_path}/none"


async def test_a_reader_that_goes_away_is_an_error() -> None:
    """Nobody would ever see what else came."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        with pytest.raises(SinkError, match="nobody reads standard output any more"):
            await StandardOutput(writing).take(LINES)
    finally:
        os.close(writing)


async def test_a_write_that_was_given_up_is_not_mixed_with_the_next_one() -> None:
    """Whoever reads late gets whole lines, some of them twice."""
    reading, writing = os.pipe()
    output = StandardOutput(writing)
    lines = LINES * 5_000
    for _ in range(2):
        task = asyncio.ensure_future(output.take(lines))
        await asyncio.sleep(0.1)
        task.cancel()
        await asyncio.wait([task], timeout=2)

    def drained() -> bytes:
        found = b""
        while len(found) < 2 * len(lines):
            found += os.read(reading, 1 << 16)
        return found

    assert await asyncio.to_thread(drained) == lines * 2
    os.close(reading)
    os.close(writing)


async def test_a_reader_that_does_not_read_keeps_nobody_from_leaving() -> None:
    """A write into a full pipe can be given up."""
    reading, writing = os.pipe()
    task = asyncio.ensure_future(StandardOutput(writing).take(LINES * 5_000))
    await asyncio.sleep(0.1)
    task.cancel()
    await asyncio.wait([task], timeout=2)

    assert task.cancelled()
    os.close(reading)
    os.close(writing)
