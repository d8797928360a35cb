"""A simulator without sockets: months of requests on virtual time, in seconds.

simulator = Simulator(Settings(orders=200), now=virtual_now)
async with InProcess(simulator) as transport:
    client = VendorOrdersClient(transport.accounts[0], transport=transport, now=transport.now)
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from types import TracebackType
from typing import Literal, Self

from multidict import CIMultiDict

from vendororders_async.errors import TransportError
from vendororders_async.simulator import Call, Served, Simulator
from vendororders_async.simulator.answers import server_error
from vendororders_async.simulator.judge import HANGS, RESETS, Request, Verdict
from vendororders_async.testing import accounts_of
from vendororders_async.transport import LARGEST_BODY, Answer, Pass, Transport

Outage = Literal["", "refused", "dns", "tls", "503"]

_UNCONNECTED = {
    "refused": "no connection to 127.0.0.1: Connection refused",
    "dns": "the name 127.0.0.1 does not resolve",
    "tls": "no TLS connection to 127.0.0.1",
}
_HANGS_FOR = 60.0  # seconds, as the real transport waits
_TRICKLES_FOR = 300.0  # the same
_GZIP_FORMAT = 31  # zlib's name for its largest window, in gzip's wrapping
_PORT = 9  # nobody listens


class InProcess(Transport):
    """Hands requests straight to what judges them in *simulator*; all waiting is the loop's.

    *before_answer* is told of each call that was let in, before its answer is made: it may
    change orders between two pages of a list. *offset* is how far the client's clock, which
    `now` is, is ahead of the simulator's; it may be set at any time. While *outage* is set,
    no request succeeds: there is no connection, or everything gets a 503.

    What fails does so as with the real transport, which test_simulator_in_process compares.
    """

    def __init__(
        self,
        simulator: Simulator,
        *,
        offset: timedelta = timedelta(),
        before_answer: Callable[[Call], None] | None = None,
    ) -> None:
        super().__init__(account_count=len(simulator.accounts))
        self.simulator = simulator
        self.accounts = accounts_of(Served("127.0.0.1", _PORT, simulator.accounts))
        self.offset = offset
        self.before_answer = before_answer
        self.outage: Outage = ""
        self.request_count = 0
        self.outage_count = 0  # requests that an outage befell

    def now(self) -> datetime:
        """Return the present as the client's clock has it."""
        return self.simulator.now() + self.offset

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        pass

    async def exchange(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
        may_pass: Pass | None = None,
    ) -> Answer:
        """Pass the gate, have the request judged, and answer or fail after its latency."""
        self.outage_count += bool(self.outage)
        if self.outage in _UNCONNECTED:
            raise TransportError(_UNCONNECTED[self.outage], sent=False)
        if may_pass is not None:
            await may_pass()
        self.request_count += 1
        if self.outage == "503":
            refused = server_error(503)
            return Answer(refused.status, CIMultiDict[str](), refused.body)
        path, _, raw_query = url.partition("://")[2].partition("/")[2].partition("?")
        verdict = self.simulator.judge.hear(
            Request(
                method=method,
                path=f"/{path}",
                raw_query=raw_query,
                headers=CIMultiDict(headers),
                body=body or b"",
                at=asyncio.get_running_loop().time(),
            ),
            self.before_answer,
        )
        body = await _travel(verdict)
        head = CIMultiDict(self.simulator.judge.headers(verdict))
        return Answer(verdict.answer.status, head, body)


async def _travel(verdict: Verdict) -> bytes:
    """Wait as long as the answer takes, and return its body; fail where it never comes.

    Raises:
        TransportError: there is no answer, or not a whole one.
    """
    await asyncio.sleep(verdict.latency + verdict.late)
    if verdict.kind in HANGS:
        await asyncio.sleep(_HANGS_FOR)
        raise TransportError("no answer in time")
    if verdict.kind in RESETS:
        raise TransportError("the connection failed: Connection reset by peer")
    if verdict.kind == "reset-body":
        raise TransportError("the answer broke off")
    body = verdict.answer.body
    if verdict.kind == "gzip-bomb":
        raise TransportError(f"the answer is larger than {LARGEST_BODY} bytes")
    if verdict.kind == "trickle":
        seconds = len(body) - 1.0
        await asyncio.sleep(min(seconds, _TRICKLES_FOR))
        if seconds >= _TRICKLES_FOR:
            raise TransportError("no answer in time")
    # aiohttp takes what is there of a gzip file for the whole of it
    return (
        zlib.decompressobj(_GZIP_FORMAT).decompress(body) if verdict.answer.is_zipped else body
    )
