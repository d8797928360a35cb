"""Outcomes: whether an acknowledgement has arrived, by what Amazon's order says."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

from ..models import direct_fulfillment as df
from ..models import retail_procurement as rp
from .checks import Acknowledgement
from .codes import ACCEPT
from .lines import Names
from .retail_checks import split_of
from .standing import SKEW, Split, Standing, Standings, as_of

# So long before it was sent, what stands may still be this very acknowledgement, a clock
# being wrong: better not known than sent twice
_DOUBT = timedelta(hours=1)


class Applied(StrEnum):
    """What an order says of an acknowledgement that was sent."""

    APPLIED = "applied"  # what it says is what stands, since it was sent
    UNTOUCHED = "untouched"  # nothing has happened to the order since
    OTHER = "other"  # something else stands, of a later date
    UNKNOWN = "unknown"  # it cannot be told


def applied(
    acknowledgement: Acknowledgement,
    found: rp.OrderStatus | df.Order | None,
    *,
    sent_at: datetime,
) -> Applied:
    """Return whether *acknowledgement*, sent at *sent_at*, is what stands by *found*.

    *found* is the status of a retail order, or the order itself in direct fulfillment; read
    it when Amazon has had its time, for 15 to 30 minutes may pass until it shows. Dates and
    the difference of accepting and backordering cannot be seen. Who did it cannot be seen
    either: what somebody else answered in the same words is applied too.
    """
    if found is None or found.purchase_order_number != acknowledgement.purchase_order_number:
        return Applied.UNKNOWN
    if isinstance(acknowledgement, df.OrderAcknowledgementItem):
        return _applied_to_customers(acknowledgement, found)
    if isinstance(found, df.Order):
        return Applied.UNKNOWN
    return _applied_to_retail(acknowledgement, found, sent_at)


def _applied_to_customers(
    made: df.OrderAcknowledgementItem, found: rp.OrderStatus | df.Order
) -> Applied:
    details = found.order_details if isinstance(found, df.Order) else None
    word = ((details.order_status if details else None) or "").upper()
    if word == df.OrderStatus.NEW:
        return Applied.UNTOUCHED
    if word not in set(df.OrderStatus):
        return Applied.UNKNOWN
    is_accepted = word in (df.OrderStatus.ACCEPTED, df.OrderStatus.SHIPPED)
    is_meant = is_accepted == (made.acknowledgement_status.code == ACCEPT)
    return Applied.APPLIED if is_meant else Applied.OTHER


def _applied_to_retail(
    made: rp.OrderAcknowledgement, status: rp.OrderStatus, sent_at: datetime
) -> Applied:
    standings = Standings(status)
    # Whether Amazon notes a document's own date or that of its arrival is not said
    noted_at = made.acknowledgement_date
    pairs = [(split_of(item), standings.of(_names(item))) for item in made.items]
    if pairs and all(_is_there(wanted, stands, sent_at, noted_at) for wanted, stands in pairs):
        return Applied.APPLIED
    if any(
        stands and _is_since(stands, sent_at - SKEW) and _is_other(wanted, stands)
        for wanted, stands in pairs
    ):
        return Applied.OTHER
    if pairs and all(stands is not None and not stands.is_confirmed for _, stands in pairs):
        return Applied.UNTOUCHED  # nobody has ever answered, whatever else has moved
    earliest = min(sent_at, noted_at) - SKEW
    latest = as_of(None, status)
    if status.last_updated_date is None or latest is None or latest >= earliest:
        return Applied.UNKNOWN
    is_doubtful = any(
        stands and _is_since(stands, earliest - _DOUBT) and not _is_other(wanted, stands)
        for wanted, stands in pairs
    )
    return Applied.UNKNOWN if is_doubtful else Applied.UNTOUCHED


def _names(item: rp.OrderAcknowledgementItem) -> Names:
    return Names(
        number=item.item_sequence_number,
        product=item.amazon_product_identifier,
        vendor_product=item.vendor_product_identifier,
    )


def _is_since(stands: Standing, moment: datetime) -> bool:
    return bool(stands.dates) and stands.dates[-1] >= moment


def _is_other(wanted: Split | None, stands: Standing) -> bool:
    """Whether the line certainly has another answer than *wanted*, however it is read."""
    return wanted is not None and stands.is_counted and not stands.may_be(wanted)


def _is_there(
    wanted: Split | None, stands: Standing | None, sent_at: datetime, noted_at: datetime
) -> bool:
    """Whether the line certainly has *wanted* as its answer, since it was sent."""
    if wanted is None or stands is None or not stands.dates:
        return False
    is_ours = _is_since(stands, sent_at - SKEW) or any(
        abs(date - noted_at) <= SKEW for date in stands.dates
    )
    if not is_ours or stands.word != _word(wanted):
        return False
    total = Split(stands.total.accepted or 0, stands.total.rejected or 0)
    last = stands.latest.split
    is_top = stands.top.accepted is not None and stands.top.says(wanted)
    return total == wanted or (is_top and (last == Split(None, None) or last.says(wanted)))


def _word(wanted: Split) -> str:
    if not wanted.accepted:
        return rp.ConfirmationStatus.REJECTED
    is_all = not wanted.rejected
    return (
        rp.ConfirmationStatus.ACCEPTED if is_all else rp.ConfirmationStatus.PARTIALLY_ACCEPTED
    )
