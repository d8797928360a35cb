"""The HTTP edge: reads requests, judges them in Amazon's order, and delivers answers."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from email.utils import formatdate
from functools import lru_cache, partial
from itertools import count
from urllib.parse import parse_qsl

import msgspec
from aiohttp import web

from .answers import (
    JSON,
    Answer,
    denied,
    failure,
    html,
    not_found,
    oauth_error,
    refusal,
    throttled,
    too_large,
)
from .bucket import Buckets
from .calls import RESTRICTED, RESTRICTED_TOKEN, SUBMISSIONS, TOKEN, Call, Route, route
from .desk import Desk, Errand
from .faults import REFUSALS, Fault, Faults, spoil
from .login import Login
from .pages import compress
from .restricted import RestrictedTokens, refuses_access_tokens
from .seeds import seeded
from .settings import Settings, SimulatedAccount, latency_range
from .traffic import NO_ANSWER, Arrival, Traffic

_RESETS = frozenset({"reset", "reset-before"})
_DROPPED = frozenset({"hang", "token-hang", *_RESETS})
_EFFECTIVE = SUBMISSIONS | {RESTRICTED_TOKEN}
_WITH_RATE = frozenset({200, 202, 400, 404})
_LET_HANDLERS_FINISH = 1.0  # seconds, when the server stops
_BACKLOG = 1024
_TURNS_TO_ACCEPT = 10
_LINGER_FOR_NO_TIME = struct.pack("ii", 1, 0)  # closing sends RST instead of FIN


class Works(msgspec.Struct, frozen=True):
    """The parts that a simulator is made of."""

    settings: Settings
    now: Callable[[], datetime]
    login: Login
    restricted: RestrictedTokens
    buckets: Buckets
    faults: Faults
    desk: Desk
    traffic: Traffic


class Served(msgspec.Struct, frozen=True):
    """Where a running simulator is found, and by whom."""

    host: str
    port: int
    accounts: tuple[SimulatedAccount, ...]

    @property
    def url(self) -> str:
        """The address to use in place of Amazon's, for the API and for the tokens."""
        return f"http://{self.host}:{self.port}"


class _Delivery(msgspec.Struct, frozen=True):
    """An answer, for whom it is, and what is to go wrong on its way."""

    account: str
    answer: Answer
    fault: Fault | None = None

    @property
    def kind(self) -> str:
        return "" if self.fault is None else self.fault.kind


