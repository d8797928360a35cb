"""Direct Fulfillment orders: when they are placed, and as the documents of both versions."""

from __future__ import annotations

import base64
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from ..clock import parse_instant
from ..errors import InvalidArgument
from .calls import V1, V2021
from .markets import MARKETS
from .people import Person, person
from .seeds import seeded
from .settings import Settings, micros
from .timeline import DAY, HOUR, SECOND, order_numbers, placing_times, write_instant
from .world import Record, fixed_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime
    from random import Random

    from .cache import ByteCache

Document = dict[str, Any]

_LATE = 0.03  # became available some hours after it was placed
_CANCELLED = 0.04
_NEW_FOR, _ACCEPTED_FOR = 2.5 * DAY, 5 * DAY
_LIKE_THE_MODEL = 0.12  # of odd vendors' orders: Each, where the sandbox has EACH
_NUMBERED = 0.1  # vendorProductIdentifier as a JSON number, as the guide of 2021 shows it
_GIFT, _SCHEDULED, _CUSTOMIZED, _UNTAXED, _BILLED = 0.2, 0.12, 0.1, 0.1, 0.15
_LINES = (1, 1, 1, 1, 1, 1, 2, 2, 3)
_PEOPLE_OF_AN_ACCOUNT = 10_000_000
_METHODS = ("UPS_2ND", "UPS_GR_RES", "AMZN_US_PREM", "DHL_ÖKO_MUSTER")
_TITLES = (
    "Teekanne „Möwe“, 1,2 l, weiß",
    "Wąż ogrodowy 20 m",
    'Lamp 12" with a "vintage" shade',
    "Kafé-krus sæt à 4",
    "折りたたみ傘 ☂",
)
_THANKS = "This shipment completes your order."
_WISHES = (
    "Alles Gute, deine Canary! 🎂",
    "Joyeux anniversaire, Canary Ødegaard",
    "おめでとう Canary",
)
_ONLY_IN_2021 = "hasCustomizableItems", "buyerCustomizedInfo"


