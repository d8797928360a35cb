"""Accounts: read from the environment, sent only where tokens may go, masked when shown."""

from __future__ import annotations

import copy
import pickle
from ipaddress import IPv4Address

import msgspec
import pytest
from rich.pretty import pretty_repr

from vendororders_async.accounts import (
    REGION_OF_MARKETPLACE,
    TOKEN_URL,
    Account,
    Credentials,
    Region,
    RestrictedData,
    check_address,
    is_loopback,
    region_named,
)
from vendororders_async.errors import ConfigurationError

CREDENTIALS = Credentials(
    client_id="amzn1.application-oa2-client.1",
    client_secret="s3cret",
    refresh_token="Atzr|t0ken",
)
ENVIRON = {
    "LWA_APP_ID": "amzn1.x",
    "LWA_CLIENT_SECRET": "s3cret",
    "SP_API_REFRESH_TOKEN": "Atzr|t0ken",
}


def account(**changes: str | None) -> Account:
    """Return a plain account with *changes*."""
    return msgspec.structs.replace(Account(name="germany", credentials=CREDENTIALS), **changes)


def test_the_environment_describes_one_account() -> None:
    """Three names are needed, the rest has defaults."""
    found = Account.from_env(ENVIRON)

    assert found == Account(
        name="default",
        credentials=Credentials(
            client_id="amzn1.x", client_secret="s3cret", refresh_token="Atzr|t0ken"
        ),
    )
    assert found.base_url == "https://sellingpartnerapi-na.amazon.com"
    assert found.login_url == TOKEN_URL == "https://api.amazon.com/auth/o2/token"


def test_the_application_id_has_two_names() -> None:
    """Both are in the wild; Amazon's own word wins."""
    environ = {**ENVIRON, "LWA_CLIENT_ID": "amzn1.y"}

    assert Account.from_env(environ).credentials.client_id == "amzn1.x"
    assert Account.from_env({**environ, "LWA_APP_ID": ""}).credentials.client_id == "amzn1.y"


@pytest.mark.parametrize("missing", sorted(ENVIRON))
@pytest.mark.parametrize("how", ["absent", "empty"])
def test_what_is_missing_is_named(missing: str, how: str) -> None:
    """The error says which variable to set, and shows none of the others' values."""
    environ = {name: value for name, value in ENVIRON.items() if name != missing}
    if how == "empty":
        environ[missing] = ""

    with pytest.raises(ConfigurationError) as caught:
        Account.from_env(environ)

    assert str(caught.value).startswith(f"{missing} not set")
    assert not any(value in str(caught.value) for value in ENVIRON.values())


def test_all_that_is_missing_is_named_at_once() -> None:
    """Nobody likes to learn of them one by one."""
    with pytest.raises(
        ConfigurationError, match="LWA_APP_ID, LWA_CLIENT_SECRET, SP_API_REFRESH_TOKEN"
    ):
        Account.from_env({})


@pytest.mark.parametrize("name", sorted(ENVIRON))
def test_a_blank_secret_is_no_secret(name: str) -> None:
    """White space alone came from a mistake in a file."""
    with pytest.raises(ConfigurationError, match="is empty"):
        Account.from_env({**ENVIRON, name: " \n"})


@pytest.mark.parametrize(
    ("extra", "region"),
    [
        ({}, Region.NA),
        ({"SP_API_REGION": ""}, Region.NA),
        ({"SP_API_REGION": "eu"}, Region.EU),
        ({"SP_API_REGION": "FE"}, Region.FE),
        ({"SP_API_DEFAULT_MARKETPLACE": "DE"}, Region.EU),
        ({"SP_API_DEFAULT_MARKETPLACE": "de"}, Region.EU),
        ({"SP_API_DEFAULT_MARKETPLACE": "UK"}, Region.EU),
        ({"SP_API_DEFAULT_MARKETPLACE": "GB"}, Region.EU),
        ({"SP_API_DEFAULT_MARKETPLACE": "MX"}, Region.NA),
        ({"SP_API_DEFAULT_MARKETPLACE": "JP"}, Region.FE),
        ({"SP_API_REGION": "na", "SP_API_DEFAULT_MARKETPLACE": "JP"}, Region.NA),
    ],
)
def test_the_region_is_named_or_follows_from_the_marketplace(
    extra: dict[str, str], region: Region
) -> None:
    """A region that is named wins over one that is guessed from a country."""
    found = Account.from_env({**ENVIRON, **extra})

    assert found.region == region
    assert found.base_url == f"https://sellingpartnerapi-{region.value}.amazon.com"
    assert found.marketplace == (extra.get("SP_API_DEFAULT_MARKETPLACE") or None)


