"""Documents: what would be sent, made of a draft, and what it says in short."""

from __future__ import annotations

import hashlib
from datetime import datetime

import msgspec

from ..errors import AcknowledgementError, InvalidArgument, Problem
from ..models import direct_fulfillment as df
from .checks import Acknowledgement
from .direct_fulfillment import order_document
from .drafts import Draft, Line
from .lines import Index, Names, Order, is_same, lines_of
from .retail import retail_document


def document_of(draft: Draft, order: Order, *, at: datetime) -> Acknowledgement:
    """Return the document of *draft*, made at the instant *at* with what *order* says.

    A finished one is returned as it is. Nothing is checked but that the lines exist;
    `problems_of` says the rest.

    Raises:
        AcknowledgementError: It cannot be made of this order; the problems say where in the
            draft's source.
        InvalidArgument: *at* has no zone.
    """
    if draft.document is not None:
        return draft.document
    problem = Problem(draft.purchase_order_number, draft.where, "")
    if order.purchase_order_number != draft.purchase_order_number:
        raise InvalidArgument(
            f"the draft is for {draft.purchase_order_number}, not {order.purchase_order_number}"
        )
    if isinstance(order, df.Order):
        if draft.code is None:
            words = "says neither that it is accepted (code 00) nor why not"
            raise AcknowledgementError((_saying(problem, words),))
        return order_document(
            order,
            draft.code,
            at=at,
            description=draft.description,
            vendor_order_number=draft.vendor_order_number,
        )
    known = lines_of(order)
    index = Index(line.names for line in known)
    problems, answers = [], {}
    for line in draft.lines:
        names = names_of(line)
        found = index.meant(names)
        if len(found) != 1:
            words = "the order has no such line" if not found else "several lines have it"
            problems.append(_saying(problem, f"{names}: {words}"))
        elif found[0] in answers:
            problems.append(_saying(problem, f"{names} is answered twice"))
        elif words := _contradiction(names, known[found[0]].names):
            problems.append(_saying(problem, f"{names}: {words}"))
        else:
            answers[found[0]] = line.parts
    if problems:
        raise AcknowledgementError(tuple(problems))
    return retail_document(order, [(known[i], answers[i]) for i in sorted(answers)], at=at)


def _saying(problem: Problem, words: str) -> Problem:
    return msgspec.structs.replace(problem, message=words)


def names_of(line: Line) -> Names:
    """Return what a draft's line goes by."""
    return Names(
        number=line.item_sequence_number,
        product=line.amazon_product_identifier,
        vendor_product=line.vendor_product_identifier,
    )


def _contradiction(names: Names, line: Names) -> str:
    pairs = (names.product, line.product), (names.vendor_product, line.vendor_product)
    return next(
        (
            f"is {theirs} in the order, not {mine}"
            for mine, theirs in pairs
            if mine is not None and not is_same(mine, theirs)
        ),
        "",
    )


def digest(acknowledgement: Acknowledgement) -> str:
    """Return the SHA-256, in hexadecimal, of what *acknowledgement* says.

    When it is said (the acknowledgement date) does not count.
    """
    said = msgspec.to_builtins(acknowledgement)
    del said["acknowledgementDate"]
    return hashlib.sha256(msgspec.json.encode(said, order="sorted")).hexdigest()
