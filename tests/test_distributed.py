"""Clusters: what is refused before anything is started, and how shards make one summary."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from vendororders_async import __version__
from vendororders_async.distributed import Assignment, ClusterBackfill
from vendororders_async.distributed.backfill import merged
from vendororders_async.distributed.cluster import (
    absolute,
    address_of,
    check_passwords,
    check_sink,
    check_versions,
)
from vendororders_async.distributed.shard import Outcome
from vendororders_async.errors import ConfigurationError, InvalidArgument
from vendororders_async.jobs.summary import Summary, Tally
from vendororders_async.telemetry import AccountFailed, AccountFinished

REMOTE = "tcp://10.0.0.7:8786"
Shards = dict[tuple[str, ...], Outcome]
POSTGRES = "postgres://loader:hunter2@db/orders"


@pytest.mark.parametrize(
    ("on", "address"),
    [
        ("dask", None),
        ("dask://scheduler:8786", "tcp://scheduler:8786"),
        ("tcp://10.0.0.7:8786", REMOTE),
        ("tls://scheduler:8786", "tls://scheduler:8786"),
        ("dask://[::1]:8786", "tcp://[::1]:8786"),
    ],
)
def test_an_address_is_that_of_a_scheduler(on: str, address: str | None) -> None:
    """Without one there is a cluster of this machine."""
    assert address_of(on) == address


@pytest.mark.parametrize(
    "on", ["spark", "dask://", "dask://host", "dask://me:pw@host:1", "dask://host:x", "tls://"]
)
def test_what_is_no_address_is_refused_without_being_repeated(on: str) -> None:
    """It may have a password in it."""
    with pytest.raises(ConfigurationError, match="--on is dask") as caught:
        address_of(on)

    assert "pw" not in str(caught.value)


@pytest.mark.parametrize(
    ("to", "address"),
    [
        ("ndjson:-", None),
        ("sqlite:orders.db", REMOTE),
        ("ndjson+zstd:/data", REMOTE),
        ("parquet:lake", REMOTE),
    ],
)
def test_a_sink_that_workers_could_not_share_is_refused(to: str, address: str | None) -> None:
    """It would be another one on each machine."""
    with pytest.raises(ConfigurationError):
        check_sink(to, address)


@pytest.mark.parametrize("option", ["--to", "--shared-limiter"])
@pytest.mark.parametrize(
    "url", [POSTGRES, "postgres://db/orders?user=a&password=hunter2", "redis://:hunter2@cache"]
)
def test_a_password_does_not_travel_in_the_clear(option: str, url: str) -> None:
    """Nor is it repeated in the line that says so; TLS and this machine may have it."""
    with pytest.raises(ConfigurationError, match=f"password in {option}") as caught:
        check_passwords({option: url}, REMOTE)
    for safe in (None, "tls://10.0.0.7:8786", "tcp://127.0.0.1:8786"):
        check_passwords({option: url}, safe)

    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("to", "address"),
    [
        ("sqlite:orders.db", None),
        ("ndjson:orders", None),
        ("sqlite:orders.db", "tcp://127.0.0.1:8786"),
        ("parquet:/mnt/lake", REMOTE),
        ("s3://lake/orders", REMOTE),
        ("postgres://db/orders", REMOTE),
        (POSTGRES, "tls://10.0.0.7:8786"),
        (POSTGRES, None),
    ],
)
def test_a_sink_that_workers_can_share_is_taken(to: str, address: str | None) -> None:
    """Files on one machine, and stores from anywhere."""
    check_sink(to, address)


def test_files_are_the_same_from_any_folder() -> None:
    """A worker need not run where the command does."""
    assert absolute("sqlite:/data/orders.db") == "sqlite:/data/orders.db"
    assert absolute("ndjson:orders").startswith("ndjson:/")
    assert absolute("parquet:s3://lake") == "parquet:s3://lake"


def test_what_travels_shows_no_password() -> None:
    """Dask writes a failed task's arguments into its logs."""
    since = datetime(2026, 1, 1, tzinfo=UTC)
    work = Assignment(to=POSTGRES, reading={"since": since})

    assert "hunter2" not in repr(work)
    assert pickle.loads(pickle.dumps(work)) == work  # noqa: S301 - our own


def test_a_range_that_cannot_be_meant_starts_no_cluster() -> None:
    """It is refused as in one process."""
    with pytest.raises(InvalidArgument, match="concurrency"):
        ClusterBackfill(["acme"], Assignment(to="sqlite:x.db", reading={"concurrency": 0}))


def a_summary(*names: str, failed: str | None = None) -> Summary:
    """Return the summary of a shard."""
    tally = Tally(names)
    for name in names:
        event = AccountFailed(name, "refused") if name == failed else AccountFinished(name)
        tally(event)
    told = tally.summary(3.0)
    return msgspec.structs.replace(told, orders=7, requests=2, ideal_seconds=float(len(names)))


def test_shards_make_one_summary() -> None:
    """Counts are added, accounts kept, and the longest ideal counts."""
    shards: Shards = {
        ("a", "b"): Outcome(a_summary("a", "b")),
        ("c",): Outcome(a_summary("c")),
    }
    summary = merged("abc", shards, 5.0)

    assert summary.complete
    assert (summary.orders, summary.requests) == (14, 4)
    assert (summary.seconds, summary.ideal_seconds) == (5.0, 2.0)
    assert list(summary.accounts) == ["a", "b", "c"]


def test_one_account_that_failed_makes_all_incomplete() -> None:
    """Whichever shard it is in."""
    shards: Shards = {
        ("a",): Outcome(a_summary("a")),
        ("b",): Outcome(a_summary("b", failed="b")),
    }
    summary = merged("ab", shards, 5.0)

    assert not summary.complete
    assert summary.accounts["a"].complete
    assert summary.accounts["b"].error == "refused"


def test_a_shard_that_came_to_nothing_is_in_the_summary() -> None:
    """Its accounts say why, also where nobody told of it."""
    shards: Shards = {
        ("a",): Outcome(a_summary("a")),
        ("b",): Outcome(error="its worker failed"),
    }
    summary = merged("abc", shards, 5.0)

    assert not summary.complete
    assert summary.accounts["b"].error == "its worker failed"
    assert not summary.accounts["c"].complete


def versions(**worker: str) -> dict[str, Any]:
    """Return what Dask knows of a client and its one worker."""
    ours = {"python": "3.13.2.final.0", "distributed": "2026.8.0"}
    theirs = {**ours, "vendororders_async": __version__, **worker}
    return {"client": {"packages": ours}, "workers": {"tcp://w:1": {"packages": theirs}}}


def test_workers_like_us_are_taken() -> None:
    """A patch release of Python makes no difference."""
    check_versions(versions(python="3.13.5.final.0"))


@pytest.mark.parametrize(
    "worker", [{"vendororders_async": "0.0.1"}, {"python": "3.12.1"}, {"distributed": "2025.1"}]
)
def test_workers_of_another_version_are_refused(worker: dict[str, str]) -> None:
    """Else it would show as a task that cannot be read."""
    with pytest.raises(ConfigurationError, match="tcp://w:1 has"):
        check_versions(versions(**worker))
