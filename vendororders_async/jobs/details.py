"""Details: listed numbers in, one request for each, and the windows that wait for them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from ..chains import PageRequest, Span
from ..detail_planner import DetailPlanner
from ..errors import AccessDenied, DecodeError, InvalidArgument, NotFound, RequestError
from ..models.retail_procurement import Order
from ..pages import Document, Page, Row, decode_document, decode_errors
from ..planner import Planner
from ..retry import BRIEF, BULK, is_silence
from ..salvage import salvage
from ..sinks.followed import FollowedSink
from ..telemetry import DetailMissing, DetailStored, PageListed
from ..windows import FinishedWindow, Window
from .desk import Desk, Pace

# Numbers between the lists and the details: a page's, so that neither bucket waits for the
# other. Pages whose numbers find no room wait themselves, and hold up the lists.
_MOST_QUEUED = 100

_PAYLOAD = re.compile(rb'\s*\{\s*"payload"\s*:(.*)\}\s*', re.DOTALL)


class _Wanted(msgspec.Struct, frozen=True, gc=False):
    """An order to ask for, as it was listed for *span*."""

    span: Span
    listed: Document[Row]
    listed_at: datetime

    @property
    def number(self) -> str:
        assert self.listed.content is not None  # noqa: S101 - what has no number is not wanted
        return self.listed.content.purchase_order_number


class DetailReader:
    """Asks for the details of what the lists of one account name, each order once.

        details = DetailReader(desk, planner)
        async with asyncio.TaskGroup() as group:
            group.create_task(details.run())
            ...                                     # await details.take(request, page, …)
            await details.end()

    A window is finished when the last of its details is stored. With *known* an order that
    is stored there in the state that the list says is not asked for.
    """

    def __init__(
        self, desk: Desk, planner: Planner, *, known: FollowedSink | None = None
    ) -> None:
        self._desk = desk
        self._planner = planner
        self._known_in = known
        self._details = DetailPlanner()
        self._pace = Pace(desk, desk.api.detail)
        self._queue: asyncio.Queue[_Wanted | None] = asyncio.Queue(_MOST_QUEUED)
        self._begun: dict[Span, datetime] = {}

    async def begin(self, span: Span) -> datetime:
        """Return since when *span* is being read, perhaps by a run before this one."""
        if span not in self._begun:
            self._begun[span] = await self._desk.begin(span)
        return self._begun[span]

    async def take(self, request: PageRequest, page: Page[Row], asked_at: datetime) -> None:
        """Let the span of *request* wait for what *page* lists; wait for room for it.

        Raises:
            DecodeError: a row cannot be read. It is no order that could be kept in
                quarantine, and whose details are to be asked for nobody knows.
        """
        span, stream = request.span, self._desk.api.streams[request.span.stream]
        for one in page.documents:
            if one.content is None:
                raise DecodeError(
                    f"a list of numbers has a row that cannot be read: {one.reason}",
                    operation=stream.operation.name,
                    account=self._desk.name,
                    body=one.raw,
                )
        begun_at = await self.begin(span)
        listed = {
            one.content.purchase_order_number: one for one in page.documents if one.content
        }
        fresh = await self._fresh(span, begun_at, self._details.unknown(listed))
        if self._known_in is not None:
            fresh |= await self._known(self._known_in, listed)
        if not self._planner.is_open(span):  # a detail failed in the meantime
            return
        # From here to the queue nothing is awaited: what is wanted is certain to be asked.
        progress = self._planner.received(
            request, page.next_token, asked_at=begun_at, mark=page.mark
        )
        wanted = self._details.wanted(span, [one for one in listed if one not in fresh])
        is_finished = bool(progress.finished) and self._details.listed(span)
        self._desk.tell(
            PageListed(
                self._desk.name,
                stream.operation.name,
                stream.name,
                span.window,
                len(page.documents),
            )
        )
        for number in wanted:
            await self._queue.put(_Wanted(span, listed[number], asked_at))
        if is_finished:
            await self._finish(span)

    def give_up(self, span: Span) -> None:
        """Let *span* wait no more."""
        self._details.give_up(span)

    async def end(self) -> None:
        """Say that nothing more is going to be listed."""
        await self._queue.put(None)

    async def run(self) -> None:
        """Keep the bucket of details busy until the lists end and all is asked."""
        running: set[asyncio.Task[None]] = set()
        async with asyncio.TaskGroup() as group:
            while (wanted := await self._queue.get()) is not None:
                while len(running) >= self._pace.in_flight:
                    await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                task = group.create_task(self._one(wanted))
                running.add(task)
                task.add_done_callback(running.discard)

    async def _one(self, wanted: _Wanted) -> None:
        """Ask for one order and store it; whatever becomes of it, nobody waits for ever."""
        call = self._desk.api.detail_call(wanted.number)
        patience = BRIEF if self._pace.is_silent else BULK
        try:
            async with self._desk.sending(call, patience) as reply:
                await self._store(wanted, reply.content, reply.asked_at)
        except AccessDenied:
            raise  # every other order would say so
        except (NotFound, InvalidArgument) as error:
            await self._missing(wanted, error)
        except DecodeError as error:
            document = spoilt(error, self._desk.api.order)
            if document is None:
                self._failed(wanted, error)
            else:
                await self._store(wanted, document, self._desk.now())
        except RequestError as error:
            if is_silence(error):
                self._pace.is_silent = True
            self._failed(wanted, error)
        else:
            self._pace.answered(reply.seconds)

    async def _fresh(
        self, span: Span, begun_at: datetime, numbers: Sequence[str]
    ) -> frozenset[str]:
        """Return those of *numbers* that a run before this one stored for *span* already.

        What was asked for before the window ended may lack a change that lies in it.
        """
        if not numbers:
            return frozenset()
        since = max(begun_at, span.window.query().before)
        return await self._desk.sink.fresh(self._desk.name, self._desk.api.name, numbers, since)

    async def _known(
        self, sink: FollowedSink, listed: Mapping[str, Document[Row]]
    ) -> frozenset[str]:
        """Return those that are stored already, in the state that *listed* tells, if any."""
        states = await sink.known_states(self._desk.name, self._desk.api.name, list(listed))
        told = {number: _listed_state(listed[number]) for number in states}
        return frozenset(
            number for number, state in states.items() if told[number] in {None, state}
        )

    async def _store(
        self, wanted: _Wanted, document: Document[Row], asked_at: datetime
    ) -> None:
        stream = self._desk.api.streams[wanted.span.stream]
        await self._desk.write(stream, wanted.span, asked_at, [document])
        content, streams = document.content, self._desk.api.streams
        outside_count = sum(
            content is not None
            and is_outside(streams[span.stream].own_date(content), span.window.query())
            for span in self._details.waiting(wanted.number)
        )
        self._desk.tell(
            DetailStored(
                self._desk.name,
                self._desk.api.detail.name,
                stream.name,
                wanted.span.window,
                outside_count=outside_count,
            )
        )
        await self._settled(wanted)

    async def _missing(self, wanted: _Wanted, error: NotFound | InvalidArgument) -> None:
        """Keep what was listed of an order that cannot be asked for.

        Its windows are finished all the same: another run would list it and not find it
        again, and if it was only late, the days that are read again bring it.
        """
        stream = self._desk.api.streams[wanted.span.stream]
        await self._desk.write(stream, wanted.span, wanted.listed_at, [wanted.listed])
        self._desk.tell(
            DetailMissing(
                self._desk.name,
                self._desk.api.detail.name,
                stream.name,
                wanted.span.window,
                wanted.number,
                str(error),
                request_id=getattr(error, "request_id", None),
            )
        )
        await self._settled(wanted)

    async def _settled(self, wanted: _Wanted) -> None:
        for span in self._details.settled(wanted.number):
            await self._finish(span)

    async def _finish(self, span: Span) -> None:
        stream = self._desk.api.streams[span.stream]
        await self._desk.finish(stream, FinishedWindow(span.window, self._begun[span]))

    def _failed(self, wanted: _Wanted, error: RequestError) -> None:
        for span in self._details.failed(wanted.number):
            self._planner.give_up(span)
            self._desk.given_up(span, f"{wanted.number}: {error}", error)


def _listed_state(document: Document[Row]) -> str | None:
    order = document.content
    return order.purchase_order_state or None if isinstance(order, Order) else None


def spoilt(error: DecodeError, order: type[Row]) -> Document[Row] | None:
    """Return the order in an answer that is no JSON as a whole, for the quarantine.

        >>> from vendororders_async.models.retail_procurement import Order
        >>> spoilt(DecodeError("", body=b'{"payload": {"amount": NaN}}'), Order).raw
        b'{"amount": NaN}'

    None where the brackets do not match either: such an answer was cut short on its way.
    None as well where Amazon tells of errors in place of the order.
    """
    if decode_errors(error.body):
        return None
    found = _PAYLOAD.fullmatch(error.body)
    rows = salvage(b"[" + (found[1] if found else error.body) + b"]", ())
    if rows is None or len(rows.rows) != 1 or not rows.rows[0].startswith(b"{"):
        return None
    return decode_document(rows.rows[0], order)


def is_outside(date: datetime | None, asked: Window) -> bool:
    """Say whether an order's own *date* lies outside what was *asked* for."""
    return date is not None and not asked.after <= date <= asked.before
