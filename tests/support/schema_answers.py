"""Answers as Amazon's models allow them: any fields, any values, and nothing else.

    answers = SchemaAnswers("vendorOrders.json")
    answers.response("getPurchaseOrders", chance)   # plain data, to be written as JSON

Pure, and decided by *chance*. A keyword that a model did not have yet is an error, so that
none is passed over.
"""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta, timezone
from functools import cache
from typing import Any

import sample_files

_KNOWN = {
    *("$ref", "type", "properties", "required", "items", "enum", "format", "maxLength"),
    *("description", "example", "x-docgen-enum-table-extension"),
}
_LARGEST = 2**63 - 1
_OFTEN = 0.7  # that a field which need not be there is
# Texts with everything that a text may hold
_PIECES = (
    *("Ärger", "日本語", "😀", "a\u0301", "\u202eabc", "\ufeff", "\u2028", "\x7f", "\t\n\r"),
    *('"', "\\", "/", "<b>", "=1+1", "'; DROP TABLE x; --", "{[", "]}", "%s", "null", "NaN"),
    *("orders", "payload", "é" * 40, " ", "0", "-", "EACH", "2026-01-01", "A--B"),
)
_PRINTABLE = "ABCDEFGHabcdefgh0123456789-_|."


class SchemaAnswers:
    """What one of the models lets its operations answer."""

    def __init__(self, name: str) -> None:
        model = sample_files.model(name)
        self._definitions = model["definitions"]
        self._operations = sample_files.operations_of(name)

    def response(self, operation: str, chance: random.Random) -> Any:
        """Return the body of a success."""
        return self.value(self.schema(operation), chance)

    def schema(self, operation: str) -> Any:
        """Return what a success of *operation* has to be."""
        responses = self._operations[operation]["responses"]
        [success] = [one for status, one in responses.items() if status.startswith("2")]
        return success["schema"]

    def definition(self, name: str, chance: random.Random) -> Any:
        """Return what the model calls *name*."""
        return self.value(self._definitions[name], chance, name)

    def value(  # noqa: PLR0911 - one kind, one return
        self, schema: Any, chance: random.Random, name: str = ""
    ) -> Any:
        """Return a value that *schema* allows; *name* is what the model calls it."""
        if "$ref" in schema:
            target = schema["$ref"].removeprefix("#/definitions/")
            return self.value(self._definitions[target], chance, target)
        unknown = schema.keys() - _KNOWN
        assert not unknown, f"the model of {name} says {unknown}"
        if "enum" in schema:
            return chance.choice(schema["enum"])
        match schema.get("type", "object"):
            case "object":
                required = set(schema.get("required", ()))
                return {
                    key: self.value(one, chance, key)
                    for key, one in _shuffled(schema.get("properties", {}), chance)
                    if key in required or chance.random() < _OFTEN
                }
            case "array":
                count = chance.choice((0, 1, 1, 2, 3))
                return [self.value(schema["items"], chance, name) for _ in range(count)]
            case "boolean":
                return chance.random() < 0.5
            case "integer":
                edge = chance.choice((_LARGEST, -_LARGEST - 1, 2**31, 0, -1))
                return edge if chance.random() < 0.1 else chance.randrange(1000)
            case "string" if schema.get("format") == "date-time":
                return _instant(chance)
            case "string":
                return _text(name, chance)[: schema.get("maxLength")]
            case kind:
                raise AssertionError(f"the model of {name} says {kind!r}")


@cache
def answers_of(model: str) -> SchemaAnswers:
    """Return those of *model*, which is read once."""
    return SchemaAnswers(model)


def _shuffled(fields: dict[str, Any], chance: random.Random) -> list[tuple[str, Any]]:
    return chance.sample(list(fields.items()), len(fields))


def _instant(chance: random.Random) -> str:
    """Return an instant as RFC 3339 lets one be written."""
    year = chance.choice((1, 1969, 2019, 2026, 2026, 2026, 9999))
    seconds = timedelta(seconds=chance.randrange(365 * 24 * 3600))
    fraction = timedelta(microseconds=chance.choice((0, 0, 1, 500_000, 999_999)))
    moment = datetime(year, 1, 1, tzinfo=UTC) + seconds + fraction
    zone = timezone(timedelta(minutes=chance.randrange(-14 * 60, 14 * 60 + 1)))
    written = moment.replace(tzinfo=zone).isoformat()
    return written.replace("+00:00", "Z")


def _text(name: str, chance: random.Random) -> str:
    match name:
        case "Decimal":
            return _decimal(chance)
        case "DateTimeInterval":
            return f"{_instant(chance)}--{_instant(chance)}"
        case "purchaseOrderNumber" | "restrictedDataToken":
            return "".join(chance.choices(_PRINTABLE, k=chance.randrange(1, 20)))
        case _:
            return "".join(chance.choices(_PIECES, k=chance.randrange(4)))


def _decimal(chance: random.Random) -> str:
    """Return a number as the description of Decimal has it."""
    whole = str(chance.choice((0, 1, 12, 999_999, 10 ** chance.randrange(30))))
    fraction = "." + "".join(chance.choices("0123456789", k=chance.randrange(1, 30)))
    exponent = chance.choice(("e5", "E-7", "e+300", "E400"))
    return (
        "-" * (chance.random() < 0.2)
        + whole
        + fraction * (chance.random() < 0.7)
        + exponent * (chance.random() < 0.1)
    )
