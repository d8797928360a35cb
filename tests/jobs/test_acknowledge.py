"""Acknowledging on virtual time: what is sent, how often, and what is known of it after."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from datetime import timedelta
from http import HTTPStatus

import msgspec
import pytest
import virtual_time
from fake_office import FakeOffice, FakeRecorder, Trouble, acknowledged, an_order, no_trouble
from fakes import EPOCH, an_account, virtual_now

from vendororders_async.acknowledgements import Draft, Line, Part, accept_all, document_of
from vendororders_async.errors import (
    AccessDenied,
    AcknowledgementError,
    BadRequest,
    Error,
    RequestError,
    ResponseError,
    ServerError,
    SinkError,
    TransportError,
)
from vendororders_async.jobs.acknowledge import drafts_of, run_together
from vendororders_async.jobs.acknowledging import (
    INVALID,
    MOVED,
    NOT_FOUND,
    NOT_SENT,
    READY,
    AcknowledgementOutcome,
    Acknowledging,
    Manner,
)
from vendororders_async.jobs.offices import Standing
from vendororders_async.jobs.submitting import Case, Following, in_batches
from vendororders_async.models.retail_procurement import Order, OrderAcknowledgement
from vendororders_async.models.transactions import Transaction
from vendororders_async.operations import RETAIL
from vendororders_async.sinks.base import Held, SubmissionState

PLACED_AT = EPOCH - timedelta(hours=1)
ACCOUNT = an_account()


def orders(count: int) -> list[Order]:
    """Return orders of an hour ago, with two lines each."""
    return [an_order(f"PO{place:06}", 6, 12, placed_at=PLACED_AT) for place in range(count)]


def accepting(*numbers: str) -> list[Draft]:
    """Return drafts that accept all of each order."""
    return [Draft(api="retail", purchase_order_number=one, where=one) for one in numbers]


async def run(
    office: FakeOffice,
    recorder: FakeRecorder,
    drafts: Sequence[Draft],
    manner: Manner | None = None,
) -> list[AcknowledgementOutcome]:
    """Acknowledge *drafts*, and return what became of them."""
    manner = manner or Manner(api=RETAIL)
    job = Acknowledging(ACCOUNT, office, recorder, drafts, manner, now=virtual_now)
    await run_together([job], manner)
    if job.error is not None:
        raise job.error
    return job.outcomes()


def outcomes(
    office: FakeOffice,
    recorder: FakeRecorder,
    drafts: Sequence[Draft],
    **manner: bool | int,
) -> list[AcknowledgementOutcome]:
    """Run it on virtual time."""
    chosen = Manner(api=RETAIL, **manner)  # type: ignore[arg-type] # by name
    return virtual_time.run(run(office, recorder, drafts, chosen))


def lost(error: RequestError, *, has_effect: bool, times: int = 1) -> Trouble:
    """Raise *error* for the first *times* submissions."""
    left = [times]

    def trouble(numbers: Sequence[str]) -> tuple[bool, RequestError | None]:
        left[0] -= 1
        return (has_effect, error) if left[0] >= 0 else no_trouble(numbers)

    return trouble


RESET = TransportError("reset", operation="submitAcknowledgement", account="germany")


def test_what_amazon_takes_is_presumed_accepted_after_a_quarter_of_an_hour() -> None:
    """Success never comes; each step is in the sink before the next begins."""
    office, recorder = FakeOffice(orders(1)), FakeRecorder()

    async def main() -> tuple[list[AcknowledgementOutcome], float]:
        began_at = asyncio.get_running_loop().time()
        found = await run(office, recorder, accepting("PO000000"))
        return found, asyncio.get_running_loop().time() - began_at

    [outcome], seconds = virtual_time.run(main())

    assert outcome.state == SubmissionState.PRESUMED_ACCEPTED
    assert outcome.transaction_id == "transaction-1"
    assert [one.state for one in recorder.history] == [
        SubmissionState.SENDING,
        SubmissionState.PROCESSING,
        SubmissionState.PRESUMED_ACCEPTED,
    ]
    assert seconds == pytest.approx(900, rel=0.02)
    assert office.applied == {"PO000000": 1}


def test_confirming_ends_as_soon_as_the_order_shows_it() -> None:
    """The order is asked whether it was acknowledged, and nobody waits for longer."""
    office, recorder = FakeOffice(orders(1), delay=25.0), FakeRecorder()

    async def main() -> float:
        [outcome] = await run(
            office, recorder, accepting("PO000000"), Manner(api=RETAIL, confirm=True)
        )
        assert outcome.state == SubmissionState.ACCEPTED
        return asyncio.get_running_loop().time() - 1000

    assert virtual_time.run(main()) < 60


def test_nothing_is_sent_if_one_answer_is_wrong() -> None:
    """The error names the order and the place; the right ones wait for it to be mended."""
    office, recorder = FakeOffice(orders(3)), FakeRecorder()
    wrong = Draft(
        api="retail",
        purchase_order_number="PO000001",
        where="line 3",
        lines=(
            Line(item_sequence_number="1", parts=(Part(code="Accepted", quantity=7),)),
            Line(item_sequence_number="2", parts=(Part(code="Accepted"),)),
        ),
    )

    with pytest.raises(AcknowledgementError, match="PO000001"):
        outcomes(office, recorder, [*accepting("PO000000", "PO000002"), wrong])

    assert office.submitted == []
    assert recorder.history == []


def test_an_order_that_has_moved_is_not_answered_and_the_others_are() -> None:
    """The difference is told; a repeat would replace what stands at Amazon."""
    office, recorder = FakeOffice(orders(2)), FakeRecorder()
    seen = an_order("PO000000", 6, 24, placed_at=PLACED_AT)
    held = Held(purchase_order_number="PO000000", order=msgspec.json.encode(seen))
    recorder.orders["PO000000"] = held

    moved, other = outcomes(office, recorder, accepting("PO000000", "PO000001"), wait=False)

    assert moved.state == MOVED
    assert moved.reason is not None
    assert "24" in moved.reason
    assert other.state == SubmissionState.PROCESSING
    assert office.submitted == [("PO000001",)]


def test_an_order_that_amazon_does_not_know_is_named_and_the_others_are_answered() -> None:
    """One wrong number does not hold up the rest."""
    office, recorder = FakeOffice(orders(1)), FakeRecorder()

    missing, other = outcomes(office, recorder, accepting("NOSUCH", "PO000000"), wait=False)

    assert (missing.state, other.state) == (NOT_FOUND, SubmissionState.PROCESSING)


@pytest.mark.parametrize(
    "error",
    [
        RESET,
        ServerError("oops", operation="submitAcknowledgement", status=500),
        ResponseError("none", operation="submitAcknowledgement", status=HTTPStatus.NO_CONTENT),
    ],
    ids=["reset", "500", "204"],
)
def test_a_lost_answer_is_settled_by_the_order_and_not_sent_twice(error: RequestError) -> None:
    """The order shows that the submission arrived."""
    office = FakeOffice(orders(1), trouble=lost(error, has_effect=True), delay=40.0)
    recorder = FakeRecorder()

    [outcome] = outcomes(office, recorder, accepting("PO000000"))

    assert outcome.state == SubmissionState.ACCEPTED
    assert len(office.submitted) == 1
    assert office.applied == {"PO000000": 1}


def test_what_did_not_arrive_is_sent_again_only_when_that_is_certain() -> None:
    """For half an hour the order may still come to show it."""
    office = FakeOffice(orders(1), trouble=lost(RESET, has_effect=False))
    recorder = FakeRecorder()

    [outcome] = outcomes(office, recorder, accepting("PO000000"))
    first, *_, second = sorted({one.submitted_at for one in recorder.history})

    assert outcome.state == SubmissionState.PRESUMED_ACCEPTED
    assert office.applied == {"PO000000": 1}
    assert second - first >= timedelta(minutes=30)
    assert SubmissionState.MISSING in {one.state for one in recorder.history}


@pytest.mark.parametrize(
    "error",
    [
        TransportError("refused", operation="submitAcknowledgement", sent=False),
        ResponseError("away", operation="submitAcknowledgement", status=HTTPStatus.FOUND),
    ],
    ids=["refused", "302"],
)
def test_what_never_left_is_known_to_be_missing_at_once(error: RequestError) -> None:
    """A connection that was refused carried nothing, and a redirect is not followed."""
    office = FakeOffice(orders(1), trouble=lost(error, has_effect=False))
    recorder = FakeRecorder()

    outcomes(office, recorder, accepting("PO000000"))
    first, second = sorted({one.submitted_at for one in recorder.history})

    assert second - first < timedelta(minutes=1)
    assert office.applied == {"PO000000": 1}


def test_without_waiting_a_lost_answer_stays_unresolved_and_the_next_run_settles_it() -> None:
    """The same answers again; nothing is sent a second time."""
    office = FakeOffice(orders(1), trouble=lost(RESET, has_effect=True), delay=5.0)
    recorder = FakeRecorder()

    async def main() -> list[str]:
        states = []
        for wait in (False, True):
            manner = Manner(api=RETAIL, wait=wait)
            [outcome] = await run(office, recorder, accepting("PO000000"), manner)
            states.append(outcome.state)
        return states

    assert virtual_time.run(main()) == [SubmissionState.UNRESOLVED, SubmissionState.ACCEPTED]
    assert len(office.submitted) == 1


def test_the_same_answers_again_send_only_what_has_no_outcome() -> None:
    """What was accepted is told as it was; what is new is sent."""
    office, recorder = FakeOffice(orders(3)), FakeRecorder()

    async def main() -> list[AcknowledgementOutcome]:
        await run(office, recorder, accepting("PO000000", "PO000001"))
        return await run(office, recorder, accepting("PO000000", "PO000001", "PO000002"))

    found = virtual_time.run(main())

    assert {one.state for one in found} == {SubmissionState.PRESUMED_ACCEPTED}
    assert office.submitted == [("PO000000", "PO000001"), ("PO000002",)]


def test_what_is_processing_is_followed_by_the_next_run() -> None:
    """Its transaction is asked for; nothing is sent again."""
    office, recorder = FakeOffice(orders(2)), FakeRecorder()

    async def main() -> list[AcknowledgementOutcome]:
        numbers = ("PO000000", "PO000001")
        await run(office, recorder, accepting(*numbers), Manner(api=RETAIL, wait=False))
        office.failures["transaction-1"] = (Error(code="X", message="No such thing."),)
        return await run(office, recorder, accepting(*numbers))

    found = virtual_time.run(main())

    # both show at Amazon, so that what failed was something else
    assert [one.state for one in found] == [SubmissionState.ACCEPTED] * 2
    assert len(office.submitted) == 1


@pytest.mark.parametrize("seconds", [0.2, 0.31, 0.35, 0.45])
def test_a_run_that_was_cancelled_anywhere_is_gone_on_with(seconds: float) -> None:
    """Whatever had left is found out; nothing is applied twice, nothing forgotten."""
    office, recorder = FakeOffice(orders(3)), FakeRecorder()
    numbers = ("PO000000", "PO000001", "PO000002")

    async def main() -> list[AcknowledgementOutcome]:
        manner = Manner(api=RETAIL, batch=1)
        task = asyncio.ensure_future(run(office, recorder, accepting(*numbers), manner))
        await asyncio.sleep(seconds)
        task.cancel()
        await asyncio.wait({task})
        assert task.cancelled()
        return await run(office, recorder, accepting(*numbers), manner)

    found = virtual_time.run(main())

    assert all(one.is_settled for one in found)
    assert dict(office.applied) == dict.fromkeys(numbers, 1)


def test_a_request_that_is_too_large_is_halved() -> None:
    """Until Amazon takes it; an order that is too large alone is refused."""
    too_large = ResponseError("too large", status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE)

    def trouble(numbers: Sequence[str]) -> tuple[bool, RequestError | None]:
        if len(numbers) > 2 or "PO000003" in numbers:
            return False, too_large
        return True, None

    office, recorder = FakeOffice(orders(8), trouble=trouble), FakeRecorder()
    numbers = [f"PO{place:06}" for place in range(8)]

    found = outcomes(office, recorder, accepting(*numbers))

    assert [one.state for one in found].count(SubmissionState.REFUSED) == 1
    assert found[3].state == SubmissionState.REFUSED
    assert dict(office.applied) == dict.fromkeys(set(numbers) - {"PO000003"}, 1)
    assert len({one.submitted_at for one in recorder.history}) == 1


def test_an_order_that_amazon_refuses_does_not_sink_those_beside_it() -> None:
    """A 400 names no order, so that the batch is halved until it is alone."""
    wrong = BadRequest(
        "wrong", status=400, errors=(Error(code="InvalidRequest", message="wrong"),)
    )

    def trouble(numbers: Sequence[str]) -> tuple[bool, RequestError | None]:
        return ("PO000002" not in numbers), (wrong if "PO000002" in numbers else None)

    office, recorder = FakeOffice(orders(5), trouble=trouble), FakeRecorder()
    numbers = [f"PO{place:06}" for place in range(5)]

    found = outcomes(office, recorder, accepting(*numbers))

    assert found[2].state == SubmissionState.REFUSED
    assert found[2].reason is not None
    assert "wrong" in found[2].reason
    assert dict(office.applied) == dict.fromkeys(set(numbers) - {"PO000002"}, 1)


@pytest.mark.parametrize(
    "error", [ResponseError("moved", status=307), BadRequest("no explanation", status=400)]
)
def test_what_a_gateway_refuses_is_missing_and_the_next_run_sends_it(
    error: ResponseError,
) -> None:
    """A redirect, and a 400 without Amazon's errors, are not Amazon's word."""
    office, recorder = FakeOffice(orders(2)), FakeRecorder()
    office.trouble = lost(error, has_effect=False, times=1000)
    numbers = ("PO000000", "PO000001")

    async def main() -> tuple[set[str], list[AcknowledgementOutcome]]:
        await run(office, recorder, accepting(*numbers))
        states = {str(one.state) for one in recorder.rows.values()}
        office.trouble = no_trouble
        return states, await run(office, recorder, accepting(*numbers))

    states, taken = virtual_time.run(main())

    assert states == {SubmissionState.MISSING}
    assert {one.state for one in taken} == {SubmissionState.PRESUMED_ACCEPTED}
    assert dict(office.applied) == dict.fromkeys(numbers, 1)


def test_a_failed_transaction_is_told_in_amazons_words_and_sent_again_only_when_told() -> None:
    """It has an outcome; `again` says that the user knows of it."""
    office = FakeOffice(orders(1), trouble=lost(RESET, has_effect=False, times=0))
    office.trouble = lambda _numbers: (len(office.submitted) > 1, None)
    office.failures["transaction-1"] = (Error(code="BAD", message="Invalid order ID."),)
    recorder = FakeRecorder()

    async def main() -> list[AcknowledgementOutcome]:
        found = []
        for again in (False, False, True):
            manner = Manner(api=RETAIL, again=again)
            found += await run(office, recorder, accepting("PO000000"), manner)
        return found

    first, second, third = virtual_time.run(main())

    assert first.state == second.state == SubmissionState.FAILED
    assert first.reason is not None
    assert "BAD: Invalid order ID." in first.reason
    assert third.state == SubmissionState.PRESUMED_ACCEPTED
    assert len(office.submitted) == 2


def test_an_account_that_is_refused_leaves_nothing_in_doubt() -> None:
    """What was not sent is known to be missing, and the next run sends it."""
    denied = AccessDenied("denied", operation="submitAcknowledgement", status=403)
    office = FakeOffice(orders(3), trouble=lost(denied, has_effect=False))
    recorder = FakeRecorder()
    numbers = ("PO000000", "PO000001", "PO000002")

    async def main() -> list[AcknowledgementOutcome]:
        with pytest.raises(AccessDenied):
            await run(office, recorder, accepting(*numbers))
        return await run(office, recorder, accepting(*numbers))

    found = virtual_time.run(main())

    assert all(one.is_settled for one in found)
    assert dict(office.applied) == dict.fromkeys(numbers, 1)


def test_another_answer_of_ours_that_has_no_outcome_holds_the_next_one_back() -> None:
    """Which of the two would stand in the end nobody could say."""
    office = FakeOffice(orders(1), trouble=lost(RESET, has_effect=False))
    recorder = FakeRecorder()
    less = Draft(
        api="retail",
        purchase_order_number="PO000000",
        where="line 2",
        lines=(
            Line(item_sequence_number="1", parts=(Part(code="Accepted"),)),
            Line(
                item_sequence_number="2",
                parts=(Part(code="Rejected", rejection_reason="ObsoleteProduct"),),
            ),
        ),
    )

    async def main() -> list[AcknowledgementOutcome]:
        manner = Manner(api=RETAIL, wait=False)
        await run(office, recorder, accepting("PO000000"), manner)
        return await run(office, recorder, [less], manner)

    [outcome] = virtual_time.run(main())

    assert outcome.state == NOT_SENT
    assert outcome.reason is not None
    assert "no outcome yet" in outcome.reason
    assert len(office.submitted) == 1


def test_an_answer_from_before_amazons_change_counts_no_more() -> None:
    """A changed order has to be answered again, be it with the same words."""
    office, recorder = FakeOffice(orders(1)), FakeRecorder()

    async def main() -> list[AcknowledgementOutcome]:
        await run(office, recorder, accepting("PO000000"))
        standing = office.standing["PO000000"]
        assert isinstance(standing.order, Order)
        assert standing.order.order_details is not None
        details = msgspec.structs.replace(
            standing.order.order_details, purchase_order_changed_date=virtual_now()
        )
        changed = msgspec.structs.replace(standing.order, order_details=details)
        office.standing["PO000000"] = msgspec.structs.replace(standing, order=changed)
        return await run(office, recorder, accepting("PO000000"))

    [outcome] = virtual_time.run(main())

    assert outcome.state == SubmissionState.PRESUMED_ACCEPTED
    assert len(office.submitted) == 2


def test_a_dry_run_reads_and_checks_and_sends_nothing() -> None:
    """It shows the very document that would be sent."""
    office, recorder = FakeOffice(orders(1)), FakeRecorder()

    [outcome] = outcomes(office, recorder, accepting("PO000000"), dry_run=True)

    assert outcome.state == READY
    assert outcome.document is not None
    assert b'"acknowledgementCode":"Accepted"' in outcome.document
    assert (office.submitted, recorder.history) == ([], [])


def test_two_runs_do_not_acknowledge_for_one_account_at_once() -> None:
    """The second one is told so, and sends nothing."""
    office, recorder = FakeOffice(orders(1)), FakeRecorder()

    async def main() -> None:
        first = asyncio.ensure_future(run(office, recorder, accepting("PO000000")))
        await asyncio.sleep(0.05)
        with pytest.raises(SinkError):
            await run(office, recorder, accepting("PO000000"))
        await first

    virtual_time.run(main())

    assert len(office.submitted) == 1


def test_finished_documents_are_sent_as_they_are() -> None:
    """What a caller built is not touched."""

    async def main() -> bytes:
        [order] = orders(1)
        office, recorder = FakeOffice([order]), FakeRecorder()
        document = accept_all(order, at=virtual_now())
        drafts = drafts_of([document])
        await run(office, recorder, drafts, Manner(api=RETAIL, wait=False))
        assert recorder.history[0].document == msgspec.json.encode(document)
        return recorder.history[0].document

    assert b"Accepted" in virtual_time.run(main())


def test_a_thousand_through_resets_and_500s_are_none_lost_and_none_sent_twice() -> None:
    """A tenth of all submissions get no answer, of both kinds; each order is applied once."""
    lottery = random.Random(7)

    def trouble(numbers: Sequence[str]) -> tuple[bool, RequestError | None]:
        del numbers
        if lottery.random() >= 0.1:
            return True, None
        error = lottery.choice([RESET, ServerError("oops", status=500)])
        return lottery.random() < 0.5, error

    wanted = orders(1000)
    numbers = [one.purchase_order_number for one in wanted]
    office, recorder = FakeOffice(wanted, trouble=trouble, delay=20.0), FakeRecorder()

    found = outcomes(office, recorder, accepting(*numbers), batch=5)

    assert all(one.is_settled for one in found)
    assert dict(office.applied) == dict.fromkeys(numbers, 1)
    assert len(office.submitted) > 205


@pytest.mark.parametrize(
    ("most", "largest", "expected"), [(3, 10**6, [3, 3, 1]), (9, 1, [1] * 7)]
)
def test_batches_are_bounded_by_count_and_by_size(
    most: int, largest: int, expected: list[int]
) -> None:
    """An order that is larger than a batch may be goes alone."""
    cases = []
    for order in orders(7):
        case = Case(accepting(order.purchase_order_number)[0])
        case.document = accept_all(order, at=EPOCH)
        cases.append(case)

    assert [len(batch) for batch in in_batches(cases, most, largest)] == expected


@pytest.mark.parametrize("until", [0.0, 3.0, 10.0, 900.0, 1801.0])
def test_looks_grow_rarer_and_end_when_they_are_to(until: float) -> None:
    """A transaction is not asked for every second, and is asked at the end."""
    looks = list(Following().looks(until))

    assert sum(looks) == pytest.approx(until)
    assert len(looks) < 22


def test_an_order_that_was_read_a_while_ago_is_read_again_before_it_is_answered() -> None:
    """In a long run an order may move between reading and sending."""
    office, recorder = FakeOffice(orders(2)), FakeRecorder()

    def trouble(numbers: Sequence[str]) -> tuple[bool, RequestError | None]:
        del numbers
        standing = office.standing["PO000001"]
        assert isinstance(standing.order, Order)
        closed = msgspec.structs.replace(standing.order, purchase_order_state="Closed")
        office.standing["PO000001"] = msgspec.structs.replace(standing, order=closed)
        return True, None

    async def main() -> list[AcknowledgementOutcome]:
        manner = Manner(api=RETAIL, batch=1, wait=False)
        drafts = accepting("PO000000", "PO000001")
        job = Acknowledging(ACCOUNT, office, recorder, drafts, manner, now=virtual_now)
        async with job.lock():
            await job.prepare()
            await asyncio.sleep(120)
            trouble(())
            await job.submit()
        return job.outcomes()

    first, second = virtual_time.run(main())

    assert first.state == SubmissionState.PROCESSING
    assert second.state in {MOVED, INVALID}
    assert office.submitted == [("PO000000",)]


def test_what_another_source_was_sent_counts_for_nothing_here() -> None:
    """A rehearsal against a simulator keeps an order back for half an hour at most."""
    office, recorder = FakeOffice(orders(1)), FakeRecorder()

    async def main() -> list[AcknowledgementOutcome]:
        await run(office, recorder, accepting("PO000000"))
        recorder.rows = {
            key: msgspec.structs.replace(one, source="a simulator's")
            for key, one in recorder.rows.items()
        }
        office.standing["PO000000"] = FakeOffice(orders(1)).standing["PO000000"]
        held_back = await run(office, recorder, accepting("PO000000"))
        await asyncio.sleep(1800)
        return [*held_back, *await run(office, recorder, accepting("PO000000"))]

    held_back, outcome = virtual_time.run(main())

    assert held_back.state == NOT_SENT  # it might be the same Amazon, under another name
    assert outcome.is_settled
    assert len(office.submitted) == 2


def test_a_half_that_was_taken_stays_so_when_the_other_is_denied() -> None:
    """Otherwise it would be sent again."""
    too_large = ResponseError("too large", status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    denied = AccessDenied("denied", operation="submitAcknowledgement", status=403)

    def trouble(numbers: Sequence[str]) -> tuple[bool, RequestError | None]:
        if len(numbers) == 4:
            return False, too_large
        return ("PO000000" in numbers), (None if "PO000000" in numbers else denied)

    office, recorder = FakeOffice(orders(4), trouble=trouble), FakeRecorder()
    numbers = [f"PO{place:06}" for place in range(4)]

    async def main() -> list[AcknowledgementOutcome]:
        with pytest.raises(AccessDenied):
            await run(office, recorder, accepting(*numbers), Manner(api=RETAIL, wait=False))
        office.trouble = no_trouble
        return await run(office, recorder, accepting(*numbers))

    found = virtual_time.run(main())

    assert all(one.is_settled for one in found)
    assert dict(office.applied) == dict.fromkeys(numbers, 1)
    assert len({one.submitted_at for one in recorder.history}) == 2


def test_what_did_not_arrive_is_checked_again_before_it_is_sent_again() -> None:
    """Half an hour later the order may be closed."""
    office = FakeOffice(orders(1), trouble=lost(RESET, has_effect=False, times=9))
    recorder = FakeRecorder()

    async def main() -> list[AcknowledgementOutcome]:
        task = asyncio.ensure_future(run(office, recorder, accepting("PO000000")))
        await asyncio.sleep(1500)
        standing = office.standing["PO000000"]
        assert isinstance(standing.order, Order)
        closed = msgspec.structs.replace(standing.order, purchase_order_state="Closed")
        office.standing["PO000000"] = msgspec.structs.replace(standing, order=closed)
        return await task

    [outcome] = virtual_time.run(main())

    assert outcome.state in {INVALID, MOVED}
    assert len(office.submitted) == 1


def test_an_order_that_does_not_tell_is_never_taken_for_untouched() -> None:
    """Without a status nobody knows: it stays unresolved, and is not sent again."""
    office = FakeOffice(orders(1), trouble=lost(RESET, has_effect=False))
    office.standing["PO000000"] = msgspec.structs.replace(
        office.standing["PO000000"], status=None
    )
    recorder = FakeRecorder()

    [outcome] = outcomes(office, recorder, accepting("PO000000"))

    assert outcome.state == SubmissionState.UNRESOLVED
    assert len(office.submitted) == 1


def rejecting(number: str, reason: str = "ObsoleteProduct") -> Draft:
    """Return a draft that rejects the second line of an order, and accepts the first."""
    return Draft(
        api="retail",
        purchase_order_number=number,
        where="line 2",
        lines=(
            Line(item_sequence_number="1", parts=(Part(code="Accepted"),)),
            Line(
                item_sequence_number="2",
                parts=(Part(code="Rejected", rejection_reason=reason),),
            ),
        ),
    )


def test_each_half_of_a_batch_has_the_fate_of_its_own_transaction() -> None:
    """Halved, a batch has several; one that fails says nothing of the others."""
    too_large = ResponseError("too large", status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE)

    def trouble(numbers: Sequence[str]) -> tuple[bool, RequestError | None]:
        if len(numbers) > 1:
            return False, too_large
        return numbers[0] != "PO000001", None

    office, recorder = FakeOffice(orders(2), trouble=trouble), FakeRecorder()
    office.failures["transaction-3"] = (Error(code="BAD", message="No."),)

    first, second = outcomes(office, recorder, accepting("PO000000", "PO000001"))

    assert office.submitted[1:] == [("PO000000",), ("PO000001",)]
    assert first.state == SubmissionState.PRESUMED_ACCEPTED
    assert second.state == SubmissionState.FAILED


def test_an_answer_that_was_replaced_by_another_of_ours_is_sent_again() -> None:
    """Only the last one stands at Amazon, whatever was sent before it."""
    office, recorder = FakeOffice(orders(1)), FakeRecorder()
    later = msgspec.structs.replace(
        accepting("PO000000")[0],
        lines=tuple(
            Line(
                item_sequence_number=number,
                parts=(Part(code="Accepted", scheduled_ship_date=EPOCH + timedelta(days=9)),),
            )
            for number in "12"
        ),
    )

    async def main() -> None:
        for drafts in (accepting("PO000000"), [later], accepting("PO000000")):
            [outcome] = await run(office, recorder, drafts)
            assert outcome.is_settled

    virtual_time.run(main())

    assert len(office.submitted) == 3


def test_nothing_is_presumed_of_a_transaction_that_amazon_does_not_tell_of() -> None:
    """Silence is no success; the next run asks again."""
    office, recorder = FakeOffice(orders(1)), FakeRecorder()
    known = office.transaction

    async def unknown(transaction_id: str) -> Transaction | None:
        await known(transaction_id)
        return None

    async def main() -> list[AcknowledgementOutcome]:
        office.transaction = unknown  # type: ignore[method-assign] # it is a fake
        first = await run(office, recorder, accepting("PO000000"))
        office.transaction = known  # type: ignore[method-assign] # the same
        return [*first, *await run(office, recorder, accepting("PO000000"))]

    first, second = virtual_time.run(main())

    assert first.state == SubmissionState.UNRESOLVED
    assert first.reason is not None
    assert "does not know" in first.reason
    assert second.state == SubmissionState.PRESUMED_ACCEPTED
    assert len(office.submitted) == 1


def test_what_has_moved_does_not_keep_the_others_from_being_answered() -> None:
    """A closed order is no mistake in the file."""
    office, recorder = FakeOffice(orders(2)), FakeRecorder()
    as_of = PLACED_AT
    drafts = [
        msgspec.structs.replace(rejecting(number), as_of=as_of)
        for number in ("PO000000", "PO000001")
    ]
    standing = office.standing["PO000000"]
    assert isinstance(standing.order, Order)
    assert standing.order.order_details is not None
    details = msgspec.structs.replace(
        standing.order.order_details, purchase_order_state_changed_date=EPOCH
    )
    closed = msgspec.structs.replace(
        standing.order, purchase_order_state="Closed", order_details=details
    )
    office.standing["PO000000"] = msgspec.structs.replace(standing, order=closed)

    moved, other = outcomes(office, recorder, drafts, wait=False)

    assert (moved.state, other.state) == (MOVED, SubmissionState.PROCESSING)


def test_of_orders_that_failed_together_those_are_accepted_that_come_to_show_it() -> None:
    """Amazon does not say which of them failed, and takes its time to show the others."""

    async def main() -> list[AcknowledgementOutcome]:
        office = FakeOffice(orders(2), delay=300.0)
        office.failures["transaction-1"] = (Error(code="BAD", message="One of them."),)
        found = await run(office, FakeRecorder(), accepting("PO000000", "PO000001"))
        assert len(office.submitted) == 1
        return found

    found = virtual_time.run(main())

    assert [one.state for one in found] == [SubmissionState.ACCEPTED] * 2


def test_a_refusal_leaves_what_is_on_its_way_to_come_to_its_end() -> None:
    """The batches beside it were sent, and are told as what became of them."""
    denied = AccessDenied("denied", operation="submitAcknowledgement", status=403)

    def trouble(numbers: Sequence[str]) -> tuple[bool, RequestError | None]:
        return ("PO000000" not in numbers), (denied if "PO000000" in numbers else None)

    office, recorder = FakeOffice(orders(3), trouble=trouble), FakeRecorder()

    async def main() -> list[AcknowledgementOutcome]:
        manner = Manner(api=RETAIL, batch=1)
        drafts = accepting("PO000000", "PO000001", "PO000002")
        job = Acknowledging(ACCOUNT, office, recorder, drafts, manner, now=virtual_now)
        await run_together([job], manner)
        assert isinstance(job.error, AccessDenied)
        return job.outcomes()

    found = virtual_time.run(main())

    assert [one.state for one in found] == [
        NOT_SENT,
        SubmissionState.PRESUMED_ACCEPTED,
        SubmissionState.PRESUMED_ACCEPTED,
    ]


def test_a_run_that_ends_in_the_middle_says_that_something_may_have_left() -> None:
    """``ready`` would sound as if nothing had."""
    office, recorder = FakeOffice(orders(2)), FakeRecorder()

    async def main() -> list[AcknowledgementOutcome]:
        manner = Manner(api=RETAIL, batch=1)
        drafts = accepting("PO000000", "PO000001")
        job = Acknowledging(ACCOUNT, office, recorder, drafts, manner, now=virtual_now)
        task = asyncio.ensure_future(run_together([job], manner))
        await asyncio.sleep(0.15)
        assert office.submitted
        task.cancel()
        await asyncio.wait({task})
        return job.outcomes()

    found = virtual_time.run(main())

    assert found[0].state == SubmissionState.SENDING
    assert {one.state for one in found} <= {SubmissionState.SENDING, NOT_SENT}


def test_our_own_answer_is_known_by_its_words_however_late_amazon_dates_it() -> None:
    """A later correction of ours is not refused as if it were over somebody else's."""
    office, recorder = FakeOffice(orders(1), delay=120.0), FakeRecorder()

    async def main() -> list[AcknowledgementOutcome]:
        await run(office, recorder, accepting("PO000000"))
        correction = msgspec.structs.replace(rejecting("PO000000"), as_of=PLACED_AT)
        return await run(office, recorder, [correction], Manner(api=RETAIL, wait=False))

    [outcome] = virtual_time.run(main())

    assert outcome.state == SubmissionState.PROCESSING


