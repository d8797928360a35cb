"""Amazon's side of vendor orders, for tests, demonstrations and benchmarks.

    >>> from vendororders_async.simulator import Settings, Simulator
    >>> simulator = Simulator(Settings(orders=200, seed=7))
    >>> simulator.accounts[0].name
    'demo'

It is a second implementation of the Selling Partner API for vendors (Retail Procurement
Orders v1, Direct Fulfillment Orders v1 and 2021-12-28, their transactions, and the Tokens
API 2021-03-01) that shares nothing with the client but errors and the clock; where both
agree, they do not agree because one copied the other.

It imitates: Login with Amazon's refresh grant · all lists with every query parameter · the
7-day and the 6-month limit · keyset next tokens that expire and belong to one question · a
token bucket for each account and operation, judged on arrival · Amazon's bodies and headers
for 400, 403, 404, 413, 429, 5xx · gzip · orders that become available late, change
afterwards, or break the published schema, and statuses that do not add up · failures, by
chance or by script, of which some leave a submission done and some do not.

The failures are refusals (``403``, ``429``, ``500``, ``503``), a load balancer's pages
(``html``, ``html-400``), a 400 that goes away (``spurious-400``), a 200 with nothing but a list
of errors (``errors-200``) and a ``redirect`` · answers that come late or never (``slow``,
``hang``, ``trickle``), or whose connection ends (``reset-before``, ``reset``, ``reset-body``) ·
bodies that are cut (``truncated``, ``truncated-gzip``), ``empty``, or unpack to 80 MiB
(``gzip-bomb``) · orders that do not decode (``bad-order``) · next tokens that lead in a circle
(``token-loop``), nowhere (``token-endless``), or are good no more (``expired-token``) · work
that was done and is answered with an error (``500-after``). They befall Login with Amazon as
well, where a script asks for it; by chance only ``token-500`` and ``token-hang`` do.

Restricted data tokens are good for an account, a method and a path, and for nothing but the
two reads of Direct Fulfillment. Its customers are invented: each is a ``Canary`` who lives
in a ``Kanarienweg``, also where the order is billed to them and in gift messages, so that a
leak can be searched for.

Acknowledgements take effect when they arrive, or as late as the settings say, or never, as
Amazon has it: lines that the first one leaves out are rejected, a rejected line stays so, a
later answer replaces the earlier one, after 48 hours it replaces nothing, and what is
misspelt or without a netCost gets a 202 and does nothing. A Direct Fulfillment order is
accepted whole or cancelled. ``Success`` is said there, and never in retail.

If orders are to arrive, it has a life of its own, which the seed decides: new ones come at
random moments, some of them days after the date by which they are listed; they and those
of the history that are still open change (quantities, costs, windows, a line more or one
cancelled) once or more often, are acknowledged as in Vendor Central, received in part and
wholly, and closed; those of Direct Fulfillment are accepted, shipped or cancelled, of which
no date tells. Everything happens when the clock passes its moment, whoever asks or not.

It does not imitate: TLS, regions, delegation of tokens, "Amazon label only" vendors · the
checking of product identifiers, parties, prices and quantities above the order's in
acknowledgements, or units other than the order's · the dates that they promise, which no
document shows · shipping, invoicing · a second application that shares an account.

What Amazon does not document is decided here as hostile as seems fair, and is a setting
where it matters: whether bounds are inclusive, in which order lists come, how long next
tokens live, what a window that is too wide gets, how large a submission may be, and from
when the 48 hours count (a line's first acknowledgement). A list without any dates is the
whole history; created, changed and updated bounds together must all hold.
"""

from .calls import API_OPERATIONS, OPERATIONS, TOKEN, Call
from .faults import (
    BAD_ORDER_KINDS,
    KINDS,
    PAGING_KINDS,
    REFUSALS,
    TOKEN_KINDS,
    Injection,
)
from .life import Happening
from .server import Served
from .settings import Settings, SimulatedAccount
from .simulator import Simulator, run_forever
from .submissions import Acknowledgement
from .traffic import NO_ANSWER, Arrival, Kind, Traffic

__all__ = [
    "API_OPERATIONS",
    "BAD_ORDER_KINDS",
    "KINDS",
    "NO_ANSWER",
    "OPERATIONS",
    "PAGING_KINDS",
    "REFUSALS",
    "TOKEN",
    "TOKEN_KINDS",
    "Acknowledgement",
    "Arrival",
    "Call",
    "Happening",
    "Injection",
    "Kind",
    "Served",
    "Settings",
    "SimulatedAccount",
    "Simulator",
    "Traffic",
    "run_forever",
]
