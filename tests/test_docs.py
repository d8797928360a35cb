"""The examples in docstrings do what they say."""

from __future__ import annotations

import doctest
from importlib import import_module
from pathlib import Path

import pytest

import vendororders_async

ROOT = Path(vendororders_async.__file__).parent
MODULES = [
    ".".join(path.relative_to(ROOT.parent).with_suffix("").parts).removesuffix(".__init__")
    for path in sorted(ROOT.rglob("*.py"))
    if ">>> " in path.read_text(encoding="utf-8")
]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_run(name: str) -> None:
    """An example that lies is worse than none."""
    outcome = doctest.testmod(import_module(name), optionflags=doctest.FAIL_FAST)

    assert outcome.attempted > 0
    assert outcome.failed == 0


def test_there_are_examples() -> None:
    """The vocabulary at least explains itself by example."""
    assert {
        f"vendororders_async.{name}" for name in ("clock", "windows", "usage", "salvage")
    } <= set(MODULES)
