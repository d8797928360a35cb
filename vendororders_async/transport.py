"""The wire: one aiohttp session pool for all accounts; foreign errors become ours here."""

from __future__ import annotations

import asyncio
import os
import platform
import re
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from types import TracebackType
from typing import Self

import aiohttp
import msgspec
from aiohttp.client_reqrep import ClientRequest
from aiohttp.connector import Connection
from aiohttp.tracing import Trace
from yarl import URL

from . import __version__
from .errors import TransportError
from .places import Places

if sys.platform != "win32":
    import resource

Pass = Callable[[], Awaitable[None]]

# In flight = rate × latency, for each of an account's two busy operations; latency is
# rarely over 2 s. Past the cap, accounts take turns on fewer connections.
CONNECTIONS_PER_ACCOUNT = 40
MOST_CONNECTIONS = 2_000
LARGEST_BODY = 64 * 1024 * 1024  # bytes after gunzip; 100 large orders are about 5 MB

# Room for what a process has open beside its connections: databases, logs, logins
_OTHER_FILES = 128

_CONNECT_SECONDS = 15.0
_READ_SECONDS = 60.0  # between two pieces of an answer
_ANSWER_SECONDS = 300.0  # for all of it, so that a trickle ends

# Whom the connection, once it is there, has to ask before it may be used. Set around each
# exchange: a session has many at once, and each runs in its own context.
_may_pass: ContextVar[Pass] = ContextVar("_may_pass")

try:
    from isal import isal_zlib
except ImportError:  # the extra is not installed: zlib does it, more slowly
    pass
else:
    aiohttp.set_zlib_backend(isal_zlib)


