"""Comparison: nothing goes over what moved meanwhile, and what arrived is known."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from acknowledging import (
    NOW,
    PLACED,
    after,
    customers_order,
    item,
    order,
    pieces,
    stands,
    status,
)

from vendororders_async.acknowledgements import (
    Applied,
    Draft,
    Line,
    accept_all,
    accept_order,
    accepted,
    answer,
    applied,
    as_of,
    backordered,
    moved_since,
    reject_order,
    rejected,
)
from vendororders_async.models import retail_procurement as rp

SHORT = "TemporarilyUnavailable"
SEEN = Line(
    parts=(accepted(),),
    item_sequence_number="1",
    amazon_product_identifier="B0ABCDEF01",
    vendor_product_identifier="40063813331",
    ordered_quantity=10,
    unit_of_measure="EACHES",
    unit_size=1,
    net_cost=Decimal("1.1"),
    net_cost_currency="EUR",
)
ACKNOWLEDGED = stands("1", "ACCEPTED", 10, 0, (after(hours=2), 10, 0))


def draft(*lines: Line, **fields: Any) -> Draft:
    """Return a retail draft."""
    return Draft(
        api="retail", purchase_order_number="1ABCDEFG", where="line 2", lines=lines, **fields
    )


def seen(**fields: Any) -> Line:
    """Return a line as a draft's maker saw it, otherwise than it is."""
    return msgspec.structs.replace(SEEN, **fields)


def test_the_latest_date_says_which_state_it_is() -> None:
    """The latest of all dates of the order, its status, and their lines; windows are none."""
    known = order(changed=after(minutes=5), state_changed=after(minutes=3))
    received = rp.OrderItemStatus(
        receiving_status=rp.OrderItemStatusReceivingStatus(last_receive_date=after(days=2))
    )

    assert as_of(known) == after(minutes=5)
    assert as_of(known, status(updated=after(hours=1))) == after(hours=1)
    assert as_of(known, status(ACKNOWLEDGED)) == after(hours=2)
    assert as_of(known, status(stands(changed=after(hours=4)))) == after(hours=4)
    assert as_of(known, status(received)) == after(days=2)
    assert as_of(customers_order()) == PLACED
    assert as_of(None) is None


@pytest.mark.parametrize(
    ("line", "move"),
    [
        (SEEN, None),
        (seen(vendor_product_identifier="00040063813331"), None),
        (seen(item_sequence_number="00001", unit_of_measure=None), None),
        (seen(ordered_quantity=36), "line 1: ordered quantity 10, was 36"),
        (seen(unit_of_measure="Cases"), "line 1: unit of measure Eaches, was Cases"),
        (seen(net_cost=Decimal("1.20")), "line 1: net cost 1.10, was 1.20"),
        (seen(net_cost_currency="USD"), "line 1: currency EUR, was USD"),
        (
            seen(amazon_product_identifier="B0OTHER000"),
            "line 1: product B0ABCDEF01, was B0OTHER000",
        ),
        (seen(item_sequence_number="7"), "line 7 is not in the order any more"),
    ],
)
def test_what_the_drafts_maker_saw_is_compared(line: Line, move: str | None) -> None:
    """A buyer reads what is and what was; zeros and spellings lost to spreadsheets are none."""
    found = moved_since(draft(line, as_of=PLACED), order(item()), status(stands()))

    assert found == ((move,) if move else ())


def test_cases_of_another_size_are_another_quantity() -> None:
    """Ten cases of six are not ten cases of twelve."""
    line = seen(unit_of_measure="CASES", unit_size=12)
    now = order(item(unit="Cases", size=6))

    assert moved_since(draft(line), now) == ("line 1: case size 6, was 12",)


def test_a_line_that_may_be_several_is_left_to_the_document() -> None:
    """What cannot be told apart is not compared; no document can be made of it either."""
    both = seen(item_sequence_number=None, vendor_product_identifier=None)

    assert moved_since(draft(both), order(item("1"), item("11"))) == ()


def test_a_cancelled_line_has_moved() -> None:
    """Unless it was cancelled when the draft was made."""
    now = order(item("1", 0), item("2"))

    assert moved_since(draft(SEEN), now) == ("line 1 is cancelled, was 10",)
    assert moved_since(draft(seen(ordered_quantity=None)), now) == (
        "line 1 is cancelled, was ordered",
    )
    assert moved_since(draft(seen(ordered_quantity=0)), now) == ()


