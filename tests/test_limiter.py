"""Pace, on virtual time: as fast as the plan allows, and never faster."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine
from typing import Any

import pytest
from fakes import an_account
from hypothesis import given, settings
from hypothesis import strategies as st
from virtual_time import elapsed, run

from vendororders_async.limiter import Gate, Limiter, Limiters, Paused, Urgency
from vendororders_async.operations import GET_PURCHASE_ORDER, GET_PURCHASE_ORDERS
from vendororders_async.usage import UsagePlan

PLAN = UsagePlan(rate=10, burst=10)
SLACK = 0.01  # seconds; the virtual clock ticks a little at every timer
PLANS = st.builds(
    UsagePlan,
    rate=st.sampled_from([0.5, 1, 2, 5, 10]),
    burst=st.sampled_from([1, 2, 5, 10, 15]),
)


class StrictBucket:
    """Amazon's side, as strict as it can be: counts what arrives, refuses what is too much."""

    def __init__(self, plan: UsagePlan) -> None:
        self._plan = plan
        self._content = plan.burst
        self._at = 0.0
        self.refused_count = 0

    def arrive(self) -> bool:
        """Judge a request that arrives now."""
        now = asyncio.get_running_loop().time()
        gained = (now - self._at) * self._plan.rate
        self._content, self._at = min(self._plan.burst, self._content + gained), now
        if self._content < 1:
            self.refused_count += 1
            return False
        self._content -= 1
        return True


def now() -> float:
    """Return the loop's time."""
    return asyncio.get_running_loop().time()


async def permit(limiter: Gate, urgency: Urgency = Urgency.BULK) -> float:
    """Wait for a permit as a request does, outside of the queue while there is a pause."""
    while True:
        try:
            return await limiter.acquire(urgency)
        except Paused as pause:
            await asyncio.sleep(pause.seconds)


async def permits(limiter: Gate, count: int) -> list[float]:
    """Ask for *count* permits at once and return when each was given."""
    return sorted(await asyncio.gather(*(permit(limiter) for _ in range(count))))


async def warmed(limiter: Limiter) -> None:
    """Spend what the bucket holds, so that only its rate is left."""
    await permits(limiter, 9)


@given(PLANS, st.integers(1, 120))
@settings(max_examples=40, deadline=None)
def test_many_permits_take_as_long_as_the_plan_says(plan: UsagePlan, count: int) -> None:
    """Not a moment less than the plan within its margin, and hardly more."""
    seconds = run(elapsed(permits(Limiter(plan), count)))
    ideal = plan.with_margin().seconds_for(count)

    assert ideal - SLACK <= seconds <= ideal * 1.001 + SLACK


@given(PLANS, st.lists(st.floats(0, 3), max_size=60))
@settings(max_examples=40, deadline=None)
def test_no_interval_has_more_permits_than_the_plan(
    plan: UsagePlan, pauses: list[float]
) -> None:
    """However requests bunch up: burst + rate * t at the most, in every interval."""

    async def scenario() -> list[float]:
        limiter = Limiter(plan)
        tasks = []
        for pause in pauses:
            tasks.append(asyncio.ensure_future(permit(limiter)))
            await asyncio.sleep(pause * (pause > 1))
        return sorted(await asyncio.gather(*tasks))

    given_at = run(scenario())
    inside = plan.with_margin()

    for i, start in enumerate(given_at):
        for j, end in enumerate(given_at[i:]):
            assert j + 1 <= inside.burst + inside.rate * (end - start + SLACK) + 1e-6


@pytest.mark.parametrize("seed", range(5))
def test_a_strict_bucket_never_refuses(seed: int) -> None:
    """1,000 requests with up to 50 ms of jitter on their way, and not one 429."""

    async def scenario() -> int:
        dice = random.Random(seed)
        limiter, amazon = Limiter(PLAN), StrictBucket(PLAN)

        async def request() -> None:
            sent_at = await permit(limiter)
            await asyncio.sleep(dice.uniform(0, 0.05))
            limiter.observe(200 if amazon.arrive() else 429, {}, sent_at)

        for _ in range(10):
            await asyncio.gather(*(request() for _ in range(100)))
            await asyncio.sleep(dice.uniform(0, 3))
        return amazon.refused_count

    assert run(scenario()) == 0


