"""A backfill whose accounts are shared out among the workers of a cluster."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any
from uuid import uuid4

import msgspec

from ..errors import ConfigurationError, SinkError
from ..jobs.figures import Figures
from ..jobs.summary import AccountSummary, Summary
from ..shards import dealt
from .cluster import absolute, address_of, check_passwords, check_sink, connected
from .shard import TOPIC, Assignment, Outcome, run_shard, stop_shards

_STOP_SECONDS = 30.0  # until every worker has stored the page in hand
_REACH_SECONDS = 5.0  # until every worker knows of it
_RETRIES = 2  # of what fails for a reason that is not ours

_log = logging.getLogger("vendororders_async")

_OUTCOMES = msgspec.json.Decoder(Outcome)
_FIGURES = msgspec.json.Decoder(list[Figures])


class ClusterBackfill:
    """A backfill of the accounts called *names* by the workers of a Dask cluster.

    *on* is ``dask``, a cluster of this machine that lasts as long as the run, or the address
    of a scheduler: ``dask://host:8786``, ``tls://host:8786``. There are as many shards as the
    cluster has threads, unless *shard_count* says otherwise: an account takes as long as
    Amazon's plan makes it, so shards that wait for others only take longer. A shard whose
    worker dies goes on elsewhere from what the sink holds. *tell* is told how far accounts
    are, in the loop that runs it.

    Raises:
        ConfigurationError: there is no such place, or workers could not write to the sink.
        InvalidArgument: the range could not be meant.
    """

    def __init__(
        self,
        names: Iterable[str],
        assignment: Assignment,
        *,
        on: str = "dask",
        shard_count: int | None = None,
        tell: Callable[[Sequence[Figures]], None] | None = None,
    ) -> None:
        self._names = tuple(names)
        self._address = address_of(on)
        check_sink(assignment.to, self._address)
        check_passwords(
            {"--to": assignment.to, "--shared-limiter": assignment.shared_limiter},
            self._address,
        )
        assignment.checked()
        file = assignment.accounts_file
        self._assignment = msgspec.structs.replace(
            assignment, to=absolute(assignment.to), accounts_file=file and file.absolute()
        )
        self._shard_count = shard_count
        self._tell = tell
        self._run = uuid4().hex
        self._outcomes: dict[tuple[str, ...], Outcome] = {}
        self._seconds = 0.0

    def summary(self) -> Summary:
        """Return how all came out, in one."""
        return merged(self._names, self._outcomes, self._seconds)

    async def run(self) -> None:
        """Do it; cancelled, workers store the page in hand, and the next run goes on.

        Raises:
            ConfigurationError: the cluster cannot be used, or no worker could begin.
            SinkError: no worker could open the sink.
        """
        time = asyncio.get_running_loop().time
        began_at = time()
        try:
            async with connected(self._address, len(self._names)) as client:
                await self._run_on(client)
        finally:
            self._seconds = time() - began_at
        errors = [one for one in self._outcomes.values() if one.error is not None]
        if errors and len(errors) == len(self._outcomes):
            kind = ConfigurationError if errors[0].is_setting else SinkError
            raise kind(errors[0].error)

    async def _run_on(self, client: Any) -> None:
        threads: dict[str, int] = await client.nthreads()
        shards = dealt(self._names, self._shard_count or sum(threads.values()))
        _log.info("shards of accounts: %d, Dask workers: %d", len(shards), len(threads))
        client.subscribe_topic(TOPIC, self._heard)
        futures = [
            client.submit(
                run_shard,
                self._run,
                shard,
                self._assignment,
                key=f"vendororders-{self._run}-{index}",
                pure=False,
                retries=_RETRIES,
            )
            for index, shard in enumerate(shards)
        ]
        # Fetched as they come: a finished task whose result was lost is run again.
        gathering = [
            asyncio.create_task(self._gather(shard, future))
            for shard, future in zip(shards, futures, strict=True)
        ]
        try:
            await asyncio.wait(gathering)
        except asyncio.CancelledError:
            with suppress(OSError, TimeoutError):  # then they stop when the client is gone
                async with asyncio.timeout(_REACH_SECONDS):
                    await client.run(stop_shards, self._run, on_error="ignore")
            await asyncio.wait(gathering, timeout=_STOP_SECONDS)
            raise
        finally:
            for task in gathering:
                task.cancel()
            await asyncio.wait(gathering)
            await client.cancel(futures)
            client.unsubscribe_topic(TOPIC)

    async def _gather(self, shard: tuple[str, ...], future: Any) -> None:
        try:
            outcome = _OUTCOMES.decode(await future.result())
        except Exception as error:  # noqa: BLE001 - whatever a worker died of
            what = f"failed ({type(error).__name__}): its log says more"
            if future.cancelled():  # not by us, who do so when nobody waits any more
                what = "was lost with the scheduler: the same command goes on from there"
            outcome = Outcome(error=f"the task on Dask {what}")
        self._outcomes[shard] = outcome

    def _heard(self, event: tuple[float, Mapping[str, Any]]) -> None:
        """Take in what a task of this run tells."""
        _, message = event
        if message.get("run") != self._run:
            return
        if "figures" in message and self._tell is not None:
            self._tell(_FIGURES.decode(message["figures"]))
        if "line" in message:
            _log.log(message["level"], "%s", message["line"], extra=message["fields"])


def merged(
    names: Iterable[str], outcomes: Mapping[tuple[str, ...], Outcome], seconds: float
) -> Summary:
    """Return one summary of all shards; an account of which none tells is not complete."""
    summaries = [one.summary for one in outcomes.values() if one.summary is not None]
    told = {name: of for one in summaries for name, of in one.accounts.items()}
    errors = {name: one.error for shard, one in outcomes.items() for name in shard}
    accounts = {
        name: told.get(name)
        or AccountSummary(
            complete=False, orders=0, windows=0, requests=0, throttled=0, error=errors.get(name)
        )
        for name in names
    }
    sums = {
        field: sum(getattr(one, field) for one in summaries)
        for field in Summary.__struct_fields__
        if field not in {"complete", "seconds", "ideal_seconds", "accounts"}
    }
    return Summary(
        complete=all(one.complete for one in accounts.values()),
        seconds=round(seconds, 3),
        ideal_seconds=max((one.ideal_seconds for one in summaries), default=0.0),
        accounts=accounts,
        **sums,
    )
