"""Pages: asked for, stored, and what is done about those that Amazon cannot make."""

from __future__ import annotations

from datetime import datetime

from ..chains import PageRequest, Progress, Sighting, Span
from ..dispatch import Reply
from ..errors import (
    AccessDenied,
    BadRequest,
    DecodeError,
    PaginationError,
    RequestError,
    ServerError,
    Throttled,
    TransportError,
)
from ..operations import Call, Stream
from ..pages import Page, Row
from ..planner import Planner, Verdict
from ..retry import BRIEF, BULK, NONE, Patience, is_silence
from ..telemetry import BeyondHistory, PageStored, WindowRestarted
from ..windows import Window
from .desk import Desk, Pace
from .details import DetailReader, is_outside

_OUT_OF_ORDER = "Amazon's answers were not in the order of their dates after all"


class PageReader:
    """Fetches and stores the pages that a planner asks for.

        pages = PageReader(desk, planner, pace, served_since)
        seconds = await pages.read(request)     # None if it failed
        pages.one_by_one()                      # windows to be listed, order by order

    *served_since* learns, by stream, where Amazon's history begins. With *details* a page
    is a list of numbers, which are theirs to ask for.
    """

    def __init__(
        self,
        desk: Desk,
        planner: Planner,
        pace: Pace,
        served_since: dict[str, datetime],
        details: DetailReader | None = None,
    ) -> None:
        self._desk = desk
        self._planner = planner
        self._pace = pace
        self._served_since = served_since
        self._details = details
        self._one_by_one: list[Span] = []
        self._takes_order = True  # whether Amazon answers those who ask for the oldest first
        self._unsorted: set[Span] = set()

    def one_by_one(self) -> list[Span]:
        """Return, once, the windows whose pages Amazon does not make in any size."""
        spans, self._one_by_one = self._one_by_one, []
        return spans

    async def read(self, request: PageRequest) -> float | None:
        """Fetch a page and store it; return how long Amazon took, None if it failed."""
        stream = self._desk.api.streams[request.span.stream]
        window = request.span.window.query()
        numbers_only = self._details is not None
        if not (self._takes_order or request.next_token):
            self._unsorted.add(request.span)
        ascending = stream.is_sortable and request.span not in self._unsorted
        call = stream.call(
            window,
            request.next_token,
            numbers_only=numbers_only,
            limit=request.limit,
            ascending=ascending,
        )
        is_serving = False
        try:
            try:
                reply = await self._take(request, call, BRIEF)
            except (ServerError, TransportError, DecodeError, Throttled) as error:
                if self._pace.is_silent:
                    raise
                throttled = isinstance(error, Throttled)
                is_serving = not throttled and await self._is_serving(stream, window)
                # The page once more, since Amazon may just have come back; or, where it is
                # down, for as long as it takes.
                reply = await self._take(request, call, NONE if is_serving else BULK)
        except AccessDenied:
            raise  # a role or an authorisation is missing: every other window would say so
        except RequestError as error:
            if ascending and not request.next_token and isinstance(error, BadRequest):
                return await self._read_unsorted(request)
            if not is_serving and is_silence(error):
                self._pace.is_silent = True
            if self._planner.is_open(request.span):
                await self._failed(request, error, is_serving=is_serving)
            return None
        return reply.seconds

    async def _read_unsorted(self, request: PageRequest) -> float | None:
        """Read a page without asking for an order, in case it was refused for that.

        Amazon refuses ``ASC`` to some accounts (jrl84/amazon-sp-api#320). Only for our pace
        does it matter which page comes first, never for what is read.
        """
        self._unsorted.add(request.span)
        seconds = await self.read(request)
        if seconds is not None:
            self._takes_order = False
        return seconds

    async def _take(
        self, request: PageRequest, call: Call[Page[Row]], patience: Patience
    ) -> Reply[Page[Row]]:
        try:
            if self._details is not None:
                reply = await self._desk.send(call, patience)
                await self._details.take(request, reply.content, reply.asked_at)
            else:
                async with self._desk.sending(call, patience) as reply:
                    await self._store(request, reply)
        except PaginationError as error:  # the planner knows neither whose nor which it is
            name = call.operation.name
            raise PaginationError(
                error.args[0], operation=name, account=self._desk.name
            ) from None
        return reply

    async def _is_serving(self, stream: Stream, window: Window) -> bool:
        """Return whether Amazon answers for *window* as long as it has little to say."""
        try:
            await self._desk.send(stream.call(window, numbers_only=True, limit=1), NONE)
        except RequestError:
            return False
        return True

    async def _store(self, request: PageRequest, reply: Reply[Page[Row]]) -> None:
        """Store a page, and finish what it was the last of."""
        span, documents = request.span, reply.content.documents
        stream = self._desk.api.streams[span.stream]
        await self._desk.write(stream, span, reply.asked_at, documents)
        asked = span.window.query()
        contents = [one.content for one in documents if one.content is not None]
        rows = [Sighting(one.purchase_order_number, stream.own_date(one)) for one in contents]
        self._desk.tell(
            PageStored(
                self._desk.name,
                stream.operation.name,
                stream.name,
                span.window,
                row_count=len(documents),
                outside_count=sum(is_outside(row.date, asked) for row in rows),
            )
        )
        progress = self._planner.received(
            request,
            reply.content.next_token,
            asked_at=reply.asked_at,
            rows=rows,
            mark=reply.content.mark,
        )
        await self._record(stream, progress)

    async def _record(self, stream: Stream, progress: Progress) -> None:
        for finished in progress.finished:
            await self._desk.finish(stream, finished)
        for window in progress.again:
            self._tell_of_restart(stream.name, window, _OUT_OF_ORDER)

    async def _failed(
        self, request: PageRequest, error: RequestError, *, is_serving: bool
    ) -> None:
        name, stream = self._desk.name, self._desk.api.streams[request.span.stream]
        failure = self._planner.failed(
            request, error, now=self._desk.now(), is_serving=is_serving
        )
        window, verdict = failure.window, failure.verdict
        if verdict is Verdict.ONE_BY_ONE and (self._details or not stream.has_details):
            verdict = Verdict.GIVEN_UP  # there is nothing smaller than a list of numbers
        match verdict:
            case Verdict.RESTARTED:
                self._tell_of_restart(stream.name, window, str(error), error)
                return
            case Verdict.SMALLER:
                self._tell_of_restart(stream.name, window, f"{error}; by smaller pages", error)
                return
            case Verdict.ONE_BY_ONE:
                self._tell_of_restart(stream.name, window, f"{error}; order by order", error)
                self._one_by_one.append(Span(stream.name, window))
            case Verdict.BEYOND_HISTORY:
                self._desk.tell(BeyondHistory(name, stream.name, window))
                served = self._served_since.get(stream.name, window.before)
                self._served_since[stream.name] = max(served, window.before)
            case Verdict.GIVEN_UP:
                self._desk.given_up(Span(stream.name, window), str(error), error)
        if self._details is not None:
            self._details.give_up(request.span)
        await self._record(stream, failure.progress)

    def _tell_of_restart(
        self, stream: str, window: Window, reason: str, error: RequestError | None = None
    ) -> None:
        request_id = getattr(error, "request_id", None)
        self._desk.tell(WindowRestarted(self._desk.name, stream, window, reason, request_id))
