"""How near to the usage plan is a backfill? ``python -m benchmarks.bench_backfill``.

Each scenario is a history that the simulator serves, from a process of its own, at 10
requests a second and burst 10; each round is a backfill of all of it into a new SQLite
database, over loopback. *Ideal* is what the plan allows for the fewest requests that could
bring those orders; the requests that were sent stand beside it, so that waste shows.
``created`` only, so that one bucket is all there is, and orders of two lines, so that the
pace is the question and not the CPU, whose share the table says.

The login takes the simulator's latency too, and in direct fulfillment a restricted data token
after it. Both are one request an hour, of other services and no part of the ideal, so the
ratio is held without them: less the time from the login's arrival to that of the first
request for orders. What goes before it and comes after counts.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import msgspec

from vendororders_async import Account, Summary, backfill
from vendororders_async.simulator import TOKEN, Arrival, Settings
from vendororders_async.usage import UsagePlan

from .amazon import Amazon, last_midnight, running
from .ideal import ideal_seconds, needed_requests
from .report import Figure, arguments, report

PLAN = UsagePlan(rate=10, burst=10)
REFILLS = PLAN.burst / PLAN.rate + 1  # seconds after which Amazon's bucket is full again
THROTTLED_LIMIT = 1  # of 1,000 requests
RESTRICTED = "createRestrictedDataToken"
RESTRICTED_LIMIT = 2  # an account and hour


class Scenario(msgspec.Struct, frozen=True):
    """A history to read at some latency, and how many times the ideal that may take."""

    name: str
    history: Settings
    latency: float  # seconds
    limit: float
    api: str = "retail"
    is_varied: bool = False  # another history each round: which orders came late is luck

    @property
    def orders(self) -> int:
        """How many there are to read."""
        history, is_retail = self.history, self.api == "retail"
        return history.orders if is_retail else history.direct_fulfillment_orders

    @property
    def title(self) -> str:
        """Its name with the latency."""
        return f"{self.name}, {self.latency:g} s latency"

    @property
    def ideal(self) -> float:
        """The fewest seconds that could do it."""
        history = self.history
        return ideal_seconds(history.days, self.orders, plan=PLAN, latency=self.latency)

    def settings(self) -> Settings:
        """Return the simulator that serves it; what it serves is written beforehand."""
        return msgspec.structs.replace(
            self.history,
            latency=self.latency,
            rate=PLAN.rate,
            burst=PLAN.burst,
            anchor=last_midnight(),
            history_months=None,  # on some days of the year 180 days are just too many
            items=2,
            write_ahead=True,
            keep_arrivals=True,
        )


class Run(msgspec.Struct, frozen=True):
    """How a backfill came out, the CPU it took, its login, and when its requests arrived."""

    summary: Summary
    cpu_seconds: float
    login_seconds: float = 0.0
    restricted_token_count: int = 0
    arrivals: tuple[float, ...] = ()  # seconds after the first request for orders

    @property
    def seconds(self) -> float:
        """How long it took, the login excluded."""
        return self.summary.seconds - self.login_seconds


WEEK = Settings(days=7, orders=10_000)
PEAK = Settings(days=180, orders=20_000, peak_day=0.6, peak_second=0.1)
MONDAYS = Settings(days=180, orders=20_000, monday_batches=0.95)
CUSTOMERS = Settings(days=7, orders=0, direct_fulfillment_orders=10_000)

SCENARIOS = (
    Scenario("7 days, 10,000 orders", WEEK, 0.5, 1.15),
    Scenario("7 days, 10,000 orders", WEEK, 1.5, 1.30),
    Scenario("180 days, 20,000 orders, 60 % in a day, 10 % in a second", PEAK, 0.5, 1.30),
    Scenario("180 days, 20,000 orders, 95 % in Monday batches", MONDAYS, 0.5, 1.15),
    Scenario(
        "7 days, 10,000 orders for customers", CUSTOMERS, 0.5, 1.15, "direct-fulfillment", True
    ),
)


def main(given: Sequence[str] | None = None) -> bool:
    """Measure and print; return whether all is within its limits."""
    options = arguments(__doc__ or "", given, rounds=5)
    verdicts, arrivals = [], {}
    for scenario in SCENARIOS:
        runs = _runs(scenario, options.rounds)
        arrivals[scenario.title] = runs[0].arrivals
        title = f"A backfill: {scenario.title}, {PLAN}"
        verdicts.append(report(title, _figures(scenario, runs), as_json=options.json))
    if options.plots:
        from .plots import draw_requests  # noqa: PLC0415 - needs the dependency group bench

        draw_requests(arrivals, PLAN, options.plots)
    return all(verdicts)


async def read(
    accounts: Sequence[Account], history: Settings, path: Path, api: str = "retail"
) -> Run:
    """Backfill all of *history*, up to its anchor, into a new database."""
    until = history.anchor
    assert until is not None  # noqa: S101 - a midnight may pass while benchmarks run
    began_at = time.process_time()
    summary = await backfill(
        accounts,
        since=until - timedelta(days=history.days),
        until=until,
        to=f"sqlite:{path}",
        streams=["created"],
        api=api,
    )
    cpu_seconds = time.process_time() - began_at
    # an incomplete run measures nothing
    assert summary.complete, summary  # noqa: S101
    there = history.orders if api == "retail" else history.direct_fulfillment_orders
    assert summary.orders == there * len(accounts), summary  # noqa: S101
    return Run(summary, cpu_seconds)


def _runs(scenario: Scenario, rounds: int) -> list[Run]:
    if scenario.is_varied:
        histories = [
            msgspec.structs.replace(scenario.history, seed=number) for number in range(rounds)
        ]
        varied = [
            msgspec.structs.replace(scenario, history=one, is_varied=False) for one in histories
        ]
        return [run for one in varied for run in _runs(one, 1)]
    settings = scenario.settings()
    with running(settings) as amazon, tempfile.TemporaryDirectory() as folder:
        return [
            _run(amazon, settings, Path(folder) / f"{number}.db", scenario.api)
            for number in range(rounds)
        ]


def _run(amazon: Amazon, history: Settings, path: Path, api: str) -> Run:
    run = asyncio.run(read(amazon.accounts, history, path, api))
    time.sleep(REFILLS)
    return with_arrivals(run, amazon.report().arrivals)


def with_arrivals(run: Run, arrivals: Sequence[Arrival]) -> Run:
    """Return *run* with what the simulator saw of it, which includes one login."""
    [login] = (one.at for one in arrivals if one.operation == TOKEN)
    restricted = [one for one in arrivals if one.operation == RESTRICTED]
    times = [one.at for one in arrivals if one.operation not in {TOKEN, RESTRICTED}]
    return msgspec.structs.replace(
        run,
        login_seconds=times[0] - login,
        restricted_token_count=len(restricted),
        arrivals=tuple(at - times[0] for at in times),
    )


def _figures(scenario: Scenario, runs: Sequence[Run]) -> list[Figure]:
    ideal, summaries = scenario.ideal, [run.summary for run in runs]
    return [
        Figure("wall time", "s", [one.seconds for one in summaries]),
        Figure("seconds, login excluded", "s", [run.seconds for run in runs]),
        Figure("ideal", "s", [ideal]),
        Figure(
            "seconds, login excluded / ideal",
            "times",
            [run.seconds / ideal for run in runs],
            scenario.limit,
        ),
        Figure("requests", "", [one.requests for one in summaries]),
        Figure(
            "requests needed",
            "",
            [needed_requests(scenario.history.days, scenario.orders)],
        ),
        Figure(
            "restricted data tokens",
            "",
            [run.restricted_token_count for run in runs],
            RESTRICTED_LIMIT,
        ),
        Figure(
            "throttled (429)",
            "of 1,000",
            [1000 * one.throttled / one.requests for one in summaries],
            THROTTLED_LIMIT,
        ),
        Figure(
            "CPU of the client",
            "% of a core",
            [100 * run.cpu_seconds / run.summary.seconds for run in runs],
        ),
    ]


if __name__ == "__main__":
    sys.exit(not main())
