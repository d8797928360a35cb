"""Many accounts in one process, some of them dead: nobody is slowed, and nothing grows.

On virtual time, over a transport that answers by itself.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from functools import cache
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest
from fakes import EPOCH, an_account, virtual_now
from memory_sink import MemorySink
from multidict import CIMultiDict
from virtual_time import run

from vendororders_async.accounts import Account
from vendororders_async.errors import TransportError
from vendororders_async.jobs.backfill import Backfill
from vendororders_async.jobs.reading import Reading
from vendororders_async.jobs.summary import Summary
from vendororders_async.sinks.base import Arrival, Written
from vendororders_async.telemetry import AccountFinished, Event
from vendororders_async.transport import Answer, Pass, Transport

LATENCY = 0.3
SILENCE = 24.0  # seconds until a request without an answer is given up
UNTIL = EPOCH - timedelta(days=10)
DAYS = 28
HEADERS = CIMultiDict({"x-amzn-RateLimit-Limit": "10.0"})

DEATHS = (
    "login refused",
    "login hangs",
    "connection refused",
    "never answers",
    "throttled for ever",
    "broken for ever",
)


def alive(count: int) -> list[Account]:
    """Return so many accounts that are well."""
    return [_account(f"well-{number}", "well") for number in range(count)]


def dead(count: int, deaths: Sequence[str] = DEATHS) -> list[Account]:
    """Return so many accounts that are dead, each in its own of *deaths* in turn."""
    return [
        _account(f"dead-{number}", deaths[number % len(deaths)].replace(" ", "-"))
        for number in range(count)
    ]


def _account(name: str, fate: str) -> Account:
    return an_account(
        name,
        endpoint=f"https://{fate}.example/{name}",
        token_url=f"https://{fate}.login/{name}",
    )


class Amazon(Transport):
    """Answers every account by its fate, and counts what is under way.

    Each week has *page_count* pages of two orders.
    """

    def __init__(self, *, page_count: int = 3, limit: int | None = None, accounts: int) -> None:
        super().__init__(account_count=accounts, limit=limit)
        self.page_count = page_count
        self.under_way: Counter[str] = Counter()
        self.most_under_way = 0
        self.most_logins = 0
        self.sent: Counter[str] = Counter()

    async def exchange(
        self,
        method: str,
        url: str,
        *,
        headers: object,  # noqa: ARG002 - whoever asks is known by the address
        body: bytes | None = None,  # noqa: ARG002 - of a login
        may_pass: Pass | None = None,
    ) -> Answer:
        """Hold a connection, wait for the permit, and do what the account's fate is."""
        parts = urlsplit(url)
        fate = parts.netloc.partition(".")[0]
        name = parts.path.split("/")[1]
        kind = "login" if method == "POST" else "api"
        self.under_way[kind] += 1
        self.most_under_way = max(self.most_under_way, self.under_way.total())
        self.most_logins = max(self.most_logins, self.under_way["login"])
        try:
            if may_pass is not None:
                await may_pass()
            self.sent[name] += 1
            if method == "POST":
                return await self._login(fate)
            return await self._page(fate, name, parse_qs(parts.query))
        finally:
            self.under_way[kind] -= 1

    async def _login(self, fate: str) -> Answer:
        await asyncio.sleep(SILENCE if fate == "login-hangs" else LATENCY)
        if fate == "login-hangs":
            raise TransportError("no answer in time")
        if fate == "login-refused":
            return Answer(401, HEADERS, b'{"error": "invalid_client"}')
        return Answer(200, HEADERS, b'{"access_token": "Atza|x", "expires_in": 3600}')

    async def _page(self, fate: str, name: str, query: dict[str, list[str]]) -> Answer:
        if fate == "connection-refused":
            raise TransportError("no connection", sent=False)
        await asyncio.sleep(SILENCE if fate == "never-answers" else LATENCY)
        match fate:
            case "never-answers":
                raise TransportError("no answer in time")
            case "throttled-for-ever":
                return Answer(429, HEADERS, b"")
            case "broken-for-ever":
                return Answer(500, HEADERS, b"")
        begins, ends = query["createdAfter"][0], query["createdBefore"][0]
        length = datetime.fromisoformat(ends) - datetime.fromisoformat(begins)
        page_count = max(round(self.page_count * (length / timedelta(days=7))), 1)
        number = int(query.get("nextToken", ["1"])[0])
        orders = [
            {
                "purchaseOrderNumber": f"{name}.{begins}.{number}.{row}",
                "purchaseOrderState": "New",
            }
            for row in range(2)
        ]
        pagination = {"nextToken": str(number + 1)} if number < page_count else {}
        payload = {"payload": {"pagination": pagination, "orders": orders}}
        return Answer(200, HEADERS, msgspec.json.encode(payload))


