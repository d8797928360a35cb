"""Amazon's side of acknowledging on virtual time: orders, their statuses, and what is lost."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from decimal import Decimal

import msgspec
from fakes import virtual_now

from vendororders_async.errors import Error, NotFound, RequestError, SinkError
from vendororders_async.jobs.offices import AnyAcknowledgement, Standing
from vendororders_async.models.common import ItemQuantity, Money, PartyIdentification
from vendororders_async.models.retail_procurement import (
    AcknowledgementStatusDetails,
    Order,
    OrderAcknowledgement,
    OrderDetails,
    OrderItem,
    OrderItemStatus,
    OrderItemStatusAcknowledgementStatus,
    OrderItemStatusOrderedQuantity,
    OrderStatus,
)
from vendororders_async.models.transactions import Transaction
from vendororders_async.sinks.base import Held, Submission

Trouble = Callable[[Sequence[str]], tuple[bool, RequestError | None]]

PLACED_AGO = timedelta(hours=2)


def eaches(amount: int) -> ItemQuantity:
    """Return so many eaches."""
    return ItemQuantity(amount=amount, unit_of_measure="Eaches", unit_size=1)


def an_order(number: str, *amounts: int, placed_at: datetime) -> Order:
    """Return an order with a line for each of *amounts*."""
    return Order(
        purchase_order_number=number,
        purchase_order_state="New",
        order_details=OrderDetails(
            purchase_order_date=placed_at,
            purchase_order_state_changed_date=placed_at,
            selling_party=PartyIdentification(party_id="VENDR"),
            items=[
                OrderItem(
                    item_sequence_number=str(place),
                    amazon_product_identifier=f"B0000000{place:02}",
                    vendor_product_identifier=f"V-{place}",
                    ordered_quantity=eaches(amount),
                    is_back_order_allowed=False,
                    net_cost=Money(currency_code="EUR", amount=Decimal("1.10")),
                )
                for place, amount in enumerate(amounts or (6,), 1)
            ],
        ),
    )


def a_status(order: Order) -> OrderStatus:
    """Return the status of *order* before anybody acknowledged it."""
    details = order.order_details
    assert details is not None
    return OrderStatus(
        purchase_order_number=order.purchase_order_number,
        purchase_order_status="OPEN",
        purchase_order_date=details.purchase_order_date,
        last_updated_date=details.purchase_order_date,
        item_status=[
            OrderItemStatus(
                item_sequence_number=item.item_sequence_number,
                buyer_product_identifier=item.amazon_product_identifier,
                vendor_product_identifier=item.vendor_product_identifier,
                ordered_quantity=OrderItemStatusOrderedQuantity(
                    ordered_quantity=item.ordered_quantity
                ),
                acknowledgement_status=OrderItemStatusAcknowledgementStatus(
                    confirmation_status="UNCONFIRMED"
                ),
            )
            for item in details.items
        ],
    )


def acknowledged(
    standing: Standing, acknowledgement: OrderAcknowledgement, at: datetime
) -> Standing:
    """Return *standing* after Amazon applied *acknowledgement*."""
    assert standing.status is not None
    assert isinstance(standing.order, Order)
    lines = []
    for line, item in zip(standing.status.item_status, acknowledgement.items, strict=True):
        sums = Counter[bool]()
        for part in item.item_acknowledgements:
            taken = part.acknowledgement_code != "Rejected"
            sums[taken] += part.acknowledged_quantity.amount or 0
        accepted, rejected = eaches(sums[True]), eaches(sums[False])
        word = "PARTIALLY_ACCEPTED" if sums[True] and sums[False] else "ACCEPTED"
        lines.append(
            msgspec.structs.replace(
                line,
                acknowledgement_status=OrderItemStatusAcknowledgementStatus(
                    confirmation_status=word if sums[True] else "REJECTED",
                    accepted_quantity=accepted,
                    rejected_quantity=rejected,
                    acknowledgement_status_details=[
                        AcknowledgementStatusDetails(
                            acknowledgement_date=at,
                            accepted_quantity=accepted,
                            rejected_quantity=rejected,
                        )
                    ],
                ),
            )
        )
    order = msgspec.structs.replace(standing.order, purchase_order_state="Acknowledged")
    status = msgspec.structs.replace(standing.status, last_updated_date=at, item_status=lines)
    return Standing(order, status)


def no_trouble(numbers: Sequence[str]) -> tuple[bool, RequestError | None]:
    """Let every submission through."""
    del numbers
    return True, None


class FakeOffice:
    """Answers after a tenth of a second; what is submitted shows after *delay* seconds.

    *trouble* says of each submission whether it takes effect, and what is raised.
    """

    def __init__(
        self, orders: Sequence[Order], *, trouble: Trouble = no_trouble, delay: float = 0.0
    ) -> None:
        self.standing = {
            one.purchase_order_number: Standing(one, a_status(one)) for one in orders
        }
        self.submitted: list[tuple[str, ...]] = []
        self.applied: Counter[str] = Counter()
        self.read_count = 0
        self.failures: dict[str, tuple[Error, ...]] = {}  # by transaction
        self.trouble = trouble
        self._delay = delay

    async def read(self, number: str) -> Standing:
        self.read_count += 1
        await asyncio.sleep(0.1)
        if number not in self.standing:
            raise NotFound("no such order", operation="getPurchaseOrder", account="germany")
        return self.standing[number]

    async def submit(self, documents: Sequence[AnyAcknowledgement]) -> str | None:
        numbers = tuple(one.purchase_order_number for one in documents)
        self.submitted.append(numbers)
        has_effect, error = self.trouble(numbers)
        await asyncio.sleep(0.1)
        if has_effect:
            loop = asyncio.get_running_loop()
            for one in documents:
                assert isinstance(one, OrderAcknowledgement)
                loop.call_later(self._delay, self._apply, one)
        if error is not None:
            raise error
        return f"transaction-{len(self.submitted)}"

    async def transaction(self, transaction_id: str) -> Transaction | None:
        await asyncio.sleep(0.1)
        errors = self.failures.get(transaction_id)
        return Transaction(
            transaction_id=transaction_id,
            status="Processing" if errors is None else "Failure",
            errors=list(errors or ()),
        )

    def _apply(self, one: OrderAcknowledgement) -> None:
        number = one.purchase_order_number
        self.applied[number] += 1
        self.standing[number] = acknowledged(self.standing[number], one, virtual_now())


class FakeRecorder:
    """Remembers submissions, and everything that was ever recorded, in its order."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, datetime], Submission] = {}
        self.history: list[Submission] = []
        self.orders: dict[str, Held] = {}
        self._locked: set[str] = set()

    @asynccontextmanager
    async def lock(self, account: str) -> AsyncIterator[None]:
        if account in self._locked:
            raise SinkError(f"{account} is being written by another run")
        self._locked.add(account)
        try:
            yield
        finally:
            self._locked.remove(account)

    async def record(self, submissions: Sequence[Submission]) -> None:
        await asyncio.sleep(0.001)
        for one in submissions:
            self.rows[one.purchase_order_number, one.submitted_at] = one
            self.history.append(one)

    async def submissions(
        self,
        account: str,
        api: str,
        numbers: Sequence[str] | None = None,
    ) -> list[Submission]:
        await asyncio.sleep(0)
        return [
            self.rows[key]
            for key in sorted(self.rows, key=lambda key: key[1])
            if (self.rows[key].account, self.rows[key].api) == (account, api)
            and (numbers is None or key[0] in numbers)
        ]

    async def held(self, account: str, api: str, numbers: Sequence[str]) -> dict[str, Held]:
        del account, api
        return {one: self.orders[one] for one in numbers if one in self.orders}
