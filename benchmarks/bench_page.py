"""What does a page cost, from socket to SQLite? ``python -m benchmarks.bench_page``.

*Bare*: aiohttp reads a gzip'd page over TLS, gunzip, msgspec decodes it into the package's
structs in one go, one executemany writes its rows into an SQLite file (WAL) in one
transaction. *Ours*: the same by parts, and then as a whole, through the dispatcher and into
the sink, as new orders and once more as unchanged ones. CPU of the client alone, with its
threads; the server is a process of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec

from .report import Figure, arguments, report
from .server import KINDS, make_certificate, serving

LIMIT = 1.5  # times the sum of the bare parts
PACE = 10  # pages a second of an account


def main(given: Sequence[str] | None = None) -> bool:
    """Measure and print; return whether all is within its limits."""
    options = arguments(__doc__ or "", given, rounds=9)
    measured = {
        kind: [*parts, *_derived(parts)] for kind, parts in measure(options.rounds).items()
    }
    verdicts = [
        report(
            "CPU of a {} page, {} × {} lines, gzip, TLS, SQLite".format(kind, *KINDS[kind]),
            figures,
            as_json=options.json,
        )
        for kind, figures in measured.items()
    ]
    if options.plots:
        from .plots import Part, draw_page_cost  # noqa: PLC0415 - needs the dependency group bench

        draw_page_cost([Part(*one) for one in side_by_side(measured["full"])], options.plots)
    return all(verdicts)


# What is drawn: names of figures to be summed, of the bare parts and of ours.
_PAIRS = {
    "read and gunzip": (
        ("bare: aiohttp read", "bare: gunzip"),
        ("ours: read and gunzip",),
    ),
    "decode": (("bare: msgspec decode",), ("ours: decode_page",)),
    "store, new": (("bare: executemany",), ("ours: sink.write, new",)),
    "store, unchanged": ((), ("ours: sink.write, unchanged",)),
    "socket to SQLite, new": (("bare: sum",), ("ours: socket to SQLite, new",)),
    "socket to SQLite, unchanged": ((), ("ours: socket to SQLite, unchanged",)),
}


def side_by_side(
    figures: Sequence[Figure],
) -> list[tuple[str, float | None, float | None]]:
    """Return each part by its name, with what it costs bare, where that exists, and ours."""
    costs = {one.name: one.median for one in figures}

    def cost(names: Sequence[str]) -> float | None:
        return sum(costs[name] for name in names) if names else None

    return [(name, cost(bare), cost(ours)) for name, (bare, ours) in _PAIRS.items()]


def measure(rounds: int) -> dict[str, list[Figure]]:
    """Return what each part of a page costs in milliseconds, by the kind of page."""
    with (
        tempfile.TemporaryDirectory() as folder,
        serving(*(files := make_certificate(Path(folder)))) as address,
    ):
        answer = subprocess.run(
            [sys.executable, "-m", "benchmarks.page_cost", address, str(rounds)],
            env=os.environ | {"SSL_CERT_FILE": str(files[0])},
            stdout=subprocess.PIPE,
            check=True,
        )
    costs = msgspec.json.decode(answer.stdout, type=dict[str, dict[str, list[float]]])
    return {
        kind: [Figure(name, "ms", values) for name, values in parts.items()]
        for kind, parts in costs.items()
    }


def _derived(parts: Sequence[Figure]) -> list[Figure]:
    bare = [
        sum(costs)
        for costs in zip(
            *(one.values for one in parts if one.name.startswith("bare")), strict=True
        )
    ]
    whole = next(one.values for one in parts if one.name.endswith("SQLite, new"))
    return [
        Figure("bare: sum", "ms", bare),
        Figure(
            "ours / bare", "times", [a / b for a, b in zip(whole, bare, strict=True)], LIMIT
        ),
        Figure(
            f"accounts a core at {PACE} a second", "", [1000 / (PACE * one) for one in whole]
        ),
    ]


if __name__ == "__main__":
    sys.exit(not main())
