"""Forgetting in a database: its cursor, what is recorded of orders; portion by portion."""

from __future__ import annotations

from canaries import DAY, LATER, NOW, OLD, YOUNG, direct, forget, page, store
from stores import Database, Select

from vendororders_async.changes import OrderChanged, OrderCreated
from vendororders_async.models.direct_fulfillment import Order
from vendororders_async.redaction import redact
from vendororders_async.sinks.base import Purged
from vendororders_async.sinks.purging import PORTION
from vendororders_async.sinks.rows import digest_of


async def test_whoever_loads_from_here_sees_it(database: Database, ask: Select) -> None:
    """A redacted order has changed: its digest, its time and its place in the changes."""
    columns = (
        "SELECT purchase_order_number, digest, change_seq, updated_at, first_seen_at, "
        "asked_at FROM purchase_orders ORDER BY 1"
    )
    await store(database, page(direct("A1"), direct("B2", YOUNG)))
    before = ask(columns)
    await forget(database)
    after = ask(columns)
    [(cursor,)] = ask("SELECT change_seq FROM change_counter")

    assert after[1] == before[1]
    assert all(one != other for one, other in zip(after[0][1:4], before[0][1:4], strict=True))
    assert after[0][4:] == before[0][4:]
    assert after[0][2] == cursor > before[0][2]


async def test_no_column_keeps_a_name(database: Database, ask: Select) -> None:
    """Some write one where a party's code should be; a code stays."""
    named = direct("A1", billToParty={"partyId": "CANARY Doe"})
    coded = direct("B2", billToParty={"partyId": "AMZ1"})
    await store(database, page(named, coded, kind=Order))
    before = ask("SELECT bill_to_party_id FROM purchase_orders ORDER BY purchase_order_number")
    await forget(database)
    after = ask("SELECT bill_to_party_id FROM purchase_orders ORDER BY purchase_order_number")

    assert before == [("CANARY Doe",), ("AMZ1",)]
    assert after == [(None,), ("AMZ1",)]


async def test_what_became_of_an_order_names_it_as_it_is(database: Database) -> None:
    """Its versions' digests are those of what is left, its numbers and documents too."""
    old, new = direct("A1"), direct("A1", orderStatus="SHIPPED")
    await store(database, page(old), page(new, asked_at=NOW + DAY))
    before = await database.changes(0)
    await store(database, page(direct("B2", YOUNG), window=LATER))
    await forget(database)
    created, changed, young = await database.changes(0)

    assert isinstance(created, OrderCreated)
    assert isinstance(changed, OrderChanged)
    assert isinstance(young, OrderCreated)
    for one, other in ((created, old), (changed, new)):
        assert bytes(one.document) == redact(other)
        assert one.digest == digest_of(redact(other))
    assert changed.previous_digest == created.digest
    assert [created.sequence, changed.sequence] == [one.sequence for one in before]
    assert young.digest == digest_of(direct("B2", YOUNG))


async def test_an_older_version_is_as_old_as_its_order(database: Database) -> None:
    """It goes by the date of the newest one, also where its own is another."""
    await store(database, page(direct("A1", OLD)))
    changed = direct("A1", YOUNG, purchaseOrderChangedDate="2026-11-01T00:00:00Z")
    await store(database, page(changed, asked_at=NOW + DAY))

    assert await forget(database) == Purged()
    assert await forget(database, NOW) == Purged(order_count=1, version_count=1)


async def test_versions_that_become_equal_become_one(database: Database, ask: Select) -> None:
    """Where those of a page differed in the customer alone, one is left."""
    raws = [direct("A1", canary=f"CANARY {n}") for n in range(4)]
    await store(database, page(*sorted(raws, key=digest_of)))  # so that each replaces the last
    purged = await forget(database)

    assert purged == Purged(order_count=1, version_count=3)
    assert ask("SELECT count(*) FROM superseded_orders") == [(1,)]
    assert ask("SELECT count(*) FROM purchase_orders") == [(1,)]


async def test_it_is_done_in_portions(database: Database, ask: Select) -> None:
    """More than fits into one; each is seen by others as soon as it is done."""
    count = PORTION * 2 + 1
    raws = [direct(f"P{n:04}") for n in range(count)]
    await store(database, *(page(*raws[n : n + 100]) for n in range(0, count, 100)))
    purged = await forget(database)
    [(changes,)] = ask("SELECT count(DISTINCT change_seq) FROM purchase_orders")
    async with database.lock("acme-us"):
        gone = await database.purge_account("acme-us")

    assert purged == gone == Purged(order_count=count)
    assert changes == 3
    assert await database.accounts() == {"acme-us"}  # until it is scrubbed
    await database.scrub()
    assert await database.accounts() == frozenset()
