"""The book of a shared limiter: who may send when, for all processes, in Redis or Valkey.

For every account and operation it has one leaky bucket (GCRA with a reservation): what was
granted and has not drained yet. A script takes a place in it and says how long to wait, so
that an acquire is one round trip and nobody polls; the server's clock is the only one.

Two libraries were measured before this was written (`benchmarks.bench_shared_limiter`).
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Awaitable, Iterable
from contextlib import suppress
from typing import Any, Protocol
from urllib.parse import urlsplit

import msgspec

from .errors import ConfigurationError, VendorOrdersError, one_line
from .extras import extra
from .limiter import Pace
from .sinks.writer_thread import outlasted

PATIENCE = 0.5  # seconds that a send may wait for the server, before it is taken for lost
_READING = 0.05  # seconds, of what has come
_CONNECTIONS = 16
_FORGET_AFTER = 3_600  # seconds; a bucket that is made anew begins empty
_PEERS_WITHIN = 60  # seconds in which a process has sent
# Whoever is first back after the server was lost waits for as long as the others may take to
# see it: until then they go on by themselves.
_HELD_BACK = 1.5  # seconds; they look every second

# Level is what was granted and not drained yet, at the time `at`; up to `burst` of it goes at
# once. A bucket that is not known, or may not have been told of all, is taken for empty.
# A time ahead of the server's own is from before a failover, and counts for nothing.
_STATE = """
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local found = redis.call('HMGET', KEYS[1], 'rate', 'burst', 'level', 'at', 'until', 'version')
local rate, burst = tonumber(found[1]), tonumber(found[2])
local level, paused, version = 0, 0, found[6]
if rate then
  level = math.max(0, tonumber(found[3]) - math.max(0, now - tonumber(found[4])) * rate)
  paused = tonumber(found[5]) - now
  if paused > 60 then paused = 0 end
end
"""
_RESERVE = (
    _STATE
    + """
local member, known, is_empty = ARGV[1], ARGV[2], ARGV[7] == '1'
if not rate then
  rate, burst, version, is_empty = tonumber(ARGV[3]), tonumber(ARGV[4]), known, true
  paused = tonumber(ARGV[5]) - now
  if paused > 60 then paused = 0 end
  redis.call('HSET', KEYS[1], 'rate', ARGV[3], 'burst', ARGV[4], 'until', ARGV[5],
    'version', version, 'pace', ARGV[6])
end
if is_empty then
  local is_first = ARGV[7] == '1' and (not found[4] or now - tonumber(found[4]) > 0.9)
  level = math.max(level, burst + (is_first and ARGV[10] * rate or 0))
end
local wait = math.max(0, level + 1 - burst) / rate
if paused <= 0 then level = level + 1 end
redis.call('HSET', KEYS[1], 'level', level, 'at', now)
redis.call('EXPIRE', KEYS[1], ARGV[8])
redis.call('ZADD', KEYS[2], now, member)
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - ARGV[9])
redis.call('EXPIRE', KEYS[2], ARGV[9])
local pace = false
if version ~= known then pace = redis.call('HGET', KEYS[1], 'pace') end
return {string.format('%.6f', wait), string.format('%.6f', math.max(0, paused)),
  string.format('%.6f', now), redis.call('ZCARD', KEYS[2]), version, pace}
"""
)
# Taking one out is exact until it would have drained, 1 / rate after its turn: until then
# nobody found the bucket dry who came after it.
_GIVE_BACK = (
    _STATE
    + """
if rate then redis.call('HSET', KEYS[1], 'level', math.max(0, level - 1), 'at', now) end
"""
)
# A new pace begins from an empty bucket, after its pause.
_REVISE = (
    _STATE
    + """
if version ~= ARGV[1] then return {0, version, redis.call('HGET', KEYS[1], 'pace')} end
rate, burst = tonumber(ARGV[3]), tonumber(ARGV[4])
level = math.max(level, burst + math.max(0, tonumber(ARGV[5]) - now) * rate)
redis.call('HSET', KEYS[1], 'rate', ARGV[3], 'burst', ARGV[4], 'until', ARGV[5],
  'version', ARGV[2], 'pace', ARGV[6], 'level', level, 'at', now)
