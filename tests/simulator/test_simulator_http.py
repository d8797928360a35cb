"""The simulator over HTTP: tokens, quotas, headers, and every way of failing."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Self

import aiohttp
import msgspec
import pytest

from vendororders_async.errors import InvalidArgument
from vendororders_async.simulator import (
    BAD_ORDER_KINDS,
    KINDS,
    PAGING_KINDS,
    Call,
    Served,
    Settings,
    Simulator,
    run_forever,
)
from vendororders_async.simulator.login import Login
from vendororders_async.simulator.settings import simulated_account
from vendororders_async.transport import LARGEST_BODY

NOW = datetime(2026, 6, 10, 12, tzinfo=UTC)
ORDERS = "/vendor/orders/v1/purchaseOrders"
STATUSES = "/vendor/orders/v1/purchaseOrdersStatus"
ACKNOWLEDGEMENTS = "/vendor/orders/v1/acknowledgements"
TRANSACTIONS = "/vendor/transactions/v1/transactions"
WEEK = {"createdAfter": "2026-06-01T00:00:00Z", "createdBefore": "2026-06-08T00:00:00Z"}


class Reply(msgspec.Struct, frozen=True):
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def data(self) -> Any:
        """The decoded body."""
        return json.loads(self.body)


class Caller:
    """A plain client of one account that hides nothing."""

    def __init__(self, simulator: Simulator, url: str, session: aiohttp.ClientSession) -> None:
        self.simulator = simulator
        self.account = simulator.accounts[0]
        self.token = ""
        self.url = url
        self._session = session

    async def login(self, **changes: str) -> Reply:
        """Ask for an access token, and keep it."""
        form = {
            "grant_type": "refresh_token",
            "client_id": self.account.client_id,
            "client_secret": self.account.client_secret,
            "refresh_token": self.account.refresh_token,
        }
        reply = await self._send("POST", "/auth/o2/token", data=form | changes)
        self.token = reply.data.get("access_token", "")
        return reply

    async def get(self, path: str, **query: str) -> Reply:
        """Call one of the operations that read; an empty parameter is left out."""
        headers = {"x-amz-access-token": self.token}
        given = {name: value for name, value in query.items() if value}
        return await self._send(
            "GET", path, params=given, headers=headers, allow_redirects=False
        )

    async def post(self, body: object) -> Reply:
        """Submit acknowledgements."""
        headers = {"x-amz-access-token": self.token}
        return await self._send("POST", ACKNOWLEDGEMENTS, json=body, headers=headers)

    async def post_text(self, text: str) -> Reply:
        """Submit something of whatever type the session says."""
        headers = {"x-amz-access-token": self.token}
        return await self._send("POST", ACKNOWLEDGEMENTS, data=text, headers=headers)

    async def login_text(self, text: str) -> Reply:
        """Ask for a token with something of whatever type the session says."""
        return await self._send("POST", "/auth/o2/token", data=text)

    async def _send(self, method: str, path: str, **options: Any) -> Reply:
        async with self._session.request(method, self.url + path, **options) as response:
            body = await response.read()
            return Reply(response.status, dict(response.headers), body)

    def using(self, session: aiohttp.ClientSession) -> Self:
        """Return the same caller on another session."""
        other = type(self)(self.simulator, self.url, session)
        other.token = self.token
        return other


@asynccontextmanager
async def calling(**settings: Any) -> AsyncIterator[Caller]:
    """Serve a simulator and log in to it."""
    defaults = {"orders": 2000, "rate": 1000.0, "burst": 1000.0, "keep_arrivals": True}
    simulator = Simulator(Settings(**(defaults | settings)), now=lambda: NOW)
    async with simulator.serve() as server, aiohttp.ClientSession() as session:
        caller = Caller(simulator, server.url, session)
        await caller.login()
        yield caller


@pytest.fixture(autouse=True)
def _quiet_server(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Fail when the server had to log anything."""
    yield

    assert [record for record in caplog.records if record.name.startswith("aiohttp")] == []


# Login


async def test_a_refresh_token_buys_an_access_token() -> None:
    """The answer has Amazon's four fields."""
    async with calling(token_seconds=1200) as caller:
        reply = await caller.login()

    assert reply.status == 200
    assert reply.data["token_type"] == "bearer"
    assert reply.data["expires_in"] == 1200
    assert reply.data["access_token"].startswith("Atza|")
    assert reply.data["refresh_token"] == caller.account.refresh_token


