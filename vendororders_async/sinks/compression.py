"""Compressed files of lines: which suffix means what, and how such a file is opened."""

from __future__ import annotations

import gzip
import sys
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from enum import StrEnum
from io import BufferedIOBase
from pathlib import Path
from typing import Any

from ..extras import extra
from .damage import damaged


class Compression(StrEnum):
    """How a file is compressed; the value is what its name ends with."""

    NONE = ""
    GZIP = ".gz"
    ZSTD = ".zst"


def named(name: str) -> Compression:
    """Return the compression called *name*, ``gzip``, ``zstd`` or nothing."""
    return {"gzip": Compression.GZIP, "zstd": Compression.ZSTD}.get(name, Compression.NONE)


def _gzip_file() -> Any:
    """Return what writes gzip: isal's where it is there, quicker by ten times."""
    with suppress(ImportError):
        from isal.igzip import IGzipFile  # noqa: PLC0415 - an extra

        return IGzipFile
    return gzip.GzipFile


def _zstd() -> Any:
    """Return Python's module for zstd, new in 3.14, or the same from PyPI."""
    if sys.version_info >= (3, 14):
        from compression import zstd  # noqa: PLC0415 - only where it is used
    else:
        with extra("zstd", "a .zst file"):
            from backports import zstd  # noqa: PLC0415 - the same
    return zstd


def compression_of(path: Path) -> Compression:
    """Return how *path* is compressed, by its name."""
    return next(
        (one for one in Compression if one and path.name.endswith(one)), Compression.NONE
    )


def check(compression: Compression) -> None:
    """Make sure that *compression* can be used.

    Raises:
        ConfigurationError: what it needs is not installed.
    """
    if compression is Compression.ZSTD:
        _zstd()


@contextmanager
def open_lines(path: Path) -> Iterator[BufferedIOBase]:
    """Open *path* for reading; what is read is not compressed.

    Raises:
        DamagedFile: it was compressed, and cannot be made out.
    """
    torn: tuple[type[Exception], ...] = ()
    with ExitStack() as stack:
        match compression_of(path):
            case Compression.GZIP:
                lines: BufferedIOBase = stack.enter_context(gzip.open(path, "rb"))
                torn = (EOFError, zlib.error, gzip.BadGzipFile)
                if not path.stat().st_size:  # which gzip takes for no lines
                    raise damaged(path)
            case Compression.ZSTD:
                lines = stack.enter_context(_zstd().open(path, "rb"))
                torn = (EOFError, _zstd().ZstdError)
            case _:
                lines = stack.enter_context(path.open("rb"))
        try:
            yield lines
        except torn:
            raise damaged(path) from None


def compressing(file: BufferedIOBase, compression: Compression) -> BufferedIOBase:
    """Return what compresses into *file* all that is written to it; *file* stays open."""
    match compression:
        case Compression.GZIP:
            packed: BufferedIOBase = _gzip_file()("", mode="wb", fileobj=file, mtime=0)
            return packed
        case Compression.ZSTD:
            opened: BufferedIOBase = _zstd().open(file, "wb")
            opened.write(b"")  # or a file of no lines would have no frame, and be damaged
            return opened
        case _:
            return file
