"""What happens to orders at Amazon, as a test has it happen: they arrive, change, and close."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import count
from typing import Any

import msgspec
from shop import an_order as a_customers_order

from vendororders_async.clock import format_wire
from vendororders_async.errors import InvalidArgument
from vendororders_async.jobs.rereads import FINAL_STATES
from vendororders_async.operations import RETAIL_API
from vendororders_async.simulator import Simulator

Document = dict[str, Any]


class AmazonsSide:
    """The orders of one API in a *simulator*, and what becomes of those of its first account.

    *visible_at* says of what arrived here since when it can be seen; what is among *late*
    was placed before that.
    """

    def __init__(self, simulator: Simulator, api: str) -> None:
        self.simulator = simulator
        self.account = simulator.accounts[0].name
        self.visible_at: dict[str, datetime] = {}
        self.late: set[str] = set()
        self._is_retail = api == RETAIL_API
        self._numbers = count(1)

    def truth(
        self,
        account: str,
        *,
        after: datetime | None = None,
        before: datetime | None = None,
    ) -> Mapping[str, bytes]:
        """Return the orders that *account* can be served."""
        if self._is_retail:
            return self.simulator.truth(account, after=after, before=before)
        return self.simulator.direct_fulfillment_truth(account, after=after, before=before)

    def statuses(self, account: str) -> Mapping[str, bytes]:
        """Return their statuses; orders for customers have none."""
        return self.simulator.status_truth(account) if self._is_retail else {}

    def numbers(self) -> list[str]:
        """Return the numbers of the orders that there are."""
        return sorted(self.truth(self.account))

    def arrive(self, *, late: timedelta = timedelta()) -> str:
        """Publish a new order, which was placed so long ago as it is *late*."""
        number = f"N{next(self._numbers):07}"
        self.visible_at[number] = now = self.simulator.now()
        placed_at = now - late
        if late:
            self.late.add(number)
        if self._is_retail:
            order = an_order(number, placed_at)
            self.simulator.put_order(self.account, order, available_at=placed_at)
        else:
            order = a_customers_order(number, placed_at)
            self.simulator.put_direct_fulfillment_order(
                self.account, order, available_at=placed_at
            )
        return number

    def change(self, number: str) -> None:
        """Order another quantity of the first line."""

        def edit(order: Document) -> None:
            order["orderDetails"]["items"][0]["orderedQuantity"] = self._quantity()

        if self._is_retail:
            self.simulator.change_order(self.account, number, edit)
        else:
            self._change(number, edit)

    def acknowledge(self, number: str) -> None:
        """Have it acknowledged by somebody else, if it still can be."""
        if self._is_retail:
            with suppress(InvalidArgument):
                self.simulator.acknowledge(self.account, number)
        else:
            self._move(number, "ACCEPTED")

    def receive(self, number: str) -> None:
        """Receive some of its first line, of which only its status tells."""

        def edit(_order: Document, status: Document) -> None:
            status["itemStatus"][0]["receivingStatus"] = {
                "receiveStatus": "PARTIALLY_RECEIVED",
                "receivedQuantity": self._quantity(),
            }

        self._edit(number, edit)

    def close(self, number: str) -> None:
        """Close it, or ship it: no date of a change tells of that."""

        def edit(order: Document, status: Document) -> None:
            order["purchaseOrderState"] = "Closed"
            now = format_wire(self.simulator.now())
            order["orderDetails"]["purchaseOrderStateChangedDate"] = now
            status["purchaseOrderStatus"] = "CLOSED"

        if self._is_retail:
            self._edit(number, edit)
        else:
            self._move(number, "SHIPPED")

    def cancel(self, number: str) -> None:
        """Cancel it, which no date tells of; of a retail order it is the lines."""

        def edit(order: Document) -> None:
            for item in order["orderDetails"]["items"]:
                item["orderedQuantity"]["amount"] = 0

        if self._is_retail:
            self.simulator.change_order(self.account, number, edit)
        else:
            self._move(number, "CANCELLED")

    def _quantity(self) -> Document:
        """Return a quantity that there was not before."""
        return {"amount": next(self._numbers), "unitOfMeasure": "Eaches", "unitSize": 1}

    def _move(self, number: str, state: str) -> None:
        def edit(order: Document) -> None:
            order["orderDetails"]["orderStatus"] = state

        self._change(number, edit)

    def _change(self, number: str, edit: Callable[[Document], None]) -> None:
        """Change an order for a customer, unless it has shipped or been cancelled."""
        order = msgspec.json.decode(self.truth(self.account)[number])
        if order["orderDetails"]["orderStatus"] not in FINAL_STATES:
            self.simulator.change_direct_fulfillment_order(self.account, number, edit)

    def _edit(self, number: str, edit: Callable[[Document, Document], None]) -> None:
        if not self._is_retail:
            return
        order = msgspec.json.decode(self.simulator.truth(self.account)[number])
        status = msgspec.json.decode(self.simulator.status_truth(self.account)[number])
        edit(order, status)
        status["lastUpdatedDate"] = format_wire(self.simulator.now())
        self.simulator.put_order(self.account, order, status=status)


def an_order(number: str, placed_at: datetime) -> dict[str, Any]:
    """Return a new retail order of two lines."""
    placed = format_wire(placed_at)
    party = {"partyId": "ABCDE"}
    return {
        "purchaseOrderNumber": number,
        "purchaseOrderState": "New",
        "orderDetails": {
            "purchaseOrderDate": placed,
            "purchaseOrderStateChangedDate": placed,
            "purchaseOrderType": "RegularOrder",
            "paymentMethod": "Invoice",
            "buyingParty": party,
            "sellingParty": party,
            "shipToParty": party,
            "billToParty": party,
            "items": [
                {
                    "itemSequenceNumber": str(position),
                    "amazonProductIdentifier": f"B0{position:08}",
                    "vendorProductIdentifier": f"V-{position}",
                    "orderedQuantity": {
                        "amount": 4,
                        "unitOfMeasure": "Eaches",
                        "unitSize": 1,
                    },
                    "isBackOrderAllowed": False,
                    "netCost": {"currencyCode": "EUR", "amount": "1.10"},
                }
                for position in (1, 2)
            ],
        },
    }