@pytest.mark.parametrize(
    ("changes", "status", "error"),
    [
        ({"client_secret": "wrong"}, 401, "invalid_client"),
        ({"client_id": "wrong"}, 401, "invalid_client"),
        ({"refresh_token": "wrong"}, 400, "invalid_grant"),
        ({"refresh_token": ""}, 400, "invalid_request"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
    ],
)
async def test_wrong_credentials_are_refused(
    changes: dict[str, str], status: int, error: str
) -> None:
    """The body is OAuth's, not that of the API."""
    async with calling(orders=0) as caller:
        reply = await caller.login(**changes)

    assert reply.status == status
    assert reply.data["error"] == error
    assert reply.data["error_description"]


@pytest.mark.parametrize("token", ["", "Atza|invented"])
async def test_a_bad_access_token_is_denied(token: str) -> None:
    """The 403 has Amazon's words, and no rate."""
    async with calling(orders=0) as caller:
        caller.token = token
        reply = await caller.get(ORDERS)

    assert reply.status == 403
    assert reply.data["errors"][0] == {
        "code": "Unauthorized",
        "message": "Access to requested resource is denied.",
        "details": "The access token you provided is revoked, malformed or invalid.",
    }
    assert "x-amzn-RateLimit-Limit" not in reply.headers


async def test_revoked_tokens_need_a_refresh() -> None:
    """Revoking is undone by the next refresh, refusing is not."""
    async with calling(orders=0) as caller:
        caller.simulator.revoke_tokens(caller.account.name)
        revoked = await caller.get(ORDERS)
        await caller.login()
        renewed = await caller.get(ORDERS)
        caller.simulator.refuse(caller.account.name)
        refused = await caller.get(ORDERS)
        again = await caller.login()

    assert (revoked.status, renewed.status, refused.status) == (403, 200, 403)
    assert (again.status, again.data["error"]) == (400, "invalid_grant")


async def test_a_form_has_to_be_a_form() -> None:
    """Login with Amazon reads no JSON, and acknowledgements are nothing else."""
    headers = {"Content-Type": "text/plain"}
    async with calling(orders=0) as caller, aiohttp.ClientSession(headers=headers) as session:
        plain = caller.using(session)
        submitted = await plain.post_text("{}")
        login = await plain.login_text("grant_type=refresh_token")

    assert (submitted.status, login.status) == (415, 400)
    assert login.data["error"] == "invalid_request"


def test_an_access_token_expires() -> None:
    """It is good for its life and not a moment longer."""
    account = simulated_account("demo")
    login = Login([account], life=3600.0)
    answer = login.exchange(
        {
            "grant_type": "refresh_token",
            "client_id": account.client_id,
            "client_secret": account.client_secret,
            "refresh_token": account.refresh_token,
        },
        at=100.0,
    )
    token = json.loads(answer.body)["access_token"]

    assert login.owner(token, 3699.9) == "demo"
    assert repr(login) == "<Login 1 tokens, 0 accounts refused>"
    assert login.owner(token, 3700.0) is None
    assert login.owner(None, 100.0) is None


def test_expired_tokens_are_forgotten() -> None:
    """Months of logging in every hour do not fill the memory."""
    account = simulated_account("demo")
    login = Login([account], life=3600.0)
    form = {"grant_type": "refresh_token"} | msgspec.to_builtins(account)
    for hour in range(50):
        login.exchange(form, at=hour * 3500.0)

    assert repr(login) == "<Login 2 tokens, 0 accounts refused>"


def test_an_account_can_be_taken_back() -> None:
    """Refusing has an end."""
    simulator = Simulator(Settings(orders=0))
    account = simulator.accounts[0]
    login = Login([account], life=3600.0)
    login.refuse("demo", refused=True)
    login.refuse("demo", refused=False)
    form = {"grant_type": "refresh_token"} | msgspec.to_builtins(account)

    assert login.exchange(form, at=0.0).status == 200
    assert repr(simulator) == "<Simulator 1 accounts, 0 orders>"


# Operations


async def test_all_pages_are_the_truth() -> None:
    """What is read over HTTP is, byte for byte, what the truth says."""
    async with calling() as caller:
        read: dict[str, bytes] = {}
        query = dict(WEEK)
        while True:
            reply = await caller.get(ORDERS, **query, limit="20")
            payload = msgspec.json.decode(reply.body, type=dict[str, dict[str, msgspec.Raw]])
            for order in msgspec.json.decode(
                payload["payload"]["orders"], type=list[msgspec.Raw]
            ):
                read[json.loads(bytes(order))["purchaseOrderNumber"]] = bytes(order)
            if "pagination" not in payload["payload"]:
                break
            query["nextToken"] = reply.data["payload"]["pagination"]["nextToken"]
        expected = caller.simulator.truth(
            "demo", after=NOW.replace(day=1, hour=0), before=NOW.replace(day=8, hour=0)
        )

    assert len(read) > 40
    assert read == expected


async def test_one_order_can_be_read() -> None:
    """By its number, if it is there."""
    async with calling() as caller:
        number, document = next(iter(caller.simulator.truth("demo").items()))
        found = await caller.get(f"{ORDERS}/{number}")
        missing = await caller.get(f"{ORDERS}/NOSUCHPO")
        status = await caller.get(STATUSES, purchaseOrderNumber=number)

    assert found.body == b'{"payload":' + document + b"}"
    assert (missing.status, missing.data["errors"][0]["code"]) == (404, "ResourceNotFound")
    assert missing.headers["x-amzn-RateLimit-Limit"] == "1000.0"
    assert status.data["payload"]["ordersStatus"][0]["purchaseOrderNumber"] == number


async def test_orders_can_be_put_and_changed_while_it_runs() -> None:
    """The next answer shows it, under the change's own date."""
    async with calling(orders=50) as caller:
        number = next(iter(caller.simulator.truth("demo")))
        caller.simulator.put_order(
            "demo",
            {
                "purchaseOrderNumber": "PUTBYUS1",
                "orderDetails": {"purchaseOrderDate": "2026-06-09T08:00:00Z"},
            },
            available_at=NOW - timedelta(minutes=5),
        )
        caller.simulator.change_order(
            "demo", number, lambda order: order.update(purchaseOrderState="Closed")
        )
        available = await caller.get(ORDERS, createdAfter="2026-06-10T11:50:00Z")
        changed = await caller.get(ORDERS, changedAfter="2026-06-10T11:50:00Z")
        updated = await caller.get(STATUSES, updatedAfter="2026-06-10T11:50:00Z")

    assert [one["purchaseOrderNumber"] for one in available.data["payload"]["orders"]] == [
        "PUTBYUS1"
    ]
    (order,) = changed.data["payload"]["orders"]
    assert (order["purchaseOrderNumber"], order["purchaseOrderState"]) == (number, "Closed")
    assert order["orderDetails"]["purchaseOrderChangedDate"] == "2026-06-10T12:00:00Z"
    assert updated.data["payload"]["ordersStatus"][0]["purchaseOrderNumber"] == number


async def test_an_acknowledgement_changes_its_order() -> None:
    """It is taken, it is processing for ever, and the order is no longer new."""
    async with calling() as caller:
        reply = await caller.get(ORDERS, **WEEK | {"createdBefore": "2026-06-08T00:00:00Z"})
        new = await caller.get(ORDERS, createdAfter="2026-06-09T00:00:00Z")
        order = new.data["payload"]["orders"][0]
        number = order["purchaseOrderNumber"]
        submission = {
            "purchaseOrderNumber": number,
            "sellingParty": {"partyId": order["orderDetails"]["sellingParty"]["partyId"]},
            "acknowledgementDate": "2026-06-10T12:00:00Z",
            "items": [
                {
                    "itemSequenceNumber": item["itemSequenceNumber"],
                    "orderedQuantity": item["orderedQuantity"],
                    "netCost": item["netCost"],
                    "itemAcknowledgements": [
                        {
                            "acknowledgementCode": "Accepted",
                            "acknowledgedQuantity": item["orderedQuantity"],
                        }
                    ],
                }
                for item in order["orderDetails"]["items"]
            ],
        }
        unknown = submission | {"purchaseOrderNumber": "NOSUCHPO"}
        taken = await caller.post({"acknowledgements": [submission]})
        failed = await caller.post({"acknowledgements": [unknown]})
        wrong = await caller.post({"acknowledgements": []})
        states = [
            (await caller.get(f"{TRANSACTIONS}/{identifier}")).data["payload"]
            for identifier in (
                taken.data["payload"]["transactionId"],
                failed.data["payload"]["transactionId"],
            )
        ]
        nothing = await caller.get(f"{TRANSACTIONS}/20260610-invented")
        after = await caller.get(f"{ORDERS}/{number}")

    assert reply.status == 200
    assert (taken.status, wrong.status, nothing.status) == (202, 400, 404)
    assert [one["transactionStatus"]["status"] for one in states] == ["Processing", "Failure"]
    assert after.data["payload"]["purchaseOrderState"] == "Acknowledged"
    assert caller.simulator.acknowledgements[0].body == {"acknowledgements": [submission]}


# The protocol


@pytest.mark.parametrize("accept", ["gzip", "gzip, deflate, br", "identity", ""])
async def test_gzip_is_sent_to_those_who_take_it(accept: str) -> None:
    """And to nobody else; the content is the same."""
    async with calling() as caller, aiohttp.ClientSession(auto_decompress=False) as session:
        plain = await caller.get(ORDERS, **WEEK)
        headers = {"Accept-Encoding": accept}
        session.headers.update(headers)
        reply = await caller.using(session).get(ORDERS, **WEEK)

    is_zipped = reply.headers.get("Content-Encoding") == "gzip"
    assert is_zipped is accept.startswith("gzip")
    assert (gzip.decompress(reply.body) if is_zipped else reply.body) == plain.body


async def test_a_good_answer_has_amazons_headers() -> None:
    """The rate, a request id that is never the same, and the simulated date."""
    async with calling(rate=10.0) as caller:
        first, second = [await caller.get(ORDERS, limit="1") for _ in range(2)]

    assert first.headers["x-amzn-RateLimit-Limit"] == "10.0"
    assert first.headers["Content-Type"] == "application/json"
    assert first.headers["Date"] == "Wed, 10 Jun 2026 12:00:00 GMT"
    assert first.headers["x-amzn-RequestId"] != second.headers["x-amzn-RequestId"]


async def test_too_many_requests_are_throttled() -> None:
    """The body is Amazon's; no header says when to come back, or what the rate is."""
    async with calling(rate=0.01, burst=3.0) as caller:
        replies = [await caller.get(ORDERS, limit="1") for _ in range(4)]
        other = await caller.get(STATUSES, limit="1")
        caller.simulator.set_rate(100.0, 2.0, operation="getPurchaseOrders")
        await asyncio.sleep(0.02)
        raised = await caller.get(ORDERS, limit="1")

    last = replies[-1]
    assert [reply.status for reply in replies] == [200, 200, 200, 429]
    assert last.data == {
        "errors": [
            {
                "code": "QuotaExceeded",
                "message": "You exceeded your quota for the requested resource.",
                "details": "",
            }
        ]
    }
    assert last.headers["x-amzn-ErrorType"] == "TooManyRequestsException"
    assert "x-amzn-RequestId" in last.headers
    assert not {"Retry-After", "x-amzn-RateLimit-Limit"} & last.headers.keys()
    assert (other.status, raised.status) == (200, 200)
    assert raised.headers["x-amzn-RateLimit-Limit"] == "100.0"
    assert caller.simulator.traffic.throttled(operation="getPurchaseOrders") == 1


async def test_accounts_are_strangers() -> None:
    """One account's token does not open another's orders, nor spend its quota."""
    async with calling(orders=100, accounts=2, rate=0.01, burst=1.0) as caller:
        first = [await caller.get(ORDERS) for _ in range(2)]
        caller.account = caller.simulator.accounts[1]
        await caller.login()
        second = await caller.get(ORDERS)
        number = next(iter(caller.simulator.truth("demo-1")))
        foreign = await caller.get(f"{ORDERS}/{number}")

    assert [reply.status for reply in first] == [200, 429]
    assert (second.status, foreign.status) == (200, 404)
    assert caller.simulator.traffic.count(account="demo-2") == 3


async def test_malformed_requests_get_a_page_for_browsers() -> None:
    """A GET with a body is stopped before the API sees it."""
    async with calling(orders=0) as caller:
        async with aiohttp.ClientSession(headers={"Content-Length": "0"}) as session:
            reply = await caller.using(session).get(ORDERS)
        nowhere = await caller.get("/vendor/orders/v2/purchaseOrders")

    assert (reply.status, reply.headers["Content-Type"]) == (400, "text/html")
    assert reply.body.startswith(b"<html>")
    assert nowhere.status == 404


async def test_arrivals_are_kept_when_asked_for() -> None:
    """Every request is there, in sequence, with what it got."""
    async with calling(orders=0) as caller:
        await caller.get(ORDERS, limit="0")
        await caller.get(f"{ORDERS}/NOSUCHPO")

    traffic = caller.simulator.traffic
    seen = [(one.operation, one.status, one.subject) for one in traffic.arrivals]
    assert seen == [
        ("token", 200, ""),
        ("getPurchaseOrders", 400, ""),
        ("getPurchaseOrder", 404, "NOSUCHPO"),
    ]
    assert [one.at for one in traffic.arrivals] == sorted(one.at for one in traffic.arrivals)
    assert traffic.token_requests == 1
    assert sum(traffic.counts.values()) == 3
    assert repr(traffic).startswith("<Traffic demo token 200: 1, ")


async def test_latency_comes_after_the_judgement() -> None:
    """Requests that arrive together are answered together, late."""
    async with calling(orders=0, latency=(0.05, 0.06)) as caller:
        loop = asyncio.get_running_loop()
        started = loop.time()
        await asyncio.gather(*(caller.get(ORDERS) for _ in range(20)))
        took = loop.time() - started

    arrivals = [one.at for one in caller.simulator.traffic.arrivals[1:]]
    assert 0.05 <= took < 0.5
    assert max(arrivals) - min(arrivals) < 0.05


# Faults


@pytest.mark.parametrize(
    ("kind", "status", "content"),
    [
        ("403", 403, b"Unauthorized"),
        ("429", 429, b"QuotaExceeded"),
        ("500", 500, b"InternalFailure"),
        ("503", 503, b"ServiceUnavailable"),
        ("html", 503, b"<html>"),
        ("html-400", 400, b"<html>"),
    ],
)
async def test_a_scripted_refusal_happens_as_often_as_asked(
    kind: str, status: int, content: bytes
) -> None:
    """Twice, and then no more."""
    async with calling(orders=10) as caller:
        script = caller.simulator.inject("getPurchaseOrders", kind, times=2)
        replies = [await caller.get(ORDERS) for _ in range(3)]

    assert [reply.status for reply in replies] == [status, status, 200]
    assert content in replies[0].body
    assert (script.fired, script.remaining) == (2, 0)


async def test_a_spurious_400_meets_a_page_that_follows() -> None:
    """The first page is spared, and the same request works when repeated."""
    async with calling() as caller:
        caller.simulator.inject("getPurchaseOrders", "spurious-400")
        first = await caller.get(ORDERS, **WEEK, limit="5")
        token = first.data["payload"]["pagination"]["nextToken"]
        replies = [await caller.get(ORDERS, **WEEK, limit="5", nextToken=token) for _ in "12"]

    assert first.status == 200
    assert [reply.status for reply in replies] == [400, 200]
    assert replies[0].data["errors"] == [
        {"code": "InvalidInput", "message": "Invalid Input", "details": ""}
    ]


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("reset", aiohttp.ClientOSError),
        ("reset-body", aiohttp.ClientPayloadError),
    ],
)
async def test_a_connection_can_be_lost(kind: str, error: type[Exception]) -> None:
    """Before the answer, or within it."""
    async with calling() as caller:
        # aiohttp's client quietly sends a GET a second time when its connection is reset
        times = 2 if kind == "reset" else 1
        caller.simulator.inject("getPurchaseOrders", kind, times=times)
        with pytest.raises(error):
            await caller.get(ORDERS, **WEEK)
        after = await caller.get(ORDERS, **WEEK)

    assert after.status == 200
    assert caller.simulator.traffic.count(status=0) == (2 if kind == "reset" else 0)


