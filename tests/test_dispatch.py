"""One request under policy, on virtual time and with fakes at every seam."""

from __future__ import annotations

import asyncio
import email.utils
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fakes import (
    EPOCH,
    REFRESH_TOKEN,
    SECRET,
    FakeGate,
    FakeTokens,
    FakeTransport,
    OneGate,
    Sent,
    Step,
    an_account,
    virtual_now,
)
from multidict import CIMultiDict
from sample_files import sample
from virtual_time import run

from vendororders_async import clock
from vendororders_async.accounts import Account
from vendororders_async.auth import AccessTokens
from vendororders_async.dispatch import Dispatcher, Reply, refusal
from vendororders_async.errors import (
    AccessDenied,
    AuthError,
    BadRequest,
    DecodeError,
    InvalidArgument,
    NotFound,
    RequestError,
    ResponseError,
    ServerError,
    Throttled,
    TransportError,
    VendorOrdersError,
)
from vendororders_async.limiter import Paused, Urgency
from vendororders_async.models.retail_procurement import Order, SubmitAcknowledgementRequest
from vendororders_async.operations import (
    CREATED,
    GET_PURCHASE_ORDER,
    GET_PURCHASE_ORDERS,
    SUBMIT_ACKNOWLEDGEMENT,
    Call,
    GetPurchaseOrder,
    GetPurchaseOrders,
    Operation,
)
from vendororders_async.retry import NONE
from vendororders_async.telemetry import AttemptMade, Event, RetryScheduled
from vendororders_async.transport import Answer
from vendororders_async.windows import Window

ACCOUNT = an_account()
START = datetime(2026, 6, 1, tzinfo=UTC)
READ = CREATED.call(Window(START, START + timedelta(days=7)))
SUBMIT = Call(SUBMIT_ACKNOWLEDGEMENT, SubmitAcknowledgementRequest())

HEADERS = CIMultiDict({"x-amzn-RequestId": "c0ffee", "x-amzn-RateLimit-Limit": "10.0"})
OK = Answer(200, HEADERS, sample("getPurchaseOrders", "200.json"))
TAKEN = Answer(202, HEADERS, sample("submitAcknowledgement", "202.json"))
DENIED = Answer(403, HEADERS, sample("getPurchaseOrders", "403.json"))
THROTTLED = Answer(429, HEADERS, sample("getPurchaseOrders", "429.json"))
SPURIOUS = Answer(400, HEADERS, sample("getPurchaseOrders", "400.json"))
HTML_400 = Answer(400, HEADERS, sample("getPurchaseOrders", "400.html"))
BROKEN = Answer(
    500, HEADERS, b'{"errors": [{"code": "InternalFailure", "message": "We are sorry"}]}'
)
UNAVAILABLE = Answer(503, HEADERS, b"<html><body>Service Unavailable</body></html>")
EMPTY = Answer(200, HEADERS, b"")
TRUNCATED = Answer(200, HEADERS, OK.body[:-20])
RESET = TransportError("the answer broke off", sent=True)
NOT_SENT = TransportError("no connection in time", sent=False)


class Scene:
    """A dispatcher among fakes, and what they saw."""

    def __init__(
        self,
        script: list[Step],
        *,
        gate: FakeGate | None = None,
        tokens: FakeTokens | None = None,
    ) -> None:
        self.transport = FakeTransport(script)
        self.tokens = tokens or FakeTokens()
        self.gate = gate or FakeGate()
        self.limiters = OneGate(self.gate)
        self.events: list[Event] = []
        self.now: Callable[[], datetime] = virtual_now

    @property
    def dispatcher(self) -> Dispatcher:
        """A dispatcher over all that."""
        return Dispatcher(
            self.transport,
            self.tokens,
            self.limiters,
            observer=self.events.append,
            now=self.now,
        )

    async def send(
        self, call: Call[Any] = READ, *, urgency: Urgency = Urgency.BULK
    ) -> Reply[Any]:
        """Send *call* for the account."""
        return await self.dispatcher.send(ACCOUNT, call, urgency=urgency)

    def fails(self, kind: type[VendorOrdersError], call: Call[Any] = READ, **how: Any) -> Any:
        """Send *call*, expect it to fail as *kind*, and return the error."""
        with pytest.raises(kind) as caught:
            run(self.send(call, **how))
        return caught.value

    @property
    def requests(self) -> list[Sent]:
        """What reached the wire."""
        return self.transport.sent

    @property
    def attempts(self) -> list[AttemptMade]:
        """The attempts that were told."""
        return [event for event in self.events if isinstance(event, AttemptMade)]

    @property
    def retries(self) -> list[RetryScheduled]:
        """The repetitions that were announced."""
        return [event for event in self.events if isinstance(event, RetryScheduled)]