@pytest.mark.parametrize("seed", range(3))
def test_two_clients_on_one_plan_find_their_shares(seed: int) -> None:
    """A second process that we do not know of costs a 429 or two in a hundred."""

    async def scenario() -> tuple[float, float]:
        dice = random.Random(seed)
        amazon = StrictBucket(PLAN)
        ends_at = now() + 300
        counts = [0, 0]

        async def request(number: int, limiter: Limiter) -> None:
            sent_at = await permit(limiter)
            await asyncio.sleep(dice.uniform(0, 0.05))
            counts[number] += 1
            limiter.observe(200 if amazon.arrive() else 429, {}, sent_at)

        async def client(number: int) -> None:
            limiter = Limiter(PLAN)

            async def work() -> None:
                while now() < ends_at:
                    await request(number, limiter)

            await asyncio.gather(*(work() for _ in range(10)))

        await asyncio.gather(client(0), client(1))
        return amazon.refused_count / sum(counts), sum(counts) / 300

    refused, rate = run(scenario())

    assert refused < 0.02
    assert rate > 6


def test_permits_are_given_in_the_order_they_were_asked_for() -> None:
    """First come, first served, also for those who come while others wait."""

    async def scenario() -> list[int]:
        limiter = Limiter(PLAN)
        served: list[int] = []

        async def ask(number: int) -> None:
            await permit(limiter)
            served.append(number)

        tasks = []
        for number in range(60):
            tasks.append(asyncio.ensure_future(ask(number)))
            await asyncio.sleep(0.03)
        await asyncio.gather(*tasks)
        return served

    assert run(scenario()) == list(range(60))


def test_a_person_goes_before_a_bulk_job() -> None:
    """Whoever is at the head keeps it; behind it, people come first, in their order."""

    async def scenario() -> list[str]:
        limiter = Limiter(PLAN)
        await warmed(limiter)
        served: list[str] = []

        async def ask(who: str, urgency: Urgency) -> None:
            await permit(limiter, urgency)
            served.append(who)

        async with asyncio.TaskGroup() as group:
            for number in range(5):
                group.create_task(ask(f"bulk {number}", Urgency.BULK))
            await asyncio.sleep(0.01)
            for number in range(2):
                group.create_task(ask(f"person {number}", Urgency.PERSON))
        return served

    assert run(scenario()) == [
        "bulk 0", "person 0", "person 1", "bulk 1", "bulk 2", "bulk 3", "bulk 4",
    ]  # fmt: skip


@given(
    st.lists(st.tuples(st.floats(0, 2), st.sampled_from(Urgency)), min_size=5, max_size=40),
    st.sets(st.integers(0, 39)),
    st.floats(0, 3),
)
@settings(max_examples=60, deadline=None)
def test_a_cancelled_waiter_costs_no_permit(
    asks: list[tuple[float, Urgency]], cancelled: set[int], moment: float
) -> None:
    """Whoever gives up, at whatever moment, gives the place back to the next one."""

    async def scenario() -> tuple[int, float, float]:
        limiter = Limiter(PLAN)
        tasks = [asyncio.ensure_future(permit(limiter, urgency)) for _, urgency in asks]
        await asyncio.sleep(0)
        loop = asyncio.get_running_loop()
        for number in cancelled & set(range(len(tasks))):
            loop.call_later(asks[number][0], tasks[number].cancel)
        await asyncio.sleep(moment)
        tasks += [asyncio.ensure_future(permit(limiter)) for _ in range(3)]
        results = await asyncio.gather(*tasks, return_exceptions=True)
        times = [one for one in results if isinstance(one, float)]
        last_at = max(times)
        # nobody is left behind, and the next one is served at the pace
        seconds = await asyncio.wait_for(elapsed(permit(limiter)), 10)
        return len(times), last_at - 1_000, seconds

    served, last, seconds = run(scenario())
    pace = PLAN.with_margin()

    assert served >= len(asks) + 3 - len(cancelled)
    assert last <= max(moment, 2.0) + pace.seconds_for(served) + 0.3 + SLACK
    assert seconds <= 1 / pace.rate + SLACK


