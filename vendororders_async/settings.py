"""Settings: accounts from the environment or a file, secrets from wherever they are kept."""

from __future__ import annotations

import logging
import os
import stat
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TypeVar

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
from .shards import Shard

_COMMAND_SECONDS = 30
_OTHERS = stat.S_IROTH | stat.S_IWOTH
_FROM_ENVIRONMENT = "default"  # as `Account.from_env` names it

_log = logging.getLogger("vendororders_async")


# A text, or a table that says where it is kept
_Secret = str | dict[str, str | list[str]]

# What tells a file from the one that was there before, its mode last; None where there is none
_Stamp = tuple[int, ...] | None


_N = TypeVar("_N", Account, "_Account")


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
    return ConfiguredAccounts(path, environ).load()


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
    return ConfiguredAccounts(path, environ).load()


class ConfiguredAccounts:
    """The accounts that the user means, to be read again while a job runs.

        source = ConfiguredAccounts("accounts.toml", patterns=["acme-*"])
        accounts = source.load()
        if source.has_changed():        # now and then
            accounts = source.load()

    Which ones *path* and *environ* mean, `accounts_from` says; *patterns* choose of them,
    as `chosen` does, and of those a *shard* takes its part, which may be none. Secrets of
    other accounts are not looked at. The methods block, `load` as long as the secrets'
    commands take.
    """

    def __init__(
        self,
        path: str | Path | None = None,
        environ: Mapping[str, str] = os.environ,
        patterns: Iterable[str] = (),
        shard: Shard | None = None,
    ) -> None:
        path = path or environ.get("VENDORORDERS_ACCOUNTS")
        self._path = Path(path) if path else None
        self._environ = environ
        self._patterns = tuple(patterns)
        self._shard = shard
        self._stamps: dict[Path, _Stamp] = {}
        self._known: dict[str, Account] = {}
        self._secret_variables: frozenset[str] = frozenset()

    @property
    def path(self) -> Path | None:
        """The accounts file; None where the environment describes the account."""
        return self._path

    @property
    def secret_variables(self) -> frozenset[str]:
        """The variables of the environment that a file which `load` has read keeps secrets in.

        They are of all accounts, also of those that were not chosen or are no longer there.
        """
        return self._secret_variables

    def load(self) -> tuple[Account, ...]:
        """Return the accounts as they are now: files are read and commands run anew.

        Once that went well, an account that cannot be used any more stays as it was, and a
        new one is left out; a warning says so. The others do not wait for it.

        Raises:
            ConfigurationError: there is none, they cannot be used, or a pattern matches
                nothing.
        """
        if self._path:
            accounts = self._read(self._path)
        else:
            accounts = self._chosen([Account.from_env(self._environ)])
        self._known = {account.name: account for account in accounts}
        return tuple(accounts)

    def names(self) -> tuple[str, ...]:
        """Return what the accounts are called now; no secret is looked at.

        Raises:
            ConfigurationError: as `load`.
        """
        if self._path is None:
            found = [_Account(name=_FROM_ENVIRONMENT, refresh_token="")]
        else:
            found = _described(self._path, _Reader(self._path.parent, self._environ)).account
        return tuple(one.name for one in self._chosen(found))

    def _chosen(self, accounts: Iterable[_N]) -> list[_N]:
        try:
            found = chosen(accounts, self._patterns)
        except InvalidArgument as error:
            raise ConfigurationError(str(error)) from None
        if self._shard is None:
            return list(found)
        ours = set(self._shard.of(one.name for one in found))
        return [one for one in found if one.name in ours]

    def has_changed(self) -> bool:
        """Say whether a file that `load` looked for is another one by now.

        Neither the environment nor what a command would print is looked at.
        """
        return any(_stamp(path) != stamp for path, stamp in self._stamps.items())

    def _read(self, path: Path) -> list[Account]:
        reader = _Reader(path.parent, self._environ)
        try:
            found = _described(path, reader)
            self._secret_variables |= _secret_variables(found)
            described = self._chosen(found.account)
            accounts = list(self._usable(described, found, reader, path))
            if not self._known:
                _warn_of_others(reader.stamps)
        finally:
            self._stamps = reader.stamps
        if described and not accounts:
            raise ConfigurationError(f"{path}: no account in it can be used")
        return accounts

    def _usable(
        self, described: Iterable[_Account], found: _File, reader: _Reader, path: Path
    ) -> Iterator[Account]:
        for given in described:
            try:
                yield _account(given, found, reader, path)
            except ConfigurationError as error:
                if not self._known:
                    raise
                known = self._known.get(given.name)
                outcome = "it is left out" if known is None else "it stays as it was"
                _log.warning("%s; %s", error, outcome, extra={"account": given.name})
                if known is not None:
                    yield known


def chosen(accounts: Iterable[_N], patterns: Iterable[str]) -> tuple[_N, ...]:
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


