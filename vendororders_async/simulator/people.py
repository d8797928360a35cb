"""Customers of Direct Fulfillment: all invented, in several countries, and easy to find.

Whoever stores or prints orders can look for leaks: the people of every order are called
``Canary``, live in a ``Kanarienweg``, and nothing else is called so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from random import Random

Address = dict[str, Any]

_WITH_ATTENTION, _IN_A_BACK_HOUSE, _CARE_OF, _IN_A_COUNTY = 0.4, 0.4, 0.5, 0.2

_FAMILIES = ("Ødegaard", "Ødegaard", "Łącki", "Šťastná", "Çağlar", "Þórsdóttir", "小鳥")


class Country(msgspec.Struct, frozen=True, kw_only=True):
    """Where people live, and what is added to prices there: types and percents."""

    code: str
    region: str
    city: str
    postal_code: str
    taxes: tuple[tuple[str, int], ...]


# Every place is invented; the types of tax are all that the model knows.
_COUNTRIES = (
    Country(
        code="DE", region="SÜ", city="Süßwinkel", postal_code="00111", taxes=(("MwSt.", 19),)
    ),
    Country(code="AT", region="Öd", city="Ödmühl", postal_code="0022", taxes=(("MwSt.", 20),)),
    Country(
        code="FR", region="ÉCH", city="Échantillon", postal_code="00333", taxes=(("TVA", 20),)
    ),
    Country(
        code="PL", region="ŻÓ", city="Żółciowo", postal_code="00-444", taxes=(("VAT", 23),)
    ),
    Country(
        code="CA",
        region="XX",
        city="Modèleville",
        postal_code="X0X 0X0",
        taxes=(("GST", 5), ("PST", 7)),
    ),
    Country(
        code="JP",
        region="見本県",
        city="試験市",
        postal_code="000-0005",
        taxes=(("CONSUMPTION", 10),),
    ),
    Country(
        code="US", region="ZZ", city="Sampleton", postal_code="00001", taxes=(("TOTAL", 8),)
    ),
)


class Person(msgspec.Struct, frozen=True):
    """Somebody who has ordered something, and where it goes to."""

    country: Country
    address: Address


def person(random: Random, number: int) -> Person:
    """Return the customer of that *number*, whom no other order has."""
    country = random.choice(_COUNTRIES)
    name = f"Canary {random.choice(_FAMILIES)}-{number}"
    address: Address = {"name": name}
    if random.random() < _WITH_ATTENTION:
        address["attention"] = f"Canary Næring-{number}"
    address["addressLine1"] = f"Kanarienweg {number}"
    if random.random() < _IN_A_BACK_HOUSE:
        address["addressLine2"] = f"Kanarienweg-Hinterhaus, Tür {random.randint(1, 60)}"
        if random.random() < _CARE_OF:
            address["addressLine3"] = f"c/o Canary Œuvres-{number}"
    address["city"] = country.city
    if random.random() < _IN_A_COUNTY:
        address |= {"county": "Grafschaft Muster", "district": "Bezirk Probe"}
    return Person(
        country,
        address
        | {
            "stateOrRegion": country.region,
            "postalCode": country.postal_code,
            "countryCode": country.code,
            "phone": f"+00 000 {number:08d}",
        },
    )
