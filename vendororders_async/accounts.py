"""Accounts: on whose behalf Amazon is asked, and where.

>>> Credentials(client_id="amzn1.x", client_secret="s3cret", refresh_token="Atzr|x")
Credentials(client_id='amzn1.x', client_secret=***, refresh_token=***)
"""

from __future__ import annotations

import hashlib
import ipaddress
import os
import re
from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

import msgspec

from .errors import ConfigurationError

# https://developer-docs.amazon.com/sp-api/docs/connecting-to-the-selling-partner-api
TOKEN_URL = "https://api.amazon.com/auth/o2/token"  # noqa: S105 - an address, no secret


class Region(StrEnum):
    """One of Amazon's three regions; each has its own endpoint and its own vendors."""

    NA = "na"
    EU = "eu"
    FE = "fe"

    @property
    def endpoint(self) -> str:
        """The base URL of the region."""
        # https://developer-docs.amazon.com/sp-api/docs/sp-api-endpoints
        return f"https://sellingpartnerapi-{self.value}.amazon.com"


# What Amazon asks for: https://developer-docs.amazon.com/sp-api/docs/submit-order-acknowledgement
ACKNOWLEDGE_WITHIN = timedelta(hours=24)

_HOST = re.compile(r"[0-9A-Za-z.-]+|[0-9A-Fa-f:.]+")  # names and addresses

# https://developer-docs.amazon.com/sp-api/docs/sp-api-endpoints
_MARKETPLACES = {
    Region.NA: "CA US MX BR",
    Region.EU: "IE ES UK GB FR BE NL DE IT SE ZA PL SA EG TR AE IN",
    Region.FE: "SG AU JP",
}
REGION_OF_MARKETPLACE: Mapping[str, Region] = {
    country: region
    for region, countries in _MARKETPLACES.items()
    for country in countries.split()
}