@pytest.mark.parametrize("steps", range(6))
def test_the_head_can_give_up_at_any_step(steps: int) -> None:
    """The turn is passed on even when it comes at the moment of the cancellation."""

    async def scenario() -> float:
        limiter = Limiter(PLAN)
        await warmed(limiter)
        tasks = [asyncio.ensure_future(permit(limiter)) for _ in range(4)]
        await asyncio.sleep(0)
        tasks[0].cancel()
        for _ in range(steps):
            await asyncio.sleep(0)
        tasks[1].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return await asyncio.wait_for(elapsed(permit(limiter)), 1)

    assert run(scenario()) <= 0.1 + SLACK


def after_429(limiter: Limiter) -> Coroutine[Any, Any, list[float]]:
    """Return, relative to now, when the next permits come."""

    async def scenario() -> list[float]:
        began_at = now()
        return [at - began_at for at in await permits(limiter, 4)]

    return scenario()


def test_a_429_pauses_for_as_long_as_a_bucket_takes_to_fill() -> None:
    """Then it goes on at three quarters of the pace, from an empty bucket."""

    async def scenario() -> list[float]:
        limiter = Limiter(PLAN)
        limiter.observe(429, {}, await permit(limiter))
        return await after_429(limiter)

    first, *_, last = run(scenario())

    assert 1.0 <= first <= 1.0 + 1 / 7.5 + SLACK
    assert last - first == pytest.approx(3 / 7.5, abs=SLACK)


def test_nobody_passes_during_the_pause() -> None:
    """Not even who was waiting at the head when the 429 came: it would draw the next one."""

    async def scenario() -> float:
        limiter = Limiter(PLAN)
        sent_at = await permit(limiter)
        await permits(limiter, 8)
        waiting = asyncio.ensure_future(permits(limiter, 3))
        await asyncio.sleep(0.05)
        signalled_at = now()
        limiter.observe(429, {}, sent_at)
        return (await waiting)[0] - signalled_at

    assert run(scenario()) >= 1.0 - SLACK


def test_the_429s_of_one_moment_are_one_signal() -> None:
    """Ten requests that were on their way together say the same thing once."""

    async def scenario() -> tuple[str, list[float]]:
        limiter = Limiter(PLAN)
        sent = await permits(limiter, 9)
        for sent_at in sent:
            limiter.observe(429, {}, sent_at)
            await asyncio.sleep(0.01)
        shown = repr(limiter)
        return shown, await after_429(limiter)

    shown, (first, *_) = run(scenario())

    assert shown == "<Limiter 10/s burst 10, 0 waiting, slowed to 75%>"
    assert first <= 1.0 + 1 / 7.5 + SLACK


def test_a_429_that_follows_doubles_the_pause() -> None:
    """1 s, 2 s, 4 s, and half a minute at the most."""

    async def scenario() -> list[float]:
        limiter = Limiter(PLAN)
        pauses: list[float] = []
        limiter.observe(429, {}, await permit(limiter))
        for _ in range(8):
            began_at = now()
            sent_at = await permit(limiter)
            pauses.append(
                round(sent_at - began_at - 1 / (10 * max(0.75 ** (len(pauses) + 1), 0.1)), 1)
            )
            limiter.observe(429, {}, sent_at)
        return pauses

    assert run(scenario()) == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]


def test_a_429_after_a_quiet_time_starts_anew() -> None:
    """A pause is not doubled for something that happened long ago."""

    async def scenario() -> float:
        limiter = Limiter(PLAN)
        for _ in range(2):
            limiter.observe(429, {}, await permit(limiter))
            await asyncio.sleep(60)
        limiter.observe(429, {}, await permit(limiter))
        return (await after_429(limiter))[0]

    assert run(scenario()) <= 1.0 + 1 / 4 + SLACK


