"""Login with Amazon: refresh tokens in, access tokens out."""

from __future__ import annotations

import hmac
from itertools import count
from typing import TYPE_CHECKING

import msgspec

from .answers import Answer, oauth_error

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .settings import SimulatedAccount

# amzn/selling-partner-api-docs issue 268
_NO_GRANT = (
    "The request has an invalid grant parameter : refresh_token. "
    "User may have revoked or didn't grant the permission."
)


class _Grant(msgspec.Struct, frozen=True):
    account: str
    expires: float


class Login:
    """Issues access tokens and knows whose they are; times are the loop's.

    The mutable state is the tokens issued and the accounts that are refused.
    """

    def __init__(self, accounts: Sequence[SimulatedAccount], *, life: float) -> None:
        self._accounts = {account.client_id: account for account in accounts}
        self._life = life
        self._grants: dict[str, _Grant] = {}
        self._refused: set[str] = set()
        self._serial = count(1)

    def __repr__(self) -> str:
        """Return how many tokens are out, and none of them."""
        return f"<Login {len(self._grants)} tokens, {len(self._refused)} accounts refused>"

    def exchange(self, form: Mapping[str, str], at: float) -> Answer:
        """Answer a request for an access token."""
        if form.get("grant_type") != "refresh_token":
            return oauth_error(
                400, "unsupported_grant_type", "The grant type is not supported."
            )
        for name in ("client_id", "client_secret", "refresh_token"):
            if not form.get(name):
                return oauth_error(
                    400, "invalid_request", f"The request is missing a parameter : {name}"
                )
        account = self._accounts.get(form["client_id"])
        if account is None or not _same(form["client_secret"], account.client_secret):
            return oauth_error(401, "invalid_client", "Client authentication failed")
        if account.name in self._refused:
            return oauth_error(400, "invalid_grant", _NO_GRANT)
        if not _same(form["refresh_token"], account.refresh_token):
            return oauth_error(400, "invalid_grant", _NO_GRANT)
        token = f"Atza|simulated-{account.name}-{next(self._serial)}"
        self._forget_expired(at)
        self._grants[token] = _Grant(account.name, at + self._life)
        body = {
            "access_token": token,
            "token_type": "bearer",
            "expires_in": int(self._life),
            "refresh_token": account.refresh_token,
        }
        return Answer(status=200, body=msgspec.json.encode(body))

    def owner(self, token: str | None, at: float) -> str | None:
        """Return the account that *token* is good for, or None."""
        if token is None:
            return None
        grant = self._grants.get(token)
        if grant is None:
            return None
        if grant.expires <= at:
            del self._grants[token]
            return None
        return grant.account

    def _forget_expired(self, at: float) -> None:
        """Let go of old tokens, the oldest of which expire first: all live equally long."""
        while self._grants and next(iter(self._grants.values())).expires <= at:
            del self._grants[next(iter(self._grants))]

    def client(self, client_id: str) -> str:
        """Return the name of the account with *client_id*, or nothing."""
        account = self._accounts.get(client_id)
        return "" if account is None else account.name

    def revoke(self, account: str) -> None:
        """Make every access token of *account* worthless."""
        self._grants = {
            token: grant for token, grant in self._grants.items() if grant.account != account
        }

    def refuse(self, account: str, *, refused: bool) -> None:
        """Give *account* no more tokens, or again."""
        if refused:
            self._refused.add(account)
        else:
            self._refused.discard(account)


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(), expected.encode())