def test_a_call_brings_its_answer() -> None:
    """Authorised, paced, sent, decoded; and when it was asked, and how long it took."""
    scene = Scene([OK], gate=FakeGate(wait=2.0))
    reply = run(scene.send())
    (request,) = scene.requests

    assert [one.content.purchase_order_number for one in reply.content.documents] == [
        "5ABC1233",
        "5ABC1234",
    ]
    assert reply.seconds == pytest.approx(0.1, abs=0.01)
    assert clock.seconds_between(
        datetime(2026, 7, 1, tzinfo=UTC), reply.asked_at
    ) == pytest.approx(request.at, abs=0.001)
    assert request.method == "GET"
    assert request.url == (
        "https://sellingpartnerapi-na.amazon.com/vendor/orders/v1/purchaseOrders"
        "?limit=100&createdAfter=2026-06-01T00%3A00%3A00Z&createdBefore=2026-06-08T00%3A00%3A00Z"
    )
    assert request.headers == {"x-amz-access-token": "Atza|1"}
    assert request.body is None


def test_an_acknowledgement_is_posted_as_json() -> None:
    """The one call with a body says what the body is."""
    scene = Scene([TAKEN])
    reply = run(scene.send(SUBMIT))
    (request,) = scene.requests

    assert reply.content.payload.transaction_id.startswith("3d918995")
    assert (request.method, request.body) == ("POST", b"{}")
    assert request.headers == {
        "x-amz-access-token": "Atza|1",
        "Content-Type": "application/json",
    }


def test_a_single_order_is_fetched() -> None:
    """Also getPurchaseOrder goes the same way."""
    scene = Scene([Answer(200, HEADERS, sample("getPurchaseOrder", "200.json"))])
    call = Call(GET_PURCHASE_ORDER, GetPurchaseOrder(purchase_order_number="5ABC1236"))
    reply = run(scene.send(call))

    assert isinstance(reply.content.content, Order)
    assert reply.content.content.purchase_order_number == "5ABC1236"
    assert scene.requests[0].url.endswith("/purchaseOrders/5ABC1236")


def test_an_expired_token_is_replaced_once() -> None:
    """A 403 is worth one new token and one repetition, without waiting."""
    scene = Scene([DENIED, OK])
    run(scene.send())

    assert scene.tokens.rejected == ["Atza|1"]
    assert [one.headers["x-amz-access-token"] for one in scene.requests] == [
        "Atza|1",
        "Atza|2",
    ]
    assert len(scene.gate.passed) == 2
    assert scene.requests[1].at - scene.requests[0].at < 0.2


class FourTokens(FakeTokens):
    """Has four things to try in a call."""

    async def token_for(
        self,
        account: Account,
        operation: Operation[object] | None = None,
        refused: Sequence[str] = (),
    ) -> str | None:
        """Return the next one."""
        del account, operation
        names = ["a", "b", "c", "d"]
        assert list(refused) == names[: len(refused)]
        return names[len(refused)] if len(refused) < len(names) else None


@pytest.mark.parametrize("refusal_count", range(5))
def test_a_refused_call_goes_on_while_there_is_something_to_try(refusal_count: int) -> None:
    """The source says what; it knows what was refused, also after other trouble."""
    scene = Scene([*[DENIED] * refusal_count, BROKEN, OK], tokens=FourTokens())
    if refusal_count == 4:
        scene.fails(AccessDenied)
        assert len(scene.requests) == 4
        return
    run(scene.send())
    used = [one.headers["x-amz-access-token"] for one in scene.requests]

    assert used == [*"abcd"[: refusal_count + 1], "abcd"[refusal_count]]


