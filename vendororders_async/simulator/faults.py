"""What can go wrong on request: the kinds, the chances, and the scripts of tests."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import msgspec

from ..errors import InvalidArgument
from .calls import API_OPERATIONS, LISTS, OPERATIONS, TOKEN, Call
from .seeds import seeded

if TYPE_CHECKING:
    from random import Random

BAD_ORDER_KINDS = (
    "bad-order:missing-number",  # valid JSON, but not the schema
    "bad-order:nan",  # a NaN literal, which is not JSON
    "bad-order:surrogate",  # \ud800 alone: JSON's grammar allows it, Unicode does not
    "bad-order:utf8",  # a byte that no UTF-8 text has
)
TOKEN_KINDS = frozenset({"token-500", "token-hang"})
#: The kinds that take the place of an answer: the request has no effect.
REFUSALS = frozenset(
    {
        "403",
        "429",
        "500",
        "503",
        "errors-200",  # 200 with a list of errors and nothing else
        "html",
        "html-400",
        "redirect",  # 307 to where the settings say
        "spurious-400",
    }
)
#: The kinds that lead astray whoever follows next tokens.
PAGING_KINDS = frozenset(
    {
        "expired-token",  # the next token is refused, now and each time it is used from now on
        "token-endless",  # the next token is a new one, and leads to the same page again
        "token-loop",  # the next token leads back to the first page
    }
)
KINDS = frozenset(
    {
        *REFUSALS,
        *PAGING_KINDS,
        *TOKEN_KINDS,
        *BAD_ORDER_KINDS,
        "bad-order",  # any of those above
        "500-after",  # the request has its effect, and is answered with a 500 all the same
        "empty",  # 200 without a body
        "gzip-bomb",  # a small body that unpacks to more than any page
        "hang",  # no answer for as long as the connection lives
        "reset",  # the connection is reset instead of an answer; the request had its effect
        "reset-before",  # the same, and the request had none
        "reset-body",  # the connection ends within the body
        "slow",  # the right answer, late
        "trickle",  # the right answer, a byte a second
        "truncated",  # JSON that stops in the middle, with a matching Content-Length
        "truncated-gzip",  # the same, of what is packed
    }
)

# They take an access token, a next token or an order
_NOT_AT_LOGIN = frozenset({"403", "spurious-400", "bad-order", *BAD_ORDER_KINDS, *PAGING_KINDS})

When = Callable[[Call], bool]


class Fault(msgspec.Struct, frozen=True):
    """One thing that goes wrong with one request; *seconds* is for ``slow``."""

    kind: str
    seconds: float | None = None


class Injection:
    """A fault that a test asked for; *fired* counts how often it has happened so far."""

    def __init__(
        self,
        operation: str,
        fault: Fault,
        *,
        times: int,
        account: str | None,
        when: When | None,
    ) -> None:
        self.operation = operation
        self.fault = fault
        self.remaining = times
        self.fired = 0
        self._account = account
        self._when = when

    def __repr__(self) -> str:
        """Return what it does, where, and how often still."""
        return (
            f"<Injection {self.fault.kind} at {self.operation}: "
            f"{self.fired} fired, {self.remaining} to come>"
        )

    def cancel(self) -> None:
        """Let it happen no more."""
        self.remaining = 0

    def matches(self, call: Call) -> bool:
        """Return whether it is *call*'s turn to fail."""
        if self.remaining <= 0 or call.operation != self.operation:
            return False
        if self._account is not None and call.account != self._account:
            return False
        if self._when is not None:
            return self._when(call)
        return can_befall(self.fault.kind, call)

    def spend(self) -> Fault:
        """Count one occurrence, and return the fault."""
        self.remaining -= 1
        self.fired += 1
        return self.fault