class Front:
    """Handles one HTTP request after another.

    The order of judgement is Amazon's as far as it shows: the access token, the usage
    plan, the request itself. A request is judged when it arrives; only then it waits for
    its latency.
    """

    def __init__(self, works: Works) -> None:
        self._works = works
        self._closing = asyncio.Event()
        self._serial = count(1)
        self._random = seeded(works.settings.seed, "latency")
        self._latency = latency_range(works.settings.latency)

    def close(self) -> None:
        """Let go of the requests that would never be answered."""
        self._closing.set()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer *request*."""
        at = asyncio.get_running_loop().time()
        path, _, raw_query = request.raw_path.partition("?")
        found = route(request.method, path)
        if found is None:
            return self._response(not_found(f"{request.method} {path}"))
        # not request.read(), which has a limit of its own
        body = await request.content.read() if request.method == "POST" else b""
        if found.operation == TOKEN:
            delivery = self._exchange(request, body, at)
        else:
            delivery = self._judge(request, found, raw_query, body, at)
        self._works.traffic.note(
            Arrival(
                at=at,
                account=delivery.account,
                operation=found.operation,
                status=NO_ANSWER if delivery.kind in _DROPPED else delivery.answer.status,
                raw_query=raw_query,
                subject=found.subject,
            )
        )
        await self._pause(delivery.fault)
        return await self._deliver(request, delivery, found.operation)

    def _exchange(self, request: web.BaseRequest, body: bytes, at: float) -> _Delivery:
        works = self._works
        form = dict(parse_qsl(body.decode("utf-8", "replace")))
        account = works.login.client(form.get("client_id", ""))
        if request.content_type != "application/x-www-form-urlencoded":
            return _Delivery(
                account,
                oauth_error(400, "invalid_request", "The Content-Type is not supported."),
            )
        fault = works.faults.draw(Call(operation=TOKEN, account=account))
        if fault is not None and fault.kind == "token-500":
            return _Delivery(
                account,
                oauth_error(500, "server_error", "The authorization server has a problem."),
            )
        return _Delivery(account, works.login.exchange(form, at), fault)

    def _judge(
        self, request: web.BaseRequest, found: Route, raw_query: str, body: bytes, at: float
    ) -> _Delivery:
        works = self._works
        if request.method == "GET" and "Content-Length" in request.headers:
            # https://developer-docs.amazon.com/sp-api/docs/resolving-400-errors
            return _Delivery("", html(400, "Bad Request"))
        account = self._admitted(request, found, at)
        if isinstance(account, Answer):
            return _Delivery("", account)
        if not works.buckets.take(account, found.operation, at):
            return _Delivery(account, throttled(works.settings.retry_after))
        if request.method == "POST" and request.content_type != JSON:
            return _Delivery(
                account, failure(415, "UnsupportedMediaType", "The request body is not JSON.")
            )
        if len(body) > works.settings.largest_body:
            return _Delivery(account, too_large())
        errand = Errand(
            operation=found.operation,
            account=account,
            subject=found.subject,
            raw_query=raw_query,
            body=body,
            now=works.now(),
            at=at,
            is_zipped=accepts_gzip(request.headers.get("Accept-Encoding", "")),
            version=found.version,
        )
        return self._answer(errand)

    def _admitted(self, request: web.BaseRequest, found: Route, at: float) -> str | Answer:
        """Return whose token the request has, or what it gets for having no good one."""
        works = self._works
        token = request.headers.get("x-amz-access-token")
        account = works.login.owner(token, at)
        is_restricted = found.operation in RESTRICTED
        if account is not None:
            refused = refuses_access_tokens(works.settings) if is_restricted else None
            return account if refused is None else refused
        restricted = works.restricted.find(token, at)
        path = request.raw_path.partition("?")[0]
        if restricted is None or not is_restricted:
            # a restricted token is none for retail: amzn/selling-partner-api-docs issue 2352
            return denied()
        return restricted.account if restricted.covers(request.method, path) else denied()

    def _answer(self, errand: Errand) -> _Delivery:
        works = self._works
        if works.faults.is_quiet:
            return _Delivery(errand.account, works.desk.answer(errand))
        # A list is looked up before anything goes wrong, since some faults need orders to
        # befall; what has an effect is not, since a refused request has none.
        has_effect = errand.operation in _EFFECTIVE
        answer = None if has_effect else works.desk.answer(errand)
        fault = works.faults.draw(
            Call(
                operation=errand.operation,
                account=errand.account,
                subject=errand.subject,
                query=dict(parse_qsl(errand.raw_query, keep_blank_values=True)),
                order_count=0 if answer is None else answer.order_count,
            )
        )
        kind = "" if fault is None else fault.kind
        if kind in REFUSALS or kind == "reset-before":
            return _Delivery(errand.account, refusal(kind, works.settings.retry_after), fault)
        if kind.startswith("bad-order"):
            answer = works.desk.answer(errand, partial(spoil, kind=kind))
        elif kind == "truncated":
            plain = msgspec.structs.replace(errand, is_zipped=False)
            answer = cut(works.desk.answer(plain), zipped=errand.is_zipped)
        elif answer is None:
            answer = works.desk.answer(errand)
        if kind == "500-after":
            answer = refusal(kind, None)
        if kind == "empty":
            answer = msgspec.structs.replace(answer, body=b"", is_zipped=False)
        return _Delivery(errand.account, answer, fault)

    async def _pause(self, fault: Fault | None) -> None:
        low, high = self._latency
        if high > 0:
            await asyncio.sleep(self._random.uniform(low, high))
        if fault is not None and fault.kind == "slow":
            late = self._works.settings.slow_seconds if fault.seconds is None else fault.seconds
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), late)

    async def _deliver(
        self, request: web.BaseRequest, delivery: _Delivery, operation: str
    ) -> web.StreamResponse:
        account, rate = delivery.account, None
        if operation != TOKEN and account and delivery.answer.content_type == JSON:
            rate = self._works.buckets.plan(account, operation).rate
        response = self._response(delivery.answer, rate)
        if delivery.kind in {"hang", "token-hang"}:
            await self._closing.wait()
            _drop(request)
        elif delivery.kind in _RESETS:
            _drop(request, politely=False)
        elif delivery.kind == "reset-body":
            return await _deliver_half(request, response, delivery.answer.body)
        return response

    def _response(self, answer: Answer, rate: float | None = None) -> web.Response:
        headers = {
            "Content-Type": answer.content_type,
            "Date": http_date(int(self._works.now().timestamp())),
            "Vary": "Accept-Encoding",
            "x-amzn-RequestId": f"{next(self._serial):08x}-0000-4000-8000-000000000000",
        }
        if answer.is_zipped:
            headers["Content-Encoding"] = "gzip"
        if answer.error_type is not None:
            headers["x-amzn-ErrorType"] = answer.error_type
        if answer.retry_after is not None:
            headers["Retry-After"] = f"{answer.retry_after:g}"
        if rate is not None and answer.status in _WITH_RATE:
            # "best effort", and never on a throttled, unauthorised or failed request
            # https://developer-docs.amazon.com/sp-api/docs/usage-plans-and-rate-limits
            headers["x-amzn-RateLimit-Limit"] = str(float(rate))
        return web.Response(status=answer.status, body=answer.body, headers=headers)


@asynccontextmanager
async def serving(
    works: Works, accounts: tuple[SimulatedAccount, ...], *, host: str, port: int
) -> AsyncIterator[Served]:
    """Answer requests until the block is left."""
    front = Front(works)
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


def cut(answer: Answer, *, zipped: bool) -> Answer:
    """Return *answer* with the second half of its JSON missing."""
    half = answer.body[: len(answer.body) // 2]
    return msgspec.structs.replace(
        answer, body=compress(half) if zipped else half, is_zipped=zipped
    )


@lru_cache(maxsize=256)
def accepts_gzip(header: str) -> bool:
    """Return whether a client that sends this Accept-Encoding can read gzip.

    >>> accepts_gzip("gzip, deflate"), accepts_gzip("identity"), accepts_gzip("gzip;q=0")
    (True, False, False)
    """
    for part in header.lower().split(","):
        coding, _, weight = part.partition(";")
        if coding.strip() == "gzip":
            return weight.strip() not in {"q=0", "q=0.0"}
    return False


@lru_cache(maxsize=4)
def http_date(second: int) -> str:
    """Write the Date header of that second since 1970."""
    return formatdate(second, usegmt=True)


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
