"""A trial: what befalls a job, on whose simulator, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from faulty_questions import ACCOUNT
from in_process import InProcess
from syncing import on_virtual_time
from troubles import (
    CLOCK,
    DIRECT_SUBMIT,
    OUTAGES,
    SUBMIT,
    TOKEN,
    Trouble,
    Troubles,
    a_few,
    is_outlived,
)

from vendororders_async.auth import OPERATION as LOGIN
from vendororders_async.limiter import Limiters
from vendororders_async.restricted import OperationTokens
from vendororders_async.simulator import OPERATIONS, Settings, Simulator
from vendororders_async.sinks.sqlite import SqliteSink

LONGEST = 3 * 86_400.0  # virtual seconds; a run that takes longer runs for ever

#: A history whose every list has next tokens, and windows of many pages: one second of it
#: cannot be split, and there are pages without a row.
DENSE: Mapping[str, Any] = {
    "orders": 600,
    "days": 10,
    "items": 1,
    "peak_day": 0.7,
    "peak_second": 0.6,
    "direct_fulfillment_orders": 1600,
    "empty_pages": 0.5,
}


class Cell(msgspec.Struct, frozen=True):
    """A job, and what befalls it; *seed* is the simulator's."""

    job: str
    troubles: tuple[Trouble, ...]
    seed: int = 0
    latency: float = 0.1

    @property
    def is_outlived(self) -> bool:
        """Whether the job must end as if nothing had happened."""
        if len(self.troubles) != 1:
            return False  # together they may be more than a few
        [one] = self.troubles
        is_job = not self.job.startswith(("iterate", "get", "submit"))
        return one.times <= a_few(one.kind) and is_outlived(
            one.kind, one.operation, is_job=is_job
        )


class Trial(msgspec.Struct):
    """How many orders were compared with the truth, and in words what was wrong.

    *struck* is how often something befell the job; where nothing did, it was no trial.
    """

    compared: int = 0
    wrong: list[str] = []
    struck: int = 0


class Scene:
    """A simulator, a way to it, and the troubles that are still to come."""

    def __init__(self, cell: Cell, **settings: Any) -> None:
        made = {"orders": 240, "days": 20, "direct_fulfillment_orders": 160} | settings
        now = on_virtual_time()
        self.simulator = Simulator(
            Settings(seed=cell.seed, latency=cell.latency, anchor=now(), **made), now=now
        )
        self.transport = InProcess(self.simulator)
        self.account = self.transport.accounts[0]
        self.trouble = Troubles(cell.troubles, self.simulator, self.transport)

    def tokens(self) -> tuple[OperationTokens, Limiters]:
        """Return what a new process begins with."""
        limiters = Limiters()
        return OperationTokens(self.transport, limiters), limiters

    def sink(self, folder: Path) -> SqliteSink:
        """Return a store, by the clock of this scene."""
        return SqliteSink(folder / "orders.db", now=self.transport.now)


def is_named(error: str, cell: Cell) -> bool:
    """Say whether *error* tells the account, and an operation that was in trouble."""
    operations = {one.operation for one in cell.troubles}
    if any(one.kind in {CLOCK, *OUTAGES} for one in cell.troubles):  # all were
        operations |= {TOKEN, *OPERATIONS}
    # what the simulator keeps apart has one name at Amazon's
    known = {TOKEN: LOGIN, DIRECT_SUBMIT: SUBMIT}
    names = {known.get(one, one) for one in operations}
    return any(f"{name} for {ACCOUNT}: " in error for name in names) or (
        TOKEN in operations and f"Login with Amazon refuses account {ACCOUNT} " in error
    )
