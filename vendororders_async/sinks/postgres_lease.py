"""A lease on an account as a row of a PostgreSQL table, by the server's clock."""

from __future__ import annotations

import secrets

import asyncpg

from ..errors import SinkError, one_line
from .lease import Held
from .postgres_database import Database

# In one statement: two that take it at once meet at the row, and one of them sees the other's.
_TAKE = """
INSERT INTO leases (account, api, holder, renewal, ends_at)
VALUES ($1, $2, $3, 1, clock_timestamp() + $4 * interval '1 second')
ON CONFLICT (account, api) DO UPDATE
SET holder = excluded.holder, renewal = leases.renewal + 1, ends_at = excluded.ends_at
WHERE leases.holder = excluded.holder OR leases.ends_at <= clock_timestamp()
RETURNING true
"""

_HELD = """
SELECT greatest(extract(epoch FROM ends_at - clock_timestamp()), 0)::double precision,
    holder || ' ' || renewal
FROM leases
WHERE account = $1 AND api = $2
"""

_RENEW = """
UPDATE leases
SET renewal = renewal + 1, ends_at = clock_timestamp() + $4 * interval '1 second'
WHERE account = $1 AND api = $2 AND holder = $3
RETURNING true
"""

_RELEASE = "DELETE FROM leases WHERE account = $1 AND api = $2 AND holder = $3"

# Whoever would take it waits for the end of the transaction that asked.
_FENCE = """
SELECT true FROM leases WHERE account = $1 AND api = $2 AND holder = $3 FOR SHARE
"""


class LeaseRow:
    """The lease on *account* in *api*; each `LeaseRow` is a holder of its own."""

    def __init__(self, database: Database, account: str, api: str) -> None:
        self._database = database
        self._account = account
        self._key = (account, api, secrets.token_hex(8))

    async def take(self, seconds: float) -> Held | None:
        """Take the lease; say who has it where that cannot be."""

        async def job(connection: asyncpg.Connection) -> Held | None:
            while not await connection.fetchval(_TAKE, *self._key, seconds):
                if (held := await connection.fetchrow(_HELD, *self._key[:2])) is not None:
                    return Held(*held)  # else it was let go just now
            return None

        return await self._database.read(job)

    async def renew(self, seconds: float) -> bool:
        """Hold it for so many *seconds* from now; False if it is ours no more."""
        return bool(
            await self._database.read(
                lambda connection: connection.fetchval(_RENEW, *self._key, seconds)
            )
        )

    async def release(self) -> None:
        """Let it go, if it is ours."""
        await self._database.read(lambda connection: connection.execute(_RELEASE, *self._key))

    async def check(self, connection: asyncpg.Connection) -> None:
        """Make sure, until the transaction ends, that nobody has taken it.

        Raises:
            SinkError: somebody has.
        """
        if not await connection.fetchval(_FENCE, *self._key):
            raise SinkError(
                f"account {one_line(self._account)} in {self._database} is ours no more: "
                "another run has taken it"
            )
