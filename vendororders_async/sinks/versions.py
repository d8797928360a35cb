"""What a page brings, against what is held: which versions are new, and which are newer.

Pure functions, shared by the sinks that have columns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from ..models import direct_fulfillment
from ..models.retail_procurement import Order, OrderStatus
from ..pages import Document, Row
from .base import Outcome, Written
from .rows import OrderRow, StatusRow, Version, digest_of, order_row, same_content, status_row

LARGEST_GROUP = 100  # documents: a page's at most

_ROWS: dict[type[Row], Callable[[Any, bytes, str, str], OrderRow | StatusRow]] = {
    Order: order_row,
    direct_fulfillment.Order: order_row,
    OrderStatus: status_row,
}


class Group(msgspec.Struct, frozen=True):
    """Documents of one kind and of different orders: number by number, where they stand."""

    kind: type[Row]
    places: dict[str, int]


class NewVersion(msgspec.Struct, frozen=True, gc=False):
    """A version that a page brought, and the one with details that it takes the place of."""

    row: OrderRow | StatusRow
    content: Row
    previous_digest: str | None = None
    previous: str | None = None


class Decided(msgspec.Struct, frozen=True):
    """What to store of a group, and what to answer, in its order."""

    written: list[Written]
    versions: list[NewVersion]

    @property
    def superseded(self) -> list[str]:
        """The numbers of the orders whose present version is to be kept as an earlier one."""
        return self._numbers(Outcome.CHANGED)

    @property
    def unchanged(self) -> list[str]:
        """The numbers of the orders of which nothing is to be stored."""
        return self._numbers(Outcome.UNCHANGED)

    def _numbers(self, outcome: Outcome) -> list[str]:
        return [
            one.purchase_order_number
            for one in self.written
            if one.outcome is outcome and one.purchase_order_number is not None
        ]


def grouped(documents: Sequence[Document[Row]]) -> list[Group]:
    """Cut *documents* so that an order that comes twice on a page meets its first version."""
    groups: list[Group] = []
    for place, document in enumerate(documents):
        if document.content is None:
            continue
        kind, number = type(document.content), document.content.purchase_order_number
        last = groups[-1] if groups else None
        if (
            last is None
            or last.kind is not kind
            or number in last.places
            or len(last.places) == LARGEST_GROUP
        ):
            last = Group(kind, {})
            groups.append(last)
        last.places[number] = place
    return groups


def digests_of(group: Group, documents: Sequence[Document[Row]]) -> dict[str, str]:
    """Return the digest of each document of *group*, by number."""
    return {number: digest_of(documents[at].raw) for number, at in group.places.items()}


def decide(
    group: Group,
    documents: Sequence[Document[Row]],
    asked_at: str,
    digests: Mapping[str, str],
    held: Mapping[str, Version],
    *,
    document_of: Callable[[str], str],
) -> Decided:
    """Say what becomes of a *group* of a page's *documents*, which were asked for then.

    *document_of* is asked for the held document of a number, where a newer version came.
    """
    written: list[Written] = []
    versions: list[NewVersion] = []
    for number, place in group.places.items():
        raw, content = documents[place].raw, documents[place].content
        assert content is not None  # noqa: S101 - what has none is in no group
        digest, before = digests[number], held.get(number)
        if before is not None and before.digest == digest:
            written.append(Written(number, Outcome.UNCHANGED))
            continue
        row = _ROWS[group.kind](content, raw, digest, asked_at)
        if before is None:
            written.append(Written(number, Outcome.NEW))
            versions.append(NewVersion(row, content))
        elif not row.version.is_newer_than(before) or same_content(
            row.document, replaced := document_of(number)
        ):
            written.append(Written(number, Outcome.UNCHANGED))
        else:
            written.append(Written(number, Outcome.CHANGED, before.digest))
            versions.append(
                NewVersion(row, content, before.digest, replaced)
                if before.has_details
                else NewVersion(row, content)
            )
    return Decided(written, versions)


def told(versions: Sequence[NewVersion]) -> list[NewVersion]:
    """Return those of *versions* that are recorded as changes: they have details."""
    return [one for one in versions if isinstance(one.row, StatusRow) or one.row.has_details]
