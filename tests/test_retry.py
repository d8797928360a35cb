"""Retrying, on virtual time: what is worth it, how long to wait, when to stop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from virtual_time import run

from vendororders_async.errors import (
    AccessDenied,
    AuthError,
    BadRequest,
    DecodeError,
    Error,
    InvalidArgument,
    NotFound,
    PaginationError,
    RequestError,
    ResponseError,
    ServerError,
    Throttled,
    TransportError,
)
from vendororders_async.retry import (
    BULK,
    PERSON,
    Controller,
    Patience,
    backoff,
    tries_allowed,
)

FOREVER = float("inf")
INVALID_INPUT = BadRequest(
    "x", status=400, errors=(Error(code="InvalidInput", message="Invalid Input"),)
)
INVALID_REQUEST = BadRequest("x", status=400, errors=(Error(code="InvalidRequest"),))
BARE_400 = BadRequest("x", status=400)


class Attempts:
    """A call that fails as told and remembers when it was tried."""

    def __init__(
        self, fail: Callable[[int], BaseException | None], *, lasts: float = 0.0
    ) -> None:
        self.at: list[float] = []
        self.announced: list[tuple[float, RequestError]] = []
        self._fail = fail
        self._lasts = lasts

    async def __call__(self, patience: Patience = BULK, *, repeatable: bool = True) -> int:
        """Try until it succeeds or is given up; return the number of attempts."""
        loop = asyncio.get_running_loop()
        controller = Controller(
            patience, repeatable=repeatable, time=loop.time, on_retry=self._note
        )
        async for attempt in controller.attempts():
            with attempt:
                self.at.append(loop.time())
                await asyncio.sleep(self._lasts)
                error = self._fail(len(self.at))
                if error is not None:
                    raise error
                return len(self.at)
        raise AssertionError

    def _note(self, seconds: float, error: RequestError) -> None:
        self.announced.append((seconds, error))

    @property
    def pauses(self) -> list[float]:
        """The seconds from one attempt to the next."""
        return [later - earlier for earlier, later in zip(self.at, self.at[1:], strict=False)]


def always(error: BaseException) -> Callable[[int], BaseException]:
    """Fail every attempt with *error*."""
    return lambda _number: error


def first(count: int, error: BaseException) -> Callable[[int], BaseException | None]:
    """Fail the first *count* attempts with *error*."""
    return lambda number: error if number <= count else None


@pytest.mark.parametrize(
    ("error", "of_a_get", "of_a_post"),
    [
        (Throttled("x"), FOREVER, FOREVER),
        (TransportError("x", sent=True), FOREVER, 1),
        pytest.param(TransportError("x", sent=False), FOREVER, FOREVER, id="not sent"),
        (ServerError("x"), FOREVER, 1),
        (DecodeError("x"), 5, 1),
        pytest.param(INVALID_INPUT, 3, 1, id="InvalidInput"),
        (BARE_400, 3, 1),
        pytest.param(INVALID_REQUEST, 1, 1, id="InvalidRequest"),
        (NotFound("x"), 1, 1),
        (AccessDenied("x"), 1, 1),
        (ResponseError("x", status=302), 1, 1),
        (PaginationError("x"), 1, 1),
        (AuthError("x"), 1, 1),
        (InvalidArgument("x"), 1, 1),
        (asyncio.CancelledError(), 1, 1),
        (KeyError("x"), 1, 1),
        (None, 1, 1),
    ],
    ids=repr,
)
def test_each_error_has_its_number_of_tries(
    error: BaseException | None, of_a_get: float, of_a_post: float
) -> None:
    """What may pass is tried again; a POST only when Amazon certainly did not take it."""
    assert tries_allowed(error, repeatable=True) == of_a_get
    assert tries_allowed(error, repeatable=False) == of_a_post


@given(st.integers(1, 10**6), st.floats(0, 1))
def test_backoff_doubles_between_bounds(failure_count: int, jitter: float) -> None:
    """Half a second at first, a minute at most, half of it for the jitter."""
    longest = min(0.5 * 2.0 ** min(failure_count - 1, 60), 60.0)

    assert longest / 2 <= backoff(failure_count, jitter) <= longest
    assert backoff(failure_count, 0) == longest
    assert backoff(failure_count, 1) == longest / 2


def test_an_error_that_passes_is_overcome() -> None:
    """The call returns as if nothing had been, after waits that grow."""
    call = Attempts(first(4, ServerError("x")))

    assert run(call()) == 5
    for failure_count, pause in enumerate(call.pauses, start=1):
        assert backoff(failure_count, 1) - 0.01 <= pause <= backoff(failure_count, 0) + 0.01


@pytest.mark.parametrize(
    ("error", "tries"),
    [(INVALID_INPUT, 3), (DecodeError("x"), 5), (NotFound("x"), 1), (KeyError("x"), 1)],
)
def test_what_stays_wrong_is_raised_as_it_is(error: Exception, tries: int) -> None:
    """The last error comes out, not one of tenacity's."""
    call = Attempts(always(error))

    with pytest.raises(type(error)) as caught:
        run(call())

    assert caught.value is error
    assert len(call.at) == tries
    assert len(call.announced) == tries - 1


