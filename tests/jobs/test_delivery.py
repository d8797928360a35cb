"""Delivery: every batch is taken before the next one, however often that takes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime

import msgspec
import pytest
from virtual_time import elapsed, run

from vendororders_async.changes import Change, OrderCreated
from vendororders_async.errors import SinkError
from vendororders_async.jobs.delivery import GRACE, Delivery, lines_of, pause

START = datetime(2026, 11, 1, tzinfo=UTC)


def change(sequence: int, document: bytes = b"{}") -> OrderCreated:
    """Return a change of an order."""
    return OrderCreated(
        sequence=sequence,
        recorded_at=START,
        account="acme",
        api="retail",
        purchase_order_number=f"A{sequence}",
        digest="0" * 64,
        document=msgspec.Raw(document),
    )


class Changes:
    """Batches of one change each, as a sync yields them; notes what was come back for."""

    def __init__(self, count: int) -> None:
        self.consumed = 0
        self.is_closed = False
        self._count = count

    async def batches(self) -> AsyncGenerator[Sequence[Change], None]:
        """Yield them."""
        try:
            for sequence in range(1, self._count + 1):
                yield [change(sequence)]
                self.consumed = sequence
        finally:
            self.is_closed = True


class Recipient:
    """Takes lines after *seconds*, or refuses them for the reason that *answer* gives."""

    def __init__(
        self, answer: Callable[[int], str | None] = lambda _count: None, seconds: float = 0.0
    ) -> None:
        self.seen: list[int] = []
        self._answer = answer
        self._seconds = seconds

    async def take(self, lines: bytes) -> str | None:
        """Note which changes came."""
        self.seen += [json.loads(line)["sequence"] for line in lines.splitlines()]
        await asyncio.sleep(self._seconds)
        return self._answer(len(self.seen))


def test_a_refused_batch_comes_again_until_it_is_taken_and_the_next_one_waits(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Pauses grow, each is told with its reason, and nothing is skipped."""
    recipient = Recipient(lambda count: "no room\nat all" if count <= 4 else None)
    delivery = Delivery("erp", recipient)
    changes = Changes(3)
    seconds = run(elapsed(delivery.run(changes.batches())))

    assert recipient.seen == [1, 1, 1, 1, 1, 2, 3]
    assert changes.consumed == 3
    assert seconds == pytest.approx(1 + 2 + 4 + 8, abs=0.01)
    assert (
        "erp: 1 changes from 1 on were not taken: no room at all; again in 1 s" in caplog.text
    )


def test_pauses_end_at_five_minutes() -> None:
    """Who comes back after a night is not kept waiting for another."""
    assert [pause(count) for count in (1, 2, 3, 9, 10, 1_000)] == [1, 2, 4, 256, 300, 300]


def test_after_so_many_tries_it_gives_up_and_comes_back_for_nothing() -> None:
    """What was not taken is not remembered as taken."""
    recipient = Recipient(lambda count: "no" if count > 1 else None)
    delivery = Delivery("erp", recipient, tries=3)
    changes = Changes(3)
    batches = changes.batches()

    async def main() -> bool:
        await delivery.run(batches)
        return changes.is_closed

    is_closed = run(main())

    assert recipient.seen == [1, 2, 2, 2]
    assert delivery.given_up
    assert is_closed
    assert changes.consumed == 1


def test_what_is_taken_soon_after_a_stop_counts() -> None:
    """Whoever is busy with a batch may finish it, and does not get it twice."""

    async def main() -> tuple[int, float]:
        changes, delivery = Changes(1), Delivery("erp", Recipient(seconds=GRACE - 1))
        task = asyncio.ensure_future(delivery.run(changes.batches()))
        await asyncio.sleep(0.5)
        delivery.stop()
        seconds = await elapsed(task)
        return changes.consumed, seconds

    consumed, seconds = run(main())

    assert consumed == 1
    assert seconds < GRACE - 1