@pytest.mark.parametrize("status", [401, 403])
def test_a_second_refusal_is_final(status: int) -> None:
    """Then it is a role or an authorisation, and trying again would not help."""
    scene = Scene([Answer(status, HEADERS, DENIED.body)])
    error = scene.fails(AccessDenied)

    assert len(scene.requests) == 2
    assert error.status == status
    assert error.errors[0].code == "Unauthorized"


def test_a_refused_submission_is_repeated_with_a_new_token() -> None:
    """Amazon did not take it, so even a POST is safe to send again."""
    scene = Scene([DENIED, TAKEN])
    run(scene.send(SUBMIT))

    assert len(scene.requests) == 2


def test_trouble_after_a_new_token_is_trouble_like_any_other() -> None:
    """The repetition is an attempt as well: its 500 is tried again."""
    scene = Scene([DENIED, BROKEN, OK])
    run(scene.send())

    assert len(scene.requests) == 3
    assert [one.headers["x-amz-access-token"] for one in scene.requests][1:] == ["Atza|2"] * 2


def test_one_call_replaces_its_token_once() -> None:
    """A 403 that comes back after other trouble is final as well."""
    scene = Scene([DENIED, BROKEN, DENIED])
    scene.fails(AccessDenied)

    assert len(scene.requests) == 3
    assert scene.tokens.rejected == ["Atza|1"]


@pytest.mark.parametrize(
    "trouble",
    [THROTTLED, BROKEN, UNAVAILABLE, EMPTY, TRUNCATED, SPURIOUS, HTML_400, RESET, NOT_SENT],
    ids=["429", "500", "503", "empty", "truncated", "400", "400 html", "reset", "not sent"],
)
def test_what_may_pass_is_asked_again(trouble: Step) -> None:
    """A read survives each kind of trouble twice, pays the gate each time, and says so."""
    scene = Scene([trouble, trouble, OK])
    run(scene.send())

    assert len(scene.requests) == 3
    assert len(scene.gate.passed) == 3
    assert len(scene.attempts) == 3
    assert len(scene.retries) == 2
    assert all(
        retry.reason.startswith("getPurchaseOrders for germany: ") for retry in scene.retries
    )
    assert scene.requests[1].at - scene.requests[0].at >= 0.1 + 0.25


def test_a_spurious_400_has_three_tries() -> None:
    """Then Amazon means it."""
    scene = Scene([SPURIOUS])
    error = scene.fails(BadRequest)

    assert len(scene.requests) == 3
    assert error.errors[0].code == "InvalidInput"


def test_a_400_that_is_meant_is_not_repeated() -> None:
    """InvalidRequest will not become right."""
    scene = Scene(
        [Answer(400, HEADERS, b'{"errors": [{"code": "InvalidRequest", "message": "x"}]}')]
    )
    scene.fails(BadRequest)

    assert len(scene.requests) == 1


def test_an_answer_that_stays_unreadable_is_given_up() -> None:
    """Five tries; the error holds the body, and says for whom."""
    scene = Scene([TRUNCATED])
    error = scene.fails(DecodeError)

    assert len(scene.requests) == 5
    assert error.body == TRUNCATED.body
    assert (error.operation, error.account) == ("getPurchaseOrders", "germany")


@pytest.mark.parametrize(
    ("status", "kind"),
    [(404, NotFound), (413, ResponseError), (415, ResponseError)],
)
def test_other_refusals_are_told_at_once(status: int, kind: type[ResponseError]) -> None:
    """Nothing would be different a moment later."""
    scene = Scene([Answer(status, HEADERS, b"")])
    error = scene.fails(kind)

    assert type(error) is kind
    assert error.status == status
    assert f"status {status} without an explanation" in str(error)
    assert len(scene.requests) == 1


def test_a_redirect_is_told_at_once_as_one() -> None:
    """Nobody follows it, least of all with a token."""
    scene = Scene([Answer(302, HEADERS, b"")])
    error = scene.fails(ResponseError)

    assert "status 302 is a redirect, which is not followed" in str(error)
    assert len(scene.requests) == 1


@pytest.mark.parametrize(
    "trouble",
    [BROKEN, UNAVAILABLE, RESET, EMPTY, SPURIOUS],
    ids=["500", "503", "reset", "empty", "400"],
)
def test_an_ambiguous_submission_is_not_repeated(trouble: Step) -> None:
    """Amazon may have taken it: whoever called decides."""
    scene = Scene([trouble, TAKEN])
    scene.fails(RequestError, SUBMIT)

    assert len(scene.requests) == 1


