"""The codes that accept or reject a direct fulfillment order."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

ACCEPT = "00"

# "Vendor Direct Fulfillment APIs Use Case Guide"; 71 is its example of a code that a vendor
# and Amazon have agreed on
CODES: Mapping[str, str] = MappingProxyType(
    {
        ACCEPT: "Shipping 100 percent of ordered product",
        "02": "Invalid or missing SKU",
        "03": "Out of stock",
        "04": "Duplicate Amazon ship id",
        "05": "Invalid or missing bill-to code",
        "06": "Invalid or missing ship-from code",
        "07": "Invalid or missing customer name",
        "08": "Invalid or missing address line 1",
        "09": "Invalid or missing city",
        "10": "Invalid or missing state",
        "11": "Invalid or missing postal code",
        "12": "Invalid or missing country code",
        "13": "Invalid or missing carrier or ship method",
        "20": "Invalid or missing unit price",
        "21": "Invalid or missing address line 2",
        "22": "Invalid or missing address line 3",
        "50": "Tax nexus issue",
        "51": "Restricted SKU or quantity",
        "53": "USPS with a value above 400 dollars",
        "54": "Missing Amazon ship id",
        "55": "Missing Amazon order id",
        "56": "Missing line item id",
        "71": "Discontinued item",
    }
)
