"""What a run has brought, for stores that are not looked up while they are written."""

from __future__ import annotations

from ..pages import Row
from .base import Ledger, Outcome, Written


class Brought:
    """The digest of the last version of each order and status that a run brought."""

    def __init__(self) -> None:
        self._digests: dict[tuple[str, ...], str] = {}

    def add(self, ledger: Ledger, content: Row, digest: str) -> Written:
        """Say what one more version is to this run."""
        number = content.purchase_order_number
        key = (ledger.account, ledger.api, type(content).__name__, number)
        before = self._digests.get(key)
        self._digests[key] = digest
        if before is None:
            return Written(number, Outcome.NEW)
        if before == digest:
            return Written(number, Outcome.UNCHANGED)
        return Written(number, Outcome.CHANGED, before)
