"""What befalls an account that is followed, step by step, and months of it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import timedelta
from functools import partial

import msgspec
from following import Following

_HALF_AN_ANSWER = 0.1  # seconds, with a latency of 0.2
_DAY = 86_400.0

_Act = Callable[[Following, "Step"], Awaitable[None]]


class Step(msgspec.Struct, frozen=True):
    """One thing that happens; *which* picks an order, *amount* says how much of it."""

    kind: str
    which: int = 0
    amount: float = 0.0


async def perform(scene: Following, step: Step) -> None:
    """Have *step* happen in *scene*, whose sync runs before it and after it."""
    await _KINDS[step.kind](scene, step)


def kinds() -> tuple[str, ...]:
    """Return all kinds of steps."""
    return tuple(_KINDS)


def of_an_order(name: str, *, at_a_page: bool = False, seconds: float = 0.0) -> _Act:
    """Return the step that has something happen to one of the orders that there are."""

    async def act(scene: Following, step: Step) -> None:
        numbers = scene.amazon.numbers()
        if not numbers:
            return
        happening = partial(getattr(scene.amazon, name), numbers[step.which % len(numbers)])
        if at_a_page:
            scene.at_next_page(happening, seconds=seconds)
        else:
            happening()

    return act


async def _arrive(scene: Following, step: Step) -> None:
    """Publish an order that was placed *amount* days ago."""
    scene.amazon.arrive(late=timedelta(days=step.amount))


async def _arrive_at_a_page(scene: Following, _step: Step) -> None:
    scene.at_next_page(scene.amazon.arrive, seconds=_HALF_AN_ANSWER)


async def _change_twice(scene: Following, step: Step) -> None:
    """Change an order, and again so soon that the dates are the same."""
    change = of_an_order("change")
    await change(scene, step)
    await asyncio.sleep(step.amount)
    await change(scene, step)


async def _outage(scene: Following, step: Step) -> None:
    """Let Amazon be away for *amount* hours, in one of two ways."""
    scene.transport.outage = "503" if step.which % 2 else "refused"
    await scene.pass_time(hours=step.amount)
    scene.transport.outage = ""


async def _set_clock(scene: Following, step: Step) -> None:
    """Set our clock to *amount* hours before Amazon's."""
    scene.set_clock(timedelta(hours=step.amount))


async def _set_clock_at_a_page(scene: Following, step: Step) -> None:
    scene.at_next_page(
        lambda: scene.set_clock(timedelta(hours=step.amount)), seconds=_HALF_AN_ANSWER
    )


async def _restart(scene: Following, _step: Step) -> None:
    await scene.stop()
    scene.start()


async def _kill(scene: Following, _step: Step) -> None:
    await scene.kill()
    scene.start()


async def _backfill(scene: Following, _step: Step) -> None:
    await scene.stop()
    await scene.backfill()
    scene.start()


async def _once(scene: Following, _step: Step) -> None:
    await scene.stop()
    await scene.once()
    scene.start()


async def _pass(scene: Following, step: Step) -> None:
    """Let *amount* seconds go by."""
    await scene.pass_time(seconds=step.amount)


_KINDS: Mapping[str, _Act] = {
    "arrive": _arrive,
    "arrive at a page": _arrive_at_a_page,
    "change": of_an_order("change"),
    "change twice": _change_twice,
    "change before a page": of_an_order("change", at_a_page=True),
    "change during a page": of_an_order("change", at_a_page=True, seconds=_HALF_AN_ANSWER),
    "acknowledge": of_an_order("acknowledge"),
    "receive": of_an_order("receive"),
    "close": of_an_order("close"),
    "cancel": of_an_order("cancel"),
    "outage": _outage,
    "clock": _set_clock,
    "clock during a page": _set_clock_at_a_page,
    "restart": _restart,
    "kill": _kill,
    "backfill": _backfill,
    "once": _once,
    "pass": _pass,
}


class Month(msgspec.Struct, frozen=True):
    """How much happens in *days*, at moments that are drawn evenly.

    *moves* are changes, acknowledgements, receipts and closings; *late* orders are published
    up to six days after their date.
    """

    days: float = 30.0
    arrivals: int = 300
    late: int = 20
    moves: int = 600
    restarts: int = 4
    kills: int = 4
    outages: int = 3
    clocks: int = 4
    backfills: int = 1


def steps_of(month: Month, seed: int = 0) -> list[tuple[float, Step]]:
    """Return what happens in *month*, with the seconds after its beginning, in order."""
    drawn = random.Random(seed)

    def draw(count: int, make: Callable[[], Step]) -> Iterable[tuple[float, Step]]:
        return [(drawn.uniform(0, month.days * _DAY), make()) for _ in range(count)]

    def which() -> int:
        return drawn.randrange(1_000_000)

    moves = ("change", "change during a page", "acknowledge", "receive", "close")
    return sorted(
        [
            *draw(month.arrivals, lambda: Step("arrive")),
            *draw(month.late, lambda: Step("arrive", amount=drawn.uniform(0.01, 6))),
            *draw(month.moves, lambda: Step(drawn.choice(moves), which())),
            *draw(month.restarts, lambda: Step("restart")),
            *draw(month.kills, lambda: Step("kill")),
            *draw(month.outages, lambda: Step("outage", which(), drawn.uniform(0.5, 9))),
            *draw(month.clocks, lambda: Step("clock", amount=drawn.choice((-24, -1, 1, 24)))),
            *draw(month.backfills, lambda: Step("backfill")),
        ],
        key=lambda one: one[0],
    )


def by_days(steps: Iterable[tuple[float, Step]], days: float) -> list[list[tuple[float, Step]]]:
    """Cut *steps* into portions of so many *days*, each with its own beginning."""
    portions: list[list[tuple[float, Step]]] = []
    for at, step in steps:
        index, seconds = divmod(at, days * _DAY)
        while len(portions) <= index:
            portions.append([])
        portions[-1].append((seconds, step))
    return portions


async def live(scene: Following, steps: Iterable[tuple[float, Step]], days: float) -> None:
    """Have *steps* happen when it is time for them, until *days* are over."""
    loop = asyncio.get_running_loop()
    began_at = loop.time()
    for at, step in steps:
        await asyncio.sleep(max(0.0, began_at + at - loop.time()))
        await perform(scene, step)
    await asyncio.sleep(max(0.0, began_at + days * _DAY - loop.time()))
