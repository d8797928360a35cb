"""Restricted data tokens, on virtual time: few, shared, and never where they do not belong."""

from __future__ import annotations

import asyncio
import json
import logging
import pickle
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from fakes import REFRESH_TOKEN, FakeTransport, Sent, Step, an_account, virtual_now
from sample_files import sample
from virtual_time import run

from vendororders_async.accounts import Account, RestrictedData
from vendororders_async.auth import AccessTokens
from vendororders_async.dispatch import Dispatcher
from vendororders_async.errors import (
    AccessDenied,
    AuthError,
    ServerError,
    TransportError,
    VendorOrdersError,
    one_line,
)
from vendororders_async.limiter import Limiters, Urgency
from vendororders_async.models.common import SubmitAcknowledgementResponse
from vendororders_async.models.direct_fulfillment import SubmitAcknowledgementRequest
from vendororders_async.operations import (
    DIRECT_FULFILLMENT,
    GET_PURCHASE_ORDER,
    Call,
    GetOrder,
    GetPurchaseOrder,
    GetTransactionStatus,
)
from vendororders_async.restricted import OperationTokens
from vendororders_async.telemetry import AttemptMade, Event
from vendororders_async.transport import Answer

ACCOUNT = an_account()
RDT, LWA = (
    msgspec.structs.replace(ACCOUNT, restricted_data=mode)
    for mode in (RestrictedData.RDT, RestrictedData.LWA)
)
DENIED = Answer(403, {}, sample("getPurchaseOrders", "403.json"))
SAID = b'{"errors": [{"code": "Unauthorized", "message": "%s"}]}' % (b"words " * 60)
NO_ROLE = Answer(400, {}, sample("createRestrictedDataToken", "400.json"))
DOWN = Answer(503, {}, b"<html>")
RESET = TransportError("the answer broke off", sent=True)
V1, V2021 = DIRECT_FULFILLMENT.values()
READ = Call(V1.get_order, GetOrder(purchase_order_number="2JK3S9VC"))
READ_2021 = Call(V2021.get_order, GetOrder(purchase_order_number="2JK3S9VC"))
RETAIL = Call(GET_PURCHASE_ORDER, GetPurchaseOrder(purchase_order_number="5ABC1236"))
SUBMIT: Call[SubmitAcknowledgementResponse] = Call(
    V1.submit_acknowledgement, SubmitAcknowledgementRequest()
)
FOLLOW = Call(V1.get_transaction_status, GetTransactionStatus(transaction_id="t"))
ANSWERS = {  # by a part of the path, the first one that is there
    "/vendor/orders/v1/": Answer(200, {}, sample("getPurchaseOrder", "200.json")),
    "/acknowledgements": Answer(202, {}, sample("submitAcknowledgement-v1", "202.json")),
    "/transactions/": Answer(200, {}, sample("getTransactionStatus-v1", "200.json")),
    "/orders/v1/": Answer(200, {}, sample("getOrder-v1", "200.json")),
    "/orders/2021-12-28/": Answer(200, {}, sample("getOrder-2021-12-28", "200.json")),
}

Refuses = Callable[[str], bool]


def made(number: int, life: int = 3600) -> Answer:
    """Return the Tokens API's answer with its token of *number*."""
    body = {"restrictedDataToken": f"Atz.sprdt|{number}", "expiresIn": life}
    return Answer(200, {}, json.dumps(body).encode())


