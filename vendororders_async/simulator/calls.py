"""The operations that are imitated, and one request as the rest of the package sees it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal
from urllib.parse import unquote

import msgspec

ORDERS = "getPurchaseOrders"
ORDER = "getPurchaseOrder"
STATUSES = "getPurchaseOrdersStatus"
ACKNOWLEDGE = "submitAcknowledgement"
TRANSACTION = "getTransaction"
DIRECT_ORDERS = "getOrders"
DIRECT_ORDER = "getOrder"
# Amazon calls it submitAcknowledgement as well
DIRECT_ACKNOWLEDGE = "submitDirectFulfillmentAcknowledgement"
DIRECT_TRANSACTION = "getTransactionStatus"
RESTRICTED_TOKEN = "createRestrictedDataToken"  # noqa: S105  # a name, not a secret
TOKEN = "token"  # noqa: S105  # the name of Login with Amazon's endpoint, not a secret

API_OPERATIONS = (
    ORDERS,
    ORDER,
    STATUSES,
    ACKNOWLEDGE,
    TRANSACTION,
    DIRECT_ORDERS,
    DIRECT_ORDER,
    DIRECT_ACKNOWLEDGE,
    DIRECT_TRANSACTION,
    RESTRICTED_TOKEN,
)
OPERATIONS = (*API_OPERATIONS, TOKEN)
#: What tells of people: Amazon wants restricted data tokens here.
RESTRICTED = frozenset({DIRECT_ORDERS, DIRECT_ORDER})
LISTS = frozenset({ORDERS, STATUSES, DIRECT_ORDERS})
SUBMISSIONS = frozenset({ACKNOWLEDGE, DIRECT_ACKNOWLEDGE})

Api = Literal["retail", "direct_fulfillment"]
RETAIL: Api = "retail"
DIRECT: Api = "direct_fulfillment"
V1 = "v1"
V2021 = "2021-12-28"
VERSIONS = (V1, V2021)  # of Direct Fulfillment; retail has one

_RETAIL_PATHS = "/vendor/orders/v1"
_DIRECT_PATHS = "/vendor/directFulfillment/orders"
_DIRECT_TRANSACTIONS = "/vendor/directFulfillment/transactions"


class Route(msgspec.Struct, frozen=True):
    """An operation, the name at the end of its path if it has one, and its version."""

    operation: str
    subject: str = ""
    version: str = ""  # of Direct Fulfillment


_FIXED_PATHS = {
    ("GET", f"{_RETAIL_PATHS}/purchaseOrders"): Route(ORDERS),
    ("GET", f"{_RETAIL_PATHS}/purchaseOrdersStatus"): Route(STATUSES),
    ("POST", f"{_RETAIL_PATHS}/acknowledgements"): Route(ACKNOWLEDGE),
    ("POST", "/tokens/2021-03-01/restrictedDataToken"): Route(RESTRICTED_TOKEN),
    ("POST", "/auth/o2/token"): Route(TOKEN),
} | {
    (method, f"{_DIRECT_PATHS}/{version}/{name}"): Route(operation, version=version)
    for version in VERSIONS
    for method, name, operation in (
        ("GET", "purchaseOrders", DIRECT_ORDERS),
        ("POST", "acknowledgements", DIRECT_ACKNOWLEDGE),
    )
}
_PATHS_WITH_A_NAME = {
    f"{_RETAIL_PATHS}/purchaseOrders": Route(ORDER),
    "/vendor/transactions/v1/transactions": Route(TRANSACTION),
} | {
    f"{start}/{version}/{name}": Route(operation, version=version)
    for version in VERSIONS
    for start, name, operation in (
        (_DIRECT_PATHS, "purchaseOrders", DIRECT_ORDER),
        (_DIRECT_TRANSACTIONS, "transactions", DIRECT_TRANSACTION),
    )
}


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
    Route(operation='getPurchaseOrder', subject='1ABCDEFG', version='')
    """
    found = _FIXED_PATHS.get((method, path))
    if found is not None:
        return found
    parent, _, name = path.rpartition("/")
    found = _PATHS_WITH_A_NAME.get(parent)
    if found is None or not name or method != "GET":
        return None
    return msgspec.structs.replace(found, subject=unquote(name))
