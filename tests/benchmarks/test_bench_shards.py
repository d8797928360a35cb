"""The paper on many accounts is arithmetic over measured parts."""

from __future__ import annotations

import pytest

from benchmarks.bench_shards import Parts, paper


def test_ten_times_the_accounts_take_ten_times_everything() -> None:
    """Accounts are independent: nothing in the paper grows faster than they do."""
    few, many = paper(1_000), paper(10_000)

    assert many.cores == pytest.approx(10 * few.cores)
    assert many.core_hours == pytest.approx(10 * few.core_hours)
    assert many.postgres_hours == pytest.approx(10 * few.postgres_hours)
    assert many.connections == 10 * few.connections


def test_a_page_counts_what_it_costs() -> None:
    """A thousand pages of a second each, written two a second, are 500 seconds."""
    parts = Parts(pages=1_000, page_cpu=1.0, postgres_pages=2.0)

    assert paper(1, parts).core_hours * 3600 == pytest.approx(1_000)
    assert paper(1, parts).postgres_hours * 3600 == pytest.approx(500)
