"""Pages of orders as the models allow them, one of whose orders is something else."""

from __future__ import annotations

import random
from typing import Any, NamedTuple

from decoded import OPERATIONS
from mutations import mutate, written
from schema_answers import answers_of

from vendororders_async.models import direct_fulfillment
from vendororders_async.models.retail_procurement import Order, OrderStatus
from vendororders_async.pages import Page, Row


class Listed(NamedTuple):
    """An operation that answers with pages: its model, and what its rows are there and here."""

    operation: str
    model: str
    definition: str
    kind: type[Row]
    is_enveloped: bool = True

    @property
    def field(self) -> str:
        """What the list is called."""
        return "ordersStatus" if self.kind is OrderStatus else "orders"

    @property
    def api(self) -> str:
        """What a ledger calls the API."""
        return "direct_fulfillment" if self.kind is direct_fulfillment.Order else "retail"


LISTED = (
    Listed("getPurchaseOrders", "vendorOrders.json", "Order", Order),
    Listed("getPurchaseOrdersStatus", "vendorOrders.json", "OrderStatus", OrderStatus),
    Listed(
        "getOrders-v1",
        "vendorDirectFulfillmentOrdersV1.json",
        "Order",
        direct_fulfillment.Order,
    ),
    Listed(
        "getOrders-2021-12-28",
        "vendorDirectFulfillmentOrders_2021-12-28.json",
        "Order",
        direct_fulfillment.Order,
        is_enveloped=False,
    ),
)


class Drifted(NamedTuple):
    """A page, row by row as it is sent; the one at *place* is not what it was."""

    listed: Listed
    rows: tuple[bytes, ...]
    place: int
    what: str
    token: str | None
    # what that one was an hour before; the others were the same
    first: bytes

    @property
    def odd(self) -> bytes:
        """The row that something happened to."""
        return self.rows[self.place]

    @property
    def others(self) -> list[bytes]:
        """The rows that nothing happened to."""
        return [*self.rows[: self.place], *self.rows[self.place + 1 :]]

    @property
    def earlier(self) -> Drifted:
        """The page of an hour before."""
        rows = (*self.rows[: self.place], self.first, *self.rows[self.place + 1 :])
        return self._replace(rows=rows, what="nothing")

    @property
    def body(self) -> bytes:
        """The answer."""
        page = b'{"%s":[%s]' % (self.listed.field.encode(), b",".join(self.rows))
        page += b',"pagination":%s}' % written({"nextToken": self.token} if self.token else {})
        return b'{"payload":%s}' % page if self.listed.is_enveloped else page

    def decoded(self) -> Page[Row]:
        """Return what is read of it."""
        found: Page[Row] = OPERATIONS[self.listed.operation].decode(self.body)
        return found


def drifted(listed: Listed, name: str, chance: random.Random) -> Drifted:
    """Return a page whose orders are numbered from *name* on, and one of which drifted."""
    trees = [_order(listed, f"{name}-{place}", chance) for place in range(3)]
    place = chance.randrange(len(trees))
    changed = (
        trees[place] if chance.random() < 0.5 else _order(listed, f"{name}-{place}", chance)
    )
    odd = mutate(changed, chance)
    rows = [written(one) for one in trees]
    first, rows[place] = rows[place], odd.written
    token = chance.choice((None, "t==", "é\n\"'"))
    return Drifted(listed, tuple(rows), place, odd.what, token, first)


def _order(listed: Listed, number: str, chance: random.Random) -> dict[str, Any]:
    found: dict[str, Any] = answers_of(listed.model).definition(listed.definition, chance)
    return found | {"purchaseOrderNumber": number}
