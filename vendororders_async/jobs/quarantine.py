"""The quarantine: decode once more what could not be decoded when it came."""

from __future__ import annotations

from datetime import timedelta

import msgspec

from ..clock import whole_second
from ..operations import RETAIL_STREAMS
from ..pages import decode_document
from ..sinks import Sink
from ..sinks.base import Arrival
from ..windows import Window


class Retried(msgspec.Struct, frozen=True):
    """How many documents were stored after all, and how many still stand."""

    stored_count: int
    standing_count: int


async def retry_quarantine(sink: Sink, account: str, api: str) -> Retried:
    """Store what decodes by now: this version may know better than the one that gave up.

    The caller holds the account's lock.
    """
    standing = await sink.quarantine(account, api)
    stored_count = 0
    for held in standing:
        stream = RETAIL_STREAMS.get(held.ledger.stream)
        if stream is None:
            continue
        document = decode_document(held.document, stream.row)
        if document.content is None:
            continue
        # Which window it came in is not kept; this one is never begun nor finished.
        second = whole_second(held.first_seen_at)
        window = Window(second, second + timedelta(seconds=1))
        await sink.write(Arrival(held.ledger, window, held.first_seen_at, [document]))
        await sink.release(held)
        stored_count += 1
    return Retried(stored_count, len(standing) - stored_count)