def test_a_429_among_successes_does_not_make_the_pause_longer() -> None:
    """Amazon throttles now and then for no reason: only 429 upon 429 is a longer matter."""

    async def scenario() -> float:
        limiter = Limiter(UsagePlan(rate=100, burst=10))
        for _ in range(6):
            limiter.observe(429, {}, await permit(limiter))
            for _ in range(10):
                limiter.observe(200, {}, await permit(limiter))
        limiter.observe(429, {}, await permit(limiter))
        return (await after_429(limiter))[0]

    assert run(scenario()) < 0.1 + 0.2 + SLACK


def test_the_pace_never_falls_below_a_tenth() -> None:
    """However many 429s, something still goes."""

    async def scenario() -> str:
        limiter = Limiter(PLAN)
        for _ in range(30):
            limiter.observe(429, {}, await permit(limiter))
        return repr(limiter)

    assert run(scenario()) == "<Limiter 10/s burst 10, 0 waiting, slowed to 10%>"


def test_the_pace_recovers_in_quiet_times() -> None:
    """Step by step, one for every ten quiet seconds, back to the whole plan."""

    async def scenario() -> list[str]:
        limiter = Limiter(PLAN)
        for _ in range(2):
            limiter.observe(429, {}, await permit(limiter))
        shown = [repr(limiter)]
        for seconds in (13, 11, 11):  # the first ones include the pause
            began_at = now()
            while now() - began_at < seconds:
                await permit(limiter)
            shown.append(repr(limiter))
        return shown

    assert run(scenario()) == [
        "<Limiter 10/s burst 10, 0 waiting, slowed to 56%>",
        "<Limiter 10/s burst 10, 0 waiting, slowed to 75%>",
        "<Limiter 10/s burst 10, 0 waiting>",
        "<Limiter 10/s burst 10, 0 waiting>",
    ]


def test_the_pace_is_whole_again_after_recovery() -> None:
    """Once recovered, the plan's rate is really sent, not only printed."""

    async def scenario() -> float:
        limiter = Limiter(PLAN)
        limiter.observe(429, {}, await permit(limiter))
        await asyncio.sleep(12)
        await permits(limiter, 5)
        return await elapsed(permits(limiter, 100))

    assert run(scenario()) == pytest.approx(10.0, abs=0.2)


@pytest.mark.parametrize("rate", [20.0, 5.0, 0.5])
def test_a_granted_rate_is_taken_over_within_seconds(rate: float) -> None:
    """Amazon's header raises and lowers the pace."""

    async def scenario() -> tuple[float, UsagePlan]:
        limiter = Limiter(PLAN)
        await warmed(limiter)
        limiter.observe(200, {"x-amzn-RateLimit-Limit": str(rate)}, now())
        await permit(limiter)
        await permit(limiter)
        return await elapsed(permits(limiter, 20)), limiter.plan

    seconds, plan = run(scenario())

    assert plan == UsagePlan(rate, 10)
    assert seconds == pytest.approx(20 / rate, rel=0.01)


@pytest.mark.parametrize("text", ["nan", "inf", "0", "-1", "fast", ""])
def test_a_header_of_garbage_changes_nothing(text: str) -> None:
    """The plan stays as it was published."""

    async def scenario() -> UsagePlan:
        limiter = Limiter(PLAN)
        limiter.observe(200, {"x-amzn-RateLimit-Limit": text}, await permit(limiter))
        return limiter.plan

    assert run(scenario()) == PLAN


def test_a_new_rate_brings_no_new_burst() -> None:
    """Amazon's bucket is not refilled by a header, so ours is not."""

    async def scenario() -> float:
        limiter = Limiter(PLAN)
        await warmed(limiter)
        limiter.observe(200, {"x-amzn-RateLimit-Limit": "20"}, now())
        return await elapsed(permits(limiter, 9))

    assert run(scenario()) >= 8 / 20


