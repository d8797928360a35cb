"""Direct Fulfillment Orders: the three operations typed, and any range as an iterator."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import datetime
from functools import partial

import msgspec

from .answers import check_submission, order_of, page_of
from .caller import Caller
from .iteration import OnUndecodable, reading, rows
from .models.common import SubmitAcknowledgementResponse
from .models.direct_fulfillment import (
    GetOrderResponse,
    GetOrdersResponse,
    Order,
    OrderList,
    OrderStatus,
    SubmitAcknowledgementRequest,
)
from .operations import (
    Call,
    DirectFulfillmentOperations,
    GetOrder,
    GetOrders,
    SortOrder,
)

_STRICT = msgspec.json.Decoder(SubmitAcknowledgementRequest)


class DirectFulfillment:
    """What `VendorOrdersClient.direct_fulfillment` offers; its methods are Amazon's operations.

    Both versions answer with the same structs. An order tells a customer's name and
    address: which token asks for that is `Account.restricted_data`. What the methods raise
    is what those of `Retail` raise, and `AuthError` also where restricted data tokens are
    insisted on and refused.
    """

    # https://developer-docs.amazon.com/sp-api/docs/vendor-direct-fulfillment-orders-api-v1-reference

    def __init__(self, caller: Caller, operations: DirectFulfillmentOperations) -> None:
        self._caller = caller
        self._operations = operations

    def __repr__(self) -> str:
        return f"<DirectFulfillment {self._caller.account.name} {self._operations.version}>"

    async def get_orders(
        self,
        *,
        created_after: datetime,
        created_before: datetime,
        ship_from_party_id: str | None = None,
        status: OrderStatus | str | None = None,
        limit: int | None = None,
        sort_order: SortOrder | str | None = None,
        next_token: str | None = None,
        include_details: bool | None = None,
    ) -> GetOrdersResponse:
        """Return one page of at most 100 orders of at most 7 days.

            page = await client.direct_fulfillment.get_orders(created_after=a, created_before=b)
            page.payload.orders[0].order_details.ship_to_party
            page.payload.pagination          # None on the last page, else it has next_token

        A *next_token* is sent together with all parameters of the first page, and a page
        may be empty and still have one: `iter_orders` does all that by itself. Without
        *include_details* (it is true by default) an order has only its number.
        """
        question = GetOrders(
            created_after=created_after,
            created_before=created_before,
            ship_from_party_id=ship_from_party_id,
            status=status,
            limit=limit,
            sort_order=sort_order,
            next_token=next_token,
            include_details=include_details,
        )
        call = Call(self._operations.get_orders, question)
        pagination, orders = await page_of(self._caller, call)
        return GetOrdersResponse(payload=OrderList(pagination=pagination, orders=orders))

    async def get_order(self, purchase_order_number: str) -> GetOrderResponse:
        """Return one order by its number.

            order = (await client.direct_fulfillment.get_order("2JK3S9VC")).payload
            order.order_details.order_status

        Only this tells of a later move to another status: lists have no such filter. An
        unknown number is `NotFound`.
        """
        question = GetOrder(purchase_order_number=purchase_order_number)
        call = Call(self._operations.get_order, question)
        return GetOrderResponse(
            payload=await order_of(self._caller, call, purchase_order_number)
        )

    async def submit_acknowledgement(
        self, request: SubmitAcknowledgementRequest
    ) -> SubmitAcknowledgementResponse:
        """Submit acknowledgements as they are, and return Amazon's transaction.

            answer = await client.direct_fulfillment.submit_acknowledgement(request)
            answer.payload.transaction_id   # for client.transactions.get_transaction_status

        It is sent again by itself only when Amazon certainly did not take it. A
        `ServerError`, a `DecodeError`, and a `TransportError` whose ``sent`` is true leave
        open whether Amazon did.
        """
        check_submission(request, _STRICT, "order_acknowledgements")
        call = Call(self._operations.submit_acknowledgement, request)
        return (await self._caller.send(call)).content

    def iter_orders(
        self,
        *,
        created_after: datetime,
        created_before: datetime | None = None,
        ship_from_party_id: str | None = None,
        status: OrderStatus | str | None = None,
        include_details: bool | None = None,
        on_undecodable: OnUndecodable | None = None,
    ) -> AsyncGenerator[Order, None]:
        """Iterate over all orders of a range of any length.

            async for order in client.direct_fulfillment.iter_orders(created_after=since):
                ...

        *created_before* is two minutes ago unless it is given; for all else see
        `Retail.iter_purchase_orders`.
        """
        asks = partial(
            GetOrders,
            ship_from_party_id=ship_from_party_id,
            status=status,
            include_details=include_details,
        )
        bounds = {"created": (created_after, created_before)}
        wanted = reading(self._operations.get_orders, asks, bounds, now=self._caller.now())
        return rows(self._caller, wanted, on_undecodable)
