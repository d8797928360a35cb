"""Telemetry: what happens as values, and what of it goes to the log."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

import pytest

from vendororders_async.telemetry import (
    LOG_FIELDS,
    AccountFailed,
    AccountFinished,
    AttemptMade,
    BeyondHistory,
    DetailMissing,
    Event,
    RetryScheduled,
    WindowFailed,
    WindowFinished,
    WindowRestarted,
    fan_out,
    log_event,
)
from vendororders_async.windows import Window

START = datetime(2026, 1, 1, tzinfo=UTC)
WINDOW = Window(START, START + timedelta(days=1))
INTERVAL = "2026-01-01T00:00:00Z/2026-01-02T00:00:00Z"


@pytest.mark.parametrize(
    ("event", "level", "words"),
    [
        (
            AttemptMade("germany", "getPurchaseOrders", 200, 0.25, 1.0),
            logging.DEBUG,
            "getPurchaseOrders for germany: 200 in 0.250 s",
        ),
        (
            AttemptMade("germany", "getPurchaseOrders", None, 0.25, 1.0),
            logging.DEBUG,
            "getPurchaseOrders for germany: no answer in 0.250 s",
        ),
        (
            RetryScheduled(
                "germany", "getPurchaseOrders", 2.0, "getPurchaseOrders for germany: x"
            ),
            logging.INFO,
            "getPurchaseOrders for germany: x, again in 2.0 s",
        ),
        (
            WindowFailed("germany", "created", WINDOW, "no"),
            logging.WARNING,
            f"germany created {INTERVAL} given up: no",
        ),
        (
            BeyondHistory("germany", "created", WINDOW),
            logging.WARNING,
            f"germany created {INTERVAL} lies behind Amazon's history and was not served",
        ),
        (
            WindowRestarted("germany", "created", WINDOW, "expired"),
            logging.INFO,
            f"germany created {INTERVAL} again from its start: expired",
        ),
        (
            DetailMissing("germany", "getPurchaseOrder", "created", WINDOW, "A1", "gone"),
            logging.WARNING,
            f"germany created {INTERVAL} no details of A1, what is known of it is stored: gone",
        ),
        (AccountFailed("germany", "refused"), logging.ERROR, "account germany: refused"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, tuple) else None,
)
def test_each_event_is_logged_by_who_needs_it(
    event: Event, level: int, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    """What needs a person is a warning or an error, the rest is for the curious."""
    with caplog.at_level(logging.DEBUG, logger="vendororders_async"):
        log_event(event)

    assert [(one.name, one.levelno, one.getMessage()) for one in caplog.records] == [
        ("vendororders_async", level, words)
    ]


def test_a_record_carries_its_fields(caplog: pytest.LogCaptureFixture) -> None:
    """Whoever formats it need not take the message apart."""
    event = WindowFailed("germany", "created", WINDOW, "no", request_id="abc")
    with caplog.at_level(logging.DEBUG, logger="vendororders_async"):
        log_event(event)
        log_event(AttemptMade("germany", "getPurchaseOrders", 200, 0.25, 1.0, "def"))
    found = [
        {name: getattr(one, name) for name in LOG_FIELDS if hasattr(one, name)}
        for one in caplog.records
    ]

    assert found == [
        {"account": "germany", "stream": "created", "window": INTERVAL, "request_id": "abc"},
        {"account": "germany", "operation": "getPurchaseOrders", "request_id": "def"},
    ]


@pytest.mark.parametrize(
    "event",
    [WindowFinished("germany", "created", WINDOW), AccountFinished("germany")],
    ids=["window", "account"],
)
def test_what_went_well_is_not_logged(event: Event, caplog: pytest.LogCaptureFixture) -> None:
    """Progress has its own observer."""
    with caplog.at_level(logging.DEBUG, logger="vendororders_async"):
        log_event(event)

    assert caplog.records == []


def test_all_observers_are_told_in_order() -> None:
    """One event, every listener."""
    heard: list[tuple[str, Event]] = []
    event = AccountFinished("germany")
    tell = fan_out(
        lambda one: heard.append(("first", one)), lambda one: heard.append(("second", one))
    )
    tell(event)

    assert heard == [("first", event), ("second", event)]
