"""Answers as their users want them: typed, or an error that names the order."""

from __future__ import annotations

import re
from typing import Any, TypeVar

import msgspec

from .accounts import Account
from .caller import Caller
from .errors import DecodeError, InvalidArgument
from .models.common import Pagination, Wire
from .operations import Call, Operation
from .pages import Document, Page, Row

R = TypeVar("R", bound=Row)

_NUMBER = re.compile(rb'"purchaseOrderNumber"\s*:\s*"([0-9A-Za-z_-]{1,64})"')


async def page_of(caller: Caller, call: Call[Page[R]]) -> tuple[Pagination | None, list[R]]:
    """Send *call*, and return what its page says; its pagination is None on the last one.

    Raises:
        DecodeError: an order on it is not the schema.
    """
    page = (await caller.send(call)).content
    pagination = Pagination(next_token=page.next_token) if page.next_token else None
    return pagination, [
        content_of(one, call.operation, caller.account) for one in page.documents
    ]


async def order_of(caller: Caller, call: Call[Document[R]], purchase_order_number: str) -> R:
    """Send *call*, and return the one order it asks for.

    Raises:
        DecodeError: the answer is not the schema; the error has the number asked for.
    """
    try:
        document = (await caller.send(call)).content
        return content_of(document, call.operation, caller.account)
    except DecodeError as error:
        raise DecodeError(
            error.args[0],
            operation=error.operation,
            account=error.account,
            purchase_order_number=purchase_order_number,
            body=error.body,
        ) from None


def content_of(document: Document[R], operation: Operation[object], account: Account) -> R:
    """Return what *document* says.

    Raises:
        DecodeError: it is not the schema; the error names the order where that can be read.
    """
    if document.content is not None:
        return document.content
    found = _NUMBER.search(document.raw)
    number = found[1].decode() if found else None
    raise DecodeError(
        f"order {number or 'without a readable number'} is not the schema: {document.reason}",
        operation=operation.name,
        account=account.name,
        purchase_order_number=number,
        body=document.raw,
    )


def check_submission(request: object, decoder: msgspec.json.Decoder[Any], field: str) -> None:
    """Refuse what the schema does not allow; msgspec does not look when it is made.

    *decoder* knows the schema, *field* holds the acknowledgements.

    Raises:
        InvalidArgument: *request* is something else, or empty.
    """
    kind: type[Wire] = decoder.type
    if not isinstance(request, kind) or not getattr(request, field):
        words = field.replace("_", " ")
        raise InvalidArgument(f"a {kind.__name__} with {words} is needed")
    try:
        decoder.decode(msgspec.json.encode(request))
    except (msgspec.MsgspecError, TypeError, ValueError) as error:
        raise InvalidArgument(f"the acknowledgement is not the schema: {error}") from None
