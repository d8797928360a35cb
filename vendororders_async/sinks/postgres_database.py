"""A PostgreSQL database: connections that come back, transactions, and what goes wrong."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, NamedTuple, TypeVar
from urllib.parse import parse_qsl, urlencode

import asyncpg
from tenacity import (
    AsyncRetrying,
    retry_if_exception,
    stop_after_delay,
    wait_random_exponential,
)

from ..errors import ConfigurationError, SinkError, one_line
from .group_commit import GroupCommit
from .postgres_schema import prepare, read_steps
from .postgres_text import to_bytes, to_text
from .urls import masked

T = TypeVar("T")
Job = Callable[[asyncpg.Connection], Awaitable[T]]

PATIENCE = 60.0  # seconds in which a server may come back
SILENCE = 15.0  # seconds between two statements of a transaction
_CONNECT_WITHIN = 15.0  # seconds
_ANSWER_WITHIN = 300.0  # seconds: a server that was cut off says nothing at all
_CONNECTIONS = 5  # one that writes, the others for reading and leases

# Whoever was stopped or cut off in mid-transaction keeps what it locked, and everybody waiting
# for it, until the server takes notice: a machine that lost its power only after hours.
# https://www.postgresql.org/docs/current/runtime-config-client.html
# For this transaction only, so that a pooler may lend the connection to somebody else.
_NOT_FOR_EVER = "SELECT set_config('idle_in_transaction_session_timeout', $1, true)"

# The connection broke, the server is going or coming, or it undid the transaction by itself:
# https://www.postgresql.org/docs/current/errcodes-appendix.html
_PASSING = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
)


class _Cut(Exception):
    """The connection was closed while a job was running."""


class _Change(NamedTuple):
    """A job, and what has to hold when it is committed."""

    job: Job[Any]
    check: Job[None] | None


class Database:
    """A database that is named by *url*, once it is open.

        database = Database("postgres://user@host/orders")
        await database.open()
        found = await database.read(job)
        stored = await database.change(job)

    A job is a coroutine function of a connection, and may be run more than once: where the
    server was gone, for up to *patience* seconds, or heard nothing in a transaction for
    *silence* seconds. Errors are a `SinkError`, and never say the password.
    """

    def __init__(
        self,
        url: str,
        *,
        read_only: bool = False,
        patience: float = PATIENCE,
        silence: float = SILENCE,
    ) -> None:
        # 0 is for a PgBouncer that lends a connection for a transaction
        # https://magicstack.github.io/asyncpg/current/faq.html
        self._url, self._cached = split_option(url, "statement_cache_size", 100, range(10_000))
        self._name = masked(url)
        self._read_only = read_only
        self._patience = patience
        self._silence = silence
        self._pool: asyncpg.Pool | None = None
        self._changes = GroupCommit[_Change](
            lambda changes: asyncio.ensure_future(self._commit(changes)),
            is_everybodys=lambda error: isinstance(error, (*_PASSING, _Cut)),
        )

    def __str__(self) -> str:
        return self._name

    async def open(self) -> None:
        """Connect, and make the tables where there are none."""
        if self._pool is not None:
            raise SinkError(f"{self} is open already")
        not_understood = ConfigurationError(
            f"{self} cannot be understood: use postgres://USER:PASSWORD@HOST:PORT/DATABASE, "
            "with %40 for an @ in the password and %2F for a /, and options of libpq's"
        )
        if self._name.endswith("://…"):  # a piece of the password would be asked for as a host
            raise not_understood
        steps = await asyncio.to_thread(read_steps)
        settings = {"application_name": "vendororders", "client_encoding": "UTF8"}
        if self._read_only:
            settings["default_transaction_read_only"] = "on"
        with self._explained():
            try:
                pool = asyncpg.create_pool(
                    self._url,
                    min_size=1,
                    max_size=_CONNECTIONS,
                    init=_set_codecs,
                    reset=_leave,
                    timeout=min(_CONNECT_WITHIN, self._patience),
                    command_timeout=_ANSWER_WITHIN,
                    statement_cache_size=int(self._cached),
                    server_settings=settings,
                )
                await pool
            except (asyncpg.ClientConfigurationError, ValueError):
                # they quote the URL, or a part of it
                raise not_understood from None
            try:
                async with pool.acquire() as connection:
                    await prepare(connection, steps, self._name, read_only=self._read_only)
            except BaseException:
                pool.terminate()
                raise
        self._pool = pool

    async def close(self) -> None:
        """Finish what was asked for, and disconnect."""
        if self._pool is None:
            return
        try:
            await self._changes.flush()
        finally:
            pool, self._pool = self._pool, None
            try:
                async with asyncio.timeout(_CONNECT_WITHIN):
                    await pool.close()
            except (TimeoutError, *_PASSING):
                pool.terminate()

    async def read(self, job: Job[T]) -> T:
        """Return what *job* makes of a connection, outside of any transaction.

        What it writes it had better write in one statement, which may be repeated.
        """
        with self._explained():
            return await self._repeated(job)

    async def change(self, job: Job[T], *, check: Job[None] | None = None) -> T:
        """Return what *job* makes of a connection, in a transaction, once it is committed.

        Jobs that wait at the same time share one, as if each had its own. *check* comes last,
        so that what it locks is not kept while a job waits.
        """
        self._opened()
        with self._explained():
            result: T = await self._changes.run(_Change(job, check))
            return result

    async def _commit(self, changes: Sequence[_Change]) -> list[Any]:
        silence = f"{self._silence * 1000:.0f}"  # milliseconds
        loop = asyncio.get_running_loop()

        async def together(connection: asyncpg.Connection) -> list[Any]:
            # on a wire that was cut nobody answers, not even to being told to stop
            cut = loop.call_later(self._patience, connection.terminate)
            try:
                async with connection.transaction():
                    await connection.execute(_NOT_FOR_EVER, silence)
                    results = [await change.job(connection) for change in changes]
                    for check in dict.fromkeys(change.check for change in changes):
                        if check is not None:
                            await check(connection)
                    return results
            finally:
                cut.cancel()

        return await self._repeated(together)

    async def _repeated(self, job: Job[T]) -> T:
        async for attempt in AsyncRetrying(
            retry=retry_if_exception(lambda error: isinstance(error, (*_PASSING, _Cut))),
            wait=wait_random_exponential(multiplier=0.1, max=3),
            stop=stop_after_delay(self._patience),
            reraise=True,
        ):
            with attempt:
                async with self._borrowed() as connection:
                    return await job(connection)
        raise AssertionError("unreachable")

    @asynccontextmanager
    async def _borrowed(self) -> AsyncIterator[asyncpg.Connection]:
        async with self._opened().acquire() as connection:
            try:
                yield connection
            except asyncio.CancelledError:
                # to be given back it would wait for a server that may say nothing any more
                with suppress(asyncpg.InterfaceError):
                    connection.terminate()
                raise
            except asyncpg.InternalClientError as error:
                # the server has said that it will close this one, and has not done so yet
                with suppress(asyncpg.InterfaceError):
                    connection.terminate()
                raise _Cut(str(error)) from error
            except asyncpg.InterfaceError as error:
                if _is_closed(connection):
                    raise _Cut(str(error)) from error
                raise

    def _opened(self) -> asyncpg.Pool:
        if self._pool is None:
            raise SinkError(f"{self} is not open")
        return self._pool

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn what asyncpg raises into a `SinkError` that says what is wrong."""
        try:
            yield
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, _Cut) as error:
            # a traceback would print the detail of the server's own, which may quote a row
            cause = None if isinstance(error, asyncpg.PostgresError) else error
            raise SinkError(f"cannot use {self}: {_meaning(error)}") from cause


