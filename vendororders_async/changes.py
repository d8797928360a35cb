"""Changes: what became of an order, as events that a sink numbers and keeps.

>>> FieldChange(field="purchaseOrderState", old="New", new="Acknowledged").field
'purchaseOrderState'
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from .models import direct_fulfillment
from .models.lenient import decoder_of
from .models.retail_procurement import Order

_ORDERS: Mapping[str, type[Order | direct_fulfillment.Order]] = {
    "retail": Order,
    "direct_fulfillment": direct_fulfillment.Order,
}


class FieldChange(msgspec.Struct, frozen=True, gc=False):
    """A field that says something else than before: the wire's name, the old and new value.

    Amounts of money are text with every digit, quantities numbers, times as stored.
    """

    field: str
    old: Any = None
    new: Any = None


class LineChange(msgspec.Struct, frozen=True, gc=False):
    """What happened to one line of an order.

    *kind* is ``added``, ``removed``, ``cancelled`` (nothing of it is ordered any more) or
    ``changed``; of an added or removed line *fields* has all that it says.
    """

    item_sequence_number: str | None
    product_identifier: str | None
    kind: str
    fields: tuple[FieldChange, ...] = ()


class _Recorded(msgspec.Struct, frozen=True, kw_only=True, tag_field="event"):
    """What every change has; *sequence* grows with each one that a sink records.

    *digest* names the version that it led to, *recorded_at* is when that was stored.
    """

    sequence: int
    recorded_at: datetime
    account: str
    api: str
    purchase_order_number: str
    digest: str


class _OfOrder(_Recorded, frozen=True, kw_only=True):
    """What changes of orders have: *document* is the version as Amazon sent it.

    It is ``null`` where it was removed since.
    """

    document: msgspec.Raw = msgspec.Raw(b"null")

    @property
    def order(self) -> Order | direct_fulfillment.Order | None:
        """The version, decoded; None where it was removed since."""
        kept = bytes(self.document)
        return None if kept == b"null" else decoder_of(_ORDERS[self.api]).decode(kept)


class OrderCreated(_OfOrder, frozen=True, kw_only=True, tag="order_created"):
    """An order that was not in the sink before."""


class OrderChanged(_OfOrder, frozen=True, kw_only=True, tag="order_changed"):
    """Another version of an order: which of its fields and lines say what else.

    Personal details are never among them. *previous_digest* names the version before.
    """

    previous_digest: str
    fields: tuple[FieldChange, ...] = ()
    lines: tuple[LineChange, ...] = ()


class StatusChanged(_Recorded, frozen=True, kw_only=True, tag="status_changed"):
    """Another version of an order's status: acknowledged, cancelled and received quantities.

    The first one that is seen has no *previous_digest*, and all that it says is new. It is
    told while it is in the sink; once another one is, *fields* and *lines* are empty.
    """

    previous_digest: str | None = None
    fields: tuple[FieldChange, ...] = ()
    lines: tuple[LineChange, ...] = ()


Change = OrderCreated | OrderChanged | StatusChanged
