"""Usage plans: what a bucket allows, and what Amazon's header says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from vendororders_async.usage import UsagePlan, granted_rate


def test_the_margin_is_taken_from_the_burst() -> None:
    """One token held back absorbs jitter; the rate is not touched."""
    assert UsagePlan(10, 10).with_margin() == UsagePlan(10, 9)


@pytest.mark.parametrize("burst", [1, 1.5, 2])
def test_a_margin_leaves_at_least_one_token(burst: float) -> None:
    """A plan of one token at a time can still be used."""
    assert UsagePlan(0.5, burst).with_margin() == UsagePlan(0.5, 1)


@pytest.mark.parametrize(("count", "seconds"), [(0, 0), (1, 0), (10, 0), (11, 0.1), (110, 10)])
def test_a_full_bucket_is_spent_at_once(count: int, seconds: float) -> None:
    """The burst costs no time, the rest goes at the rate."""
    assert UsagePlan(10, 10).seconds_for(count) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("rate", "burst"),
    [
        (0, 10),
        (-1, 10),
        (10, 0.5),
        (10, 0),
        (float("inf"), 10),
        (10, float("inf")),
        (float("nan"), 10),
        (10, float("nan")),
    ],
)
def test_a_plan_that_grants_nothing_is_refused(rate: float, burst: float) -> None:
    """A bucket that never fills, or never empties, is no plan."""
    with pytest.raises(ValueError, match="positive rate"):
        UsagePlan(rate, burst)


def test_another_rate_keeps_the_burst() -> None:
    """Amazon's header tells the rate only."""
    assert UsagePlan(10, 10).at_rate(2.5) == UsagePlan(2.5, 10)


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("10.0", 10.0),
        ("0.0167", 0.0167),
        (" 5 ", 5.0),
        ("", None),
        ("nan", None),
        ("inf", None),
        ("-inf", None),
        ("-1", None),
        ("0", None),
        ("1e999", None),
        ("ten", None),
        ("10/s", None),
        ("10.0, 10.0", None),
    ],
)
def test_the_header_is_believed_only_when_it_is_a_rate(text: str, rate: float | None) -> None:
    """Garbage in a best-effort header changes nothing."""
    assert granted_rate(CIMultiDict({"X-Amzn-RateLimit-Limit": text})) == rate


def test_no_header_says_nothing() -> None:
    """The header is missing on 429 and many others."""
    assert granted_rate({}) is None


@given(st.text())
def test_no_header_text_is_ever_an_error(text: str) -> None:
    """Whatever a proxy writes there, a rate comes out that a plan accepts, or none."""
    rate = granted_rate({"x-amzn-RateLimit-Limit": text})

    assert rate is None or UsagePlan(10, 10).at_rate(rate).rate == rate


def test_a_plan_prints_short() -> None:
    """The form that reprs and logs show."""
    assert str(UsagePlan(10, 10)) == "10/s burst 10"
    assert str(UsagePlan(0.0167, 9)) == "0.0167/s burst 9"
