"""Tokens 2021-03-01: restricted data tokens.

https://developer-docs.amazon.com/sp-api/docs/tokens-api-v2021-03-01-reference
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from .common import Wire


class RestrictedResource(Wire, frozen=True, kw_only=True):
    """A method and path that people's details come from.

    A placeholder in the path (``/{purchaseOrderNumber}``) stands for every order.
    *data_elements* belong to operations that are not ours: sent for one of a vendor's they
    are refused (selling-partner-api-docs#2603).
    """

    method: str
    path: str
    data_elements: list[str] = []


class CreateRestrictedDataTokenRequest(Wire, frozen=True, kw_only=True):
    """The body of createRestrictedDataToken."""

    restricted_resources: list[RestrictedResource]
    target_application: str | None = None


class CreateRestrictedDataTokenResponse(Wire, frozen=True, kw_only=True):
    """The answer of createRestrictedDataToken; *expires_in* is in seconds."""

    # printable, since it goes into a header as it is
    restricted_data_token: Annotated[str, msgspec.Meta(pattern=r"^[!-~]+\Z")]
    expires_in: int | None = None
