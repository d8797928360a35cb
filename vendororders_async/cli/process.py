"""The process of a job: what a command may set for all of it, and a library may not."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

if sys.platform != "win32":
    import resource

# With hundreds of requests under way, the collector's defaults look through all of them
# every 700 objects, and find nothing: our values are freed without it. Seldom, and with what
# was imported left out, the CPU of a request fell from 411 to 351 µs (200 accounts, pages of
# one order, a sink that only remembers; medians of three alternating runs).
_COLLECT_EVERY = (20_000, 20, 50)

_FILES = 4096  # the most connections there are, and room


@contextmanager
def one_job() -> Iterator[None]:
    """Give the process to one job: seldom collect garbage, open as many files as allowed."""
    thresholds = gc.get_threshold()
    gc.collect()
    gc.freeze()  # what was imported stays
    gc.set_threshold(*_COLLECT_EVERY)
    _open_more_files()
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()


def _open_more_files() -> None:
    """Raise the soft limit, 256 on macOS and 1024 on most of Linux, as far as is allowed."""
    if sys.platform == "win32":  # where sockets are no files
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = files_to_open(soft, hard, unlimited=resource.RLIM_INFINITY)
    with suppress(OSError, ValueError):  # then it is fewer connections
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def files_to_open(soft: int, hard: int, *, unlimited: int = -1) -> int:
    """Return the soft limit to ask for: enough, if *hard* allows it, and never less.

    >>> [files_to_open(256, -1), files_to_open(1024, 2048), files_to_open(20_000, 20_000)]
    [4096, 2048, 20000]
    """
    if soft == unlimited:
        return soft
    allowed = _FILES if hard == unlimited else min(_FILES, hard)
    return max(soft, allowed)
