"""A sync with its deliveries: what ends it, in which order, and what is said of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import suppress
from datetime import UTC, datetime

import msgspec
import pytest
from virtual_time import run

from vendororders_async.changes import Change, StatusChanged
from vendororders_async.cli.following import Following, closing_line, standing_line
from vendororders_async.errors import ConfigurationError, SinkError
from vendororders_async.jobs.delivery import Delivery
from vendororders_async.jobs.standing import AccountStanding, Standing
from vendororders_async.jobs.summary import AccountSummary, Summary

START = datetime(2026, 11, 1, tzinfo=UTC)
LISTENING = 5.0  # seconds in which a sync that was stopped waits for who listens
SUMMARY = msgspec.structs.replace(
    Summary.of_nothing(),
    orders=1_200,
    new=3,
    seconds=7_500.0,
    accounts={
        "acme": AccountSummary(complete=True, orders=3, windows=1, requests=9, throttled=0)
    },
)


class Job:
    """Records *count* changes a second apart, and follows until it is stopped.

    With *once* it ends by itself after the last of them, else *ending* seconds after a stop,
    and does not wait for ever for who listens.
    """

    def __init__(self, count: int = 3, *, once: bool = False, ending: float = 0.5) -> None:
        self.consumed: dict[str | None, int] = {}
        self.asked: list[tuple[str | None, int | None]] = []
        self.has_left = False
        self._count = count
        self._ending = ending
        self._listener_count = 0
        self._once = once
        self._stopping = asyncio.Event()
        self._has_ended = asyncio.Event()

    async def run(self) -> None:
        """Follow."""
        try:
            if self._once:
                await asyncio.sleep(self._count)
            else:
                await self._stopping.wait()
                await asyncio.sleep(self._ending)  # for the page in hand
            self._has_ended.set()
            with suppress(TimeoutError):
                async with asyncio.timeout(None if self._once else LISTENING):
                    while self._listener_count:  # noqa: ASYNC110 - no more than a fake
                        await asyncio.sleep(0.1)
        finally:
            self.has_left = True
            self._has_ended.set()

    def stop(self) -> None:
        """End."""
        self._stopping.set()

    def summary(self) -> Summary:
        """Return one."""
        return SUMMARY

    def standing(self) -> Standing:
        """Return one of one account."""
        return Standing(
            began_at=START,
            is_ready=True,
            accounts=(
                AccountStanding(
                    account="acme", api="retail", requests_an_hour={"a": 700.0, "b": 560.4}
                ),
            ),
        )

    async def changes(
        self, *, consumer: str | None = None, after: int | None = None
    ) -> AsyncGenerator[list[Change]]:
        """Yield one change a second, then wait for the end."""
        self.asked.append((consumer, after))
        self._listener_count += 1
        try:
            async for batch in self._batches(consumer):
                yield batch
        finally:
            self._listener_count -= 1

    async def _batches(self, consumer: str | None) -> AsyncGenerator[list[Change], None]:
        for sequence in range(1, self._count + 1):
            await asyncio.sleep(1)
            yield [
                StatusChanged(
                    sequence=sequence,
                    recorded_at=START,
                    account="acme",
                    api="retail",
                    purchase_order_number="A1",
                    digest="0",
                )
            ]
            assert not self.has_left  # or there would be no sink to remember it in
            self.consumed[consumer] = sequence
        await self._has_ended.wait()


class Recipient:
    """Takes what *answer* does not refuse, in *seconds*."""

    def __init__(
        self, answer: Callable[[int], str | None] = lambda _sequence: None, seconds: float = 0.0
    ) -> None:
        self._answer = answer
        self._seconds = seconds

    async def take(self, lines: bytes) -> str | None:
        """Take a change, or say why not."""
        await asyncio.sleep(self._seconds)
        return self._answer(json.loads(lines)["sequence"])


class Deaf(Recipient):
    """Takes two seconds to be ended."""

    async def take(self, lines: bytes) -> str | None:
        """Take a change, and hang on to it for a moment."""
        try:
            return await super().take(lines)
        finally:
            await asyncio.sleep(2)


def gone(_sequence: int) -> str | None:
    """Raise what a closed pipe does."""
    raise SinkError("nobody reads standard output any more")


def timed(main: Callable[[], Coroutine[None, None, None]]) -> float:
    """Return how many seconds *main* takes."""

    async def measured() -> float:
        began_at = asyncio.get_running_loop().time()
        await main()
        return asyncio.get_running_loop().time() - began_at

    return run(measured())


def test_two_consumers_get_everything_each_at_its_own_pace() -> None:
    """And a run that ends by itself waits until both have it, before it ends."""
    job = Job(once=True)
    deliveries = [Delivery("events", Recipient()), Delivery("exec", Recipient(seconds=60))]
    following = Following(job, deliveries, after=7)
    seconds = timed(following.run)

    assert job.consumed == {"events": 3, "exec": 3}
    assert job.asked == [("events", 7), ("exec", 7)]
    assert seconds == pytest.approx(3 * 61, abs=0.1)
    assert following.has_ended
    assert following.has_delivered


@pytest.mark.parametrize("seconds", [0.0, 1e6], ids=["quick", "hangs"])
def test_a_stop_ends_it_in_order_and_within_seconds(seconds: float) -> None:
    """The job ends first of all, and whoever hangs over a batch is left."""
    job = Job()
    following = Following(job, [Delivery("exec", Recipient(seconds=seconds))])

    async def main() -> None:
        asyncio.get_running_loop().call_later(10, following.stop)
        await following.run()

    took = timed(main)

    assert following.has_ended
    assert job.has_left
    assert took == pytest.approx(10 + 0.5 + (LISTENING if seconds else 0), abs=0.2)
    assert job.consumed == ({} if seconds else {"exec": 3})


def test_what_the_last_pages_bring_is_delivered_before_it_ends() -> None:
    """Also five seconds after a stop, which is as long as they may take."""
    job = Job(count=10, ending=LISTENING)
    following = Following(job, [Delivery("exec", Recipient(seconds=0.5))])

    async def main() -> None:
        asyncio.get_running_loop().call_later(10, following.stop)
        await following.run()

    took = timed(main)

    assert job.consumed == {"exec": 10}
    assert took == pytest.approx(15, abs=0.2)


def test_all_in_all_a_stop_takes_less_than_twelve_seconds() -> None:
    """When both the last pages and a recipient take all their time, and it two to be ended."""
    job = Job(ending=LISTENING)
    following = Following(job, [Delivery("exec", Deaf(seconds=1e6))])

    async def main() -> None:
        asyncio.get_running_loop().call_later(10, following.stop)
        await following.run()

    assert LISTENING < timed(main) - 10 < 12


def test_a_reader_that_has_gone_ends_the_run_in_order() -> None:
    """The other consumer gets what is recorded, and the error comes out at the end."""
    job = Job(count=2)
    others = Delivery("exec", Recipient(seconds=1.5))
    following = Following(job, [Delivery("events", Recipient(gone)), others])

    with pytest.raises(SinkError, match="nobody reads"):
        run(following.run())
    assert job.has_left
    assert job.consumed == {"exec": 2}


def test_a_job_that_cannot_run_ends_everything_with_its_own_error() -> None:
    """Not with a group of errors, which no user should have to read."""

    class Unusable(Job):
        async def run(self) -> None:
            raise ConfigurationError("no sink to follow into")

    following = Following(Unusable(), [Delivery("exec", Recipient())])

    with pytest.raises(ConfigurationError, match="no sink to follow into"):
        run(following.run())


def test_who_gives_up_does_not_end_the_run() -> None:
    """The sink is brought up to date all the same, and it is known who has not got it."""
    job = Job(count=10, once=True)
    stubborn = Delivery("exec", Recipient(lambda _sequence: "no"), tries=2)
    following = Following(job, [stubborn, Delivery("events", Recipient())])
    run(following.run())

    assert not following.has_delivered
    assert job.consumed == {"events": 10}


def test_a_cancellation_ends_everything_at_once() -> None:
    """As a second signal wants it."""
    job = Job()
    following = Following(job, [Delivery("exec", Recipient(seconds=1e6))])

    async def main() -> None:
        task = asyncio.ensure_future(following.run())
        await asyncio.sleep(10)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        assert task.cancelled()

    assert timed(main) == pytest.approx(10, abs=0.1)
    assert job.has_left
    assert not following.has_ended


def test_on_a_terminal_a_line_now_and_then_says_how_it_stands() -> None:
    """Two a minute: accounts, orders, and what it costs."""
    said: list[str] = []
    run(Following(Job(count=65, once=True), tell=said.append).run())

    assert (
        said
        == ["following 1 account, 1,200 orders (3 new, 0 changed), 1,260 requests an hour"] * 2
    )


def test_the_line_names_accounts_that_are_set_aside() -> None:
    """Some of them, when there are many."""
    accounts = [
        AccountStanding(account=f"acme-{name}", api="retail", error="refused")
        for name in ("de", "fr", "it", "us", "uk")
    ]
    standing = Standing(began_at=START, is_ready=False, accounts=tuple(accounts))

    assert ", set aside: acme-de, acme-fr, acme-it and 2 more, " in standing_line(
        standing, SUMMARY
    )


def test_the_last_line_says_how_it_came_out() -> None:
    """A sync that goes on for ever is stopped; one look is complete, or not."""
    line = closing_line(msgspec.structs.replace(SUMMARY, quarantine_standing=2), once=False)

    assert line == (
        "stopped: followed 1 account for 2 h 5 min, 1,200 orders (3 new, 0 changed), "
        "0 requests, 0 throttled, 0 quarantined (2 standing)"
    )
    assert closing_line(SUMMARY, once=True).startswith("incomplete: ")
