"""Damaged files of a store: one wording for all kinds, and what to do about each."""

from __future__ import annotations

from pathlib import PurePath

from ..errors import SinkError

LOOSE = "loose"  # how the name of a file begins that claims no window
EXPORTED = "exported"  # the stream of what came out of another sink


class DamagedFile(SinkError):
    """One file of a store cannot be read; the others can."""


def damaged(file: PurePath | str, what: str = "", *, is_shared: bool = False) -> DamagedFile:
    """Return the error of a *file* of orders; *what* of it is damaged, if that is known.

        raise damaged("loose_x.ndjson", "line 3")

    A finished window may count on what is in a loose file, and where *is_shared* on what is in
    another window's: that is read again if no window of the stream is there any more. Nothing
    is to be deleted: what is older than Amazon's six months is nowhere else.
    """
    path = PurePath(file)
    if path.parent.name == EXPORTED:
        remedy = "delete the file and export again"
    elif is_shared or path.name.startswith(f"{LOOSE}_"):
        remedy = "move its folder away and backfill again"
    else:
        remedy = "move the file away and backfill again"
    return DamagedFile(f"{file}{what and f': {what}'} is damaged; {remedy}")
