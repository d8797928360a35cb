"""The process of a job: what a command sets for all of it."""

from __future__ import annotations

import gc
import sys

import pytest

from vendororders_async.cli.process import files_to_open, one_job


def test_garbage_is_collected_seldom_while_a_job_runs() -> None:
    """Afterwards it is as before."""
    before = gc.get_threshold()
    with one_job():
        during = gc.get_threshold()
        frozen = gc.get_freeze_count()

    assert during[0] > before[0]
    assert frozen > 0
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() == 0


@pytest.mark.parametrize(
    ("soft", "hard", "wanted"),
    [
        (256, -1, 4096),
        (1024, 2048, 2048),
        (1024, 524_288, 4096),
        (20_000, -1, 20_000),
        (-1, -1, -1),
    ],
)
def test_the_limit_of_open_files_is_raised_as_far_as_needed(
    soft: int, hard: int, wanted: int
) -> None:
    """It is never lowered, and never asked for beyond what is allowed."""
    assert files_to_open(soft, hard) == wanted


@pytest.mark.skipif(sys.platform == "win32", reason="sockets are no files there")
def test_a_job_may_open_files_for_its_connections() -> None:
    """The process really has what it may have."""
    import resource  # noqa: PLC0415 - not on every platform

    with one_job():
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)

    assert soft == files_to_open(soft, hard, unlimited=resource.RLIM_INFINITY)