@pytest.mark.parametrize(
    ("known", "standing", "move"),
    [
        (order(item()), status(stands()), ()),
        (
            order(item(), state="Acknowledged", state_changed=after(hours=2)),
            status(ACKNOWLEDGED, updated=after(hours=2)),
            ("acknowledged at 2026-06-10T10:00:00Z by somebody else",),
        ),
        (
            order(item(), state="Acknowledged", state_changed=after(hours=2)),
            None,
            ("acknowledged at 2026-06-10T10:00:00Z by somebody else",),
        ),
        (
            order(item(), changed=after(hours=3)),
            None,
            ("changed by Amazon at 2026-06-10T11:00:00Z",),
        ),
        (
            order(item("1"), item("2"), changed=after(hours=3)),
            status(stands("1"), stands("2")),
            ("changed by Amazon at 2026-06-10T11:00:00Z", "line 2 is new"),
        ),
        (
            order(item()),
            status(stands(changed=after(hours=1))),
            ("changed by Amazon at 2026-06-10T09:00:00Z",),
        ),
        (
            order(item()),
            status(stands(), updated=after(hours=1)),
            ("updated at 2026-06-10T09:00:00Z, and this answers 2026-06-10T08:00:00Z",),
        ),
        (
            order(item(), state="Closed", state_changed=after(hours=1)),
            status(stands(), word="CLOSED"),
            ("now Closed",),
        ),
        (
            order(item()),
            status(stands(), word="CLOSED", updated=after(hours=1)),
            ("now CLOSED",),
        ),
    ],
    ids=[
        "unmoved",
        "acknowledged",
        "acknowledged by state",
        "changed",
        "line added",
        "line changed",
        "something",
        "closed",
        "status closed",
    ],
)
def test_what_is_later_than_the_draft_has_moved(
    known: rp.Order, standing: rp.OrderStatus | None, move: tuple[str, ...]
) -> None:
    """A draft that answers the state of an instant goes over nothing later than that."""
    assert moved_since(draft(SEEN, as_of=PLACED), known, standing) == move
    assert moved_since(draft(SEEN, as_of=after(hours=9)), known, standing) == ()


def test_a_draft_without_its_date_goes_over_no_acknowledgement() -> None:
    """Nobody knows which is later; an order that nobody answered is free."""
    hand_made = draft(SEEN)

    assert moved_since(hand_made, order(item(), changed=after(hours=1)), status(stands())) == ()
    assert moved_since(hand_made, order(item()), status(ACKNOWLEDGED)) == (
        (
            "acknowledged at 2026-06-10T10:00:00Z by somebody else, "
            "and nothing says that this answer is later (as_of)"
        ),
    )
    assert (
        moved_since(hand_made, order(item()), status(ACKNOWLEDGED), own=[after(hours=2)]) == ()
    )


@pytest.mark.parametrize(
    ("own", "is_ours"),
    [
        (after(hours=2), True),
        (after(hours=2, seconds=60), True),
        (after(hours=2, seconds=61), False),
        (after(hours=1, minutes=58), False),
    ],
)
def test_our_own_acknowledgement_is_nobody_elses(own: datetime, is_ours: bool) -> None:
    """What was acknowledged when we did it, within a minute, is ours, and what it moved."""
    known = order(item(), state="Acknowledged", state_changed=after(hours=2, minutes=1))
    standing = status(ACKNOWLEDGED, updated=after(hours=2, minutes=9))
    moves = moved_since(draft(SEEN, as_of=PLACED), known, standing, own=[own])

    assert moves == (
        () if is_ours else ("acknowledged at 2026-06-10T10:00:00Z by somebody else",)
    )


def test_what_amazon_changes_after_our_own_has_moved_all_the_same() -> None:
    """An earlier submission of ours excuses what it did, and nothing else."""
    known = order(item(), changed=after(hours=2), state="Acknowledged")
    late = status(ACKNOWLEDGED, updated=after(hours=3))
    one = draft(SEEN, as_of=PLACED)

    assert moved_since(one, known, status(ACKNOWLEDGED), own=[after(hours=2)]) == (
        "changed by Amazon at 2026-06-10T10:00:00Z",
    )
    assert moved_since(one, order(item()), late, own=[after(hours=2)]) == (
        "updated at 2026-06-10T11:00:00Z, and this answers 2026-06-10T08:00:00Z",
    )