class Amazon:
    """Login, the Tokens API, and orders for those whose token is not refused.

    *makes* is what the Tokens API answers, in turn; then it makes tokens.
    """

    def __init__(
        self,
        *,
        makes: list[Step] | None = None,
        refuses: Refuses = lambda _token: False,
        life: int = 3600,
    ) -> None:
        self.transport = FakeTransport(self._answer)
        self.limiters = Limiters()
        self.tokens = OperationTokens(self.transport, self.limiters, observer=self._tell)
        self.told: list[Event] = []
        self.events: list[Event] = []
        self.dispatcher = Dispatcher(
            self.transport,
            self.tokens,
            self.limiters,
            observer=self.events.append,
            now=virtual_now,
        )
        self._makes = makes or []
        self.refuses = refuses
        self._life = life
        self._login_count = 0

    async def send(self, call: Call[Any] = READ, account: Account = ACCOUNT) -> Any:
        """Send *call*, and return what it brought."""
        return (await self.dispatcher.send(account, call)).content

    @property
    def asked(self) -> list[Sent]:
        """What reached the Tokens API."""
        return [one for one in self.transport.sent if "/tokens/" in one.url]

    @property
    def used(self) -> list[str]:
        """The tokens that orders were asked with."""
        return [
            one.headers["x-amz-access-token"]
            for one in self.transport.sent
            if "/vendor/" in one.url
        ]

    def _tell(self, event: Event) -> None:
        self.told.append(event)

    def _answer(self, request: Sent) -> Step:
        if request.url.endswith("/auth/o2/token"):
            self._login_count += 1
            body = {"access_token": f"Atza|{self._login_count}", "expires_in": 3600}
            return Answer(200, {}, json.dumps(body).encode())
        token = request.headers["x-amz-access-token"]
        if self.refuses(token):
            return DENIED
        if "/tokens/" in request.url:
            turn = len(self.asked)
            return [*self._makes, *[made(turn, self._life)] * turn][turn - 1]
        return next(answer for path, answer in ANSWERS.items() if path in request.url)


