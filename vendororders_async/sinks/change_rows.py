"""Changes as rows of a table: what is written down of a version, and read back as a change.

Pure functions, shared by the sinks that record changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from ..changes import Change, FieldChange, LineChange, OrderChanged, OrderCreated, StatusChanged
from ..differences import Differences, differences
from ..models.retail_procurement import OrderStatus
from ..pages import decode_document
from .versions import NewVersion

CREATED, CHANGED, STATUS = "order_created", "order_changed", "status_changed"

# The columns of `ChangeRow`, in SQL that SQLite and PostgreSQL read alike
SELECT_CHANGES = """
SELECT sequence, event, recorded_at, account, api, purchase_order_number, digest,
    previous_digest, fields, lines,
    CASE
        WHEN event <> 'status_changed' THEN coalesce(
            (
                SELECT document FROM purchase_orders AS present
                WHERE present.account = changes.account
                    AND present.api = changes.api
                    AND present.purchase_order_number = changes.purchase_order_number
                    AND present.digest = changes.digest
            ),
            (
                SELECT document FROM superseded_orders AS past
                WHERE past.account = changes.account
                    AND past.api = changes.api
                    AND past.purchase_order_number = changes.purchase_order_number
                    AND past.digest = changes.digest
                LIMIT 1
            )
        )
        WHEN previous_digest IS NULL THEN (
            SELECT document FROM purchase_order_statuses AS present
            WHERE present.account = changes.account
                AND present.api = changes.api
                AND present.purchase_order_number = changes.purchase_order_number
                AND present.digest = changes.digest
        )
    END
FROM changes
"""

_FIELDS = msgspec.json.Decoder(tuple[FieldChange, ...])
_LINES = msgspec.json.Decoder(tuple[LineChange, ...])


class ChangeRow(NamedTuple):
    """A change as it is in the table, and the document that it led to, where that is told."""

    sequence: int
    event: str
    recorded_at: datetime
    account: str
    api: str
    purchase_order_number: str
    digest: str
    previous_digest: str | None
    fields: str | None
    lines: str | None
    document: str | None

    def change(self) -> Change:
        """Return the change that this row is."""
        common: dict[str, Any] = {
            "sequence": self.sequence,
            "recorded_at": self.recorded_at,
            "account": self.account,
            "api": self.api,
            "purchase_order_number": self.purchase_order_number,
            "digest": self.digest,
        }
        document = msgspec.Raw(self.document.encode() if self.document else b"null")
        if self.event == CREATED:
            return OrderCreated(**common, document=document)
        differing = self._differences()
        common |= {
            "previous_digest": self.previous_digest,
            "fields": differing.fields,
            "lines": differing.lines,
        }
        if self.event == CHANGED:
            return OrderChanged(**common, document=document)
        return StatusChanged(**common)

    def _differences(self) -> Differences:
        """Return what differs: as it was written down, or all that a first status says."""
        if self.event == STATUS and self.document is not None:
            status = decode_document(self.document.encode(), OrderStatus).content
            return differences(None, status) if status is not None else Differences()
        return Differences(
            _FIELDS.decode(self.fields) if self.fields else (),
            _LINES.decode(self.lines) if self.lines else (),
        )


def event_of(version: NewVersion) -> str:
    """Return what to call it that *version* came."""
    if isinstance(version.content, OrderStatus):
        return STATUS
    return CREATED if version.previous is None else CHANGED


def differing(version: NewVersion) -> tuple[str | None, str | None]:
    """Return the fields and the lines in which *version* differs from the one before."""
    if version.previous is None:
        return None, None
    before = decode_document(version.previous.encode(), type(version.content)).content
    if before is None:  # by an earlier version of this program, less strict
        return None, None
    found = differences(before, version.content)
    return _text(found.fields), _text(found.lines)


def _text(found: Sequence[FieldChange | LineChange]) -> str | None:
    return msgspec.json.encode(found).decode() if found else None