@pytest.mark.parametrize("kind", ["truncated", "empty"])
async def test_a_good_status_can_have_a_bad_body(kind: str) -> None:
    """The length is right and the JSON is not."""
    async with calling() as caller:
        good = await caller.get(ORDERS, **WEEK)
        caller.simulator.inject("getPurchaseOrders", kind)
        bad = await caller.get(ORDERS, **WEEK)

    assert bad.status == 200
    assert good.body.startswith(bad.body)
    assert 0 <= len(bad.body) < len(good.body)


async def test_a_packed_body_can_be_cut_or_unpack_to_anything() -> None:
    """As they travel: half of the file, and one that is small enough for any buffer."""
    bodies = []
    async with calling() as caller:
        for kind in ("truncated-gzip", "gzip-bomb"):
            caller.simulator.inject("getPurchaseOrders", kind)
            async with aiohttp.ClientSession(auto_decompress=False) as session:
                bodies.append((await caller.using(session).get(ORDERS, **WEEK)).body)
    half, bomb = bodies
    with pytest.raises(EOFError):
        gzip.decompress(half)
    unpacked = zlib.decompressobj(31).decompress(bomb, LARGEST_BODY + 1)

    assert len(bomb) < 500_000
    assert len(unpacked) == LARGEST_BODY + 1


