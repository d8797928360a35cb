"""Every operation by name, and what its decode makes of an answer, as plain data."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

from vendororders_async.clock import parse_instant, utc
from vendororders_async.operations import (
    CREATE_RESTRICTED_DATA_TOKEN,
    DIRECT_FULFILLMENT,
    GET_PURCHASE_ORDER,
    GET_PURCHASE_ORDERS,
    GET_PURCHASE_ORDERS_STATUS,
    GET_TRANSACTION,
    SUBMIT_ACKNOWLEDGEMENT,
    Operation,
)
from vendororders_async.pages import Document, Page

_OTHERS = (
    *(GET_PURCHASE_ORDERS, GET_PURCHASE_ORDER, GET_PURCHASE_ORDERS_STATUS),
    *(SUBMIT_ACKNOWLEDGEMENT, GET_TRANSACTION, CREATE_RESTRICTED_DATA_TOKEN),
)
OPERATIONS: dict[str, Operation[Any]] = {one.name: one for one in _OTHERS} | {
    # named with their version, as the folders of their samples are
    f"{operation.name}-{version}": operation
    for version, operations in DIRECT_FULFILLMENT.items()
    for operation in msgspec.structs.astuple(operations)[1:]
}
# Amazon's models, and what their operations' names above end in
MODELS = {
    "vendorOrders.json": "",
    "vendorTransactionStatus.json": "",
    "tokens_2021-03-01.json": "",
    "vendorDirectFulfillmentOrdersV1.json": "-v1",
    "vendorDirectFulfillmentTransactionsV1.json": "-v1",
    "vendorDirectFulfillmentOrders_2021-12-28.json": "-2021-12-28",
    "vendorDirectFulfillmentTransactions_2021-12-28.json": "-2021-12-28",
}


def lost(sent: Any, read: Any, path: str = "$") -> list[str]:
    """Return the places of *sent* that *read*, our struct as plain data, does not have."""
    if isinstance(sent, dict):
        return [
            place
            for key, value in sent.items()
            if value not in ([], None)  # an empty list is our default
            for place in (
                lost(value, read[key], f"{path}.{key}") if key in read else [f"{path}.{key}"]
            )
        ]
    if isinstance(sent, list):
        pairs = zip(sent, read, strict=True)
        return [
            place
            for i, (one, other) in enumerate(pairs)
            for place in lost(one, other, f"{path}[{i}]")
        ]
    if isinstance(read, datetime):
        return [] if utc(read) == parse_instant(sent) else [path]
    if isinstance(read, Decimal):
        return [] if read.as_tuple() == Decimal(sent).as_tuple() else [path]
    return [] if read == sent and type(read) is type(sent) else [path]


def plain(value: object) -> Any:
    """Return a struct as plain data that keeps instants and exact amounts."""
    return msgspec.to_builtins(value, builtin_types=(datetime, Decimal), enc_hook=str)


def contents(decoded: object) -> Any:
    """Return what an operation's decode made, in the shape of the payload it came from."""
    if isinstance(decoded, Page):
        assert all(document.content is not None for document in decoded.documents)
        return [plain(document.content) for document in decoded.documents]
    if isinstance(decoded, Document):
        return plain(decoded.content)
    whole = plain(decoded)
    return whole.get("payload", whole)
