"""What a spreadsheet may be given, and what it gives back.

https://owasp.org/www-community/attacks/CSV_Injection
"""

from __future__ import annotations

import re
from datetime import datetime
from unicodedata import bidirectional, category

from .clock import format_stored

# A formula, also behind what a spreadsheet skips, and in what it takes for the next cell where
# cells are set apart by semicolons; full-width signs count there as well. Our own mark is
# skipped too: otherwise `text_of` would take away one that was there before.
_SKIPPED = r"[\s'\"\u200b-\u200f\u2060-\u2064\ufeff]*"
_SIGN = "[-=+@|\uff0d\uff1d\uff0b\uff20]"
_FORMULA = re.compile(rf"(^|;)(?={_SKIPPED}{_SIGN})")
_MARKED = re.compile(rf"(^|;)'(?={_SKIPPED}{_SIGN})")
_TURNS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
_BREAKS = str.maketrans("\t\n\r", "   ")


def cell(value: object) -> object:
    r"""Return *value* as it is written: text made harmless, times in UTC, numbers as they are.

        >>> cell("=1+1"), cell(-3), cell("a\x00b"), cell("a;@b")
        ("'=1+1", -3, 'ab', "a;'@b")

    Line breaks and tabs become blanks; other control characters go, and so does what turns
    the direction of writing round.
    """
    if isinstance(value, datetime):
        return format_stored(value)
    if isinstance(value, bool):
        return int(value)
    if not isinstance(value, str):
        return value
    plain = value
    if not value.isprintable():
        plain = "".join(filter(_is_harmless, value.translate(_BREAKS)))
    marked = _FORMULA.sub(r"\1'", plain)
    has_to_be = value.startswith(("\t", "\r")) and not marked.startswith("'")
    return f"'{marked}" if has_to_be else marked


def text_of(written: str) -> str:
    """Return the text that `cell` was given, without blanks around it.

    >>> text_of("'=1+1 "), text_of("'s-Hertogenbosch")
    ('=1+1', "'s-Hertogenbosch")
    """
    return _MARKED.sub(r"\1", written.strip()).strip()


def _is_harmless(one: str) -> bool:
    return category(one) != "Cc" and bidirectional(one) not in _TURNS
