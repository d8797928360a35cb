"""A Direct Fulfillment API of one shop, whose customers have names that are easy to find.

It answers the same through a fake transport and over HTTP.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from http import HTTPMethod
from urllib.parse import parse_qs, unquote, urlsplit

from aiohttp import web
from fakes import Sent
from simulated import NOW

from vendororders_async.clock import format_wire, parse_instant
from vendororders_async.transport import Answer

CANARIES = (
    *("Zaphod Canaryname", "Trillian Canaryattention", "42 Canary Street", "Canary Annexe"),
    *("Canaryville", "CANARY-POSTCODE", "+49 555 CANARY", "Happy canary birthday"),
    *("https://example.invalid/canary", "Dear canary customer", "Canary Payer", "CANARY-VAT"),
)
# Granted far above the plan, so that nobody waits
JSON = {"Content-Type": "application/json", "x-amzn-RateLimit-Limit": "500.0"}
PAGE = 20  # orders
Fault = Callable[[str, int], Answer | None]


def an_order(number: str, placed_at: datetime, **details: object) -> dict[str, object]:
    """Return an order as Amazon sends it, *details* changed."""
    name, attention, street, annexe, city, postcode, phone, gift, url, message, payer, vat = (
        CANARIES
    )
    return {
        "purchaseOrderNumber": number,
        "orderDetails": {
            "customerOrderNumber": f"111-{number}",
            "orderDate": format_wire(placed_at),
            "orderStatus": "NEW",
            "shipmentDetails": {
                "isGift": True,
                "shipMethod": "UPS_2ND",
                "shipmentDates": {"requiredShipDate": format_wire(placed_at)},
                "messageToCustomer": message,
            },
            "sellingParty": {"partyId": "VENDOR", "address": {"name": "Vendor GmbH"}},
            "shipFromParty": {"partyId": "ABCD"},
            "shipToParty": {
                "name": name,
                "attention": attention,
                "addressLine1": street,
                "addressLine2": annexe,
                "city": city,
                "postalCode": postcode,
                "countryCode": "DE",
                "phone": phone,
            },
            "billToParty": {
                "partyId": "PAYER",
                "address": {"name": payer, "addressLine1": street},
                "taxInfo": {"taxRegistrationNumber": vat},
            },
            "items": [
                {
                    "itemSequenceNumber": "00001",
                    "buyerProductIdentifier": "B07DFVDRAB",
                    "vendorProductIdentifier": 8806098286500,
                    "title": "Washing machine",
                    "orderedQuantity": {"amount": 2, "unitOfMeasure": "EACH"},
                    "giftDetails": {"giftMessage": gift, "giftWrapId": "1"},
                    "netPrice": {"currencyCode": "EUR", "amount": "1.50"},
                    "buyerCustomizedInfo": {"customizedUrl": url},
                }
            ],
            **details,
        },
    }


def canaries_in(text: str | bytes) -> set[str]:
    """Return what of a customer is in *text*, in whatever case and spelling."""
    plain = (text.decode("utf-8", "replace") if isinstance(text, bytes) else text).lower()
    return {one for one in CANARIES if one.lower() in plain} | (
        {"canary"} if "canary" in plain else set()
    )


class Shop:
    """Amazon's side, with *count* orders, one every six hours up to *until*.

    *spoil* changes a document on its way out, *fault* answers in an order's or page's place:
    both are told its number, or a page's place in the list of requests.
    """

    def __init__(
        self,
        count: int = 100,
        *,
        until: datetime = NOW - timedelta(days=10),
        spoil: Callable[[str, bytes], bytes] = lambda _number, document: document,
        fault: Fault = lambda _path, _count: None,
    ) -> None:
        self.orders = {
            f"DF{index:04}": (at, json.dumps(an_order(f"DF{index:04}", at)).encode())
            for index, at in (
                (one, until - timedelta(hours=6 * (one + 1))) for one in range(count)
            )
        }
        self.asked: list[str] = []  # paths with their queries
        self._spoil = spoil
        self._fault = fault

    def documents(self) -> dict[str, bytes]:
        """Return every order as it is sent."""
        return {number: self._spoil(number, raw) for number, (_, raw) in self.orders.items()}

    def script(self, sent: Sent) -> Answer:
        """Answer a `FakeTransport`."""
        return self.answer(sent.method, sent.url)

    async def handle(self, request: web.Request) -> web.Response:
        """Answer over HTTP."""
        answer = self.answer(request.method, str(request.rel_url))
        await asyncio.sleep(0)
        return web.Response(status=answer.status, headers=answer.headers, body=answer.body)

    def answer(self, method: str, url: str) -> Answer:
        """Answer a request."""
        parts = urlsplit(url)
        path = unquote(parts.path)
        if path.endswith("/token"):
            return _json({"access_token": "Atza|x", "token_type": "bearer", "expires_in": 3600})
        if path.endswith("/restrictedDataToken"):
            return _json({"restrictedDataToken": "Atz.sprdt|x", "expiresIn": 3600})
        assert method == HTTPMethod.GET
        self.asked.append(f"{path}?{parts.query}")
        fault = self._fault(path, len(self.asked))
        if fault is not None:
            return fault
        is_enveloped = "/v1/" in path
        number = path.partition("/purchaseOrders/")[2]
        if not number:
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            body = self._page(query)
        elif number in self.orders:
            body = self._spoil(number, self.orders[number][1])
        else:
            return _json({"errors": [{"code": "NotFound", "message": "none"}]}, status=404)
        return Answer(200, JSON, b'{"payload": %s}' % body if is_enveloped else body)

    def _page(self, query: dict[str, str]) -> bytes:
        after, before = (parse_instant(query[f"created{one}"]) for one in ("After", "Before"))
        chosen = [
            number for number, (at, _) in sorted(self.orders.items()) if after <= at <= before
        ]
        start = int(query.get("nextToken", "0"))
        end = start + min(PAGE, int(query["limit"]))
        rows = [
            json.dumps({"purchaseOrderNumber": number}).encode()
            if query.get("includeDetails") == "false"
            else self._spoil(number, self.orders[number][1])
            for number in chosen[start:end]
        ]
        rest = {"pagination": {"nextToken": f"{end}"}} if end < len(chosen) else {}
        members = [b'"%s": %s' % (k.encode(), json.dumps(v).encode()) for k, v in rest.items()]
        return b"{%s}" % b", ".join([b'"orders": [%s]' % b", ".join(rows), *members])


def _json(body: object, status: int = 200) -> Answer:
    return Answer(status, JSON, json.dumps(body).encode())
