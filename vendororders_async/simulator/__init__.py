"""Amazon's side of vendor orders, for tests, demonstrations and benchmarks.

    >>> from vendororders_async.simulator import Settings, Simulator
    >>> simulator = Simulator(Settings(orders=200, seed=7))
    >>> simulator.accounts[0].name
    'demo'

It is a second implementation of the Selling Partner API for vendors, Retail Procurement
Orders v1, that shares nothing with the client but errors and the clock; where both agree,
they do not agree because one copied the other.

It imitates: Login with Amazon's refresh grant · getPurchaseOrders, getPurchaseOrder,
getPurchaseOrdersStatus with every query parameter · the 7-day and the 6-month limit ·
keyset next tokens that expire and belong to one question · a token bucket for each account
and operation, judged on arrival · Amazon's bodies and headers for 400, 403, 404, 429, 5xx ·
gzip · orders that become available late, change afterwards, or break the published schema ·
acknowledgements and their transactions · and failures, by chance or by script.

It does not imitate: TLS, regions, restricted data tokens, Direct Fulfillment · the
checking of product identifiers, prices and deadlines in acknowledgements · limits on the
size of a request beyond a megabyte · a second application that shares an account.

What Amazon does not document is decided here as hostile as seems fair, and is a setting
where it matters: whether bounds are inclusive, in which order lists come, how long next
tokens live, what a window that is too wide gets. A list without any dates is the whole
history; created, changed and updated bounds together must all hold.
"""

from .acknowledge import Acknowledgement
from .calls import API_OPERATIONS, OPERATIONS, TOKEN, Call
from .faults import BAD_ORDER_KINDS, KINDS, REFUSALS, TOKEN_KINDS, Injection
from .server import Served
from .settings import Settings, SimulatedAccount
from .simulator import Simulator, run_forever
from .traffic import NO_ANSWER, Arrival, Kind, Traffic

__all__ = [
    "API_OPERATIONS",
    "BAD_ORDER_KINDS",
    "KINDS",
    "NO_ANSWER",
    "OPERATIONS",
    "REFUSALS",
    "TOKEN",
    "TOKEN_KINDS",
    "Acknowledgement",
    "Arrival",
    "Call",
    "Injection",
    "Kind",
    "Served",
    "Settings",
    "SimulatedAccount",
    "Simulator",
    "Traffic",
    "run_forever",
]
