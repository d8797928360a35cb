"""Runs in processes of their own, which are killed at a moment that chance picks.

with undertaker(tmp_path) as mortals:
    end = mortals.run(Deed(job="backfill", url=url, env=env, kill_after=0.2))
    assert end.killed
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import msgspec
from commands import STRICT


class Deed(msgspec.Struct, frozen=True, kw_only=True):
    """What a child is to do; it is killed *kill_after* seconds, or left to its end.

    *job* is ``backfill``, ``sync``, or ``accept``, ``command`` and ``shell`` with *arguments*:
    the orders to accept, or what a shell would be told. Its clock
    stood at *began_at*, in seconds since 1970, when the true one did, and goes *speed* times
    as fast.
    """

    job: str
    url: str = ""
    env: Mapping[str, str]
    arguments: Sequence[str] = ()
    since: datetime | None = None
    until: datetime | None = None
    reads_again: bool = False
    once: bool = False
    told: str = ""  # the file in which a consumer notes what it was told
    began_at: float = 0.0
    speed: float = 1.0
    stopped_at: datetime | None = None  # or else it stands
    largest_file: int | None = None  # bytes
    term: float = 30.0  # seconds that a lease in PostgreSQL holds
    kill_after: float | None = None
    kill_when: str = ""  # or else as soon as there is this file
    output: str = ""


class End(msgspec.Struct, frozen=True):
    """How a child came out."""

    code: int
    seconds: float
    out: str = ""
    err: str = ""

    @property
    def killed(self) -> bool:
        """Whether it was killed, and had not ended before."""
        return self.code == -signal.SIGKILL


def complaints(end: End) -> list[str]:
    """Return what was wrong with a run that was not killed."""
    return [] if end.code == 0 else [f"exit {end.code}: {end.err}"]


class Mortals:
    """Children, one after the other, each in *folder*'s ``tmp`` with what it leaves behind."""

    def __init__(self, parent: subprocess.Popen[str], folder: Path) -> None:
        self.folder = folder
        self._parent = parent

    @property
    def root(self) -> Path:
        """Where the children's file system can be seen from here."""
        return Path(f"/proc/{self._parent.pid}/root")

    def run(self, deed: Deed) -> End:
        """Have *deed* done, or begun."""
        assert self._parent.stdin is not None
        assert self._parent.stdout is not None
        output = self.folder / "output"
        for name in ("stdout", "stderr"):
            output.with_suffix(f".{name}").unlink(missing_ok=True)
        env = {"TMPDIR": os.fspath(self.folder), **deed.env}
        line = msgspec.json.encode(msgspec.structs.replace(deed, env=env, output=str(output)))
        self._parent.stdin.write(line.decode() + "\n")
        self._parent.stdin.flush()
        end = msgspec.json.decode(self._parent.stdout.readline(), type=End)
        out, err = (output.with_suffix(f".{one}") for one in ("stdout", "stderr"))
        said = [one.read_text() if one.exists() else "" for one in (out, err)]
        return msgspec.structs.replace(end, out=said[0], err=said[1])


@contextmanager
def undertaker(folder: Path, *before: str) -> Iterator[Mortals]:
    """Start the process that starts the others, and end it; *folder* is their temporary one.

    *before* is a command that runs another.
    """
    folder.mkdir(exist_ok=True)
    with subprocess.Popen(
        [*before, sys.executable, Path(__file__).with_name("mortal.py")],
        env={"PYTHONWARNINGS": STRICT, "PATH": os.environ["PATH"]},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        parent.stdout.readline()  # it has imported everything
        yield Mortals(parent, folder)
        assert parent.stdin is not None
        parent.stdin.close()  # and it ends
