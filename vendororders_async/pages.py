"""Pages: bytes from Amazon in, orders out, each with the bytes it came in.

Pure functions. An order that cannot be decoded stays on its page with the reason, so
that whoever stores the page can set it aside whole; its neighbours are not touched.
"""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar

import msgspec

from .errors import DecodeError, Error, one_line
from .models import direct_fulfillment
from .models.common import Pagination, Wire
from .models.lenient import REFUSED, Undecodable, decoder_of, too_deep
from .models.retail_procurement import Order, OrderStatus
from .salvage import salvage

Row = Order | OrderStatus | direct_fulfillment.Order
T_co = TypeVar("T_co", bound=Row, covariant=True)  # pages of orders are pages of rows
R = TypeVar("R")


class Enveloped(Protocol):
    """An answer with what was asked for in an envelope."""

    @property
    def payload(self) -> object | None:
        """What was asked for."""


E = TypeVar("E", bound=Enveloped)


class Document(msgspec.Struct, Generic[T_co], frozen=True, gc=False):
    """One order or status: the bytes as Amazon sent them, and what they say.

    *content* is None for one that does not decode, and *reason* says why.
    """

    raw: bytes
    content: T_co | None = None
    reason: str | None = None


class Page(msgspec.Struct, Generic[T_co], frozen=True, gc=False):
    """One answer of a stream; *next_token* is None on the last page."""

    documents: tuple[Document[T_co], ...]
    next_token: str | None = None

    @property
    def mark(self) -> int | None:
        """What tells it from the other pages of its list; None of an empty one."""
        rows = self.documents
        return hash((len(rows), rows[0].raw, rows[-1].raw)) if rows else None


class _Rows(Wire, frozen=True):
    """The list of a page's payload, whatever its name, not yet decoded."""

    pagination: Pagination | None = None
    orders: list[msgspec.Raw] | None = None
    orders_status: list[msgspec.Raw] | None = None


class _Envelope(Wire, frozen=True):
    payload: _Rows | None = None
    errors: msgspec.Raw = msgspec.Raw()


class _BarePage(_Rows, frozen=True):
    """A page without an envelope."""

    errors: msgspec.Raw = msgspec.Raw()


class _SingleEnvelope(Wire, frozen=True):
    payload: msgspec.Raw = msgspec.Raw()
    errors: msgspec.Raw = msgspec.Raw()


class _ErrorsEnvelope(Wire, frozen=True):
    errors: list[Error] | None = None


_ENVELOPE = msgspec.json.Decoder(_Envelope)
_BARE_PAGE = msgspec.json.Decoder(_BarePage)
_SINGLE = msgspec.json.Decoder(_SingleEnvelope)
_LISTS = {False: ("orders", "orders"), True: ("orders_status", "ordersStatus")}
_NOTHING = (b"", b"null", b"[]")


def decode_document(raw: bytes | msgspec.Raw, content: type[T_co]) -> Document[T_co]:
    """Decode one order or status; what does not decode comes back with the reason."""
    kept = bytes(raw)
    try:
        if not kept.isascii():
            kept.decode()  # the quick decoder does not look into fields it does not know
        if too_deep(kept):
            return Document(kept, reason="nested too deeply")
        return Document(kept, decoder_of(content).decode(kept))
    except UnicodeDecodeError:
        return Document(kept, reason="invalid UTF-8")
    except Undecodable as error:
        return Document(kept, reason=one_line(str(error)))


