"""Pages: bytes in, orders out, and never fewer of them in silence."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sample_files import sample

from vendororders_async.errors import DecodeError, Error
from vendororders_async.models.common import SubmitAcknowledgementResponse, TransactionId
from vendororders_async.models.retail_procurement import (
    Order,
    OrderStatus,
)
from vendororders_async.pages import (
    Page,
    decode_answer,
    decode_bare_answer,
    decode_document,
    decode_errors,
    decode_page,
    decode_single,
)

SMALL = (
    b'{"payload": {"orders": [{"purchaseOrderNumber": "A", "purchaseOrderState": "x]}\\"{"},'
    b' {"purchaseOrderNumber": "B"}], "pagination": {"nextToken": "t="}}}\n'
)
BARE = SMALL[len(b'{"payload": ') : -2]
BROKEN = SMALL.replace(b'"purchaseOrderNumber": "A"', b'"purchaseOrderNumber": "A", "n": NaN')


def numbers(page: Page[Order]) -> list[str | None]:
    """Return the numbers of the orders on *page*, None for one that did not decode."""
    return [
        one.content.purchase_order_number if one.content else None for one in page.documents
    ]


@pytest.mark.parametrize("body", [SMALL, BROKEN], ids=["whole", "with a NaN"])
def test_a_page_cut_at_any_byte_is_an_error(body: bytes) -> None:
    """A truncated page never passes for a shorter one."""
    whole = decode_page(body, Order)
    for cut in range(len(body)):
        try:
            page = decode_page(body[:cut], Order)
        except DecodeError as error:
            assert error.body == body[:cut]  # noqa: PT017 - most cuts raise, the last ones need not
            continue

        assert body[:cut].strip() == body.strip()
        assert page == whole


@pytest.mark.parametrize("body", [SMALL, BROKEN], ids=["whole", "with a NaN"])
def test_a_page_without_its_beginning_is_an_error(body: bytes) -> None:
    """The same from the other end."""
    for cut in range(1, len(body)):
        with pytest.raises(DecodeError):
            decode_page(body[cut:], Order)


@pytest.mark.parametrize(
    "poison",
    [
        b"NaN",
        b"-Infinity",
        b'"\\ud800"',
        b'"\xff\xfe"',
        b'"\x00"',
        b'"\n"',
        b"01",
        b"1.",
        b"undefined",
        b"'single'",
        b'"\\x41"',
        b"[1,]",
        b"{,}",
    ],
)
def test_a_poisoned_order_costs_only_itself(poison: bytes) -> None:
    """Its neighbours and the next token are read; it stays on the page with a reason."""
    body = SMALL.replace(
        b'"purchaseOrderNumber": "B"', b'"purchaseOrderNumber": "B", "n": ' + poison
    )
    page = decode_page(body, Order)

    assert numbers(page) == ["A", None]
    assert page.documents[1].raw == b'{"purchaseOrderNumber": "B", "n": ' + poison + b"}"
    assert page.documents[1].reason
    assert page.next_token == "t="


def test_texts_may_hold_brackets_and_escapes() -> None:
    """Brackets in a text close nothing, also while a broken page is taken apart."""
    page = decode_page(BROKEN, Order)

    assert numbers(page) == [None, "B"]
    assert page.documents[0].raw.endswith(b'"x]}\\"{"}')


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "an empty body"),
        (b" \r\n", "an empty body"),
        (b"<html><body>503</body></html>", "HTML in place of JSON"),
        (b"\n <!DOCTYPE html>", "HTML in place of JSON"),
        (b"null", "Amazon answered with"),
        (b"[]", "Amazon answered with"),
        (b"{}", "a success without its list"),
        (b'{"payload": null}', "a success without its list"),
        (b'{"payload": {}}', "a success without its list"),
        (b'{"payload": {"orders": null}}', "a success without its list"),
        (b'{"payload": {"ordersStatus": []}}', "a success without its list"),
        (b'{"orders": []}', "a success without its list"),
        (b'{"payload": {"orders": {}}}', "Amazon answered with"),
        (b'{"payload": {"orders": "none"}}', "Amazon answered with"),
        (b'{"payload": {"orders": []}} {}', "Amazon answered with"),
        (b'{"payload": {"orders": []}}garbage', "Amazon answered with"),
        (SMALL + SMALL, "Amazon answered with"),
        (
            b'{"errors": [{"code": "InternalFailure", "message": "try later"}]}',
            "InternalFailure: try later",
        ),
    ],
)
def test_what_is_no_page_is_an_error(body: bytes, words: str) -> None:
    """An answer without its list is never an empty page."""
    with pytest.raises(DecodeError, match=words) as caught:
        decode_page(body, Order)

    assert caught.value.body == body


def test_a_page_that_reports_errors_is_not_an_empty_page() -> None:
    """A success with errors and no rows would lose a window in silence."""
    with pytest.raises(DecodeError, match="InternalFailure"):
        decode_page(
            b'{"payload": {"orders": []}, "errors": [{"code": "InternalFailure"}]}', Order
        )


@pytest.mark.parametrize("token", [b"5", b"{}", b'"\xff"'])
def test_an_unreadable_next_token_is_an_error(token: bytes) -> None:
    """Without it the rest of the window could not be asked for: the page is not the last."""
    with pytest.raises(DecodeError):
        decode_page(SMALL.replace(b'"t="', token), Order)


@pytest.mark.parametrize(
    "pagination", [b"null", b"{}", b'{"nextToken": null}', b'{"nextToken": ""}']
)
def test_the_last_page_has_no_token(pagination: bytes) -> None:
    """Absent, null and empty all mean the end."""
    assert (
        decode_page(SMALL.replace(b'{"nextToken": "t="}', pagination), Order).next_token is None
    )


@pytest.mark.parametrize(
    "body",
    [
        b'{"payload": {"orders": [{"purchaseOrderNumber": "A"}], "orders": []}}',
        b'{"payload": {"orders": []}, "payload": {"orders": []}}',
        b'{"payload": {"orders": [NaN], "orders": []}}',
    ],
)
def test_two_lists_are_no_page(body: bytes) -> None:
    """Nothing says which of them counts, and orders of neither may be lost."""
    with pytest.raises(DecodeError, match="Amazon answered with"):
        decode_page(body, Order)


def test_a_text_may_be_called_as_the_list_is() -> None:
    """It is no second list."""
    page = decode_page(
        b'{"payload": {"orders": [{"purchaseOrderNumber": "orders", "x": {"orders": []}}]}}',
        Order,
    )

    assert numbers(page) == ["orders"]


def test_an_empty_last_page_is_a_page() -> None:
    """The real one has no pagination at all (selling-partner-api-models#2730)."""
    assert decode_page(sample("getPurchaseOrders", "200_last.json"), Order) == Page(())


def test_each_stream_reads_its_own_list() -> None:
    """Statuses stand in another list than orders."""
    body = b'{"payload": {"ordersStatus": [{"purchaseOrderNumber": "A"}]}}'

    assert decode_page(body, OrderStatus).documents[0].content == OrderStatus(
        purchase_order_number="A"
    )


def test_a_broken_page_of_statuses_is_taken_apart_too() -> None:
    """Salvage knows the other list as well."""
    body = b'{"payload": {"ordersStatus": [{"purchaseOrderNumber": "A"}, {"n": NaN}]}}'
    page = decode_page(body, OrderStatus)

    assert page.documents[0].content == OrderStatus(purchase_order_number="A")
    assert page.documents[1].content is None


@given(st.lists(st.text(min_size=1, max_size=8), max_size=6), st.text(min_size=1))
def test_the_bytes_of_every_order_are_kept(names: list[str], token: str) -> None:
    """What comes out of a page is, byte by byte, what was in it."""
    rows = [json.dumps({"purchaseOrderNumber": name, "new": [name]}) for name in names]
    pagination = json.dumps({"nextToken": token})
    body = f'{{"payload": {{"pagination": {pagination}, "orders": [{", ".join(rows)}]}}}}'
    page = decode_page(body.encode(), Order)

    assert [one.raw.decode() for one in page.documents] == rows
    assert numbers(page) == names
    assert page.next_token == token


def test_depth_in_an_unknown_field_is_seen() -> None:
    """The decoder passes over it, and a database that reads JSON would not."""
    deep = b'{"purchaseOrderNumber": "A", "news": %s1%s}' % (b"[" * 500, b"]" * 500)
    document = decode_document(deep, Order)

    assert (document.content, document.reason) == (None, "nested too deeply")


def test_invalid_utf8_in_an_unknown_field_is_seen() -> None:
    """A database would choke on it later, and the quick decoder does not look there."""
    document = decode_document(b'{"purchaseOrderNumber": "A", "new": "\xff"}', Order)

    assert document.content is None
    assert document.reason == "invalid UTF-8"


def test_a_single_order_is_decoded_with_its_bytes() -> None:
    """With getPurchaseOrder, the answer holds one order."""
    document = decode_single(b'{"payload": {"purchaseOrderNumber": "A"}}', Order)

    assert document.content == Order(purchase_order_number="A")
    assert document.raw == b'{"purchaseOrderNumber": "A"}'


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "an empty body"),
        (b"{}", "without a payload"),
        (b'{"payload": null}', "without a payload"),
        (b'{"errors": [{"code": "A", "message": "b"}]}', "A: b"),
        (b'{"payload": {"purchaseOrderNumber": "A"}', "Amazon answered with"),
        (
            b'{"payload": {"purchaseOrderNumber": "A"}, "errors": [{"message": "half"}]}',
            "half",
        ),
        (b"<html>", "HTML"),
    ],
)
def test_a_single_answer_without_its_order_is_an_error(body: bytes, words: str) -> None:
    """A success that holds no order is no success."""
    with pytest.raises(DecodeError, match=words):
        decode_single(body, Order)


