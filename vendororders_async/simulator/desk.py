"""Answers the five operations: a call and the world in, an answer out, and no HTTP."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec

from . import calls
from .acknowledge import Acknowledgement, acknowledged, is_effective, read_submission
from .answers import Answer, invalid, not_found, success
from .cache import ByteCache
from .pages import Page, Pager, compress
from .queries import Refused, read_query
from .seeds import seeded
from .settings import Settings, micros
from .world import World, written_record

_ID_LENGTH = 128  # bits

Spoil = Callable[[bytes], bytes]


class Errand(msgspec.Struct, frozen=True, kw_only=True):
    """One request that was let in: who wants what, and when."""

    operation: str
    account: str
    subject: str
    raw_query: str
    body: bytes
    now: datetime
    at: float  # the loop's time
    is_zipped: bool  # whether the client can read gzip


class Desk:
    """Knows every account's orders, and what was submitted about them."""

    def __init__(self, worlds: dict[str, World], settings: Settings) -> None:
        self._worlds = worlds
        # half of the room is for pages and half for the documents they are made of
        cache: ByteCache[Page] = ByteCache(settings.cache_bytes // 2)
        self._pagers = {
            name: Pager(name, world, settings, cache=cache) for name, world in worlds.items()
        }
        self._random = seeded(settings.seed, "transactions")
        self.acknowledgements: list[Acknowledgement] = []

    def answer(self, errand: Errand, spoil: Spoil | None = None) -> Answer:
        """Do what *errand* says; *spoil* makes one order of the answer undecodable."""
        try:
            match errand.operation:
                case calls.ORDERS | calls.STATUSES:
                    return self._page(errand, spoil)
                case calls.ORDER:
                    return self._order(errand, spoil)
                case calls.ACKNOWLEDGE:
                    return self._acknowledge(errand)
                case _:
                    return self._transaction(errand)
        except Refused as refused:
            return invalid(refused.code, refused.message, refused.details)

    def _page(self, errand: Errand, spoil: Spoil | None) -> Answer:
        page = self._pagers[errand.account].page(
            read_query(errand.operation, errand.raw_query),
            now=errand.now,
            at=errand.at,
            zipped=errand.is_zipped,
            spoil=spoil,
        )
        return Answer(
            status=200,
            body=page.body,
            is_zipped=page.is_zipped,
            order_count=page.record_count,
        )

    def _order(self, errand: Errand, spoil: Spoil | None) -> Answer:
        record = self._worlds[errand.account].get(errand.subject)
        if record is None or record.available > micros(errand.now):
            return not_found(f"Purchase order {errand.subject}")
        document = record.text.order()
        if spoil is not None:
            document = spoil(document)
        body = b'{"payload":%b}' % document
        return Answer(
            status=200,
            body=compress(body) if errand.is_zipped else body,
            is_zipped=errand.is_zipped,
            order_count=1,
        )

    def _acknowledge(self, errand: Errand) -> Answer:
        request = read_submission(errand.body)
        world = self._worlds[errand.account]
        unknown = []
        for acknowledgement in request["acknowledgements"]:
            record = world.get(acknowledgement["purchaseOrderNumber"])
            if record is None or record.available > micros(errand.now):
                unknown.append(str(acknowledgement["purchaseOrderNumber"]))
            elif record.state != "Closed" and is_effective(acknowledgement):
                order, status = acknowledged(
                    msgspec.json.decode(record.text.order()),
                    msgspec.json.decode(record.text.status()),
                    acknowledgement,
                    errand.now,
                )
                world.put(written_record(order, status, available=record.available))
        transaction_id = self._transaction_id(errand.now)
        self.acknowledgements.append(
            Acknowledgement(
                account=errand.account,
                transaction_id=transaction_id,
                body=request,
                unknown=tuple(unknown),
            )
        )
        return success({"transactionId": transaction_id}, status=202)

    def _transaction_id(self, now: datetime) -> str:
        digits = f"{self._random.getrandbits(_ID_LENGTH):032x}"
        groups = (digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:])
        return f"{now:%Y%m%d%H%M%S}-{'-'.join(groups)}"

    def _transaction(self, errand: Errand) -> Answer:
        for submitted in self.acknowledgements:
            if (submitted.account, submitted.transaction_id) == (
                errand.account,
                errand.subject,
            ):
                return success({"transactionStatus": _transaction_status(submitted)})
        return not_found(f"Transaction {errand.subject}")


def _transaction_status(submitted: Acknowledgement) -> dict[str, Any]:
    """Return what became of it: "Success" is never said of an acknowledgement."""
    # https://developer-docs.amazon.com/sp-api/docs/get-transaction-status
    status: dict[str, Any] = {"transactionId": submitted.transaction_id, "status": "Processing"}
    if submitted.unknown:
        error = {"code": "INVALID_ORDER_ID", "message": "Invalid order ID."}
        status |= {"status": "Failure", "errors": [error for _ in submitted.unknown]}
    return status
