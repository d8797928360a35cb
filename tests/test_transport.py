"""The wire: against real servers on loopback, and single calls through aioresponses."""

from __future__ import annotations

import asyncio
import gzip
import re
import socket
import ssl
import traceback
import tracemalloc
from collections.abc import Awaitable
from typing import Any, TypeVar

import pytest
from aiohttp import web
from loopback import RawServer, Received, WebServer
from mocked import aioresponses
from sample_files import sample
from virtual_time import VirtualTimeLoop, elapsed, run

from vendororders_async.errors import DecodeError, TransportError
from vendororders_async.models.retail_procurement import Order
from vendororders_async.pages import decode_page
from vendororders_async.transport import (
    CONNECTIONS_PER_ACCOUNT,
    LARGEST_BODY,
    MOST_CONNECTIONS,
    Answer,
    Transport,
    enough_connections,
    user_agent,
)

T = TypeVar("T")

TOKEN = {"x-amz-access-token": "Atza|s3cret"}
PAGE = sample("getPurchaseOrders", "200.json")
BIG = b'{"payload": "%s"}' % (b"0123456789" * 60_000)


class Permits:
    """Counts who asks to pass."""

    def __init__(self) -> None:
        self.count = 0

    async def __call__(self) -> None:
        """Let through."""
        self.count += 1


def answer(body: bytes, head: str = "HTTP/1.1 200 OK") -> bytes:
    """Return a whole answer as bytes."""
    return f"{head}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


async def fine(_request: Received, writer: asyncio.StreamWriter) -> None:
    """Answer with a page."""
    writer.write(answer(PAGE))


async def silent(_request: Received, _writer: asyncio.StreamWriter) -> None:
    """Never answer."""
    await asyncio.Event().wait()


async def hang_up(_request: Received, writer: asyncio.StreamWriter) -> None:
    """Close the connection without a word."""
    writer.close()


async def in_time(awaitable: Awaitable[T]) -> T:
    """Await, but not for ever."""
    async with asyncio.timeout(10):
        return await awaitable


async def fetch(url: str, method: str = "GET", body: bytes | None = None) -> Answer:
    """Exchange one request over a fresh transport."""
    async with Transport() as transport:
        return await in_time(transport.exchange(method, url, headers=TOKEN, body=body))


async def failure(url: str, method: str = "GET", body: bytes | None = None) -> TransportError:
    """Exchange one request, expect it to fail, and see that no secret is in the error."""
    with pytest.raises(TransportError) as caught:
        await fetch(url, method, body)
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value)

    assert "s3cret" not in shown
    return caught.value


async def test_a_get_is_bare() -> None:
    """No body, no length, no type: Amazon refuses a GET with any of them."""
    async with RawServer(fine) as server:
        got = await fetch(server.url + "/vendor/orders?nextToken=a%2Bb%3D%2F")
        (request,) = server.received

    assert got.status == 200
    assert got.body == PAGE
    assert request.start_line == "GET /vendor/orders?nextToken=a%2Bb%3D%2F HTTP/1.1"
    assert request.body == b""
    assert set(request.headers) == {
        "host",
        "user-agent",
        "accept",
        "accept-encoding",
        "x-amz-access-token",
    }
    assert request.headers["user-agent"] == user_agent()
    assert request.headers["accept"] == "application/json"
    assert "gzip" in request.headers["accept-encoding"]


async def test_an_escaped_path_arrives_as_it_was_written() -> None:
    """Nothing is unescaped or normalized on the way."""
    async with RawServer(fine) as server:
        await fetch(server.url + "/orders/a%2Fb%252e%252E%20%C3%BC%3F")

        assert server.received[0].start_line.split()[1] == "/orders/a%2Fb%252e%252E%20%C3%BC%3F"


async def test_a_transport_is_opened_once() -> None:
    """Opened again, it would lose the connections that it has."""
    async with Transport() as transport:
        with pytest.raises(RuntimeError, match="open already"):
            await transport.__aenter__()


