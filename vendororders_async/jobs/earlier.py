"""Earlier: what was sent before, and what that means for what is to be sent now."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

import msgspec

from ..acknowledgements import Applied, applied
from ..acknowledgements.standing import Standings
from ..clock import seconds_between
from ..models import direct_fulfillment as df
from ..models.retail_procurement import Order, OrderAcknowledgement
from ..sinks.base import Submission, SubmissionState
from .offices import AnyAcknowledgement
from .submitting import Case, Following

_NOTHING = frozenset({SubmissionState.MISSING})  # nothing of it is at Amazon
_IN_VAIN = frozenset({SubmissionState.FAILED, SubmissionState.REFUSED})
_DOUBTFUL = frozenset({SubmissionState.UNRESOLVED, SubmissionState.PRESUMED_ACCEPTED})


class Earlier:
    """An account's submissions, those of other credentials or endpoints apart.

    After a new authorisation or against a simulator another *source* speaks, and what it was
    sent says nothing here, save that it may be on its way still.
    """

    def __init__(
        self,
        submissions: Iterable[Submission],
        source: str,
        following: Following,
        now: Callable[[], datetime],
    ) -> None:
        self._here: dict[str, list[Submission]] = {}
        self._elsewhere: dict[str, list[Submission]] = {}
        for one in submissions:
            known = self._here if one.source == source else self._elsewhere
            known.setdefault(one.purchase_order_number, []).append(one)
        self._longest = following.missing_after
        self._now = now

    def last_of(self, case: Case) -> Submission | None:
        """Return the last that was sent for an order, if it says what *case* does.

        What failed does not count against one before it, which still stands.
        """
        sent = [one for one in self._here.get(case.number, []) if one.state not in _NOTHING]
        changed_at = _changed_at(case)
        if changed_at is not None:  # what was sent before Amazon changed the order is another
            sent = [one for one in sent if one.submitted_at >= changed_at]
        for last in (sent[-1:], [one for one in sent if one.state not in _IN_VAIN][-1:]):
            if last and last[0].digest == case.digest:
                return last[0]
        return None

    def may_go_again(self, submission: Submission) -> bool:
        """Say whether it may be sent again when the user wants that."""
        is_late = self._age(submission) >= self._longest
        return submission.state in _IN_VAIN or (submission.state in _DOUBTFUL and is_late)

    def waiting(self, case: Case) -> str | None:
        """Return why *case* cannot be sent yet: another answer of ours may be on its way."""
        minutes = f"{self._longest / 60:.0f} minutes"
        for one in self._here.get(case.number, []):
            is_other = one.digest != case.digest and not one.state.has_outcome
            if is_other and one.state not in _NOTHING and self._age(one) < self._longest:
                return (
                    f"another acknowledgement of it, sent {self._age(one) / 60:.0f} minutes "
                    f"ago, has no outcome yet; try again after {minutes}"
                )
        for one in self._elsewhere.get(case.number, []):
            if one.state not in _NOTHING | _IN_VAIN and self._age(one) < self._longest:
                return (
                    f"it was acknowledged {self._age(one) / 60:.0f} minutes ago at another "
                    f"endpoint or with other credentials; try again after {minutes}, or use "
                    "another sink"
                )
        return None

    def own(self, case: Case) -> list[datetime]:
        """Return when we answered: as we know it, and as Amazon dates what it shows of it."""
        here = self._here.get(case.number, [])
        found = [one.submitted_at for one in here]
        dates = Standings(case.standing.status).dates if case.standing else []
        for one in here:
            if shown(case, one) is Applied.APPLIED:
                until = one.submitted_at + timedelta(seconds=self._longest)
                found += [date for date in dates if one.submitted_at <= date <= until]
        return found

    def _age(self, submission: Submission) -> float:
        return seconds_between(submission.submitted_at, self._now())


def shown(case: Case, submission: Submission) -> Applied:
    """Return what the order of *case*, as it was read, shows of *submission*."""
    standing = case.standing
    if standing is None:
        return Applied.UNKNOWN
    document: AnyAcknowledgement
    try:
        if isinstance(standing.order, Order):
            document = msgspec.json.decode(submission.document, type=OrderAcknowledgement)
            found = standing.status
            return applied(document, found, sent_at=submission.submitted_at)
        document = msgspec.json.decode(submission.document, type=df.OrderAcknowledgementItem)
    except msgspec.DecodeError:
        return Applied.UNKNOWN
    return applied(document, standing.order, sent_at=submission.submitted_at)


def _changed_at(case: Case) -> datetime | None:
    """Return when Amazon last changed the order; direct fulfillment does not say."""
    order = case.standing.order if case.standing else None
    details = order.order_details if isinstance(order, Order) else None
    return details.purchase_order_changed_date if details else None
