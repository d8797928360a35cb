"""Restricted data tokens in the simulator: how they are had, and what they are good for."""

from __future__ import annotations

import json
from typing import Any

import pytest
from plain_caller import PlainCaller, Reply, plain_caller

from vendororders_async.simulator import Settings
from vendororders_async.simulator.restricted import RestrictedTokens

TOKENS = "/tokens/2021-03-01/restrictedDataToken"
V1 = "/vendor/directFulfillment/orders/v1/purchaseOrders"
V2021 = "/vendor/directFulfillment/orders/2021-12-28/purchaseOrders"
ANY_ORDER = "/{purchaseOrderNumber}"
WEEK = {"createdAfter": "2026-06-03T12:00:00Z", "createdBefore": "2026-06-10T12:00:00Z"}


def resources(*paths: str, **more: object) -> dict[str, Any]:
    """Return a request for a token that is good for reading *paths*."""
    return {"restrictedResources": [{"method": "GET", "path": path, **more} for path in paths]}


async def restricted(caller: PlainCaller, *paths: str) -> str:
    """Return a restricted data token."""
    return str((await caller.post(TOKENS, resources(*paths))).data["restrictedDataToken"])


async def test_one_token_reads_both() -> None:
    """The list and every order, for the paths that it names and no other version's."""
    async with plain_caller(direct_fulfillment_orders=20, days=5) as caller:
        number = next(iter(caller.simulator.direct_fulfillment_truth("demo")))
        made = await caller.post(TOKENS, resources(V1, V1 + ANY_ORDER))
        token = made.data["restrictedDataToken"]
        replies = [
            await caller.get(V1, token=token, **WEEK),
            await caller.get(f"{V1}/{number}", token=token),
            await caller.get(V2021, token=token, **WEEK),
            await caller.get(f"{V2021}/{number}", token=token),
        ]

    assert made.status == 200
    assert token.startswith("Atz.sprdt|")
    assert made.data == {"restrictedDataToken": token, "expiresIn": 3600}
    assert [one.status for one in replies] == [200, 200, 403, 403]
    assert caller.simulator.restricted_tokens("demo") == 1


async def test_a_token_may_name_a_single_order() -> None:
    """Another one is not covered by it, and neither is the list."""
    async with plain_caller(direct_fulfillment_orders=20, days=5) as caller:
        one, other, *_ = caller.simulator.direct_fulfillment_truth("demo")
        token = await restricted(caller, f"{V1}/{one}")
        replies = [
            await caller.get(f"{V1}/{one}", token=token),
            await caller.get(f"{V1}/{other}", token=token),
            await caller.get(V1, token=token, **WEEK),
        ]

    assert [reply.status for reply in replies] == [200, 403, 403]


async def test_a_token_shows_only_its_own_account() -> None:
    """The orders that it reads are those of the access token that it was made with."""
    async with plain_caller(direct_fulfillment_orders=30, days=5, accounts=2) as caller:
        mine = set(caller.simulator.direct_fulfillment_truth("demo-1"))
        theirs = next(iter(caller.simulator.direct_fulfillment_truth("demo-2")))
        token = await restricted(caller, V1, V1 + ANY_ORDER)
        listed = await caller.get(V1, token=token, **WEEK)
        other = await caller.get(f"{V1}/{theirs}", token=token)

    numbers = {one["purchaseOrderNumber"] for one in listed.data["payload"]["orders"]}
    assert numbers
    assert numbers <= mine
    assert other.status == 404
    assert caller.simulator.restricted_tokens("demo-2") == 0


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/vendor/orders/v1/purchaseOrders"),
        ("GET", "/vendor/orders/v1/purchaseOrders/1ABCDEFG"),
        ("GET", "/vendor/orders/v1/purchaseOrdersStatus"),
        ("POST", "/vendor/orders/v1/acknowledgements"),
        ("GET", "/vendor/transactions/v1/transactions/1"),
        ("POST", "/vendor/directFulfillment/orders/v1/acknowledgements"),
        ("GET", "/vendor/directFulfillment/transactions/v1/transactions/1"),
        ("POST", TOKENS),
    ],
)
async def test_nothing_else_takes_a_restricted_token(method: str, path: str) -> None:
    """Not even where the token names the path."""
    async with plain_caller() as caller:
        asked = {"restrictedResources": [{"method": method, "path": path}]}
        token = (await caller.post(TOKENS, asked)).data["restrictedDataToken"]
        if method == "GET":
            reply = await caller.get(path, token=token)
        else:
            reply = await caller.post(path, {}, token=token)

    assert reply.status == 403