async def test_a_post_has_its_body() -> None:
    """And the type that it was given."""
    async with RawServer(fine) as server:
        headers = {**TOKEN, "Content-Type": "application/json"}
        async with Transport() as transport:
            await in_time(transport.exchange("POST", server.url, headers=headers, body=b"{}"))
        (request,) = server.received

    assert request.body == b"{}"
    assert request.headers["content-length"] == "2"
    assert request.headers["content-type"] == "application/json"


def test_the_user_agent_has_the_form_amazon_asks_for() -> None:
    """Name, version, language and platform, with no bare special characters."""
    assert re.fullmatch(
        r"vendororders-async/[\w.]+ \(Language=Python/[\w.+]+; Platform=\w+\)", user_agent()
    )
    assert len(user_agent()) < 500


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_redirect_is_not_followed(method: str) -> None:
    """The access token goes nowhere else, whatever an answer says."""
    asked: list[str] = []

    async def redirect(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(status=307, headers={"Location": "/elsewhere"})

    async with WebServer(redirect) as server:
        got = await fetch(server.url + "/here", method)

    assert got.status == 307
    assert asked == ["/here"]


@pytest.mark.parametrize("status", [200, 202, 400, 403, 404, 429, 500, 503])
async def test_every_status_is_an_answer(status: int) -> None:
    """What it means is decided elsewhere; headers are found in any case."""

    async def refuse(_request: web.Request) -> web.Response:
        return web.Response(status=status, body=b"x", headers={"X-Amzn-RequestID": "c0ffee"})

    async with WebServer(refuse) as server:
        got = await fetch(server.url)

    assert (got.status, got.body) == (status, b"x")
    assert got.headers["x-amzn-requestid"] == "c0ffee"


@pytest.mark.parametrize("body", [PAGE, BIG], ids=["small", "big"])
async def test_gzip_is_unpacked(body: bytes) -> None:
    """With isal or with zlib, the bytes are the same."""

    async def packed(_request: web.Request) -> web.Response:
        headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
        return web.Response(body=gzip.compress(body), headers=headers)

    async with WebServer(packed) as server:
        got = await fetch(server.url)

    assert got.body == body


async def test_a_body_in_chunks_is_whole() -> None:
    """However it is cut up on the way."""

    async def chunked(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for start in range(0, len(PAGE), 100):
            await response.write(PAGE[start : start + 100])
        return response

    async with WebServer(chunked) as server:
        got = await fetch(server.url)

    assert got.body == PAGE


async def test_a_gzip_bomb_is_defused() -> None:
    """A small file that unpacks to more than any page is not kept in memory."""
    bomb = gzip.compress(bytes(2 * LARGEST_BODY))

    async def throw(_request: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(bomb, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip"))

    async with RawServer(throw) as server:
        tracemalloc.start()
        try:
            error = await failure(server.url)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert len(bomb) < 200_000
    assert peak < 1.5 * LARGEST_BODY
    assert "larger than" in str(error)
    assert error.sent


async def test_broken_gzip_is_no_answer() -> None:
    """What does not unpack did not arrive."""

    async def broken(_request: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(
            answer(b"garbage, not gzip at all", "HTTP/1.1 200 OK\r\nContent-Encoding: gzip")
        )

    async with RawServer(broken) as server:
        error = await failure(server.url)

    assert error.sent


async def test_truncated_gzip_is_never_a_shorter_page() -> None:
    """Cut anywhere, it is an error of the wire, an error of the page, or the whole page."""
    packed = gzip.compress(PAGE)
    cuts = iter(range(1, len(packed), 7))
    cut = 0

    async def truncated(_request: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(packed[:cut], "HTTP/1.1 200 OK\r\nContent-Encoding: gzip"))

    async with RawServer(truncated) as server, Transport() as transport:
        for cut in cuts:  # noqa: B007 - the server reads it
            try:
                got = await in_time(transport.exchange("GET", server.url, headers=TOKEN))
                page = decode_page(got.body, Order)
            except (TransportError, DecodeError):
                continue

            assert page == decode_page(PAGE, Order)


@pytest.mark.parametrize(
    "sent",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1",
        b"",
        b"no http at all\r\n\r\n",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_an_answer_that_breaks_off_is_no_answer(method: str, sent: bytes) -> None:
    """Before, in or after the headers: the request may have been taken."""

    async def break_off(_request: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(sent)
        writer.close()

    async with RawServer(break_off) as server:
        error = await failure(server.url, method, None if method == "GET" else b"{}")

    assert error.sent


async def test_a_post_is_sent_once() -> None:
    """A GET whose connection broke is repeated by aiohttp; a POST must never be."""
    async with RawServer(hang_up) as server:
        await failure(server.url, "POST", b"{}")

        assert len(server.received) == 1


async def test_every_repetition_inside_aiohttp_asks_for_a_permit() -> None:
    """A request that it sends twice costs two permits."""
    permits = Permits()
    async with RawServer(hang_up) as server, Transport() as transport:
        with pytest.raises(TransportError):
            await in_time(
                transport.exchange("GET", server.url, headers=TOKEN, may_pass=permits)
            )

        assert permits.count == len(server.received) >= 1


async def test_a_refused_connection_was_not_sent() -> None:
    """Nobody listens there: even a POST may be repeated."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    error = await failure(f"http://127.0.0.1:{port}/?nextToken=s3cret", "POST", b"s3cret")

    assert not error.sent
    assert str(error).startswith("no connection to 127.0.0.1")


def test_a_name_that_does_not_resolve_was_not_sent() -> None:
    """No permit is spent, and a submission may be sent again."""

    class Nameless(VirtualTimeLoop):
        async def getaddrinfo(
            self, *_args: object, **_kwargs: object
        ) -> list[Any]:  # it knows no name
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    async def scenario() -> tuple[TransportError, int]:
        permits = Permits()
        async with Transport() as transport:
            with pytest.raises(TransportError) as caught:
                await transport.exchange(
                    "POST", "https://api.invalid/x?s3cret", headers={}, may_pass=permits
                )
        return caught.value, permits.count

    with asyncio.Runner(loop_factory=Nameless) as runner:
        error, permit_count = runner.run(scenario())

    assert str(error) == "the name api.invalid does not resolve"
    assert (error.sent, permit_count) == (False, 0)


async def test_tls_to_a_plain_port_was_not_sent() -> None:
    """The handshake fails before anything of the request leaves."""
    asked: list[str] = []

    async def note(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response()

    async with WebServer(note) as server:
        error = await failure(server.url.replace("http://", "https://"), "POST", b"{}")

    assert asked == []
    assert not error.sent
    assert str(error) == "no TLS connection to 127.0.0.1"


async def test_an_answer_that_is_not_http_is_said_so() -> None:
    """In words, and not by the name of a class."""

    async def mumble(_request: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
        await writer.drain()

    async with RawServer(mumble) as server:
        error = await failure(server.url)

    assert str(error) == "the answer is not HTTP"


def test_a_certificate_that_nobody_vouches_for_is_said_with_what_helps() -> None:
    """Why OpenSSL does not take it, and where others are named that it should take."""

    class Untrusting(asyncio.SelectorEventLoop):
        async def create_connection(self, *_args: object, **kwargs: Any) -> Any:
            kwargs["sock"].close()
            error = ssl.SSLCertVerificationError(1, "certificate verify failed")
            error.verify_message = "self-signed certificate"
            raise error

    async def scenario() -> TransportError:
        async with RawServer(hang_up) as server:
            return await failure(server.url.replace("http://", "https://"))

    with asyncio.Runner(loop_factory=Untrusting) as runner:
        error = runner.run(scenario())

    assert str(error) == (
        "the certificate of 127.0.0.1 is not trusted (self-signed certificate); "
        "SSL_CERT_FILE names whom to trust"
    )
    assert not error.sent


async def test_the_permit_is_asked_for_when_the_connection_is_there() -> None:
    """A permit that waits for a connection would age."""
    async with RawServer(fine) as server, Transport() as transport:

        async def may_pass() -> None:
            await in_time(server.connected.wait())
            assert server.received == []

        await in_time(transport.exchange("GET", server.url, headers=TOKEN, may_pass=may_pass))

        assert len(server.received) == 1


async def test_no_permit_is_spent_without_a_connection() -> None:
    """Who cannot connect does not use up the plan."""
    permits = Permits()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    async with Transport() as transport:
        with pytest.raises(TransportError):
            await in_time(transport.exchange("GET", url, headers=TOKEN, may_pass=permits))

    assert permits.count == 0


async def test_a_failing_permit_gives_the_connection_back() -> None:
    """The next request uses it; with room for one only, a leak would hang."""

    async def refuse() -> None:
        raise LookupError

    async with RawServer(fine) as server, Transport(limit=1) as transport:
        for _ in range(3):
            with pytest.raises(LookupError):
                await in_time(
                    transport.exchange("GET", server.url, headers=TOKEN, may_pass=refuse)
                )
        await in_time(transport.exchange("GET", server.url, headers=TOKEN))

        assert server.connection_count == 1
        assert len(server.received) == 1


async def test_a_cancelled_permit_gives_the_connection_back() -> None:
    """Giving up while paced leaks nothing."""
    asked = asyncio.Event()

    async def wait_for_ever() -> None:
        asked.set()
        await asyncio.Event().wait()

    async with RawServer(fine) as server, Transport(limit=1) as transport:
        task = asyncio.ensure_future(
            transport.exchange("GET", server.url, headers=TOKEN, may_pass=wait_for_ever)
        )
        await in_time(asked.wait())
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        got = await in_time(transport.exchange("GET", server.url, headers=TOKEN))

        assert got.status == 200
        assert len(server.received) == 1


async def test_a_cancelled_exchange_gives_its_place_back() -> None:
    """Giving up while Amazon thinks does not use up the pool."""
    arrived = asyncio.Event()

    async def think(_request: Received, writer: asyncio.StreamWriter) -> None:
        if not arrived.is_set():
            arrived.set()
            await asyncio.Event().wait()
        writer.write(answer(PAGE))

    async with RawServer(think) as server, Transport(limit=1) as transport:
        task = asyncio.ensure_future(transport.exchange("GET", server.url, headers=TOKEN))
        await in_time(arrived.wait())
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        got = await in_time(transport.exchange("GET", server.url, headers=TOKEN))

    assert got.status == 200


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_connection_that_closes_during_the_wait_is_not_fatal(method: str) -> None:
    """Amazon may hang up on an idle connection while the request on it is paced."""
    async with RawServer(fine) as server, Transport(limit=1) as transport:
        await in_time(transport.exchange("GET", server.url, headers=TOKEN))
        permits = Permits()

        async def may_pass() -> None:
            await permits()
            if permits.count == 1:
                server.hang_up()
                for _ in range(50):  # the news travels through the loop
                    await asyncio.sleep(0)

        body = None if method == "GET" else b"{}"
        try:
            got = await in_time(
                transport.exchange(
                    method, server.url, headers=TOKEN, body=body, may_pass=may_pass
                )
            )
        except TransportError as error:
            assert method == "POST"
            assert not error.sent  # noqa: PT017 - nothing of it can have left
        else:
            assert got.status == 200
            assert len(server.received) == 1 + permits.count


async def test_each_request_asks_its_own_gate() -> None:
    """Many at once on one session, and none passes on another's permit."""
    gates = [Permits() for _ in range(50)]

    async with RawServer(fine) as server, Transport() as transport:
        await in_time(
            asyncio.gather(
                *(
                    transport.exchange("GET", server.url, headers=TOKEN, may_pass=gate)
                    for gate in gates
                )
            )
        )
        await in_time(transport.exchange("GET", server.url, headers=TOKEN))

        assert len(server.received) == 51
    assert [gate.count for gate in gates] == [1] * 50


def test_silence_ends_after_a_minute() -> None:
    """On virtual time: the request was sent, and nothing came."""

    async def scenario() -> tuple[float, TransportError]:
        async with RawServer(silent) as server, Transport() as transport:
            loop = asyncio.get_running_loop()
            began_at = loop.time()
            with pytest.raises(TransportError) as caught:
                await transport.exchange("POST", server.url, headers=TOKEN, body=b"{}")
            return loop.time() - began_at, caught.value

    seconds, error = run(scenario())

    assert seconds == pytest.approx(60, abs=2)
    assert error.sent
    assert str(error) == "no answer in time"


@pytest.mark.parametrize("part", ["headers", "body"])
def test_a_trickle_ends(part: str) -> None:
    """A byte now and then keeps no connection busy for ever, wherever it drips."""

    async def trickle(_request: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n")
        if part == "body":
            writer.write(b"Content-Length: 5000\r\n\r\n")
        while not writer.is_closing():
            await asyncio.sleep(50)
            writer.write(b"x")

    async def scenario() -> float:
        async with RawServer(trickle) as server, Transport() as transport:

            async def exchange() -> None:
                with pytest.raises(TransportError, match="no answer in time"):
                    await asyncio.wait_for(
                        transport.exchange("GET", server.url, headers=TOKEN), 2_000
                    )

            return await elapsed(exchange())

    assert run(scenario()) <= 361


def test_waiting_for_a_second_permit_is_no_time_out() -> None:
    """The answer's clock runs while Amazon is at it, not while a repetition is paced."""
    waits = iter([0.0, 400.0])

    async def fail_once(request: Received, writer: asyncio.StreamWriter) -> None:
        if server.connection_count == 1:
            writer.close()
        else:
            await fine(request, writer)

    async def may_pass() -> None:
        await asyncio.sleep(next(waits))

    server = RawServer(fail_once)

    async def scenario() -> Answer:
        async with server, Transport() as transport:
            return await transport.exchange("GET", server.url, headers=TOKEN, may_pass=may_pass)

    assert run(scenario()).body == PAGE


async def test_a_closed_transport_says_so() -> None:
    """Outside of its `async with` there is no session."""
    transport = Transport()
    with pytest.raises(RuntimeError, match="not open"):
        await transport.exchange("GET", "http://127.0.0.1:1", headers={})
    async with transport:
        assert repr(transport) == "<Transport at most 100 connections>"

    assert repr(transport) == "<Transport closed>"


@pytest.mark.parametrize(
    ("accounts", "files", "connections"),
    [
        (1, 1024, 100),
        (3, 1024, 3 * CONNECTIONS_PER_ACCOUNT),
        (10_000, float("inf"), MOST_CONNECTIONS),
        (400, 1024, 896),  # the usual limit on Linux
        (400, 256, 128),  # on macOS
        (1, 64, 32),
    ],
)
def test_the_pool_grows_with_the_accounts(
    accounts: int, files: float, connections: int
) -> None:
    """Room for what an account has in flight, up to what a process can hold and open."""
    assert enough_connections(accounts, files=files) == connections


async def test_a_mocked_answer_comes_through() -> None:
    """Single calls can be tested without a server, also with a page of real size."""
    with aioresponses() as amazon:
        amazon.get(
            "https://sellingpartnerapi-eu.amazon.com/vendor/orders/v1/purchaseOrders?limit=1",
            body=BIG,
            headers={"x-amzn-RateLimit-Limit": "10.0"},
        )
        got = await fetch(
            "https://sellingpartnerapi-eu.amazon.com/vendor/orders/v1/purchaseOrders?limit=1"
        )

    assert got.status == 200
    assert got.body == BIG
    assert got.headers["X-Amzn-RateLimit-Limit"] == "10.0"


async def test_a_mocked_time_out_is_ours() -> None:
    """Foreign errors become ours at this border."""
    with aioresponses() as amazon:
        amazon.post("https://api.amazon.com/auth/o2/token", timeout=True)
        error = await failure("https://api.amazon.com/auth/o2/token", "POST", b"s3cret")

    assert error.sent
    assert str(error) == "no answer in time"
