"""The token that each operation takes: an access token, or a restricted data token.

https://developer-docs.amazon.com/sp-api/docs/tokens-api-use-case-guide
"""

from __future__ import annotations

import asyncio
import copy
import logging
import math
from collections import deque
from collections.abc import Mapping, Sequence

import msgspec

from .accounts import Account, RestrictedData
from .auth import AccessTokens
from .dispatch import Dispatcher
from .errors import (
    AccessDenied,
    AuthError,
    BadRequest,
    DecodeError,
    RequestError,
    ResponseError,
    ServerError,
    Throttled,
    TransportError,
    one_line,
)
from .limiter import Limiters
from .models.tokens import (
    CreateRestrictedDataTokenRequest,
    CreateRestrictedDataTokenResponse,
    RestrictedResource,
)
from .operations import (
    CREATE_RESTRICTED_DATA_TOKEN,
    DIRECT_FULFILLMENT,
    Call,
    Operation,
    api_named,
)
from .telemetry import Observer, log_event
from .transport import Transport

_HOUR = 3600.0
_MOST_AN_HOUR = 2  # restricted data tokens asked for, whatever becomes of them
_TRIES = 2  # of a call with restricted data tokens, before they are taken for refused
_SPURIOUS_TRIES = 3  # before a 400 that right requests get as well is taken at its word
_EARLY = 60.0  # seconds before its end at which a token is replaced; of a short life a tenth
_SHORT_WAIT = 60.0  # seconds that a call waits for its turn to ask
_LONGEST_WORDS = 60  # characters of Amazon's own words, behind what is to be done

_MADE_TWO = "of restricted data tokens two were made within the hour"

_ROLE = api_named("direct-fulfillment").roles

_log = logging.getLogger("vendororders_async")

_Resource = tuple[str, str]  # method and path, the placeholder in it standing for every order


def _resource(operation: Operation[object]) -> _Resource:
    return operation.method, operation.path


# One token serves all restricted operations of a version.
_TOGETHER: Mapping[_Resource, tuple[_Resource, ...]] = {
    resource: together
    for version in DIRECT_FULFILLMENT.values()
    for together in [
        tuple(
            _resource(one)
            for one in msgspec.structs.astuple(version)
            if isinstance(one, Operation) and one.is_restricted
        )
    ]
    for resource in together
}


def _made_for(operation: Operation[object] | None) -> tuple[_Resource, ...]:
    """Return what the token of *operation* is made for; nothing, if it takes none."""
    if operation is None or not operation.is_restricted:
        return ()
    own = _resource(operation)
    return _TOGETHER.get(own, (own,))


class _RestrictedToken(str):
    """Told from an access token by its type."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "<restricted data token>"


class _Refused(Exception):
    """There is no restricted data token to be had for a while."""


class _Grant:
    """What an account was granted for some resources: a token, or none until a time."""

    def __init__(self, resources: tuple[_Resource, ...]) -> None:
        request = CreateRestrictedDataTokenRequest(
            restricted_resources=[
                RestrictedResource(method=method, path=path) for method, path in resources
            ]
        )
        self.call = Call(CREATE_RESTRICTED_DATA_TOKEN, request)
        self.token = _RestrictedToken()
        self.replaced_at = float("-inf")  # when another is asked for, if one may be
        self.ends_at = float("-inf")
        self.refusal = ""
        self.refused_until = float("-inf")
        self.warned_until = float("-inf")
        self.spurious_count = 0  # 400s in a row that mean nothing yet


class _Party:
    """Who asks for tokens: credentials at an endpoint. One request is made at a time."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.grants: dict[tuple[_Resource, ...], _Grant] = {}
        # when a token was made, may have been, or was refused
        self.asked_at: deque[float] = deque(maxlen=_MOST_AN_HOUR)
        self.ended_count = 0  # attempts that came to an end
        self.error: RequestError | AuthError | None = None

    def grant(self, resources: tuple[_Resource, ...]) -> _Grant:
        return self.grants.setdefault(resources, _Grant(resources))

    def waits_until(self) -> float:
        """Return the time at which another token may be asked for."""
        is_full = len(self.asked_at) == _MOST_AN_HOUR
        return self.asked_at[0] + _HOUR if is_full else float("-inf")