class Answer(msgspec.Struct, frozen=True):
    """What came back: headers by any case, the body gunzipped."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def __repr__(self) -> str:
        # a token or people may be in it, and asyncio logs what tasks return
        return f"<Answer {self.status}, {len(self.body)} bytes>"


def user_agent() -> str:
    """Return the User-Agent in the form Amazon asks for.

    https://developer-docs.amazon.com/sp-api/docs/include-a-user-agent-header-in-all-requests
    """
    escape = re.compile(r"([\\/()=;])")
    language = "Python/" + escape.sub(r"\\\1", platform.python_version())
    system = escape.sub(r"\\\1", platform.system() or "unknown")
    return f"vendororders-async/{__version__} (Language={language}; Platform={system})"


class _Connector(aiohttp.TCPConnector):
    """Hands a connection over only when the request that wants it may go.

    A permit taken any earlier ages while the connection opens, bunches up with others, and
    draws a 429: held for 0.5 s four in a run, for 2 s nineteen (measured at 10/10).
    """

    async def connect(
        self,
        req: ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - the signature is aiohttp's
    ) -> Connection:
        connection = await super().connect(req, traces, timeout)
        try:
            await _may_pass.get()()
        except BaseException:
            connection.release()
            raise
        if connection.closed:  # by the other side, while it waited
            connection.release()
            connection = await super().connect(req, traces, timeout)
        return connection


class Transport:
    """A pool of connections that any number of accounts and clients can share.

        async with Transport() as transport:
            answer = await transport.exchange("GET", "https://…", headers={})

    *limit* is how many requests may be in flight; by default there is room for the pace of
    *account_count* accounts, as far as the process may have files open. Who sends for an
    account takes one of the *places* first, which are shared out fairly. It never follows a
    redirect, never sends a body with a GET, and has no way to switch certificate checks off.
    """

    def __init__(self, *, account_count: int = 1, limit: int | None = None) -> None:
        self._limit = limit or enough_connections(account_count, files=_files())
        self.places = Places(self._limit)
        self._session: aiohttp.ClientSession | None = None

    def __repr__(self) -> str:
        state = "closed" if self._session is None else f"at most {self._limit} connections"
        return f"<Transport {state}>"

    async def __aenter__(self) -> Self:
        if self._session is not None:
            raise RuntimeError("the transport is open already")
        self._session = aiohttp.ClientSession(
            connector=_Connector(limit=self._limit, keepalive_timeout=45),
            timeout=aiohttp.ClientTimeout(
                total=None, sock_connect=_CONNECT_SECONDS, sock_read=_READ_SECONDS
            ),
            headers={"User-Agent": user_agent(), "Accept": "application/json"},
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def exchange(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
        may_pass: Pass | None = None,
    ) -> Answer:
        """Send one request and read its whole answer, whatever its status.

        *url* is already escaped. *may_pass* is awaited when a connection is at hand and
        nothing else stands between the request and the wire.

        Raises:
            TransportError: no answer, or not a whole one; ``sent`` is false when the
                request certainly did not leave.
        """
        if self._session is None:
            raise RuntimeError("the transport is not open: use it with `async with`")
        loop = asyncio.get_running_loop()
        deadline = asyncio.timeout(None)

        async def passed() -> None:
            deadline.reschedule(None)  # aiohttp repeats a GET by itself, and comes back here
            if may_pass is not None:
                await may_pass()
            deadline.reschedule(loop.time() + _ANSWER_SECONDS)

        token = _may_pass.set(passed)
        try:
            async with (
                deadline,
                self._session.request(
                    method,
                    URL(url, encoded=True),
                    headers=headers,
                    data=body,
                    allow_redirects=False,
                ) as response,
            ):
                return Answer(response.status, response.headers, await _read(response))
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            # A broken answer's error has the request, and so its tokens
            cause = None if isinstance(error, aiohttp.ClientResponseError) else error
            raise _translated(error) from cause
        finally:
            _may_pass.reset(token)


def enough_connections(account_count: int, *, files: float) -> int:
    """Return how many connections to have, in a process that may open so many *files*.

    >>> [enough_connections(400, files=files) for files in (256, 1024, float("inf"))]
    [128, 896, 2000]
    """
    enough = min(max(100, account_count * CONNECTIONS_PER_ACCOUNT), MOST_CONNECTIONS)
    return int(min(enough, max(files - _OTHER_FILES, files // 2)))


def _files() -> float:
    """Return how many files this process may open."""
    if sys.platform == "win32":  # where sockets are no files
        return float("inf")
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return float("inf") if files == resource.RLIM_INFINITY else files


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """Read the body up to `LARGEST_BODY`; a small file can unpack to anything."""
    pieces: list[bytes] = []
    size = 0
    async for piece in response.content.iter_any():
        size += len(piece)
        if size > LARGEST_BODY:
            response.close()
            raise TransportError(f"the answer is larger than {LARGEST_BODY} bytes")
        pieces.append(piece)
    return b"".join(pieces)


def _translated(error: Exception) -> TransportError:  # noqa: C901, PLR0911 - a table of errors
    """Say in our words what went wrong, without the address, which may carry a token."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            why = getattr(error.certificate_error, "verify_message", "it is not valid")
            return TransportError(
                f"the certificate of {error.host} is not trusted ({why}); SSL_CERT_FILE names "
                "whom to trust",
                sent=False,
            )
        case aiohttp.ClientConnectorSSLError():
            return TransportError(f"no TLS connection to {error.host}", sent=False)
        case aiohttp.ClientConnectorDNSError():
            return TransportError(f"the name {error.host} does not resolve", sent=False)
        case aiohttp.ClientConnectorError():
            reason = error.os_error.strerror or "no connection"
            return TransportError(f"no connection to {error.host}: {reason}", sent=False)
        case aiohttp.ConnectionTimeoutError():
            return TransportError("no connection in time", sent=False)
        case aiohttp.ServerDisconnectedError():
            return TransportError("the connection was closed without an answer")
        case TimeoutError():
            return TransportError("no answer in time")
        case aiohttp.ClientResponseError():
            return TransportError("the answer is not HTTP")
        case aiohttp.ClientPayloadError():
            return TransportError("the answer broke off")
        case OSError(errno=int(number)):  # its own words may hold an address
            return TransportError(f"the connection failed: {os.strerror(number)}")
        case _:
            return TransportError(f"the connection failed ({type(error).__name__})")
