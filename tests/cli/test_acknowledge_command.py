"""``vendororders acknowledge`` as its users run it: in a process of its own."""

from __future__ import annotations

import asyncio
import csv
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from commands import STRICT

from vendororders_async import Account, backfill
from vendororders_async.cli.acknowledge import exit_code
from vendororders_async.cli.simulate import accounts_file
from vendororders_async.jobs.acknowledging import AcknowledgementOutcome, Manner
from vendororders_async.operations import RETAIL
from vendororders_async.simulator import Served, Settings, Simulator
from vendororders_async.testing import SimulatedAmazon, running

AMAZON = Settings(
    orders=400,
    days=10,
    rate=500.0,
    burst=500.0,
    oddities=False,
    direct_fulfillment_orders=60,
)


@pytest.fixture
def amazon() -> Iterator[SimulatedAmazon]:
    """Run a simulator in which nobody has answered anything yet."""
    with running(Simulator(AMAZON)) as amazon:
        yield amazon


def run(
    amazon: SimulatedAmazon, folder: Path, *arguments: str, given: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run ``vendororders acknowledge`` to its end."""
    return subprocess.run(
        [sys.executable, "-m", "vendororders_async", "acknowledge", *arguments],
        env=amazon.env | {"PYTHONWARNINGS": STRICT},
        cwd=folder,
        input=given,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def the_default(amazon: SimulatedAmazon) -> Account:
    """Return the account as a process knows it that has it from its environment."""
    return msgspec.structs.replace(amazon.account, name="default")


def a_new_order(amazon: SimulatedAmazon) -> str:
    """Return an order that nobody has answered yet, with nothing in it cancelled."""
    for number, raw in amazon.simulator.truth("demo").items():
        order = json.loads(raw)
        lines = order["orderDetails"]["items"]
        quantities = [line["orderedQuantity"]["amount"] for line in lines]
        if order["purchaseOrderState"] == "New" and min(quantities) > 0:
            return number
    raise AssertionError("the simulator has no new order")


def row(number: str, code: str = "Accepted") -> str:
    """Return a file that answers the first line of an order."""
    return f"purchase_order_number,item_sequence_number,code\n{number},1,{code}\n"


@pytest.mark.parametrize("api", ["retail", "direct-fulfillment"])
def test_a_draft_of_what_is_pending_can_be_submitted_as_it_is(
    amazon: SimulatedAmazon, tmp_path: Path, api: str
) -> None:
    """Every order in it is taken; the same file again sends nothing."""
    asyncio.run(
        backfill([the_default(amazon)], to=f"sqlite:{tmp_path / 'vendororders.db'}", api=api)
    )
    drafted = run(amazon, tmp_path, "--api", api, "--draft", "a.csv", "--quiet")
    with (tmp_path / "a.csv").open(encoding="utf-8-sig", newline="") as reading:
        numbers = {one["purchase_order_number"] for one in csv.DictReader(reading)}
    before = len(amazon.simulator.acknowledgements)
    arguments = ("a.csv", "--api", api, "--no-wait", "--json")
    first = run(amazon, tmp_path, *arguments)
    second = run(amazon, tmp_path, *arguments)

    assert (drafted.returncode, first.returncode, second.returncode) == (0, 0, 0), first.stderr
    assert numbers
    told = [json.loads(line) for line in first.stdout.splitlines()]
    assert {one["purchase_order_number"] for one in told} == numbers
    assert {one["state"] for one in told} == {"processing"}
    sent = amazon.simulator.acknowledgements[before:]
    assert sum(len(one.applied) for one in sent) == len(numbers)


def test_a_draft_does_not_overwrite_a_file(amazon: SimulatedAmazon, tmp_path: Path) -> None:
    """Somebody's answers may be in it."""
    asyncio.run(
        backfill(
            [the_default(amazon)],
            to=f"sqlite:{tmp_path / 'vendororders.db'}",
            streams=["created"],
        )
    )
    (tmp_path / "a.csv").write_text("mine")
    done = run(amazon, tmp_path, "--draft", "a.csv")

    assert done.returncode == 2
    assert "a.csv is there already" in done.stderr
    assert (tmp_path / "a.csv").read_text() == "mine"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (row("{number}", "ACCEPTED"), "Accepted"),
        (
            row("{number}", "Rejected"),
            "line 2: items[0].itemAcknowledgements[0].rejectionReason",
        ),
        ("", "no row with an answer"),
        ('{{"orderAcknowledgements": []}}', "direct-fulfillment"),
    ],
    ids=["spelling", "no reason", "nothing", "the other API"],
)
def test_a_file_that_is_wrong_is_told_line_by_line_and_nothing_is_sent(
    amazon: SimulatedAmazon, tmp_path: Path, text: str, words: str
) -> None:
    """With exit 2, so that a script knows that the file has to be mended."""
    number = a_new_order(amazon)
    before = len(amazon.simulator.acknowledgements)
    done = run(amazon, tmp_path, "-", "--no-wait", given=text.format(number=number))

    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert len(amazon.simulator.acknowledgements) == before


