"""The client: one account's typed operations.

async with VendorOrdersClient(Account.from_env()) as client:
    page = await client.retail.get_purchase_orders(created_after=a, created_before=b)
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from types import TracebackType
from typing import Self, TypeVar

from . import clock
from .accounts import Account
from .caller import Caller
from .direct_fulfillment import DirectFulfillment
from .dispatch import Dispatcher, Reply, TokenSource
from .limiter import Limiters, Urgency
from .models.transactions import GetTransactionResponse
from .operations import (
    GET_TRANSACTION,
    Call,
    DirectFulfillmentOperations,
    GetTransaction,
    GetTransactionStatus,
    direct_fulfillment_named,
)
from .restricted import OperationTokens
from .retail import Retail
from .telemetry import Observer, log_event
from .transport import Transport

T = TypeVar("T")


class VendorOrdersClient:
    """Asks Amazon on behalf of one account, from any number of tasks at once.

        async with VendorOrdersClient(Account.from_env()) as client:
            async for order in client.retail.iter_purchase_orders(created_after=since):
                print(order.purchase_order_number)

    *retail*, *direct_fulfillment* and *transactions* hold the operations; Direct Fulfillment
    is there in two versions, ``v1`` and ``2021-12-28``. A client keeps Amazon's pace by itself:
    a thousand calls at once are sent as fast as the usage plan allows.

    A *transport*, *limiters* and *tokens* that are passed in outlive the client, which
    does not close them; clients that share them share connections, each account's usage
    plan, and its tokens. `open_clients` does that for many accounts.

    Calls go before those of a bulk job on the same limiters; ``urgency=Urgency.BULK``
    takes that back, and waits longer before it gives up. *observer* is told of every
    attempt, and writes them to the log unless another is given.
    """

    def __init__(
        self,
        account: Account,
        *,
        direct_fulfillment_version: str = "v1",
        transport: Transport | None = None,
        limiters: Limiters | None = None,
        tokens: TokenSource | None = None,
        urgency: Urgency = Urgency.PERSON,
        observer: Observer = log_event,
        now: Callable[[], datetime] = clock.now,
    ) -> None:
        operations = direct_fulfillment_named(direct_fulfillment_version)
        self.account = account
        self._own_transport = Transport() if transport is None else None
        pool = self._own_transport or transport
        assert pool is not None  # noqa: S101 - it is one of the two
        limiters = Limiters() if limiters is None else limiters
        tokens = OperationTokens(pool, limiters) if tokens is None else tokens
        dispatcher = Dispatcher(pool, tokens, limiters, observer=observer, now=now)
        self._caller = Caller(account, dispatcher, urgency=urgency, observer=observer, now=now)
        self.retail = Retail(self._caller)
        self.direct_fulfillment = DirectFulfillment(self._caller, operations)
        self.transactions = Transactions(self._caller, operations)

    def __repr__(self) -> str:
        return f"<VendorOrdersClient {self.account.name} at {self.account.base_url}>"

    async def __aenter__(self) -> Self:
        if self._own_transport is not None:
            await self._own_transport.__aenter__()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            await self._caller.close()
        finally:
            if self._own_transport is not None:
                await self._own_transport.__aexit__(exc_type, exc, traceback)

    async def send(self, call: Call[T]) -> Reply[T]:
        """Send any call of the table in `operations`, and return all it brought.

        question = GetPurchaseOrder(purchase_order_number="L8266355")
        reply = await client.send(Call(GET_PURCHASE_ORDER, question))
        reply.content.raw           # the bytes that Amazon sent
        """
        return await self._caller.send(call)


class Transactions:
    """What `VendorOrdersClient.transactions` offers: what became of submissions."""

    def __init__(self, caller: Caller, operations: DirectFulfillmentOperations) -> None:
        self._caller = caller
        self._direct_fulfillment = operations

    def __repr__(self) -> str:
        return f"<Transactions {self._caller.account.name}>"

    async def get_transaction(self, transaction_id: str) -> GetTransactionResponse:
        """Return how far a submission to retail is.

            answer = await client.transactions.get_transaction(transaction_id)
            answer.payload.transaction_status.status        # Failure, Processing

        For an acknowledgement ``Success`` never comes: what is still ``Processing`` after
        15 minutes has succeeded.
        """
        # https://developer-docs.amazon.com/sp-api/docs/get-transaction-status
        question = GetTransaction(transaction_id=transaction_id)
        return (await self._caller.send(Call(GET_TRANSACTION, question))).content

    async def get_transaction_status(self, transaction_id: str) -> GetTransactionResponse:
        """Return how far a submission to Direct Fulfillment is, in the client's version.

        answer = await client.transactions.get_transaction_status(transaction_id)
        answer.payload.transaction_status.status        # Failure, Processing, Success
        """
        question = GetTransactionStatus(transaction_id=transaction_id)
        call = Call(self._direct_fulfillment.get_transaction_status, question)
        return (await self._caller.send(call)).content


@asynccontextmanager
async def open_clients(
    accounts: Iterable[Account],
    *,
    direct_fulfillment_version: str = "v1",
    transport: Transport | None = None,
    limiters: Limiters | None = None,
    tokens: TokenSource | None = None,
    urgency: Urgency = Urgency.PERSON,
    observer: Observer = log_event,
    now: Callable[[], datetime] = clock.now,
) -> AsyncIterator[tuple[VendorOrdersClient, ...]]:
    """Open a client for each of *accounts*, in their order, over one pool of connections.

        async with open_clients(load_accounts("accounts.toml")) as clients:
            for client in clients:
                print(client.account.name)

    They share one set of limiters and tokens as well; what is passed in stays open.
    """
    accounts = tuple(accounts)
    async with AsyncExitStack() as stack:
        if transport is None:
            transport = await stack.enter_async_context(Transport(account_count=len(accounts)))
        limiters = Limiters() if limiters is None else limiters
        tokens = OperationTokens(transport, limiters) if tokens is None else tokens
        yield tuple(
            [
                await stack.enter_async_context(
                    VendorOrdersClient(
                        account,
                        direct_fulfillment_version=direct_fulfillment_version,
                        transport=transport,
                        limiters=limiters,
                        tokens=tokens,
                        urgency=urgency,
                        observer=observer,
                        now=now,
                    )
                )
                for account in accounts
            ]
        )
