"""The quarantine: decode once more what could not be decoded when it came."""

from __future__ import annotations

from datetime import timedelta

import msgspec

from ..clock import whole_second
from ..operations import stream_named
from ..pages import decode_document
from ..sinks import Sink
from ..sinks.base import Arrival, Outcome, Quarantined
from ..windows import Window
from .redacting import redacted


class Retried(msgspec.Struct, frozen=True):
    """How many documents were stored after all, and how many still stand."""

    stored_count: int
    standing_count: int


async def retry_quarantine(
    sink: Sink, account: str, api: str, *, redacts: bool = False
) -> Retried:
    """Store what decodes by now: this version may know better than the one that gave up.

    With *redacts* it is stored without personal details. The caller holds the account's lock.
    """
    standing = await sink.quarantine(account, api)
    stored: list[Quarantined] = []
    for held in standing:
        stream = stream_named(held.ledger.api, held.ledger.stream)
        if stream is None:
            continue
        document = decode_document(held.document, stream.row)
        if redacts:
            document = redacted(document, stream.row)
        if document.content is None:
            continue
        # Which window it came in is not kept; this one is never begun nor finished.
        second = whole_second(held.first_seen_at)
        window = Window(second, second + timedelta(seconds=1))
        arrival = Arrival(held.ledger, window, held.first_seen_at, [document])
        [written] = await sink.write(arrival)
        if written.outcome is Outcome.STANDING:  # the sink does not take it, whoever decodes it
            continue
        stored.append(held)
    for held in stored:  # all at the end: a store of files makes one file of them
        await sink.release(held)
    return Retried(len(stored), len(standing) - len(stored))
