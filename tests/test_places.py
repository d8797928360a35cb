"""Room for requests in flight, shared out fairly: on virtual time, without any wire."""

from __future__ import annotations

import asyncio

import pytest
from virtual_time import run

from vendororders_async.errors import TransportError
from vendororders_async.places import Place, Places


async def busy(places: Places, name: str, seconds: float, order: list[str]) -> None:
    """Hold a place for so long, and note who came to it when."""
    async with places.of(name):
        order.append(name)
        await asyncio.sleep(seconds)


async def fall_silent(places: Places, name: str) -> None:
    """End a request without an answer."""
    with pytest.raises(TransportError):
        async with places.of(name):
            raise TransportError("no answer in time")


def test_who_has_fewest_under_way_comes_next() -> None:
    """One that asked for everything first does not keep the others out."""

    async def scenario() -> list[str]:
        places = Places(2)
        order: list[str] = []
        async with asyncio.TaskGroup() as group:
            for name in ("greedy",) * 6 + ("modest",) * 2 + ("late",):
                group.create_task(busy(places, name, 1.0, order))
        return order

    assert run(scenario())[:5] == ["greedy", "greedy", "modest", "late", "greedy"]


def test_no_more_than_there_are() -> None:
    """Whatever happens, also when waiting and holding tasks are cancelled at random moments."""

    async def scenario() -> tuple[int, str]:
        places = Places(3)
        most = holding = 0

        async def work(name: str) -> None:
            nonlocal most, holding
            async with places.of(name):
                holding += 1
                most = max(most, holding)
                try:
                    await asyncio.sleep(1.0)
                finally:
                    holding -= 1

        tasks = [asyncio.ensure_future(work(f"account {n % 4}")) for n in range(40)]
        for number, task in enumerate(tasks):
            if number % 3 == 0:
                task.cancel()
            await asyncio.sleep(0.07 * (number % 5))
        await asyncio.gather(*tasks, return_exceptions=True)
        return most, repr(places)

    assert run(scenario()) == (3, "<Places 0 of 3 taken, 0 waiting, 0 silent>")


def test_a_place_that_comes_with_the_cancellation_is_handed_on() -> None:
    """Nobody waits for a place that went to somebody who had given up."""

    async def scenario() -> list[str]:
        places = Places(1)
        order: list[str] = []
        first: Place = places.of("first")
        await first.take()
        given_up = asyncio.ensure_future(busy(places, "second", 1.0, order))
        waiting = asyncio.ensure_future(busy(places, "third", 1.0, order))
        await asyncio.sleep(0)
        first.leave()  # to the second, which does not know it yet
        given_up.cancel()
        await asyncio.wait_for(waiting, 5)
        return order

    assert run(scenario()) == ["third"]


def test_one_that_gives_up_in_line_is_passed_over() -> None:
    """Also when the place is free before it could step out."""

    async def scenario() -> list[str]:
        places = Places(1)
        order: list[str] = []
        first = places.of("first")
        await first.take()
        given_up = asyncio.ensure_future(busy(places, "second", 1.0, order))
        waiting = asyncio.ensure_future(busy(places, "third", 1.0, order))
        await asyncio.sleep(0)
        given_up.cancel()
        first.leave()
        first.leave()  # once more does no harm
        await asyncio.wait_for(waiting, 5)
        return order

    assert run(scenario()) == ["third"]


def test_the_silent_have_an_eighth() -> None:
    """Who left a request unanswered may try again, and does not fill the place."""

    async def scenario() -> tuple[list[str], str]:
        places = Places(16)
        order: list[str] = []
        for number in range(5):
            await fall_silent(places, f"silent {number}")
        async with asyncio.TaskGroup() as group:
            for number in range(5):
                group.create_task(busy(places, f"silent {number}", 60.0, order))
            for _ in range(14):
                group.create_task(busy(places, "well", 1.0, order))
            await asyncio.sleep(0)
            shown = repr(places)
        return order, shown

    order, shown = run(scenario())

    assert shown == "<Places 16 of 16 taken, 3 waiting, 5 silent>"
    assert order[:16] == ["silent 0", "silent 1"] + ["well"] * 14


def test_an_eighth_is_kept_for_the_silent() -> None:
    """Who came back to life is not kept out by those who are busy."""

    async def scenario() -> list[str]:
        places = Places(8)
        order: list[str] = []
        await fall_silent(places, "silent")
        async with asyncio.TaskGroup() as group:
            for number in range(16):
                group.create_task(busy(places, f"well {number}", 1.0, order))
            group.create_task(busy(places, "silent", 1.0, order))
        return order

    assert run(scenario())[8] == "silent"


def test_with_few_places_the_silent_come_last() -> None:
    """One at a time, when nobody else wants to: an eighth of four is none."""

    async def scenario() -> list[str]:
        places = Places(4)
        order: list[str] = []
        await fall_silent(places, "silent")
        async with asyncio.TaskGroup() as group:
            for number in range(8):
                group.create_task(busy(places, f"well {number}", 1.0, order))
            for _ in range(2):
                group.create_task(busy(places, "silent", 1.0, order))
        return order

    order = run(scenario())

    assert order[8:] == ["silent", "silent"]


def test_an_answer_ends_the_silence() -> None:
    """From then on it is one like the others."""

    async def scenario() -> list[str]:
        places = Places(8)
        await fall_silent(places, "back again")
        shown = [repr(places)]
        async with places.of("back again"):
            shown.append(repr(places))
        return [*shown, repr(places)]

    assert run(scenario()) == [
        "<Places 0 of 8 taken, 0 waiting, 1 silent>",
        "<Places 1 of 8 taken, 0 waiting, 1 silent>",
        "<Places 0 of 8 taken, 0 waiting, 0 silent>",
    ]
