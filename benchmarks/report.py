"""The one printer: figures with their median and spread, and the limit beside them."""

from __future__ import annotations

import argparse
import platform
import statistics
from collections.abc import Sequence
from importlib.metadata import version

import msgspec


class Figure(msgspec.Struct, frozen=True):
    """One row of a table: what was measured, in what unit, and what it should not exceed."""

    name: str
    unit: str
    values: Sequence[float]
    limit: float | None = None

    @property
    def median(self) -> float:
        """The value to quote."""
        return statistics.median(self.values)


def arguments(
    description: str, given: Sequence[str] | None, *, rounds: int
) -> argparse.Namespace:
    """Return the options that all benchmarks share: ``-n`` rounds, ``--json``."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("-n", dest="rounds", type=int, default=rounds, help="counted rounds")
    parser.add_argument("--json", action="store_true", help="print JSON in place of a table")
    return parser.parse_args(given)


def report(title: str, figures: Sequence[Figure], *, as_json: bool) -> None:
    """Print *figures* with the machine and the versions they were measured on."""
    if as_json:
        rows = [msgspec.structs.asdict(one) | {"median": one.median} for one in figures]
        print(msgspec.json.encode({"title": title, "on": machine(), "figures": rows}).decode())
        return
    print(f"\n{title}\n{machine()}")
    width = max(len(one.name) for one in figures)
    print(f"{'':{width}}  {'median':>9}  {'min':>9}  {'max':>9}  {'limit':>7}")
    for one in figures:
        limit = "" if one.limit is None else f"{one.limit:g}"
        verdict = "" if one.limit is None else ("" if one.median <= one.limit else "  OVER")
        print(
            f"{one.name:{width}}  {one.median:9.3f}  {min(one.values):9.3f}"
            f"  {max(one.values):9.3f}  {limit:>7}  {one.unit}{verdict}"
        )


def machine() -> str:
    """Return what this was measured on."""
    packages = ", ".join(f"{name} {version(name)}" for name in ("aiohttp", "msgspec"))
    return f"Python {platform.python_version()}, {packages}, {platform.machine()}"
