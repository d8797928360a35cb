"""Progress: what is shown follows from figures, and figures from events."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from io import StringIO
from itertools import count

import pytest
from rich.console import Console

from vendororders_async.cli.progress import (
    ProgressReport,
    duration,
    line,
    seconds_left,
    shown,
    together,
    words,
)
from vendororders_async.jobs.figures import Figures, Pace, Recorder
from vendororders_async.telemetry import (
    AccountFailed,
    AccountFinished,
    AttemptMade,
    BeyondHistory,
    DetailStored,
    Event,
    PageListed,
    PageStored,
    PlanGranted,
    StreamPlanned,
    WindowFailed,
    WindowFinished,
)
from vendororders_async.usage import UsagePlan
from vendororders_async.windows import Window

START = datetime(2026, 1, 1, tzinfo=UTC)
WINDOW = Window(START, START + timedelta(days=1))
LIST = "getPurchaseOrders"


def figures(name: str = "acme", **given: object) -> Figures:
    """Return figures that are zero where nothing is given."""
    return Figures(name=name, **given)  # type: ignore[arg-type] # the fields of one test each


def recorded(*events: Event, at: float = 10.0) -> Figures:
    """Return the figures that *events*, all at once, make after ten seconds."""
    recorder = Recorder("acme")
    for event in events:
        recorder.note(event, at)
    return recorder.figures(0.0, at)


def test_a_line_tells_windows_orders_pace_throttles_and_what_is_left() -> None:
    """All that somebody who waits wants to know, in one line."""
    some = figures(planned=40, ended=10, orders=1234, throttled=2, pace=Pace(9.84, 10))

    assert line(some, 20.0) == (
        "acme: 10/40 windows, 1,234 orders, 9.8 of 10/s, 2 throttled, 1 min 0 s left"
    )


def test_a_line_leaves_out_what_is_nothing() -> None:
    """No zeros, and no pace where nothing was sent."""
    assert words(figures(planned=3), 1.0) == "0 orders"
    assert "failed" in words(figures(failed=1), 1.0)


@pytest.mark.parametrize(
    ("ended", "seconds", "left"),
    [(0, 100.0, None), (4, 100.0, None), (5, 4.0, None), (10, 20.0, 60.0), (40, 80.0, None)],
    ids=["nothing ended", "too few", "too soon", "a quarter", "all"],
)
def test_the_time_left_is_told_only_when_it_is_known(
    ended: int, seconds: float, left: float | None
) -> None:
    """The rest goes on like what is done; blank while that says too little."""
    assert seconds_left(figures(planned=40, ended=ended), seconds) == left


def test_an_account_that_is_done_has_nothing_left() -> None:
    """Also one that failed before its windows were read."""
    assert seconds_left(figures(planned=40, ended=10, is_done=True), 20.0) is None


def test_few_accounts_have_a_line_each_and_many_one_for_all_with_the_worst() -> None:
    """The worst are those that failed, then those with most to do."""
    few = [figures(f"a{number}", planned=9, ended=number) for number in range(8)]
    many = [*few, figures("done", planned=9, ended=9), figures("bad", failed=1)]

    assert shown(few) == few
    assert [one.name for one in shown(many)] == ["all accounts", "bad", "a0", "a1"]


def test_together_is_the_sum() -> None:
    """Each account has a plan of its own, so the plans add up as well."""
    whole = together(
        [
            figures("a", planned=3, ended=1, orders=5, pace=Pace(9, 10)),
            figures("b", planned=4, ended=2, failed=1, throttled=2, pace=Pace(4, 5)),
            figures("c", pace=Pace(1, 10), is_done=True),
        ]
    )

    assert whole == figures(
        "all accounts", planned=7, ended=3, failed=1, orders=5, throttled=2, pace=Pace(13, 15)
    )


def test_figures_follow_from_events() -> None:
    """Statuses are not orders, and a number is not an order before it has its details."""
    plan = UsagePlan(rate=10, burst=10)
    told = recorded(
        PlanGranted("acme", LIST, plan),
        StreamPlanned("acme", LIST, "created", 5, 1.0),
        *[AttemptMade("acme", LIST, status, 0.1, 0.0) for status in (200, 429, None)],
        PageStored("acme", LIST, "created", WINDOW, 100, 0),
        PageStored("acme", "getPurchaseOrdersStatus", "statuses", WINDOW, 100, 0),
        PageListed("acme", LIST, "created", WINDOW, 100),
        DetailStored("acme", "getPurchaseOrder", "created", WINDOW, 0),
        WindowFinished("acme", "created", WINDOW),
        WindowFailed("acme", "created", WINDOW, "no"),
        BeyondHistory("acme", "created", WINDOW),
    )

    assert told == figures(
        planned=5, ended=3, failed=1, orders=101, throttled=1, pace=Pace(0.3, 10)
    )
    assert recorded(AccountFinished("acme")).is_done
    assert recorded(AccountFailed("acme", "no")) == figures(failed=1, is_done=True)


def test_the_pace_is_that_of_the_last_seconds_and_of_the_busiest_operation() -> None:
    """A burst long ago does not count, and an idle bucket beside a busy one does not show."""
    recorder = Recorder("acme")
    for operation, rate in ((LIST, 10), ("getPurchaseOrder", 20)):
        recorder.note(PlanGranted("acme", operation, UsagePlan(rate=rate, burst=10)), 0.0)
    for _ in range(500):
        recorder.note(AttemptMade("acme", LIST, 200, 0.1, 0.0), 1.0)
    for _ in range(150):
        recorder.note(AttemptMade("acme", "getPurchaseOrder", 200, 0.1, 0.0), 95.0)

    assert recorder.figures(0.0, 100.0).pace == Pace(15.0, 20)


def test_without_a_terminal_there_is_a_line_every_few_seconds() -> None:
    """A log file is not flooded."""
    out, seconds = StringIO(), count()
    report = ProgressReport(
        ["acme"], console=Console(file=out), clock=lambda: float(next(seconds))
    )
    with report:
        for _ in range(12):
            report(PageStored("acme", LIST, "created", WINDOW, 100, 0))

    assert out.getvalue().splitlines() == [
        "acme: 0/0 windows, 500 orders",
        "acme: 0/0 windows, 1,000 orders",
    ]


def test_on_a_terminal_there_are_bars() -> None:
    """They are drawn from the same words."""
    out, seconds = StringIO(), count()
    console = Console(file=out, force_terminal=True, width=120)
    report = ProgressReport(["acme"], console=console, clock=lambda: float(next(seconds)))
    with report:
        report(StreamPlanned("acme", LIST, "created", 4, 1.0))
        report(WindowFinished("acme", "created", WINDOW))

    assert "1/4 windows" in out.getvalue()
    assert "━" in out.getvalue()


def test_durations_are_said_as_people_say_them() -> None:
    """Two units at most."""
    assert [duration(value) for value in (0.4, 59.6, 3600, 86_400)] == [
        "0 s",
        "1 min 0 s",
        "1 h 0 min",
        "24 h 0 min",
    ]
