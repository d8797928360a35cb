"""Decoders made once, and the patient way for what the quick one refuses.

The quick way is msgspec's C decoder on Amazon's schema. What it refuses is read as plain
JSON, mended field by field towards the schema, and converted: integers and numbers that
came as strings (or the other way round), dates without a time, ``null`` for an empty
list. What is still wrong then is wrong. Where nothing but the zone of an instant is missing,
which the sandbox never writes, it is put in and the quick way taken after all.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import inspect

from ..clock import parse_instant
from .common import DateTimeInterval

T = TypeVar("T")

# SQLite reads JSON to a depth of 1,000, Python to about as much; an order is eight deep.
DEEPEST = 100

_MOST_DIGITS = 18  # what a 64-bit integer of a database holds for sure

_NOT_OPENING = bytes(set(range(256)) - set(b"[{"))
_NOT_MARKS = bytes(set(range(256)) - set(b'[]{}"'))
_BRACKETS_ONLY = re.compile(rb'"(?:[^"\\]|\\.)*"|[^\[\]{}"]+', re.DOTALL)

# An instant without a zone is in UTC (clock.py). The key's own quote tells it from a text.
_ZONELESS = re.compile(rb'(Date"\s*:\s*"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?)"')
_BOOLEANS = {"true": True, "false": False}


# What msgspec raises over bytes; the last is Decimal's, for an exponent beyond all sense
REFUSED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ArithmeticError)


class Undecodable(ValueError):
    """The bytes are not what the schema says; the message says where, not what."""


class LenientDecoder(Generic[T]):
    """Decode bytes into one struct type, quickly where possible and patiently where not.

    >>> from .common import Money
    >>> LenientDecoder(Money).decode(b'{"amount": 1.10}').amount
    Decimal('1.10')
    """

    __slots__ = ("_kind", "_quick", "_type")

    def __init__(self, type_: type[T]) -> None:
        self._type = type_
        self._quick = msgspec.json.Decoder(type_, dec_hook=_custom)
        self._kind = inspect.type_info(type_)

    def decode(self, raw: bytes | msgspec.Raw) -> T:
        """Return the struct in *raw*.

        Raises:
            Undecodable: *raw* is not JSON, or not what the schema says.
        """
        try:
            return self._quick.decode(raw)
        except REFUSED:
            kept = bytes(raw)
        zoned = _ZONELESS.sub(rb'\1Z"', kept)
        if zoned != kept:
            with suppress(*REFUSED):
                return self._quick.decode(zoned)
        return self._decode_patiently(kept)

    def _decode_patiently(self, raw: bytes) -> T:
        if too_deep(raw):
            raise Undecodable("nested too deeply")
        try:
            tree = _PLAIN.decode(raw)
        except UnicodeDecodeError:
            raise Undecodable("invalid UTF-8") from None
        except REFUSED as error:
            raise Undecodable(f"not JSON: {error}") from None
        try:
            return msgspec.convert(_mended(tree, self._kind, "$"), self._type, dec_hook=_custom)
        except REFUSED as error:
            raise Undecodable(str(error)) from None


_DECODERS: dict[type, LenientDecoder[Any]] = {}


def decoder_of(type_: type[T]) -> LenientDecoder[T]:
    """Return the one decoder of *type_*; making it reads the schema, so it is kept."""
    if type_ not in _DECODERS:
        _DECODERS[type_] = LenientDecoder(type_)
    return _DECODERS[type_]


# Numbers with a fraction never pass through a float, which would turn 1.10 into 1.1.
_PLAIN: msgspec.json.Decoder[Any] = msgspec.json.Decoder(float_hook=Decimal)


def too_deep(raw: bytes) -> bool:
    """Say whether *raw* is nested deeper than any order, and than databases read."""
    if len(raw.translate(None, _NOT_OPENING)) <= DEEPEST:  # the quickest way to count them
        return False
    brackets = inner = _brackets(raw)
    for _ in range(DEEPEST // 2):  # each turn takes away two levels at most
        if not inner:
            return False
        inner = inner.replace(b"{}", b"").replace(b"[]", b"")
    depth = 0
    for bracket in brackets:
        depth += 1 if bracket in b"[{" else -1
        if depth > DEEPEST:
            return True
    return False


def _brackets(raw: bytes) -> bytes:
    """Return the brackets of *raw* that are not in a text."""
    unescaped = raw.replace(rb"\\", b"").replace(rb"\"", b"") if b"\\" in raw else raw
    # A text without brackets is now two quotes side by side. If no quote is left without its
    # pair, the number of quotes before each bracket is even: none is in a text.
    brackets = unescaped.translate(None, _NOT_MARKS).replace(b'""', b"")
    return _BRACKETS_ONLY.sub(b"", raw) if b'"' in brackets else brackets  # much slower


def _custom(type_: type, value: object) -> object:
    if type_ is DateTimeInterval and isinstance(value, str):
        return DateTimeInterval(value)
    raise TypeError(f"Expected `str`, got `{type(value).__name__}`")


def _mended(value: object, kind: inspect.Type, path: str) -> object:
    """Return *value* brought as near to *kind* as can be done without guessing."""
    if isinstance(kind, inspect.UnionType):
        if value is None:
            return None
        kind = next(one for one in kind.types if not isinstance(one, inspect.NoneType))
    if isinstance(kind, inspect.StructType):
        return _mended_struct(value, kind, path)
    if isinstance(kind, inspect.ListType) and isinstance(value, list):
        return [_mended(item, kind.item_type, f"{path}[{i}]") for i, item in enumerate(value)]
    mend = _SCALARS.get(type(kind))
    if mend is None:
        return value
    try:
        return None if value == "" and mend is not _to_text else mend(value)
    except (ValueError, ArithmeticError):
        expected = type(kind).__name__.removesuffix("Type").lower()
        raise Undecodable(f"not a valid {expected} - at `{path}`") from None


def _mended_struct(value: object, kind: inspect.StructType, path: str) -> object:
    if not isinstance(value, dict):
        return value
    mended = {}
    for field in kind.fields:
        item = value.get(field.encode_name)
        if item is not None or field.required:  # null is the same as absent
            path_there = f"{path}.{field.encode_name}"
            mended[field.encode_name] = _mended(item, field.type, path_there)
    return mended


def _to_text(value: object) -> object:
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return str(value)
    return value


def _to_int(value: object) -> object:
    if isinstance(value, str | Decimal):
        number = Decimal(value)
        if number == number.to_integral_value() and abs(number.adjusted()) < _MOST_DIGITS:
            return int(number)
        raise ValueError("not whole")
    return value


def _to_bool(value: object) -> object:
    return _BOOLEANS.get(value.lower(), value) if isinstance(value, str) else value


def _to_instant(value: object) -> object:
    return parse_instant(value) if isinstance(value, str) else value


_SCALARS: dict[type[inspect.Type], Callable[[object], object]] = {
    inspect.StrType: _to_text,
    inspect.IntType: _to_int,
    inspect.BoolType: _to_bool,
    inspect.DateTimeType: _to_instant,
    inspect.DecimalType: lambda value: value,
}
