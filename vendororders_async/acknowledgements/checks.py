"""What both APIs ask of an acknowledgement."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TypeVar

import msgspec

from ..clock import format_wire
from ..errors import Problem
from ..models import direct_fulfillment as df
from ..models import retail_procurement as rp
from ..models.common import ItemQuantity, PartyIdentification
from .lines import Index, Names, OrderLine
from .parts import unknown
from .places import Place

Acknowledgement = rp.OrderAcknowledgement | df.OrderAcknowledgementItem
Party = PartyIdentification | df.PartyIdentification
One = TypeVar("One")

# How far ahead the clock may be of whoever made a document
FAST = timedelta(minutes=5)

_TAX_TYPES = ("VAT", "GST")


def shape_problem(acknowledgement: Acknowledgement) -> Problem | None:
    """Return where a struct made by hand has something that its type does not allow.

    A number in a text's place, say, or an instant without a zone: msgspec checks what it
    decodes, and not what is made in Python.
    """
    plain = msgspec.to_builtins(acknowledgement, builtin_types=(datetime, Decimal))
    try:
        msgspec.convert(plain, type(acknowledgement))
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at `$")
        path = path.removeprefix(".").removesuffix("`")
        return Problem(str(acknowledgement.purchase_order_number), path, message)
    return None


def number_problems(place: Place, ours: str, theirs: str | None) -> Iterator[Problem]:
    """Yield what is wrong with the order's number, *theirs* if the order is known."""
    place = place["purchaseOrderNumber"]
    if theirs is not None and ours != theirs:
        yield place.problem(f"the order is {theirs}")
    elif ours != ours.strip():
        yield place.problem("has blanks around it")


def date_problems(
    place: Place, made_at: datetime, ordered_at: datetime | None, now: datetime
) -> Iterator[Problem]:
    """Yield what is wrong with the date of an acknowledgement."""
    place = place["acknowledgementDate"]
    if made_at > now + FAST:
        yield place.problem(
            f"{format_wire(made_at)} is in the future; it is {format_wire(now)}"
        )
    if ordered_at is not None and made_at < ordered_at - FAST:
        yield place.problem(
            f"{format_wire(made_at)} is before the order was placed, {format_wire(ordered_at)}"
        )


def party_problems(
    place: Place, party: Party, theirs: str | None, required: Sequence[str]
) -> Iterator[Problem]:
    """Yield what is wrong with *party*; *theirs* is its id in the order, if that is known."""
    if not party.party_id:
        yield place["partyId"].problem("is missing")
    elif theirs is not None and party.party_id != theirs:
        yield place["partyId"].problem(f"is {party.party_id}, in the order {theirs}")
    if party.address is not None:
        address = msgspec.to_builtins(party.address)
        for name in required:
            if not address.get(name):
                yield place["address"][name].problem("is missing; all or no address is needed")
        if len(address.get("countryCode", "")) > len("DE"):
            yield place["address"]["countryCode"].problem("has more than 2 characters")
    if party.tax_info is not None:
        place = place["taxInfo"]
        if not party.tax_info.tax_registration_number:
            yield place["taxRegistrationNumber"].problem("is missing")
        kind = party.tax_info.tax_registration_type
        if kind is None and isinstance(party, PartyIdentification):
            yield place["taxRegistrationType"].problem("is missing")
        yield from word_problems(place["taxRegistrationType"], kind, _TAX_TYPES)


def word_problems(place: Place, word: str | None, known: Sequence[str]) -> Iterator[Problem]:
    """Yield that *word*, if there is one, is none of *known*."""
    if word is not None and word not in known:
        yield place.problem(unknown(word, known))


def count_problems(place: Place, quantity: ItemQuantity) -> Iterator[Problem]:
    """Yield that there is no positive number: Amazon's "this value should not be zero"."""
    if quantity.amount is None:
        yield place["amount"].problem("is missing")
    elif quantity.amount <= 0:
        yield place["amount"].problem(f"is {quantity.amount}, and must be positive")


def echo_problems(
    place: Place, names: Names, line: Names, keys: tuple[str, str, str]
) -> Iterator[Problem]:
    """Yield which of *names* differ from those of the order's *line*, to the letter."""
    ours, theirs = msgspec.structs.astuple(names), msgspec.structs.astuple(line)
    for key, mine, expected in zip(keys, ours, theirs, strict=True):
        if mine is not None and mine != expected:
            yield place[key].problem(f"is {mine!r}, in the order {expected!r}")


class Answered(msgspec.Struct, frozen=True):
    """Which line of the order each item of a document answers; None where that is unknown."""

    lines: tuple[OrderLine | None, ...]
    problems: tuple[Problem, ...]


def answered(
    place: Place, items: Sequence[Names], lines: Sequence[OrderLine] | None, first_key: str
) -> Answered:
    """Find the line of each of *items*, and what hinders: none, several, or one twice.

    *lines* are those of the order, None if it is not known.
    """
    found: list[OrderLine | None] = []
    problems: list[Problem] = []
    index = Index(items if lines is None else (line.names for line in lines))
    taken: dict[int, int] = {}
    for position, names in enumerate(items):
        here, line = place[position], None
        candidates = index.meant(names)
        if names == Names():
            problems.append(here.problem("says no line: neither number nor product"))
        elif lines is not None and len(candidates) != 1:
            words = "the order has no such line" if not candidates else "several lines have it"
            where = here[first_key] if names.number is not None else here
            problems.append(where.problem(f"{names}: {words}"))
        elif (twin := taken.setdefault(candidates[0], position)) != position:
            problems.append(here.problem(f"{names} is answered twice, see {place[twin].path}"))
        elif lines is not None:
            line = lines[candidates[0]]
        found.append(line)
    return Answered(tuple(found), tuple(problems))


def list_of(lines: Sequence[OrderLine]) -> str:
    """Return the names of *lines* for a sentence."""
    return ", ".join(str(line) for line in lines)
