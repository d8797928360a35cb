"""Parquet files in an object store, through the file systems of pyarrow.

https://arrow.apache.org/docs/python/filesystems.html
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import TypeVar
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from filelock import FileLock, Timeout

from ..errors import ConfigurationError, SinkError, one_line
from . import ndjson_files as files
from .account_lock import safe_name
from .lease import TERM, leased
from .object_store import BRIEF, PATIENT, S3_OPTIONS, Objects
from .parquet_lease import SETTLE, CellLease
from .parquet_names import MARKER
from .parquet_shelf import DiskShelf, Shelf, check_marker, marker
from .writer_thread import WriterThread

T = TypeVar("T")

_LEASE_THREADS = 8
_SPOOLS, _CLAIM = "vendororders-spool-", ".claim"
_SETTLED = 60.0  # seconds after which a folder that nobody claims is nobody's


def shelf_of(place: str | Path) -> Shelf:
    """Return where a store is, by its folder or URL.

    Raises:
        ConfigurationError: it is no such URL.
    """
    text = os.fspath(place)
    if "://" not in text:
        return DiskShelf(Path(text))
    url = urlsplit(text)
    return DiskShelf(Path(unquote(url.path))) if url.scheme == "file" else ObjectShelf(text)


class ObjectShelf(Objects):
    """A prefix in a bucket. Windows that are not finished lie in a private folder on disk.

    That folder does not outlive the process, so nothing may count on what is in it. Who may
    use the bucket is the business of pyarrow and of the provider's own settings. ``settle=``
    in the URL is for how many seconds a lease settles (2); a slow store takes more.
    """

    keeps_spool = False
    spool: Path

    def __init__(self, url: str, *, term: float = TERM) -> None:
        parts = urlsplit(url)
        name = _without_secrets(parts)
        if not parts.netloc:
            raise ConfigurationError(f"{name} names no bucket")
        options = dict(parse_qsl(parts.query))
        self._settle = _seconds(options.pop("settle", ""), name)
        if parts.scheme == "s3" and (unknown := options.keys() - S3_OPTIONS):
            raise ConfigurationError(
                f"{name}: no such option: {one_line(min(unknown))}; "
                f"there are {', '.join(sorted({'settle', *S3_OPTIONS}))}"
            )
        super().__init__(parts, options, name, PATIENT)
        # a lease's request that came late could let another run in beside its holder
        self._brief = Objects(parts, options, name, BRIEF)
        self._term = term
        self._leases: ThreadPoolExecutor | None = None

    def open(self, *, read_only: bool) -> None:
        """Find the store in its bucket, or mark the prefix as one."""
        self.connect()
        with self._explained():
            found = self.read(MARKER)
            if found is None and not self.entries():
                self.require_bucket()
                if read_only:
                    raise SinkError(f"there is no {self.name}")
                found = marker()
                self.put(MARKER, found)
        check_marker(self.name, found)
        self._brief.connect()
        self.spool, self._claim = _claimed_folder()
        self._leases = ThreadPoolExecutor(_LEASE_THREADS, thread_name_prefix="lease")

    def check_still_there(self) -> None:
        """Do nothing: it would be a request, and a bucket that is gone says so itself."""

    def close(self) -> None:
        """Remove the folder."""
        leases, self._leases = self._leases, None
        if leases is not None:
            leases.shutdown(wait=False)
            shutil.rmtree(self.spool)
            self._claim.release()

    @asynccontextmanager
    async def locked(self, account: str, thread: WriterThread) -> AsyncIterator[None]:  # noqa: ARG002 - uploads in the thread would hold renewals up
        """Hold a lease."""
        what = f"account {one_line(account)} in {self.name}"
        cell = _Object(self._brief, f".locks/{safe_name(account)}.json")
        lease = CellLease(cell, self._in_lease_thread, settle=self._settle)
        async with leased(lease, what, term=self._term):
            yield

    def aside(self, key: str) -> Path:
        """Return a file in the private folder."""
        return self.spool / f"{Path(key).name}{files.PARTIAL}"

    def publish(self, written: Path, key: str, at: datetime) -> None:  # noqa: ARG002 - an object's time is the store's
        """Upload *written*; the object appears when all of it is there."""
        # Read before the upload begins: closing completes one, also after an error of ours
        # https://github.com/apache/arrow/blob/main/cpp/src/arrow/filesystem/s3fs.cc
        with self._explained():
            data = written.read_bytes()
        self.put(key, data)
        written.unlink()

    async def _in_lease_thread(self, job: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._leases, job)


class _Object:
    """One object as a `Cell`."""

    def __init__(self, objects: Objects, key: str) -> None:
        self._objects = objects
        self._key = key

    def read(self) -> bytes | None:
        return self._objects.read(self._key)

    def write(self, data: bytes) -> None:
        self._objects.put(self._key, data)

    def remove(self) -> None:
        self._objects.remove(self._key)


def _claimed_folder() -> tuple[Path, FileLock]:
    """Make a private folder, and remove those that killed runs left: they name customers."""
    for left in Path(tempfile.gettempdir()).glob(f"{_SPOOLS}*/{_CLAIM}"):
        claim = FileLock(left, timeout=0)
        with suppress(OSError, Timeout):  # another user's, or in use
            if time.time() - left.stat().st_mtime > _SETTLED:
                with claim:
                    shutil.rmtree(left.parent)
    folder = Path(tempfile.mkdtemp(prefix=_SPOOLS))
    claim = FileLock(folder / _CLAIM, thread_local=False)
    claim.acquire()
    return folder, claim


def _without_secrets(url: SplitResult) -> str:
    """Return *url* without a password or key; what is behind ``?`` may be one too."""
    user, _, host = url.netloc.rpartition("@")
    # of Azure's container@account the first is no secret
    known = f"{user}@" if user and ":" not in user and url.scheme.startswith("abfs") else ""
    return one_line(f"{url.scheme}://{known}{host}{url.path}")


def _seconds(text: str, name: str) -> float:
    """Return how long a lease settles."""
    try:
        seconds = float(text or SETTLE)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < TERM / 4:  # also where it is no number
        raise ConfigurationError(f"{name}: settle= takes seconds, less than {TERM / 4:g}")
    return seconds
