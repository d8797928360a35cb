"""The quarantine of an NDJSON store: a file for each document, its bytes as they came."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import msgspec

from .base import Ledger, Quarantined
from .damage import DamagedFile
from .ndjson_files import PARTIAL, replace_file

QUARANTINE = "quarantine"  # the folder
_LOST = "delete the file: what it held is lost here, not at Amazon"


class _Heading(msgspec.Struct, frozen=True):
    """The first line of a file; all that follows it is the document."""

    stream: str
    source: str
    reason: str
    first_seen_at: datetime


_HEADING = msgspec.json.Decoder(_Heading)


def quarantine_file(held: Quarantined) -> bytes:
    """Return the file that keeps *held*."""
    heading = _Heading(held.ledger.stream, held.ledger.source, held.reason, held.first_seen_at)
    return msgspec.json.encode(heading) + b"\n" + held.document


def parse_quarantine(account: str, api: str, name: str, kept: bytes) -> Quarantined:
    """Return what the file *name* keeps; its last part is the digest.

    Raises:
        DamagedFile: it is no such file.
    """
    first, _, document = kept.partition(b"\n")
    try:
        heading = _HEADING.decode(first)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise DamagedFile(f"{name} is damaged; {_LOST}") from None
    ledger = Ledger(account, api, heading.stream, heading.source)
    digest = name.rpartition("/")[2]
    return Quarantined(ledger, digest, document, heading.reason, heading.first_seen_at)


class Quarantine:
    """What of one account and API could not be decoded, in *folder*. Its methods block."""

    def __init__(self, folder: Path, account: str, api: str) -> None:
        self._folder = folder
        self._account = account
        self._api = api

    def add(self, held: Quarantined) -> bool:
        """Keep *held*, and say whether it is new."""
        path = self._folder / held.digest
        if path.exists():
            return False
        self._folder.mkdir(mode=0o700, exist_ok=True)
        replace_file(path, quarantine_file(held))
        return True

    def files(self) -> list[Path]:
        """Return the files, of a document each."""
        if not self._folder.is_dir():
            return []
        return [file for file in self._folder.iterdir() if file.suffix != PARTIAL]

    def read(self) -> list[Quarantined]:
        """Return all that is kept, the oldest first."""
        held = [one for file in self.files() if (one := self.read_file(file)) is not None]
        return sorted(held, key=lambda one: (one.first_seen_at, one.digest))

    def remove(self, digest: str) -> None:
        """Keep it no longer."""
        (self._folder / digest).unlink(missing_ok=True)

    def read_file(self, file: Path) -> Quarantined | None:
        """Return what *file* keeps; None if it was taken out in the meantime."""
        try:
            kept = file.read_bytes()
        except FileNotFoundError:
            return None
        return parse_quarantine(self._account, self._api, file.as_posix(), kept)
