"""Write pages and finish windows until killed; one line for each finished window.

With a lease of so many seconds it locks the account: ``endless_writer.py URL ACCOUNT 0.6``.
"""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from itertools import count

from vendororders_async.models.retail_procurement import Order
from vendororders_async.pages import Document, decode_document
from vendororders_async.sinks import open_sink
from vendororders_async.sinks.base import Arrival, Ledger
from vendororders_async.sinks.postgres import PostgresSink
from vendororders_async.windows import FinishedWindow, Window

START = datetime(2026, 1, 1, tzinfo=UTC)
PAGES, ORDERS = 3, 40  # in a window; the test counts with their product


async def main(url: str, account: str = "acme-us", term: str = "") -> None:
    """Give the orders of a window its day in their deal code, so that they can be counted."""
    ledger = Ledger(account, "retail", "created", "amazon")
    sink = PostgresSink(url, term=float(term)) if term else open_sink(url)
    async with sink, sink.lock(account) if term else nullcontext():
        held = len(await sink.windows(ledger))
        for day in count(held):
            after = START + timedelta(days=day)
            window = Window(after, after + timedelta(days=1))
            await sink.begin(ledger, window)
            for page in range(PAGES):
                await sink.write(
                    Arrival(
                        ledger, window, after, [_order(day, page, n) for n in range(ORDERS)]
                    )
                )
            await sink.finish(ledger, FinishedWindow(window, after))
            sys.stdout.write(f"{day}\n")
            sys.stdout.flush()


def _order(day: int, page: int, number: int) -> Document[Order]:
    document = {
        "purchaseOrderNumber": f"{day}-{page}-{number}",
        "orderDetails": {"dealCode": str(day), "padding": "x" * 3000},
    }
    return decode_document(json.dumps(document).encode(), Order)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
