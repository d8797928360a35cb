"""Our limiter and our tokens, where neither is the question."""

from __future__ import annotations

from collections.abc import Sequence

from vendororders_async import Account, Limiters
from vendororders_async.limiter import Gate, Limiter
from vendororders_async.operations import Operation
from vendororders_async.usage import UsagePlan


class Unlimited(Limiters):
    """One limiter for all, with a plan that is never used up."""

    def __init__(self) -> None:
        super().__init__()
        self._gate = Limiter(UsagePlan(1e9, 1e9))

    def of(self, account: Account, operation: Operation[object]) -> Gate:
        """Return it."""
        del account, operation
        return self._gate


class AnyToken:
    """An access token that needs no asking."""

    async def token_for(
        self,
        account: Account,
        operation: Operation[object] | None = None,
        refused: Sequence[str] = (),
    ) -> str:
        """Return it."""
        del account, operation, refused
        return "Atza|x"
