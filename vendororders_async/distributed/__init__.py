"""A backfill on a cluster of Dask's: shards of accounts, each a task.

job = ClusterBackfill(source.names(), assignment, on="dask")
await job.run()
job.summary().complete

A task runs the engine for its accounts as one process would. What travels are names, a range
and a sink's URL: workers find the accounts and their secrets themselves, in the same places.
"""

from __future__ import annotations

from .backfill import ClusterBackfill
from .shard import Assignment

__all__ = ["Assignment", "ClusterBackfill"]