def test_a_single_order_that_does_not_decode_has_a_reason() -> None:
    """Its bytes are kept like those of any other."""
    document = decode_single(b'{"payload": {"purchaseOrderNumber": []}}', Order)

    assert document.content is None
    assert document.reason is not None


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"<html>", b'{"payload": 5}', b'{"payload": {"transactionId": "\xff"}}'],
)
def test_another_answer_that_is_not_the_schema_is_an_error(body: bytes) -> None:
    """A submission's answer is read or refused, nothing between."""
    with pytest.raises(DecodeError):
        decode_answer(body, SubmitAcknowledgementResponse)


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        (
            b'{"errors": [{"code": "A", "message": "b", "details": "c"}, {"code": "D"}]}',
            (Error(code="A", message="b", details="c"), Error(code="D")),
        ),
        (b'{"errors": []}', ()),
        (b'{"errors": null}', ()),
        (b"{}", ()),
        (b"", ()),
        (b"<html>", ()),
        (b"\xff\xfe", ()),
        (b'{"errors": [{"code": "\xff"}]}', ()),
        (b"[" * 100_000, ()),
    ],
)
def test_amazons_errors_are_read_where_they_are(body: bytes, errors: tuple[Error, ...]) -> None:
    """Whatever else comes is no error list, and no crash."""
    assert decode_errors(body) == errors


