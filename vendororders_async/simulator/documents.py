"""Orders and their statuses as JSON documents, written from sketches when first needed."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec

from .markets import MARKETS, Market
from .quantities import odd_quantities
from .seeds import seeded
from .timeline import DAY, HOUR, SECOND, Sketch, write_instant

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from .cache import ByteCache

Document = dict[str, Any]

#: Reads a document so that an amount such as 11.20, as a number, is written as it was.
read_document: Callable[[bytes], Document] = msgspec.json.Decoder(
    float_hook=lambda text: msgspec.Raw(text.encode())
).decode

#: The forms in which a retail order is written.
ORDER, STATUS = "order", "status"

_PRODUCTS = 400
_STRIDES = (3, 7, 11, 17, 23, 77, 129, 171)
_LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_IN_CASES = 0.3
_SPLIT_CONFIRMATION = 0.12  # of acknowledged orders: one line is not wholly accepted
_WITH_DEAL = 0.06
_COLLECT = 0.5  # Amazon pays the freight: a ship window instead of a delivery window
_PARTLY_RECEIVED = 0.25  # of acknowledged orders
_TYPES = ("RegularOrder",) * 12 + ("ConsignedOrder", "NewProductIntroduction", "RushOrder")
_PAYMENTS = ("Invoice",) * 9 + ("Consignment", "CreditCard", "Prepaid")
_TERMS = ("FreeOnBoard", "ExWorks", "DeliverDutyPaid", "FreeCarrier")
_METHODS = ("PaidByBuyer", "CollectOnDelivery", "FOBPortOfCall", "PrepaidBySeller")
_PORTS = ("Port of Example", "Göteborg-Testhamn", "見本港")


class Price(msgspec.Struct, frozen=True):
    """An amount of money, in the three ways in which it can be found in an order."""

    usual: msgspec.Raw
    as_number: msgspec.Raw
    by_weight: msgspec.Raw

    def written(self, oddity: str) -> msgspec.Raw:
        """Return the way that an order with *oddity* has it."""
        if oddity == "json-number":
            return self.as_number
        return self.by_weight if oddity == "weight" else self.usual


class Product(msgspec.Struct, frozen=True):
    """One article of a vendor's catalogue; its prices are written already."""

    asin: str
    vendor_id: str
    net_cost: Price
    list_price: Price
    case_size: int


