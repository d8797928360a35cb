"""Redaction: an order without what it says about the customer.

Only Direct Fulfillment's orders name people; a retail order names warehouses.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import NamedTuple

import msgspec
from msgspec import inspect

from .models.direct_fulfillment import Order
from .models.lenient import REFUSED, too_deep

# What is kept of those places that are about a person, and what it has to look like: so
# short and without a blank, nobody's name and address fits in.
# https://developer-docs.amazon.com/sp-api/docs/tokens-api-use-case-guide
_COUNTRY = re.compile(rb'"[A-Za-z]{2,3}"|null')
_CODE = re.compile(rb'"[!#-\[\]-~]{1,20}"|[0-9]{1,20}|null')
_LEFT: Mapping[str, Mapping[str, re.Pattern[bytes] | None]] = {
    "shipToParty": {"countryCode": _COUNTRY},
    "billToParty": {"partyId": _CODE},
    "giftDetails": {"giftWrapId": None},
}
_PEOPLES = {"messageToCustomer", "buyerCustomizedInfo"}
# Where something else than an object may be a person, written out
_NULL_UNLESS_OBJECT = {
    *("shipToParty", "billToParty", "giftDetails", "taxInfo", "address", "orderDetails"),
    *("shipmentDetails", "taxRegistrationAddress"),
}

_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_LIST = msgspec.json.Decoder(list[msgspec.Raw])
_NAME = msgspec.json.Decoder(str)
_NUMBER = re.compile(rb'"purchaseOrderNumber"\s*:\s*"([0-9A-Za-z_-]{1,64})"')
_REDUCED = re.compile(rb'"(all of it|[0-9A-Za-z_-]{1,64})"')

# Brackets and strings are in place also where JSON is not valid, as in salvage.py.
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{}:,]|[^\[\]{}:,"]+', re.DOTALL)
_MEMBER = re.compile(rb'("(?:[^"\\]|\\.)*")\s*:\s*', re.DOTALL)
_SCALAR = re.compile(rb'"(?:[^"\\]|\\.)*"|[^\[\]{}:,"]+', re.DOTALL)
_CLOSER = {b"{": b"}", b"[": b"]"}


class _Place(NamedTuple):
    """What is kept at a place: of an object its *fields*, of a list of each *item*.

    Elsewhere, what has the *shape*. *is_null* says what becomes of anything else.
    """

    fields: Mapping[str, _Place] | None = None
    item: _Place | None = None
    shape: re.Pattern[bytes] | None = None
    is_null: bool = False


class _Unmatched(Exception):
    """The brackets do not match, or what is between them is no JSON by any reading."""


def redact(raw: bytes) -> bytes:
    """Return the order *raw* without its customer; the rest of the model says what it said.

        >>> order = b'{"orderDetails": {"shipToParty": {"name": "A", "countryCode": "DE"}}}'
        >>> redact(order)
        b'{"orderDetails":{"shipToParty":{"countryCode":"DE"}}}'

    Kept is what the model's structs have and is not a person's; what Amazon adds to an order
    goes until they have it too. What is in the place of something else is emptied, and does
    not decode then either; in the place of a party or a person it is null.

    What is no valid JSON is redacted by its brackets: a half emoji or a NaN of the customer's
    goes with them, any other stays. Where brackets do not match, nothing can be told apart,
    and nothing but the order's number is left. What is redacted once stays as it is.
    """
    try:
        if not too_deep(raw) and raw.lstrip().startswith(b"{"):
            return _object(raw.strip(), _order())
    except _Unmatched:
        pass
    found = _NUMBER.search(raw)
    return msgspec.json.encode({"redacted": found[1].decode() if found else "all of it"})


@cache
def _order() -> Mapping[str, _Place]:
    fields = _place(inspect.type_info(Order)).fields or {}
    return {**fields, "redacted": _Place(shape=_REDUCED)}


def _place(kind: inspect.Type, name: str = "") -> _Place:
    if isinstance(kind, inspect.UnionType):
        kind = next(one for one in kind.types if not isinstance(one, inspect.NoneType))
    if isinstance(kind, inspect.ListType):
        return _Place(item=_place(kind.item_type))
    if not isinstance(kind, inspect.StructType):
        return _Place()
    fields = {
        field.encode_name: _place(field.type, field.encode_name)
        for field in kind.fields
        if field.encode_name not in _PEOPLES
    }
    if name in _LEFT:
        fields = {key: _Place(shape=shape) for key, shape in _LEFT[name].items()}
    return _Place(fields, is_null=name in _NULL_UNLESS_OBJECT)


def _object(raw: bytes, places: Mapping[str, _Place]) -> bytes:
    kept = {}
    for name, value in _members(raw):
        place = places.get(name)
        if place is None:
            continue
        kept[name] = _value(value, place)
    # of a key that is there twice, the last one counts, as it does for the decoder
    pairs = (b'"%s":%s' % (name.encode(), value) for name, value in kept.items() if value)
    return b"{%s}" % b",".join(pairs)


def _value(value: bytes, place: _Place) -> bytes:
    """Return what is kept of *value*; nothing at all if it has not the shape."""
    first = value[:1]
    if place.fields is not None and first == b"{":
        return _object(value, place.fields)
    if place.is_null:
        return b"null"
    if place.item is not None and first == b"[":
        return b"[%s]" % b",".join(_value(one, place.item) for one in _items(value))
    if place.shape is not None:
        return value if place.shape.fullmatch(value) else b""
    if first in _CLOSER:
        return first + _CLOSER[first]
    if not _SCALAR.fullmatch(value):
        raise _Unmatched
    is_elsewhere = place.fields is not None or place.item is not None
    return b'""' if is_elsewhere and first == b'"' else value


def _members(raw: bytes) -> Iterator[tuple[str, bytes]]:
    try:
        members = _OBJECT.decode(raw)
    except REFUSED:
        for part in _parts(raw):
            member = _MEMBER.match(part)
            if member is None:
                raise _Unmatched from None
            try:
                name = _NAME.decode(member[1])
            except REFUSED:  # it is no name of the model's
                continue
            yield name, part[member.end() :]
    else:
        for name, value in members.items():
            yield name, bytes(value)


def _items(raw: bytes) -> list[bytes]:
    try:
        return [bytes(one) for one in _LIST.decode(raw)]
    except REFUSED:
        return _parts(raw)


def _parts(raw: bytes) -> list[bytes]:
    """Return what is between the commas of the outermost brackets."""
    closers: list[bytes] = []
    parts: list[bytes] = []
    position, start = 0, 1
    for match in _TOKEN.finditer(raw):
        if match.start() != position or (position and not closers):
            raise _Unmatched
        position = match.end()
        token = match.group()
        if token in _CLOSER:
            closers.append(_CLOSER[token])
        elif token in _CLOSER.values():
            if closers.pop() != token:
                raise _Unmatched
        elif token == b"," and len(closers) == 1:
            parts.append(raw[start : match.start()].strip())
            start = position
    if closers or position != len(raw):
        raise _Unmatched
    last = raw[start:-1].strip()
    return [*parts, last] if parts or last else []
