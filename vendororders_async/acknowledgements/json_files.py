"""Acknowledgements in JSON: the body that Amazon takes, or a single acknowledgement.

A file has one of them, or one on each line (NDJSON). It is compared with the structs of
`models`, field by field, so that all that is wrong with it is found, each thing with its path.
"""

from __future__ import annotations

import json
import re
import types
from collections.abc import Iterator, Mapping
from decimal import Decimal
from difflib import get_close_matches
from typing import Any, NoReturn, Union, get_args, get_origin

import msgspec

from ..errors import Problem, one_line
from ..models.direct_fulfillment import OrderAcknowledgementItem
from ..models.lenient import REFUSED
from ..models.retail_procurement import OrderAcknowledgement
from .csv_columns import DIRECT_FULFILLMENT, KINDS, RETAIL
from .drafts import Draft


class _Body(msgspec.Struct, frozen=True):
    """What submitAcknowledgement of one API takes: *name* is that of its one field."""

    name: str
    document: type[OrderAcknowledgement | OrderAcknowledgementItem]


_BODIES = {
    RETAIL: _Body("acknowledgements", OrderAcknowledgement),
    DIRECT_FULFILLMENT: _Body("orderAcknowledgements", OrderAcknowledgementItem),
}
# The pattern that Amazon's models describe in words
_DECIMAL = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")


class _Reading:
    """What was found in a file so far."""

    def __init__(self, api: str) -> None:
        self.api = api
        self.drafts: list[Draft] = []
        self.problems: list[Problem] = []

    def add(self, where: str, value: object) -> None:
        """Take in one JSON value; *where* is ``line 7: ``, or nothing in a file with one."""
        if not isinstance(value, dict):
            kind = type(value).__name__
            self._complain(f"{where}$", f"an object is expected, not this ({kind})")
            return
        ours = _BODIES[self.api]
        other = next(api for api in _BODIES if api != self.api)
        if _likeness(value, _BODIES[other]) > _likeness(value, ours):
            option = KINDS[other].option
            message = f"this is for {option.replace('-', ' ')}: --api {option}"
            self._complain(f"{where}$", message)
            return
        body = value if ours.name in value else {ours.name: [value]}
        for name in body.keys() - {ours.name}:
            self._complain(f"{where}$", _unknown(name, [ours.name]))
        documents = body[ours.name]
        if not isinstance(documents, list) or not documents:
            self._complain(f"{where}{ours.name}", "is no list, or an empty one")
            return
        for index, document in enumerate(documents):
            self._add_document(f"{where}{ours.name}[{index}]", document, ours)

    def _add_document(self, where: str, document: object, body: _Body) -> None:
        found = list(_mismatches(document, body.document, where))
        number = document.get("purchaseOrderNumber") if isinstance(document, dict) else None
        for path, message in found:
            self._complain(path, message, number if isinstance(number, str) else None)
        if not found:
            content = msgspec.convert(document, body.document)
            self.drafts.append(
                Draft(
                    api=self.api,
                    purchase_order_number=content.purchase_order_number,
                    where=where,
                    document=content,
                )
            )

    def _complain(self, path: str, message: str, number: str | None = None) -> None:
        self.problems.append(Problem(number, path, message))


def read_json(text: str, api: str) -> tuple[list[Draft], list[Problem]]:
    """Return the drafts in *text*, and all that is wrong with it."""
    reading = _Reading(api)
    # not splitlines(), which splits at characters that may be in a text
    lines = [(at, line) for at, line in enumerate(text.split("\n"), 1) if line.strip()]
    if len(lines) > 1 and _is_whole(lines[0][1]):
        for at, line in lines:
            try:
                reading.add(f"line {at}: ", _parsed(line))
            except ValueError as error:
                reading.problems.append(Problem(None, f"line {at}", _words(error)))
    else:
        try:
            reading.add("", _parsed(text))
        except ValueError as error:
            at = error.lineno if isinstance(error, json.JSONDecodeError) else 1
            reading.problems.append(Problem(None, f"line {at}", _words(error)))
    return reading.drafts, reading.problems


def _is_whole(line: str) -> bool:
    try:
        return isinstance(_parsed(line), dict)
    except ValueError:
        return False


def _parsed(text: str) -> object:
    try:
        return json.loads(
            text, object_pairs_hook=_object, parse_float=Decimal, parse_constant=_no_number
        )
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        # one of the two would be lost, and with it, it may be, an order's lines
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!r} is twice in one object")
    return found


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number in JSON")


def _words(error: ValueError) -> str:
    return f"not JSON: {error.msg}" if isinstance(error, json.JSONDecodeError) else str(error)


def _likeness(value: Mapping[str, object], body: _Body) -> int:
    """Return how many keys of *value* are those of *body*, or of a document of its own."""
    own = {field.encode_name for field in msgspec.structs.fields(body.document)}
    return len(value.keys() & own) + 10 * (body.name in value)


def _mismatches(value: object, type_: Any, path: str) -> Iterator[tuple[str, str]]:
    """Yield the paths where *value* is not a *type_*, and why."""
    if get_origin(type_) in {types.UnionType, Union}:
        if value is None:
            return  # the same as absent: it is not sent
        [type_] = (one for one in get_args(type_) if one is not types.NoneType)
    if get_origin(type_) is list:
        if isinstance(value, list) and value:
            [kind] = get_args(type_)
            for index, one in enumerate(value):
                yield from _mismatches(one, kind, f"{path}[{index}]")
        else:
            yield path, "is no list, or an empty one"
    elif isinstance(type_, type) and issubclass(type_, msgspec.Struct):
        if isinstance(value, dict):
            yield from _mismatches_of_object(value, type_, path)
        else:
            yield path, f"an object is expected, not this ({type(value).__name__})"
    elif message := _mismatch(value, type_):
        yield path, message


def _mismatches_of_object(
    value: Mapping[str, object], type_: type[msgspec.Struct], path: str
) -> Iterator[tuple[str, str]]:
    fields = {field.encode_name: field for field in msgspec.structs.fields(type_)}
    for name in value:
        if name not in fields:
            yield path, _unknown(name, fields)
    for name, field in fields.items():
        if name in value:
            yield from _mismatches(value[name], field.type, f"{path}.{name}")
        elif field.required:
            yield path, f"there is no {name}"


def _mismatch(value: object, type_: Any) -> str | None:
    if type_ is Decimal and not (isinstance(value, str) and _DECIMAL.fullmatch(value)):
        return 'an amount is a text such as "12.50"'
    try:
        msgspec.convert(value, type_)
    except REFUSED as error:
        return one_line(str(error))
    return None


def _unknown(name: str, known: Mapping[str, object] | list[str]) -> str:
    # https://github.com/saleweaver/python-amazon-sp-api/issues/276
    near = get_close_matches(name, known, 1)
    hint = f"; {near[0]} may be meant" if near else ""
    return f"Amazon knows no {one_line(repr(name))} here, and refuses all for it{hint}"