async def test_an_answer_can_trickle() -> None:
    """A byte a second: after half a second there is one of them."""
    async with calling(orders=0) as caller:
        caller.simulator.inject("getPurchaseOrders", "trickle")
        headers = {"x-amz-access-token": caller.token}
        async with aiohttp.ClientSession(auto_decompress=False) as session:
            response = await session.get(caller.url + ORDERS, params=WEEK, headers=headers)
            first = await response.content.readany()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await response.content.readany()
            response.close()

    assert (response.status, len(first)) == (200, 1)


async def test_a_redirect_points_where_the_settings_say() -> None:
    """It has no body, and the request no effect."""
    async with calling(redirect_to="http://elsewhere.invalid/x") as caller:
        caller.simulator.inject("getPurchaseOrders", "redirect")
        reply = await caller.get(ORDERS)

    assert (reply.status, reply.body) == (307, b"")
    assert reply.headers["Location"] == "http://elsewhere.invalid/x"


async def test_a_success_can_report_errors() -> None:
    """Amazon's list of them, and no payload."""
    async with calling(orders=0) as caller:
        caller.simulator.inject("getPurchaseOrders", "errors-200")
        reply = await caller.get(ORDERS)

    assert reply.status == 200
    assert reply.data.keys() == {"errors"}


async def pages(caller: Caller, count: int) -> list[tuple[str, list[str]]]:
    """Follow next tokens; return each with the numbers of its page, up to *count* of them."""
    found: list[tuple[str, list[str]]] = []
    token = ""
    while len(found) < count:
        reply = await caller.get(ORDERS, **WEEK, limit="5", nextToken=token)
        payload = reply.data["payload"]
        numbers = [one["purchaseOrderNumber"] for one in payload["orders"]]
        found.append((token, numbers))
        token = payload.get("pagination", {}).get("nextToken", "")
        if not token:
            break
    return found