class Line(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One line of an order, and how far it has come."""

    product: Product
    unit: str
    case_size: int
    first_ordered: int
    ordered: int
    accepted: int
    rejected: int
    received: int
    confirmation: str
    receipt: str
    allows_backorder: bool

    def quantity(self, amount: int) -> msgspec.Raw:
        """Return *amount* in the line's unit."""
        return _quantity(amount, self.unit, self.case_size)


class Writer:
    """Writes the documents of one account; the same sketch always gives the same bytes."""

    def __init__(
        self, *, seed: int, account: str, position: int, cache: ByteCache[bytes]
    ) -> None:
        self._cache = cache
        self._account = account
        self._seed = f"{seed}/{account}"
        self._market = MARKETS[position % len(MARKETS)]
        self.vendor_codes = tuple(f"V{position:03d}{letter}" for letter in "ABC")
        self._sellers = [self._market.seller(code) for code in self.vendor_codes]
        self._catalogue = _catalogue(seeded(self._seed, "catalogue"), self._market)

    def warehouse_code(self, sketch: Sketch) -> str:
        """Return where the order of *sketch* goes to."""
        return str(self._warehouse(sketch)["partyId"])

    def written(self, sketch: Sketch, form: str) -> bytes:
        """Return the order or its status as the lists have it: *form* says which."""
        key = (self._account, form, sketch.index)
        document = self._cache.get(key)
        if document is None:
            document = self._order(sketch) if form == ORDER else self._status(sketch)
            self._cache.put(key, document, len(document))
        return document

    def _order(self, sketch: Sketch) -> bytes:
        random = seeded(self._seed, sketch.index)
        lines = self._lines(random, sketch)
        details: Document = {"purchaseOrderDate": self._date(sketch, sketch.placed)}
        if sketch.changed is not None:
            details["purchaseOrderChangedDate"] = self._date(sketch, sketch.changed)
        is_bare = sketch.oddity == "bare"
        if not is_bare:
            details["purchaseOrderStateChangedDate"] = self._date(sketch, sketch.state_changed)
        details["purchaseOrderType"] = random.choice(_TYPES)
        if sketch.oddity == "new-type":
            details["purchaseOrderType"] = "SeasonalPreOrder"
        if sketch.is_imported:
            details["importDetails"] = _import_details(random)
        if random.random() < _WITH_DEAL:
            details["dealCode"] = f"DEAL{random.randrange(100):02d}"
        details["paymentMethod"] = random.choice(_PAYMENTS)
        if sketch.oddity == "new-payment":
            details["paymentMethod"] = "InvoiceByAmazon"
        warehouse = self._warehouse(sketch)
        details["buyingParty"] = {"partyId": warehouse["partyId"]}
        details["sellingParty"] = self._sellers[sketch.vendor]
        details["shipToParty"] = warehouse
        details["billToParty"] = {"partyId": warehouse["partyId"]}
        if not is_bare:
            name = "shipWindow" if random.random() < _COLLECT else "deliveryWindow"
            details[name] = _time_frame(random, sketch)
        details["items"] = [
            self._item(position, line, sketch) for position, line in enumerate(lines, 1)
        ]
        order: Document = {"purchaseOrderNumber": sketch.number}
        if not is_bare:
            order["purchaseOrderState"] = sketch.state
        order["orderDetails"] = details
        return msgspec.json.encode(order)

    def _status(self, sketch: Sketch) -> bytes:
        lines = self._lines(seeded(self._seed, sketch.index), sketch)
        return msgspec.json.encode(
            {
                "purchaseOrderNumber": sketch.number,
                "purchaseOrderStatus": "CLOSED" if sketch.state == "Closed" else "OPEN",
                "purchaseOrderDate": self._date(sketch, sketch.placed),
                "lastUpdatedDate": self._date(sketch, sketch.updated),
                "sellingParty": self._sellers[sketch.vendor],
                "shipToParty": self._warehouse(sketch),
                "itemStatus": [
                    self._item_status(position, line, sketch)
                    for position, line in enumerate(lines, 1)
                ],
            }
        )

    def _warehouse(self, sketch: Sketch) -> Document:
        return self._market.warehouses[sketch.warehouse % len(self._market.warehouses)]

    def _date(self, sketch: Sketch, moment: int) -> str:
        return write_instant(moment, has_zone=sketch.has_zone)

    def _lines(self, random: Random, sketch: Sketch) -> list[Line]:
        # a stride that shares no factor with the catalogue's 400 meets no product twice
        first_product, stride = random.randrange(_PRODUCTS), random.choice(_STRIDES)
        products = [
            self._catalogue[(first_product + position * stride) % _PRODUCTS]
            for position in range(sketch.line_count)
        ]
        in_cases = random.random() < _IN_CASES
        split = sketch.state != "New" and random.random() < _SPLIT_CONFIRMATION
        partly = sketch.state == "Acknowledged" and random.random() < _PARTLY_RECEIVED
        unit = "Cases" if in_cases else "Eaches"
        if sketch.oddity == "spelling":
            unit = "CASES" if in_cases else "EACH"
        lines = []
        for position, product in enumerate(products):
            first = int(1 + 12 * random.random()) * (1 if in_cases else product.case_size)
            ordered = 0 if position < sketch.cancelled_count else first
            if sketch.oddity == "negative" and position == 0:
                ordered = -3
            asked = max(ordered, 0)
            accepted, rejected, confirmation = 0, 0, "UNCONFIRMED"
            if sketch.state != "New":
                rejected = random.randint(1, asked) if split and position == 0 and asked else 0
                accepted = asked - rejected
                confirmation = _confirmation(accepted, rejected)
            received = accepted if sketch.state == "Closed" else 0
            if partly:
                received = accepted // 2
            lines.append(
                Line(
                    product=product,
                    unit=unit,
                    case_size=product.case_size if in_cases else 1,
                    first_ordered=first,
                    ordered=ordered,
                    accepted=accepted,
                    rejected=rejected,
                    received=received,
                    confirmation=confirmation,
                    receipt=receipt(received, accepted),
                    allows_backorder=position % 3 == 0,
                )
            )
        return lines

    def _item(self, position: int, line: Line, sketch: Sketch) -> Document:
        item: Document = {
            "itemSequenceNumber": _sequence(position, sketch),
            "amazonProductIdentifier": line.product.asin,
            "vendorProductIdentifier": line.product.vendor_id,
            "orderedQuantity": line.quantity(line.ordered),
            "isBackOrderAllowed": line.allows_backorder,
            "netCost": line.product.net_cost.written(sketch.oddity),
        }
        if sketch.oddity != "bare":
            item["listPrice"] = line.product.list_price.written(sketch.oddity)
        return item

    def _item_status(self, position: int, line: Line, sketch: Sketch) -> Document:
        details = [
            {
                "updatedDate": self._date(sketch, sketch.placed),
                "orderedQuantity": line.quantity(line.first_ordered),
            }
        ]
        if line.ordered == 0:
            details.append(
                {
                    "updatedDate": self._date(sketch, sketch.updated),
                    "cancelledQuantity": line.quantity(line.first_ordered),
                }
            )
        status: Document = {
            "itemSequenceNumber": _sequence(position, sketch),
            "buyerProductIdentifier": line.product.asin,
            "vendorProductIdentifier": line.product.vendor_id,
            "netCost": line.product.net_cost.written(sketch.oddity),
            "orderedQuantity": {
                "orderedQuantity": line.quantity(line.ordered),
                "orderedQuantityDetails": details,
            },
            "acknowledgementStatus": {"confirmationStatus": line.confirmation},
        }
        if line.confirmation != "UNCONFIRMED":
            amounts = {
                "acceptedQuantity": line.quantity(line.accepted),
                "rejectedQuantity": line.quantity(line.rejected),
            }
            since = min(sketch.state_changed, sketch.available + DAY)
            status["acknowledgementStatus"] |= amounts | {
                "acknowledgementStatusDetails": [
                    {"acknowledgementDate": self._date(sketch, since), **amounts}
                ]
            }
        if sketch.oddity != "no-receiving":
            receiving: Document = {
                "receiveStatus": line.receipt,
                "receivedQuantity": line.quantity(line.received),
            }
            if line.received:
                receiving["lastReceiveDate"] = self._date(sketch, sketch.updated)
            status["receivingStatus"] = receiving
        return odd_quantities(status, sketch.oddity, line.product.case_size)


def _catalogue(random: Random, market: Market) -> list[Product]:
    def code(length: int) -> str:
        return "".join(random.choices(_LETTERS, k=length))

    products = []
    for position in range(_PRODUCTS):
        # around 11.00, and ending in a zero that a client must not lose
        cost = round(random.lognormvariate(7, 1) / 10 + 1) * 10
        products.append(
            Product(
                asin=f"B0{code(8)}",
                # some vendors use their own names, with whatever letters these have
                vendor_id=f"ÄRT-{code(5)}"
                if position % 40 == 0
                else f"{code(4)}-{position:05d}",
                net_cost=_price(cost, market),
                list_price=_price(cost * 3 // 2, market),
                case_size=random.choice((4, 6, 8, 10, 12, 24)),
            )
        )
    return products


def _price(amount: int, market: Market) -> Price:
    """Return *amount* of the currency's smallest unit."""
    whole, rest = divmod(amount, 10**market.decimals)
    text = f"{whole}.{rest:0{market.decimals}d}" if market.decimals else f"{whole}"
    usual = {"currencyCode": market.currency, "amount": text}
    as_number = usual | {"amount": msgspec.Raw(text.encode())}
    by_weight = usual | {"unitOfMeasure": "POUNDS"}
    return Price(_raw(usual), _raw(as_number), _raw(by_weight))


def _raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))


