"""How a sync stands: each account and stream, for whoever looks after it."""

from __future__ import annotations

from datetime import datetime

import msgspec


class StreamStanding(msgspec.Struct, frozen=True, kw_only=True):
    """How fresh a stream is: *watermark* is up to when all of it was seen.

    *interval_seconds* is the pause between its sweeps at present.
    """

    stream: str
    watermark: datetime | None = None
    last_success_at: datetime | None = None
    last_error: str | None = None
    interval_seconds: float | None = None


class AccountStanding(msgspec.Struct, frozen=True, kw_only=True):
    """How an account is followed.

    *error* says why it is set aside, until *retried_at*; *requests_an_hour* is by operation.
    """

    account: str
    api: str
    streams: tuple[StreamStanding, ...] = ()
    error: str | None = None
    retried_at: datetime | None = None
    requests_an_hour: dict[str, float] = {}


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How a sync stands.

    It *is_ready* once every account was tried, and all streams of one were swept that Amazon
    does not refuse.
    """

    began_at: datetime
    is_ready: bool
    accounts: tuple[AccountStanding, ...] = ()