@pytest.mark.parametrize("trouble", [THROTTLED, NOT_SENT], ids=["429", "not sent"])
def test_a_submission_that_was_not_taken_is_repeated(trouble: Step) -> None:
    """Refused by the plan or never sent: sending it again is safe."""
    scene = Scene([trouble, trouble, TAKEN])
    run(scene.send(SUBMIT))

    assert len(scene.requests) == 3


@pytest.mark.parametrize(
    "trouble",
    [
        ServerError(
            "no access token: status 503", operation="LWA", account="germany", status=503
        ),
        TransportError("no answer in time", operation="LWA", account="germany", sent=True),
    ],
    ids=["503", "no answer"],
)
def test_a_submission_waits_for_its_token(trouble: Exception) -> None:
    """Trouble at Login with Amazon is not ambiguous: the submission was not sent."""
    scene = Scene([TAKEN], tokens=FakeTokens(failures=[trouble]))
    run(scene.send(SUBMIT))

    assert len(scene.requests) == 1
    assert scene.tokens.asked_count == 2


def test_a_read_waits_for_its_token() -> None:
    """Trouble at Login with Amazon passes as well."""
    trouble = ServerError("no access token: status 503", operation="LWA", account="germany")
    scene = Scene([OK], tokens=FakeTokens(failures=[trouble, trouble]))
    run(scene.send())

    assert len(scene.requests) == 1
    assert [retry.reason for retry in scene.retries] == [
        "LWA for germany: no access token: status 503"
    ] * 2


def test_refused_credentials_are_told_at_once() -> None:
    """No request is made, and none is repeated."""
    scene = Scene([OK], tokens=FakeTokens(failures=[AuthError("no")]))
    scene.fails(AuthError)

    assert scene.requests == []
    assert scene.gate.passed == []


@pytest.mark.parametrize(
    "question",
    [
        GetPurchaseOrders(limit=101),
        GetPurchaseOrders(created_after=START, created_before=START + timedelta(days=8)),
        GetPurchaseOrders(created_after=START),  # up to now is a month
    ],
)
def test_what_could_not_be_meant_is_not_sent(question: GetPurchaseOrders) -> None:
    """No token is fetched for it and no permit spent."""
    scene = Scene([OK])
    scene.fails(InvalidArgument, Call(GET_PURCHASE_ORDERS, question))

    assert scene.requests == []
    assert scene.tokens.asked_count == 0
    assert scene.events == []


def test_the_sandbox_may_be_asked_for_a_month() -> None:
    """Its own published cases are longer than seven days."""
    transport = FakeTransport([OK])
    sandbox = an_account(endpoint="https://sandbox.sellingpartnerapi-na.amazon.com")
    question = GetPurchaseOrders(created_after=START, created_before=START + timedelta(days=31))

    async def scenario() -> None:
        dispatcher = Dispatcher(
            transport,
            FakeTokens(),
            OneGate(FakeGate()),
            observer=lambda _event: None,
            now=virtual_now,
        )
        await dispatcher.send(sandbox, Call(GET_PURCHASE_ORDERS, question))

    run(scenario())

    assert transport.sent[0].url.startswith(
        "https://sandbox.sellingpartnerapi-na.amazon.com/vendor/"
    )


@pytest.mark.parametrize(("urgency", "patience"), [(Urgency.PERSON, 30), (Urgency.BULK, 900)])
def test_a_person_is_less_patient_than_a_bulk_job(urgency: Urgency, patience: float) -> None:
    """Half a minute, or a quarter of an hour, from the first failure on."""
    scene = Scene([BROKEN])
    scene.fails(ServerError, urgency=urgency)
    first, last = scene.requests[0].at, scene.requests[-1].at

    assert patience / 2 - 30 < last - first <= patience + 0.2
    assert set(scene.gate.passed) == {urgency}


