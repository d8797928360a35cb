"""What the package's own code takes of memory, and has still."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Awaitable

_FILTERS = (
    tracemalloc.Filter(inclusive=True, filename_pattern="*/vendororders_async/*"),
    tracemalloc.Filter(inclusive=False, filename_pattern="*/simulator/*"),
)


async def grown_by(passing: Awaitable[object]) -> int:
    """Return how many bytes the package took while *passing* went on, and has still."""
    gc.collect()
    tracemalloc.start()
    try:
        await passing
        gc.collect()
        ours = tracemalloc.take_snapshot().filter_traces(_FILTERS)
    finally:
        tracemalloc.stop()
    return sum(one.size for one in ours.statistics("filename"))