class RestrictedData(StrEnum):
    """Which token asks for what Amazon calls restricted data: customers' names and addresses.

    ``AUTO`` takes a restricted data token, and the access token where Amazon refuses to
    make one or does not take it; ``RDT`` and ``LWA`` take the one or the other alone.

    Amazon's sandbox takes restricted data tokens of production only, which are not made
    here: it is asked with the access token, and ``RDT`` is refused for it.
    """

    # https://developer-docs.amazon.com/sp-api/docs/sp-api-sandbox
    # Both are taken at present, and "some operations may require the use of RDT":
    # https://developer-docs.amazon.com/sp-api/docs/tokens-api-use-case-guide
    AUTO = "auto"
    RDT = "rdt"
    LWA = "lwa"


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """What Login with Amazon asks for; the two secrets never show in a repr."""

    client_id: str
    client_secret: str
    refresh_token: str

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            if not getattr(self, name).strip():
                raise ConfigurationError(f"{name} is empty")

    def __repr__(self) -> str:
        return (
            f"Credentials(client_id={self.client_id!r}, client_secret=***, refresh_token=***)"
        )

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("client_id", self.client_id)]


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """One vendor group that we act for: one refresh token, one region.

    *endpoint* and *token_url* replace the region's: the sandbox, the simulator.
    *marketplace* and *tags* are labels of the user's own; no vendor call returns one.
    *restricted_data* says which token asks for customers' details, *acknowledge_within* how
    long the vendor may take to acknowledge an order.

    Raises:
        ConfigurationError: an address is not https, or plain http to another machine, or
            the sandbox is to be asked with restricted data tokens.
    """

    name: str
    credentials: Credentials
    region: Region = Region.NA
    endpoint: str | None = None
    token_url: str | None = None
    marketplace: str | None = None
    tags: tuple[str, ...] = ()
    restricted_data: RestrictedData = RestrictedData.AUTO
    acknowledge_within: timedelta = ACKNOWLEDGE_WITHIN

    def __post_init__(self) -> None:
        if not self.name or not self.name.isprintable():
            raise ConfigurationError("an account needs a printable name")
        check_address(self.base_url, f"the endpoint of account {self.name}")
        check_address(self.login_url, f"the token URL of account {self.name}")
        if self.is_sandbox and self.restricted_data is RestrictedData.RDT:
            raise ConfigurationError(
                "restricted_data cannot be rdt for Amazon's sandbox, which takes restricted "
                "data tokens of production only: set it to auto or lwa"
            )

    @property
    def base_url(self) -> str:
        """Where the Selling Partner API is for this account, without a slash at the end."""
        return (self.endpoint or self.region.endpoint).rstrip("/")

    @property
    def login_url(self) -> str:
        """Where access tokens come from."""
        return self.token_url or TOKEN_URL

    @property
    def is_sandbox(self) -> bool:
        """Whether Amazon's sandbox is asked, whose own cases break Amazon's rules."""
        return (urlsplit(self.base_url).hostname or "").startswith("sandbox.")

    @property
    def source(self) -> str:
        """Which data this is: endpoint, application, account and its refresh token, hashed.

        A ledger keeps it, so that neither a simulator's windows nor another vendor group's
        pass for this one's. A new authorisation costs one re-read.
        """
        ours = self.credentials
        parts = f"{self.base_url}\n{ours.client_id}\n{self.name}\n{ours.refresh_token}"
        return hashlib.sha256(parts.encode()).hexdigest()[:16]

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> Account:
        """Return the account that the environment describes, named ``default``.

        Reads ``LWA_APP_ID`` (or ``LWA_CLIENT_ID``), ``LWA_CLIENT_SECRET``,
        ``SP_API_REFRESH_TOKEN``, and optionally ``SP_API_REGION``,
        ``SP_API_DEFAULT_MARKETPLACE``, ``SP_API_ENDPOINT``, ``SP_API_RESTRICTED_DATA``
        and ``LWA_ENDPOINT``.

        Raises:
            ConfigurationError: something is missing or unknown.
        """
        client_id = environ.get("LWA_APP_ID") or environ.get("LWA_CLIENT_ID")
        given = {
            "LWA_APP_ID": client_id,
            "LWA_CLIENT_SECRET": environ.get("LWA_CLIENT_SECRET"),
            "SP_API_REFRESH_TOKEN": environ.get("SP_API_REFRESH_TOKEN"),
        }
        missing = [name for name, value in given.items() if not value]
        if missing:
            raise ConfigurationError(
                f"{', '.join(missing)} not set; set it, or name an accounts file with "
                "--accounts or VENDORORDERS_ACCOUNTS"
            )
        return cls(
            name="default",
            credentials=Credentials(
                client_id=client_id or "",
                client_secret=environ["LWA_CLIENT_SECRET"],
                refresh_token=environ["SP_API_REFRESH_TOKEN"],
            ),
            region=region_named(
                environ.get("SP_API_REGION"), environ.get("SP_API_DEFAULT_MARKETPLACE")
            ),
            endpoint=environ.get("SP_API_ENDPOINT") or None,
            token_url=environ.get("LWA_ENDPOINT") or None,
            marketplace=environ.get("SP_API_DEFAULT_MARKETPLACE") or None,
            restricted_data=restricted_data_named(environ.get("SP_API_RESTRICTED_DATA")),
        )


def region_named(region: str | None, marketplace: str | None = None) -> Region:
    """Return the region called *region*, else the one of *marketplace*, else ``na``.

    Raises:
        ConfigurationError: there is no such region or marketplace.
    """
    if region:
        try:
            return Region(region.lower())
        except ValueError:
            raise ConfigurationError(f"region must be na, eu or fe, not {region!r}") from None
    if marketplace:
        found = REGION_OF_MARKETPLACE.get(marketplace.upper())
        if found is None:
            raise ConfigurationError(f"no region is known for marketplace {marketplace!r}")
        return found
    return Region.NA


def restricted_data_named(text: str | None) -> RestrictedData:
    """Return what *text* means; ``auto`` when it is empty.

    Raises:
        ConfigurationError: it means nothing.
    """
    try:
        return RestrictedData((text or "auto").lower())
    except ValueError:
        known = ", ".join(RestrictedData)
        raise ConfigurationError(f"restricted_data is {known}, not {text!r}") from None


def check_address(url: str, what: str) -> None:
    """Refuse an address to which tokens must not go.

    Raises:
        ConfigurationError: *url* is neither https nor plain http to this machine.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port  # noqa: F841 - reading it checks it
    except ValueError:
        host, parts = "", urlsplit("")
    is_plain = _HOST.fullmatch(host) and not {"@", "?", "#"} & set(url) and url.isprintable()
    if is_plain and (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host))):
        return
    # not the URL itself: it may carry a password
    raise ConfigurationError(
        f"{what} must be an https URL (plain http only to a loopback address), "
        "without user, query or fragment"
    )


def is_loopback(host: str) -> bool:
    """Say whether *host* is this machine by its very name."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
