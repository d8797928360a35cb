"""Hostile text that commands show on a terminal: nothing in it drives that."""

from __future__ import annotations

import asyncio
import json
import os
import re
import threading
import tty
from contextlib import redirect_stderr, redirect_stdout
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from canned import Asked, answering

from vendororders_async.cli import main
from vendororders_async.errors import CONTROLS
from vendororders_async.models.retail_procurement import Order
from vendororders_async.pages import Document, Row, decode_document
from vendororders_async.sinks import open_sink
from vendororders_async.sinks.base import Arrival, Ledger
from vendororders_async.windows import Window

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
HOSTILE = "A\x9b2J\x85\u202e\u2066\u2028\x7f"  # JSON lets these pass as they are
UNDECODED = f'{{"purchaseOrderNumber": "{HOSTILE}\x1b]0;x\x07'.encode()
DRIVES = re.compile(f"[{CONTROLS}]")


def shown(*arguments: str) -> str:
    """Run a command on a terminal of its own, in this process; return what that is given."""
    reader, writer = os.openpty()
    tty.setraw(writer)  # a line break stays one
    got = bytearray()

    def read() -> None:
        try:
            while data := os.read(reader, 65_536):
                got.extend(data)
        except OSError:  # Linux says so when nobody can write any more
            pass

    thread = threading.Thread(target=read)
    thread.start()
    with (
        os.fdopen(writer, "w", encoding="utf-8") as terminal,
        redirect_stdout(terminal),
        redirect_stderr(terminal),
        pytest.raises(SystemExit),
    ):
        main(arguments)
    thread.join()
    os.close(reader)
    return got.decode()


async def fill(url: str) -> None:
    """Store an order and what does not decode, of an account that is called so."""
    ledger = Ledger(f"{HOSTILE}\x1b[2J", "retail", "created", "x")
    order = json.dumps({"purchaseOrderNumber": HOSTILE}, ensure_ascii=False).encode()
    documents = [
        decode_document(order, Order),
        Document[Row](UNDECODED, reason=f"{HOSTILE}\x1b[2J"),
    ]
    async with open_sink(url) as sink:
        await sink.write(
            Arrival(ledger, Window(NOON - timedelta(days=1), NOON), NOON, documents)
        )
        await sink.ended(ledger, covered_until=None, error=f"{HOSTILE}\x1b[2J")


@pytest.mark.skipif(os.name != "posix", reason="needs a terminal of POSIX")
@pytest.mark.parametrize(
    "command",
    [
        ("status",),
        ("status", "--json"),
        ("quarantine", "list"),
        ("quarantine", "list", "--documents"),
        ("quarantine", "retry"),
        ("purge", "--pii-older-than", "30d"),
    ],
    ids=" ".join,
)
def test_no_store_drives_a_terminal(
    command: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever an account, an error, a reason or a document is called or says."""
    monkeypatch.setenv("TERM", "dumb")  # so that what draws tables drives nothing either
    url = f"sqlite:{tmp_path}/orders.db"
    asyncio.run(fill(url))
    told = shown(*command, "--to", url)

    assert told.strip()
    assert DRIVES.findall(told) == []


@pytest.mark.skipif(os.name != "posix", reason="needs a terminal of POSIX")
def test_no_answer_and_no_name_drives_a_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is printed as it came is escaped, and what an error quotes is plain."""

    def answer(asked: Asked) -> tuple[int, bytes]:
        if asked.path.endswith("/A1"):
            body = {"payload": {"purchaseOrderNumber": "A1", "purchaseOrderState": HOSTILE}}
            return 200, json.dumps(body, ensure_ascii=False).encode()
        return 400, json.dumps(
            {"errors": [{"code": "InvalidInput", "message": HOSTILE}]}
        ).encode()

    monkeypatch.setenv("TERM", "dumb")
    with answering(answer) as amazon:
        for name, value in amazon.env.items():
            monkeypatch.setenv(name, value)
        found, refused = shown("get", "A1"), shown("get", "B1")
        summary = f"{tmp_path}/\x1b[2J{300 * 'x'}"  # too long to be written
        unwritten = shown(
            *("backfill", "--quiet", "--since", "1d", "--to", f"sqlite:{tmp_path}/x.db"),
            *("--summary", summary),
        )
    missing = shown("status", "--to", f"sqlite:{tmp_path}/none/\x1b[2J/orders.db")

    assert json.loads(found)["purchaseOrderState"] == HOSTILE
    assert "A 2J" in refused
    assert "--summary" in unwritten
    assert "none" in missing
    assert DRIVES.findall(found + refused + unwritten + missing) == []
