"""Canned answers, from a process of its own: the other end where Amazon's rules do not matter.

``/full/…`` and ``/small/…`` get gzip'd pages in turn, each with orders of its own. Without
such a beginning, a list gets one of `PAGES` pages of one order each, a single order gets
that order, and a login an access token.
"""

from __future__ import annotations

import asyncio
import gzip
import itertools
import random
import re
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import msgspec

from vendororders_async import Account, Credentials

from . import data

NUMBER = "5ABC1236"
PAGES = 50  # of one order, until there is no next token


# Orders of a page, lines of an order, and how many different pages there are.
KINDS = {"full": (100, 10, 40), "small": (1, 1, 400)}

_NUMBER = re.compile(rb'(?<="purchaseOrderNumber":")\w+')
_NEXT = re.compile(rb"nextToken=(\d+)")
_TOKEN = b'{"access_token":"Atza|x","expires_in":3600}'
_MAKE_CERTIFICATE = (
    "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 "
    "-subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 -keyout key.pem -out cert.pem"
)


@contextmanager
def serving(*certificate: Path) -> Iterator[str]:
    """Run the server until the block is left, over TLS if there is a certificate and its key.

    with serving() as url:
        account_at(url)
    """
    command = [sys.executable, "-m", __name__, *map(str, certificate)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None  # noqa: S101 - it is piped
        try:
            port = int(process.stdout.readline())
            yield f"http{'s' if certificate else ''}://127.0.0.1:{port}"
        finally:
            process.terminate()


def account_at(url: str, number: int = 0) -> Account:
    """Return an account of the server's."""
    return Account(
        name=f"bench-{number}",
        credentials=Credentials(
            client_id="x",
            client_secret="x",  # noqa: S106 - made up
            refresh_token=f"x{number}",
        ),
        endpoint=url,
        token_url=f"{url}/auth/o2/token",
    )


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """Write a certificate for the server and its key."""
    subprocess.run(_MAKE_CERTIFICATE.split(), cwd=folder, check=True, stderr=subprocess.DEVNULL)
    return folder / "cert.pem", folder / "key.pem"


def bodies(kind: str) -> list[bytes]:
    """Return the different pages of *kind*: the same orders under other numbers."""
    orders, lines, count = KINDS[kind]
    rng = random.Random(data.SEED)

    def number(_match: re.Match[bytes]) -> bytes:
        return "".join(rng.choices("ABCDEFGHJKLMNPQRSTUVWXYZ0123456789", k=8)).encode()

    page = data.page(orders, lines)
    return [_NUMBER.sub(number, page) for _ in range(count)]


class _Server(asyncio.Protocol):
    """One connection; a request comes in one piece here."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what the answers are written to."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - TCP's is
        self._transport = transport

    def data_received(self, received: bytes) -> None:
        """Answer."""
        self._transport.write(_answer_to(received))


def _answer_to(request: bytes) -> bytes:
    if request.startswith(b"POST"):
        return _login()
    target = request.split(b" ", 2)[1]
    kind = target[1:].split(b"/", 1)[0].decode()
    if kind in KINDS:
        return next(_pages(kind))
    if b"?" not in target:
        return _single()
    found = _NEXT.search(target)
    return _small_page(int(found[1]) if found else 1)


@cache
def _pages(kind: str) -> Iterator[bytes]:
    return itertools.cycle(
        [_http(gzip.compress(body, 6), zipped=True) for body in bodies(kind)]
    )


@cache
def _login() -> bytes:
    return _http(_TOKEN)


@cache
def _single() -> bytes:
    return _http(_NUMBER.sub(NUMBER.encode(), data.single()))


@cache
def _small_page(number: int) -> bytes:
    order = msgspec.json.decode(data.single())["payload"] | {
        "purchaseOrderNumber": f"{number:08}"
    }
    pagination = {"nextToken": f"{number + 1}"} if number < PAGES else {}
    return _http(
        msgspec.json.encode({"payload": {"pagination": pagination, "orders": [order]}})
    )


def _http(body: bytes, *, zipped: bool = False) -> bytes:
    encoding = "Content-Encoding: gzip\r\n" if zipped else ""
    return (
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
        f"{encoding}Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body


async def _serve(*certificate: str) -> None:
    context = None
    if certificate:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*certificate)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(_Server, "127.0.0.1", 0, ssl=context, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(*sys.argv[1:]))
