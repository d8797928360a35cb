"""`kill -9` while a backfill writes: the store claims nothing false, and comes to the truth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import NamedTuple

import pytest
from hold import Often, Record
from killing import Deed, Mortals, complaints
from looking import NOTHING, Truth, drop_lease, look
from msgspec.structs import replace

from vendororders_async.simulator import Settings
from vendororders_async.testing import SimulatedAmazon
from vendororders_async.windows import Window

ORDERS = Settings(orders=1_500, days=16, rate=1_000.0, burst=1_000.0)
UNTIL = datetime.now(UTC).replace(microsecond=0) - timedelta(days=8)  # never read again
SINCE = UNTIL - timedelta(days=7)  # some pages a window
KINDS = ("sqlite", "postgres", "ndjson", "ndjson+gzip", "ndjson+zstd", "parquet", "s3")

_ON_ONE_STORE = 12  # kills
_FIRST_MOMENTS = 0.03  # seconds


class Killing(NamedTuple):
    """Who is asked, and who is killed."""

    amazon: SimulatedAmazon
    mortals: Mortals


@pytest.fixture(scope="module")
def killing(amazon: SimulatedAmazon, mortals: Mortals) -> Killing:
    """Return both."""
    return Killing(amazon, mortals)


def test_a_killed_backfill_loses_nothing_and_claims_nothing_false(
    new_store: Callable[[], str],
    killing: Killing,
    often: Often,
    chance: Random,
    figure: Record,
) -> None:
    """Killed at any moment, again and again, it leaves what the next run completes."""
    mortals, truth, wanted = (
        killing.mortals,
        Truth(killing.amazon.simulator),
        Window(SINCE, UNTIL),
    )
    deed = Deed(job="backfill", env=killing.amazon.env, since=SINCE, until=UNTIL)
    url = new_store()
    length = mortals.run(replace(deed, url=url)).seconds
    times, order_count, wrong = often(8, 200), 0, []
    phases: Counter[str] = Counter()
    while phases.total() < times:
        url, found = new_store(), NOTHING
        for _ in range(_ON_ONE_STORE):
            run = replace(
                deed,
                url=url,
                reads_again=chance.random() < 0.5,
                kill_after=moment(chance, length),
            )
            end = mortals.run(run)
            found = look(url, found)
            wrong += truth.unkept(found) + found.broken
            if not end.killed:
                wrong += complaints(end)
                if not run.reads_again:
                    break
            else:
                phases[found.phase] += 1
                drop_lease(url)
            if phases.total() == times:
                break
        wrong += complaints(mortals.run(replace(deed, url=url)))
        found = look(url)
        wrong += truth.unkept(found) + found.broken + truth.differences(found, wanted)
        wrong += left_behind(url)
        order_count += len(found.orders)
    print(phases)  # noqa: T201 - pytest shows it where it fails
    kind = url.partition(":")[0]
    figure(
        "Crashes",
        f"`kill -9` while a backfill writes into `{kind}:`",
        times=phases.total(),
        orders=order_count,
        lost=len(wrong),
    )

    assert wrong == []


def moment(chance: Random, length: float) -> float:
    """Return when to kill a run that takes so long by itself: also right at its beginning."""
    return chance.uniform(0, _FIRST_MOMENTS if chance.random() < 0.2 else 1.1 * length)


def left_behind(url: str) -> list[str]:
    """Return the files that a run should have cleared up.

    What says that a folder is a store is cleared up a minute later.
    """
    kind, _, place = url.partition(":")
    if kind in {"s3", "postgres"}:
        return []
    parts = Path(place).rglob(".*.part")
    return [str(one) for one in parts if not one.name.startswith(".vendororders")]
