"""A page as Amazon sends it, from one seed: 100 orders of 10 lines, about 450 KB."""

from __future__ import annotations

import random

import msgspec

SEED = 20260615


def page(order_count: int = 100, line_count: int = 10) -> bytes:
    """Return a full answer of getPurchaseOrders."""
    rng = random.Random(SEED)
    orders = [_order(rng, line_count) for _ in range(order_count)]
    return msgspec.json.encode(
        {"payload": {"pagination": {"nextToken": "x"}, "orders": orders}}
    )


def single(line_count: int = 1) -> bytes:
    """Return an answer of getPurchaseOrder with a small order, about 1 KB."""
    order = _order(random.Random(SEED), line_count)
    details = order["orderDetails"]
    assert isinstance(details, dict)  # noqa: S101 - made below
    for name in ("buyingParty", "shipToParty", "billToParty"):
        details[name] = {"partyId": details[name]["partyId"]}
    return msgspec.json.encode({"payload": order})


def _party(rng: random.Random, code: str) -> dict[str, object]:
    return {
        "partyId": code,
        "address": {
            "name": f"Warehouse {code}",
            "addressLine1": f"{rng.randrange(1, 9_999)} Fulfilment Road",
            "city": rng.choice(["Phoenix", "Köln", "Dunfermline"]),
            "postalCode": f"{rng.randrange(10_000, 99_999)}",
            "countryCode": rng.choice(["US", "DE", "GB"]),
        },
        "taxInfo": {"taxRegistrationType": "VAT", "taxRegistrationNumber": "DE000000000"},
    }


def _order(rng: random.Random, line_count: int) -> dict[str, object]:
    day = f"2026-{rng.randrange(1, 7):02}-{rng.randrange(1, 29):02}"
    return {
        "purchaseOrderNumber": "".join(rng.choices("ABCDEFGHJKLMNPQRSTUVWXYZ0123456789", k=8)),
        "purchaseOrderState": rng.choice(["New", "Acknowledged", "Closed"]),
        "orderDetails": {
            "purchaseOrderDate": f"{day}T08:15:00Z",
            "purchaseOrderStateChangedDate": f"{day}T09:30:00Z",
            "purchaseOrderType": "RegularOrder",
            "paymentMethod": "Invoice",
            "buyingParty": _party(rng, "AMAZ1"),
            "sellingParty": _party(rng, "ACME1"),
            "shipToParty": _party(rng, "PHX7"),
            "billToParty": _party(rng, "AMAZ2"),
            "deliveryWindow": f"{day}T00:00:00Z--{day}T23:00:00Z",
            "items": [_line(rng, number) for number in range(1, line_count + 1)],
        },
    }


def _line(rng: random.Random, number: int) -> dict[str, object]:
    def money() -> dict[str, str]:
        return {"currencyCode": "EUR", "amount": f"{rng.randrange(100, 99_999) / 100:.2f}"}

    return {
        "itemSequenceNumber": str(number),
        "amazonProductIdentifier": f"B0{rng.randrange(10**7, 10**8)}",
        "vendorProductIdentifier": f"{rng.randrange(10**11, 10**12)}",
        "orderedQuantity": {
            "amount": rng.randrange(1, 99),
            "unitOfMeasure": "Cases",
            "unitSize": 6,
        },
        "isBackOrderAllowed": rng.random() < 0.5,  # noqa: PLR2004 - a coin
        "netCost": money(),
        "listPrice": money(),
    }
