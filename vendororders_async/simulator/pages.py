"""Lists, page by page: which orders, under which token, as which bytes."""

from __future__ import annotations

import base64
import gzip
import hashlib
import zlib
from bisect import bisect_left, bisect_right
from collections import OrderedDict
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec

from .calls import DIRECT_ORDERS, ORDERS, V1
from .documents import ORDER, STATUS
from .queries import Asked, Filters, Question, Refused, check_spans
from .settings import Settings, micros
from .world import Index, Key, Range, Record, World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    from .cache import ByteCache

# Anything stronger costs the simulator more time than a loopback saves.
GZIP_LEVEL = 1
_SELECTIONS_KEPT = 64
_BOMB_BLOCKS = 80  # of a MiB each
_GZIP_FORMAT = 31  # zlib's name for its largest window, in gzip's wrapping
_KEY_SIZE = 1024  # bytes, about: what makes a small page large


class Page(msgspec.Struct, frozen=True):
    """One answer of a list, ready to be sent; *body* is zipped if that was wanted."""

    body: bytes
    is_zipped: bool
    next_token: str | None
    record_count: int


class Cursor(msgspec.Struct, frozen=True, array_like=True):
    """What a next token says: behind which order the page begins, and of which list.

    Amazon's tokens are such a pair of a time and an order number too
    (amzn/selling-partner-api-docs issue 2483). *had_empty* says that the empty page before
    this place has been served.
    """

    start: Key | None
    question: str
    had_empty: bool
    serial: int = 0  # what makes it a new one, where it leads to the same place again


class Place(msgspec.Struct, frozen=True):
    """A stretch of an index: as moments from *low* up to *high*, and as positions."""

    index: Index
    low: int | None
    high: int
    range: Range

    @classmethod
    def of(cls, index: Index, interval: tuple[int | None, int]) -> Place:
        """Return where the moments of *interval* are in *index*."""
        low, high = interval
        return cls(index, low, high, index.range(low, high))

    def holds(self, record: Record) -> bool:
        """Return whether the date of *record* that the index is about lies in it."""
        moment = self.index.moment(record)
        return (
            moment is not None
            and (self.low is None or self.low <= moment)
            and moment < self.high
        )


class NextTokens:
    """The next tokens that were given out and have not expired; times are the loop's."""

    def __init__(self, life: float) -> None:
        self._life = life
        self._issued: OrderedDict[str, float] = OrderedDict()

    def issue(self, token: str, at: float) -> None:
        """Remember that *token* was given out, and forget the ones that expired."""
        self._issued[token] = at
        self._issued.move_to_end(token)
        while at - next(iter(self._issued.values())) > self._life:
            self._issued.popitem(last=False)

    def expire(self, token: str) -> None:
        """Forget *token* at once; whoever reads the list anew may be given it again."""
        self._issued.pop(token, None)

    def is_good(self, token: str, at: float) -> bool:
        """Return whether *token* was given out and is still good."""
        issued = self._issued.get(token)
        return issued is not None and at - issued <= self._life


class Selection(msgspec.Struct, frozen=True):
    """The records that match, by creation: what pages are cut from."""

    records: list[Record]

    def place(self, cursor: Key | None, *, descending: bool) -> int:
        """Return how many records precede the page that begins behind *cursor*."""
        if cursor is None:
            return 0
        if descending:
            before = bisect_left(self.records, cursor, key=lambda one: one.key)
            return len(self.records) - before
        return bisect_right(self.records, cursor, key=lambda one: one.key)

    def cut(self, place: int, limit: int, *, descending: bool) -> list[Record]:
        """Return the *limit* records that follow *place*."""
        if not descending:
            return self.records[place : place + limit]
        stop = len(self.records) - place
        return self.records[max(0, stop - limit) : stop][::-1]


