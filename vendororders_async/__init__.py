"""Amazon vendor purchase orders, as fast as the usage plan allows, without losing one.

from vendororders_async import Account, backfill

summary = await backfill([Account.from_env()], to="sqlite:orders.db")
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from .accounts import Account, Credentials, Region, RestrictedData
from .changes import FieldChange, LineChange, OrderChanged, OrderCreated, StatusChanged
from .errors import (
    AccessDenied,
    AcknowledgementError,
    AuthError,
    BadRequest,
    ConfigurationError,
    DecodeError,
    InvalidArgument,
    NotFound,
    PaginationError,
    RequestError,
    ResponseError,
    ServerError,
    SinkError,
    Throttled,
    TransportError,
    VendorOrdersError,
)
from .settings import ConfiguredAccounts, load_accounts

if TYPE_CHECKING:
    from .auth import AccessTokens
    from .client import VendorOrdersClient, open_clients
    from .jobs.acknowledge import acknowledge
    from .jobs.acknowledging import AcknowledgementOutcome
    from .jobs.backfill import backfill
    from .jobs.pending import pending
    from .jobs.purge import purge
    from .jobs.summary import AccountSummary, Summary
    from .jobs.tables import read_orders
    from .jobs.watch import sync, watch
    from .limiter import Limiters, Urgency
    from .restricted import OperationTokens
    from .shared_limiter import SharedLimiters
    from .transport import Transport

__version__ = "0.1.0"

__all__ = [
    "AccessDenied",
    "AccessTokens",
    "Account",
    "AccountSummary",
    "AcknowledgementError",
    "AcknowledgementOutcome",
    "AuthError",
    "BadRequest",
    "ConfigurationError",
    "ConfiguredAccounts",
    "Credentials",
    "DecodeError",
    "FieldChange",
    "InvalidArgument",
    "Limiters",
    "LineChange",
    "NotFound",
    "OperationTokens",
    "OrderChanged",
    "OrderCreated",
    "PaginationError",
    "Region",
    "RequestError",
    "ResponseError",
    "RestrictedData",
    "ServerError",
    "SharedLimiters",
    "SinkError",
    "StatusChanged",
    "Summary",
    "Throttled",
    "Transport",
    "TransportError",
    "Urgency",
    "VendorOrdersClient",
    "VendorOrdersError",
    "acknowledge",
    "backfill",
    "load_accounts",
    "open_clients",
    "pending",
    "purge",
    "read_orders",
    "sync",
    "watch",
]

# What brings aiohttp with it is imported when first used: `import vendororders_async` and
# a command's help stay quick.
_LATER = {
    "AccessTokens": ".auth",
    "AccountSummary": ".jobs.summary",
    "AcknowledgementOutcome": ".jobs.acknowledging",
    "Limiters": ".limiter",
    "OperationTokens": ".restricted",
    "SharedLimiters": ".shared_limiter",
    "Summary": ".jobs.summary",
    "Transport": ".transport",
    "Urgency": ".limiter",
    "VendorOrdersClient": ".client",
    "acknowledge": ".jobs.acknowledge",
    "backfill": ".jobs.backfill",
    "open_clients": ".client",
    "pending": ".jobs.pending",
    "purge": ".jobs.purge",
    "read_orders": ".jobs.tables",
    "sync": ".jobs.watch",
    "watch": ".jobs.watch",
}


def __getattr__(name: str) -> object:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(_LATER[name], __name__), name)
    globals()[name] = value
    return value
