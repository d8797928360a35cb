"""Shards: every account is in one of them, and stays there."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vendororders_async.errors import InvalidArgument
from vendororders_async.shards import Shard, dealt, index_of, shard_named

NAMES = st.lists(st.text(min_size=1), unique=True, max_size=40)
COUNTS = st.integers(1, 40)


@given(NAMES, COUNTS)
def test_all_shards_together_are_all_accounts_each_once(names: list[str], count: int) -> None:
    """The shards are disjoint, and nothing is left over."""
    shards = [Shard(index, count).of(names) for index in range(count)]

    assert sorted(name for shard in shards for name in shard) == sorted(names)


@given(NAMES, COUNTS)
def test_an_account_stays_in_its_shard_whoever_else_is_there(
    names: list[str], count: int
) -> None:
    """Neither the order of the file nor the other accounts decide."""
    shard = Shard(0, count)
    alone = {name for name in names if shard.of([name])}

    assert set(shard.of(reversed(names))) == alone


@given(NAMES, COUNTS)
def test_one_more_shard_takes_from_the_others_and_they_swap_nothing(
    names: list[str], count: int
) -> None:
    """An account stays where it is, or goes to the new shard."""
    moved = {
        index_of(name, count + 1)
        for name in names
        if index_of(name, count + 1) != index_of(name, count)
    }

    assert moved <= {count}


def test_shards_are_about_the_same_size() -> None:
    """A thousand accounts in eight shards: none has half as many again as its share."""
    names = [f"vendor-{number}" for number in range(1_000)]
    sizes = [len(Shard(index, 8).of(names)) for index in range(8)]

    assert min(sizes) > 125 * 0.7
    assert max(sizes) < 125 * 1.3


def test_what_is_in_which_shard_is_a_promise() -> None:
    """The next version must put accounts where this one did."""
    found = [index_of(f"acme-{country}", 8) for country in ("us", "eu", "jp", "ca", "mx")]

    assert found == [6, 1, 4, 7, 1]


@pytest.mark.parametrize("text", ["8/8", "1", "-1/8", "0/0", "1/2/3", "a/b", "", "1.5/8"])
def test_what_is_no_shard_is_refused(text: str) -> None:
    """Counting begins at 0: the last of eight is 7/8."""
    with pytest.raises(InvalidArgument, match="shard"):
        shard_named(text)


def test_a_shard_is_written_as_it_is_read() -> None:
    """0/8 is the first."""
    assert str(shard_named("0/8")) == "0/8"
    assert shard_named(" 7/8 ") == Shard(7, 8)


@given(NAMES, COUNTS)
def test_dealt_accounts_are_all_there_and_evenly(names: list[str], count: int) -> None:
    """No part is empty, none has two more than another."""
    parts = dealt(names, count)
    sizes = [len(part) for part in parts]

    assert sorted(name for part in parts for name in part) == sorted(names)
    assert len(parts) <= count
    assert not sizes or (min(sizes) > 0 and max(sizes) - min(sizes) <= 1)
