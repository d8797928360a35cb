"""Moves: in what an order is no longer what an answer to it was made for.

A repeated acknowledgement replaces what stands at Amazon, be it a colleague's edit in Vendor
Central, and Amazon changes orders after they were acknowledged. So both are read again
before anything is sent, and are compared here.

https://developer-docs.amazon.com/sp-api/docs/cancel-and-change-orders
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime, timedelta

import msgspec

from ..clock import format_wire, whole_second
from ..models import direct_fulfillment as df
from ..models import retail_procurement as rp
from ..models.common import ItemQuantity
from .documents import names_of
from .drafts import Draft, Line
from .lines import Index, Order, OrderLine, is_same, lines_of, retail_quantity
from .standing import SKEW, Standings, as_of, closed_word

# "If Vendor Central is not updated within 30 minutes": so long an acknowledgement of ours may
# take to move the other dates of its order
_SETTLES = timedelta(minutes=30)


class _Snapshot(msgspec.Struct, frozen=True):
    """An order and its status at one time."""

    order: rp.Order
    status: rp.OrderStatus | None

    @property
    def as_of(self) -> datetime | None:
        return as_of(self.order, self.status)

    @property
    def changed_at(self) -> datetime | None:
        """When Amazon last changed what is ordered."""
        details = self.order.order_details
        changes = [details.purchase_order_changed_date if details else None]
        changes += [one.changed_at for one in Standings(self.status).lines]
        return max((change for change in changes if change is not None), default=None)

    @property
    def acknowledged_at(self) -> list[datetime]:
        """When it was answered; the order's own word counts where its lines say nothing."""
        dates = Standings(self.status).dates
        details = self.order.order_details
        since = details.purchase_order_state_changed_date if details else None
        is_acknowledged = (self.order.purchase_order_state or "").casefold() == "acknowledged"
        return dates or ([since] if since and is_acknowledged else [])


def moved_since(
    draft: Draft,
    order: Order,
    status: rp.OrderStatus | None = None,
    *,
    held_order: Order | None = None,
    held_status: rp.OrderStatus | None = None,
    own: Collection[datetime] = (),
) -> tuple[str, ...]:
    """Return what moved between *draft* and *order* with its *status*, a short line each.

    Nothing is returned if what the draft answers is what stands. What the draft was made for
    is known by what its lines say, by its *as_of*, by a finished document's own date, and by
    *held_order* and *held_status*, the documents that its maker is thought to have seen; they
    are left aside if the draft knows of something later. *own* are the instants of earlier
    submissions of ours: what was acknowledged then was not somebody else's doing, though a
    finished document that is older than that is still not sent over it.
    """
    if isinstance(order, df.Order):
        held = held_order if isinstance(held_order, df.Order) else None
        return _unique(_customers_moves(draft, order, held))
    now = _Snapshot(order, status)
    moves = [*_seen_moves(_seen(draft), lines_of(order))]
    if draft.as_of is not None:
        moves += _later_moves(draft, now, draft.as_of, own)
    document = draft.document
    if document is not None:
        moves += _document_moves(now, document.acknowledgement_date, own)
    since = draft.as_of or (document.acknowledgement_date if document else None)
    if isinstance(held_order, rp.Order):
        held_now = _Snapshot(held_order, held_status)
        if since is None or not _is_after(since, held_now.as_of):
            moves += _held_moves(held_now, now, own)
    elif since is None and (others := _others(now.acknowledged_at, own)):
        moves.append(
            f"acknowledged at {format_wire(others[-1])} by somebody else, and nothing says "
            "that this answer is later (as_of)"
        )
    return _unique(moves)


def _unique(moves: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(moves))


def _is_after(one: datetime | None, other: datetime | None) -> bool:
    """Whether *one* is later by a second at least: files cut what is finer."""
    return one is not None and other is not None and whole_second(one) > whole_second(other)


def _others(dates: Iterable[datetime], own: Collection[datetime]) -> list[datetime]:
    """Return those of *dates* at which we submitted nothing."""
    return sorted(
        date for date in dates if not any(abs(date - instant) <= SKEW for instant in own)
    )


