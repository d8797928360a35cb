"""Settings of the simulator: what makes no sense is refused in one line."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from vendororders_async.errors import ConfigurationError
from vendororders_async.simulator import KINDS, Settings, Simulator
from vendororders_async.simulator.settings import coming_midnight, instant, micros


@pytest.mark.parametrize(
    ("nonsense", "complaint"),
    [
        ({"orders": -1}, "orders must be between 0 and"),
        ({"days": 0}, "days must be"),
        ({"accounts": 0}, "accounts must be"),
        ({"rate": 0.0}, "rate must be"),
        ({"rate": float("nan")}, "rate must be"),
        ({"burst": 0.5}, "burst must be at least 1"),
        ({"items": 0}, "items must be"),
        ({"latency": -0.1}, "latency must be at least 0"),
        ({"latency": (0.5, 0.1)}, "latency must be at least 0.5"),
        ({"peak_day": 1.5}, "peak_day must be between 0 and 1"),
        ({"peak_day": 0.1, "peak_second": 0.2}, "peak_second is a part of peak_day"),
        ({"monday_batches": 1.5}, "monday_batches must be between 0 and 1"),
        ({"peak_day": 0.6, "monday_batches": 0.5}, "peak_day and monday_batches are shares"),
        ({"monday_batches": 0.5, "days": 6}, "days must be at least 7: monday_batches need"),
        ({"bounds": "open"}, "bounds must be one of exclusive"),
        ({"default_order": "UP"}, "default_order must be ASC or DESC"),
        ({"retry_after": -1.0}, "retry_after must be"),
        ({"history_months": 0}, "history_months must be"),
        ({"direct_fulfillment_orders": -1}, "direct_fulfillment_orders must be between 0"),
        ({"restricted_data": "often"}, "restricted_data must be one of optional, required"),
        ({"restricted_token_seconds": 0.0}, "restricted_token_seconds must be at least 1"),
        ({"token_rate": 0.0}, "token_rate must be"),
        ({"token_burst": 0.0}, "token_burst must be"),
        ({"acknowledge_seconds": -1.0}, "acknowledge_seconds must be"),
        ({"transaction_visible_seconds": -1.0}, "transaction_visible_seconds must be"),
        ({"transaction_failures": 1.5}, "transaction_failures must be between 0 and 1"),
        ({"largest_body": 0}, "largest_body must be"),
        ({"arrivals_an_hour": -1.0}, "arrivals_an_hour must be at least 0"),
        ({"direct_arrivals_an_hour": float("inf")}, "direct_arrivals_an_hour must be"),
        ({"life_speed": 0.0}, "life_speed must be"),
        ({"late_share": 1.5}, "late_share must be between 0 and 1"),
        ({"changed_share": -0.5}, "changed_share must be between 0 and 1"),
        ({"cancelled_share": 2.0}, "cancelled_share must be between 0 and 1"),
        ({"anchor": datetime(2026, 1, 1)}, "anchor needs a time zone"),  # noqa: DTZ001  # it is the point
        ({"faults": {"504": 0.1}}, "there is no fault '504'; there are 403, 429"),
        ({"faults": {"503": 1.1}}, "the probability of 503"),
        ({"faults": {"503": 0.6, "429": 0.6}}, "the sum of all fault probabilities"),
    ],
)
def test_nonsense_is_refused_by_name(nonsense: dict[str, Any], complaint: str) -> None:
    """The message is one line and says which setting is meant."""
    with pytest.raises(ConfigurationError, match=complaint) as caught:
        Settings(**nonsense)

    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_of_fault_can_be_set(kind: str) -> None:
    """The public constant lists what the settings take."""
    assert Settings(faults={kind: 0.5}).faults == {kind: 0.5}


def test_faults_of_the_token_endpoint_have_a_sum_of_their_own() -> None:
    """A request for a token cannot meet the faults of the operations."""
    chances = {"503": 0.7, "token-500": 0.7}

    assert Settings(faults=chances).faults == chances


def test_accounts_have_stable_and_evidently_fake_names() -> None:
    """One account is plainly demo, several are numbered, and each has its own secrets."""
    accounts = Simulator(Settings(orders=0, accounts=3)).accounts

    assert [account.name for account in accounts] == ["demo-1", "demo-2", "demo-3"]
    assert Simulator(Settings(orders=0)).accounts[0].name == "demo"
    assert len({account.refresh_token for account in accounts}) == 3
    assert all("simulated" in account.client_secret for account in accounts)


def test_the_anchor_is_the_coming_midnight() -> None:
    """All moments of a day have the same midnight ahead of them."""
    moments = [datetime(2026, 3, 31, hour, tzinfo=UTC) for hour in (0, 12, 23)]

    assert {coming_midnight(moment) for moment in moments} == {datetime(2026, 4, 1, tzinfo=UTC)}


def test_microseconds_lose_nothing() -> None:
    """An instant survives being a number."""
    moment = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)

    assert instant(micros(moment)) == moment