@pytest.mark.parametrize(
    ("region", "marketplace", "words"),
    [
        ("us", None, "region must be na, eu or fe, not 'us'"),
        (None, "XX", "no region is known for marketplace 'XX'"),
    ],
)
def test_an_unknown_place_is_refused(
    region: str | None, marketplace: str | None, words: str
) -> None:
    """A misspelt region must not fall back to America."""
    with pytest.raises(ConfigurationError, match=words):
        region_named(region, marketplace)


def test_every_marketplace_has_one_region() -> None:
    """As in Amazon's table of endpoints, with both names of Great Britain."""
    assert len(REGION_OF_MARKETPLACE) == 4 + 17 + 3
    assert set(REGION_OF_MARKETPLACE.values()) == set(Region)


def test_the_environment_may_point_elsewhere() -> None:
    """The simulator is an endpoint and a token URL."""
    found = Account.from_env(
        {
            **ENVIRON,
            "SP_API_ENDPOINT": "http://127.0.0.1:8080/",
            "LWA_ENDPOINT": "http://127.0.0.1:8080/auth/o2/token",
        }
    )

    assert found.base_url == "http://127.0.0.1:8080"
    assert found.login_url == "http://127.0.0.1:8080/auth/o2/token"


@pytest.mark.parametrize(
    "url",
    [
        "https://sellingpartnerapi-eu.amazon.com",
        "https://proxy.example:8443/amazon",
        "HTTPS://EXAMPLE.COM",
        "http://localhost:8080",
        "http://LOCALHOST",
        "HTTP://127.0.0.1:1",
        "http://127.9.9.9",
        "http://[::1]:8080",
    ],
)
def test_tokens_may_go_over_tls_or_stay_on_this_machine(url: str) -> None:
    """Plain http is for the simulator."""
    check_address(url, "the endpoint")

    assert account(endpoint=url).base_url == url
    assert account(token_url=url).login_url == url


@pytest.mark.parametrize(
    "url",
    [
        "http://sellingpartnerapi-eu.amazon.com",
        "http://localhost.evil.com",
        "http://localhost@evil.com",
        "http://127.0.0.1@evil.com",
        "http://evil.com#@127.0.0.1",
        "http://evil.com?@localhost",
        "http://evil.com\\@localhost",
        "http://localhost\\.evil.com",
        "http://127.0.0.1.evil.com",
        "http://127.0.0.1:80@evil.com",
        "http://[::1]@evil.com",
        "http://10.0.0.1",
        "http://0.0.0.0",
        "http://[::]",
        "http://192.168.0.1",
        "https://user:pass@sellingpartnerapi-eu.amazon.com",
        "https://@evil.com",
        "ftp://localhost",
        "file:///etc/passwd",
        "//localhost",
        "localhost:8080",
        "sellingpartnerapi-eu.amazon.com",
        "https://",
        "https:///path",
        "http://",
        " ",
    ],
)
def test_tokens_go_nowhere_else(url: str) -> None:
    """Whatever looks like this machine, but is not, is refused before anything is sent."""
    with pytest.raises(ConfigurationError, match="must be an https URL"):
        account(endpoint=url)
    with pytest.raises(ConfigurationError, match="must be an https URL"):
        account(token_url=url)


@pytest.mark.parametrize(
    "url",
    [
        "https://[bad",
        "http://[::1",
        "https://example.com:99999",
        "https://example.com:port",
        "https://exa mple.com",
        "https://example.com\n.evil.com",
    ],
)
def test_what_is_no_address_is_a_configuration_error(url: str) -> None:
    """A malformed address is told in our words, when it is set and not when it is used."""
    with pytest.raises(ConfigurationError):
        account(endpoint=url)


@pytest.mark.parametrize(
    "url", ["https://example.com?a=b", "https://example.com#x", "https://example.com/?"]
)
def test_an_endpoint_is_what_a_path_can_be_added_to(url: str) -> None:
    """Behind a query or a fragment, the path of an operation would be lost."""
    with pytest.raises(ConfigurationError):
        account(endpoint=url)


def test_an_address_with_a_password_is_refused_without_showing_it() -> None:
    """The refusal is logged; the password in it must not be."""
    with pytest.raises(ConfigurationError) as caught:
        account(endpoint="https://user:hunter2@example.com")

    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.1.2.3", "::1"])
def test_loopback_is_this_machine(host: str) -> None:
    """By name or by address, without asking a resolver."""
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host",
    ["", "localhost.", "127.1", "2130706433", "0x7f.1", "evil.com", "::", str(IPv4Address(0))],
)
def test_what_only_looks_like_it_is_not(host: str) -> None:
    """Spellings that some resolver might take for loopback are not enough."""
    assert not is_loopback(host)