async def waiting(seconds: float, *calls: Any) -> None:
    """Await *calls* with a pause after each."""
    for call in calls:
        await call
        await asyncio.sleep(seconds)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what was warned of."""
    return [one.message for one in caplog.records if one.levelno >= logging.WARNING]


@pytest.mark.parametrize("call", [READ, READ_2021], ids=["v1", "2021-12-28"])
def test_the_request_is_what_amazon_documents(call: Call[Any]) -> None:
    """Both generic paths of the version, with the access token and without dataElements."""
    amazon = Amazon()
    run(amazon.send(call))
    (request,) = amazon.asked
    version = "v1" if call is READ else "2021-12-28"
    path = f"/vendor/directFulfillment/orders/{version}/purchaseOrders"

    assert (request.method, request.url) == (
        "POST",
        "https://sellingpartnerapi-na.amazon.com/tokens/2021-03-01/restrictedDataToken",
    )
    assert request.headers["x-amz-access-token"] == "Atza|1"
    assert json.loads(request.body or b"") == {
        "restrictedResources": [
            {"method": "GET", "path": path},
            {"method": "GET", "path": f"{path}/{{purchaseOrderNumber}}"},
        ]
    }
    assert amazon.used == ["Atz.sprdt|1"]


def test_the_token_of_the_first_guide_is_read_too() -> None:
    """It shows the answer wrapped in a payload."""
    wrapped = b'{"payload": {"restrictedDataToken": "Atz.sprdt|w", "expiresIn": "3600"}}'
    amazon = Amazon(makes=[Answer(200, {}, wrapped)])
    run(amazon.send())

    assert amazon.used == ["Atz.sprdt|w"]


def test_two_hundred_calls_cost_one_token() -> None:
    """All orders of an account and version, lists and details, whoever waits."""
    amazon = Amazon()

    async def scenario() -> None:
        await asyncio.gather(*(amazon.send() for _ in range(200)))

    run(scenario())

    assert len(amazon.asked) == 1
    assert amazon.used == ["Atz.sprdt|1"] * 200


def test_a_token_is_used_until_a_minute_before_its_end() -> None:
    """Then a new one is asked for; so it is two in any hour at most."""
    amazon = Amazon()
    run(waiting(1769, *(amazon.send() for _ in range(4))))

    assert amazon.used == ["Atz.sprdt|1"] * 3 + ["Atz.sprdt|2"]
    assert amazon.asked[1].at - amazon.asked[0].at > 3540


def test_only_orders_are_asked_for_with_it() -> None:
    """Retail, submissions and transactions take the access token, whatever was made."""
    amazon = Amazon()
    run(waiting(1, *map(amazon.send, (READ, RETAIL, SUBMIT, FOLLOW, READ_2021, READ))))

    assert amazon.used == [
        "Atz.sprdt|1",
        "Atza|1",
        "Atza|1",
        "Atza|1",
        "Atz.sprdt|2",
        "Atz.sprdt|1",
    ]


@pytest.mark.parametrize(
    "other",
    [
        an_account("france"),
        an_account(endpoint="https://sellingpartnerapi-eu.amazon.com"),
        an_account(token_url="https://example.com/auth/o2/token"),
    ],
    ids=["credentials", "endpoint", "login"],
)
def test_a_token_stays_with_its_account_and_endpoint(other: Account) -> None:
    """Another one gets its own."""
    amazon = Amazon()
    run(waiting(1, amazon.send(), amazon.send(READ, other)))

    assert amazon.used == ["Atz.sprdt|1", "Atz.sprdt|2"]
    assert {one.url.split("/tokens/")[0] for one in amazon.asked} == {
        ACCOUNT.base_url,
        other.base_url,
    }


@pytest.mark.parametrize(
    "account",
    [LWA, an_account(endpoint="https://sandbox.sellingpartnerapi-na.amazon.com")],
    ids=["lwa", "sandbox"],
)
def test_some_are_asked_with_the_access_token_alone(account: Account) -> None:
    """Who wants it so, and the sandbox, which takes tokens of production only."""
    amazon = Amazon()
    run(amazon.send(READ, account))

    assert amazon.asked == []
    assert amazon.used == ["Atza|1"]


@pytest.mark.parametrize(
    "refusal",
    [NO_ROLE, *(Answer(status, {}, SAID) for status in (400, 401, 403, 404, 410, 415))],
    ids=["no role", "400", "401", "403", "404", "410", "415"],
)
def test_auto_does_without_where_amazon_makes_none(
    refusal: Answer, caplog: pytest.LogCaptureFixture
) -> None:
    """For an hour, for all who wait; the one warning says which role may be missing."""
    # an access token may have expired, which is a 403 as well
    count = 2 if refusal.status in (401, 403) else 1
    amazon = Amazon(makes=[refusal] * count)

    async def scenario() -> None:
        for _ in range(3):
            await asyncio.gather(*(amazon.send() for _ in range(20)))
            await asyncio.sleep(1000)

        assert len(amazon.asked) == count

        await asyncio.sleep(700)
        await amazon.send()

    run(scenario())
    [warning] = warnings(caplog)

    assert set(amazon.used[:60]) == {f"Atza|{count}"}
    assert amazon.used[60:] == [f"Atz.sprdt|{count + 1}"]
    assert "germany" in one_line(warning)
    assert '"Direct-to-Consumer Shipping (Restricted)"' in one_line(warning)
    assert "authorise the application again" in one_line(warning)


@pytest.mark.parametrize("refusal", [NO_ROLE, Answer(404, {}, SAID)], ids=["400", "404"])
def test_rdt_insists(refusal: Answer) -> None:
    """One request, no order asked for without, and an error that says what to do."""
    amazon = Amazon(makes=[refusal] * 9)

    async def scenario() -> list[Any]:
        several = (amazon.send(READ, RDT) for _ in range(20))
        return [*await asyncio.gather(*several, return_exceptions=True)]

    outcomes = run(scenario())

    assert {type(one) for one in outcomes} == {AuthError}
    assert "germany" in str(outcomes[0])
    assert '"Direct-to-Consumer Shipping (Restricted)"' in str(outcomes[0])
    assert "authorise the application again" in str(outcomes[0])
    assert len(amazon.asked) == 1
    assert amazon.used == []


def test_a_refused_token_is_replaced_once_for_all() -> None:
    """Many calls are on their way with it; the second token serves them all."""
    amazon = Amazon(refuses=lambda token: token == "Atz.sprdt|1")

    async def scenario() -> None:
        await asyncio.gather(*(amazon.send(READ, RDT) for _ in range(50)))
        await amazon.send(READ, RDT)

    run(scenario())

    assert len(amazon.asked) == 2
    assert amazon.used[-51:] == ["Atz.sprdt|2"] * 51


def test_auto_takes_the_access_token_after_two_refusals(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """In the same call; an hour later it tries again."""
    amazon = Amazon(refuses=lambda token: token.startswith("Atz.sprdt"))

    async def scenario() -> None:
        await asyncio.gather(*(amazon.send() for _ in range(5)))
        await asyncio.sleep(3590)
        await amazon.send()

        assert len(warnings(caplog)) == 1

        await asyncio.sleep(20)
        await amazon.send()

    run(scenario())

    assert amazon.used == [
        *["Atz.sprdt|1"] * 5,
        *["Atz.sprdt|2"] * 5,
        *["Atza|1"] * 5,
        "Atza|2",
        "Atz.sprdt|3",
        "Atz.sprdt|4",
        "Atza|2",
    ]
    assert len(amazon.asked) == 4


def test_rdt_tells_amazons_own_refusal() -> None:
    """No access token is tried, and no third token in the hour."""
    amazon = Amazon(refuses=lambda token: token.startswith("Atz.sprdt"))

    async def scenario() -> None:
        for _ in range(10):
            with pytest.raises(AccessDenied, match="getOrder for germany"):
                await amazon.send(READ, RDT)

    run(scenario())

    assert len(amazon.asked) == 2
    assert set(amazon.used) == {"Atz.sprdt|1", "Atz.sprdt|2"}


def test_where_nothing_is_taken_the_call_ends() -> None:
    """Two of each kind are tried, and Amazon's own words told at the end."""
    amazon = Amazon()
    amazon.refuses = lambda _token: "/tokens/" not in amazon.transport.sent[-1].url
    with pytest.raises(AccessDenied, match="getOrder for germany"):
        run(amazon.send())

    assert amazon.used == ["Atz.sprdt|1", "Atz.sprdt|2", "Atza|1", "Atza|2"]


