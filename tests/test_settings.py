"""Accounts from files and the environment, secrets from wherever they are kept."""

from __future__ import annotations

import logging
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from vendororders_async.accounts import Region, RestrictedData
from vendororders_async.errors import ConfigurationError, InvalidArgument
from vendororders_async.settings import accounts_from, chosen, load_accounts

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


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no [[account]]"),
        (ACCOUNT, "which application; 0"),
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
            "failed",
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
    """Secrets belong to one user."""
    path = written(tmp_path, APPLICATION + ACCOUNT)
    path.chmod(0o644)
    with caplog.at_level(logging.WARNING, "vendororders_async"):
        load_accounts(path)

    assert "chmod 600" in caplog.text


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
