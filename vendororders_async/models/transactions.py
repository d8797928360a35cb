"""Transaction Status: what became of a submission, to retail and to direct fulfillment.

The three models (vendor v1, direct fulfillment v1 and 2021-12-28) describe the same; the
last one comes without the ``payload``, and is given the same shape here.

https://developer-docs.amazon.com/sp-api/docs/vendor-retail-procurement-transaction-status-api-v1-reference
https://developer-docs.amazon.com/sp-api/docs/vendor-direct-fulfillment-transactions-api-v1-reference
"""

from __future__ import annotations

from enum import StrEnum

from .common import Error, Wire


class TransactionState(StrEnum):
    """How far a transaction is; ``Success`` never comes for a retail acknowledgement."""

    FAILURE = "Failure"
    PROCESSING = "Processing"
    SUCCESS = "Success"


class Transaction(Wire, frozen=True, kw_only=True):
    """A submission and its status."""

    transaction_id: str
    status: str | None = None
    errors: list[Error] = []


class TransactionStatus(Wire, frozen=True, kw_only=True):
    """The payload of getTransaction."""

    transaction_status: Transaction | None = None


class GetTransactionResponse(Wire, frozen=True, kw_only=True):
    """The answer of getTransaction and of getTransactionStatus."""

    payload: TransactionStatus | None = None
    errors: list[Error] = []