def _described(path: Path, reader: _Reader) -> _File:
    try:
        found = msgspec.toml.decode(reader.read(path), type=_File)
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: {one_line(str(error))}") from None
    if not found.account:
        raise ConfigurationError(f"{path}: no [[account]] in it")
    names = [one.name for one in found.account]
    for name in names:
        if names.count(name) > 1:
            raise ConfigurationError(f"{path}: two accounts are called {name!r}")
    return found


def _secret_variables(found: _File) -> set[str]:
    secrets = [one.client_secret for one in _applications(found)]
    secrets += [one.refresh_token for one in found.account]
    return {
        name
        for given in secrets
        if isinstance(given, dict) and isinstance(name := given.get("env"), str)
    }


def _warn_of_others(stamps: Mapping[Path, _Stamp]) -> None:
    """Say once for all files that others can read the secrets in them, or put in their own."""
    # Not of a group: where an access list lets one user in, as systemd does for credentials,
    # the group's bits show that. https://man7.org/linux/man-pages/man5/acl.5.html
    modes = {path: stamp[-1] for path, stamp in stamps.items() if stamp and stamp[-1] & _OTHERS}
    if modes and os.name == "posix":
        more = f" and {len(modes) - 1} more of its files" if len(modes) > 1 else ""
        how = "changed" if any(mode & stat.S_IWOTH for mode in modes.values()) else "read"
        _log.warning("%s%s can be %s by other users; chmod 600", next(iter(modes)), more, how)


def _account(given: _Account, found: _File, reader: _Reader, path: Path) -> Account:
    where = f"{path}: account {given.name}"
    application = _application(given, found, where)
    try:
        return Account(
            name=given.name,
            credentials=Credentials(
                client_id=reader.secret(application.client_id, f"{where}: client_id"),
                client_secret=reader.secret(
                    application.client_secret, f"{where}: client_secret"
                ),
                refresh_token=reader.secret(given.refresh_token, f"{where}: refresh_token"),
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
    every = _applications(found)
    if len(every) != 1:
        raise ConfigurationError(f"{where}: say which application; the file has {len(every)}")
    return every[0]


def _applications(found: _File) -> list[_Application]:
    return [*found.applications.values(), *([found.application] if found.application else [])]


class _Reader:
    """Reads files, and secrets from where the accounts file says they are kept.

    It notes which files it looked for. A command that many accounts name runs once.
    """

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        self.stamps: dict[Path, _Stamp] = {}
        self._folder = folder
        self._environ = environ
        self._printed: dict[tuple[str, ...], tuple[str, str]] = {}

    def read(self, path: Path) -> bytes:
        self.stamps[path] = _stamp(path)  # first: a change while it is read is seen later
        return path.read_bytes()

    def secret(self, given: _Secret, what: str) -> str:
        if isinstance(given, str):
            return given
        match given:
            case {"env": str(name), **rest} if not rest:
                if not self._environ.get(name):
                    raise ConfigurationError(f"{what}: {name} is not set")
                return self._environ[name]
            case {"file": str(name), **rest} if not rest:
                try:
                    text = self.read((self._folder / name).expanduser()).decode().strip()
                except (OSError, UnicodeDecodeError) as error:
                    reason = getattr(error, "strerror", None) or "not text"
                    raise ConfigurationError(f"{what}: {name}: {reason}") from None
                if not text:  # as a file is for a moment while it is written
                    raise ConfigurationError(f"{what}: {name}: empty")
                return text
            case {"command": list(words), **rest} if not rest and words:
                command = tuple(words)
                if command not in self._printed:
                    self._printed[command] = _run(command)
                text, trouble = self._printed[command]
                if trouble:
                    raise ConfigurationError(f"{what}: the command {command[0]!r} {trouble}")
                return text
        raise ConfigurationError(
            f'{what}: a text, or {{ env = "…" }}, {{ file = "…" }} or {{ command = ["…"] }}'
        )


def _run(command: tuple[str, ...]) -> tuple[str, str]:
    """Return what *command* prints, and what was wrong with it."""
    try:
        done = subprocess.run(  # noqa: S603 - the user's own command, from the user's own file
            command, capture_output=True, check=False, text=True, timeout=_COMMAND_SECONDS
        )
    except subprocess.TimeoutExpired:
        return "", f"took longer than {_COMMAND_SECONDS} s"
    except (OSError, UnicodeDecodeError) as error:
        return "", f"failed ({getattr(error, 'strerror', None) or 'it printed no text'})"
    text, code = done.stdout.strip(), done.returncode  # nothing of it is told: it is secret
    return text, f"failed with exit code {code}" if code else "" if text else "printed nothing"


def _stamp(path: Path) -> _Stamp:
    """Return what is another one once the file was written, replaced or made readable.

    Links are followed: secrets are often exchanged by turning one round.
    """
    try:
        found = path.stat()
    except OSError:
        return None
    times = found.st_mtime_ns, found.st_ctime_ns
    return found.st_dev, found.st_ino, found.st_size, *times, found.st_mode
