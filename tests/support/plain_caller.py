"""A plain client of a simulator: whatever request a test wants, and a clock that it moves."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import msgspec

from vendororders_async.simulator import Settings, Simulator

NOON = datetime(2026, 6, 10, 12, tzinfo=UTC)


class Reply(msgspec.Struct, frozen=True):
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def data(self) -> Any:
        return json.loads(self.body)


class PlainCaller:
    """Sends what it is told to, with the first account's access token or another."""

    def __init__(self, settings: Settings, session: aiohttp.ClientSession) -> None:
        self.now = NOON
        self.simulator = Simulator(settings, now=lambda: self.now)
        self.tokens: list[str] = []  # one for each account
        self.url = ""
        self._session = session

    def wait(self, **time: float) -> None:
        self.now += timedelta(**time)

    async def login(self) -> None:
        for account in self.simulator.accounts:
            form = {
                "grant_type": "refresh_token",
                "client_id": account.client_id,
                "client_secret": account.client_secret,
                "refresh_token": account.refresh_token,
            }
            async with self._session.post(f"{self.url}/auth/o2/token", data=form) as response:
                self.tokens.append((await response.json())["access_token"])

    async def get(self, path: str, *, token: str | None = None, **query: str) -> Reply:
        return await self._send("GET", path, token, params=query)

    async def post(self, path: str, body: object, *, token: str | None = None) -> Reply:
        # bytes of more than a megabyte are not sent without a warning
        data = io.BytesIO(json.dumps(body).encode())
        return await self._send("POST", path, token, data=data)

    async def _send(self, method: str, path: str, token: str | None, **options: Any) -> Reply:
        headers = {"x-amz-access-token": self.tokens[0] if token is None else token}
        if method == "POST":
            headers["Content-Type"] = "application/json"
        async with self._session.request(
            method, self.url + path, headers=headers, **options
        ) as response:
            return Reply(response.status, dict(response.headers), await response.read())


@asynccontextmanager
async def plain_caller(**settings: Any) -> AsyncIterator[PlainCaller]:
    """Serve a simulator, and log all of its accounts in."""
    chosen = Settings(**({"orders": 0, "rate": 1000.0, "burst": 1000.0} | settings))
    async with aiohttp.ClientSession() as session:
        caller = PlainCaller(chosen, session)
        async with caller.simulator.serve() as served:
            caller.url = served.url
            await caller.login()
            yield caller
