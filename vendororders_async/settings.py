"""Settings: accounts from the environment or a file, secrets from wherever they are kept."""

from __future__ import annotations

import logging
import os
import stat
import subprocess
from collections.abc import Iterable, Mapping
from datetime import timedelta
from fnmatch import fnmatchcase
from pathlib import Path

import msgspec

from .accounts import (
    ACKNOWLEDGE_WITHIN,
    Account,
    Credentials,
    region_named,
    restricted_data_named,
)
from .clock import parse_age
from .errors import ConfigurationError, InvalidArgument, one_line

_COMMAND_SECONDS = 30

_log = logging.getLogger("vendororders_async")


# A text, or a table that says where it is kept
_Secret = str | dict[str, str | list[str]]


class _Application(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    client_id: _Secret
    client_secret: _Secret


class _Account(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    refresh_token: _Secret
    application: str | None = None
    region: str | None = None
    endpoint: str | None = None
    token_url: str | None = None
    marketplace: str | None = None
    tags: tuple[str, ...] = ()
    restricted_data: str | None = None
    acknowledge_within: str | None = None


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    account: list[_Account] = []
    application: _Application | None = None
    applications: dict[str, _Application] = {}


def accounts_from(
    path: str | None, environ: Mapping[str, str] = os.environ
) -> tuple[Account, ...]:
    """Return the accounts that the user means.

    They are those of the file at *path*, else of the one that ``VENDORORDERS_ACCOUNTS``
    names, else the one that the environment describes.

    Raises:
        ConfigurationError: there is none, or it cannot be used.
    """
    path = path or environ.get("VENDORORDERS_ACCOUNTS") or None
    return load_accounts(path, environ) if path else (Account.from_env(environ),)


def load_accounts(
    path: str | Path, environ: Mapping[str, str] = os.environ
) -> tuple[Account, ...]:
    """Return the accounts that a TOML file describes.

        accounts = load_accounts("accounts.toml")

    A secret is a string, or ``{ env = … }``, ``{ file = … }`` or ``{ command = […] }``;
    files are relative to the accounts file.

    Raises:
        ConfigurationError: the file or a secret cannot be read, or does not fit together.
    """
    path = Path(path)
    try:
        found = msgspec.toml.decode(path.read_bytes(), type=_File)
        mode = path.stat().st_mode
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: {one_line(str(error))}") from None
    if mode & (stat.S_IRGRP | stat.S_IROTH) and os.name == "posix":
        _log.warning("%s can be read by other users; chmod 600 it", path)
    if not found.account:
        raise ConfigurationError(f"{path}: no [[account]] in it")
    names = [one.name for one in found.account]
    for name in names:
        if names.count(name) > 1:
            raise ConfigurationError(f"{path}: two accounts are called {name!r}")
    reader = _SecretReader(path.parent, environ)
    return tuple(_account(one, found, reader, path) for one in found.account)


def chosen(accounts: Iterable[Account], patterns: Iterable[str]) -> tuple[Account, ...]:
    """Return the accounts whose names match one of *patterns* (``acme-*``); all if none.

    Raises:
        InvalidArgument: a pattern matches nothing.
    """
    accounts, patterns = tuple(accounts), tuple(patterns)
    for pattern in patterns:
        if not any(fnmatchcase(account.name, pattern) for account in accounts):
            known = ", ".join(account.name for account in accounts)
            raise InvalidArgument(f"no account is called {pattern!r}; there are {known}")
    return tuple(
        account
        for account in accounts
        if not patterns or any(fnmatchcase(account.name, pattern) for pattern in patterns)
    )


def _account(given: _Account, found: _File, reader: _SecretReader, path: Path) -> Account:
    where = f"{path}: account {given.name}"
    application = _application(given, found, where)
    try:
        return Account(
            name=given.name,
            credentials=Credentials(
                client_id=reader.read(application.client_id, f"{where}: client_id"),
                client_secret=reader.read(application.client_secret, f"{where}: client_secret"),
                refresh_token=reader.read(given.refresh_token, f"{where}: refresh_token"),
            ),
            region=region_named(given.region, given.marketplace),
            endpoint=given.endpoint,
            token_url=given.token_url,
            marketplace=given.marketplace,
            tags=given.tags,
            restricted_data=restricted_data_named(given.restricted_data),
            acknowledge_within=_within(given.acknowledge_within),
        )
    except ConfigurationError as error:
        message = str(error)
        raise ConfigurationError(
            message if message.startswith(where) else f"{where}: {message}"
        ) from None


def _within(text: str | None) -> timedelta:
    if text is None:
        return ACKNOWLEDGE_WITHIN
    try:
        age = parse_age(text)
    except OverflowError:
        age = None
    if not age:
        raise ConfigurationError(f"acknowledge_within is a time such as 24h, not {text!r}")
    return age


def _application(given: _Account, found: _File, where: str) -> _Application:
    if given.application is not None:
        if given.application not in found.applications:
            raise ConfigurationError(f"{where}: no [applications.{given.application}]")
        return found.applications[given.application]
    every = [*found.applications.values(), *([found.application] if found.application else [])]
    if len(every) != 1:
        raise ConfigurationError(
            f"{where}: say which application; {len(every)} are described in the file"
        )
    return every[0]


class _SecretReader:
    """Reads a secret from where the file says it is kept."""

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        self._folder = folder
        self._environ = environ

    def read(self, given: _Secret, what: str) -> str:
        if isinstance(given, str):
            return given
        match given:
            case {"env": str(name), **rest} if not rest:
                if not self._environ.get(name):
                    raise ConfigurationError(f"{what}: {name} is not set")
                return self._environ[name]
            case {"file": str(name), **rest} if not rest:
                try:
                    return (self._folder / name).expanduser().read_text().strip()
                except (OSError, UnicodeDecodeError) as error:
                    reason = getattr(error, "strerror", None) or "not text"
                    raise ConfigurationError(f"{what}: {name}: {reason}") from None
            case {"command": list(command), **rest} if not rest and command:
                return self._run(command, what)
        raise ConfigurationError(
            f'{what}: a text, or {{ env = "…" }}, {{ file = "…" }} or {{ command = ["…"] }}'
        )

    def _run(self, command: list[str], what: str) -> str:
        try:
            done = subprocess.run(  # noqa: S603 - the user's own command, from the user's own file
                command, capture_output=True, check=True, text=True, timeout=_COMMAND_SECONDS
            )
        except (OSError, subprocess.SubprocessError, UnicodeDecodeError) as error:
            # not the error itself: it may quote what the command printed
            raise ConfigurationError(
                f"{what}: the command {command[0]!r} failed ({type(error).__name__})"
            ) from None
        return done.stdout.strip()