class Pager:
    """Answers the lists of one account: of retail, or of a *version* of Direct Fulfillment.

    Pages are built when first asked for and kept as bytes; a page that is held costs a few
    bisections and a look-up.
    """

    def __init__(
        self,
        account: str,
        world: World,
        settings: Settings,
        *,
        cache: ByteCache[Page],
        version: str = "",
    ) -> None:
        self._account = f"{account} {version}" if version else account
        self._version = version
        self._world = world
        self._settings = settings
        self._cache = cache
        self._tokens = NextTokens(settings.next_token_seconds)
        self._selections: OrderedDict[object, Selection] = OrderedDict()

    def page(
        self,
        asked: Asked,
        *,
        now: datetime,
        at: float,
        zipped: bool,
        spoil: Callable[[bytes], bytes] | None = None,
        fault: str = "",
    ) -> Page:
        """Return the page that was asked for; *spoil* changes one of its orders.

        A *fault* leads astray whoever follows next tokens. *now* bounds what has happened,
        *at* is the loop's time, by which tokens expire.

        Raises:
            Refused: The window or the next token is not acceptable.
        """
        question = asked.question
        check_spans(question, now=now, history_months=self._settings.history_months)
        if fault == "expired-token" and asked.next_token is not None:
            self._tokens.expire(asked.next_token)
        cursor = self._cursor(asked, at)
        places = self._places(question, micros(now))
        ranges = tuple(place.range for place in places)
        key = (self._account, self._world.version, ranges, question, cursor, zipped)
        page = None if spoil or fault else self._cache.get(key)
        if page is None:
            # ranges are of other indexes in the other list
            index = (question.operation, self._world.version, ranges)
            selection = self._selection(index, places, question.filters)
            page = self._build(
                question, cursor, selection, zipped=zipped, spoil=spoil, fault=fault
            )
            if not (spoil or fault):
                self._cache.put(key, page, len(page.body) + _KEY_SIZE)
        if page.next_token is not None:
            self._tokens.issue(page.next_token, at)
        return page

    def _cursor(self, asked: Asked, at: float) -> Cursor | None:
        if asked.next_token is None:
            return None
        if not self._tokens.is_good(asked.next_token, at):
            raise Refused("InvalidInput", "Invalid Input")
        cursor = msgspec.json.decode(base64.b64decode(asked.next_token), type=Cursor)
        if cursor.question != fingerprint(self._account, asked.question):
            raise Refused("InvalidInput", "Invalid Input")
        return cursor

    def _places(self, question: Question, now: int) -> list[Place]:
        """Return where in which index the answer lies: the orders are in all of these."""
        world, bounds = self._world, self._settings.bounds
        places = [Place.of(world.available, question.created.interval(bounds, now))]
        if question.changed or question.filters.is_changed:
            places.append(Place.of(world.changed, question.changed.interval(bounds, now)))
        if question.updated:
            places.append(Place.of(world.updated, question.updated.interval(bounds, now)))
        return places

    def _selection(self, key: object, places: list[Place], filters: Filters) -> Selection:
        key = (key, filters)
        selection = self._selections.get(key)
        if selection is None:
            selection = select(self._world, places, filters)
            self._selections[key] = selection
            if len(self._selections) > _SELECTIONS_KEPT:
                self._selections.popitem(last=False)
        return selection

    def _build(
        self,
        question: Question,
        cursor: Cursor | None,
        selection: Selection,
        *,
        zipped: bool,
        spoil: Callable[[bytes], bytes] | None,
        fault: str,
    ) -> Page:
        descending = (question.sort_order or self._settings.default_order) == "DESC"
        start = None if cursor is None else cursor.start
        place = selection.place(start, descending=descending)
        records = selection.cut(place, question.limit, descending=descending)
        name = fingerprint(self._account, question)
        had_empty = cursor is not None and cursor.had_empty
        if records and not had_empty and self._precedes_an_empty_page(name, start):
            # "ordersStatus": [] with a token: saleweaver/python-amazon-sp-api issue 684
            back = _token(Cursor(start, name, had_empty=True))
            return self._page(question.operation, [], back, zipped=zipped)
        documents = [document(record, question, self._version) for record in records]
        if spoil is not None and documents:
            middle = len(documents) // 2
            documents[middle] = spoil(documents[middle])
        is_last = place + len(records) >= len(selection.records)
        token = None if is_last else _token(Cursor(records[-1].key, name, had_empty=False))
        if fault == "token-loop":
            token = _token(Cursor(None, name, had_empty=True))
        elif fault == "token-endless":
            serial = 0 if cursor is None else cursor.serial
            token = _token(Cursor(start, name, had_empty=True, serial=serial + 1))
        return self._page(question.operation, documents, token, zipped=zipped)

    def _page(
        self, operation: str, documents: Sequence[bytes], token: str | None, *, zipped: bool
    ) -> Page:
        name = b"orders" if operation in {ORDERS, DIRECT_ORDERS} else b"ordersStatus"
        pagination = b""
        if token is not None:
            # a token's letters need no escape in JSON
            pagination = b'"pagination":{"nextToken":"' + token.encode() + b'"},'
        body = b'{%b"%b":[%b]}' % (pagination, name, b",".join(documents))
        body = enveloped(body, self._version)
        return Page(compress(body) if zipped else body, zipped, token, len(documents))

    def _precedes_an_empty_page(self, name: str, start: Key | None) -> bool:
        share = self._settings.empty_pages
        if not share:
            return False
        text = repr((self._settings.seed, name, start))
        draw = hashlib.blake2b(text.encode(), digest_size=4).digest()
        return int.from_bytes(draw, "big") < share * 2**32