@pytest.mark.parametrize("name", ["", "a\nb", "a\x1b[31m", "a\u2028"])
def test_an_account_has_a_name_that_prints(name: str) -> None:
    """It stands in every log line."""
    with pytest.raises(ConfigurationError, match="printable name"):
        Account(name=name, credentials=CREDENTIALS)


@pytest.mark.parametrize(
    "shown", [repr(CREDENTIALS), repr(account())], ids=["credentials", "account"]
)
def test_secrets_are_masked(shown: str) -> None:
    """A repr ends up in logs and tracebacks."""
    assert "***" in shown
    assert CREDENTIALS.client_id in shown
    assert "s3cret" not in shown
    assert "t0ken" not in shown


def test_secrets_are_masked_for_rich_as_well() -> None:
    """Pretty tracebacks show locals, and ask msgspec's structs in another way than repr."""
    shown = pretty_repr(account())

    assert "s3cret" not in shown
    assert "t0ken" not in shown


def test_credentials_travel_whole() -> None:
    """Masking is for people: a copy or a pickle still works."""
    assert copy.copy(CREDENTIALS) == CREDENTIALS
    assert pickle.loads(pickle.dumps(CREDENTIALS)) == CREDENTIALS  # noqa: S301 - our own bytes
    assert pickle.loads(pickle.dumps(account())) == account()  # noqa: S301 - our own bytes


def test_the_source_tells_data_apart() -> None:
    """Endpoint, application and account make the source; nothing else does."""
    other_app = msgspec.structs.replace(CREDENTIALS, client_id="amzn1.other")
    sources = [
        account().source,
        account(endpoint="http://127.0.0.1:8080").source,
        account(endpoint="https://sandbox.sellingpartnerapi-na.amazon.com").source,
        account(name="france").source,
        msgspec.structs.replace(account(), region=Region.EU).source,
        msgspec.structs.replace(account(), credentials=other_app).source,
    ]

    assert len(set(sources)) == len(sources)
    assert all(len(source) == 16 and source.isalnum() for source in sources)


def test_the_source_outlives_a_new_client_secret_and_tells_vendor_groups_apart() -> None:
    """Amazon rotates client secrets; a refresh token is one vendor group's."""
    rotated = msgspec.structs.replace(CREDENTIALS, client_secret="s3cret-new")
    another = msgspec.structs.replace(CREDENTIALS, refresh_token="Atzr|another")

    assert msgspec.structs.replace(account(), credentials=rotated).source == account().source
    assert msgspec.structs.replace(account(), credentials=another).source != account().source
    assert (
        account(endpoint="https://sellingpartnerapi-na.amazon.com/").source == account().source
    )
    assert account(token_url="https://example.com").source == account().source


@pytest.mark.parametrize(
    ("endpoint", "sandbox"),
    [
        (None, False),
        ("https://sandbox.sellingpartnerapi-eu.amazon.com", True),
        ("https://sellingpartnerapi-eu.amazon.com/sandbox.", False),
        ("http://127.0.0.1:1", False),
    ],
)
def test_the_sandbox_is_known_by_its_host(endpoint: str | None, sandbox: bool) -> None:
    """Its own cases break Amazon's rules, so ours are looser there."""
    assert account(endpoint=endpoint).is_sandbox is sandbox


@pytest.mark.parametrize(
    ("text", "mode"),
    [(None, "auto"), ("", "auto"), ("RDT", "rdt"), ("lwa", "lwa"), ("auto", "auto")],
)
def test_the_environment_says_which_token_asks_for_customers(
    text: str | None, mode: str
) -> None:
    """In any case of letters; automatically, where it says nothing."""
    environ = ENVIRON | ({} if text is None else {"SP_API_RESTRICTED_DATA": text})

    assert Account.from_env(environ).restricted_data == RestrictedData(mode)


def test_an_unknown_way_to_customers_is_refused() -> None:
    """The error names the ways there are."""
    with pytest.raises(ConfigurationError, match=r"auto, rdt, lwa, not 'both'"):
        Account.from_env(ENVIRON | {"SP_API_RESTRICTED_DATA": "both"})


def test_the_sandbox_is_not_asked_with_restricted_tokens() -> None:
    """It takes those of production only, so that to insist on them cannot work."""
    endpoint = "https://sandbox.sellingpartnerapi-eu.amazon.com"
    with pytest.raises(ConfigurationError, match="production only"):
        account(endpoint=endpoint, restricted_data=RestrictedData.RDT)

    assert account(endpoint=endpoint).restricted_data is RestrictedData.AUTO