return {1, ARGV[2], false}
"""
)
# All that is needed: to be allowed to write, and to run scripts.
_CHECK = "redis.call('SET', KEYS[1], redis.call('TIME')[1], 'EX', '10')"
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Pace).decode


class BookLost(VendorOrdersError):
    """The server does not answer, does not let us in, or answers not what was asked."""


class Known(msgspec.Struct, frozen=True):
    """An account's pace as it is in the book, and by which mark it is known there."""

    pace: Pace
    version: str


class Reservation(msgspec.Struct, frozen=True):
    """A place in the bucket: *wait* seconds from now, unless it is *paused* for some.

    *now* is the server's clock, *peers* how many processes have been here lately.
    """

    wait: float
    paused: float
    now: float
    peers: int
    known: Known


class Book(Protocol):
    """Where places are reserved; all may raise `BookLost`."""

    async def reserve(self, name: str, known: Known, *, is_empty: bool) -> Reservation:
        """Take the next place; *known* is for a bucket that is not there.

        *is_empty* says that we sent by ourselves, so that what is saved up counts no more.
        """

    async def give_back(self, name: str) -> None:
        """Give a place back whose turn has not come."""

    async def revise(self, name: str, known: Known, pace: Pace) -> Known | None:
        """Put *pace* in the place of *known*.

        Returns what is there then, which may be another; None where there is nothing.
        """

    async def leave(self, names: Iterable[str]) -> None:
        """Take this process off the list of those that were here lately."""

    async def check(self, seconds: float = PATIENCE) -> None:
        """Ask whether the server is there, and wait so long for it."""


def new_version() -> str:
    """Return a mark that no other process makes."""
    return secrets.token_hex(6)


