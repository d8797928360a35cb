"""The operations that are imitated, and one request as the rest of the package sees it."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import unquote

import msgspec

ORDERS = "getPurchaseOrders"
ORDER = "getPurchaseOrder"
STATUSES = "getPurchaseOrdersStatus"
ACKNOWLEDGE = "submitAcknowledgement"
TRANSACTION = "getTransaction"
TOKEN = "token"  # noqa: S105  # the name of Login with Amazon's endpoint, not a secret

API_OPERATIONS = (ORDERS, ORDER, STATUSES, ACKNOWLEDGE, TRANSACTION)
OPERATIONS = (*API_OPERATIONS, TOKEN)

_FIXED_PATHS = {
    ("GET", "/vendor/orders/v1/purchaseOrders"): ORDERS,
    ("GET", "/vendor/orders/v1/purchaseOrdersStatus"): STATUSES,
    ("POST", "/vendor/orders/v1/acknowledgements"): ACKNOWLEDGE,
    ("POST", "/auth/o2/token"): TOKEN,
}
_PATHS_WITH_A_NAME = {
    ("GET", "/vendor/orders/v1/purchaseOrders"): ORDER,
    ("GET", "/vendor/transactions/v1/transactions"): TRANSACTION,
}


class Route(msgspec.Struct, frozen=True):
    """An operation, and the name at the end of its path if it has one."""

    operation: str
    subject: str = ""


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One request, as the scripts of tests get to see it."""

    operation: str
    account: str
    query: Mapping[str, str] = {}
    subject: str = ""  # the order or the transaction that the path names
    order_count: int = 0  # how many orders the answer would have


def route(method: str, path: str) -> Route | None:
    """Return what *method* and the still quoted *path* ask for, or None.

    >>> route("GET", "/vendor/orders/v1/purchaseOrders/1ABCDEFG")
    Route(operation='getPurchaseOrder', subject='1ABCDEFG')
    """
    operation = _FIXED_PATHS.get((method, path))
    if operation is not None:
        return Route(operation)
    parent, _, name = path.rpartition("/")
    operation = _PATHS_WITH_A_NAME.get((method, parent))
    if operation is None or not name:
        return None
    return Route(operation, unquote(name))