class OperationTokens:
    """The right token for each operation, of many accounts.

        tokens = OperationTokens(transport, limiters)
        token = await tokens.token_for(account, operation)

    Most operations take the access token. Direct Fulfillment's getOrders and getOrder,
    which tell customers' names and addresses, take what `Account.restricted_data` says. One
    restricted data token an hour serves both of them, for all orders of an account and
    version in this process; another process makes its own. Two are asked for in an hour at
    most, whatever Amazon refuses; an answer that is lost, or a gateway's, is not counted.
    It goes to no other operation, account or endpoint.

    With ``auto``, where Amazon makes none, or refuses two in one call, the access token
    serves for an hour, and a warning says so once; if that is refused as well, a restricted
    data token that is held is tried again. The sandbox is always asked with the access
    token: it takes restricted data tokens of production only.

    However many calls wait for a token, one request is made; if it fails, it fails for all
    of them, and each asks again as its own patience allows. *observer* is told of these
    requests; they are no calls of anybody's.
    """

    def __init__(
        self,
        transport: Transport,
        limiters: Limiters,
        *,
        access_tokens: AccessTokens | None = None,
        observer: Observer = log_event,
    ) -> None:
        self._access_tokens = access_tokens or AccessTokens(transport)
        self._dispatcher = Dispatcher(
            transport, self._access_tokens, limiters, observer=observer
        )
        self._parties: dict[tuple[str, str, str, str], _Party] = {}

    async def token_for(
        self,
        account: Account,
        operation: Operation[object] | None = None,
        refused: Sequence[str] = (),
    ) -> str | None:
        """Return what to ask *operation* with, after *refused* in the same call; see there.

        Raises:
            AuthError: the credentials are refused, or a restricted data token that
                ``restricted_data = "rdt"`` insists on; waiting does not help.
            RequestError: there is no answer just now.
        """
        resources = _made_for(operation)
        mode = account.restricted_data
        if not resources or mode is RestrictedData.LWA or account.is_sandbox:
            return await self._access_tokens.token_for(account, operation, refused)
        party = self._party(account)
        grant = party.grant(resources)
        restricted = [one for one in refused if isinstance(one, _RestrictedToken)]
        plain = [one for one in refused if not isinstance(one, _RestrictedToken)]
        now = asyncio.get_running_loop().time
        if len(restricted) >= _TRIES:
            if mode is RestrictedData.RDT:
                return None
            _give_up(grant, _lacks_role("two restricted data tokens were refused"), _HOUR)
        elif restricted and grant.token == restricted[-1] and now() >= party.waits_until():
            grant.replaced_at = float("-inf")  # if no new one may be had yet, it is kept
        if mode is RestrictedData.RDT or not (plain or now() < grant.refused_until):
            try:
                return await self._restricted(account, party, grant)
            except _Refused:
                if mode is RestrictedData.RDT:
                    raise _no_token(account, grant) from None
        _warn(account, grant)
        token = await self._access_tokens.token_for(account, operation, plain)
        if token is None and now() < grant.ends_at:  # the choice was no better
            grant.refused_until = float("-inf")
            return None if grant.token in refused else grant.token
        return token

    def _party(self, account: Account) -> _Party:
        ours = account.credentials
        key = (account.base_url, account.login_url, ours.client_id, ours.refresh_token)
        return self._parties.setdefault(key, _Party())

    async def _restricted(self, account: Account, party: _Party, grant: _Grant) -> str:
        now = asyncio.get_running_loop().time
        if now() < grant.replaced_at:
            return grant.token
        ended_before = party.ended_count
        async with party.lock:
            if now() < grant.replaced_at:
                return grant.token
            if now() < grant.refused_until:
                raise _Refused
            if party.error and party.ended_count != ended_before:
                raise copy.copy(party.error)
            party.error = None
            seconds = party.waits_until() - now()
            if seconds > 0 and now() < grant.ends_at:
                return grant.token
            if seconds > _SHORT_WAIT:
                _give_up(grant, _MADE_TWO, seconds)
                raise _Refused
            await asyncio.sleep(seconds)
            began_at = now()
            try:
                answer = await self._ask(account, party, grant)
            except (Throttled, ServerError, TransportError, AuthError) as error:
                party.error = error
                raise
            except ResponseError as error:
                _give_up(grant, _lacks_role(_words_of(error)), _HOUR)
                raise _Refused from None
            finally:
                party.ended_count += 1
            life = _life(answer.expires_in)
            grant.token = _RestrictedToken(answer.restricted_data_token)
            grant.ends_at = began_at + life
            grant.replaced_at = grant.ends_at - min(_EARLY, life / 10)
            return grant.token

    async def _ask(
        self, account: Account, party: _Party, grant: _Grant
    ) -> CreateRestrictedDataTokenResponse:
        """Ask the Tokens API, and once more where the access token may have expired."""
        now = asyncio.get_running_loop().time
        was_denied = False
        while True:
            access_token = await self._access_tokens.get(account)
            try:
                reply = await self._dispatcher.send_once(account, grant.call, access_token)
            except (Throttled, ServerError, TransportError):
                raise  # none was made
            except AccessDenied as error:  # nor here
                if was_denied:
                    raise _meant(error, grant) from None
                was_denied = True
                self._access_tokens.reject(account, access_token)
            except DecodeError as error:  # its body may hold a token, so it is left behind
                party.asked_at.append(now())
                raise ServerError(
                    "a success without a restricted data token",
                    operation=error.operation,
                    account=error.account,
                ) from None
            except ResponseError as error:
                meant = _meant(error, grant)
                if meant is error:
                    party.asked_at.append(now())
                raise meant from None
            else:
                party.asked_at.append(now())
                grant.spurious_count = 0
                return reply.content


