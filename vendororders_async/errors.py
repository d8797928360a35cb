"""Every exception of the package.

.. code-block:: text

    VendorOrdersError
    ├── ConfigurationError      unusable settings; no request was made
    ├── InvalidArgument         (also a ValueError) a call that could not be meant
    ├── AuthError               LWA refused the credentials
    ├── RequestError            operation, account
    │   ├── TransportError      no answer: refused, reset, timed out
    │   ├── ResponseError       status, request_id, errors
    │   │   ├── BadRequest · NotFound · AccessDenied · Throttled · ServerError
    │   ├── DecodeError         a good status, a body that is not the schema
    │   └── PaginationError     next tokens that never end
    ├── AcknowledgementError    what is wrong with it, line by line, before anything is sent
    └── SinkError               where orders go cannot be used

They pickle, print in one line, and carry neither secrets nor anybody's address.
"""

from __future__ import annotations

import re
from typing import TypeVar

import msgspec

_LONGEST_QUOTE = 300  # characters of Amazon's own words in one line of ours

# How Amazon's tokens and client secrets begin, as they are or in a URL
# https://developer-docs.amazon.com/sp-api/docs/connecting-to-the-selling-partner-api
_SECRET = re.compile(
    r"(?:\bAtz[a-z.]{1,9}(?:\||%7C)|\bamzn1\.oa2-cs\.)[^\s\"'<>,;)\]}]*", re.IGNORECASE
)
# Run by run and end first: one expression from "://" to "@" takes a day over a megabyte of "://:"
_RUN = re.compile(r"[^\s\"']+")
_USER = re.compile(r"://[^:/?#@]*:")


def without_secrets(text: str) -> str:
    """Return *text*, whoever's words it is, without a secret that can be told by its form.

    >>> without_secrets("Atza|IwEBI is expired, at https://me:pass@host/x")
    '*** is expired, at https://me:***@host/x'
    """
    plain = _SECRET.sub("***", text)
    return _RUN.sub(_without_password, plain) if "://" in plain and "@" in plain else plain


def _without_password(run: re.Match[str]) -> str:
    word = run[0]
    end = word.rfind("@")  # a password may hold any sign, unescaped
    user = _USER.search(word, 0, max(end, 0))
    return word if user is None else f"{word[: user.end()]}***{word[end:]}"


#: As a set in an expression: what breaks a line or drives a terminal, but for breaks and tabs,
#: and what turns writing round (https://www.unicode.org/reports/tr36/#Bidirectional_Text_Spoofing)
CONTROLS = r"\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff"
_NOT_PLAIN = re.compile(rf"[{CONTROLS}\s]+")


def plain_line(text: str) -> str:
    """Return *text* as one line without control characters, however long."""
    return _NOT_PLAIN.sub(" ", text).strip()


def one_line(text: str) -> str:
    """Return *text* fit for one line of a log: no control signs, no secrets, not too long."""
    plain = plain_line(without_secrets(text))
    return plain if len(plain) <= _LONGEST_QUOTE else plain[: _LONGEST_QUOTE - 1] + "…"


