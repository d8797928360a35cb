"""Disks that are full, read-only or gone: one clear line, and nothing is lost."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import msgspec
import pytest
from hold import Record
from killing import Deed, End, Mortals, undertaker
from looking import NOTHING, Found, Truth, look

from vendororders_async.errors import SinkError
from vendororders_async.jobs.summary import Summary
from vendororders_async.models.retail_procurement import Order
from vendororders_async.pages import decode_document
from vendororders_async.simulator import Settings
from vendororders_async.sinks import open_sink
from vendororders_async.sinks.base import Arrival, Ledger
from vendororders_async.testing import SimulatedAmazon
from vendororders_async.windows import FinishedWindow, Window

ORDERS = Settings(orders=400, days=50, rate=1_000.0, burst=1_000.0)
UNTIL = datetime.now(UTC).replace(microsecond=0) - timedelta(days=8)
SINCE = UNTIL - timedelta(days=40)
FILES = ("sqlite", "ndjson", "ndjson+zstd", "parquet")
SIZES = ("4k", "32k", "512k", "64m")


class Disk:
    """A disk of its own for the children of *mortals*, as large as the test likes."""

    def __init__(self, mortals: Mortals, place: Path, amazon: SimulatedAmazon) -> None:
        self._mortals, self._place, self._amazon = mortals, place, amazon
        self._copies = count()
        self.truth = Truth(amazon.simulator)

    def url(self, kind: str) -> str:
        """Return where a store on it is."""
        return f"{kind}:{self._place}/store"

    def mount(self, options: str) -> None:
        """Put it there, or change it."""
        end = self._mortals.run(
            Deed(
                job="shell",
                env={"PATH": os.environ["PATH"]},
                arguments=["mount", "-t", "tmpfs", "-o", options, "none", str(self._place)],
            )
        )
        assert end.code == 0, end.err

    def shell(self, script: str) -> None:
        """Run a script."""
        env, arguments = {"PATH": os.environ["PATH"]}, ["sh", "-c", script]
        end = self._mortals.run(Deed(job="shell", env=env, arguments=arguments))
        assert end.code == 0, end.err

    def close_store_in_mid_run(self) -> None:
        """Let the store be read-only once the run that comes next has finished a window.

        A lock is an open file, under which no disk can be made so; a second mount can, and
        whatever is opened from then on is opened there.
        """
        store = shlex.quote(f"{self._place}/store")
        begun = f"find {store} -name '[!.]*.ndjson*' -o -name '[!.]*.parquet'"
        close = f"mount --bind {store} {store}; until mount -o remount,bind,ro {store}; do :"
        until = f'until [ -n "$({begun})" ]; do :; done; {close}; done; mkdir {store}.closed'
        self.shell(f"({until}) 2>&- >&- &")

    def reopen_store(self) -> None:
        """Let it be as it was."""
        store = shlex.quote(f"{self._place}/store")
        self.shell(f"until rmdir {store}.closed; do sleep 0.01; done 2>&-; umount {store}")

    def run(self, *arguments: str, largest_file: int | None = None) -> End:
        """Run a command."""
        return self._mortals.run(
            Deed(
                job="command",
                env=self._amazon.env,
                arguments=arguments,
                largest_file=largest_file,
            )
        )

    def look(self, kind: str) -> Found:
        """Return what is in the store, of which a copy is read where there is room."""
        copy = self._place.with_name(f"copy-{next(self._copies)}")
        place = self._mortals.root / self._place.relative_to("/")
        shutil.copytree(place, copy)
        return look(f"{kind}:{copy}/store")


@pytest.fixture(scope="module")
def mortals(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mortals]:
    """What runs commands in a mount namespace of its own; not where there are none."""
    command = ("unshare", "--mount") if os.getuid() == 0 else ("unshare", "-rm")
    place = tmp_path_factory.mktemp("disks")
    trial = [*command, "mount", "-t", "tmpfs", "none", str(place)]
    if (
        shutil.which("unshare") is None
        or subprocess.run(trial, check=False, capture_output=True).returncode
    ):
        pytest.skip("there are no mount namespaces for disks of our own")
    with undertaker(place, *command) as mortals:
        yield mortals


@pytest.fixture
def disk(tmp_path: Path, amazon: SimulatedAmazon, mortals: Mortals) -> Disk:
    """A disk that is not there yet."""
    place = tmp_path / "disk"
    place.mkdir()
    return Disk(mortals, place, amazon)


def reading(job: str) -> list[str]:
    """Return the command that reads the range."""
    if job == "sync":
        return ["sync", "--once", "--since", SINCE.isoformat()]
    return ["backfill", "--since", SINCE.isoformat(), "--until", UNTIL.isoformat()]


@pytest.mark.parametrize(
    ("kind", "job"),
    [*((kind, "backfill") for kind in FILES), ("sqlite", "sync")],
)
def test_a_full_disk_is_one_line_and_costs_nothing(
    kind: str, job: str, disk: Disk, figure: Record
) -> None:
    """Exit 1 before the first commit and 3 after; with more room the same command goes on."""
    truth, url, wrong, found = disk.truth, disk.url(kind), [], NOTHING
    disk.mount("size=4k")
    codes = []
    for size in SIZES:
        disk.mount(f"remount,size={size}")
        end = disk.run(*reading(job), "--to", url, "--quiet", "--summary", "-")
        codes.append(end.code)
        wrong += not_one_line(end, "the disk is full; make room")
        wrong += miscoded(end)
        if end.code != 1:
            wrong += not_one_line(disk.run("status", "--to", url), "")
            found = disk.look(kind)
            wrong += truth.unkept(found) + found.broken
    wrong += truth.differences(found, Window(SINCE, UNTIL))
    figure(
        "Crashes",
        f"a disk that is full while a {job} writes into `{kind}:`",
        times=len(SIZES) - 1,
        orders=len(found.orders),
        lost=len(wrong),
    )

    assert wrong == []
    assert codes[0] == 1
    assert 3 in codes
    assert codes[-1] == 0


@pytest.mark.parametrize("kind", FILES)
def test_a_file_that_may_not_grow_is_one_line(kind: str, disk: Disk) -> None:
    """A limit on the size of files, ``ulimit -f``, is met as a full disk is."""
    url = disk.url(kind)
    disk.mount("size=64m")
    limited = disk.run(
        *reading("backfill"), "--to", url, "--quiet", "--summary", "-", largest_file=100_000
    )
    done = disk.run(*reading("backfill"), "--to", url, "--quiet")

    assert not_one_line(limited, "limit") + miscoded(limited) == []
    assert limited.code in {1, 3}
    assert (done.code, done.err) == (0, "")


@pytest.mark.parametrize("kind", FILES)
def test_a_read_only_disk_is_one_line_and_loses_nothing(kind: str, disk: Disk) -> None:
    """Nothing can be made there, nothing be added; once it can be written, it goes on."""
    truth, url = disk.truth, disk.url(kind)
    command = [*reading("backfill"), "--quiet", "--to", url]
    earlier = [*command, "--until", (UNTIL - timedelta(days=20)).isoformat()]
    disk.mount("size=64m,ro")
    empty = disk.run(*command)
    disk.mount("remount,rw")
    half = disk.run(*earlier)
    disk.mount("remount,ro")
    refused = disk.run(*command)
    read = disk.run("status", "--to", url)
    found = disk.look(kind)
    disk.mount("remount,rw")
    done = disk.run(*command)

    assert (empty.code, half.code, refused.code, done.code) == (1, 0, 1, 0)
    assert not_one_line(empty, "read-only") + not_one_line(refused, "read-only") == []
    if kind == "sqlite":  # which reads nothing where it cannot write beside it
        assert not_one_line(read, "its folder is read-only") == []
    else:
        assert read.code == 0
    assert found.orders
    assert truth.unkept(found) + found.broken == []
    assert truth.differences(disk.look(kind), Window(SINCE, UNTIL)) == []


@pytest.mark.parametrize("kind", ["ndjson", "ndjson+zstd", "parquet"])
def test_a_disk_that_becomes_read_only_in_mid_run_is_one_line(
    kind: str, disk: Disk, figure: Record
) -> None:
    """What was finished is true; once it can be written, the same command goes on.

    A database's file is open all along, and does not notice.
    """
    truth, url = disk.truth, disk.url(kind)
    command = [*reading("backfill"), "--quiet", "--to", url]
    disk.mount("size=64m")
    disk.close_store_in_mid_run()
    end = disk.run(*command)
    found = disk.look(kind)
    wrong = not_one_line(end, "read-only") + truth.unkept(found) + found.broken
    disk.reopen_store()
    done = disk.run(*command)
    wrong += [] if (done.code, done.err) == (0, "") else [f"exit {done.code}: {done.err}"]
    found = disk.look(kind)
    wrong += truth.unkept(found) + found.broken
    wrong += truth.differences(found, Window(SINCE, UNTIL))
    figure(
        "Crashes",
        f"a disk that becomes read-only while a backfill writes into `{kind}:`",
        times=int(end.code != 0),
        orders=len(found.orders),
        lost=len(wrong),
    )

    assert wrong == []


@pytest.mark.parametrize("kind", FILES)
async def test_a_store_that_is_deleted_under_a_run_is_an_error(
    kind: str, tmp_path: Path
) -> None:
    """The run does not write on into nowhere, nor make a store out of the rest."""
    place = tmp_path / "store"
    ledger, moment = Ledger("acme", "retail", "created", "amazon"), SINCE
    window = Window(moment, moment + timedelta(days=1))
    order = decode_document(json.dumps({"purchaseOrderNumber": "A1"}).encode(), Order)
    arrival = Arrival(ledger, window, moment, [order])
    said = []

    async def run() -> None:
        async with open_sink(f"{kind}:{place}") as sink, sink.lock("acme"):
            await sink.write(arrival)
            await asyncio.to_thread(delete_all, tmp_path)
            with pytest.raises(SinkError) as refused:
                await sink.write(arrival)
            said.append(str(refused.value))
            await sink.finish(ledger, FinishedWindow(window, moment))

    with pytest.raises(SinkError) as told:
        await run()
    said.append(str(told.value))

    assert said == [f"{place} was moved or deleted while in use; put it back"] * 2
    assert not place.exists()


def delete_all(folder: Path) -> None:
    """Delete all that is in *folder*."""
    for one in folder.iterdir():
        if one.is_dir():
            shutil.rmtree(one)
        else:
            one.unlink()


def not_one_line(end: End, text: str) -> list[str]:
    """Return what *end* said, unless it is nothing, or one line with *text* in it."""
    if end.code == 0 and not end.err:
        return []
    is_clear = end.err.count("\n") == 1 and text in end.err and "Traceback" not in end.err
    return [] if is_clear and end.code in {1, 3} else [f"exit {end.code}: {end.err}"]


def miscoded(end: End) -> list[str]:
    """Say where the exit code does not go with what the summary says was stored."""
    summary = msgspec.json.decode(end.out, type=Summary) if end.out else None
    accounts = summary.accounts.values() if summary else ()
    stored = any(one.orders or one.windows for one in accounts)
    expected = {True: {0, 3}, False: {1}}[stored]
    return [] if end.code in expected else [f"exit {end.code}, and stored: {stored}"]