async def test_next_tokens_can_lead_in_a_circle() -> None:
    """Back to the beginning, under the same names as before."""
    async with calling() as caller:
        caller.simulator.inject(
            "getPurchaseOrders", "token-loop", times=9, when=lambda call: call.order_count == 5
        )
        found = await pages(caller, 4)

    assert found[1] == found[2] == found[3]
    assert found[0][1] == found[1][1]


async def test_next_tokens_can_lead_nowhere() -> None:
    """Each is a new one, and the page behind it is the same."""
    async with calling() as caller:
        script = caller.simulator.inject("getPurchaseOrders", "token-endless", times=3)
        found = await pages(caller, 4)
        script.cancel()

    assert len({token for token, _ in found}) == 4
    assert all(numbers == found[0][1] for _, numbers in found)


async def test_a_next_token_can_expire_before_its_time() -> None:
    """For good, until the list is read anew."""
    async with calling() as caller:
        first = await caller.get(ORDERS, **WEEK, limit="5")
        token = first.data["payload"]["pagination"]["nextToken"]
        caller.simulator.inject("getPurchaseOrders", "expired-token")
        refused = [await caller.get(ORDERS, **WEEK, limit="5", nextToken=token) for _ in "123"]
        await caller.get(ORDERS, **WEEK, limit="5")
        anew = await caller.get(ORDERS, **WEEK, limit="5", nextToken=token)

    assert [reply.status for reply in refused] == [400, 400, 400]
    assert refused[0].data["errors"][0]["code"] == "InvalidInput"
    assert anew.status == 200


