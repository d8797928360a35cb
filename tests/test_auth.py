"""Access tokens, on virtual time: one refresh at a time, and no storms."""

from __future__ import annotations

import asyncio
from urllib.parse import parse_qs

import msgspec
import pytest
from fakes import REFRESH_TOKEN, SECRET, FakeTransport, Sent, an_account
from virtual_time import run

from vendororders_async.accounts import TOKEN_URL, Account
from vendororders_async.auth import AccessTokens
from vendororders_async.errors import (
    AuthError,
    ServerError,
    Throttled,
    TransportError,
    VendorOrdersError,
)
from vendororders_async.transport import Answer

ACCOUNT = an_account()
REFUSED = Answer(
    400, {}, b'{"error": "invalid_grant", "error_description": "The token is revoked"}'
)
DOWN = Answer(503, {}, b"<html>")


def granted(number: int, extra: str = ', "expires_in": 3600') -> Answer:
    """Return LWA's answer with the token of *number*."""
    return Answer(
        200, {}, f'{{"access_token": "Atza|{number}", "token_type": "bearer"{extra}}}'.encode()
    )


GRANTED = [granted(number) for number in range(1, 10)]


async def many(tokens: AccessTokens, count: int) -> list[str | BaseException]:
    """Ask *count* times at once."""
    return await asyncio.gather(
        *(tokens.get(ACCOUNT) for _ in range(count)), return_exceptions=True
    )


def test_the_request_is_what_amazon_documents() -> None:
    """A form with the refresh token, to LWA and with no access token."""
    transport = FakeTransport([*GRANTED])

    assert run(AccessTokens(transport).get(ACCOUNT)) == "Atza|1"
    (request,) = transport.sent
    assert (request.method, request.url) == ("POST", TOKEN_URL)
    assert request.headers == {
        "Content-Type": "application/x-www-form-urlencoded;charset=UTF-8"
    }
    assert request.body is not None
    assert parse_qs(request.body.decode(), strict_parsing=True) == {
        "grant_type": ["refresh_token"],
        "refresh_token": [f"{REFRESH_TOKEN} of germany"],
        "client_id": ["amzn1.x"],
        "client_secret": [SECRET],
    }


def test_many_calls_make_one_request() -> None:
    """200 calls that need a token at once wait for the same one."""
    transport = FakeTransport([*GRANTED])

    assert run(many(AccessTokens(transport), 200)) == ["Atza|1"] * 200
    assert len(transport.sent) == 1


def test_accounts_have_their_own_tokens() -> None:
    """Neither the token nor the waiting is shared between refresh tokens."""
    transport = FakeTransport([*GRANTED])

    async def scenario() -> tuple[list[str], float]:
        tokens = AccessTokens(transport)
        loop = asyncio.get_running_loop()
        began_at = loop.time()
        found = await asyncio.gather(
            *(tokens.get(an_account(name)) for name in ("a", "b", "c"))
        )
        return found, loop.time() - began_at

    found, seconds = run(scenario())

    assert len(set(found)) == 3
    assert seconds < 0.15


@pytest.mark.parametrize(
    ("extra", "life"),
    [
        (', "expires_in": 3600', 3540),
        (', "expires_in": "3600"', 3540),
        (', "expires_in": 1800.5', 1740.5),
        ("", 1740),
    ],
    ids=["number", "text", "fraction", "missing"],
)
def test_a_token_is_used_until_a_minute_before_its_end(extra: str, life: float) -> None:
    """Then a new one is fetched, before Amazon would refuse the old one."""
    transport = FakeTransport([granted(1, extra), granted(2, extra)])

    async def scenario() -> list[str]:
        tokens = AccessTokens(transport)
        found = [await tokens.get(ACCOUNT)]
        await asyncio.sleep(life - 1)
        found.append(await tokens.get(ACCOUNT))
        await asyncio.sleep(2)
        found.append(await tokens.get(ACCOUNT))
        return found

    assert run(scenario()) == ["Atza|1", "Atza|1", "Atza|2"]


@pytest.mark.parametrize("expires_in", ["0", "-1", "30", '"nan"', '"inf"'])
def test_an_odd_life_is_no_storm_and_no_eternity(expires_in: str) -> None:
    """The token is used for a moment at least, and not for ever."""
    transport = FakeTransport(
        lambda _request: granted(len(transport.sent), f', "expires_in": {expires_in}')
    )

    async def scenario() -> tuple[list[str | BaseException], str | BaseException]:
        tokens = AccessTokens(transport)
        first = await many(tokens, 50)
        await asyncio.sleep(86_400)
        return first, (await many(tokens, 1))[0]

    first, later = run(scenario())

    assert first == ["Atza|1"] * 50
    assert later == "Atza|2"


