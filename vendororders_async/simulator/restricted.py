"""The Tokens API: restricted data tokens, and what each is good for."""

from __future__ import annotations

from collections import Counter
from itertools import count
from typing import TYPE_CHECKING

import msgspec

from .answers import Answer, failure, invalid, not_found
from .queries import Refused

if TYPE_CHECKING:
    from .settings import Settings

_METHODS = frozenset({"GET", "PUT", "POST", "DELETE"})
_MOST_RESOURCES = 50

# "do not": amzn/selling-partner-api-docs issues 1396 and 2603
_NO_ROLE = "Application do not have access to some or all requested resource"
# amzn/selling-partner-api-docs issue 2603
_NO_ELEMENTS = "Application does not have access to one or more requested data elements"


class Resource(msgspec.Struct, frozen=True):
    """A method and a path; a ``{placeholder}`` in the path stands for any one name."""

    method: str
    path: str

    def covers(self, method: str, path: str) -> bool:
        """Return whether a request of *path*, still quoted, is one of this resource.

        >>> Resource("GET", "/orders/{orderNumber}").covers("GET", "/orders/D123")
        True
        """
        if self.method != method:
            return False
        mine, theirs = self.path.split("/"), path.split("/")
        return len(mine) == len(theirs) and all(
            own == their or (own.startswith("{") and own.endswith("}") and their != "")
            for own, their in zip(mine, theirs, strict=True)
        )


class Pass(msgspec.Struct, frozen=True):
    """What one token is good for, and until when by the loop's clock."""

    account: str
    expires: float
    resources: tuple[Resource, ...]

    def covers(self, method: str, path: str) -> bool:
        """Return whether a request may be made with it."""
        return any(resource.covers(method, path) for resource in self.resources)


class RestrictedTokens:
    """Issues restricted data tokens and knows what they are good for.

    The mutable state is the tokens that were issued, and how many.
    """

    def __init__(self, settings: Settings) -> None:
        self._mode = settings.restricted_data
        self._life = settings.restricted_token_seconds
        self._passes: dict[str, Pass] = {}
        self._serial = count(1)
        self.issued: Counter[str] = Counter()

    def __repr__(self) -> str:
        """Return how many tokens are out, and none of them."""
        return f"<RestrictedTokens {len(self._passes)} tokens>"

    def create(self, account: str, body: bytes, at: float) -> Answer:
        """Answer createRestrictedDataToken."""
        if self._mode == "gone":
            return not_found("The Tokens API")
        if self._mode == "refused":
            return invalid("InvalidInput", _NO_ROLE)
        try:
            resources = read_resources(body)
        except Refused as refused:
            return invalid(refused.code, refused.message, refused.details)
        token = f"Atz.sprdt|simulated-{account}-{next(self._serial)}"
        self._forget_expired(at)
        self._passes[token] = Pass(account, at + self._life, resources)
        self.issued[account] += 1
        # at the top level, unlike the guide of 2021: amzn/selling-partner-api-docs issue 1396
        answer = {"restrictedDataToken": token, "expiresIn": int(self._life)}
        return Answer(status=200, body=msgspec.json.encode(answer))

    def find(self, token: str | None, at: float) -> Pass | None:
        """Return what *token* is good for, or None if it is none of these tokens."""
        found = self._passes.get(token or "")
        return None if found is None or found.expires <= at else found

    def revoke(self, account: str) -> None:
        """Make every restricted token of *account* worthless."""
        self._passes = {
            token: one for token, one in self._passes.items() if one.account != account
        }

    def _forget_expired(self, at: float) -> None:
        """Let go of old tokens, the oldest of which expire first: all live equally long."""
        while self._passes and next(iter(self._passes.values())).expires <= at:
            del self._passes[next(iter(self._passes))]


def refuses_access_tokens(settings: Settings) -> Answer | None:
    """Return what an access token gets where people's data is read, if not the data."""
    if settings.restricted_data != "required":
        return None
    return failure(
        403,
        "Unauthorized",
        "Access to requested resource is denied.",
        error_type="AccessDeniedException",
    )


def read_resources(body: bytes) -> tuple[Resource, ...]:
    """Return what a token is asked for.

    Raises:
        Refused: Nothing, too much, or something that nobody can have.
    """
    try:
        request = msgspec.json.decode(body, type=_Request)
    except msgspec.DecodeError:
        raise _missing("Resource not provided.") from None
    if not 1 <= len(request.restricted_resources) <= _MOST_RESOURCES:
        raise _missing("There must be 1 to 50 restricted resources.")
    for one in request.restricted_resources:
        if one.data_elements is not msgspec.UNSET:
            raise Refused("InvalidInput", _NO_ELEMENTS)
        # A name that is no path at all is taken, and the token is good for nothing:
        # amzn/selling-partner-api-docs issue 1396. models issue 434: the leading slash.
        is_name = bool(one.path) and "/" not in one.path
        if one.method not in _METHODS or not (one.path.startswith("/") or is_name):
            raise _missing("Resource not provided.")
    return tuple(Resource(one.method, one.path) for one in request.restricted_resources)


class _AskedResource(msgspec.Struct, frozen=True, rename="camel"):
    method: str
    path: str
    data_elements: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class _Request(msgspec.Struct, frozen=True, rename="camel"):
    restricted_resources: tuple[_AskedResource, ...]


def _missing(details: str) -> Refused:
    # the words of the sandbox of tokens_2021-03-01.json
    return Refused("InvalidRequest", "Request is missing or has invalid parameters", details)
