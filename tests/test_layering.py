"""The order of the house: imports point strictly down."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import vendororders_async

PACKAGE = "vendororders_async"
ROOT = Path(vendororders_async.__file__).parent
FACE = "__init__"  # the package itself: what users see

# From the ground up: a module may import those of lower levels only, not even its
# neighbours. A package stands on one level as a whole.
LEVELS: tuple[frozenset[str], ...] = (
    # values: no I/O, no asyncio
    frozenset({"errors"}),
    frozenset({"clock", "extras"}),
    frozenset(
        {"windows", "usage", "models", "salvage", "evidence", "spreadsheets", "terminals"}
    ),
    # the API as data
    frozenset(
        {"pages", "accounts", "shards", "telemetry", "redaction", "acknowledgements", "changes"}
    ),
    frozenset({"operations", "differences"}),
    # what to ask next
    frozenset({"chains", "coverage"}),
    frozenset({"planner", "detail_planner"}),
    # whose turn it is, for any of the next
    frozenset({"places"}),
    # mechanisms: one kind of effect each, strangers to one another
    frozenset({"transport", "limiter", "retry", "settings", "sinks"}),
    # the same pace for several processes
    frozenset({"shared_book"}),
    frozenset({"shared_limiter"}),
    # one request under policy, and who may make it
    frozenset({"dispatch"}),
    frozenset({"auth", "caller"}),
    # the token that an operation takes, and answers typed
    frozenset({"restricted", "answers"}),
    # any range as an iterator, typed operations
    frozenset({"iteration"}),
    frozenset({"retail", "direct_fulfillment"}),
    frozenset({"client"}),
    # jobs know pages and sinks, not HTTP
    frozenset({"jobs"}),
    # shards of accounts on a cluster
    frozenset({"distributed"}),
    frozenset({FACE}),
    # a second implementation of Amazon's side
    frozenset({"simulator"}),
    frozenset({"cli", "testing"}),
    frozenset({"__main__"}),
)
LEVEL_OF = {name: level for level, names in enumerate(LEVELS) for name in names}

# The simulator must not inherit the client's mistakes, so it shares next to nothing.
ONLY: dict[str, frozenset[str]] = {
    "simulator": frozenset({"errors", "clock"}),
    "__main__": frozenset({"cli"}),
}
VAGUE = {"utils", "util", "helpers", "types", "misc", "common_utils"}
LONGEST = 400  # lines

MODULES = sorted(ROOT.rglob("*.py"))


def name_of(path: Path) -> str:
    """Return the dotted name of a module inside the package."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def unit_of(module: str) -> str:
    """Return what the table knows *module* by: its first name."""
    return module.partition(".")[0]


def imports_of(path: Path) -> Iterator[str]:
    """Yield the dotted names inside the package that the module at *path* imports."""
    here = (PACKAGE, *path.relative_to(ROOT).with_suffix("").parts)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found = [alias.name.split(".") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = list(here[: -node.level]) if node.level else []
            source = base + (node.module.split(".") if node.module else [])
            found = [[*source, alias.name] for alias in node.names]
        else:
            continue
        for parts in found:
            if parts[0] == PACKAGE and parts != [PACKAGE, "__version__"]:
                yield module_named(parts[1:])


def module_named(parts: list[str]) -> str:
    """Return the module that *parts* lie in, whose last one may be a name inside it."""
    while parts and not (
        ROOT.joinpath(*parts).with_suffix(".py").exists()
        or ROOT.joinpath(*parts, "__init__.py").exists()
    ):
        parts = parts[:-1]
    return ".".join(parts) or FACE


def test_every_module_has_its_level() -> None:
    """A new module is put into the table on purpose, and a gone one is taken out."""
    assert {unit_of(name_of(path)) for path in MODULES} == set(LEVEL_OF)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_point_strictly_down(path: Path) -> None:
    """Nobody imports a neighbour of the same level, or anything above."""
    unit = unit_of(name_of(path))
    others = {found for found in imports_of(path) if unit_of(found) != unit}
    upwards = {one for one in others if LEVEL_OF[unit_of(one)] >= LEVEL_OF[unit]}

    assert upwards == set()


@pytest.mark.parametrize("unit", sorted(ONLY))
def test_some_keep_to_themselves(unit: str) -> None:
    """The simulator knows our errors and clock only, so that it can judge the rest."""
    used = {
        unit_of(found)
        for path in MODULES
        if unit_of(name_of(path)) == unit
        for found in imports_of(path)
    }

    assert used - {unit} <= ONLY[unit]


def test_inside_a_package_nothing_goes_round_in_circles() -> None:
    """A level is no excuse for a cycle."""
    graph = {
        name_of(path).removesuffix(".__init__"): {
            found
            for found in imports_of(path)
            if found != name_of(path).removesuffix(".__init__")
        }
        for path in MODULES
        if name_of(path) != FACE
    }

    assert list(TopologicalSorter(graph).static_order())


def test_the_values_know_neither_loops_nor_sockets() -> None:
    """Whatever can be a function of values needs no asyncio."""
    pure = set().union(*LEVELS[: LEVEL_OF["planner"] + 1])
    effects = {"asyncio", "aiohttp", "socket", "sqlite3", "subprocess", "threading", "tenacity"}
    for path in MODULES:
        if unit_of(name_of(path)) in pure:
            tree = ast.parse(path.read_text(encoding="utf-8"))
            names = {
                name.partition(".")[0]
                for node in ast.walk(tree)
                for name in (
                    [alias.name for alias in node.names]
                    if isinstance(node, ast.Import)
                    else [node.module or ""]
                    if isinstance(node, ast.ImportFrom) and not node.level
                    else []
                )
            }

            assert names & effects == set(), path


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_modules_are_named_for_what_they_are_and_stay_short(path: Path) -> None:
    """One file, one noun, one screenful of idea."""
    assert not VAGUE & set(name_of(path).split("."))
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST


@pytest.mark.parametrize("module", [PACKAGE, f"{PACKAGE}.cli", f"{PACKAGE}.operations"])
def test_importing_the_package_is_cheap(module: str) -> None:
    """What takes long to import is imported when it is needed."""
    heavy = {"aiohttp", "rich", "tenacity", "aiolimiter", "sqlite3"}
    if module == PACKAGE:
        heavy.add("click")
    code = f"import sys, {module}; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout.split()

    assert module in loaded
    assert heavy & set(loaded) == set()


def test_everything_that_is_offered_is_there() -> None:
    """What ``__all__`` names can be imported, and is in order."""
    offered = vendororders_async.__all__

    assert sorted(offered, key=str.lower) == sorted(set(offered), key=str.lower)
    assert all(hasattr(vendororders_async, name) for name in offered)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = vendororders_async.nonsense
