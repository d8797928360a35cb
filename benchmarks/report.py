"""The one printer: figures with their median and spread, and the limit beside them."""

from __future__ import annotations

import argparse
import os
import platform
import sqlite3
import statistics
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import msgspec

_PACKAGES = ("aiohttp", "msgspec", "aiolimiter")


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

    @property
    def is_over(self) -> bool:
        """Whether the value to quote exceeds the limit, where there is one."""
        return self.limit is not None and self.median > self.limit


def arguments(
    description: str, given: Sequence[str] | None, *, rounds: int
) -> argparse.Namespace:
    """Return the options that all benchmarks share: ``-n``, ``--json``, ``--plots``."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("-n", dest="rounds", type=int, default=rounds, help="counted rounds")
    parser.add_argument("--json", action="store_true", help="print JSON in place of a table")
    parser.add_argument(
        "--plots",
        type=Path,
        metavar="FOLDER",
        help="draw there too, what can be drawn (needs the dependency group bench)",
    )
    return parser.parse_args(given)


def report(title: str, figures: Sequence[Figure], *, as_json: bool) -> bool:
    """Print *figures* with what they were measured on; return whether none is over."""
    if as_json:
        rows = [msgspec.structs.asdict(one) | _derived(one) for one in figures]
        document = {"title": title, "on": machine(), "figures": rows}
        print(msgspec.json.encode(document).decode(), flush=True)
    else:
        _print_table(title, figures)
    return not any(one.is_over for one in figures)


def machine() -> str:
    """Return what this was measured on: processor, system and versions."""
    packages = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    kernel = ".".join(platform.release().split(".")[:2])
    return (
        f"{_processor()}, {os.cpu_count()} cores, {platform.system()} {kernel}, "
        f"Python {platform.python_version()}, {packages}, SQLite {sqlite3.sqlite_version}"
    )


def _derived(figure: Figure) -> dict[str, float | bool]:
    return {
        "median": figure.median,
        "min": min(figure.values),
        "max": max(figure.values),
        "over": figure.is_over,
    }


def _print_table(title: str, figures: Sequence[Figure]) -> None:
    print(f"\n{title}\n{machine()}")
    width = max(len(one.name) for one in figures)
    print(f"{'':{width}}  {'median':>9}  {'min':>9}  {'max':>9}  {'limit':>7}")
    for one in figures:
        limit = "" if one.limit is None else f"{one.limit:g}"
        print(
            f"{one.name:{width}}  {one.median:9.3f}  {min(one.values):9.3f}"
            f"  {max(one.values):9.3f}  {limit:>7}  {one.unit}{'  OVER' * one.is_over}",
            flush=True,
        )


def _processor() -> str:
    """Return the processor's name, of which Python itself knows only the family on Linux."""
    known = Path("/proc/cpuinfo")
    lines = known.read_text(encoding="utf-8").splitlines() if known.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())
