"""Accounts from files and the environment, secrets from wherever they are kept."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

import pytest

from vendororders_async.accounts import Account, Region, RestrictedData
from vendororders_async.errors import ConfigurationError, InvalidArgument
from vendororders_async.settings import (
    ConfiguredAccounts,
    accounts_from,
    chosen,
    load_accounts,
)

APPLICATION = '[application]\nclient_id = "amzn1.app"\nclient_secret = "hush"\n'
ACCOUNT = '[[account]]\nname = "acme-us"\nrefresh_token = "Atzr|1"\n'


def written(folder: Path, text: str) -> Path:
    """Write *text* as an accounts file that nobody else can read."""
    path = folder / "accounts.toml"
    path.write_text(text)
    path.chmod(0o600)
    return path


def test_a_plain_file_gives_its_accounts(tmp_path: Path) -> None:
    """One application, two accounts, with regions and labels."""
    path = written(
        tmp_path,
        APPLICATION
        + ACCOUNT
        + '[[account]]\nname = "acme-de"\nregion = "eu"\nrefresh_token = "Atzr|2"\n'
        'marketplace = "DE"\ntags = ["grocery"]\n',
    )
    us, de = load_accounts(path)

    assert (us.name, us.region, us.credentials.client_id) == ("acme-us", Region.NA, "amzn1.app")
    assert (de.name, de.region, de.marketplace, de.tags) == (
        "acme-de",
        Region.EU,
        "DE",
        ("grocery",),
    )


def test_several_applications_are_told_apart_by_name(tmp_path: Path) -> None:
    """An account says which application it is authorised for."""
    path = written(
        tmp_path,
        '[applications.one]\nclient_id = "id-1"\nclient_secret = "s"\n'
        '[applications.two]\nclient_id = "id-2"\nclient_secret = "s"\n'
        + ACCOUNT
        + 'application = "two"\n',
    )
    [account] = load_accounts(path)

    assert account.credentials.client_id == "id-2"


def test_secrets_come_from_environment_file_or_command(tmp_path: Path) -> None:
    """Nothing secret has to stand in the file itself."""
    (tmp_path / "secret.txt").write_text("from-file\n")
    command = [sys.executable, "-c", "print('from-command')"]
    path = written(
        tmp_path,
        '[application]\nclient_id = { env = "ID" }\nclient_secret = { file = "secret.txt" }\n'
        f'[[account]]\nname = "a"\nrefresh_token = {{ command = {command!r} }}\n',
    )
    [account] = load_accounts(path, {"ID": "from-env"})
    credentials = account.credentials

    assert credentials.client_id == "from-env"
    assert credentials.client_secret == "from-file"
    assert credentials.refresh_token == "from-command"


def test_it_is_known_which_variables_hold_secrets(tmp_path: Path) -> None:
    """Of every account and application, also after they were taken out; ids are no secrets."""
    path = written(
        tmp_path,
        '[applications.one]\nclient_id = { env = "ID" }\nclient_secret = { env = "ONE" }\n'
        '[applications.two]\nclient_id = "i"\nclient_secret = { env = "TWO" }\n'
        '[[account]]\nname = "a"\napplication = "one"\nrefresh_token = { env = "A" }\n'
        '[[account]]\nname = "b"\napplication = "one"\nrefresh_token = "plain"\n',
    )
    source = ConfiguredAccounts(path, {"ID": "i", "ONE": "s", "TWO": "s", "A": "t"}, ["b"])
    before = source.secret_variables
    source.load()
    first = source.secret_variables
    written(tmp_path, APPLICATION + ACCOUNT.replace("acme-us", "b"))
    source.load()

    assert before == set()
    assert first == {"ONE", "TWO", "A"}
    assert source.secret_variables == first


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no [[account]]"),
        (ACCOUNT, "which application; the file has 0"),
        (APPLICATION + ACCOUNT + ACCOUNT, "two accounts"),
        (APPLICATION + ACCOUNT + 'application = "other"\n', "applications.other"),
        (APPLICATION + ACCOUNT + 'regoin = "eu"\n', "regoin"),
        (APPLICATION + ACCOUNT + 'region = "mars"\n', "mars"),
        (APPLICATION + ACCOUNT + 'endpoint = "http://example.com"\n', "https"),
        (
            APPLICATION + '[[account]]\nname = "a"\nrefresh_token = ""\n',
            "refresh_token is empty",
        ),
        (
            APPLICATION + '[[account]]\nname = "a"\nrefresh_token = { env = "NO" }\n',
            "NO is not set",
        ),
        (
            APPLICATION + '[[account]]\nname = "a"\nrefresh_token = { file = "no" }\n',
            "No such file",
        ),
        (APPLICATION + '[[account]]\nname = "a"\nrefresh_token = { vault = "x" }\n', "env ="),
        (
            APPLICATION + '[[account]]\nname = "a"\nrefresh_token = { command = ["false"] }\n',
            "the command 'false' failed with exit code 1",
        ),
        (
            APPLICATION + '[[account]]\nname = "a"\nrefresh_token = { command = ["no-one"] }\n',
            "the command 'no-one' failed (No such file or directory)",
        ),
        (
            APPLICATION + '[[account]]\nname = "a"\nrefresh_token = { command = ["true"] }\n',
            "printed nothing",
        ),
        (APPLICATION + ACCOUNT + 'restricted_data = "pii"\n', "auto, rdt, lwa, not 'pii'"),
        (
            APPLICATION + ACCOUNT + 'restricted_data = "rdt"\n'
            'endpoint = "https://sandbox.sellingpartnerapi-na.amazon.com"\n',
            "of production only: set it to auto or lwa",
        ),
        (APPLICATION + ACCOUNT + 'acknowledge_within = "soon"\n', "a time such as 24h"),
        (APPLICATION + ACCOUNT + 'acknowledge_within = "0h"\n', "a time such as 24h"),
        (APPLICATION + ACCOUNT + f'acknowledge_within = "{10**12}w"\n', "such as 24h"),
        ("[[account]\n", "accounts.toml"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_with_its_place(
    text: str, words: str, tmp_path: Path
) -> None:
    """The error names the file and what is wrong, and quotes no secret."""
    path = written(tmp_path, text)
    with pytest.raises(ConfigurationError) as raised:
        load_accounts(path, {})

    assert str(path) in str(raised.value)
    assert words in str(raised.value)
    assert "hush" not in str(raised.value)


def test_a_file_that_others_can_read_draws_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Secrets belong to one user; it is said once, however often they are read again."""
    path = written(tmp_path, APPLICATION + ACCOUNT)
    path.chmod(0o644)
    source = ConfiguredAccounts(path, {})
    with caplog.at_level(logging.WARNING, "vendororders_async"):
        source.load()
        source.load()

    assert caplog.text.count("chmod 600") == 1


