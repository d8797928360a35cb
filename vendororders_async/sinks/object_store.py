"""Objects in a bucket, through pyarrow: every method blocks, for no longer than is said.

https://arrow.apache.org/docs/python/filesystems.html
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import NamedTuple
from urllib.parse import SplitResult, unquote, urlencode

import pyarrow as pa
from pyarrow import fs

from ..errors import SinkError
from .parquet_names import Entry
from .parquet_shelf import explained


class Waiting(NamedTuple):
    """How long a store may take."""

    connect: float  # seconds
    answer: float  # seconds without a byte, an attempt
    attempts: int
    retry_limit: str  # seconds in all, of Google's, whose own are fifteen minutes


PATIENT = Waiting(5.0, 10.0, 3, "30")  # silence is an error after half a minute
BRIEF = Waiting(2.0, 3.0, 1, "5")

S3_OPTIONS = frozenset({"endpoint_override", "region", "scheme", "tls_ca_file_path"})
_REASONS = {
    "NO_SUCH_BUCKET": "there is no such bucket",
    "ACCESS_DENIED": "access is denied; check the credentials and the bucket's policy",
    "NETWORK_CONNECTION": "nobody answers at its endpoint",
    "INVALID_ACCESS_KEY_ID": "the access key is not known there",
    "SIGNATURE_DOES_NOT_MATCH": "the secret key is wrong",
    "SLOW_DOWN": "it asks to be asked more slowly",
}


class Objects:
    """What is below the place that *url* and its *options* name, called *name* in errors."""

    def __init__(
        self, url: SplitResult, options: Mapping[str, str], name: str, waiting: Waiting
    ) -> None:
        self.name = name
        self._url = url
        self._options = dict(options)
        self._waiting = waiting

    def connect(self) -> None:
        """Find the place; it need not be a store."""
        with self._explained():
            self._system, self._root = _file_system(
                self._url, dict(self._options), self._waiting
            )

    def require_bucket(self) -> None:
        """Make sure that the bucket is there."""
        bucket = self._root.partition("/")[0]
        with self._explained():
            if self._system.get_file_info(bucket).type is fs.FileType.NotFound:
                raise SinkError(f"there is no bucket {bucket}")

    def entries(self, folder: str = "") -> list[Entry]:
        """Return all objects below *folder*."""
        selector = fs.FileSelector(self._path(folder), recursive=True, allow_not_found=True)
        with self._explained():
            infos = self._system.get_file_info(selector)
        skipped = len(self._root) + 1
        return [
            Entry(info.path[skipped:], datetime.fromtimestamp(info.mtime_ns / 1e9, UTC))
            for info in infos
            if info.type is fs.FileType.File
        ]

    def has(self, key: str) -> bool:
        """Say whether an object is there."""
        with self._explained():
            info = self._system.get_file_info(self._path(key))
        return bool(info.type is fs.FileType.File)

    def read(self, key: str) -> bytes | None:
        """Return what is in an object."""
        with self._explained():
            try:
                with self._system.open_input_stream(self._path(key)) as source:
                    return bytes(source.read())
            except FileNotFoundError:
                return None

    def put(self, key: str, data: bytes) -> None:
        """Replace an object."""
        with self._explained(), self._system.open_output_stream(self._path(key)) as target:
            target.write(data)

    def remove(self, key: str) -> None:
        """Take an object away."""
        if self.has(key):
            with self._explained():
                self._system.delete_file(self._path(key))

    def remove_folder(self, folder: str) -> None:
        """Take away what is below *folder*, also the empty objects that stand for folders."""
        with self._explained(), suppress(FileNotFoundError):
            self._system.delete_dir(self._path(folder))

    def open_file(self, key: str) -> pa.NativeFile:
        """Open an object."""
        with self._explained():
            return self._system.open_input_file(self._path(key))

    def _path(self, key: str) -> str:
        return f"{self._root}/{key}" if key else self._root

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Say in a few words what pyarrow says in many, which may name hosts and keys."""
        try:
            with explained(self.name):
                yield
        except SinkError as error:
            said = re.search(r"AWS Error ([A-Z_]+)", str(error.__cause__))
            if said is None:
                raise
            reason = _REASONS.get(said[1], f"it says {said[1]}")
            raise SinkError(f"cannot use {self.name}: {reason}") from None


def _file_system(
    url: SplitResult, options: dict[str, str], waiting: Waiting
) -> tuple[fs.FileSystem, str]:
    """Return the file system that *url* names, with waiting bounded, and the path in it."""
    if url.scheme == "s3":
        return _s3(url, options, waiting), f"{url.hostname}{unquote(url.path)}".rstrip("/")
    if url.scheme in {"gs", "gcs"}:
        options = {"retry_limit_seconds": waiting.retry_limit, **options}
    system, root = fs.FileSystem.from_uri(url._replace(query=urlencode(options)).geturl())
    return system, root.rstrip("/")


def _s3(url: SplitResult, options: dict[str, str], waiting: Waiting) -> fs.S3FileSystem:
    # not from_uri, which takes neither timeouts nor a limit of attempts
    region = options.pop("region", None)
    if not region and not options.get("endpoint_override") and not _environment_region():
        region = fs.resolve_s3_region(url.hostname)
    return fs.S3FileSystem(
        access_key=unquote(url.username) if url.username else None,
        secret_key=unquote(url.password) if url.password else None,
        region=region,
        connect_timeout=waiting.connect,
        request_timeout=waiting.answer,
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=waiting.attempts),
        allow_delayed_open=True,  # a small object is one request
        background_writes=False,  # else all parts of a large one are copied to wait in memory
        **options,
    )


def _environment_region() -> str | None:
    return os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
