"""Drift in answers: what the models allow is read without loss, what they do not is told."""

from __future__ import annotations

import time
from random import Random
from typing import Any

import pytest
import sample_files
from decoded import MODELS, OPERATIONS, contents, lost, plain
from drifted import LISTED, Listed, drifted
from fakes import FakeTransport, an_account
from hold import Often, Record
from mutations import mutate, places, written
from schema_answers import answers_of
from virtual_time import run

from vendororders_async.auth import AccessTokens
from vendororders_async.dispatch import refusal
from vendororders_async.errors import DecodeError, VendorOrdersError
from vendororders_async.operations import GET_PURCHASE_ORDERS
from vendororders_async.pages import Document, Page
from vendororders_async.transport import Answer

needs_models = pytest.mark.skipif(not sample_files.HAS_MODELS, reason=sample_files.NO_MODELS)
ANSWERED = [
    pytest.param(model, name, f"{name}{version}", id=f"{name}{version}")
    for model, version in MODELS.items()
    for name in sample_files.operations_of(model)
]
LONGEST = 2.0  # seconds of CPU for one of a megabyte; what is quadratic takes minutes


def is_success(answer: Any, operation: str) -> bool:
    """Say whether an answer has what was asked for; the models let all of it be left out."""
    if operation == "createRestrictedDataToken":
        return "restrictedDataToken" in answer
    if operation.startswith(("getTransaction", "submit")):
        # what is missing of a transaction is said by the answer itself
        return operation.endswith("2021-12-28") or answer.get("payload") is not None
    payload = answer if operation.endswith("2021-12-28") else answer.get("payload")
    if answer.get("errors") or payload is None:
        return False
    return "Order-" in f"{operation}-" or "orders" in payload or "ordersStatus" in payload


def wanted(answer: Any, decoded: object, operation: str) -> tuple[Any, Any]:
    """Return what *answer* says and what was read of it, in one shape."""
    if isinstance(decoded, Page | Document):
        payload = answer.get("payload", answer)
        return payload.get("orders", payload.get("ordersStatus", payload)), contents(decoded)
    if not operation.endswith("2021-12-28"):
        return answer, plain(decoded)
    # in the shape of the other version: in an envelope, and errors without an object around
    transaction = answer.get("transactionStatus")
    if transaction and "errors" in transaction:
        answer = {"transactionStatus": transaction | transaction["errors"]}
    return answer, plain(decoded).get("payload", {})


@needs_models
@pytest.mark.parametrize(("model", "name", "operation"), ANSWERED)
def test_whatever_the_model_allows_is_read_without_loss(
    *, model: str, name: str, operation: str, often: Often, chance: Random, figure: Record
) -> None:
    """Every field of every answer; one without what was asked for is an error."""
    times = often(40, 1_000)
    count = 0
    missing = []
    for _ in range(times):
        answer = answers_of(model).response(name, chance)
        try:
            decoded = OPERATIONS[operation].decode(written(answer))
        except DecodeError as error:
            missing += [str(error)] if is_success(answer, operation) else []
            continue
        sent, read = wanted(answer, decoded, operation)
        missing += lost(sent, read) if is_success(answer, operation) else ["no success"]
        count += len(sent) if isinstance(sent, list) else 1
    figure(
        "Drift",
        "an answer made from Amazon's model of an operation",
        times=times,
        orders=count,
        lost=len(missing),
    )

    assert missing == []


@needs_models
@pytest.mark.parametrize(("model", "name", "operation"), ANSWERED)
def test_whatever_an_answer_becomes_is_read_or_refused(
    *, model: str, name: str, operation: str, often: Often, chance: Random, figure: Record
) -> None:
    """Any place of any answer may be anything: no other error, and none that takes long."""
    times = often(40, 1_000)
    wrong = []
    for _ in range(times):
        odd = mutate(answers_of(model).response(name, chance), chance)
        began = time.thread_time()
        try:
            decoded = OPERATIONS[operation].decode(odd.written)
        except DecodeError as error:
            wrong += [odd.what] if "\n" in str(error) or len(str(error)) > 400 else []
        except Exception as error:  # noqa: BLE001 - what must not be
            wrong.append(f"{odd.what}: {error!r}")
        else:
            documents = decoded.documents if isinstance(decoded, Page) else [decoded]
            wrong += [
                odd.what
                for one in documents
                if isinstance(one, Document) and (one.content is None) != bool(one.reason)
            ]
        if time.thread_time() - began > LONGEST:
            wrong.append(f"slow: {odd.what}")
    figure(
        "Drift",
        "an answer that is no longer what the model says, anywhere",
        times=times,
        orders=times,
        lost=len(wrong),
    )

    assert wrong == []