def _later_moves(
    draft: Draft, now: _Snapshot, since: datetime, own: Collection[datetime]
) -> Iterator[str]:
    """Yield what happened after *since*, the latest date that the draft's maker saw."""
    found = False
    others = _others(now.acknowledged_at, own)
    if others and _is_after(others[-1], since):
        found = True
        yield f"acknowledged at {format_wire(others[-1])} by somebody else"
    if changes := _changes(now, since):
        found = True
        yield from changes
        yield from _new_lines(draft, now)
    latest = now.as_of
    if latest is None or not _is_after(latest, since):
        return
    if word := closed_word(now.order, now.status):
        yield f"now {word}"
    elif not found and not _is_settled(latest, own):
        yield f"updated at {format_wire(latest)}, and this answers {format_wire(since)}"


def _is_settled(latest: datetime, own: Collection[datetime]) -> bool:
    """Whether an acknowledgement of ours can have moved the dates until *latest*."""
    return any(instant - SKEW <= latest <= instant + _SETTLES for instant in own)


def _changes(now: _Snapshot, since: datetime | None) -> list[str]:
    """Return that Amazon has changed the order after *since*, or at all."""
    latest = now.changed_at
    if latest is None or (since is not None and not _is_after(latest, since)):
        return []
    return [f"changed by Amazon at {format_wire(latest)}"]


def _new_lines(draft: Draft, now: _Snapshot) -> Iterator[str]:
    """Yield the lines that nobody has answered, neither the draft nor at Amazon."""
    seen = _seen(draft)
    lines = lines_of(now.order)
    index, standings = Index(line.names for line in lines), Standings(now.status)
    named = {position for line in seen for position in index.meant(names_of(line))}
    for position, line in enumerate(lines):
        stands = standings.of(line.names)
        is_open = stands is None or not stands.is_confirmed
        if seen and position not in named and is_open and not line.is_cancelled:
            yield f"{line} is new"


def _document_moves(
    now: _Snapshot, made_at: datetime, own: Collection[datetime]
) -> Iterator[str]:
    latest = max(now.acknowledged_at, default=None)
    if latest is not None and _is_after(latest, made_at):
        whose = "somebody else" if _others([latest], own) else "an earlier submission of ours"
        yield (
            f"acknowledged at {format_wire(latest)} by {whose}, "
            f"and this is dated {format_wire(made_at)}"
        )
    yield from _changes(now, made_at)


def _held_moves(held: _Snapshot, now: _Snapshot, own: Collection[datetime]) -> Iterator[str]:
    yield from _line_moves(lines_of(held.order), lines_of(now.order))
    before = held.acknowledged_at
    others = _others(now.acknowledged_at, own)
    if held.status is None:  # there are no lines to compare, only the order's own dates
        yield from _changes(_Snapshot(now.order, None), held.changed_at)
        others = [date for date in others if not before or _is_after(date, before[-1])]
    else:
        yield from _changes(now, held.changed_at)
        others = [date for date in others if date not in before]
    if others:
        yield f"acknowledged at {format_wire(others[-1])} by somebody else"
    word = closed_word(now.order, now.status)
    if word and not closed_word(held.order, held.status):
        yield f"now {word}"
    earlier = Standings(held.status)
    for stands in Standings(now.status).lines:
        was = earlier.of(stands.names)
        if was is not None and was.word != stands.word and was.dates == stands.dates:
            yield f"{stands.names}: now {stands.word or 'unconfirmed'}, was {was.word or 'not'}"


def _customers_moves(draft: Draft, order: df.Order, held: df.Order | None) -> Iterator[str]:
    """Yield the moves of a direct fulfillment order, which has no dates of its changes."""
    yield from _seen_moves(_seen(draft), lines_of(order))
    word = order.order_details.order_status if order.order_details else None
    if word is not None and word.upper() != df.OrderStatus.NEW:
        yield f"now {word}"
    if held is not None:
        yield from _line_moves(lines_of(held), lines_of(order))


