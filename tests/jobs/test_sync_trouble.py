"""Trouble that a sync must outlive: refusals, silence, lag, and orders that nobody can make."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from quick_loop import run
from syncing import FEW, Source, add_order, rows, stored, syncing

from vendororders_async import Account
from vendororders_async.jobs.rereads import turn_of
from vendororders_async.sinks.followed import UnfinishedOrder
from vendororders_async.telemetry import AccountSetAside

NOW = datetime(2026, 7, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def states(path: Path, number: str) -> list[Any]:
    """Return the state of an order as it is stored."""
    found = rows(
        path, "SELECT purchase_order_number, purchase_order_state FROM purchase_orders"
    )
    return [state for one, state in found if one == number]


def kept(sources: list[Source], make: Callable[..., Source]) -> Callable[..., Source]:
    """Return a maker of sources that leaves word of them."""

    def made(accounts: tuple[Account, ...]) -> Source:
        sources.append(make(accounts))
        return sources[-1]

    return made


def test_nothing_begins_once_it_is_to_stop(tmp_path: Path) -> None:
    """Not even an account that was read from a file at that very moment."""

    async def main() -> None:
        stops: list[Callable[[], None]] = []
        loop = asyncio.get_running_loop()

        class Late(Source):
            def load(self) -> tuple[Account, ...]:
                if self.load_count:
                    loop.call_soon_threadsafe(stops[0])
                    self.load_count += 1
                    return (*self.accounts[:1], *more)
                return super().load()

        more: list[Account] = []
        sources: list[Source] = []
        settings = msgspec.structs.replace(FEW, accounts=2)
        maker = kept(sources, lambda accounts: Late(accounts[:1]))
        async with syncing(tmp_path, settings, source=maker) as scene:
            await asyncio.sleep(60)
            more.append(scene.transport.accounts[1])
            stops.append(scene.job.stop)
            sources[0].edited = True
            await asyncio.wait([scene.running], timeout=60)

            assert sources[0].load_count > 1
            assert scene.running.done()
            assert scene.simulator.traffic.count(account="demo-2") == 0

    run(main())


def test_an_account_that_is_put_back_is_followed_again(tmp_path: Path) -> None:
    """Somebody took it out of the file by mistake, while it was at work."""

    async def main() -> None:
        sources: list[Source] = []
        settings = msgspec.structs.replace(FEW, accounts=2)
        async with syncing(tmp_path, settings, source=kept(sources, Source)) as scene:
            await asyncio.sleep(60)
            scene.transport.outage = "503"
            await asyncio.sleep(60)
            sources[0].edit(scene.transport.accounts[0])
            await asyncio.sleep(32)
            without = [one.account for one in scene.job.standing().accounts]
            sources[0].edit(*scene.transport.accounts)
            await asyncio.sleep(32)
            scene.transport.outage = ""
            await asyncio.sleep(180)
            scene.simulator.traffic.clear()
            await asyncio.sleep(300)

            assert without == ["demo-1"]
            assert scene.simulator.traffic.count(account="demo-2") > 10

    run(main())


def test_an_order_that_lags_behind_its_status_is_read_once_more(tmp_path: Path) -> None:
    """Its state moved, getPurchaseOrder shows it seconds later, and nothing else ever will."""

    async def main() -> None:
        async with syncing(tmp_path) as scene:
            add_order(scene, "LAGGING1", age=10 * DAY)
            await asyncio.sleep(60)
            simulator = scene.simulator
            order = msgspec.json.decode(simulator.truth("demo")["LAGGING1"])
            status = msgspec.json.decode(simulator.status_truth("demo")["LAGGING1"])
            status["purchaseOrderStatus"] = "CLOSED"
            status["lastUpdatedDate"] = scene.transport.now().isoformat()
            simulator.put_order("demo", order, status=status)
            await asyncio.sleep(40)
            too_early = states(scene.path, "LAGGING1")
            order["purchaseOrderState"] = "Closed"
            simulator.put_order("demo", order, status=status)
            simulator.traffic.clear()
            await asyncio.sleep(1800)

            assert too_early == ["New"]
            assert states(scene.path, "LAGGING1") == ["Closed"]
            assert simulator.traffic.count(operation="getPurchaseOrder") <= 3

    run(main())


def test_a_page_that_amazon_cannot_make_holds_no_head_up(tmp_path: Path) -> None:
    """It is read order by order, the watermark moves on, and the cost does not grow."""

    async def main() -> None:
        async with syncing(tmp_path) as scene:
            await asyncio.sleep(60)

            def has_orders(call: Any) -> bool:
                return bool(call.order_count) and call.query.get("includeDetails") != "false"

            scene.simulator.inject("getPurchaseOrders", "500", times=10**9, when=has_orders)
            for place in range(12):
                add_order(scene, f"UNMADE{place:02}")
                await asyncio.sleep(600)
            created = scene.job.standing().accounts[0].streams[0]
            scene.simulator.traffic.clear()
            await asyncio.sleep(3600)

            assert created.watermark is not None
            assert scene.simulator.now() - created.watermark < timedelta(minutes=75)
            assert stored(scene.path, "demo") == scene.simulator.truth("demo")
            assert scene.simulator.traffic.count() < 2500

    run(main())


def test_an_operation_that_is_refused_stops_no_other(tmp_path: Path) -> None:
    """A role may be missing for it; its streams are named, and asked again seldom."""

    async def main() -> None:
        settings = msgspec.structs.replace(FEW, orders=600)
        async with syncing(tmp_path, settings) as scene:
            scene.simulator.inject("getPurchaseOrdersStatus", "403", times=10**9)
            await asyncio.sleep(600)
            streams = {
                one.stream: one.last_error for one in scene.job.standing().accounts[0].streams
            }
            scene.simulator.traffic.clear()
            await asyncio.sleep(6 * 3600)
            refused = scene.simulator.traffic.count(operation="getPurchaseOrdersStatus")

            assert streams["created"] is streams["changed"] is None
            assert "role" in (streams["statuses"] or "")
            assert not [one for one in scene.told if isinstance(one, AccountSetAside)]
            assert scene.job.standing().is_ready
            assert stored(scene.path, "demo") == scene.simulator.truth("demo")
            assert refused < 200  # in 6 hours; 720 by the beat

    run(main())


def test_an_account_that_is_never_answered_keeps_no_other_from_being_ready(
    tmp_path: Path,
) -> None:
    """Its streams have an error; whoever asks for readiness asks for the whole process."""

    async def main() -> None:
        settings = msgspec.structs.replace(FEW, accounts=2)
        async with syncing(tmp_path, settings) as scene:
            for operation in ("getPurchaseOrders", "getPurchaseOrdersStatus"):
                scene.simulator.inject(operation, "503", times=10**9, account="demo-2")
            await asyncio.sleep(120)
            standing = scene.job.standing()
            silent = next(one for one in standing.accounts if one.account == "demo-2")

            assert all(one.last_error for one in silent.streams)
            assert standing.is_ready

    run(main())


def test_orders_that_cannot_be_read_again_are_told_of(tmp_path: Path) -> None:
    """Their stream has an error as long as it lasts, and they come when it is over."""

    async def main() -> None:
        async with syncing(tmp_path) as scene:
            add_order(scene, "FAILING1", age=DAY)
            await asyncio.sleep(60)
            failing = [True]
            scene.simulator.inject(
                "getPurchaseOrder", "500", times=10**9, when=lambda _: bool(failing)
            )
            scene.simulator.acknowledge("demo", "FAILING1")
            await asyncio.sleep(240)
            during = scene.job.standing().accounts[0].streams[0].last_error
            written = rows(
                scene.path, "SELECT last_error FROM account_streams WHERE stream = 'created'"
            )
            failing.clear()
            await asyncio.sleep(900)
            after = scene.job.standing().accounts[0].streams[0].last_error

            assert "FAILING1" in (during or "")
            assert written == [(during,)]
            assert after is None
            assert states(scene.path, "FAILING1") == ["Acknowledged"]

    run(main())


def test_silence_from_the_beginning_is_told_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A wrong address looks like an outage: it is named, once, and written down."""

    async def main() -> None:
        async with syncing(tmp_path) as scene:
            scene.transport.outage = "refused"
            await asyncio.sleep(600)
            during = [one.last_error for one in scene.job.standing().accounts[0].streams]
            written = rows(scene.path, "SELECT last_error FROM account_streams")
            scene.transport.outage = ""
            await asyncio.sleep(180)
            after = [one.last_error for one in scene.job.standing().accounts[0].streams]

            assert all("refused" in (one or "") for one in during)
            assert all("refused" in (one or "") for (one,) in written)
            assert len(written) == 3
            assert after == [None] * 3
            assert stored(scene.path, "demo") == scene.simulator.truth("demo")

    with caplog.at_level(logging.WARNING, "vendororders_async"):
        run(main())

    assert sum("once a minute" in one.message for one in caplog.records) == 1