def test_refused_credentials_fail_for_all_at_once() -> None:
    """One request, one answer, 200 errors."""
    transport = FakeTransport([REFUSED])
    outcomes = run(many(AccessTokens(transport), 200))

    assert len(transport.sent) == 1
    assert all(isinstance(one, AuthError) for one in outcomes)
    assert len({id(one) for one in outcomes}) == 200
    assert str(outcomes[0]) == str(outcomes[-1])
    assert "germany" in str(outcomes[0])
    assert "invalid_grant: The token is revoked" in str(outcomes[0])


def test_a_refusal_stands_for_half_a_minute() -> None:
    """Then the credentials may have been repaired, and are tried again."""
    transport = FakeTransport([REFUSED, granted(1)])

    async def scenario() -> list[str | BaseException]:
        tokens = AccessTokens(transport)
        outcomes = await many(tokens, 1)
        await asyncio.sleep(29)
        outcomes += await many(tokens, 5)
        assert len(transport.sent) == 1
        await asyncio.sleep(2)
        return outcomes + await many(tokens, 5)

    outcomes = run(scenario())

    assert [type(one) for one in outcomes] == [AuthError] * 6 + [str] * 5
    assert len(transport.sent) == 2


def rotated(account: Account) -> Account:
    """Return *account* after its application got another client secret."""
    credentials = msgspec.structs.replace(account.credentials, client_secret="s3cret-rotated")
    return msgspec.structs.replace(account, credentials=credentials)


def test_a_rotated_secret_does_not_wait_for_the_old_ones_refusal_to_end() -> None:
    """Amazon refused the old one a moment ago, and takes the new one."""

    def lwa(request: Sent) -> Answer:
        is_new = b"client_secret=s3cret-rotated" in (request.body or b"")
        return granted(1) if is_new else REFUSED

    transport = FakeTransport(lwa)

    async def scenario() -> tuple[str, list[float]]:
        tokens = AccessTokens(transport)
        with pytest.raises(AuthError):
            await tokens.get(ACCOUNT)
        token = await tokens.get(rotated(ACCOUNT))
        with pytest.raises(AuthError):
            await tokens.get(ACCOUNT)  # which stands, and costs no request
        return token, [request.at for request in transport.sent]

    token, (first_at, second_at) = run(scenario())

    assert token == "Atza|1"
    assert second_at - first_at < 1


def test_the_old_secrets_token_is_used_to_its_end() -> None:
    """Calls that were under way while a secret was rotated are not disturbed."""
    transport = FakeTransport([*GRANTED])

    async def scenario() -> list[str]:
        tokens = AccessTokens(transport)
        return [await tokens.get(one) for one in (ACCOUNT, rotated(ACCOUNT), ACCOUNT, ACCOUNT)]

    assert run(scenario()) == ["Atza|1", "Atza|2", "Atza|1", "Atza|1"]


@pytest.mark.parametrize(
    ("trouble", "kind"),
    [
        (DOWN, ServerError),
        (Answer(429, {}, b""), Throttled),
        (TransportError("no answer in time", sent=True), TransportError),
        (Answer(400, {}, b'{"error": "server_error"}'), ServerError),
        (Answer(400, {}, b'{"error": "temporarily_unavailable"}'), ServerError),
        (Answer(400, {}, b"<html>"), ServerError),
        (Answer(302, {}, b""), ServerError),
        (Answer(200, {}, b""), ServerError),
        (Answer(200, {}, b"{}"), ServerError),
        (Answer(200, {}, b'{"access_token": null}'), ServerError),
        (Answer(200, {}, b'{"access_token": "Atza|cut'), ServerError),
    ],
    ids=str,
)
def test_trouble_that_may_pass_is_shared_and_tried_again(
    trouble: Answer | TransportError, kind: type[VendorOrdersError]
) -> None:
    """One request fails for all who wait for it; the next call asks anew."""
    transport = FakeTransport([trouble, granted(1)])

    async def scenario() -> tuple[list[str | BaseException], str]:
        tokens = AccessTokens(transport)
        outcomes = await many(tokens, 20)
        assert len(transport.sent) == 1
        return outcomes, await tokens.get(ACCOUNT)

    outcomes, token = run(scenario())

    assert [type(one) for one in outcomes] == [kind] * 20
    assert all("LWA for germany" in str(one) for one in outcomes)
    assert token == "Atza|1"