async def test_a_name_that_is_no_path_gives_a_useless_token() -> None:
    """It is a 200, and the token reads nothing."""
    async with plain_caller() as caller:
        token = await restricted(caller, "getOrders")
        reply = await caller.get(V1, token=token, **WEEK)

    assert reply.status == 403


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "Request is missing or has invalid parameters"),
        ([], "Request is missing or has invalid parameters"),
        ({"restrictedResources": []}, "Request is missing or has invalid parameters"),
        (resources(*[V1] * 51), "Request is missing or has invalid parameters"),
        (resources(V1[1:]), "Request is missing or has invalid parameters"),
        (resources(""), "Request is missing or has invalid parameters"),
        (
            {"restrictedResources": [{"method": "", "path": V1}]},
            "Request is missing or has invalid parameters",
        ),
        (
            resources(V1, dataElements=["shippingAddress"]),
            "Application does not have access to one or more requested data elements",
        ),
        (
            resources(V1, dataElements=[]),
            "Application does not have access to one or more requested data elements",
        ),
    ],
)
async def test_a_bad_wish_is_refused(body: object, words: str) -> None:
    """No token is made, and the message is Amazon's."""
    async with plain_caller() as caller:
        reply = await caller.post(TOKENS, body)

    assert reply.status == 400
    assert reply.data["errors"][0]["message"] == words
    assert caller.simulator.restricted_tokens("demo") == 0


@pytest.mark.parametrize(
    ("mode", "made", "with_access_token"),
    [("optional", 200, 200), ("required", 200, 403), ("refused", 400, 200), ("gone", 404, 200)],
)
async def test_amazon_can_want_them_or_not(
    mode: str, made: int, with_access_token: int
) -> None:
    """Four ways, of which the first is how Amazon is today."""
    async with plain_caller(restricted_data=mode) as caller:
        reply = await caller.post(TOKENS, resources(V1))
        plain = await caller.get(V1, **WEEK)
        retail = await caller.get("/vendor/orders/v1/purchaseOrders")

    assert (reply.status, plain.status, retail.status) == (made, with_access_token, 200)
    if mode == "refused":
        assert reply.data["errors"] == [
            {
                "code": "InvalidInput",
                "message": "Application do not have access to some or all requested resource",
                "details": "",
            }
        ]


async def test_revoking_reaches_restricted_tokens() -> None:
    """And another can be had."""
    async with plain_caller() as caller:
        token = await restricted(caller, V1)
        caller.simulator.revoke_tokens("demo")
        revoked = await caller.get(V1, token=token, **WEEK)
        caller.tokens.clear()
        await caller.login()
        renewed = await caller.get(V1, token=await restricted(caller, V1), **WEEK)

    assert (revoked.status, renewed.status) == (403, 200)


def test_a_restricted_token_expires() -> None:
    """It lives as long as the settings say, and not a moment longer."""
    tokens = RestrictedTokens(Settings(restricted_token_seconds=600.0))
    made = json.loads(tokens.create("demo", json.dumps(resources(V1)).encode(), 100.0).body)
    token = made["restrictedDataToken"]

    assert made["expiresIn"] == 600
    assert tokens.find(token, 699.9) is not None
    assert tokens.find(token, 700.0) is None
    assert token not in repr(tokens)


def test_expired_restricted_tokens_are_forgotten() -> None:
    """A token for every ten minutes of a month is still only the last one or two."""
    tokens = RestrictedTokens(Settings(restricted_token_seconds=600.0))
    for at in range(0, 30_000, 500):
        tokens.create("demo", json.dumps(resources(V1)).encode(), float(at))

    assert repr(tokens) == "<RestrictedTokens 2 tokens>"


async def test_the_tokens_api_has_a_plan_of_its_own() -> None:
    """One a second and ten at once, whatever the other operations are granted."""
    async with plain_caller() as caller:
        caller.simulator.set_rate(500.0)
        replies: list[Reply] = [await caller.post(TOKENS, resources(V1)) for _ in range(12)]

    assert [one.status for one in replies[:10]] == [200] * 10
    assert replies[0].headers["x-amzn-RateLimit-Limit"] == "1.0"
    assert 429 in {one.status for one in replies[10:]}


@pytest.mark.parametrize("kind", ["500", "503", "403", "429"])
async def test_the_tokens_api_can_fail(kind: str) -> None:
    """By script, and without making a token."""
    async with plain_caller() as caller:
        caller.simulator.inject("createRestrictedDataToken", kind)
        failed = await caller.post(TOKENS, resources(V1))
        after = caller.simulator.restricted_tokens("demo")
        again = await caller.post(TOKENS, resources(V1))

    assert (failed.status, after, again.status) == (int(kind), 0, 200)
