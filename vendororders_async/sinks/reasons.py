"""What stands in the way of writing, in words that end with what to do."""

from __future__ import annotations

import errno

_WORDS = {
    errno.ENOSPC: "the disk is full; make room",
    errno.EDQUOT: "the quota of this disk is used up; make room",
    errno.EFBIG: "a file would be larger than is allowed here; allow larger ones (ulimit -f)",
    errno.EROFS: "it is on a disk that is read-only; make it writable, or name another",
    errno.EACCES: "permission is denied; make it writable, or name another",
}


def reason_of(error: Exception) -> str:
    """Return what *error* says.

    >>> reason_of(OSError(errno.ENOSPC, "No space left on device"))
    'the disk is full; make room'
    """
    if isinstance(error, OSError) and error.errno in _WORDS:
        return _WORDS[error.errno]
    return getattr(error, "strerror", None) or str(error)
