"""What several of Amazon's models share.

Structs are named as in Amazon's models, their fields are the wire's names in snake case.
A field that Amazon marks as required is optional here wherever real or sandbox answers
were seen without it; only what identifies a thing has no default. Enumerated values are
plain strings, so that a value Amazon adds tomorrow is kept as it came; the ``StrEnum``
classes name the known ones and compare equal to them.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated

import msgspec

from ..clock import parse_instant
from ..errors import Error

__all__ = [
    "Address",
    "DateTimeInterval",
    "Error",
    "Identifier",
    "Instant",
    "ItemQuantity",
    "Money",
    "Pagination",
    "PartyIdentification",
    "SubmitAcknowledgementResponse",
    "TaxRegistrationDetails",
    "TransactionId",
    "Wire",
]

# An aware datetime. The C decoder takes RFC 3339; what has no zone, or only a date, is
# mended (lenient.py), the former by a field's name: it has to end in "date".
Instant = Annotated[datetime, msgspec.Meta(tz=True)]

# What identifies a thing must say something.
Identifier = Annotated[str, msgspec.Meta(min_length=1)]


class Wire(msgspec.Struct, frozen=True, rename="camel", gc=False, omit_defaults=True):
    """The base of every struct on the wire: frozen, camel case outside.

    Subclasses repeat ``kw_only=True``, which msgspec does not inherit. The collector need
    not follow them (``gc=False``): they are trees without cycles.
    """


class DateTimeInterval(str):
    """Two instants, written ``start--end``; the text stays as it came.

        >>> DateTimeInterval("2007-03-01T13:00:00Z--2007-03-11T15:30:00Z").end.day
        11

    *start* and *end* are ``None`` where the text is not such a pair.
    """

    __slots__ = ()

    # https://developer-docs.amazon.com/sp-api/reference/getpurchaseorders: "Format is
    # start and end date separated by double hyphen (--)"

    @property
    def start(self) -> datetime | None:
        """The first instant."""
        return self._bound(0)

    @property
    def end(self) -> datetime | None:
        """The last instant; the same as *start* means that day."""
        return self._bound(1)

    def _bound(self, index: int) -> datetime | None:
        bounds = self.split("--")
        if len(bounds) != 2:  # noqa: PLR2004 - a pair
            return None
        try:
            return parse_instant(bounds[index])
        except (ValueError, OverflowError):
            return None


class Address(Wire, frozen=True, kw_only=True):
    """Where a party is."""

    name: str | None = None
    address_line1: str | None = None
    address_line2: str | None = None
    address_line3: str | None = None
    city: str | None = None
    county: str | None = None
    district: str | None = None
    state_or_region: str | None = None
    postal_code: str | None = None
    country_code: str | None = None
    phone: str | None = None


class TaxRegistrationDetails(Wire, frozen=True, kw_only=True):
    """A tax number and its kind (``VAT``, ``GST``)."""

    tax_registration_type: str | None = None
    tax_registration_number: str | None = None


class PartyIdentification(Wire, frozen=True, kw_only=True):
    """A buyer, seller, warehouse or payer; *party_id* is its code at Amazon."""

    party_id: str | None = None
    address: Address | None = None
    tax_info: TaxRegistrationDetails | None = None


class Money(Wire, frozen=True, kw_only=True):
    """An amount of money, exact to the last digit Amazon sent.

    *unit_of_measure* is there when the price is by weight (``POUNDS``, ``OUNCES``,
    ``GRAMS``, ``KILOGRAMS``); absent, it is per each.
    """

    currency_code: str | None = None
    amount: Decimal | None = None
    unit_of_measure: str | None = None

    def __post_init__(self) -> None:
        if self.amount is not None and not self.amount.is_finite():
            raise ValueError("an amount of money must be finite")


# What a column of a database holds; an order for more is a mistake of somebody's.
Count = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]


class ItemQuantity(Wire, frozen=True, kw_only=True):
    """A count in ``Eaches``, or in ``Cases`` of *unit_size* eaches.

    Zero means cancelled; negative amounts have been seen (selling-partner-api-docs#2421).
    """

    amount: Count | None = None
    unit_of_measure: str | None = None
    unit_size: Count | None = None


class Pagination(Wire, frozen=True, kw_only=True):
    """How to ask for the next page; absent on the last one."""

    next_token: str | None = None


class TransactionId(Wire, frozen=True, kw_only=True):
    """What to ask the transaction operations for; an opaque string."""

    transaction_id: str | None = None


class SubmitAcknowledgementResponse(Wire, frozen=True, kw_only=True):
    """The answer of submitAcknowledgement, of retail and direct fulfillment alike."""

    payload: TransactionId | None = None
    errors: list[Error] = []
