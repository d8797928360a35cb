"""Acknowledgements: made from orders, checked, and compared with what Amazon has.

made = answer(order, {"2": [accepted(5), rejected("TemporarilyUnavailable")]},
              at=now, others=accepted())
if not problems_of(made, order=order, status=status, now=now):
    request = SubmitAcknowledgementRequest(acknowledgements=[made])
    await client.retail.submit_acknowledgement(request)
"""

from .codes import CODES
from .csv_files import draft_csv
from .direct_fulfillment import accept_order, reject_order
from .documents import digest, document_of
from .drafts import Draft, Line, Part
from .files import read_drafts
from .moves import moved_since
from .outcomes import Applied, applied
from .parts import accepted, backordered, rejected
from .retail import accept_all, answer
from .standing import as_of
from .validation import problems_of

__all__ = [
    "CODES",
    "Applied",
    "Draft",
    "Line",
    "Part",
    "accept_all",
    "accept_order",
    "accepted",
    "answer",
    "applied",
    "as_of",
    "backordered",
    "digest",
    "document_of",
    "draft_csv",
    "moved_since",
    "problems_of",
    "read_drafts",
    "reject_order",
    "rejected",
]