def test_a_finished_document_goes_over_nothing_later() -> None:
    """Its own date is what it answers, and an earlier submission of ours is no excuse."""
    known = order(item())
    one = draft(document=accept_all(known, at=after(hours=1)))
    standing = status(ACKNOWLEDGED)

    assert moved_since(one, known, status(stands(), updated=after(hours=2))) == ()
    assert moved_since(one, known, standing) == (
        (
            "acknowledged at 2026-06-10T10:00:00Z by somebody else, "
            "and this is dated 2026-06-10T09:00:00Z"
        ),
    )
    assert moved_since(one, known, standing, own=[after(hours=2)]) == (
        (
            "acknowledged at 2026-06-10T10:00:00Z by an earlier submission of ours, "
            "and this is dated 2026-06-10T09:00:00Z"
        ),
    )
    assert moved_since(one, order(item("1", 12), changed=after(hours=2)), status(stands())) == (
        "line 1: ordered quantity 12, was 10",
        "changed by Amazon at 2026-06-10T10:00:00Z",
    )
    later = draft(document=accept_all(known, at=after(hours=3)))
    assert moved_since(later, known, standing) == ()


def test_what_the_sink_holds_stands_for_what_the_maker_saw() -> None:
    """Where a draft says nothing itself, the documents held tell in what the order moved."""
    held = order(item("1"), item("2"), item("3"), item("5", 0))
    now = order(
        item("1", 12),
        item("2", cost="1.30"),
        item("4"),
        item("5", 7),
        changed=after(hours=2),
        state="Acknowledged",
    )
    moves = moved_since(
        draft(),
        now,
        status(stands("1", "REJECTED"), ACKNOWLEDGED, word="CLOSED"),
        held_order=held,
        held_status=status(stands("1")),
    )

    assert moves == (
        "line 1: ordered quantity 12, was 10",
        "line 2: net cost 1.30, was 1.10",
        "line 3 is not in the order any more",
        "line 4 is new",
        "line 5: ordered quantity 7, was cancelled",
        "changed by Amazon at 2026-06-10T10:00:00Z",
        "acknowledged at 2026-06-10T10:00:00Z by somebody else",
        "now CLOSED",
        "line 1: now REJECTED, was UNCONFIRMED",
    )


def test_what_the_sink_holds_and_what_stands_may_be_the_same() -> None:
    """Then nothing moved, whether it was acknowledged or not."""
    known, standing = order(item(), state="Acknowledged"), status(ACKNOWLEDGED)

    assert (
        moved_since(draft(SEEN), known, standing, held_order=known, held_status=standing) == ()
    )
    assert moved_since(
        draft(SEEN),
        known,
        status(stands("1", "REJECTED", 0, 10)),
        held_order=known,
        held_status=status(stands()),
    ) == ("line 1: now REJECTED, was UNCONFIRMED",)


def test_a_sink_without_statuses_knows_the_orders_own_dates() -> None:
    """What the lines of a status say in addition is no news, unless it is later."""
    known = order(item(), state="Acknowledged", state_changed=after(hours=2))
    one = draft(SEEN)

    assert moved_since(one, known, status(ACKNOWLEDGED), held_order=known) == ()
    later = status(stands("1", "ACCEPTED", 10, 0, (after(hours=4), 10, 0)))
    assert moved_since(one, known, later, held_order=known) == (
        "acknowledged at 2026-06-10T12:00:00Z by somebody else",
    )
    assert moved_since(one, order(item(), changed=NOW), None, held_order=known) == (
        "changed by Amazon at 2026-06-10T13:00:00Z",
    )
    assert moved_since(one, known, status(ACKNOWLEDGED), held_order=order(item())) == (
        "acknowledged at 2026-06-10T10:00:00Z by somebody else",
    )


def test_what_the_sink_held_before_the_draft_does_not_count() -> None:
    """A draft that was made of something newer is not measured by what is older."""
    now = order(item(), changed=after(hours=2))
    held = order(item("1", 36))
    newer, older = draft(SEEN, as_of=after(hours=2)), draft(as_of=PLACED)

    assert moved_since(newer, now, held_order=held) == ()
    assert moved_since(older, now, held_order=held) == (
        "changed by Amazon at 2026-06-10T10:00:00Z",
        "line 1: ordered quantity 10, was 36",
    )


def test_a_customers_order_moves_by_its_word_and_its_lines() -> None:
    """It has no dates of changes: what is not NEW any more has moved."""
    made = accept_order(customers_order(1, 2), at=NOW)
    one = Draft(
        api="direct_fulfillment", purchase_order_number="2JK3S9VC", where="x", document=made
    )

    assert moved_since(one, customers_order(1, 2)) == ()
    assert moved_since(one, customers_order(1, 2, word="CANCELLED")) == ("now CANCELLED",)
    assert moved_since(one, customers_order(1, 3)) == ("line 00002: ordered quantity 3, was 2",)
    assert moved_since(
        msgspec.structs.replace(one, document=None, code="00"),
        customers_order(1, 2),
        held_order=customers_order(1),
    ) == ("line 00002 is new",)


