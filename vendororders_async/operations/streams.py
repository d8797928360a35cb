"""Streams: operations that can be read in bulk, and the APIs that they belong to.

>>> api_named("direct-fulfillment", "2021-12-28")
<Api direct_fulfillment 2021-12-28>
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import msgspec

from ..errors import InvalidArgument
from ..models import direct_fulfillment
from ..models.retail_procurement import Order, OrderStatus
from ..pages import Document, Page, Row
from ..windows import Window
from .base import (
    DIRECT_FULFILLMENT_API,
    LARGEST_PAGE,
    RETAIL_API,
    Call,
    Operation,
    Parameters,
)
from .direct_fulfillment import (
    DIRECT_FULFILLMENT,
    DirectFulfillmentOperations,
    GetOrder,
    GetOrders,
    direct_fulfillment_named,
)
from .retail import (
    GET_PURCHASE_ORDER,
    GET_PURCHASE_ORDERS,
    GET_PURCHASE_ORDERS_STATUS,
    GetPurchaseOrder,
    GetPurchaseOrders,
    GetPurchaseOrdersStatus,
)


class Stream(msgspec.Struct, frozen=True):
    """An operation that can be read in bulk, with the pair of parameters that bounds it.

    *asks* makes its question, *row* is what its pages hold, *own_date* is the date of a row
    that the bounds go by, as far as Amazon says.
    *is_sortable* says that Amazon can sort by that date.
    """

    name: str
    operation: Operation[Page[Row]]
    asks: Callable[..., Parameters]
    row: type[Row]
    bounds: str
    own_date: Callable[[Row], datetime | None]
    is_sortable: bool = False

    def __repr__(self) -> str:
        return f"<Stream {self.name}>"

    @property
    def has_details(self) -> bool:
        """Whether its rows can be listed by number, and asked for one by one."""
        return self.row is not OrderStatus

    def call(
        self,
        window: Window,
        next_token: str | None = None,
        *,
        numbers_only: bool = False,
        limit: int = LARGEST_PAGE,
        ascending: bool = False,
    ) -> Call[Page[Row]]:
        """Ask for a page of *window*, which is sent as it is.

        A next token does not stand alone: Amazon wants all other parameters repeated. With
        *numbers_only* an order comes as its number and state, without details. *ascending*
        asks for the oldest first; whether Amazon heeds it is another matter.
        """
        given: dict[str, Any] = {
            f"{self.bounds}_after": window.after,
            f"{self.bounds}_before": window.before,
        }
        if numbers_only and self.has_details:
            given["include_details"] = False
        if ascending:
            given["sort_order"] = "ASC"
        return Call(self.operation, self.asks(limit=limit, next_token=next_token, **given))


class Api(msgspec.Struct, frozen=True):
    """One of the two order APIs, as far as reading orders goes.

    *name* is what tables call it, *detail* the operation that answers with one order, which
    is *order*; *roles* are those that an application needs at Amazon, in words.
    """

    name: str
    version: str
    streams: Mapping[str, Stream]
    order: type[Row]
    detail: Operation[Document[Row]]
    asks_detail: Callable[..., Parameters]
    roles: str

    def __repr__(self) -> str:
        return f"<Api {self.name} {self.version}>"

    def detail_call(self, purchase_order_number: str) -> Call[Document[Row]]:
        """Ask for one order."""
        question = self.asks_detail(purchase_order_number=purchase_order_number)
        return Call(self.detail, question)


def _created(row: Row) -> datetime | None:
    match row:
        case OrderStatus():
            return row.purchase_order_date
        case Order():
            return row.order_details.purchase_order_date if row.order_details else None
        case _:
            return row.order_details.order_date if row.order_details else None


def _changed(row: Row) -> datetime | None:
    details = row.order_details if isinstance(row, Order) else None
    return details.purchase_order_changed_date if details else None


def _updated(row: Row) -> datetime | None:
    return row.last_updated_date if isinstance(row, OrderStatus) else None


def _by_name(*streams: Stream) -> Mapping[str, Stream]:
    return {stream.name: stream for stream in streams}


# An order that Amazon never changed does not match the changed filter (airbyte#46308), and
# neither filter sees a move between states: all three together see everything.
# "Sort in ascending or descending order by purchase order creation date."
# https://developer-docs.amazon.com/sp-api/reference/getpurchaseorders
CREATED = Stream(
    "created",
    GET_PURCHASE_ORDERS,
    GetPurchaseOrders,
    Order,
    "created",
    _created,
    is_sortable=True,
)
CHANGED = Stream("changed", GET_PURCHASE_ORDERS, GetPurchaseOrders, Order, "changed", _changed)
STATUSES = Stream(
    "statuses",
    GET_PURCHASE_ORDERS_STATUS,
    GetPurchaseOrdersStatus,
    OrderStatus,
    "updated",
    _updated,
)
RETAIL = Api(
    RETAIL_API,
    "v1",
    _by_name(CREATED, CHANGED, STATUSES),
    Order,
    GET_PURCHASE_ORDER,
    GetPurchaseOrder,
    # https://developer-docs.amazon.com/sp-api/docs/vendor-retail-procurement-orders-api
    '"Inventory and Order Tracking" or "Amazon Fulfillment"',
)


def _direct_fulfillment(operations: DirectFulfillmentOperations) -> Api:
    created = Stream(
        "created",
        operations.get_orders,
        GetOrders,
        direct_fulfillment.Order,
        "created",
        _created,
        is_sortable=True,
    )
    return Api(
        DIRECT_FULFILLMENT_API,
        operations.version,
        _by_name(created),
        direct_fulfillment.Order,
        operations.get_order,
        GetOrder,
        # https://developer-docs.amazon.com/sp-api/docs/get-a-list-of-orders
        '"Direct-to-Consumer Shipping (Restricted)"',
    )


_DIRECT_FULFILLMENT = {
    version: _direct_fulfillment(operations)
    for version, operations in DIRECT_FULFILLMENT.items()
}
API_NAMES = (RETAIL_API, DIRECT_FULFILLMENT_API.replace("_", "-"))


def api_named(name: str, version: str = "v1") -> Api:
    """Return the API called *name*: ``retail`` or ``direct-fulfillment``.

    *version* is that of Direct Fulfillment, ``v1`` or ``2021-12-28``.

    Raises:
        InvalidArgument: there is no such API or version.
    """
    version = direct_fulfillment_named(version).version
    match name.replace("-", "_"):
        case "retail":
            return RETAIL
        case "direct_fulfillment":
            return _DIRECT_FULFILLMENT[version]
        case _:
            raise InvalidArgument(f"an API is {' or '.join(API_NAMES)}, not {name!r}")


def stream_named(api: str, name: str) -> Stream | None:
    """Return the stream *name* of the API that tables call *api*; None if there is none.

    Of whatever version: both have the same rows.
    """
    found = {RETAIL_API: RETAIL, DIRECT_FULFILLMENT_API: _DIRECT_FULFILLMENT["v1"]}.get(api)
    return found.streams.get(name) if found else None
