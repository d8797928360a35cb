"""What stands in for the parts around the one under test: no network, no clock, no luck."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from vendororders_async.accounts import Account, Credentials
from vendororders_async.limiter import Gate, Limiters, Urgency
from vendororders_async.operations import Operation
from vendororders_async.transport import Answer, Pass, Transport
from vendororders_async.usage import UsagePlan

SECRET = "s3cret-of-the-application"
REFRESH_TOKEN = "Atzr|t0ken"
EPOCH = datetime(2026, 7, 1, tzinfo=UTC)


def an_account(name: str = "germany", **changes: str) -> Account:
    """Return an account of Amazon's, with *changes* to its addresses."""
    credentials = Credentials(
        client_id="amzn1.x", client_secret=SECRET, refresh_token=f"{REFRESH_TOKEN} of {name}"
    )
    return msgspec.structs.replace(Account(name=name, credentials=credentials), **changes)


def virtual_now() -> datetime:
    """Return an instant that goes with the running loop's clock."""
    return EPOCH + timedelta(seconds=asyncio.get_running_loop().time())


def virtual_clock() -> Callable[[], datetime]:
    """Return what says the same, and may be asked by threads as well."""
    loop = asyncio.get_running_loop()
    return lambda: EPOCH + timedelta(seconds=loop.time())


class Sent(msgspec.Struct, frozen=True):
    """One request as it reached the wire."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None
    at: float


Step = Answer | Exception
Script = Callable[[Sent], Step]


class FakeTransport(Transport):
    """Answers from a script, after *latency* seconds of the loop's time.

    A script is a list to go through, the last entry for ever, or a function of the request.
    """

    def __init__(self, script: list[Step] | Script, *, latency: float = 0.1) -> None:
        super().__init__()
        self.sent: list[Sent] = []
        self._script = script
        self._latency = latency

    async def exchange(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
        may_pass: Pass | None = None,
    ) -> Answer:
        """Pass the gate, note the request, and answer or fail as the script says."""
        if may_pass is not None:
            await may_pass()
        loop = asyncio.get_running_loop()
        request = Sent(method, url, headers, body, loop.time())
        self.sent.append(request)
        if callable(self._script):
            step = self._script(request)
        else:
            step = self._script[min(len(self.sent), len(self._script)) - 1]
        await asyncio.sleep(self._latency)
        if isinstance(step, Exception):
            raise step
        return step


class FakeTokens:
    """A new access token after each rejection: ``Atza|1``, ``Atza|2``."""

    def __init__(self, *, failures: list[Exception] | None = None) -> None:
        self.rejected: list[str] = []
        self.asked_count = 0
        self._failures = failures or []

    async def token_for(
        self,
        account: Account,
        operation: Operation[object] | None = None,
        refused: Sequence[str] = (),
    ) -> str | None:
        """Return the current token, or fail as told; a call gets one other."""
        del account, operation
        if len(refused) > 1:
            return None
        self.asked_count += 1
        if self._failures:
            raise self._failures.pop(0)
        self.rejected += [one for one in refused if one not in self.rejected]
        return f"Atza|{len(self.rejected) + 1}"


class FakeGate:
    """Lets everybody through after *wait* seconds, and notes what it is told."""

    plan = UsagePlan(rate=10, burst=10)

    def __init__(self, *, wait: float = 0.0) -> None:
        self.passed: list[Urgency] = []
        self.observed: list[tuple[int, float]] = []
        self._wait = wait

    async def acquire(self, urgency: Urgency = Urgency.BULK) -> float:
        """Wait, and let through."""
        await asyncio.sleep(self._wait)
        self.passed.append(urgency)
        return asyncio.get_running_loop().time()

    def observe(self, status: int, headers: Mapping[str, str], sent_at: float) -> None:
        """Note what came back."""
        del headers
        self.observed.append((status, sent_at))

    def drain(self) -> None:
        """Do nothing: there is no bucket."""


class OneGate(Limiters):
    """The same gate for every account and operation, which it notes."""

    def __init__(self, gate: Gate) -> None:
        super().__init__()
        self.asked: list[tuple[str, str]] = []
        self._gate = gate

    def of(self, account: Account, operation: Operation[object]) -> Gate:
        """Return the gate."""
        self.asked.append((account.name, operation.name))
        return self._gate
