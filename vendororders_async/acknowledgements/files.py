"""Files of acknowledgements: Amazon's own JSON, one order a line, or CSV.

    for draft in read_drafts(path.read_bytes(), api="retail"):
        draft.purchase_order_number, draft.where

What kind a file is, its content says. `json_files` and `csv_files` say what they look like.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator

from ..errors import AcknowledgementError, Problem
from .csv_columns import check_api
from .csv_files import read_csv
from .drafts import Draft
from .json_files import read_json

_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


def read_drafts(data: bytes, *, api: str) -> tuple[Draft, ...]:
    """Return what *data* answers to orders of *api*, ``retail`` or ``direct_fulfillment``.

    It is read strictly, since a slip of the pen costs money here: Amazon refuses a whole
    request for one key that it does not know, and takes an order's missing line for rejected.

    Raises:
        AcknowledgementError: it cannot be read; all that is wrong with it is told at once.
        InvalidArgument: there is no such API.
    """
    check_api(api)
    try:
        text = _text(data)
    except UnicodeDecodeError:
        message = "the file is neither UTF-8 nor UTF-16; save it as CSV UTF-8"
        raise AcknowledgementError((Problem(None, "line 1", message),)) from None
    reading = read_json if text.lstrip().startswith(("{", "[")) else read_csv
    drafts, problems = reading(text, api)
    problems += _repeated(drafts)
    if problems:
        raise AcknowledgementError(tuple(problems))
    return tuple(drafts)


def _text(data: bytes) -> str:
    for mark, encoding in _MARKS.items():
        if data.startswith(mark):
            return data.decode(encoding)
    # where there is no mark: what any such file begins with is a character of ASCII
    if data[:1] == b"\0":
        return data.decode("utf-16-be")
    return data.decode("utf-16-le" if data[1:2] == b"\0" else "utf-8")


def _repeated(drafts: Iterable[Draft]) -> Iterator[Problem]:
    first: dict[str, Draft] = {}
    for draft in drafts:
        other = first.setdefault(draft.purchase_order_number, draft)
        if other is not draft:
            # Amazon would keep the one that comes last
            message = f"the order is answered at {other.where} already"
            yield Problem(draft.purchase_order_number, draft.where, message)
