"""What is shipped: the wheel and the source archive hold what they should, and nothing else.

They are there after `make build`, as `.ci/run` makes them.
"""

from __future__ import annotations

import re
import subprocess
import tarfile
import zipfile
from email import message_from_string
from email.message import Message
from pathlib import Path

import pytest

import vendororders_async

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "vendororders_async"
VERSION = vendororders_async.__version__
STEM = f"vendororders_async-{VERSION}"
INFO = f"{STEM}.dist-info"
WHEEL = ROOT / "dist" / f"{STEM}-py3-none-any.whl"
ARCHIVE = ROOT / "dist" / f"{STEM}.tar.gz"

SHIPPED = {".py", ".sql", ".typed"}
# what the archive has beside the package, so that its tests and its demo run
BESIDE = {
    *("PKG-INFO", "LICENSE", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"),
    "Makefile",
    *("pyproject.toml", "constraints.txt", "constraints-lowest.txt", ".gitignore"),
}
FOLDERS = {"vendororders_async", "tests", "benchmarks", "deploy", "docs", "examples"}


def is_built() -> bool:
    """Say whether both are there, and made of the sources as they are now."""
    sources = [*PACKAGE.rglob("*.py"), *PACKAGE.rglob("*.sql"), ROOT / "pyproject.toml"]
    if not (WHEEL.exists() and ARCHIVE.exists() and sources[-1].exists()):
        return False
    changed_at = max(one.stat().st_mtime for one in sources)
    return changed_at <= min(WHEEL.stat().st_mtime, ARCHIVE.stat().st_mtime)


pytestmark = pytest.mark.skipif(not is_built(), reason="needs what `make build` makes now")


@pytest.fixture(scope="module")
def wheel() -> dict[str, bytes]:
    """What is in the wheel."""
    with zipfile.ZipFile(WHEEL) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


@pytest.fixture(scope="module")
def metadata(wheel: dict[str, bytes]) -> Message:
    """What the wheel says of itself."""
    return message_from_string(wheel[f"{INFO}/METADATA"].decode())


def test_the_wheel_is_the_package_and_what_describes_it(wheel: dict[str, bytes]) -> None:
    """Every file of the package as it is here; no tests, no notes, nothing left over."""
    ours = {
        path.relative_to(ROOT).as_posix(): path.read_bytes()
        for path in PACKAGE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    described = {name for name in wheel if name not in ours}

    assert {Path(name).suffix for name in ours} == SHIPPED
    assert {name: data for name, data in wheel.items() if name in ours} == ours
    assert described == {
        f"{INFO}/{name}"
        for name in ("METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE")
    }


def test_the_wheel_says_what_it_needs(wheel: dict[str, bytes], metadata: Message) -> None:
    """Name, version, Python and licence; each requirement has a lower and an upper bound."""
    requirements = [
        one for one in metadata.get_all("Requires-Dist", []) if "vendororders" not in one
    ]

    assert (metadata["Name"], metadata["Version"]) == ("vendororders-async", VERSION)
    assert (metadata["Requires-Python"], metadata["License-Expression"]) == (">=3.11", "MIT")
    assert requirements
    assert [one for one in requirements if not (">=" in one and re.search(r"<\d", one))] == []
    assert wheel[f"{INFO}/entry_points.txt"].decode().split("\n") == [
        "[console_scripts]",
        "vendororders = vendororders_async.cli:main",
        "",
        "[pytest11]",
        "vendororders_async.testing = vendororders_async.testing",
        "",
    ]


def test_the_source_archive_is_what_is_kept_here() -> None:
    """Only folders and files that are named, and of them nothing that git does not know."""
    with tarfile.open(ARCHIVE) as opened:
        names = {one.name.partition("/")[2] for one in opened.getmembers() if one.isfile()}
    try:
        listed = subprocess.run(
            ["git", "ls-files", "-co", "--exclude-standard"],  # noqa: S607 - the user's git
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.splitlines()
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs git, and what it knows of these sources")
    top = {name.partition("/")[0] for name in names if "/" in name}

    assert {name for name in names if "/" not in name} == BESIDE
    assert top == FOLDERS
    assert names - {"PKG-INFO"} - set(listed) == set()
