"""Several accounts in a file, and what a database holds of each."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from vendororders_async.accounts import Account


def accounts_file(folder: Path, accounts: Iterable[Account]) -> Path:
    """Write a file that describes *accounts*."""
    lines: list[str] = []
    for number, account in enumerate(accounts):
        ours = account.credentials
        lines += [
            f"[applications.a{number}]",
            f'client_id = "{ours.client_id}"',
            f'client_secret = "{ours.client_secret}"',
            "[[account]]",
            f'name = "{account.name}"',
            f'application = "a{number}"',
            f'refresh_token = "{ours.refresh_token}"',
            f'endpoint = "{account.base_url}"',
            f'token_url = "{account.login_url}"',
        ]
    path = folder / "accounts.toml"
    path.write_text("\n".join(lines))
    path.chmod(0o600)
    return path


def stored_by_account(path: Path) -> dict[str, dict[str, bytes]]:
    """Return the orders of each account in the database at *path*, which must be sound."""
    found: dict[str, dict[str, bytes]] = {}
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        rows = database.execute(
            "SELECT account, purchase_order_number, document FROM purchase_orders"
        )
        for account, number, document in rows:
            found.setdefault(account, {})[number] = document.encode()
    return found
