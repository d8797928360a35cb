"""The HTTP edge: reads requests, has them judged, and delivers what they get."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import msgspec
from aiohttp import web

from .judge import HANGS, RESETS, Judge, Request, Verdict
from .settings import SimulatedAccount

_LET_HANDLERS_FINISH = 1.0  # seconds, when the server stops
_DRIP = 1.0  # seconds from one byte to the next
_BACKLOG = 1024
_TURNS_TO_ACCEPT = 10
_LINGER_FOR_NO_TIME = struct.pack("ii", 1, 0)  # closing sends RST instead of FIN


class Served(msgspec.Struct, frozen=True):
    """Where a running simulator is found, and by whom."""

    host: str
    port: int
    accounts: tuple[SimulatedAccount, ...]

    @property
    def url(self) -> str:
        """The address to use in place of Amazon's, for the API and for the tokens."""
        return f"http://{self.host}:{self.port}"


class Front:
    """Handles one HTTP request after another."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self._closing = asyncio.Event()

    def close(self) -> None:
        """Let go of the requests that would never be answered."""
        self._closing.set()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer *request*."""
        at = asyncio.get_running_loop().time()
        path, _, raw_query = request.raw_path.partition("?")
        # not request.read(), which has a limit of its own
        body = await request.content.read() if request.method == "POST" else b""
        verdict = self._judge.hear(
            Request(
                method=request.method,
                path=path,
                raw_query=raw_query,
                headers=request.headers,
                body=body,
                at=at,
            )
        )
        if verdict.latency > 0:
            await asyncio.sleep(verdict.latency)
        if verdict.late > 0:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), verdict.late)
        return await self._deliver(request, verdict)

    async def _deliver(self, request: web.BaseRequest, verdict: Verdict) -> web.StreamResponse:
        answer = verdict.answer
        headers = self._judge.headers(verdict)
        response = web.Response(status=answer.status, body=answer.body, headers=headers)
        if verdict.kind in HANGS:
            await self._closing.wait()
            _drop(request)
        elif verdict.kind in RESETS:
            _drop(request, politely=False)
        elif verdict.kind == "reset-body":
            return await _deliver_half(request, response, answer.body)
        elif verdict.kind == "trickle":
            return await self._trickle(request, response, answer.body)
        return response

    async def _trickle(
        self, request: web.BaseRequest, response: web.Response, body: bytes
    ) -> web.StreamResponse:
        """Send *body* byte by byte, as long as somebody listens."""
        drops = web.StreamResponse(status=response.status, headers=response.headers)
        drops.content_length = len(body)
        await drops.prepare(request)
        for place in range(len(body)):
            await drops.write(body[place : place + 1])
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), _DRIP)
                _drop(request)
                break
        return drops


@asynccontextmanager
async def serving(
    judge: Judge, accounts: tuple[SimulatedAccount, ...], *, host: str, port: int
) -> AsyncIterator[Served]:
    """Answer requests until the block is left."""
    front = Front(judge)
    # The low-level server: no router, no middleware, no access log between cache and wire.
    server = web.Server(front.handle, handler_cancellation=True, access_log=None)
    runner = web.ServerRunner(server, shutdown_timeout=_LET_HANDLERS_FINISH)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port, backlog=_BACKLOG).start()
        yield Served(host, runner.addresses[0][1], accounts)
    finally:
        # A connection that is being accepted while the socket closes would leak in Python
        # 3.11 ("Error on transport creation"), and a client that was cut off comes back at
        # once: a few turns of the loop let it in, so that it can be closed.
        for _ in range(_TURNS_TO_ACCEPT):
            await asyncio.sleep(0)
        front.close()
        await runner.cleanup()


def _drop(request: web.BaseRequest, *, politely: bool = True) -> None:
    """End the connection of *request*, politely or with a reset."""
    transport = request.transport
    if transport is None:
        return
    if not politely:
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_FOR_NO_TIME)
    transport.abort()


async def _deliver_half(
    request: web.BaseRequest, response: web.Response, body: bytes
) -> web.StreamResponse:
    """Promise the whole of *body*, send half of it, and end the connection."""
    half = web.StreamResponse(status=response.status, headers=response.headers)
    half.content_length = len(body)
    await half.prepare(request)
    await half.write(body[: len(body) // 2])
    _drop(request)
    return half
