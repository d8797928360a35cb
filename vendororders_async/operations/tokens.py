"""Tokens 2021-03-01: what restricted data tokens are asked of."""

from __future__ import annotations

from functools import partial

from ..models.tokens import CreateRestrictedDataTokenResponse
from ..pages import decode_bare_answer
from ..usage import UsagePlan
from .base import Operation

CREATE_RESTRICTED_DATA_TOKEN = Operation(
    "createRestrictedDataToken",
    "POST",
    "/tokens/2021-03-01/restrictedDataToken",
    # https://developer-docs.amazon.com/sp-api/docs/tokens-api-rate-limits
    UsagePlan(rate=1, burst=10),
    # at top level, says the model; the first guide showed it as a payload
    partial(decode_bare_answer, response=CreateRestrictedDataTokenResponse),
    "tokens",
)
