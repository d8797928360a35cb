"""What a killed export left goes with the next one, and what a running one writes stays."""

from __future__ import annotations

import asyncio
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from canaries import direct

from vendororders_async.clock import now
from vendororders_async.models.retail_procurement import Order
from vendororders_async.pages import decode_document
from vendororders_async.sinks.base import StoredOrder
from vendororders_async.sinks.claims import Claim
from vendororders_async.sinks.columns import StoredContent
from vendororders_async.sinks.table_files import Folder
from vendororders_async.sinks.tables import Tables, open_tables

DYING = """
import asyncio, os, signal, sys
from vendororders_async.sinks.tables import open_tables

async def main():
    async with open_tables(sys.argv[1]):
        os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


@pytest.fixture(params=["csv", "parquet", "duckdb"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return where tables go; a pattern would take some of the name for its own."""
    if request.param != "csv":
        pytest.importorskip(f"vendororders_async.sinks.{request.param}_tables")  # it blocks
    return f"{request.param}:{tmp_path}/out[1]"


def opened(url: str) -> Tables:
    """Return the tables of a URL."""
    tables = open_tables(url)
    assert tables is not None

    return tables


def order(number: str) -> StoredContent:
    """Return an order of nobody."""
    raw = direct(number, canary="x")
    content = decode_document(raw, Order).content
    assert content is not None

    return StoredOrder("acme", "retail", number, now(), raw), content


def hidden(folder: Path) -> set[str]:
    """Return what is hidden below *folder*."""
    return {one.name for one in folder.rglob(".*")}


async def exported(url: str) -> None:
    """Write tables of one order."""
    async with opened(url) as tables:
        await tables.add([order("A1")])
        await tables.settle()


async def test_the_next_export_removes_what_a_killed_one_left(url: str, tmp_path: Path) -> None:
    """Nothing hidden is there any more, at once, however often one was killed."""
    left = []
    for _ in range(2):
        dying = await asyncio.create_subprocess_exec(sys.executable, "-c", DYING, url)
        assert await asyncio.wait_for(dying.wait(), timeout=30) == -9
        left.append(hidden(tmp_path))
    await exported(url)

    assert left[0] != set()
    assert len(left[0]) == len(left[1])  # the second has removed what the first one left
    assert left[0].isdisjoint(left[1])
    assert hidden(tmp_path) == set()


async def test_an_export_that_is_running_keeps_what_it_writes(url: str, tmp_path: Path) -> None:
    """Another one to the same target ends meanwhile, and both are whole."""
    async with opened(url) as running:
        before = hidden(tmp_path)
        if url.startswith("duckdb"):
            async with opened(url):  # a database has one writer: the later one would be told
                during = hidden(tmp_path)
        else:
            await exported(url)
            during = hidden(tmp_path)
        await running.add([order("B1"), order("B2")])
        await running.settle()

    assert before != set()
    assert before <= during
    assert hidden(tmp_path) == set()


def test_nobody_elses_files_are_removed(tmp_path: Path) -> None:
    """Only what is called as ours, and is a file or a folder; no link is followed."""
    target, mine = tmp_path / "orders.csv", tmp_path / "mine"
    mine.mkdir()
    (mine / "kept").touch()
    kept = [tmp_path / f".orders.csv.{one}" for one in ("part", "12345678", "123456789.part")]
    kept += [tmp_path / ".orders.csvx.12345678.part", tmp_path / ".lines.csv.12345678.part"]
    for one in kept:
        one.touch()
    kept += [tmp_path / f".orders.csv.{one}.part" for one in ("linked00", "piped000")]
    kept[-2].symlink_to(mine / "kept")
    os.mkfifo(kept[-1])
    (tmp_path / ".orders.csv.abcdef_1.part").touch()
    (tmp_path / ".orders.csv.abcdef_2.part").mkdir()
    (tmp_path / ".orders.csv.abcdef_2.part" / "spilt").touch()
    claim = Claim(target)

    assert hidden(tmp_path) == {one.name for one in (*kept, claim.path)}
    assert (mine / "kept").exists()
    claim.release()


@pytest.mark.parametrize("is_folder", [False, True], ids=["file", "folder"])
def test_who_begins_at_the_same_moment_is_not_taken_for_dead(
    tmp_path: Path, is_folder: bool
) -> None:
    """What was just made may not be locked yet when another one looks."""
    workers, rounds = 8, 25
    together = Barrier(workers)

    def begin() -> list[bool]:
        found = []
        for _ in range(rounds):
            together.wait(timeout=10)
            claim = Claim(tmp_path / "orders.csv", is_folder=is_folder)
            together.wait(timeout=10)
            found.append(claim.path.exists())
            together.wait(timeout=10)
            claim.release()
        return found

    with ThreadPoolExecutor(workers) as pool:
        done = [pool.submit(begin) for _ in range(workers)]
        found = [there for one in done for there in one.result(timeout=60)]

    assert found == [True] * workers * rounds


def test_exports_that_end_at_the_same_moment_take_nothing_from_each_other(
    tmp_path: Path,
) -> None:
    """What is written is claimed until it has its name."""
    workers, rounds = 6, 20

    def export() -> None:
        for _ in range(rounds):
            aside = Folder(tmp_path).aside("orders.csv")
            aside.file.write(b"x" * 1_000)
            aside.settle()

    with ThreadPoolExecutor(workers) as pool:
        done = [pool.submit(export) for _ in range(workers)]
        troubles = [one.exception(timeout=60) for one in done]

    assert troubles == [None] * workers
    assert hidden(tmp_path) == set()