MADE = answer(
    order(item("1"), item("2", 24)),
    {"1": accepted(), "2": [accepted(20), rejected(SHORT)]},
    at=NOW,
)
FIRST = stands("1", "ACCEPTED", 10, 0, (NOW, 10, 0))
SECOND = stands("2", "PARTIALLY_ACCEPTED", 20, 4, (NOW, 20, 4))
OLD = after(hours=-200)


@pytest.mark.parametrize(
    ("lines", "updated", "expected"),
    [
        ([FIRST, SECOND], NOW, Applied.APPLIED),
        (
            [FIRST, stands("2", "PARTIALLY_ACCEPTED", 20, None, (NOW, 20, None))],
            NOW,
            Applied.APPLIED,
        ),
        (
            [FIRST, stands("2", "PARTIALLY_ACCEPTED", 24, None, (NOW, 20, 4))],
            NOW,
            Applied.APPLIED,
        ),
        (
            [FIRST, stands("2", "PARTIALLY_ACCEPTED", 20, 4, (NOW, -4, 4), (OLD, 24, 0))],
            NOW,
            Applied.APPLIED,
        ),
        (
            [FIRST, stands("2", "PARTIALLY_ACCEPTED", 20, 4, (OLD, 24, 0), (NOW, 20, 4))],
            NOW,
            Applied.APPLIED,
        ),
        (
            [FIRST, stands("2", "PARTIALLY_ACCEPTED", 20, 4, (OLD, 24, 0), (NOW, 12, 12))],
            NOW,
            Applied.UNKNOWN,
        ),
        (
            [FIRST, stands("2", "PARTIALLY_ACCEPTED", 20, 3, (NOW, 20, 3))],
            NOW,
            Applied.OTHER,
        ),
        ([FIRST], NOW, Applied.UNKNOWN),
        ([FIRST, stands("2")], NOW, Applied.UNKNOWN),
        (
            [FIRST, stands("2", "PARTIALLY_ACCEPTED", 20, 4)],
            NOW,
            Applied.UNKNOWN,
        ),
        (
            [FIRST, stands("2", "ACCEPTED", 20, 4, (NOW, 20, 4))],
            NOW,
            Applied.UNKNOWN,
        ),
        ([FIRST, stands("2", "ACCEPTED", 24, 0, (NOW, 24, 0))], NOW, Applied.OTHER),
        (
            [FIRST, stands("2", "PARTIALLY_ACCEPTED", 20, 4, (after(hours=1), 20, 4))],
            after(hours=1),
            Applied.UNKNOWN,
        ),
        ([stands("1"), stands("2")], PLACED, Applied.UNTOUCHED),
        (
            [
                stands("1", "ACCEPTED", 10, 0, (after(minutes=5), 10, 0)),
                stands("2", "ACCEPTED", 24, 0, (after(minutes=5), 24, 0)),
            ],
            after(minutes=5),
            Applied.UNTOUCHED,
        ),
        ([stands("1"), stands("2")], None, Applied.UNTOUCHED),
        ([stands("1"), stands("2")], NOW, Applied.UNTOUCHED),
        ([stands("1"), stands("2", changed=NOW)], PLACED, Applied.UNTOUCHED),
        (
            [
                stands("1", "ACCEPTED", 10, 0, (NOW - timedelta(minutes=20), 10, 0)),
                stands("2", "PARTIALLY_ACCEPTED", 20, 4, (NOW - timedelta(minutes=20), 20, 4)),
            ],
            NOW - timedelta(minutes=20),
            Applied.UNKNOWN,
        ),
        (
            [FIRST, stands("2", "PARTIALLY_ACCEPTED", None, None, (NOW, None, None))],
            NOW,
            Applied.UNKNOWN,
        ),
    ],
    ids=[
        "there",
        "rejected missing",
        "accepted wrong",
        "increments, newest first",
        "restated",
        "contradictory",
        "half of another answer",
        "a line missing",
        "half of it",
        "no date",
        "words and numbers differ",
        "another answer",
        "half of it before",
        "nothing",
        "what stood before",
        "no date of the status",
        "touched",
        "changed",
        "the same, a little before",
        "no quantities",
    ],
)
def test_whether_an_acknowledgement_arrived(
    lines: list[rp.OrderItemStatus], updated: datetime | None, expected: Applied
) -> None:
    """Applied and untouched are said where they are certain, and nowhere else."""
    assert applied(MADE, status(*lines, updated=updated), sent_at=NOW) is expected


