"""Drift in orders to customers: whatever an order becomes, nobody is left in it."""

from __future__ import annotations

import json
import time
from random import Random
from typing import Any

import pytest
import sample_files
from decoded import plain
from drifted import LISTED, Listed
from hold import Often, Record
from mutations import mutate
from schema_answers import answers_of

from vendororders_async.differences import differences
from vendororders_async.jobs.redacting import redacted
from vendororders_async.models.direct_fulfillment import Order
from vendororders_async.pages import decode_document
from vendororders_async.redaction import redact

needs_models = pytest.mark.skipif(not sample_files.HAS_MODELS, reason=sample_files.NO_MODELS)
CUSTOMERS = [one for one in LISTED if one.kind is Order]
CANARY = "Zaphod Canaryname"
LONGEST = 3.0  # seconds of CPU for one of a megabyte; what is quadratic takes minutes
_PEOPLES = ("shipToParty", "billToParty", "giftDetails", "buyerCustomizedInfo")


def with_canaries(tree: Any, *, inside: bool = False) -> Any:
    """Return *tree* with a canary in each text that is about the customer."""
    if isinstance(tree, dict):
        return {
            name: value
            if name in ("countryCode", "partyId", "giftWrapId")
            else with_canaries(value, inside=inside or name in (*_PEOPLES, "messageToCustomer"))
            for name, value in tree.items()
        }
    if isinstance(tree, list):
        return [with_canaries(one, inside=inside) for one in tree]
    return CANARY if inside and isinstance(tree, str) else tree


@needs_models
@pytest.mark.parametrize("listed", CUSTOMERS, ids=lambda one: one.operation)
def test_nobody_is_left_in_what_an_order_becomes(
    listed: Listed, often: Often, chance: Random, figure: Record
) -> None:
    """Neither in the bytes nor in the reason, whether it decodes or is set aside."""
    times = often(60, 2_000)
    wrong = []
    for _ in range(times):
        order = answers_of(listed.model).definition(listed.definition, chance)
        odd = mutate(with_canaries(order), chance)
        began = time.thread_time()
        document = redacted(decode_document(odd.written, Order), Order)
        told = f"{document.raw!r} {document.reason} {plain(document.content)}"
        if CANARY in told or "Canary" in told:
            wrong.append(f"{odd.what}: {document.raw[:300]!r}")
        if redact(document.raw) != document.raw:
            wrong.append(f"twice is not once: {odd.what}")
        if time.thread_time() - began > LONGEST:
            wrong.append(f"slow: {odd.what}")
    what = "an order of a customer that is no longer what the model says, redacted"
    figure("Drift", what, times=times, orders=times, lost=len(wrong))

    assert wrong == []


@needs_models
@pytest.mark.parametrize("listed", LISTED, ids=lambda one: one.operation)
def test_two_versions_of_anything_can_be_compared(
    listed: Listed, often: Often, chance: Random, figure: Record
) -> None:
    """What differs is told in plain JSON, and one version is never different from itself."""
    times = often(60, 2_000)
    wrong = []
    before = None
    for _ in range(times):
        order = answers_of(listed.model).definition(listed.definition, chance)
        odd = mutate(with_canaries(order), chance)
        after = decode_document(odd.written, listed.kind).content
        if after is None:
            continue
        found = differences(before, after)
        told = json.dumps(plain(found))
        if listed.kind is Order and CANARY in told:
            wrong.append(f"tells of somebody: {odd.what}")
        same = differences(after, after)
        wrong += [odd.what] if same.fields or same.lines else []
        before = after
    what = "two odd versions of an order, compared"
    figure("Drift", what, times=times, orders=times, lost=len(wrong))

    assert wrong == []
