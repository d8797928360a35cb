"""What vendors submit: taken with a 202, done some time later, and told of when asked."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Any

import msgspec

from .calls import Api
from .queries import Refused
from .seeds import seeded
from .settings import Settings, micros
from .shapes import Document
from .world import Record, World

_ID_LENGTH = 128  # bits
_REVERSED = "0123"  # a quarter of the ids begin with one of these
_UNKNOWN_ORDER = {"code": "INVALID_ORDER_ID", "message": "Invalid order ID."}
_CHANCE = {"code": "InternalFailure", "message": "The submission could not be processed."}


class Rules(msgspec.Struct, frozen=True):
    """How one of the two APIs takes acknowledgements."""

    worlds: Mapping[str, World]
    list_name: str  # what the acknowledgements are called in a request
    read: Callable[[bytes], Document]
    answered: Callable[[Record, Document, datetime], Record | None]
    says_success: bool


class Acknowledgement(msgspec.Struct, frozen=True, kw_only=True):
    """One submission that was taken with a 202: as it came, and what became of it.

    *unknown* names orders that the account does not have, *applied* those that it changed
    when it took effect, which is *effective_at* at the earliest; *errors* are what its
    transaction says of a failure.
    """

    account: str
    api: Api
    transaction_id: str
    body: Mapping[str, Any]
    arrived_at: datetime
    effective_at: datetime
    unknown: tuple[str, ...] = ()
    applied: tuple[str, ...] = ()
    errors: tuple[Mapping[str, str], ...] = ()
    is_pending: bool = True

    @property
    def took_effect(self) -> bool:
        """Whether it changed any order."""
        return bool(self.applied)


class Submissions:
    """Everything that was submitted, oldest first.

    The mutable state is that record and the queue of what has not taken effect yet; the
    latter is worked off by `settle`, which has to be called before anybody looks.
    """

    def __init__(self, rules: Mapping[Api, Rules], settings: Settings) -> None:
        self._rules = rules
        self._delay = timedelta(seconds=settings.acknowledge_seconds)
        self._hidden_for = timedelta(seconds=settings.transaction_visible_seconds)
        self._failures = settings.transaction_failures
        self._random = seeded(settings.seed, "transactions")
        self._chance = seeded(settings.seed, "transaction failures")
        self._taken: dict[str, Acknowledgement] = {}
        self._pending: deque[str] = deque()

    def __repr__(self) -> str:
        """Return how many there are."""
        return f"<Submissions {len(self._taken)}, {len(self._pending)} pending>"

    @property
    def taken(self) -> tuple[Acknowledgement, ...]:
        """Everything that was taken with a 202."""
        return tuple(self._taken.values())

    def submit(self, api: Api, account: str, body: bytes, now: datetime) -> str:
        """Take a submission, and return the id of its transaction.

        Raises:
            Refused: It has the wrong shape.
        """
        rules = self._rules[api]
        request = rules.read(body)
        world = rules.worlds[account]
        numbers = [str(one["purchaseOrderNumber"]) for one in request[rules.list_name]]
        identifier = self._identifier(now)
        fails = self._chance.random() < self._failures
        self._taken[identifier] = Acknowledgement(
            account=account,
            api=api,
            transaction_id=identifier,
            body=request,
            arrived_at=now,
            effective_at=now + self._delay,
            unknown=tuple(one for one in numbers if world.served(one, micros(now)) is None),
            errors=(_CHANCE,) if fails else (),
        )
        self._pending.append(identifier)
        self.settle(now)
        return identifier

    def due(self, now: datetime) -> list[datetime]:
        """Return the moments by *now* at which something is still to take effect."""
        moments = (self._taken[one].effective_at for one in self._pending)
        return list(takewhile(lambda moment: moment <= now, moments))

    def settle(self, now: datetime) -> None:
        """Let take effect what was submitted long enough ago."""
        while self._pending and self._taken[self._pending[0]].effective_at <= now:
            identifier = self._pending.popleft()
            self._taken[identifier] = self._settled(self._taken[identifier])

    def transaction(
        self, api: Api, account: str, identifier: str, now: datetime
    ) -> Document | None:
        """Return what is told of a transaction, or None if nobody knows it (yet)."""
        one = self._taken.get(identifier)
        if one is None or (one.api, one.account) != (api, account):
            return None
        if now < one.arrived_at + self._hidden_for:
            return None
        status: Document = {"transactionId": identifier, "status": "Processing"}
        if one.is_pending:
            return status
        if one.errors:
            return status | {"status": "Failure", "errors": one.errors}
        # "Success" is never said of a retail acknowledgement
        # https://developer-docs.amazon.com/sp-api/docs/get-transaction-status
        return status | {"status": "Success"} if self._rules[api].says_success else status

    def _settled(self, one: Acknowledgement) -> Acknowledgement:
        if one.errors:
            return msgspec.structs.replace(one, is_pending=False)
        rules = self._rules[one.api]
        world = rules.worlds[one.account]
        errors: list[Mapping[str, str]] = [_UNKNOWN_ORDER for _ in one.unknown]
        applied = []
        for acknowledgement in one.body[rules.list_name]:
            number = str(acknowledgement["purchaseOrderNumber"])
            record = world.get(number)
            if record is None or number in one.unknown:
                continue
            try:
                changed = rules.answered(record, acknowledgement, one.effective_at)
            except Refused as refused:
                errors.append({"code": refused.code, "message": refused.message})
                continue
            if changed is not None:
                world.put(changed)
                applied.append(number)
        return msgspec.structs.replace(
            one, applied=tuple(applied), errors=tuple(errors), is_pending=False
        )

    def _identifier(self, now: datetime) -> str:
        digits = f"{self._random.getrandbits(_ID_LENGTH):032x}"
        groups = (digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:])
        parts = [f"{now:%Y%m%d%H%M%S}", "-".join(groups)]
        # both ways round: amzn/selling-partner-api-models issue 5108
        return "-".join(reversed(parts) if digits[0] in _REVERSED else parts)
