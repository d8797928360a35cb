"""Access tokens from Login with Amazon: cached, one refresh at a time."""

from __future__ import annotations

import asyncio
import copy
import math
from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated
from urllib.parse import urlencode

import msgspec

from .accounts import Account, Credentials
from .errors import AuthError, RequestError, ServerError, Throttled, TransportError, one_line
from .models.lenient import REFUSED
from .operations import Operation
from .places import Places
from .transport import Answer, Transport

OPERATION = "LWA"
_EARLY = 60.0  # seconds before its end at which a token is not used any more
_LONGEST_LIFE = 3600.0  # what Amazon documents
# Amazon's own SDK takes half an hour where the answer does not say
_DEFAULT_LIFE = 1800.0
# A refusal stands for this long, so that a thousand waiting calls ask once
_REFUSAL_STANDS = 30.0

# A replacement for a rejected token is not rejected itself for this long
_TRUSTED = 30.0

# Hundreds of accounts need their first token at the same moment. What Login with Amazon
# takes is not published; at 0.3 s for a login, so many at a time let 400 in after 1.2 s.
_LOGINS_AT_ONCE = 100

_TRANSIENT_CODES = {"server_error", "temporarily_unavailable"}


class _TokenAnswer(msgspec.Struct, frozen=True):
    # printable, since it goes into a header as it is
    access_token: Annotated[str, msgspec.Meta(pattern=r"^[!-~]+\Z")]
    expires_in: float = _DEFAULT_LIFE


class _Refusal(msgspec.Struct, frozen=True):
    """LWA's errors are OAuth's, not the Selling Partner API's list."""

    error: str = ""
    error_description: str = ""


_TOKEN = msgspec.json.Decoder(_TokenAnswer, strict=False)
_REFUSAL = msgspec.json.Decoder(_Refusal)


class _Entry:
    """The token of one account's credentials, and how the last attempt at it went."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.token = ""
        self.usable_until = float("-inf")
        self.was_rejected = False  # the token before this one, or this one
        self.trusted_until = float("-inf")
        self.ended_count = 0  # attempts that came to an end
        self.error: RequestError | AuthError | None = None
        self.refused_until = float("-inf")


class AccessTokens:
    """Access tokens of many accounts, each fetched when first needed.

        tokens = AccessTokens(transport)
        token = await tokens.get(account)
        tokens.reject(account, token)           # Amazon did not take it: get a new one

    However many calls wait for an account's token, one request is made; if it fails, it
    fails for all of them, and refused credentials are not tried again for half a minute.
    A client secret that was rotated makes them other credentials, tried at once; who still
    holds the old ones goes on with the token that they got. Not more than a few accounts log
    in at the same time.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._logins = Places(_LOGINS_AT_ONCE)
        self._entries: dict[tuple[str, Credentials], _Entry] = {}

    async def get(self, account: Account) -> str:
        """Return an access token that lives for another minute at least.

        Raises:
            AuthError: LWA refuses the credentials; waiting does not help.
            TransportError, ServerError, Throttled: LWA cannot answer just now.
        """
        entry = self._entry(account)
        now = asyncio.get_running_loop().time
        if now() < entry.usable_until:
            return entry.token
        ended_before = entry.ended_count
        async with entry.lock:
            if now() < entry.usable_until:
                return entry.token
            failed_while_waiting = entry.ended_count != ended_before
            if entry.error and (failed_while_waiting or now() < entry.refused_until):
                raise copy.copy(entry.error)
            entry.error = None
            try:
                answer = await self._fetch(account)
            except (RequestError, AuthError) as error:
                entry.error = error
                if isinstance(error, AuthError):
                    entry.refused_until = now() + _REFUSAL_STANDS
                raise
            finally:
                entry.ended_count += 1
            entry.token = answer.access_token
            entry.trusted_until = now() + _TRUSTED if entry.was_rejected else float("-inf")
            entry.was_rejected = False
            entry.usable_until = now() + usable_seconds(answer.expires_in)
            return entry.token

    def reject(self, account: Account, token: str) -> None:
        """Forget *token*, unless a newer one has taken its place already.

        A token that has just taken the place of a rejected one stays: if Amazon does not
        take that either, it is not the token's fault.
        """
        entry = self._entry(account)
        if entry.token == token and asyncio.get_running_loop().time() >= entry.trusted_until:
            entry.usable_until = float("-inf")
            entry.was_rejected = True

    async def token_for(
        self,
        account: Account,
        operation: Operation[object] | None = None,  # noqa: ARG002 - good for every one
        refused: Sequence[str] = (),
    ) -> str | None:
        """Return the access token, and once more in a call, since Amazon refused it there.

        An expired one is a 403 as well, so that once is worth a new one.
        """
        if len(refused) > 1:
            return None
        for token in refused:
            self.reject(account, token)
        return await self.get(account)

    def _entry(self, account: Account) -> _Entry:
        key = (account.login_url, account.credentials)
        entry = self._entries.get(key)
        if entry is None:
            entry = self._entries[key] = _Entry()
        return entry

    async def _fetch(self, account: Account) -> _TokenAnswer:
        # https://developer-docs.amazon.com/sp-api/docs/connecting-to-the-selling-partner-api
        form = {
            "grant_type": "refresh_token",
            "refresh_token": account.credentials.refresh_token,
            "client_id": account.credentials.client_id,
            "client_secret": account.credentials.client_secret,
        }
        try:
            async with (
                self._logins.of(account.name),
                self._transport.places.of(account.name),
            ):
                answer = await self._transport.exchange(
                    "POST",
                    account.login_url,
                    headers={"Content-Type": "application/x-www-form-urlencoded;charset=UTF-8"},
                    body=urlencode(form).encode(),
                )
        except TransportError as error:
            raise TransportError(
                error.args[0], operation=OPERATION, account=account.name, sent=error.sent
            ) from error
        if answer.status == HTTPStatus.OK:
            try:
                return _TOKEN.decode(answer.body)
            except REFUSED:
                raise _no_answer("a success without a token", account, answer) from None
        raise _refused(account, answer)


def usable_seconds(life: float | None) -> float:
    """Return how long to use a token that says it lives for *life* seconds."""
    if life is None or not 0 < life < math.inf:
        life = _DEFAULT_LIFE
    return max(min(life, _LONGEST_LIFE) - _EARLY, 1.0)


def _refused(account: Account, answer: Answer) -> RequestError | AuthError:
    try:
        refusal = _REFUSAL.decode(answer.body)
    except REFUSED:
        refusal = _Refusal()
    if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
        return Throttled(
            "throttled", operation=OPERATION, account=account.name, status=answer.status
        )
    is_transient = not refusal.error or refusal.error in _TRANSIENT_CODES
    if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR or is_transient:
        return _no_answer(refusal.error or f"status {answer.status}", account, answer)
    words = ": ".join(filter(None, (refusal.error, refusal.error_description)))
    for secret in (account.credentials.client_secret, account.credentials.refresh_token):
        words = words.replace(secret, "***")  # of a form that nobody could tell
    words = one_line(words)
    return AuthError(
        f"Login with Amazon refuses account {account.name} ({words}); check its client id, "
        "client secret and refresh token, and that the vendor's authorisation still stands"
    )


def _no_answer(what: str, account: Account, answer: Answer) -> ServerError:
    return ServerError(
        f"no access token: {what}",
        operation=OPERATION,
        account=account.name,
        status=answer.status,
    )
