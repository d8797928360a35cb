"""An Amazon with canned answers on 127.0.0.1, for commands in processes of their own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import NamedTuple

from aiohttp import web
from loopback import WebServer


class Asked(NamedTuple):
    """One request: method, path with query, and the token it came with."""

    method: str
    path: str
    token: str


class Canned(NamedTuple):
    """Where it is, what it was asked, and the environment to use it from."""

    url: str
    asked: list[Asked]

    @property
    def env(self) -> dict[str, str]:
        """The environment of a process that uses it."""
        return {
            "LWA_APP_ID": "amzn1.x",
            "LWA_CLIENT_SECRET": "s3cret",
            "SP_API_REFRESH_TOKEN": "Atzr|x",
            "SP_API_ENDPOINT": self.url,
            "LWA_ENDPOINT": f"{self.url}/auth/o2/token",
        }


@contextmanager
def answering(answer: Callable[[Asked], tuple[int, bytes]]) -> Iterator[Canned]:
    """Answer as told, from a thread of its own; logins and restricted tokens as usual."""
    asked: list[Asked] = []

    async def handle(request: web.Request) -> web.Response:
        token = request.headers.get("x-amz-access-token", "")
        one = Asked(request.method, request.raw_path, token)
        asked.append(one)
        if one.path == "/auth/o2/token":
            return web.json_response({"access_token": "Atza|1", "expires_in": 3600})
        if one.path == "/tokens/2021-03-01/restrictedDataToken":
            return web.json_response({"restrictedDataToken": "Atz.sprdt|1", "expiresIn": 3600})
        status, body = answer(one)
        return web.Response(status=status, body=body, content_type="application/json")

    started: Future[tuple[str, Callable[[], object]]] = Future()

    async def serve() -> None:
        loop, leave = asyncio.get_running_loop(), asyncio.Event()
        async with WebServer(handle) as server:
            started.set_result((server.url, lambda: loop.call_soon_threadsafe(leave.set)))
            await leave.wait()

    with ThreadPoolExecutor(1) as thread:
        ended = thread.submit(asyncio.run, serve())
        url, stop = started.result(timeout=10)
        try:
            yield Canned(url, asked)
        finally:
            stop()
            ended.result()
