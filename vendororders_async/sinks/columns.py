"""Columns: what a table of orders, and one of their lines, is made of, in every file we write.

Pure functions; the values are what Python has for them, and each kind of file writes them
in its own way.
"""

from __future__ import annotations

import msgspec

from ..clock import format_stored
from ..models.retail_procurement import OrderStatus
from .base import StoredOrder
from .lines import OrderLine, order_lines
from .rows import AnyOrder, StatusRow, digest_of, order_row, status_row

StoredContent = tuple[StoredOrder, AnyOrder]  # an order, and what its document says

_OWNER = ("account", "api")

# Those of the table `purchase_orders`, in its order, without the document and without what
# only one store can say: change_seq, first_seen_at, updated_at. Some are filled by direct
# fulfillment only; none says who the customer is, or where.
ORDER_COLUMNS = (
    *_OWNER,
    *("purchase_order_number", "digest", "has_details", "own_date_at", "asked_at"),
    *("purchase_order_state", "purchase_order_type", "purchase_order_date"),
    *("purchase_order_changed_date", "purchase_order_state_changed_date"),
    *("selling_party_id", "buying_party_id", "ship_to_party_id", "bill_to_party_id"),
    *("ship_from_party_id", "payment_method", "deal_code"),
    *("ship_window_start", "ship_window_end", "delivery_window_start", "delivery_window_end"),
    *("customer_order_number", "ship_method", "required_ship_date"),
)

# Those of `purchase_order_items` and of `purchase_order_lines`, each once
LINE_COLUMNS = (*_OWNER, *OrderLine.__struct_fields__)

# Those of `purchase_order_statuses`
STATUS_COLUMNS = (*_OWNER, *StatusRow.__struct_fields__)


def order_values(order: StoredOrder, content: AnyOrder) -> dict[str, object]:
    """Return what *order*, which says *content*, has in the columns, and its document.

    Times are text, as `format_stored` writes them.
    """
    row = order_row(
        content, order.document, digest_of(order.document), format_stored(order.seen_at)
    )
    return {"account": order.account, "api": order.api, **msgspec.structs.asdict(row)}


def line_values(order: StoredOrder, content: AnyOrder) -> list[dict[str, object]]:
    """Return what the lines of *order*, which says *content*, have in the columns."""
    owner = {"account": order.account, "api": order.api}
    return [owner | msgspec.structs.asdict(line) for line in order_lines(content)]


def status_values(stored: StoredOrder, status: OrderStatus) -> dict[str, object]:
    """Return what *status*, which came as *stored*, has in the columns, and its document."""
    asked_at = format_stored(stored.seen_at)
    row = status_row(status, stored.document, digest_of(stored.document), asked_at)
    return {"account": stored.account, "api": stored.api, **msgspec.structs.asdict(row)}
