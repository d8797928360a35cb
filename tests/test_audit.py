"""The look-up of known vulnerabilities: what its outcome means."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[1] / ".ci" / "audit.py"

pytestmark = pytest.mark.skipif(not SCRIPT.exists(), reason="needs .ci, which is not shipped")

CLEAN = {"name": "aiohttp", "version": "3.14.5", "vulns": []}
FOUND = CLEAN | {"vulns": [{"id": "PYSEC-1", "fix_versions": ["3.14.6"]}]}
UNKNOWN = {"name": "click", "skip_reason": "Dependency not found on PyPI"}


@pytest.fixture(scope="module")
def audit() -> ModuleType:
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("audit", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    return module


@pytest.mark.parametrize(
    ("dependencies", "code", "words"),
    [
        ([CLEAN], 0, "1 packages, no known vulnerability"),
        ([FOUND], 1, "aiohttp 3.14.5: PYSEC-1, mended in 3.14.6"),
        ([CLEAN, UNKNOWN], 1, "click is not in the index"),
        ([FOUND, UNKNOWN], 1, "PYSEC-1"),
        ([UNKNOWN, UNKNOWN], 0, "skipped: the index of vulnerabilities cannot be reached"),
        ([], 1, "pip-audit looked nothing up"),
    ],
    ids=["clean", "found", "unknown", "both", "a mirror", "none"],
)
def test_only_an_index_that_answers_for_all_is_believed(
    audit: ModuleType, dependencies: list[object], code: int, words: str
) -> None:
    """A finding is a failure, and so is a package that the index alone does not know."""
    found = audit.verdict(1, json.dumps({"dependencies": dependencies}), "")

    assert found[0] == code
    assert words in found[1]


@pytest.mark.parametrize(
    ("err", "code"),
    [
        ("requests.exceptions.ConnectionError: …", 0),
        ("requests.exceptions.ReadTimeout: …", 0),
        ("503 Server Error: Service Unavailable for url: …", 0),
        ("ServiceError: 400 Client Error: Bad Request for url: …", 1),
        ("ValueError: invalid requirement", 1),
    ],
)
def test_a_run_that_failed_is_skipped_only_for_the_network(
    audit: ModuleType, err: str, code: int
) -> None:
    """Whatever else went wrong is told."""
    assert audit.verdict(1, "", err)[0] == code


def test_a_run_that_was_killed_is_not_skipped(audit: ModuleType) -> None:
    """Whatever it had said by then."""
    assert audit.verdict(137, "", "ConnectionError")[0] == 1
