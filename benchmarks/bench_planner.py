"""How near to the usage plan can the planner come? ``python -m benchmarks.bench_planner``.

`simulation` runs it on paper: histories of orders, latencies, and the orders in which
answers may come, each with several seeds, at 10 requests a second and burst 10. An order
in 33 is published hours after it was placed, and an answer takes up to a tenth longer than
the latency said. *Static* is the same run when no window is ever split; *sent* is how many
requests go out for each that is needed.

What it leaves out is the time that storing takes, and the login: `bench_backfill` has both.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import product

import msgspec

from .histories import EVEN_WEEK, HISTORIES, MONDAYS, PEAK, WEEK, History
from .ideal import ideal_seconds, needed_requests
from .report import Figure, arguments, report
from .simulation import ANSWERS, PLAN, Simulation

LATENCIES = (0.1, 0.25, 0.5, 1.0, 1.5, 2.5)
ORDERS = ("ascending", "descending", "shuffled")
JITTER = 0.1  # of the latency

# Times the ideal, where answers come in the order that Amazon promises by default.
LIMITS = (
    (EVEN_WEEK, 0.5, 1.15),
    (WEEK, 0.5, 1.15),
    (MONDAYS, 0.5, 1.15),
    (EVEN_WEEK, 1.5, 1.30),
    (WEEK, 1.5, 1.30),
    (PEAK, 0.5, 1.30),
)


class Case(msgspec.Struct, frozen=True):
    """What is read, at which latency, in which order its answers come."""

    history: str
    order: str
    latency: float


class Run(msgspec.Struct, frozen=True):
    """How one seed of a case came out, and how it would have without splits."""

    ratio: float  # to the ideal
    static_ratio: float
    sent: float  # requests for each that is needed
    lost_count: int


Results = Mapping[Case, Sequence[Run]]


def main(given: Sequence[str] | None = None) -> bool:
    """Measure and print; return whether all is within its limits."""
    options = arguments(__doc__ or "", given, rounds=12)
    began_at = time.perf_counter()
    results = measure(options.rounds)
    seconds = time.perf_counter() - began_at
    count = 2 * sum(map(len, results.values()))
    if options.json:
        cells = [{"case": case, "runs": runs} for case, runs in results.items()]
        print(msgspec.json.encode(cells).decode())
    else:
        print(f"\n{count:,} runs of the planner on paper, in {seconds:.0f} s; {PLAN}")
        print("\n".join(_tables(results)))
    if options.plots:
        from .plots import Pace, draw_pace  # noqa: PLC0415 - needs the dependency group bench

        points = [
            Pace(
                case.history,
                case.order,
                case.latency,
                _median(runs, "ratio"),
                _median(runs, "static_ratio"),
            )
            for case, runs in results.items()
        ]
        draw_pace(points, options.plots)
    return report(
        "The planner alone, answers ascending", _figures(results), as_json=options.json
    )


def measure(seeds: int, histories: Iterable[History] = HISTORIES) -> Results:
    """Run every case with so many *seeds*, on all cores."""
    jobs = list(product(histories, range(seeds)))
    results: dict[Case, list[Run]] = {}
    with ProcessPoolExecutor() as pool:
        for runs in pool.map(_runs, *zip(*jobs, strict=True)):
            for case, run in runs.items():
                results.setdefault(case, []).append(run)
    return results


def _runs(history: History, seed: int) -> dict[Case, Run]:
    orders = history.orders(seed)
    needed = needed_requests(history.days, history.count)
    runs = {}
    for order, latency in product(ORDERS, LATENCIES):
        ours, static = (
            Simulation(
                orders,
                history.days,
                latency=latency,
                answer=ANSWERS[order],
                jitter=JITTER,
                replans=replans,
            ).run()
            for replans in (True, False)
        )
        ideal = ideal_seconds(history.days, history.count, plan=PLAN, latency=latency)
        runs[Case(history.title, order, latency)] = Run(
            ours.seconds / ideal,
            static.seconds / ideal,
            ours.request_count / needed,
            len(ours.lost) + len(static.lost),
        )
    return runs


def _tables(results: Results) -> Iterable[str]:
    """Yield a table for each history: a row for a latency, columns for an order."""
    for history in dict.fromkeys(case.history for case in results):
        yield f"\n{history}: seconds / ideal"
        yield f"{'':9}" + "".join(f"  {order:^28}" for order in ORDERS)
        yield "latency  " + "  median    max  static   sent" * len(ORDERS)
        for latency in LATENCIES:
            row = f"{latency:5.2f} s  "
            for order in ORDERS:
                runs = results[Case(history, order, latency)]
                row += (
                    f"  {_median(runs, 'ratio'):6.2f} {max(one.ratio for one in runs):6.2f}"
                    f"  {_median(runs, 'static_ratio'):6.2f} {_median(runs, 'sent'):6.2f}"
                )
            yield row


def _figures(results: Results) -> list[Figure]:
    rows = [
        Figure(
            f"{history.title}, {latency:g} s",
            "times",
            [one.ratio for one in results[Case(history.title, "ascending", latency)]],
            limit,
        )
        for history, latency, limit in LIMITS
    ]
    lost = [one.lost_count for runs in results.values() for one in runs]
    return [*rows, Figure("orders lost, all runs", "", [sum(lost)], 0)]


def _median(runs: Sequence[Run], attribute: str) -> float:
    return float(statistics.median(getattr(run, attribute) for run in runs))


if __name__ == "__main__":
    sys.exit(not main())
