"""Acknowledging: one account's answers, from drafts to outcomes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any, TypeVar

import msgspec

from .. import clock
from ..accounts import Account
from ..acknowledgements import (
    Applied,
    Draft,
    accept_all,
    digest,
    document_of,
    moved_since,
    problems_of,
)
from ..errors import (
    AccessDenied,
    AcknowledgementError,
    AuthError,
    InvalidArgument,
    NotFound,
    Problem,
    RequestError,
    VendorOrdersError,
    first_of,
)
from ..models.retail_procurement import Order, OrderStatus
from ..operations import Api
from ..pages import Row, decode_document
from ..sinks.base import Held, SubmissionLog, SubmissionState
from .earlier import Earlier, shown
from .offices import AnyOrder, Office, Standing
from .submitting import BATCH, LARGEST_BODY, Case, Following, Submitter, in_batches

T = TypeVar("T")
R = TypeVar("R", bound=Row)

READY = "ready"  # a dry run ends here
MOVED = "moved"
NOT_FOUND = "not_found"
INVALID = "invalid"
NOT_SENT = "not_sent"

_TAKEN = {
    SubmissionState.ACCEPTED,
    SubmissionState.PRESUMED_ACCEPTED,
    SubmissionState.PROCESSING,
    READY,
}

_OPEN = {SubmissionState.SENDING, SubmissionState.UNRESOLVED, SubmissionState.PROCESSING}

_READERS = 32  # orders read at once; the limiter paces them
_SENDERS = 4  # requests on their way at once: so many batches may be left without an answer
_FRESH = 60.0  # seconds for which an order that was read stands as it was
_MOST_SENDINGS = 5  # of one acknowledgement in a run, each after the one before was missing


class AcknowledgementOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the acknowledgement of one order.

    *state* is one of `SubmissionState`, or of what was not sent: ``moved`` (the order is not
    what the draft answers; *reason* has the difference), ``not_found``, ``invalid``,
    ``not_sent``, and ``ready`` in a dry run.
    """

    account: str
    api: str
    purchase_order_number: str
    state: str
    reason: str | None = None
    transaction_id: str | None = None
    submitted_at: datetime | None = None
    document: bytes | None = None

    @property
    def is_settled(self) -> bool:
        """Whether there is nothing left to do about it."""
        return self.state in _TAKEN


class Manner(msgspec.Struct, frozen=True, kw_only=True):
    """How to acknowledge; `acknowledge` says what each of them means."""

    api: Api
    dry_run: bool = False
    wait: bool = True
    confirm: bool = False
    again: bool = False
    batch: int = BATCH
    largest_body: int = LARGEST_BODY
    following: Following = Following()

    def __post_init__(self) -> None:
        if self.batch < 1:
            raise InvalidArgument(f"a batch has at least one order, not {self.batch}")