@pytest.mark.parametrize("text", ["7", "7.0"])
def test_amazons_wish_to_wait_is_honoured(text: str) -> None:
    """Retry-After in seconds, in any case of letters."""
    headers = CIMultiDict({"retry-after": text})
    scene = Scene([Answer(429, headers, THROTTLED.body), OK])
    run(scene.send())

    assert scene.requests[1].at - scene.requests[0].at == pytest.approx(7.1, abs=0.05)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("3", 3.0),
        ("0", 0.0),
        ("-5", 0.0),
        ("soon", None),
        ("", None),
        ("nan", 0.0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
    ],
)
def test_retry_after_is_read_for_what_it_is(text: str, seconds: float | None) -> None:
    """Seconds, a date, or nothing that could be used."""
    answer = Answer(429, CIMultiDict({"Retry-After": text}), b"")

    assert refusal(answer, READ.operation, "a").retry_after == seconds


@pytest.mark.parametrize(
    "text", ["Fri, 31 Dec 9999 23:59:59 -1200", "Sat, 01 Jan 0001 00:00:00 +1200"]
)
def test_a_date_outside_the_calendar_is_no_crash(text: str) -> None:
    """A proxy's nonsense in a header must not hide what Amazon refused."""
    error = refusal(Answer(429, CIMultiDict({"Retry-After": text}), b""), READ.operation, "a")

    assert isinstance(error, Throttled)


def test_retry_after_may_be_a_date() -> None:
    """The other form that HTTP allows."""
    date = email.utils.format_datetime(clock.now() + timedelta(seconds=100), usegmt=True)
    error = refusal(Answer(429, CIMultiDict({"Retry-After": date}), b""), READ.operation, "a")

    assert error.retry_after == pytest.approx(100, abs=5)


def test_every_answer_is_observed_by_the_gate() -> None:
    """The limiter learns from each one, with the moment at which its permit was given."""
    scene = Scene([THROTTLED, BROKEN, OK], gate=FakeGate(wait=0.5))
    run(scene.send())

    assert [status for status, _ in scene.gate.observed] == [429, 500, 200]
    assert [at for _, at in scene.gate.observed] == [
        pytest.approx(one.at, abs=0.001) for one in scene.requests
    ]
    assert scene.limiters.asked == [("germany", "getPurchaseOrders")] * 3


def test_an_attempt_is_told_in_full() -> None:
    """Who, what, how it ended, how long it took and how long it was paced."""
    scene = Scene([OK], gate=FakeGate(wait=2.0))
    run(scene.send())
    (attempt,) = scene.attempts

    assert attempt == AttemptMade(
        account="germany",
        operation="getPurchaseOrders",
        status=200,
        seconds=attempt.seconds,
        waited=attempt.waited,
        request_id="c0ffee",
        byte_count=len(OK.body),
    )
    assert attempt.seconds == pytest.approx(0.1, abs=0.01)
    assert attempt.waited == pytest.approx(2.0, abs=0.01)


def test_an_attempt_without_an_answer_is_told_too() -> None:
    """It cost a permit, so it counts."""
    scene = Scene([RESET, OK])
    run(scene.send())

    assert [attempt.status for attempt in scene.attempts] == [None, 200]
    assert scene.attempts[0].request_id is None


def test_a_cancelled_call_is_over() -> None:
    """Nothing is sent after it, and the attempt that was on its way is told."""
    scene = Scene([OK])
    scene.transport = FakeTransport([OK], latency=100)

    async def scenario() -> None:
        task = asyncio.ensure_future(scene.send())
        await asyncio.sleep(1)
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        run(scenario())

    assert len(scene.requests) == 1
    assert [attempt.status for attempt in scene.attempts] == [None]


def test_a_cancelled_call_tells_nothing_of_whether_the_account_answers() -> None:
    """Whoever gives up on a silent account after a while does not make it a lively one."""
    scene = Scene([RESET])
    places = scene.transport.places

    async def scenario() -> str:
        with suppress(TransportError):
            await scene.dispatcher.send(ACCOUNT, READ, patience=NONE)
        scene.transport = FakeTransport([OK], latency=100)
        scene.transport.places = places
        with suppress(TimeoutError):
            async with asyncio.timeout(1):
                await scene.send()
        return repr(places)

    assert "0 waiting, 1 silent" in run(scenario())