@needs_models
@pytest.mark.parametrize("listed", LISTED, ids=lambda one: one.operation)
def test_an_odd_order_costs_its_page_only_itself(
    listed: Listed, often: Often, chance: Random, figure: Record
) -> None:
    """All rows come out, byte for byte and in order; the others are read as they were."""
    times = often(40, 1_000)
    wrong = []
    for turn in range(times):
        page = drifted(listed, f"{turn}", chance)
        try:
            found = page.decoded()
        except Exception as error:  # noqa: BLE001 - what must not be
            wrong.append(f"{page.what}: {error!r}")
            continue
        numbers = [one.content and one.content.purchase_order_number for one in found.documents]
        others = [f"{turn}-{place}" for place in range(len(page.rows)) if place != page.place]
        if (
            tuple(one.raw for one in found.documents) != page.rows
            or found.next_token != page.token
            or numbers[: page.place] + numbers[page.place + 1 :] != others
        ):
            wrong.append(page.what)
    figure(
        "Drift",
        "a page with one order that is no longer what the model says",
        times=times,
        orders=3 * times,
        lost=len(wrong),
    )

    assert wrong == []


@needs_models
@pytest.mark.parametrize("listed", LISTED, ids=lambda one: one.operation)
def test_an_odd_frame_never_makes_a_shorter_page(
    listed: Listed, often: Often, chance: Random, figure: Record
) -> None:
    """What is not the orders themselves is odd: all of them come out, or an error does."""
    times = often(40, 1_000)
    wrong = []
    for turn in range(times):
        answer = answers_of(listed.model).response(listed.operation.partition("-")[0], chance)
        page = answer.setdefault("payload", {}) if listed.is_enveloped else answer
        rows = [
            answers_of(listed.model).definition(listed.definition, chance)
            for _ in range(chance.randrange(4))
        ]
        page[listed.field] = rows
        answer.pop("errors", None)
        frame = [one for one in places(answer) if listed.field not in one]
        odd = mutate(answer, chance, frame)
        try:
            found = OPERATIONS[listed.operation].decode(odd.written)
        except DecodeError:
            continue
        except Exception as error:  # noqa: BLE001 - what must not be
            wrong.append(f"{turn}: {odd.what}: {error!r}")
            continue
        if [one.raw for one in found.documents] != [written(one) for one in rows]:
            wrong.append(f"{turn}: {odd.what}")
    figure(
        "Drift",
        "a page whose frame is no longer what the model says",
        times=times,
        orders=times,
        lost=len(wrong),
    )

    assert wrong == []


LWA = {"access_token": "Atza|1", "token_type": "bearer", "expires_in": 3600, "scope": "x"}
REFUSAL = {
    "error": "invalid_grant",
    "error_description": "The token is revoked",
    "error_uri": "",
}
ERRORS = {"errors": [{"code": "InvalidInput", "message": "No.", "details": "é"}, {"code": "X"}]}


@pytest.mark.parametrize("status", [200, 400, 401, 500])
def test_whatever_a_login_answers_is_a_token_or_an_error(
    status: int, often: Often, chance: Random, figure: Record
) -> None:
    """An error is one of ours, and a token goes into a header as it is."""
    times = often(40, 1_000)
    wrong = []
    for _ in range(times):
        odd = mutate(LWA if status == 200 else REFUSAL, chance)
        tokens = AccessTokens(FakeTransport([Answer(status, {}, odd.written)] * 20, latency=0))
        try:
            token = run(tokens.get(an_account()))
        except VendorOrdersError as error:
            wrong += [odd.what] if "Atza" in str(error) else []
        except Exception as error:  # noqa: BLE001 - what must not be
            wrong.append(f"{odd.what}: {error!r}")
        else:
            wrong += [] if token.isascii() and token.isprintable() else [odd.what]
    figure(
        "Drift",
        "an odd answer of Login with Amazon",
        times=times,
        orders=times,
        lost=len(wrong),
    )

    assert wrong == []


@pytest.mark.parametrize("status", [400, 403, 404, 429, 500])
def test_whatever_a_refusal_says_is_an_error_in_one_line(
    status: int, often: Often, chance: Random, figure: Record
) -> None:
    """It is the error that its status means."""
    times = often(40, 1_000)
    meant = type(refusal(Answer(status, {}, b""), operation=GET_PURCHASE_ORDERS, account="a"))
    wrong = []
    for _ in range(times):
        odd = mutate(ERRORS, chance)
        try:
            error = refusal(
                Answer(status, {}, odd.written), operation=GET_PURCHASE_ORDERS, account="a"
            )
        except Exception as failure:  # noqa: BLE001 - what must not be
            wrong.append(f"{odd.what}: {failure!r}")
            continue
        if type(error) is not meant or "\n" in str(error):
            wrong.append(odd.what)
    figure("Drift", "an odd body of a refusal", times=times, orders=times, lost=len(wrong))

    assert wrong == []