@pytest.mark.parametrize("kind", BAD_ORDER_KINDS)
@pytest.mark.parametrize("path", [ORDERS, STATUSES])
async def test_one_order_of_a_page_can_be_bad(kind: str, path: str) -> None:
    """One and only one entry does not decode, and the next answer is whole again."""
    operation = "getPurchaseOrders" if path == ORDERS else "getPurchaseOrdersStatus"
    async with calling() as caller:
        good = await caller.get(path, **WEEK, limit="9")
        caller.simulator.inject(operation, kind)
        bad = await caller.get(path, **WEEK, limit="9")
        again = await caller.get(path, **WEEK, limit="9")

    assert bad.status == 200
    assert bad.body != good.body
    assert again.body == good.body
    if kind == "bad-order:missing-number":
        (entries,) = (v for v in bad.data["payload"].values() if isinstance(v, list))
        assert sum("purchaseOrderNumber" not in entry for entry in entries) == 1
    else:
        with pytest.raises((msgspec.DecodeError, UnicodeDecodeError)):
            msgspec.json.decode(bad.body)


async def test_a_page_without_orders_cannot_have_a_bad_one() -> None:
    """The script waits for a page that has."""
    async with calling(orders=10) as caller:
        script = caller.simulator.inject("getPurchaseOrders", "bad-order")
        empty = await caller.get(ORDERS, orderingVendorCode="nobody")
        spoilt = await caller.get(ORDERS)

    assert empty.data == {"payload": {"orders": []}}
    assert (spoilt.status, script.fired) == (200, 1)


