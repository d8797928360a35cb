"""``vendororders get`` as its users run it: in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from canned import Asked, Canned, answering
from commands import STRICT
from sample_files import sample

from vendororders_async.cli.get import document_line
from vendororders_async.cli.simulate import accounts_file
from vendororders_async.simulator import Served, Settings, Simulator
from vendororders_async.testing import SimulatedAmazon, running


@pytest.fixture
def amazon() -> Iterator[SimulatedAmazon]:
    """Run a simulator with one quick account."""
    with running(Simulator(Settings(orders=200, days=30, rate=500.0, burst=500.0))) as amazon:
        yield amazon


def get(
    amazon: SimulatedAmazon | Canned,
    *arguments: str,
    given: bytes = b"",
    env: dict[str, str] | None = None,
) -> subprocess.CompletedProcess[bytes]:
    """Run ``vendororders get`` to its end."""
    return subprocess.run(
        [sys.executable, "-m", "vendororders_async", "get", *arguments],
        env=(amazon.env if env is None else env) | {"PYTHONWARNINGS": STRICT},
        input=given,
        capture_output=True,
        timeout=60,
        check=False,
    )


def test_orders_come_as_amazon_sent_them_in_the_order_asked(amazon: SimulatedAmazon) -> None:
    """One document a line, byte for byte; more of them than are asked for at once."""
    truth = amazon.simulator.truth("demo")
    numbers = [*truth][:150][::-1]
    done = get(amazon, *numbers)

    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == b"".join(truth[number] + b"\n" for number in numbers)
    assert amazon.simulator.traffic.throttled() == 0
    assert amazon.simulator.traffic.token_requests == 1


def test_missing_orders_are_named_and_the_others_printed(amazon: SimulatedAmazon) -> None:
    """Then something is missing, which is a 3."""
    truth = amazon.simulator.truth("demo")
    first, second = [*truth][:2]
    done = get(amazon, first, "NOSUCHP1", second, "NOSUCHP2")

    assert done.returncode == 3
    assert done.stdout == truth[first] + b"\n" + truth[second] + b"\n"
    assert done.stderr.decode().splitlines() == [
        "vendororders: NOSUCHP1: not found",
        "vendororders: NOSUCHP2: not found",
    ]


def test_none_found_is_a_1(amazon: SimulatedAmazon) -> None:
    """Nothing could be done."""
    done = get(amazon, "NOSUCHPO")

    assert (done.returncode, done.stdout) == (1, b"")


def test_numbers_come_from_standard_input(amazon: SimulatedAmazon) -> None:
    """One a line, in the place of the dash; blanks and repetitions cost nothing."""
    truth = amazon.simulator.truth("demo")
    one, two, three = [*truth][:3]
    done = get(amazon, three, "-", three, given=f"{one}\r\n\n  {two}\n{one}\n".encode())

    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == b"".join(truth[number] + b"\n" for number in (three, one, two))
    assert amazon.simulator.traffic.count(operation="getPurchaseOrder") == 3


def test_a_document_with_line_breaks_becomes_one_line() -> None:
    """All its other bytes stay."""
    assert (
        document_line(b'{\r\n  "a": "\\n",\n  "b": 1.10\n}\n')
        == b'{  "a": "\\n",  "b": 1.10}\n'
    )


def test_an_order_that_is_not_the_schema_is_named(amazon: SimulatedAmazon) -> None:
    """It is not printed, and the run is incomplete."""
    first, second = [*amazon.simulator.truth("demo")][:2]
    amazon.simulator.inject(
        "getPurchaseOrder",
        "bad-order:missing-number",
        when=lambda call: call.subject == second,
    )
    done = get(amazon, first, second)

    assert done.returncode == 3
    assert json.loads(done.stdout)["purchaseOrderNumber"] == first
    assert f"vendororders: {second}: getPurchaseOrder for default: " in done.stderr.decode()


@pytest.mark.parametrize(
    ("arguments", "given"),
    [
        ((), b""),
        (("-",), b"\n"),
        (("-",), b"\xff"),
        (("5ABC\n1233",), b""),
        (("..",), b""),
        (("5ABC1233", "--account", "nobody"), b""),
    ],
    ids=["none", "empty input", "no text", "line break", "dots", "no such account"],
)
def test_wrong_use_is_a_2_without_a_request(
    amazon: SimulatedAmazon, arguments: tuple[str, ...], given: bytes
) -> None:
    """One line says what is wrong."""
    done = get(amazon, *arguments, given=given)

    assert (done.returncode, done.stdout) == (2, b"")
    assert b"Traceback" not in done.stderr
    assert amazon.simulator.traffic.count() == 0


def test_a_number_that_is_none_is_quoted(amazon: SimulatedAmazon) -> None:
    """Among hundreds of good ones it would not be found otherwise."""
    done = get(amazon, "-", given=b"5ABC1233\n..\n")

    assert done.stderr.startswith(b"vendororders: '..' is no order number: ")


def test_one_account_must_be_chosen(tmp_path: Path) -> None:
    """A number says not whose it is."""
    simulator = Simulator(Settings(orders=20, days=30, accounts=2))
    with running(simulator) as amazon:
        served = Served("127.0.0.1", int(amazon.url.rpartition(":")[2]), simulator.accounts)
        path = tmp_path / "accounts.toml"
        path.touch(mode=0o600)
        path.write_text(accounts_file(served, f"{amazon.url}/auth/o2/token"))
        number, document = next(iter(simulator.truth("demo-2").items()))
        undecided = get(amazon, number, "--accounts", str(path), env={})
        chosen = get(amazon, number, f"--accounts={path}", "--account=*-2", env={})

    assert undecided.returncode == 2
    assert b"choose one account with --account: demo-1, demo-2" in undecided.stderr
    assert (chosen.returncode, chosen.stdout) == (0, document + b"\n")


def test_refused_credentials_are_said_once(amazon: SimulatedAmazon) -> None:
    """All the other orders would say the same."""
    amazon.simulator.refuse("demo")
    done = get(amazon, *amazon.simulator.truth("demo"))

    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.count(b"\n") == 1
    assert b"refuses account default" in done.stderr


def test_a_reader_that_has_seen_enough_is_no_accident(amazon: SimulatedAmazon) -> None:
    """``vendororders get - | head -1`` ends quietly."""
    command = [
        sys.executable,
        "-m",
        "vendororders_async",
        "get",
        *amazon.simulator.truth("demo"),
    ]
    with subprocess.Popen(
        command, env=amazon.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        os.read(process.stdout.fileno(), 10)
        process.stdout.close()
        errors = process.stderr.read()

    assert (process.returncode, errors) == (141, b"")


@pytest.mark.parametrize("version", ["v1", "2021-12-28"])
@pytest.mark.tells("a person", "standard output", because="it prints whole orders")
def test_customers_orders_come_as_amazon_sent_them(version: str) -> None:
    """Asked for with a restricted data token, one for all of them."""
    body = sample(f"getOrder-{version}", "200.json")
    document = json.loads(body)
    with answering(lambda _asked: (200, body)) as amazon:
        done = get(
            amazon,
            "2JK3S9VC",
            "2JK3S9VD",
            "--api=direct-fulfillment",
            f"--direct-fulfillment-version={version}",
        )
    orders = [one for one in amazon.asked if "/vendor/" in one.path]
    path = f"/vendor/directFulfillment/orders/{version}/purchaseOrders/"

    assert (done.returncode, done.stderr) == (0, b"")
    assert [json.loads(line) for line in done.stdout.splitlines()] == [
        document.get("payload", document)
    ] * 2
    assert sorted(orders) == [
        Asked("GET", path + "2JK3S9VC", "Atz.sprdt|1"),
        Asked("GET", path + "2JK3S9VD", "Atz.sprdt|1"),
    ]
    assert sum("/tokens/" in one.path for one in amazon.asked) == 1


def test_no_error_of_get_tells_who_the_customer_is() -> None:
    """An order that is not the schema is named, at every level of the log."""
    body = sample("getOrder-v1", "200.json").replace(b'"amount": 2', b'"amount": "Canary"')
    with answering(lambda _asked: (200, body)) as amazon:
        done = get(amazon, "2JK3S9VC", "--api=direct-fulfillment", "--log-format=json")

    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.startswith(b"vendororders: 2JK3S9VC: getOrder for default: ")
    assert b"Canary" not in done.stderr
    assert b"Kanarienweg" not in done.stderr
