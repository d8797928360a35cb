"""What each order meant to the sink, in little memory."""

from __future__ import annotations

import random
import tracemalloc
from collections import Counter

import pytest

from vendororders_async.jobs.summary import Rank, Ranks


@pytest.mark.parametrize("seed", range(5))
def test_of_several_sights_the_highest_counts(seed: int) -> None:
    """However often and in whatever order they come, it is what a dictionary would say."""
    rng = random.Random(seed)
    ranks, plain = Ranks(), dict[str, Rank]()
    for _ in range(5_000):
        number, rank = f"{rng.randrange(2_000):08}", rng.choice(list(Rank))
        ranks.note(number, rank)
        plain[number] = max(rank, plain.get(number, rank))

    assert len(ranks) == len(plain)
    assert +ranks.counts == Counter(plain.values())


def test_an_order_takes_a_few_bytes() -> None:
    """So that the history of hundreds of accounts does not fill the memory."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        ranks = Ranks()
        for number in range(100_000):
            ranks.note(str(number), Rank.NEW)
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()

    assert len(ranks) == 100_000
    assert grown < 25 * len(ranks)
