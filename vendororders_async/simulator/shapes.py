"""The shape of a submission, refused in the words of an XML schema, as Amazon's are."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from .queries import Refused

Document = dict[str, Any]


def read_list(body: bytes, name: str) -> Document:
    """Return the document of *body*, which has a list called *name* and nothing else.

    Raises:
        Refused: It has another shape.
    """
    try:
        request = msgspec.json.decode(body)
    except msgspec.DecodeError:
        raise Refused("InvalidInput", "The request body is not valid JSON.") from None
    if not isinstance(request, dict):
        raise Refused("InvalidInput", "The request body is not an object.")
    for other in request:
        if other != name:
            # saleweaver/python-amazon-sp-api issue 276
            raise Refused(
                "InvalidInput",
                f"Invalid content was found starting with element '{other}'. "
                f"One of '{{{name}}}' is expected.",
            )
    filled(name, request.get(name))
    return request


def complete(name: str, value: object, required: Iterable[str]) -> Document:
    """Return *value* if it is an object with all *required* fields.

    Raises:
        Refused: It is not.
    """
    if not isinstance(value, dict):
        raise _incomplete(name, *required)
    for field in required:
        if field not in value:
            raise _incomplete(name, field)
    return value


def filled(name: str, value: object) -> list[Any]:
    """Return *value* if it is a list with anything in it.

    Raises:
        Refused: It is not.
    """
    if not isinstance(value, list) or not value:
        raise _incomplete(name, name.removesuffix("s"))
    return value


def _incomplete(name: str, *expected: str) -> Refused:
    return Refused(
        "InvalidInput",
        f"The content of element '{name}' is not complete. "
        f"One of '{{{', '.join(expected)}}}' is expected.",
    )