@pytest.mark.parametrize(
    "body",
    [
        b'{"access_token": "Atza|\xff"}',
        b'{"access_token": ""}',
        b'{"access_token": "a\\nb"}',
        b'{"x": ' + b"[" * 100_000,
    ],
)
def test_a_broken_token_is_trouble_that_may_pass(body: bytes) -> None:
    """Whatever is wrong with it, it is our error, and does not show the token."""
    transport = FakeTransport([Answer(200, {}, body), granted(1)])

    async def scenario() -> tuple[list[str | BaseException], str]:
        tokens = AccessTokens(transport)
        return await many(tokens, 3), await tokens.get(ACCOUNT)

    outcomes, token = run(scenario())

    assert [type(one) for one in outcomes] == [ServerError] * 3
    assert "Atza" not in repr(outcomes)
    assert token == "Atza|1"


def test_a_rejected_token_is_replaced() -> None:
    """Amazon did not take it: the next call gets a new one."""
    transport = FakeTransport([*GRANTED])

    async def scenario() -> list[str | BaseException]:
        tokens = AccessTokens(transport)
        token = await tokens.get(ACCOUNT)
        tokens.reject(ACCOUNT, token)
        return await many(tokens, 50)

    assert run(scenario()) == ["Atza|2"] * 50
    assert len(transport.sent) == 2


def test_a_rejection_that_comes_late_costs_nothing() -> None:
    """A newer token has taken the place of the rejected one already."""
    transport = FakeTransport([*GRANTED])

    async def scenario() -> str:
        tokens = AccessTokens(transport)
        old = await tokens.get(ACCOUNT)
        for _ in range(100):  # a hundred calls were on their way with the old one
            tokens.reject(ACCOUNT, old)
        await tokens.get(ACCOUNT)
        tokens.reject(ACCOUNT, old)
        return await tokens.get(ACCOUNT)

    assert run(scenario()) == "Atza|2"
    assert len(transport.sent) == 2


def test_a_rejection_touches_one_account() -> None:
    """The others keep theirs."""
    transport = FakeTransport([*GRANTED])

    async def scenario() -> tuple[str, str]:
        tokens = AccessTokens(transport)
        mine, theirs = await tokens.get(ACCOUNT), await tokens.get(an_account("france"))
        tokens.reject(ACCOUNT, mine)
        return theirs, await tokens.get(an_account("france"))

    theirs, again = run(scenario())

    assert theirs == again


def test_who_gives_up_while_fetching_does_not_fail_the_others() -> None:
    """The next one in the queue fetches in its place."""
    transport = FakeTransport([*GRANTED], latency=1.0)

    async def scenario() -> list[str | BaseException]:
        tokens = AccessTokens(transport)
        tasks = [asyncio.ensure_future(tokens.get(ACCOUNT)) for _ in range(3)]
        await asyncio.sleep(0.5)
        tasks[0].cancel()
        return await asyncio.gather(*tasks, return_exceptions=True)

    outcomes = run(scenario())

    assert isinstance(outcomes[0], asyncio.CancelledError)
    assert outcomes[1:] == ["Atza|2"] * 2


@pytest.mark.parametrize(
    "trouble",
    [REFUSED, DOWN, Answer(200, {}, b"{}"), TransportError("no answer in time")],
    ids=["refused", "down", "empty", "no answer"],
)
def test_no_secret_is_in_an_error(trouble: Answer | TransportError) -> None:
    """What went out does not come back in words."""
    (error,) = run(many(AccessTokens(FakeTransport([trouble])), 1))

    assert isinstance(error, VendorOrdersError)
    shown = f"{error!r} {error} {vars(error)} {error.__cause__!r} {error.__context__!r}"
    assert SECRET not in shown
    assert REFRESH_TOKEN not in shown


def test_a_call_gets_one_other_token() -> None:
    """As a source of tokens: the current one, once more after a refusal, then none."""
    transport = FakeTransport([*GRANTED])

    async def scenario() -> list[str | None]:
        tokens = AccessTokens(transport)
        first = await tokens.token_for(ACCOUNT)
        assert first is not None
        second = await tokens.token_for(ACCOUNT, refused=[first])
        assert second is not None
        # another call is refused at the same time: the replacement is trusted for a while
        again = await tokens.token_for(ACCOUNT, refused=[second])
        return [first, second, again, await tokens.token_for(ACCOUNT, refused=[first, second])]

    assert run(scenario()) == ["Atza|1", "Atza|2", "Atza|2", None]
