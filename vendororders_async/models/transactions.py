"""Vendor Transaction Status v1: what became of a submission.

https://developer-docs.amazon.com/sp-api/docs/vendor-retail-procurement-transaction-status-api-v1-reference
"""

from __future__ import annotations

from enum import StrEnum

from .common import Error, Wire


class TransactionState(StrEnum):
    """How far a transaction is; ``Success`` never comes for an acknowledgement."""

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
    """The answer of getTransaction."""

    payload: TransactionStatus | None = None
    errors: list[Error] = []