@pytest.mark.parametrize("mode", [RestrictedData.AUTO, RestrictedData.RDT])
def test_two_an_hour_whatever_happens(mode: RestrictedData) -> None:
    """Tokens that end at once, are refused, of both versions: never a third in any hour."""
    account = msgspec.structs.replace(ACCOUNT, restricted_data=mode)
    # a refused access token makes none, and does not count
    amazon = Amazon(
        life=30, refuses=lambda token: token[:5] != "Atza|" and token.endswith(("2", "5", "7"))
    )

    async def scenario() -> None:
        for index in range(300):
            calls = [amazon.send(call, account) for call in (READ, READ_2021)]
            await asyncio.gather(*calls[: 1 + index % 2], return_exceptions=True)
            for call in calls:
                call.close()
            await asyncio.sleep(101)

    run(scenario())
    times = [one.at for one in amazon.asked]

    assert len(times) > 8
    assert all(third - first >= 3600 for first, third in zip(times, times[2:], strict=False))


@pytest.mark.parametrize(
    "trouble", [DOWN, RESET, Answer(429, {}, b"")], ids=["503", "reset", "429"]
)
@pytest.mark.parametrize("call", [READ, READ_2021])
def test_trouble_that_may_pass_is_shared_and_does_not_count(
    trouble: Step, call: Call[Any]
) -> None:
    """The call goes on for as long as it is patient; a failed attempt is free."""
    amazon = Amazon(makes=[trouble] * 3)
    run(amazon.dispatcher.send(ACCOUNT, call, urgency=Urgency.BULK))

    assert len(amazon.asked) == 4
    assert amazon.used == ["Atz.sprdt|4"]


