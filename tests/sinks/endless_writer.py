"""Write pages and finish windows until killed; one line for each finished window."""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import UTC, datetime, timedelta
from itertools import count

from vendororders_async.models.retail_procurement import Order
from vendororders_async.pages import Document, decode_document
from vendororders_async.sinks import open_sink
from vendororders_async.sinks.base import Arrival, Ledger
from vendororders_async.windows import FinishedWindow, Window

LEDGER = Ledger("acme-us", "retail", "created", "amazon")
START = datetime(2026, 1, 1, tzinfo=UTC)
PAGES, ORDERS = 3, 40  # in a window; the test counts with their product


async def main(url: str) -> None:
    """Give the orders of a window its day in their deal code, so that they can be counted."""
    async with open_sink(url) as sink:
        held = len(await sink.windows(LEDGER))
        for day in count(held):
            after = START + timedelta(days=day)
            window = Window(after, after + timedelta(days=1))
            await sink.begin(LEDGER, window)
            for page in range(PAGES):
                await sink.write(
                    Arrival(
                        LEDGER, window, after, [_order(day, page, n) for n in range(ORDERS)]
                    )
                )
            await sink.finish(LEDGER, FinishedWindow(window, after))
            sys.stdout.write(f"{day}\n")
            sys.stdout.flush()


def _order(day: int, page: int, number: int) -> Document[Order]:
    document = {
        "purchaseOrderNumber": f"{day}-{page}-{number}",
        "orderDetails": {"dealCode": str(day), "padding": "x" * 3000},
    }
    return decode_document(json.dumps(document).encode(), Order)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
