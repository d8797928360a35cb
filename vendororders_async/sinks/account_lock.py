"""Locks that keep two runs from writing for one account."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from filelock import FileLock, Timeout

from ..errors import SinkError, one_line
from .reasons import reason_of


class CannotLock(SinkError):
    """Nobody can lock the account, since nothing can be written there."""


class AccountLock:
    """A lock on one account of one sink, held through a file in *directory*.

    With a *part* it is on that part of the account, and knows nothing of the other parts.
    It excludes other processes and other locks of this one. The operating system lets go
    of it when the process ends, however it ends; the file stays. Both methods block.
    """

    def __init__(self, directory: Path, account: str, sink: str, part: str = "") -> None:
        self._what = f"account {one_line(account)} in {sink}"
        self._path = directory / f"{safe_name(account)}{part and f'.{part}'}.lock"
        # Whoever acquires it need not be the thread that releases it, nor share its hold.
        self._lock = FileLock(self._path, timeout=0, mode=0o600, thread_local=False)

    def acquire(self) -> None:
        """Take the lock at once.

        Raises:
            CannotLock: the file cannot be made.
            SinkError: another run has it.
        """
        try:
            self._path.parent.mkdir(mode=0o700, exist_ok=True)
            self._lock.acquire()
        except Timeout:
            raise SinkError(f"{self._what} is being written by another run") from None
        except OSError as error:
            raise CannotLock(f"cannot lock {self._what}: {reason_of(error)}") from error

    def release(self) -> None:
        """Let the lock go; it need not be held."""
        self._lock.release()


def safe_name(account: str) -> str:
    """Return a file name that any file system takes, and that no other account has."""
    readable = re.sub(r"[^A-Za-z0-9]+", "-", account)[:40].strip("-")
    return f"{readable}.{hashlib.sha256(account.encode()).hexdigest()[:16]}"
