"""One request under policy: authorise, connect, pace, send, decode, and again if need be."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache
from http import HTTPStatus
from types import TracebackType
from typing import Generic, Protocol, TypeVar

import msgspec

from . import clock
from .accounts import Account
from .errors import (
    AccessDenied,
    BadRequest,
    DecodeError,
    NotFound,
    RequestError,
    ResponseError,
    ServerError,
    Throttled,
    TransportError,
)
from .limiter import Gate, Limiters, Paused, Urgency
from .operations import Call, Operation, check, http_request
from .pages import decode_errors
from .places import Place
from .retry import BULK, PERSON, Controller, Patience
from .telemetry import AttemptMade, Observer, RetryScheduled
from .transport import Answer, Transport
from .windows import LONGEST_QUERY

T = TypeVar("T")

_PATIENCE: Mapping[Urgency, Patience] = {Urgency.BULK: BULK, Urgency.PERSON: PERSON}


class TokenSource(Protocol):
    """Where the tokens come from that requests are sent with."""

    async def token_for(
        self,
        account: Account,
        operation: Operation[object] | None = None,
        refused: Sequence[str] = (),
    ) -> str | None:
        """Return what to ask *operation* with; any operation, unless one is named.

        *refused* is what Amazon refused in this call so far, in order. None says that
        nothing else is worth a try.
        """


class Reply(msgspec.Struct, Generic[T], frozen=True):
    """What a call brought: the decoded answer, and when and how fast it came.

    *asked_at* is when the attempt that succeeded was sent, by Amazon's clock, *seconds* how
    long it took.
    """

    content: T
    asked_at: datetime
    seconds: float


class Dispatcher:
    """Sends calls for accounts; safe to use from any number of tasks.

    *clock* is Amazon's, as far as its answers tell it from ours.

    Raises from `send`:
        InvalidArgument: the call could not be meant; nothing was sent.
        AuthError: the account's credentials are refused.
        RequestError: the call failed, after as many attempts as made sense.
    """

    def __init__(
        self,
        transport: Transport,
        tokens: TokenSource,
        limiters: Limiters,
        *,
        observer: Observer,
        now: Callable[[], datetime] = clock.now,
    ) -> None:
        self._transport = transport
        self._tokens = tokens
        self._limiters = limiters
        self._tell = observer
        self._now = now
        self.clock = clock.ServerClock(now)

    async def prepare(
        self, account: Account, operation: Operation[object] | None = None
    ) -> None:
        """Get a token for *account* by now, so that no call has to wait for it.

        It is the one that *operation* takes, or just an access token.
        Without one nothing is lost: the calls try again, as often as makes sense.

        Raises:
            AuthError: the account's credentials are refused.
        """
        with suppress(RequestError):
            await self._tokens.token_for(account, operation)

    async def send(
        self,
        account: Account,
        call: Call[T],
        *,
        urgency: Urgency = Urgency.PERSON,
        patience: Patience | None = None,
    ) -> Reply[T]:
        """Send *call* for *account* until it succeeds or there is no point in going on.

        *patience* is how long to go on; unless it is given, as long as the *urgency* allows.
        """
        async with self.sending(account, call, urgency=urgency, patience=patience) as reply:
            return reply

    def sending(
        self,
        account: Account,
        call: Call[T],
        *,
        urgency: Urgency = Urgency.PERSON,
        patience: Patience | None = None,
    ) -> Sending[T]:
        """Do the same, and count the call among those in flight until its block is left.

            async with dispatcher.sending(account, call) as reply:
                await sink.write(...)

        So what has come and is not stored yet holds back what is asked for next.
        """
        place = self._transport.places.of(account.name)
        enough = patience or _PATIENCE[urgency]
        return Sending(place, lambda: self._send(account, call, urgency, enough, place))

    async def _send(
        self,
        account: Account,
        call: Call[T],
        urgency: Urgency,
        patience: Patience,
        place: Place,
    ) -> Reply[T]:
        longest = None if account.is_sandbox else LONGEST_QUERY
        check(call.question, now=self._now(), longest=longest)
        operation = call.operation
        refused: list[str] = []
        denials: list[AccessDenied] = []

        async def once() -> Reply[T]:
            while (token := await self._token(account, operation, refused)) is not None:
                try:
                    return await self._attempt(account, call, token, urgency, place)
                except AccessDenied as error:
                    refused.append(token)
                    denials.append(error)
            raise denials.pop()

        def announce(seconds: float, error: RequestError) -> None:
            request_id = getattr(error, "request_id", None)
            reason = str(error)
            self._tell(
                RetryScheduled(account.name, operation.name, seconds, reason, request_id)
            )

        first: list[RequestError] = []
        try:
            return await once()
        except RequestError as error:
            first.append(error)
        # tenacity costs more than the rest of a call, so it comes in only now
        controller = Controller(
            patience,
            repeatable=operation.repeatable,
            time=asyncio.get_running_loop().time,
            on_retry=announce,
        )
        async for attempt in controller.attempts():
            with attempt:
                if first:
                    raise first.pop()
                return await once()
        raise AssertionError("tenacity ends with a return or an error")

    async def send_once(self, account: Account, call: Call[T], token: str) -> Reply[T]:
        """Send *call* a single time, with *token*, for somebody who waits."""
        place = self._transport.places.of(account.name)
        try:
            return await self._attempt(account, call, token, Urgency.PERSON, place)
        finally:
            place.leave()

    async def _token(
        self, account: Account, operation: Operation[object], refused: Sequence[str]
    ) -> str | None:
        """Return a token to try; where none can be had, the call is certainly not sent."""
        try:
            return await self._tokens.token_for(account, operation, refused)
        except RequestError as error:
            raise TransportError(
                error.args[0], operation=error.operation, account=error.account, sent=False
            ) from error

    async def _attempt(
        self, account: Account, call: Call[T], token: str, urgency: Urgency, place: Place
    ) -> Reply[T]:
        """Send *call* once; *place* is kept only if that was a success."""
        operation = call.operation
        gate = self._limiters.of(account, operation)
        passage = _Passage(gate, urgency, self._now)
        try:
            answer = await self._exchange(account, call, token, passage, place)
            gate.observe(answer.status, answer.headers, passage.sent_at)
            if (date := _moment_in(answer.headers.get("Date", ""))) is not None:
                self.clock.observe(date, passage.asked_at, passage.ended_at())
            content = _content(operation, account, answer)
        except BaseException as error:  # a cancellation tells not whether the account answers
            place.leave(error if isinstance(error, asyncio.CancelledError) else None)
            raise
        return Reply(content, self.clock.corrected(passage.asked_at), passage.seconds())

    async def _exchange(
        self, account: Account, call: Call[T], token: str, passage: _Passage, place: Place
    ) -> Answer:
        """Take *place*, send *call* and tell of it; *place* is kept if there is an answer."""
        request = http_request(call)
        headers = {"x-amz-access-token": token}
        if request.body is not None:
            headers["Content-Type"] = "application/json"
        answer = None
        while answer is None:
            await place.take()
            try:
                answer = await self._transport.exchange(
                    request.method,
                    account.base_url + request.target,
                    headers=headers,
                    body=request.body,
                    may_pass=passage,
                )
            except Paused as pause:
                place.leave(pause)
                await asyncio.sleep(pause.seconds)
            except TransportError as error:
                place.leave(error)
                raise TransportError(
                    error.args[0],
                    operation=call.operation.name,
                    account=account.name,
                    sent=error.sent,
                ) from error
            finally:
                self._tell_attempts(passage, account, call.operation.name, answer)
        return answer

    def _tell_attempts(
        self, passage: _Passage, account: Account, operation: str, answer: Answer | None
    ) -> None:
        # the connection may have been opened, and the permit spent, more than once
        count, passage.count = passage.count, 0
        for index in range(count):
            is_last = index == count - 1
            self._tell(passage.made(account, operation, answer if is_last else None))


class Sending(Generic[T]):
    """A call that is under way until its block is left; `Dispatcher.sending` makes it."""

    __slots__ = ("_place", "_send")

    def __init__(self, place: Place, send: Callable[[], Awaitable[Reply[T]]]) -> None:
        self._place = place
        self._send = send

    async def __aenter__(self) -> Reply[T]:
        return await self._send()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._place.leave()


class _Passage:
    """One request's way through the limiter, and what it noted there."""

    def __init__(self, gate: Gate, urgency: Urgency, now: Callable[[], datetime]) -> None:
        self._gate = gate
        self._urgency = urgency
        self._now = now
        self._time = asyncio.get_running_loop().time
        self._began_at = self._time()
        self.count = 0
        self.sent_at = 0.0
        self.asked_at = datetime.min.replace(tzinfo=UTC)

    async def __call__(self) -> None:
        self.sent_at = await self._gate.acquire(self._urgency)
        self.asked_at = self._now()
        self.count += 1

    def seconds(self) -> float:
        return self._time() - self.sent_at

    def ended_at(self) -> datetime:
        """Return the present by the clock as it was; it may have been set meanwhile."""
        return self.asked_at + timedelta(seconds=self.seconds())

    def made(self, account: Account, operation: str, answer: Answer | None) -> AttemptMade:
        return AttemptMade(
            account=account.name,
            operation=operation,
            status=answer.status if answer else None,
            seconds=self.seconds(),
            waited=self.sent_at - self._began_at,
            request_id=_request_id(answer) if answer else None,
            byte_count=len(answer.body) if answer else 0,
        )