class Acknowledging:
    """The acknowledging for one account, which can be asked for its outcomes at any time.

        async with job.lock():
            await job.prepare()
            if not job.problems:
                await job.submit()

    Cancelled, it leaves word in the sink of all that may have left.
    """

    def __init__(
        self,
        account: Account,
        office: Office,
        sink: SubmissionLog,
        drafts: Sequence[Draft],
        manner: Manner,
        *,
        now: Callable[[], datetime] = clock.now,
    ) -> None:
        self.problems: list[Problem] = []
        self.error: VendorOrdersError | None = None
        self._name, self._api = account.name, manner.api.name
        self._source = account.source
        self._office = office
        self._sink = sink
        self._manner = manner
        self._now = now
        self._cases = [Case(draft) for draft in drafts]
        self._submitter = Submitter(
            office, sink, (self._name, self._api, self._source), manner.following, now
        )
        self._held: dict[str, Held] = {}
        self._earlier = Earlier((), self._source, manner.following, now)
        self._check()

    def outcomes(self) -> list[AcknowledgementOutcome]:
        """Return what became of each answer, in the order they were given."""
        return [self._outcome(case) for case in self._cases]

    def lock(self) -> AbstractAsyncContextManager[None]:
        """Keep other runs from acknowledging for the account; a backfill may run beside."""
        return self._sink.lock(f"{self._name} (acknowledging)")

    async def prepare(self) -> None:
        """Read every order, and check every answer; nothing is sent."""
        numbers = [case.number for case in self._cases]
        self._held = await self._sink.held(self._name, self._api, numbers)
        sent = await self._sink.submissions(self._name, self._api, numbers)
        self._earlier = Earlier(sent, self._source, self._manner.following, self._now)
        await self._unless_refused(each(self._cases, self._read, _READERS))
        for case in self._cases:
            if case.document is not None and not self._take_up(case):
                self.problems += self._problems(case, None) or self._judge(case)

    async def submit(self) -> None:
        """Send what is ready and follow all that has no outcome, until nothing is left."""
        for _ in range(_MOST_SENDINGS):
            await self._unless_refused(self._send_and_follow())
            for case in self._cases:
                if case.state == SubmissionState.MISSING and self._manner.wait:
                    self._take_back(case)
            if self.error or not any(case.state == READY for case in self._cases):
                break

    def _check(self) -> None:
        for draft in (case.draft for case in self._cases):
            if draft.api != self._api:
                raise InvalidArgument(
                    f"{draft.where}: an answer for {draft.api}, among those for {self._api}"
                )
        numbers = [case.number for case in self._cases]
        if not numbers:
            raise InvalidArgument("nothing to acknowledge")
        if len(set(numbers)) < len(numbers):
            twice = next(number for number in numbers if numbers.count(number) > 1)
            raise InvalidArgument(f"two answers to order {twice}")

    async def _read(self, case: Case) -> None:
        """Learn what stands of an order, and what exactly is to be sent for it."""
        try:
            case.standing = await self._office.read(case.number)
        except (AuthError, AccessDenied):
            raise
        except NotFound:
            case.end(NOT_FOUND, f"Amazon has no such order for account {self._name}")
            return
        except RequestError as error:
            case.end(NOT_SENT, f"the order could not be read: {error}")
            return
        case.read_at = asyncio.get_running_loop().time()
        if case.document is None:
            self._write(case, case.standing.order)

    def _write(self, case: Case, order: AnyOrder) -> None:
        """Make the document that is to be sent; a draft that says nothing accepts all."""
        draft, at = case.draft, self._now()
        is_blank = draft.document is None and not draft.lines
        try:
            if is_blank and isinstance(order, Order):
                case.document = accept_all(order, at=at)
            else:
                case.document = document_of(draft, order, at=at)
        except AcknowledgementError as error:
            # A line that is not there may have been, which the difference says better
            if differences := self._differences(case):
                case.end(MOVED, "; ".join(differences))
            else:
                self.problems += () if is_blank else error.problems
                case.end(INVALID, str(error))
        else:
            case.digest = digest(case.document)

    def _take_up(self, case: Case) -> bool:
        """Go on with what an earlier run sent of the same; say whether there is such."""
        last = self._earlier.last_of(case)
        if last is None or (self._manner.again and self._earlier.may_go_again(last)):
            return False
        state = last.state
        is_open = state is SubmissionState.UNRESOLVED and last.transaction_id is not None
        if is_open or (state is SubmissionState.PRESUMED_ACCEPTED and self._manner.confirm):
            state = SubmissionState.PROCESSING
        case.submission = last
        case.end(state, last.reason)
        if state.has_outcome and shown(case, last) is Applied.OTHER:
            case.end(MOVED, f"{state.replace('_', ' ')}, and something else stands by now")
        return True

    def _problems(self, case: Case, standing: Standing | None) -> tuple[Problem, ...]:
        """Return what is wrong with an answer to *standing*, each with where it comes from."""
        assert case.document is not None  # noqa: S101 - what has none is not checked
        found = problems_of(
            case.document,
            order=standing.order if standing else None,
            status=standing.status if standing else None,
            now=self._now(),
        )
        where = case.draft.where
        if where == case.number:
            return found
        return tuple(msgspec.structs.replace(one, path=f"{where}: {one.path}") for one in found)

    def _judge(self, case: Case) -> tuple[Problem, ...]:
        """Decide whether *case* may be sent; return what is wrong with it, if that is why not.

        What has moved is not wrong: it was right when it was made.
        """
        problems: tuple[Problem, ...] = ()
        if differences := self._differences(case):
            case.end(MOVED, "; ".join(differences))
        elif problems := self._problems(case, case.standing):
            case.end(INVALID, str(problems[0]))
        elif waiting := self._earlier.waiting(case):
            case.end(NOT_SENT, waiting)
        else:
            case.end(READY)
        return problems

    def _differences(self, case: Case) -> tuple[str, ...]:
        """Return what of the order has moved since the draft was made."""
        assert case.standing is not None  # noqa: S101 - what was not read is not compared
        draft, standing, own = case.draft, case.standing, self._earlier.own(case)
        held = self._held.get(case.number)
        held_order = decoded(held.order if held else None, self._manner.api.order)
        moves = moved_since(
            draft,
            standing.order,
            standing.status,
            held_order=held_order if isinstance(held_order, AnyOrder) else None,
            held_status=decoded(held.status if held else None, OrderStatus),
            own=own,
        )
        if moves or draft.as_of or draft.document:
            return moves
        # That the sink has somebody else's answer does not say that the draft's maker knew it
        return moved_since(draft, standing.order, standing.status, own=own)

    async def _unless_refused(self, work: Coroutine[Any, Any, None]) -> None:
        """Do *work*; if it shows that the account is refused, nothing more is asked."""
        try:
            await work
        except* (AuthError, AccessDenied) as group:
            self.error = first_of(group)

    async def _send_and_follow(self) -> None:
        ready = [case for case in self._cases if case.state == READY]
        async with asyncio.TaskGroup() as group:
            for batch in _under_way(self._cases):
                group.create_task(self._resolve(batch))
            await self._send(ready, group)

    def _take_back(self, case: Case) -> None:
        """Let what did not arrive be sent again, if it is still right."""
        case.submission = None
        self._judge(case)

    async def _send(self, ready: Sequence[Case], group: asyncio.TaskGroup) -> None:
        batches = list(in_batches(ready, self._manner.batch, self._manner.largest_body))

        async def send(batch: list[Case]) -> None:
            try:
                await self._look_again(batch)
                batch = [case for case in batch if case.state == READY]
                if batch and not self.error:
                    await self._submitter.send(batch)
            except (AuthError, AccessDenied) as error:
                self.error = error  # what else is on its way is waited for
            for sent in _under_way(batch):
                group.create_task(self._resolve(sent))

        await each(batches, send, _SENDERS)

    async def _look_again(self, batch: Sequence[Case]) -> None:
        """Read once more what was read a while ago: it must not have moved since."""
        now = asyncio.get_running_loop().time()
        for case in batch:
            if now - case.read_at < _FRESH:
                continue
            await self._read(case)
            if case.state == READY:
                self._judge(case)

    async def _resolve(self, batch: Sequence[Case]) -> None:
        """Find out what became of what was sent, as far as that is wanted."""
        for case in batch:
            if case.state in {SubmissionState.SENDING, SubmissionState.UNRESOLVED}:
                await self._submitter.settle(case, wait=self._manner.wait)
        if self._manner.wait:
            await self._submitter.follow(batch, confirm=self._manner.confirm)

    def _outcome(self, case: Case) -> AcknowledgementOutcome:
        sent = case.submission
        state, reason = str(case.state) or NOT_SENT, case.reason
        if state == READY and not self._manner.dry_run:
            state = NOT_SENT
        if state == NOT_SENT and reason is None:
            reason = str(self.error or "it was not sent, or did not arrive; try again")
        return AcknowledgementOutcome(
            account=self._name,
            api=self._api,
            purchase_order_number=case.number,
            state=state,
            reason=reason,
            transaction_id=sent.transaction_id if sent else None,
            submitted_at=sent.submitted_at if sent else None,
            document=msgspec.json.encode(case.document) if case.document else None,
        )


async def each(items: Iterable[T], job: Callable[[T], Awaitable[None]], at_once: int) -> None:
    """Do *job* with each of *items*, so many at once."""
    left = iter(items)

    async def worker() -> None:
        for item in left:
            await job(item)

    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(worker())


def _under_way(cases: Iterable[Case]) -> list[list[Case]]:
    """Return what is to be found out about, by the transactions it went in."""
    found: dict[object, list[Case]] = {}
    for case in cases:
        if case.submission is not None and case.state in _OPEN:
            key = case.submission.transaction_id or case.number
            found.setdefault(key, []).append(case)
    return list(found.values())


def decoded(raw: bytes | None, content: type[R]) -> R | None:
    """Return what a document of the sink says; None where there is none, or it is odd."""
    return decode_document(raw, content).content if raw else None
