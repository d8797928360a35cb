"""``sync --health``: what those who look after a sync are told, over loopback."""

from __future__ import annotations

import socket
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import click
import msgspec
import pytest

from vendororders_async.cli.health import Address, HealthAddress, serving_health
from vendororders_async.errors import ConfigurationError
from vendororders_async.jobs.standing import AccountStanding, Standing, StreamStanding

NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)
LOOPBACK = Address("127.0.0.1", 0)

STANDING = Standing(
    began_at=NOON - timedelta(days=30),
    is_ready=True,
    accounts=(
        AccountStanding(
            account="acme-us",
            api="retail_procurement",
            streams=(
                StreamStanding(
                    stream="created",
                    watermark=NOON - timedelta(minutes=2),
                    last_success_at=NOON - timedelta(seconds=8),
                    interval_seconds=4.5,
                ),
                StreamStanding(stream="statuses", last_error="getPurchaseOrdersStatus: no"),
            ),
            requests_an_hour={"getPurchaseOrders": 480.5},
        ),
        AccountStanding(
            account="acme-de",
            api="retail_procurement",
            error="Login with Amazon refuses account acme-de",
            retried_at=NOON + timedelta(minutes=5),
        ),
    ),
)
NEW = Standing(began_at=NOON, is_ready=False)


async def asked(
    standing: Standing, path: str, *, method: str = "GET"
) -> tuple[int, str, bytes]:
    """Return status, kind and body of the answer to one request."""
    async with (
        serving_health(LOOPBACK, lambda: standing, now=lambda: NOON) as address,
        aiohttp.ClientSession() as session,
        session.request(method, f"http://{address}{path}") as answer,
    ):
        return answer.status, answer.content_type, await answer.read()


@pytest.mark.parametrize(
    ("standing", "path", "status"),
    [
        (NEW, "/live", 200),
        (STANDING, "/live", 200),
        (NEW, "/ready", 503),
        (STANDING, "/ready", 200),
        (NEW, "/health", 200),
        (NEW, "/nonsense", 404),
    ],
)
async def test_a_probe_needs_the_status_alone(
    standing: Standing, path: str, status: int
) -> None:
    """Live is whoever answers, ready is who has seen every account and follows one."""
    found, _, _ = await asked(standing, path)

    assert found == status


async def test_readiness_is_that_of_the_moment() -> None:
    """One server tells how it stands whenever it is asked."""
    stands = [NEW, STANDING, NEW]
    async with (
        serving_health(LOOPBACK, lambda: stands.pop(0)) as address,
        aiohttp.ClientSession(f"http://{address}") as session,
    ):
        statuses = []
        for _ in range(3):
            async with session.get("/ready") as answer:
                statuses.append(answer.status)

    assert statuses == [503, 200, 503]


@pytest.mark.parametrize("path", ["/", "/health"])
async def test_every_account_and_stream_is_told(path: str) -> None:
    """How fresh each is, what went wrong, who is set aside until when, and what it costs."""
    status, kind, body = await asked(STANDING, path)
    told: dict[str, Any] = msgspec.json.decode(body)

    assert (status, kind) == (200, "application/json")
    assert told == {
        "is_ready": True,
        "began_at": "2026-06-01T12:00:00Z",
        "accounts": [
            {
                "account": "acme-us",
                "api": "retail_procurement",
                "error": None,
                "retried_at": None,
                "requests_an_hour": {"getPurchaseOrders": 480.5},
                "streams": [
                    {
                        "stream": "created",
                        "last_success_at": "2026-07-01T11:59:52Z",
                        "age_seconds": 8.0,
                        "watermark": "2026-07-01T11:58:00Z",
                        "interval_seconds": 4.5,
                        "last_error": None,
                    },
                    {
                        "stream": "statuses",
                        "last_success_at": None,
                        "age_seconds": None,
                        "watermark": None,
                        "interval_seconds": None,
                        "last_error": "getPurchaseOrdersStatus: no",
                    },
                ],
            },
            {
                "account": "acme-de",
                "api": "retail_procurement",
                "error": "Login with Amazon refuses account acme-de",
                "retried_at": "2026-07-01T12:05:00Z",
                "requests_an_hour": {},
                "streams": [],
            },
        ],
    }


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_nothing_can_be_done_there(method: str) -> None:
    """It tells, and takes no orders."""
    statuses = [
        (await asked(STANDING, path, method=method))[0]
        for path in ("/", "/live", "/ready", "/health")
    ]

    assert statuses == [405] * 4


async def test_an_age_is_never_negative() -> None:
    """Clocks are set back now and then."""
    ahead = StreamStanding(stream="created", last_success_at=NOON + timedelta(seconds=3))
    account = AccountStanding(account="a", api="retail_procurement", streams=(ahead,))
    _, _, body = await asked(
        Standing(began_at=NOON, is_ready=True, accounts=(account,)), "/health"
    )

    assert b'"age_seconds":0.0' in body


async def test_a_port_that_is_taken_is_said_in_one_line() -> None:
    """It is the settings that are wrong, and nothing was done."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ConfigurationError) as raised:
            async with serving_health(Address("127.0.0.1", port), lambda: NEW):
                pytest.fail("it cannot listen")

    assert str(raised.value) == (
        f"--health 127.0.0.1:{port} cannot be used: Address already in use"
    )


async def test_when_the_sync_ends_nobody_answers_any_more() -> None:
    """Not even those who stay connected hold it up."""
    async with (
        aiohttp.ClientSession() as session,
        serving_health(LOOPBACK, lambda: STANDING) as address,
        session.get(f"http://{address}/live") as answer,
    ):
        status = answer.status

    assert status == 200
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((address.host, address.port))


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("8790", Address("127.0.0.1", 8790)),
        ("0.0.0.0:80", Address("0.0.0.0", 80)),  # noqa: S104 - as somebody writes it
        ("localhost:0", Address("localhost", 0)),
        ("[::1]:8790", Address("::1", 8790)),
    ],
)
def test_an_address_is_a_port_or_a_host_and_a_port(text: str, address: Address) -> None:
    """Without a host nobody outside can ask; it is written as it is read."""
    found = HealthAddress().convert(text, None, None)

    assert found == address
    assert HealthAddress().convert(found, None, None) is found
    assert HealthAddress().convert(str(found), None, None) == address


@pytest.mark.parametrize("text", ["", "no", "127.0.0.1", ":8790", "host:", "1:65536", "-1"])
def test_what_is_no_address_is_said_when_the_command_is_read(text: str) -> None:
    """Nothing begins with it."""
    with pytest.raises(click.BadParameter, match="write 8790"):
        HealthAddress().convert(text, None, None)
