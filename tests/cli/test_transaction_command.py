"""``vendororders transaction`` as its users run it: in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable

import pytest
from canned import Asked, answering
from commands import STRICT
from sample_files import sample

TRANSACTION = "20260101000000-00000000-0000-0000-0000-000000000000"
MISSING = b'{"errors": [{"code": "NotFound", "message": "no such transaction"}]}'


def transaction(
    env: dict[str, str], *arguments: str, given: bytes = b""
) -> subprocess.CompletedProcess[bytes]:
    """Run ``vendororders transaction`` to its end."""
    return subprocess.run(
        [sys.executable, "-m", "vendororders_async", "transaction", *arguments],
        env=env | {"PYTHONWARNINGS": STRICT},
        input=given,
        capture_output=True,
        timeout=60,
        check=False,
    )


def known(body: bytes) -> Callable[[Asked], tuple[int, bytes]]:
    """Answer with *body* for ids that begin with a date."""
    return lambda asked: (200, body) if "/2026" in asked.path else (404, MISSING)


def told(number: str, status: str) -> bytes:
    """Return Amazon's answer for a transaction without errors."""
    found = {"transactionId": number, "status": status}
    return json.dumps({"payload": {"transactionStatus": found}}).encode()


@pytest.mark.parametrize(
    ("arguments", "folder", "path"),
    [
        ((), "getTransaction", "/vendor/transactions/v1/transactions/"),
        (
            ("--api", "direct-fulfillment"),
            "getTransactionStatus-v1",
            "/vendor/directFulfillment/transactions/v1/transactions/",
        ),
        (
            ("--api", "direct-fulfillment", "--direct-fulfillment-version", "2021-12-28"),
            "getTransactionStatus-2021-12-28",
            "/vendor/directFulfillment/transactions/2021-12-28/transactions/",
        ),
    ],
    ids=["retail", "v1", "2021-12-28"],
)
def test_what_became_of_a_submission_is_one_line(
    arguments: tuple[str, ...], folder: str, path: str
) -> None:
    """Amazon's words as they are; of every API, with the access token."""
    with answering(known(sample(folder, "200.json"))) as amazon:
        done = transaction(amazon.env, TRANSACTION, *arguments)
    [asked] = [one for one in amazon.asked if "/vendor/" in one.path]

    assert (done.returncode, done.stderr) == (0, b"")
    assert asked == Asked("GET", path + TRANSACTION, "Atza|1")
    assert done.stdout.count(b"\n") == 1
    line = json.loads(done.stdout)
    assert list(line) == ["transaction_id", "status", "errors"]
    assert (line["transaction_id"], line["status"]) == (TRANSACTION, "Failure")
    [error] = line["errors"]
    assert (error["code"], error["message"]) == ("INVALID_ORDER_ID", "Invalid order ID.")


def test_missing_ones_are_named_and_the_others_printed() -> None:
    """In the order asked, each once; then something is missing, which is a 3."""
    with answering(known(told("x", "Processing"))) as amazon:
        done = transaction(amazon.env, "2026-1", "none", "-", given=b"2026-1\n2026-2\n")

    assert done.returncode == 3
    assert done.stdout == b'{"transaction_id":"x","status":"Processing","errors":[]}\n' * 2
    assert done.stderr == b"vendororders: none: not found\n"


def test_none_found_is_a_1() -> None:
    """Nothing could be done."""
    with answering(known(b"")) as amazon:
        done = transaction(amazon.env, "none")

    assert (done.returncode, done.stdout) == (1, b"")


def test_an_answer_without_a_status_is_none() -> None:
    """It is said, and not printed as if it were one."""
    with answering(known(b'{"payload": {}}')) as amazon:
        done = transaction(amazon.env, "2026")

    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.startswith(b"vendororders: 2026: Amazon answered without")
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [(), ("-",), ("..",), ("t", "--api", "seller"), ("t", "--account", "nobody")],
)
def test_wrong_use_is_a_2_without_a_request(arguments: tuple[str, ...]) -> None:
    """One line says what is wrong."""
    with answering(known(b"")) as amazon:
        done = transaction(amazon.env, *arguments)

    assert (done.returncode, done.stdout) == (2, b"")
    assert b"Traceback" not in done.stderr
    assert amazon.asked == []


def test_help_says_what_processing_means() -> None:
    """Who waits for a retail acknowledgement's Success waits for ever."""
    words = " ".join(transaction({}, "--help").stdout.decode().split())

    assert "Of a retail acknowledgement Success never comes" in words
    assert "still Processing after 15 minutes is presumed accepted" in words