def _content(operation: Operation[T], account: Account, answer: Answer) -> T:
    if answer.status not in {HTTPStatus.OK, HTTPStatus.ACCEPTED}:
        raise refusal(answer, operation, account.name)
    try:
        return operation.decode(answer.body)
    except DecodeError as error:
        raise DecodeError(
            error.args[0], operation=operation.name, account=account.name, body=error.body
        ) from None


def refusal(answer: Answer, operation: Operation[object], account: str) -> ResponseError:
    """Return the error that *answer*, which is not a success, means."""
    errors = decode_errors(answer.body, has_people=operation.is_restricted)
    is_redirect = answer.status in range(300, 400)
    said = "is a redirect, which is not followed" if is_redirect else "without an explanation"
    words = "; ".join(map(str, errors)) or f"status {answer.status} {said}"
    kind: type[ResponseError] = ResponseError
    match answer.status:
        case HTTPStatus.BAD_REQUEST:
            kind = BadRequest
        case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN:
            kind = AccessDenied
        case HTTPStatus.NOT_FOUND:
            kind = NotFound
        case HTTPStatus.TOO_MANY_REQUESTS:
            kind = Throttled
        case status if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            kind = ServerError
    return kind(
        words,
        operation=operation.name,
        account=account,
        status=answer.status,
        request_id=_request_id(answer),
        errors=errors,
        retry_after=_retry_after(answer),
    )


def _request_id(answer: Answer) -> str | None:
    return answer.headers.get("x-amzn-RequestId")


def _retry_after(answer: Answer) -> float | None:
    """Read Retry-After, seconds or a date; Amazon was never seen to send one."""
    text = answer.headers.get("Retry-After", "")
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    until = _moment_in(text)
    return max(0.0, clock.seconds_between(clock.now(), until)) if until else None


@lru_cache(maxsize=16)  # hundreds of answers come within one second
def _moment_in(text: str) -> datetime | None:
    """Return what a header that holds a date says, None where it says none."""
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    if moment.tzinfo is None:  # it says -0000: in UTC, without saying where
        moment = moment.replace(tzinfo=UTC)
    return clock.utc(moment)
