"""Accounts and their fates: most are well, the others dead, each in a way of its own.

result = backfill([*dead(2), *alive(18)])
result.slowest
result.order_count("well-0")

On virtual time, over a transport that answers by itself.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Sequence
from datetime import datetime, timedelta
from math import ceil
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import virtual_time
from fakes import EPOCH, an_account, virtual_now
from memory_sink import MemorySink
from multidict import CIMultiDict

from vendororders_async.accounts import Account
from vendororders_async.errors import TransportError
from vendororders_async.jobs.backfill import Backfill
from vendororders_async.jobs.reading import Reading
from vendororders_async.jobs.summary import Summary
from vendororders_async.telemetry import AccountFinished, Event
from vendororders_async.transport import Answer, Pass, Transport

LATENCY = 0.3
SILENCE = 24.0  # seconds until a request without an answer is given up
TRICKLE = 300.0  # seconds until one is whose answer comes a byte at a time
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
    "access denied",
    "reset",
    "unreadable",
    "trickles",
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

    Each week has *page_count* pages of two orders, evenly spread.
    """

    def __init__(self, *, page_count: int = 3, limit: int | None = None, accounts: int) -> None:
        super().__init__(account_count=accounts, limit=limit)
        self._apart = timedelta(days=7) / (2 * page_count)
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

    def numbers(self, after: datetime, before: datetime) -> range:
        """Return the numbers of each account's orders in that time."""
        first, last = ((one - UNTIL) / self._apart + 0.5 for one in (after, before))
        return range(ceil(first), ceil(last))

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
        await asyncio.sleep({"never-answers": SILENCE, "trickles": TRICKLE}.get(fate, LATENCY))
        match fate:
            case "never-answers" | "trickles":
                raise TransportError("no answer in time")
            case "reset":
                raise TransportError("the connection was closed without an answer")
            case "access-denied":
                return Answer(403, HEADERS, b'{"errors": [{"code": "Unauthorized"}]}')
            case "unreadable":
                return Answer(200, HEADERS, b"<html>")
            case "throttled-for-ever":
                return Answer(429, HEADERS, b"")
            case "broken-for-ever":
                return Answer(500, HEADERS, b"")
        begins, ends = query["createdAfter"][0], query["createdBefore"][0]
        numbers = self.numbers(datetime.fromisoformat(begins), datetime.fromisoformat(ends))
        first = int(query.get("nextToken", ["0"])[0])
        orders = [
            {"purchaseOrderNumber": f"{name}.{number}", "purchaseOrderState": "New"}
            for number in numbers[first : first + 2]
        ]
        pagination = {"nextToken": str(first + 2)} if first + 2 < len(numbers) else {}
        payload = {"payload": {"pagination": pagination, "orders": orders}}
        return Answer(200, HEADERS, msgspec.json.encode(payload))


class Run(msgspec.Struct, frozen=True):
    """A backfill that has ended, in virtual seconds."""

    summary: Summary
    sink: MemorySink
    amazon: Amazon
    truth: set[tuple[str, str]]  # account and number of each order
    seconds: dict[str, float]  # by account that was finished
    elapsed: float  # until the last one was, dead or alive

    @property
    def mean(self) -> float:
        """When the healthy accounts were done, in the mean."""
        took = [seconds for name, seconds in self.seconds.items() if name[:4] == "well"]
        return sum(took) / len(took)

    @property
    def slowest(self) -> float:
        """When the last healthy account was done."""
        return max(seconds for name, seconds in self.seconds.items() if name[:4] == "well")

    def differences(self) -> int:
        """Return how many orders of the living are not stored, or the other way round."""
        stored = {(account, number) for account, _, number in self.sink.documents}
        return len(self.truth ^ stored)

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
    run: Callable[[Coroutine[Any, Any, Run]], Run] = virtual_time.run,
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
        names = [one.name for one in accounts if one.name.startswith("well")]
        numbers = amazon.numbers(UNTIL - timedelta(days=days), UNTIL)
        truth = {(name, f"{name}.{number}") for name in names for number in numbers}
        return Run(job.summary(), kept, amazon, truth, seconds, loop.time() - began_at)

    return run(scenario())
