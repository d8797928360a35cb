"""A PostgreSQL server that dies again and again under a run: what was answered for is there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from random import Random
from time import sleep

import asyncpg
import pytest
from hold import Often, Record
from killing import Deed, Mortals, complaints
from looking import Truth, look
from own_postgres import OwnPostgres, own_postgres
from postgres import execute
from stores import Store

from vendororders_async.simulator import Settings
from vendororders_async.testing import SimulatedAmazon
from vendororders_async.windows import Window

ORDERS = Settings(orders=600, days=16, rate=30.0, burst=10.0)  # so that a run takes a while
UNTIL = datetime.now(UTC).replace(microsecond=0) - timedelta(days=8)
SINCE = UNTIL - timedelta(days=7)

_AT_MOST = 3  # deaths under one run
_LOOK = 0.02  # seconds
_UNTOLD = "SELECT sequence FROM changes ORDER BY sequence"


@pytest.fixture(scope="module")
def server() -> Iterator[OwnPostgres]:
    """A server of our own."""
    with own_postgres() as started:
        yield started


@pytest.fixture
def new_store(server: OwnPostgres) -> Callable[[], str]:
    """Return what returns the URL of an empty store on it."""

    def emptied() -> str:
        execute(server.url(), "DROP SCHEMA IF EXISTS orders CASCADE")
        execute(server.url(), "CREATE SCHEMA orders")
        return f"{server.url()}?search_path=orders"

    return emptied


@pytest.mark.parametrize("job", ["backfill", "sync"])
def test_a_run_outlives_the_death_of_its_server(
    job: str,
    server: OwnPostgres,
    new_store: Callable[[], str],
    request: pytest.FixtureRequest,
    figure: Record,
) -> None:
    """It waits until the server is there again, and ends as if nothing had been.

    Only a run that has begun does: one that cannot even open its store says so and ends.
    """
    often: Often = request.getfixturevalue("often")
    chance: Random = request.getfixturevalue("chance")
    amazon: SimulatedAmazon = request.getfixturevalue("amazon")
    mortals: Mortals = request.getfixturevalue("mortals")
    truth, times = Truth(amazon.simulator), often(2, 10)
    wrong, deaths, compared = [], 0, 0
    told = mortals.folder / "told"
    with ThreadPoolExecutor(1) as thread:
        while deaths < times:
            url = new_store()
            told.write_text("")
            deed = Deed(
                job=job,
                url=url,
                env=amazon.env,
                since=SINCE,
                until=UNTIL if job == "backfill" else None,
                once=True,
                told=str(told),
                began_at=datetime.now(UTC).timestamp(),
            )
            run = thread.submit(mortals.run, deed)
            while not (run.done() or has_begun(url)):
                sleep(_LOOK)
            for _ in range(min(_AT_MOST, times - deaths)):
                sleep(chance.uniform(0.05, 0.6))
                if run.done():
                    break
                server.stop("immediate")
                server.start()
                deaths += 1
            end = run.result()
            found = look(url)
            wrong += complaints(end)
            wrong += truth.unkept(found) + found.broken
            wrong += truth.differences(found, Window(SINCE, UNTIL))
            if job == "sync":
                heard = {int(line) for line in told.read_text().split()}
                recorded = {one for (one,) in Store(url).select(_UNTOLD)}
                wrong += [f"change {one} was not told" for one in recorded - heard]
            compared += len(found.orders)
    figure(
        "Crashes",
        f"PostgreSQL's server stopped as by a crash while a {job} writes",
        times=deaths,
        orders=compared,
        lost=len(wrong),
    )

    assert wrong == []


def has_begun(url: str) -> bool:
    """Say whether a run holds the account by now."""
    with suppress(asyncpg.UndefinedTableError):
        return bool(execute(url, "SELECT 1 FROM leases"))
    return False