def test_many_wait_for_one_attempt_that_fails() -> None:
    """It fails for all of them, and they ask again as one."""
    amazon = Amazon(makes=[DOWN])

    async def scenario() -> int:
        tasks = [asyncio.ensure_future(amazon.send()) for _ in range(100)]
        await asyncio.sleep(0.22)
        first = len(amazon.asked)
        await asyncio.gather(*tasks)
        return first

    assert run(scenario()) == 1
    assert len(amazon.asked) == 2


def test_without_a_token_the_call_was_certainly_not_sent() -> None:
    """An error of the Tokens API says so, and whose it is."""
    amazon = Amazon(makes=[RESET] * 1000)
    with pytest.raises(TransportError, match="createRestrictedDataToken for germany") as caught:
        run(amazon.send())

    assert not caught.value.sent
    assert amazon.used == []


def test_an_expired_access_token_is_refreshed_once() -> None:
    """The Tokens API says 403 for it, as every operation does."""
    amazon = Amazon(refuses=lambda token: token == "Atza|1")
    run(amazon.send())

    assert [one.headers["x-amz-access-token"] for one in amazon.asked] == ["Atza|1", "Atza|2"]
    assert amazon.used == ["Atz.sprdt|2"]


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b'{"restrictedDataToken": "Atz.sprdt|cut'],
)
def test_a_success_without_a_token_is_tried_again_once(body: bytes) -> None:
    """It counts, since one may have been made; and nothing of it is kept in an error."""
    amazon = Amazon(makes=[Answer(200, {}, body)])
    run(amazon.send())

    assert len(amazon.asked) == 2
    assert amazon.used == ["Atz.sprdt|2"]


def test_the_plan_of_the_tokens_api_is_kept() -> None:
    """Fifteen accounts have a bucket each; one that fails fast is paced at one a second."""
    amazon = Amazon(makes=[DOWN] * 1000)

    async def scenario() -> None:
        calls = (amazon.send() for _ in range(100))
        await asyncio.gather(*calls, return_exceptions=True)

    run(scenario())
    times = [one.at for one in amazon.asked]
    counts = [sum(start <= at < start + 1 for at in times) for start in times]

    assert len(times) > 12
    assert max(counts) <= 11
    assert len(times) <= 10 + 1.1 * (times[-1] - times[0]) + 1


def test_requests_for_tokens_are_nobodys_attempts() -> None:
    """The job's tally hears of the order alone; the log may hear of both."""
    amazon = Amazon()
    run(amazon.send())

    assert [one.operation for one in amazon.events if isinstance(one, AttemptMade)] == [
        "getOrder"
    ]
    assert [one.operation for one in amazon.told if isinstance(one, AttemptMade)] == [
        "createRestrictedDataToken"
    ]


def test_who_gives_up_while_asking_does_not_fail_the_others() -> None:
    """The next one in the queue asks in its place."""
    amazon = Amazon()

    async def scenario() -> list[Any]:
        tasks = [asyncio.ensure_future(amazon.send()) for _ in range(3)]
        await asyncio.sleep(0.15)
        tasks[0].cancel()
        return [*await asyncio.gather(*tasks, return_exceptions=True)]

    outcomes = run(scenario())

    assert isinstance(outcomes[0], asyncio.CancelledError)
    assert amazon.used == ["Atz.sprdt|2"] * 2


def test_tokens_can_be_had_before_they_are_needed() -> None:
    """`prepare` gets what the operation takes."""
    amazon = Amazon()
    run(waiting(1, amazon.dispatcher.prepare(ACCOUNT, V1.get_orders), amazon.send()))

    assert len(amazon.asked) == 1


def test_access_tokens_alone_are_a_source_too() -> None:
    """Who passes them in has the access token for everything."""
    amazon = Amazon()
    amazon.dispatcher = Dispatcher(
        amazon.transport,
        AccessTokens(amazon.transport),
        amazon.limiters,
        observer=amazon.events.append,
        now=virtual_now,
    )
    run(amazon.send())

    assert amazon.used == ["Atza|1"]


