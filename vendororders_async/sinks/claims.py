"""What is written aside, claimed by whoever writes it: what a kill left nobody claims.

A claim is a lock on the file, or the folder, itself. The system lets go of it when the process
ends, however it ends, and then the next writer to the same place removes what was left.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
from contextlib import suppress
from glob import escape
from pathlib import Path

from .ndjson_files import PARTIAL

_ANY = "?" * 8  # what `tempfile` adds to a name


class Claim:
    """Something private beside *path*, hidden: a file, or a folder. All methods block."""

    def __init__(self, path: Path, *, is_folder: bool = False) -> None:
        _remove_unclaimed(path)
        while True:
            self.path, self._held = _made(path, is_folder=is_folder)
            if _lock(self._held) and self.path.exists():  # else somebody has just removed it
                return
            self.release()

    def opened(self) -> int:
        """Return a descriptor of the file, for writing, which the caller closes."""
        return os.dup(self._held)

    def release(self) -> None:
        """Let it go, once it has another name or is to be removed; it need not be claimed."""
        held, self._held = self._held, -1
        if held >= 0:
            os.close(held)


def _made(path: Path, *, is_folder: bool) -> tuple[Path, int]:
    prefix = f".{path.name}."
    if not is_folder:
        descriptor, made = tempfile.mkstemp(PARTIAL, prefix, path.parent)  # 0600 by itself
        return Path(made), descriptor
    while True:
        made = tempfile.mkdtemp(PARTIAL, prefix, path.parent)
        with suppress(FileNotFoundError):  # somebody has just removed it
            return Path(made), os.open(made, os.O_RDONLY)


def _lock(descriptor: int) -> bool:
    """Lock what *descriptor* is of; say whether nobody else has."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True  # a file system without locks: nobody can, and nobody removes anything
    return True


def _remove_unclaimed(path: Path) -> None:
    for left in path.parent.glob(f".{escape(path.name)}.{_ANY}{PARTIAL}"):
        with suppress(OSError):  # somebody else's, or gone by now
            # neither what a link leads to, nor what would wait for somebody to write
            held = os.open(left, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            try:
                _remove(left, held)
            finally:
                os.close(held)


def _remove(left: Path, held: int) -> None:
    """Remove *left*, which *held* is open on, if it is ours and nobody writes it."""
    found = os.fstat(held)
    if found.st_uid != os.geteuid():
        return
    fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    if stat.S_ISDIR(found.st_mode):
        shutil.rmtree(left)
    elif stat.S_ISREG(found.st_mode):
        left.unlink()
