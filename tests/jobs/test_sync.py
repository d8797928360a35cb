"""Sync, as whoever runs it meets it: accounts that fail, secrets that move, an orderly end."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
import virtual_time
from fakes import an_account, virtual_now
from in_process import InProcess
from quick_loop import run
from shop import an_order
from syncing import FEW, Source, on_virtual_time, rows, stored, syncing

from vendororders_async import (
    Account,
    ConfigurationError,
    InvalidArgument,
    Limiters,
    OrderCreated,
    SinkError,
    StatusChanged,
    VendorOrdersClient,
    watch,
)
from vendororders_async.jobs.course import Course
from vendororders_async.jobs.sync import Sync
from vendororders_async.operations import CREATED, api_named
from vendororders_async.simulator import Settings, Simulator
from vendororders_async.sinks.base import Ledger
from vendororders_async.sinks.sqlite import SqliteSink
from vendororders_async.telemetry import AccountSetAside, AccountTakenUp, Event
from vendororders_async.windows import FinishedWindow, Window


def wrong_secret(account: Account) -> Account:
    """Return *account* with a client secret that Amazon does not know."""
    credentials = msgspec.structs.replace(account.credentials, client_secret="s3cret-stale")
    return msgspec.structs.replace(account, credentials=credentials)


def test_a_refused_account_is_set_aside_named_and_taken_up_again(tmp_path: Path) -> None:
    """It is tried after growing pauses, slows nobody, and catches up on all that it missed."""

    async def main() -> None:
        settings = msgspec.structs.replace(FEW, accounts=2)
        async with syncing(tmp_path, settings) as scene:
            scene.simulator.refuse("demo-2")
            await asyncio.sleep(3 * 3600)
            aside = next(
                one for one in scene.job.standing().accounts if one.account == "demo-2"
            )
            refused = [one for one in scene.told if isinstance(one, AccountSetAside)]
            missed = stored(scene.path, "demo-2")
            written = rows(
                scene.path, "SELECT account, last_error FROM account_streams ORDER BY account"
            )
            scene.simulator.refuse("demo-2", refused=False)
            await asyncio.sleep(3700)
            again = [one for one in scene.told if isinstance(one, AccountTakenUp)]
            pauses = [one.seconds for one in refused]

            assert aside.error is not None
            assert "demo-2" in aside.error
            assert aside.retried_at is not None
            assert pauses[:4] == [30.0, 60.0, 120.0, 240.0]
            assert max(pauses) == 3600.0
            assert missed == {}
            assert {name for name, error in written if error} == {"demo-2"}
            assert [one.account for one in again] == ["demo-2"]
            assert stored(scene.path, "demo-2") == scene.simulator.truth("demo-2")
            assert stored(scene.path, "demo-1") == scene.simulator.truth("demo-1")
        assert not scene.running.exception()

    run(main())


def test_a_secret_that_is_refused_is_read_anew(tmp_path: Path) -> None:
    """Somebody put the new one in its place: the account goes on within half a minute."""

    async def main() -> None:
        sources: list[Source] = []

        def stale(accounts: tuple[Account, ...]) -> Source:
            sources.append(Source(map(wrong_secret, accounts)))
            return sources[0]

        async with syncing(tmp_path, source=stale) as scene:
            await asyncio.sleep(1)
            refused = scene.job.standing().accounts[0].error
            sources[0].accounts = scene.transport.accounts  # no file tells of it
            await asyncio.sleep(70)

            assert refused is not None
            assert scene.job.standing().accounts[0].error is None
            assert stored(scene.path, "demo") == scene.simulator.truth("demo")

    run(main())


def test_a_file_that_was_edited_is_followed(tmp_path: Path) -> None:
    """Accounts come and go, and secrets change, without a restart."""

    async def main() -> None:
        sources: list[Source] = []

        def first_only(accounts: tuple[Account, ...]) -> Source:
            sources.append(Source(accounts[:1]))
            return sources[0]

        settings = msgspec.structs.replace(FEW, accounts=2)
        async with syncing(tmp_path, settings, source=first_only) as scene:
            await asyncio.sleep(60)
            before = stored(scene.path, "demo-2")
            sources[0].edit(*scene.transport.accounts)
            await asyncio.sleep(120)
            both = stored(scene.path, "demo-2")
            sources[0].edit(scene.transport.accounts[1])
            await asyncio.sleep(60)
            scene.simulator.traffic.clear()
            await asyncio.sleep(600)

            assert before == {}
            assert both == scene.simulator.truth("demo-2")
            assert scene.simulator.traffic.count(account="demo-1") == 0
            assert scene.simulator.traffic.count(account="demo-2") > 0

    run(main())


def test_accounts_that_cannot_be_read_stay_as_they_were(tmp_path: Path) -> None:
    """A file that is half written stops nobody."""

    class Broken(Source):
        def load(self) -> tuple[Account, ...]:
            if self.load_count:
                self.load_count += 1
                raise ConfigurationError("accounts.toml: nonsense")
            return super().load()

    async def main() -> None:
        sources: list[Broken] = []

        def broken(accounts: tuple[Account, ...]) -> Source:
            sources.append(Broken(accounts))
            return sources[0]

        async with syncing(tmp_path, source=broken) as scene:
            await asyncio.sleep(60)
            sources[0].edited = True
            await asyncio.sleep(120)
            scene.simulator.traffic.clear()
            await asyncio.sleep(120)

            assert sources[0].load_count > 1
            assert scene.simulator.traffic.count() > 0

    run(main())


def test_where_others_hold_every_account_nothing_is_begun(tmp_path: Path) -> None:
    """A second sync by mistake says so, and ends."""

    async def main() -> None:
        async with (
            SqliteSink(tmp_path / "orders.db") as other,
            other.lock("demo"),
            syncing(tmp_path) as scene,
        ):
            await asyncio.wait([scene.running])

            with pytest.raises(SinkError, match="demo"):
                scene.running.result()

    run(main())


def test_an_account_that_another_run_holds_is_waited_for(tmp_path: Path) -> None:
    """A backfill may be at it just now; the others are followed meanwhile."""

    async def main() -> None:
        settings = msgspec.structs.replace(FEW, accounts=2)
        async with SqliteSink(tmp_path / "orders.db") as other:
            async with other.lock("demo-1"), syncing(tmp_path, settings) as scene:
                await asyncio.sleep(20)
                held = stored(scene.path, "demo-1"), stored(scene.path, "demo-2")
                truth = scene.simulator.truth("demo-2")
            async with syncing(tmp_path, settings) as scene:
                await asyncio.sleep(120)

                assert held == ({}, truth)
                assert stored(scene.path, "demo-1") == scene.simulator.truth("demo-1")

    run(main())


@pytest.mark.parametrize(("latency", "most"), [(0.1, 3), (40.0, 6)])
def test_it_stops_within_seconds(tmp_path: Path, latency: float, most: float) -> None:
    """Also in the midst of its first reading, where no answer comes for long."""

    async def main() -> None:
        settings = msgspec.structs.replace(FEW, orders=3000, latency=latency)
        async with syncing(tmp_path, settings) as scene:
            await asyncio.sleep(1)
            scene.job.stop()
            seconds = await virtual_time.elapsed(asyncio.wait([scene.running]))
            lost = rows(scene.path, "SELECT count(*) FROM windows WHERE finished_at < begun_at")

            assert seconds < most
            assert scene.running.exception() is None
            assert lost == [(0,)]

    run(main())


def test_once_is_every_sweep_once(tmp_path: Path) -> None:
    """It ends by itself, says how it came out, and the next one asks little."""

    async def main() -> None:
        async with syncing(tmp_path, once=True) as scene:
            await scene.running
            first = scene.job.summary()
        now = scene.transport.now
        again = Sync(
            scene.transport.accounts,
            Course(once=True),
            to=f"sqlite:{scene.path}",
            transport=scene.transport,
            now=now,
        )
        await again.run()
        second = again.summary()

        assert (first.complete, first.orders, first.new) == (True, 30, 30)
        assert (second.complete, second.new, second.changed) == (True, 0, 0)
        assert second.requests < first.requests / 2
        assert stored(scene.path, "demo") == scene.simulator.truth("demo")

    run(main())


def test_once_says_what_is_missing(tmp_path: Path) -> None:
    """An account that is refused makes it incomplete, with the reason."""

    async def main() -> None:
        settings = msgspec.structs.replace(FEW, accounts=2)
        async with syncing(tmp_path, settings, once=True) as scene:
            scene.simulator.refuse("demo-2")
            await scene.running
            summary = scene.job.summary()

            assert not summary.complete
            assert summary.accounts["demo-1"].complete
            assert "refuses" in (summary.accounts["demo-2"].error or "")

    run(main())


def test_a_person_does_not_wait_for_a_sync(tmp_path: Path) -> None:
    """Who shares its limiters goes first, also while months are being read."""

    async def main() -> None:
        limiters = Limiters()
        settings = msgspec.structs.replace(FEW, orders=5000, days=170)
        async with syncing(tmp_path, settings, limiters=limiters) as scene:
            await asyncio.sleep(4)
            number = next(iter(scene.simulator.truth("demo")))
            account = scene.transport.accounts[0]
            waits = []
            async with VendorOrdersClient(
                account, transport=scene.transport, limiters=limiters, now=scene.transport.now
            ) as client:
                await client.retail.get_purchase_order(number)  # logs in
                for _ in range(20):
                    call = client.retail.get_purchase_orders(
                        created_after=scene.transport.now() - timedelta(days=1), limit=1
                    )
                    waits.append(await virtual_time.elapsed(call))
            is_busy = len(stored(scene.path, "demo")) < 5000

            assert is_busy
            assert max(waits) < 0.5  # of which the answer takes 0.1

    run(main())


def test_hundreds_of_accounts_do_not_wake_at_once(tmp_path: Path) -> None:
    """What begins together does not stay together: no second sees more than its share."""

    async def main() -> None:
        settings = Settings(accounts=60, orders=0, latency=0.1, keep_arrivals=True)
        async with syncing(tmp_path, settings) as scene:
            await asyncio.sleep(120)
            scene.simulator.traffic.clear()
            await asyncio.sleep(120)
            seconds = Counter(int(one.at) for one in scene.simulator.traffic.arrivals)
            mean = sum(seconds.values()) / 120

            assert max(seconds.values()) < 3 * mean

    run(main())


def test_an_order_is_read_again_when_its_status_moves(tmp_path: Path) -> None:
    """Its state moves without a change that a list would tell of."""

    async def main() -> None:
        async with syncing(tmp_path) as scene:
            await asyncio.sleep(30)
            number = "LIFEONE1"
            at = scene.transport.now()
            order = msgspec.json.decode(next(iter(scene.simulator.truth("demo").values())))
            order["purchaseOrderNumber"], order["purchaseOrderState"] = number, "New"
            order["orderDetails"]["purchaseOrderDate"] = at.isoformat()
            order["orderDetails"].pop("purchaseOrderChangedDate", None)
            scene.simulator.put_order("demo", order)
            await asyncio.sleep(60)
            scene.simulator.acknowledge("demo", number)
            await asyncio.sleep(45)

            assert stored(scene.path, "demo")[number] == scene.simulator.truth("demo")[number]
            assert rows(
                scene.path,
                "SELECT purchase_order_state FROM purchase_orders "
                "WHERE purchase_order_number = 'LIFEONE1'",
            ) == [("Acknowledged",)]

    run(main())


def test_a_customers_order_that_is_cancelled_is_seen_before_it_ships(tmp_path: Path) -> None:
    """No list tells of it, so that what is open is read again every five minutes."""

    async def main() -> None:
        api = api_named("direct-fulfillment")
        async with syncing(tmp_path, Settings(orders=0, latency=0.1), api=api) as scene:
            await asyncio.sleep(10)
            number = "DFCANCEL"
            placed_at = scene.transport.now()
            scene.simulator.put_direct_fulfillment_order(
                "demo", an_order(number, placed_at=placed_at)
            )
            await asyncio.sleep(60)

            def cancel(order: dict[str, Any]) -> None:
                order["orderDetails"]["orderStatus"] = "CANCELLED"

            scene.simulator.change_direct_fulfillment_order("demo", number, cancel)
            await asyncio.sleep(360)
            scene.simulator.traffic.clear()
            await asyncio.sleep(3600)

            assert stored(scene.path, "demo") == scene.simulator.direct_fulfillment_truth(
                "demo"
            )
            assert b"CANCELLED" in stored(scene.path, "demo")[number]
            assert scene.simulator.traffic.count(operation="getOrder") == 0  # it is final

    run(main())


def test_where_amazon_refuses_the_present_the_sweeps_end_earlier(tmp_path: Path) -> None:
    """Two minutes late is better than never."""

    async def main() -> None:
        async with syncing(tmp_path) as scene:

            def is_young(call: Any) -> bool:
                until = datetime.fromisoformat(
                    call.query.get("createdBefore", "2000-01-01T00Z")
                )
                return until > scene.transport.now() - timedelta(seconds=30)

            scene.simulator.inject(
                "getPurchaseOrders", "spurious-400", times=1_000_000, when=is_young
            )
            await asyncio.sleep(600)
            order = msgspec.json.decode(next(iter(scene.simulator.truth("demo").values())))
            order["purchaseOrderNumber"] = "LATER001"
            order["orderDetails"]["purchaseOrderDate"] = scene.transport.now().isoformat()
            scene.simulator.put_order("demo", order)
            await asyncio.sleep(180)

            assert "LATER001" in stored(scene.path, "demo")

    run(main())


def test_a_ledger_that_claims_the_future_is_not_believed(tmp_path: Path) -> None:
    """A run whose clock was a day ahead left it so; no order of that day is passed over."""

    async def main() -> None:
        now = on_virtual_time()
        async with syncing(tmp_path) as scene:
            account = scene.transport.accounts[0]
            await asyncio.sleep(30)
        begun_at = now() + timedelta(days=1)
        claimed = Window.covering(now() - timedelta(days=2), begun_at - timedelta(minutes=2))
        async with SqliteSink(scene.path, now=now) as sink:
            ledger = Ledger(account.name, "retail", CREATED.name, account.source)
            await sink.finish(ledger, FinishedWindow(claimed, begun_at))
        job = Sync(
            [account],
            Course(),
            to=f"sqlite:{scene.path}",
            transport=scene.transport,
            now=scene.transport.now,
        )
        running = asyncio.create_task(job.run())
        await asyncio.sleep(60)
        order = msgspec.json.decode(next(iter(scene.simulator.truth("demo").values())))
        order["purchaseOrderNumber"] = "TODAY001"
        order["orderDetails"]["purchaseOrderDate"] = scene.transport.now().isoformat()
        scene.simulator.put_order("demo", order)
        await asyncio.sleep(60)
        watermarks = [one.watermark for one in job.standing().accounts[0].streams]
        job.stop()
        await running

        assert "TODAY001" in stored(scene.path, "demo")
        assert all(one and one < now() for one in watermarks)

    run(main())


def test_what_is_still_to_come_is_no_beginning() -> None:
    """A wrong year would leave out all that is there, in silence."""
    with pytest.raises(InvalidArgument, match="since 2099-01-01T00:00:00Z is still to come"):
        Sync([an_account()], Course(since=datetime(2099, 1, 1, tzinfo=UTC)), to="sqlite:x.db")


@pytest.mark.parametrize(
    ("accounts", "to", "error"),
    [
        ((), "sqlite:orders.db", InvalidArgument),
        (None, "ndjson:orders", ConfigurationError),
        (None, "ndjson:-", ConfigurationError),
        (None, "nonsense:", ConfigurationError),
        (None, Path("orders.db"), ConfigurationError),
    ],
)
def test_what_cannot_be_followed_is_refused_at_once(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    accounts: Any,
    to: Any,
    error: type[Exception],
) -> None:
    """No account, or a sink that keeps no versions to compare with."""
    monkeypatch.chdir(tmp_path)

    async def main() -> None:
        simulator = Simulator(FEW, now=on_virtual_time())
        async with InProcess(simulator) as transport:
            chosen = transport.accounts if accounts is None else accounts
            with pytest.raises(error):
                await Sync(chosen, Course(), to=to, transport=transport).run()

            assert transport.request_count == 0

    run(main())


def test_an_observers_mistake_ends_it_as_it_is(tmp_path: Path) -> None:
    """And not in a group of the tasks that it happened to run in."""

    def mistaken(_event: Event) -> None:
        raise KeyError("colour")

    async def main() -> None:
        simulator = Simulator(FEW, now=on_virtual_time())
        to = f"sqlite:{tmp_path / 'orders.db'}"
        async with InProcess(simulator) as transport:
            job = Sync(
                transport.accounts, Course(), to=to, transport=transport, observer=mistaken
            )
            with pytest.raises(KeyError, match="colour"):
                await job.run()

    run(main())


def test_watch_yields_every_change_once_it_is_stored(tmp_path: Path) -> None:
    """A consumer goes on after the last one that it saw; leaving ends the sync."""

    async def main() -> None:
        now = on_virtual_time()
        simulator = Simulator(msgspec.structs.replace(FEW, anchor=now()), now=now)
        to = f"sqlite:{tmp_path / 'orders.db'}"
        async with InProcess(simulator) as transport:
            seen: list[int] = []
            kinds: set[type] = set()
            while 60 not in seen:
                watching = watch(transport.accounts, to=to, consumer="erp", transport=transport)
                async with aclosing(watching) as changes:
                    async for change in changes:
                        recorded = rows(tmp_path / "orders.db", "SELECT sequence FROM changes")
                        assert (change.sequence,) in recorded
                        seen.append(change.sequence)
                        kinds.add(type(change))
                        if len(seen) % 25 == 0 or change.sequence == 60:
                            break

        # the one at which it left comes again
        assert sorted(set(seen)) == list(range(1, 61))
        assert len(seen) - len(set(seen)) <= 2
        assert all(later - earlier in {0, 1} for earlier, later in pairwise(seen))
        assert kinds == {OrderCreated, StatusChanged}

    run(main())


def test_watch_raises_what_ends_the_sync(tmp_path: Path) -> None:
    """Whoever waits for changes is told why none will come."""

    async def main() -> None:
        simulator = Simulator(FEW, now=virtual_now)
        async with InProcess(simulator) as transport:
            to = f"sqlite:{tmp_path / 'no' / 'folder' / 'orders.db'}"
            with pytest.raises(SinkError, match="folder"):
                async for _ in watch(transport.accounts, to=to, transport=transport):
                    pass

    run(main())
