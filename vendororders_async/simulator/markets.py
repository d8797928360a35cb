"""The countries that simulated vendors sell to: warehouses, currencies, unusual letters.

Every company and every street is invented.
"""

from __future__ import annotations

from typing import Any

import msgspec

Party = dict[str, Any]


class Market(msgspec.Struct, frozen=True, kw_only=True):
    """Where an account's orders come from and go to."""

    currency: str
    decimals: int
    tax_type: str
    country: str
    vendor_name: str
    warehouses: tuple[Party, ...]

    def seller(self, code: str) -> Party:
        """Return the vendor, under one of the codes it is ordered by."""
        return {
            "partyId": code,
            "address": {
                "name": self.vendor_name,
                "addressLine1": "Musterweg 1",
                "countryCode": self.country,
            },
            "taxInfo": {
                "taxRegistrationType": self.tax_type,
                "taxRegistrationNumber": f"{self.country}000000000",
            },
        }


def _warehouse(code: str, *lines: str) -> Party:
    """Return a warehouse by its name, street, city, postal code and country."""
    names = ("name", "addressLine1", "city", "postalCode", "countryCode")
    return {"partyId": code, "address": dict(zip(names, lines, strict=True))}


MARKETS = (
    Market(
        currency="EUR",
        decimals=2,
        tax_type="VAT",
        country="DE",
        vendor_name="Bücher & Töne Großhandel GmbH",
        warehouses=(
            _warehouse(
                "XLE1", "Lager Grünau", "Straße der Fuhrleute 7", "Grünau", "00101", "DE"
            ),
            _warehouse("XDT2", "Lager Süßen-Nord", "Kornweg 12", "Süßen", "00202", "DE"),
            _warehouse("XFR7", "Lager Altmühle", "An der Rampe 3", "Altmühle", "00703", "DE"),
            _warehouse("XWR3", "Magazyn Wiśniowa", "ul. Łąkowa 9", "Wiśniowa", "00-303", "PL"),
            _warehouse("XPR1", "Sklad Žďár", "Příčná 4", "Žďár", "001 04", "CZ"),
        ),
    ),
    Market(
        currency="USD",
        decimals=2,
        tax_type="VAT",
        country="US",
        vendor_name="Piñon & Daughters, Inc.",
        warehouses=(
            _warehouse(
                "XPHX", "Fulfillment Center X1", "1 Example Rd", "Sampleton", "00001", "US"
            ),
            _warehouse(
                "XONT", "Fulfillment Center X2", "22 Mock Ave", "Testville", "00022", "US"
            ),
            _warehouse(
                "XMDW", "Fulfillment Center X3", "333 Dummy St", "Nowhere", "00333", "US"
            ),
        ),
    ),
    Market(
        currency="JPY",
        decimals=0,
        tax_type="GST",
        country="JP",
        vendor_name="見本商事株式会社 📦",
        warehouses=(
            _warehouse("XHND", "見本倉庫一号", "見本町1-2-3", "見本市", "000-0001", "JP"),
            _warehouse("XKIX", "見本倉庫二号", "試験台4-5", "試験市", "000-0002", "JP"),
        ),
    ),
)
