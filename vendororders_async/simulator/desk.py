"""Answers the operations: a call and the worlds in, an answer out, and no HTTP."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

import msgspec

from . import acknowledge, calls, direct_acknowledge
from .answers import Answer, invalid, not_found
from .cache import ByteCache
from .calls import Api
from .documents import ORDER
from .life import Life
from .pages import Page, Pager, compress, enveloped
from .queries import Refused, read_query
from .restricted import RestrictedTokens
from .settings import Settings, micros
from .submissions import Rules, Submissions
from .world import World

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
    version: str = ""  # of Direct Fulfillment
    fault: str = ""  # one of those that lead astray

    @property
    def api(self) -> Api:
        """Which of the two APIs it is about."""
        return calls.DIRECT if self.version else calls.RETAIL


class Desk:
    """Knows every account's orders, and what was submitted about them."""

    def __init__(
        self,
        worlds: Mapping[Api, Mapping[str, World]],
        settings: Settings,
        restricted: RestrictedTokens,
        life: Life,
    ) -> None:
        self._worlds = worlds
        self._restricted = restricted
        self._life = life
        # half of the room is for pages and half for the documents they are made of
        cache: ByteCache[Page] = ByteCache(settings.cache_bytes // 2)
        self._pagers = {
            (name, version): Pager(name, world, settings, cache=cache, version=version)
            for api, versions in ((calls.RETAIL, ("",)), (calls.DIRECT, calls.VERSIONS))
            for version in versions
            for name, world in worlds[api].items()
        }
        self.submissions = Submissions(
            {
                calls.RETAIL: Rules(
                    worlds[calls.RETAIL],
                    "acknowledgements",
                    acknowledge.read_submission,
                    acknowledge.answered,
                    says_success=False,
                ),
                calls.DIRECT: Rules(
                    worlds[calls.DIRECT],
                    "orderAcknowledgements",
                    direct_acknowledge.read_submission,
                    direct_acknowledge.answered,
                    says_success=True,
                ),
            },
            settings,
        )

    def settle(self, now: datetime) -> None:
        """Let happen what is due by *now*; to be called before anybody looks."""
        for moment in self.submissions.due(now):
            self._life.settle(moment)
            self.submissions.settle(moment)
        self._life.settle(now)

    def answer(self, errand: Errand, spoil: Spoil | None = None) -> Answer:
        """Do what *errand* says; *spoil* makes one order of the answer undecodable."""
        self.settle(errand.now)
        try:
            match errand.operation:
                case calls.ORDERS | calls.STATUSES | calls.DIRECT_ORDERS:
                    return self._page(errand, spoil)
                case calls.ORDER | calls.DIRECT_ORDER:
                    return self._order(errand, spoil)
                case calls.ACKNOWLEDGE | calls.DIRECT_ACKNOWLEDGE:
                    return self._acknowledge(errand)
                case calls.RESTRICTED_TOKEN:
                    return self._restricted.create(errand.account, errand.body, errand.at)
                case _:
                    return self._transaction(errand)
        except Refused as refused:
            return invalid(refused.code, refused.message, refused.details)

    def _page(self, errand: Errand, spoil: Spoil | None) -> Answer:
        page = self._pagers[errand.account, errand.version].page(
            read_query(errand.operation, errand.raw_query),
            now=errand.now,
            at=errand.at,
            zipped=errand.is_zipped,
            spoil=spoil,
            fault=errand.fault,
        )
        return Answer(
            status=200,
            body=page.body,
            is_zipped=page.is_zipped,
            order_count=page.record_count,
        )

    def _order(self, errand: Errand, spoil: Spoil | None) -> Answer:
        world = self._worlds[errand.api][errand.account]
        record = world.served(errand.subject, micros(errand.now))
        if record is None:
            return not_found(f"Purchase order {errand.subject}")
        document = record.text(errand.version or ORDER)
        if spoil is not None:
            document = spoil(document)
        body = enveloped(document, errand.version)
        return Answer(
            status=200,
            body=compress(body) if errand.is_zipped else body,
            is_zipped=errand.is_zipped,
            order_count=1,
        )

    def _acknowledge(self, errand: Errand) -> Answer:
        identifier = self.submissions.submit(
            errand.api, errand.account, errand.body, errand.now
        )
        body = msgspec.json.encode({"transactionId": identifier})
        return Answer(status=202, body=enveloped(body, errand.version))

    def _transaction(self, errand: Errand) -> Answer:
        transaction = self.submissions.transaction(
            errand.api, errand.account, errand.subject, errand.now
        )
        if transaction is None:
            return not_found(f"Transaction {errand.subject}")
        body = msgspec.json.encode({"transactionStatus": transaction})
        return Answer(status=200, body=enveloped(body, errand.version))
