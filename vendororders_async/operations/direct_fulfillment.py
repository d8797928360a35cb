"""Direct Fulfillment Orders and their transactions, in both versions.

>>> DIRECT_FULFILLMENT["v1"].get_order.path
'/vendor/directFulfillment/orders/v1/purchaseOrders/{purchaseOrderNumber}'
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from functools import partial

import msgspec

from ..errors import DecodeError, Error, InvalidArgument
from ..models.common import SubmitAcknowledgementResponse, TransactionId, Wire
from ..models.direct_fulfillment import Order
from ..models.transactions import GetTransactionResponse, Transaction, TransactionStatus
from ..pages import (
    Document,
    Page,
    decode_answer,
    decode_bare_answer,
    decode_page,
    decode_single,
)
from .base import DIRECT_FULFILLMENT_API, PLAN, Operation, Parameters


class GetOrders(Parameters, frozen=True, kw_only=True):
    """Parameters of getOrders; Amazon requires both dates."""

    ship_from_party_id: str | None = None
    status: str | None = None
    limit: int | None = None
    created_after: datetime
    created_before: datetime
    sort_order: str | None = None
    next_token: str | None = None
    include_details: bool | None = None


class GetOrder(Parameters, frozen=True, kw_only=True):
    """Parameters of getOrder."""

    purchase_order_number: str


class GetTransactionStatus(Parameters, frozen=True, kw_only=True):
    """Parameters of getTransactionStatus."""

    transaction_id: str


class DirectFulfillmentOperations(msgspec.Struct, frozen=True):
    """The operations of one version; both versions answer with the same structs."""

    version: str
    get_orders: Operation[Page[Order]]
    get_order: Operation[Document[Order]]
    submit_acknowledgement: Operation[SubmitAcknowledgementResponse]
    get_transaction_status: Operation[GetTransactionResponse]


def _operations(version: str, *, is_enveloped: bool) -> DirectFulfillmentOperations:
    orders = f"/vendor/directFulfillment/orders/{version}"
    transactions = f"/vendor/directFulfillment/transactions/{version}/transactions"
    return DirectFulfillmentOperations(
        version,
        # Both are restricted: https://developer-docs.amazon.com/sp-api/docs/tokens-api-use-case-guide
        Operation(
            "getOrders",
            "GET",
            f"{orders}/purchaseOrders",
            PLAN,
            partial(decode_page, content=Order, is_enveloped=is_enveloped),
            DIRECT_FULFILLMENT_API,
            is_restricted=True,
        ),
        Operation(
            "getOrder",
            "GET",
            f"{orders}/purchaseOrders/{{purchaseOrderNumber}}",
            PLAN,
            partial(decode_single, content=Order, is_enveloped=is_enveloped),
            DIRECT_FULFILLMENT_API,
            is_restricted=True,
        ),
        Operation(
            "submitAcknowledgement",
            "POST",
            f"{orders}/acknowledgements",
            PLAN,
            partial(decode_answer, response=SubmitAcknowledgementResponse)
            if is_enveloped
            else _decode_transaction_id,
            DIRECT_FULFILLMENT_API,
        ),
        Operation(
            "getTransactionStatus",
            "GET",
            f"{transactions}/{{transactionId}}",
            PLAN,
            partial(decode_answer, response=GetTransactionResponse)
            if is_enveloped
            else _decode_transaction_status,
            DIRECT_FULFILLMENT_API,
        ),
    )


def _decode_transaction_id(body: bytes) -> SubmitAcknowledgementResponse:
    return SubmitAcknowledgementResponse(payload=decode_bare_answer(body, TransactionId))


def _decode_transaction_status(body: bytes) -> GetTransactionResponse:
    try:
        payload = decode_bare_answer(body, TransactionStatus)
    except DecodeError:
        with suppress(DecodeError):
            return GetTransactionResponse(payload=_failed(body))
        raise
    return GetTransactionResponse(payload=payload)


# The model of 2021-12-28 puts an object around the errors of a transaction:
# https://developer-docs.amazon.com/sp-api/docs/vendor-direct-fulfillment-transactions-api-2021-12-28-reference


class _ErrorList(Wire, frozen=True, kw_only=True):
    errors: list[Error]


class _FailedTransaction(Wire, frozen=True, kw_only=True):
    transaction_id: str
    status: str | None = None
    errors: _ErrorList


class _Failed(Wire, frozen=True, kw_only=True):
    transaction_status: _FailedTransaction


def _failed(body: bytes) -> TransactionStatus:
    found = decode_bare_answer(body, _Failed).transaction_status
    transaction = Transaction(
        transaction_id=found.transaction_id, status=found.status, errors=found.errors.errors
    )
    return TransactionStatus(transaction_status=transaction)


DIRECT_FULFILLMENT: Mapping[str, DirectFulfillmentOperations] = {
    "v1": _operations("v1", is_enveloped=True),
    "2021-12-28": _operations("2021-12-28", is_enveloped=False),
}


def direct_fulfillment_named(version: str) -> DirectFulfillmentOperations:
    """Return the operations of *version*.

    Raises:
        InvalidArgument: there is no such version.
    """
    if version not in DIRECT_FULFILLMENT:
        known = ", ".join(DIRECT_FULFILLMENT)
        raise InvalidArgument(f"Direct Fulfillment is there as {known}, not {version!r}")
    return DIRECT_FULFILLMENT[version]
