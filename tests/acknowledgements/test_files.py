"""Files of acknowledgements: which kind one is, and JSON, read as strictly as Amazon does."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from sample_files import HAS_MODELS, NO_MODELS, operations_of

from vendororders_async.acknowledgements.files import read_drafts
from vendororders_async.errors import AcknowledgementError, InvalidArgument
from vendororders_async.models import direct_fulfillment, retail_procurement

RETAIL, DF = "retail", "direct_fulfillment"
WRAPPERS = {RETAIL: "acknowledgements", DF: "orderAcknowledgements"}


def retail(number: str = "L8266355") -> dict[str, Any]:
    """Return an acknowledgement of a retail order."""
    return {
        "purchaseOrderNumber": number,
        "sellingParty": {"partyId": "API01"},
        "acknowledgementDate": "2026-03-12T17:35:26.308Z",
        "items": [
            {
                "itemSequenceNumber": "1",
                "orderedQuantity": {"amount": 10, "unitOfMeasure": "Eaches"},
                "netCost": {"currencyCode": "USD", "amount": "10.20"},
                "itemAcknowledgements": [
                    {
                        "acknowledgementCode": "Accepted",
                        "acknowledgedQuantity": {"amount": 10},
                        "scheduledShipDate": "2026-03-20T00:00:00+01:00",
                    }
                ],
            }
        ],
    }


def df(number: str = "2JK3S9VC") -> dict[str, Any]:
    """Return an acknowledgement of a direct fulfillment order."""
    return {
        "purchaseOrderNumber": number,
        "vendorOrderNumber": "ABC",
        "acknowledgementDate": "2026-02-20T19:17:34Z",
        "acknowledgementStatus": {"code": "00"},
        "sellingParty": {"partyId": "999US"},
        "shipFromParty": {"partyId": "ABCD"},
        "itemAcknowledgements": [
            {"itemSequenceNumber": "1", "acknowledgedQuantity": {"amount": 1}}
        ],
    }


MAKERS: dict[str, Callable[[str], dict[str, Any]]] = {RETAIL: retail, DF: df}


def encoded(*values: object) -> bytes:
    """Return JSON, one value a line."""
    return "\n".join(map(json.dumps, values)).encode()


def wrong(data: bytes, api: str = RETAIL) -> list[tuple[str | None, str, str]]:
    """Return what is wrong with *data*: number, path and message."""
    with pytest.raises(AcknowledgementError) as caught:
        read_drafts(data, api=api)

    return [(one.purchase_order_number, one.path, one.message) for one in caught.value.problems]


@pytest.mark.parametrize("api", [RETAIL, DF])
def test_amazons_own_body_is_a_file(api: str) -> None:
    """Each acknowledgement becomes a draft with its finished document."""
    make = MAKERS[api]
    drafts = read_drafts(encoded({WRAPPERS[api]: [make("A1"), make("A2")]}), api=api)
    first = drafts[0].document

    assert [one.purchase_order_number for one in drafts] == ["A1", "A2"]
    assert [one.where for one in drafts] == [f"{WRAPPERS[api]}[0]", f"{WRAPPERS[api]}[1]"]
    assert {(one.api, one.account, one.as_of, one.lines) for one in drafts} == {
        (api, None, None, ())
    }
    assert first is not None
    assert first.purchase_order_number == "A1"


def test_a_document_is_kept_to_the_last_digit() -> None:
    """Amounts do not pass through floats, and instants keep their fraction and their zone."""
    [draft] = read_drafts(encoded(retail()), api=RETAIL)

    assert isinstance(draft.document, retail_procurement.OrderAcknowledgement)
    [item] = draft.document.items
    assert item.net_cost is not None
    assert str(item.net_cost.amount) == "10.20"
    assert draft.document.acknowledgement_date == datetime(
        2026, 3, 12, 17, 35, 26, 308000, tzinfo=UTC
    )
    assert item.item_acknowledgements[0].scheduled_ship_date == datetime(
        2026, 3, 19, 23, tzinfo=UTC
    )


@pytest.mark.parametrize("api", [RETAIL, DF])
def test_one_acknowledgement_alone_is_a_file(api: str) -> None:
    """Without the list around it, in one line or in many."""
    one = MAKERS[api]("A1")
    drafts = [read_drafts(json.dumps(one, indent=n).encode(), api=api) for n in (None, 2)]

    assert drafts[0] == drafts[1]
    assert drafts[0][0].document is not None


@pytest.mark.parametrize("api", [RETAIL, DF])
def test_one_order_a_line_is_a_file(api: str) -> None:
    """Blank lines do not count, a line may be a whole body, and each draft says its line."""
    make = MAKERS[api]
    body = {WRAPPERS[api]: [make("A2"), make("A3")]}
    data = encoded(make("A1")) + b"\r\n\r\n" + encoded(body) + b"\n"
    drafts = read_drafts(data, api=api)

    assert [one.purchase_order_number for one in drafts] == ["A1", "A2", "A3"]
    assert drafts[0].where == f"line 1: {WRAPPERS[api]}[0]"
    assert drafts[2].where == f"line 3: {WRAPPERS[api]}[1]"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize(
    "text", [json.dumps(df("A1")), "purchase_order_number,code\nA1,00\n"], ids=["json", "csv"]
)
def test_the_encodings_of_spreadsheets_and_shells_are_read(encoding: str, text: str) -> None:
    """With a byte order mark and without."""
    [draft] = read_drafts(text.encode(encoding), api=DF)

    assert draft.purchase_order_number == "A1"


def test_what_is_no_text_is_a_problem() -> None:
    """It says what to do."""
    [(_, path, message)] = wrong("purchase_order_number;code\nMüller;00".encode("cp1252"), DF)

    assert path == "line 1"
    assert "save it as CSV UTF-8" in message


@pytest.mark.parametrize("data", [b"", b" \n ", b"\xef\xbb\xbf", b"\xff\xfe"])
def test_an_empty_file_is_a_problem(data: bytes) -> None:
    """It is hardly what somebody wants to submit."""
    assert wrong(data) == [(None, "line 1", "there is no row with an answer")]


def test_an_unknown_api_is_no_file_s_fault() -> None:
    """The caller has misspelled it."""
    with pytest.raises(InvalidArgument, match="not 'direct-fulfillment'"):
        read_drafts(b"", api="direct-fulfillment")


@pytest.mark.parametrize("data", [b'{"acknowledgements": []}', b'{"acknowledgements": {}}'])
def test_a_body_without_acknowledgements_is_a_problem(data: bytes) -> None:
    """An empty list, and what is no list."""
    assert wrong(data) == [(None, "acknowledgements", "is no list, or an empty one")]


def test_all_is_told_at_once_each_with_its_path() -> None:
    """Unknown keys, wrong types and what is missing, each with the number of its order."""
    one, other = retail("A1"), retail("A2")
    one["items"][0]["netcost"] = one["items"][0].pop("netCost")
    one["items"][0]["itemAcknowledgements"][0]["acknowledgedQuantity"]["amount"] = "10"
    one["sellingParty"] = "API01"
    del other["acknowledgementDate"]
    other["items"][0]["netCost"]["amount"] = 10.2
    found = wrong(encoded({"acknowledgements": [one, other, 7]}))

    assert [(number, path) for number, path, _ in found] == [
        ("A1", "acknowledgements[0].sellingParty"),
        ("A1", "acknowledgements[0].items[0]"),
        (
            "A1",
            "acknowledgements[0].items[0].itemAcknowledgements[0].acknowledgedQuantity.amount",
        ),
        ("A2", "acknowledgements[1]"),
        ("A2", "acknowledgements[1].items[0].netCost.amount"),
        (None, "acknowledgements[2]"),
    ]
    assert "netCost may be meant" in found[1][2]
    assert found[3][2] == "there is no acknowledgementDate"


@pytest.mark.parametrize(
    "amount", [10, 10.2, "1_0", " 10", "10,2", "NaN", "1e99999999999999999999"]
)
def test_an_amount_of_money_is_a_text_as_amazon_writes_it(amount: object) -> None:
    """What Python would take for a decimal is not enough."""
    one = retail()
    one["items"][0]["netCost"]["amount"] = amount
    [(_, path, _)] = wrong(encoded(one))

    assert path == "acknowledgements[0].items[0].netCost.amount"


@pytest.mark.parametrize("moment", ["2026-03-12", "2026-03-12T17:35:26", "12/03/2026", 5, None])
def test_an_instant_has_a_time_and_a_zone(moment: object) -> None:
    """A finished document is not guessed at."""
    [(_, path, _)] = wrong(encoded(retail() | {"acknowledgementDate": moment}))

    assert path == "acknowledgements[0].acknowledgementDate"


@pytest.mark.parametrize("amount", [True, 10.0, 2**63])
def test_a_quantity_is_a_whole_number_that_a_database_holds(amount: object) -> None:
    """Neither a truth nor a fraction, be it of nothing."""
    one = retail()
    one["items"][0]["orderedQuantity"]["amount"] = amount

    assert len(wrong(encoded(one))) == 1


def test_null_is_the_same_as_absent() -> None:
    """It is not sent, so that Amazon has nothing to refuse."""
    one = retail()
    one["items"][0]["itemAcknowledgements"][0]["rejectionReason"] = None
    [draft] = read_drafts(encoded(one), api=RETAIL)

    assert b"null" not in msgspec.json.encode(draft.document)


def test_a_key_that_is_there_twice_is_a_problem() -> None:
    """One of the two would be lost in silence, and with it lines of the order."""
    data = encoded(retail()).replace(b'"items":', b'"items": [], "items":')

    assert wrong(data) == [(None, "line 1", "the key 'items' is twice in one object")]


@pytest.mark.parametrize("api", [RETAIL, DF])
@pytest.mark.parametrize("is_wrapped", [True, False])
def test_a_file_for_the_other_api_says_so(api: str, is_wrapped: bool) -> None:
    """One line instead of a hundred about each key."""
    other = DF if api == RETAIL else RETAIL
    one = MAKERS[other]("A1")
    [(_, _, message)] = wrong(encoded({WRAPPERS[other]: [one]} if is_wrapped else one), api)

    assert message.endswith(f"--api {other.replace('_', '-')}")


def test_a_misspelled_list_is_a_problem() -> None:
    """As Amazon's own guide of 2021 has it."""
    found = wrong(encoded({"orderAcknowledgements": [df()], "extra": 1}), DF)
    lower = wrong(encoded({"orderacknowledgements": [df()]}), DF)

    assert [path for _, path, _ in found] == ["$"]
    assert "'orderacknowledgements'" in lower[0][2]


