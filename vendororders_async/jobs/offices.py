"""Offices: what acknowledging asks of Amazon, the same for both APIs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol, TypeVar

import msgspec

from ..accounts import Account
from ..answers import content_of
from ..dispatch import Dispatcher
from ..errors import NotFound
from ..limiter import Urgency
from ..models import direct_fulfillment as df
from ..models.common import SubmitAcknowledgementResponse
from ..models.retail_procurement import (
    Order,
    OrderAcknowledgement,
    OrderStatus,
    SubmitAcknowledgementRequest,
)
from ..models.transactions import GetTransactionResponse, Transaction
from ..operations import (
    DIRECT_FULFILLMENT,
    DIRECT_FULFILLMENT_API,
    GET_PURCHASE_ORDER,
    GET_PURCHASE_ORDERS_STATUS,
    GET_TRANSACTION,
    RETAIL_API,
    SUBMIT_ACKNOWLEDGEMENT,
    Api,
    Call,
    GetOrder,
    GetPurchaseOrder,
    GetPurchaseOrdersStatus,
    GetTransaction,
    GetTransactionStatus,
)
from ..retry import BULK
from ..windows import LONGEST_QUERY

T = TypeVar("T")

AnyOrder = Order | df.Order
AnyAcknowledgement = OrderAcknowledgement | df.OrderAcknowledgementItem

_BEFORE = timedelta(days=1)  # an order becomes available after it is placed, mostly at once


class Standing(msgspec.Struct, frozen=True):
    """What stands at Amazon; a status is not always there, and never in direct fulfillment."""

    order: AnyOrder
    status: OrderStatus | None = None


class Office(Protocol):
    """Where one account's orders are read, and acknowledged.

    All of it raises what `Dispatcher.send` raises.
    """

    async def read(self, number: str) -> Standing:
        """Return what stands of an order."""

    async def submit(self, documents: Sequence[AnyAcknowledgement]) -> str | None:
        """Submit *documents* in one request; return the transaction's id, if it has one."""

    async def transaction(self, transaction_id: str) -> Transaction | None:
        """Return how far a transaction is; None while Amazon does not know it."""


class _Counter:
    """One account's calls, before those of bulk jobs, and with their patience."""

    def __init__(self, account: Account, dispatcher: Dispatcher) -> None:
        self.account = account
        self._dispatcher = dispatcher

    async def ask(self, call: Call[T]) -> T:
        reply = await self._dispatcher.send(
            self.account, call, urgency=Urgency.PERSON, patience=BULK
        )
        return reply.content

    async def submit(self, call: Call[SubmitAcknowledgementResponse]) -> str | None:
        answer = await self.ask(call)
        return answer.payload.transaction_id if answer.payload else None

    async def transaction(self, call: Call[GetTransactionResponse]) -> Transaction | None:
        try:
            answer = await self.ask(call)
        except NotFound:  # not yet: jlevers/selling-partner-api#429
            return None
        return answer.payload.transaction_status if answer.payload else None


class RetailOffice:
    """Retail Procurement Orders."""

    def __init__(self, account: Account, dispatcher: Dispatcher) -> None:
        self._counter = _Counter(account, dispatcher)

    async def read(self, number: str) -> Standing:
        """Return an order and its status."""
        call = Call(GET_PURCHASE_ORDER, GetPurchaseOrder(purchase_order_number=number))
        document = await self._counter.ask(call)
        order = content_of(document, GET_PURCHASE_ORDER, self._counter.account)
        status = await self._status(number, None)
        if status is None and order.order_details and order.order_details.purchase_order_date:
            # What is searched when no date is given is not documented
            status = await self._status(number, order.order_details.purchase_order_date)
        return Standing(order, status)

    async def submit(self, documents: Sequence[AnyAcknowledgement]) -> str | None:
        """Submit *documents*, which are retail's."""
        chosen = [one for one in documents if isinstance(one, OrderAcknowledgement)]
        request = SubmitAcknowledgementRequest(acknowledgements=chosen)
        return await self._counter.submit(Call(SUBMIT_ACKNOWLEDGEMENT, request))

    async def transaction(self, transaction_id: str) -> Transaction | None:
        """Return how far a transaction is."""
        question = GetTransaction(transaction_id=transaction_id)
        return await self._counter.transaction(Call(GET_TRANSACTION, question))

    async def _status(self, number: str, placed_at: datetime | None) -> OrderStatus | None:
        after = placed_at - _BEFORE if placed_at else None
        question = GetPurchaseOrdersStatus(
            purchase_order_number=number,
            created_after=after,
            created_before=after + LONGEST_QUERY if after else None,
        )
        page = await self._counter.ask(Call(GET_PURCHASE_ORDERS_STATUS, question))
        # Amazon was seen to ignore filters (selling-partner-api-docs#136)
        for document in page.documents:
            status = content_of(document, GET_PURCHASE_ORDERS_STATUS, self._counter.account)
            if status.purchase_order_number == number:
                return status
        return None


class DirectFulfillmentOffice:
    """Direct Fulfillment Orders; an order says itself how it stands."""

    def __init__(self, account: Account, dispatcher: Dispatcher, version: str) -> None:
        self._counter = _Counter(account, dispatcher)
        self._operations = DIRECT_FULFILLMENT[version]

    async def read(self, number: str) -> Standing:
        """Return an order."""
        operation = self._operations.get_order
        document = await self._counter.ask(
            Call(operation, GetOrder(purchase_order_number=number))
        )
        return Standing(content_of(document, operation, self._counter.account))

    async def submit(self, documents: Sequence[AnyAcknowledgement]) -> str | None:
        """Submit *documents*, which are direct fulfillment's."""
        chosen = [one for one in documents if isinstance(one, df.OrderAcknowledgementItem)]
        request = df.SubmitAcknowledgementRequest(order_acknowledgements=chosen)
        return await self._counter.submit(
            Call(self._operations.submit_acknowledgement, request)
        )

    async def transaction(self, transaction_id: str) -> Transaction | None:
        """Return how far a transaction is."""
        question = GetTransactionStatus(transaction_id=transaction_id)
        return await self._counter.transaction(
            Call(self._operations.get_transaction_status, question)
        )


def office_of(account: Account, dispatcher: Dispatcher, api: Api) -> Office:
    """Return the office of *account* for *api*."""
    if api.name == DIRECT_FULFILLMENT_API:
        return DirectFulfillmentOffice(account, dispatcher, api.version)
    assert api.name == RETAIL_API  # noqa: S101 - there are two
    return RetailOffice(account, dispatcher)
