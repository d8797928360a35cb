"""The columns of CSV files of acknowledgements, and how each of them is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from ..errors import InvalidArgument
from . import csv_cells

# As the tables of sinks and the command line have them
RETAIL, DIRECT_FULFILLMENT = "retail", "direct_fulfillment"

# What its maker saw of a line, by the names that a `Line` has for it
SEEN: Mapping[str, Callable[[str], object]] = {
    "item_sequence_number": csv_cells.identifier,
    "amazon_product_identifier": csv_cells.identifier,
    "vendor_product_identifier": csv_cells.identifier,
    "ordered_quantity": csv_cells.whole,
    "unit_of_measure": str,
    "unit_size": csv_cells.whole,
    "net_cost": csv_cells.amount,
    "net_cost_currency": str,
}
LINE_NAMES = tuple(SEEN)[:3]  # by one of these a line is found

# The answer, by the names that a `Part` has for it
ANSWER: Mapping[str, Callable[[str], object]] = {
    "code": str,
    "quantity": csv_cells.count,
    "scheduled_ship_date": csv_cells.instant,
    "scheduled_delivery_date": csv_cells.instant,
    "rejection_reason": str,
}
_ORDER: Mapping[str, Callable[[str], object]] = {
    "account": str,
    "purchase_order_number": csv_cells.identifier,
}
_AS_OF: Mapping[str, Callable[[str], object]] = {"as_of": csv_cells.instant}


class Kind(msgspec.Struct, frozen=True):
    """The files of one API.

    Of each group in *needed*, one column has to be there; those that are *telling* are in no
    file of the other API. *option* is what the command line calls it.
    """

    columns: Mapping[str, Callable[[str], object]]
    needed: tuple[tuple[str, ...], ...]
    telling: tuple[str, ...]
    option: str


KINDS = {
    RETAIL: Kind(
        {**_ORDER, **SEEN, **ANSWER, **_AS_OF},
        (("purchase_order_number",), LINE_NAMES, ("code",)),
        tuple(ANSWER)[1:],
        "retail",
    ),
    DIRECT_FULFILLMENT: Kind(
        {
            **_ORDER,
            # for the eye
            "customer_order_number": str,
            "ship_method": str,
            "required_ship_date": str,
            "code": csv_cells.code,
            "description": str,
            "vendor_order_number": csv_cells.identifier,
            **_AS_OF,
        },
        (("purchase_order_number",), ("code",)),
        ("customer_order_number", "ship_method", "required_ship_date", "vendor_order_number"),
        "direct-fulfillment",
    ),
}
RETAIL_COLUMNS = tuple(KINDS[RETAIL].columns)
DIRECT_FULFILLMENT_COLUMNS = tuple(KINDS[DIRECT_FULFILLMENT].columns)


def check_api(api: str) -> None:
    """Refuse what is no API.

    Raises:
        InvalidArgument: it is none.
    """
    if api not in KINDS:
        raise InvalidArgument(f"an API is {' or '.join(KINDS)}, not {api!r}")