def test_the_same_answer_is_not_told_as_taken_when_something_else_stands_by_now() -> None:
    """A colleague may have changed it in Vendor Central since."""
    office, recorder = FakeOffice(orders(1)), FakeRecorder()

    async def main() -> list[AcknowledgementOutcome]:
        await run(office, recorder, accepting("PO000000"))
        standing = office.standing["PO000000"]
        theirs = document_of(rejecting("PO000000"), standing.order, at=virtual_now())
        assert isinstance(theirs, OrderAcknowledgement)
        office.standing["PO000000"] = acknowledged(standing, theirs, virtual_now())
        return await run(office, recorder, accepting("PO000000"))

    [outcome] = virtual_time.run(main())

    assert outcome.state == MOVED
    assert len(office.submitted) == 1


def test_what_failed_does_not_count_against_the_answer_before_it() -> None:
    """That one still stands, and is told as it was."""
    office, recorder = FakeOffice(orders(1)), FakeRecorder()

    async def main() -> list[AcknowledgementOutcome]:
        first = await run(office, recorder, accepting("PO000000"))
        office.trouble = lambda _numbers: (False, None)
        office.failures["transaction-2"] = (Error(code="BAD", message="No."),)
        second = await run(office, recorder, [rejecting("PO000000")])
        return [*first, *second, *await run(office, recorder, accepting("PO000000"))]

    first, second, third = virtual_time.run(main())

    assert second.state == SubmissionState.FAILED
    assert first.state == third.state == SubmissionState.PRESUMED_ACCEPTED
    assert len(office.submitted) == 2


