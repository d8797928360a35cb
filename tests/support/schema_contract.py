"""Amazon's models against our structs, field by field, from an answer or a body down.

    list(disagreements(model, schema, GetPurchaseOrdersResponse))

Pure. What is found is said as a line, "Money.unitOfMeasure: ours alone", so that a test can
write down what is known and meant.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec import inspect

Model = Any  # one of the files, as plain data


def disagreements(model: Model, schema: Any, type_: type, *, sends: bool = False) -> set[str]:
    """Return in words where *type_* is not what *schema* says.

    What we are answered may be required of nobody but what the model requires; what we send
    must have all of that, which *sends* says.
    """
    return set(_compared(model, schema, inspect.type_info(type_), type_.__name__, sends))


def enumerations(model: Model) -> dict[str, frozenset[str]]:
    """Return the words that each field takes, by definition and field."""
    found: dict[str, frozenset[str]] = {}
    for name, definition in model["definitions"].items():
        _gather(definition, name, found)
    return found


def _gather(schema: Any, path: str, found: dict[str, frozenset[str]]) -> None:
    if "enum" in schema:
        found[path] = frozenset(schema["enum"])
    for name, below in schema.get("properties", {}).items():
        _gather(below, f"{path}.{name}", found)
    if "items" in schema:
        _gather(schema["items"], path, found)


def _compared(
    model: Model, schema: Any, kind: inspect.Type, path: str, sends: bool
) -> Iterator[str]:
    name = ""
    while "$ref" in schema:
        name = schema["$ref"].removeprefix("#/definitions/")
        schema = model["definitions"][name]
    if isinstance(kind, inspect.UnionType):
        kind = next(one for one in kind.types if not isinstance(one, inspect.NoneType))
    expected = _expected(schema, name)
    if not isinstance(kind, expected):
        yield f"{path}: {type(kind).__name__}, not {expected.__name__}"
    elif isinstance(kind, inspect.ListType):
        yield from _compared(model, schema["items"], kind.item_type, path, sends)
    elif isinstance(kind, inspect.StructType):
        yield from _compared_fields(model, schema, kind, sends)


def _compared_fields(
    model: Model, schema: Any, kind: inspect.StructType, sends: bool
) -> Iterator[str]:
    ours = {field.encode_name: field for field in kind.fields}
    theirs = schema.get("properties", {})
    required = set(schema.get("required", ()))
    for name in sorted(ours.keys() | theirs.keys()):
        path = f"{kind.cls.__name__}.{name}"
        if name not in theirs:
            yield f"{path}: ours alone"
        elif name not in ours:
            yield f"{path}: Amazon's alone"
        else:
            if ours[name].required and name not in required:
                yield f"{path}: required by us alone"
            if sends and name in required and not ours[name].required:
                yield f"{path}: required by Amazon"
            yield from _compared(model, theirs[name], ours[name].type, path, sends)


def _expected(schema: Any, name: str) -> type[inspect.Type]:
    """Return what a type of ours has to be for what *schema*, called *name*, describes."""
    match schema.get("type", "object"), name or schema.get("format"):
        case "string", "Decimal":
            return inspect.DecimalType
        case "string", "DateTimeInterval":
            return inspect.CustomType
        case "string", "date-time":
            return inspect.DateTimeType
        case kind, _:
            return _KINDS[kind]


_KINDS: dict[str, type[inspect.Type]] = {
    "string": inspect.StrType,
    "integer": inspect.IntType,
    "boolean": inspect.BoolType,
    "array": inspect.ListType,
    "object": inspect.StructType,
}
