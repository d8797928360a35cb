"""``vendororders simulate``."""

from __future__ import annotations

import asyncio
import shlex
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import ConfigurationError
from ..simulator import KINDS, Settings, run_forever
from .jobs import until_signal

if TYPE_CHECKING:
    from ..simulator import Served

TOKEN_PATH = "/auth/o2/token"  # noqa: S105 - an address, no secret


@click.command("simulate")
@click.option("--port", type=click.IntRange(0, 65535), default=8700, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--orders", type=int, default=2_000, show_default=True, help="An account.")
@click.option(
    "--direct-fulfillment-orders",
    type=int,
    default=300,
    show_default=True,
    help="An account, besides --orders.",
)
@click.option("--days", type=int, default=180, show_default=True, help="Of history.")
@click.option("--rate", type=float, default=10.0, show_default=True, help="Requests a second.")
@click.option("--burst", type=float, default=10.0, show_default=True)
@click.option("--latency", type=float, default=0.2, show_default=True, help="Seconds.")
@click.option("--accounts", type=int, default=1, show_default=True)
@click.option(
    "--arrivals",
    type=float,
    default=0.0,
    show_default=True,
    help="New orders an hour, for each account and in both APIs; and all orders live on.",
)
@click.option(
    "--speed",
    type=float,
    default=1.0,
    show_default=True,
    help="How many times faster than at Amazon orders change, are acknowledged, received and "
    "closed; at 3600 that takes minutes.",
)
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="KIND=P",
    help=f"One of {', '.join(sorted(KINDS))}.",
)
def command(
    port: int,
    seed: int,
    orders: int,
    direct_fulfillment_orders: int,
    days: int,
    rate: float,
    burst: float,
    latency: float,
    accounts: int,
    arrivals: float,
    speed: float,
    faults: tuple[str, ...],
) -> int:
    """Run a local Selling Partner API in the foreground.

    Prints shell lines that point this tool at it (the path of an accounts file when there
    are several accounts); for example:

    \b
        vendororders simulate > simulator.env &
        . simulator.env && vendororders backfill --since 90d

    With ``--arrivals 60 --speed 3600`` it lives: an order comes every minute, and within
    minutes it is changed, acknowledged, received and closed.
    """  # noqa: D301 - click wants that character itself, not its name
    settings = Settings(
        seed=seed,
        orders=orders,
        direct_fulfillment_orders=direct_fulfillment_orders,
        days=days,
        rate=rate,
        burst=burst,
        latency=latency,
        accounts=accounts,
        arrivals_an_hour=arrivals,
        direct_arrivals_an_hour=arrivals,
        life_speed=speed,
        faults=dict(map(_fault, faults)),
    )
    with tempfile.TemporaryDirectory(prefix="vendororders-") as folder:

        def announce(served: Served) -> None:
            for line in shell_lines(served, Path(folder)):
                click.echo(line)

        serve = partial(run_forever, settings, port=port, ready=announce)
        try:
            signal_number = asyncio.run(until_signal(serve))
        except OSError as error:
            raise ConfigurationError(f"port {port} cannot be used: {error.strerror}") from None
    return 128 + signal_number if signal_number else 0


def shell_lines(served: Served, folder: Path) -> list[str]:
    """Return what a shell has to read to use the simulator in place of Amazon.

    Several accounts go into a file in *folder*, whose path is all that is printed.
    """
    token_url = served.url + TOKEN_PATH
    if len(served.accounts) > 1:
        path = folder / "accounts.toml"
        path.touch(mode=0o600)
        path.write_text(accounts_file(served, token_url))
        return [str(path)]
    [account] = served.accounts
    variables = {
        "LWA_APP_ID": account.client_id,
        "LWA_CLIENT_SECRET": account.client_secret,
        "SP_API_REFRESH_TOKEN": account.refresh_token,
        "SP_API_ENDPOINT": served.url,
        "LWA_ENDPOINT": token_url,
    }
    return [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]


def accounts_file(served: Served, token_url: str) -> str:
    """Return the accounts of the simulator as an accounts file."""
    entries = []
    for account in served.accounts:
        entries += [
            f"[applications.{account.name}]",
            f'client_id = "{account.client_id}"',
            f'client_secret = "{account.client_secret}"',
            "",
            "[[account]]",
            f'name = "{account.name}"',
            f'application = "{account.name}"',
            f'refresh_token = "{account.refresh_token}"',
            f'endpoint = "{served.url}"',
            f'token_url = "{token_url}"',
            "",
        ]
    return "\n".join(entries)


def _fault(text: str) -> tuple[str, float]:
    kind, separator, share = text.partition("=")
    try:
        return kind, float(share) if separator else 1.0
    except ValueError:
        raise ConfigurationError(f"write --fault {kind}=0.05, not {text!r}") from None