def test_a_beginning_in_the_future_is_now(tmp_path: Path) -> None:
    """Whoever asks for what comes from tomorrow on is told nothing wrong meanwhile."""

    async def main() -> None:
        since = datetime(2026, 7, 2, tzinfo=UTC)
        async with syncing(tmp_path, since=since, streams=iter(["created"])) as scene:
            await asyncio.sleep(120)
            add_order(scene, "TODAY001")
            await asyncio.sleep(60)

            assert scene.job.standing().accounts[0].error is None
            assert "TODAY001" in stored(scene.path, "demo")

    run(main())


@pytest.mark.parametrize(
    ("age", "read_ago", "is_due"),
    [
        (DAY, None, True),
        (DAY, timedelta(minutes=4), False),
        (DAY, timedelta(minutes=6), True),
        (10 * DAY, None, True),
        (10 * DAY, timedelta(hours=5), False),
        (10 * DAY, timedelta(hours=7), True),
        (22 * DAY, None, False),
    ],
)
def test_an_open_order_is_read_less_often_with_time_and_then_no_more(
    age: timedelta, read_ago: timedelta | None, is_due: bool
) -> None:
    """Its customer is to be forgotten after a month, and it will not ship any more."""
    order = UnfinishedOrder("A1", placed_at=NOW - age)
    read_at = None if read_ago is None else NOW - read_ago

    assert (turn_of(order, read_at, NOW) is not None) == is_due


def test_the_pressing_orders_are_read_first() -> None:
    """Also after a restart, when nobody knows what was read last."""
    old = turn_of(UnfinishedOrder("A1", placed_at=NOW - 10 * DAY), None, NOW)
    young = turn_of(UnfinishedOrder("A2", placed_at=NOW - DAY), NOW - DAY / 2, NOW)

    assert old is not None
    assert young is not None
    assert young < old