def _is_closed(connection: asyncpg.Connection) -> bool:
    try:
        return bool(connection.is_closed())
    except asyncpg.InterfaceError:
        return True  # the pool has taken it away already


def split_option(url: str, name: str, default: float, known: range) -> tuple[str, float]:
    """Return *url* without its option *name*, which asyncpg would send to the server, and that.

    Raises:
        ConfigurationError: it is none of the *known* numbers.
    """
    base, _, query = url.partition("?")
    options = dict(parse_qsl(query, keep_blank_values=True))
    value = options.pop(name, None)
    if value is None:
        return url, default
    if not re.fullmatch(r"\d{1,4}", value) or int(value) not in known:
        raise ConfigurationError(
            f"{masked(url)}: {name} must be a number from {known.start} to {known.stop - 1}"
        )
    return f"{base}?{urlencode(options)}" if options else base, int(value)


_MEANINGS: tuple[tuple[tuple[type[BaseException], ...], str], ...] = (
    (
        (asyncpg.InvalidPasswordError, asyncpg.InvalidAuthorizationSpecificationError),
        "the server does not accept this user and password",
    ),
    ((asyncpg.InvalidCatalogNameError,), "there is no such database; create it first"),
    ((asyncpg.ReadOnlySQLTransactionError,), "it is read-only"),
    ((asyncpg.DiskFullError,), "the server's disk is full"),
    ((TimeoutError,), "the server does not answer"),
)


def _meaning(error: BaseException) -> str:
    for kinds, meaning in _MEANINGS:
        if isinstance(error, kinds):
            return meaning
    if isinstance(error, asyncpg.InsufficientPrivilegeError):
        return f"{_message(error)}; grant it to this user, or name a schema of its own"
    if isinstance(error, asyncpg.PostgresError):
        return _message(error)
    if isinstance(error, OSError):
        return f"the server cannot be reached ({one_line(error.strerror or str(error))})"
    return f"the connection was lost ({one_line(str(error))})"


def _message(error: asyncpg.PostgresError) -> str:
    if isinstance(error, asyncpg.DataError):
        return refusal_of(error)
    return one_line(str(error.args[0]))  # its detail may quote a row


def refusal_of(error: asyncpg.PostgresError) -> str:
    """Return for what kind of reason a value was refused: what it is comes after that."""
    return one_line(re.split(r"[:\"']", str(error.args[0]), maxsplit=1)[0])


async def _set_codecs(connection: asyncpg.Connection) -> None:
    await connection.set_type_codec(
        "text", schema="pg_catalog", encoder=to_bytes, decoder=to_text, format="binary"
    )


async def _leave(_: asyncpg.Connection) -> None:
    """Leave the session as it is: no job changes it, and to reset it is a round trip."""
