"""Errors: they travel between processes, fit in one line, and say where they come from."""

from __future__ import annotations

import copy
import pickle
import time
import unicodedata
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vendororders_async import errors
from vendororders_async.errors import (
    AccessDenied,
    AcknowledgementError,
    AuthError,
    BadRequest,
    ConfigurationError,
    DecodeError,
    Error,
    InvalidArgument,
    NotFound,
    PaginationError,
    Problem,
    RequestError,
    ResponseError,
    ServerError,
    SinkError,
    Throttled,
    TransportError,
    VendorOrdersError,
    one_line,
)

WHERE: Any = {"operation": "getPurchaseOrders", "account": "germany"}
NASTY = "first\nsecond\r\x1b[31mred\x00\x85\u2028\u2029\tlast"

_RESPONSES: tuple[type[ResponseError], ...] = (
    ResponseError,
    BadRequest,
    NotFound,
    AccessDenied,
    Throttled,
    ServerError,
)


def examples(message: str = "what happened") -> list[VendorOrdersError]:
    """Return one error of every class, with all its fields set."""
    return [
        VendorOrdersError(message),
        ConfigurationError(message),
        InvalidArgument(message),
        AuthError(message),
        SinkError(message),
        AcknowledgementError((Problem("5ABC1233", "items[0]", message),)),
        RequestError(message, **WHERE),
        TransportError(message, **WHERE, sent=False),
        DecodeError(message, **WHERE, purchase_order_number="5ABC1233", body=b"{"),
        PaginationError(message, **WHERE),
        *(
            kind(
                message,
                **WHERE,
                status=418,
                request_id="c0ffee",
                errors=(Error(code="A", message="b"), Error(code="C", details="d")),
                retry_after=1.5,
            )
            for kind in _RESPONSES
        ),
    ]


def all_below(kind: type[VendorOrdersError]) -> Iterator[type[VendorOrdersError]]:
    """Yield *kind* and all of our classes derived from it."""
    yield kind
    for below in kind.__subclasses__():
        yield from all_below(below)


def name_of(error: VendorOrdersError) -> str:
    """Name a case after its class."""
    return type(error).__name__


def is_one_line(text: str) -> bool:
    """Say whether nothing in *text* could break a line or command a terminal."""
    return not any(unicodedata.category(one) in {"Cc", "Zl", "Zp", "Cs"} for one in text)


def test_every_class_of_the_module_has_an_example_here() -> None:
    """The promises below hold for all errors, so none may be forgotten."""
    ours = {kind for kind in all_below(VendorOrdersError) if kind.__module__ == errors.__name__}

    assert {type(error) for error in examples()} == ours


@pytest.mark.parametrize("error", examples(), ids=name_of)
@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_every_error_pickles_with_all_its_fields(
    error: VendorOrdersError, protocol: int
) -> None:
    """An error that crosses a process boundary arrives whole."""
    twin = pickle.loads(pickle.dumps(error, protocol))  # noqa: S301 - our own bytes

    assert type(twin) is type(error)
    assert twin.args == error.args
    assert vars(twin) == vars(error)
    assert str(twin) == str(error)


@pytest.mark.parametrize("error", examples(), ids=name_of)
def test_every_error_copies_with_all_its_fields(error: VendorOrdersError) -> None:
    """A copy says the same, so that each of many waiters can raise its own."""
    twin = copy.copy(error)

    assert twin is not error
    assert type(twin) is type(error)
    assert vars(twin) == vars(error)
    assert str(twin) == str(error)


@pytest.mark.parametrize("error", examples(NASTY), ids=name_of)
def test_every_error_prints_in_one_line(error: VendorOrdersError) -> None:
    """Newlines and terminal controls in foreign words do not get out."""
    assert is_one_line(str(error))
    assert "first second" in str(error)


def test_a_request_id_cannot_break_the_line() -> None:
    """The request id is foreign as well: it is a header of the answer."""
    assert is_one_line(str(ServerError("x", **WHERE, request_id="c0\nff\x1bee")))


@given(st.text())
def test_one_line_is_one_line(text: str) -> None:
    """Whatever comes in, one short line comes out, and cleaning it again changes nothing."""
    line = errors.one_line(text)

    assert is_one_line(line.encode("utf-8", "replace").decode())
    assert len(line) <= 300
    assert errors.one_line(line) == line


@pytest.mark.parametrize(
    "piece", ["://a:", "://", "://:@ ", "Atza|", "amzn1.oa2-cs.", "\u202e"]
)
def test_no_text_takes_long_to_mask(piece: str) -> None:
    """Whoever answers for Amazon chooses it, and the loop stands still meanwhile."""
    began_at = time.process_time()
    Error(message=piece * 20_000)
    one_line(piece * 20_000)

    assert time.process_time() - began_at < 2


def test_a_long_message_keeps_its_request_id() -> None:
    """Amazon's support asks for the request id, so it survives the cut."""
    line = str(BadRequest("word " * 1_000, **WHERE, request_id="c0ffee"))

    assert line.startswith("getPurchaseOrders for germany: word word")
    assert line.endswith("… (request c0ffee)")


def test_a_request_error_says_which_operation_and_for_whom() -> None:
    """Operation, account and what happened, in this order."""
    assert str(Throttled("slow down", **WHERE)) == "getPurchaseOrders for germany: slow down"
    assert str(Throttled("slow down")) == "slow down"


def test_a_decode_error_keeps_the_body_out_of_its_words() -> None:
    """The body holds addresses: it is carried, and never printed."""
    error = DecodeError("not a page", **WHERE, body=b"Koalastr. 1")

    assert error.body == b"Koalastr. 1"
    assert "Koala" not in f"{error} {error!r}"


def test_an_invalid_argument_is_a_value_error() -> None:
    """Callers who expect Python's own error catch ours."""
    assert issubclass(InvalidArgument, ValueError)


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (
            Error(code="InvalidInput", message="Invalid Input", details=""),
            "InvalidInput: Invalid Input",
        ),
        (Error(code="A", message="b", details="c"), "A: b: c"),
        (Error(message="b"), "b"),
        (Error(code="A"), "A"),
        (Error(), ""),
        (Error(code="A", message=NASTY), "A: first second [31mred last"),
    ],
)
def test_an_entry_of_amazons_list_reads_as_code_message_details(
    entry: Error, words: str
) -> None:
    """What is missing leaves no stray colon."""
    assert str(entry) == words


def test_only_one_kind_of_400_may_be_taken_back() -> None:
    """InvalidInput, or a 400 that says nothing, such as an HTML page."""
    invalid_input = Error(code="InvalidInput", message="Invalid Input", details="")
    invalid_request = Error(code="InvalidRequest")

    assert BadRequest("x").is_spurious
    assert BadRequest("x", errors=(invalid_input,)).is_spurious
    assert BadRequest("x", errors=(invalid_request, invalid_input)).is_spurious
    assert not BadRequest("x", errors=(invalid_request,)).is_spurious