@pytest.mark.parametrize(
    "makes",
    [
        [NO_ROLE] * 9,
        [Answer(200, {}, b'{"restrictedDataToken": "Atz.sprdt|x", "expiresIn": "soon"}')] * 9,
        [DOWN] * 999,
        [RESET] * 999,
    ],
    ids=["refused", "odd", "down", "reset"],
)
def test_no_secret_is_in_an_error(makes: list[Step], caplog: pytest.LogCaptureFixture) -> None:
    """Neither a token nor what it was asked for with."""
    caplog.set_level(logging.DEBUG)
    amazon = Amazon(makes=makes)
    with pytest.raises(VendorOrdersError) as caught:
        run(amazon.send(READ, RDT))
    error = caught.value
    shown = f"{error!r} {error} {vars(error)} {error.__cause__!r} {caplog.text}"
    shown += repr(pickle.loads(pickle.dumps(error)))  # noqa: S301 - our own bytes
    for secret in ("Atz.sprdt", "Atza", REFRESH_TOKEN):
        assert secret not in shown


def test_a_token_shows_nothing_of_itself() -> None:
    """Not even to who prints what the source gave."""
    amazon = Amazon()

    async def scenario() -> str | None:
        return await amazon.tokens.token_for(ACCOUNT, V1.get_order)

    assert repr(run(scenario())) == "<restricted data token>"


def test_a_broken_answer_is_trouble_at_last() -> None:
    """Two successes without a token use the hour up: rdt says so."""
    amazon = Amazon(makes=[Answer(200, {}, b"{}")] * 9)
    with pytest.raises((AuthError, ServerError)) as caught:
        run(amazon.send(READ, RDT))

    assert "two were made within the hour" in str(caught.value)
    assert len(amazon.asked) == 2


@pytest.mark.parametrize(
    "trouble",
    [
        *(Answer(status, {}, b"<html>") for status in (400, 403, 404)),
        Answer(403, {}, b"{}"),
        Answer(400, {}, b'{"errors": [{"code": "InvalidInput", "message": "Invalid"}]}'),
    ],
    ids=["400", "403", "404", "no list", "spurious"],
)
@pytest.mark.parametrize("account", [ACCOUNT, RDT], ids=["auto", "rdt"])
def test_a_gateways_error_is_no_refusal(
    trouble: Answer, account: Account, caplog: pytest.LogCaptureFixture
) -> None:
    """It is waited out like a 5xx, and neither remembered nor counted."""
    amazon = Amazon(makes=[trouble] * 2)
    run(waiting(1, amazon.send(READ, account), amazon.send(READ_2021, account)))

    assert amazon.used == ["Atz.sprdt|3", "Atz.sprdt|4"]
    assert warnings(caplog) == []


def test_a_spurious_refusal_that_stays_is_believed() -> None:
    """Three of them in a row; auto goes on without, and does not fail."""
    spurious = Answer(400, {}, b'{"errors": [{"code": "InvalidInput", "message": "Invalid"}]}')
    amazon = Amazon(makes=[spurious] * 99)
    run(amazon.send())

    assert len(amazon.asked) == 3
    assert amazon.used == ["Atza|1"]


def test_an_expired_access_token_costs_nothing_of_the_hour() -> None:
    """It is refreshed also if a token was made within the hour, and two more tokens are had."""
    amazon = Amazon()

    async def scenario() -> None:
        await amazon.send(READ, RDT)
        amazon.refuses = lambda token: token == "Atza|1"
        await amazon.send(READ_2021, RDT)

    run(scenario())

    assert amazon.used == ["Atz.sprdt|1", "Atz.sprdt|3"]
    assert [one.headers["x-amz-access-token"] for one in amazon.asked] == [
        *("Atza|1", "Atza|1", "Atza|2")
    ]


