"""What a spreadsheet may be given, and what it gives back.

https://owasp.org/www-community/attacks/CSV_Injection
"""

from __future__ import annotations

from datetime import datetime
from unicodedata import category

from .clock import format_stored

_FORMULA = ("=", "+", "-", "@")
_BREAKS = str.maketrans("\t\n\r", "   ")


def cell(value: object) -> object:
    r"""Return *value* as it is written: text made harmless, times in UTC, numbers as they are.

        >>> cell("=1+1"), cell(-3), cell("a\x00b")
        ("'=1+1", -3, 'ab')

    Line breaks and tabs become blanks, other control characters go.
    """
    if isinstance(value, datetime):
        return format_stored(value)
    if isinstance(value, bool):
        return int(value)
    if not isinstance(value, str):
        return value
    plain = value
    if not value.isprintable():
        plain = "".join(one for one in value.translate(_BREAKS) if category(one) != "Cc")
    guarded = value.startswith(("\t", "\r")) or _looks_like_formula(plain)
    return f"'{plain}" if guarded else plain


def text_of(written: str) -> str:
    """Return the text that `cell` was given, without blanks around it.

    >>> text_of("'=1+1 "), text_of("'s-Hertogenbosch")
    ('=1+1', "'s-Hertogenbosch")
    """
    text = written.strip()
    return text[1:] if text.startswith("'") and _looks_like_formula(text) else text


def _looks_like_formula(text: str) -> bool:
    # behind our own mark, too: otherwise `text_of` would take away one that was there before
    return text.lstrip("'").startswith(_FORMULA)