@pytest.mark.parametrize(
    ("trouble", "kind"),
    [
        (Answer(404, HEADERS, b""), NotFound),
        (SPURIOUS, BadRequest),
        (DENIED, AccessDenied),
        (BROKEN, ServerError),
        (THROTTLED, Throttled),
        (TRUNCATED, DecodeError),
        (RESET, TransportError),
    ],
    ids=["404", "400", "403", "500", "429", "truncated", "reset"],
)
def test_errors_say_what_for_whom_and_which_request(
    trouble: Step, kind: type[RequestError]
) -> None:
    """Operation, account and request id are there, and no secret is."""
    scene = Scene([trouble])
    error = scene.fails(kind, urgency=Urgency.PERSON)

    assert (error.operation, error.account) == ("getPurchaseOrders", "germany")
    assert str(error).startswith("getPurchaseOrders for germany: ")
    if isinstance(error, ResponseError):
        assert error.request_id == "c0ffee"
        assert str(error).endswith("(request c0ffee)")
    if isinstance(trouble, TransportError):
        assert isinstance(error, TransportError)
        assert error.sent is trouble.sent
    shown = f"{error!r} {error} {vars(error)} {error.__cause__!r} {scene.events}"
    assert "Atza|1" not in shown
    assert SECRET not in shown


def test_a_storm_of_expired_tokens_asks_login_once() -> None:
    """A hundred calls find their token expired at once, and share the new one."""
    fetched = 0

    def amazon(request: Sent) -> Step:
        nonlocal fetched
        if request.url.endswith("/auth/o2/token"):
            fetched += 1
            return Answer(200, {}, b'{"access_token": "Atza|%d", "expires_in": 3600}' % fetched)
        return DENIED if request.headers["x-amz-access-token"] == "Atza|1" else OK

    async def scenario() -> list[Reply[Any]]:
        transport = FakeTransport(amazon)
        dispatcher = Dispatcher(
            transport,
            AccessTokens(transport),
            OneGate(FakeGate()),
            observer=lambda _event: None,
            now=virtual_now,
        )
        return await asyncio.gather(*(dispatcher.send(ACCOUNT, READ) for _ in range(100)))

    replies = run(scenario())

    assert len(replies) == 100
    assert fetched == 2
    assert REFRESH_TOKEN not in repr(replies)


class PausedOnce(FakeGate):
    """Sends the first one away for ten seconds."""

    def __init__(self) -> None:
        super().__init__()
        self.turned_away = 0

    async def acquire(self, urgency: Urgency = Urgency.BULK) -> float:
        """Say when to come back, once."""
        if not self.turned_away:
            self.turned_away = 1
            raise Paused(10.0)
        return await super().acquire(urgency)


def test_who_waits_out_a_pause_holds_no_place() -> None:
    """A throttled account leaves the connections to the others, and comes back."""

    async def scenario() -> tuple[str, float, list[Event]]:
        scene = Scene([OK], gate=PausedOnce())
        loop = asyncio.get_running_loop()
        began_at = loop.time()
        reading = asyncio.ensure_future(scene.dispatcher.send(ACCOUNT, READ))
        await asyncio.sleep(5)
        shown = repr(scene.transport.places)
        await reading
        return shown, loop.time() - began_at, scene.events

    shown, seconds, events = run(scenario())

    assert shown == "<Places 0 of 100 taken, 0 waiting, 0 silent>"
    assert seconds == pytest.approx(10.1, abs=0.01)
    assert [type(event) for event in events] == [AttemptMade]


def test_a_call_is_under_way_until_its_block_is_left() -> None:
    """What was received and is not stored yet counts as in flight."""

    async def scenario() -> list[str]:
        scene = Scene([OK])
        shown = []
        async with scene.dispatcher.sending(ACCOUNT, READ):
            shown.append(repr(scene.transport.places))
        return [*shown, repr(scene.transport.places)]

    assert run(scenario()) == [
        "<Places 1 of 100 taken, 0 waiting, 0 silent>",
        "<Places 0 of 100 taken, 0 waiting, 0 silent>",
    ]