@pytest.mark.parametrize("is_early", [False, True], ids=["meanwhile", "before"])
@pytest.mark.parametrize(
    "recipient",
    [Recipient(seconds=1e6), Recipient(lambda _count: "no")],
    ids=["hangs", "refuses"],
)
def test_a_stop_ends_it_within_seconds(recipient: Recipient, *, is_early: bool) -> None:
    """Also in the middle of a batch or of a pause; the batch is not remembered as taken."""

    async def main() -> tuple[int, float]:
        changes, delivery = Changes(3), Delivery("erp", recipient)
        if is_early:
            delivery.stop()
        task = asyncio.ensure_future(delivery.run(changes.batches()))
        if not is_early:
            await asyncio.sleep(100)
            delivery.stop()
        return changes.consumed, await elapsed(task)

    consumed, seconds = run(main())

    assert consumed == 0
    assert seconds == pytest.approx(GRACE, abs=0.01)


def test_who_is_long_at_a_batch_is_named_now_and_then(caplog: pytest.LogCaptureFixture) -> None:
    """After a minute, then every ten; it is waited for all the same."""
    recipient = Recipient(seconds=25 * 60.0)
    delivery = Delivery("erp", recipient)
    changes = Changes(1)

    async def main() -> list[int]:
        task = asyncio.ensure_future(delivery.run(changes.batches()))
        counts = []
        for seconds in (59, 2, 598, 2, 598, 2):
            await asyncio.sleep(seconds)
            counts.append(len(caplog.records))
        await task
        return counts

    counts = run(main())

    assert counts == [0, 1, 1, 2, 2, 3]
    assert caplog.messages[1] == (
        "erp: 1 changes from 1 on were handed over 11 min ago and are not taken yet"
    )
    assert len(caplog.records) == 3
    assert (recipient.seen, changes.consumed) == ([1], 1)


def test_a_quick_recipient_is_not_talked_about(caplog: pytest.LogCaptureFixture) -> None:
    """The minute begins anew with every batch, also with one that comes again."""
    recipient = Recipient(lambda count: "no" if count < 7 else None, seconds=50)
    run(Delivery("erp", recipient).run(Changes(3).batches()))

    assert len(recipient.seen) == 9
    assert "not taken yet" not in caplog.text


def test_of_limited_tries_none_takes_more_than_ten_minutes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Who hangs has not taken the batch, and one look comes to its end."""
    delivery = Delivery("erp", Recipient(seconds=1e6), tries=2)
    changes = Changes(1)
    seconds = run(elapsed(delivery.run(changes.batches())))

    assert seconds == pytest.approx(600 + 1 + 600, abs=0.1)
    assert delivery.given_up
    assert changes.consumed == 0
    assert "were not taken: it did not end within 10 min; again in 1 s" in caplog.text


def test_a_stop_after_the_end_does_no_harm() -> None:
    """There is nothing left to be ended."""

    async def main() -> None:
        delivery = Delivery("erp", Recipient())
        await delivery.run(Changes(1).batches())
        delivery.stop()

    run(main())


def test_a_cancellation_is_not_swallowed() -> None:
    """Only its own limit ends quietly."""

    async def main() -> bool:
        task = asyncio.ensure_future(
            Delivery("erp", Recipient(seconds=9)).run(Changes(1).batches())
        )
        await asyncio.sleep(1)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        return task.cancelled()

    assert run(main())


def test_who_will_never_take_anything_ends_it() -> None:
    """A reader that has gone away is no reason to try again."""

    class Gone:
        async def take(self, lines: bytes) -> str | None:
            del lines
            raise SinkError("nobody reads any more")

    with pytest.raises(SinkError, match="nobody reads"):
        run(Delivery("erp", Gone()).run(Changes(1).batches()))


def test_a_change_is_one_line_whatever_its_document_looks_like() -> None:
    """Amazon may break lines between tokens; inside a string JSON has none."""
    lines = lines_of([change(1, b'{\r\n "n": 1.10,\n "s": "a\\nb"}'), change(2)])
    first, second = lines.splitlines()

    assert lines.endswith(b"}\n")
    assert b'"n": 1.10' in first
    assert json.loads(first)["event"] == "order_created"
    assert json.loads(first)["document"] == {"n": 1.1, "s": "a\nb"}
    assert json.loads(second)["sequence"] == 2