def test_a_dry_run_prints_what_would_be_sent(amazon: SimulatedAmazon, tmp_path: Path) -> None:
    """In Amazon's words, and nothing leaves."""
    number = a_new_order(amazon)
    before = len(amazon.simulator.acknowledgements)
    done = run(amazon, tmp_path, "--accept-all", number, "--dry-run", "--json")
    [told] = map(json.loads, done.stdout.splitlines())

    assert (done.returncode, told["state"]) == (0, "ready")
    assert told["document"]["purchaseOrderNumber"] == number
    assert len(amazon.simulator.acknowledgements) == before


def test_an_order_that_does_not_exist_does_not_keep_the_others(
    amazon: SimulatedAmazon, tmp_path: Path
) -> None:
    """Some is a 3, none is a 1."""
    number = a_new_order(amazon)
    some = run(amazon, tmp_path, "--accept-all", "NOSUCHPO", number, "--no-wait")
    none = run(amazon, tmp_path, "--accept-all", "NOSUCHPO", "--no-wait")

    assert (some.returncode, none.returncode) == (3, 1)
    assert "no such order" in none.stdout


def test_an_order_of_one_of_several_accounts_has_to_say_which(
    amazon: SimulatedAmazon, tmp_path: Path
) -> None:
    """Nothing is guessed where money is."""
    simulator = Simulator(Settings(orders=20, days=10, accounts=2))
    served = Served("127.0.0.1", 1, simulator.accounts)
    accounts = tmp_path / "accounts.toml"
    accounts.touch(mode=0o600)
    accounts.write_text(accounts_file(served, "http://127.0.0.1:1/"))
    done = run(amazon, tmp_path, "-", "--accounts", str(accounts), given=row("1ABC"))

    assert done.returncode == 2
    assert "demo-1, demo-2" in done.stderr


def test_a_sink_that_cannot_record_is_refused_before_anything_is_sent(
    amazon: SimulatedAmazon, tmp_path: Path
) -> None:
    """Without a record nothing could be kept from being sent twice."""
    number = a_new_order(amazon)
    before = len(amazon.simulator.acknowledgements)
    done = run(amazon, tmp_path, "--accept-all", number, "--to", "ndjson:orders")

    assert done.returncode == 2
    assert "sqlite:PATH" in done.stderr
    assert len(amazon.simulator.acknowledgements) == before


@pytest.mark.parametrize(
    ("states", "confirm", "code"),
    [
        (["accepted", "presumed_accepted", "processing"], False, 0),
        (["accepted", "presumed_accepted"], True, 3),
        (["accepted", "refused"], False, 3),
        (["accepted", "unresolved"], False, 3),
        (["moved"], False, 3),
        (["not_found", "not_sent"], False, 1),
    ],
)
def test_the_exit_code_says_whether_all_is_taken(
    states: list[str], confirm: bool, code: int
) -> None:
    """With --confirm, whether all of it was seen."""
    outcomes = [
        AcknowledgementOutcome(
            account="demo", api="retail", purchase_order_number="1ABC", state=state
        )
        for state in states
    ]

    assert exit_code(outcomes, Manner(api=RETAIL, confirm=confirm)) == code