@lru_cache(maxsize=8192)
def fingerprint(account: str, question: Question) -> str:
    """Return what binds a token to the account and to the other parameters."""
    text = repr((account, question)).encode()
    return hashlib.blake2b(text, digest_size=6).hexdigest()


def select(world: World, places: list[Place], filters: Filters) -> Selection:
    """Return the records that lie in all *places* and pass *filters*, by creation."""
    numbers: Iterable[str]
    if filters.number is not None:
        numbers = [filters.number]
    else:
        smallest = min(places, key=lambda place: len(place.range))
        numbers = smallest.index.numbers(smallest.range)
    records = (record for number in numbers if (record := world.get(number)) is not None)
    matching = [
        record
        for record in records
        if all(place.holds(record) for place in places) and passes(record, filters)
    ]
    return Selection(sorted(matching, key=lambda record: record.key))


def passes(record: Record, filters: Filters) -> bool:
    """Return whether *record* is what *filters* ask for; the dear questions come last."""
    status = "CLOSED" if record.state == "Closed" else "OPEN"
    wanted: tuple[tuple[Any, Any], ...] = (
        (filters.state, record.state),
        (filters.status, status),
        (filters.vendor, record.vendor),
        (filters.warehouse, record.warehouse),
        (filters.is_cancelled or None, record.is_cancelled),
    )
    if any(wish is not None and wish != fact for wish, fact in wanted):
        return False
    words = {filters.confirmation, filters.receipt} - {None}
    return not words or words <= record.line_words()


def document(record: Record, question: Question, version: str = "") -> bytes:
    """Return the bytes of one entry of the list."""
    if question.operation == DIRECT_ORDERS:
        if question.details:
            return record.text(version)
        return msgspec.json.encode({"purchaseOrderNumber": record.number})
    if question.operation != ORDERS:
        return record.text(STATUS)
    if question.details:
        return record.text(ORDER)
    return msgspec.json.encode(
        {"purchaseOrderNumber": record.number, "purchaseOrderState": record.state}
    )


def enveloped(body: bytes, version: str = "") -> bytes:
    """Return *body* in the envelope that all but Direct Fulfillment 2021-12-28 use."""
    return b'{"payload":%b}' % body if version in {"", V1} else body


def compress(body: bytes) -> bytes:
    """Return *body* gzipped, without a time stamp, so that equal bodies stay equal."""
    return gzip.compress(body, GZIP_LEVEL, mtime=0)


@lru_cache(maxsize=1)
def bomb() -> bytes:
    """Return a small gzip file that unpacks to more than anybody takes for a page."""
    packer = zlib.compressobj(1, zlib.DEFLATED, _GZIP_FORMAT)
    block = b" " * (1024 * 1024)
    packed = [packer.compress(block) for _ in range(_BOMB_BLOCKS)]
    return b"".join([*packed, packer.flush()])


def _token(cursor: Cursor) -> str:
    return base64.b64encode(msgspec.json.encode(cursor)).decode()