async def test_an_answer_can_be_slow() -> None:
    """It comes, after the seconds asked for."""
    async with calling(orders=10) as caller:
        loop = asyncio.get_running_loop()
        caller.simulator.inject("getPurchaseOrders", "slow", seconds=0.05)
        started = loop.time()
        reply = await caller.get(ORDERS)

    assert reply.status == 200
    assert loop.time() - started >= 0.05


@pytest.mark.parametrize("operation", ["getPurchaseOrders", "token"])
async def test_an_answer_may_never_come(operation: str) -> None:
    """The client has to give up, and the next answer comes."""
    async with calling(orders=0) as caller:
        is_token = operation == "token"
        caller.simulator.inject(operation, "token-hang" if is_token else "hang")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await (caller.login() if is_token else caller.get(ORDERS))
        after = await (caller.login() if is_token else caller.get(ORDERS))

    assert after.status == 200
    assert caller.simulator.traffic.count(operation=operation, status=0) == 1


async def test_a_server_with_a_hanging_request_stops_at_once() -> None:
    """Whoever waits for an answer sees the connection end."""
    simulator = Simulator(Settings(orders=0), now=lambda: NOW)
    async with aiohttp.ClientSession() as session:
        async with simulator.serve() as server:
            caller = Caller(simulator, server.url, session)
            await caller.login()
            simulator.inject("getPurchaseOrders", "hang")
            waiting = asyncio.create_task(caller.get(ORDERS))
            await asyncio.sleep(0.02)
            started = asyncio.get_running_loop().time()
        took = asyncio.get_running_loop().time() - started
        with pytest.raises(aiohttp.ClientError):
            await waiting

    assert took < 0.9


async def test_the_token_endpoint_can_fail() -> None:
    """The 500 is OAuth's, and the next attempt works."""
    async with calling(orders=0) as caller:
        caller.simulator.inject("token", "token-500")
        replies = [await caller.login() for _ in range(2)]

    assert [reply.status for reply in replies] == [500, 200]
    assert replies[0].data["error"] == "server_error"


async def test_a_script_picks_its_requests() -> None:
    """By account and by whatever it is told of the request."""
    asked: list[Call] = []

    def third_page(call: Call) -> bool:
        asked.append(call)
        return call.query.get("limit") == "3"

    async with calling(orders=10, accounts=2) as caller:
        caller.simulator.inject("getPurchaseOrders", "500", account="demo-2", times=9)
        caller.simulator.inject("getPurchaseOrders", "503", when=third_page, times=9)
        replies = [await caller.get(ORDERS, limit=limit) for limit in ("2", "3")]

    assert [reply.status for reply in replies] == [200, 503]
    assert (asked[0].account, asked[0].operation) == ("demo-1", "getPurchaseOrders")
    assert asked[0].order_count == 2