def _seen(draft: Draft) -> Sequence[Line]:
    """Return the lines as the draft's maker saw them."""
    document = draft.document
    if document is None:
        return draft.lines
    if isinstance(document, df.OrderAcknowledgementItem):
        return [
            Line(
                parts=(),
                item_sequence_number=item.item_sequence_number,
                amazon_product_identifier=item.buyer_product_identifier,
                vendor_product_identifier=item.vendor_product_identifier,
                ordered_quantity=item.acknowledged_quantity.amount,
            )
            for item in document.item_acknowledgements
        ]
    return [
        Line(
            parts=(),
            item_sequence_number=item.item_sequence_number,
            amazon_product_identifier=item.amazon_product_identifier,
            vendor_product_identifier=item.vendor_product_identifier,
            ordered_quantity=item.ordered_quantity.amount,
            unit_of_measure=item.ordered_quantity.unit_of_measure,
            unit_size=item.ordered_quantity.unit_size,
        )
        for item in document.items
    ]


def _line_moves(before: Sequence[OrderLine], now: Sequence[OrderLine]) -> Iterator[str]:
    """Yield how the lines of an order differ from those it had."""
    was_there = [line for line in before if not line.is_cancelled]
    yield from _seen_moves([_as_seen(line) for line in was_there], now)
    index = Index(line.names for line in before)
    for line in now:
        known = index.meant(line.names)
        if not known and not line.is_cancelled:
            yield f"{line} is new"
        elif len(known) == 1 and before[known[0]].is_cancelled and not line.is_cancelled:
            yield f"{line}: ordered quantity {line.ordered.amount}, was cancelled"


def _as_seen(line: OrderLine) -> Line:
    return Line(
        parts=(),
        item_sequence_number=line.names.number,
        amazon_product_identifier=line.names.product,
        vendor_product_identifier=line.names.vendor_product,
        ordered_quantity=line.ordered.amount,
        unit_of_measure=line.ordered.unit_of_measure,
        unit_size=line.ordered.unit_size,
        net_cost=line.net_cost.amount if line.net_cost else None,
        net_cost_currency=line.net_cost.currency_code if line.net_cost else None,
    )


def _seen_moves(seen: Sequence[Line], now: Sequence[OrderLine]) -> Iterator[str]:
    """Yield in what the lines that somebody saw are not what they are now."""
    index = Index(line.names for line in now)
    for line in seen:
        found = index.meant(names_of(line))
        if not found:
            yield f"{names_of(line)} is not in the order any more"
        elif len(found) == 1:
            yield from _differences(line, now[found[0]])


def _differences(seen: Line, line: OrderLine) -> Iterator[str]:
    if line.is_cancelled:
        if seen.ordered_quantity is None or seen.ordered_quantity > 0:
            yield f"{line} is cancelled, was {seen.ordered_quantity or 'ordered'}"
        return
    was_in = retail_quantity(ItemQuantity(unit_of_measure=seen.unit_of_measure))
    is_in = retail_quantity(line.ordered)  # one spelling for both APIs
    cost = line.net_cost
    sizes = (seen.unit_size, line.ordered.unit_size)
    pairs: list[tuple[str, object, object]] = [
        ("ordered quantity", seen.ordered_quantity, line.ordered.amount),
        ("unit of measure", was_in.unit_of_measure, is_in.unit_of_measure),
        ("case size", *(sizes if is_in.unit_of_measure == "Cases" else (None, None))),
        ("net cost", seen.net_cost, cost.amount if cost else None),
        ("currency", seen.net_cost_currency, cost.currency_code if cost else None),
    ]
    for what, was, is_now in pairs:
        if was is not None and was != is_now:
            yield f"{line}: {what} {'gone' if is_now is None else is_now}, was {was}"
    names = names_of(seen)
    products = [
        (names.product, line.names.product),
        (names.vendor_product, line.names.vendor_product),
    ]
    for saw, product in products:
        if saw is not None and not is_same(saw, product):
            yield f"{line}: product {product}, was {saw}"