def test_other_answers_change_nothing() -> None:
    """Only a 429 slows down; a 500 does not."""

    async def scenario() -> str:
        limiter = Limiter(PLAN)
        for status in (200, 202, 400, 403, 404, 500, 503):
            limiter.observe(status, {}, await permit(limiter))
        return repr(limiter)

    assert run(scenario()) == "<Limiter 10/s burst 10, 0 waiting>"


def test_a_drained_bucket_has_only_its_rate() -> None:
    """Somebody else may just have spent the burst."""

    async def scenario() -> float:
        limiter = Limiter(PLAN)
        limiter.drain()
        return await elapsed(permits(limiter, 10))

    assert run(scenario()) == pytest.approx(1.0, abs=SLACK)


def test_a_bucket_can_be_drained_in_use() -> None:
    """What was saved up is gone, and time fills it again."""

    async def scenario() -> tuple[float, float]:
        limiter = Limiter(PLAN)
        await permit(limiter)
        limiter.drain()
        drained = await elapsed(permits(limiter, 10))
        await asyncio.sleep(5)
        return drained, await elapsed(permits(limiter, 9))

    drained, refilled = run(scenario())

    assert drained == pytest.approx(1.0, abs=SLACK)
    assert refilled <= SLACK


def test_an_idle_bucket_fills_up_to_its_burst() -> None:
    """A long rest brings the burst back, and no more than that."""

    async def scenario() -> float:
        limiter = Limiter(PLAN)
        await permits(limiter, 30)
        await asyncio.sleep(3_600)
        return await elapsed(permits(limiter, 10))

    assert run(scenario()) == pytest.approx(0.1, abs=SLACK)


def test_a_limiter_prints_its_state() -> None:
    """Plan and queue: what one wants to know when nothing moves."""

    async def scenario() -> list[str]:
        limiter = Limiter(PLAN)
        shown = [repr(limiter)]
        await warmed(limiter)
        tasks = [asyncio.ensure_future(permit(limiter)) for _ in range(4)]
        await asyncio.sleep(0)
        shown.append(repr(limiter))
        await asyncio.gather(*tasks)
        shown.append(repr(limiter))
        return shown

    assert run(scenario()) == [
        "<Limiter 10/s burst 10, 0 waiting>",
        "<Limiter 10/s burst 10, 3 waiting>",
        "<Limiter 10/s burst 10, 0 waiting>",
    ]


def test_who_gave_up_is_not_counted_as_waiting() -> None:
    """A queue of the dead would worry whoever reads it."""

    async def scenario() -> str:
        limiter = Limiter(PLAN)
        await warmed(limiter)
        tasks = [asyncio.ensure_future(permit(limiter)) for _ in range(4)]
        await asyncio.sleep(0)
        for task in tasks[1:]:
            task.cancel()
        await asyncio.sleep(0)
        shown = repr(limiter)
        await tasks[0]
        return shown

    assert run(scenario()) == "<Limiter 10/s burst 10, 0 waiting>"


def test_accounts_and_operations_do_not_share_a_bucket() -> None:
    """Amazon counts per application, account and operation."""
    limiters = Limiters()
    german, french = an_account("germany"), an_account("france")
    sandboxed = an_account(
        "germany", endpoint="https://sandbox.sellingpartnerapi-na.amazon.com"
    )
    found = {
        id(limiters.of(german, GET_PURCHASE_ORDERS)),
        id(limiters.of(german, GET_PURCHASE_ORDER)),
        id(limiters.of(french, GET_PURCHASE_ORDERS)),
        id(limiters.of(sandboxed, GET_PURCHASE_ORDERS)),
    }

    assert len(found) == 4


def test_equal_credentials_share_a_bucket() -> None:
    """Two names for one vendor group still have one plan."""
    limiters = Limiters()
    one = an_account("germany")
    twin = an_account("germany", marketplace="DE")

    assert limiters.of(one, GET_PURCHASE_ORDERS) is limiters.of(twin, GET_PURCHASE_ORDERS)