def test_auto_goes_back_to_the_token_it_holds() -> None:
    """Where the access token is refused as well, it is no better a choice for an hour."""
    amazon = Amazon()

    async def scenario() -> None:
        refuses: Refuses = lambda _token: "/tokens/" not in amazon.transport.sent[-1].url  # noqa: E731 - as short as the others
        amazon.refuses = refuses
        with pytest.raises(AccessDenied):
            await amazon.send()
        amazon.refuses = lambda token: token.startswith("Atza")
        await amazon.send()

    run(scenario())

    assert amazon.used == [*("Atz.sprdt|1", "Atz.sprdt|2", "Atza|1", "Atza|2", "Atz.sprdt|2")]


def test_auto_goes_back_within_the_call() -> None:
    """The access token served for a while, and is refused now; the call does not fail."""
    amazon = Amazon(refuses=lambda token: token.startswith("Atz.sprdt"))

    async def scenario() -> None:
        await amazon.send()
        await asyncio.sleep(60)
        amazon.refuses = lambda token: (
            token.startswith("Atza") and "/tokens/" not in amazon.transport.sent[-1].url
        )
        await amazon.send()

    run(scenario())

    assert amazon.used[-3:] == ["Atza|1", "Atza|2", "Atz.sprdt|2"]


@pytest.mark.parametrize("account", [ACCOUNT, RDT], ids=["auto", "rdt"])
def test_nothing_is_missed_around_the_hour(
    account: Account, caplog: pytest.LogCaptureFixture
) -> None:
    """Two tokens at its beginning last to its end, when two more may be had."""
    amazon = Amazon(refuses=lambda token: token == "Atz.sprdt|1")
    run(waiting(11, *(amazon.send(READ, account) for _ in range(700))))

    assert {token[:9] for token in amazon.used} == {"Atz.sprdt"}
    assert len(amazon.asked) == 4
    assert warnings(caplog) == []


def test_the_turn_to_ask_is_waited_for_if_it_is_near() -> None:
    """Tokens that live for a minute less than the hour leave no gap."""
    amazon = Amazon(life=3550, refuses=lambda token: token == "Atz.sprdt|1")
    run(waiting(12, *(amazon.send(READ, RDT) for _ in range(310))))

    assert set(amazon.used[2:]) == {"Atz.sprdt|2", "Atz.sprdt|3"}


def test_the_reason_is_the_hour_where_it_is(caplog: pytest.LogCaptureFixture) -> None:
    """Nobody is sent to look for a role that is there."""
    amazon = Amazon(life=600)
    with pytest.raises(AuthError, match="two were made within the hour") as caught:
        run(waiting(599, *(amazon.send(READ, RDT) for _ in range(4))))
    amazon = Amazon(life=600)
    run(waiting(599, *(amazon.send(READ, ACCOUNT) for _ in range(4))))

    assert "role" not in str(caught.value)
    [warning] = warnings(caplog)
    assert "two were made within the hour" in warning
    assert "role" not in warning


def test_a_short_life_is_used_up_to_its_last_tenth() -> None:
    """A token of 61 seconds is not one of a second."""
    amazon = Amazon(life=61)
    run(waiting(9, *(amazon.send() for _ in range(6))))

    assert amazon.used == ["Atz.sprdt|1"] * 6


def test_whatever_is_marked_restricted_gets_a_token() -> None:
    """Also an operation that shares none: its token is for itself alone."""
    path = "/vendor/directFulfillment/orders/v1/purchaseOrders/{purchaseOrderNumber}/x"
    marked = msgspec.structs.replace(V1.get_order, path=path)
    amazon = Amazon()
    run(amazon.send(msgspec.structs.replace(READ, operation=marked)))

    assert amazon.used == ["Atz.sprdt|1"]
    assert json.loads(amazon.asked[0].body or b"") == {
        "restrictedResources": [{"method": "GET", "path": path}]
    }