@pytest.mark.parametrize(
    ("data", "where"),
    [
        (b'{"acknowledgements": [\n', "line 2"),
        (b"[]", "$"),
        (b'{"a": NaN}', "line 1"),
        (b"[" * 100_000, "line 1"),
        (b'{"a": ' + b"9" * 5_000 + b"}", "line 1"),
    ],
)
def test_what_is_not_the_json_of_an_acknowledgement_is_one_problem(
    data: bytes, where: str
) -> None:
    """With the line that a parser stumbles at."""
    [(_, path, message)] = wrong(data)

    assert path == where
    assert len(message) < 200


def test_each_bad_line_is_told_of() -> None:
    """Lines that cannot be read do not hide what is wrong with others."""
    data = encoded(retail("A1"), retail("A2") | {"x": 1}, 7) + b"\n{\n"

    assert [path for _, path, _ in wrong(data)] == [
        "line 2: acknowledgements[0]",
        "line 3: $",
        "line 4",
    ]


@pytest.mark.parametrize("api", [RETAIL, DF])
def test_an_order_that_is_answered_twice_is_a_problem(api: str) -> None:
    """The later answer would replace the other at Amazon."""
    make = MAKERS[api]
    [(number, path, message)] = wrong(encoded(make("A1"), make("A2"), make("A1")), api)

    assert (number, path) == ("A1", f"line 3: {WRAPPERS[api]}[0]")
    assert "line 1" in message


