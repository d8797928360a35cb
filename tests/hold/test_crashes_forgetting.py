"""`kill -9` while a purge forgets: what was to go goes with the next, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import NamedTuple

import msgspec
from canaries import direct, files_with, page
from hold import Often, Record
from killing import Deed, End, Mortals, complaints
from looking import drop_lease
from stores import relations_with

from vendororders_async.models.direct_fulfillment import Order
from vendororders_async.redaction import redact
from vendororders_async.sinks import open_sink
from vendororders_async.sinks.base import Ledger
from vendororders_async.windows import FinishedWindow, Window

KINDS = ("sqlite", "postgres", "ndjson", "ndjson+zstd", "parquet")
DAY = timedelta(days=1)
NOW = datetime.now(UTC).replace(microsecond=0)
OLD, YOUNG = NOW - 40 * DAY, NOW - 5 * DAY
ACCOUNTS = ("acme", "other")

PAGES, _ON_A_PAGE = 3, 90  # in two portions
BROKEN = ("acme", 1)  # whose page has one that cannot be decoded
_ON_ONE_STORE = 4  # kills

Documents = dict[tuple[str, str], bytes]


class Kept(NamedTuple):
    """What is in a store: of the account that is purged also windows and quarantine."""

    orders: Documents
    windows: list[Window]
    quarantine: list[bytes]


def ledger_of(account: str) -> Ledger:
    """Return the one ledger of *account*."""
    return Ledger(account, "direct_fulfillment", "created", "amazon")


def window_of(number: int) -> Window:
    """Return the window of a page."""
    return Window(OLD + number * DAY, OLD + (number + 1) * DAY)


def raws(account: str, number: int, **more: object) -> list[bytes]:
    """Return the documents of a page: of every two orders one is to be forgotten."""
    word = "CANARY" if account == "acme" else "OTHERS"
    return [
        direct(f"{number}-{one}", OLD, canary=f"{word} old", **more)
        if one % 2
        else direct(f"{number}-{one}", YOUNG, canary=f"{word} young", **more)
        for one in range(_ON_A_PAGE)
    ]


async def fill(url: str) -> None:
    """Store pages of two accounts, older versions, and what could not be decoded."""
    bad = (
        f'{{"orderDate": "{OLD.isoformat()}", "shipToParty": {{"name": "CANARY old"}}'.encode()
    )
    async with open_sink(url) as sink:
        for account in ACCOUNTS:
            ledger = ledger_of(account)
            for number in range(PAGES):
                window = window_of(number)
                begun_at = await sink.begin(ledger, window)
                first = [*raws(account, number), bad] if (account, number) == BROKEN else None
                again = raws(account, number, customerOrderNumber="y")
                for documents, at in ((first, OLD), (again, NOW)):
                    if documents is not None:
                        await sink.write(
                            page(
                                *documents,
                                ledger=ledger,
                                asked_at=at,
                                window=window,
                                kind=Order,
                            )
                        )
                await sink.finish(ledger, FinishedWindow(window, begun_at))


async def kept(url: str) -> Kept:
    """Return what is there; no order may be there twice."""
    orders: Documents = {}
    async with open_sink(url, read_only=True) as sink:
        async for batch in sink.orders():
            for one in batch:
                key = (one.account, one.purchase_order_number)
                assert key not in orders
                orders[key] = one.document
        windows = await sink.windows(ledger_of("acme"))
        held = await sink.quarantine("acme", "direct_fulfillment")
    return Kept(orders, [one.window for one in windows], [one.document for one in held])


def test_a_killed_purge_forgets_all_of_it_when_it_is_run_again(
    new_store: Callable[[], str],
    mortals: Mortals,
    often: Often,
    chance: Random,
    figure: Record,
) -> None:
    """Nothing of whom was to be forgotten is left, and nothing of anybody else is lost."""

    def purge(url: str, *more: str, kill_after: float | None = None) -> End:
        arguments = ["purge", "--to", url, "--account", "acme", "--quiet", *more]
        return mortals.run(
            Deed(job="command", env={}, arguments=arguments, kill_after=kill_after)
        )

    def full_store() -> tuple[str, Kept]:
        url = new_store()
        asyncio.run(fill(url))
        return url, asyncio.run(kept(url))

    lengths = {way: purge(full_store()[0], *way.asked).seconds for way in WAYS}
    times, wrong, killed, compared = often(8, 50), [], 0, 0
    while killed < times:
        way = chance.choice(WAYS)
        url, full = full_store()
        for _ in range(_ON_ONE_STORE):
            end = purge(url, *way.asked, kill_after=chance.uniform(0.0, 1.1 * lengths[way]))
            killed += end.killed
            drop_lease(url)
            wrong += way.wrong(full, asyncio.run(kept(url)), is_done=False)
            if not end.killed or killed == times:
                break
        wrong += unwell(purge(url, *way.asked))
        wrong += way.wrong(full, asyncio.run(kept(url)), is_done=True)
        wrong += [f"{word} in {one}" for word in way.words for one in places_of(url, word)]
        compared += len(full.orders)
    kind = url.partition(":")[0]
    figure(
        "Crashes",
        f"`kill -9` while `purge` forgets in `{kind}:`",
        times=killed,
        orders=compared,
        lost=len(wrong),
    )

    assert wrong == []


def unlike_redacted(full: Kept, found: Kept, *, is_done: bool) -> list[str]:
    """Say what is neither as it was nor as it is to be."""
    wrong = [f"{one} is gone" for one in full.orders.keys() - found.orders.keys()]
    for key, document in found.orders.items():
        before = full.orders[key]
        is_due = b"CANARY old" in before
        good = {msgspec.json.format(redact(before), indent=-1)} if is_due else {before}
        if is_due and not is_done:
            good.add(before)
        if document not in good and msgspec.json.format(document, indent=-1) not in good:
            wrong.append(f"{key} is not as it was, nor as it is to be")
    if found.windows != full.windows:
        wrong.append("the windows are others")
    if not found.quarantine or (is_done and len(found.quarantine) != 1):
        wrong.append(f"{len(found.quarantine)} are in quarantine")
    return wrong


def unlike_removed(full: Kept, found: Kept, *, is_done: bool) -> list[str]:
    """Say what of others is gone, and what is claimed of whom is going."""
    wrong = [
        f"{key} is not as it was"
        for key, document in full.orders.items()
        if key[0] == "other" and found.orders.get(key) != document
    ]
    wrong += [
        f"{window.after} claims {number}-{one}"
        for number in range(PAGES)
        if (window := window_of(number)) in found.windows
        for one in range(_ON_A_PAGE)
        if ("acme", f"{number}-{one}") not in found.orders
    ]
    if is_done and (
        found.windows or found.quarantine or len(found.orders) * 2 != len(full.orders)
    ):
        wrong.append("something of it is left")
    return wrong


def unwell(end: End) -> list[str]:
    """Return what was wrong with the last purge; there may be nothing left for it."""
    is_over = end.code == 1 and "knows no account" in end.err
    return [] if is_over else complaints(end)


def places_of(url: str, word: str) -> list[str]:
    """Return the files that have *word* in them, or in their names or their folders'.

    An empty folder may keep its name: it goes a moment after what said whose it is.
    """
    if url.startswith("postgres:"):
        return relations_with(url, word)
    place = Path(url.partition(":")[2])
    named = [
        str(one)
        for one in place.parent.rglob("*")
        if one.is_file()
        and word in str(one.relative_to(place.parent))
        and ".lock" not in one.name
    ]
    return named + files_with(place.parent, word)


class Way(NamedTuple):
    """What is purged: what is asked, what may be left nowhere, and what is wrong after."""

    asked: tuple[str, ...]
    words: tuple[str, ...]
    wrong: Callable[..., list[str]]


WAYS = (
    Way(("--pii-older-than", "30d"), ("CANARY old",), unlike_redacted),
    Way((), ("CANARY", "acme"), unlike_removed),
)