@pytest.mark.parametrize("step", [BROKEN, DENIED, TRUNCATED, RESET])
def test_a_failed_call_leaves_its_place(step: Step) -> None:
    """However it fails, and however often it is repeated."""

    async def scenario() -> str:
        scene = Scene([step])
        with pytest.raises(VendorOrdersError):
            await scene.dispatcher.send(ACCOUNT, READ)
        return repr(scene.transport.places)

    assert run(scenario()).startswith("<Places 0 of 100 taken, 0 waiting")


def dated(text: str) -> Answer:
    """Return a page whose ``Date`` says *text*."""
    return Answer(200, CIMultiDict(HEADERS, Date=text), OK.body)


class SetClock:
    """Our clock, which is *ahead* of Amazon's by so many seconds; it can be set."""

    def __init__(self, ahead: float = 0.0) -> None:
        self.ahead = timedelta(seconds=ahead)

    def __call__(self) -> datetime:
        """Return our present."""
        return virtual_now() + self.ahead


@pytest.mark.parametrize("ahead", [0.0, 90.0, -90.0, 86_400.0, -86_400.0])
def test_when_a_request_was_sent_is_told_by_amazons_clock(ahead: float) -> None:
    """Whatever ours says: versions are put in order by it, and documents are dated by it."""
    scene = Scene([OK])
    scene.now = SetClock(ahead)
    scene.transport = FakeTransport(lambda _sent: dated(http_date(virtual_now())))

    reply = run(scene.send())
    asked_at = EPOCH + timedelta(seconds=scene.requests[0].at)

    assert abs(reply.asked_at - asked_at) <= timedelta(seconds=1.2)


@pytest.mark.parametrize("set_by", [3_600.0, -3_600.0])
def test_our_clock_may_be_set_while_a_request_is_under_way(set_by: float) -> None:
    """What it was sent at is not shifted by that: a later version must not seem older."""
    scene = Scene([OK])
    scene.now = ours = SetClock()

    def amazon(_sent: Sent) -> Answer:
        ours.ahead += timedelta(seconds=set_by)
        return dated(http_date(virtual_now()))

    scene.transport = FakeTransport(amazon)

    async def scenario() -> list[Reply[Any]]:
        dispatcher = scene.dispatcher
        return [await dispatcher.send(ACCOUNT, READ) for _ in range(3)]

    replies = run(scenario())

    for reply, request in zip(replies, scene.requests, strict=True):
        off = reply.asked_at - (EPOCH + timedelta(seconds=request.at))
        assert abs(off) <= timedelta(seconds=1.2)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "Thu, 99 Jul 2026 00:00:00 GMT",
        "Fri, 31 Dec 9999 23:59:59 GMT",
        "Fri, 31 Dec 9999 23:59:59 -1200",
        "Mon, 01 Jan 0001 00:00:00 +1200",
        "Mon, 01 Jan 2026 00:00:00 +99999999999999",
        "Mon, 01 Jan 99999999999999999999 00:00:00 GMT",
    ],
)
def test_without_a_date_that_makes_sense_our_clock_is_believed(text: str) -> None:
    """A proxy's nonsense costs nothing; the same goes for an answer without a date."""
    scene = Scene([dated(text), dated(text), OK])

    async def scenario() -> list[Reply[Any]]:
        dispatcher = scene.dispatcher
        return [await dispatcher.send(ACCOUNT, READ) for _ in range(3)]

    replies = run(scenario())

    assert [reply.asked_at for reply in replies] == [
        pytest.approx(EPOCH + timedelta(seconds=one.at), abs=timedelta(milliseconds=1))
        for one in scene.requests
    ]


def test_an_answer_without_a_date_leaves_what_is_known() -> None:
    """One that said how far off we are still holds."""
    scene = Scene([OK])
    scene.now = SetClock(3_600.0)

    async def scenario() -> Reply[Any]:
        script: list[Step] = [dated(http_date(virtual_now())), OK]
        scene.transport = FakeTransport(script)
        dispatcher = scene.dispatcher
        await dispatcher.send(ACCOUNT, READ)
        return await dispatcher.send(ACCOUNT, READ)

    reply = run(scenario())
    off = reply.asked_at - (EPOCH + timedelta(seconds=scene.requests[1].at))

    assert abs(off) <= timedelta(seconds=1.2)


def http_date(moment: datetime) -> str:
    """Write *moment* as HTTP does."""
    return email.utils.format_datetime(moment.replace(microsecond=0), usegmt=True)