class RedisBook:
    """A `Book` in the Redis or Valkey at *url*; close it with `close`."""

    def __init__(self, url: str) -> None:
        self.shown = _without_secrets(url)
        with extra("redis", "--shared-limiter"):
            from redis import __version__ as redis_version  # noqa: PLC0415 - as the next
            from redis import asyncio as redis  # noqa: PLC0415 - only where it is used
            from redis.asyncio.retry import Retry  # noqa: PLC0415 - the same
            from redis.backoff import NoBackoff  # noqa: PLC0415 - the same
            from redis.exceptions import (  # noqa: PLC0415 - the same
                AuthenticationError,
                NoScriptError,
                RedisError,
            )
        options: dict[str, object] = {}
        with suppress(ImportError):  # since 7.1, which else looks for its version on disk
            from redis.driver_info import DriverInfo  # noqa: PLC0415 - the same

            options["driver_info"] = DriverInfo(lib_version=redis_version)
        self._errors = (RedisError, OSError)
        self._refusal, self._no_script = AuthenticationError, NoScriptError
        not_understood = ConfigurationError(
            f"{self.shown} is no address of a shared limiter: use redis://HOST:PORT/0, "
            "rediss:// or unix://"
        )
        if "://" not in url:  # redis takes "redis:/:PASSWORD@HOST" for a server on this machine
            raise not_understood
        try:
            pool = redis.BlockingConnectionPool.from_url(
                url.replace("valkey", "redis", 1) if url.startswith("valkey") else url,
                max_connections=_CONNECTIONS,
                timeout=PATIENCE,
                # asyncio.wait_for, which it would wait with, swallows cancellations before
                # Python 3.12: python/cpython#86296
                socket_timeout=None,
                # a server that was restarted long ago is there, only the connection is not
                retry=Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,)),
                protocol=2,
                **options,
            )
        except ValueError:
            raise not_understood from None
        self._redis = redis.Redis.from_pool(pool)
        self._process = new_version()
        self._digests = {
            script: hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()
            for script in (_RESERVE, _GIVE_BACK, _REVISE, _CHECK)
        }

    def __repr__(self) -> str:
        return f"<RedisBook {self.shown}>"

    async def reserve(self, name: str, known: Known, *, is_empty: bool) -> Reservation:
        """Take the next place."""
        pace = known.pace
        arguments = (known.version, *_numbers(pace), _encode(pace), int(is_empty))
        wait, paused, now, peers, version, other = await self._run(
            _RESERVE, name, self._process, *arguments, _FORGET_AFTER, _PEERS_WITHIN, _HELD_BACK
        )
        if other is not None:
            known = Known(_decode(other), version.decode())
        return Reservation(float(wait), float(paused), float(now), peers, known)

    async def give_back(self, name: str) -> None:
        """Give a place back whose turn has not come."""
        await self._run(_GIVE_BACK, name)

    async def revise(self, name: str, known: Known, pace: Pace) -> Known | None:
        """Put *pace* in the place of *known*, if that is what is there."""
        mark = new_version()
        taken, version, other = await self._run(
            _REVISE, name, known.version, mark, *_numbers(pace), _encode(pace)
        )
        if taken:
            return Known(pace, mark)
        return None if other is None else Known(_decode(other), version.decode())

    async def leave(self, names: Iterable[str]) -> None:
        """Take this process off the lists."""
        async with self._redis.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.zrem(_keys(name)[1], self._process)
            await self._bounded(pipe.execute())

    async def check(self, seconds: float = PATIENCE) -> None:
        """Ask whether the server is there, and does what is needed."""
        await self._run(_CHECK, "check", seconds=seconds)

    async def close(self) -> None:
        """Close the connections, whoever is cancelled meanwhile."""
        await outlasted(asyncio.ensure_future(self._redis.aclose()))

    async def _run(
        self,
        script: str,
        name: str,
        *arguments: str | bytes | float,
        seconds: float = PATIENCE,
    ) -> Any:
        keys = _keys(name)
        try:
            return await self._bounded(
                self._redis.evalsha(self._digests[script], len(keys), *keys, *arguments),
                seconds,
            )
        except _NotLoaded:
            asked = self._redis.eval(script, len(keys), *keys, *arguments)
            return await self._bounded(asked, seconds)

    async def _bounded(self, asked: Awaitable[object], seconds: float = PATIENCE) -> Any:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(None) as limit:
                # a loop that was held up finds the answer and the end of patience at once:
                # then this is what it finds, and it may read the answer
                end = loop.call_later(seconds, lambda: limit.reschedule(loop.time() + _READING))
                try:
                    return await asked
                finally:
                    end.cancel()
        except self._no_script:
            raise _NotLoaded from None
        except TimeoutError:
            raise BookLost(f"{self.shown}: no answer within {seconds} s") from None
        except self._errors as error:
            said = one_line(str(error))
            # A long command of a stranger is refused before Redis looks at what it asks
            # https://github.com/redis/redis/blob/7.0/src/networking.c
            if isinstance(error, self._refusal) or "unauthenticated" in said:
                said = "the user or the password is refused"
            raise BookLost(f"{self.shown}: {said}") from None


class _NotLoaded(Exception):
    """The server does not know the script: it is another one, or was restarted."""


def _numbers(pace: Pace) -> tuple[float, float, float]:
    """Return what the script has to know of *pace*."""
    return pace.plan.rate, pace.plan.burst, pace.paused_until


def _keys(name: str) -> tuple[str, str]:
    # in braces is what decides on which node of a cluster they are: the same for both
    # https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#hash-tags
    return f"vendororders:{{{name}}}:pace", f"vendororders:{{{name}}}:processes"


def _without_secrets(url: str) -> str:
    """Return *url* for people to read; user, password and query are left out.

    >>> _without_secrets("redis://me:secret@cache:6379/0?password=secret")
    'redis://cache:6379/0'
    """
    try:
        parts = urlsplit(url)
        port = "" if parts.port is None else f":{parts.port}"
    except ValueError:
        return "the URL"
    if not parts.scheme or "//" not in url:
        return "the URL"
    return one_line(f"{parts.scheme}://{parts.hostname or ''}{port}{parts.path}")
