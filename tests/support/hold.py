"""What the harness shares: how often it tries, the seed it draws from, and its figures.

`make test` tries a little of everything; `make hold` tries as often as docs/reliability.md
says, and writes the table there. Either prints its seed first; ``--hypothesis-seed=N`` repeats
what it drew.

def test_a_run_is_killed(often: Often, chance: Random, figure: Record) -> None:
    for _ in range(often(5, 200)):
        ...
    figure("Crashes", "`kill -9` while a backfill writes", times=5, orders=900, lost=0)
"""

from __future__ import annotations

import random
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any, Protocol, TypeVar

import msgspec
import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis.errors import HypothesisWarning
from hypothesis.strategies import SearchStrategy

T = TypeVar("T")

#: How often to try: so often in `make test`, so often in `make hold`.
Often = Callable[[int, int], int]

_BEGIN, _END = "<!-- figures: made by `make hold` -->\n", "<!-- end of figures -->\n"
_LARGEST_SEED = 2**32
_PROPERTY = "figure"
_LINE = re.compile(r"\| (.+) \| ([\d,]+) \| ([\d,]+) \| ([\d,]+) \|")

_Row = tuple[str, str]


class Figure(msgspec.Struct, frozen=True):
    """What was done, how often, and what became of so many orders; of one kind, they add up."""

    part: str
    what: str
    times: int
    orders: int
    lost: int

    @property
    def row(self) -> _Row:
        """Where it stands in the tables."""
        return self.part, self.what

    def __add__(self, other: Figure) -> Figure:
        return msgspec.structs.replace(
            self,
            times=self.times + other.times,
            orders=self.orders + other.orders,
            lost=self.lost + other.lost,
        )


class Record(Protocol):
    """Takes in a figure of the test that asks for it.

    *lost* counts what was missing, wrong or there twice at the end, *orders* what was
    compared with the truth; where there are no orders, whatever it is that was checked.
    """

    def __call__(self, part: str, what: str, *, times: int, orders: int, lost: int) -> None:
        """Note it; before the assert, so that a failure is in the table as well."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the two options of the harness."""
    group = parser.getgroup("hold", "what tests/hold tries")
    group.addoption("--hard", action="store_true", help="as often as docs/reliability.md says")
    group.addoption("--figures", type=Path, metavar="FILE", help="write the table into FILE")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Draw the seed before hypothesis and the workers are told of it."""
    if config.getoption("hypothesis_seed") is None:
        config.option.hypothesis_seed = str(random.SystemRandom().randrange(_LARGEST_SEED))
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Table(config), "table-of-figures")


def pytest_report_header(config: pytest.Config) -> str:
    """Print the seed."""
    return f"seed: --hypothesis-seed={config.getoption('hypothesis_seed')} repeats it"


@pytest.fixture
def often(pytestconfig: pytest.Config) -> Often:
    """Return what chooses between the two numbers of times."""
    is_hard = pytestconfig.getoption("hard")
    return lambda quick, hard: hard if is_hard else quick


@pytest.fixture
def chance(request: pytest.FixtureRequest) -> random.Random:
    """Return a chance of this test's own, which the seed of the run decides."""
    return random.Random(f"{request.config.getoption('hypothesis_seed')} {request.node.name}")


@pytest.fixture
def figure(record_property: Callable[[str, object], None]) -> Record:
    """Return what takes in the figures of this test."""

    def record(part: str, what: str, *, times: int, orders: int, lost: int) -> None:
        one = Figure(part, what, times, orders, lost)
        record_property(_PROPERTY, msgspec.structs.asdict(one))

    return record


def tried(
    test: Callable[[T], None],
    cases: SearchStrategy[T],
    times: int,
    *,
    by: random.Random | None = None,
) -> None:
    """Have hypothesis draw so many *cases* for *test*, and shrink the one that fails it.

    Drawn *by* a test's own chance they are others than a test with the same cases has.
    """
    unhurried = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
    limits = settings(
        max_examples=times, deadline=None, print_blob=True, suppress_health_check=unhurried
    )
    drawn = limits(given(cases)(test))
    with warnings.catch_warnings():  # cases may be as large as they like
        warnings.filterwarnings("ignore", "Generating overly large repr", HypothesisWarning)
        (drawn if by is None else seed(by.randrange(_LARGEST_SEED))(drawn))()


class _Table:
    """Gathers the figures of all tests, also from other processes, and shows them."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._figures: dict[_Row, Figure] = {}
        self._failed: set[_Row] = set()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when != "call":
            return
        for name, value in report.user_properties:
            if name == _PROPERTY:
                one = msgspec.convert(value, Figure)
                row = one.row
                self._figures[row] = self._figures[row] + one if row in self._figures else one
                self._failed |= {row} if report.failed else set()

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        if not self._figures:
            return
        terminalreporter.section("what was tried, and what was lost")
        terminalreporter.write_line("\n".join(_written(self._figures.values())))
        target = self._config.getoption("figures")
        if target is not None:
            kept = {row: one for row, one in self._figures.items() if row not in self._failed}
            _put_into(target, kept)


def _written(figures: Iterable[Figure]) -> Iterator[str]:
    """Yield the lines of one table for each part."""
    parts = sorted(figures, key=lambda one: one.row)
    for part, rows in groupby(parts, key=lambda one: one.part):
        yield f"### {part}"
        yield ""
        yield "| what was done | how often | compared | lost, wrong or twice |"
        yield "| --- | ---: | ---: | ---: |"
        for one in rows:
            yield f"| {one.what} | {one.times:,} | {one.orders:,} | {one.lost:,} |"
        yield ""


def _read(lines: Iterable[str]) -> Iterator[Figure]:
    """Yield the figures of tables as `_written` writes them."""
    part = ""
    for line in lines:
        if line.startswith("### "):
            part = line.removeprefix("### ")
        elif found := _LINE.fullmatch(line):
            what, *numbers = found.groups()
            yield Figure(part, what, *(int(one.replace(",", "")) for one in numbers))


def _put_into(target: Path, figures: Mapping[_Row, Figure]) -> None:
    """Write *figures* between the two marks in *target*, in the place of earlier ones.

    What was not tried this time, or failed, stays as it was.
    """
    head, begin, rest = target.read_text().partition(_BEGIN)
    before, end, tail = rest.partition(_END)
    if not (begin and end):
        raise pytest.UsageError(f"{target} has no place for the figures")
    known = {one.row: one for one in _read(before.splitlines())}
    lines = _written((known | dict(figures)).values())
    target.write_text(f"{head}{begin}\n" + "\n".join(lines) + f"\n{end}{tail}")
