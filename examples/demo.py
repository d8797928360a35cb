"""The main job from beginning to end, against a simulated Amazon: what `make demo` runs.

Set DEMO_PORT if something else listens on 8765.
"""

from __future__ import annotations

import os
import shlex
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rich.console import Console
from rich.table import Table

from vendororders_async.simulator import Settings, Simulator

DATABASE = Path("demo.db")
PORT = os.environ.get("DEMO_PORT", "8765")
SIMULATION = Settings(orders=6_500, days=180, latency=0.25)
SPAN = timedelta(days=150)

# A range that ended over a week ago: Amazon publishes late, so what is younger is read
# again by every run.
UNTIL = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=9)
SINCE = UNTIL - SPAN

QUERY = """
SELECT strftime('%Y-%m', o.purchase_order_date)    AS month,
       count(DISTINCT o.purchase_order_number)     AS orders,
       count(*)                                    AS lines,
       sum(l.ordered_eaches)                       AS eaches,
       printf('%.2f', sum(l.line_total))           AS net_cost
  FROM purchase_orders AS o
  JOIN purchase_order_lines AS l USING (account, api, purchase_order_number)
 GROUP BY month
 ORDER BY month
""".strip()

console = Console(soft_wrap=True)


def main() -> int:
    """Run the demo; the exit code is 0 when every order arrived."""
    options = [
        f"--port={PORT}",
        f"--orders={SIMULATION.orders}",
        f"--days={SIMULATION.days}",
        f"--latency={SIMULATION.latency}",
    ]
    with simulator(options) as environment:
        code = vendororders(
            [
                "backfill",
                f"--since={SINCE:%Y-%m-%d}",
                f"--until={UNTIL:%Y-%m-%d}",
                f"--to=sqlite:{DATABASE}",
            ],
            environment,
        )
    if code:
        return code
    with sqlite3.connect(DATABASE) as database:
        show_query(database)
        missing = missing_orders(database)
    database.close()
    if missing:
        console.print(f"[red]{len(missing)} orders are missing, {missing[0]} among them[/red]")
        return 1
    console.print("Every order that the simulator has for the range is in the table.")
    console.print("Run it again: what is finished is not asked for twice.")
    return 0


@contextmanager
def simulator(options: list[str]) -> Iterator[dict[str, str]]:
    """Run `vendororders simulate`, and yield the environment that points at it."""
    command = [sys.executable, "-m", "vendororders_async", "simulate", *options]
    console.print(f"[bold]$ vendororders simulate {' '.join(options)} &[/bold]")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None  # noqa: S101 - it is piped
            exports = [process.stdout.readline() for _ in range(5)]
            if not all(exports):
                raise SystemExit("the simulator did not start; is the port in use? (DEMO_PORT)")
            words = [shlex.split(line)[1].split("=", 1) for line in exports]
            yield os.environ | dict(words)
        finally:
            process.terminate()


def vendororders(arguments: list[str], environment: dict[str, str]) -> int:
    """Run the command that a user would type."""
    console.print(f"[bold]$ vendororders {' '.join(arguments)}[/bold]")
    command = [sys.executable, "-m", "vendororders_async", *arguments]
    return subprocess.run(command, env=environment, check=False).returncode


def show_query(database: sqlite3.Connection) -> None:
    """Print a query and its result."""
    console.print(f"[bold]$ sqlite3 {DATABASE}[/bold]")
    console.print(QUERY, highlight=False)
    rows = database.execute(QUERY)
    table = Table(*[column[0] for column in rows.description])
    for row in rows:
        table.add_row(*map(str, row))
    console.print(table)


def missing_orders(database: sqlite3.Connection) -> list[str]:
    """Return the orders of the range that the table does not have."""
    twin = Simulator(SIMULATION)  # the same settings give the same orders
    wanted = twin.truth(twin.accounts[0].name, after=SINCE, before=UNTIL)
    found = {
        row[0] for row in database.execute("SELECT purchase_order_number FROM purchase_orders")
    }
    return sorted(wanted.keys() - found)


if __name__ == "__main__":
    sys.exit(main())
