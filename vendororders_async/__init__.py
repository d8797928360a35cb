"""Amazon vendor purchase orders, as fast as the usage plan allows, without losing one.

from vendororders_async import Account, backfill

summary = await backfill([Account.from_env()], to="sqlite:orders.db")
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from .accounts import Account, Credentials, Region
from .errors import (
    AccessDenied,
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
from .settings import load_accounts

if TYPE_CHECKING:
    from .auth import AccessTokens
    from .client import VendorOrdersClient, open_clients
    from .jobs.backfill import backfill
    from .jobs.summary import AccountSummary, Summary
    from .limiter import Limiters, Urgency
    from .transport import Transport

__version__ = "0.1.0"

__all__ = [
    "AccessDenied",
    "AccessTokens",
    "Account",
    "AccountSummary",
    "AuthError",
    "BadRequest",
    "ConfigurationError",
    "Credentials",
    "DecodeError",
    "InvalidArgument",
    "Limiters",
    "NotFound",
    "PaginationError",
    "Region",
    "RequestError",
    "ResponseError",
    "ServerError",
    "SinkError",
    "Summary",
    "Throttled",
    "Transport",
    "TransportError",
    "Urgency",
    "VendorOrdersClient",
    "VendorOrdersError",
    "backfill",
    "load_accounts",
    "open_clients",
]

# What brings aiohttp with it is imported when first used: `import vendororders_async` and
# a command's help stay quick.
_LATER = {
    "AccessTokens": ".auth",
    "AccountSummary": ".jobs.summary",
    "Limiters": ".limiter",
    "Summary": ".jobs.summary",
    "Transport": ".transport",
    "Urgency": ".limiter",
    "VendorOrdersClient": ".client",
    "backfill": ".jobs.backfill",
    "open_clients": ".client",
}


def __getattr__(name: str) -> object:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(_LATER[name], __name__), name)
    globals()[name] = value
    return value