class Error(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One entry of Amazon's ``errors`` list; *details* is often missing.

    A token that Amazon quotes is masked.
    """

    code: str = ""
    message: str = ""
    details: str | None = None

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            said = getattr(self, name)
            if said and (plain := without_secrets(said)) != said:
                msgspec.structs.force_setattr(self, name, plain)

    def __str__(self) -> str:
        words = [part for part in (self.message, self.details) if part]
        return one_line(": ".join([self.code, *words] if self.code else words))


class VendorOrdersError(Exception):
    """The root of all errors of this package; each prints in one line."""

    def __init__(self, *arguments: object) -> None:
        # here, so that the repr and what pickles have no secret either
        plain = (without_secrets(one) if isinstance(one, str) else one for one in arguments)
        super().__init__(*plain)

    def __str__(self) -> str:
        return one_line(super().__str__())


class ConfigurationError(VendorOrdersError):
    """The settings cannot be used; no request was made."""


class InvalidArgument(VendorOrdersError, ValueError):
    """A call that could not be meant; no request was made."""


class AuthError(VendorOrdersError):
    """Login with Amazon refused the credentials; trying again will not help."""


class RequestError(VendorOrdersError):
    """An operation did not succeed; *operation* and *account* say which and for whom."""

    def __init__(self, message: str, *, operation: str = "", account: str = "") -> None:
        super().__init__(message)
        self.operation = operation
        self.account = account

    def __str__(self) -> str:
        where = f"{self.operation} for {self.account}: " if self.operation else ""
        return one_line(where) + " " * bool(where) + super().__str__()


class TransportError(RequestError):
    """No answer came: refused, reset, timed out.

    *sent* is false when the request certainly did not leave, so that even a POST may be
    repeated.
    """

    def __init__(
        self, message: str, *, operation: str = "", account: str = "", sent: bool = True
    ) -> None:
        super().__init__(message, operation=operation, account=account)
        self.sent = sent


class ResponseError(RequestError):
    """Amazon answered, and not with success."""

    def __init__(
        self,
        message: str,
        *,
        operation: str = "",
        account: str = "",
        status: int = 0,
        request_id: str | None = None,
        errors: tuple[Error, ...] = (),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, operation=operation, account=account)
        self.status = status
        self.request_id = request_id
        self.errors = errors
        self.retry_after = retry_after

    def __str__(self) -> str:
        # Amazon's support asks for the request id first
        request = f" (request {one_line(self.request_id)})" if self.request_id else ""
        return super().__str__() + request


class BadRequest(ResponseError):
    """400: Amazon takes the request for wrong."""

    @property
    def is_spurious(self) -> bool:
        """Whether it is the 400 that right requests get as well, and that may go away."""
        # selling-partner-api-docs#1745; HTML comes from a gateway (no errors in it)
        return not self.errors or any(error.code == "InvalidInput" for error in self.errors)


class NotFound(ResponseError):
    """404: there is no such thing, or not for this account."""


class AccessDenied(ResponseError):
    """401 or 403, also after the access token was refreshed: a role or an authorisation."""


class Throttled(ResponseError):
    """429: more than the usage plan grants."""


class ServerError(ResponseError):
    """5xx: Amazon's own trouble."""


class DecodeError(RequestError):
    """A good status with a body that is not the schema; *body* holds what came."""

    def __init__(
        self,
        message: str,
        *,
        operation: str = "",
        account: str = "",
        purchase_order_number: str | None = None,
        body: bytes = b"",
    ) -> None:
        super().__init__(message, operation=operation, account=account)
        self.purchase_order_number = purchase_order_number
        self.body = body


class PaginationError(RequestError):
    """The same next token came twice, or ever new ones lead nowhere: it would never end."""


class Problem(msgspec.Struct, frozen=True):
    """What is wrong at one place of an acknowledgement.

    *path* leads there in the document that would be sent (``items[2].netCost``), or says
    where in the file (``line 7``).
    """

    purchase_order_number: str | None
    path: str
    message: str

    def __str__(self) -> str:
        return one_line(f"{self.purchase_order_number or 'order'}: {self.path}: {self.message}")


class AcknowledgementError(VendorOrdersError, ValueError):
    """An acknowledgement that must not be sent; *problems* has all that is wrong with it."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__(problems)
        self.problems = problems

    def __str__(self) -> str:
        rest = len(self.problems) - 1
        more = f" (and {rest} more)" if rest > 0 else ""
        return f"{self.problems[0] if self.problems else 'nothing to acknowledge'}{more}"


class SinkError(VendorOrdersError):
    """The sink cannot be opened, is locked by another run, or could not write."""


Failure = TypeVar("Failure", bound=Exception)


def first_of(group: BaseExceptionGroup[Failure]) -> Failure:
    """Return one of the errors in *group*, which came of one thing done many times."""
    error = group.exceptions[0]
    return first_of(error) if isinstance(error, BaseExceptionGroup) else error
