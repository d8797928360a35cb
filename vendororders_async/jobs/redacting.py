"""Redacting: a document without its customer, before any sink sees it."""

from __future__ import annotations

import msgspec

from ..pages import Document, Row, decode_document
from ..redaction import redact


def redacted(document: Document[Row], row: type[Row]) -> Document[Row]:
    """Return *document* without personal details, in its bytes and in what they say.

    What did not decode for its customer's sake does now. What still does not says so in its
    reason; where not even its brackets match, nothing is left but its number, and that will
    never decode.
    """
    found = decode_document(redact(document.raw), row)
    if found.content is not None:
        return found
    reason = f"{document.reason or found.reason}; personal details were taken out of it"
    return msgspec.structs.replace(found, reason=reason)