@lru_cache(maxsize=65536)
def _quantity(amount: int, unit: str, case_size: int) -> msgspec.Raw:
    return _raw({"amount": amount, "unitOfMeasure": unit, "unitSize": case_size})


def _sequence(position: int, sketch: Sketch) -> str:
    return f"{position:05d}" if sketch.oddity == "zeros" else str(position)


def _confirmation(accepted: int, rejected: int) -> str:
    if not rejected:
        return "ACCEPTED"
    return "PARTIALLY_ACCEPTED" if accepted else "REJECTED"


def receipt(received: int, accepted: int) -> str:
    """Return how much of what was accepted has arrived, in Amazon's word."""
    if not received:
        return "NOT_RECEIVED"
    return "RECEIVED" if received >= accepted else "PARTIALLY_RECEIVED"


def _import_details(random: Random) -> Document:
    return {
        "methodOfPayment": random.choice(_METHODS),
        "internationalCommercialTerms": random.choice(_TERMS),
        "portOfDelivery": random.choice(_PORTS),
        "importContainers": "2-20'HC,1-45',1-45'HC",
        "shippingInstructions": "Pallets preferred; floor-loaded containers need a notice.",
    }


def _time_frame(random: Random, sketch: Sketch) -> str:
    """Return the days in which the goods are expected, as ``start--end``."""
    start = (sketch.placed // DAY + random.randint(1, 5)) * DAY + 7 * HOUR
    end = start + random.randint(0, 9) * DAY
    return f"{write_instant(start // SECOND * SECOND)}--{write_instant(end)}"
