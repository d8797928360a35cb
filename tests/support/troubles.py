"""What can go wrong with an operation: at Amazon's, on the way there, and with our clock.

And what of that nobody may notice, if it is over after a few times.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from datetime import timedelta

import msgspec
from in_process import InProcess, Outage

from vendororders_async.simulator import (
    BAD_ORDER_KINDS,
    KINDS,
    PAGING_KINDS,
    TOKEN_KINDS,
    Call,
    Injection,
    Simulator,
)

FOR_EVER = 10**9

_OUTAGE_SECONDS = 90.0  # of one that ends

ORDERS, ORDER, STATUSES = "getPurchaseOrders", "getPurchaseOrder", "getPurchaseOrdersStatus"
DIRECT_ORDERS, DIRECT_ORDER = "getOrders", "getOrder"
RDT, TOKEN = "createRestrictedDataToken", "token"
SUBMIT, DIRECT_SUBMIT = "submitAcknowledgement", "submitDirectFulfillmentAcknowledgement"

#: What befalls the connection or our clock, whatever is asked.
OUTAGES: Mapping[str, Outage] = {"DNS fails": "dns", "TLS fails": "tls", "refused": "refused"}
CLOCK = "clock jumps"
_AT_LOGIN = (
    KINDS - PAGING_KINDS - {"403", "spurious-400", "bad-order", *BAD_ORDER_KINDS}
) | TOKEN_KINDS
_WITH_ORDERS = {ORDERS, ORDER, STATUSES, DIRECT_ORDERS, DIRECT_ORDER}
_LISTS = {ORDERS, STATUSES, DIRECT_ORDERS}

#: Never sent, or refused by the usage plan: a submission may go again as well.
_UNTAKEN = {*OUTAGES, "429"}
#: What is not asked again as it was, or is worse the second time.
_STAYS = {"redirect", "bad-order", *BAD_ORDER_KINDS, "token-endless", "token-loop"}
#: It takes a minute and more, and who waits for an answer waits for half of one.
_LONG = {*OUTAGES, "hang", "trickle", "token-hang"}
#: What a request is given up after when it happens thrice; after a 429 a bucket has to fill.
_FEWER = {"403": 1, "429": 2, "html-400": 2, "spurious-400": 2}
_A_FEW = 3


def a_few(kind: str) -> int:
    """Return how often *kind* happens before all is well again, in a trial that it ends in."""
    return _FEWER.get(kind, _A_FEW)


def is_outlived(kind: str, operation: str, *, is_job: bool) -> bool:
    """Say whether a run goes on as if nothing were, after *kind* happened a few times.

    So it must where the request may be sent again, and is worth it; a job is more patient
    than a person is.
    """
    if kind in _STAYS or kind == CLOCK or (kind in _LONG and not is_job):
        return False
    return kind in _UNTAKEN or operation not in {SUBMIT, DIRECT_SUBMIT}


class Trouble(msgspec.Struct, frozen=True):
    """What goes wrong with an operation, and how often: *after* so many that went well."""

    operation: str
    kind: str
    times: int = FOR_EVER
    after: int = 0


class Troubles:
    """Lets *troubles* happen, until it is told to let all be well."""

    def __init__(
        self, troubles: Iterable[Trouble], simulator: Simulator, transport: InProcess
    ) -> None:
        self._transport = transport
        self._injections: list[Injection] = []
        self._jump_count = 0
        for one in troubles:
            if one.kind in OUTAGES:
                self._begin(OUTAGES[one.kind], one.times)
            elif one.kind == CLOCK:
                self._jump(one.times)
            else:
                self._injections.append(_injected(simulator, one))

    @property
    def fired(self) -> int:
        """How often something went wrong."""
        at_amazon = sum(one.fired for one in self._injections)
        return at_amazon + self._transport.outage_count + self._jump_count

    def end(self) -> None:
        """Let nothing go wrong any more."""
        for one in self._injections:
            one.cancel()
        self._transport.outage, self._transport.offset = "", timedelta()
        self._transport.before_answer = None

    def _begin(self, outage: Outage, times: int) -> None:
        self._transport.outage = outage
        if times != FOR_EVER:

            def over() -> None:
                self._transport.outage = ""

            asyncio.get_running_loop().call_later(_OUTAGE_SECONDS, over)

    def _jump(self, times: int) -> None:
        """Set our clock an hour or a day forth or back, at so many requests."""
        jumps = [timedelta(hours=hours) for hours in (1, -1, 24, -24, 0)]
        left = [min(times, 40)]

        def jump(_call: object) -> None:
            if left[0] > 0:
                left[0] -= 1
                self._jump_count += 1
                self._transport.offset = jumps[left[0] % len(jumps)]

        self._transport.before_answer = jump


def _injected(simulator: Simulator, one: Trouble) -> Injection:
    left = [one.after]

    def is_due(call: Call) -> bool:
        if not _can_befall(one.kind, call):
            return False
        left[0] -= 1
        return left[0] < 0

    return simulator.inject(one.operation, one.kind, times=one.times, when=is_due)


def _can_befall(kind: str, call: Call) -> bool:
    if kind in {"spurious-400", "expired-token"}:
        return "nextToken" in call.query
    return call.order_count > 0 or not kind.startswith("bad-order")


def kinds_of(operation: str) -> list[str]:
    """Return what can go wrong with *operation*."""
    everywhere = {*OUTAGES, CLOCK}
    if operation == TOKEN:
        return sorted(_AT_LOGIN | everywhere)
    kinds = KINDS - TOKEN_KINDS - {"bad-order"}
    if operation not in _WITH_ORDERS:
        kinds -= set(BAD_ORDER_KINDS)
    if operation not in _LISTS:
        kinds -= PAGING_KINDS | {"spurious-400"}
    return sorted(kinds | everywhere)
