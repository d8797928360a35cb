"""Side by side with the clients of today. ``python -m benchmarks.bench_peers``.

Everybody reads the same weeks from a simulator of their own, at 10 requests a second and
burst 10: fresh, with full pages, and in a process of its own, as every contender is.
CPU is that of the run: all threads, without the start of Python and imports. Rounds are
interleaved; what a client's documentation shows is slow by its pauses, and is run once.

Then, for losses alone, with faults, and with orders that break the published schema.

The last lines say in words what was won and what was not. In advance:

- An eighth of the fastest peer's CPU is not won, and is out of reach. That peer hands out
  dicts that nobody checked, and an eighth of it is less than aiohttp, gunzip and msgspec
  alone take for a page (`bench_page`).
- No peer stores anything; our backfill does, which takes more CPU than their dicts.
- Our iterator is slower than the tuned scripts: it hands out orders in the order of their
  windows and reads five pages ahead, where they read all weeks at once in any order.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from http import HTTPStatus
from itertools import chain
from pathlib import Path

import msgspec

from vendororders_async import Account
from vendororders_async.operations import GET_PURCHASE_ORDERS, LARGEST_PAGE
from vendororders_async.simulator import Arrival, Settings, Simulator

from .amazon import last_midnight, running
from .peers.contest import Score, Task, Week
from .report import Figure, arguments, report

LIMIT = 1 / 8  # of the CPU of the fastest peer
WEEKS, LATENCY = 25, 0.25
AMAZON = Settings(
    orders=5_000,
    items=10,
    days=180,
    latency=LATENCY,
    oddities=False,
    write_ahead=True,
    keep_arrivals=True,
)
# seed 9 deals its first faults early enough for everybody to meet some
FAULTS = msgspec.structs.replace(AMAZON, seed=9, faults={"html": 0.02, "429": 0.02})
ODDITIES = msgspec.structs.replace(AMAZON, oddities=True)

_AT_A_TIME = 6  # contenders, where only losses count
_ROOT = Path(__file__).parents[1]
_PEERS = _ROOT / ".peers"  # `make bench` puts them there


class Contender(msgspec.Struct, frozen=True):
    """A script of `benchmarks.peers`; a *slow* one is run once."""

    script: str
    title: str
    is_ours: bool = False
    is_slow: bool = False


OURS = Contender("ours_iterating", "ours, one iterator", is_ours=True)
STORING = Contender("ours_storing", "ours, backfill into SQLite", is_ours=True)
TYPED = Contender("selling_partner_tuned", "amzn-selling-partner, tuned")
CONTENDERS = (
    OURS,
    STORING,
    TYPED,
    Contender("selling_partner_raw", "amzn-selling-partner, tuned, dicts"),
    Contender("sp_api_tuned", "python-amazon-sp-api, tuned, dicts"),
    Contender(
        "selling_partner_documented", "amzn-selling-partner, as documented", is_slow=True
    ),
    Contender("sp_api_documented", "python-amazon-sp-api, as documented, dicts", is_slow=True),
)


class Outcome(msgspec.Struct, frozen=True):
    """How one run came out, the loss counted against what the simulator has."""

    seconds: float
    ideal_seconds: float
    cpu_seconds: float
    peak_mb: float
    requests: int
    throttled: int
    failed: int
    orders: int
    lost: int
    errors: list[str]


def outcome(
    score: Score, arrivals: Sequence[Arrival], weeks: Sequence[Collection[str]]
) -> Outcome:
    """Hold what a contender says against what the simulator saw, and has for each week.

    Ideal is what the plan allows for these weeks' pages, and the last answer's latency.
    """
    truth = set(chain.from_iterable(weeks))
    pages = sum(max(1, -(-len(week) // LARGEST_PAGE)) for week in weeks)
    statuses = Counter(
        one.status for one in arrivals if one.operation == GET_PURCHASE_ORDERS.name
    )
    return Outcome(
        seconds=score.seconds,
        ideal_seconds=GET_PURCHASE_ORDERS.plan.seconds_for(pages) + LATENCY,
        cpu_seconds=score.cpu_seconds,
        peak_mb=score.peak_mb,
        requests=statuses.total(),
        throttled=statuses[HTTPStatus.TOO_MANY_REQUESTS],
        failed=statuses[HTTPStatus.SERVICE_UNAVAILABLE],
        orders=len(truth),
        lost=len(truth - set(score.numbers)),
        errors=score.errors,
    )


def fate(one: Outcome) -> str:
    """Say how it ended: whether it lost orders, and whether it said so."""
    if not one.errors:
        return "complete" if not one.lost else f"lost {one.lost:,} in silence"
    kinds = ", ".join(sorted(set(one.errors)))
    return f"lost {one.lost:,} and raised {len(one.errors)}: {kinds}"


def race(contender: Contender, settings: Settings, weeks: Sequence[Week]) -> Outcome:
    """Run *contender* once, in a process, against a new simulator in another.

    Raises:
        ModuleNotFoundError: What it is made of is not installed.
    """
    dated = msgspec.structs.replace(settings, anchor=weeks[-1][1] + timedelta(days=2))
    with running(dated) as amazon:
        score = _score(contender, _task(amazon.account, weeks))
        arrivals = amazon.report().arrivals
    return outcome(score, arrivals, _truth(dated, weeks))


def _truth(settings: Settings, weeks: Sequence[Week]) -> list[tuple[str, ...]]:
    """Return the numbers of the orders in each week, from a simulator that serves nobody."""
    simulator = Simulator(msgspec.structs.replace(settings, write_ahead=False))
    [account] = simulator.accounts
    return [
        tuple(simulator.truth(account.name, after=after, before=before))
        for after, before in weeks
    ]


def _task(account: Account, weeks: Sequence[Week]) -> Task:
    return Task(
        url=account.base_url,
        token_url=account.login_url,
        client_id=account.credentials.client_id,
        client_secret=account.credentials.client_secret,
        refresh_token=account.credentials.refresh_token,
        weeks=list(weeks),
    )


def _score(contender: Contender, task: Task) -> Score:
    # ours do not get the folder, so that nothing of it can stand in for what they use
    path = {} if contender.is_ours else {"PYTHONPATH": str(_PEERS)}
    ran = subprocess.run(
        [
            *(sys.executable, "-m", f"benchmarks.peers.{contender.script}"),
            msgspec.json.encode(task).decode(),
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=_ROOT,
        env=os.environ | path,
    )
    if "ModuleNotFoundError" in ran.stderr:
        raise ModuleNotFoundError(ran.stderr.strip().splitlines()[-1])
    if ran.returncode:
        raise RuntimeError(f"{contender.script} broke: {ran.stderr}")
    return msgspec.json.decode(ran.stdout, type=Score)


def recent_weeks(count: int) -> list[Week]:
    """Return *count* whole weeks that ended two days ago."""
    end = last_midnight()
    starts = [end - timedelta(days=2 + 7 * back) for back in range(count, 0, -1)]
    return [(start, start + timedelta(days=7)) for start in starts]


Results = Mapping[Contender, Sequence[Outcome]]


def main(given: Sequence[str] | None = None) -> bool:
    """Measure and print; return whether all is within its limits."""
    options = arguments(__doc__ or "", given, rounds=3)
    weeks = recent_weeks(WEEKS)
    present = [one for one in CONTENDERS if _is_there(one)]
    results: dict[Contender, list[Outcome]] = {one: [] for one in present}
    for number in range(options.rounds):
        for one in present:
            if number == 0 or not one.is_slow:
                results[one].append(race(one, AMAZON, weeks))
    faulty, odd = _losses(present, weeks)
    if not options.json:
        print(_table(results))
    within = report("Limits", figures(results), as_json=options.json)
    if options.json:
        named = {one.script: runs for one, runs in results.items()}
        losses = {one.script: [faulty[one], odd[one]] for one in present}
        print(msgspec.json.encode({"runs": named, "losses": losses}).decode())
        return within
    for title, runs in (
        ("With 2 % of 503 as HTML and 2 % of 429", faulty),
        ("With an order in 17 that breaks the published schema, as Amazon's do", odd),
    ):
        print(f"\n{title}")
        width = max(len(one.title) for one in runs)
        for one, run in runs.items():
            met = f"met {run.failed} 503, {run.throttled} 429"
            print(f"{one.title:{width}}  {met:18}  {fate(run)}")
    print("\n" + "\n".join(verdicts(results)))
    return within


def _is_there(contender: Contender) -> bool:
    """Run it on nothing, and say so where it is not installed."""
    nothing = Task("http://127.0.0.1:9", "http://127.0.0.1:9", "x", "x", "x", [])
    if contender.is_ours:
        return True
    try:
        _score(contender, nothing)
    except ModuleNotFoundError as error:
        print(
            f"left out: {contender.title}: {error}; `make bench` installs it", file=sys.stderr
        )
        return False
    return True


def _losses(
    present: Sequence[Contender], weeks: Sequence[Week]
) -> tuple[dict[Contender, Outcome], dict[Contender, Outcome]]:
    """Run everybody with faults, and with oddities, several at a time: only losses count."""
    slow_first = sorted(present, key=lambda one: not one.is_slow)
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        faulty = {one: pool.submit(race, one, FAULTS, weeks) for one in slow_first}
        odd = {one: pool.submit(race, one, ODDITIES, weeks) for one in slow_first}
    return (
        {one: faulty[one].result() for one in present},
        {one: odd[one].result() for one in present},
    )


def _table(results: Results) -> str:
    first = next(iter(results.values()))[0]
    ours = _median(results[OURS], "cpu_seconds")
    width = max(len(one.title) for one in results)
    title = (
        f"\n{first.orders:,} orders of 10 lines, {WEEKS} weeks, {LATENCY:g} s latency, "
        f"{GET_PURCHASE_ORDERS.plan}; ideal {first.ideal_seconds:.1f} s; medians"
    )
    lines = [
        title,
        f"{'':{width}}  runs  seconds  / ideal  CPU s  / ours  requests  429s  lost  peak MB",
    ]
    for one, runs in results.items():
        seconds, cpu = _median(runs, "seconds"), _median(runs, "cpu_seconds")
        lines.append(
            f"{one.title:{width}}  {len(runs):4}  {seconds:7.2f}"
            f"  {seconds / first.ideal_seconds:7.2f}  {cpu:5.2f}  {cpu / ours:6.2f}"
            f"  {_median(runs, 'requests'):8g}  {_median(runs, 'throttled'):4g}"
            f"  {_median(runs, 'lost'):4g}  {_median(runs, 'peak_mb'):7.0f}"
        )
    return "\n".join(lines)


def fastest_peer(results: Results) -> Contender | None:
    """Return the one that took the least time and lost nothing, if there are peers."""
    whole = [
        one
        for one, runs in results.items()
        if not one.is_ours and not any(run.lost or run.errors for run in runs)
    ]
    return min(whole, key=lambda one: _median(results[one], "seconds"), default=None)


def figures(results: Results) -> list[Figure]:
    """Return what has a limit, and what is compared with what."""
    rows = [Figure("orders lost by ours", "", _column(results, "lost", OURS, STORING), 0)]
    fastest = fastest_peer(results)
    for one in results:
        if not (one.is_ours or one.is_slow):
            limit, mark = (LIMIT, " (the fastest)") if one is fastest else (None, "")
            rows += [
                _ratio(f"CPU, ours / {one.title}{mark}", results, OURS, one, limit),
                _ratio(f"CPU, ours with storing / {one.title}", results, STORING, one),
            ]
    return rows


def _ratio(
    name: str,
    results: Results,
    ours: Contender,
    theirs: Contender,
    limit: float | None = None,
) -> Figure:
    pairs = zip(results[ours], results[theirs], strict=True)
    return Figure(name, "times", [a.cpu_seconds / b.cpu_seconds for a, b in pairs], limit)


def verdicts(results: Results) -> list[str]:
    """Say in words what was won and what was not, against the fastest peer."""
    fastest = fastest_peer(results)
    if fastest is None:
        return ["There is nobody to be compared with."]
    said = [f"Against the fastest peer that lost nothing, {fastest.title} (it stores nothing):"]
    for one in (OURS, STORING):
        for attribute, what in (("seconds", "wall time"), ("cpu_seconds", "CPU")):
            ours, theirs = (_median(results[each], attribute) for each in (one, fastest))
            said.append(
                f"  {_verdict(ours, theirs):8} {what} of {one.title}:"
                f" {ours:.2f} s, theirs {theirs:.2f} s"
            )
    share = _share(results, fastest)
    said.append(
        f"  {'won' if share <= LIMIT else 'NOT WON':8} an eighth of its CPU: {share:.2f};"
        f" an eighth would be {_eighth_of_a_page(results[fastest]):.1f} ms a page"
    )
    said.append("Ours with one iterator reads in order, five pages ahead; theirs in any order.")
    if TYPED in results:
        share = _share(results, TYPED)
        said.append(f"Like for like, typed and not stored, ours takes {share:.2f} of the CPU.")
    return said


def _eighth_of_a_page(runs: Sequence[Outcome]) -> float:
    return 1000 * LIMIT * _median(runs, "cpu_seconds") / _median(runs, "requests")


_EVEN = 0.1  # a difference of a tenth is the noise of a shared machine


def _verdict(ours: float, theirs: float) -> str:
    if abs(ours - theirs) <= _EVEN * theirs:
        return "even"
    return "won" if ours < theirs else "NOT WON"


def _share(results: Results, theirs: Contender) -> float:
    return _median(results[OURS], "cpu_seconds") / _median(results[theirs], "cpu_seconds")


def _column(results: Results, attribute: str, *contenders: Contender) -> list[float]:
    return [getattr(run, attribute) for one in contenders for run in results[one]]


def _median(runs: Sequence[Outcome], attribute: str) -> float:
    return float(statistics.median(getattr(run, attribute) for run in runs))


if __name__ == "__main__":
    sys.exit(not main())
