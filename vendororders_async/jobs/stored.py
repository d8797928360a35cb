"""Stored orders: what a sink holds, decoded again, for whoever takes it elsewhere."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from fnmatch import fnmatchcase

import msgspec

from ..errors import InvalidArgument
from ..pages import Document, decode_document
from ..sinks import Sink
from ..sinks.base import StoredOrder
from ..sinks.rows import ORDER_TYPES, AnyOrder


class Content(msgspec.Struct, frozen=True, gc=False):
    """An order on its way, and what its document says."""

    order: StoredOrder
    document: Document[AnyOrder]


async def stored_orders(
    reader: Sink, patterns: Sequence[str] = (), api: str | None = None
) -> AsyncGenerator[list[Content], None]:
    """Yield the newest version of every order in *reader*, some at a time.

    *patterns* choose accounts (``acme-*``), *api* one of the APIs. Whoever leaves early closes
    it, before the reader.
    """
    async with aclosing(reader.orders()) as batches:
        async for batch in batches:
            yield [
                Content(one, decode_document(one.document, ORDER_TYPES[one.api]))
                for one in batch
                if api in {None, one.api} and _is_chosen(one.account, patterns)
            ]


def _is_chosen(account: str, patterns: Sequence[str]) -> bool:
    return not patterns or any(fnmatchcase(account, pattern) for pattern in patterns)


async def check_patterns(reader: Sink, patterns: Sequence[str]) -> None:
    """Make sure that each of *patterns* chooses an account in *reader*.

    Raises:
        InvalidArgument: no account is called so.
    """
    known = {state.ledger.account for state in await reader.states()}
    for pattern in patterns:
        if not any(fnmatchcase(account, pattern) for account in known):
            names = ", ".join(sorted(known)) or "none"
            raise InvalidArgument(f"no account is called {pattern!r}; there are {names}")
