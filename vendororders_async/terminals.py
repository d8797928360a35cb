"""What a terminal may be given: JSON that cannot drive it.

ECMA-48, 5.4: C1 control characters open sequences as ESC does. JSON lets them pass in strings,
and also what turns the direction of writing round.
"""

from __future__ import annotations

import os
import re

from .errors import CONTROLS

# Neither line breaks nor tabs: between two tokens of JSON they are harmless
_CONTROLS = re.compile(f"[{CONTROLS}]")


def escaped(data: bytes) -> bytes:
    r"""Return *data* with its control characters as JSON escapes them, which means the same.

    >>> escaped('{"a": "\x9b2J"}'.encode())
    b'{"a": "\\u009b2J"}'

    What is not UTF-8, and so no JSON, is shown as \xff.
    """
    text = data.decode(errors="backslashreplace")
    return _CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", text).encode()


def for_output(data: bytes, descriptor: int) -> bytes:
    """Return *data* as it is, or escaped where *descriptor* is a terminal."""
    return escaped(data) if os.isatty(descriptor) else data
