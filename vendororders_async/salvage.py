"""Take a broken page apart by its brackets, so that one bad order costs only itself.

A lone surrogate, a ``NaN`` or an invalid byte in one order makes the whole page invalid
JSON. Its brackets and strings are still in place, and they are all this looks at.
"""

from __future__ import annotations

import re

import msgspec

# Strings with whatever is in them, single brackets and separators, and runs of the rest.
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{}:,]|[^\[\]{}:,"]+', re.DOTALL)


class Salvaged(msgspec.Struct, frozen=True):
    """What was found: the envelope with its list emptied, and the list's rows."""

    envelope: bytes
    rows: tuple[bytes, ...]


def salvage(  # noqa: C901, PLR0912 - one loop over tokens, one branch a kind
    body: bytes, path: tuple[str, ...]
) -> Salvaged | None:
    """Split *body* into its envelope and the rows of the list at *path*.

        >>> salvage(b'{"orders": [{"n": NaN}, {"n": 2}]}', ("orders",)).rows
        (b'{"n": NaN}', b'{"n": 2}')

    Returns None when the brackets do not match, as in a truncated body, or when there is
    no such list, or are two.
    """
    wanted = [b'"%s"' % key.encode() for key in path]
    closers: list[bytes] = []  # what must close, innermost last
    keys: list[bytes] = []  # the key that led to each open bracket
    last_string, key = b"", b""
    start = end = row_start = -1
    rows: list[bytes] = []
    position = 0
    for match in _TOKEN.finditer(body):
        if match.start() != position:  # an unclosed string: nothing matches from here
            return None
        position = match.end()
        token = match.group()
        at_rows = start >= 0 and end < 0 and len(closers) == len(path) + 1
        if token in (b"[", b"{"):
            keys.append(key)
            closers.append(b"]" if token == b"[" else b"}")
            # the length first: to compare all keys at every bracket is quadratic
            if token == b"[" and len(keys) == len(path) + 1 and keys[1:] == wanted:
                if start >= 0:
                    return None
                start = row_start = position
            key = b""
        elif token in (b"]", b"}"):
            if not closers or closers.pop() != token:
                return None
            keys.pop()
            if at_rows:
                end = match.start()
                rows.append(body[row_start:end].strip())
        elif token == b",":
            key = b""
            if at_rows:
                rows.append(body[row_start : match.start()].strip())
                row_start = position
        elif token == b":":
            key = last_string
        elif token.startswith(b'"'):
            last_string = token
    if closers or end < 0 or position != len(body):
        return None
    return Salvaged(body[:start] + body[end:], tuple(row for row in rows if row))