@pytest.mark.tells("a secret", "a file", because="it is kept there by whoever uses it")
@pytest.mark.parametrize(("mode", "words"), [(0o604, "read"), (0o602, "changed")])
def test_a_secret_that_others_can_reach_draws_the_same(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, mode: int, words: str
) -> None:
    """Also to change it is to put in an account, or a command, of somebody else's."""
    path = written(tmp_path, APPLICATION + BERLIN)
    secret = tmp_path / "berlin.token"
    secret.write_text("Atzr|berlin")
    secret.chmod(mode)
    with caplog.at_level(logging.WARNING, "vendororders_async"):
        load_accounts(path)

    assert f"berlin.token can be {words} by other users" in caplog.text
    assert "Atzr" not in caplog.text


def test_a_group_that_may_read_the_file_draws_none(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is how a service that is let in by an access list looks."""
    path = written(tmp_path, APPLICATION + ACCOUNT)
    path.chmod(0o440)
    with caplog.at_level(logging.WARNING, "vendororders_async"):
        load_accounts(path)

    assert caplog.text == ""


def test_the_command_line_goes_before_the_environment(tmp_path: Path) -> None:
    """--accounts, then VENDORORDERS_ACCOUNTS, then the one account of the environment."""
    path = written(tmp_path, APPLICATION + ACCOUNT)
    single = {"LWA_APP_ID": "i", "LWA_CLIENT_SECRET": "s", "SP_API_REFRESH_TOKEN": "t"}

    def names(path: str | None, environ: dict[str, str]) -> list[str]:
        return [account.name for account in accounts_from(path, environ)]

    assert names(str(path), single) == ["acme-us"]
    assert names(None, single | {"VENDORORDERS_ACCOUNTS": str(path)}) == ["acme-us"]
    assert names(None, single) == ["default"]


def test_accounts_are_chosen_by_pattern(tmp_path: Path) -> None:
    """A pattern that matches nothing is a mistake, not an empty run."""
    more = ACCOUNT.replace("acme-us", "other")
    accounts = load_accounts(written(tmp_path, APPLICATION + ACCOUNT + more))

    assert [one.name for one in chosen(accounts, ["acme-*"])] == ["acme-us"]
    assert chosen(accounts, []) == accounts
    with pytest.raises(InvalidArgument, match=r"acme-us, other"):
        chosen(accounts, ["nobody"])


def test_an_account_says_how_it_treats_customers_and_time(tmp_path: Path) -> None:
    """Which token asks for customers' details, and how long an order may wait."""
    path = written(
        tmp_path,
        APPLICATION
        + ACCOUNT
        + 'restricted_data = "LWA"\nacknowledge_within = "4h"\n'
        + '[[account]]\nname = "plain"\nrefresh_token = "t"\n',
    )
    told, plain = load_accounts(path, {})

    assert (told.restricted_data, told.acknowledge_within) == (
        RestrictedData.LWA,
        timedelta(hours=4),
    )
    assert (plain.restricted_data, plain.acknowledge_within) == (
        RestrictedData.AUTO,
        timedelta(hours=24),
    )


KEPT = '[application]\nclient_id = "amzn1.app"\nclient_secret = { file = "secret" }\n' + ACCOUNT
BERLIN = '[[account]]\nname = "berlin"\nrefresh_token = { file = "berlin.token" }\n'
PARIS = '[[account]]\nname = "paris"\nrefresh_token = { file = "paris.token" }\n'


def secrets(accounts: Iterable[Account]) -> dict[str, str]:
    """Return the refresh token of each account."""
    return {account.name: account.credentials.refresh_token for account in accounts}


def test_a_rotated_secret_is_seen_and_read(tmp_path: Path) -> None:
    """Somebody writes a new one into its file while a sync runs."""
    (tmp_path / "secret").write_text("of spring\n")
    source = ConfiguredAccounts(written(tmp_path, KEPT), {})
    [before] = source.load()
    had_changed = source.has_changed()
    (tmp_path / "secret").write_text("of autumn\n")
    has_changed = source.has_changed()
    [after] = source.load()

    assert (had_changed, has_changed, source.has_changed()) == (False, True, False)
    assert before.credentials.client_secret == "of spring"
    assert after.credentials.client_secret == "of autumn"
    assert after.source == before.source  # the same data: nothing is read twice for it


def test_a_secret_that_is_exchanged_as_containers_do_it_is_seen(tmp_path: Path) -> None:
    """A link is turned round to another folder; text, length and time may all be the same."""
    for version in ("one", "two"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "secret").write_text(version)
        os.utime(tmp_path / version / "secret", (1.0, 1.0))
    (tmp_path / "now").symlink_to("one")
    (tmp_path / "secret").symlink_to(Path("now", "secret"))
    source = ConfiguredAccounts(written(tmp_path, KEPT), {})
    source.load()
    had_changed = source.has_changed()
    (tmp_path / "later").symlink_to("two")
    (tmp_path / "later").rename(tmp_path / "now")

    assert not had_changed
    assert source.has_changed()
    assert source.load()[0].credentials.client_secret == "two"


def test_an_account_that_is_added_is_seen(tmp_path: Path) -> None:
    """The accounts file itself is watched as well, and patterns hold for what is new."""
    path = written(tmp_path, APPLICATION + ACCOUNT)
    source = ConfiguredAccounts(path, {}, patterns=["acme-*"])
    source.load()
    more = ACCOUNT.replace("acme-us", "acme-jp") + ACCOUNT.replace("acme-us", "other")
    path.write_text(APPLICATION + ACCOUNT + more)

    assert source.has_changed()
    assert [account.name for account in source.load()] == ["acme-us", "acme-jp"]


@pytest.mark.parametrize(
    ("text", "words"), [("", "secret: empty"), (None, "secret: No such file")]
)
def test_a_secret_in_the_making_is_no_secret(
    text: str | None, words: str, tmp_path: Path
) -> None:
    """Half written or not there for a moment: it is an error, and a change once it is there."""
    if text is not None:
        (tmp_path / "secret").write_text(text)
    source = ConfiguredAccounts(written(tmp_path, KEPT), {})
    with pytest.raises(ConfigurationError, match=words):
        source.load()
    had_changed = source.has_changed()
    (tmp_path / "secret").write_text("of autumn")

    assert not had_changed
    assert source.has_changed()
    assert source.load()[0].credentials.client_secret == "of autumn"


@pytest.mark.tells("a secret", "a file", because="it is kept there by whoever uses it")
def test_one_unreadable_secret_keeps_no_other_from_being_rotated(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What cannot be read stays as it was, or out if it is new, and a warning says so."""
    path = written(tmp_path, APPLICATION + ACCOUNT + BERLIN)
    (tmp_path / "berlin.token").write_text("Atzr|berlin")
    source = ConfiguredAccounts(path, {})
    source.load()
    (tmp_path / "berlin.token").unlink()
    path.write_text((APPLICATION + ACCOUNT).replace("Atzr|1", "Atzr|2") + BERLIN + PARIS)
    with caplog.at_level(logging.WARNING, "vendororders_async"):
        found = secrets(source.load())
    (tmp_path / "berlin.token").write_text("Atzr|again")

    assert found == {"acme-us": "Atzr|2", "berlin": "Atzr|berlin"}
    told = [record.getMessage() for record in caplog.records]
    assert [one.partition("account ")[2] for one in told if "chmod" not in one] == [
        "berlin: refresh_token: berlin.token: No such file or directory; it stays as it was",
        "paris: refresh_token: paris.token: No such file or directory; it is left out",
    ]
    assert source.has_changed()
    assert secrets(source.load()) == {"acme-us": "Atzr|2", "berlin": "Atzr|again"}


def test_at_the_beginning_everything_has_to_be_in_order(tmp_path: Path) -> None:
    """Somebody is there to mend it."""
    source = ConfiguredAccounts(written(tmp_path, APPLICATION + ACCOUNT + BERLIN), {})
    with pytest.raises(ConfigurationError, match=r"account berlin: refresh_token"):
        source.load()


@pytest.mark.parametrize("text", ["[[account]\n", APPLICATION + PARIS])
def test_a_file_without_a_usable_account_is_refused(text: str, tmp_path: Path) -> None:
    """Whoever runs goes on with the accounts it has, until the file is mended."""
    path = written(tmp_path, APPLICATION + ACCOUNT)
    source = ConfiguredAccounts(path, {})
    before = source.load()
    path.write_text(text)
    with pytest.raises(ConfigurationError):
        source.load()
    path.write_text(APPLICATION + ACCOUNT)

    assert source.has_changed()
    assert source.load() == before


def test_a_pattern_whose_account_was_removed_is_an_error_of_the_settings(
    tmp_path: Path,
) -> None:
    """It is one kind of error, whatever went wrong with the accounts."""
    path = written(tmp_path, APPLICATION + ACCOUNT + ACCOUNT.replace("acme-us", "other"))
    source = ConfiguredAccounts(path, {}, patterns=["acme-*"])
    source.load()
    path.write_text(APPLICATION + ACCOUNT.replace("acme-us", "other"))

    with pytest.raises(ConfigurationError, match=r"acme-\*.*there are other"):
        source.load()


def test_a_command_is_run_once_a_time_and_again_the_next_time(tmp_path: Path) -> None:
    """Hundreds of accounts share an application, and its secret may have been rotated."""
    count = tmp_path / "count"
    code = f"f = open({str(count)!r}, 'a+'); f.write('x'); f.seek(0); print(f.read())"
    application = (
        '[application]\nclient_id = "amzn1.app"\n'
        f"client_secret = {{ command = {[sys.executable, '-c', code]!r} }}\n"
    )
    more = ACCOUNT.replace("acme-us", "other")
    source = ConfiguredAccounts(written(tmp_path, application + ACCOUNT + more), {})
    found = [[one.credentials.client_secret for one in source.load()] for _ in range(2)]

    assert found == [["x", "x"], ["xx", "xx"]]


def test_the_account_of_the_environment_is_read_the_same_way() -> None:
    """There is no file to watch."""
    environ = {"LWA_APP_ID": "i", "LWA_CLIENT_SECRET": "s", "SP_API_REFRESH_TOKEN": "t"}
    source = ConfiguredAccounts(None, environ)
    before = secrets(source.load())
    environ["SP_API_REFRESH_TOKEN"] = "u"

    assert not source.has_changed()
    assert (before, secrets(source.load())) == ({"default": "t"}, {"default": "u"})
