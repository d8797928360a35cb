"""Cancellation: every public call is ended at its steps, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from random import Random
from typing import Any

import pytest
from cancelling import AGAIN, MANNERS, TOGETHER, Act, Cut, tried
from fakes import an_account
from hold import Often, Record
from public_calls import CALLS
from public_jobs import JOBS
from public_paces import PACES
from public_stores import STORES
from redis_server import COMMAND, RedisServer

import vendororders_async
from vendororders_async import VendorOrdersClient

_CALLS, _JOBS = [*CALLS, *PACES], [*JOBS, *STORES]
_ACTS = [*_CALLS, *_JOBS]
_A_FEW = {"calls": 3, "jobs": 1}  # as each try costs
_MOST_REAL = 200  # of what a server of others takes its time for
_LATEST = 6  # steps until the second cancellation
_AWAITED = ("Awaitable", "Coroutine", "AsyncIterator", "AsyncGenerator")


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a server, which a loop of its own has started."""
    if COMMAND is None:
        pytest.skip("needs redis-server or valkey-server")
    pytest.importorskip("redis.asyncio")  # here: 5.2 looks for its version on disk meanwhile
    with ExitStack() as stack:
        thread = stack.enter_context(ThreadPoolExecutor(1))
        runner = asyncio.Runner()
        server = RedisServer(tmp_path_factory.mktemp("redis"))
        stack.callback(lambda: thread.submit(runner.close).result())
        stack.callback(lambda: thread.submit(runner.run, server.kill()).result())
        thread.submit(runner.run, server.start()).result()
        yield server.url


@pytest.mark.parametrize("act", _ACTS, ids=lambda act: act.name)
def test_a_call_that_is_ended_leaves_nothing(  # noqa: PLR0917 - each is a fixture
    act: Act,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    often: Often,
    chance: Random,
    figure: Record,
) -> None:
    """Cancelled or timed out wherever: it ends so, all is free, and it can be repeated."""
    given = request.getfixturevalue(act.fixture) if act.fixture else None
    number = iter(range(1_000_000))

    def found(cut: Cut | None = None) -> Any:
        folder = tmp_path / str(next(number))
        folder.mkdir()
        return tried(act, given or folder, cut)

    whole = found()
    assert whole.faults == []
    what = "calls" if act in _CALLS else "jobs"
    manners = [one for one in MANNERS if one != TOGETHER or act.hands]
    cuts = [
        Cut(at, manner)
        for at in range(1, whole.steps + 1)
        for manner in (manners if what == "calls" else [chance.choice(manners)])
    ]
    faults, compared, count = [], 0, 0
    most = min(len(cuts), _MOST_REAL) if act.is_real else len(cuts)
    for cut in chance.sample(cuts, often(min(_A_FEW[what], most), most)):
        later = chance.randint(1, _LATEST) if cut.manner == AGAIN else 1
        one = found(Cut(cut.at, cut.manner, later))
        count += one.was_cut
        compared += one.compared
        faults += [f"{cut.manner} at step {cut.at}, {later} on: {said}" for said in one.faults]
    where = "some of their steps with a real server" if act.is_real else "each of their steps"
    figure(
        "Cancellation",
        f"{what}, cancelled (once or twice) or timed out at {where}, and repeated",
        times=count,
        orders=compared,
        lost=len(faults),
    )

    assert faults == []


def test_every_public_call_is_among_them() -> None:
    """What is new and can be awaited or iterated over is ended at its steps as well."""
    covered = {name for act in _ACTS for name in act.covers}

    assert public_calls() - covered == set()
    assert covered - public_calls() == set()


def public_calls() -> set[str]:
    """Return the names of all that a user can await, iterate over, or enter."""
    found = set()
    for name in vendororders_async.__all__:
        value = getattr(vendororders_async, name)
        if inspect.isclass(value):
            found |= {f"{name}.{method}" for method in _awaited(value)}
            found |= {name} if hasattr(value, "__aenter__") else set()
        elif callable(value) and _is_awaited(value):
            found.add(name)
    for name, part in vars(VendorOrdersClient(an_account())).items():
        if not name.startswith("_") and type(part).__module__.startswith("vendororders_async"):
            found |= {f"VendorOrdersClient.{name}.{method}" for method in _awaited(type(part))}
    return found


def _awaited(kind: type) -> set[str]:
    methods = inspect.getmembers(kind, inspect.isfunction)
    return {name for name, one in methods if not name.startswith("_") and _is_awaited(one)}


def _is_awaited(function: Any) -> bool:
    inner = inspect.unwrap(function)
    said = str(getattr(inner, "__annotations__", {}).get("return", ""))
    return (
        inspect.iscoroutinefunction(inner)
        or inspect.isasyncgenfunction(inner)
        or said.startswith(_AWAITED)
    )
