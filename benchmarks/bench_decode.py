"""What does decoding cost over msgspec alone? ``python -m benchmarks.bench_decode``.

Ours keeps each order's bytes, checks it by itself, and lets one bad order cost only itself;
the bare contender decodes the page into the same structs in one call, which any of its
orders can spoil. Every round runs all contenders in turn, in process time.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from collections.abc import Callable, Sequence

import msgspec

from vendororders_async.models.common import DateTimeInterval
from vendororders_async.models.retail_procurement import GetPurchaseOrdersResponse, Order
from vendororders_async.pages import decode_page

from . import data
from .report import Figure, arguments, report

LIMIT = 1.6  # times msgspec alone
REPEATS = 10  # pages a round


def main(given: Sequence[str] | None = None) -> bool:
    """Measure and print; return whether all is within its limits."""
    options = arguments(__doc__ or "", given, rounds=15)
    body = data.page()
    bare = msgspec.json.Decoder(
        GetPurchaseOrdersResponse, dec_hook=lambda _type, value: DateTimeInterval(value)
    )
    contenders: dict[str, Callable[[], object]] = {
        "msgspec alone": lambda: bare.decode(body),
        "decode_page": lambda: decode_page(body, Order),
        "json.loads, no types": lambda: json.loads(body),
    }
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for round_number in range(options.rounds + 1):  # the first one warms up
        for name, decode in contenders.items():
            taken = _process_seconds(decode)
            if round_number:
                seconds[name].append(taken)
    ratios = {
        name: [
            ours / alone for ours, alone in zip(values, seconds["msgspec alone"], strict=True)
        ]
        for name, values in seconds.items()
    }
    return report(
        f"Decoding a page of {len(body) / 1000:.0f} KB, 100 orders of 10 lines",
        [
            *(Figure(name, "ms", [1000 * one for one in seconds[name]]) for name in contenders),
            Figure("decode_page / msgspec alone", "times", ratios["decode_page"], LIMIT),
            Figure("json.loads / msgspec alone", "times", ratios["json.loads, no types"]),
        ],
        as_json=options.json,
    )


def _process_seconds(decode: Callable[[], object]) -> float:
    gc.collect()
    began_at = time.process_time()
    for _ in range(REPEATS):
        decode()
    return (time.process_time() - began_at) / REPEATS


if __name__ == "__main__":
    sys.exit(not main())