@pytest.mark.parametrize(("minutes", "count"), [(10, 1), (40, 2)])
def test_what_is_in_doubt_is_sent_again_on_request_after_half_an_hour(
    minutes: int, count: int
) -> None:
    """Before, it may still come to be seen."""
    office = FakeOffice(orders(1), trouble=lost(RESET, has_effect=False))
    office.standing["PO000000"] = msgspec.structs.replace(
        office.standing["PO000000"], status=None
    )
    recorder = FakeRecorder()

    async def main() -> None:
        await run(office, recorder, accepting("PO000000"), Manner(api=RETAIL, wait=False))
        await asyncio.sleep(60 * minutes)
        manner = Manner(api=RETAIL, wait=False, again=True)
        await run(office, recorder, accepting("PO000000"), manner)

    virtual_time.run(main())

    assert len(office.submitted) == count


def test_what_was_presumed_is_looked_at_when_it_is_to_be_confirmed() -> None:
    """The order shows it by then, and nothing is sent again."""
    office, recorder = FakeOffice(orders(1), delay=2000.0), FakeRecorder()

    async def main() -> list[AcknowledgementOutcome]:
        first = await run(office, recorder, accepting("PO000000"))
        await asyncio.sleep(3600)
        manner = Manner(api=RETAIL, confirm=True)
        return [*first, *await run(office, recorder, accepting("PO000000"), manner)]

    first, second = virtual_time.run(main())

    assert first.state == SubmissionState.PRESUMED_ACCEPTED
    assert second.state == SubmissionState.ACCEPTED
    assert len(office.submitted) == 1


def test_a_refusal_while_orders_are_read_again_leaves_the_others_on_their_way() -> None:
    """What is being sent beside it is not torn off in the middle."""
    office, recorder = FakeOffice(orders(2)), FakeRecorder()
    read = office.read

    async def refuse(number: str) -> Standing:
        if number == "PO000000":
            await asyncio.sleep(0.15)  # the other one is being submitted by then
            raise AccessDenied("denied", operation="getPurchaseOrder", status=403)
        return await read(number)

    async def main() -> list[AcknowledgementOutcome]:
        manner = Manner(api=RETAIL, batch=1, wait=False)
        drafts = accepting("PO000000", "PO000001")
        job = Acknowledging(ACCOUNT, office, recorder, drafts, manner, now=virtual_now)
        async with job.lock():
            await job.prepare()
            await asyncio.sleep(120)
            office.read = refuse  # type: ignore[method-assign] # it is a fake
            await job.submit()
        return job.outcomes()

    refused, other = virtual_time.run(main())

    assert refused.state == NOT_SENT
    assert refused.reason is not None
    assert "denied" in refused.reason
    assert other.state == SubmissionState.PROCESSING
