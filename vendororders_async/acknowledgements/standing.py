"""What stands at Amazon, as getPurchaseOrdersStatus tells it, line by line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from operator import itemgetter

import msgspec

from ..models import direct_fulfillment as df
from ..models import retail_procurement as rp
from .lines import Index, Names, Order, eaches

# How far two clocks, Amazon's and ours, may differ
SKEW = timedelta(minutes=1)


class Split(msgspec.Struct, frozen=True):
    """How many single pieces are accepted and rejected; None where that is not known."""

    accepted: int | None
    rejected: int | None

    def says(self, other: Split) -> bool:
        """Whether this is *other*, as far as both are known; nothing known says nothing."""
        pairs = [(self.accepted, other.accepted), (self.rejected, other.rejected)]
        known = [(mine, theirs) for mine, theirs in pairs if None not in (mine, theirs)]
        return bool(known) and all(mine == theirs for mine, theirs in known)


class Entry(msgspec.Struct, frozen=True):
    """One acknowledgement in a line's history."""

    at: datetime | None
    split: Split


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """What Amazon has as the answer to one line.

    The quantities are not to be added up blindly: the top one was seen without its rejected
    half and with a wrong accepted one; *history* has increments. So both are kept.
    """

    names: Names
    word: str
    top: Split
    history: tuple[Entry, ...] = ()
    changed_at: datetime | None = None

    @property
    def is_confirmed(self) -> bool:
        """Whether somebody has answered it."""
        return self.word not in ("", rp.ConfirmationStatus.UNCONFIRMED) or bool(self.history)

    @property
    def is_rejected(self) -> bool:
        """Whether it was rejected as a whole."""
        return self.word == rp.ConfirmationStatus.REJECTED

    @property
    def dates(self) -> list[datetime]:
        """When it was answered, the first time first."""
        return sorted(entry.at for entry in self.history if entry.at is not None)

    @property
    def latest(self) -> Entry:
        """The last entry by its date, for they come in any order; an empty one if none has."""
        dated = [(entry.at, entry) for entry in self.history if entry.at is not None]
        return max(dated, key=itemgetter(0))[1] if dated else Entry(None, Split(None, None))

    @property
    def total(self) -> Split:
        """The increments together."""
        return Split(
            _sum([entry.split.accepted for entry in self.history]),
            _sum([entry.split.rejected for entry in self.history]),
        )

    def may_be(self, split: Split) -> bool:
        """Whether some way of reading the quantities makes them *split*."""
        return self.top.says(split) or self.total.says(split)

    @property
    def is_counted(self) -> bool:
        """Whether there are quantities at all."""
        return Split(None, None) != self.top or Split(None, None) != self.total


def _sum(amounts: Sequence[int | None]) -> int | None:
    known = [amount for amount in amounts if amount is not None]
    return sum(known) if known else None


class Standings:
    """What stands, line by line, for every line of a status."""

    def __init__(self, status: rp.OrderStatus | None) -> None:
        self.lines = [_standing(line) for line in status.item_status] if status else []
        self._index = Index(one.names for one in self.lines)

    def of(self, names: Names) -> Standing | None:
        """Return what stands for the line that *names* mean; None if that is not certain."""
        found = self._index.meant(names)
        return self.lines[found[0]] if len(found) == 1 else None

    @property
    def dates(self) -> list[datetime]:
        """When any line was answered, the first time first."""
        return sorted(date for one in self.lines for date in one.dates)


def _standing(line: rp.OrderItemStatus) -> Standing:
    said = line.acknowledgement_status or rp.OrderItemStatusAcknowledgementStatus()
    changes = line.ordered_quantity.ordered_quantity_details if line.ordered_quantity else []
    updated = [change.updated_date for change in changes if change.updated_date is not None]
    return Standing(
        names=Names(
            number=line.item_sequence_number,
            product=line.buyer_product_identifier,
            vendor_product=line.vendor_product_identifier,
        ),
        word=(said.confirmation_status or "").strip().upper(),
        top=Split(eaches(said.accepted_quantity), eaches(said.rejected_quantity)),
        history=tuple(
            Entry(
                entry.acknowledgement_date,
                Split(eaches(entry.accepted_quantity), eaches(entry.rejected_quantity)),
            )
            for entry in said.acknowledgement_status_details
        ),
        changed_at=max(updated, default=None),
    )


def is_acknowledged(order: rp.Order | None, standings: Standings) -> bool:
    """Whether it is certain that the order was answered before, so that this is an update.

    A line that is called rejected, and not since when, may have been cancelled.
    """
    state = (order.purchase_order_state if order else None) or ""
    return state.casefold() == "acknowledged" or any(
        one.is_confirmed and (one.dates or not one.is_rejected) for one in standings.lines
    )


def closed_word(order: rp.Order | None, status: rp.OrderStatus | None) -> str | None:
    """Return the word by which order or status is closed; None if it is open."""
    words = (
        order.purchase_order_state if order else None,
        status.purchase_order_status if status else None,
    )
    return next((word for word in words if word and word.casefold() == "closed"), None)


def as_of(order: Order | None, status: rp.OrderStatus | None = None) -> datetime | None:
    """Return the latest of the dates that *order* and *status* carry: which state they are.

    Orders of direct fulfillment have only the date they were placed at.
    """
    return max(_dates(order, status), default=None)


def _dates(order: Order | None, status: rp.OrderStatus | None) -> Iterator[datetime]:
    found: list[datetime | None] = []
    details = order.order_details if order else None
    if isinstance(details, df.OrderDetails):
        found.append(details.order_date)
    elif details is not None:
        found += (
            details.purchase_order_date,
            details.purchase_order_changed_date,
            details.purchase_order_state_changed_date,
        )
    if status is not None:
        found += (status.purchase_order_date, status.last_updated_date)
        found += (
            line.receiving_status.last_receive_date
            for line in status.item_status
            if line.receiving_status
        )
        for one in Standings(status).lines:
            found += (one.changed_at, *one.dates)
    return (date for date in found if date is not None)
