"""What the files of a Parquet store are called: keys under its root, with slashes.

.. code-block:: text

    vendororders-parquet.json               what this place is
    <account>/account.json                  the account's name
    <account>/<api>/<stream>/<after>_<before>_<begun>_<source>.parquet
    <account>/<api>/<stream>/loose_<moment>_<random>_<source>.parquet
    <account>/<api>/<stream>/error_<source>.txt
    <account>/<api>/quarantine/<digest>

The names are those of an NDJSON store. All files of ``*/retail/created`` have the same columns;
those of ``*/retail/statuses`` have others.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from urllib.parse import unquote

import msgspec

from ..windows import FinishedWindow
from . import ndjson_files as files
from .base import Ledger

MARKER = "vendororders-parquet.json"
SUFFIX = ".parquet"
QUARANTINE = "quarantine"
_DEPTH = 4  # parts of the key of a stream's file
_NOWHERE = Path()


class Entry(msgspec.Struct, frozen=True, order=True):
    """A file of a store, and when it was written."""

    key: str
    written_at: datetime


def account_key(account: str) -> str:
    """Return the folder of *account*."""
    return files.account_folder(_NOWHERE, account).as_posix()


def stream_key(ledger: Ledger) -> str:
    """Return the folder of a stream."""
    return files.stream_folder(_NOWHERE, ledger).as_posix()


def quarantine_key(account: str, api: str) -> str:
    """Return the folder of what could not be decoded."""
    return f"{account_key(account)}/{files.safe(api)}/{QUARANTINE}"


def error_key(ledger: Ledger) -> str:
    """Return the file that says why a stream went no further."""
    return f"{stream_key(ledger)}/{files.error_name(ledger.source)}"


def window_key(ledger: Ledger, finished: FinishedWindow) -> str:
    """Return the file of a finished window."""
    name = files.window_name(finished, ledger.source).removesuffix(files.SUFFIX)
    return f"{stream_key(ledger)}/{name}{SUFFIX}"


def loose_key(ledger: Ledger, moment: datetime) -> str:
    """Return a file that there is not yet, for what belongs to no finished window."""
    name = files.loose_name(moment, ledger.source).removesuffix(files.SUFFIX)
    return f"{stream_key(ledger)}/{name}{SUFFIX}"


def source_of(name: str) -> tuple[str, FinishedWindow | None] | None:
    """Return source and window that a file is named for; None if it is not one of ours."""
    if not name.endswith(SUFFIX):
        return None
    try:
        return files.parse_name(name.removesuffix(SUFFIX))
    except ValueError:
        return None


class Found(msgspec.Struct, frozen=True):
    """A file of a stream, or of a quarantine, by its key."""

    entry: Entry
    folder: str  # the account's
    api: str
    stream: str
    name: str


def found(entries: Iterable[Entry]) -> Iterator[Found]:
    """Yield the files of streams and quarantines, sorted."""
    for entry in sorted(entries):
        parts = entry.key.split("/")
        if len(parts) == _DEPTH:
            folder, api, stream, name = parts
            yield Found(entry, folder, unquote(api), unquote(stream), name)