class DirectSketch(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One order in outline; times are microseconds since 1970."""

    index: int
    number: str
    placed: int
    available: int
    state: str
    vendor: int
    warehouse: int


class DirectWriter:
    """Writes the orders of one account; the same sketch always gives the same bytes."""

    def __init__(
        self, settings: Settings, account: str, position: int, *, cache: ByteCache[bytes]
    ) -> None:
        self._cache = cache
        self._account = account
        self._position = position
        self._is_odd = settings.oddities
        self._seed = f"{settings.seed}/{account}/direct-fulfillment"
        self._market = MARKETS[position % len(MARKETS)]
        sellers = [self._market.seller(f"D{position:03d}{letter}") for letter in "AB"]
        # required here, and not in retail
        address = sellers[0]["address"] | {"stateOrRegion": "Musterland"}
        self._sellers = [seller | {"address": address} for seller in sellers]
        self._warehouses = [
            {"partyId": f"W{position:03d}{letter}", "address": address} for letter in "XYZ"
        ]

    def sketches(self, settings: Settings, anchor: datetime) -> Iterator[DirectSketch]:
        """Yield the outline of every order of the history."""
        return _sketches(settings, self._seed, anchor)

    def record(self, sketch: DirectSketch) -> Record:
        """Return the record of a generated order."""
        return Record(
            number=sketch.number,
            available=sketch.available,
            changed=None,
            updated=sketch.available,
            state=sketch.state,
            is_cancelled=False,
            vendor=str(self._sellers[sketch.vendor]["partyId"]),
            warehouse=str(self._warehouses[sketch.warehouse]["partyId"]),
            text=partial(self.written, sketch),
        )

    def written(self, sketch: DirectSketch, version: str) -> bytes:
        """Return the order as that *version* serves it."""
        key = (self._account, version, sketch.index)
        document = self._cache.get(key)
        if document is None:
            document = encoded(self._order(sketch), version)
            self._cache.put(key, document, len(document))
        return document

    def _order(self, sketch: DirectSketch) -> Document:
        random = seeded(self._seed, sketch.index)
        customer = person(random, (self._position + 1) * _PEOPLE_OF_AN_ACCOUNT + sketch.index)
        is_gift, is_scheduled = random.random() < _GIFT, random.random() < _SCHEDULED
        is_customized = random.random() < _CUSTOMIZED
        is_taxed = random.random() >= _UNTAXED
        items = [
            self._item(random, position, sketch, customer)
            for position in range(1, random.choice(_LINES) + 1)
        ]
        due = (sketch.placed // DAY + random.randint(1, 3)) * DAY
        if is_gift:
            items[0]["giftDetails"] = {
                "giftMessage": random.choice(_WISHES),
                "giftWrapId": f"WRAP-{random.randrange(100):02d}",
            }
        if is_scheduled:
            items[-1]["scheduledDeliveryShipment"] = {
                "scheduledDeliveryServiceType": "SCHEDULED_ROOM_OF_CHOICE",
                "earliestNominatedDeliveryDate": write_instant(due + 2 * DAY + 8 * HOUR),
                "latestNominatedDeliveryDate": write_instant(due + 2 * DAY + 12 * HOUR),
            }
        if is_customized:
            url = f"https://customized.example/{sketch.number}.zip"
            items[0]["buyerCustomizedInfo"] = {
                "customizedUrl": base64.b64encode(url.encode()).decode()
            }
        lines = [line for item in items for line in item["taxDetails"]["taxLineItem"]]
        if not is_taxed:
            for item in items:
                del item["taxDetails"]
        return {
            "purchaseOrderNumber": sketch.number,
            "orderDetails": {
                "customerOrderNumber": f"{random.randrange(1000):03d}-"
                f"{random.randrange(10**7):07d}-{random.randrange(10**7):07d}",
                "orderDate": write_instant(sketch.placed),
                "orderStatus": sketch.state,
                "shipmentDetails": {
                    "isPriorityShipment": random.random() < _GIFT,
                    "isScheduledDeliveryShipment": is_scheduled,
                    "isPslipRequired": random.random() < _GIFT,
                    "isGift": is_gift,
                    "shipMethod": random.choice(_METHODS),
                    "shipmentDates": {
                        "requiredShipDate": write_instant(due),
                        "promisedDeliveryDate": write_instant(due + 3 * DAY),
                    },
                    "messageToCustomer": _THANKS,
                },
                **({"taxTotal": {"taxLineItem": lines}} if is_taxed else {}),
                "sellingParty": self._sellers[sketch.vendor],
                "shipFromParty": self._warehouses[sketch.warehouse],
                "shipToParty": customer.address,
                "billToParty": self._payer(random, customer),
                "hasCustomizableItems": is_customized,
                "items": items,
            },
        }

    def _item(
        self, random: Random, position: int, sketch: DirectSketch, customer: Person
    ) -> Document:
        amount, cost = random.choice((1, 1, 1, 2, 3)), random.randrange(50, 5000) * 10
        product = random.randrange(10**12, 10**13)
        unit = "EACH" if random.random() >= _LIKE_THE_MODEL and self._is_odd else "Each"
        is_number = random.random() < _NUMBERED and self._is_odd
        return {
            "itemSequenceNumber": f"{position:05d}" if sketch.index % 2 else str(position),
            "buyerProductIdentifier": f"B0{product % 10**8:08d}",
            "vendorProductIdentifier": product if is_number else str(product),
            "title": random.choice(_TITLES),
            "orderedQuantity": {"amount": amount, "unitOfMeasure": unit},
            "netPrice": self._money(cost),
            "taxDetails": {
                "taxLineItem": [
                    {
                        "taxRate": f"0.{percent:02d}",
                        "taxAmount": self._money(cost * amount * percent // 100),
                        "taxableAmount": self._money(cost * amount),
                        "type": kind,
                    }
                    for kind, percent in customer.country.taxes
                ]
            },
            "totalPrice": self._money(cost * amount),
        }

    def _payer(self, random: Random, customer: Person) -> Document:
        """Return Amazon by its code, or for some orders the customer, who has a business."""
        if random.random() >= _BILLED:
            return {"partyId": "XAMZ"}
        return {
            "partyId": "XAMZ",
            "address": customer.address,
            "taxInfo": {
                "taxRegistrationType": self._market.tax_type,
                "taxRegistrationNumber": f"{customer.country.code}000000000",
                "taxRegistrationAddress": customer.address,
                "taxRegistrationMessages": "Reverse charge – Steuerschuldnerschaft",
            },
        }

    def _money(self, amount: int) -> Document:
        whole, rest = divmod(amount, 10**self._market.decimals)
        text = f"{whole}.{rest:0{self._market.decimals}d}" if self._market.decimals else whole
        return {"currencyCode": self._market.currency, "amount": str(text)}


def new_direct_sketch(
    random: Random, _: Settings, *, index: int, number: str, placed: int
) -> DirectSketch:
    """Return the outline of an order to which nothing has happened yet."""
    return DirectSketch(
        index=index,
        number=f"D{number}",  # none of retail's, which are shorter
        placed=placed,
        available=placed,
        state="NEW",
        vendor=random.randrange(2),
        warehouse=random.randrange(3),
    )


def encoded(order: Mapping[str, Any], version: str) -> bytes:
    """Return *order* as that *version* has it: customization is new in 2021-12-28."""
    details = order.get("orderDetails")
    if version == V1 and details is not None:
        details = _without_news(details)
        if isinstance(details.get("items"), list):
            details["items"] = [_without_news(item) for item in details["items"]]
        order = {**order, "orderDetails": details}
    return msgspec.json.encode(order)


def direct_record(order: Mapping[str, Any], *, available: int | None) -> Record:
    """Return the record of a document that somebody wrote.

    Raises:
        InvalidArgument: The document has no number or no orderDate.
    """
    number, details = order.get("purchaseOrderNumber"), order.get("orderDetails") or {}
    if not isinstance(number, str) or "orderDate" not in details:
        raise InvalidArgument("an order needs a purchaseOrderNumber and an orderDate")
    placed = micros(parse_instant(details["orderDate"]))
    available = placed if available is None else available
    return Record(
        number=number,
        available=available,
        changed=None,
        updated=available,
        state=details.get("orderStatus", "NEW"),
        is_cancelled=False,
        vendor=details.get("sellingParty", {}).get("partyId", ""),
        warehouse=details.get("shipFromParty", {}).get("partyId", ""),
        text=fixed_text({version: encoded(order, version) for version in (V1, V2021)}),
    )


def _without_news(document: Mapping[str, Any]) -> Document:
    return {name: value for name, value in document.items() if name not in _ONLY_IN_2021}


def _sketches(settings: Settings, seed: str, anchor: datetime) -> Iterator[DirectSketch]:
    random = seeded(seed, "timeline")
    spread = msgspec.structs.replace(
        settings,
        orders=settings.direct_fulfillment_orders,
        peak_day=0.0,
        peak_second=0.0,
        monday_batches=0.0,
    )
    times = placing_times(random, spread, anchor)
    until = micros(anchor)
    for index, (number, placed) in enumerate(
        zip(order_numbers(random, len(times)), times, strict=True)
    ):
        available = placed
        if random.random() < _LATE:
            available = min(placed + random.randint(1, 30) * HOUR, until - SECOND)
        yield DirectSketch(
            index=index,
            number=f"D{number}",  # none of retail's, which are shorter
            placed=placed,
            available=available // SECOND * SECOND if available != placed else placed,
            state=_state(random, until - available),
            vendor=random.randrange(2),
            warehouse=random.randrange(3),
        )


def _state(random: Random, age: int) -> str:
    if random.random() < _CANCELLED:
        return "CANCELLED"
    if age < _NEW_FOR:
        return "NEW"
    return "ACCEPTED" if age < _ACCEPTED_FOR else "SHIPPED"