@pytest.mark.parametrize(
    "entry",
    [b'{"code": "QuotaExceeded", "message": null}', b'{"code": "QuotaExceeded", "message": 5}'],
)
def test_a_badly_typed_entry_keeps_its_code(entry: bytes) -> None:
    """Retrying goes by the code, so one odd neighbour must not cost it."""
    (error,) = decode_errors(b'{"errors": [%s]}' % entry)

    assert error.code == "QuotaExceeded"


def test_a_page_without_an_envelope_is_the_same_page() -> None:
    """Direct Fulfillment's later version leaves the payload out."""
    assert decode_page(BARE, Order, is_enveloped=False) == decode_page(SMALL, Order)


def test_a_page_without_an_envelope_cut_at_any_byte_is_an_error() -> None:
    """It never passes for a shorter one either."""
    for cut in range(len(BARE)):
        with pytest.raises(DecodeError):
            decode_page(BARE[:cut], Order, is_enveloped=False)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b'{"orders": null}',
        b'{"errors": [{"code": "A", "message": "b"}]}',
        b'{"orders": [], "errors": [{"code": "A", "message": "b"}]}',
        SMALL,
    ],
)
def test_what_is_no_page_without_an_envelope_is_an_error(body: bytes) -> None:
    """No list is not an empty list, and errors are errors."""
    with pytest.raises(DecodeError):
        decode_page(body, Order, is_enveloped=False)


@pytest.mark.parametrize(
    "body", [b"", b"null", b"[]", b" ", b'{"errors": [{"code": "A", "message": "b"}]}']
)
def test_what_is_no_order_without_an_envelope_is_an_error(body: bytes) -> None:
    """A refusal with a good status is a refusal."""
    with pytest.raises(DecodeError):
        decode_single(body, Order, is_enveloped=False)


def test_an_order_without_an_envelope_is_the_whole_body() -> None:
    """Byte for byte."""
    body = b' {"purchaseOrderNumber": "A", "errors": []}\n'
    document = decode_single(body, Order, is_enveloped=False)

    assert document.content == Order(purchase_order_number="A")
    assert document.raw == body


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"errors": [{"code": "InvalidInput", "message": "No."}]}', "InvalidInput: No."),
        (b"{}", "a success without a payload"),
        (b'{"payload": null}', "a success without a payload"),
    ],
)
def test_a_success_that_reports_errors_is_no_success(body: bytes, words: str) -> None:
    """Nobody would look for a transaction in it, and all would think that it was taken."""
    with pytest.raises(DecodeError, match=f"^Amazon answered with {words}$"):
        decode_answer(body, SubmitAcknowledgementResponse)


def test_errors_beside_a_transaction_do_not_hide_it() -> None:
    """With its number it can be found out what was taken."""
    body = b'{"payload": {"transactionId": "t"}, "errors": [{"code": "A", "message": "B"}]}'
    found = decode_answer(body, SubmitAcknowledgementResponse)

    assert found.payload == TransactionId(transaction_id="t")
    assert [one.code for one in found.errors] == ["A"]


@pytest.mark.parametrize(
    "body", [b'{"transactionId": "t"}', b'{"payload": {"transactionId": "t"}, "errors": null}']
)
def test_an_answer_that_needs_no_envelope_may_have_one(body: bytes) -> None:
    """Amazon's own guides show both."""
    assert decode_bare_answer(body, TransactionId) == TransactionId(transaction_id="t")


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b'{"errors": [{"code": "A", "message": "b"}]}']
)
def test_an_answer_without_an_envelope_is_read_or_refused(body: bytes) -> None:
    """Nothing between."""
    with pytest.raises(DecodeError):
        decode_bare_answer(body, TransactionId)