def test_every_field_of_the_models_is_known() -> None:
    """What the models have can be written in a file, since it is they that are asked."""
    one = df()
    address = dict.fromkeys(("name", "attention", "addressLine1", "countryCode"), "x")
    one["sellingParty"] |= {"address": address, "taxInfo": {"taxRegistrationType": "VAT"}}
    two = retail()
    two["items"][0] |= {
        "amazonProductIdentifier": "B0",
        "vendorProductIdentifier": "V",
        "listPrice": {"amount": "-1E+2", "unitOfMeasure": "POUNDS"},
        "discountMultiplier": "0.5",
    }
    [first] = read_drafts(encoded(one), api=DF)
    [second] = read_drafts(encoded(two), api=RETAIL)

    assert isinstance(first.document, direct_fulfillment.OrderAcknowledgementItem)
    assert first.document.selling_party.address is not None
    assert isinstance(second.document, retail_procurement.OrderAcknowledgement)
    assert second.document.items[0].list_price is not None
    assert second.document.items[0].list_price.amount == Decimal(-100)


@pytest.mark.skipif(not HAS_MODELS, reason=NO_MODELS)
@pytest.mark.parametrize(
    ("name", "api"),
    [("vendorOrders.json", RETAIL), ("vendorDirectFulfillmentOrdersV1.json", DF)],
)
def test_amazons_own_examples_are_read(name: str, api: str) -> None:
    """What Amazon's sandbox takes is a file."""
    described = operations_of(name)["submitAcknowledgement"]["responses"]["202"]
    [case, _] = described["x-amzn-api-sandbox"]["static"]
    body = case["request"]["parameters"]["body"]["value"]

    assert len(read_drafts(encoded(body), api=api)) == 1
