"""Retail Procurement Orders: the four operations typed, and any range as an iterator."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import datetime
from functools import partial

import msgspec

from .answers import check_submission, order_of, page_of
from .caller import Caller
from .iteration import OnUndecodable, reading, rows
from .models.common import SubmitAcknowledgementResponse
from .models.retail_procurement import (
    ConfirmationStatus,
    GetPurchaseOrderResponse,
    GetPurchaseOrdersResponse,
    GetPurchaseOrdersStatusResponse,
    Order,
    OrderList,
    OrderListStatus,
    OrderStatus,
    PoItemState,
    PurchaseOrderState,
    PurchaseOrderStatus,
    ReceiveStatus,
    SubmitAcknowledgementRequest,
)
from .operations import (
    GET_PURCHASE_ORDER,
    GET_PURCHASE_ORDERS,
    GET_PURCHASE_ORDERS_STATUS,
    SUBMIT_ACKNOWLEDGEMENT,
    Call,
    GetPurchaseOrder,
    GetPurchaseOrders,
    GetPurchaseOrdersStatus,
    SortOrder,
)

_STRICT = msgspec.json.Decoder(SubmitAcknowledgementRequest)


class Retail:
    """What `VendorOrdersClient.retail` offers; its methods are Amazon's operations.

    They share what they raise:

    - `InvalidArgument`: the arguments could not be meant; nothing was sent.
    - `AuthError`, `AccessDenied`: credentials, a role or an authorisation.
    - `DecodeError`: an answer is not the schema; it names the order and has the bytes.
    - another `RequestError`: the call failed, after as many attempts as made sense.
    """

    # https://developer-docs.amazon.com/sp-api/docs/vendor-retail-procurement-orders-api-v1-reference

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def __repr__(self) -> str:
        return f"<Retail {self._caller.account.name}>"

    async def get_purchase_orders(
        self,
        *,
        limit: int | None = None,
        created_after: datetime | None = None,
        created_before: datetime | None = None,
        sort_order: SortOrder | str | None = None,
        next_token: str | None = None,
        include_details: bool | None = None,
        changed_after: datetime | None = None,
        changed_before: datetime | None = None,
        po_item_state: PoItemState | str | None = None,
        is_po_changed: bool | None = None,
        purchase_order_state: PurchaseOrderState | str | None = None,
        ordering_vendor_code: str | None = None,
    ) -> GetPurchaseOrdersResponse:
        """Return one page of at most 100 orders of at most 7 days.

            page = await client.retail.get_purchase_orders(created_after=a, created_before=b)
            page.payload.orders[0].purchase_order_number
            page.payload.pagination          # None on the last page, else it has next_token

        A *next_token* is sent together with all parameters of the first page, and a page
        may be empty and still have one: `iter_purchase_orders` does all that by itself.
        An order that Amazon never changed does not match *changed_after*. Without
        *include_details* (it is true by default) an order has only number and state.
        """
        question = GetPurchaseOrders(
            limit=limit,
            created_after=created_after,
            created_before=created_before,
            sort_order=sort_order,
            next_token=next_token,
            include_details=include_details,
            changed_after=changed_after,
            changed_before=changed_before,
            po_item_state=po_item_state,
            is_po_changed=is_po_changed,
            purchase_order_state=purchase_order_state,
            ordering_vendor_code=ordering_vendor_code,
        )
        call = Call(GET_PURCHASE_ORDERS, question)
        pagination, orders = await page_of(self._caller, call)
        return GetPurchaseOrdersResponse(
            payload=OrderList(pagination=pagination, orders=orders)
        )

    async def get_purchase_order(self, purchase_order_number: str) -> GetPurchaseOrderResponse:
        """Return one order by its number.

            order = (await client.retail.get_purchase_order("L8266355")).payload
            order.order_details.items[0].ordered_quantity

        The result is Amazon's response, as that of every operation; its payload is the
        order. An unknown number is `NotFound`.
        """
        question = GetPurchaseOrder(purchase_order_number=purchase_order_number)
        call = Call(GET_PURCHASE_ORDER, question)
        return GetPurchaseOrderResponse(
            payload=await order_of(self._caller, call, purchase_order_number)
        )

    async def get_purchase_orders_status(
        self,
        *,
        limit: int | None = None,
        sort_order: SortOrder | str | None = None,
        next_token: str | None = None,
        created_after: datetime | None = None,
        created_before: datetime | None = None,
        updated_after: datetime | None = None,
        updated_before: datetime | None = None,
        purchase_order_number: str | None = None,
        purchase_order_status: PurchaseOrderStatus | str | None = None,
        item_confirmation_status: ConfirmationStatus | str | None = None,
        item_receive_status: ReceiveStatus | str | None = None,
        ordering_vendor_code: str | None = None,
        ship_to_party_id: str | None = None,
    ) -> GetPurchaseOrdersStatusResponse:
        """Return one page of at most 100 statuses of at most 7 days.

            page = await client.retail.get_purchase_orders_status(
                updated_after=a, updated_before=b, purchase_order_status="OPEN"
            )
            page.payload.orders_status[0].item_status[0].receiving_status

        A *next_token* is sent together with all parameters of the first page, and a page
        may be empty and still have one: `iter_purchase_orders_status` does all that.
        """
        question = GetPurchaseOrdersStatus(
            limit=limit,
            sort_order=sort_order,
            next_token=next_token,
            created_after=created_after,
            created_before=created_before,
            updated_after=updated_after,
            updated_before=updated_before,
            purchase_order_number=purchase_order_number,
            purchase_order_status=purchase_order_status,
            item_confirmation_status=item_confirmation_status,
            item_receive_status=item_receive_status,
            ordering_vendor_code=ordering_vendor_code,
            ship_to_party_id=ship_to_party_id,
        )
        call = Call(GET_PURCHASE_ORDERS_STATUS, question)
        pagination, statuses = await page_of(self._caller, call)
        return GetPurchaseOrdersStatusResponse(
            payload=OrderListStatus(pagination=pagination, orders_status=statuses)
        )

    async def submit_acknowledgement(
        self, request: SubmitAcknowledgementRequest
    ) -> SubmitAcknowledgementResponse:
        """Submit acknowledgements as they are, and return Amazon's transaction.

            answer = await client.retail.submit_acknowledgement(request)
            answer.payload.transaction_id       # for client.transactions.get_transaction

        It is sent again by itself only when Amazon certainly did not take it. A
        `ServerError`, a `DecodeError`, and a `TransportError` whose ``sent`` is true leave
        open whether Amazon did.
        """
        check_submission(request, _STRICT, "acknowledgements")
        return (await self._caller.send(Call(SUBMIT_ACKNOWLEDGEMENT, request))).content

    def iter_purchase_orders(
        self,
        *,
        created_after: datetime | None = None,
        created_before: datetime | None = None,
        changed_after: datetime | None = None,
        changed_before: datetime | None = None,
        include_details: bool | None = None,
        po_item_state: PoItemState | str | None = None,
        is_po_changed: bool | None = None,
        purchase_order_state: PurchaseOrderState | str | None = None,
        ordering_vendor_code: str | None = None,
        on_undecodable: OnUndecodable | None = None,
    ) -> AsyncGenerator[Order, None]:
        """Iterate over all orders of a range of any length.

            async for order in client.retail.iter_purchase_orders(created_after=since):
                ...

        Bounds are either *created_after* or *changed_after*, and the *before* of the same
        name, which is two minutes ago unless it is given. Windows of at most 7 days are
        read oldest first, their pages in Amazon's order, and a few pages are held at a
        time. An order on the seam of two windows comes once; one that changes in the
        meantime may come again. Windows that Amazon no longer serves are logged and
        skipped; when the last one is refused as well, that is a `BadRequest`.

        It may be left at any moment. After a ``break`` what was sent ahead is cancelled
        in the loop's next turns, at the latest when the client is closed.

        With *on_undecodable*, an order that is not the schema does not end the iteration:
        the function gets the `DecodeError`. When it is a whole page, its error names no
        order, and what follows it in its window is skipped with it.
        """
        asks = partial(
            GetPurchaseOrders,
            include_details=include_details,
            po_item_state=po_item_state,
            is_po_changed=is_po_changed,
            purchase_order_state=purchase_order_state,
            ordering_vendor_code=ordering_vendor_code,
        )
        bounds = {
            "created": (created_after, created_before),
            "changed": (changed_after, changed_before),
        }
        wanted = reading(GET_PURCHASE_ORDERS, asks, bounds, now=self._caller.now())
        return rows(self._caller, wanted, on_undecodable)

    def iter_purchase_orders_status(
        self,
        *,
        created_after: datetime | None = None,
        created_before: datetime | None = None,
        updated_after: datetime | None = None,
        updated_before: datetime | None = None,
        purchase_order_number: str | None = None,
        purchase_order_status: PurchaseOrderStatus | str | None = None,
        item_confirmation_status: ConfirmationStatus | str | None = None,
        item_receive_status: ReceiveStatus | str | None = None,
        ordering_vendor_code: str | None = None,
        ship_to_party_id: str | None = None,
        on_undecodable: OnUndecodable | None = None,
    ) -> AsyncGenerator[OrderStatus, None]:
        """Iterate over all statuses of a range of any length.

            async for status in client.retail.iter_purchase_orders_status(
                updated_after=since, purchase_order_status="OPEN"
            ):
                ...

        Bounds are either *created_after* or *updated_after*; for all else see
        `iter_purchase_orders`.
        """
        asks = partial(
            GetPurchaseOrdersStatus,
            purchase_order_number=purchase_order_number,
            purchase_order_status=purchase_order_status,
            item_confirmation_status=item_confirmation_status,
            item_receive_status=item_receive_status,
            ordering_vendor_code=ordering_vendor_code,
            ship_to_party_id=ship_to_party_id,
        )
        bounds = {
            "created": (created_after, created_before),
            "updated": (updated_after, updated_before),
        }
        wanted = reading(GET_PURCHASE_ORDERS_STATUS, asks, bounds, now=self._caller.now())
        return rows(self._caller, wanted, on_undecodable)
