"""The health of a sync over HTTP: whether it lives, is ready, and how fresh each stream is."""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from http import HTTPStatus

import click
import msgspec
from aiohttp import web
from msgspec.structs import asdict, replace

from ..clock import now as system_now
from ..clock import seconds_between
from ..errors import ConfigurationError
from ..jobs.standing import Standing, StreamStanding

_MOST_PORTS = 65_535
_LET_ANSWERS_GO = 1.0  # seconds, when the sync ends


class Address(msgspec.Struct, frozen=True):
    """Where to listen; port 0 is any that is free."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class HealthAddress(click.ParamType[Address]):
    """A port of this machine alone, or ``HOST:PORT`` for others to ask as well."""

    name = "address"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Address:
        """Return the address that *value* means."""
        if isinstance(value, Address):
            return value
        host, separator, port = str(value).rpartition(":")
        host = host.removeprefix("[").removesuffix("]") if separator else "127.0.0.1"
        if not host or not (port.isascii() and port.isdigit() and int(port) <= _MOST_PORTS):
            self.fail(f"{value!r} is no address: write 8790 or 0.0.0.0:8790", param, ctx)
        return Address(host, int(port))


class StreamHealth(StreamStanding, frozen=True, kw_only=True):
    """How a stream stands, and how many seconds ago its last success was."""

    age_seconds: float | None


def health_of(standing: Standing, now: datetime) -> Standing:
    """Return *standing* with the age of each stream at *now*."""
    accounts = (
        replace(account, streams=tuple(_aged(stream, now) for stream in account.streams))
        for account in standing.accounts
    )
    return replace(standing, accounts=tuple(accounts))


def _aged(stream: StreamStanding, now: datetime) -> StreamHealth:
    at = stream.last_success_at
    # a clock may have been set back
    age = None if at is None else max(seconds_between(at, now), 0.0)
    return StreamHealth(**asdict(stream), age_seconds=age)


@asynccontextmanager
async def serving_health(
    address: Address,
    standing: Callable[[], Standing],
    *,
    now: Callable[[], datetime] = system_now,
) -> AsyncIterator[Address]:
    """Answer at *address* how a sync stands, and yield where that really is.

        async with serving_health(Address("127.0.0.1", 8790), job.standing):
            await job.run()

    ``/live`` is 200 while the process answers at all, ``/ready`` 200 or 503, and ``/`` and
    ``/health`` tell each account and stream as JSON.

    Raises:
        ConfigurationError: nobody can listen there.
    """

    async def live(_request: web.Request) -> web.Response:
        return web.Response(text="live\n")

    async def ready(_request: web.Request) -> web.Response:
        if standing().is_ready:
            return web.Response(text="ready\n")
        return web.Response(status=HTTPStatus.SERVICE_UNAVAILABLE, text="not ready\n")

    async def health(_request: web.Request) -> web.Response:
        body = msgspec.json.encode(health_of(standing(), now()))
        return web.Response(body=body, content_type="application/json")

    app = web.Application()
    app.router.add_get("/live", live)
    app.router.add_get("/ready", ready)
    app.router.add_get("/", health)
    app.router.add_get("/health", health)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_LET_ANSWERS_GO)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, address.host, address.port).start()
        except OSError as error:
            raise ConfigurationError(
                f"--health {address} cannot be used: {_reason(error)}"
            ) from None
        yield Address(address.host, runner.addresses[0][1])
    finally:
        await runner.cleanup()


def _reason(error: OSError) -> str:
    """Return what is wrong, without the address that asyncio tells once more."""
    if isinstance(error, socket.gaierror) or error.errno is None:
        return error.strerror or "nobody can listen there"
    return os.strerror(error.errno)
