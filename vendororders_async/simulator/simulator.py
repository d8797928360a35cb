"""The simulator as its users see it: settings in, a server out, and hands on everything."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from .. import clock
from ..errors import InvalidArgument
from .acknowledge import decided
from .bucket import Buckets, Plan
from .calls import API_OPERATIONS, DIRECT, RESTRICTED_TOKEN, RETAIL, V1, V2021, Api
from .desk import Desk
from .direct_orders import direct_record
from .documents import ORDER, STATUS
from .faults import Faults, Injection, When
from .judge import Judge, Works
from .life import Happening, Life
from .login import Login
from .restricted import RestrictedTokens
from .server import Served, serving
from .settings import (
    Settings,
    account_names,
    coming_midnight,
    micros,
    simulated_account,
)
from .timeline import write_instant
from .traffic import Traffic
from .world import Record, World, written_record
from .worlds import books

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from .submissions import Acknowledgement

Edit = Callable[[dict[str, Any]], None]

_SECOND = 1_000_000  # microseconds


class Simulator:
    """Amazon's side of vendor orders, on this machine.

        >>> simulator = Simulator(Settings(orders=200))
        >>> async def main():
        ...     async with simulator.serve() as server:
        ...         print(server.url, simulator.accounts[0].refresh_token)

    Its orders are made when it is created, which takes some ten microseconds each; their
    documents are written when they are asked for, unless ``write_ahead`` is set. *now* is
    what time it is in the simulated world: orders of the future are not served yet.
    Buckets, latency and the lives of tokens run on the event loop's clock instead. *judge*
    is for those who hand over requests without HTTP.
    """

    def __init__(
        self, settings: Settings | None = None, *, now: Callable[[], datetime] = clock.now
    ) -> None:
        self.settings = settings or Settings()
        self.anchor = self.settings.anchor or coming_midnight(now())
        names = account_names(self.settings.accounts)
        self.accounts = tuple(simulated_account(name) for name in names)
        self.traffic = Traffic(keep_arrivals=self.settings.keep_arrivals)
        self.now = now
        self._worlds: dict[Api, dict[str, World]] = {RETAIL: {}, DIRECT: {}}
        made = books(self.settings, names, self.anchor)
        for book in made:
            self._worlds[book.api][book.account] = book.world
        self._life = Life(made, self.settings, now())
        self._restricted = RestrictedTokens(self.settings)
        self._desk = Desk(self._worlds, self.settings, self._restricted, self._life)
        self._login = Login(self.accounts, life=self.settings.token_seconds)
        self._buckets = Buckets(
            Plan(self.settings.rate, self.settings.burst),
            {RESTRICTED_TOKEN: Plan(self.settings.token_rate, self.settings.token_burst)},
        )
        self._faults = Faults(self.settings.faults, seed=self.settings.seed)
        self.judge = Judge(
            Works(
                settings=self.settings,
                now=now,
                login=self._login,
                restricted=self._restricted,
                buckets=self._buckets,
                faults=self._faults,
                desk=self._desk,
                traffic=self.traffic,
            )
        )

    def __repr__(self) -> str:
        """Return how much there is of it."""
        worlds = (world for api in self._worlds.values() for world in api.values())
        orders = sum(map(len, worlds))
        return f"<Simulator {len(self.accounts)} accounts, {orders} orders>"

    def serve(
        self, *, host: str = "127.0.0.1", port: int = 0
    ) -> AbstractAsyncContextManager[Served]:
        """Answer requests for as long as the ``async with`` block lasts.

        Port 0 is any free one; ``server.url`` says which it became.
        """
        return serving(self.judge, self.accounts, host=host, port=port)

    # What is true

    def truth(
        self, account: str, *, after: datetime | None = None, before: datetime | None = None
    ) -> dict[str, bytes]:
        """Return every order that *account* can be served now, as the bytes it is served as.

        *after* and *before* narrow it to orders that became available at or after the one,
        and before the other.
        """
        served = self._served(RETAIL, account, after, before)
        return {one.number: one.text(ORDER) for one in served}

    def status_truth(
        self, account: str, *, after: datetime | None = None, before: datetime | None = None
    ) -> dict[str, bytes]:
        """Return the same orders' statuses, as the bytes they are served as."""
        served = self._served(RETAIL, account, after, before)
        return {one.number: one.text(STATUS) for one in served}

    def direct_fulfillment_truth(
        self,
        account: str,
        version: str = V1,
        after: datetime | None = None,
        before: datetime | None = None,
    ) -> dict[str, bytes]:
        """Return every Direct Fulfillment order likewise, as that *version* serves it.

        The versions are ``"v1"`` and ``"2021-12-28"``.
        """
        served = self._served(DIRECT, account, after, before)
        return {one.number: one.text(version) for one in served}

    def available_at(self, account: str, number: str) -> datetime:
        """Return when that order became available, which no document says."""
        record = self._world(account).get(number) or self._world(account, DIRECT).get(number)
        if record is None:
            raise InvalidArgument(f"{account} has no order {number!r}")
        return clock.parse_instant(write_instant(record.available))

    def restricted_tokens(self, account: str) -> int:
        """Return how many restricted data tokens *account* was given so far."""
        self._world(account)
        return self._restricted.issued[account]

    @property
    def acknowledgements(self) -> tuple[Acknowledgement, ...]:
        """Everything that was submitted and accepted with a 202, oldest first.

        What it says of effects is as of now.
        """
        self._desk.settle(self.now())
        return self._desk.submissions.taken

    @property
    def happenings(self) -> Sequence[Happening]:
        """All that has happened of its own accord, oldest first, if the settings keep it."""
        self._desk.settle(self.now())
        return self._life.happenings

    # What can be changed while it runs

    def put_order(
        self,
        account: str,
        order: Mapping[str, Any],
        *,
        status: Mapping[str, Any] | None = None,
        available_at: datetime | None = None,
    ) -> None:
        """Add *order*, or replace the one with its number.

        It becomes available at *available_at*; without, a new order does at its
        purchaseOrderDate, and a replaced one did when it did.
        """
        world = self._world(account)
        old = world.get(str(order.get("purchaseOrderNumber")))
        available = old.available if old is not None else None
        if available_at is not None:
            available = micros(available_at)
        world.put(written_record(order, status, available=available))

    def change_order(
        self, account: str, number: str, edit: Edit | None = None, *, at: datetime | None = None
    ) -> None:
        """Change an order as Amazon does after it was placed: *edit* alters the document.

        purchaseOrderChangedDate and the status' lastUpdatedDate become *at*, now if not given,
        in whole seconds.
        """
        record = self._record(account, number)
        moment = write_instant(micros(at or self.now()) // _SECOND * _SECOND)
        order = msgspec.json.decode(record.text(ORDER))
        status = msgspec.json.decode(record.text(STATUS))
        if edit is not None:
            edit(order)
        order["orderDetails"]["purchaseOrderChangedDate"] = moment
        status["lastUpdatedDate"] = moment
        self._world(account).put(written_record(order, status, available=record.available))

    def acknowledge(
        self,
        account: str,
        number: str,
        accepted: Mapping[str, int] | None = None,
        *,
        at: datetime | None = None,
    ) -> None:
        """Acknowledge an order as somebody in Vendor Central does, behind the API's back.

        *accepted* says how many of each line, by its itemSequenceNumber, are accepted, and
        the rest of it is rejected; without, all of every line is accepted. Amazon's rules
        hold, so that lines that are not named are rejected if it is the first time. It
        takes effect at once, as of *at*, and there is no transaction.

        Raises:
            InvalidArgument: There is no such order, or it cannot be acknowledged like this
                any more.
        """
        record = self._record(account, number)
        changed = decided(record, accepted, at or self.now())
        if changed is None:
            raise InvalidArgument(f"{account}'s order {number!r} cannot be changed like this")
        self._world(account).put(changed)

    def put_direct_fulfillment_order(
        self, account: str, order: Mapping[str, Any], *, available_at: datetime | None = None
    ) -> None:
        """Add *order*, or replace the one with its number.

        It is written as 2021-12-28 has it; v1 lacks what is new there. *available_at* is
        as in `put_order`, with the orderDate.
        """
        world = self._world(account, DIRECT)
        old = world.get(str(order.get("purchaseOrderNumber")))
        available = old.available if old is not None else None
        if available_at is not None:
            available = micros(available_at)
        world.put(direct_record(order, available=available))

    def change_direct_fulfillment_order(self, account: str, number: str, edit: Edit) -> None:
        """Change an order: *edit* alters the document of 2021-12-28.

        No date tells of it: Amazon gives these orders none.
        """
        record = self._record(account, number, DIRECT)
        order = msgspec.json.decode(record.text(V2021))
        edit(order)
        world = self._world(account, DIRECT)
        world.put(direct_record(order, available=record.available))

    def set_rate(
        self,
        rate: float,
        burst: float | None = None,
        *,
        account: str | None = None,
        operation: str | None = None,
    ) -> None:
        """Grant another rate from now on, to one account or operation or to all of them.

        The Tokens API has a plan of its own, which changes only when it is named.
        """
        all_of_them = (one for one in API_OPERATIONS if one != RESTRICTED_TOKEN)
        operations = tuple(all_of_them) if operation is None else (operation,)
        for name in self._names(account):
            for one in operations:
                kept = self._buckets.plan(name, one).burst
                self._buckets.change(name, one, Plan(rate, kept if burst is None else burst))

    def revoke_tokens(self, account: str | None = None) -> None:
        """Make all access tokens worthless, and the restricted ones; both can be had anew."""
        for name in self._names(account):
            self._login.revoke(name)
            self._restricted.revoke(name)

    def refuse(self, account: str, *, refused: bool = True) -> None:
        """Give *account* no more access tokens; those it has are revoked."""
        for name in self._names(account):
            self._login.refuse(name, refused=refused)
        self.revoke_tokens(account)

    def inject(
        self,
        operation: str,
        kind: str,
        *,
        times: int = 1,
        account: str | None = None,
        when: When | None = None,
        seconds: float | None = None,
    ) -> Injection:
        """Make the next *times* requests of *operation* fail in the way of *kind*.

        ``"token"`` is the operation of the ``token-…`` kinds. *when* picks the requests by
        what it is told of them; without, a kind picks the ones it can befall. *seconds* is
        how late ``slow`` is. Scripts are tried in the order they were injected.

        Raises:
            InvalidArgument: There is no such operation or kind.
        """
        return self._faults.inject(
            operation, kind, times=times, account=account, when=when, seconds=seconds
        )

    def _served(
        self, api: Api, account: str, after: datetime | None, before: datetime | None
    ) -> Iterable[Record]:
        low = None if after is None else micros(after)
        high = micros(self.now()) + 1
        if before is not None:
            high = min(high, micros(before))
        world = self._world(account, api)
        for number in world.available.numbers(world.available.range(low, high)):
            yield self._record(account, number, api)

    def _names(self, account: str | None) -> list[str]:
        if account is None:
            return list(self._worlds[RETAIL])
        self._world(account)
        return [account]

    def _world(self, account: str, api: Api = RETAIL) -> World:
        """Return the orders of *account*, with everything done that is due."""
        self._desk.settle(self.now())
        worlds = self._worlds[api]
        world = worlds.get(account)
        if world is None:
            raise InvalidArgument(
                f"there is no account {account!r}; there are {', '.join(worlds)}"
            )
        return world

    def _record(self, account: str, number: str, api: Api = RETAIL) -> Record:
        record = self._world(account, api).get(number)
        if record is None:
            raise InvalidArgument(f"{account} has no order {number!r}")
        return record


async def run_forever(
    settings: Settings,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    ready: Callable[[Served], object],
) -> None:
    """Serve until cancelled; *ready* is told where as soon as requests are answered."""
    simulator = await asyncio.to_thread(Simulator, settings)
    async with simulator.serve(host=host, port=port) as server:
        ready(server)
        await asyncio.Event().wait()
