"""Text that PostgreSQL does not take: escaped on its way in, and as it was when it is read.

A NUL, https://www.postgresql.org/docs/current/datatype-character.html, and half a surrogate
pair, which UTF-8 has no bytes for, become U+FFFF and four digits; so does U+FFFF itself, lest
two names become one. A connection does it for what is ``text``; for arrays it must be asked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_ODD = re.compile("[\0\uffff\ud800-\udfff]")
_ESCAPED = re.compile("\uffff([0-9a-f]{4})")


def escaped(text: str) -> str:
    r"""Return *text* as PostgreSQL keeps it.

    >>> escaped("a\0b") == "a\uffff0000b"
    True
    """
    if text.isascii() and "\0" not in text:
        return text
    return _ODD.sub(lambda found: f"\uffff{ord(found[0]):04x}", text)


def restored(text: str) -> str:
    r"""Return what was `escaped`.

    >>> restored("a\uffff0000b")
    'a\x00b'
    """
    if "\uffff" not in text:
        return text
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text)


def array(texts: Iterable[str | None]) -> list[str | None]:
    """Return *texts* as the value of a ``text[]``."""
    return [text if text is None else escaped(text) for text in texts]


def to_bytes(text: str) -> bytes:
    """Return *text* as it is sent."""
    return escaped(text).encode()


def to_text(sent: bytes) -> str:
    """Return what was sent as `to_bytes` made it."""
    return restored(sent.decode())
