"""Submitting: acknowledgements into requests, recorded before and after, and followed.

A submission is not repeatable: it replaces what stands at Amazon. So one whose answer did
not come is never sent again before the order itself says that it did not arrive.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from http import HTTPStatus

import msgspec

from ..acknowledgements import Applied, Draft, applied
from ..clock import seconds_between
from ..errors import (
    AccessDenied,
    AuthError,
    BadRequest,
    RequestError,
    ResponseError,
    ServerError,
    Throttled,
    TransportError,
    one_line,
)
from ..models import direct_fulfillment as df
from ..models.transactions import Transaction, TransactionState
from ..sinks.base import Submission, SubmissionLog, SubmissionState
from .offices import AnyAcknowledgement, Office, Standing

# Amazon publishes no limit for either (a 413 says so when one is met). Its errors name a
# transaction and no order, so that few orders share one.
BATCH = 10  # orders
LARGEST_BODY = 500_000  # bytes

_LONGEST_LOOK = 120.0  # seconds between two looks at a transaction, or at an order
_SPURIOUS_TRIES = 3  # of a 400 that right requests get as well

_log = logging.getLogger("vendororders_async")


class Following(msgspec.Struct, frozen=True):
    """How long what was submitted is followed, in seconds since it was.

    Amazon never says ``Success`` for retail: what has not failed after 15 minutes has
    succeeded. What Vendor Central does not show after 30 minutes did not arrive.
    """

    # https://developer-docs.amazon.com/sp-api/docs/get-transaction-status

    first_look: float = 10.0
    presumed_after: float = 15 * 60.0
    missing_after: float = 30 * 60.0

    def looks(self, until: float) -> Iterator[float]:
        """Yield how long to wait before each look: twice as long each time, up to *until*."""
        at, wait = 0.0, min(self.first_look, until)
        while at < until:
            yield wait
            at += wait
            wait = min(wait * 2, _LONGEST_LOOK, until - at)


class Case:
    """One order on its way to an answer: what is wanted, what stands, what was sent."""

    def __init__(self, draft: Draft) -> None:
        self.draft = draft
        self.standing: Standing | None = None
        self.read_at = float("-inf")  # the loop's time
        self.document: AnyAcknowledgement | None = None
        self.digest = ""
        self.submission: Submission | None = None
        self.state = ""
        self.reason: str | None = None

    @property
    def number(self) -> str:
        """The order's."""
        return self.draft.purchase_order_number

    @property
    def size(self) -> int:
        """How many bytes the document takes in a request."""
        return len(msgspec.json.encode(self.document)) + 1

    def end(self, state: str, reason: str | None = None) -> None:
        """Note what became of it."""
        self.state, self.reason = state, reason


def in_batches(cases: Sequence[Case], most: int, largest: int) -> Iterator[list[Case]]:
    """Cut *cases* into batches of at most *most* orders and about *largest* bytes."""
    batch: list[Case] = []
    room = largest
    for case in cases:
        if batch and (len(batch) == most or case.size > room):
            yield batch
            batch, room = [], largest
        batch.append(case)
        room -= case.size
    if batch:
        yield batch


