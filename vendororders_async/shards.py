"""Shards: which accounts are whose, where several processes share them.

>>> Shard(0, 2).of(["acme-us", "acme-eu", "acme-jp"])
('acme-us',)
>>> Shard(1, 2).of(["acme-us", "acme-eu", "acme-jp"])
('acme-eu', 'acme-jp')
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence

import msgspec

from .errors import InvalidArgument

_WRITTEN = re.compile(r"([0-9]{1,6})/([0-9]{1,6})")
_64_BITS = (1 << 64) - 1


class Shard(msgspec.Struct, frozen=True):
    """Part *index*, from 0, of all accounts in *count* parts.

    Every account is in one of them, whatever else is in the accounts file and in what order.

    Raises:
        InvalidArgument: there is no such part.
    """

    index: int
    count: int

    def __post_init__(self) -> None:
        if not 0 <= self.index < self.count:
            raise InvalidArgument(
                f"there is no shard {self}: they are counted from 0, so that the last one "
                "of 8 is 7/8"
            )

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    def of(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return those of the accounts' *names* that are in this part, in their order."""
        return tuple(name for name in names if index_of(name, self.count) == self.index)


def shard_named(text: str) -> Shard:
    """Return the shard that *text* means: ``3/8`` is the fourth of eight.

    Raises:
        InvalidArgument: it means none.
    """
    found = _WRITTEN.fullmatch(text.strip())
    if found is None:
        raise InvalidArgument(f"{text!r} is no shard: write 0/8, 1/8, … 7/8")
    return Shard(int(found[1]), int(found[2]))


def index_of(name: str, count: int) -> int:
    """Return which of *count* shards the account *name* is in.

    A promise over versions and machines: sha256 and jump consistent hashing. With one shard
    more, only every (count + 1)th account moves, to the new one; by remainders nearly all
    would, and where each shard has a sink of its own, what moved is read once more.
    """
    # https://arxiv.org/abs/1406.2294, figure 1
    key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8])
    index, jump = 0, 0
    while jump < count:
        index = jump
        key = (key * 2862933555777941757 + 1) & _64_BITS
        jump = int((index + 1) * ((1 << 31) / ((key >> 33) + 1)))
    return index


def dealt(names: Sequence[str], count: int) -> list[tuple[str, ...]]:
    """Return *names* in at most *count* parts, of one size but for one, and none empty.

    >>> dealt(["a", "b", "c"], 2)
    [('a', 'c'), ('b',)]
    """
    return [tuple(names[index::count]) for index in range(min(count, len(names)))]
