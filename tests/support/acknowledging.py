"""Orders to acknowledge, and their statuses, as tests need them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import strategies as st

from vendororders_async.models import direct_fulfillment as df
from vendororders_async.models import retail_procurement as rp
from vendororders_async.models.common import ItemQuantity, Money, PartyIdentification

PLACED = datetime(2026, 6, 10, 8, 0, tzinfo=UTC)
NOW = PLACED + timedelta(hours=5)


def after(**span: float) -> datetime:
    """Return the instant so long after the order was placed."""
    return PLACED + timedelta(**span)


def item(
    number: str = "1",
    amount: int = 10,
    *,
    unit: str | None = "Eaches",
    size: int | None = 1,
    cost: str = "1.10",
    backorder: bool = True,
) -> rp.OrderItem:
    """Return one line of a retail order."""
    return rp.OrderItem(
        item_sequence_number=number,
        amazon_product_identifier=f"B0ABCDEF0{number[-1]}",
        vendor_product_identifier=f"4006381333{number[-1]}",
        ordered_quantity=ItemQuantity(amount=amount, unit_of_measure=unit, unit_size=size),
        is_back_order_allowed=backorder,
        net_cost=Money(currency_code="EUR", amount=Decimal(cost)),
        list_price=Money(currency_code="EUR", amount=Decimal("2.50")),
    )


def order(
    *items: rp.OrderItem,
    state: str = "New",
    changed: datetime | None = None,
    state_changed: datetime = PLACED,
) -> rp.Order:
    """Return a retail order of *items*, of three if none are given."""
    return rp.Order(
        purchase_order_number="1ABCDEFG",
        purchase_order_state=state,
        order_details=rp.OrderDetails(
            purchase_order_date=PLACED,
            purchase_order_changed_date=changed,
            purchase_order_state_changed_date=state_changed,
            selling_party=PartyIdentification(party_id="KOALA"),
            items=list(items) or [item("1"), item("2", 24), item("3", 4)],
        ),
    )


def pieces(amount: int | None, *, unit: str = "Eaches", size: int = 1) -> ItemQuantity | None:
    """Return a quantity, or none."""
    if amount is None:
        return None
    return ItemQuantity(amount=amount, unit_of_measure=unit, unit_size=size)


def stands(
    number: str = "1",
    word: str = "UNCONFIRMED",
    accepted: int | None = 0,
    rejected: int | None = 0,
    *history: tuple[datetime, int | None, int | None],
    changed: datetime = PLACED,
) -> rp.OrderItemStatus:
    """Return what stands for one line; *history* has a date, accepted and rejected each."""
    return rp.OrderItemStatus(
        item_sequence_number=number,
        buyer_product_identifier=f"B0ABCDEF0{number[-1]}",
        vendor_product_identifier=f"4006381333{number[-1]}",
        ordered_quantity=rp.OrderItemStatusOrderedQuantity(
            ordered_quantity_details=[rp.OrderedQuantityDetails(updated_date=changed)]
        ),
        acknowledgement_status=rp.OrderItemStatusAcknowledgementStatus(
            confirmation_status=word,
            accepted_quantity=pieces(accepted),
            rejected_quantity=pieces(rejected),
            acknowledgement_status_details=[
                rp.AcknowledgementStatusDetails(
                    acknowledgement_date=at,
                    accepted_quantity=pieces(taken),
                    rejected_quantity=pieces(refused),
                )
                for at, taken, refused in history
            ],
        ),
    )


def status(
    *lines: rp.OrderItemStatus, word: str = "OPEN", updated: datetime | None = PLACED
) -> rp.OrderStatus:
    """Return the status of that order, with three unconfirmed lines if none are given."""
    return rp.OrderStatus(
        purchase_order_number="1ABCDEFG",
        purchase_order_status=word,
        purchase_order_date=PLACED,
        last_updated_date=updated,
        selling_party=PartyIdentification(party_id="KOALA"),
        item_status=list(lines) or [stands("1"), stands("2"), stands("3")],
    )


def customers_order(*amounts: int, word: str | None = "NEW", unit: str = "EACH") -> df.Order:
    """Return a direct fulfillment order with a line for each of *amounts*."""
    return df.Order(
        purchase_order_number="2JK3S9VC",
        order_details=df.OrderDetails(
            order_date=PLACED,
            order_status=word,
            selling_party=df.PartyIdentification(
                party_id="999US", address=df.Address(name="Seller")
            ),
            ship_from_party=df.PartyIdentification(party_id="ABCD"),
            ship_to_party=df.Address(name="Somebody", address_line1="Somewhere 1"),
            items=[
                df.OrderItem(
                    item_sequence_number=f"{number:05}",
                    buyer_product_identifier=f"B07DFVDR0{number}",
                    vendor_product_identifier="8806098286500",
                    ordered_quantity=ItemQuantity(amount=amount, unit_of_measure=unit),
                    net_price=Money(currency_code="USD", amount=Decimal("12.40")),
                )
                for number, amount in enumerate(amounts or (1, 2), 1)
            ],
        ),
    )


@st.composite
def orders(draw: st.DrawFn) -> rp.Order:
    """Return sane orders of one to five lines, some cancelled, units spelt as answers do."""
    count = draw(st.integers(1, 5))
    padded = draw(st.booleans())
    items = []
    for number in range(1, count + 1):
        cases = draw(st.booleans())
        items.append(
            item(
                f"{number:05}" if padded else str(number),
                draw(st.integers(1, 500)) if number == 1 else draw(st.integers(0, 3)),
                unit=draw(st.sampled_from(("Cases", "CASES") if cases else ("Eaches", "EACH"))),
                size=draw(st.integers(2, 48)) if cases else draw(st.sampled_from((1, None))),
                cost=draw(st.sampled_from(("0.01", "1.10", "14162.00", "20", "1E+2"))),
                backorder=draw(st.booleans()),
            )
        )
    return order(*items)