def test_cases_and_eaches_are_the_same_pieces() -> None:
    """What is acknowledged in cases may be counted in eaches, and the other way round."""
    made = accept_all(order(item(unit="Cases", size=12)), at=NOW)
    sized = accept_all(order(item("1", 24)), at=NOW)
    in_cases = stands("1", "ACCEPTED", None, None, (NOW, None, None))
    acknowledgement = rp.OrderItemStatusAcknowledgementStatus(
        confirmation_status="ACCEPTED",
        accepted_quantity=pieces(2, unit="CASES", size=12),
        acknowledgement_status_details=[
            rp.AcknowledgementStatusDetails(
                acknowledgement_date=NOW, accepted_quantity=pieces(2, unit="CASES", size=12)
            )
        ],
    )
    in_cases = msgspec.structs.replace(in_cases, acknowledgement_status=acknowledgement)
    in_eaches = stands("1", "ACCEPTED", 120, 0, (NOW, 120, 0))

    assert applied(made, status(in_eaches, updated=NOW), sent_at=NOW) is Applied.APPLIED
    assert applied(sized, status(in_cases, updated=NOW), sent_at=NOW) is Applied.APPLIED
    assert applied(made, status(in_cases, updated=NOW), sent_at=NOW) is Applied.OTHER


def test_a_backorder_counts_as_accepted() -> None:
    """The status knows accepted and rejected only."""
    later = backordered(4, scheduled_ship_date=after(days=20))
    made = answer(order(item()), {"1": [accepted(6), later]}, at=NOW)

    assert applied(made, status(FIRST, updated=NOW), sent_at=NOW) is Applied.APPLIED


def test_a_rejection_arrives_too() -> None:
    """Of a rejected line Amazon may leave out what was accepted."""
    made = answer(order(item()), {"1": rejected(SHORT)}, at=NOW)
    line = stands("1", "REJECTED", 0, 10, (NOW, None, 10))

    assert applied(made, status(line, updated=NOW), sent_at=NOW) is Applied.APPLIED


def test_a_quantity_without_a_unit_is_not_compared() -> None:
    """As in Amazon's own case: how many pieces it means is not known."""
    made = accept_all(order(item(unit=None, size=None)), at=NOW)

    assert applied(made, status(FIRST, updated=NOW), sent_at=NOW) is Applied.UNKNOWN


def test_a_document_may_be_noted_by_its_own_date() -> None:
    """One that was finished hours before it was sent is recognised, and not sent twice."""
    sent_at = after(hours=30)

    assert applied(MADE, status(FIRST, SECOND, updated=NOW), sent_at=sent_at) is Applied.APPLIED
    assert applied(MADE, status(FIRST, updated=NOW), sent_at=sent_at) is Applied.UNKNOWN


def test_another_orders_status_says_nothing() -> None:
    """Nor does none, nor the order of the other API."""
    another = msgspec.structs.replace(status(FIRST, SECOND), purchase_order_number="X")
    number = msgspec.structs.replace(customers_order(), purchase_order_number="1ABCDEFG")

    assert applied(MADE, another, sent_at=NOW) is Applied.UNKNOWN
    assert applied(MADE, None, sent_at=NOW) is Applied.UNKNOWN
    assert applied(MADE, number, sent_at=NOW) is Applied.UNKNOWN


@pytest.mark.parametrize(
    ("word", "when_accepted", "when_rejected"),
    [
        ("NEW", Applied.UNTOUCHED, Applied.UNTOUCHED),
        ("ACCEPTED", Applied.APPLIED, Applied.OTHER),
        ("SHIPPED", Applied.APPLIED, Applied.OTHER),
        ("CANCELLED", Applied.OTHER, Applied.APPLIED),
        ("PENDING", Applied.UNKNOWN, Applied.UNKNOWN),
        (None, Applied.UNKNOWN, Applied.UNKNOWN),
    ],
)
def test_a_customers_order_says_it_by_its_word(
    word: str | None, when_accepted: Applied, when_rejected: Applied
) -> None:
    """Accepted or shipped is accepted, cancelled is rejected, new is neither."""
    new, now = customers_order(), customers_order(word=word)

    assert applied(accept_order(new, at=NOW), now, sent_at=NOW) is when_accepted
    assert applied(reject_order(new, "03", at=NOW), now, sent_at=NOW) is when_rejected