def _life(seconds: float | None) -> float:
    """Return how long a token lives that says so; never longer than Amazon documents."""
    return min(seconds, _HOUR) if seconds and 0 < seconds < math.inf else _HOUR / 2


def _meant(error: ResponseError, grant: _Grant) -> ResponseError:
    """Return *error*, or the trouble that it is where it says nothing about the account.

    Without Amazon's list of errors it comes from a gateway. The code of a missing role is
    that of 400s which right requests get (selling-partner-api-docs#1745), but not its words.
    """
    is_trouble = not error.errors
    if isinstance(error, BadRequest) and error.is_spurious and not is_trouble:
        grant.spurious_count += 1
        is_trouble = grant.spurious_count < _SPURIOUS_TRIES and not any(
            "have access" in one.message for one in error.errors
        )
    if not is_trouble:
        grant.spurious_count = 0
        return error
    return ServerError(
        error.args[0],
        operation=error.operation,
        account=error.account,
        status=error.status,
        request_id=error.request_id,
        errors=error.errors,
        retry_after=error.retry_after,
    )


def _give_up(grant: _Grant, why: str, seconds: float) -> None:
    """Do without restricted data tokens for so long."""
    until = asyncio.get_running_loop().time() + seconds
    grant.refusal, grant.refused_until = why, max(grant.refused_until, until)


def _warn(account: Account, grant: _Grant) -> None:
    """Say that the access token serves, unless that was said."""
    now = asyncio.get_running_loop().time()
    if now < grant.warned_until or now >= grant.refused_until:
        return
    grant.warned_until = grant.refused_until
    _log.warning(
        "account %s: customers' details are asked for with the access token for %.0f minutes; "
        "%s",
        account.name,
        (grant.refused_until - now) / 60,
        grant.refusal,
        extra={"account": account.name, "operation": CREATE_RESTRICTED_DATA_TOKEN.name},
    )


def _lacks_role(why: str) -> str:
    """Return what to do about *why*, which comes last: what is too long is cut off there."""
    return (
        f"the application may lack the role {_ROLE}, and after it was granted the vendor must "
        f"authorise the application again: {why}"
    )


def _words_of(error: ResponseError) -> str:
    words = one_line(error.args[0])
    if len(words) > _LONGEST_WORDS:
        words = words[: _LONGEST_WORDS - 1] + "…"
    return f"{words} (request {error.request_id})" if error.request_id else words


def _no_token(account: Account, grant: _Grant) -> AuthError:
    return AuthError(
        f"account {account.name} gets no restricted data token (restricted_data = auto does "
        f"without); {grant.refusal}"
    )
