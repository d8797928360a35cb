"""Amazon's own sandbox cases, every one of them, and the answers kept as files here."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
import sample_files
from decoded import MODELS, OPERATIONS, contents, lost, plain
from sample_files import sample

from vendororders_async.clock import parse_instant
from vendororders_async.dispatch import refusal
from vendororders_async.errors import BadRequest, Error
from vendororders_async.models import direct_fulfillment
from vendororders_async.models.common import SubmitAcknowledgementResponse
from vendororders_async.models.retail_procurement import (
    ConfirmationStatus,
    Order,
    OrderStatus,
    PurchaseOrderState,
    SubmitAcknowledgementRequest,
)
from vendororders_async.models.tokens import CreateRestrictedDataTokenRequest
from vendororders_async.models.transactions import GetTransactionResponse, TransactionState
from vendororders_async.operations import (
    GET_PURCHASE_ORDERS,
    GET_PURCHASE_ORDERS_STATUS,
    GET_TRANSACTION,
    SUBMIT_ACKNOWLEDGEMENT,
)
from vendororders_async.pages import Page
from vendororders_async.transport import Answer

PUBLISHED = [
    (f"{operation}{version}", *case)
    for name, version in MODELS.items()
    for operation, *case in sample_files.published_cases(name)
]
CASES = [
    pytest.param(operation, status, answer, id=f"{operation}-{status}-{number}")
    for operation, status, number, _, answer in PUBLISHED
]
# The version of 2021-12-28 has no cases of its own; retail's one example is no order.
EXAMPLES = [
    pytest.param(f"{operation}{version}", 200, answer, id=f"{operation}{version}-example")
    for name, version in MODELS.items()
    if version
    for operation, answer in sample_files.published_examples(name)
]
needs_models = pytest.mark.skipif(not sample_files.HAS_MODELS, reason=sample_files.NO_MODELS)


@needs_models
@pytest.mark.parametrize(("operation", "status", "answer"), CASES + EXAMPLES)
def test_every_published_case_is_understood(operation: str, status: int, answer: Any) -> None:
    """A success decodes without losing anything, a refusal is the error it means."""
    body = json.dumps(answer).encode()
    if status >= 400:
        # as if it told of nobody: of what does, an error carries no details
        whole = msgspec.structs.replace(OPERATIONS[operation], is_restricted=False)
        error = refusal(Answer(status, {}, body), whole, "sandbox")

        assert type(error) is BadRequest
        assert [plain(one) for one in error.errors] == answer["errors"]
        return

    payload = answer.get("payload", answer)
    rows = payload.get("orders", payload.get("ordersStatus", payload))
    decoded = OPERATIONS[operation].decode(body)

    assert lost(rows, contents(decoded)) == []
    if isinstance(decoded, Page):
        assert decoded.next_token == payload.get("pagination", {}).get("nextToken")


@needs_models
def test_the_published_cases_are_all_there() -> None:
    """Fewer than the models held in 2026 would mean that we read them wrongly."""
    assert len(CASES) >= 38
    assert len(EXAMPLES) >= 6
    assert {status for _, status, *_ in PUBLISHED} == {200, 202, 400}


@needs_models
@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("submitAcknowledgement", SubmitAcknowledgementRequest),
        ("submitAcknowledgement-v1", direct_fulfillment.SubmitAcknowledgementRequest),
        ("createRestrictedDataToken", CreateRestrictedDataTokenRequest),
    ],
)
def test_what_the_sandbox_asks_for_can_be_built_and_sent(name: str, kind: type) -> None:
    """It comes out of our structs as it went in."""
    bodies = [
        parameters["body"]
        for operation, status, _, parameters, _ in PUBLISHED
        if operation == name and status < 400 and parameters.get("body")
    ]
    requests: list[Any] = [msgspec.convert(body, kind) for body in bodies]

    assert requests
    for body, request in zip(bodies, requests, strict=True):
        assert lost(body, plain(request)) == []
        assert lost(json.loads(msgspec.json.encode(request)), plain(request)) == []


@pytest.mark.parametrize(
    ("operation", "name"),
    [
        (operation, name)
        for operation, name in sample_files.all_samples()
        if name.startswith("2")
    ],
)
def test_every_answer_kept_here_decodes_without_loss(operation: str, name: str) -> None:
    """What the files say, the structs say."""
    body = sample(operation, name)
    answer = json.loads(body)
    payload = answer.get("payload", answer)
    rows = payload.get("orders", payload.get("ordersStatus", payload))

    assert lost(rows, contents(OPERATIONS[operation].decode(body))) == []


def test_a_page_of_orders_is_typed() -> None:
    """Instants, amounts, windows and states come out as what they are."""
    page = GET_PURCHASE_ORDERS.decode(sample("getPurchaseOrders", "200.json"))
    first, second = (document.content for document in page.documents)

    assert page.next_token == "WzE3NjcyMjU2MDAwMDAsIjVBQkMxMjM0Il0="
    assert isinstance(first, Order)
    assert isinstance(second, Order)
    assert first.order_details is not None
    assert second.order_details is not None
    assert first.purchase_order_state == PurchaseOrderState.NEW
    assert first.order_details.purchase_order_date == parse_instant("2026-01-01")
    assert first.order_details.purchase_order_changed_date is None
    assert first.order_details.items[0].net_cost is not None
    assert str(first.order_details.items[0].net_cost.amount) == "1.10"
    assert first.order_details.delivery_window is not None
    assert first.order_details.delivery_window.end == parse_instant("2026-01-12T18:00:00")
    assert second.order_details.ship_window is not None
    assert second.order_details.ship_window.start == second.order_details.ship_window.end
    assert second.order_details.items == []
    assert b'"5ABC1234"' in page.documents[1].raw


def test_a_page_of_statuses_is_typed() -> None:
    """The status operation has its own vocabulary, and its rows their own list."""
    page = GET_PURCHASE_ORDERS_STATUS.decode(sample("getPurchaseOrdersStatus", "200.json"))
    status = page.documents[0].content

    assert page.next_token is None
    assert isinstance(status, OrderStatus)
    line = status.item_status[0]
    assert line.acknowledgement_status is not None
    assert (
        line.acknowledgement_status.confirmation_status == ConfirmationStatus.PARTIALLY_ACCEPTED
    )
    assert line.ordered_quantity is not None
    assert len(line.ordered_quantity.ordered_quantity_details) == 2


def test_an_empty_page_can_have_a_next_one() -> None:
    """Amazon really sends no rows together with a next token (python-amazon-sp-api#684)."""
    page = GET_PURCHASE_ORDERS_STATUS.decode(
        sample("getPurchaseOrdersStatus", "200_empty_with_token.json")
    )

    assert page.documents == ()
    assert page.next_token == "WzE2NTkyOTAzODIwMDAsIjhNS0pMWk9DIl0="


def test_a_transaction_keeps_its_errors() -> None:
    """What went wrong with a submission is kept verbatim."""
    answer = GET_TRANSACTION.decode(sample("getTransaction", "200.json"))

    assert isinstance(answer, GetTransactionResponse)
    assert answer.payload is not None
    assert answer.payload.transaction_status is not None
    assert answer.payload.transaction_status.status == TransactionState.FAILURE
    assert answer.payload.transaction_status.errors == [
        Error(code="INVALID_ORDER_ID", message="Invalid order ID.", details="5ABC1233")
    ]


def test_a_submission_is_answered_with_an_opaque_id() -> None:
    """The id comes in two forms; neither is taken apart."""
    answer = SUBMIT_ACKNOWLEDGEMENT.decode(sample("submitAcknowledgement", "202.json"))

    assert isinstance(answer, SubmitAcknowledgementResponse)
    assert answer.payload is not None
    assert (
        answer.payload.transaction_id == "3d918995-7acd-460d-8916-569aed7a87b2-20211201162243"
    )