async def test_a_script_can_be_taken_back() -> None:
    """What is cancelled does not happen; what it was is still to be seen."""
    async with calling(orders=0) as caller:
        script = caller.simulator.inject("getPurchaseOrders", "500", times=3)
        first = await caller.get(ORDERS)
        shown = repr(script)
        script.cancel()
        second = await caller.get(ORDERS)

    assert (first.status, second.status) == (500, 200)
    assert shown == "<Injection 500 at getPurchaseOrders: 1 fired, 2 to come>"


async def test_a_refused_acknowledgement_has_no_effect_and_a_lost_one_has() -> None:
    """A 500 means it was not done; a reset says nothing about it."""
    submission = {
        "purchaseOrderNumber": "NOSUCHPO",
        "sellingParty": {"partyId": "V"},
        "acknowledgementDate": "2026-06-10T12:00:00Z",
        "items": [
            {
                "orderedQuantity": {},
                "itemAcknowledgements": [
                    {"acknowledgementCode": "Accepted", "acknowledgedQuantity": {}}
                ],
            }
        ],
    }
    async with calling(orders=0) as caller:
        caller.simulator.inject("submitAcknowledgement", "500")
        refused = await caller.post({"acknowledgements": [submission]})
        after_refusal = len(caller.simulator.acknowledgements)
        caller.simulator.inject("submitAcknowledgement", "reset")
        with pytest.raises(aiohttp.ClientOSError):
            await caller.post({"acknowledgements": [submission]})

    assert refused.status == 500
    assert (after_refusal, len(caller.simulator.acknowledgements)) == (0, 1)


@pytest.mark.parametrize(
    ("operation", "kind", "complaint"),
    [
        ("getPurchaseOrders", "504", "there is no fault '504'"),
        ("getInvoices", "503", "there is no operation 'getInvoices'"),
        ("getPurchaseOrders", "token-500", "token-500 is a fault of token"),
        ("token", "403", "403 is a fault of getPurchaseOrders or"),
        ("token", "token-loop", "token-loop is a fault of getPurchaseOrders or"),
    ],
)
def test_a_script_that_could_never_fire_is_refused(
    operation: str, kind: str, complaint: str
) -> None:
    """A typing error in a test does not pass silently."""
    with pytest.raises(InvalidArgument, match=complaint):
        Simulator(Settings(orders=0)).inject(operation, kind)


async def test_chances_are_the_same_for_the_same_seed() -> None:
    """Faults by probability repeat themselves, at about their probability."""
    rows = []
    for _ in range(2):
        async with calling(orders=10, faults={"503": 0.3, "empty": 0.1}) as caller:
            rows.append([(await caller.get(ORDERS)).status for _ in range(100)])

    assert rows[0] == rows[1]
    assert 15 <= rows[0].count(503) <= 45


async def test_a_retry_can_be_named() -> None:
    """A 429 has a Retry-After only if the settings want one."""
    async with calling(orders=0, rate=0.01, burst=1.0, retry_after=2.5) as caller:
        replies = [await caller.get(ORDERS) for _ in range(2)]

    assert replies[1].headers["Retry-After"] == "2.5"


def test_every_kind_is_tested_here() -> None:
    """A new kind of fault needs a test of its own."""
    tested = {"403", "429", "500", "503", "html", "html-400", "spurious-400", "reset"}
    tested |= {"reset-before", "500-after"}  # in test_simulator_submissions
    tested |= {"reset-body", "truncated", "empty", "slow", "hang", "token-500", "token-hang"}
    tested |= {"truncated-gzip", "gzip-bomb", "trickle", "redirect", "errors-200"}
    tested |= PAGING_KINDS

    assert tested | {*BAD_ORDER_KINDS, "bad-order"} == KINDS


async def test_it_runs_on_its_own_until_it_is_stopped() -> None:
    """Ready is told where it is found."""
    places: asyncio.Queue[Served] = asyncio.Queue()
    task = asyncio.create_task(run_forever(Settings(orders=10), ready=places.put_nowait))
    served = await places.get()
    async with aiohttp.ClientSession() as session, session.get(served.url) as response:
        status = response.status
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert status == 404
    assert served.accounts[0].name == "demo"
