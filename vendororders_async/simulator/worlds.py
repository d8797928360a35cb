"""Everybody's orders, made when the simulator is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import partial
from itertools import zip_longest
from typing import Any

import msgspec

from .cache import ByteCache
from .calls import DIRECT, RETAIL, VERSIONS, Api
from .direct_orders import DirectWriter
from .documents import ORDER, STATUS, Writer
from .settings import Settings
from .timeline import sketches
from .world import Record, World, sketched_record

_FORMS: Mapping[Api, tuple[str, ...]] = {RETAIL: (ORDER, STATUS), DIRECT: VERSIONS}


class Book(msgspec.Struct, frozen=True):
    """The orders of one account in one API; *record* makes one of them from its outline."""

    account: str
    api: Api
    world: World
    record: Callable[[Any], Record]


def books(settings: Settings, names: Iterable[str], anchor: datetime) -> tuple[Book, ...]:
    """Return the orders of all accounts: retail's, then those of Direct Fulfillment."""
    documents: ByteCache[bytes] = ByteCache(settings.cache_bytes // 2)
    anchor = anchor.astimezone(UTC)
    made = tuple(
        make(settings, name, position, documents, anchor)
        for make in (_retail, _direct)
        for position, name in enumerate(names)
    )
    if settings.write_ahead:
        _write_ahead(made, documents)
    return made


def _retail(
    settings: Settings,
    name: str,
    position: int,
    documents: ByteCache[bytes],
    anchor: datetime,
) -> Book:
    writer = Writer(seed=settings.seed, account=name, position=position, cache=documents)
    record = partial(sketched_record, writer)
    return Book(name, RETAIL, World(map(record, sketches(settings, name, anchor))), record)


def _direct(
    settings: Settings,
    name: str,
    position: int,
    documents: ByteCache[bytes],
    anchor: datetime,
) -> Book:
    writer = DirectWriter(settings, name, position, cache=documents)
    outline = writer.sketches(settings, anchor)
    return Book(name, DIRECT, World(map(writer.record, outline)), writer.record)


def _write_ahead(made: Iterable[Book], documents: ByteCache[bytes]) -> None:
    """Have the cache filled, by every account alike, newest orders first."""
    for api, forms in _FORMS.items():
        worlds = (book.world for book in made if book.api == api)
        newest = (
            sorted(world, key=lambda record: record.key, reverse=True) for world in worlds
        )
        for records in zip_longest(*newest):
            for record in filter(None, records):
                size = sum(len(record.text(form)) for form in forms)
                if documents.size + size > documents.limit:
                    return