def decode_page(body: bytes, content: type[T_co], *, is_enveloped: bool = True) -> Page[T_co]:
    """Decode an answer of a stream whose rows are *content*.

    A page that is not valid JSON as a whole is taken apart and decoded order by order.
    *is_enveloped* says that the page is the ``payload`` of the answer, and not all of it.

    Raises:
        DecodeError: the body is empty, truncated, not JSON, or not a page.
    """
    field, wire = _LISTS[content is OrderStatus]
    path = ("payload", wire) if is_enveloped else (wire,)
    rows: list[msgspec.Raw] | tuple[bytes, ...] | None
    try:
        payload, errors = _opened(body, is_enveloped=is_enveloped)
        rows = getattr(payload, field, None)
    except REFUSED as error:
        found = salvage(body, path)
        if found is None:
            raise _not_a_page(body, str(error)) from None
        rows = found.rows
        try:
            payload, errors = _opened(found.envelope, is_enveloped=is_enveloped)
        except REFUSED:
            raise _not_a_page(body, str(error)) from None
    # An empty last page is {"payload": {"orders": []}} (selling-partner-api-models#2730); a
    # page without its list is not an empty one, and one that reports errors is not whole.
    if rows is None or payload is None or bytes(errors) not in _NOTHING:
        raise _not_a_page(body, _errors_in(body, content) or "a success without its list")
    # Of two lists the decoder takes the last, and the orders of the first would be lost.
    if body.count(b'"%s"' % wire.encode()) > 1 and salvage(body, path) is None:
        raise _not_a_page(body, "its list twice")
    pagination = payload.pagination
    return Page(
        tuple(decode_document(raw, content) for raw in rows),
        (pagination.next_token if pagination else None) or None,
    )


def _opened(body: bytes, *, is_enveloped: bool) -> tuple[_Rows | None, msgspec.Raw]:
    """Return the page in *body*, its rows not yet decoded, and the errors beside it."""
    if is_enveloped:
        envelope = _ENVELOPE.decode(body)
        return envelope.payload, envelope.errors
    page = _BARE_PAGE.decode(body)
    return page, page.errors


def decode_single(
    body: bytes, content: type[T_co], *, is_enveloped: bool = True
) -> Document[T_co]:
    """Decode an answer that holds one order.

    Raises:
        DecodeError: the body is empty, truncated, not JSON, or without an order.
    """
    try:
        found = _SINGLE.decode(body)
    except REFUSED as error:
        raise _not_a_page(body, str(error)) from None
    payload = found.payload if is_enveloped else msgspec.Raw(body)
    # as of a page: what reports errors is not whole
    if bytes(found.errors) not in _NOTHING or bytes(payload).strip() in _NOTHING:
        raise _not_a_page(body, _errors_in(body, content) or "a success without a payload")
    return decode_document(payload, content)


def decode_answer(body: bytes, response: type[E]) -> E:
    """Decode an answer in an envelope that is neither a page nor an order.

    Raises:
        DecodeError: the body is not the schema, or reports errors in place of a payload.
    """
    found = _decoded(body, response)
    if found.payload is None:
        raise _not_a_page(body, _errors_in(body) or "a success without a payload")
    return found


def decode_bare_answer(body: bytes, response: type[R]) -> R:
    """Decode an answer that comes without an envelope, and is neither a page nor an order.

    One that comes in an envelope all the same is taken out of it: Amazon's guides show
    some of them so.

    Raises:
        DecodeError: the body is not the schema, or reports errors.
    """
    if words := _errors_in(body):
        raise _not_a_page(body, words)
    try:
        payload = bytes(_SINGLE.decode(body).payload)
    except REFUSED:
        payload = b""  # the lenient decoder says what is wrong
    return _decoded(body if payload in _NOTHING else payload, response)


def _decoded(body: bytes, response: type[R]) -> R:
    try:
        return decoder_of(response).decode(body)
    except Undecodable as error:
        raise _not_a_page(body, str(error)) from None


def decode_errors(body: bytes, *, has_people: bool = False) -> tuple[Error, ...]:
    """Return Amazon's errors in *body*; none when it is HTML or something else.

    Where it is an answer that *has_people*, their details are left out: they are free text,
    and may quote whom an order is for.
    """
    try:
        errors = decoder_of(_ErrorsEnvelope).decode(body).errors or ()
    except Undecodable:
        return ()
    if has_people:
        return tuple(msgspec.structs.replace(one, details=None) for one in errors)
    return tuple(errors)


def _errors_in(body: bytes, content: type[object] | None = None) -> str:
    has_people = content is direct_fulfillment.Order
    return "; ".join(map(str, decode_errors(body, has_people=has_people)))


def _not_a_page(body: bytes, reason: str) -> DecodeError:
    if not body.strip():
        reason = "an empty body"
    elif body.lstrip().startswith(b"<"):
        reason = "HTML in place of JSON"
    return DecodeError(f"Amazon answered with {one_line(reason)}", body=body)