class Run(msgspec.Struct, frozen=True):
    """A backfill that has ended, in virtual seconds."""

    summary: Summary
    sink: MemorySink
    amazon: Amazon
    seconds: dict[str, float]  # by account that was finished

    @property
    def slowest(self) -> float:
        """When the last healthy account was done."""
        return max(seconds for name, seconds in self.seconds.items() if name[:4] == "well")

    def order_count(self, name: str) -> int:
        """Return how many orders of an account are stored."""
        return sum(account == name for account, _, _ in self.sink.documents)


def backfill(
    accounts: Iterable[Account],
    *,
    sink: Callable[[], MemorySink] | None = None,
    days: int = DAYS,
    page_count: int = 3,
    limit: int | None = None,
) -> Run:
    """Run a backfill of *accounts* on virtual time."""
    accounts = list(accounts)
    seconds: dict[str, float] = {}
    amazon = Amazon(page_count=page_count, limit=limit, accounts=len(accounts))

    async def scenario() -> Run:
        loop = asyncio.get_running_loop()
        began_at = loop.time()
        kept = sink() if sink else MemorySink(now=virtual_now)

        def observe(event: Event) -> None:
            if isinstance(event, AccountFinished):
                seconds[event.account] = loop.time() - began_at

        reading = Reading(since=UNTIL - timedelta(days=days), until=UNTIL, streams=["created"])
        job = Backfill(
            accounts, reading, to=kept, observer=observe, transport=amazon, now=virtual_now
        )
        await job.run()
        return Run(job.summary(), kept, amazon, seconds)

    return run(scenario())


@cache  # for both tests of it: the dead are tried for a quarter of an hour
def a_quarter_is_dead() -> Run:
    """Return a backfill of 24 accounts, six of which are dead, each in its own way."""
    return backfill([*dead(len(DEATHS)), *alive(18)], page_count=8)


def test_the_dead_slow_nobody() -> None:
    """Of 24 accounts a quarter is dead, each in its own way: the rest is as fast as alone."""
    alone = backfill(alive(1), page_count=8)
    result = a_quarter_is_dead()

    assert result.slowest <= alone.slowest * 1.05
    assert {result.order_count(f"well-{number}") for number in range(18)} == {
        alone.order_count("well-0")
    }
    assert alone.order_count("well-0") >= 50


def test_the_dead_are_named() -> None:
    """The summary says of each account whether it is whole, and of the dead what happened."""
    result = a_quarter_is_dead()
    errors = [result.summary.accounts[f"dead-{number}"].error or "" for number in range(6)]

    assert not result.summary.complete
    assert all(result.summary.accounts[f"well-{number}"].complete for number in range(18))
    assert "refuses account dead-0" in errors[0]
    assert "no answer in time" in errors[1]
    assert "no connection" in errors[2]
    assert "no answer in time" in errors[3]
    assert "429" in errors[4]
    assert "500" in errors[5]


@pytest.mark.parametrize("death", DEATHS[2:5])
def test_few_places_are_not_filled_with_the_dead(death: str) -> None:
    """With 8 requests in flight for 20 accounts, 2 of them dead, the others get through.

    Until their first deadline the dead may have a place each, later an eighth of them all;
    first come, first served would make it eight times as long.
    """
    healthy = backfill(alive(18), page_count=8, limit=8)
    result = backfill([*dead(2, [death]), *alive(18)], page_count=8, limit=8)

    assert result.amazon.most_under_way <= 8
    assert result.slowest <= healthy.slowest * 1.4


def test_nobody_starves() -> None:
    """With fewer places than accounts they take turns, and come to their ends together."""
    result = backfill(alive(20), page_count=4, limit=8)

    assert result.summary.complete
    assert min(result.seconds.values()) >= 0.75 * result.slowest


def test_logins_are_no_storm() -> None:
    """However many accounts begin at once, so many of them log in at a time."""
    result = backfill(alive(150))

    assert result.summary.complete
    assert result.amazon.most_logins <= 100


class SlowSink(MemorySink):
    """Takes a fifth of a second for a page, one after the other, and counts who waits."""

    def __init__(self) -> None:
        super().__init__(now=virtual_now)
        self._writer = asyncio.Lock()
        self.waiting = 0
        self.most_waiting = 0

    async def write(self, arrival: Arrival) -> list[Written]:
        """Write, in turn."""
        self.waiting += 1
        self.most_waiting = max(self.most_waiting, self.waiting)
        async with self._writer:
            await asyncio.sleep(0.2)
        self.waiting -= 1
        return await super().write(arrival)


@pytest.mark.parametrize("days", [28, 140])
def test_a_slow_sink_holds_back_the_requests(days: int) -> None:
    """What waits for the writer is bounded by concurrency, however long the history is."""
    sink = SlowSink()
    result = backfill(alive(20), sink=lambda: sink, days=days, limit=10)
    page_count = result.summary.requests

    assert result.summary.complete
    assert page_count >= 20 * 3 * days // 7
    assert sink.most_waiting <= 10
    assert result.slowest == pytest.approx(0.2 * page_count, rel=0.05)