def can_befall(kind: str, call: Call) -> bool:
    """Return whether *kind* happens to such a call by itself.

    The 400 that goes away is known from the middle of a list: amzn/selling-partner-api-docs
    issue 1745. A page without orders has none that could be bad.
    """
    if kind in {"spurious-400", "expired-token"}:
        return "nextToken" in call.query
    if kind in PAGING_KINDS:
        return call.operation in LISTS
    if kind.startswith("bad-order"):
        return call.order_count > 0
    return True


class Faults:
    """Decides which request fails and how: scripts first, then chance."""

    def __init__(self, chances: Mapping[str, float], *, seed: int) -> None:
        self._random: Random = seeded(seed, "faults")
        self._injections: list[Injection] = []
        self._chances = {
            kind: p for kind, p in sorted(chances.items()) if kind not in TOKEN_KINDS
        }
        self._token_chances = {
            kind: p for kind, p in sorted(chances.items()) if kind in TOKEN_KINDS
        }

    @property
    def is_quiet(self) -> bool:
        """Whether nothing can go wrong, so that nobody needs to ask."""
        return not (self._injections or self._chances or self._token_chances)

    def inject(
        self,
        operation: str,
        kind: str,
        *,
        times: int,
        account: str | None,
        when: When | None,
        seconds: float | None,
    ) -> Injection:
        """Make the next *times* matching requests fail; see ``Simulator.inject``."""
        if kind not in KINDS:
            raise InvalidArgument(
                f"there is no fault {kind!r}; there are {', '.join(sorted(KINDS))}"
            )
        if operation not in OPERATIONS:
            raise InvalidArgument(
                f"there is no operation {operation!r}; there are {', '.join(OPERATIONS)}"
            )
        if kind in (_NOT_AT_LOGIN if operation == TOKEN else TOKEN_KINDS):
            where = TOKEN if kind in TOKEN_KINDS else " or ".join(API_OPERATIONS)
            raise InvalidArgument(f"{kind} is a fault of {where}, not of {operation}")
        injection = Injection(
            operation, Fault(kind, seconds), times=times, account=account, when=when
        )
        self._injections.append(injection)
        return injection

    def draw(self, call: Call) -> Fault | None:
        """Return what goes wrong with *call*, if anything does."""
        for injection in self._injections:
            if injection.matches(call):
                fault = injection.spend()
                self._injections = [one for one in self._injections if one.remaining > 0]
                return self._definite(fault)
        chances = self._token_chances if call.operation == TOKEN else self._chances
        if not chances:
            return None
        chance = self._random.random()
        for kind, probability in chances.items():
            chance -= probability
            if chance < 0:
                return self._definite(Fault(kind)) if can_befall(kind, call) else None
        return None

    def _definite(self, fault: Fault) -> Fault:
        if fault.kind != "bad-order":
            return fault
        return Fault(self._random.choice(BAD_ORDER_KINDS))


_AMOUNT = re.compile(rb'"amount":("[^"]*"|-?[0-9.]+)')
_STRING = re.compile(rb'"(?:partyId|purchaseOrderState|purchaseOrderStatus)":"')


def spoil(document: bytes, kind: str) -> bytes:
    """Return *document* so that it no longer decodes, in the way that *kind* says.

    >>> spoil(b'{"purchaseOrderNumber":"1ABCDEFG","amount":"1.10"}', "bad-order:nan")
    b'{"purchaseOrderNumber":"1ABCDEFG","amount":NaN}'
    """
    if kind == "bad-order:missing-number":
        order = msgspec.json.decode(document, type=dict[str, msgspec.Raw])
        order.pop("purchaseOrderNumber", None)
        return msgspec.json.encode(order)
    if kind == "bad-order:nan":
        spoilt, count = _AMOUNT.subn(b'"amount":NaN', document, count=1)
        return spoilt if count else b'{"amount":NaN,' + document[1:]
    junk = b"\\ud800" if kind == "bad-order:surrogate" else b"\xff"
    spoilt, count = _STRING.subn(lambda found: found[0] + junk, document, count=1)
    return spoilt if count else b'{"dealCode":"' + junk + b'",' + document[1:]
