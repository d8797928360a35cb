"""Other users of the machine, and whoever stands between us and Amazon."""

from __future__ import annotations

import asyncio
import os
import ssl
import stat
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiohttp import web
from canaries import DAY, direct, page, store
from commands import STRICT
from hold import Record
from loopback import WebServer

from vendororders_async.cli import main
from vendororders_async.models.direct_fulfillment import Order
from vendororders_async.simulator import Settings
from vendororders_async.sinks import open_sink
from vendororders_async.sinks.base import Ledger, PurgeableSink
from vendororders_async.testing import SimulatedAmazon

PART = "Secrets and people"
NOW = datetime.now(UTC)
ORDERS = Settings(orders=60, days=20, rate=500.0, burst=500.0, direct_fulfillment_orders=5)
posix = pytest.mark.skipif(os.name != "posix", reason="modes of files are POSIX's")


@pytest.fixture
def open_umask() -> Iterator[None]:
    """Forbid nothing."""
    before = os.umask(0)
    yield
    os.umask(before)


def run(*arguments: str) -> None:
    """Run a command in this process; it has to succeed."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 0, arguments


@posix
@pytest.mark.usefixtures("open_umask")
def test_what_is_made_is_nobody_elses(
    amazon: SimulatedAmazon,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    figure: Record,
) -> None:
    """Each file that a command makes is 0600 and each folder 0700, whatever the umask."""
    for name, value in amazon.env.items():
        monkeypatch.setenv(name, value)
    place = tmp_path / "made"
    place.mkdir()
    sinks = [
        f"{kind}:{place}/{kind.replace('+', '-')}"
        for kind in ("sqlite", "ndjson", "ndjson+gzip", "parquet")
    ]
    for sink in sinks:
        summary = f"{sink.partition(':')[2]}.json"
        run("backfill", "--quiet", "--to", sink, "--since", "10d", "--summary", summary)
    for target in ("csv:{}/csv", "parquet:{}/tables", *2 * ("duckdb:{}/new.duckdb",)):
        run("export", "--quiet", "--from", sinks[0], "--to", target.format(place))
    run("acknowledge", "--quiet", "--draft", f"{place}/draft.csv", "--to", sinks[0])
    for sink in sinks:
        asyncio.run(fill(sink))
        run("purge", "--quiet", "--to", sink, "--account", "acme", "--pii-older-than", "30d")
    made = list(place.rglob("*"))
    others = [
        path.name
        for path in made
        if stat.S_IMODE(path.stat().st_mode) != (0o700 if path.is_dir() else 0o600)
    ]
    figure(
        PART,
        "files and folders made under umask 000",
        times=1,
        orders=len(made),
        lost=len(others),
    )

    assert len(made) > 20
    assert others == []
    assert len(list(place.rglob("quarantine/*"))) == 3  # SQLite has no files of them


async def fill(sink: str) -> None:
    """Store what is old enough to be written anew by a purge, and what does not decode."""
    ledger = Ledger("acme", "direct_fulfillment", "created", "amazon")
    documents = direct("A1", NOW - 40 * DAY), direct("A2", NOW), b'{"purchaseOrderNumber": '
    async with open_sink(sink) as opened, opened.lock("acme"):
        assert isinstance(opened, PurgeableSink)
        await store(opened, page(*documents, ledger=ledger, kind=Order))


ASKING = """
import asyncio, sys
from vendororders_async.errors import TransportError
from vendororders_async.transport import Transport

async def main():
    async with Transport() as wire:
        try:
            print((await wire.exchange("GET", sys.argv[1], headers={})).status)
        except TransportError as error:
            print(error)

asyncio.run(main())
"""
SWITCHES = {
    "PYTHONHTTPSVERIFY": "0",
    "SSL_NO_VERIFY": "1",
    "NODE_TLS_REJECT_UNAUTHORIZED": "0",
    "CURL_CA_BUNDLE": "",
    "REQUESTS_CA_BUNDLE": "",
    "PYTHONWARNINGS": STRICT,
}


async def asked(url: str, env: dict[str, str]) -> str:
    """Ask *url* in a process with this environment; return what came of it."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", ASKING, url), env=env, stdout=subprocess.PIPE
    )
    out, _ = await asyncio.wait_for(process.communicate(), 60)
    return out.decode().strip()


async def test_no_variable_switches_the_check_of_certificates_off(tmp_path: Path) -> None:
    """A certificate of nobody's is refused, unless it is trusted by SSL_CERT_FILE, by name."""
    key, cert = self_signed(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)

    async def hear(_request: web.Request) -> web.Response:
        return web.Response(text="heard")

    app = web.Application()
    app.router.add_get("/", hear)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        port = runner.addresses[0][1]
        refused = await asked(f"https://localhost:{port}/", SWITCHES)
        trusted = SWITCHES | {"SSL_CERT_FILE": str(cert)}
        taken = await asked(f"https://localhost:{port}/", trusted)
        other_name = await asked(f"https://127.0.0.1:{port}/", trusted)
    finally:
        await runner.cleanup()

    assert refused.startswith("the certificate of localhost is not trusted (self-signed")
    assert taken == "200"
    assert other_name.startswith("the certificate of 127.0.0.1 is not trusted (IP address mis")


async def test_no_variable_sends_tokens_through_a_proxy(tmp_path: Path) -> None:
    """Neither a proxy nor a .netrc of the environment is used."""
    strayed: list[str] = []
    came: list[str] = []

    async def proxy(request: web.Request) -> web.Response:
        strayed.append(request.path)
        return web.Response()

    async def hear(request: web.Request) -> web.Response:
        came.append(request.headers.get("Authorization", ""))
        return web.Response()

    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login NETRC-SECRET password NETRC-SECRET\n")
    netrc.chmod(0o600)
    async with WebServer(proxy) as elsewhere, WebServer(hear) as amazon:
        names = ("http_proxy", "https_proxy", "all_proxy")
        env = {name: elsewhere.url for one in names for name in (one, one.upper())}
        status = await asked(amazon.url, SWITCHES | env | {"NETRC": str(netrc)})

    assert (status, came, strayed) == ("200", [""], [])


def self_signed(folder: Path) -> tuple[Path, Path]:
    """Return key and certificate of localhost, signed by themselves."""
    x509 = pytest.importorskip("cryptography.x509")
    hashes = pytest.importorskip("cryptography.hazmat.primitives.hashes")
    serialization = pytest.importorskip("cryptography.hazmat.primitives.serialization")
    ec = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.ec")

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (folder / "key.pem").write_bytes(key.private_bytes(pem, *plain))
    (folder / "cert.pem").write_bytes(made.public_bytes(pem))
    return folder / "key.pem", folder / "cert.pem"
