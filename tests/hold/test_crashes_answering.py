"""`kill -9` while orders are acknowledged: none is answered twice, and none is forgotten."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

import msgspec
from hold import Often, Record
from killing import Deed, Mortals, complaints
from looking import drop_lease
from msgspec.structs import replace
from stores import Store

from vendororders_async.simulator import Settings, Simulator
from vendororders_async.testing import SimulatedAmazon, running

ORDERS = Settings(
    orders=60, days=1, oddities=False, rate=1_000.0, burst=1_000.0, latency=(0.0, 0.03)
)

KINDS = ("sqlite", "postgres")  # where what was sent can be recorded

_LOOK = 0.005  # seconds
_ARRIVING = 0.3  # seconds in which what was sent before a kill is there
_ON_ONE_STORE = 10  # kills
_SUBMISSIONS = "SELECT purchase_order_number, state FROM submissions ORDER BY submitted_at"
_DONE = {"accepted", "presumed_accepted"}


def new_orders(simulator: Simulator) -> list[str]:
    """Return the orders that nobody has answered, with nothing in them cancelled."""
    found = []
    for number, document in simulator.truth("demo").items():
        order = msgspec.json.decode(document)
        amounts = [one["orderedQuantity"]["amount"] for one in order["orderDetails"]["items"]]
        if order["purchaseOrderState"] == "New" and min(amounts) > 0:
            found.append(number)
    return found


def arrivals(amazon: SimulatedAmazon) -> Counter[str]:
    """Return how often each order was answered, as Amazon took it."""
    return Counter(
        order["purchaseOrderNumber"]
        for one in amazon.simulator.acknowledgements
        for order in one.body["acknowledgements"]
    )


def test_a_killed_acknowledge_sends_nothing_twice_and_forgets_nothing(
    new_store: Callable[[], str],
    mortals: Mortals,
    often: Often,
    chance: Random,
    figure: Record,
) -> None:
    """What arrived was recorded before it left; what did not is sent by a later run."""
    times, wrong, killed, compared = often(3, 25), [], 0, 0
    while killed < times:
        url = new_store()
        with running(Simulator(ORDERS)) as amazon:
            numbers = new_orders(amazon.simulator)
            deed = Deed(job="accept", url=url, env=amazon.env, arguments=numbers)
            for _ in range(_ON_ONE_STORE):
                end = mortals.run(replace(deed, kill_after=chance.uniform(0.05, 0.5)))
                killed += end.killed
                drop_lease(url)
                time.sleep(_ARRIVING)
                wrong += unrecorded(url, amazon)
                if not end.killed or killed == times:
                    break
            wrong += complaints(mortals.run(replace(deed, once=True)))
            wrong += miscounted(url, amazon, numbers)
            compared += len(numbers)
    figure(
        "Crashes",
        f"`kill -9` while `acknowledge` sends, recorded in `{url.partition(':')[0]}:`",
        times=killed,
        orders=compared,
        lost=len(wrong),
    )

    assert wrong == []


def test_what_arrives_was_recorded_before_it_left(
    new_store: Callable[[], str], mortals: Mortals, tmp_path: Path
) -> None:
    """Killed while Amazon has a request and has not answered, a run has it written down."""
    url, arrived = new_store(), tmp_path / "arrived"
    slow = replace(ORDERS, latency=1.2)  # an answer comes long after its request
    with running(Simulator(slow)) as amazon, ThreadPoolExecutor(1) as thread:
        numbers = new_orders(amazon.simulator)[:2]
        deed = Deed(job="accept", url=url, env=amazon.env, arguments=numbers)
        run = thread.submit(mortals.run, replace(deed, kill_when=str(arrived)))
        while not (amazon.simulator.acknowledgements or run.done()):
            time.sleep(_LOOK)
        arrived.touch()
        end = run.result()
        drop_lease(url)
        missing = unrecorded(url, amazon)
        count = arrivals(amazon).total()

    assert end.killed
    assert count == len(numbers)
    assert missing == []


def unrecorded(url: str, amazon: SimulatedAmazon) -> list[str]:
    """Say what Amazon was sent, and the store knows nothing of."""
    arrived = arrivals(amazon)
    known = {number for number, _ in Store(url).select(_SUBMISSIONS)} if arrived else set()
    return [f"{one} was sent and not recorded" for one in arrived if one not in known]


def miscounted(url: str, amazon: SimulatedAmazon, numbers: list[str]) -> list[str]:
    """Say what was not answered exactly once, or is not recorded so."""
    arrived, states = arrivals(amazon), defaultdict(list)
    for number, state in Store(url).select(_SUBMISSIONS):
        if state != "missing":  # it did not arrive
            states[number].append(state)
    wrong = [f"{one} was sent {arrived[one]} times" for one in numbers if arrived[one] != 1]
    return wrong + [
        f"{one} is recorded as {states[one]}"
        for one in numbers
        if len(states[one]) != 1 or states[one][0] not in _DONE
    ]
