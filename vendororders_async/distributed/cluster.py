"""Clusters of Dask's: where they are, and whether their workers can do what is asked."""

from __future__ import annotations

import logging
import warnings
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from .. import __version__
from ..accounts import is_loopback
from ..errors import ConfigurationError
from ..extras import extra

_CONNECT_SECONDS = 10.0
_WORKER_SECONDS = 30.0  # until there is a worker

# Ctrl-C is sent to all processes of a terminal; the client alone is to hear it, and tells
# the workers. https://distributed.dask.org/en/stable/configuration.html#preload
_DEAF_TO_INTERRUPTS = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)"

_log = logging.getLogger("vendororders_async")


def address_of(on: str) -> str | None:
    """Return the scheduler's address that *on* means; None for a cluster of this machine.

    >>> address_of("dask://scheduler:8786")
    'tcp://scheduler:8786'

    Raises:
        ConfigurationError: it means none.
    """
    if on == "dask":
        return None
    try:
        parts = urlsplit(on)
        is_plain = parts.hostname and parts.port and not parts.path.strip("/")
    except ValueError:
        is_plain = False
    if not is_plain or parts.scheme not in {"dask", "tcp", "tls"} or "@" in on:
        raise ConfigurationError(
            "--on is dask, for a cluster of this machine, dask://HOST:PORT or tls://HOST:PORT"
        )
    scheme = "tls" if parts.scheme == "tls" else "tcp"
    return f"{scheme}://{parts.netloc}"


def check_sink(to: str, address: str | None) -> None:
    """Refuse a sink into which the workers at *address* could not all write.

    Raises:
        ConfigurationError: it is so.
    """
    kind, _, rest = to.partition(":")
    if rest == "-":
        raise ConfigurationError(f"several processes cannot share {to}: use another sink")
    if address is None or is_loopback(urlsplit(address).hostname or ""):
        return
    if kind == "sqlite" or kind.startswith("ndjson"):
        raise ConfigurationError(
            f"{kind}: would be another file on each machine: use postgres://…, an object "
            "store, or parquet: on a disk that all workers share"
        )
    if kind == "parquet" and not rest.startswith("/") and "://" not in rest:
        raise ConfigurationError("parquet: on several machines needs an absolute path")


def check_passwords(urls: Mapping[str, str | None], address: str | None) -> None:
    """Refuse to send a password in one of *urls* to the scheduler in the clear.

    Raises:
        ConfigurationError: it would be.
    """
    if address is None or not address.startswith("tcp:"):
        return
    for option, url in urls.items():
        if url and _has_password(url) and not is_loopback(urlsplit(address).hostname or ""):
            raise ConfigurationError(
                f"the password in {option} would travel in the clear to {address}: use "
                "tls://, or keep it where the workers run (PGPASSWORD)"
            )


def absolute(to: str) -> str:
    """Return the same sink for workers that run in another folder.

    >>> absolute("postgres://db/orders")
    'postgres://db/orders'
    """
    kind, _, rest = to.partition(":")
    is_path = kind in {"sqlite", "parquet"} or kind.startswith("ndjson")
    return f"{kind}:{Path(rest).absolute()}" if is_path and "://" not in rest else to


def _has_password(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return bool(parts.password) or "password=" in parts.query
    except ValueError:
        return True


@asynccontextmanager
async def connected(
    address: str | None, account_count: int, *, patience: float = _CONNECT_SECONDS
) -> AsyncIterator[Any]:
    """Yield a client of the cluster at *address*, whose workers are like us.

    A scheduler has *patience* seconds to answer.

    Raises:
        ConfigurationError: Dask is not installed, nobody answers, or workers are not like us.
    """
    with extra("dask", "--on dask"):
        dask: Any = import_module("distributed")
    # What goes wrong is told by us, and Dask would tell it in tracebacks.
    quiet = dask.utils.silence_logging_cmgr
    with (
        quiet(logging.CRITICAL + 1),
        quiet(logging.CRITICAL + 1, root="distributed.client"),
        warnings.catch_warnings(),
    ):
        # said by `check_versions`, in one line
        warnings.simplefilter("ignore", dask.versions.VersionMismatchWarning)
        opened = (
            _local(dask, account_count) if address is None else _remote(dask, address, patience)
        )
        async with opened as client:
            yield client


@asynccontextmanager
async def _local(dask: Any, account_count: int) -> AsyncIterator[Any]:
    async with (
        dask.LocalCluster(
            n_workers=max(1, min(import_module("dask.system").CPU_COUNT, account_count)),
            threads_per_worker=1,  # the engine is Python: a core each
            processes=True,
            dashboard_address=None,
            asynchronous=True,
            silence_logs=logging.CRITICAL,
            preload=[_DEAF_TO_INTERRUPTS],
        ) as cluster,
        dask.Client(cluster, asynchronous=True, set_as_default=False) as client,
    ):
        yield client


@asynccontextmanager
async def _remote(dask: Any, address: str, patience: float) -> AsyncIterator[Any]:
    if address.startswith("tcp:") and not is_loopback(urlsplit(address).hostname or ""):
        _log.warning(
            "%s is reached without TLS: whoever else can reach it can run code where the "
            "accounts' secrets are",
            address,
        )
    client = dask.Client(address, asynchronous=True, timeout=patience, set_as_default=False)
    try:
        await client
        await client.wait_for_workers(1, timeout=_WORKER_SECONDS)
    except (OSError, TimeoutError) as error:
        what = "has no worker" if client.status == "running" else "does not answer"
        await client.close()
        raise ConfigurationError(
            f"the Dask scheduler at {address} {what} ({type(error).__name__})"
        ) from None
    async with client:
        check_versions(await client.get_versions(packages=["vendororders_async"]))
        yield client


def check_versions(versions: Mapping[str, Any]) -> None:
    """Refuse workers that are not like us, which Dask would report as it pleases.

    Raises:
        ConfigurationError: a worker lacks this package, or has another version.
    """
    ours = versions["client"]["packages"]
    for worker, found in versions["workers"].items():
        theirs = found["packages"]
        if theirs.get("vendororders_async") != __version__:
            raise ConfigurationError(
                f"Dask worker {worker} has vendororders-async "
                f"{theirs.get('vendororders_async') or 'not at all'}, and not {__version__}"
            )
        for package, part in (("python", 2), ("distributed", 3)):
            mine, other = (str(one.get(package)).split(".")[:part] for one in (ours, theirs))
            if mine != other:
                raise ConfigurationError(
                    f"Dask worker {worker} has {package} {'.'.join(other)}, and not "
                    f"{'.'.join(mine)} as here"
                )