def test_kinds_of_errors_are_counted_apart() -> None:
    """A spurious 400 between many 500s still has its own three tries."""
    errors = [
        ServerError("x"),
        INVALID_INPUT,
        ServerError("x"),
        INVALID_INPUT,
        ServerError("x"),
    ]
    call = Attempts(lambda number: errors[number - 1] if number <= 5 else None)

    assert run(call()) == 6


@pytest.mark.parametrize(
    ("patience", "seconds"), [(PERSON, 30), (BULK, 900)], ids=["person", "bulk"]
)
@pytest.mark.parametrize("lasts", [0.0, 7.0])
def test_patience_ends_in_time(patience: Patience, seconds: float, lasts: float) -> None:
    """From the first failure on, nothing is begun after the patience has run out."""
    call = Attempts(always(ServerError("x")), lasts=lasts)

    with pytest.raises(ServerError):
        run(call(patience))

    first_failure_at = call.at[0] + lasts
    assert call.at[-1] <= first_failure_at + seconds + 0.01
    assert call.at[-1] >= first_failure_at + seconds - max(60, lasts) * 2
    assert len(call.at) > 2


def test_a_slow_first_attempt_uses_up_no_patience() -> None:
    """It is counted from the first failure, not from the beginning."""
    call = Attempts(first(1, ServerError("x")), lasts=200)

    assert run(call(PERSON)) == 2


@pytest.mark.parametrize("retry_after", [3.0, 25.0])
def test_amazons_wish_is_honoured(retry_after: float) -> None:
    """Where Amazon says how long to wait, nobody comes earlier."""
    call = Attempts(first(1, Throttled("x", retry_after=retry_after)))

    assert run(call(PERSON)) == 2
    assert call.pauses == [pytest.approx(retry_after, abs=0.01)]
    assert call.announced[0][0] == retry_after


@pytest.mark.parametrize("retry_after", [0.0, 0.01])
def test_a_short_wish_does_not_shorten_the_backoff(retry_after: float) -> None:
    """Coming back at once, again and again, would be a storm."""
    call = Attempts(first(3, Throttled("x", retry_after=retry_after)))
    run(call())

    assert all(pause >= 0.25 for pause in call.pauses)


@pytest.mark.parametrize("retry_after", [31.0, float("inf")])
def test_a_wish_beyond_all_patience_is_the_end(retry_after: float) -> None:
    """A person is told at once what will take too long."""
    call = Attempts(always(Throttled("x", retry_after=retry_after)))

    with pytest.raises(Throttled):
        run(call(PERSON))

    assert len(call.at) == 1
    assert call.announced == []


def test_concurrent_calls_do_not_count_for_each_other() -> None:
    """Fifty calls at once, and each has all of its own tries."""
    calls = [Attempts(always(INVALID_INPUT)) for _ in range(50)]

    async def scenario() -> list[int | BaseException]:
        return await asyncio.gather(*(call() for call in calls), return_exceptions=True)

    outcomes = run(scenario())

    assert all(isinstance(one, BadRequest) for one in outcomes)
    assert [len(call.at) for call in calls] == [3] * 50


def test_calls_that_failed_together_do_not_return_together() -> None:
    """Jitter spreads them."""
    calls = [Attempts(first(1, ServerError("x"))) for _ in range(20)]

    async def scenario() -> None:
        await asyncio.gather(*(call() for call in calls))

    run(scenario())

    assert len({round(call.at[1], 3) for call in calls}) > 10


def test_a_cancelled_call_is_over() -> None:
    """Cancellation is no failure to try again."""
    call = Attempts(lambda _number: None, lasts=100)

    async def scenario() -> None:
        task = asyncio.ensure_future(call())
        await asyncio.sleep(1)
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        run(scenario())

    assert len(call.at) == 1


def test_a_call_can_be_cancelled_while_it_waits() -> None:
    """Nothing is begun after a cancellation in the pause between two attempts."""
    call = Attempts(always(ServerError("x")))

    async def scenario() -> None:
        task = asyncio.ensure_future(call())
        await asyncio.sleep(0.01)
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        run(scenario())

    assert len(call.at) == 1


@pytest.mark.parametrize(
    ("error", "tries"), [(ServerError("x"), 1), (TransportError("x"), 1), (INVALID_INPUT, 1)]
)
def test_an_ambiguous_failure_of_a_post_is_told(error: RequestError, tries: int) -> None:
    """Amazon may have taken it; the caller decides."""
    call = Attempts(always(error))

    with pytest.raises(type(error)):
        run(call(repeatable=False))

    assert len(call.at) == tries


@pytest.mark.parametrize("error", [Throttled("x"), TransportError("x", sent=False)])
def test_a_post_that_was_not_taken_is_sent_again(error: RequestError) -> None:
    """Refused by the plan, or never sent: then it is safe."""
    assert run(Attempts(first(3, error))(repeatable=False)) == 4
