"""The one place where chance comes from, and it is always the same chance."""

from __future__ import annotations

from random import Random


def seeded(*parts: object) -> Random:
    """Return a generator that depends on nothing but *parts*."""
    text = "/".join(str(part) for part in parts)
    return Random(text)  # noqa: S311  # made-up orders need no cryptography
