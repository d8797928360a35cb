"""`kill -9` while `sync` follows what arrives and changes: all of it is told, and stored."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest
from hold import Often, Record
from killing import Deed, Mortals, complaints
from looking import NOTHING, Found, Truth, drop_lease, look
from msgspec.structs import replace
from stores import Store

from vendororders_async.clock import parse_instant
from vendororders_async.simulator import Settings, Simulator
from vendororders_async.testing import running
from vendororders_async.windows import Window

SPEED = 120.0  # times as fast as at Amazon: what is settled is so after a second
ORDERS = Settings(
    orders=60,
    days=10,
    rate=1_000.0,
    burst=1_000.0,
    arrivals_an_hour=30.0,
    life_speed=40.0,
    late_share=0.0,
)
LONGEST = 0.8  # seconds that a run lives
_QUIET = 5.0  # seconds

_BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)

_SEQUENCES = "SELECT sequence FROM changes ORDER BY sequence"
_PLACE = "SELECT max(sequence) FROM consumers WHERE consumer = 'mortal'"
_COVERED = """
SELECT covered_until FROM account_streams
WHERE covered_until IS NOT NULL AND stream = 'created'
"""


class World:
    """A clock that goes fast until it is stopped, and the simulator that lives by it."""

    def __init__(self) -> None:
        self.began_at = time.time()
        self._stopped_at: float | None = None

    def now(self) -> datetime:
        """Return what time it is there."""
        seconds = (self._stopped_at or time.time()) - self.began_at
        return datetime.fromtimestamp(self.began_at + seconds * SPEED, UTC)

    def stop(self, simulator: Simulator) -> None:
        """Let nothing happen any more, once nothing has for some seconds.

        Amazon tells the time in whole ones, so that the last of them is asked for later.
        """
        self._stopped_at, before = time.time(), None
        while (there := (simulator.truth("demo"), simulator.status_truth("demo"))) != before:
            before, self._stopped_at = there, self._stopped_at + _QUIET / SPEED


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A store that can follow."""
    if request.param == "postgres":
        return str(request.getfixturevalue("postgres_url"))
    return f"sqlite:{tmp_path}/orders.db"


def test_a_killed_sync_misses_nothing_and_tells_all_of_it(
    url: str, mortals: Mortals, often: Often, chance: Random, figure: Record
) -> None:
    """Versions, changes, watermarks and places of consumers agree after every kill."""
    world, times, wrong = World(), often(8, 200), []
    simulator = Simulator(ORDERS, now=world.now)
    told = mortals.folder / "told"
    told.write_text("")
    found, killed = NOTHING, 0
    with running(simulator) as amazon:
        deed = Deed(
            job="sync",
            url=url,
            env=amazon.env,
            since=world.now().replace(microsecond=0) - timedelta(days=10),
            told=str(told),
            began_at=world.began_at,
            speed=SPEED,
        )
        while killed < times:
            end = mortals.run(replace(deed, kill_after=chance.uniform(0, LONGEST)))
            killed += end.killed
            wrong += [] if end.killed else complaints(end)
            drop_lease(url)
            found = look(url, found)
            wrong += found.broken
            if found is not NOTHING:
                truth = Truth(simulator)
                wrong += truth.unkept(found, exactly=False) + untold(url, told)
                wrong += ahead(url, deed.since, truth, found)
        world.stop(simulator)
        last = replace(deed, once=True, stopped_at=world.now())
        wrong += complaints(mortals.run(last))
        found, truth = look(url), Truth(simulator)
    wrong += found.broken + truth.differences(found) + untold(url, told, up_to_the_end=True)
    kind = url.partition(":")[0]
    figure(
        "Crashes",
        f"`kill -9` while `sync` follows into `{kind}:`",
        times=killed,
        orders=len(found.orders),
        lost=len(wrong),
    )

    assert wrong == []


def ahead(url: str, since: datetime | None, truth: Truth, found: Found) -> list[str]:
    """Say which orders are not there, though the watermark has passed them."""
    return [
        f"the watermark {until} has passed {number}"
        for (until,) in Store(url).select(_COVERED)
        for number in truth.of("created", Window(since or _BEGINNING, parse_instant(until)))
        if number not in found.orders
    ]


def untold(url: str, told: Path, *, up_to_the_end: bool = False) -> list[str]:
    """Say which changes a consumer was not told of, though its place is behind them."""
    store = Store(url)
    heard = {int(line) for line in told.read_text().split()}
    recorded = [one for (one,) in store.select(_SEQUENCES)]
    [(place,)] = store.select(_PLACE)
    last = recorded[-1] if up_to_the_end and recorded else place or 0
    return [
        f"change {one} was not told" for one in recorded if one <= last and one not in heard
    ]