class Submitter:
    """Sends for one account, and finds out what became of it; *source* is the ledger's."""

    def __init__(
        self,
        office: Office,
        sink: SubmissionLog,
        owner: tuple[str, str, str],
        following: Following,
        now: Callable[[], datetime],
    ) -> None:
        self._office = office
        self._sink = sink
        self._account, self._api, self._source = owner
        self._following = following
        self._now = now

    async def send(self, batch: Sequence[Case]) -> None:
        """Send *batch* in one request, or in several where Amazon does not take it whole.

        It is recorded before anything leaves, and again with whatever is known after.

        Raises:
            AuthError, AccessDenied: the account may not; none of *batch* arrived.
        """
        submitted_at = self._now()
        for case in batch:
            assert case.document is not None  # noqa: S101 - what has none is not sent
            case.submission = Submission(
                account=self._account,
                api=self._api,
                purchase_order_number=case.number,
                submitted_at=submitted_at,
                source=self._source,
                digest=case.digest,
                document=msgspec.json.encode(case.document),
                state=SubmissionState.SENDING,
            )
            case.end(SubmissionState.SENDING, "the run ended before there was an answer")
        await self._sink.record([one.submission for one in batch if one.submission])
        try:
            await self._post(batch)
        except (AuthError, AccessDenied) as error:
            left = [
                one
                for one in batch
                if one.submission and one.submission.state is SubmissionState.SENDING
            ]
            await self._note(left, SubmissionState.MISSING, str(error))
            raise

    async def _post(self, batch: Sequence[Case], tries: int = 1) -> None:
        documents = [case.document for case in batch if case.document is not None]
        try:
            transaction_id = await self._office.submit(documents)
        except (AuthError, AccessDenied):
            raise
        except ResponseError as error:
            await self._refused(batch, error, tries)
        except TransportError as error:
            state = SubmissionState.UNRESOLVED if error.sent else SubmissionState.MISSING
            await self._note(batch, state, str(error))
        except RequestError as error:
            await self._note(batch, SubmissionState.UNRESOLVED, str(error))
        else:
            if transaction_id:
                await self._note(
                    batch, SubmissionState.PROCESSING, None, transaction_id=transaction_id
                )
            else:
                reason = "Amazon took it and named no transaction"
                await self._note(batch, SubmissionState.UNRESOLVED, reason)

    async def _refused(self, batch: Sequence[Case], error: ResponseError, tries: int) -> None:
        """Do what a refusal asks for; unless Amazon failed, it took none of *batch*."""
        match error:
            case ServerError():
                await self._note(batch, SubmissionState.UNRESOLVED, str(error))
            case Throttled():
                await self._note(batch, SubmissionState.MISSING, str(error))
            case ResponseError(status=status) if status < HTTPStatus.MULTIPLE_CHOICES:
                # some success, but not the one that Amazon documents: it may have been done
                await self._note(batch, SubmissionState.UNRESOLVED, str(error))
            case ResponseError(status=status) if status < HTTPStatus.BAD_REQUEST:
                # a redirect, which is a gateway's and not Amazon's word; it is not followed
                await self._note(batch, SubmissionState.MISSING, str(error))
            case BadRequest() | ResponseError(status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE) if (
                len(batch) > 1
            ):
                # a 400 names no order: the halves that are right go through
                middle = len(batch) // 2
                for half in (batch[:middle], batch[middle:]):
                    await self._post(half)
            case BadRequest(is_spurious=True) if tries < _SPURIOUS_TRIES:
                await asyncio.sleep(self._following.first_look)
                await self._post(batch, tries + 1)
            case BadRequest(errors=()):
                # HTML: a gateway's word as well
                # https://developer-docs.amazon.com/sp-api/docs/resolving-400-errors
                await self._note(batch, SubmissionState.MISSING, str(error))
            case _:
                await self._note(batch, SubmissionState.REFUSED, str(error))

    async def follow(self, batch: Sequence[Case], *, confirm: bool) -> None:
        """Wait for the outcome of what is processing; *confirm* asks the orders too."""
        open_cases = [one for one in batch if one.state == SubmissionState.PROCESSING]
        transaction_id, age = _transaction_of(open_cases), self._age(open_cases)
        longest = self._following.missing_after if confirm else self._following.presumed_after
        if transaction_id is None:
            return
        is_presumable, why = False, ""
        until = max(longest - age + 1.0, self._following.first_look)
        for wait in self._following.looks(until):
            await asyncio.sleep(wait)
            transaction, why = await self._transaction(transaction_id)
            status = transaction.status if transaction else None
            if status == TransactionState.FAILURE and transaction is not None:
                await self._failed(open_cases, transaction)
                return
            is_presumable = status == TransactionState.PROCESSING
            if status == TransactionState.SUCCESS:
                await self._note(open_cases, SubmissionState.ACCEPTED, None)
                return
            if confirm:
                await self._confirm(open_cases)
                open_cases = [
                    one for one in open_cases if one.state == SubmissionState.PROCESSING
                ]
                if not open_cases:
                    return
        if is_presumable:
            reason = "the order does not show it" if confirm else None
            await self._note(open_cases, SubmissionState.PRESUMED_ACCEPTED, reason)
        else:
            await self._note(open_cases, SubmissionState.UNRESOLVED, why)

    async def settle(self, case: Case, *, wait: bool) -> None:
        """Find out from the order whether an unresolved submission arrived.

        It is missing for certain when the order still shows nothing after half an hour.
        """
        looks = [0.0]
        if wait:
            left = self._following.missing_after - self._age([case])
            looks += self._following.looks(left + 1.0)
        why = case.reason
        for seconds in looks:
            await asyncio.sleep(seconds)
            found = await self._look(case)
            if found is Applied.APPLIED:
                await self._note([case], SubmissionState.ACCEPTED, "seen at Amazon")
                return
            if found is Applied.OTHER:
                reason = "something else than what was sent stands at Amazon by now"
                await self._note([case], SubmissionState.FAILED, reason)
                return
            if (
                found is Applied.UNTOUCHED
                and self._age([case]) >= self._following.missing_after
            ):
                await self._note([case], SubmissionState.MISSING, "it did not arrive")
                return
        await self._note([case], SubmissionState.UNRESOLVED, why)

    async def _failed(self, cases: Sequence[Case], transaction: Transaction) -> None:
        """Note a failure, for those of *cases* that do not show that they were taken."""
        words = "; ".join(map(str, transaction.errors)) or "Amazon gives no reason"
        left, count = list(cases), len(cases)
        if count > 1:  # some of them may be fine, which takes its time to show
            words += f" (of {count} orders together; Amazon does not say which)"
            for wait in self._following.looks(self._following.missing_after - self._age(left)):
                await self._confirm(left)
                left = [one for one in left if one.state == SubmissionState.PROCESSING]
                if not left:
                    return
                await asyncio.sleep(wait)
            await self._confirm(left)
            left = [one for one in left if one.state == SubmissionState.PROCESSING]
        await self._note(left, SubmissionState.FAILED, words)

    async def _confirm(self, cases: Sequence[Case]) -> None:
        for case in cases:
            if await self._look(case) is Applied.APPLIED:
                await self._note([case], SubmissionState.ACCEPTED, "seen at Amazon")

    async def _look(self, case: Case) -> Applied:
        """Ask the order whether *case* arrived."""
        if case.submission is None or case.document is None:
            return Applied.UNKNOWN
        try:
            standing = await self._office.read(case.number)
        except (RequestError, AuthError) as error:
            _log.warning("order %s cannot be asked for: %s", case.number, error)
            return Applied.UNKNOWN
        case.standing, case.read_at = standing, asyncio.get_running_loop().time()
        shown = standing.order if isinstance(standing.order, df.Order) else standing.status
        return applied(case.document, shown, sent_at=case.submission.submitted_at)

    async def _transaction(self, transaction_id: str) -> tuple[Transaction | None, str]:
        """Return how far a transaction is, and why nobody knows where nobody does."""
        try:
            transaction = await self._office.transaction(transaction_id)
        except (RequestError, AuthError) as error:
            _log.warning("transaction %s cannot be asked for: %s", transaction_id, error)
            return None, str(error)
        if transaction is None:
            return None, f"Amazon does not know its transaction {transaction_id}"
        return transaction, f"its transaction is {transaction.status or 'without a status'}"

    def _age(self, cases: Sequence[Case]) -> float:
        """Return how many seconds ago *cases* were submitted."""
        sent = [one.submission.submitted_at for one in cases if one.submission]
        return seconds_between(min(sent), self._now()) if sent else 0.0

    async def _note(
        self,
        cases: Sequence[Case],
        state: SubmissionState,
        reason: str | None,
        *,
        transaction_id: str | None = None,
    ) -> None:
        """Record what is known of *cases* by now."""
        changed = []
        for case in cases:
            assert case.submission is not None  # noqa: S101 - only what was sent has a state
            case.end(state, one_line(reason) if reason else None)
            case.submission = msgspec.structs.replace(
                case.submission,
                state=state,
                reason=case.reason,
                transaction_id=transaction_id or case.submission.transaction_id,
            )
            changed.append(case.submission)
        if changed:
            await self._sink.record(changed)
            said = f"{self._account}: {_in_words(cases)}: {state.replace('_', ' ')}"
            _log.info("%s", f"{said}: {one_line(reason)}" if reason else said)


def _transaction_of(cases: Sequence[Case]) -> str | None:
    return next((one.submission.transaction_id for one in cases if one.submission), None)


def _in_words(cases: Sequence[Case]) -> str:
    """Return which orders *cases* are of, as far as there is room for it."""
    return (
        cases[0].number if len(cases) == 1 else f"{cases[0].number} and {len(cases) - 1} more"
    )
